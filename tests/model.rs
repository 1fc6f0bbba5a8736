//! Random programs on the loop and on a naive model of it: see `model/ops.rs` for what they do. What the
//! callbacks are called for, in which order and with which data, what ops answer and what dispatches come to
//! has to be the same, and when all is removed, nothing is left: no key, no fd, no memory.
//!
//! Each program then runs on a loop whose fd is watched from outside: see `model/real/law.rs`.
//!
//! `SOLOOP_MODEL_CASES` is the number of programs. One that fails is written to `model.proptest-regressions` as a
//! seed, which stands for it as long as the strategies below stay what they are: it goes to `once_failed`.
#![cfg(all(target_os = "linux", feature = "executor", feature = "signals"))]
#![allow(unreachable_pub, reason = "the modules are shared with the fuzz target")]

mod common;
#[cfg_attr(mio_unsupported_force_poll_poll, allow(dead_code, reason = "no loop can be watched"))]
#[path = "model/mod.rs"]
mod model;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use model::check;
use model::log::Data;
use model::ops::{self, Body, End, Kind, Op, Options, Pick, Policy, Step};
use model::tally::Tally;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => (0..20_u8).prop_map(Kind::Timer),
        1 => (0..20_u8).prop_map(Kind::Part),
        1 => (0..20_u8).prop_map(Kind::Interval),
        1 => Just(Kind::Ping),
        2 => Just(Kind::Channel),
        1 => Just(Kind::SyncChannel),
        1 => Just(Kind::Level),
        1 => Just(Kind::Edge),
        1 => Just(Kind::OneShot),
        1 => Just(Kind::MioLevel),
        1 => Just(Kind::MioEdge),
        1 => Just(Kind::MioOneShot),
        1 => Just(Kind::Executor),
        2 => Just(Kind::Bell),
        2 => (0..3_u8).prop_map(Kind::Signals),
        1 => (0..4_u8).prop_map(Kind::Wall),
        3 => Just(Kind::Task),
        2 => pick().prop_map(Kind::Waiter),
        2 => (0..20_u8).prop_map(Kind::Once),
        1 => Just(Kind::Parent),
        2 => Just(Kind::Stream),
        // These take a millisecond each.
        2 => prop_oneof![Just(Kind::Child), Just(Kind::EndedChild)],
    ]
    .prop_map(Kind::or_similar)
}

fn options() -> impl Strategy<Value = Options> {
    let priority = prop_oneof![3 => Just(0_u8), 1 => Just(1), 1 => Just(2)];
    let budget = prop_oneof![3 => Just(0_u8), 1 => 1..4_u8];
    let (once, part) = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (priority, budget, scope(), once, part).prop_map(|(priority, budget, scope, once, part)| {
        Options { priority, budget, scope, once, part }
    })
}

fn scope() -> impl Strategy<Value = u8> {
    prop_oneof![6 => Just(0_u8), 2 => Just(1), 1 => Just(2), 1 => Just(3)]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Continue),
        3 => Just(End::Again),
        2 => Just(End::Reregister),
        2 => Just(End::Disable),
        1 => Just(End::Remove),
        1 => Just(End::Error),
        1 => Just(End::Panic),
    ]
}

fn pick() -> impl Strategy<Value = Pick> {
    (0..8_u8).prop_map(Pick)
}

fn body(op: impl Strategy<Value = Op>) -> impl Strategy<Value = Body> {
    (vec(op, 0..3), prop::bool::weighted(0.1)).prop_map(|(ops, panics)| Body { ops, panics })
}

fn op() -> impl Strategy<Value = Op> {
    let policy = prop::sample::select(
        &[Policy::Report, Policy::Ignore, Policy::Disable, Policy::Remove][..],
    );
    let flat = prop_oneof![
        8 => pick().prop_map(Op::Poke),
        2 => pick().prop_map(Op::Remove),
        2 => pick().prop_map(Op::Enable),
        2 => pick().prop_map(Op::Disable),
        3 => (pick(), 0..20_u8).prop_map(|(pick, to)| Op::Update(pick, to)),
        2 => (pick(), 0..20_u8).prop_map(|(pick, to)| Op::Move(pick, to)),
        1 => pick().prop_map(Op::CancelIdle),
        1 => pick().prop_map(Op::HangUp),
        1 => pick().prop_map(Op::RemoteRemove),
        1 => Just(Op::Wakeup),
        1 => Just(Op::Stop),
        1 => (0..2_u8).prop_map(Op::ClearScope),
        1 => (0..2_u8).prop_map(Op::DropScope),
        1 => policy.prop_map(Op::Policy),
        1 => (0..10_u8).prop_map(Op::Advance),
        2 => (kind(), options()).prop_map(|(kind, options)| Op::Insert(kind, options, Vec::new())),
    ];
    flat.prop_recursive(ops::DEPTH as u32, 24, 3, |inner| {
        let step = (any::<bool>(), vec(inner.clone(), 0..3), end())
            .prop_map(|(read, ops, end)| Step { read, ops, end })
            .boxed();
        prop_oneof![
            4 => inner.clone(),
            5 => (kind(), options(), vec(step.clone(), 0..4))
                .prop_map(|(kind, options, steps)| Op::Insert(kind, options, steps)),
            1 => (0..20_u8, 0..2_u8, vec(step, 0..4))
                .prop_map(|(after, scope, steps)| Op::RemoteInsert(after, scope, steps)),
            1 => (pick(), body(inner.clone())).prop_map(|(pick, body)| Op::Take(pick, body)),
            2 => (pick(), body(inner.clone())).prop_map(|(pick, body)| Op::Visit(pick, body)),
            1 => (pick(), body(inner.clone())).prop_map(|(pick, body)| Op::Inspect(pick, body)),
            1 => (body(inner.clone()), scope()).prop_map(|(body, scope)| Op::Idle(body, scope)),
            1 => body(inner.clone()).prop_map(Op::Post),
            1 => body(inner).prop_map(Op::PostLocal),
        ]
    })
}

/// Timers that are inserted and moved in a row, many of them to the same deadline.
fn moves() -> impl Strategy<Value = Vec<Op>> {
    let insert = (options(), 0..3_u8)
        .prop_map(|(options, after)| Op::Insert(Kind::Timer(after), options, Vec::new()));
    let moves = (0..3_u8, 0..3_u8).prop_map(|(pick, to)| Op::Move(Pick(pick), to));
    vec(prop_oneof![1 => insert, 3 => moves], 4..10)
}

fn program() -> impl Strategy<Value = Vec<Op>> {
    let dispatch = prop_oneof![Just(0_u8), 1..30_u8].prop_map(Op::Dispatch);
    let run = (0..30_u8).prop_map(Op::Run);
    let until = (0..30_u8).prop_map(Op::RunUntil);
    let one = prop_oneof![20 => op(), 10 => dispatch, 1 => run, 1 => until, 1 => Just(Op::Settle)];
    let some = prop_oneof![32 => one.prop_map(|op| vec![op]), 1 => moves()];
    vec(some, 0..60).prop_map(|pieces| pieces.concat())
}

#[test]
fn the_loop_agrees_with_a_naive_model() {
    let cases = std::env::var("SOLOOP_MODEL_CASES").map_or(500, |cases| cases.parse().unwrap());
    let tally = Mutex::new(Tally::default());
    let in_all = AtomicU64::new(0);
    let config = Config { cases, ..Config::with_source_file(file!()) };
    // In a process of its own, since it counts fds.
    common::in_child("the_loop_agrees", || {
        let started = Instant::now();
        // What `signal-hook` keeps for good is there before anything is counted.
        check(&[]);
        let fds = common::open_fds();
        let agrees = TestRunner::new(config).run(&program(), |program| {
            let did = check(&program);
            tally.lock().unwrap().add(did);
            in_all.fetch_add(ops::count(&program), Ordering::Relaxed);
            prop_assert_eq!(common::open_fds(), fds);
            Ok(())
        });
        if let Err(error) = agrees {
            panic!("{error}");
        }
        let tally = tally.into_inner().unwrap();
        let (in_all, took) = (in_all.into_inner(), started.elapsed());
        println!("{cases} programs of {in_all} ops, {} executed, in {took:.1?}", tally.executed());
        println!("{tally:#?}");
        if cases >= 500 {
            all_is_reached(&tally);
        }
    });
}

/// A kind of source that is never called, an op that never does anything, would hide whatever is wrong with them.
fn all_is_reached(tally: &Tally) {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_there()) {
        let (inserted, called) = tally.of(kind);
        assert!(inserted > 0 && called > 0, "{kind:?}: inserted {inserted} times, called {called}");
    }
    for data in [
        Data::Closed,
        Data::Fd(0, true),
        Data::Joined(None),
        Data::Joined(Some(0)),
        Data::Heard(true),
    ] {
        assert!(tally.told(data) > 0, "nobody was told {data:?}");
    }
    assert_eq!(tally.idle_ops().collect::<Vec<_>>(), [""; 0]);
}

/// Programs that once failed, as small as they get.
mod once_failed {
    use super::*;

    const PLAIN: Options = Options { priority: 0, budget: 0, scope: 0, once: false, part: false };

    fn insert(kind: Kind, options: Options, steps: Vec<(Vec<Op>, End)>) -> Op {
        let step = |(ops, end)| Step { read: false, ops, end };
        Op::Insert(kind.or_similar(), options, steps.into_iter().map(step).collect())
    }

    fn timer() -> Op {
        insert(Kind::Timer(0), PLAIN, vec![])
    }

    fn poke(source: u8) -> Op {
        Op::Poke(Pick(source))
    }

    fn body(ops: Vec<Op>) -> Body {
        Body { ops, panics: false }
    }

    fn panicking(ops: Vec<Op>) -> Body {
        Body { ops, panics: true }
    }

    #[test]
    fn a_level_that_a_panic_leaves_over_keeps_its_place() {
        let low_budget = Options { budget: 1, ..PLAIN };
        let low = Options { priority: 1, ..PLAIN };
        let signals = insert(Kind::Signals(2), low_budget, vec![]);
        check(&[
            Op::Post(body(vec![signals])),
            Op::Dispatch(0),
            Op::Wakeup,
            Op::Post(body(vec![poke(0)])),
            Op::Post(panicking(vec![])),
            Op::Dispatch(0),
            insert(Kind::Task, low, vec![(vec![], End::Error)]),
            poke(0),
            Op::Dispatch(0),
            Op::Wakeup,
            Op::Update(Pick(0), 0),
            Op::Dispatch(0),
        ]);
    }

    #[test]
    fn a_channel_that_updates_itself_at_its_end() {
        let hangs_up = (vec![Op::HangUp(Pick(0))], End::Continue);
        let updates = (vec![Op::Update(Pick(0), 0)], End::Continue);
        check(&[
            insert(Kind::Channel, PLAIN, vec![hangs_up, updates]),
            Op::Visit(Pick(0), body(vec![poke(0)])),
            Op::Dispatch(0),
            Op::Dispatch(0),
        ]);
    }

    #[test]
    fn a_task_that_is_updated_while_it_is_told_of() {
        let low_budget = Options { budget: 1, ..PLAIN };
        check(&[
            Op::Post(body(vec![insert(Kind::Task, low_budget, vec![]), Op::Update(Pick(0), 0)])),
            poke(0),
            Op::Dispatch(0),
        ]);
    }

    #[test]
    fn a_task_that_is_updated_between_two_of_its_turns() {
        let options = Options { budget: 3, ..PLAIN };
        let updates = Op::Visit(Pick(0), body(vec![Op::Update(Pick(0), 0)]));
        let step = |read, ops| Step { read, ops, end: End::Continue };
        check(&[
            Op::Idle(body(vec![poke(0)]), 0),
            Op::Insert(Kind::Task, options, vec![step(false, vec![updates]), step(true, vec![])]),
            Op::Dispatch(0),
            Op::Dispatch(0),
        ]);
    }

    #[test]
    fn an_event_from_before_an_update_is_not_that_of_the_new_one_shot() {
        let low = Options { priority: 2, ..PLAIN };
        // The kernel makes no edge for a level-triggered fd that becomes one-shot while it is ready.
        for kind in [Kind::MioLevel, Kind::Level] {
            check(&[
                insert(Kind::Ping, PLAIN, vec![(vec![Op::Update(Pick(0), 2)], End::Continue)]),
                insert(kind, low, vec![(vec![], End::Continue)]),
                Op::Dispatch(0),
                poke(0),
                poke(1),
                Op::Dispatch(0),
                Op::Dispatch(0),
                Op::Dispatch(0),
            ]);
        }
    }

    #[test]
    fn a_round_that_a_panic_left_keeps_to_the_priorities() {
        let high = Options { priority: 1, ..PLAIN };
        check(&[
            Op::Post(body(vec![insert(Kind::Ping, high, vec![(vec![poke(5)], End::Continue)])])),
            Op::Post(body(vec![timer()])),
            insert(
                Kind::Level,
                PLAIN,
                vec![(vec![Op::Visit(Pick(0), panicking(vec![poke(5)])), timer()], End::Continue)],
            ),
            Op::Dispatch(0),
            Op::Idle(body(vec![timer(), poke(4)]), 0),
            insert(Kind::Channel, PLAIN, vec![]),
            Op::Dispatch(0),
            poke(1),
            Op::Take(Pick(2), body(vec![])),
            Op::Update(Pick(1), 0),
            timer(),
            Op::Dispatch(0),
            timer(),
            timer(),
            Op::Dispatch(0),
        ]);
    }

    #[test]
    fn a_panic_silences_no_level_triggered_mio_source() {
        check(&[
            insert(Kind::MioLevel, PLAIN, vec![(vec![], End::Panic)]),
            poke(0),
            Op::Dispatch(0),
            Op::Dispatch(0),
            Op::Dispatch(0),
        ]);
    }

    #[test]
    fn nor_does_an_op_that_wins_over_its_answer() {
        for end in [End::Disable, End::Remove, End::Error] {
            check(&[
                insert(Kind::MioLevel, PLAIN, vec![(vec![Op::Enable(Pick(0))], end)]),
                poke(0),
                Op::Dispatch(0),
                Op::Dispatch(0),
                Op::Dispatch(0),
            ]);
        }
    }

    #[test]
    fn taking_what_is_gone_does_not_shorten_the_next_wait() {
        let once = Options { once: true, ..PLAIN };
        check(&[
            insert(Kind::Level, once, vec![(vec![Op::Take(Pick(0), body(vec![]))], End::Error)]),
            poke(0),
            Op::Dispatch(0),
            Op::Dispatch(0),
            Op::Dispatch(1),
        ]);
    }

    #[test]
    fn a_panic_after_an_event_was_done_with_does_not_repeat_it() {
        let visit = Op::Visit(Pick(0), panicking(vec![]));
        check(&[
            insert(Kind::Timer(0), PLAIN, vec![]),
            insert(Kind::Channel, PLAIN, vec![(vec![visit], End::Continue)]),
            poke(0),
            Op::Dispatch(0),
            Op::Take(Pick(1), body(vec![poke(0)])),
            Op::Dispatch(0),
            Op::Dispatch(0),
        ]);
    }

    #[test]
    fn one_that_goes_after_its_event_goes_first_after_a_panic() {
        let once = Options { once: true, ..PLAIN };
        let looks = Op::Inspect(Pick(0), body(vec![]));
        check(&[
            insert(Kind::EndedChild, PLAIN, vec![(vec![looks], End::Continue)]),
            insert(Kind::Wall(0), once, vec![(vec![], End::Panic)]),
            Op::Dispatch(0),
            Op::Dispatch(0),
        ]);
    }

    #[test]
    fn what_leaves_a_scope_late_takes_nobody_with_it() {
        let member = || insert(Kind::Timer(9), Options { scope: 1, ..PLAIN }, vec![]);
        check(&[
            member(),
            Op::ClearScope(0),
            member(),
            Op::Dispatch(0),
            Op::DropScope(0),
            Op::Dispatch(0),
        ]);
    }

    #[test]
    fn the_end_of_a_child_is_told_of_once() {
        for kind in [Kind::Child, Kind::EndedChild] {
            check(&[
                insert(kind, PLAIN, vec![(vec![], End::Panic)]),
                poke(0),
                Op::Dispatch(0),
                Op::Disable(Pick(0)),
                Op::Enable(Pick(0)),
                Op::Dispatch(0),
                Op::Dispatch(0),
            ]);
        }
    }

    #[test]
    fn a_panic_or_a_disable_loses_no_other_signal() {
        for step in [(vec![], End::Panic), (vec![Op::Disable(Pick(0))], End::Continue)] {
            check(&[
                insert(Kind::Signals(2), PLAIN, vec![step]),
                poke(0),
                Op::Dispatch(0),
                Op::Enable(Pick(0)),
                Op::Dispatch(0),
                Op::Dispatch(0),
            ]);
        }
    }

    #[test]
    fn what_a_source_has_more_of_survives_the_panic_of_an_op() {
        let visit = || Op::Visit(Pick(0), panicking(vec![]));
        for kind in [Kind::Channel, Kind::Task, Kind::Bell, Kind::Level, Kind::Edge] {
            check(&[
                insert(Kind::Ping, PLAIN, vec![]),
                insert(kind, PLAIN, vec![(vec![Op::Disable(Pick(1)), visit()], End::Again)]),
                poke(0),
                poke(0),
                Op::Dispatch(0),
                Op::Dispatch(0),
                Op::Dispatch(0),
            ]);
        }
    }

    #[test]
    fn a_timer_on_the_clock_of_the_wall_that_answers_drop_is_over() {
        let drops = (vec![Op::Enable(Pick(0))], End::Remove);
        check(&[insert(Kind::Wall(0), PLAIN, vec![drops]), Op::Dispatch(0), Op::Dispatch(0)]);
    }

    #[test]
    fn what_a_panic_interrupted_makes_an_fd_readable_that_is_watched_later() {
        // Thirteen ops: it is watched from the fifth on.
        let panics = vec![Step { read: false, ops: vec![], end: End::Panic }];
        let mut program = vec![
            Op::RemoteInsert(3, 1, panics),
            Op::Policy(Policy::Report),
            Op::RunUntil(0),
            Op::Dispatch(3),
        ];
        program.extend((0..9).map(|_| poke(0)));
        check(&program);
    }

    #[test]
    fn what_stays_readable_makes_an_edge_after_each_dispatch() {
        let leaves_it = || (vec![], End::Continue);
        for kind in [Kind::Level, Kind::MioLevel] {
            check(&[
                insert(kind, PLAIN, vec![leaves_it(), leaves_it(), leaves_it(), leaves_it()]),
                Op::Dispatch(0),
                poke(0),
                Op::Dispatch(0),
                Op::Dispatch(0),
                Op::Dispatch(0),
            ]);
        }
    }

    #[test]
    fn what_a_level_triggered_fd_was_ready_for_in_an_earlier_round_is_asked_for_anew() {
        let low = Options { priority: 2, ..PLAIN };
        for kind in [Kind::Level, Kind::Edge, Kind::MioLevel] {
            check(&[
                insert(Kind::Bell, PLAIN, vec![(vec![], End::Error)]),
                insert(kind, low, vec![(vec![], End::Continue)]),
                poke(1),
                poke(0),
                Op::Dispatch(0),
                Op::Visit(Pick(0), body(vec![])),
                Op::Dispatch(0),
                Op::Dispatch(0),
            ]);
        }
    }

    #[test]
    fn a_timer_that_is_moved_after_a_panic_fires_at_its_new_deadline_alone() {
        for moves in [Op::Move(Pick(0), 5), Op::Update(Pick(0), 5)] {
            check(&[
                insert(Kind::Timer(0), PLAIN, vec![(vec![], End::Panic)]),
                Op::Dispatch(0),
                moves,
                Op::Dispatch(0),
                Op::Dispatch(9),
            ]);
        }
    }

    #[test]
    fn an_error_loses_no_other_notification() {
        for policy in [Policy::Report, Policy::Ignore, Policy::Disable] {
            check(&[
                Op::Policy(policy),
                insert(Kind::Bell, PLAIN, vec![(vec![], End::Error)]),
                poke(0),
                poke(0),
                Op::Dispatch(0),
                Op::Dispatch(0),
                Op::Enable(Pick(0)),
                Op::Dispatch(0),
            ]);
        }
    }

    #[test]
    fn what_a_level_triggered_source_read_ahead_survives_the_error_of_another() {
        let low = Options { priority: 2, budget: 1, ..PLAIN };
        let reads_ahead = (vec![], End::Again);
        check(&[
            insert(Kind::Bell, PLAIN, vec![(vec![], End::Error)]),
            insert(Kind::Level, low, vec![reads_ahead, (vec![], End::Continue)]),
            poke(0),
            Op::Dispatch(0),
            poke(1),
            Op::Dispatch(0),
            // The kernel says nothing any more.
            Op::Visit(Pick(0), body(vec![])),
            Op::Dispatch(0),
            Op::Dispatch(0),
        ]);
    }

    #[test]
    fn nor_does_a_panic_of_its_own_lose_it() {
        let options = Options { budget: 1, ..PLAIN };
        check(&[
            insert(Kind::Level, options, vec![(vec![], End::Again), (vec![], End::Panic)]),
            poke(0),
            Op::Dispatch(0),
            Op::Visit(Pick(0), body(vec![])),
            Op::Dispatch(0),
            Op::Dispatch(0),
            Op::Dispatch(0),
        ]);
    }
}
