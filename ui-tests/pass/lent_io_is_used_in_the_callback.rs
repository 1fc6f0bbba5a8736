// The callback of a `Generic` has `&mut` of the io, beside the state, without `unsafe`; it may even put another in its place.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use soloop::{EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction};

struct State {
    handle: LoopHandle<State>,
    fallback: Option<UnixStream>,
    heard: Vec<u8>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (stream, mut peer) = UnixStream::pair()?;
    let (fallback, mut second_peer) = UnixStream::pair()?;
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, fallback: Some(fallback), heard: Vec::new() };
    let source = Generic::new(stream, Interest::READ, Mode::Level);
    state.handle.insert_source(source, |ready, state: &mut State| {
        let mut buffer = [0; 16];
        let n = ready.io.read(&mut buffer)?;
        state.heard.extend_from_slice(&buffer[..n]);
        ready.io.write_all(&buffer[..n])?;
        if let Some(fallback) = state.fallback.take() {
            *ready.io = fallback;
        }
        Ok(PostAction::Continue)
    })?;

    peer.write_all(b"one ")?;
    event_loop.dispatch(None, &mut state)?;
    second_peer.write_all(b"two")?;
    event_loop.dispatch(None, &mut state)?;
    assert_eq!(state.heard, b"one two");

    let mut echo = String::new();
    peer.read_to_string(&mut echo)?; // to its end: the first stream is closed
    assert_eq!(echo, "one ");
    Ok(())
}
