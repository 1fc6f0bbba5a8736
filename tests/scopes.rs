//! What ends together, and who waits for it: scopes of sources and tasks, and the results of tasks.

mod common;

use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use common::{LONG, State, ZERO, manual_loop, new_loop};
use soloop::channel::Event;
use soloop::{
    Cancelled, EventLoop, JoinHandle, Scope, SourceOptions, TaskContext, TimeoutAction, Timer,
    Token, make_ping,
};

const HOUR: Duration = Duration::from_secs(3600);

type Cx = TaskContext<State>;

fn in_scope(scope: &Scope) -> SourceOptions {
    SourceOptions::new().scope(scope)
}

fn insert_timer(state: &mut State, options: SourceOptions) -> Token<Timer> {
    let timer = Timer::from_duration(HOUR);
    state.handle.insert_source_with(options, timer, |_, _| TimeoutAction::Drop).unwrap()
}

/// How many sources the loop holds.
fn sources(event_loop: &EventLoop<State>, state: &State) -> usize {
    event_loop.sources(&state.handle).rows.len()
}

mod results {
    use super::*;

    fn spawn<R: 'static>(
        state: &mut State,
        task: impl AsyncFnOnce(Cx) -> R + 'static,
    ) -> JoinHandle<R> {
        state.handle.spawn_with(SourceOptions::new(), async move |cx| task(cx).await)
    }

    #[test]
    fn reach_another_task() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let first = spawn(&mut state, async |cx| {
            cx.sleep(HOUR).await;
            42
        });
        let second = spawn(&mut state, async |cx| {
            let answer = first.await.unwrap();
            cx.with(move |state| state.note(answer)).await;
        });
        assert_eq!(event_loop.block_on(second, &mut state).unwrap(), Some(Ok(())));
        assert_eq!(state.log, ["42"]);
    }

    #[test]
    fn reach_a_thread() {
        let (mut event_loop, mut state) = new_loop();
        let join = spawn(&mut state, async |cx| cx.with(|state| state.log.len()).await);
        let remote = state.handle.remote();
        let thread = thread::spawn(move || {
            let (mut event_loop, mut state) = new_loop();
            let result = event_loop.block_on(join, &mut state).unwrap();
            remote.stop();
            result
        });
        event_loop.run(LONG, &mut state, |_| ()).unwrap();
        assert_eq!(thread.join().unwrap(), Some(Ok(0)));
    }

    #[test]
    fn wait_for_whoever_asks_later() {
        let (mut event_loop, mut state) = new_loop();
        let join = spawn(&mut state, async |_| "done");
        assert!(!join.is_finished());
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert!(join.is_finished() && !state.handle.contains(join.token()));
        assert_eq!(event_loop.block_on(join, &mut state).unwrap(), Some(Ok("done")));
    }

    /// A task that waits for ever, and one that waits for its result.
    fn waiting(state: &mut State) -> (Token<soloop::Task>, JoinHandle<Result<u32, Cancelled>>) {
        let join = spawn(state, async |_| pending::<u32>().await);
        (join.token(), spawn(state, async |_| join.await))
    }

    #[test]
    fn of_a_task_that_is_cancelled_there_is_none() {
        for dispatches in 0..2 {
            let (mut event_loop, mut state) = new_loop();
            let (task, result) = waiting(&mut state);
            for _ in 0..dispatches {
                event_loop.dispatch(ZERO, &mut state).unwrap();
            }
            assert!(state.handle.remove(task));
            assert_eq!(event_loop.block_on(result, &mut state).unwrap(), Some(Ok(Err(Cancelled))));
        }
    }

    #[test]
    fn of_a_task_that_panics_there_is_none() {
        let (mut event_loop, mut state) = new_loop();
        let join = spawn(&mut state, async |_| -> u32 { panic!("a task that fails") });
        let dispatch = AssertUnwindSafe(|| event_loop.dispatch(LONG, &mut state));
        assert!(catch_unwind(dispatch).is_err());
        assert_eq!(event_loop.block_on(join, &mut state).unwrap(), Some(Err(Cancelled)));
    }

    #[test]
    fn without_its_loop_there_is_none() {
        let (mut event_loop, mut state) = new_loop();
        let joins = [0, 1].map(|_| spawn(&mut state, async |_| pending::<u32>().await));
        event_loop.dispatch(LONG, &mut state).unwrap();
        drop((event_loop, state));
        let (mut event_loop, mut state) = new_loop();
        for join in joins {
            assert!(join.is_finished());
            assert_eq!(event_loop.block_on(join, &mut state).unwrap(), Some(Err(Cancelled)));
        }
    }

    #[test]
    fn that_nobody_wants_are_dropped_with_the_task() {
        let (mut event_loop, mut state) = new_loop();
        let witness = Arc::new(());
        let held = Arc::clone(&witness);
        let join = spawn(&mut state, async |cx| {
            cx.with(|state| state.note("it goes on")).await;
            held
        });
        drop(join);
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["it goes on"]);
        assert_eq!(Arc::strong_count(&witness), 1);
    }

    #[test]
    fn a_task_has_the_options_of_a_source() {
        let (mut event_loop, mut state) = new_loop();
        let options = SourceOptions::new().name("the task").budget(2);
        let task = async |cx: Cx| {
            loop {
                cx.with(|state| state.note("turn")).await;
            }
        };
        state.handle.spawn_with(options, task);
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(event_loop.sources(&state.handle).rows[0].name.as_deref(), Some("the task"));
        assert_eq!(state.log.len(), 1, "one poll, one closure");
    }
}

mod scopes {
    use super::*;

    #[test]
    fn their_sources_go_with_them() {
        let (mut event_loop, mut state) = new_loop();
        let scope = Scope::new();
        let options = in_scope(&scope);
        let (ping, source) = make_ping();
        let note = |(), state: &mut State| state.note("pinged");
        state.handle.insert_source_with(options.clone(), source, note).unwrap();
        insert_timer(&mut state, options.clone().name("timer"));
        state.handle.spawn_with(options.clone(), |cx: Cx| async move { cx.sleep(HOUR).await });
        let stays = insert_timer(&mut state, SourceOptions::new());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!((scope.len(), scope.is_empty()), (3, false));
        assert_eq!(format!("{scope:?}"), "Scope { sources: 3 }");
        assert!(format!("{options:?}").contains("scope: Some(Scope)"), "{options:?}");
        ping.ping();
        drop(scope);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(state.log.is_empty(), "removed before anything was delivered");
        assert_eq!(sources(&event_loop, &state), 1);
        assert!(state.handle.contains(stays));
        insert_timer(&mut state, options);
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(sources(&event_loop, &state), 1, "there is no scope to be in");
    }

    #[test]
    fn dropped_by_a_callback_they_take_what_is_ready() {
        let (mut event_loop, mut state) = new_loop();
        let mut scope = Some(Scope::new());
        let inside = in_scope(scope.as_ref().unwrap());
        let (first, source) = make_ping();
        let drops = move |(), state: &mut State| {
            state.note("the first");
            drop(scope.take());
        };
        state.handle.insert_source(source, drops).unwrap();
        let (second, source) = make_ping();
        let note = |(), state: &mut State| state.note("the second");
        state.handle.insert_source_with(inside, source, note).unwrap();
        first.ping();
        second.ping();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["the first"]);
        assert_eq!(sources(&event_loop, &state), 1);
    }

    #[test]
    fn a_source_that_is_gone_has_left_its_scope() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let scope = Scope::new();
        let options = in_scope(&scope);
        let timer = Timer::immediate();
        state.handle.insert_once_with(options.clone(), timer, |_, _| TimeoutAction::Drop).unwrap();
        let removed = insert_timer(&mut state, options.clone());
        let taken = insert_timer(&mut state, options.clone());
        state.handle.spawn_with(options.clone(), |_: Cx| ready(()));
        assert_eq!(scope.len(), 4);
        state.handle.remove(removed);
        state.handle.take(taken, |timer, state: &mut State| {
            state.handle.insert_source(timer, |_, _| TimeoutAction::Drop).unwrap();
        });
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(scope.is_empty());
        scope.clear();
        drop(scope);
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(sources(&event_loop, &state), 1, "what was taken belongs to nobody");
    }

    #[test]
    fn cleared_they_can_be_used_again() {
        let (mut event_loop, mut state) = new_loop();
        let scope = Scope::new();
        for _ in 0..2 {
            let timer = insert_timer(&mut state, in_scope(&scope));
            assert_eq!(scope.len(), 1);
            scope.clear();
            assert!(scope.is_empty());
            event_loop.apply_pending(&mut state).unwrap();
            assert!(!state.handle.contains(timer));
        }
    }

    #[test]
    fn what_leaves_one_late_takes_nobody_with_it() {
        let (mut event_loop, mut state) = new_loop();
        let scope = Scope::new();
        insert_timer(&mut state, in_scope(&scope));
        scope.clear();
        // The first one is there still; when it goes, its place is not that of the second one.
        let second = insert_timer(&mut state, in_scope(&scope));
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(scope.len(), 1);
        drop(scope);
        event_loop.apply_pending(&mut state).unwrap();
        assert!(!state.handle.contains(second));
    }

    /// A task with two children: one that it waits for, and one that is not asked.
    async fn parent(cx: Cx, started: mpsc::Sender<Arc<()>>) {
        let scope = Scope::new();
        let options = in_scope(&scope);
        let child = cx.with(move |state| {
            let [child, _] = [0, 1].map(|_| {
                let held = Arc::new(());
                started.send(Arc::clone(&held)).unwrap();
                let child = |cx: Cx| async move {
                    cx.sleep(HOUR).await;
                    drop(held);
                };
                state.handle.spawn_with(options.clone(), child)
            });
            child
        });
        child.await.await.unwrap();
        drop(scope);
    }

    fn left(children: &Receiver<Arc<()>>) -> usize {
        let left = children.try_iter().filter(|witness| Arc::strong_count(witness) > 1);
        left.count()
    }

    #[test]
    fn children_end_with_a_task_that_is_cancelled() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let (started, children) = mpsc::channel();
        let task = state.handle.spawn(|cx| parent(cx, started));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        // The parent, its children, and a deadline of each of them.
        assert_eq!(sources(&event_loop, &state), 5);
        state.handle.remove(task);
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(sources(&event_loop, &state), 0);
        assert_eq!(left(&children), 0);
    }

    #[test]
    fn children_end_with_a_task_that_is_done() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let (started, children) = mpsc::channel();
        let task = |cx| parent(cx, started);
        let join = state.handle.spawn_with(SourceOptions::new(), task);
        let begun = clock.now();
        assert_eq!(event_loop.block_on(join, &mut state).unwrap(), Some(Ok(())));
        assert_eq!(clock.now() - begun, HOUR);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(sources(&event_loop, &state), 0);
        assert_eq!(left(&children), 0);
    }

    #[test]
    fn dropped_on_a_thread_they_wake_the_loop() {
        let (mut event_loop, mut state) = new_loop();
        let scope = Scope::new();
        let (sender, channel) = soloop::channel::<u32>();
        let callback = |_: Event<u32>, _: &mut State| ();
        state.handle.insert_source_with(in_scope(&scope), channel, callback).unwrap();
        let thread = thread::spawn(move || drop(scope));
        while sender.send(1).is_ok() {
            event_loop.dispatch(LONG, &mut state).unwrap();
        }
        thread.join().unwrap();
        assert_eq!(sources(&event_loop, &state), 0);
    }

    #[test]
    fn may_hold_sources_of_several_loops_and_outlive_them() {
        let scope = Scope::new();
        let (mut first, mut first_state) = new_loop();
        let (mut second, mut second_state) = new_loop();
        insert_timer(&mut first_state, in_scope(&scope));
        insert_timer(&mut second_state, in_scope(&scope));
        first.apply_pending(&mut first_state).unwrap();
        second.apply_pending(&mut second_state).unwrap();
        assert_eq!(scope.len(), 2);
        drop((first, first_state));
        assert_eq!(scope.len(), 1);
        drop(scope);
        second.apply_pending(&mut second_state).unwrap();
        assert_eq!(sources(&second, &second_state), 0);
    }

    #[test]
    fn a_source_that_is_refused_is_in_no_scope() {
        let (_event_loop, mut state) = new_loop();
        let scope = Scope::new();
        let file = tempfile::tempfile().unwrap();
        // epoll(7) has nothing to tell of a regular file.
        let source = soloop::Generic::new(file, soloop::Interest::READ, soloop::Mode::Level);
        let callback = |_: soloop::Ready<'_, _>, _: &mut State| Ok(soloop::PostAction::Continue);
        assert!(state.handle.insert_source_with(in_scope(&scope), source, callback).is_err());
        assert!(scope.is_empty());
    }
}
