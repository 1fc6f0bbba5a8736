//! `wl_touch`: fingers, each with the surface that it came down on, until it is lifted.

use std::collections::BTreeMap;

use wayland_server::backend::ClientId;
use wayland_server::protocol::wl_surface::WlSurface;
use wayland_server::protocol::wl_touch::{self, WlTouch};
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, Resource};

use super::{Protocol, ProtocolHost, SurfaceKey};
use crate::geometry::Point;

/// Who can be touched, and by which fingers.
#[derive(Default)]
pub struct Touch {
    resources: Vec<WlTouch>,
    fingers: BTreeMap<i32, Touched>,
}

struct Touched {
    key: SurfaceKey,
    surface: WlSurface,
}

impl Touch {
    pub fn add(&mut self, resource: WlTouch) {
        self.resources.push(resource);
    }

    /// Tells the client of a surface something.
    fn tell(&self, surface: &WlSurface, event: impl Fn(&WlTouch)) {
        let id = surface.id();
        self.resources.iter().filter(|touch| touch.id().same_client_as(&id)).for_each(event);
    }
}

impl Protocol {
    /// A finger comes down on a surface.
    pub fn touch_down(&mut self, time: u32, finger: i32, key: SurfaceKey, point: Point) {
        let serial = self.next_serial();
        let Some(surface) = self.surfaces.get(key).map(|surface| surface.resource.clone()) else {
            return;
        };
        let at = self.local(key, point);
        self.touch.tell(&surface, |touch| {
            touch.down(serial, time, &surface, finger, at.x.into(), at.y.into());
            touch.frame();
        });
        self.touch.fingers.insert(finger, Touched { key, surface });
    }

    /// A finger has moved. It stays with its surface, wherever it is.
    pub fn touch_moved(&mut self, time: u32, finger: i32, point: Point) {
        let Some(Touched { key, surface }) = self.touch.fingers.get(&finger) else { return };
        let at = self.local(*key, point);
        self.touch.tell(surface, |touch| {
            touch.motion(time, finger, at.x.into(), at.y.into());
            touch.frame();
        });
    }

    pub fn touch_up(&mut self, time: u32, finger: i32) {
        let serial = self.next_serial();
        let Some(touched) = self.touch.fingers.remove(&finger) else { return };
        self.touch.tell(&touched.surface, |touch| {
            touch.up(serial, time, finger);
            touch.frame();
        });
    }

    /// Lifts the fingers from what is not on the output any more.
    pub fn lift_lost_touches(&mut self, time: u32) {
        let fingers = self.touch.fingers.iter();
        let lost: Vec<i32> =
            fingers.filter(|(_, it)| !self.is_mapped(it.key)).map(|(finger, _)| *finger).collect();
        lost.into_iter().for_each(|finger| self.touch_up(time, finger));
    }

    /// What the fingers have done is not for the clients.
    pub fn touch_cancel(&mut self) {
        let mut told: Vec<WlSurface> = Vec::new();
        for (_, Touched { surface, .. }) in std::mem::take(&mut self.touch.fingers) {
            if !told.iter().any(|other| other.id().same_client_as(&surface.id())) {
                self.touch.tell(&surface, WlTouch::cancel);
                told.push(surface);
            }
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlTouch, (), D> for Protocol {
    fn request(
        _: &mut D,
        _: &Client,
        _: &WlTouch,
        _: wl_touch::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &WlTouch, _: &()) {
        data.as_mut().touch.resources.retain(|touch| touch != resource);
    }
}
