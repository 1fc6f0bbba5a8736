//! What cost more than it may, or was kept for good.

use super::*;

use std::convert::Infallible;
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::POLL_BACKEND;
use soloop::{Clock, EventLoop, Notifier};

/// Holds some notifiers; has hooks if `HOOKS`.
#[derive(Default)]
pub(crate) struct Notified<const HOOKS: bool> {
    /// How many it registers.
    count: usize,
    pub(crate) notifiers: Vec<(InterestToken, Notifier)>,
    /// Does not release them when it is unregistered.
    forgets: bool,
}

impl<const HOOKS: bool> Notified<HOOKS> {
    pub(crate) fn new(count: usize) -> Self {
        Self { count, ..Self::default() }
    }
}

impl<const HOOKS: bool> EventSource for Notified<HOOKS> {
    type Event<'a> = ();
    type Ret = ();
    type Error = Infallible;
    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = HOOKS;

    fn register(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        self.notifiers = (0..self.count).map(|_| registrar.notifier()).collect();
        Ok(())
    }

    fn reregister(&mut self, _: &mut Registrar<'_>) -> io::Result<()> {
        Ok(())
    }

    fn unregister(&mut self, registrar: &mut Registrar<'_>) -> io::Result<()> {
        for (token, _) in self.notifiers.drain(..) {
            if !self.forgets {
                registrar.release(token);
            }
        }
        Ok(())
    }

    fn process_events<F>(
        &mut self,
        _: Readiness,
        _: InterestToken,
        mut callback: F,
    ) -> Result<PostAction, Infallible>
    where
        F: FnMut(()),
    {
        callback(());
        Ok(PostAction::Continue)
    }
}

/// The least time of some runs of `work`: the others were disturbed.
fn cost(mut work: impl FnMut()) -> Duration {
    let run = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..7).map(run).min().unwrap()
}

// The kernel goes on telling of a file that only a duplicate keeps open. The loop cannot end that, but it says so.
#[test]
fn f21_a_file_that_the_kernel_goes_on_telling_of_is_reported_once() {
    if POLL_BACKEND {
        return;
    }
    let (mut event_loop, mut state) = new_loop();
    let leak = |name: &'static str, state: &mut State| {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let duplicate = theirs.try_clone().unwrap();
        let (spare, far) = UnixStream::pair().unwrap();
        let mut spare = Some(spare);
        let callback = move |ready: Ready<'_, UnixStream>, state: &mut State| {
            state.note(name);
            // Closes the number that is registered.
            if let Some(spare) = spare.take() {
                *ready.io = spare;
            }
            Ok(PostAction::Remove)
        };
        let options = soloop::SourceOptions::new().name(name);
        let source = Generic::new(theirs, Interest::READ, Mode::Level);
        state.handle.insert_source_with(options, source, callback).unwrap();
        ours.write_all(b"x").unwrap();
        (ours, duplicate, far)
    };
    let names = ["leaky", "leaking", "a leak"];
    let kept = names.map(|name| leak(name, &mut state));
    let mut reports = Vec::new();
    for _ in 0..1_000 {
        if let Err(error) = event_loop.dispatch(MS, &mut state) {
            reports.push(error.to_string());
        }
    }
    drop(kept);
    assert_eq!(state.log, names);
    assert!(event_loop.stats().stale >= 100, "{:?}", event_loop.stats());
    assert_eq!(reports.len(), names.len(), "1,000 rounds, reported by {reports:?}");
    for name in names {
        assert!(reports.iter().any(|report| report.contains(name)), "{name}: {reports:?}");
    }
}

/// Timers with one deadline whose callbacks ask for that deadline again.
#[test]
fn f22_equal_deadlines_that_are_set_anew() {
    let rounds_of = |count: u32| {
        let (mut event_loop, mut state, clock) = manual_loop();
        let deadline = clock.now() + MS;
        for _ in 0..count {
            let again = |deadline, _: &mut State| TimeoutAction::ToInstant(deadline);
            state.handle.insert_source(Timer::from_deadline(deadline), again).unwrap();
        }
        clock.advance(MS);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let before = event_loop.stats().events;
        let time = cost(|| event_loop.dispatch(ZERO, &mut state).unwrap());
        assert_eq!(event_loop.stats().events - before, 7 * u64::from(count));
        time
    };
    let (few, many) = (rounds_of(250), rounds_of(8_000));
    // n log n: about 50 times as much; n²: 1,000 times.
    assert!(many < few * 150, "{few:?} for 250 timers, {many:?} for 8,000");
}

mod f23_independent_of_the_others {
    use super::*;

    type Work = fn(&mut EventLoop<State>, &mut State);

    /// `work` beside ten and beside many other sources.
    fn independent(many: usize, fill: fn(&mut State, usize), work: Work) {
        let beside = |count| {
            let (mut event_loop, mut state) = new_loop();
            fill(&mut state, count);
            event_loop.apply_pending(&mut state).unwrap();
            cost(|| work(&mut event_loop, &mut state))
        };
        let (few, much) = (beside(10), beside(many));
        assert!(much < few * 15, "{few:?} beside 10 others, {much:?} beside {many}");
    }

    fn timers(state: &mut State, count: usize) {
        for _ in 0..count {
            let timer = Timer::from_duration(HOUR);
            state.handle.insert_source(timer, |_, _| TimeoutAction::Drop).unwrap();
        }
    }

    #[test]
    fn f23_removing_a_timer_beside_sources_with_hooks() {
        let hooked = |state: &mut State, count| {
            for _ in 0..count {
                state.handle.insert_source(Notified::<true>::new(0), |(), _| ()).unwrap();
            }
        };
        independent(20_000, hooked, |event_loop, state| {
            for _ in 0..100 {
                let timer = Timer::from_duration(HOUR);
                let token = state.handle.insert_source(timer, |_, _| TimeoutAction::Drop).unwrap();
                event_loop.apply_pending(state).unwrap();
                state.handle.remove(token);
                event_loop.apply_pending(state).unwrap();
            }
        });
    }

    #[test]
    fn f23_replacing_an_fd_beside_timers() {
        independent(100_000, timers, |event_loop, state| {
            let (_near, source) = pair(Mode::Level);
            let token = state.handle.insert_source(source, noting("never")).unwrap();
            for _ in 0..50 {
                let (_near, far) = UnixStream::pair().unwrap();
                state.handle.update(token, |source| *source.get_mut() = far);
                event_loop.apply_pending(state).unwrap();
            }
            state.handle.remove(token);
            event_loop.apply_pending(state).unwrap();
        });
    }

    #[test]
    fn f23_sweeping_up_what_a_source_forgot() {
        let notified = |state: &mut State, count| {
            for _ in 0..count {
                state.handle.insert_source(Notified::<false>::new(3), |(), _| ()).unwrap();
            }
        };
        independent(20_000, notified, |event_loop, state| {
            for _ in 0..50 {
                let source = Notified::<false> { forgets: true, ..Notified::new(3) };
                let token = state.handle.insert_source(source, |(), _| ()).unwrap();
                event_loop.apply_pending(state).unwrap();
                state.handle.remove(token);
                event_loop.apply_pending(state).unwrap();
            }
        });
    }
}

const MIB: usize = 1 << 20;

/// Has glibc ask the kernel for each block of a page or more, and give it back when it is freed. Small ones are on
/// the heap, and go back only when those behind them are free.
const GIVING_BACK: &str = "glibc.malloc.mmap_threshold=4096:glibc.malloc.trim_threshold=65536\
    :glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0";

/// Runs `body` in a process of its own whose allocator gives back to the kernel what is freed. `name` as for
/// `in_child`.
fn alone(name: &str, body: impl FnOnce()) {
    if std::env::var_os("SOLOOP_TEST_CHILD").is_some() {
        return body();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--nocapture", "--test-threads=1"])
        .env("SOLOOP_TEST_CHILD", name)
        .env("GLIBC_TUNABLES", GIVING_BACK)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{name}: {text}{errors}");
}

/// The memory of this process that is in use in mappings such as `wanted`, in bytes.
fn resident_in(wanted: impl Fn(&str) -> bool) -> usize {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut bytes, mut counts) = (0, false);
    for line in maps.lines() {
        if let Some(resident) = line.strip_prefix("Rss:") {
            let resident: usize = resident.trim().trim_end_matches(" kB").parse().unwrap();
            bytes += if counts { resident * 1024 } else { 0 };
        } else if line.starts_with(|first: char| !first.is_ascii_uppercase()) {
            counts = wanted(line);
        }
    }
    bytes
}

/// What large blocks take: those of queues and tables.
fn in_large_blocks() -> usize {
    resident_in(|mapping| !mapping.ends_with("[heap]"))
}

mod f24_memory_is_given_back {
    use super::*;

    /// What is left of the memory that `fill` takes once all is done and the loop has been idle for some rounds.
    fn given_back(
        least: usize,
        prepare: impl FnOnce(&mut State),
        fill: impl FnOnce(&mut State),
        expected: u64,
    ) {
        let (mut event_loop, mut state) = new_loop();
        prepare(&mut state);
        event_loop.dispatch(ZERO, &mut state).unwrap();
        let before = in_large_blocks();
        fill(&mut state);
        let filled = in_large_blocks() - before;
        assert!(filled >= least, "took only {filled} bytes");
        let mut peak = filled;
        let end = Instant::now() + LONG;
        while state.log.len() < expected as usize && Instant::now() < end {
            event_loop.dispatch(ZERO, &mut state).unwrap();
            peak = peak.max(in_large_blocks() - before);
        }
        assert_eq!(state.log.len() as u64, expected);
        for _ in 0..16 {
            event_loop.dispatch(ZERO, &mut state).unwrap();
        }
        let kept = in_large_blocks().saturating_sub(before);
        assert!(kept < 2 * MIB, "{kept} bytes of {peak} are kept");
    }

    /// The last of a flood is noted.
    fn is_last(n: u32, state: &mut State) {
        if n == 0 {
            state.note("last");
        }
    }

    #[test]
    fn f24_of_messages() {
        alone("f24_of_messages", || {
            let (sender, channel) = soloop::channel::<[u8; 1024]>();
            let callback = |event: Event<[u8; 1024]>, state: &mut State| {
                if let Event::Msg(message) = event {
                    is_last(message[0].into(), state);
                }
            };
            let prepare = |state: &mut State| {
                state.handle.insert_source(channel, callback).unwrap();
            };
            let fill = |_: &mut State| {
                (0..40_000).for_each(|_| sender.send([1; 1024]).unwrap());
                sender.send([0; 1024]).unwrap();
            };
            given_back(40_000 * 1024, prepare, fill, 1);
        });
    }

    #[test]
    fn f24_of_a_bounded_channel() {
        alone("f24_of_a_bounded_channel", || {
            let (sender, channel) = soloop::sync_channel::<[u8; 1024]>(50_000);
            let callback = |event: Event<[u8; 1024]>, state: &mut State| {
                if let Event::Msg(message) = event {
                    is_last(message[0].into(), state);
                }
            };
            let prepare = |state: &mut State| {
                state.handle.insert_source(channel, callback).unwrap();
            };
            let fill = |_: &mut State| {
                (0..40_000).for_each(|_| sender.send([1; 1024]).unwrap());
                sender.send([0; 1024]).unwrap();
            };
            given_back(40_000 * 1024, prepare, fill, 1);
        });
    }

    #[test]
    fn f24_of_a_channel_that_grows_while_it_is_read() {
        alone("f24_of_a_channel_that_grows_while_it_is_read", || {
            let (sender, channel) = soloop::channel::<[u8; 1024]>();
            let resend = sender.clone();
            // Each of the first hundred makes four hundred more, while the loop takes them out.
            let callback = move |event: Event<[u8; 1024]>, state: &mut State| {
                if let Event::Msg(message) = event {
                    if message[0] == 2 {
                        (0..400).for_each(|_| resend.send([1; 1024]).unwrap());
                    } else if message[0] == 3 {
                        resend.send([0; 1024]).unwrap();
                    }
                    is_last(message[0].into(), state);
                }
            };
            let prepare = |state: &mut State| {
                state.handle.insert_source(channel, callback).unwrap();
            };
            let fill = |_: &mut State| {
                (0..100).for_each(|_| sender.send([2; 1024]).unwrap());
                sender.send([3; 1024]).unwrap();
            };
            given_back(0, prepare, fill, 1);
        });
    }

    #[test]
    fn f24_of_idles() {
        alone("f24_of_idles", || {
            let fill = |state: &mut State| {
                for _ in 0..1_000_000 {
                    state.handle.insert_idle(|_: &mut State| ());
                }
                state.handle.insert_idle(|state: &mut State| state.note("last"));
            };
            given_back(12 * MIB * size_of::<usize>() / 8, |_| (), fill, 1);
        });
    }

    #[test]
    fn f24_of_posts() {
        alone("f24_of_posts", || {
            let fill = |state: &mut State| {
                let remote = state.handle.remote();
                (0..1_000_000).for_each(|_| assert!(remote.post(|_: &mut State| ())));
                remote.post(|state: &mut State| state.note("last"));
            };
            given_back(12 * MIB * size_of::<usize>() / 8, |_| (), fill, 1);
        });
    }

    #[test]
    fn f24_of_ops() {
        alone("f24_of_ops", || {
            let fill = |state: &mut State| {
                let timer = Timer::from_duration(HOUR);
                let token = state.handle.insert_source(timer, |_, _| TimeoutAction::Drop).unwrap();
                for _ in 0..1_000_000 {
                    state.handle.visit(token, |_, _: &mut State| ());
                }
                state.handle.visit(token, |_, state: &mut State| state.note("last"));
            };
            given_back(12 * MIB, |_| (), fill, 1);
        });
    }

    /// The ready queue, and what a round has to deliver.
    #[test]
    fn f24_of_notifications() {
        alone("f24_of_notifications", || {
            let (event_loop, state) = &mut new_loop();
            let source = Notified::<false>::new(300_000);
            let mut called = 0;
            let callback = move |(), state: &mut State| {
                called += 1;
                is_last(u32::from(called % 300_000 != 0), state);
            };
            let token = state.handle.insert_source(source, callback).unwrap();
            event_loop.dispatch(ZERO, state).unwrap();
            let before = in_large_blocks();
            let source = event_loop.get(token).unwrap();
            source.notifiers.iter().for_each(|(_, notifier)| notifier.notify());
            let end = Instant::now() + LONG;
            while state.log.is_empty() && Instant::now() < end {
                event_loop.dispatch(ZERO, state).unwrap();
            }
            assert_eq!(state.log, ["last"]);
            for _ in 0..16 {
                event_loop.dispatch(ZERO, state).unwrap();
            }
            let kept = in_large_blocks().saturating_sub(before);
            assert!(kept < 2 * MIB, "{kept} bytes are kept");
        });
    }

    /// Their deadlines, and what the loop and its handle hold of each. What remains of a source that is gone is its
    /// generation, so that no token ever names another one.
    #[test]
    fn f24_of_timers() {
        const TIMERS: u32 = 400_000;
        alone("f24_of_timers", || {
            let (mut event_loop, mut state, clock) = manual_loop();
            let fired = Arc::new(AtomicU32::new(0));
            let before = in_large_blocks();
            for _ in 0..TIMERS {
                let fired = fired.clone();
                let fired = move |_: Instant, _: &mut State| {
                    fired.fetch_add(1, Ordering::Relaxed);
                    TimeoutAction::Drop
                };
                let timer = Timer::from_duration(MS);
                state.handle.insert_source(timer, fired).unwrap();
            }
            event_loop.dispatch(ZERO, &mut state).unwrap();
            let peak = in_large_blocks() - before;
            clock.advance(MS);
            for _ in 0..16 {
                event_loop.dispatch(ZERO, &mut state).unwrap();
            }
            assert_eq!(fired.load(Ordering::Relaxed), TIMERS);
            let kept = in_large_blocks().saturating_sub(before);
            let most = 2 * MIB + 32 * TIMERS as usize;
            assert!(kept < most, "{kept} bytes of {peak} are kept");
        });
    }
}

/// A hook that stays behind when its source goes is looked at in every dispatch from then on.
#[test]
fn f25_nothing_is_left_of_hooks() {
    let after = |count: u32| {
        let (mut event_loop, mut state) = new_loop();
        for _ in 0..count {
            let token = state.handle.insert_source(Notified::<true>::new(0), |(), _| ()).unwrap();
            event_loop.apply_pending(&mut state).unwrap();
            state.handle.remove(token);
            event_loop.apply_pending(&mut state).unwrap();
        }
        cost(|| (0..100).for_each(|_| event_loop.dispatch(ZERO, &mut state).unwrap()))
    };
    let (few, many) = (after(10), after(50_000));
    assert!(many < few * 10, "{few:?} after 10 removals, {many:?} after 50,000");
}

#[test]
fn f26_a_clock_forgets_the_loops_that_are_gone() {
    alone("f26_a_clock_forgets", || {
        let clock = Clock::manual();
        let make = |count: u32| {
            for _ in 0..count {
                drop(EventLoop::<State>::with_clock(clock.clone()).unwrap());
            }
        };
        make(1_000);
        let before = resident_in(|_| true);
        make(30_000);
        let kept = resident_in(|_| true).saturating_sub(before);
        assert!(kept < MIB, "{kept} bytes are kept of 30,000 loops");
    });
}
