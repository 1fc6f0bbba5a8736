//! The Wayland protocol: what clients say, and what they are told.
//!
//! All objects' state lies in [`Protocol`], a field of the global state, in slot maps; an object's user data
//! is only the key of its entry. The `Dispatch` implementations, in one file for each extension, are generic
//! over the state: they know of it that it holds a [`Protocol`] and is a [`ProtocolHost`].

pub mod activation;
pub mod buffer;
pub mod compositor;
pub mod connection;
pub mod content;
pub mod cursor_shape;
pub mod data_device;
pub mod decoration;
pub mod drag;
pub mod fractional_scale;
pub mod offer;
pub mod output;
pub mod popup;
pub mod positioner;
pub mod presentation;
pub mod region;
mod relay;
pub mod scene;
pub mod seat;
pub mod shell;
pub mod shm;
pub mod single_pixel;
pub mod subsurface;
pub mod surface;
pub mod toplevel;
pub mod touch;
pub mod viewport;

use std::collections::HashMap;
use std::io;

use slotmap::{SlotMap, new_key_type};
use soloop::{Generic, Interest, LoopData, LoopHandle, Mode, PostAction, SourceOptions, channel};
use wayland_protocols::wp::cursor_shape::v1::server::{
    wp_cursor_shape_device_v1::WpCursorShapeDeviceV1,
    wp_cursor_shape_manager_v1::WpCursorShapeManagerV1,
};
use wayland_protocols::wp::fractional_scale::v1::server::{
    wp_fractional_scale_manager_v1::WpFractionalScaleManagerV1,
    wp_fractional_scale_v1::WpFractionalScaleV1,
};
use wayland_protocols::wp::presentation_time::server::{
    wp_presentation::WpPresentation, wp_presentation_feedback::WpPresentationFeedback,
};
use wayland_protocols::wp::single_pixel_buffer::v1::server::wp_single_pixel_buffer_manager_v1::WpSinglePixelBufferManagerV1;
use wayland_protocols::wp::viewporter::server::{
    wp_viewport::WpViewport, wp_viewporter::WpViewporter,
};
use wayland_protocols::xdg::activation::v1::server::{
    xdg_activation_token_v1::XdgActivationTokenV1, xdg_activation_v1::XdgActivationV1,
};
use wayland_protocols::xdg::decoration::zv1::server::{
    zxdg_decoration_manager_v1::ZxdgDecorationManagerV1,
    zxdg_toplevel_decoration_v1::ZxdgToplevelDecorationV1,
};
use wayland_protocols::xdg::shell::server::{
    xdg_popup::XdgPopup, xdg_positioner::XdgPositioner, xdg_surface::XdgSurface,
    xdg_toplevel::XdgToplevel, xdg_wm_base::XdgWmBase,
};
use wayland_server::backend::ClientId;
use wayland_server::protocol::{
    wl_buffer::WlBuffer, wl_callback::WlCallback, wl_compositor::WlCompositor,
    wl_data_device::WlDataDevice, wl_data_device_manager::WlDataDeviceManager,
    wl_data_offer::WlDataOffer, wl_data_source::WlDataSource, wl_keyboard::WlKeyboard,
    wl_output::WlOutput, wl_pointer::WlPointer, wl_region::WlRegion, wl_seat::WlSeat,
    wl_shm::WlShm, wl_shm_pool::WlShmPool, wl_subcompositor::WlSubcompositor,
    wl_subsurface::WlSubsurface, wl_surface::WlSurface, wl_touch::WlTouch,
};
use wayland_server::{Dispatch, Display, DisplayHandle, GlobalDispatch, ListeningSocket};

use crate::geometry::{Point, Rect};
use connection::Connection;

new_key_type! {
    /// Names a surface, and the role objects on top of it.
    pub struct SurfaceKey;
    pub struct RegionKey;
    pub struct PoolKey;
    pub struct BufferKey;
    pub struct PositionerKey;
    /// Names what a client offers on the clipboard, or drags.
    pub struct SourceKey;
    /// Names what a client makes of something that is dragged over it.
    pub struct DealKey;
    /// Names an activation token that is asked for.
    pub struct RequestKey;
}

/// What the protocol needs of the state: where it is, what else has to hear of it, and that the objects
/// are handed to the implementations in this module.
pub trait ProtocolHost:
    LoopData
    + AsMut<Protocol>
    + GlobalDispatch<WlCompositor, ()>
    + GlobalDispatch<WlSubcompositor, ()>
    + GlobalDispatch<WlShm, ()>
    + GlobalDispatch<WlSeat, ()>
    + GlobalDispatch<WlOutput, ()>
    + GlobalDispatch<WlDataDeviceManager, ()>
    + GlobalDispatch<XdgWmBase, ()>
    + GlobalDispatch<ZxdgDecorationManagerV1, ()>
    + GlobalDispatch<WpViewporter, ()>
    + GlobalDispatch<WpPresentation, ()>
    + GlobalDispatch<WpSinglePixelBufferManagerV1, ()>
    + GlobalDispatch<WpFractionalScaleManagerV1, ()>
    + GlobalDispatch<WpCursorShapeManagerV1, ()>
    + GlobalDispatch<XdgActivationV1, ()>
    + Dispatch<WlCompositor, ()>
    + Dispatch<WlSurface, SurfaceKey>
    + Dispatch<WlRegion, RegionKey>
    + Dispatch<WlCallback, ()>
    + Dispatch<WlSubcompositor, ()>
    + Dispatch<WlSubsurface, SurfaceKey>
    + Dispatch<WlShm, ()>
    + Dispatch<WlShmPool, PoolKey>
    + Dispatch<WlBuffer, BufferKey>
    + Dispatch<WlSeat, ()>
    + Dispatch<WlKeyboard, ()>
    + Dispatch<WlPointer, ()>
    + Dispatch<WlTouch, ()>
    + Dispatch<WlOutput, ()>
    + Dispatch<WlDataDeviceManager, ()>
    + Dispatch<WlDataDevice, ()>
    + Dispatch<WlDataSource, SourceKey>
    + Dispatch<WlDataOffer, SourceKey>
    + Dispatch<WlDataOffer, DealKey>
    + Dispatch<XdgWmBase, ()>
    + Dispatch<XdgSurface, SurfaceKey>
    + Dispatch<XdgToplevel, SurfaceKey>
    + Dispatch<XdgPopup, SurfaceKey>
    + Dispatch<XdgPositioner, PositionerKey>
    + Dispatch<ZxdgDecorationManagerV1, ()>
    + Dispatch<WpViewporter, ()>
    + Dispatch<WpViewport, SurfaceKey>
    + Dispatch<WpPresentation, ()>
    + Dispatch<WpSinglePixelBufferManagerV1, ()>
    + Dispatch<WpFractionalScaleManagerV1, ()>
    + Dispatch<WpCursorShapeManagerV1, ()>
    + Dispatch<XdgActivationV1, ()>
    + Dispatch<WpPresentationFeedback, ()>
    + Dispatch<WpFractionalScaleV1, SurfaceKey>
    + Dispatch<WpCursorShapeDeviceV1, ()>
    + Dispatch<XdgActivationTokenV1, RequestKey>
    + Dispatch<ZxdgToplevelDecorationV1, SurfaceKey>
    + 'static
{
    /// The output shows something else from now on: in `area`, or anywhere.
    fn changed(&mut self, area: Option<Rect>);
    /// A window has come, or its title is another.
    fn window_changed(&mut self, window: SurfaceKey);
    /// A client waits for a frame.
    fn frame_wanted(&mut self);
    /// Where a new window of this size goes.
    fn place_window(&mut self, size: (i32, i32)) -> Point;
    /// What a maximized window fills.
    fn work_area(&mut self) -> Rect;
    /// A window is there.
    fn window_mapped(&mut self, window: SurfaceKey);
    /// A window is to have the keyboard, as a client that had it allowed.
    fn activation_asked(&mut self, window: SurfaceKey);
    /// The pointer looks different, or is elsewhere.
    fn cursor_changed(&mut self);
    /// A surface with content has lost it, or is gone altogether.
    fn surface_unmapped(&mut self, surface: SurfaceKey);
}

/// Everything clients have made.
pub struct Protocol {
    display: DisplayHandle,
    connections: HashMap<ClientId, Connection>,
    surfaces: SlotMap<SurfaceKey, surface::Surface>,
    regions: SlotMap<RegionKey, region::Region>,
    pools: shm::Pools,
    buffers: SlotMap<BufferKey, buffer::Buffer>,
    /// With pixels that are to be copied.
    uncopied: Vec<SurfaceKey>,
    /// How many were painted.
    frame: u64,
    positioners: SlotMap<PositionerKey, positioner::Positioner>,
    /// The mapped windows, from the bottom up.
    windows: Vec<SurfaceKey>,
    /// The mapped popups, in the order they came.
    popups: Vec<SurfaceKey>,
    sources: SlotMap<SourceKey, data_device::Source>,
    clipboard: data_device::Clipboard,
    drag: Option<drag::Drag>,
    deals: SlotMap<DealKey, offer::Deal>,
    token_requests: SlotMap<RequestKey, activation::TokenRequest>,
    tokens: activation::Tokens,
    seat: seat::Seat,
    touch: touch::Touch,
    output: output::Output,
    serial: u32,
    stats: Stats,
}

#[derive(Default)]
struct Stats {
    clients: u64,
    disconnected: u64,
    requests: u64,
    commits: u64,
    bytes: u64,
    callbacks: u64,
}

impl Protocol {
    /// Listens on `socket`, serves its clients from `display`, and tells them of one output.
    pub fn insert<D: ProtocolHost>(
        handle: &mut LoopHandle<D>,
        display: Display<D>,
        socket: ListeningSocket,
        output: (i32, i32),
    ) -> io::Result<Self> {
        let globals = display.handle();
        globals.create_global::<D, WlCompositor, ()>(6, ());
        globals.create_global::<D, WlSubcompositor, ()>(1, ());
        globals.create_global::<D, WlShm, ()>(1, ());
        globals.create_global::<D, WlSeat, ()>(7, ());
        globals.create_global::<D, WlOutput, ()>(4, ());
        globals.create_global::<D, WlDataDeviceManager, ()>(3, ());
        globals.create_global::<D, XdgWmBase, ()>(5, ());
        globals.create_global::<D, ZxdgDecorationManagerV1, ()>(1, ());
        globals.create_global::<D, WpViewporter, ()>(1, ());
        globals.create_global::<D, WpPresentation, ()>(1, ());
        globals.create_global::<D, WpSinglePixelBufferManagerV1, ()>(1, ());
        globals.create_global::<D, WpFractionalScaleManagerV1, ()>(1, ());
        globals.create_global::<D, WpCursorShapeManagerV1, ()>(1, ());
        globals.create_global::<D, XdgActivationV1, ()>(1, ());

        // All requests come from one source: the display's fd is an epoll instance with one end of each relay in it.
        let source = Generic::new(display, Interest::READ, Mode::Level);
        let options = SourceOptions::new().name("wayland clients");
        handle.insert_source_with(options, source, |ready, data: &mut D| {
            let requests = ready.io.dispatch_clients(data)?;
            data.as_mut().stats.requests += requests as u64;
            Ok(PostAction::Continue)
        })?;

        // Clients are declared dead wherever something is sent to them, with the backend locked: a
        // channel takes the news to where the state is at hand.
        let (sender, gone) = channel();
        let options = SourceOptions::new().name("gone clients");
        handle.insert_source_with(options, gone, |event, data: &mut D| {
            if let channel::Event::Msg(gone) = event {
                connection::forget(data, gone);
            }
        })?;

        connection::listen(handle, socket, sender)?;
        Ok(Self {
            display: globals,
            connections: HashMap::new(),
            surfaces: SlotMap::with_key(),
            regions: SlotMap::with_key(),
            pools: SlotMap::with_key(),
            buffers: SlotMap::with_key(),
            uncopied: Vec::new(),
            // Content that was never copied is of none.
            frame: 1,
            positioners: SlotMap::with_key(),
            windows: Vec::new(),
            popups: Vec::new(),
            sources: SlotMap::with_key(),
            clipboard: data_device::Clipboard::default(),
            drag: None,
            deals: SlotMap::with_key(),
            token_requests: SlotMap::with_key(),
            tokens: activation::Tokens::default(),
            seat: seat::Seat::new()?,
            touch: touch::Touch::default(),
            output: output::Output::new(output),
            serial: 0,
            stats: Stats::default(),
        })
    }

    fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    pub fn stats(&self) -> String {
        let Stats { clients, disconnected, requests, commits, bytes, callbacks } = &self.stats;
        format!(
            "protocol: {clients} clients came and {disconnected} went, {requests} requests, {commits} commits \
             ({} KiB copied), {callbacks} frame callbacks, {} surfaces, {} windows, {} popups",
            bytes >> 10,
            self.surfaces.len(),
            self.windows.len(),
            self.popups.len(),
        )
    }
}
