use super::*;

use calloop::generic::Generic;

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let (mut gpu, fence) = UnixStream::pair()?;
    let mut buffer = Some(String::from("buffer")); // to be consumed when the fence is signalled
    let fence = Generic::new(fence, Interest::READ, Mode::OneShot);
    state.handle.insert_source(fence, move |_, _, state| {
        if let Some(buffer) = buffer.take() {
            state.log.push(buffer);
        }
        Ok(PostAction::Remove)
    })?;
    gpu.write_all(b"!")?;
    event_loop.dispatch(None, &mut state)?;
    Ok(state.log)
}
