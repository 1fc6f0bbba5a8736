use super::*;

use calloop::timer::{TimeoutAction, Timer};

struct Throttle {
    handle: LoopHandle<'static, State<Option<Throttle>>>,
    timer: Option<RegistrationToken>,
}

impl Throttle {
    fn ask(&mut self) -> Result<()> {
        if self.timer.is_some() {
            return Ok(());
        }
        let timer = Timer::from_duration(Duration::from_millis(1));
        let timer = self.handle.insert_source(timer, |_, _, state: &mut State<Option<Self>>| {
            state.log.push("saved".into());
            if let Some(throttle) = &mut state.own {
                throttle.timer = None;
            }
            TimeoutAction::Drop
        })?;
        self.timer = Some(timer);
        Ok(())
    }
}

pub fn run() -> Result<Vec<String>> {
    let (mut event_loop, mut state) = new_loop(None)?;
    let mut throttle = Throttle { handle: state.handle.clone(), timer: None };
    throttle.ask()?;
    throttle.ask()?;
    state.own = Some(throttle);
    event_loop.dispatch(None, &mut state)?;
    Ok(state.log)
}
