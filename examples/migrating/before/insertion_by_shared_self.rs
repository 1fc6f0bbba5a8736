use super::*;

use calloop::channel::{Event, channel};

struct Cast {
    handle: LoopHandle<'static, State<()>>,
}

impl Cast {
    /// Deep below the state, which is borrowed.
    fn start(&self, name: &'static str) -> Result<()> {
        let (sender, frames) = channel();
        self.handle.insert_source(frames, move |event, _, state: &mut State<()>| match event {
            Event::Msg(frame) => state.log.push(format!("{name}: {frame}")),
            Event::Closed => state.log.push(format!("{name} ends")),
        })?;
        thread::spawn(move || sender.send("a frame"));
        Ok(())
    }
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let cast = Cast { handle: state.handle.clone() };
    cast.start("screen")?;
    while state.log.len() < 2 {
        event_loop.dispatch(None, &mut state)?;
    }
    Ok(state.log)
}
