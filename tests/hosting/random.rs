//! Programs made up by chance: each is run in every way, and has to note the same.
//!
//! A program is a list of steps, each of which is done between two dispatches or by a callback, and after each of
//! which the loops are dispatched until nothing more comes of it. What becomes ready at once is delivered in an order
//! that nobody promises, so that the lines between two such points are compared as a set.

use calloop::channel::{Event, Sender, channel};
use calloop::ping::{Ping, make_ping};
use calloop::timer::{TimeoutAction, Timer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::rig::*;

/// How many sources there may be, by place.
const PLACES: usize = 6;

#[derive(Clone, Debug)]
enum Step {
    /// A ping that does what is said when it comes.
    Ping(usize, Vec<Deed>),
    Channel(usize),
    /// A timer that fires so often, at once.
    Timer(usize, u32),
    Fire(usize),
    Do(Deed),
}

/// What callbacks do, too.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Note,
    Fire(usize),
    Remove(usize),
    Disable(usize),
    Enable(usize),
    Idle(usize),
    Timer,
    Panic,
}

enum Source {
    Ping(Ping),
    Channel(Sender<usize>),
}

/// The other ends of the sources, by place. They stay until the end: calloop's sources go with them.
type Ends = std::sync::Arc<std::sync::Mutex<Vec<(usize, Source)>>>;

fn fire(ends: &Ends, place: usize) {
    let ends = ends.lock().unwrap();
    match ends.iter().rev().find(|(at, _)| *at == place) {
        Some((_, Source::Ping(ping))) => ping.ping(),
        Some((_, Source::Channel(sender))) => _ = sender.send(place),
        None => {}
    }
}

fn act(deed: Deed, own: Option<usize>, ends: &Ends, state: &mut State) {
    match deed {
        Deed::Note => state.note("note"),
        Deed::Fire(place) if own != Some(place) => fire(ends, place),
        Deed::Remove(place) => state.remove(place),
        // What calloop's `disable` of a source does to what was found for it already, it does not promise, and its
        // `enable` refuses one that is enabled in ways of its own.
        Deed::Disable(place) if own.is_none() => state.disable(place),
        Deed::Enable(place) if own.is_none() => state.enable(place),
        Deed::Idle(place) => {
            let ends = ends.clone();
            state.idle(move |state| {
                state.note("idle");
                fire(&ends, place);
            });
        }
        Deed::Timer => {
            state.insert(Timer::immediate(), |_, _, state| {
                state.note("timer of a callback");
                TimeoutAction::Drop
            });
        }
        Deed::Panic if own.is_some() => {
            state.note("panics");
            panic!("on purpose");
        }
        _ => {}
    }
}

fn program(steps: &[Step]) -> impl Fn(&mut Rig) {
    let steps = steps.to_vec();
    move |rig| {
        let ends = Ends::default();
        for step in steps.clone() {
            match step {
                Step::Ping(place, deeds) => {
                    let (ping, source) = make_ping().unwrap();
                    ends.lock().unwrap().push((place, Source::Ping(ping)));
                    rig.state.remove(place);
                    let ends = ends.clone();
                    rig.state.insert_at(place, source, move |(), _, state| {
                        state.note(format!("ping {place}"));
                        for &deed in &deeds {
                            act(deed, Some(place), &ends, state);
                        }
                    });
                }
                Step::Channel(place) => {
                    let (sender, source) = channel();
                    ends.lock().unwrap().push((place, Source::Channel(sender)));
                    rig.state.remove(place);
                    rig.state.insert_at(place, source, move |event, _, state| {
                        if let Event::Msg(number) = event {
                            state.note(format!("message {number}"));
                        }
                    });
                }
                Step::Timer(place, mut times) => {
                    rig.state.remove(place);
                    rig.state.insert_at(place, Timer::immediate(), move |_, _, state| {
                        state.note(format!("timer {place}"));
                        times = times.saturating_sub(1);
                        if times == 0 {
                            return TimeoutAction::Drop;
                        }
                        TimeoutAction::ToDuration(ZERO)
                    });
                }
                Step::Fire(place) => fire(&ends, place),
                Step::Do(deed) => act(deed, None, &ends, &mut rig.state),
            }
            rig.quiesce();
        }
    }
}

/// The lines of each stretch, as a set.
fn stretches(log: &[String]) -> Vec<Vec<String>> {
    log.split(|line| line == "-")
        .map(|stretch| {
            let mut lines = stretch.to_vec();
            lines.sort();
            lines
        })
        .collect()
}

fn deed() -> impl Strategy<Value = Deed> {
    let place = || 0..PLACES;
    prop_oneof![
        3 => Just(Deed::Note),
        2 => place().prop_map(Deed::Remove),
        2 => place().prop_map(Deed::Disable),
        3 => place().prop_map(Deed::Enable),
        2 => place().prop_map(Deed::Idle),
        2 => Just(Deed::Timer),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let place = || 0..PLACES;
    prop_oneof![
        4 => (place(), vec(deed(), 0..3)).prop_map(|(place, deeds)| Step::Ping(place, deeds)),
        2 => place().prop_map(Step::Channel),
        2 => (place(), 1..4_u32).prop_map(|(place, times)| Step::Timer(place, times)),
        6 => place().prop_map(Step::Fire),
        3 => deed().prop_map(Step::Do),
        1 => Just(Step::Ping(0, vec![Deed::Note, Deed::Panic])),
        1 => (place(), place()).prop_map(|(one, other)| Step::Ping(one, vec![Deed::Fire(other)])),
    ]
}

/// A ping that fires another that fires it again never ends: such programs are left out.
fn ends(steps: &[Step]) -> bool {
    let mut fires = [[false; PLACES]; PLACES];
    for step in steps {
        if let Step::Ping(place, deeds) = step {
            for deed in deeds {
                if let Deed::Fire(other) | Deed::Idle(other) = *deed {
                    fires[*place][other] = true;
                }
            }
        }
    }
    // Transitively.
    for via in 0..PLACES {
        for from in 0..PLACES {
            for to in 0..PLACES {
                fires[from][to] |= fires[from][via] && fires[via][to];
            }
        }
    }
    (0..PLACES).all(|place| !fires[place][place])
}

#[test]
fn programs_run_alike_in_every_way() {
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, random);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some("on purpose") {
            hook(info);
        }
    }));
    let outcome =
        runner.run(&vec(step(), 1..20).prop_filter("ends", |steps| ends(steps)), |steps| {
            let program = program(&steps);
            let alone = stretches(&run(Way::Alone, &program));
            for way in Way::HOSTED {
                prop_assert_eq!(&stretches(&run(way, &program)), &alone, "{:?}", way);
            }
            Ok(())
        });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
