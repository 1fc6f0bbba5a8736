// A callback has the handle at hand, through the state: it inserts sources, and removes its own and others.

use std::time::Duration;

use soloop::{EventLoop, LoopData, LoopHandle, Ping, PingSource, Token, make_ping};

struct State {
    handle: LoopHandle<State>,
    /// Who is still there, youngest last.
    tokens: Vec<Token<PingSource>>,
    log: Vec<&'static str>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn listen(&mut self, callback: impl FnMut((), &mut State) + 'static) -> soloop::Result<Ping> {
        let (ping, source) = make_ping();
        self.tokens.push(self.handle.insert_source(source, callback)?);
        Ok(ping)
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, tokens: Vec::new(), log: Vec::new() };
    let parent = state.listen(|(), state| {
        state.log.push("parent");
        let child = state.listen(|(), state| {
            state.log.push("child");
            for token in std::mem::take(&mut state.tokens) {
                assert!(state.handle.remove(token));
            }
        });
        child.unwrap().ping();
    })?;
    let sibling = state.listen(|(), state| state.log.push("sibling"))?;

    parent.ping();
    event_loop.dispatch(None, &mut state)?;
    assert_eq!(state.log, ["parent"]);

    // The child removes all three, itself included, before the sibling has its turn in the same batch.
    sibling.ping();
    event_loop.dispatch(None, &mut state)?;
    assert_eq!(state.log, ["parent", "child"]);

    parent.ping();
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    assert_eq!(state.log, ["parent", "child"]);
    Ok(())
}
