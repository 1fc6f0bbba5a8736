use super::*;

use soloop::Generic;

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let (mut gpu, fence) = UnixStream::pair()?;
    let buffer = String::from("buffer"); // to be consumed when the fence is signalled
    let fence = Generic::new(fence, Interest::READ, Mode::Level);
    state.handle.insert_once(fence, move |_, state| {
        state.log.push(buffer);
        Ok(PostAction::Remove)
    })?;
    gpu.write_all(b"!")?;
    event_loop.dispatch(None, &mut state)?;
    Ok(state.log)
}
