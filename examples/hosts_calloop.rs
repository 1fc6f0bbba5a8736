//! A calloop loop as a source: what is written for calloop goes on as it is, with the same state.
//!
//! `cargo run --features calloop --example hosts_calloop`: a program on soloop, and a library that knows calloop alone:
//! it asks for a `calloop::LoopHandle`, keeps it, and inserts and removes sources as it likes. That is how the
//! backends of Smithay are written. (The other direction: `examples/in_calloop.rs`.)

use std::error::Error;
use std::time::Duration;

use soloop::{EventLoop, LoopData, LoopHandle, Priority, SourceOptions, TimeoutAction, Timer};

/// The library: a keyboard that repeats its key.
#[allow(unreachable_pub, reason = "it stands for a crate")]
mod keyboard {
    use std::time::Duration;

    use calloop::ping::{Ping, make_ping};
    use calloop::timer::{TimeoutAction, Timer};
    use calloop::{LoopHandle, RegistrationToken};

    pub trait KeyboardHandler {
        fn keyboard(&mut self) -> &mut Keyboard<Self>
        where
            Self: Sized;
        fn key(&mut self, repeated: u32);
    }

    pub struct Keyboard<D: 'static> {
        handle: LoopHandle<'static, D>,
        repeating: Option<RegistrationToken>,
    }

    impl<D: KeyboardHandler> Keyboard<D> {
        /// The keyboard, and a ping that stands for its hardware: the key goes down.
        pub fn new(handle: LoopHandle<'static, D>) -> calloop::Result<(Self, Ping)> {
            let (ping, source) = make_ping()?;
            handle
                .insert_source(source, |(), _, data: &mut D| {
                    data.key(0);
                    data.keyboard().repeat();
                })
                .map_err(|error| error.error)?;
            Ok((Self { handle, repeating: None }, ping))
        }

        fn repeat(&mut self) {
            let every = Duration::from_millis(5);
            let mut repeated = 0;
            let timer = Timer::from_duration(every);
            let token = self.handle.insert_source(timer, move |_deadline, (), data: &mut D| {
                repeated += 1;
                data.key(repeated);
                TimeoutAction::ToDuration(every)
            });
            self.repeating = token.ok();
        }

        /// The key goes up.
        pub fn release(&mut self) {
            if let Some(token) = self.repeating.take() {
                self.handle.remove(token);
            }
        }
    }
}

struct State {
    handle: LoopHandle<State>,
    keyboard: keyboard::Keyboard<State>,
    keys: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl keyboard::KeyboardHandler for State {
    fn keyboard(&mut self) -> &mut keyboard::Keyboard<Self> {
        &mut self.keyboard
    }

    fn key(&mut self, repeated: u32) {
        println!("key, repeated {repeated} times");
        self.keys += 1;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut event_loop, mut handle) = EventLoop::new()?;

    let hosted = calloop::EventLoop::<State>::try_new()?;
    let (keyboard, key_down) = keyboard::Keyboard::new(hosted.handle())?;
    let options = SourceOptions::new().name("keyboard").priority(Priority::High);
    handle.insert_calloop_with(options, hosted)?;
    let mut state = State { handle, keyboard, keys: 0 };

    // A callback of this loop's that reaches into the other one, through the library.
    let hold = Duration::from_millis(28);
    state.handle.insert_source(Timer::from_duration(hold), |_deadline, state| {
        state.keyboard.release();
        state.handle.stop();
        TimeoutAction::Drop
    })?;
    key_down.ping();
    event_loop.run(None, &mut state, |_state| ())?;
    assert!(state.keys > 1, "the key did not repeat");
    Ok(())
}
