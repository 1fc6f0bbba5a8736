//! What a reading against the code tried: moves of timers, fds that were closed too early, panics, guards.

use super::*;

use std::os::fd::AsRawFd;
use std::sync::{Arc, OnceLock};

use soloop::{EventLoop, MioSource, SourceOptions, Token};

fn noting_time(
    start: Instant,
    answer: impl Fn(Instant) -> TimeoutAction + 'static,
) -> impl FnMut(Instant, &mut State) -> TimeoutAction + 'static {
    move |deadline, state: &mut State| {
        state.note(format_args!("{:?}", deadline - start));
        answer(deadline)
    }
}
fn flood(state: &mut State, n: usize) {
    for _ in 0..n {
        state.handle.inspect(|_, state| state.note("op"));
    }
}
fn run(event_loop: &mut EventLoop<State>, state: &mut State) -> String {
    for _ in 0..200 {
        event_loop.dispatch(ZERO, state).unwrap();
    }
    let log = state.take_log().into_iter().filter(|entry| entry != "op").collect::<Vec<_>>();
    log.join(" ")
}
fn deadline(event_loop: &EventLoop<State>, timer: Token<Timer>, start: Instant) -> Duration {
    event_loop.get(timer).unwrap().current_deadline().unwrap() - start
}

#[test]
fn a_move_after_an_update_is_not_lost() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    clock.advance(5 * MS);
    let timer = state
        .handle
        .insert_source(
            Timer::from_duration(HOUR),
            noting_time(start, |d| TimeoutAction::ToInstant(d + HOUR)),
        )
        .unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    event_loop.set_round_time(ZERO);
    state.handle.update(timer, move |t| t.set_deadline(start + 3 * MS));
    flood(&mut state, 8);
    state.handle.set_deadline(timer, start + 10 * HOUR);
    flood(&mut state, 1);
    let log = run(&mut event_loop, &mut state);
    assert_eq!(deadline(&event_loop, timer, start), 10 * HOUR, "log: {log}");
}

#[test]
fn a_move_after_disable_and_enable_is_not_lost() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let timer = state
        .handle
        .insert_source(
            Timer::from_deadline(start + 3 * MS),
            noting_time(start, |d| TimeoutAction::ToInstant(d + HOUR)),
        )
        .unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    clock.advance(5 * MS);
    event_loop.set_round_time(ZERO);
    state.handle.disable(timer);
    state.handle.enable(timer);
    flood(&mut state, 8);
    state.handle.set_deadline(timer, start + 10 * HOUR);
    flood(&mut state, 1);
    let log = run(&mut event_loop, &mut state);
    assert_eq!(deadline(&event_loop, timer, start), 10 * HOUR, "log: {log}");
}

#[test]
fn the_explicit_move_wins_over_the_answer_behind_a_flood() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let own: Arc<OnceLock<Token<Timer>>> = Arc::default();
    let token = Arc::clone(&own);
    let mut first = true;
    let callback = move |deadline: Instant, state: &mut State| {
        state.note(format_args!("{:?}", deadline - start));
        if std::mem::take(&mut first) {
            flood(state, 8);
            state.handle.set_deadline(*token.get().unwrap(), start + 10 * HOUR);
            flood(state, 1);
            return TimeoutAction::ToInstant(start + 4 * MS);
        }
        TimeoutAction::ToInstant(start + 20 * HOUR)
    };
    let timer = state.handle.insert_source(Timer::from_deadline(start + 3 * MS), callback).unwrap();
    own.set(timer).unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    clock.advance(5 * MS);
    event_loop.set_round_time(ZERO);
    let log = run(&mut event_loop, &mut state);
    assert_eq!(deadline(&event_loop, timer, start), 10 * HOUR, "log: {log}");
    assert_eq!(log, "3ms");
}

#[test]
fn a_timer_moved_before_it_is_stored_fires_once() {
    for between in 0..6 {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = clock.now();
        clock.advance(5 * MS);
        event_loop.apply_pending(&mut state).unwrap();
        event_loop.set_round_time(ZERO);
        flood(&mut state, 8);
        let timer = state
            .handle
            .insert_source(
                Timer::from_deadline(start + HOUR),
                noting_time(start, |d| TimeoutAction::ToInstant(d + HOUR)),
            )
            .unwrap();
        flood(&mut state, between);
        state.handle.set_deadline(timer, start + 3 * MS);
        flood(&mut state, 1);
        let log = run(&mut event_loop, &mut state);
        assert_eq!(log, "3ms", "between {between}");
    }
}

#[test]
fn an_update_before_a_move_that_overtook_it_does_not_win() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    clock.advance(5 * MS);
    let timer = state
        .handle
        .insert_source(
            Timer::from_deadline(start + HOUR),
            noting_time(start, |d| TimeoutAction::ToInstant(d + HOUR)),
        )
        .unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    event_loop.set_round_time(ZERO);
    flood(&mut state, 8);
    state.handle.update(timer, move |t| t.set_deadline(start + 4 * MS));
    flood(&mut state, 8);
    state.handle.set_deadline(timer, start + 3 * MS);
    flood(&mut state, 1);
    let log = run(&mut event_loop, &mut state);
    assert_eq!(log, "3ms");
    assert_eq!(deadline(&event_loop, timer, start), HOUR + 3 * MS, "log: {log}");
}

/// A timer that a task of moves interrupts by a panic.
#[test]
fn panicked_timer_moved_then_fires_once() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let mut first = true;
    let timer = state
        .handle
        .insert_source(Timer::from_deadline(start + 3 * MS), move |d, state: &mut State| {
            state.note(format_args!("{:?}", d - start));
            if std::mem::take(&mut first) {
                panic!("first")
            }
            TimeoutAction::ToInstant(d + HOUR)
        })
        .unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    clock.advance(5 * MS);
    let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        event_loop.dispatch(ZERO, &mut state)
    }));
    assert!(r.is_err());
    event_loop.set_round_time(ZERO);
    flood(&mut state, 4);
    state.handle.set_deadline(timer, start + 10 * HOUR);
    let log = run(&mut event_loop, &mut state);
    assert_eq!(log, "3ms");
    assert_eq!(deadline(&event_loop, timer, start), 10 * HOUR);
}

/// Watches an fd of somebody else's.
struct Watcher;
impl EventSource for Watcher {
    type Event<'a> = ();
    type Ret = ();
    type Error = std::convert::Infallible;
    fn register(&mut self, r: &mut Registrar<'_>) -> std::io::Result<()> {
        let _ = r.notifier();
        Ok(())
    }
    fn reregister(&mut self, _: &mut Registrar<'_>) -> std::io::Result<()> {
        Ok(())
    }
    fn unregister(&mut self, _: &mut Registrar<'_>) -> std::io::Result<()> {
        Ok(())
    }
    fn process_events<F>(
        &mut self,
        _: Readiness,
        _: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Self::Error>
    where
        F: FnMut(()),
    {
        callback(());
        Ok(PostAction::Continue)
    }
}

#[test]
fn an_orphan_of_a_guard_has_the_name_of_its_source() {
    let (mut event_loop, mut state) = new_loop();
    let watcher = state
        .handle
        .insert_source_with(SourceOptions::new().name("watcher"), Watcher, |(), _| ())
        .unwrap();
    let (_ping, source) = make_ping();
    let other = state
        .handle
        .insert_source_with(SourceOptions::new().name("innocent"), source, |(), _| ())
        .unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    let duplicate = far.try_clone().unwrap();
    let (_, guard) =
        state.handle.registrar(watcher).unwrap().watch_fd(far.as_fd(), Interest::READ).unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    drop(far);
    drop(guard);
    state.handle.update(other, |_| ());
    event_loop.apply_pending(&mut state).unwrap();
    near.write_all(b"x").unwrap();
    let mut reports = vec![];
    for _ in 0..5 {
        reports.extend(event_loop.dispatch(ZERO, &mut state).err().map(|e| e.to_string()));
    }
    drop(duplicate);
    assert!(reports.len() == 1 && reports[0].contains("watcher"), "{reports:?}");
}

#[test]
fn an_orphan_of_a_guard_is_reported_at_all() {
    let (mut event_loop, mut state) = new_loop();
    let watcher = state
        .handle
        .insert_source_with(SourceOptions::new().name("watcher"), Watcher, |(), _| ())
        .unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    let duplicate = far.try_clone().unwrap();
    let (_, guard) =
        state.handle.registrar(watcher).unwrap().watch_fd(far.as_fd(), Interest::READ).unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    drop(far);
    drop(guard);
    event_loop.apply_pending(&mut state).unwrap();
    near.write_all(b"x").unwrap();
    let mut reports = vec![];
    for _ in 0..5 {
        reports.extend(event_loop.dispatch(ZERO, &mut state).err().map(|e| e.to_string()));
    }
    drop(duplicate);
    assert!(
        reports.len() == 1 && reports[0].contains("watcher"),
        "{reports:?} {}",
        event_loop.stats().stale
    );
}

/// Forgets a file that is closed, and panics.
struct Panics {
    fd: Option<UnixStream>,
    token: Option<InterestToken>,
}
impl EventSource for Panics {
    type Event<'a> = ();
    type Ret = ();
    type Error = std::convert::Infallible;
    fn register(&mut self, r: &mut Registrar<'_>) -> std::io::Result<()> {
        self.token =
            Some(r.register_fd(self.fd.as_ref().unwrap().as_fd(), Interest::READ, Mode::Edge)?);
        Ok(())
    }
    fn reregister(&mut self, _: &mut Registrar<'_>) -> std::io::Result<()> {
        Ok(())
    }
    fn unregister(&mut self, r: &mut Registrar<'_>) -> std::io::Result<()> {
        drop(self.fd.take());
        let (a, _b) = UnixStream::pair().unwrap();
        if let Some(token) = self.token.take() {
            r.unregister_fd(token, a.as_fd())?;
        }
        panic!("unregister");
    }
    fn process_events<F>(
        &mut self,
        _: Readiness,
        _: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Self::Error>
    where
        F: FnMut(()),
    {
        callback(());
        Ok(PostAction::Continue)
    }
}

#[test]
fn an_orphan_of_a_source_that_panicked_has_its_name() {
    let (mut event_loop, mut state) = new_loop();
    let (mut near, far) = UnixStream::pair().unwrap();
    let duplicate = far.try_clone().unwrap();
    let panics = state
        .handle
        .insert_source_with(
            SourceOptions::new().name("panics"),
            Panics { fd: Some(far), token: None },
            |(), _| (),
        )
        .unwrap();
    let (_ping, source) = make_ping();
    let other = state
        .handle
        .insert_source_with(SourceOptions::new().name("innocent"), source, |(), _| ())
        .unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    state.handle.disable(panics);
    assert!(
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(
            || event_loop.apply_pending(&mut state)
        ))
        .is_err()
    );
    state.handle.update(other, |_| ());
    event_loop.apply_pending(&mut state).unwrap();
    near.write_all(b"x").unwrap();
    let mut reports = vec![];
    for _ in 0..5 {
        reports.extend(event_loop.dispatch(ZERO, &mut state).err().map(|e| e.to_string()));
    }
    drop(duplicate);
    assert!(reports.len() == 1 && reports[0].contains("panics"), "{reports:?}");
}

#[test]
fn a_mio_source_hears_though_no_fd_was_left_to_look() {
    if !common::MIO_SOURCES {
        return;
    }
    common::in_child("a_mio_source_hears_though_no_fd_was_left_to_look", || {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let before = getrlimit(Resource::Nofile);
        let (mut event_loop, mut state) = new_loop();
        let (mut end, source) = pair(Mode::Level);
        let number = source.get_ref().as_raw_fd();
        let (spare, _far) = UnixStream::pair().unwrap();
        let mut spare = Some(spare);
        let (sender, ends) = std::sync::mpsc::channel();
        let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
            *ready.io = spare.take().unwrap();
            let (one, two) = UnixStream::pair().unwrap();
            let (ours, theirs) = if one.as_raw_fd() == number { (one, two) } else { (two, one) };
            assert_eq!(ours.as_raw_fd(), number);
            ours.set_nonblocking(true).unwrap();
            sender.send(theirs).unwrap();
            let ours = mio::net::UnixStream::from_std(ours);
            let source = MioSource::new(ours, Interest::READ, Mode::Edge);
            state
                .handle
                .insert_source(
                    source,
                    |ready: Ready<'_, mio::net::UnixStream>, state: &mut State| {
                        state.note("heard");
                        ready.io.read_exact(&mut [0])?;
                        Ok(PostAction::Continue)
                    },
                )
                .unwrap();
            setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum: before.maximum })
                .unwrap();
            Ok(PostAction::Remove)
        };
        state.handle.insert_source(source, callback).unwrap();
        end.write_all(b"x").unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        // Whoever looks for leaks at the end has to open files.
        setrlimit(Resource::Nofile, before).unwrap();
        ends.recv().unwrap().write_all(b"x").unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["heard"]);
    });
}

/// A take while moves are queued, behind a flood.
#[test]
fn taken_timer_has_its_last_deadline_and_does_not_fire() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    clock.advance(5 * MS);
    let timer = state
        .handle
        .insert_source(
            Timer::from_deadline(start + HOUR),
            noting_time(start, |d| TimeoutAction::ToInstant(d + HOUR)),
        )
        .unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    event_loop.set_round_time(ZERO);
    flood(&mut state, 8);
    state.handle.set_deadline(timer, start + 3 * MS);
    flood(&mut state, 4);
    state.handle.take(timer, move |timer, state: &mut State| {
        state.note(format_args!("taken {:?}", timer.current_deadline().unwrap() - start))
    });
    let log = run(&mut event_loop, &mut state);
    assert_eq!(log, "taken 3ms");
}

/// An answer in a flood, with the move before it.
#[test]
fn disable_and_enable_around_a_move_fire_once() {
    for order in 0..4 {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = clock.now();
        clock.advance(5 * MS);
        let timer = state
            .handle
            .insert_source(
                Timer::from_deadline(start + HOUR),
                noting_time(start, |d| TimeoutAction::ToInstant(d + HOUR)),
            )
            .unwrap();
        event_loop.apply_pending(&mut state).unwrap();
        event_loop.set_round_time(ZERO);
        flood(&mut state, 8);
        let due = start + 3 * MS;
        if order == 0 {
            state.handle.set_deadline(timer, due);
            flood(&mut state, 3);
        }
        state.handle.disable(timer);
        flood(&mut state, 3);
        if order == 1 {
            state.handle.set_deadline(timer, due);
            flood(&mut state, 3);
        }
        state.handle.enable(timer);
        flood(&mut state, 3);
        if order == 2 {
            state.handle.set_deadline(timer, due);
        }
        if order == 3 {
            state.handle.disable(timer);
            state.handle.set_deadline(timer, due);
            flood(&mut state, 3);
            state.handle.enable(timer);
        }
        flood(&mut state, 3);
        let log = run(&mut event_loop, &mut state);
        assert_eq!(log, "3ms", "order {order}");
        assert_eq!(deadline(&event_loop, timer, start), HOUR + 3 * MS, "order {order}");
    }
}

/// Error policy removes; a destructor panics in every place.
#[test]
fn a_destructor_that_panics_in_a_removal_leaves_flag_and_loop() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("bomb")
            }
        }
    }
    let (mut event_loop, mut state) = new_loop();
    let (_p, source) = make_ping();
    let bomb = Bomb;
    let bombed = state
        .handle
        .insert_source(source, move |(), _| {
            let _ = &bomb;
        })
        .unwrap();
    let (_q, source) = make_ping();
    let other = state.handle.insert_source(source, |(), _| ()).unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    state.handle.remove(bombed);
    state.handle.visit(other, |_, state| state.note("visited"));
    assert!(
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(
            || event_loop.dispatch(ZERO, &mut state)
        ))
        .is_err()
    );
    // Not while ops are applied: what was queued before runs.
    state.handle.remove(other);
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!(state.log, ["visited"]);
    assert!(!state.handle.contains(bombed));
}

/// A panicking error policy in the middle of ops.
#[test]
fn a_policy_that_panics_loses_no_op() {
    let (mut event_loop, mut state) = new_loop();
    let mut first = true;
    event_loop.on_error(move |_, _: &mut State| {
        if std::mem::take(&mut first) { panic!("policy") } else { soloop::ErrorAction::Ignore }
    });
    let (mut end, source) = pair(Mode::Level);
    state.handle.insert_source(source, |_, _: &mut State| Err(std::io::Error::other("x"))).unwrap();
    state.handle.insert_idle(|state: &mut State| state.note("idle"));
    end.write_all(b"x").unwrap();
    assert!(
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(
            || event_loop.dispatch(ZERO, &mut state)
        ))
        .is_err()
    );
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["idle"]);
}

/// A foreign interest of a timer.
#[test]
fn a_move_concerns_the_timers_own_deadline() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let timer = state
        .handle
        .insert_source(
            Timer::from_deadline(start + 3 * MS),
            noting_time(start, |d| TimeoutAction::ToInstant(d + HOUR)),
        )
        .unwrap();
    event_loop.apply_pending(&mut state).unwrap();
    // As many registrations as its row has numbers for.
    for _ in 0..300 {
        state.handle.disable(timer);
        state.handle.enable(timer);
        event_loop.apply_pending(&mut state).unwrap();
    }
    state.handle.set_deadline(timer, start + 2 * MS);
    clock.advance(5 * MS);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["2ms"]);
}

#[test]
fn the_guard_of_an_fd_that_outlives_the_loop_does_nothing() {
    let (event_loop, mut state) = new_loop();
    let watcher = state.handle.insert_source(Watcher, |(), _| ()).unwrap();
    let (_near, far) = UnixStream::pair().unwrap();
    let (_, guard) =
        state.handle.registrar(watcher).unwrap().watch_fd(far.as_fd(), Interest::READ).unwrap();
    let (_other, closed) = UnixStream::pair().unwrap();
    let (_, two) =
        state.handle.registrar(watcher).unwrap().watch_fd(closed.as_fd(), Interest::READ).unwrap();
    drop(closed);
    drop(event_loop);
    guard.rearm(far.as_fd()).unwrap();
    guard.unregister(far.as_fd()).unwrap();
    std::thread::spawn(move || drop(two)).join().unwrap();
}

/// Without a flood: one slow callback, on the real clock.
#[test]
fn the_explicit_move_wins_over_the_answer_of_slow_visits() {
    let (mut event_loop, mut state) = new_loop();
    let (_p, source) = make_ping();
    let other = state.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
    let own: Arc<OnceLock<Token<Timer>>> = Arc::default();
    let token = Arc::clone(&own);
    let callback = move |_: Instant, state: &mut State| {
        state.note("fired");
        for _ in 0..4 {
            state.handle.visit(other, |_, state: &mut State| {
                state.note("visit");
                common::spin(6 * MS);
            });
        }
        state.handle.set_deadline(*token.get().unwrap(), Instant::now() + HOUR);
        TimeoutAction::ToDuration(ZERO)
    };
    let timer = state.handle.insert_source(Timer::immediate(), callback).unwrap();
    own.set(timer).unwrap();
    for _ in 0..20 {
        event_loop.dispatch(ZERO, &mut state).unwrap();
    }
    assert_eq!(state.log.join(" "), "fired visit visit visit visit");
}

#[test]
fn the_end_of_a_pipe_wakes_its_reader() {
    let (mut event_loop, mut state) = new_loop();
    let (reader, writer) = std::io::pipe().unwrap();
    let io = state.handle.adapt_io(reader).unwrap();
    state.handle.spawn(|cx| async move {
        io.readable().await;
        cx.with(|state: &mut State| state.note("end")).await;
    });
    event_loop.dispatch(ZERO, &mut state).unwrap();
    drop(writer);
    for _ in 0..5 {
        event_loop.dispatch(MS, &mut state).unwrap();
    }
    assert_eq!(state.log, ["end"]);
}

/// The moves of a timer that is inserted, moved and removed in one batch, and one of a reused row.
#[test]
fn moves_of_a_timer_whose_row_is_reused() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    for _ in 0..3 {
        let timer = state
            .handle
            .insert_source(Timer::from_duration(HOUR), |_, s: &mut State| {
                s.note("gone");
                TimeoutAction::Drop
            })
            .unwrap();
        state.handle.set_deadline(timer, start);
        state.handle.inspect(|_, _| ());
        state.handle.set_deadline(timer, start + MS);
        state.handle.remove(timer);
        assert!(!state.handle.set_deadline(timer, start));
        let next = state
            .handle
            .insert_source(Timer::from_duration(HOUR), |_, s: &mut State| {
                s.note("next");
                TimeoutAction::Drop
            })
            .unwrap();
        state.handle.set_deadline(next, start + 2 * MS);
    }
    clock.advance(3 * MS);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(state.log, ["next"; 3]);
}

/// Panics in register and reregister of a source that was enabled, with a guard left.
#[test]
fn register_that_panics_when_enabled() {
    struct Panicky {
        armed: bool,
        count: u32,
    }
    impl EventSource for Panicky {
        type Event<'a> = ();
        type Ret = ();
        type Error = std::convert::Infallible;
        fn register(&mut self, r: &mut Registrar<'_>) -> std::io::Result<()> {
            self.count += 1;
            r.arm(r.now());
            if self.count == 2 {
                panic!("register")
            }
            Ok(())
        }
        fn reregister(&mut self, r: &mut Registrar<'_>) -> std::io::Result<()> {
            r.arm(r.now() + HOUR);
            if self.armed {
                self.armed = false;
                panic!("reregister")
            }
            Ok(())
        }
        fn unregister(&mut self, _: &mut Registrar<'_>) -> std::io::Result<()> {
            Ok(())
        }
        fn process_events<F>(
            &mut self,
            _: Readiness,
            _: InterestToken,
            mut callback: F,
        ) -> Result<PostAction, Self::Error>
        where
            F: FnMut(()),
        {
            callback(());
            Ok(PostAction::Reregister)
        }
    }
    let (mut event_loop, mut state, clock) = manual_loop();
    let source = Panicky { armed: true, count: 0 };
    let token = state.handle.insert_source(source, |(), s: &mut State| s.note("p")).unwrap();
    let timer = state
        .handle
        .insert_source(Timer::from_duration(MS), |_, s: &mut State| {
            s.note("timer");
            TimeoutAction::Drop
        })
        .unwrap();
    let mut panics = 0;
    for n in 0..8 {
        if n == 2 {
            state.handle.disable(token);
        }
        if n == 3 {
            state.handle.enable(token);
        }
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            event_loop.dispatch(ZERO, &mut state).unwrap()
        }))
        .is_err()
        {
            panics += 1;
        }
    }
    clock.advance(MS);
    event_loop.dispatch(ZERO, &mut state).unwrap();
    assert_eq!(panics, 2, "{:?}", state.log);
    assert!(
        state.log.iter().any(|l| l == "timer") && !state.handle.contains(timer),
        "{:?}",
        state.log
    );
    state.handle.remove(token);
    event_loop.apply_pending(&mut state).unwrap();
    assert!(!state.handle.contains(token));
}
