use super::*;

use calloop::InsertError;
use calloop::generic::Generic;

pub fn run() -> Result<Vec<String>> {
    let (_event_loop, mut state) = new_loop(())?;
    // epoll refuses regular files.
    let file = File::open(std::env::current_exe()?)?;
    let source = Generic::new(file, Interest::READ, Mode::Level);
    let watched = state.handle.insert_source(source, |_, _, _| Ok(PostAction::Continue));
    match watched {
        Ok(_token) => state.log.push("wait until it is readable".into()),
        Err(InsertError { inserted, .. }) => {
            let file = inserted.unwrap();
            state.log.push(format!("read at once: {}", file.metadata()?.is_file()));
        }
    }
    Ok(state.log)
}
