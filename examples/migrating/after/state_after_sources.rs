use super::*;

use soloop::make_ping;

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut handle) = EventLoop::new()?;
    let (ping, pings) = make_ping();
    handle.insert_source(pings, |(), state: &mut State<&str>| {
        state.log.push(format!("input of {}", state.own));
    })?;
    // Only now there is what the callback is called with.
    let mut state = State { handle, log: Vec::new(), own: "seat0" };
    ping.ping();
    event_loop.dispatch(None, &mut state)?;
    Ok(state.log)
}
