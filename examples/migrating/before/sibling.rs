use super::*;

use calloop::ping::make_ping;

type Keyboard = Option<RegistrationToken>;

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(Keyboard::None)?;
    let (lock, locks) = make_ping()?;
    let (press, keys) = make_ping()?;
    state.handle.insert_source(locks, |(), _, state| {
        state.log.push("locked".into());
        let keyboard = state.own.expect("it is there");
        state.handle.disable(&keyboard).expect("it is registered");
    })?;
    let keyboard = state.handle.insert_source(keys, |(), _, state| {
        state.log.push("key".into());
    })?;
    state.own = Some(keyboard);

    lock.ping();
    press.ping();
    event_loop.dispatch(None, &mut state)?;
    state.log.push("unlocked".into());
    state.handle.enable(&keyboard)?; // what came meanwhile has waited
    event_loop.dispatch(None, &mut state)?;
    Ok(state.log)
}
