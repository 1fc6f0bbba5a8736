//! `wp_fractional_scale_manager_v1`: which scale suits a surface. There is one output, and its scale is 1.

use wayland_protocols::wp::fractional_scale::v1::server::wp_fractional_scale_manager_v1::{
    self, WpFractionalScaleManagerV1,
};
use wayland_protocols::wp::fractional_scale::v1::server::wp_fractional_scale_v1::{
    self, WpFractionalScaleV1,
};
use wayland_server::backend::ClientId;
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::{Protocol, ProtocolHost, SurfaceKey};

/// In 120ths.
const SCALE: u32 = 120;

impl<D: ProtocolHost> GlobalDispatch<WpFractionalScaleManagerV1, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WpFractionalScaleManagerV1>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ());
    }
}

impl<D: ProtocolHost> Dispatch<WpFractionalScaleManagerV1, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WpFractionalScaleManagerV1,
        request: wp_fractional_scale_manager_v1::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use wp_fractional_scale_manager_v1::{Error, Request};
        let Request::GetFractionalScale { id, surface } = request else { return };
        let key = surface.data::<SurfaceKey>().copied().unwrap_or_default();
        let scale = init.init(id, key);
        let Some(surface) = data.as_mut().surfaces.get_mut(key) else { return };
        if std::mem::replace(&mut surface.asks_scale, true) {
            return resource.post_error(Error::FractionalScaleExists, "this surface asks already");
        }
        scale.preferred_scale(SCALE);
    }
}

impl<D: ProtocolHost> Dispatch<WpFractionalScaleV1, SurfaceKey, D> for Protocol {
    fn request(
        _: &mut D,
        _: &Client,
        _: &WpFractionalScaleV1,
        _: wp_fractional_scale_v1::Request,
        _: &SurfaceKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
    }

    fn destroyed(data: &mut D, _: ClientId, _: &WpFractionalScaleV1, key: &SurfaceKey) {
        if let Some(surface) = data.as_mut().surfaces.get_mut(*key) {
            surface.asks_scale = false;
        }
    }
}
