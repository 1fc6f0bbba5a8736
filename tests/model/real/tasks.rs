//! Tasks, and what a stream is fed with.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use soloop::{JoinHandle, PingSource, TaskContext, Timer};

use super::World;
use super::script::{Script, planned_panic};
use super::sources::Noted;
use crate::model::log::Data;
use crate::model::ops::End;

/// Lets one future through for each poke.
#[derive(Default)]
pub struct Gate {
    state: Mutex<(u32, Option<Waker>)>,
}

impl Gate {
    pub fn poke(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        let waker = state.1.take();
        drop(state);
        waker.inspect(Waker::wake_by_ref);
    }

    async fn pass(&self) {
        poll_fn(|cx| {
            let mut state = self.state.lock().unwrap();
            if state.0 > 0 {
                state.0 -= 1;
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// What a task waits for before it takes its steps.
pub enum First {
    Nothing,
    Join(JoinHandle<u32>),
    Timer(Noted<Timer>),
    Ping(Noted<PingSource>),
    Spawn(Box<dyn FnOnce() -> Script>, Arc<Gate>),
}

impl First {
    async fn done(self, cx: &TaskContext<World>) -> Data {
        match self {
            Self::Nothing => Data::Task,
            Self::Join(other) => Data::Joined(other.await.ok()),
            Self::Timer(timer) => Data::Heard(cx.once(timer).await.is_ok()),
            Self::Ping(ping) => Data::Heard(cx.once(ping).await.is_ok()),
            Self::Spawn(script, gate) => {
                let task = move |cx| async move {
                    run(cx, script(), gate, Self::Nothing).await;
                };
                cx.spawn(task).await;
                Data::Task
            }
        }
    }
}

/// What a task does, and comes to: its number.
pub fn run(
    cx: TaskContext<World>,
    script: Script,
    gate: Arc<Gate>,
    first: First,
) -> impl Future<Output = u32> + use<> {
    let log = script.log.clone();
    let mut steps = Box::pin(run_steps(cx, script, gate, first));
    poll_fn(move |cx| {
        log.polled();
        steps.as_mut().poll(cx)
    })
}

async fn run_steps(
    cx: TaskContext<World>,
    mut script: Script,
    gate: Arc<Gate>,
    first: First,
) -> u32 {
    let caller = script.caller;
    let mut data = first.done(&cx).await;
    loop {
        let step = script.step();
        if step.as_ref().is_some_and(|step| step.read) {
            gate.pass().await;
        }
        match cx.with(move |world| caller.run(data, step, world)).await {
            None | Some(End::Remove) => return caller.id as u32,
            Some(End::Error) => planned_panic(),
            Some(End::Again) => yield_now().await,
            Some(_) => {}
        }
        data = Data::Task;
    }
}

async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A stream, from both its ends.
#[derive(Clone, Default)]
pub struct Feed {
    state: Arc<Mutex<Fed>>,
}

#[derive(Default)]
struct Fed {
    items: VecDeque<u32>,
    ended: bool,
    waker: Option<Waker>,
}

impl Feed {
    /// Whether it has not ended.
    pub fn push(&self, item: u32) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.ended {
            return false;
        }
        state.items.push_back(item);
        let waker = state.waker.take();
        drop(state);
        waker.inspect(Waker::wake_by_ref);
        true
    }

    pub fn end(&self) {
        let mut state = self.state.lock().unwrap();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        waker.inspect(Waker::wake_by_ref);
    }
}

#[cfg(feature = "futures-core")]
impl futures_util::Stream for Feed {
    type Item = u32;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<u32>> {
        let mut state = self.state.lock().unwrap();
        match state.items.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
