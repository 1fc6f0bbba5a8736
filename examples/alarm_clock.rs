//! An alarm at a time of day, which moves with the clock on the wall when somebody sets it.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::time::{Duration, SystemTime};

    use soloop::{EventLoop, LoopData, LoopHandle, WallAction, WallEvent, WallTimer};

    struct State {
        handle: LoopHandle<State>,
        rung: u32,
    }

    impl LoopData for State {
        fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
            &mut self.handle
        }
    }

    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, rung: 0 };
    let start = SystemTime::now();
    let snooze = Duration::from_millis(20);
    state.handle.insert_source(WallTimer::new(start + snooze)?, move |event, state| {
        match event {
            WallEvent::ClockChanged => {
                println!("somebody set the clock: the alarm stays where it is on it");
                return WallAction::Keep;
            }
            _ => state.rung += 1,
        }
        println!("ring {}", state.rung);
        if state.rung == 3 {
            state.handle.stop();
            return WallAction::Drop;
        }
        WallAction::ToTime(start + snooze * (state.rung + 1))
    })?;
    event_loop.run(None, &mut state, |_| ())?;
    assert_eq!(state.rung, 3);
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("wall timers are a matter of Linux");
}
