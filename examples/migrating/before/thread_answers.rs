use super::*;

use calloop::channel::{Event, channel};

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let (sender, answers) = channel();
    state.handle.insert_source(answers, |event, _, state: &mut State<()>| match event {
        Event::Msg(lines) => state.log.push(format!("{lines} lines")),
        Event::Closed => {}
    })?;
    thread::spawn(move || {
        let _ = sender.send("one\ntwo".lines().count()); // the loop may be gone
    });
    while state.log.is_empty() {
        event_loop.dispatch(None, &mut state)?;
    }
    Ok(state.log)
}
