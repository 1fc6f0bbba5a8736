//! The state: what the callbacks share, and what they have it do.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::time::Instant;

use soloop::{LoopData, LoopHandle};
use wayland_client::QueueHandle;
use wayland_client::globals::GlobalList;
use wayland_client::protocol::wl_pointer::WlPointer;
use wayland_client::protocol::wl_seat::WlSeat;

use crate::buffers::Slot;
use crate::fractal::{Counts, View, Worker};
use crate::keyboard::{self, Keyboard};
use crate::options::Options;
use crate::picture::{BAR, Picture};
use crate::window::Window;

const BUTTON_LEFT: u32 = 0x110;
const BUTTON_RIGHT: u32 = 0x111;
/// How far an arrow key moves the picture, in parts of its width.
const STRIDE: f64 = 1.0 / 16.0;

pub struct State {
    pub handle: LoopHandle<State>,
    pub window: Window,
    pub keyboard: Keyboard,
    pub pointer: Option<WlPointer>,
    /// Where the pointer is, if it is in the window.
    pub at: Option<(i32, i32)>,
    /// What ended it, if not somebody's wish.
    pub failure: Option<Box<dyn Error>>,
    worker: Worker,
    view: View,
    counts: Option<Counts>,
    picture: Picture,
    text: String,
    started: Instant,
    frames: Option<u64>,
    log: bool,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl State {
    pub fn new(
        handle: LoopHandle<Self>,
        options: &Options,
        worker: Worker,
        globals: &GlobalList,
        queue: &QueueHandle<Self>,
    ) -> Result<Self, String> {
        let window = Window::new(options, globals, queue)?;
        // A compositor without a seat has a window that is only looked at.
        let _: Result<WlSeat, _> = globals.bind(queue, 1..=7, ());
        Ok(Self {
            started: handle.now(),
            handle,
            window,
            keyboard: Keyboard::new(),
            pointer: None,
            at: None,
            failure: None,
            worker,
            view: View { x: -0.5, y: 0.0, width: 3.6 },
            counts: None,
            picture: Picture::default(),
            text: String::new(),
            frames: options.frames,
            log: options.log,
        })
    }

    /// Says what happens, if that is wanted.
    pub fn tell(&self, what: fmt::Arguments<'_>) {
        if self.log {
            // Whoever wanted to know may have gone.
            let _ = writeln!(std::io::stdout(), "{what}");
        }
    }

    pub fn fail(&mut self, failure: Box<dyn Error>) {
        self.failure.get_or_insert(failure);
        self.handle.stop();
    }

    /// Takes leave of the compositor.
    pub fn end(&mut self) {
        self.let_go();
        self.window.destroy();
        self.tell(format_args!("ended after {} frames", self.window.frames()));
    }

    /// The compositor has said what the window is to be like.
    pub fn configured(&mut self) {
        if self.window.configure() || self.window.frames() == 0 {
            self.look(self.view);
        }
        if self.window.wants_picture() {
            self.paint();
        }
    }

    /// A frame is on the screen.
    pub fn shown(&mut self) {
        self.window.shown();
        if self.frames.is_some_and(|most| self.window.frames() >= most) {
            self.handle.stop();
        } else {
            self.paint();
        }
    }

    pub fn released(&mut self, slot: Slot) {
        if self.window.released(slot) {
            self.paint();
        }
    }

    fn paint(&mut self) {
        let seconds = (self.handle.now() - self.started).as_secs_f32();
        let counts = self.counts.as_ref();
        self.picture.paint(self.window.size(), seconds, counts, self.at, &self.text);
        if let Err(error) = self.window.show(self.picture.bytes()) {
            self.fail(format!("no memory for a picture: {error}").into());
        }
    }

    /// The worker has an answer.
    pub fn rendered(&mut self, counts: Counts) {
        let (width, height) = counts.size;
        self.tell(format_args!("computed {width}x{height} in {} ms", counts.took.as_millis()));
        self.counts = Some(counts);
    }

    fn look(&mut self, view: View) {
        self.view = view;
        let (width, height) = self.window.size();
        self.worker.look(view, (width, (height - BAR).max(1)));
    }

    /// A key does what it does, when it is pressed and each time it is repeated.
    pub fn strike(&mut self, key: u32) {
        let View { x, y, width } = self.view;
        match key {
            keyboard::ESCAPE => self.handle.stop(),
            keyboard::LEFT => self.look(View { x: x - STRIDE * width, ..self.view }),
            keyboard::RIGHT => self.look(View { x: x + STRIDE * width, ..self.view }),
            keyboard::UP => self.look(View { y: y - STRIDE * width, ..self.view }),
            keyboard::DOWN => self.look(View { y: y + STRIDE * width, ..self.view }),
            keyboard::PAGE_UP => self.zoom(1.25),
            keyboard::PAGE_DOWN => self.zoom(0.8),
            keyboard::BACKSPACE => drop(self.text.pop()),
            keyboard::ENTER => {
                self.tell(format_args!("text {:?}", self.text));
                self.text.clear();
            }
            _ => self.text.extend(self.keyboard.character(key)),
        }
    }

    pub fn click(&mut self, button: u32) {
        if let Some((x, y)) = self.at {
            self.tell(format_args!("button {button} pressed at {x} {y}"));
        }
        match button {
            BUTTON_LEFT => self.zoom(2.0),
            BUTTON_RIGHT => self.zoom(0.5),
            _ => {}
        }
    }

    /// Magnifies; what is under the pointer stays where it is.
    pub fn zoom(&mut self, factor: f64) {
        let View { x, y, width } = self.view;
        let (columns, rows) = self.window.size();
        let (column, row) = self.at.unwrap_or((columns / 2, (rows - BAR) / 2));
        let step = width / f64::from(columns);
        let right = step * (f64::from(column) - f64::from(columns) / 2.0);
        let down = step * (f64::from(row) - f64::from(rows - BAR) / 2.0);
        let moved = 1.0 - 1.0 / factor;
        // As far out as the whole set, as far in as the numbers go.
        let width = (width / factor).clamp(1e-12, 8.0);
        self.look(View { x: x + right * moved, y: y + down * moved, width });
    }
}
