//! `wl_seat`, `wl_keyboard` and `wl_pointer`: input, as it is told to clients.
//!
//! Who has the focus is decided elsewhere; here it is remembered, so that a client that asks for its
//! keyboard late learns of it too.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};
use wayland_protocols::wp::cursor_shape::v1::server::wp_cursor_shape_device_v1::Shape;
use wayland_server::backend::{ClientId, ObjectId};
use wayland_server::protocol::wl_keyboard::{self, KeyState, KeymapFormat, WlKeyboard};
use wayland_server::protocol::wl_pointer::{self, ButtonState, WlPointer};
use wayland_server::protocol::wl_seat::{self, Capability, WlSeat};
use wayland_server::protocol::wl_surface::WlSurface;
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::{Protocol, ProtocolHost, SurfaceKey};
use crate::geometry::Point;

const KEYMAP: &str = include_str!("keymap.xkb");

/// The modifiers of the keymap, as bits: those held down, and those locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Modifiers {
    pub depressed: u32,
    pub locked: u32,
}

/// What the pointer looks like.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Cursor {
    /// A surface, and the point of it that points.
    Surface(SurfaceKey, Point),
    Shape(Shape),
}

pub struct Seat {
    /// The keymap and a NUL, sealed: all clients share it.
    keymap: OwnedFd,
    keyboards: Vec<WlKeyboard>,
    pointers: Vec<WlPointer>,
    keyboard_focus: Option<SurfaceKey>,
    pressed: Vec<u32>,
    modifiers: Modifiers,
    pointer_focus: Option<SurfaceKey>,
    /// Relative to the surface that has the pointer.
    pointer_at: Point,
    /// The buttons that are held down, and the serials of the presses.
    buttons: Vec<(u32, u32)>,
    cursor: Option<Cursor>,
}

impl Seat {
    pub fn new() -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let keymap = rustix::fs::memfd_create("keymap", flags)?;
        rustix::fs::ftruncate(&keymap, KEYMAP.len() as u64 + 1)?;
        rustix::io::pwrite(&keymap, KEYMAP.as_bytes(), 0)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&keymap, seals)?;
        Ok(Self {
            keymap,
            keyboards: Vec::new(),
            pointers: Vec::new(),
            keyboard_focus: None,
            pressed: Vec::new(),
            modifiers: Modifiers::default(),
            pointer_focus: None,
            pointer_at: Point::default(),
            buttons: Vec::new(),
            cursor: None,
        })
    }

    /// A surface is gone, and its client knows.
    pub fn forget(&mut self, key: SurfaceKey) {
        self.keyboard_focus.take_if(|focus| *focus == key);
        self.pointer_focus.take_if(|focus| *focus == key);
        self.cursor
            .take_if(|cursor| matches!(cursor, Cursor::Surface(surface, _) if *surface == key));
    }

    pub fn keyboard_focus(&self) -> Option<SurfaceKey> {
        self.keyboard_focus
    }

    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    pub fn cursor_surface(&self) -> Option<SurfaceKey> {
        match self.cursor? {
            Cursor::Surface(surface, _) => Some(surface),
            Cursor::Shape(_) => None,
        }
    }

    /// An offset that a cursor surface was committed with.
    pub fn move_hotspot(&mut self, key: SurfaceKey, offset: Point) {
        if let Some(Cursor::Surface(surface, hotspot)) = &mut self.cursor
            && *surface == key
        {
            *hotspot = *hotspot - offset;
        }
    }

    fn keyboards_of(&self, id: &ObjectId) -> impl Iterator<Item = &WlKeyboard> {
        self.keyboards.iter().filter(|keyboard| keyboard.id().same_client_as(id))
    }

    fn pointers_of(&self, id: &ObjectId) -> impl Iterator<Item = &WlPointer> {
        self.pointers.iter().filter(|pointer| pointer.id().same_client_as(id))
    }
}

fn enter_keyboard(seat: &Seat, keyboard: &WlKeyboard, surface: &WlSurface, serial: u32) {
    let keys = seat.pressed.iter().flat_map(|key| key.to_ne_bytes()).collect();
    keyboard.enter(serial, surface, keys);
    keyboard.modifiers(serial, seat.modifiers.depressed, 0, seat.modifiers.locked, 0);
}

fn enter_pointer(seat: &Seat, pointer: &WlPointer, surface: &WlSurface, serial: u32) {
    pointer.enter(serial, surface, seat.pointer_at.x.into(), seat.pointer_at.y.into());
    end_group(pointer);
}

/// Ends the events that belong together.
fn end_group(pointer: &WlPointer) {
    if pointer.version() >= 5 {
        pointer.frame();
    }
}

impl Protocol {
    fn focused(&self, focus: Option<SurfaceKey>) -> Option<WlSurface> {
        Some(self.surfaces.get(focus?)?.resource.clone())
    }

    /// Whether the client of this object has the keyboard.
    pub(super) fn has_keyboard(&self, resource: &impl Resource) -> bool {
        let focus = self.focused(self.seat.keyboard_focus);
        focus.is_some_and(|surface| surface.id().same_client_as(&resource.id()))
    }

    /// Gives the keyboard to a surface, or to none.
    pub fn focus_keyboard<D: ProtocolHost>(&mut self, focus: Option<SurfaceKey>) {
        if focus == self.seat.keyboard_focus {
            return;
        }
        let serial = self.next_serial();
        let old = std::mem::replace(&mut self.seat.keyboard_focus, focus);
        if let Some(surface) = self.focused(old) {
            self.seat
                .keyboards_of(&surface.id())
                .for_each(|keyboard| keyboard.leave(serial, &surface));
        }
        self.offer_selection::<D>(focus);
        if let Some(surface) = self.focused(focus) {
            for keyboard in self.seat.keyboards_of(&surface.id()) {
                enter_keyboard(&self.seat, keyboard, &surface, serial);
            }
        }
        old.into_iter().for_each(|window| self.set_active(window, false));
        focus.into_iter().for_each(|window| self.set_active(window, true));
    }

    pub fn send_key(&mut self, time: u32, key: u32, pressed: bool) {
        let serial = self.next_serial();
        self.seat.pressed.retain(|other| *other != key);
        if pressed {
            self.seat.pressed.push(key);
        }
        let state = if pressed { KeyState::Pressed } else { KeyState::Released };
        if let Some(surface) = self.focused(self.seat.keyboard_focus) {
            for keyboard in self.seat.keyboards_of(&surface.id()) {
                keyboard.key(serial, time, key, state);
            }
        }
    }

    pub fn send_modifiers(&mut self, modifiers: Modifiers) {
        let serial = self.next_serial();
        self.seat.modifiers = modifiers;
        if let Some(surface) = self.focused(self.seat.keyboard_focus) {
            for keyboard in self.seat.keyboards_of(&surface.id()) {
                keyboard.modifiers(serial, modifiers.depressed, 0, modifiers.locked, 0);
            }
        }
    }

    /// The surface that has the pointer, as long as it is on the output.
    pub fn pointer_focus(&self) -> Option<SurfaceKey> {
        self.seat.pointer_focus.filter(|key| self.is_mapped(*key))
    }

    /// Moves the pointer to a place on a surface, or away from all.
    pub fn move_pointer(&mut self, time: u32, focus: Option<SurfaceKey>, at: Point) {
        let serial = self.next_serial();
        let old = std::mem::replace(&mut self.seat.pointer_focus, focus);
        self.seat.pointer_at = at;
        let surface = self.focused(focus);
        if old == focus {
            let Some(surface) = surface else { return };
            for pointer in self.seat.pointers_of(&surface.id()) {
                pointer.motion(time, at.x.into(), at.y.into());
                end_group(pointer);
            }
            return;
        }
        // Whoever has the pointer now says what it looks like.
        self.seat.cursor = None;
        if let Some(old) = self.focused(old) {
            for pointer in self.seat.pointers_of(&old.id()) {
                pointer.leave(serial, &old);
                end_group(pointer);
            }
        }
        if let Some(surface) = surface {
            for pointer in self.seat.pointers_of(&surface.id()) {
                enter_pointer(&self.seat, pointer, &surface, serial);
            }
        }
    }

    /// Whether the client of this object has the pointer.
    fn has_pointer(&self, resource: &impl Resource) -> bool {
        let focus = self.focused(self.seat.pointer_focus);
        focus.is_some_and(|surface| surface.id().same_client_as(&resource.id()))
    }

    /// Whether the client of this object holds the pointer by the press with this serial.
    pub(super) fn holds_pointer(&self, resource: &impl Resource, serial: u32) -> bool {
        self.has_pointer(resource) && self.seat.buttons.iter().any(|(_, press)| *press == serial)
    }

    /// Has the pointer look so; only who has the pointer has a say in that.
    pub(super) fn set_cursor(&mut self, resource: &impl Resource, cursor: Option<Cursor>) -> bool {
        let allowed = self.has_pointer(resource);
        if allowed {
            self.seat.cursor = cursor;
        }
        allowed
    }

    pub fn send_button(&mut self, time: u32, button: u32, pressed: bool) {
        let serial = self.next_serial();
        let state = if pressed { ButtonState::Pressed } else { ButtonState::Released };
        self.seat.buttons.retain(|(other, _)| *other != button);
        if pressed {
            self.seat.buttons.push((button, serial));
        }
        if let Some(surface) = self.focused(self.seat.pointer_focus) {
            for pointer in self.seat.pointers_of(&surface.id()) {
                pointer.button(serial, time, button, state);
                end_group(pointer);
            }
        }
    }
}

impl<D: ProtocolHost> GlobalDispatch<WlSeat, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WlSeat>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        let seat = init.init(resource, ());
        seat.capabilities(Capability::all());
        if seat.version() >= 2 {
            seat.name("seat0".into());
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlSeat, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        _: &WlSeat,
        request: wl_seat::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use wl_seat::Request;
        let protocol = data.as_mut();
        let serial = protocol.next_serial();
        match request {
            Request::GetKeyboard { id } => {
                let keyboard = init.init(id, ());
                let size = KEYMAP.len() as u32 + 1;
                keyboard.keymap(KeymapFormat::XkbV1, protocol.seat.keymap.as_fd(), size);
                if keyboard.version() >= 4 {
                    keyboard.repeat_info(25, 600);
                }
                let focus = protocol.focused(protocol.seat.keyboard_focus);
                if let Some(surface) = focus.filter(|s| s.id().same_client_as(&keyboard.id())) {
                    enter_keyboard(&protocol.seat, &keyboard, &surface, serial);
                }
                protocol.seat.keyboards.push(keyboard);
            }
            Request::GetPointer { id } => {
                let pointer = init.init(id, ());
                let focus = protocol.focused(protocol.seat.pointer_focus);
                if let Some(surface) = focus.filter(|s| s.id().same_client_as(&pointer.id())) {
                    enter_pointer(&protocol.seat, &pointer, &surface, serial);
                }
                protocol.seat.pointers.push(pointer);
            }
            Request::GetTouch { id } => protocol.touch.add(init.init(id, ())),
            _ => {}
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlKeyboard, (), D> for Protocol {
    fn request(
        _: &mut D,
        _: &Client,
        _: &WlKeyboard,
        _: wl_keyboard::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &WlKeyboard, _: &()) {
        data.as_mut().seat.keyboards.retain(|keyboard| keyboard != resource);
    }
}

impl<D: ProtocolHost> Dispatch<WlPointer, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlPointer,
        request: wl_pointer::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        let wl_pointer::Request::SetCursor { surface, hotspot_x, hotspot_y, .. } = request else {
            return;
        };
        let protocol = data.as_mut();
        let cursor = surface.and_then(|surface| surface.data::<SurfaceKey>().copied());
        if let Some(surface) = cursor.and_then(|key| protocol.surfaces.get_mut(key))
            && let Err(message) = surface.assign_role("cursor")
        {
            return resource.post_error(wl_pointer::Error::Role, message);
        }
        let hotspot = Point::new(hotspot_x, hotspot_y);
        if protocol.set_cursor(resource, cursor.map(|key| Cursor::Surface(key, hotspot))) {
            data.cursor_changed();
        }
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &WlPointer, _: &()) {
        data.as_mut().seat.pointers.retain(|pointer| pointer != resource);
    }
}
