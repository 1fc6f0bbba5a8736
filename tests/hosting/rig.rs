//! The ways to run a calloop source, behind one face.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use calloop::RegistrationToken;
use soloop::hosting::CalloopLoop;
use soloop::{AnyToken, EventLoop, LoopData, LoopHandle, Token};

pub use crate::common::ZERO;

pub const MS: Duration = Duration::from_millis(1);
/// Within which what is due comes on a loaded machine. What nothing wakes the loop for does not come at all.
pub const AT_LAST: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// calloop, and nothing else.
    Alone,
    /// `insert_calloop`: one loop, which is waited in.
    Waited,
    /// `insert_calloop_source`: each source by itself.
    Source,
    /// `insert_calloop_on_demand`: one loop, left alone.
    OnDemand,
}

impl Way {
    pub const HOSTED: [Self; 3] = [Self::Waited, Self::Source, Self::OnDemand];
}

#[derive(Clone, Copy, Debug)]
pub enum Tok {
    Calloop(RegistrationToken),
    Soloop(AnyToken),
}

pub struct State {
    pub way: Way,
    pub handle: LoopHandle<State>,
    /// Of the calloop loop, alone or hosted.
    inner: Option<calloop::LoopHandle<'static, State>>,
    bridge: Option<Token<CalloopLoop<State>>>,
    pub log: Vec<String>,
    pub tokens: Vec<Option<Tok>>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    pub fn note(&mut self, what: impl ToString) {
        self.log.push(what.to_string());
    }

    /// The calloop loop's handle, for what takes one; `None` where each source is by itself.
    pub fn calloop(&mut self) -> Option<calloop::LoopHandle<'static, State>> {
        if let Some(bridge) = self.bridge
            && self.way == Way::OnDemand
        {
            return self.handle.calloop(bridge);
        }
        self.inner.clone()
    }

    pub fn insert<S, F>(&mut self, source: S, callback: F) -> Tok
    where
        S: calloop::EventSource + 'static,
        F: FnMut(S::Event, &mut S::Metadata, &mut State) -> S::Ret + 'static,
    {
        self.try_insert(source, callback).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn try_insert<S, F>(&mut self, source: S, callback: F) -> Result<Tok, String>
    where
        S: calloop::EventSource + 'static,
        F: FnMut(S::Event, &mut S::Metadata, &mut State) -> S::Ret + 'static,
    {
        match self.calloop() {
            Some(inner) => match inner.insert_source(source, callback) {
                Ok(token) => Ok(Tok::Calloop(token)),
                Err(error) => Err(error.error.to_string()),
            },
            None => match self.handle.insert_calloop_source(source, callback) {
                Ok(token) => Ok(Tok::Soloop(token.into())),
                Err(error) => Err(error.error.to_string()),
            },
        }
    }

    /// Inserts a source whose token callbacks use by its place in `tokens`.
    pub fn insert_at<S, F>(&mut self, place: usize, source: S, callback: F)
    where
        S: calloop::EventSource + 'static,
        F: FnMut(S::Event, &mut S::Metadata, &mut State) -> S::Ret + 'static,
    {
        let token = self.insert(source, callback);
        self.tokens.resize(self.tokens.len().max(place + 1), None);
        self.tokens[place] = Some(token);
    }

    pub fn idle(&mut self, callback: impl FnOnce(&mut State) + 'static) {
        match self.calloop() {
            Some(inner) => drop(inner.insert_idle(callback)),
            None => drop(self.handle.insert_idle(callback)),
        }
    }

    fn token(&self, place: usize) -> Option<Tok> {
        self.tokens.get(place).copied().flatten()
    }

    pub fn remove(&mut self, place: usize) {
        match self.token(place) {
            Some(Tok::Calloop(token)) => self.calloop().unwrap().remove(token),
            Some(Tok::Soloop(token)) => drop(self.handle.remove(token)),
            None => {}
        }
        if let Some(token) = self.tokens.get_mut(place) {
            *token = None;
        }
    }

    pub fn disable(&mut self, place: usize) {
        match self.token(place) {
            Some(Tok::Calloop(token)) => _ = self.calloop().unwrap().disable(&token),
            Some(Tok::Soloop(token)) => drop(self.handle.disable(token)),
            None => {}
        }
    }

    pub fn enable(&mut self, place: usize) {
        match self.token(place) {
            Some(Tok::Calloop(token)) => _ = self.calloop().unwrap().enable(&token),
            Some(Tok::Soloop(token)) => drop(self.handle.enable(token)),
            None => {}
        }
    }
}

pub struct Rig {
    alone: Option<calloop::EventLoop<'static, State>>,
    pub soloop: EventLoop<State>,
    pub state: State,
}

impl Rig {
    pub fn new(way: Way) -> Self {
        let (soloop, handle) = EventLoop::new().unwrap();
        let (inner, bridge) = (None, None);
        let (log, tokens) = (Vec::new(), Vec::new());
        let mut state = State { way, handle, inner, bridge, log, tokens };
        let mut alone = None;
        if way != Way::Source {
            let inner = calloop::EventLoop::try_new().unwrap();
            state.inner = Some(inner.handle());
            match way {
                Way::Waited => state.bridge = Some(state.handle.insert_calloop(inner).unwrap()),
                Way::OnDemand => {
                    state.bridge = Some(state.handle.insert_calloop_on_demand(inner).unwrap());
                }
                _ => alone = Some(inner),
            }
        }
        Self { alone, soloop, state }
    }

    pub fn way(&self) -> Way {
        self.state.way
    }

    /// One dispatch; what it fails with is the error that the source made.
    pub fn dispatch(&mut self, timeout: Duration) -> Result<(), String> {
        fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
            match error.source() {
                Some(cause) => innermost(cause),
                None => error.to_string(),
            }
        }
        match &mut self.alone {
            Some(alone) => {
                alone.dispatch(timeout, &mut self.state).map_err(|error| innermost(&error))
            }
            None => {
                self.soloop.dispatch(timeout, &mut self.state).map_err(|error| innermost(&error))
            }
        }
    }

    /// Dispatches, and notes an error or a panic in the log.
    pub fn turn(&mut self, timeout: Duration) {
        match catch_unwind(AssertUnwindSafe(|| self.dispatch(timeout))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.state.note(format!("error: {error}")),
            Err(payload) => {
                let what = payload.downcast_ref::<&str>().copied().unwrap_or("?");
                self.state.note(format!("panic: {what}"));
            }
        }
    }

    /// Dispatches until nothing more comes of it, and notes that this point was reached.
    pub fn quiesce(&mut self) {
        let mut quiet = 0;
        while quiet < 4 {
            let before = self.state.log.len();
            self.turn(ZERO);
            quiet = if self.state.log.len() == before { quiet + 1 } else { 0 };
            assert!(before < 10_000, "{:?}: never quiet: {:?}", self.way(), &self.state.log[..20]);
        }
        self.state.note("-");
    }

    /// Dispatches, sleeping, until `done`; the log says if it takes too long.
    pub fn until(&mut self, done: impl Fn(&State) -> bool) {
        let started = Instant::now();
        while !done(&self.state) {
            self.turn(AT_LAST);
            if started.elapsed() >= AT_LAST {
                self.state.note("nothing woke the loop");
                return;
            }
        }
    }

    /// [`until`](Self::until) so much is noted.
    pub fn until_noted(&mut self, lines: usize) {
        let wanted = self.state.log.len() + lines;
        self.until(|state| state.log.len() >= wanted);
    }
}

/// What a program notes, run in one way.
pub fn run(way: Way, program: impl Fn(&mut Rig)) -> Vec<String> {
    let mut rig = Rig::new(way);
    program(&mut rig);
    rig.state.log
}

/// Each way runs a program as calloop alone does.
#[track_caller]
pub fn compare(program: impl Fn(&mut Rig)) {
    compare_except(program, &[]);
}

/// Each way runs a program as calloop alone does, but for those that promise something else.
#[track_caller]
pub fn compare_except(program: impl Fn(&mut Rig), exceptions: &[(Way, &[&str])]) {
    let alone = run(Way::Alone, &program);
    assert!(alone.iter().any(|line| line != "-"), "the program does nothing");
    for way in Way::HOSTED {
        let hosted = run(way, &program);
        match exceptions.iter().find(|(except, _)| *except == way) {
            Some((_, promised)) => {
                assert_eq!(hosted, *promised, "{way:?}");
                assert_ne!(hosted, alone, "{way:?} is no exception");
            }
            None => assert_eq!(hosted, alone, "{way:?}"),
        }
    }
}
