// What callbacks share is a field of the state; each of them has all of it, one after the other.

use soloop::{EventLoop, LoopData, LoopHandle, channel, make_ping};

struct State {
    handle: LoopHandle<State>,
    pings: u32,
    sum: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, pings: 0, sum: 0 };
    let (ping, source) = make_ping();
    let (sender, receiver) = channel::channel();
    state.handle.insert_source(source, |(), state: &mut State| {
        state.pings += 1;
        state.sum *= 10;
    })?;
    state.handle.insert_source(receiver, |event, state: &mut State| match event {
        channel::Event::Msg(n) => state.sum += n * state.pings,
        channel::Event::Closed => state.handle.stop(),
    })?;
    ping.ping();
    event_loop.dispatch(None, &mut state)?;
    sender.send(2).unwrap();
    sender.send(3).unwrap();
    drop(sender);
    event_loop.run(None, &mut state, |_| ())?;
    assert_eq!((state.pings, state.sum), (1, 5));
    Ok(())
}
