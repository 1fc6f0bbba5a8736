//! `wl_region`: sums and differences of rectangles.

use wayland_server::backend::ClientId;
use wayland_server::protocol::wl_region::{self, WlRegion};
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle};

use super::{Protocol, ProtocolHost, RegionKey};
use crate::geometry::{Point, Rect};

/// How many steps a region may take to build. Clients use a handful.
const MAX_STEPS: usize = 4096;

/// The steps it was built in.
#[derive(Clone, Debug, Default)]
pub struct Region(Vec<(Step, Rect)>);

#[derive(Clone, Copy, PartialEq, Debug)]
enum Step {
    Add,
    Subtract,
}

impl Region {
    /// The last step that covers a point decides on it.
    pub fn contains(&self, point: Point) -> bool {
        let step = self.0.iter().rev().find(|(_, rect)| rect.contains(point));
        step.is_some_and(|(step, _)| *step == Step::Add)
    }
}

impl<D: ProtocolHost> Dispatch<WlRegion, RegionKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlRegion,
        request: wl_region::Request,
        key: &RegionKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use wayland_server::Resource;
        use wl_region::Request;
        let (step, rect) = match request {
            Request::Add { x, y, width, height } => (Step::Add, Rect::new(x, y, width, height)),
            Request::Subtract { x, y, width, height } => {
                (Step::Subtract, Rect::new(x, y, width, height))
            }
            _ => return,
        };
        let Some(region) = data.as_mut().regions.get_mut(*key) else { return };
        if region.0.len() == MAX_STEPS {
            // wl_display.error.no_memory
            return resource.post_error(2u32, "a region of too many rectangles");
        }
        region.0.push((step, rect));
    }

    fn destroyed(data: &mut D, _: ClientId, _: &WlRegion, key: &RegionKey) {
        data.as_mut().regions.remove(*key);
    }
}
