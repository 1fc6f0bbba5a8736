use super::*;

use soloop::Generic;

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let mut child = Command::new("echo").arg("lent").stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().expect("it is piped");
    let source = Generic::new(output, Interest::READ, Mode::Level);
    let token = state.handle.insert_source(source, |ready, state| {
        let mut text = String::new();
        ready.io.read_to_string(&mut text)?;
        state.log.push(text);
        Ok(PostAction::Remove)
    })?;
    while state.handle.contains(token) {
        event_loop.dispatch(None, &mut state)?;
    }
    child.wait()?;
    Ok(state.log)
}
