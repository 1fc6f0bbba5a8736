//! What a task waits for besides time and other tasks: a source, once; and the tasks that it starts.
#![cfg(all(target_os = "linux", feature = "executor"))]

mod common;

use std::future::{Future, pending};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use common::{State, ZERO, manual_loop, new_loop};
use soloop::channel::Event;
use soloop::{
    Cancelled, EventLoop, EventSource, InterestToken, Interval, PostAction, Readiness, Registrar,
    Scope, SourceOptions, TaskContext, Timer, channel, make_ping,
};

type Cx = TaskContext<State>;

const SECOND: Duration = Duration::from_secs(1);

/// How many sources the loop holds, of which one is the task.
fn sources(event_loop: &EventLoop<State>, state: &State) -> usize {
    event_loop.sources(&state.handle).rows.len()
}

/// Runs a task to its end.
fn run<R: 'static>(
    event_loop: &mut EventLoop<State>,
    state: &mut State,
    task: impl AsyncFnOnce(Cx) -> R + 'static,
) -> R {
    let task = state.handle.spawn_with(SourceOptions::new(), async move |cx| task(cx).await);
    event_loop.block_on(task, state).unwrap().unwrap().unwrap()
}

/// A source that is notified at once, and then does what it is told to.
struct Told {
    answer: fn() -> io::Result<PostAction>,
    calls: bool,
    refuses: bool,
    token: Option<InterestToken>,
    _held: Arc<()>,
}

impl Told {
    fn new(answer: fn() -> io::Result<PostAction>, held: &Arc<()>) -> Self {
        Self { answer, calls: false, refuses: false, token: None, _held: Arc::clone(held) }
    }
}

impl EventSource for Told {
    type Event<'a> = u32;
    type Ret = PostAction;
    type Error = io::Error;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        if self.refuses {
            return Err(ErrorKind::AddrInUse.into());
        }
        let (token, notifier) = registrar.notifier();
        notifier.notify();
        self.token = Some(token);
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.token.take().into_iter().for_each(|token| registrar.release(token));
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        _: InterestToken,
        mut callback: F,
    ) -> io::Result<PostAction>
    where
        F: FnMut(u32) -> PostAction,
    {
        if self.calls {
            assert_eq!(callback(42), PostAction::Remove, "the default");
        }
        (self.answer)()
    }
}

mod once {
    use super::*;

    #[test]
    fn the_first_event_comes_back_and_the_source_goes() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let start = state.handle.now();
        let due = run(&mut event_loop, &mut state, async |cx| {
            let due = cx.once(Timer::from_duration(SECOND)).await.unwrap();
            let tick = cx.once(Interval::new(SECOND)).await.unwrap();
            assert_eq!(tick.deadline, due + SECOND);
            due
        });
        assert_eq!(due, start + SECOND);
        let (sender, messages) = channel();
        (0..3).for_each(|n| sender.send(n).unwrap());
        let first = run(&mut event_loop, &mut state, async |cx| cx.once(messages).await.unwrap());
        assert!(matches!(first, Event::Msg(0)));
        assert!(sender.send(3).is_err(), "the channel is gone");
        assert_eq!(sources(&event_loop, &state), 0);
    }

    #[test]
    fn dropped_before_it_is_polled_or_while_it_waits_it_takes_the_source_with_it() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let held = Arc::new(());
        let captured = Arc::clone(&held);
        run(&mut event_loop, &mut state, async move |cx| {
            let source = || Told::new(|| Ok(PostAction::Continue), &captured);
            drop(cx.once(source()));
            assert_eq!(Arc::strong_count(&captured), 2, "never polled");
            assert!(cx.timeout(SECOND, cx.once(source())).await.is_err());
            // What is dropped is removed before anything else runs.
            cx.with(|_| ()).await;
            assert_eq!(Arc::strong_count(&captured), 2, "while it waited");
        });
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(sources(&event_loop, &state), 0);
    }

    #[test]
    fn a_task_that_is_cancelled_takes_its_source_with_it() {
        let (mut event_loop, mut state) = new_loop();
        let (ping, source) = make_ping();
        let task = state.handle.spawn(async |cx: Cx| {
            let _ = cx.once(source).await;
            unreachable!("it was cancelled");
        });
        for _ in 0..3 {
            event_loop.dispatch(ZERO, &mut state).unwrap();
            assert_eq!(sources(&event_loop, &state), 2);
        }
        state.handle.remove(task);
        ping.ping();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(sources(&event_loop, &state), 0);
    }

    #[test]
    fn what_fails_is_the_tasks_and_no_policy_hears_of_it() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.on_error(|error, _| unreachable!("{error}"));
        let held = Arc::new(());
        let captured = Arc::clone(&held);
        run(&mut event_loop, &mut state, async move |cx| {
            let fails = || Told::new(|| Err(ErrorKind::ConnectionReset.into()), &captured);
            let failed = cx.once(fails()).await.unwrap_err();
            let inner = failed.into_inner().unwrap().downcast::<io::Error>().unwrap();
            assert_eq!(inner.kind(), ErrorKind::ConnectionReset);
            let refused = cx.once(Told { refuses: true, ..fails() }).await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::AddrInUse);
            cx.with(|_| ()).await;
            assert_eq!(Arc::strong_count(&captured), 2, "both are gone");
        });
        assert_eq!(sources(&event_loop, &state), 0);
    }

    #[test]
    fn an_error_after_the_event_is_the_loops_as_of_any_source_and_the_event_the_tasks() {
        let (mut event_loop, mut state) = new_loop();
        let source =
            Told { calls: true, ..Told::new(|| Err(ErrorKind::Other.into()), &Arc::new(())) };
        state.handle.spawn(async move |cx: Cx| {
            let event = cx.once(source).await.unwrap();
            cx.with(move |state| state.note(event)).await;
        });
        let failed = (0..4).filter_map(|_| event_loop.dispatch(ZERO, &mut state).err());
        assert_eq!(failed.count(), 1);
        assert_eq!(state.take_log(), ["42"]);
        assert_eq!(sources(&event_loop, &state), 0);
    }

    #[test]
    fn a_source_that_goes_without_an_event_is_an_error() {
        let (mut event_loop, mut state) = new_loop();
        let goes = Told::new(|| Ok(PostAction::Remove), &Arc::new(()));
        let gone = run(&mut event_loop, &mut state, async |cx| cx.once(goes).await);
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotConnected);
        // Or is removed by somebody who found it in the table.
        let (_ping, source) = make_ping();
        let task = state
            .handle
            .spawn_with(SourceOptions::new(), |cx: Cx| async move { cx.once(source).await });
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let rows = event_loop.sources(&state.handle).rows;
        let row = rows.iter().find(|row| row.name.as_deref() == Some("PingSource")).unwrap();
        state.handle.remove(row.token);
        let gone = event_loop.block_on(task, &mut state).unwrap().unwrap().unwrap();
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotConnected);
    }

    #[test]
    fn with_the_loop_goes_what_a_task_waits_for() {
        let (mut event_loop, mut state) = new_loop();
        let held = Arc::new(());
        let source = Told { calls: false, ..Told::new(|| Ok(PostAction::Continue), &held) };
        state.handle.spawn(async |cx: Cx| drop(cx.once(source).await));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        drop(event_loop);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

mod spawn {
    use super::*;

    #[test]
    fn a_task_starts_others_and_has_their_results() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let sum = run(&mut event_loop, &mut state, async |cx| {
            let count = |seconds: u32| {
                cx.spawn_with(SourceOptions::new(), move |cx: Cx| async move {
                    cx.sleep(seconds * SECOND).await;
                    seconds
                })
            };
            let (first, second) = (count(1).await, count(2).await);
            first.await.unwrap() + second.await.unwrap()
        });
        assert_eq!(sum, 3);
    }

    #[test]
    fn the_token_cancels_it_and_it_outlives_its_parent() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let note_later = |after: Duration| {
            move |cx: Cx| async move {
                cx.sleep(after).await;
                cx.with(move |state| state.note(format!("{after:?}"))).await;
            }
        };
        run(&mut event_loop, &mut state, async move |cx| {
            cx.spawn(note_later(SECOND)).await;
            let cancelled = cx.spawn(note_later(2 * SECOND)).await;
            cx.with(move |state| assert!(state.handle.remove(cancelled))).await;
        });
        let end = state.handle.now() + 9 * SECOND;
        event_loop.run_until(end, &mut state).unwrap();
        assert_eq!(state.take_log(), ["1s"]);
    }

    #[expect(clippy::async_yields_async, reason = "the way to the result, not the result")]
    #[test]
    fn in_a_scope_of_the_parents_it_ends_with_it() {
        let (mut event_loop, mut state) = new_loop();
        let join = run(&mut event_loop, &mut state, async |cx| {
            let scope = Scope::new();
            let options = SourceOptions::new().scope(&scope);
            let join: soloop::JoinHandle<()> = cx.spawn_with(options, |_| pending()).await;
            join
        });
        assert_eq!(event_loop.block_on(join, &mut state).unwrap(), Some(Err(Cancelled)));
        assert_eq!(sources(&event_loop, &state), 0);
    }

    #[test]
    fn dropped_before_it_is_polled_it_starts_nothing() {
        let (mut event_loop, mut state) = new_loop();
        run(&mut event_loop, &mut state, async |cx| {
            drop(cx.spawn(async |_: Cx| unreachable!()));
            let mut polled = Box::pin(cx.spawn(async |_: Cx| unreachable!()));
            let waker = std::task::Waker::noop();
            let mut noop = std::task::Context::from_waker(waker);
            assert!(polled.as_mut().poll(&mut noop).is_pending());
            drop(polled);
            cx.with(|_| ()).await;
        });
        assert_eq!(sources(&event_loop, &state), 0);
    }

    #[test]
    fn a_panic_of_it_is_not_its_parents() {
        let (mut event_loop, mut state) = new_loop();
        let parent = state.handle.spawn_with(SourceOptions::new(), |cx: Cx| async move {
            let child = cx.spawn_with(SourceOptions::new(), async |_: Cx| panic!("as planned"));
            let child: soloop::JoinHandle<()> = child.await;
            child.await
        });
        let block_on = AssertUnwindSafe(|| event_loop.block_on(pending::<()>(), &mut state));
        assert!(catch_unwind(block_on).is_err());
        let result = event_loop.block_on(parent, &mut state).unwrap();
        assert_eq!(result, Some(Ok(Err(Cancelled))));
    }
}
