//! `wp_single_pixel_buffer_manager_v1`: buffers of one colour, mostly to be stretched by a viewport.

use wayland_protocols::wp::single_pixel_buffer::v1::server::wp_single_pixel_buffer_manager_v1::{
    self, WpSinglePixelBufferManagerV1,
};
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New};

use super::buffer::{Buffer, Pixels};
use super::{Protocol, ProtocolHost};

impl<D: ProtocolHost> GlobalDispatch<WpSinglePixelBufferManagerV1, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WpSinglePixelBufferManagerV1>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ());
    }
}

impl<D: ProtocolHost> Dispatch<WpSinglePixelBufferManagerV1, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        _: &WpSinglePixelBufferManagerV1,
        request: wp_single_pixel_buffer_manager_v1::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use wp_single_pixel_buffer_manager_v1::Request;
        if let Request::CreateU32RgbaBuffer { id, r, g, b, a } = request {
            // Of 32 bits a channel, which are premultiplied, eight can be shown.
            let pixel = [b, g, r, a].map(|channel| (channel >> 24) as u8);
            data.as_mut()
                .buffers
                .insert_with_key(|key| Buffer::new(init.init(id, key), Pixels::Single(pixel)));
        }
    }
}
