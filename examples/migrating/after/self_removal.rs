use super::*;

use soloop::channel::{Channel, Event, channel};

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(None::<Token<Channel<&str>>>)?;
    let (sender, messages) = channel();
    let token = state.handle.insert_source(messages, |event, state| {
        let Event::Msg(text) = event else { return };
        if text == "stop" {
            state.handle.remove(state.own.expect("it is there"));
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
