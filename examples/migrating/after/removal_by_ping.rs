use super::*;

use soloop::{Scope, SourceOptions, TimeoutAction, Timer};

struct Window {
    _scope: Scope,
}

fn open(state: &mut State<()>) -> Result<Window> {
    let scope = Scope::new();
    let options = SourceOptions::new().scope(&scope);
    let blink = Timer::from_duration(Duration::from_millis(5));
    state.handle.insert_source_with(options, blink, |_, state| {
        state.log.push("blinks".into());
        TimeoutAction::ToDuration(Duration::from_secs(1))
    })?;
    Ok(Window { _scope: scope })
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let window = open(&mut state)?;
    event_loop.dispatch(None, &mut state)?;
    drop(window);
    event_loop.dispatch(Duration::from_millis(10), &mut state)?;
    Ok(state.log)
}
