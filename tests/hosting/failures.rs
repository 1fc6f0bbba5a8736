//! Errors and panics, in sources and in callbacks.

use std::io;
use std::os::unix::net::UnixStream;

use calloop::generic::Generic;
use calloop::ping::make_ping;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventSource, Interest, Mode, Poll, PostAction, Readiness, Token, TokenFactory};

use crate::rig::*;

/// An error of a callback comes out of a dispatch. calloop drops what is left of the batch, of all sources; one by
/// itself has a batch by itself. The dispatch after one that an error ended goes through to its end.
#[test]
fn errors_come_out_of_the_dispatch() {
    let program = |rig: &mut Rig| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut times = 0;
        let generic = Generic::new(theirs, Interest::READ, Mode::Level);
        rig.state.insert(generic, move |_, _, state| {
            times += 1;
            state.note("called");
            if times < 3 { Err(io::Error::other("on purpose")) } else { Ok(PostAction::Remove) }
        });
        io::Write::write_all(&mut &ours, b"x").unwrap();
        rig.until_noted(5);
        rig.quiesce();
    };
    let error = "error: on purpose";
    let in_soloop = ["called", error, "called", "called", error, "-"];
    compare_except(program, &[(Way::Source, &in_soloop), (Way::OnDemand, &in_soloop)]);
}

/// Its fds are ready at once, and the first fails.
#[test]
fn the_rest_of_a_batch_that_fails_is_delivered_where_each_source_is_by_itself() {
    struct Failing(super::composites::Pings);

    impl EventSource for Failing {
        type Event = usize;
        type Metadata = Vec<usize>;
        type Ret = PostAction;
        type Error = io::Error;

        fn process_events<F>(
            &mut self,
            readiness: Readiness,
            token: Token,
            callback: F,
        ) -> io::Result<PostAction>
        where
            F: FnMut(usize, &mut Vec<usize>) -> PostAction,
        {
            self.0.process_events(readiness, token, callback)?;
            Err(io::Error::other("on purpose"))
        }

        fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
            self.0.register(poll, tokens)
        }

        fn reregister(
            &mut self,
            poll: &mut Poll,
            tokens: &mut TokenFactory,
        ) -> calloop::Result<()> {
            self.0.reregister(poll, tokens)
        }

        fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
            self.0.unregister(poll)
        }
    }

    // Pings are level-triggered, so that calloop finds again what it drops.
    let program = |rig: &mut Rig| {
        let (pings, source) = super::composites::pings(3);
        rig.state.insert(Failing(source), |_, _, state| {
            state.note("called");
            PostAction::Continue
        });
        rig.quiesce();
        pings.iter().for_each(calloop::ping::Ping::ping);
        rig.quiesce();
    };
    let error = "error: on purpose";
    let by_itself = ["-", "called", error, "called", "called", error, error, "-"];
    compare_except(program, &[(Way::Source, &by_itself), (Way::OnDemand, &by_itself)]);
}

#[test]
fn a_panic_of_a_callback_leaves_loops_that_go_on() {
    compare(|rig| {
        let (ping, source) = make_ping().unwrap();
        let mut times = 0;
        rig.state.insert(source, move |(), _, state| {
            times += 1;
            state.note("called");
            if times == 1 {
                panic!("on purpose");
            }
        });
        rig.quiesce();
        ping.ping();
        rig.until_noted(2);
        ping.ping();
        rig.until_noted(1);
        // Timers fire on time afterwards, those of before included. (Far enough from each other that they are not due
        // together: calloop loses what is.)
        rig.state.insert(Timer::from_duration(200 * MS), |_, _, state| {
            state.note("timer");
            TimeoutAction::Drop
        });
        rig.state.insert(Timer::from_duration(2 * MS), |_, _, state| {
            state.note("panics");
            panic!("on purpose")
        });
        rig.until_noted(3);
        rig.quiesce();
    });
}

/// It is due together with one that panics. calloop has taken both out of its wheel by then.
#[test]
fn a_timer_beside_one_that_panics_is_lost_in_calloop_and_fires_where_each_is_by_itself() {
    let program = |rig: &mut Rig| {
        let due = std::time::Instant::now() + 2 * MS;
        for what in ["first", "second"] {
            rig.state.insert(Timer::from_deadline(due), move |_, _, state| {
                state.note("due");
                let panics = state.log.len() == 1;
                assert!(!panics, "on purpose");
                _ = what;
                TimeoutAction::Drop
            });
        }
        while std::time::Instant::now() < due {
            std::hint::spin_loop();
        }
        rig.quiesce();
    };
    compare_except(program, &[(Way::Source, &["due", "panic: on purpose", "due", "-"])]);
}

#[test]
fn a_source_that_can_not_be_registered_is_refused() {
    compare(|rig| {
        let file = tempfile::tempfile().unwrap();
        let generic = Generic::new(file, Interest::READ, Mode::Level);
        let refused = rig.state.try_insert(generic, |_, _, _| Ok(PostAction::Continue));
        let refused = refused.unwrap_err().replace("underlying IO error: ", "");
        rig.state.note(refused);
        let (ping, source) = make_ping().unwrap();
        rig.state.insert(source, |(), _, state| state.note("ping"));
        ping.ping();
        rig.until_noted(1);
        rig.quiesce();
    });
}
