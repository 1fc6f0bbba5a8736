use super::*;

use calloop::Dispatcher;
use calloop::timer::{TimeoutAction, Timer};

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let timer = Timer::from_duration(Duration::from_secs(3600));
    let timer = Dispatcher::new(timer, |_, _, state: &mut State<()>| {
        state.log.push("fired".into());
        TimeoutAction::Drop
    });
    let token = state.handle.register_dispatcher(timer.clone())?;

    let due = timer.as_source_ref().current_deadline();
    let left = due.map(|due| due.saturating_duration_since(Instant::now()));
    state.log.push(format!("in an hour: {}", left > Some(Duration::from_secs(3000))));
    // A panic if this is its own callback.
    timer.as_source_mut().set_duration(Duration::ZERO);
    state.handle.update(&token)?;
    event_loop.dispatch(None, &mut state)?;
    Ok(state.log)
}
