use super::*;

use calloop::timer::{TimeoutAction, Timer};

type Entry = Box<dyn Fn(&LoopHandle<'static, State<()>>)>;

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let entry: Entry = Box::new(|handle| {
        let timer = Timer::from_duration(Duration::from_millis(1));
        let hide = |_, _: &mut (), state: &mut State<()>| {
            state.log.push("hidden".into());
            TimeoutAction::Drop
        };
        handle.insert_source(timer, hide).expect("a timer is not refused");
    });
    let kept = state.handle.clone();
    entry(&kept); // by a toolkit, which has no state at hand
    while state.log.is_empty() {
        event_loop.dispatch(None, &mut state)?;
    }
    Ok(state.log)
}
