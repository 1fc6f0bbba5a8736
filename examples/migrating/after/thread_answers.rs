use super::*;

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let remote = state.handle.remote();
    thread::spawn(move || {
        let lines = "one\ntwo".lines().count();
        remote.post(move |state: &mut State<()>| state.log.push(format!("{lines} lines")))
    });
    while state.log.is_empty() {
        event_loop.dispatch(None, &mut state)?;
    }
    Ok(state.log)
}
