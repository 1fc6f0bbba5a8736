use super::*;

use calloop::ping::{Ping, make_ping};
use calloop::timer::{TimeoutAction, Timer};

struct Window {
    closed: Ping,
}

impl Drop for Window {
    fn drop(&mut self) {
        self.closed.ping();
    }
}

fn open(state: &mut State<()>) -> Result<Window> {
    let blink = Timer::from_duration(Duration::from_millis(5));
    let blink = state.handle.insert_source(blink, |_, _, state| {
        state.log.push("blinks".into());
        TimeoutAction::ToDuration(Duration::from_secs(1))
    })?;
    let (closed, closes) = make_ping()?;
    state.handle.insert_source(closes, move |(), _, state| state.handle.remove(blink))?;
    Ok(Window { closed })
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let window = open(&mut state)?;
    event_loop.dispatch(None, &mut state)?;
    drop(window);
    event_loop.dispatch(None, &mut state)?; // only the ping, and the timer is gone
    event_loop.dispatch(Duration::from_millis(10), &mut state)?;
    Ok(state.log)
}
