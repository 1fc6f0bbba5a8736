use super::*;

use calloop::channel::{Event, channel};

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(None)?;
    let (sender, messages) = channel();
    let token = state.handle.insert_source(messages, |event, _, state| {
        let Event::Msg(text) = event else { return };
        // What is in the channel already still comes after the removal.
        let Some(token) = state.own else { return };
        if text == "stop" {
            state.own = None;
            state.handle.remove(token);
        }
        state.log.push(String::from(text));
    })?;
    state.own = Some(token);
    for text in ["go", "stop", "too late"] {
        sender.send(text)?;
    }
    event_loop.dispatch(None, &mut state)?;
    Ok(state.log)
}
