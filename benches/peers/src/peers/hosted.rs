//! A soloop that hosts what is written for calloop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use calloop::generic::{Generic, NoIoDrop};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventSource, Poll, Readiness, Token, TokenFactory};
use rustix::fd::OwnedFd;
use soloop::{EventLoop, LoopData, LoopHandle};

use super::{Host, Hosting, Measured, Meter, Peer};

pub struct Hosted;

struct State {
    handle: LoopHandle<State>,
    sum: u64,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

type Fd = Generic<Arc<OwnedFd>>;

fn watch(fd: &Arc<OwnedFd>) -> Fd {
    Generic::new(Arc::clone(fd), calloop::Interest::READ, calloop::Mode::Level)
}

fn read(
    _: Readiness,
    fd: &mut NoIoDrop<Arc<OwnedFd>>,
    state: &mut State,
) -> std::io::Result<calloop::PostAction> {
    state.sum += super::read(&***fd);
    Ok(calloop::PostAction::Continue)
}

/// An fd, in a source with hooks if `HOOKS`, and with a timer that is far.
struct Composite<const HOOKS: bool> {
    fd: Fd,
    timer: Option<Timer>,
}

impl<const HOOKS: bool> EventSource for Composite<HOOKS> {
    type Event = Readiness;
    type Metadata = NoIoDrop<Arc<OwnedFd>>;
    type Ret = std::io::Result<calloop::PostAction>;
    type Error = std::io::Error;
    const NEEDS_EXTRA_LIFECYCLE_EVENTS: bool = HOOKS;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        callback: F,
    ) -> std::io::Result<calloop::PostAction>
    where
        F: FnMut(Readiness, &mut Self::Metadata) -> Self::Ret,
    {
        if let Some(timer) = &mut self.timer {
            timer.process_events(readiness, token, |_, _| TimeoutAction::Drop)?;
        }
        self.fd.process_events(readiness, token, callback)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.fd.register(poll, tokens)?;
        self.timer.as_mut().map_or(Ok(()), |timer| timer.register(poll, tokens))
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> calloop::Result<()> {
        self.fd.reregister(poll, tokens)?;
        self.timer.as_mut().map_or(Ok(()), |timer| timer.reregister(poll, tokens))
    }

    fn unregister(&mut self, poll: &mut Poll) -> calloop::Result<()> {
        self.fd.unregister(poll)?;
        self.timer.as_mut().map_or(Ok(()), |timer| timer.unregister(poll))
    }
}

fn in_an_hour() -> Timer {
    Timer::from_deadline(Instant::now() + Duration::from_secs(3600))
}

/// Hosts `fd`.
fn host(state: &mut State, fd: &Arc<OwnedFd>, way: Host) {
    let handle = &mut state.handle;
    match way {
        Host::Waited | Host::OnDemand => {
            let inner = calloop::EventLoop::try_new().expect("a loop");
            inner.handle().insert_source(watch(fd), read).expect("an eventfd can be watched");
            match way {
                Host::Waited => handle.insert_calloop(inner).map(drop).expect("hosted"),
                _ => handle.insert_calloop_on_demand(inner).map(drop).expect("hosted"),
            }
        }
        Host::Source => {
            handle.insert_calloop_source(watch(fd), read).expect("hosted");
        }
        Host::Hooks => {
            let source = Composite::<true> { fd: watch(fd), timer: None };
            handle.insert_calloop_source(source, read).expect("hosted");
        }
        Host::Timers => {
            let source = Composite::<false> { fd: watch(fd), timer: Some(in_an_hour()) };
            handle.insert_calloop_source(source, read).expect("hosted");
        }
    }
}

impl Peer for Hosted {
    fn name(&self) -> &'static str {
        "hosted"
    }

    fn hosting(&self, spec: Hosting) -> Option<Measured> {
        let (mut event_loop, handle) = EventLoop::new().expect("a loop");
        let mut state = State { handle, sum: 0 };
        let (hosted, own) = (Arc::new(super::eventfd()), Arc::new(super::eventfd()));
        host(&mut state, &hosted, spec.way);
        let source =
            soloop::Generic::new(Arc::clone(&own), soloop::Interest::READ, soloop::Mode::Level);
        let callback = |ready: soloop::Ready<'_, Arc<OwnedFd>>, state: &mut State| {
            state.sum += super::read(&**ready.io);
            Ok(soloop::PostAction::Continue)
        };
        state.handle.insert_source(source, callback).expect("an eventfd can be watched");
        let fd = if spec.fires { &hosted } else { &own };
        let mut turn = || {
            let until = state.sum + 1;
            super::write(&**fd, 1);
            while state.sum < until {
                event_loop.dispatch(None, &mut state).expect("dispatch");
            }
        };
        (0..10).for_each(|_| turn());
        let meter = Meter::start();
        (0..spec.turns).for_each(|_| turn());
        Some(meter.stop(state.sum - 10))
    }
}
