//! The live table: itself a soloop program.

use std::error::Error;
use std::io::{self, ErrorKind, IsTerminal, Stdin};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use soloop::inspector::{Message, Request};
use soloop::{
    EventLoop, Generic, Interest, Interval, LoopData, LoopHandle, Mode, PostAction, Signals,
    SourceOptions, signals,
};

use crate::connection::{Connection, state};
use crate::model::Model;
use crate::options::Options;
use crate::screen::{View, draw};

/// After how long a program is said to be silent.
const SILENCE: Duration = Duration::from_secs(2);

/// How long a key is waited for after another. Without any time crossterm does not look at the terminal.
const KEY_PAUSE: Duration = Duration::from_millis(1);

type Failure = Box<dyn Error>;

struct State {
    handle: LoopHandle<State>,
    terminal: DefaultTerminal,
    model: Model,
    view: View,
    /// When it said something last.
    heard: Instant,
    dirty: bool,
    /// Why it ends, if it is not the user who wants it.
    failure: Option<Failure>,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

pub fn run(connection: Connection, options: &Options) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err("this is no terminal; --once and --json need none".into());
    }
    let terminal = ratatui::try_init()?;
    let ended = run_on(terminal, connection, options);
    ratatui::restore();
    ended
}

fn run_on(
    terminal: DefaultTerminal,
    mut connection: Connection,
    options: &Options,
) -> Result<(), Failure> {
    let (mut event_loop, handle) = EventLoop::new()?;
    let slow_us = Some(options.slow.as_micros() as u64);
    connection.ask(&Request::Watch { every_ms: options.every.as_millis() as u64, slow_us })?;
    let view = View {
        program: connection.hello.program.clone(),
        pid: connection.hello.pid,
        slow_ms: options.slow.as_secs_f64() * 1e3,
        ..View::default()
    };
    let (model, heard) = (Model::default(), Instant::now());
    let mut state = State { handle, terminal, model, view, heard, dirty: true, failure: None };
    let handle = &mut state.handle;
    let named = |name: &'static str| SourceOptions::new().name(name);

    let program = Generic::new(connection.into_nonblocking()?, Interest::READ, Mode::Level);
    handle.insert_source_with(named("program"), program, |ready, state: &mut State| {
        state.hear(ready.io);
        Ok(PostAction::Continue)
    })?;
    let keys = Generic::new(io::stdin(), Interest::READ, Mode::Level);
    handle.insert_source_with(
        named("keys"),
        keys,
        |ready: soloop::Ready<'_, Stdin>, state: &mut State| {
            if ready.readiness.read_closed || ready.readiness.error {
                state.handle.stop();
                return Ok(PostAction::Remove);
            }
            while event::poll(KEY_PAUSE)? {
                if let Event::Key(key) = event::read()? {
                    state.press(key);
                }
                state.dirty = true;
            }
            Ok(PostAction::Continue)
        },
    )?;
    let ends =
        Signals::new([signals::consts::SIGINT, signals::consts::SIGTERM, signals::consts::SIGHUP])?;
    handle
        .insert_source_with(named("signals"), ends, |_, state: &mut State| state.handle.stop())?;
    // The terminal may have another size, and the program be silent.
    handle.insert_source_with(
        named("clock"),
        Interval::new(Duration::from_millis(250)),
        |_, state: &mut State| {
            state.look_at_silence();
            state.dirty = true;
            PostAction::Continue
        },
    )?;

    event_loop.run(None, &mut state, |state| {
        if std::mem::take(&mut state.dirty)
            && let Err(error) = state.repaint()
        {
            state.fail(error);
        }
    })?;
    state.failure.map_or(Ok(()), Err)
}

impl State {
    /// Draws what there is, as one update: a terminal that can shows no half of it.
    fn repaint(&mut self) -> io::Result<()> {
        execute!(io::stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| draw(frame, &self.model, &mut self.view))?;
        execute!(io::stdout(), EndSynchronizedUpdate)
    }

    fn fail(&mut self, failure: impl Into<Failure>) {
        self.failure = Some(failure.into());
        self.handle.stop();
    }

    /// Takes in what the program has said.
    fn hear(&mut self, connection: &mut Connection) {
        loop {
            let message = match connection.message() {
                Ok(Some(message)) => message,
                Ok(None) => {
                    let (program, pid) = (&self.view.program, self.view.pid);
                    return self.fail(format!("{program} ({pid}) has ended the connection"));
                }
                Err(error) => {
                    let error_kind = error.downcast_ref().map(io::Error::kind);
                    // That was all so far.
                    if error_kind != Some(ErrorKind::WouldBlock) {
                        self.fail(error);
                    }
                    return;
                }
            };
            self.heard = Instant::now();
            self.view.silence = None;
            if self.view.paused {
                continue;
            }
            match message {
                Message::Snapshot(snapshot) => self.model.add(snapshot),
                Message::Slow(slow) => self.model.add_slow(slow),
                _ => {}
            }
            self.dirty = true;
        }
    }

    fn look_at_silence(&mut self) {
        let silent = self.heard.elapsed();
        let says = |silent: Duration| {
            format!("silent for {} s: {}", silent.as_secs(), state(self.view.pid))
        };
        self.view.silence = (silent >= SILENCE).then(|| says(silent));
    }

    fn press(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return self.handle.stop();
        }
        if self.view.typing {
            return self.type_filter(key.code);
        }
        match key.code {
            KeyCode::Char('q') => self.handle.stop(),
            KeyCode::Char('p' | ' ') => self.view.paused = !self.view.paused,
            KeyCode::Char('s') | KeyCode::Right => self.model.sort = self.model.sort.step(1),
            KeyCode::Left => self.model.sort = self.model.sort.step(-1),
            KeyCode::Up => self.view.top = self.view.top.saturating_sub(1),
            // What is too far is put right when it is drawn.
            KeyCode::Down => self.view.top += 1,
            KeyCode::PageUp => self.view.top = self.view.top.saturating_sub(10),
            KeyCode::PageDown => self.view.top += 10,
            KeyCode::Char('/') => self.view.typing = true,
            KeyCode::Esc => self.model.filter.clear(),
            _ => {}
        }
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.view.typing = false,
            KeyCode::Esc => {
                self.model.filter.clear();
                self.view.typing = false;
            }
            KeyCode::Backspace => drop(self.model.filter.pop()),
            KeyCode::Char(c) => self.model.filter.push(c),
            _ => {}
        }
    }
}
