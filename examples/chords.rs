//! Chords of keys, as a hotkey daemon knows them: `x` then `s` within a second saves, `q` held for half a second quits.
//!
//! ```text
//! cargo run --example chords
//! ```
//!
//! A state machine with timers: each of its states has at most one deadline, and so it has one timer for all of them, which
//! is moved when the state changes. The timer is made without a deadline, is kept when it fired, and is never inserted
//! again.
//!
//! The keys come from a script, an hour of typing. On a manual clock that takes a moment, and every chord happens to the
//! millisecond where it has to: so a state machine is tested.

use std::time::{Duration, Instant};

use soloop::{Clock, EventLoop, LoopData, LoopHandle, TimeoutAction, Timer, Token};

/// How long a chord waits for its second key.
const CHORD: Duration = Duration::from_secs(1);
/// How long a key is held to count as held.
const HOLD: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, PartialEq, Debug)]
enum Key {
    Press(char),
    Release(char),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    Idle,
    /// `x` was pressed, and a second key may follow.
    Prefix,
    /// `q` is down.
    Holding,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Command {
    Save,
    Quit,
    /// A key that is no part of a chord.
    Type(char),
}

struct State {
    handle: LoopHandle<Self>,
    stage: Stage,
    /// Ends the stage, unless it is `Idle`.
    timer: Option<Token<Timer>>,
    commands: Vec<(Instant, Command)>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    fn new(handle: LoopHandle<Self>) -> Self {
        let mut state = Self { handle, stage: Stage::Idle, timer: None, commands: Vec::new() };
        let timer = state.handle.insert_timer(Timer::never(), |_, state| state.time_is_up());
        state.timer = Some(timer);
        state
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        let lasts = match stage {
            // The deadline that is left finds nothing to end.
            Stage::Idle => return,
            Stage::Prefix => CHORD,
            Stage::Holding => HOLD,
        };
        if let Some(timer) = self.timer {
            let end = self.handle.now() + lasts;
            self.handle.set_deadline(timer, end);
        }
    }

    fn key(&mut self, key: Key) {
        match (self.stage, key) {
            (Stage::Idle, Key::Press('x')) => self.enter(Stage::Prefix),
            (Stage::Idle, Key::Press('q')) => self.enter(Stage::Holding),
            (Stage::Prefix, Key::Press('s')) => self.end(Command::Save),
            // It was a letter after all, and this one may begin a chord.
            (Stage::Prefix, Key::Press(_)) => {
                self.end(Command::Type('x'));
                self.key(key);
            }
            (Stage::Holding, Key::Release('q')) => self.end(Command::Type('q')),
            (_, Key::Press(letter)) => self.run(Command::Type(letter)),
            (_, Key::Release(_)) => {}
        }
    }

    fn time_is_up(&mut self) -> TimeoutAction {
        match self.stage {
            Stage::Idle => {}
            Stage::Prefix => self.end(Command::Type('x')),
            Stage::Holding => self.end(Command::Quit),
        }
        TimeoutAction::Keep
    }

    fn end(&mut self, command: Command) {
        self.enter(Stage::Idle);
        self.run(command);
    }

    fn run(&mut self, command: Command) {
        let now = self.handle.now();
        self.commands.push((now, command));
    }
}

/// Has `keys` come at their times after `start`, in milliseconds.
fn type_keys(state: &mut State, start: Instant, keys: &[(u64, Key)]) {
    for &(after, key) in keys {
        let timer = Timer::from_deadline(start + Duration::from_millis(after));
        state.handle.insert_timer(timer, move |_, state| {
            state.key(key);
            TimeoutAction::Drop
        });
    }
}

/// What comes of `keys`, and after how many milliseconds.
fn commands(keys: &[(u64, Key)]) -> soloop::Result<Vec<(u64, Command)>> {
    let (mut event_loop, handle) = EventLoop::with_clock(Clock::manual())?;
    let start = handle.now();
    let mut state = State::new(handle);
    type_keys(&mut state, start, keys);
    event_loop.run_until(start + Duration::from_secs(3600), &mut state)?;
    let after = |at: Instant| (at - start).as_millis() as u64;
    Ok(state.commands.into_iter().map(|(at, command)| (after(at), command)).collect())
}

fn main() -> soloop::Result<()> {
    use Command::{Quit, Save, Type};
    use Key::{Press, Release};

    assert_eq!(commands(&[(0, Press('x')), (999, Press('s'))])?, [(999, Save)]);
    assert_eq!(
        commands(&[(0, Press('x')), (1001, Press('s'))])?,
        [(1000, Type('x')), (1001, Type('s'))]
    );
    assert_eq!(
        commands(&[(0, Press('x')), (10, Press('x')), (900, Press('s'))])?,
        [(10, Type('x')), (900, Save)]
    );
    assert_eq!(commands(&[(0, Press('q')), (499, Release('q'))])?, [(499, Type('q'))]);
    assert_eq!(commands(&[(0, Press('q')), (501, Release('q'))])?, [(500, Quit)]);
    // A chord that ended leaves no deadline that would end the next one early.
    let twice = [(0, Press('x')), (100, Press('s')), (600, Press('x')), (1500, Press('s'))];
    assert_eq!(commands(&twice)?, [(100, Save), (1500, Save)]);

    // An hour of typing: in each second a chord, the second key a bit later each time, until it is too late.
    let mut keys = Vec::new();
    for second in 0..1800 {
        keys.push((2 * second * 1000, Press('x')));
        keys.push((2 * second * 1000 + second, Press('s')));
    }
    let commands = commands(&keys)?;
    let saved = commands.iter().filter(|(_, command)| *command == Save).count();
    let typed = commands.len() - saved;
    println!("an hour: saved {saved} times, typed {typed} letters");
    // After exactly a second the key, which was inserted before the deadline was set, comes first.
    assert_eq!((saved, typed), (1001, 2 * 799));
    Ok(())
}
