use super::*;

use soloop::TaskContext;

async fn count_down(cx: TaskContext<State<()>>) {
    for count in ["two", "one"] {
        cx.with(move |state| state.log.push(count.into())).await;
        cx.sleep(Duration::from_millis(1)).await;
    }
    cx.with(|state| state.log.push("lift-off".into())).await;
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(())?;
    let task = state.handle.spawn(count_down);
    while state.handle.contains(task) {
        event_loop.dispatch(None, &mut state)?;
    }
    Ok(state.log)
}
