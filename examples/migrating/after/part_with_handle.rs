use super::*;

use soloop::{TimeoutAction, Timer};

#[derive(Default)]
struct Throttle {
    timer: Option<Token<Timer>>,
}

impl Throttle {
    /// Both are fields of the state: the compiler sees that they are two.
    fn ask(&mut self, handle: &mut LoopHandle<State<Self>>) {
        let timer = Timer::from_duration(Duration::from_millis(1));
        self.timer.get_or_insert_with(|| {
            handle.insert_timer(timer, |_, state| {
                state.log.push("saved".into());
                state.own.timer = None;
                TimeoutAction::Drop
            })
        });
    }
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(Throttle::default())?;
    state.own.ask(&mut state.handle);
    state.own.ask(&mut state.handle);
    event_loop.dispatch(None, &mut state)?;
    Ok(state.log)
}
