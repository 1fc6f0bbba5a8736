//! Timers that are moved by their token, while other ops are queued.

use super::*;

use std::sync::{Arc, OnceLock};

use soloop::{EventLoop, Token};

fn noting_time(
    start: Instant,
    answer: impl Fn(Instant) -> TimeoutAction + 'static,
) -> impl FnMut(Instant, &mut State) -> TimeoutAction + 'static {
    move |deadline, state: &mut State| {
        state.note(format_args!("{:?}", deadline - start));
        answer(deadline)
    }
}

fn insert(
    state: &mut State,
    after: Duration,
    callback: impl FnMut(Instant, &mut State) -> TimeoutAction + 'static,
) -> Token<Timer> {
    state.handle.insert_source(Timer::from_duration(after), callback).unwrap()
}

fn named(name: &'static str) -> impl FnMut(Instant, &mut State) -> TimeoutAction + 'static {
    move |_, state: &mut State| {
        state.note(name);
        TimeoutAction::Drop
    }
}

/// What may be asked for between two moves of the same timer.
type Between = fn(&mut State, Token<Timer>, Token<Timer>);

#[test]
fn a_timer_keeps_its_turn_among_equals_whatever_is_asked_for_between_its_moves() {
    let between: [Between; 6] = [
        |_, _, _| (),
        |state, _, other| assert!(state.handle.visit(other, |_, _| ())),
        |state, moved, _| assert!(state.handle.visit(moved, |_, _| ())),
        |state, moved, _| assert!(state.handle.update(moved, |_| ())),
        |state, _, other| assert!(state.handle.set_deadline(other, Instant::now() + HOUR)),
        |state, _, _| state.handle.inspect(|_, _| ()),
    ];
    for (case, between) in between.into_iter().enumerate() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let moved = insert(&mut state, HOUR, named("moved"));
        let other = insert(&mut state, HOUR, named("other"));
        event_loop.apply_pending(&mut state).unwrap();
        let at = |ms| clock.now() + ms * MS;
        let (five, seven) = (at(5), at(7));
        state.handle.set_deadline(moved, five);
        between(&mut state, moved, other);
        state.handle.set_deadline(moved, seven);
        // Armed for the same, after it.
        state.handle.insert_source(Timer::from_deadline(seven), named("inserted")).unwrap();
        for _ in 0..2 {
            event_loop.dispatch(7 * MS, &mut state).unwrap();
        }
        assert_eq!(state.log, ["moved", "inserted"], "case {case}");
    }
}

/// The last that was asked for counts, whatever it was.
#[test]
fn the_last_word_about_a_deadline_counts() {
    for (update_last, expected) in [(false, "7ms"), (true, "6ms")] {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = clock.now();
        let moved = insert(&mut state, HOUR, noting_time(start, |_| TimeoutAction::Drop));
        event_loop.apply_pending(&mut state).unwrap();
        state.handle.set_deadline(moved, start + 5 * MS);
        state.handle.update(moved, move |timer| timer.set_deadline(start + 9 * MS));
        state.handle.set_deadline(moved, start + 7 * MS);
        if update_last {
            state.handle.update(moved, move |timer| timer.set_deadline(start + 6 * MS));
        }
        event_loop.apply_pending(&mut state).unwrap();
        let timer = event_loop.get(moved).unwrap();
        assert_eq!(format!("{:?}", timer.current_deadline().unwrap() - start), expected);
        event_loop.dispatch(HOUR, &mut state).unwrap();
        assert_eq!(state.log, [expected]);
    }
}

/// More moves than are counted, none next to another.
#[test]
fn a_timer_that_is_moved_hundreds_of_times_in_between_fires_at_the_last_of_them() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    let moved = insert(&mut state, HOUR, noting_time(start, |_| TimeoutAction::Drop));
    for n in (1..=1_000).rev() {
        state.handle.set_deadline(moved, start + n * MS);
        state.handle.inspect(|_, _| ());
    }
    event_loop.dispatch(ZERO, &mut state).unwrap();
    event_loop.dispatch(HOUR, &mut state).unwrap();
    assert_eq!(state.log, ["1ms"]);
    // And it can be moved at once again.
    let moved = insert(&mut state, HOUR, named("moved"));
    event_loop.apply_pending(&mut state).unwrap();
    let next = clock.now() + MS;
    state.handle.set_deadline(moved, next);
    state.handle.insert_source(Timer::from_deadline(next), named("inserted")).unwrap();
    event_loop.dispatch(HOUR, &mut state).unwrap();
    assert_eq!(state.log[1..], ["moved", "inserted"]);
}

/// A loop that has no time for the ops that precede the move of `timer`.
fn without_time(
    event_loop: &mut EventLoop<State>,
    state: &mut State,
    timer: Token<Timer>,
    at: Instant,
) {
    event_loop.apply_pending(state).unwrap();
    event_loop.set_round_time(ZERO);
    for _ in 0..8 {
        state.handle.inspect(|_, state| state.note("op"));
    }
    state.handle.set_deadline(timer, at);
    state.handle.inspect(|_, state| state.note("last"));
}

/// The deadlines that were noted before the last op, and after it.
fn around_the_last(event_loop: &mut EventLoop<State>, state: &mut State) -> (String, String) {
    for _ in 0..200 {
        event_loop.dispatch(ZERO, state).unwrap();
    }
    let log = state.take_log().into_iter().filter(|entry| entry != "op").collect::<Vec<_>>();
    let last = log.iter().position(|entry| entry == "last").expect("all ops are applied");
    (log[..last].join(" "), log[last + 1..].join(" "))
}

#[test]
fn a_timer_moved_behind_a_flood_of_ops_fires_in_time_with_its_new_deadline_and_once() {
    for goes_on in [false, true] {
        let (mut event_loop, mut state, clock) = manual_loop();
        let start = clock.now();
        clock.advance(5 * MS);
        let answer = move |deadline| match goes_on {
            true => TimeoutAction::ToInstant(deadline + HOUR),
            false => TimeoutAction::Drop,
        };
        let timer = insert(&mut state, HOUR, noting_time(start, answer));
        without_time(&mut event_loop, &mut state, timer, start + 3 * MS);
        let (before, after) = around_the_last(&mut event_loop, &mut state);
        assert_eq!((&*before, &*after), ("3ms", ""), "goes on: {goes_on}");
        if goes_on {
            let timer = event_loop.get(timer).unwrap();
            assert_eq!(timer.current_deadline(), Some(start + 3 * MS + HOUR));
        }
    }
}

/// A callback that moves its own timer while a move of it is queued: that one does nothing any more.
#[test]
fn a_timer_that_moves_itself_while_its_move_is_queued_fires_once_more() {
    let (mut event_loop, mut state, clock) = manual_loop();
    let start = clock.now();
    clock.advance(5 * MS);
    let own: Arc<OnceLock<Token<Timer>>> = Arc::default();
    let token = Arc::clone(&own);
    let callback = move |deadline: Instant, state: &mut State| {
        state.note(format_args!("{:?}", deadline - start));
        if deadline == start + 3 * MS {
            state.handle.set_deadline(*token.get().unwrap(), start + 4 * MS);
        }
        TimeoutAction::Drop
    };
    let timer = insert(&mut state, HOUR, callback);
    own.set(timer).unwrap();
    without_time(&mut event_loop, &mut state, timer, start + 3 * MS);
    let (before, after) = around_the_last(&mut event_loop, &mut state);
    assert_eq!((before + " " + &after).trim(), "3ms 4ms");
}
