use super::*;

use soloop::{Generic, Ready};

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let mut child = Command::new("echo").arg("lent").stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().expect("it is piped");
    let source = Generic::new(output, Interest::READ, Mode::Level);
    let read = |ready: Ready<'_, ChildStdout>, state: &mut State<()>| {
        let mut text = String::new();
        ready.io.read_to_string(&mut text)?;
        state.log.push(text);
        Ok(PostAction::Remove)
    };
    let token = state.handle.insert_source(source, read)?;
    while state.handle.contains(token) {
        event_loop.dispatch(None, &mut state)?;
    }
    child.wait()?;
    Ok(state.log)
}
