use super::*;

use soloop::{Remote, channel, channel::Event};

struct Cast {
    remote: Remote<State<()>>,
}

impl Cast {
    /// Deep below the state, which is borrowed.
    fn start(&self, name: &'static str) {
        let (sender, frames) = channel();
        self.remote.insert(frames, move |event, state| match event {
            Event::Msg(frame) => state.log.push(format!("{name}: {frame}")),
            Event::Closed => state.log.push(format!("{name} ends")),
        });
        thread::spawn(move || sender.send("a frame"));
    }
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let cast = Cast { remote: state.handle.remote() };
    cast.start("screen");
    while state.log.len() < 2 {
        event_loop.dispatch(None, &mut state)?;
    }
    Ok(state.log)
}
