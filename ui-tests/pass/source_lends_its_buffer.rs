// A source of one's own lends a part of itself to the callback, for the time of the call.

use std::convert::Infallible;
use std::io;

use soloop::{
    EventLoop, EventSource, InterestToken, LoopData, LoopHandle, PostAction, Readiness, Registrar,
    TimeoutAction, Timer,
};

/// Emits the words of a line, one a call.
struct Words {
    clock: Timer,
    line: String,
    at: usize,
}

impl EventSource for Words {
    type Event<'a> = &'a mut str;
    type Ret = ();
    type Error = Infallible;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.clock.register(registrar)
    }

    fn reregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.clock.reregister(registrar)
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.clock.unregister(registrar)
    }

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(&mut str),
    {
        let Self { clock, line, at } = self;
        let mut more = false;
        let action = clock.process_events(readiness, token, |deadline| {
            let rest = &mut line[*at..];
            let length = rest.find(' ').unwrap_or(rest.len());
            callback(&mut rest[..length]);
            *at += length + 1;
            more = *at < line.len();
            TimeoutAction::ToInstant(deadline)
        })?;
        Ok(if more { action } else { PostAction::Remove })
    }
}

struct State {
    handle: LoopHandle<State>,
    words: Vec<String>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, words: Vec::new() };
    let words = Words { clock: Timer::immediate(), line: "one event a call".to_owned(), at: 0 };
    let token = state.handle.insert_source(words, |word, state: &mut State| {
        word.make_ascii_uppercase();
        state.words.push(word.to_owned());
    })?;
    while state.handle.contains(token) {
        event_loop.dispatch(None, &mut state)?;
    }
    assert_eq!(state.words, ["ONE", "EVENT", "A", "CALL"]);
    Ok(())
}
