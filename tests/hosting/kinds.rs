//! Each of calloop's own kinds of sources.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use calloop::channel::{Event, channel, sync_channel};
use calloop::generic::{Generic, NoIoDrop};
use calloop::ping::make_ping;
use calloop::timer::{TimeoutAction, Timer};
use calloop::transient::TransientSource;
use calloop::{Interest, Mode, PostAction};

use crate::rig::*;

#[test]
fn ping() {
    compare(|rig| {
        let (ping, source) = make_ping().unwrap();
        rig.state.insert(source, |(), _, state| state.note("ping"));
        rig.quiesce();
        ping.ping();
        ping.ping();
        rig.until_noted(1);
        rig.quiesce();
        ping.ping();
        rig.quiesce();
        // The source goes with the last of its senders.
        drop(ping);
        rig.quiesce();
    });
}

fn note_event(event: Event<u32>, _: &mut (), state: &mut State) {
    match event {
        Event::Msg(number) => state.note(number),
        Event::Closed => state.note("closed"),
    }
}

#[test]
fn channels() {
    compare(|rig| {
        let (sender, source) = channel();
        rig.state.insert(source, note_event);
        sender.send(1).unwrap();
        rig.quiesce();
        for number in 2..5 {
            sender.send(number).unwrap();
        }
        drop(sender);
        rig.until_noted(4);
        rig.quiesce();
    });
}

/// calloop delivers 1024 messages in one go, and the others with the next dispatch.
#[test]
fn channels_with_a_backlog() {
    compare(|rig| {
        let (sender, source) = channel();
        rig.state.insert(source, note_event);
        for number in 0..3000 {
            sender.send(number).unwrap();
        }
        rig.until_noted(3000);
        rig.quiesce();
    });
}

#[test]
fn sync_channels() {
    compare(|rig| {
        let (sender, source) = sync_channel(2);
        rig.state.insert(source, note_event);
        sender.send(1).unwrap();
        sender.try_send(2).unwrap();
        assert!(sender.try_send(3).is_err());
        rig.quiesce();
        sender.try_send(4).unwrap();
        rig.until_noted(1);
        drop(sender);
        rig.quiesce();
    });
}

/// Notes a timer, and if it is early or too late.
fn fire(what: &'static str, due: Instant) -> impl Fn(&mut State) {
    move |state| {
        let now = Instant::now();
        state.note(what);
        if now < due || now > due + AT_LAST {
            state.note(format!("at the wrong time: {:?}", now.saturating_duration_since(due)));
        }
    }
}

fn insert_timer(state: &mut State, what: &'static str, due: Instant) {
    let fire = fire(what, due);
    state.insert(Timer::from_deadline(due), move |_, _, state| {
        fire(state);
        TimeoutAction::Drop
    });
}

#[test]
fn timers_fire_in_their_order_and_wake_the_loop() {
    compare(|rig| {
        let now = Instant::now();
        insert_timer(&mut rig.state, "third", now + 30 * MS);
        insert_timer(&mut rig.state, "first", now + 10 * MS);
        insert_timer(&mut rig.state, "second", now + 20 * MS);
        rig.until_noted(3);
        rig.quiesce();
    });
}

#[test]
fn timers_that_are_late_fire_in_their_order() {
    compare(|rig| {
        let now = Instant::now();
        insert_timer(&mut rig.state, "third", now + 3 * MS);
        insert_timer(&mut rig.state, "first", now + MS);
        insert_timer(&mut rig.state, "second", now + 2 * MS);
        rig.quiesce();
        let all_due = now + 5 * MS;
        while Instant::now() < all_due {
            std::hint::spin_loop();
        }
        rig.quiesce();
        rig.state.log.retain(|line| line != "-");
    });
}

/// Each of several sources has a wheel of its own. What is due when it is inserted comes in the order of insertion.
#[test]
fn timers_that_are_due_when_inserted_come_in_order_of_insertion_where_each_is_by_itself() {
    let program = |rig: &mut Rig| {
        let now = Instant::now();
        insert_timer(&mut rig.state, "second", now - MS);
        insert_timer(&mut rig.state, "first", now - 2 * MS);
        rig.quiesce();
    };
    compare_except(program, &[(Way::Source, &["second", "first", "-"])]);
}

#[test]
fn timers_repeat() {
    compare(|rig| {
        let mut due = Instant::now() + 3 * MS;
        let mut left = 5;
        rig.state.insert(Timer::from_deadline(due), move |deadline, _, state| {
            fire("tick", due)(state);
            assert_eq!(deadline, due);
            left -= 1;
            if left == 0 {
                return TimeoutAction::Drop;
            }
            due += 2 * MS;
            TimeoutAction::ToInstant(due)
        });
        let mut left = 5;
        rig.until_noted(5);
        rig.state.insert(Timer::immediate(), move |_, _, state| {
            state.note("again");
            left -= 1;
            if left > 0 { TimeoutAction::ToDuration(MS) } else { TimeoutAction::Drop }
        });
        rig.until_noted(5);
        rig.quiesce();
    });
}

/// Its deadline does not move: it is due in each dispatch.
#[test]
fn a_timer_that_repeats_for_the_same_instant() {
    compare(|rig| {
        let mut left = 40;
        rig.state.insert(Timer::immediate(), move |deadline, _, state| {
            state.note("due");
            left -= 1;
            if left > 0 { TimeoutAction::ToInstant(deadline) } else { TimeoutAction::Drop }
        });
        rig.until_noted(40);
        rig.quiesce();
    });
}

#[test]
fn a_timer_beyond_the_end_of_time() {
    compare(|rig| {
        rig.state.insert(Timer::from_duration(std::time::Duration::MAX), |_, _, state| {
            state.note("never");
            TimeoutAction::Drop
        });
        insert_timer(&mut rig.state, "soon", Instant::now() + 2 * MS);
        rig.until_noted(1);
        rig.quiesce();
    });
}

fn insert_generic(
    rig: &mut Rig,
    mode: Mode,
    mut read: impl FnMut(&mut &UnixStream, &mut State) -> PostAction + 'static,
) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let generic = Generic::new(theirs, Interest::READ, mode);
    rig.state.insert_at(0, generic, move |ready, stream: &mut NoIoDrop<UnixStream>, state| {
        assert!(ready.readable);
        let mut stream: &UnixStream = stream;
        Ok(read(&mut stream, state))
    });
    ours
}

fn byte(stream: &mut &UnixStream) -> Option<char> {
    let mut byte = [0];
    (stream.read(&mut byte).ok()? > 0).then(|| char::from(byte[0]))
}

#[test]
fn generic_level() {
    compare(|rig| {
        let mut ours = insert_generic(rig, Mode::Level, |stream, state| match byte(stream) {
            Some(byte) => {
                state.note(byte);
                PostAction::Continue
            }
            None => {
                state.note("end");
                PostAction::Remove
            }
        });
        ours.write_all(b"abc").unwrap();
        rig.until_noted(3);
        rig.quiesce();
        drop(ours);
        rig.until_noted(1);
        rig.quiesce();
    });
}

#[test]
fn generic_edge() {
    compare(|rig| {
        let mut ours = insert_generic(rig, Mode::Edge, |stream, state| {
            state.note(byte(stream).unwrap());
            PostAction::Continue
        });
        ours.write_all(b"abc").unwrap();
        rig.quiesce();
        ours.write_all(b"d").unwrap();
        rig.quiesce();
        ours.write_all(b"e").unwrap();
        rig.until_noted(1);
        rig.quiesce();
    });
}

#[test]
fn generic_oneshot() {
    compare(|rig| {
        let mut ours = insert_generic(rig, Mode::OneShot, |stream, state| {
            let byte = byte(stream).unwrap();
            state.note(byte);
            if byte == 'r' { PostAction::Reregister } else { PostAction::Continue }
        });
        ours.write_all(b"rrab").unwrap();
        rig.until_noted(3);
        rig.quiesce();
        ours.write_all(b"c").unwrap();
        rig.quiesce();
        rig.state.disable(0);
        rig.quiesce();
        rig.state.enable(0);
        rig.quiesce();
    });
}

#[test]
fn generic_writable_and_without_interest() {
    compare(|rig| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut times = 0;
        rig.state.insert(
            Generic::new(ours, Interest::WRITE, Mode::Level),
            move |ready, _, state| {
                times += 1;
                state.note(format!("writable {}", ready.writable));
                Ok(if times < 3 { PostAction::Continue } else { PostAction::Disable })
            },
        );
        rig.state.insert(Generic::new(theirs, Interest::EMPTY, Mode::Level), |_, _, state| {
            state.note("nothing was asked for");
            Ok(PostAction::Remove)
        });
        rig.until_noted(3);
        rig.quiesce();
    });
}

#[test]
fn signals() {
    use calloop::signals::{Signal, Signals};
    crate::common::in_child("kinds::signals", || {
        compare(|rig| {
            let signals = Signals::new(&[Signal::SIGUSR1, Signal::SIGUSR2]).unwrap();
            rig.state
                .insert(signals, |event, _, state| state.note(format!("{:?}", event.signal())));
            // To this thread, which has it masked.
            let raise = |signal| nix::sys::signal::raise(signal).unwrap();
            raise(nix::sys::signal::SIGUSR1);
            rig.until_noted(1);
            raise(nix::sys::signal::SIGUSR2);
            raise(nix::sys::signal::SIGUSR2);
            rig.quiesce();
        });
    });
}

#[test]
fn executors() {
    compare(|rig| {
        let (executor, scheduler) = calloop::futures::executor::<u32>().unwrap();
        let again = scheduler.clone();
        rig.state.insert(executor, move |number, _, state| {
            state.note(number);
            if number < 3 {
                again.schedule(async move { number + 1 }).unwrap();
            }
        });
        scheduler.schedule(async { 1 }).unwrap();
        rig.until_noted(3);
        rig.quiesce();
    });
}

#[test]
fn streams() {
    compare(|rig| {
        let stream = futures_util::stream::iter(1..4);
        let source = calloop::stream::StreamSource::new(stream).unwrap();
        rig.state.insert(source, |item, _, state| state.note(format!("{item:?}")));
        rig.until_noted(4);
        rig.quiesce();
    });
}

/// Timeouts as futures and fds as futures take a handle of calloop's.
#[test]
fn futures_need_a_handle_which_sources_by_themselves_do_not_have() {
    let program = |rig: &mut Rig| {
        let Some(handle) = rig.state.calloop() else {
            rig.state.note("there is no handle");
            return;
        };
        let (executor, scheduler) = calloop::futures::executor::<&str>().unwrap();
        rig.state.insert(executor, |what, _, state| state.note(what));
        let (ours, theirs) = UnixStream::pair().unwrap();
        let adapted = handle.adapt_io(theirs).unwrap();
        let later = handle.clone();
        scheduler
            .schedule(async move {
                let mut io = adapted;
                io.readable().await;
                // Set while the loop is being dispatched.
                calloop::timer::TimeoutFuture::from_duration(&later, 3 * MS).await;
                "both"
            })
            .unwrap();
        rig.quiesce();
        (&ours).write_all(b"x").unwrap();
        rig.until_noted(1);
        rig.quiesce();
    };
    compare_except(program, &[(Way::Source, &["there is no handle"])]);
}

#[test]
fn transient_sources() {
    compare(|rig| {
        let (ping, source) = make_ping().unwrap();
        let transient: TransientSource<_> = source.into();
        rig.state.insert(transient, |(), _, state| state.note("ping"));
        ping.ping();
        rig.until_noted(1);
        drop(ping);
        rig.quiesce();
    });
}
