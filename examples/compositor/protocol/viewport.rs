//! `wp_viewporter`: surfaces that show a part of their buffers, or show them larger or smaller.

use wayland_protocols::wp::viewporter::server::wp_viewport::{self, WpViewport};
use wayland_protocols::wp::viewporter::server::wp_viewporter::{self, WpViewporter};
use wayland_server::backend::ClientId;
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::surface::Surface;
use super::{Protocol, ProtocolHost, SurfaceKey};
use crate::geometry::{Area, Orientation, Point, Rect};

/// How a buffer is cropped and scaled.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Viewport {
    /// In logical pixels, before it is scaled to the destination.
    source: Option<Area>,
    destination: Option<(i32, i32)>,
}

impl Viewport {
    /// How large the surface is that shows a buffer of `content` pixels with a scale.
    pub fn size(&self, content: (i32, i32), scale: i32) -> (i32, i32) {
        self.destination.unwrap_or_else(|| match self.source {
            Some(source) => (source.width as i32, source.height as i32),
            None => (content.0 / scale, content.1 / scale),
        })
    }

    /// The part of the buffer that is shown, in its own pixels.
    pub fn source(&self, content: (i32, i32), scale: i32) -> Area {
        let all = Area::from(Rect::at(Point::default(), content));
        self.source.map_or(all, |source| source.scaled(f64::from(scale)))
    }

    /// Whether a buffer goes with it.
    pub fn check(
        &self,
        content: (i32, i32),
        scale: i32,
    ) -> Result<(), (wp_viewport::Error, &'static str)> {
        let Some(source) = self.source else { return Ok(()) };
        let whole = |side: f64| side.fract() == 0.0;
        if self.destination.is_none() && !(whole(source.width) && whole(source.height)) {
            return Err((wp_viewport::Error::BadSize, "a surface of a fraction of a pixel"));
        }
        let Area { x, y, width, height } = source.scaled(f64::from(scale));
        if x + width > f64::from(content.0) || y + height > f64::from(content.1) {
            return Err((wp_viewport::Error::OutOfBuffer, "the source is not in the buffer"));
        }
        Ok(())
    }
}

/// How the pixels of a buffer and those of its surface belong together.
pub struct Mapping {
    /// What is shown, the right way up.
    source: Area,
    orientation: Orientation,
    content: (i32, i32),
    size: (i32, i32),
}

impl Surface {
    pub fn mapping(&self) -> Mapping {
        Mapping {
            source: self.source(),
            orientation: self.orientation,
            content: self.content.as_ref().map_or((0, 0), |content| content.size),
            size: self.size(),
        }
    }
}

impl Mapping {
    /// Every pixel of the buffer that a part of the surface shows.
    pub fn to_content(&self, rect: Rect) -> Rect {
        let all = Rect::at(Point::default(), self.size);
        let rect = rect.intersection(&all);
        if rect.is_empty() {
            return Rect::default();
        }
        self.orientation.to_buffer(self.source.part(rect, self.size).rounded(), self.content)
    }

    /// Every pixel of the surface that shows a part of the buffer.
    pub fn to_surface(&self, rect: Rect) -> Rect {
        let Area { x, y, width, height } = self.source;
        let all = Rect::at(Point::default(), self.content);
        let rect = self.orientation.to_surface(rect.intersection(&all), self.content);
        let shown = Rect::intersection(&rect, &self.source.rounded());
        if shown.is_empty() {
            return Rect::default();
        }
        let (right, down) = (f64::from(self.size.0) / width, f64::from(self.size.1) / height);
        let shown = Area::from(shown);
        Area {
            x: (shown.x - x) * right,
            y: (shown.y - y) * down,
            width: shown.width * right,
            height: shown.height * down,
        }
        .rounded()
    }
}

impl<D: ProtocolHost> GlobalDispatch<WpViewporter, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WpViewporter>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ());
    }
}

impl<D: ProtocolHost> Dispatch<WpViewporter, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WpViewporter,
        request: wp_viewporter::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        let wp_viewporter::Request::GetViewport { id, surface } = request else { return };
        let key = surface.data::<SurfaceKey>().copied().unwrap_or_default();
        let viewport = init.init(id, key);
        let Some(surface) = data.as_mut().surfaces.get_mut(key) else { return };
        if surface.viewport_resource.is_some() {
            let error = wp_viewporter::Error::ViewportExists;
            return resource.post_error(error, "this surface has a viewport already");
        }
        surface.viewport_resource = Some(viewport);
    }
}

impl<D: ProtocolHost> Dispatch<WpViewport, SurfaceKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WpViewport,
        request: wp_viewport::Request,
        key: &SurfaceKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use wp_viewport::{Error, Request};
        let Some(surface) = data.as_mut().surfaces.get_mut(*key) else {
            if !matches!(request, Request::Destroy) {
                resource.post_error(Error::NoSurface, "its surface is gone");
            }
            return;
        };
        let pending = surface.pending.viewport.get_or_insert(surface.viewport);
        match request {
            Request::SetSource { x, y, width, height } => {
                pending.source = match (x, y, width, height) {
                    (-1.0, -1.0, -1.0, -1.0) => None,
                    _ if x >= 0.0 && y >= 0.0 && width > 0.0 && height > 0.0 => {
                        Some(Area { x, y, width, height })
                    }
                    _ => {
                        return resource.post_error(Error::BadValue, "this is not a source");
                    }
                };
            }
            Request::SetDestination { width, height } => {
                pending.destination = match (width, height) {
                    (-1, -1) => None,
                    _ if width > 0 && height > 0 => Some((width, height)),
                    _ => {
                        return resource.post_error(Error::BadValue, "this is not a size");
                    }
                };
            }
            _ => {}
        }
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &WpViewport, key: &SurfaceKey) {
        let surface = data.as_mut().surfaces.get_mut(*key);
        if let Some(surface) = surface
            && surface.viewport_resource.take_if(|viewport| viewport == resource).is_some()
        {
            surface.pending.viewport = Some(Viewport::default());
        }
    }
}
