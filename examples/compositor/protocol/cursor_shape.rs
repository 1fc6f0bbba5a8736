//! `wp_cursor_shape_manager_v1`: pointers that the compositor draws, by their names.

use wayland_protocols::wp::cursor_shape::v1::server::wp_cursor_shape_device_v1::{
    self, Shape, WpCursorShapeDeviceV1,
};
use wayland_protocols::wp::cursor_shape::v1::server::wp_cursor_shape_manager_v1::{
    self, WpCursorShapeManagerV1,
};
use wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource, WEnum,
};

use super::seat::Cursor;
use super::{Protocol, ProtocolHost};

impl Protocol {
    /// The shape that whoever has the pointer has chosen.
    pub fn cursor_shape(&self) -> Option<Shape> {
        match self.seat.cursor() {
            Some(Cursor::Shape(shape)) => Some(shape),
            _ => None,
        }
    }
}

impl<D: ProtocolHost> GlobalDispatch<WpCursorShapeManagerV1, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WpCursorShapeManagerV1>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ());
    }
}

impl<D: ProtocolHost> Dispatch<WpCursorShapeManagerV1, (), D> for Protocol {
    fn request(
        _: &mut D,
        _: &Client,
        _: &WpCursorShapeManagerV1,
        request: wp_cursor_shape_manager_v1::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use wp_cursor_shape_manager_v1::Request;
        match request {
            Request::GetPointer { cursor_shape_device, .. } => {
                init.init(cursor_shape_device, ());
            }
            // There are no tablets to have the tool of, so nobody has one.
            Request::GetTabletToolV2 { cursor_shape_device, .. } => {
                init.init(cursor_shape_device, ());
            }
            _ => {}
        }
    }
}

impl<D: ProtocolHost> Dispatch<WpCursorShapeDeviceV1, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WpCursorShapeDeviceV1,
        request: wp_cursor_shape_device_v1::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use wp_cursor_shape_device_v1::{Error, Request};
        match request {
            Request::SetShape { shape: WEnum::Value(shape), .. }
                if data.as_mut().set_cursor(resource, Some(Cursor::Shape(shape))) =>
            {
                data.cursor_changed();
            }
            Request::SetShape { shape: WEnum::Unknown(shape), .. } => {
                resource.post_error(Error::InvalidShape, format!("{shape} is not a shape"));
            }
            _ => {}
        }
    }
}
