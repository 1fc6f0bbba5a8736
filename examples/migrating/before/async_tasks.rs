use super::*;

use std::cell::RefCell;
use std::rc::Rc;

use calloop::futures::executor;
use calloop::timer::TimeoutFuture;

pub fn run() -> Result<Vec<String>> {
    // A task reaches nothing but what it owns, so that this cannot be a plain part of the state.
    let shared = Rc::new(RefCell::new(Vec::new()));
    let (mut event_loop, mut state) = new_loop(false)?;
    let (executor, scheduler) = executor()?;
    state.handle.insert_source(executor, |(), _, state| state.own = true)?;

    let (log, handle) = (shared.clone(), state.handle.clone());
    scheduler.schedule(async move {
        for count in ["two", "one"] {
            log.borrow_mut().push(count);
            TimeoutFuture::from_duration(&handle, Duration::from_millis(1)).await;
        }
        log.borrow_mut().push("lift-off");
    })?;
    while !state.own {
        event_loop.dispatch(None, &mut state)?;
    }
    state.log.extend(shared.take().into_iter().map(String::from));
    Ok(state.log)
}
