//! The control socket: a Unix stream on which programs and people drive the compositor, line by line.
//!
//! Each line is a command and is answered, in order, by lines of data and then one line that starts with
//! `ok` or with `error`:
//!
//! ```text
//! windows                       window ID pid=PID X Y WIDTHxHEIGHT [active] app_id="…" title="…"   (each)
//!                               ok N windows
//! screenshot PATH               ok PATH WIDTHxHEIGHT, when the PNG file is complete
//! key CODE [press|release]      ok; CODE as in linux/input-event-codes.h; without either, it is struck
//! pointer X Y [BUTTON [press|release]]
//!                               ok; BUTTON is left, middle or right; without either, it is clicked
//! touch down|move FINGER X Y    ok; a finger, by its number, touches the output there, or moves there
//! touch up FINGER               ok; it is lifted
//! touch cancel                  ok; all are, and what they have done is void
//! type TEXT                     ok, when all of it is typed; ends with whoever asked
//! stats                         a line for each module, the sources of the loop and the slowest callbacks,
//!                               then ok
//! quit                          ok, and the compositor ends
//! ```
//!
//! A line of more than [`MAX_LINE`] bytes disconnects whoever sends it, and so do answers that are not read.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::fds;
use crate::geometry::Point;
use crate::input::touch::Touch;

use soloop::{
    ErrorAction, Generic, Interest, LoopData, LoopHandle, Mode, PostAction, Priority, Ready, Scope,
    SourceOptions, Token,
};

/// The longest line, in bytes.
const MAX_LINE: usize = 4096;
/// How long to wait before the next client is accepted when that failed, for want of fds usually.
const RESPITE: Duration = Duration::from_secs(1);
const TOUCH_USAGE: &str = "usage: touch down|move FINGER X Y, or touch up FINGER, or touch cancel";
const POINTER_USAGE: &str = "usage: pointer X Y [left|middle|right [press|release]]";
/// How many bytes of answers may wait to be read.
const MAX_UNREAD: usize = 1 << 20;

/// What to do with a key or a button.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Stroke {
    Press,
    Release,
    Both,
}

impl Stroke {
    /// The words after a key or a button.
    fn parse(words: &[&str]) -> Option<Self> {
        match words {
            [] => Some(Self::Both),
            ["press"] => Some(Self::Press),
            ["release"] => Some(Self::Release),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Button {
    Left,
    Middle,
    Right,
}

/// Where an answer goes that takes its time.
pub type ReplyTo = Token<Generic<Conversation>>;

/// What the control socket needs of the state: whatever it can be asked for.
pub trait ControlHost: LoopData + AsMut<Control> {
    /// A line for each window.
    fn windows(&mut self) -> Vec<String>;
    /// The lines are told with [`answer`].
    fn stats(&mut self, reply_to: ReplyTo);
    /// The end of it is told with [`answer`].
    fn screenshot(&mut self, path: PathBuf, reply_to: ReplyTo);
    fn key(&mut self, code: u32, stroke: Stroke) -> Result<(), String>;
    fn pointer(&mut self, point: Point, button: Option<(Button, Stroke)>) -> Result<(), String>;
    fn touch(&mut self, touch: Touch) -> Result<(), String>;
    /// Types `text` as long as `scope` is there. The end of it is told with [`answer`].
    fn type_text(&mut self, text: &str, scope: &Scope, reply_to: ReplyTo) -> Result<(), String>;
    fn quit(&mut self);
}

/// What the socket has seen.
pub struct Control {
    conversations: u64,
    commands: u64,
    errors: u64,
}

/// A client of the socket: the source that is inserted for it owns it.
pub struct Conversation {
    stream: UnixStream,
    /// Its own name in the loop.
    me: Option<ReplyTo>,
    input: Vec<u8>,
    output: Vec<u8>,
    /// An answer is being prepared; further commands wait for it.
    busy: bool,
    /// No more commands will come.
    ended: bool,
    /// What is done for it, and by it.
    scope: Scope,
}

impl AsFd for Conversation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Control {
    /// Welcomes whoever comes to `listener`.
    pub fn insert<D: ControlHost>(
        handle: &mut LoopHandle<D>,
        listener: UnixListener,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let source = Generic::new(listener, Interest::READ, Mode::Level);
        let options =
            SourceOptions::new().name("control socket").on_error(ErrorAction::Retry(RESPITE));
        handle.insert_source_with(options, source, |ready, data: &mut D| {
            match fds::room_at(ready.io).and_then(|()| ready.io.accept()) {
                Ok((stream, _)) => {
                    if let Err(error) = welcome(data, stream) {
                        eprintln!("compositor: a control client could not be served: {error}");
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    eprintln!("compositor: no control client can be accepted for now: {error}");
                    return Err(error);
                }
            }
            Ok(PostAction::Continue)
        })?;
        Ok(Self { conversations: 0, commands: 0, errors: 0 })
    }

    pub fn stats(&self) -> String {
        let Self { conversations, commands, errors, .. } = self;
        format!(
            "control: {conversations} conversations, {commands} commands, {errors} of them in error"
        )
    }
}

/// Inserts a client's source, from inside of the listener's callback.
fn welcome<D: ControlHost>(data: &mut D, stream: UnixStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let conversation = Conversation {
        stream,
        me: None,
        input: Vec::new(),
        output: Vec::new(),
        busy: false,
        ended: false,
        scope: Scope::new(),
    };
    let source = Generic::new(conversation, Interest::READ, Mode::Level);
    // Whoever types and points here is what this compositor has for input devices.
    let options = SourceOptions::new().name("control client").priority(Priority::High);
    let handle = data.loop_handle();
    let token =
        handle.insert_source_with(options, source, |ready, data: &mut D| converse(ready, data))?;
    // Ops run in order, and before any event: it knows its name before it needs it.
    handle.visit(token, move |source, _| source.get_mut().me = Some(token));
    data.as_mut().conversations += 1;
    Ok(())
}

/// The callback of a client's source.
fn converse<D: ControlHost>(
    ready: Ready<'_, Conversation>,
    data: &mut D,
) -> io::Result<PostAction> {
    let conversation = ready.io;
    if conversation.busy && ready.readiness.write_closed {
        // It does not wait for the answer. The scope goes with it.
        return Ok(PostAction::Remove);
    }
    if let Err(cause) = conversation.receive() {
        eprintln!("compositor: a control client is disconnected: {cause}");
        return Ok(PostAction::Remove);
    }
    Ok(conversation.go_on(data))
}

/// Answers a command that took its time: lines of data, whether it is done, and a word on it.
pub fn answer<D: ControlHost>(
    data: &mut D,
    reply_to: ReplyTo,
    lines: Vec<String>,
    result: Result<String, String>,
) {
    // Whoever asked may have gone; then there is nobody to visit.
    data.loop_handle().visit(reply_to, move |source, data: &mut D| {
        let conversation = source.get_mut();
        conversation.busy = false;
        lines.iter().for_each(|line| conversation.say(line));
        conversation.end_answer(data, result);
        if conversation.go_on(data) == PostAction::Remove {
            data.loop_handle().remove(reply_to);
        }
    });
}

impl Conversation {
    /// Takes in what was sent.
    fn receive(&mut self) -> Result<(), String> {
        let mut bytes = [0; 1024];
        while !self.busy && !self.ended && self.input.len() <= MAX_LINE {
            match self.stream.read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(count) => self.input.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Obeys the commands there are, as far as it can, and sends the answers.
    fn go_on<D: ControlHost>(&mut self, data: &mut D) -> PostAction {
        while !self.busy
            && let Some(end) = self.input.iter().position(|byte| *byte == b'\n')
        {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            self.obey(&line[..end], data);
        }
        let too_long = !self.busy && self.input.len() > MAX_LINE;
        if too_long {
            self.end_answer(data, Err(format!("a line of more than {MAX_LINE} bytes")));
        }
        let sent = self.send();
        if too_long {
            eprintln!(
                "compositor: a control client is disconnected: it sent a line of more than {MAX_LINE} bytes"
            );
            return PostAction::Remove;
        }
        if let Err(cause) = sent {
            eprintln!("compositor: a control client is disconnected: {cause}");
            return PostAction::Remove;
        }
        if self.ended && !self.busy && self.output.is_empty() {
            return PostAction::Remove;
        }
        let readable = !self.busy && !self.ended;
        let interest = Interest { readable, writable: !self.output.is_empty(), ..Interest::EMPTY };
        if let Some(me) = self.me {
            data.loop_handle().update(me, move |source| source.interest = interest);
        }
        PostAction::Continue
    }

    /// Sends as much of the answers as goes.
    fn send(&mut self) -> Result<(), String> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        match self.output.len() {
            0..=MAX_UNREAD => Ok(()),
            unread => Err(format!("it left {unread} bytes of answers unread")),
        }
    }

    fn say(&mut self, line: impl fmt::Display) {
        self.output.extend(format!("{line}\n").bytes());
    }

    fn end_answer<D: ControlHost>(&mut self, data: &mut D, result: Result<String, String>) {
        match result {
            Ok(word) if word.is_empty() => self.say("ok"),
            Ok(word) => self.say(format_args!("ok {word}")),
            Err(message) => {
                data.as_mut().errors += 1;
                self.say(format_args!("error {message}"));
            }
        }
    }

    fn obey<D: ControlHost>(&mut self, line: &[u8], data: &mut D) {
        data.as_mut().commands += 1;
        let result = match std::str::from_utf8(line) {
            Ok(line) => self.run(line.trim(), data),
            Err(_) => Err("this is not UTF-8".to_owned()),
        };
        if !self.busy {
            self.end_answer(data, result);
        }
    }

    /// Has further commands wait for an answer that takes its time.
    fn wait(&mut self) -> Result<ReplyTo, String> {
        let me = self.me.ok_or("too early")?;
        self.busy = true;
        Ok(me)
    }

    fn run<D: ControlHost>(&mut self, line: &str, data: &mut D) -> Result<String, String> {
        let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (command, words.as_slice()) {
            ("windows", []) => {
                let windows = data.windows();
                windows.iter().for_each(|window| self.say(window));
                Ok(format!("{} windows", windows.len()))
            }
            ("stats", []) => {
                data.stats(self.wait()?);
                Ok(String::new())
            }
            ("screenshot", [_, ..]) => {
                data.screenshot(PathBuf::from(rest.trim()), self.wait()?);
                Ok(String::new())
            }
            ("type", [_, ..]) => {
                let reply_to = self.wait()?;
                let begun = data.type_text(rest.trim(), &self.scope, reply_to);
                self.busy = begun.is_ok();
                begun.map(|()| String::new())
            }
            ("key", [code, stroke @ ..]) => {
                let stroke = Stroke::parse(stroke).ok_or("usage: key CODE [press|release]")?;
                data.key(number(code)?, stroke).map(|()| String::new())
            }
            ("pointer", [x, y]) => data.pointer(point(x, y)?, None).map(|()| String::new()),
            ("pointer", [x, y, button, stroke @ ..]) => {
                let button = match *button {
                    "left" => Some(Button::Left),
                    "middle" => Some(Button::Middle),
                    "right" => Some(Button::Right),
                    _ => None,
                };
                let clicked = button.zip(Stroke::parse(stroke)).ok_or(POINTER_USAGE)?;
                data.pointer(point(x, y)?, Some(clicked)).map(|()| String::new())
            }
            ("touch", words) => {
                let touch = match *words {
                    ["down", finger, x, y] => Touch::Down(number(finger)?, point(x, y)?),
                    ["move", finger, x, y] => Touch::Move(number(finger)?, point(x, y)?),
                    ["up", finger] => Touch::Up(number(finger)?),
                    ["cancel"] => Touch::Cancel,
                    _ => return Err(TOUCH_USAGE.to_owned()),
                };
                data.touch(touch).map(|()| String::new())
            }
            ("quit", []) => {
                data.quit();
                Ok(String::new())
            }
            ("", _) => Err("an empty line".to_owned()),
            ("screenshot", _) => Err("usage: screenshot PATH".to_owned()),
            ("type", _) => Err("usage: type TEXT".to_owned()),
            ("key", _) => Err("usage: key CODE [press|release]".to_owned()),
            ("pointer", _) => Err(POINTER_USAGE.to_owned()),
            ("windows" | "stats" | "quit", _) => Err(format!("{command} takes no arguments")),
            _ => Err(format!(
                "{command:?} is not a command; there are windows, screenshot, key, pointer, touch, type, stats, quit"
            )),
        }
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word:?} is not a number"))
}

fn point(x: &str, y: &str) -> Result<Point, String> {
    Ok(Point::new(number(x)?, number(y)?))
}
