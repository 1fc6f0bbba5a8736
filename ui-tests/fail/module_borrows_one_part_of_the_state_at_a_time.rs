// calloop: a module that knows nothing of the state captures a handle and an `Rc<RefCell<_>>` of its part: a leak, and a panic when users meet.
// error[E0499]: cannot borrow `*data` as mutable more than once at a time

use soloop::{EventLoop, LoopData, LoopHandle, TimeoutAction, Timer, Token};

struct Cursor {
    blink: Option<Token<Timer>>,
}

/// Right is: look, then act (`let blink = data.as_mut().blink.take();`).
fn stop_blinking<D: LoopData + AsMut<Cursor>>(data: &mut D) {
    let cursor = data.as_mut();
    let handle = data.loop_handle();
    if let Some(token) = cursor.blink.take() {
        handle.remove(token);
    }
}

struct State {
    handle: LoopHandle<State>,
    cursor: Cursor,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl AsMut<Cursor> for State {
    fn as_mut(&mut self) -> &mut Cursor {
        &mut self.cursor
    }
}

fn main() -> soloop::Result<()> {
    let (_event_loop, mut handle) = EventLoop::new()?;
    let blink = handle.insert_source(Timer::immediate(), |_, _| TimeoutAction::Drop)?;
    let cursor = Cursor { blink: Some(blink) };
    stop_blinking(&mut State { handle, cursor });
    Ok(())
}
