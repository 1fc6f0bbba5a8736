use super::*;

use soloop::{TimeoutAction, Timer};

pub enum Screen {
    Dimmed,
    Bright { dims: Token<Timer> },
}

fn input(state: &mut State<Screen>) -> Result<()> {
    let time = Duration::from_millis(5);
    if let Screen::Bright { dims } = state.own {
        state.handle.update(dims, move |timer| timer.set_duration(time));
        return Ok(());
    }
    let dims = state.handle.insert_source(Timer::from_duration(time), |_, state| {
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
