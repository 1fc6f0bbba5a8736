//! `wl_compositor`, `wl_surface` and `wl_callback`: requests, translated into changes of surfaces.

use wayland_server::backend::ClientId;
use wayland_server::protocol::wl_callback::{self, WlCallback};
use wayland_server::protocol::wl_compositor::{self, WlCompositor};
use wayland_server::protocol::wl_output::Transform;
use wayland_server::protocol::wl_surface::{self, WlSurface};
use wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource, WEnum,
};

use super::region::Region;
use super::surface::{Surface, commit};
use super::{BufferKey, Protocol, ProtocolHost, RegionKey, SurfaceKey};
use crate::geometry::{Orientation, Point, Rect};

impl<D: ProtocolHost> GlobalDispatch<WlCompositor, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WlCompositor>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ());
    }
}

impl<D: ProtocolHost> Dispatch<WlCompositor, (), D> for Protocol {
    fn request(
        data: &mut D,
        client: &Client,
        _: &WlCompositor,
        request: wl_compositor::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        match request {
            wl_compositor::Request::CreateSurface { id } => {
                let protocol = data.as_mut();
                protocol.surfaces.insert_with_key(|key| Surface::new(key, init.init(id, key)));
                protocol.count(client, "surfaces", |connection| &mut connection.surfaces);
            }
            wl_compositor::Request::CreateRegion { id } => {
                let key = data.as_mut().regions.insert(Region::default());
                init.init(id, key);
            }
            _ => {}
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlSurface, SurfaceKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlSurface,
        request: wl_surface::Request,
        key: &SurfaceKey,
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use wl_surface::{Error, Request};
        let protocol = data.as_mut();
        let Some(surface) = protocol.surfaces.get_mut(*key) else { return };
        let pending = &mut surface.pending;
        match request {
            Request::Attach { buffer, x, y } => {
                pending.attach =
                    Some(buffer.and_then(|buffer| buffer.data::<BufferKey>().copied()));
                if resource.version() < 5 {
                    pending.offset = Point::new(x, y);
                } else if (x, y) != (0, 0) {
                    resource.post_error(Error::InvalidOffset, "attach with an offset: use offset");
                }
            }
            Request::Offset { x, y } => pending.offset = Point::new(x, y),
            Request::Damage { x, y, width, height } => {
                pending.damage.add(Rect::new(x, y, width, height));
            }
            Request::DamageBuffer { x, y, width, height } => {
                pending.buffer_damage.add(Rect::new(x, y, width, height));
            }
            Request::Frame { callback } => pending.frames.push(init.init(callback, ())),
            Request::SetInputRegion { region } => {
                let key = region.and_then(|region| region.data::<RegionKey>().copied());
                pending.input = Some(key.and_then(|key| protocol.regions.get(key).cloned()));
            }
            Request::SetBufferScale { scale } if scale > 0 => pending.scale = Some(scale),
            Request::SetBufferScale { scale } => {
                resource.post_error(Error::InvalidScale, format!("{scale} is not a scale"));
            }
            Request::SetBufferTransform { transform: WEnum::Value(transform) } => {
                pending.orientation = Some(orientation(transform));
            }
            Request::SetBufferTransform { transform: WEnum::Unknown(value) } => {
                resource.post_error(Error::InvalidTransform, format!("{value} is not a transform"));
            }
            Request::Commit => commit(data, *key),
            // Opaque regions are only hints: what is opaque shows in the pixels.
            _ => {}
        }
    }

    fn destroyed(data: &mut D, client: ClientId, _: &WlSurface, key: &SurfaceKey) {
        if let Some(connection) = data.as_mut().connections.get_mut(&client) {
            connection.surfaces -= 1;
        }
        super::surface::destroy(data, *key);
    }
}

/// How a buffer lies on its surface whose content was turned counter-clockwise, and flipped before that.
fn orientation(transform: Transform) -> Orientation {
    let (swapped, from_right, from_below) = match transform {
        Transform::_90 => (true, false, true),
        Transform::_180 => (false, true, true),
        Transform::_270 => (true, true, false),
        Transform::Flipped => (false, true, false),
        Transform::Flipped90 => (true, false, false),
        Transform::Flipped180 => (false, false, true),
        Transform::Flipped270 => (true, true, true),
        _ => (false, false, false),
    };
    Orientation { swapped, from_right, from_below }
}

impl<D: ProtocolHost> Dispatch<WlCallback, (), D> for Protocol {
    fn request(
        _: &mut D,
        _: &Client,
        _: &WlCallback,
        _: wl_callback::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
    }
}
