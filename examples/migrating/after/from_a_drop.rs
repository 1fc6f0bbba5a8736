use super::*;

use soloop::{PingSource, Remote, make_ping};

struct Lease {
    token: Token<PingSource>,
    remote: Remote<State<()>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.remote.remove(self.token); // `false` if the loop is gone
    }
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let (ping, pings) = make_ping();
    let token = state.handle.insert_source(pings, |(), state| {
        state.log.push("leased".into());
    })?;
    let lease = Lease { token, remote: state.handle.remote() };

    ping.ping();
    event_loop.dispatch(None, &mut state)?;
    thread::spawn(move || drop(lease)).join().expect("it drops");
    event_loop.dispatch(None, &mut state)?;
    ping.ping();
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    Ok(state.log)
}
