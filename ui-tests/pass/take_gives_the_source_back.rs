// `take` removes a source and gives it back, with its io, still open and not shared with anything.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use soloop::{EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction, Token};

struct State {
    handle: LoopHandle<State>,
    connection: Option<Token<Generic<UnixStream>>>,
    first: u8,
    upgraded: Option<UnixStream>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, connection: None, first: 0, upgraded: None };
    let (stream, mut peer) = UnixStream::pair()?;
    let source = Generic::new(stream, Interest::READ, Mode::Level);
    let token = state.handle.insert_source(source, |ready, state: &mut State| {
        let mut byte = [0];
        ready.io.read_exact(&mut byte)?;
        state.first = byte[0];
        if let Some(token) = state.connection.take() {
            state.handle.take(token, |source, state| {
                state.upgraded = Some(source.into_inner());
            });
        }
        Ok(PostAction::Continue)
    })?;
    state.connection = Some(token);

    peer.write_all(b"ab")?;
    event_loop.dispatch(None, &mut state)?;
    assert_eq!(state.first, b'a');
    assert!(!state.handle.contains(token));

    let mut stream = state.upgraded.expect("the callback took it");
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    assert_eq!(&byte, b"b");
    stream.write_all(b"c")?;
    peer.read_exact(&mut byte)?;
    assert_eq!(&byte, b"c");
    Ok(())
}
