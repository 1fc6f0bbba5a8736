// Between dispatches `get` and `get_mut` lend a source, by its token, as what it is.

use std::time::{Duration, Instant};

use soloop::{Clock, EventLoop, LoopData, LoopHandle, TimeoutAction, Timer};

struct State {
    handle: LoopHandle<State>,
    fired: Vec<Instant>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    let mut state = State { handle, fired: Vec::new() };
    let start = state.handle.now();
    let hour = Duration::from_secs(3600);
    let timer = Timer::from_duration(hour);
    let token = state.handle.insert_source(timer, |deadline, state: &mut State| {
        state.fired.push(deadline);
        TimeoutAction::Drop
    })?;
    assert!(event_loop.get(token).is_none(), "stored when ops are applied");
    event_loop.apply_pending(&mut state)?;
    let deadline = event_loop.get(token).and_then(Timer::current_deadline);
    assert_eq!(deadline, Some(start + hour));

    // What concerns the registration goes by `update`, which registers anew.
    state.handle.update(token, move |timer| timer.set_deadline(start + 2 * hour));
    event_loop.dispatch(3 * hour, &mut state)?;
    assert_eq!(state.fired, [start + 2 * hour]);
    assert!(event_loop.get_mut(token).is_none(), "it answered `Drop`");
    Ok(())
}
