//! Who can have the keyboard: a surface, or an X11 window, which is told in X11's way as well.

use std::borrow::Cow;

use smithay::desktop::PopupKind;
use smithay::input::Seat;
use smithay::input::keyboard::{KeyboardTarget, KeysymHandle, ModifiersState};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{IsAlive, Serial};
use smithay::wayland::seat::WaylandFocus;
#[cfg(feature = "xwayland")]
use smithay::xwayland::X11Surface;

use crate::element::Window;
use crate::state::State;

#[derive(Clone, Debug, PartialEq)]
pub struct KeyboardFocus {
    surface: WlSurface,
    #[cfg(feature = "xwayland")]
    x11: Option<X11Surface>,
}

impl KeyboardFocus {
    /// A window that has a surface, which those of X11 don't have at once.
    pub fn of(window: &Window) -> Option<Self> {
        let surface = window.wl_surface()?.into_owned();
        Some(Self {
            surface,
            #[cfg(feature = "xwayland")]
            x11: window.x11_surface().cloned(),
        })
    }

    /// The surface of an X11 window that Smithay does not know to have one, and so would not tell.
    #[cfg(feature = "xwayland")]
    fn numbered(&self) -> Option<&WlSurface> {
        self.x11.as_ref().filter(|window| window.wl_surface().is_none()).map(|_| &self.surface)
    }

    #[cfg(not(feature = "xwayland"))]
    fn numbered(&self) -> Option<&WlSurface> {
        None
    }

    fn target(&self) -> &dyn Target {
        #[cfg(feature = "xwayland")]
        if let Some(window) = &self.x11 {
            return window;
        }
        &self.surface
    }
}

impl From<WlSurface> for KeyboardFocus {
    fn from(surface: WlSurface) -> Self {
        Self {
            surface,
            #[cfg(feature = "xwayland")]
            x11: None,
        }
    }
}

impl From<PopupKind> for KeyboardFocus {
    fn from(popup: PopupKind) -> Self {
        Self::from(popup.wl_surface().clone())
    }
}

impl From<KeyboardFocus> for WlSurface {
    fn from(focus: KeyboardFocus) -> Self {
        focus.surface
    }
}

impl IsAlive for KeyboardFocus {
    fn alive(&self) -> bool {
        self.surface.alive()
    }
}

impl WaylandFocus for KeyboardFocus {
    fn wl_surface(&self) -> Option<Cow<'_, WlSurface>> {
        Some(Cow::Borrowed(&self.surface))
    }
}

/// [`KeyboardTarget`], as far as it can be a trait object.
trait Target {
    fn enter(
        &self,
        seat: &Seat<State>,
        state: &mut State,
        keys: Vec<KeysymHandle<'_>>,
        serial: Serial,
    );
    fn leave(&self, seat: &Seat<State>, state: &mut State, serial: Serial);
    fn key(
        &self,
        seat: &Seat<State>,
        state: &mut State,
        key: KeysymHandle<'_>,
        pressed: smithay::backend::input::KeyState,
        serial: Serial,
        time: u32,
    );
    fn modifiers(
        &self,
        seat: &Seat<State>,
        state: &mut State,
        modifiers: ModifiersState,
        serial: Serial,
    );
}

impl<T: KeyboardTarget<State>> Target for T {
    fn enter(
        &self,
        seat: &Seat<State>,
        state: &mut State,
        keys: Vec<KeysymHandle<'_>>,
        serial: Serial,
    ) {
        KeyboardTarget::enter(self, seat, state, keys, serial);
    }

    fn leave(&self, seat: &Seat<State>, state: &mut State, serial: Serial) {
        KeyboardTarget::leave(self, seat, state, serial);
    }

    fn key(
        &self,
        seat: &Seat<State>,
        state: &mut State,
        key: KeysymHandle<'_>,
        pressed: smithay::backend::input::KeyState,
        serial: Serial,
        time: u32,
    ) {
        KeyboardTarget::key(self, seat, state, key, pressed, serial, time);
    }

    fn modifiers(
        &self,
        seat: &Seat<State>,
        state: &mut State,
        modifiers: ModifiersState,
        serial: Serial,
    ) {
        KeyboardTarget::modifiers(self, seat, state, modifiers, serial);
    }
}

impl KeyboardTarget<State> for KeyboardFocus {
    fn enter(
        &self,
        seat: &Seat<State>,
        state: &mut State,
        keys: Vec<KeysymHandle<'_>>,
        serial: Serial,
    ) {
        if let Some(surface) = self.numbered() {
            self.target().enter(seat, state, Vec::new(), serial);
            return KeyboardTarget::enter(surface, seat, state, keys, serial);
        }
        self.target().enter(seat, state, keys, serial);
    }

    fn leave(&self, seat: &Seat<State>, state: &mut State, serial: Serial) {
        self.target().leave(seat, state, serial);
        if let Some(surface) = self.numbered() {
            KeyboardTarget::leave(surface, seat, state, serial);
        }
    }

    fn key(
        &self,
        seat: &Seat<State>,
        state: &mut State,
        key: KeysymHandle<'_>,
        pressed: smithay::backend::input::KeyState,
        serial: Serial,
        time: u32,
    ) {
        match self.numbered() {
            Some(surface) => KeyboardTarget::key(surface, seat, state, key, pressed, serial, time),
            None => self.target().key(seat, state, key, pressed, serial, time),
        }
    }

    fn modifiers(
        &self,
        seat: &Seat<State>,
        state: &mut State,
        modifiers: ModifiersState,
        serial: Serial,
    ) {
        match self.numbered() {
            Some(surface) => KeyboardTarget::modifiers(surface, seat, state, modifiers, serial),
            None => self.target().modifiers(seat, state, modifiers, serial),
        }
    }
}
