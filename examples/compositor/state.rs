//! The one state, and what its modules need of each other.

use std::collections::HashMap;
use std::path::PathBuf;

use soloop::{LoopData, LoopHandle, Priority, Scope, SourceOptions};

use crate::clients::{Clients, ClientsHost};
use crate::control::{self, Button, Control, ControlHost, ReplyTo, Stroke};
use crate::geometry::{Image, Point, Rect};
use crate::input::touch::{self, Touch};
use crate::input::{self, Input, InputHost, typing};
use crate::insight;
use crate::protocol::seat::Modifiers;
use crate::protocol::shell;
use crate::protocol::{Protocol, ProtocolHost, SurfaceKey, drag};
use crate::rendering::decoration::{self, Frame, TITLE_BAR};
use crate::rendering::{self, Rendering, ScreenshotId};

pub struct State {
    pub handle: LoopHandle<State>,
    pub protocol: Protocol,
    pub input: Input,
    pub rendering: Rendering,
    pub control: Control,
    pub clients: Clients,
    pub background: Image,
    /// What the pointer covers of the output.
    pub cursor_area: Rect,
    /// The window with the keyboard.
    pub active: Option<SurfaceKey>,
    /// Who hears of the screenshots that are being made.
    pub screenshots: HashMap<ScreenshotId, Purpose>,
    /// End when the last screenshot is done.
    pub ending: bool,
}

/// What a screenshot is for.
pub enum Purpose {
    /// Somebody asked on the control socket.
    Reply(ReplyTo),
    /// A signal, or the end of the session: people are told.
    Announce,
}

impl LoopData for State {
    fn loop_handle(&mut self) -> &mut LoopHandle<Self> {
        &mut self.handle
    }
}

impl AsMut<Protocol> for State {
    fn as_mut(&mut self) -> &mut Protocol {
        &mut self.protocol
    }
}

impl AsMut<Input> for State {
    fn as_mut(&mut self) -> &mut Input {
        &mut self.input
    }
}

impl AsMut<Rendering> for State {
    fn as_mut(&mut self) -> &mut Rendering {
        &mut self.rendering
    }
}

impl AsMut<Control> for State {
    fn as_mut(&mut self) -> &mut Control {
        &mut self.control
    }
}

impl AsMut<Clients> for State {
    fn as_mut(&mut self) -> &mut Clients {
        &mut self.clients
    }
}

impl State {
    /// A line for each module.
    pub fn statistics(&self) -> [String; 5] {
        [
            self.protocol.stats(),
            self.input.stats(),
            self.rendering.stats(),
            self.control.stats(),
            self.clients.stats(),
        ]
    }

    pub fn take_screenshot(&mut self, path: PathBuf, purpose: Purpose) {
        let id = rendering::take_screenshot(self, path);
        self.screenshots.insert(id, purpose);
    }

    /// Ends the loop, once nobody waits for a screenshot any more.
    pub fn end(&mut self) {
        self.ending = true;
        if self.rendering.pending_screenshots() == 0 {
            self.handle.stop();
        }
    }

    /// Gives the keyboard to a window, and puts it on top.
    fn activate(&mut self, window: Option<SurfaceKey>) {
        if let Some(window) = window {
            self.protocol.raise(window);
            shell::ping(self, window);
        }
        let before = std::mem::replace(&mut self.active, window);
        self.protocol.focus_keyboard::<Self>(window);
        // The frames of both change, and what is on top.
        for window in [before, window].into_iter().flatten() {
            self.damage_window(window);
        }
    }

    /// Has a window repainted, with its frame and whatever else belongs to it.
    fn damage_window(&mut self, window: SurfaceKey) {
        let area = self.protocol.area_of_window(window);
        if !area.is_empty() {
            rendering::damage(self, decoration::extent(area));
        }
    }
}

impl ProtocolHost for State {
    fn changed(&mut self, area: Option<Rect>) {
        match area {
            Some(area) => rendering::damage(self, area),
            None => {
                rendering::damage_all(self);
                input::refocus(self);
            }
        }
    }

    fn window_changed(&mut self, window: SurfaceKey) {
        self.damage_window(window);
        input::refocus(self);
    }

    fn frame_wanted(&mut self) {
        rendering::schedule_frame(self);
    }

    fn place_window(&mut self, size: (i32, i32)) -> Point {
        let others: Vec<Rect> = self.protocol.windows().map(|window| window.rect).collect();
        // The window to be placed is the last one.
        let others = others.split_last().map_or(&[][..], |(_, others)| others);
        decoration::place(size, others, self.rendering.bounds())
    }

    fn work_area(&mut self) -> Rect {
        let Rect { x, y, width, height } = self.rendering.bounds();
        Rect::new(x, y + TITLE_BAR, width, height - TITLE_BAR)
    }

    fn window_mapped(&mut self, window: SurfaceKey) {
        self.activate(Some(window));
    }

    fn activation_asked(&mut self, window: SurfaceKey) {
        self.activate(Some(window));
    }

    fn cursor_changed(&mut self) {
        let area = self.cursor().map_or_else(Rect::default, |cursor| cursor.area);
        let before = std::mem::replace(&mut self.cursor_area, area);
        rendering::damage(self, before);
        rendering::damage(self, area);
    }

    fn surface_unmapped(&mut self, surface: SurfaceKey) {
        if self.active == Some(surface) {
            let next = self.protocol.windows().next_back().map(|window| window.key);
            self.activate(next);
        }
    }
}

impl InputHost for State {
    type Target = SurfaceKey;

    fn target_at(&mut self, point: Point) -> Option<SurfaceKey> {
        self.protocol.surface_at(point)
    }

    fn pointer_moved(&mut self, time: u32, target: Option<SurfaceKey>, point: Point) {
        let at = target.map_or(point, |target| self.protocol.local(target, point));
        self.protocol.move_pointer(time, target, at);
        self.cursor_changed();
    }

    fn pointer_dragged(&mut self, time: u32, point: Point) {
        if self.protocol.is_dragging() {
            let target = self.protocol.surface_at(point);
            drag::move_to(self, time, target, point);
            return self.cursor_changed();
        }
        let target = if self.protocol.popup_grabs() {
            // A menu that was opened by the press takes the pointer.
            self.protocol.surface_at(point)
        } else {
            self.protocol.pointer_focus()
        };
        self.pointer_moved(time, target, point);
    }

    fn pressed_on(&mut self, target: Option<SurfaceKey>, point: Point) {
        if self.protocol.dismiss_popups(target) {
            rendering::damage_all(self);
        }
        let window = match target {
            Some(target) => self.protocol.window_of(target),
            // Title bars are the compositor's own.
            None => self.frame_at(point),
        };
        if window.is_some() && window != self.active {
            self.activate(window);
        }
    }

    fn button(&mut self, time: u32, button: u32, pressed: bool) {
        self.protocol.send_button(time, button, pressed);
    }

    fn let_go(&mut self) {
        drag::drop_it(self);
    }

    fn key(&mut self, time: u32, key: u32, pressed: bool) {
        self.protocol.send_key(time, key, pressed);
    }

    fn modifiers(&mut self, depressed: u32, locked: u32) {
        self.protocol.send_modifiers(Modifiers { depressed, locked });
    }

    fn touch_down(&mut self, time: u32, finger: i32, target: SurfaceKey, point: Point) {
        self.protocol.touch_down(time, finger, target, point);
    }

    fn touch_moved(&mut self, time: u32, finger: i32, point: Point) {
        self.protocol.touch_moved(time, finger, point);
    }

    fn touch_up(&mut self, time: u32, finger: i32) {
        self.protocol.touch_up(time, finger);
    }

    fn touch_cancelled(&mut self) {
        self.protocol.touch_cancel();
    }

    fn lift_lost_touches(&mut self, time: u32) {
        self.protocol.lift_lost_touches(time);
    }
}

impl State {
    fn check_on_output(&self, point: Point) -> Result<(), String> {
        let Point { x, y } = point;
        let there = self.rendering.bounds().contains(point);
        if there { Ok(()) } else { Err(format!("{x} {y} is not on the output")) }
    }

    /// The window whose title bar is at a point.
    fn frame_at(&self, point: Point) -> Option<SurfaceKey> {
        let mut framed = self.protocol.windows().rev().filter(|window| !window.frameless);
        framed
            .find(|window| {
                let frame = Frame { window: window.rect, title: "", active: false };
                frame.outline().contains(point)
            })
            .map(|window| window.key)
    }
}

impl ControlHost for State {
    fn windows(&mut self) -> Vec<String> {
        let (active, protocol) = (self.active, &self.protocol);
        let line = |(index, window): (usize, crate::protocol::scene::Window<'_>)| {
            let Rect { x, y, width, height } = window.rect;
            let mark = if active == Some(window.key) { "active " } else { "" };
            format!(
                "window {index} pid={} {x} {y} {width}x{height} {mark}app_id={:?} title={:?}",
                protocol.pid(window.key),
                window.app_id,
                window.title
            )
        };
        protocol.windows().enumerate().map(line).collect()
    }

    fn stats(&mut self, reply_to: ReplyTo) {
        self.handle.inspect(move |event_loop, state| {
            let mut lines = Vec::from(state.statistics());
            lines.extend(insight::report(event_loop, &state.handle));
            control::answer(state, reply_to, lines, Ok(String::new()));
        });
    }

    fn screenshot(&mut self, path: PathBuf, reply_to: ReplyTo) {
        self.take_screenshot(path, Purpose::Reply(reply_to));
    }

    fn key(&mut self, code: u32, stroke: Stroke) -> Result<(), String> {
        if !input::KEYS.contains(&code) {
            return Err(format!("there is no key {code}"));
        }
        match stroke {
            Stroke::Press => input::key(self, code, true),
            Stroke::Release => input::key(self, code, false),
            Stroke::Both => input::strike_key(self, code),
        }
        Ok(())
    }

    fn pointer(&mut self, point: Point, button: Option<(Button, Stroke)>) -> Result<(), String> {
        self.check_on_output(point)?;
        input::move_pointer(self, point);
        if let Some((button, stroke)) = button {
            let code = match button {
                Button::Left => input::BUTTON_LEFT,
                Button::Middle => input::BUTTON_MIDDLE,
                Button::Right => input::BUTTON_RIGHT,
            };
            match stroke {
                Stroke::Press => input::button(self, code, true),
                Stroke::Release => input::button(self, code, false),
                Stroke::Both => input::click(self, code),
            }
        }
        Ok(())
    }

    fn touch(&mut self, touch: Touch) -> Result<(), String> {
        if let Touch::Down(_, point) | Touch::Move(_, point) = touch {
            self.check_on_output(point)?;
        }
        touch::touch(self, touch);
        Ok(())
    }

    fn type_text(&mut self, text: &str, scope: &Scope, reply_to: ReplyTo) -> Result<(), String> {
        let keys = typing::keys(text)?;
        let options = SourceOptions::new().name("typing").priority(Priority::High).scope(scope);
        self.handle.spawn_with(options, move |cx| async move {
            typing::type_keys(&cx, keys).await;
            cx.with(move |state| control::answer(state, reply_to, Vec::new(), Ok(String::new())))
                .await;
        });
        Ok(())
    }

    fn quit(&mut self) {
        self.end();
    }
}

impl ClientsHost for State {
    fn last_child_gone(&mut self) {
        self.end();
    }
}
