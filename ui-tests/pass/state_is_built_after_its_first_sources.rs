// Sources can be inserted before the state exists, by the handle that will be a part of it.

use soloop::{EventLoop, LoopData, LoopHandle, Ping, PingSource, Token, make_ping};

struct Backend {
    ping: Ping,
    token: Token<PingSource>,
}

impl Backend {
    fn new(handle: &mut LoopHandle<State>) -> soloop::Result<Self> {
        let (ping, source) = make_ping();
        let token = handle.insert_source(source, |(), state: &mut State| {
            state.frames += 1;
            state.handle.stop();
        })?;
        Ok(Self { ping, token })
    }
}

struct State {
    handle: LoopHandle<State>,
    backend: Backend,
    frames: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, mut handle) = EventLoop::new()?;
    let backend = Backend::new(&mut handle)?;
    let mut state = State { handle, backend, frames: 0 };
    state.backend.ping.ping();
    event_loop.run(None, &mut state, |_| ())?;
    assert_eq!(state.frames, 1);
    assert!(state.handle.contains(state.backend.token));
    Ok(())
}
