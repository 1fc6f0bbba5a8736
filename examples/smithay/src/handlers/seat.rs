//! Who has the keyboard and what the pointer looks like (`cursor-shape`), what else it does (`relative-pointer`,
//! `pointer-gestures`, `tablet`), and who is told that nobody is there: `ext-idle-notify`, `idle-inhibit`.

use smithay::backend::input::TabletToolDescriptor;
use smithay::input::keyboard::LedState;
use smithay::input::pointer::CursorImageStatus;
use smithay::input::{Seat, SeatHandler, SeatState};
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::IsAlive;
use smithay::wayland::idle_inhibit::IdleInhibitHandler;
use smithay::wayland::idle_notify::{IdleNotifierHandler, IdleNotifierState};
use smithay::wayland::seat::WaylandFocus;
use smithay::wayland::selection::data_device::set_data_device_focus;
use smithay::wayland::selection::primary_selection::set_primary_focus;
use smithay::wayland::tablet_manager::TabletSeatHandler;
use smithay::{
    delegate_cursor_shape, delegate_idle_inhibit, delegate_idle_notify, delegate_pointer_gestures,
    delegate_relative_pointer, delegate_seat, delegate_tablet_manager,
};

use crate::focus::KeyboardFocus;
use crate::state::State;
use crate::{event_loop, frames};

impl SeatHandler for State {
    type KeyboardFocus = KeyboardFocus;
    type PointerFocus = WlSurface;
    type TouchFocus = WlSurface;

    fn seat_state(&mut self) -> &mut SeatState<Self> {
        &mut self.globals.seat
    }

    fn focus_changed(&mut self, seat: &Seat<Self>, focus: Option<&KeyboardFocus>) {
        let client = focus.and_then(WaylandFocus::wl_surface).and_then(|surface| surface.client());
        set_data_device_focus(&self.display, seat, client.clone());
        set_primary_focus(&self.display, seat, client);
        // Keyboard and pointer are busy with this, and can't be asked.
        self.keyboard_moved = true;
    }

    fn led_state_changed(&mut self, _: &Seat<Self>, leds: LedState) {
        self.backend.set_leds(leds);
    }

    fn cursor_image(&mut self, _: &Seat<Self>, image: CursorImageStatus) {
        self.backend.show_cursor(&image);
        self.cursor = image;
        frames::schedule(self);
    }
}

/// A stylus is drawn as the pointer is.
impl TabletSeatHandler for State {
    fn tablet_tool_image(&mut self, _: &TabletToolDescriptor, image: CursorImageStatus) {
        self.backend.show_cursor(&image);
        self.cursor = image;
        frames::schedule(self);
    }
}

impl IdleNotifierHandler for State {
    fn idle_notifier_state(&mut self) -> &mut IdleNotifierState<Self> {
        self.globals.idleness_asked = true;
        // It sets timers.
        let _ = event_loop::calloop(&mut self.handle, &self.foreign);
        &mut self.globals.idle_notifier
    }
}

impl IdleInhibitHandler for State {
    fn inhibit(&mut self, surface: WlSurface) {
        self.globals.idle_inhibitors.push(surface);
        update_inhibition(self);
    }

    fn uninhibit(&mut self, surface: WlSurface) {
        self.globals.idle_inhibitors.retain(|inhibitor| *inhibitor != surface);
        update_inhibition(self);
    }
}

/// The surfaces that keep the seat from being idle may have changed, or died.
pub fn update_inhibition(state: &mut State) {
    let globals = &mut state.globals;
    if globals.idle_inhibitors.is_empty() && !globals.idle_notifier.is_inhibited() {
        return;
    }
    globals.idle_inhibitors.retain(IsAlive::alive);
    let inhibited = !globals.idle_inhibitors.is_empty();
    state.idle_notifier_state().set_is_inhibited(inhibited);
}

delegate_seat!(State);
delegate_relative_pointer!(State);
delegate_pointer_gestures!(State);
delegate_cursor_shape!(State);
delegate_tablet_manager!(State);
delegate_idle_notify!(State);
delegate_idle_inhibit!(State);
