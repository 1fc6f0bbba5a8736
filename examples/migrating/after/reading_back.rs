use super::*;

use soloop::{TimeoutAction, Timer};

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let timer = Timer::from_duration(Duration::from_secs(3600));
    let token = state.handle.insert_source(timer, |_, state| {
        state.log.push("fired".into());
        TimeoutAction::Drop
    })?;
    event_loop.apply_pending(&mut state)?; // it is stored from here on

    let due = event_loop.get(token).and_then(Timer::current_deadline);
    let left = due.map(|due| due.saturating_duration_since(state.handle.now()));
    state.log.push(format!("in an hour: {}", left > Some(Duration::from_secs(3000))));
    state.handle.update(token, |timer| timer.set_duration(Duration::ZERO));
    event_loop.dispatch(None, &mut state)?;
    Ok(state.log)
}
