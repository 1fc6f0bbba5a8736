use super::*;

pub type Output = Option<IdleToken>;

fn damage(state: &mut State<Output>) {
    if state.own.is_none() {
        let redraw = state.handle.insert_idle(|state| {
            state.own = None;
            state.log.push("redraw".into());
        });
        state.own = Some(redraw);
    }
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(Output::None)?;
    damage(&mut state);
    damage(&mut state);
    event_loop.dispatch(None, &mut state)?; // does not wait while an idle is queued
    damage(&mut state);
    if let Some(redraw) = state.own.take() {
        state.handle.cancel_idle(redraw);
    }
    event_loop.dispatch(Duration::ZERO, &mut state)?;
    Ok(state.log)
}
