// An idle runs after the events of the round, with the state; until then its token cancels it.

use std::time::Duration;

use soloop::{EventLoop, IdleToken, LoopData, LoopHandle, make_ping};

struct State {
    handle: LoopHandle<State>,
    redraw: Option<IdleToken>,
    damage: u32,
    frames: Vec<u32>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn damage(&mut self) {
        self.damage += 1;
        if self.redraw.is_none() {
            self.redraw = Some(self.handle.insert_idle(|state| {
                let own = state.redraw.take();
                let cancelled = own.is_some_and(|idle| state.handle.cancel_idle(idle));
                assert!(!cancelled, "it is running already");
                state.frames.push(std::mem::take(&mut state.damage));
            }));
        }
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, redraw: None, damage: 0, frames: Vec::new() };
    let (one, first) = make_ping();
    let (other, second) = make_ping();
    state.handle.insert_source(first, |(), state: &mut State| state.damage())?;
    state.handle.insert_source(second, |(), state: &mut State| state.damage())?;
    one.ping();
    other.ping();
    event_loop.dispatch(None, &mut state)?;
    assert_eq!(state.frames, [2], "one frame for both");

    state.damage();
    let idle = state.redraw.take().unwrap();
    assert!(state.handle.cancel_idle(idle));
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    assert_eq!(state.frames, [2]);
    Ok(())
}
