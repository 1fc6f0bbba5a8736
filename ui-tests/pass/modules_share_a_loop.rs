// Modules that know nothing of each other share a loop: each asks for its part of the state alone.

use std::time::Duration;

use soloop::{Clock, EventLoop, LoopData, LoopHandle, TimeoutAction, Timer};

mod cursor {
    use super::*;
    use soloop::Token;

    #[derive(Default)]
    pub struct Cursor {
        pub visible: bool,
        pub changes: u32,
        blink: Option<Token<Timer>>,
    }

    pub fn start<D: LoopData + AsMut<Cursor>>(data: &mut D) -> soloop::Result<()> {
        let half = Duration::from_millis(500);
        let timer = Timer::from_duration(half);
        let handle = data.loop_handle();
        let token = handle.insert_source(timer, move |_, data: &mut D| {
            let cursor = data.as_mut();
            cursor.visible = !cursor.visible;
            cursor.changes += 1;
            TimeoutAction::ToDuration(half)
        })?;
        data.as_mut().blink = Some(token);
        Ok(())
    }

    /// Look at the part, then act on the loop: one borrow of the state at a time.
    pub fn stop<D: LoopData + AsMut<Cursor>>(data: &mut D) {
        if let Some(token) = data.as_mut().blink.take() {
            data.loop_handle().remove(token);
        }
    }
}

mod session {
    use super::*;

    #[derive(Default)]
    pub struct Session {
        pub locked: bool,
    }

    pub fn lock_after<D: LoopData + AsMut<Session>>(
        data: &mut D,
        idle: Duration,
        then: impl FnOnce(&mut D) + 'static,
    ) -> soloop::Result<()> {
        let handle = data.loop_handle();
        handle.insert_once(Timer::from_duration(idle), |_, data: &mut D| {
            data.as_mut().locked = true;
            then(data);
            TimeoutAction::Drop
        })?;
        Ok(())
    }
}

struct State {
    handle: LoopHandle<State>,
    cursor: cursor::Cursor,
    session: session::Session,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl AsMut<cursor::Cursor> for State {
    fn as_mut(&mut self) -> &mut cursor::Cursor {
        &mut self.cursor
    }
}

impl AsMut<session::Session> for State {
    fn as_mut(&mut self) -> &mut session::Session {
        &mut self.session
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    let mut state = State { handle, cursor: Default::default(), session: Default::default() };
    cursor::start(&mut state)?;
    session::lock_after(&mut state, Duration::from_millis(1750), |state| {
        cursor::stop(state);
        state.handle.stop();
    })?;
    event_loop.run(None, &mut state, |_| ())?;
    assert!(state.session.locked);
    assert!(state.cursor.visible);
    assert_eq!(state.cursor.changes, 3);
    Ok(())
}
