use super::*;

use calloop::timer::{TimeoutAction, Timer};

pub enum Screen {
    Dimmed,
    Bright { dims: RegistrationToken },
}

fn input(state: &mut State<Screen>) -> Result<()> {
    if let Screen::Bright { dims } = state.own {
        state.handle.remove(dims);
    }
    let timer = Timer::from_duration(Duration::from_millis(5));
    let dims = state.handle.insert_source(timer, |_, _, state| {
        state.log.push("dimmed".into());
        state.own = Screen::Dimmed;
        TimeoutAction::Drop
    })?;
    state.own = Screen::Bright { dims };
    Ok(())
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(Screen::Dimmed)?;
    input(&mut state)?;
    input(&mut state)?; // starts the time anew
    while let Screen::Bright { .. } = state.own {
        event_loop.dispatch(None, &mut state)?;
    }
    Ok(state.log)
}
