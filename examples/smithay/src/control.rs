//! The control socket: a Unix stream on which programs and people drive the compositor, line by line.
//!
//! Each line is a command and is answered by lines of data and then one line that starts with `ok` or with
//! `error`; a screenshot when it is on the disk, so perhaps after the commands that follow it. They are those
//! of `examples/compositor`, and those that move other devices:
//!
//! ```text
//! windows                       window INDEX pid=PID X Y WIDTHxHEIGHT [active] app_id="…" title="…"   (each)
//!                               ok N windows
//! screenshot PATH               ok PATH WIDTHxHEIGHT, when the PNG file is complete
//! key CODE [press|release]      ok; CODE as in linux/input-event-codes.h; without either, it is struck
//! pointer X Y [BUTTON [press|release]]
//!                               ok; BUTTON is left, middle or right; without either, it is clicked
//! touch down|move FINGER X Y    ok; a finger, by its number, touches the output there, or moves there
//! touch up FINGER               ok
//! motion DX DY                  ok; the pointer moves by that, as a mouse does
//! swipe FINGERS DX DY           ok; so many fingers swipe over a touchpad,
//! pinch FINGERS SCALE ROTATION  ok; or pinch,
//! hold FINGERS                  ok; or rest
//! stylus X Y PRESSURE           ok; a pen is there, and presses with that, of 0 to 1
//! stylus away                   ok
//! screens [on|off]              NAME X Y WIDTHxHEIGHT@MILLIHERTZ SCALE, of each screen of a seat, then ok; or they are turned on or off
//! scale SCREEN SCALE            ok; SCALE of 0.5 to 4
//! mode SCREEN WIDTHxHEIGHT      ok; one of those that the screen has
//! tile                          ok, and the windows are arranged side by side
//! stats                         lines of statistics, then ok
//! quit                          ok, and the compositor ends
//! ```
//!
//! Who sends a line of more than [`MAX_LINE`] bytes or does not read the answers is disconnected.

use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use smithay::backend::input::ButtonState::{Pressed, Released};
use smithay::utils::{Logical, Point};

use crate::state::State;
#[cfg(feature = "tty")]
use crate::tty;
use crate::{event_loop, gestures, input, placing, render, stylus, windows};

/// The longest line, in bytes.
const MAX_LINE: usize = 4096;

/// One client of the control socket.
pub struct Conversation {
    /// Shared with answers that are still to come: there may be no fd for a duplicate.
    stream: Arc<UnixStream>,
    input: Vec<u8>,
}

impl Conversation {
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream: Arc::new(stream), input: Vec::new() })
    }

    /// Everything that has arrived; whether more may come.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 1024];
        loop {
            match (&*self.stream).read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => self.input.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
            if self.input.len() > MAX_LINE {
                return true;
            }
        }
    }
}

impl AsFd for Conversation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Where an answer goes, now or later.
pub struct Reply(Arc<UnixStream>);

impl Reply {
    /// Ends an answer. Who does not read answers of a few lines is not worth waiting for.
    pub fn end(self, lines: &[String], result: Result<String, String>) {
        let last = match result {
            Ok(word) if word.is_empty() => "ok".to_owned(),
            Ok(word) => format!("ok {word}"),
            Err(message) => format!("error {message}"),
        };
        let answer: String =
            lines.iter().chain([&last]).flat_map(|line| [line.as_str(), "\n"]).collect();
        if (&*self.0).write_all(answer.as_bytes()).is_err() {
            // It has hung up, or is made to.
            let _ = self.0.shutdown(Shutdown::Both);
        }
    }
}

/// Obeys the commands that have arrived; whether the conversation goes on.
pub fn go_on(conversation: &mut Conversation, state: &mut State) -> bool {
    let more = conversation.read();
    while let Some(end) = conversation.input.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = conversation.input.drain(..=end).collect();
        obey(state, &line[..end], Reply(Arc::clone(&conversation.stream)));
    }
    if conversation.input.len() > MAX_LINE {
        let message = format!("a line of more than {MAX_LINE} bytes");
        Reply(Arc::clone(&conversation.stream)).end(&[], Err(message));
        return false;
    }
    more
}

fn obey(state: &mut State, line: &[u8], reply: Reply) {
    let Ok(line) = std::str::from_utf8(line) else {
        return reply.end(&[], Err("this is not UTF-8".to_owned()));
    };
    let (command, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
    let words: Vec<&str> = rest.split_whitespace().collect();
    let mut lines = Vec::new();
    let result = match (command, words.as_slice()) {
        ("screenshot-of", [output, _, ..]) => {
            let path = rest.trim()[output.len()..].trim_start();
            let done = move |result| reply.end(&[], result);
            return render::take_screenshot_of(state, Some(output), Path::new(path), done);
        }
        #[cfg(feature = "tty")]
        ("screens" | "scale" | "mode", _) => tty::obey(state, command, &words, &mut lines),
        ("screenshot", [_, ..]) => {
            return render::take_screenshot(state, Path::new(rest.trim()), move |result| {
                reply.end(&[], result);
            });
        }
        ("windows", []) => {
            lines = windows::list(state);
            Ok(format!("{} windows", lines.len()))
        }
        ("stats", []) => {
            lines = state.statistics();
            Ok(String::new())
        }
        ("key", [code, stroke @ ..]) => key(state, code, stroke),
        ("pointer", [x, y, button @ ..]) => pointer(state, x, y, button),
        ("motion", [x, y]) => parsed(point(x, y), |delta| input::move_pointer_by(state, delta)),
        ("swipe", [fingers, x, y]) => {
            parsed(pair(number(fingers), point(x, y)), |(fingers, by)| {
                gestures::swipe(state, fingers, by);
            })
        }
        ("pinch", [fingers, scale, rotation]) => {
            let parts = pair(number(fingers), pair(number(scale), number(rotation)));
            parsed(parts, |(fingers, (scale, rotation))| {
                gestures::pinch(state, fingers, scale, rotation);
            })
        }
        ("hold", [fingers]) => parsed(number(fingers), |fingers| gestures::hold(state, fingers)),
        ("stylus", ["away"]) => parsed(Ok(()), |()| stylus::away(state)),
        ("stylus", [x, y, pressure]) => {
            parsed(pair(point(x, y), number(pressure)), |(at, pressure)| {
                stylus::move_to(state, at, f64::clamp(pressure, 0.0, 1.0));
            })
        }
        ("touch", ["up", finger]) => parsed(number(finger), |finger: u32| {
            input::touch_up(state, Some(finger).into());
        }),
        ("touch", [step @ ("down" | "move"), finger, x, y]) => {
            let touch = if *step == "down" { input::touch_down } else { input::touch_motion };
            parsed(pair(number(finger), point(x, y)), |(finger, at): (u32, _)| {
                touch(state, Some(finger).into(), at);
            })
        }
        ("tile", []) => {
            placing::tile(state);
            Ok(String::new())
        }
        // What a defect in a callback would do, for the test of the end.
        ("panic", []) if cfg!(debug_assertions) => panic!("as asked"),
        ("quit", []) => {
            event_loop::stop(&mut state.handle);
            Ok(String::new())
        }
        ("", _) => Err("an empty line".to_owned()),
        ("screenshot", _) => Err("usage: screenshot PATH".to_owned()),
        ("screenshot-of", _) => Err("usage: screenshot-of OUTPUT PATH".to_owned()),
        ("key", _) => Err(KEY.to_owned()),
        ("pointer", _) => Err(POINTER.to_owned()),
        ("windows" | "stats" | "quit" | "tile", _) => Err(format!("{command} takes no arguments")),
        ("touch", _) => Err("usage: touch down|move FINGER X Y, or touch up FINGER".to_owned()),
        ("motion", _) => Err("usage: motion DX DY".to_owned()),
        ("swipe", _) => Err("usage: swipe FINGERS DX DY".to_owned()),
        ("pinch", _) => Err("usage: pinch FINGERS SCALE ROTATION".to_owned()),
        ("hold", _) => Err("usage: hold FINGERS".to_owned()),
        ("stylus", _) => Err("usage: stylus X Y PRESSURE, or stylus away".to_owned()),
        _ => Err(format!("{command:?} is not a command; there are {COMMANDS}")),
    };
    reply.end(&lines, result);
}

const COMMANDS: &str = "windows, screenshot, screenshot-of, key, pointer, touch, motion, swipe, pinch, hold, stylus, tile, stats, quit";
const KEY: &str = "usage: key CODE [press|release]";
const POINTER: &str = "usage: pointer X Y [left|middle|right [press|release]]";

fn key(state: &mut State, code: &str, stroke: &[&str]) -> Result<String, String> {
    let code = number(code)?;
    if !input::KEYS.contains(&code) {
        return Err(format!("there is no key {code}"));
    }
    let (press, release) = match stroke {
        [] => (true, true),
        ["press"] => (true, false),
        ["release"] => (false, true),
        _ => return Err(KEY.to_owned()),
    };
    if press {
        input::key(state, code, true);
    }
    if release {
        input::key(state, code, false);
    }
    Ok(String::new())
}

fn pointer(state: &mut State, x: &str, y: &str, button: &[&str]) -> Result<String, String> {
    let point = (number(x)?, number(y)?);
    let (name, press, release) = match button {
        [] => (None, false, false),
        [name] => (Some(*name), true, true),
        [name, "press"] => (Some(*name), true, false),
        [name, "release"] => (Some(*name), false, true),
        _ => return Err(POINTER.to_owned()),
    };
    let button = match name {
        None => None,
        Some("left") => Some(input::BUTTON_LEFT),
        Some("middle") => Some(input::BUTTON_MIDDLE),
        Some("right") => Some(input::BUTTON_RIGHT),
        Some(_) => return Err(POINTER.to_owned()),
    };
    if !render::bounds(state).to_f64().contains(point) {
        return Err(format!("{x} {y} is not on the output"));
    }
    input::move_pointer_to(state, point.into());
    if let Some(button) = button.filter(|_| press) {
        input::button(state, button, Pressed);
    }
    if let Some(button) = button.filter(|_| release) {
        input::button(state, button, Released);
    }
    Ok(String::new())
}

/// Does what there is to do with the words of a command, if they are right.
fn parsed<T>(words: Result<T, String>, obey: impl FnOnce(T)) -> Result<String, String> {
    words.map(obey).map(|()| String::new())
}

fn pair<A, B>(first: Result<A, String>, second: Result<B, String>) -> Result<(A, B), String> {
    first.and_then(|first| Ok((first, second?)))
}

fn point(x: &str, y: &str) -> Result<Point<f64, Logical>, String> {
    let (x, y): (f64, f64) = pair(number(x), number(y))?;
    let point = Point::from((x, y));
    if x.is_finite() && y.is_finite() { Ok(point) } else { Err(format!("{x} {y} is nowhere")) }
}

fn number<T: FromStr>(word: &str) -> Result<T, String>
where
    T::Err: Display,
{
    word.parse().map_err(|_| format!("{word:?} is not a number"))
}
