//! A compositor in the machine: how it is started, asked and looked at.

use std::time::Instant;

use super::machine::{Machine, PATIENCE, Picture};

/// A compositor's control socket.
pub const CONTROL: &str = "/run/user/wl.control";

/// A compositor in the machine.
pub struct Seat<'a> {
    pub machine: &'a mut Machine,
    pub guest: String,
    pub name: String,
}

impl Seat<'_> {
    pub fn start(&mut self, options: &str) {
        let command = format!("as-user /opt/{} --tty --serve --socket wl {options}", self.name);
        self.start_program(&command);
    }

    /// Has the log of this program alone from here on.
    pub fn start_program(&mut self, command: &str) {
        self.machine.run(&format!(
            ">/tmp/log; ({command} >>/tmp/log 2>&1; echo \"status $?\" >>/tmp/log) &"
        ));
    }

    /// Waits for words of the compositor's, and gives what it has said since it was started.
    pub fn says(&mut self, words: &str) -> String {
        self.machine.run_until("cat /tmp/log", words)
    }

    pub fn ask(&mut self, words: &str) -> String {
        self.machine.run(&format!("{} --ask {CONTROL} {words}", self.guest))
    }

    pub fn ask_until(&mut self, command: &str, words: &str) -> String {
        let command = format!("{} --ask {CONTROL} {command}", self.guest);
        self.machine.run_until(&command, words)
    }

    pub fn client(&mut self, command: &str) {
        let command =
            format!("WAYLAND_DISPLAY=wl as-user {command} >/tmp/client.log 2>&1 </dev/null &");
        self.machine.run(&command);
    }

    /// A terminal that shows the colour that somebody types.
    pub fn terminal(&mut self, size: &str) {
        self.machine.run(
            "cat >/tmp/colours <<'END'\nwhile read -r word; do case $word in\n\
             green) printf '\\033]11;#00c000\\033\\\\' ;;\nred) printf '\\033]11;#c00000\\033\\\\' ;;\n\
             esac; done\nEND",
        );
        self.client(&format!("foot --window-size-pixels={size} /bin/sh /tmp/colours"));
    }

    pub fn name(&self, picture: &str) -> String {
        format!("{}-{picture}", self.name)
    }

    pub fn look_until(&mut self, name: &str, what: impl Fn(&Picture) -> bool) -> Picture {
        let name = self.name(name);
        self.machine.look_until(0, &name, what)
    }

    /// A number in the line of `stats` that starts with these words, before this one.
    pub fn number(&mut self, line: &str, word: &str) -> u64 {
        Self::number_in(&self.ask("stats"), line, word)
    }

    pub fn number_in(stats: &str, line: &str, word: &str) -> u64 {
        let found = stats.lines().find(|it| it.starts_with(line));
        let found = found.unwrap_or_else(|| panic!("no {line:?} in {stats}"));
        let words: Vec<&str> = found.split([' ', ',']).filter(|it| !it.is_empty()).collect();
        let at = words.iter().position(|it| *it == word).unwrap_or_else(|| panic!("{found}"));
        words[at - 1].parse().unwrap()
    }

    /// The first screen shows so many frames more.
    pub fn shows_frames(&mut self, frames: u64) {
        let before = self.number("screen Virtual-1:", "shown");
        let deadline = Instant::now() + PATIENCE;
        while self.number("screen Virtual-1:", "shown") < before + frames {
            assert!(Instant::now() < deadline, "nothing is drawn any more");
        }
    }

    pub fn pointer_at(&mut self) -> (usize, usize) {
        Self::pointer_in(&self.ask("stats"))
    }

    fn pointer_in(stats: &str) -> (usize, usize) {
        let line = stats.lines().find(|it| it.starts_with("pointer: at ")).unwrap();
        let words: Vec<&str> = line.split([' ', ',']).collect();
        let number = |word: &str| word.parse::<f64>().unwrap();
        (number(words[2]).round() as usize, number(words[3]).round() as usize)
    }

    /// Moves the pointer until it is near a point: how far it goes is not how far the mouse went.
    pub fn move_to(&mut self, x: i32, y: i32) {
        let mut stats = self.ask("stats");
        for _ in 0..50 {
            let (at_x, at_y) = Self::pointer_in(&stats);
            let (away_x, away_y) = (x - at_x as i32, y - at_y as i32);
            if away_x.abs() < 8 && away_y.abs() < 8 {
                return;
            }
            stats = self.heard_after(stats, 1, |machine| {
                machine.motion(away_x * 4 / 5, away_y * 4 / 5);
            });
        }
        panic!("the pointer never comes to {x} {y}");
    }

    /// Does something that comes to so many events of input, and waits for these: those of two devices may overtake
    /// each other.
    pub fn heard(&mut self, events: u64, act: impl FnOnce(&mut Machine)) {
        let before = self.ask("stats");
        self.heard_after(before, events, act);
    }

    /// The same, after these statistics; gives those that have all of the events.
    fn heard_after(
        &mut self,
        before: String,
        events: u64,
        act: impl FnOnce(&mut Machine),
    ) -> String {
        act(self.machine);
        let wanted = Self::number_in(&before, "input:", "events") + events;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.ask("stats");
            if Self::number_in(&stats, "input:", "events") >= wanted {
                return stats;
            }
            assert!(Instant::now() < deadline, "the compositor never hears of it");
        }
    }

    pub fn click(&mut self) {
        self.heard(2, |machine| {
            machine.button(true);
            machine.button(false);
        });
    }

    pub fn end(&mut self) -> String {
        self.machine.run("kill $(pidof foot weston-simple-shm) 2>/dev/null; kill -TERM $(pidof soloop calloop soloop-smithay)");
        self.says("status ")
    }

    /// The terminal shows text, as before.
    pub fn assert_text(&mut self) {
        self.machine.run_until("kbdinfo -C /dev/tty1 getmode", "text");
    }
}
