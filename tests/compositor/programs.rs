//! Debian's programs under either compositor: how they are started, looked at and typed into.

use std::collections::HashSet;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process_group};

use super::server::{self, Compositor, PATIENCE, Picture};

/// A program that runs until this is dropped, with whatever it has started.
pub struct Program {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Program {
    /// `words` are variables, as `NAME=value`, the program, and its arguments. It knows nothing of the session that the
    /// test is run in.
    pub fn start(compositor: &Compositor, words: &[&str]) -> Self {
        let home = compositor.dir.path();
        let mut child = Command::new("env")
            .args(words)
            .env("XDG_RUNTIME_DIR", home)
            .env("WAYLAND_DISPLAY", "wl")
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("GTK_A11Y", "none")
            .env_remove("DISPLAY")
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .current_dir(home)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = server::lines(child.stdout.take().unwrap());
        let stderr = server::lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Waits for a line of its output.
    pub fn prints(&self, words: &str) -> String {
        server::wait_for_line(&self.stdout, words)
    }

    /// The rest of its output, once there is no more.
    pub fn output(&self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut output = Vec::new();
        loop {
            match self.stdout.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => output.push(line),
                Err(RecvTimeoutError::Disconnected) => return output,
                Err(RecvTimeoutError::Timeout) => panic!("no end of it: {output:#?}"),
            }
        }
    }

    /// Waits for a line of what it says on the side: with `WAYLAND_DEBUG=client` everything that it hears.
    pub fn says(&self, words: &str) -> String {
        server::wait_for_line(&self.stderr, words)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Looks until there is something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
    }
}

/// A part of the output: x, y, width, height.
pub type Area = [i32; 4];

/// Waits for a window with these words in its line; where it is.
pub fn window(compositor: &Compositor, words: &str) -> Area {
    let mut control = compositor.control();
    let line = until(words, || control.ask("windows").into_iter().find(|it| it.contains(words)));
    let words: Vec<&str> = line.split(' ').collect();
    let (width, height) = words[5].split_once('x').unwrap();
    [words[3], words[4], width, height].map(|word| word.parse().unwrap())
}

/// The pixels of an area that are on the output.
pub fn pixels(picture: &Picture, [x, y, width, height]: Area) -> Vec<u32> {
    let (right, bottom) = picture.size();
    let columns = x.max(0)..(x + width).min(right);
    (y.max(0)..(y + height).min(bottom))
        .flat_map(|y| columns.clone().map(move |x| picture.pixel(x, y)))
        .collect()
}

/// How many pixels have a colour that is about this one.
pub fn count(picture: &Picture, area: Area, colour: u32) -> usize {
    let near =
        |pixel: u32, shift: u32| (pixel >> shift & 0xff).abs_diff(colour >> shift & 0xff) < 16;
    let is_near = |pixel: &&u32| [0, 8, 16].into_iter().all(|shift| near(**pixel, shift));
    pixels(picture, area).iter().filter(is_near).count()
}

/// Waits until so many pixels of an area have about this colour.
pub fn shows(compositor: &Compositor, area: Area, colour: u32, least: usize) {
    until(&format!("{least} pixels of {colour:06x} in {area:?}"), || {
        (count(&compositor.screenshot(), area, colour) >= least).then_some(())
    });
}

/// Waits until an area has so many colours; the pixels.
pub fn has_colours(compositor: &Compositor, area: Area, least: usize) -> Vec<u32> {
    until(&format!("{least} colours in {area:?}"), || {
        let pixels = pixels(&compositor.screenshot(), area);
        (pixels.iter().collect::<HashSet<_>>().len() >= least).then_some(pixels)
    })
}

/// Waits until so many pixels of an area are others.
pub fn changes(compositor: &Compositor, area: Area, before: &[u32], least: usize) {
    until(&format!("{least} other pixels in {area:?}"), || {
        let now = pixels(&compositor.screenshot(), area);
        let changed = now.iter().zip(before).filter(|(now, before)| now != before).count();
        (changed >= least).then_some(())
    });
}

const CONTROL: u32 = 29;

/// Strikes the keys of small letters.
pub fn type_letters(compositor: &Compositor, letters: &str) {
    let rows = [(16, "qwertyuiop"), (30, "asdfghjkl"), (44, "zxcvbnm")];
    let key = |letter| rows.iter().find_map(|(first, row)| Some(first + row.find(letter)?));
    let mut control = compositor.control();
    for letter in letters.chars() {
        assert_eq!(control.ask(&format!("key {}", key(letter).unwrap())), ["ok"]);
    }
}

/// Selects and copies what is in the field with the keyboard, and waits until the clipboard has it.
pub fn copies(compositor: &Compositor, text: &str) {
    until(&format!("{text:?} on the clipboard"), || {
        let mut control = compositor.control();
        assert_eq!(control.ask(&format!("key {CONTROL} press")), ["ok"]);
        type_letters(compositor, "ac");
        assert_eq!(control.ask(&format!("key {CONTROL} release")), ["ok"]);
        let paste = Program::start(compositor, &["wl-paste", "--no-newline"]);
        // It says so when there is nothing yet, and then ends.
        (paste.output() == [text]).then_some(())
    });
}

/// Keeps a picture, in the directory that `KEEP_SCREENSHOTS` names.
pub fn keep(compositor: &Compositor, name: &str) {
    compositor.screenshot();
    if let Some(directory) = std::env::var_os("KEEP_SCREENSHOTS") {
        let kept = std::path::Path::new(&directory).join(name);
        std::fs::copy(compositor.path("shot.png"), kept).unwrap();
    }
}
