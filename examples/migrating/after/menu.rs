use super::*;

use soloop::{LocalRemote, TimeoutAction, Timer};

type Entry = Box<dyn Fn(&LocalRemote<State<()>>)>;

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let entry: Entry = Box::new(|remote| {
        remote.post(|state| {
            let timer = Timer::from_duration(Duration::from_millis(1));
            state.handle.insert_timer(timer, |_, state| {
                state.log.push("hidden".into());
                TimeoutAction::Drop
            });
        });
    });
    let kept = state.handle.local_remote();
    entry(&kept); // by a toolkit, which has no state at hand
    while state.log.is_empty() {
        event_loop.dispatch(None, &mut state)?;
    }
    Ok(state.log)
}
