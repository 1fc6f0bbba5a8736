//! Hands the requests to each kind of Wayland object on to the protocol module.

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
use wayland_server::protocol::{
    wl_buffer::WlBuffer, wl_callback::WlCallback, wl_compositor::WlCompositor,
    wl_data_device::WlDataDevice, wl_data_device_manager::WlDataDeviceManager,
    wl_data_offer::WlDataOffer, wl_data_source::WlDataSource, wl_keyboard::WlKeyboard,
    wl_output::WlOutput, wl_pointer::WlPointer, wl_region::WlRegion, wl_seat::WlSeat,
    wl_shm::WlShm, wl_shm_pool::WlShmPool, wl_subcompositor::WlSubcompositor,
    wl_subsurface::WlSubsurface, wl_surface::WlSurface, wl_touch::WlTouch,
};
use wayland_server::{delegate_dispatch, delegate_global_dispatch};

use crate::protocol::{
    BufferKey, DealKey, PoolKey, PositionerKey, Protocol, RegionKey, RequestKey, SourceKey,
    SurfaceKey,
};
use crate::state::State;

delegate_global_dispatch!(State: [WlCompositor: ()] => Protocol);
delegate_global_dispatch!(State: [WlSubcompositor: ()] => Protocol);
delegate_global_dispatch!(State: [WlShm: ()] => Protocol);
delegate_global_dispatch!(State: [WlSeat: ()] => Protocol);
delegate_global_dispatch!(State: [WlOutput: ()] => Protocol);
delegate_global_dispatch!(State: [WlDataDeviceManager: ()] => Protocol);
delegate_global_dispatch!(State: [XdgWmBase: ()] => Protocol);
delegate_global_dispatch!(State: [ZxdgDecorationManagerV1: ()] => Protocol);
delegate_global_dispatch!(State: [WpViewporter: ()] => Protocol);
delegate_global_dispatch!(State: [WpPresentation: ()] => Protocol);
delegate_global_dispatch!(State: [WpSinglePixelBufferManagerV1: ()] => Protocol);
delegate_global_dispatch!(State: [WpFractionalScaleManagerV1: ()] => Protocol);
delegate_global_dispatch!(State: [WpCursorShapeManagerV1: ()] => Protocol);
delegate_global_dispatch!(State: [XdgActivationV1: ()] => Protocol);

delegate_dispatch!(State: [WlCompositor: ()] => Protocol);
delegate_dispatch!(State: [WlSurface: SurfaceKey] => Protocol);
delegate_dispatch!(State: [WlRegion: RegionKey] => Protocol);
delegate_dispatch!(State: [WlCallback: ()] => Protocol);
delegate_dispatch!(State: [WlSubcompositor: ()] => Protocol);
delegate_dispatch!(State: [WlSubsurface: SurfaceKey] => Protocol);
delegate_dispatch!(State: [WlShm: ()] => Protocol);
delegate_dispatch!(State: [WlShmPool: PoolKey] => Protocol);
delegate_dispatch!(State: [WlBuffer: BufferKey] => Protocol);
delegate_dispatch!(State: [WlSeat: ()] => Protocol);
delegate_dispatch!(State: [WlKeyboard: ()] => Protocol);
delegate_dispatch!(State: [WlPointer: ()] => Protocol);
delegate_dispatch!(State: [WlTouch: ()] => Protocol);
delegate_dispatch!(State: [WlOutput: ()] => Protocol);
delegate_dispatch!(State: [WlDataDeviceManager: ()] => Protocol);
delegate_dispatch!(State: [WlDataDevice: ()] => Protocol);
delegate_dispatch!(State: [WlDataSource: SourceKey] => Protocol);
delegate_dispatch!(State: [WlDataOffer: SourceKey] => Protocol);
delegate_dispatch!(State: [WlDataOffer: DealKey] => Protocol);
delegate_dispatch!(State: [XdgWmBase: ()] => Protocol);
delegate_dispatch!(State: [XdgSurface: SurfaceKey] => Protocol);
delegate_dispatch!(State: [XdgToplevel: SurfaceKey] => Protocol);
delegate_dispatch!(State: [XdgPopup: SurfaceKey] => Protocol);
delegate_dispatch!(State: [XdgPositioner: PositionerKey] => Protocol);
delegate_dispatch!(State: [ZxdgDecorationManagerV1: ()] => Protocol);
delegate_dispatch!(State: [ZxdgToplevelDecorationV1: SurfaceKey] => Protocol);
delegate_dispatch!(State: [WpViewporter: ()] => Protocol);
delegate_dispatch!(State: [WpViewport: SurfaceKey] => Protocol);
delegate_dispatch!(State: [WpPresentation: ()] => Protocol);
delegate_dispatch!(State: [WpSinglePixelBufferManagerV1: ()] => Protocol);
delegate_dispatch!(State: [WpFractionalScaleManagerV1: ()] => Protocol);
delegate_dispatch!(State: [WpCursorShapeManagerV1: ()] => Protocol);
delegate_dispatch!(State: [XdgActivationV1: ()] => Protocol);
delegate_dispatch!(State: [WpPresentationFeedback: ()] => Protocol);
delegate_dispatch!(State: [WpFractionalScaleV1: SurfaceKey] => Protocol);
delegate_dispatch!(State: [WpCursorShapeDeviceV1: ()] => Protocol);
delegate_dispatch!(State: [XdgActivationTokenV1: RequestKey] => Protocol);
