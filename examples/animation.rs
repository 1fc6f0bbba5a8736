//! Tests an hour of animation in milliseconds, and the same way every time: the loop follows a clock that
//! jumps to the next deadline when there is nothing else to do.
//!
//! ```text
//! cargo run --release --example animation
//! ```

use std::time::{Duration, Instant};

use soloop::{Clock, EventLoop, Interval, LoopData, LoopHandle, PostAction, TimeoutAction, Timer};

const HOUR: Duration = Duration::from_secs(3600);
/// 60 Hz, as near as nanoseconds come.
const FRAME: Duration = Duration::from_nanos(16_666_667);

/// A ball that bounces between 0 and 1, and is pushed once a minute.
struct Ball {
    position: f64,
    speed: f64,
    moved: Instant,
    bounces: u32,
}

impl Ball {
    fn step(&mut self, now: Instant) {
        self.position += self.speed * (now - self.moved).as_secs_f64();
        self.moved = now;
        if !(0.0..=1.0).contains(&self.position) {
            self.position = self.position.clamp(0.0, 1.0);
            self.speed *= -0.999;
            self.bounces += 1;
        }
    }
}

struct State {
    handle: LoopHandle<State>,
    ball: Ball,
    frames: u64,
    pushes: u32,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// Runs the animation for `length` on `clock`: the program under test.
fn animate(clock: &Clock, length: Duration) -> Result<State, soloop::Error> {
    let (mut event_loop, handle) = EventLoop::with_clock(clock.clone())?;
    let start = clock.now();
    let ball = Ball { position: 0.5, speed: 0.25, moved: start, bounces: 0 };
    let mut state = State { handle, ball, frames: 0, pushes: 0 };

    let handle = &mut state.handle;
    handle.insert_source(Interval::new(FRAME), |tick, state| {
        assert_eq!(tick.missed, 0, "time does not pass while a callback runs");
        state.frames += 1;
        state.ball.step(tick.deadline);
        PostAction::Continue
    })?;
    let minute = Duration::from_secs(60);
    handle.insert_source(Timer::from_duration(minute), move |deadline, state| {
        state.pushes += 1;
        state.ball.speed = 0.25_f64.copysign(state.ball.speed);
        TimeoutAction::ToInstant(deadline + minute)
    })?;
    handle.insert_source(Timer::from_duration(length), |_, state| {
        state.handle.stop();
        TimeoutAction::Drop
    })?;
    event_loop.run(None, &mut state, |_| ())?;
    assert_eq!(clock.now() - start, length, "an hour has passed on this clock");
    Ok(state)
}

fn main() -> Result<(), soloop::Error> {
    let real = Instant::now();
    let first = animate(&Clock::manual(), HOUR)?;
    let took = real.elapsed();

    assert_eq!(first.frames, (HOUR.as_nanos() / FRAME.as_nanos()) as u64, "every frame was drawn");
    assert_eq!(first.pushes, 60);
    assert!((0.0..=1.0).contains(&first.ball.position));
    // A round trip of the ball takes 8 seconds, and a little more as it slows down.
    assert!((880..=900).contains(&first.ball.bounces), "{}", first.ball.bounces);

    let second = animate(&Clock::manual(), HOUR)?;
    assert_eq!(first.ball.position.to_bits(), second.ball.position.to_bits(), "to the last bit");
    assert_eq!(first.ball.bounces, second.ball.bounces);

    println!("{} frames, {} bounces in {took:.0?}", first.frames, first.ball.bounces);
    Ok(())
}
