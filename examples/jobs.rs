//! Futures and a stream whose results are events: jobs on an executor, and what a stream of work yields.
//! `cargo run --features futures-core --example jobs`

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use soloop::{EventLoop, LoopData, LoopHandle, StreamSource, TimeoutFuture, executor};

struct State {
    handle: LoopHandle<State>,
    done: Vec<String>,
    open: u32,
}

impl State {
    fn finish(&mut self) {
        self.open -= 1;
        if self.open == 0 {
            self.handle.stop();
        }
    }
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

/// The Fibonacci numbers below a bound.
struct Fibonacci(u32, u32, u32);

impl Stream for Fibonacci {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u32>> {
        let Self(a, b, bound) = *self;
        (self.0, self.1) = (b, a + b);
        Poll::Ready((a < bound).then_some(a))
    }
}

fn main() -> soloop::Result<()> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let mut state = State { handle, done: Vec::new(), open: 4 };

    let (executor, scheduler) = executor();
    state.handle.insert_source(executor, |result: String, state| {
        state.done.push(result);
        state.finish();
    })?;
    for (name, millis) in [("slow", 20), ("quick", 1), ("middling", 8)] {
        let pause = TimeoutFuture::from_duration(&mut state.handle, Duration::from_millis(millis));
        let job = async move {
            pause.await;
            format!("{name} job")
        };
        scheduler.schedule(job).expect("the executor is there");
    }

    let mut sum = 0;
    let stream = StreamSource::new(Fibonacci(0, 1, 100));
    state.handle.insert_source(stream, move |item, state| match item {
        Some(number) => sum += number,
        None => {
            state.done.push(format!("sum {sum}"));
            state.finish();
        }
    })?;

    event_loop.run(None, &mut state, |_| ())?;
    println!("{:?}", state.done);
    assert_eq!(state.done, ["sum 232", "quick job", "middling job", "slow job"]);
    Ok(())
}
