// A source is reached from the callbacks of others by its token: `visit` lends it, with the state.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use soloop::{
    EventLoop, Generic, Interest, LoopData, LoopHandle, Mode, PostAction, Token, make_ping,
};

struct State {
    handle: LoopHandle<State>,
    client: Option<Token<Generic<UnixStream>>>,
    serial: u8,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, client: None, serial: 7 };
    let (stream, mut peer) = UnixStream::pair()?;
    let client = Generic::new(stream, Interest::READ, Mode::Level);
    let client =
        state.handle.insert_source(client, |_ready, _: &mut State| Ok(PostAction::Remove))?;
    state.client = Some(client);

    // The frame clock writes to the client without owning a share of it.
    let (frame, source) = make_ping();
    state.handle.insert_source(source, |(), state: &mut State| {
        if let Some(client) = state.client {
            state.handle.visit(client, |client, state| {
                state.serial += 1;
                client.get_mut().write_all(&[state.serial]).unwrap();
            });
        }
    })?;

    frame.ping();
    event_loop.dispatch(None, &mut state)?;
    let mut byte = [0];
    peer.read_exact(&mut byte)?;
    assert_eq!(byte, [8]);

    drop(peer);
    event_loop.dispatch(None, &mut state)?;
    assert!(!state.handle.visit(client, |_, _| unreachable!()), "gone");
    Ok(())
}
