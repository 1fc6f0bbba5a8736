//! Who types besides the keyboard: `virtual-keyboard`, and `input-method` for the `text-input` that has the keyboard.
//! And who has the window manager's keys: `keyboard-shortcuts-inhibit`.

use smithay::desktop::{PopupKind, PopupManager};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Logical, Point, Rectangle};
use smithay::wayland::input_method::{InputMethodHandler, PopupSurface};
use smithay::wayland::keyboard_shortcuts_inhibit::{
    KeyboardShortcutsInhibitHandler, KeyboardShortcutsInhibitState, KeyboardShortcutsInhibitor,
    KeyboardShortcutsInhibitorSeat,
};
use smithay::{
    delegate_input_method_manager, delegate_keyboard_shortcuts_inhibit,
    delegate_text_input_manager, delegate_virtual_keyboard_manager,
};

use crate::frames;
use crate::state::State;

/// The popup of an input method, which lists what may be meant, is below what is typed.
impl InputMethodHandler for State {
    fn new_popup(&mut self, surface: PopupSurface) {
        place(&surface);
        if let Err(error) = self.popups.track_popup(PopupKind::from(surface)) {
            eprintln!("compositor: a popup is lost: {error}");
        }
        frames::schedule(self);
    }

    fn dismiss_popup(&mut self, surface: PopupSurface) {
        if let Some(parent) = surface.get_parent().map(|parent| parent.surface.clone()) {
            // Its parent may have gone before.
            let _ = PopupManager::dismiss_popup(&parent, &PopupKind::from(surface));
        }
        frames::schedule(self);
    }

    fn popup_repositioned(&mut self, surface: PopupSurface) {
        place(&surface);
        frames::schedule(self);
    }

    fn parent_geometry(&self, parent: &WlSurface) -> Rectangle<i32, Logical> {
        self.window_of(parent).map(|window| window.geometry()).unwrap_or_default()
    }
}

fn place(popup: &PopupSurface) {
    let text = popup.text_input_rectangle();
    popup.set_location(text.loc + Point::from((0, text.size.h)));
}

impl KeyboardShortcutsInhibitHandler for State {
    fn keyboard_shortcuts_inhibit_state(&mut self) -> &mut KeyboardShortcutsInhibitState {
        &mut self.globals.shortcuts_inhibit
    }

    fn new_inhibitor(&mut self, inhibitor: KeyboardShortcutsInhibitor) {
        inhibitor.activate();
    }
}

/// Whether whoever has the keyboard has the window manager's keys as well.
pub fn has_all_keys(state: &State) -> bool {
    let focus = state.seat.get_keyboard().and_then(|keyboard| keyboard.current_focus());
    let inhibitor = focus.and_then(|focus| {
        state.seat.keyboard_shortcuts_inhibitor_for_surface(&WlSurface::from(focus))
    });
    inhibitor.is_some_and(|inhibitor| inhibitor.is_active())
}

delegate_input_method_manager!(State);
delegate_text_input_manager!(State);
delegate_virtual_keyboard_manager!(State);
delegate_keyboard_shortcuts_inhibit!(State);
