//! `WallTimer`. Its clocks are the system's: deadlines are in the past, milliseconds or hours away.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant, SystemTime};

use soloop::{EventLoop, Priority, SourceOptions, Token, WallAction, WallEvent, WallTimer};

mod common;
use common::*;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Notes the events, and answers `action` to each.
fn insert(state: &mut State, timer: WallTimer, action: WallAction) -> Token<WallTimer> {
    let callback = move |event, state: &mut State| {
        state.note(format!("{event:?}"));
        action
    };
    state.handle.insert_source(timer, callback).unwrap()
}

fn dispatch(event_loop: &mut EventLoop<State>, state: &mut State) -> Vec<String> {
    event_loop.dispatch(ZERO, state).unwrap();
    state.take_log()
}

#[test]
fn fires_at_a_time_of_day_and_never_early() {
    let (mut event_loop, mut state) = new_loop();
    let deadline = SystemTime::now() + 15 * MS;
    let token = insert(&mut state, WallTimer::new(deadline).unwrap(), WallAction::Drop);
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert!(SystemTime::now() >= deadline);
    assert_eq!(state.take_log(), ["Fired"]);
    assert!(!state.handle.contains(token));
}

#[test]
fn fires_after_a_time_that_suspend_does_not_stop() {
    let (mut event_loop, mut state) = new_loop();
    let before = Instant::now();
    let timer = WallTimer::after(15 * MS).unwrap();
    assert!(timer.remaining().unwrap() <= 15 * MS);
    let token = insert(&mut state, timer, WallAction::Drop);
    event_loop.dispatch(LONG, &mut state).unwrap();
    assert!(before.elapsed() >= 15 * MS);
    assert_eq!(state.take_log(), ["Fired"]);
    assert!(!state.handle.contains(token));
}

#[test]
fn a_time_that_has_passed_fires_in_the_next_round() {
    let (mut event_loop, mut state) = new_loop();
    let before_time = SystemTime::UNIX_EPOCH - HOUR;
    let times = [SystemTime::now(), SystemTime::now() - HOUR, SystemTime::UNIX_EPOCH, before_time];
    for time in times {
        insert(&mut state, WallTimer::new(time).unwrap(), WallAction::Drop);
        assert_eq!(dispatch(&mut event_loop, &mut state), ["Fired"], "{time:?}");
    }
    insert(&mut state, WallTimer::after(ZERO).unwrap(), WallAction::Drop);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["Fired"]);
}

#[test]
fn what_is_far_away_never_comes() {
    let (mut event_loop, mut state) = new_loop();
    let far = SystemTime::now() + Duration::from_secs(10_000 * 365 * 86400);
    insert(&mut state, WallTimer::new(far).unwrap(), WallAction::Drop);
    insert(&mut state, WallTimer::after(Duration::MAX).unwrap(), WallAction::Drop);
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(i64::MAX as u64);
    insert(&mut state, WallTimer::new(last).unwrap(), WallAction::Drop);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
}

#[test]
fn repeats_as_its_callback_says() {
    let timers = [
        WallTimer::new(SystemTime::now() - HOUR).unwrap(),
        WallTimer::after(Duration::ZERO).unwrap(),
    ];
    for timer in timers {
        let (mut event_loop, mut state) = new_loop();
        let mut answers = vec![
            WallAction::Drop,
            WallAction::ToDuration(ZERO),
            WallAction::ToDuration(2 * MS),
            WallAction::ToTime(SystemTime::now() + 2 * MS),
            WallAction::ToTime(SystemTime::UNIX_EPOCH),
        ];
        let callback = move |event, state: &mut State| {
            assert_eq!(event, WallEvent::Fired);
            let answer = answers.pop().unwrap();
            state.note("x");
            answer
        };
        let token = state.handle.insert_source(timer, callback).unwrap();
        for _ in 0..5 {
            assert!(state.handle.contains(token));
            event_loop.dispatch(LONG, &mut state).unwrap();
            assert_eq!(state.take_log(), ["x"], "once a round");
        }
        assert!(!state.handle.contains(token));
    }
}

#[test]
fn one_that_fired_and_is_kept_waits_for_a_new_deadline() {
    let (mut event_loop, mut state) = new_loop();
    let token = insert(&mut state, WallTimer::after(ZERO).unwrap(), WallAction::Keep);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["Fired"]);
    assert_eq!(event_loop.get(token).unwrap().remaining(), None);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    event_loop.get_mut(token).unwrap().set_time(SystemTime::now() + HOUR).unwrap();
    let remaining = event_loop.get(token).unwrap().remaining().unwrap();
    assert!(remaining <= HOUR && remaining > HOUR - LONG, "{remaining:?}");
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    state.handle.visit(token, |timer, _| timer.set_duration(ZERO).unwrap());
    assert_eq!(dispatch(&mut event_loop, &mut state), ["Fired"]);
}

#[test]
fn a_deadline_moved_in_the_same_batch_does_not_fire() {
    let (mut event_loop, mut state) = new_loop();
    let (tell, told) = std::sync::mpsc::channel();
    let mover = move |_, state: &mut State| {
        state.note("moved");
        for token in told.try_iter() {
            state.handle.visit(token, |timer: &mut WallTimer, _| timer.set_duration(HOUR).unwrap());
        }
        WallAction::Drop
    };
    let first = SourceOptions::new().priority(Priority::High);
    let timer = WallTimer::after(ZERO).unwrap();
    state.handle.insert_source_with(first, timer, mover).unwrap();
    let token = insert(&mut state, WallTimer::after(ZERO).unwrap(), WallAction::Drop);
    tell.send(token).unwrap();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["moved"]);
    assert!(state.handle.contains(token));
}

#[test]
fn waits_while_it_is_disabled_and_outside_of_a_loop() {
    let (mut event_loop, mut state) = new_loop();
    let timer = WallTimer::after(ZERO).unwrap();
    let token = insert(&mut state, timer, WallAction::Keep);
    state.handle.disable(token);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    state.handle.enable(token);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["Fired"]);
    state.handle.take(token, |mut timer, state: &mut State| {
        timer.set_time(SystemTime::now() - HOUR).unwrap();
        insert(state, timer, WallAction::Drop);
    });
    event_loop.apply_pending(&mut state).unwrap();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["Fired"]);
}

#[test]
fn takes_one_fd_and_gives_it_back() {
    in_child("takes_one_fd", || {
        let (mut event_loop, mut state) = new_loop();
        let before = open_fds();
        let tokens: Vec<_> = (0..10)
            .map(|_| insert(&mut state, WallTimer::after(HOUR).unwrap(), WallAction::Drop))
            .collect();
        assert_eq!(open_fds(), before + 10);
        for token in tokens {
            state.handle.remove(token);
        }
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(open_fds(), before);
    });
}

/// See proc_pid_fdinfo(5): clock 0 is the time of day, clock 7 that since boot, which goes on during suspend; the flags
/// are `TFD_TIMER_ABSTIME` and `TFD_TIMER_CANCEL_ON_SET`.
#[test]
fn the_kernel_keeps_them_on_the_clocks_that_they_are_about() {
    // In a process of its own, since it looks at all fds.
    common::in_child("the_kernel_keeps_them", || {
        let timers = || {
            let mut timers = Vec::new();
            for entry in std::fs::read_dir("/proc/self/fdinfo").unwrap() {
                let info = std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
                let field = |name| {
                    let line = info.lines().find(|line| line.starts_with(name))?;
                    line.split_whitespace().last().map(str::to_owned)
                };
                timers.extend(field("clockid").zip(field("settime flags")));
            }
            timers.sort();
            timers
        };
        let _wall = WallTimer::new(SystemTime::now() + HOUR).unwrap();
        let _boot = WallTimer::after(HOUR).unwrap();
        assert_eq!(timers(), [("0".into(), "03".into()), ("7".into(), "03".into())]);
    });
}

/// Sets the system's clock to what it says, which takes privileges: run it with `SOLOOP_TEST_SET_CLOCK=1`.
#[test]
fn tells_when_the_clock_is_set() {
    if std::env::var_os("SOLOOP_TEST_SET_CLOCK").is_none() {
        return;
    }
    let set_clock = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        rustix::time::clock_settime(rustix::time::ClockId::Realtime, now).unwrap();
    };
    let (mut event_loop, mut state) = new_loop();
    let timer = WallTimer::new(SystemTime::now() + HOUR).unwrap();
    let wall = insert(&mut state, timer, WallAction::Keep);
    let timer = WallTimer::after(HOUR).unwrap();
    insert(&mut state, timer, WallAction::Keep);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    set_clock();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["ClockChanged"], "not that of boot time");
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    // The deadline stands, and a change just before it is moved is not lost.
    assert!(event_loop.get(wall).unwrap().remaining().unwrap() > HOUR - LONG);
    set_clock();
    let later = SystemTime::now() + 2 * HOUR;
    event_loop.get_mut(wall).unwrap().set_time(later).unwrap();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["ClockChanged"]);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
    // One that is past its deadline tells of both, in this order; one that has fired, of the change alone.
    event_loop.get_mut(wall).unwrap().set_time(SystemTime::UNIX_EPOCH).unwrap();
    set_clock();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["ClockChanged"]);
    assert_eq!(dispatch(&mut event_loop, &mut state), ["Fired"]);
    set_clock();
    assert_eq!(dispatch(&mut event_loop, &mut state), ["ClockChanged"]);
    assert_eq!(dispatch(&mut event_loop, &mut state), [""; 0]);
}
