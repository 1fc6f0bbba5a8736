// A token is a plain value: kept in the state, it names its source until that is gone, and nothing after.

use std::time::Duration;

use soloop::{Clock, EventLoop, LoopData, LoopHandle, TimeoutAction, Timer, Token};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Key {
    Up,
    Held { repeat: Token<Timer> },
}

struct State {
    handle: LoopHandle<State>,
    key: Key,
    typed: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn press(&mut self) -> soloop::Result<()> {
        let delay = Timer::from_duration(Duration::from_millis(200));
        let repeat = self.handle.insert_source(delay, |_, state: &mut State| {
            state.typed += 1;
            TimeoutAction::ToDuration(Duration::from_millis(50))
        })?;
        self.typed += 1;
        self.key = Key::Held { repeat };
        Ok(())
    }

    fn release(&mut self) {
        if let Key::Held { repeat } = self.key {
            self.handle.remove(repeat);
            self.key = Key::Up;
        }
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    let mut state = State { handle, key: Key::Up, typed: 0 };
    state.press()?;
    let Key::Held { repeat } = state.key else {
        unreachable!();
    };
    event_loop.dispatch(None, &mut state)?; // 200 ms
    event_loop.dispatch(None, &mut state)?; // 250 ms
    assert_eq!(state.typed, 3);
    state.release();
    event_loop.dispatch(Duration::from_secs(1), &mut state)?;
    assert_eq!((state.typed, state.key), (3, Key::Up));
    assert!(!state.handle.contains(repeat));

    state.press()?;
    assert_ne!(state.key, Key::Held { repeat });
    assert!(!state.handle.remove(repeat), "names nothing any more");
    event_loop.dispatch(Duration::from_secs(1), &mut state)?;
    assert_eq!(state.typed, 5);
    Ok(())
}
