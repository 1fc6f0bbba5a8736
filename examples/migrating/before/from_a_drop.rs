use super::*;

use calloop::channel::{Event, Sender, channel};
use calloop::ping::make_ping;

struct Lease {
    token: RegistrationToken,
    returned: Sender<RegistrationToken>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = self.returned.send(self.token); // the loop may be gone
    }
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let (ping, pings) = make_ping()?;
    let token = state.handle.insert_source(pings, |(), _, state| {
        state.log.push("leased".into());
    })?;
    let (returned, returns) = channel();
    state.handle.insert_source(returns, |event, _, state: &mut State<()>| {
        if let Event::Msg(token) = event {
            state.handle.remove(token);
        }
    })?;
    let lease = Lease { token, returned };

    ping.ping();
    event_loop.dispatch(None, &mut state)?;
    thread::spawn(move || drop(lease)).join().expect("it drops");
    event_loop.dispatch(None, &mut state)?;
    ping.ping();
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    Ok(state.log)
}
