//! What was lost or misleading where a program meets the kernel, other processes and other crates.

use super::*;

#[cfg(not(mio_unsupported_force_poll_poll))]
mod f27_a_refused_fd_comes_back {
    use super::*;

    use std::io::ErrorKind;
    use std::sync::Arc;

    use rustix::fs::{OFlags, fcntl_getfl};

    /// The kernel refuses to watch a directory.
    #[test]
    fn in_the_mode_in_which_it_was() {
        let (_event_loop, mut state) = new_loop();
        for nonblocking in [false, true] {
            let directory = std::fs::File::open("/").unwrap();
            rustix::io::ioctl_fionbio(&directory, nonblocking).unwrap();
            let refused = state.handle.adapt_io(directory).unwrap_err();
            assert_eq!(refused.error.kind(), ErrorKind::PermissionDenied);
            let flags = fcntl_getfl(&refused.source).unwrap();
            assert_eq!(flags.contains(OFlags::NONBLOCK), nonblocking);
            assert!(refused.source.metadata().unwrap().is_dir());
        }
    }

    #[test]
    fn and_can_be_adapted_later() {
        let (mut event_loop, mut state) = new_loop();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ours = Arc::new(ours);
        let first = state.handle.adapt_io(Arc::clone(&ours)).unwrap();
        let refused = state.handle.adapt_io(ours).unwrap_err();
        assert_eq!(refused.error.kind(), ErrorKind::AlreadyExists);
        drop(first);
        let second = state.handle.adapt_io(refused.source).unwrap();
        theirs.write_all(b"x").unwrap();
        event_loop.block_on(second.readable(), &mut state).unwrap().unwrap();
        assert_eq!(second.get_ref().as_ref().read(&mut [0; 2]).unwrap(), 1);
    }
}

mod f30_a_handle_whose_loop_is_gone {
    use super::*;

    use soloop::SourceOptions;

    fn orphan() -> State {
        let (event_loop, state) = new_loop();
        drop(event_loop);
        state
    }

    #[test]
    fn refuses_a_source_and_gives_it_back() {
        let mut state = orphan();
        let (mut end, source) = pair(Mode::Level);
        let refused = state.handle.insert_source(source, noting("never")).unwrap_err();
        assert!(refused.error.to_string().contains("gone"), "{refused}");
        let options = SourceOptions::new().name("late");
        let refused =
            state.handle.insert_source_with(options, refused.source, noting("never")).unwrap_err();

        let (mut other_loop, mut other) = new_loop();
        other.handle.insert_source(refused.source, noting("fd")).unwrap();
        end.write_all(b"x").unwrap();
        other_loop.dispatch(LONG, &mut other).unwrap();
        assert_eq!(other.log, ["fd"]);
        assert!(state.log.is_empty());
    }

    #[test]
    fn refuses_what_needs_no_fd_as_well() {
        let mut state = orphan();
        let timer = Timer::immediate();
        assert!(state.handle.insert_source(timer, |_, _| TimeoutAction::Drop).is_err());
        let timer = Timer::immediate();
        assert!(state.handle.insert_once(timer, |_, _| TimeoutAction::Drop).is_err());
        let (sender, channel) = soloop::channel::<()>();
        let refused = state.handle.insert_source(channel, |_, _| ()).unwrap_err();
        sender.send(()).unwrap();
        assert!(refused.source.try_recv().is_ok(), "it is as it was");
    }

    #[cfg(all(feature = "executor", not(mio_unsupported_force_poll_poll)))]
    #[test]
    fn refuses_an_fd_and_cancels_a_task() {
        use std::future::Future;
        use std::pin::pin;
        use std::task::{Context, Poll, Waker};

        let mut state = orphan();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut refused = state.handle.adapt_io(ours).unwrap_err();
        theirs.write_all(b"x").unwrap();
        refused.source.read_exact(&mut [0]).unwrap(); // it is in blocking mode

        let cx = &mut Context::from_waker(Waker::noop());
        let task = state.handle.spawn_with(SourceOptions::new(), |_| async { 42 });
        assert!(!state.handle.contains(task.token()));
        assert!(matches!(pin!(task).poll(cx), Poll::Ready(Err(soloop::Cancelled))));
        let token = state.handle.spawn(|_| async {});
        assert!(!state.handle.contains(token));

        let timeout = soloop::TimeoutFuture::from_duration(&mut state.handle, ZERO);
        assert!(pin!(timeout).poll(cx).is_pending(), "there is no clock that it would follow");
    }
}

/// Each catches a change of one line that no other test did.
mod f34_mutations {
    use super::*;

    use soloop::{Priority, SourceOptions};

    use crate::cost::Notified;

    type Hooked = Notified<true>;

    /// Hooks that are gone are not looked for before every wait.
    #[test]
    fn removed_sources_with_hooks_cost_a_dispatch_nothing() {
        let (mut event_loop, mut state, _) = manual_loop();
        let insert = |state: &mut State| {
            state.handle.insert_source(Hooked::new(1), |(), _: &mut State| ()).unwrap()
        };
        insert(&mut state);
        let before = fastest_dispatch(&mut event_loop, &mut state);
        for _ in 0..20_000 {
            let token = insert(&mut state);
            event_loop.apply_pending(&mut state).unwrap();
            state.handle.remove(token);
            event_loop.apply_pending(&mut state).unwrap();
        }
        let after = fastest_dispatch(&mut event_loop, &mut state);
        // With 20,000 of them to look for it is hundreds of times as much.
        assert!(after < 20 * before, "{before:?} before, {after:?} after");
    }

    fn fastest_dispatch(event_loop: &mut soloop::EventLoop<State>, state: &mut State) -> Duration {
        let mut time = || {
            let start = Instant::now();
            event_loop.dispatch(ZERO, state).unwrap();
            start.elapsed()
        };
        (0..200).map(|_| time()).min().unwrap()
    }

    /// Sources of one priority keep the order in which they became ready, however many there are.
    #[test]
    fn priorities_keep_the_order_of_arrival() {
        const MANY: usize = 100;
        let (mut event_loop, mut state) = new_loop();
        let ranks = [Priority::Normal, Priority::High, Priority::Low];
        let pings: Vec<_> = (0..MANY)
            .map(|n| {
                let (ping, source) = make_ping();
                let options = SourceOptions::new().priority(ranks[n % ranks.len()]);
                let callback = move |(), state: &mut State| state.note(n);
                state.handle.insert_source_with(options, source, callback).unwrap();
                ping
            })
            .collect();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        // 37 has no divisor in common with 100: each of them once, in a disorder of its own.
        let arrivals: Vec<_> = (0..MANY).map(|n| n * 37 % MANY).collect();
        arrivals.iter().for_each(|&n| pings[n].ping());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let of_rank = |rank: Priority| {
            let arrivals = arrivals.iter().filter(move |&&n| ranks[n % ranks.len()] == rank);
            arrivals.map(ToString::to_string)
        };
        let high_first = [Priority::High, Priority::Normal, Priority::Low];
        assert_eq!(state.log, high_first.into_iter().flat_map(of_rank).collect::<Vec<_>>());
    }

    /// A loop is asleep or busy, never both.
    #[test]
    fn busy_time_is_not_time_asleep() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.enable_stats(true);
        let start = Instant::now();
        for _ in 0..3 {
            event_loop.dispatch(20 * MS, &mut state).unwrap();
        }
        let elapsed = start.elapsed();
        let stats = event_loop.stats();
        assert!(stats.asleep >= 50 * MS, "{stats:?}");
        assert!(stats.asleep + stats.busy <= elapsed, "{elapsed:?}: {stats:?}");
    }

    /// The queue of a loop that is gone keeps nothing, so that it goes itself, with its fds.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_notifier_that_outlives_its_loop_keeps_no_fd() {
        common::in_child("a_notifier_that_outlives", || {
            drop(new_loop());
            let open = common::open_fds();
            let (mut event_loop, mut state) = new_loop();
            let token = state.handle.insert_source(Hooked::new(1), |(), _: &mut State| ()).unwrap();
            event_loop.apply_pending(&mut state).unwrap();
            let (_, notifier) = event_loop.get(token).unwrap().notifiers[0].clone();
            drop((event_loop, state));
            notifier.notify();
            drop(notifier);
            assert_eq!(common::open_fds(), open);
        });
    }

    /// What the loop's fd tells while nobody dispatches follows every timer.
    #[cfg(not(mio_unsupported_force_poll_poll))]
    #[test]
    fn the_fd_follows_a_timer_between_dispatches() {
        use common::{is_readable, readable_within};

        let (mut event_loop, mut state) = new_loop();
        let callback = |_: Instant, state: &mut State| {
            state.note("timer");
            TimeoutAction::Drop
        };
        // Whether the fd asks for a dispatch that arms the timer, or the timer is armed at once.
        let settle = |event_loop: &mut soloop::EventLoop<State>, state: &mut State| {
            while is_readable(&*event_loop) {
                event_loop.dispatch(ZERO, state).unwrap();
            }
        };
        settle(&mut event_loop, &mut state);
        let token = state.handle.insert_source(Timer::from_duration(HOUR), callback).unwrap();
        settle(&mut event_loop, &mut state);
        state.handle.set_deadline(token, Instant::now() + 20 * MS);
        while state.log.is_empty() {
            assert!(readable_within(&event_loop, LONG), "nearer");
            event_loop.dispatch(ZERO, &mut state).unwrap();
        }
        assert_eq!(state.take_log(), ["timer"]);

        let token = state.handle.insert_source(Timer::from_duration(20 * MS), callback).unwrap();
        state.handle.set_deadline(token, Instant::now() + HOUR);
        settle(&mut event_loop, &mut state);
        assert!(!readable_within(&event_loop, 60 * MS), "farther");
        state.handle.remove(token);
        settle(&mut event_loop, &mut state);
        assert!(state.log.is_empty());
    }

    #[cfg(feature = "executor")]
    #[test]
    fn a_join_handle_that_gave_its_result_says_that_there_is_none() {
        use std::future::Future;
        use std::pin::pin;
        use std::task::{Context, Poll, Waker};

        let (mut event_loop, mut state) = new_loop();
        let task = state.handle.spawn_with(SourceOptions::new(), |_| async { 42 });
        event_loop.dispatch(LONG, &mut state).unwrap();
        let mut task = pin!(task);
        let cx = &mut Context::from_waker(Waker::noop());
        assert_eq!(task.as_mut().poll(cx), Poll::Ready(Ok(42)));
        for _ in 0..2 {
            assert_eq!(task.as_mut().poll(cx), Poll::Ready(Err(soloop::Cancelled)));
            assert!(task.is_finished());
        }
    }
}

/// The kernel refuses to watch a directory, in `epoll_ctl(2)`.
#[cfg(not(mio_unsupported_force_poll_poll))]
#[test]
fn f27_a_refused_insertion_for_one_event_gives_the_callback_back() {
    let (mut event_loop, mut state) = new_loop();
    let watch = |file: std::fs::File| Generic::new(file, Interest::READ, Mode::Level);
    let title = String::from("consumed, not cloned");
    let callback = move |_: Ready<'_, std::fs::File>, state: &mut State| {
        state.log.push(title);
        Ok(PostAction::Remove)
    };
    let directory = watch(std::fs::File::open("/").unwrap());
    let refused = state.handle.insert_once(directory, callback).unwrap_err();
    assert_eq!(refused.error.kind(), std::io::ErrorKind::PermissionDenied);
    let options = soloop::SourceOptions::new().name("again");
    let refused =
        state.handle.insert_once_with(options, refused.source, refused.callback).unwrap_err();
    assert!(refused.source.get_ref().metadata().unwrap().is_dir());
    // What the callback owns is there still.
    let (read, write) = rustix::pipe::pipe().unwrap();
    state.handle.insert_once(watch(read.into()), refused.callback).unwrap();
    rustix::io::write(&write, b"x").unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.log, ["consumed, not cloned"]);
    // As an error of an insertion it goes up a function that knows of no callback.
    let none = watch(std::fs::File::open("/").unwrap());
    let callback = |_: Ready<'_, std::fs::File>, _: &mut State| Ok(PostAction::Remove);
    let error: std::io::Error = state.handle.insert_once(none, callback).unwrap_err().into();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
}

mod f31_an_observer_sees_every_error {
    use super::*;

    use std::sync::{Arc, Mutex};

    use soloop::{Error, ErrorAction, Observer, SourceOptions};

    type Seen = Arc<Mutex<Vec<(String, ErrorAction)>>>;

    struct Errors(Seen);

    impl Observer for Errors {
        fn error(&mut self, error: &Error, action: ErrorAction) {
            self.0.lock().unwrap().push((error.to_string(), action));
        }
    }

    /// A source that fails with `name` when its stream is written to.
    fn failing(
        state: &mut State,
        name: &'static str,
        own: Option<ErrorAction>,
    ) -> (UnixStream, AnyToken) {
        let (end, source) = pair(Mode::Level);
        let options = SourceOptions::new().name(name);
        let options = match own {
            Some(action) => options.on_error(action),
            None => options,
        };
        let callback = |ready: Ready<'_, UnixStream>, _: &mut State| {
            ready.io.read_exact(&mut [0])?;
            Err(std::io::Error::other("once"))
        };
        let token = state.handle.insert_source_with(options, source, callback).unwrap();
        (end, token.into())
    }

    fn message(name: &str) -> String {
        format!("source `{name}` failed: once")
    }

    #[test]
    fn whoever_decided() {
        let (mut event_loop, mut state, _clock) = manual_loop();
        let seen = Seen::default();
        event_loop.set_observer(Errors(Arc::clone(&seen)));
        let actions = [
            ErrorAction::Retry(HOUR),
            ErrorAction::Ignore,
            ErrorAction::Disable,
            ErrorAction::Remove,
        ];
        for action in actions {
            let (mut end, token) = failing(&mut state, "own", Some(action));
            end.write_all(b"x").unwrap();
            event_loop.dispatch(ZERO, &mut state).unwrap();
            assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), [(message("own"), action)]);
            state.handle.remove(token);
        }

        // Without a policy, and with the loop's.
        let (mut end, _) = failing(&mut state, "none", None);
        end.write_all(b"x").unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap_err();
        event_loop.dispatch(ZERO, &mut state).unwrap(); // the rest of the round
        let expected = [(message("none"), ErrorAction::Report)];
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), expected);
        event_loop.on_error(|_, state: &mut State| {
            state.note("asked");
            ErrorAction::Ignore
        });
        let (mut end, _) = failing(&mut state, "loop", None);
        end.write_all(b"x").unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(*seen.lock().unwrap(), [(message("loop"), ErrorAction::Ignore)]);
        assert_eq!(state.log, ["asked"]);
    }

    /// An observer that is made of others hands the error on.
    #[test]
    fn and_so_do_observers_in_others() {
        let (mut event_loop, mut state) = new_loop();
        let seen = Seen::default();
        let errors = || Errors(Arc::clone(&seen));
        event_loop.set_observer((Some(errors()), Arc::new(Mutex::new(errors()))));
        let (mut end, _) = failing(&mut state, "own", Some(ErrorAction::Ignore));
        end.write_all(b"x").unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(*seen.lock().unwrap(), [(); 2].map(|()| (message("own"), ErrorAction::Ignore)));
    }
}

/// The statistics of a source that is gone are its own, whoever gets its place in the tables.
#[test]
fn the_statistics_of_a_removed_source_outlive_a_successor_of_the_same_round() {
    let (mut event_loop, mut state) = new_loop();
    event_loop.enable_stats(true);
    let insert = |state: &mut State, name: &'static str, then: PostAction| {
        let (mut end, source) = pair(Mode::Level);
        end.write_all(b"x").unwrap();
        let callback = move |_: Ready<'_, UnixStream>, state: &mut State| {
            state.note(name);
            Ok(then)
        };
        let options = soloop::SourceOptions::new().name(name);
        let token = state.handle.insert_source_with(options, source, callback).unwrap();
        (end, token)
    };
    let _first = insert(&mut state, "first", PostAction::Remove);
    state.handle.insert_idle(move |state: &mut State| {
        let (end, second) = insert(state, "second", PostAction::Continue);
        // It is looked at in the round in which the first one went.
        state.handle.visit(second, move |_, _| drop(end));
    });
    event_loop.dispatch(LONG, &mut state).unwrap();
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert_eq!(state.log, ["first", "second"]);
    let stats = event_loop.stats().sources;
    let counts: Vec<_> = stats.iter().map(|source| (&*source.name, source.events)).collect();
    assert_eq!(counts, [("first", 1), ("second", 1)]);
}
