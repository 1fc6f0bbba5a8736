//! `wl_output`: the one there is.

use wayland_server::backend::{ClientId, ObjectId};
use wayland_server::protocol::wl_output::{self, Mode, Subpixel, Transform, WlOutput};
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::{Protocol, ProtocolHost, SurfaceKey};
use crate::geometry::Rect;

pub struct Output {
    pub size: (i32, i32),
    resources: Vec<WlOutput>,
}

impl Output {
    pub fn new(size: (i32, i32)) -> Self {
        Self { size, resources: Vec::new() }
    }

    /// The output, as the client of an object knows it.
    pub fn of_client(&self, id: &ObjectId) -> impl Iterator<Item = &WlOutput> {
        self.resources.iter().filter(|output| output.id().same_client_as(id))
    }

    pub fn bounds(&self) -> Rect {
        Rect::new(0, 0, self.size.0, self.size.1)
    }
}

impl Protocol {
    /// Tells a client that its surface is on the output, once it has something to show there.
    pub(super) fn enter_output(&mut self, key: SurfaceKey) {
        let surface = &mut self.surfaces[key];
        if surface.content.is_none() || surface.entered {
            return;
        }
        for output in self.output.of_client(&surface.resource.id()) {
            surface.resource.enter(output);
            surface.entered = true;
        }
    }
}

impl<D: ProtocolHost> GlobalDispatch<WlOutput, (), D> for Protocol {
    fn bind(
        data: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WlOutput>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        let resource = init.init(resource, ());
        let output = &mut data.as_mut().output;
        let (width, height) = output.size;
        // As large as such a monitor is, at 96 pixels an inch.
        let millimetres = |pixels: i32| pixels * 254 / 960;
        resource.geometry(
            0,
            0,
            millimetres(width),
            millimetres(height),
            Subpixel::Unknown,
            "soloop".into(),
            "headless".into(),
            Transform::Normal,
        );
        resource.mode(Mode::Current | Mode::Preferred, width, height, 60_000);
        if resource.version() >= 2 {
            resource.scale(1);
        }
        if resource.version() >= 4 {
            resource.name("HEADLESS-1".into());
            resource.description("an output in memory".into());
        }
        if resource.version() >= 2 {
            resource.done();
        }
        output.resources.push(resource);
    }
}

impl<D: ProtocolHost> Dispatch<WlOutput, (), D> for Protocol {
    fn request(
        _: &mut D,
        _: &Client,
        _: &WlOutput,
        _: wl_output::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &WlOutput, _: &()) {
        data.as_mut().output.resources.retain(|output| output != resource);
    }
}
