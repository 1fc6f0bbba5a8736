use super::*;

use soloop::{PingSource, make_ping};

type Keyboard = Option<Token<PingSource>>;

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(Keyboard::None)?;
    let (lock, locks) = make_ping();
    let (press, keys) = make_ping();
    state.handle.insert_source(locks, |(), state| {
        state.log.push("locked".into());
        state.handle.disable(state.own.expect("it is there"));
    })?;
    let keyboard = state.handle.insert_source(keys, |(), state| {
        state.log.push("key".into());
    })?;
    state.own = Some(keyboard);

    lock.ping();
    press.ping();
    event_loop.dispatch(None, &mut state)?;
    state.log.push("unlocked".into());
    state.handle.enable(keyboard); // what came meanwhile has waited
    event_loop.dispatch(None, &mut state)?;
    Ok(state.log)
}
