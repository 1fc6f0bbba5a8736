//! The clipboard, the primary selection, and drag and drop; `data-control`, for those who have no window.

use std::os::fd::OwnedFd;

use smithay::input::Seat;
use smithay::reexports::wayland_server::protocol::{
    wl_data_source::WlDataSource, wl_surface::WlSurface,
};
use smithay::wayland::selection::SelectionHandler;
use smithay::wayland::selection::data_device::{
    ClientDndGrabHandler, DataDeviceHandler, DataDeviceState, ServerDndGrabHandler,
};
use smithay::wayland::selection::primary_selection::{
    PrimarySelectionHandler, PrimarySelectionState,
};
#[cfg(feature = "xwayland")]
use smithay::wayland::selection::{SelectionSource, SelectionTarget};
use smithay::wayland::selection::{ext_data_control, wlr_data_control};
use smithay::{
    delegate_data_control, delegate_data_device, delegate_ext_data_control,
    delegate_primary_selection,
};

use crate::frames;
use crate::state::State;

impl SelectionHandler for State {
    type SelectionUserData = ();

    #[cfg(feature = "xwayland")]
    fn new_selection(
        &mut self,
        target: SelectionTarget,
        source: Option<SelectionSource>,
        _: Seat<Self>,
    ) {
        let mime_types = source.map(|source| source.mime_types());
        crate::xwayland::offer_selection(self, target, mime_types);
    }

    #[cfg(feature = "xwayland")]
    fn send_selection(
        &mut self,
        target: SelectionTarget,
        mime_type: String,
        fd: OwnedFd,
        _: Seat<Self>,
        (): &(),
    ) {
        crate::xwayland::send_selection(self, target, mime_type, fd);
    }
}

impl DataDeviceHandler for State {
    fn data_device_state(&self) -> &DataDeviceState {
        &self.globals.data_device
    }
}

impl ClientDndGrabHandler for State {
    fn started(&mut self, _: Option<WlDataSource>, icon: Option<WlSurface>, _: Seat<Self>) {
        self.drag_icon = icon;
        frames::schedule(self);
    }

    fn dropped(&mut self, _: Option<WlSurface>, _: bool, _: Seat<Self>) {
        self.drag_icon = None;
        frames::schedule(self);
    }
}

impl ServerDndGrabHandler for State {
    fn send(&mut self, _: String, _: OwnedFd, _: Seat<Self>) {}
}

impl PrimarySelectionHandler for State {
    fn primary_selection_state(&self) -> &PrimarySelectionState {
        &self.globals.primary_selection
    }
}

impl wlr_data_control::DataControlHandler for State {
    fn data_control_state(&self) -> &wlr_data_control::DataControlState {
        &self.globals.wlr_data_control
    }
}

impl ext_data_control::DataControlHandler for State {
    fn data_control_state(&self) -> &ext_data_control::DataControlState {
        &self.globals.ext_data_control
    }
}

delegate_data_control!(State);
delegate_ext_data_control!(State);
delegate_data_device!(State);
delegate_primary_selection!(State);
