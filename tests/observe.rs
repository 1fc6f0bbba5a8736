//! What can be seen of a loop at work: observers, statistics, the table of sources; error policies of single
//! sources; callbacks for a part of the state.

mod common;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{LONG, State, ZERO, manual_loop, new_loop, spin};
use soloop::{
    CallbackKind, CallbackReport, CallbackStart, ChromeTrace, ErrorAction, EventLoop, Generic,
    Histograms, Interest, Mode, Observer, PostAction, Priority, Ready, RoundReport,
    SlowestCallbacks, SourceOptions, TimeoutAction, Timer, Token, WaitReport, make_ping,
    slow_callbacks,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn named(name: &'static str) -> SourceOptions {
    SourceOptions::new().name(name)
}

fn insert_timer(state: &mut State, name: &'static str, after: Duration) -> Token<Timer> {
    let callback = |_, _: &mut State| TimeoutAction::Drop;
    state.handle.insert_source_with(named(name), Timer::from_duration(after), callback).unwrap()
}

/// Writes a line for everything it sees.
#[derive(Default)]
struct Recorder {
    lines: Vec<String>,
    lateness: Vec<Option<Duration>>,
}

impl Recorder {
    fn take(event_loop: &mut EventLoop<State>) -> Vec<String> {
        std::mem::take(&mut event_loop.observer_mut::<Self>().unwrap().lines)
    }
}

impl Observer for Recorder {
    fn round_begin(&mut self, round: u64) {
        self.lines.push(format!("round {round}"));
    }

    fn round_end(&mut self, report: &RoundReport) {
        assert!(report.duration >= report.asleep);
        self.lines.push(format!("end of round {}", report.round));
    }

    fn wait_begin(&mut self, timeout: Option<Duration>) {
        self.lines.push(format!("wait {timeout:?}"));
    }

    fn wait_end(&mut self, report: &WaitReport) {
        self.lines.push(format!("found {}", report.events));
    }

    fn callback_begin(&mut self, start: &CallbackStart<'_>) {
        self.lines.push(format!("{:?} {} begins", start.kind, start.name));
    }

    fn callback_end(&mut self, report: &CallbackReport<'_>) {
        self.lines.push(format!("{:?} {} ends", report.kind, report.name));
        self.lateness.push(report.lateness);
    }
}

mod observers {
    use super::*;

    /// What a closure saw, as (kind, name, token).
    type Seen = Receiver<(CallbackKind, String, Option<soloop::AnyToken>)>;

    fn observe(event_loop: &mut EventLoop<State>) -> Seen {
        let (sender, seen) = channel();
        event_loop.observe(move |report| {
            let _ = sender.send((report.kind, report.name.to_owned(), report.token));
        });
        seen
    }

    #[test]
    fn every_callback_is_seen_with_its_name_and_kind() {
        let (mut event_loop, mut state) = new_loop();
        let seen = observe(&mut event_loop);
        let (ping, source) = make_ping();
        let token = state
            .handle
            .insert_source_with(named("render"), source, |(), state: &mut State| {
                state.handle.insert_idle(|_| ());
            })
            .unwrap();
        let unnamed =
            state.handle.insert_source(Timer::immediate(), |_, _| TimeoutAction::Drop).unwrap();
        state.handle.update(unnamed, |_| ());
        state.handle.visit(token, |_, _| ());
        state.handle.remote().post(|_| ());
        ping.ping();
        event_loop.dispatch(LONG, &mut state).unwrap();
        state.handle.take(token, |_, _| ());
        event_loop.apply_pending(&mut state).unwrap();
        let (render, timer) = (String::from("render"), String::from("Timer"));
        let expected = [
            (CallbackKind::Op, timer.clone(), Some(unnamed.into())),
            (CallbackKind::Op, render.clone(), Some(token.into())),
            (CallbackKind::Remote, String::from("remote"), None),
            (CallbackKind::Source, render.clone(), Some(token.into())),
            (CallbackKind::Source, timer, Some(unnamed.into())),
            (CallbackKind::Idle, String::from("idle"), None),
            (CallbackKind::Op, render, Some(token.into())),
        ];
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_source_that_is_taken_unseen_keeps_its_name() {
        let (mut event_loop, mut state) = new_loop();
        let timer = insert_timer(&mut state, "frame", HOUR);
        event_loop.apply_pending(&mut state).unwrap();
        let seen = observe(&mut event_loop);
        state.handle.take(timer, |_, _| ());
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(seen.try_recv().unwrap().1, "frame");
    }

    #[test]
    fn durations_are_real_on_a_manual_clock() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let (sender, seen) = channel();
        event_loop.observe(move |report| sender.send(report.duration).unwrap());
        state.handle.insert_idle(|_| spin(2 * MS));
        state.handle.insert_idle(move |_| clock.advance(HOUR));
        event_loop.dispatch(None, &mut state).unwrap();
        assert!(seen.recv().unwrap() >= 2 * MS);
        assert!(seen.recv().unwrap() < HOUR);
    }

    #[test]
    fn several_closures_observe_until_they_are_cleared() {
        let (mut event_loop, mut state) = new_loop();
        let (first, second) = (observe(&mut event_loop), observe(&mut event_loop));
        let set = Arc::new(Mutex::new(Recorder::default()));
        event_loop.set_observer(Arc::clone(&set));
        state.handle.insert_idle(|_| ());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.clear_observers();
        state.handle.insert_idle(|_| ());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!((first.iter().count(), second.iter().count()), (1, 1), "and are dropped");
        assert_eq!(Arc::strong_count(&set), 1);
        assert_eq!(set.lock().unwrap().lines.len(), 6);
    }

    #[test]
    fn the_observer_sees_rounds_waits_and_callbacks_in_order() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.set_observer(Recorder::default());
        let (ping, source) = make_ping();
        state.handle.insert_source_with(named("ping"), source, |(), _| ()).unwrap();
        ping.ping();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(
            Recorder::take(&mut event_loop),
            [
                "round 1",
                "wait Some(0ns)",
                "found 1",
                "Source ping begins",
                "Source ping ends",
                "end of round 1"
            ]
        );
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let source = Generic::new(theirs, Interest::READ, Mode::Level);
        let read = |ready: Ready<'_, UnixStream>, _: &mut State| {
            let _ = ready.io.read(&mut [0; 8])?;
            Ok(PostAction::Continue)
        };
        state.handle.insert_source_with(named("fd"), source, read).unwrap();
        ours.write_all(b"x").unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        let lines = Recorder::take(&mut event_loop);
        assert_eq!(lines[..3], ["round 2", "wait Some(30s)", "found 1"]);
        assert_eq!(lines[3..], ["Source fd begins", "Source fd ends", "end of round 2"]);
    }

    #[test]
    fn both_of_a_pair_observe_and_each_can_be_reached() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.set_observer((Histograms::new(), Recorder::default()));
        state.handle.insert_idle(|_| ());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(event_loop.observer::<Recorder>().is_none(), "of another type");
        let (histograms, recorder) = event_loop.observer::<(Histograms, Recorder)>().unwrap();
        assert_eq!(histograms.get(CallbackKind::Idle, "idle").unwrap().count(), 1);
        assert_eq!(recorder.lines.len(), 6);
    }

    #[test]
    fn closures_and_observers_are_one_list_with_one_of_a_type() {
        let (mut event_loop, mut state) = new_loop();
        let seen = Arc::new(Mutex::new(Vec::new()));
        for name in ["first", "second"] {
            let seen = Arc::clone(&seen);
            event_loop.observe(move |_| seen.lock().unwrap().push(name));
            event_loop.set_observer(Recorder::default());
        }
        let shared = [(); 2].map(|()| Arc::new(Mutex::new(Recorder::default())));
        shared.iter().for_each(|recorder| event_loop.set_observer(Arc::clone(recorder)));
        event_loop.set_observer(Histograms::new());
        state.handle.insert_idle(|_| ());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let seen_by = shared.map(|recorder| recorder.lock().unwrap().lines.len());
        assert_eq!(seen_by, [0, 6], "the second took the place of the first");
        assert_eq!(*seen.lock().unwrap(), ["first", "second"]);
        assert_eq!(event_loop.observer::<Recorder>().unwrap().lines.len(), 6);
        let histograms = event_loop.observer::<Histograms>().unwrap();
        assert_eq!(histograms.get(CallbackKind::Idle, "idle").unwrap().count(), 1);
    }

    #[test]
    fn an_observer_that_is_taken_sees_no_more_and_the_others_go_on() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.set_observer(Recorder::default());
        event_loop.set_observer(Histograms::new());
        assert!(event_loop.take_observer::<Option<Recorder>>().is_none(), "of another type");
        state.handle.insert_idle(|_| ());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let recorder = event_loop.take_observer::<Recorder>().unwrap();
        assert_eq!(recorder.lines.len(), 6);
        assert!(event_loop.take_observer::<Recorder>().is_none());
        state.handle.insert_idle(|_| ());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let histograms = event_loop.observer::<Histograms>().unwrap();
        assert_eq!(histograms.get(CallbackKind::Idle, "idle").unwrap().count(), 2);
    }

    #[test]
    fn an_idle_is_reported_under_its_name_and_no_other_is() {
        let (mut event_loop, mut state) = new_loop();
        // Names that nobody asks for do not stay.
        state.handle.insert_idle_with(named("unseen"), |_| ());
        state.handle.insert_idle_with(named("nor this"), |_| ());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        event_loop.set_observer(Recorder::default());
        state.handle.insert_idle_with(named("redraw"), |_| ());
        let cancelled = state.handle.insert_idle_with(named("cancelled"), |_| ());
        state.handle.insert_idle(|_| ());
        state.handle.insert_idle_with(named("save"), |_| ());
        assert!(state.handle.cancel_idle(cancelled));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let lines = Recorder::take(&mut event_loop);
        let begins: Vec<_> = lines.iter().filter(|line| line.ends_with(" begins")).collect();
        assert_eq!(begins, ["Idle redraw begins", "Idle idle begins", "Idle save begins"]);
    }

    #[test]
    fn one_that_may_be_there_observes_if_it_is() {
        for there in [false, true] {
            let (mut event_loop, mut state) = new_loop();
            event_loop.set_observer(there.then(Recorder::default));
            state.handle.insert_idle(|_| ());
            event_loop.dispatch(ZERO, &mut state).unwrap();
            let recorder = event_loop.observer::<Option<Recorder>>().unwrap().as_ref();
            assert_eq!(recorder.map(|recorder| recorder.lines.len()), there.then_some(6));
        }
    }

    #[test]
    fn the_slowest_are_remembered_and_ranked() {
        let (mut event_loop, mut state, clock) = manual_loop();
        event_loop.set_observer(SlowestCallbacks::new(2));
        for (name, work) in [("short", 2), ("long", 6), ("shortest", 1), ("longer", 4)] {
            let callback = move |_, _: &mut State| {
                spin(work * MS);
                TimeoutAction::Drop
            };
            let timer = Timer::from_duration(MS);
            state.handle.insert_once_with(named(name), timer, callback).unwrap();
        }
        clock.advance(3 * MS);
        event_loop.dispatch(None, &mut state).unwrap();
        let slowest = event_loop.observer_mut::<SlowestCallbacks>().unwrap();
        // A busy machine may make any of them slower: whichever they are, they are in order.
        let all: Vec<_> = slowest.iter().collect();
        assert_eq!(all.len(), 2);
        assert!(all[0].duration >= all[1].duration && all[1].duration >= 4 * MS);
        assert_eq!(all[0].lateness, Some(2 * MS));
        let (first, text) = (all[0].name.clone(), slowest.to_string());
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("name") && lines[0].ends_with("  late by"), "{text}");
        assert!(lines[1].starts_with(&first) && lines[1].ends_with("  2.0ms"), "{text}");
        slowest.clear();
        assert_eq!(slowest.iter().count(), 0);
    }

    #[test]
    fn the_lateness_of_timers_is_on_the_loops_clock() {
        let (mut event_loop, mut state, clock) = manual_loop();
        event_loop.set_observer(Recorder::default());
        insert_timer(&mut state, "first", MS);
        insert_timer(&mut state, "second", 3 * MS);
        state.handle.insert_idle(|_| ());
        clock.advance(5 * MS);
        event_loop.dispatch(None, &mut state).unwrap();
        insert_timer(&mut state, "in time", HOUR);
        event_loop.dispatch(None, &mut state).unwrap();
        let recorder = event_loop.observer::<Recorder>().unwrap();
        assert_eq!(recorder.lateness, [Some(4 * MS), Some(2 * MS), None, Some(ZERO)]);
    }

    #[test]
    fn after_a_panic_the_loop_and_its_observer_go_on() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.set_observer(Recorder::default());
        state.handle.insert_idle(|_| panic!("an idle that fails"));
        let dispatch = AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state));
        assert!(catch_unwind(dispatch).is_err());
        let lines = Recorder::take(&mut event_loop);
        assert_eq!(lines.last().unwrap(), "Idle idle begins");
        state.handle.insert_idle(|_| ());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(Recorder::take(&mut event_loop).last().unwrap(), "end of round 2");
    }
}

mod ready_made {
    use super::*;

    #[test]
    fn slow_callbacks_tells_of_those_over_the_threshold() {
        let (mut event_loop, mut state) = new_loop();
        let (sender, seen) = channel();
        event_loop.observe(slow_callbacks(20 * MS, move |report| {
            sender.send((report.name.to_owned(), report.duration)).unwrap();
        }));
        insert_timer(&mut state, "fast", ZERO);
        let slow = |_, _: &mut State| {
            spin(20 * MS);
            TimeoutAction::Drop
        };
        state.handle.insert_source_with(named("slow"), Timer::immediate(), slow).unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        drop(event_loop);
        let slow: Vec<_> = seen.iter().filter(|(name, _)| name == "slow").collect();
        assert_eq!(slow.len(), 1);
        assert!(slow[0].1 >= 20 * MS);
    }

    #[test]
    fn histograms_share_a_name_and_render_as_a_table() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.set_observer(Histograms::new());
        (0..10).for_each(|_| _ = insert_timer(&mut state, "client", ZERO));
        state.handle.insert_idle(|_| spin(5 * MS));
        event_loop.dispatch(LONG, &mut state).unwrap();
        let histograms = event_loop.observer::<Histograms>().unwrap();
        let client = histograms.get(CallbackKind::Source, "client").unwrap();
        assert_eq!(client.count(), 10);
        assert!(client.quantile(0.5) <= client.quantile(0.99));
        assert!(client.quantile(0.99) <= client.max());
        assert!(histograms.get(CallbackKind::Idle, "idle").unwrap().max() >= 5 * MS);
        assert!(histograms.get(CallbackKind::Op, "client").is_none());
        let names: Vec<_> = histograms.iter().map(|(kind, name, _)| (kind, name)).collect();
        assert_eq!(names, [(CallbackKind::Source, "client"), (CallbackKind::Idle, "idle")]);
        let table = histograms.to_string();
        let rows: Vec<Vec<_>> =
            table.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
        assert_eq!(rows[0], ["name", "kind", "callbacks"]);
        assert_eq!(rows[1..], [["idle", "idle", "1"], ["client", "source", "10"]]);
    }

    /// A file that the test reads while the loop holds it.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_trace_is_json_that_names_waits_and_callbacks() {
        let (mut event_loop, mut state) = new_loop();
        let file = Shared::default();
        event_loop.set_observer(ChromeTrace::new(file.clone()));
        let spinning = |_, _: &mut State| {
            spin(2 * MS);
            TimeoutAction::Drop
        };
        let options = named("a \"name\"\\\n").priority(Priority::High);
        state.handle.insert_source_with(options, Timer::immediate(), spinning).unwrap();
        state.handle.insert_idle(|_| ());
        event_loop.dispatch(LONG, &mut state).unwrap();
        drop(event_loop);
        let trace: serde_json::Value = serde_json::from_slice(&file.0.lock().unwrap()).unwrap();
        let events = trace.as_array().unwrap();
        let names: Vec<_> = events.iter().map(|event| event["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["wait", "a \"name\"\\\n", "idle"]);
        let timer = &events[1];
        assert_eq!(timer["cat"], "source");
        assert_eq!(timer["ph"], "X");
        assert_eq!(timer["args"]["priority"], "High");
        assert!(timer["args"]["lateness_us"].as_f64().unwrap() > 0.0);
        assert!(timer["dur"].as_f64().unwrap() >= 2000.0);
        let end = timer["ts"].as_f64().unwrap() + timer["dur"].as_f64().unwrap();
        assert!(events[2]["ts"].as_f64().unwrap() >= end, "one after the other");
    }

    #[test]
    fn an_empty_trace_is_json_and_a_trace_that_is_finished_stays_so() {
        let (mut event_loop, mut state) = new_loop();
        let file = Shared::default();
        event_loop.set_observer(ChromeTrace::new(file.clone()));
        event_loop.observer_mut::<ChromeTrace<Shared>>().unwrap().finish().unwrap();
        state.handle.insert_idle(|_| ());
        event_loop.dispatch(LONG, &mut state).unwrap();
        drop(event_loop);
        assert_eq!(*file.0.lock().unwrap(), b"[\n]\n");
    }

    #[test]
    fn a_trace_tells_of_an_error_of_its_writer() {
        let (mut event_loop, mut state) = new_loop();
        let full: &'static mut [u8] = Box::leak(Box::new([0; 10]));
        event_loop.set_observer(ChromeTrace::new(full));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let trace = event_loop.observer_mut::<ChromeTrace<&'static mut [u8]>>().unwrap();
        assert_eq!(trace.finish().unwrap_err().kind(), std::io::ErrorKind::WriteZero);
    }

    #[cfg(feature = "tracing")]
    mod spans {
        use std::sync::atomic::{AtomicU64, Ordering};
        use std::sync::mpsc::Sender;

        use soloop::TracingSpans;
        use tracing::field::{Field, Visit};
        use tracing::span::{Attributes, Id, Record};
        use tracing::{Event, Metadata, Subscriber};

        use super::*;

        struct Log {
            lines: Sender<String>,
            next: AtomicU64,
        }

        struct Fields(String);

        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() != "lateness" {
                    self.0 += &format!(" {field}={value:?}");
                }
            }
        }

        impl Subscriber for Log {
            fn enabled(&self, metadata: &Metadata<'_>) -> bool {
                metadata.target() == "soloop" || metadata.is_event()
            }

            fn new_span(&self, span: &Attributes<'_>) -> Id {
                let mut fields = Fields(span.metadata().name().to_owned());
                span.record(&mut fields);
                self.lines.send(fields.0).unwrap();
                Id::from_u64(self.next.fetch_add(1, Ordering::Relaxed))
            }

            fn record(&self, _: &Id, _: &Record<'_>) {}
            fn record_follows_from(&self, _: &Id, _: &Id) {}

            fn event(&self, event: &Event<'_>) {
                let mut fields = Fields(String::from("event"));
                event.record(&mut fields);
                self.lines.send(fields.0).unwrap();
            }

            fn enter(&self, span: &Id) {
                self.lines.send(format!("> {}", span.into_u64())).unwrap();
            }

            fn exit(&self, span: &Id) {
                self.lines.send(format!("< {}", span.into_u64())).unwrap();
            }
        }

        #[test]
        fn what_a_callback_logs_is_in_its_span() {
            let (lines, log) = channel();
            tracing::subscriber::with_default(Log { lines, next: AtomicU64::new(1) }, || {
                let (mut event_loop, mut state) = new_loop();
                event_loop.set_observer(TracingSpans::new());
                let callback = |_, _: &mut State| {
                    tracing::info!("hello");
                    TimeoutAction::Drop
                };
                let timer = Timer::immediate();
                state.handle.insert_source_with(named("frame"), timer, callback).unwrap();
                event_loop.dispatch(LONG, &mut state).unwrap();
            });
            let lines: Vec<_> = log.try_iter().collect();
            assert_eq!(
                lines,
                [
                    "wait",
                    "> 1",
                    "< 1",
                    "callback name=\"frame\" kind=\"source\"",
                    "> 2",
                    "event message=hello",
                    "< 2"
                ]
            );
        }
    }
}

mod stats {
    use super::*;

    #[test]
    fn rounds_events_and_wakeups_are_always_counted() {
        let (mut event_loop, mut state) = new_loop();
        let (ping, source) = make_ping();
        state.handle.insert_source(source, |(), _: &mut State| ()).unwrap();
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let stats = event_loop.stats();
        assert_eq!((stats.rounds, stats.events, stats.wakeups), (1, 0, 0));
        for _ in 0..3 {
            ping.ping();
            ping.ping();
            event_loop.dispatch(LONG, &mut state).unwrap();
        }
        let stats = event_loop.stats();
        assert_eq!((stats.rounds, stats.events, stats.wakeups), (4, 3, 3));
        assert_eq!((stats.asleep, stats.busy), (ZERO, ZERO), "off");
        assert!(stats.sources.is_empty());
    }

    #[test]
    fn a_notification_that_a_wait_finds_is_a_wakeup() {
        let (mut event_loop, mut state) = new_loop();
        let (ping, source) = make_ping();
        state.handle.insert_source(source, |(), state: &mut State| state.note("ping")).unwrap();
        // What is posted runs before the wait.
        state.handle.remote().post(move |_| ping.ping());
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["ping"]);
        assert_eq!(event_loop.stats().wakeups, 1);
    }

    #[test]
    fn a_wait_that_slept_is_a_wakeup() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.enable_stats(true);
        insert_timer(&mut state, "timer", 5 * MS);
        event_loop.dispatch(LONG, &mut state).unwrap();
        let stats = event_loop.stats();
        assert_eq!(stats.wakeups, 1);
        assert!(stats.asleep >= 4 * MS, "{stats:?}");
    }

    #[test]
    fn sources_are_told_apart_and_remembered_when_they_are_gone() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.enable_stats(true);
        let (sender, channel) = soloop::channel();
        let slow = |_, _: &mut State| spin(MS);
        let token = state.handle.insert_source_with(named("slow"), channel, slow).unwrap();
        let timer = insert_timer(&mut state, "once", ZERO);
        insert_timer(&mut state, "never", HOUR);
        (0..3).for_each(|n| sender.send(n).unwrap());
        event_loop.dispatch(LONG, &mut state).unwrap();
        let stats = event_loop.stats();
        assert_eq!((stats.rounds, stats.events), (1, 4));
        assert!(stats.busy >= 3 * MS);
        let [once, slow] = &stats.sources[..] else { panic!("{stats:?}") };
        assert_eq!((&*once.name, once.events, once.token), ("once", 1, timer.into()));
        assert_eq!((&*slow.name, slow.events, slow.token), ("slow", 3, token.into()));
        assert!(slow.busy >= 3 * MS && slow.slowest >= MS && slow.busy >= slow.slowest);
        event_loop.enable_stats(true);
        assert_eq!(event_loop.stats().sources.len(), 2, "it was on already");
        event_loop.enable_stats(false);
        let stats = event_loop.stats();
        assert_eq!((stats.events, stats.sources.len(), stats.busy), (4, 0, ZERO));
    }

    #[test]
    fn no_time_counts_from_before_they_are_enabled() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.observe(|_| ());
        state.handle.insert_idle(|state| state.note("observed"));
        event_loop.dispatch(LONG, &mut state).unwrap();
        event_loop.enable_stats(true);
        assert_eq!((event_loop.stats().busy, event_loop.stats().asleep), (ZERO, ZERO));
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert!(event_loop.stats().busy > ZERO);
    }

    #[test]
    fn of_those_that_are_gone_the_last_ones_are_kept() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.enable_stats(true);
        for _ in 0..30 {
            (0..10).for_each(|_| _ = insert_timer(&mut state, "client", ZERO));
            event_loop.dispatch(LONG, &mut state).unwrap();
        }
        assert_eq!(event_loop.stats().events, 300);
        assert_eq!(event_loop.stats().sources.len(), 256);
    }
}

mod from_inside {
    use super::*;

    #[test]
    fn a_callback_inspects_the_loop_it_runs_in() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.enable_stats(true);
        event_loop.set_observer((Histograms::new(), None::<Recorder>));
        let (ping, source) = make_ping();
        let ask = |(), state: &mut State| {
            state.handle.inspect(|event_loop, state| {
                let table = event_loop.sources(&state.handle);
                let names = table.rows.iter().map(|row| (row.name.clone().unwrap(), row.events));
                let (histograms, _) =
                    event_loop.observer::<(Histograms, Option<Recorder>)>().unwrap();
                let asked = histograms.get(CallbackKind::Source, "asks").unwrap().count();
                state.note(format!("{:?} {asked}", names.collect::<Vec<_>>()));
                let timer = insert_timer(state, "inserted later", HOUR);
                assert!(event_loop.get(timer).is_none(), "it is stored after this");
                state.tokens.push(timer.into());
            });
            insert_timer(state, "inserted first", HOUR);
            state.note("asked");
        };
        let asks = state.handle.insert_source_with(named("asks"), source, ask).unwrap();
        for n in 1..=2 {
            ping.ping();
            event_loop.dispatch(LONG, &mut state).unwrap();
            let [asked, answer] = &state.take_log()[..] else { panic!() };
            assert_eq!(asked, "asked");
            assert!(answer.starts_with(&format!("[(\"asks\", {n})")), "{answer}");
            assert!(answer.ends_with(&format!("] {n}")), "{answer}");
        }
        assert!(event_loop.get(asks).is_some());
        assert!(state.handle.contains(state.tokens[0]));
        let (histograms, _) = event_loop.observer::<(Histograms, Option<Recorder>)>().unwrap();
        let inspections = histograms.get(CallbackKind::Inspect, "inspect").unwrap();
        assert_eq!(inspections.count(), 2, "which is a callback as any other");
    }

    #[test]
    fn an_inspection_keeps_its_place_among_the_ops() {
        let (mut event_loop, mut state) = new_loop();
        let timer = insert_timer(&mut state, "timer", HOUR);
        let look = move |event_loop: &EventLoop<State>, state: &mut State| {
            state.note(event_loop.get(timer).is_some());
        };
        state.handle.inspect(look);
        state.handle.remove(timer);
        state.handle.inspect(look);
        // No timeout: what is inspected keeps the loop from blocking.
        event_loop.dispatch(None, &mut state).unwrap();
        assert_eq!(state.log, ["true", "false"]);
    }

    #[test]
    fn one_that_panics_leaves_loop_and_observer() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.set_observer(Recorder::default());
        state.handle.inspect(|_, _| panic!("it saw something"));
        state.handle.inspect(|_, state| state.note("and on"));
        let dispatch = AssertUnwindSafe(|| event_loop.dispatch(ZERO, &mut state));
        assert!(catch_unwind(dispatch).is_err());
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["and on"]);
        let lines = Recorder::take(&mut event_loop);
        let inspections = lines.iter().filter(|line| line.starts_with("Inspect"));
        assert_eq!(inspections.count(), 3, "two begin, one ends");
    }
}

mod table {
    use super::*;

    #[test]
    fn shows_every_source_with_its_columns_aligned() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.enable_stats(true);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let options = named("a client").priority(Priority::High).on_error(ErrorAction::Disable);
        let source = Generic::new(theirs, Interest::READ, Mode::Level);
        let fails = |_: Ready<'_, UnixStream>, _: &mut State| {
            Err(std::io::Error::other("it spoke\nnonsense"))
        };
        let client = state.handle.insert_source_with(options, source, fails).unwrap();
        let timer =
            state.handle.insert_source(Timer::from_duration(HOUR), |_, _| TimeoutAction::Drop);
        (&ours).write_all(b"x").unwrap();
        assert!(event_loop.sources(&state.handle).rows.is_empty(), "nothing is stored yet");
        event_loop.dispatch(LONG, &mut state).unwrap();

        let table = event_loop.sources(&state.handle);
        let [first, second] = &table.rows[..] else { panic!("{table:?}") };
        assert_eq!((first.token, first.name.as_deref()), (client.into(), Some("a client")));
        assert!(!first.enabled);
        assert_eq!((first.events, first.priority), (1, Priority::High));
        assert_eq!(first.last_error.as_deref(), Some("it spoke\nnonsense"));
        assert_eq!((second.token, &second.name), (timer.unwrap().into(), &None));
        assert!(second.enabled && second.type_name.ends_with("::Timer"));

        let text = table.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        for title in ["name", "type", "state", "priority", "events", "time"] {
            let at = lines[0].find(title).unwrap();
            for line in &lines[1..] {
                assert!(line[at..].starts_with(|c: char| c != ' '), "{title}:\n{text}");
                assert!(at == 0 || line[..at].ends_with("  "), "{title}:\n{text}");
            }
        }
        assert!(lines[1].starts_with("a client  Generic<UnixStream>  disabled  high"), "{text}");
        assert!(lines[1].ends_with("  it spoke nonsense"), "{text}");
        assert!(lines[2].starts_with("-         Timer                enabled   normal"), "{text}");
    }

    #[test]
    fn of_another_loops_handle_it_is_empty() {
        let (mut event_loop, mut state) = new_loop();
        let (_, other) = new_loop();
        insert_timer(&mut state, "timer", HOUR);
        event_loop.apply_pending(&mut state).unwrap();
        assert_eq!(event_loop.sources(&state.handle).rows.len(), 1);
        assert!(event_loop.sources(&other.handle).rows.is_empty());
    }
}

mod error_policies {
    use super::*;

    /// A readable fd whose callback does what `answers` says.
    fn insert(
        state: &mut State,
        options: SourceOptions,
        answers: impl IntoIterator<Item = std::io::Result<PostAction>>,
    ) -> (UnixStream, Token<Generic<UnixStream>>) {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"x").unwrap();
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        let source = Generic::new(theirs, Interest::READ, Mode::Level);
        let start = state.handle.now();
        let callback = move |_: Ready<'_, UnixStream>, state: &mut State| {
            let after = state.handle.now() - start;
            state.note(format!("{} ms", after.as_millis()));
            answers.pop_front().unwrap_or(Ok(PostAction::Remove))
        };
        (ours, state.handle.insert_source_with(options, source, callback).unwrap())
    }

    fn failure() -> std::io::Result<PostAction> {
        Err(std::io::Error::other("refused"))
    }

    #[test]
    fn of_a_source_precedes_that_of_the_loop() {
        let options = [
            named("reports").on_error(ErrorAction::Report),
            named("ignores").on_error(ErrorAction::Ignore),
            named("disables").on_error(ErrorAction::Disable),
            named("removes").on_error(ErrorAction::Remove),
            named("asks"),
        ];
        for (case, options) in options.into_iter().enumerate() {
            let (mut event_loop, mut state) = new_loop();
            event_loop.on_error(|error, state: &mut State| {
                state.note(error);
                ErrorAction::Remove
            });
            let name = format!("{options:?}");
            let (_ours, token) = insert(&mut state, options, [failure()]);
            let result = event_loop.dispatch(LONG, &mut state);
            assert_eq!(result.is_err(), case == 0, "{name}");
            if let Err(error) = result {
                assert_eq!(error.to_string(), "source `reports` failed: refused");
            }
            assert_eq!(state.handle.contains(token), case < 3, "{name}");
            let log = state.take_log();
            assert_eq!(log.len(), if case == 4 { 2 } else { 1 }, "{name}: {log:?}");
            if case < 3 {
                let table = event_loop.sources(&state.handle);
                assert_eq!(table.rows[0].enabled, case != 2, "{name}");
            }
        }
    }

    #[test]
    fn a_retry_disables_the_source_for_so_long() {
        let (mut event_loop, mut state, clock) = manual_loop();
        let options = named("server").on_error(ErrorAction::Retry(100 * MS));
        let (_ours, token) = insert(&mut state, options, [failure(), failure()]);
        event_loop.dispatch(None, &mut state).unwrap();
        let table = event_loop.sources(&state.handle);
        let retry = table.rows.iter().find(|row| row.token != token).unwrap();
        assert_eq!(retry.name.as_deref(), Some("retry of server"));
        clock.advance(99 * MS);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        assert_eq!(state.log, ["0 ms"]);
        while state.handle.contains(token) {
            event_loop.dispatch(None, &mut state).unwrap();
        }
        assert_eq!(state.log, ["0 ms", "100 ms", "200 ms"]);
        event_loop.dispatch(HOUR, &mut state).unwrap();
        assert!(event_loop.sources(&state.handle).rows.is_empty(), "nothing stays behind");
    }

    #[test]
    fn an_explicit_op_takes_the_place_of_a_retry() {
        type Op = fn(&mut State, Token<Generic<UnixStream>>);
        let ops: [(Op, &[&str]); 3] = [
            (|state, token| assert!(state.handle.disable(token)), &["0 ms"]),
            (|state, token| assert!(state.handle.enable(token)), &["0 ms", "0 ms"]),
            (|state, token| assert!(state.handle.remove(token)), &["0 ms"]),
        ];
        for (op, expected) in ops {
            let (mut event_loop, mut state, _clock) = manual_loop();
            let options = SourceOptions::new().on_error(ErrorAction::Retry(100 * MS));
            let (_ours, token) = insert(&mut state, options, [failure()]);
            event_loop.dispatch(None, &mut state).unwrap();
            op(&mut state, token);
            event_loop.dispatch(ZERO, &mut state).unwrap();
            let others = event_loop.sources(&state.handle).rows;
            assert!(others.iter().all(|row| row.token == token), "the timer is gone: {others:?}");
            event_loop.dispatch(HOUR, &mut state).unwrap();
            assert_eq!(state.log, expected);
        }
    }
}

mod parts {
    use super::*;

    fn log(state: &mut State) -> &mut Vec<String> {
        &mut state.log
    }

    #[test]
    fn a_callback_receives_its_part_of_the_state() {
        let (mut event_loop, mut state) = new_loop();
        let (ping, source) = make_ping();
        let noting = soloop::map_data(log, |(), log: &mut Vec<String>| log.push("ping".into()));
        state.handle.insert_source(source, noting).unwrap();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let fd = Generic::new(theirs, Interest::READ, Mode::Level);
        state
            .handle
            .insert_part(named("fd"), fd, log, |ready, log| {
                let mut byte = [0];
                ready.io.read_exact(&mut byte)?;
                log.push(format!("fd {}", byte[0]));
                Ok(PostAction::Remove)
            })
            .unwrap();
        ping.ping();
        event_loop.dispatch(LONG, &mut state).unwrap();
        ours.write_all(&[7]).unwrap();
        event_loop.dispatch(LONG, &mut state).unwrap();
        assert_eq!(state.log, ["ping", "fd 7"]);
    }
}

mod wakeups {
    use super::*;

    fn of(event_loop: &EventLoop<State>, name: &str) -> u64 {
        let stats = event_loop.stats();
        stats.sources.iter().find(|source| source.name == name).map_or(0, |source| source.wakeups)
    }

    #[test]
    fn are_counted_for_the_source_for_posts_or_for_nothing() {
        let (mut event_loop, mut state) = new_loop();
        event_loop.enable_stats(true);
        let (ping, source) = make_ping();
        state.handle.insert_source_with(named("ping"), source, |(), _| ()).unwrap();
        event_loop.apply_pending(&mut state).unwrap();
        let (remote, signal) = (state.handle.remote(), state.handle.signal());
        // From another thread, while it sleeps or before it does.
        let mut while_it_waits = |act: &(dyn Fn() + Sync), state: &mut State| {
            std::thread::scope(|scope| {
                scope.spawn(act);
                event_loop.dispatch(None, state).unwrap();
            });
            // What was posted runs at last.
            event_loop.dispatch(ZERO, state).unwrap();
            let stats = event_loop.stats();
            let ping = of(&event_loop, "ping");
            assert_eq!(
                ping + stats.wakeups_for_posts + stats.wakeups_for_nothing,
                stats.wakeups,
                "{stats:?}"
            );
            (ping, stats.wakeups_for_posts, stats.wakeups_for_nothing)
        };
        assert_eq!(while_it_waits(&|| ping.ping(), &mut state), (1, 0, 0));
        let posted = || assert!(remote.post(|_| ()));
        assert_eq!(while_it_waits(&posted, &mut state).0, 1);
        let (_, _, before) = while_it_waits(&|| ping.ping(), &mut state);
        assert_eq!(while_it_waits(&|| signal.wakeup(), &mut state).2, before + 1);
    }

    #[test]
    fn tell_who_keeps_the_loop_awake() {
        let (mut event_loop, mut state, clock) = manual_loop();
        event_loop.enable_stats(true);
        let tick = |every: Duration| move |_, _: &mut State| TimeoutAction::ToDuration(every);
        let busy = Timer::from_duration(10 * MS);
        state.handle.insert_source_with(named("busy"), busy, tick(10 * MS)).unwrap();
        let calm = Timer::from_duration(HOUR);
        state.handle.insert_source_with(named("calm"), calm, tick(HOUR)).unwrap();
        let start = clock.now();
        event_loop.run_until(start + 1000 * MS, &mut state).unwrap();
        assert!((99..=100).contains(&of(&event_loop, "busy")), "{:?}", event_loop.stats());
        assert_eq!(of(&event_loop, "calm"), 0);
        let rows = event_loop.sources(&state.handle).rows;
        let busy = rows.iter().find(|row| row.name.as_deref() == Some("busy")).unwrap();
        assert_eq!(busy.wakeups, of(&event_loop, "busy"));
        let calm = rows.iter().find(|row| row.name.as_deref() == Some("calm")).unwrap();
        assert_eq!(calm.deadline, Some(start + HOUR));
        assert_eq!((calm.backlog, calm.scoped), (0, false));
    }
}
