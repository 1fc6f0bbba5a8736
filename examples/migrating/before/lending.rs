use super::*;

use calloop::generic::Generic;

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(false)?;
    let mut child = Command::new("echo").arg("lent").stdout(Stdio::piped()).spawn()?;
    let mut output = child.stdout.take().expect("it is piped");
    // `&mut` of what is in a `Generic` is an unsafe call: a second fd is watched in its place.
    let fd = output.as_fd().try_clone_to_owned()?;
    let source = Generic::new(fd, Interest::READ, Mode::Level);
    state.handle.insert_source(source, move |_, _, state| {
        let mut text = String::new();
        output.read_to_string(&mut text)?;
        state.log.push(text);
        state.own = true;
        Ok(PostAction::Remove)
    })?;
    while !state.own {
        event_loop.dispatch(None, &mut state)?;
    }
    child.wait()?;
    Ok(state.log)
}
