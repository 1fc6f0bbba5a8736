use super::*;

use calloop::ping::make_ping;

#[derive(Default)]
pub struct Locked {
    keyboard: Option<RegistrationToken>,
    locked: bool,
    missed: bool,
}

fn key(state: &mut State<Locked>) {
    state.log.push("key".into());
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(Locked::default())?;
    let (lock, locks) = make_ping()?;
    let (press, keys) = make_ping()?;
    state.handle.insert_source(locks, |(), _, state| {
        state.log.push("locked".into());
        state.own.locked = true;
        let keyboard = state.own.keyboard.expect("it is there");
        state.handle.disable(&keyboard).expect("it can be disabled");
    })?;
    let keyboard = state.handle.insert_source(keys, |(), _, state| {
        // An event that was found together with the one that disabled this source.
        if state.own.locked {
            state.own.missed = true;
            return;
        }
        key(state);
    })?;
    state.own.keyboard = Some(keyboard);

    lock.ping();
    press.ping();
    event_loop.dispatch(None, &mut state)?;
    state.log.push("unlocked".into());
    state.own.locked = false;
    state.handle.enable(&keyboard)?;
    if std::mem::take(&mut state.own.missed) {
        key(&mut state);
    }
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    Ok(state.log)
}
