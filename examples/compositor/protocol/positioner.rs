//! `xdg_positioner`: the rules by which a popup is placed next to something.

use wayland_protocols::xdg::shell::server::xdg_positioner::{
    self, Anchor, ConstraintAdjustment as Adjust, Error, Gravity, XdgPositioner,
};
use wayland_server::backend::ClientId;
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, Resource, WEnum};

use super::{PositionerKey, Protocol, ProtocolHost};
use crate::geometry::{Point, Rect};

#[derive(Clone, Copy, Debug, Default)]
pub struct Positioner {
    size: (i32, i32),
    anchor_rect: Rect,
    anchor: Side,
    gravity: Side,
    adjust: u32,
    offset: Point,
}

/// A side or a corner, by its direction from the middle: -1, 0 or 1.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Side {
    x: i32,
    y: i32,
}

/// The rules of one axis; both work alike.
struct Axis {
    size: i32,
    anchor: i32,
    anchor_size: i32,
    anchor_side: i32,
    gravity: i32,
    offset: i32,
    flip: bool,
    slide: bool,
    resize: bool,
}

impl Axis {
    /// Where it starts if nothing is in the way.
    fn start(&self, anchor_side: i32, gravity: i32, offset: i32) -> i32 {
        let anchor = self.anchor + self.anchor_size * (anchor_side + 1) / 2;
        anchor + self.size * (gravity - 1) / 2 + offset
    }

    /// Its start and its size within `low..high`, if the rules allow to keep it there.
    fn place(&self, low: i32, high: i32) -> (i32, i32) {
        let fits = |start: i32| start >= low && start + self.size <= high;
        let start = self.start(self.anchor_side, self.gravity, self.offset);
        if fits(start) {
            return (start, self.size);
        }
        let flipped = self.start(-self.anchor_side, -self.gravity, -self.offset);
        if self.flip && fits(flipped) {
            return (flipped, self.size);
        }
        if self.slide {
            return (start.min(high - self.size).max(low), self.size);
        }
        let (left, right) = (start.max(low), (start + self.size).min(high));
        if self.resize && left < right {
            return (left, right - left);
        }
        (start, self.size)
    }
}

impl Positioner {
    /// It says what a popup can't do without.
    pub fn is_complete(&self) -> bool {
        self.size.0 > 0 && self.size.1 > 0 && !self.anchor_rect.is_empty()
    }

    /// Where the popup goes, relative to the parent's window geometry, so that it is within `bounds`,
    /// which are relative to it too.
    pub fn place(&self, bounds: Rect) -> Rect {
        let may = |adjust: Adjust| self.adjust & adjust.bits() != 0;
        let horizontal = Axis {
            size: self.size.0,
            anchor: self.anchor_rect.x,
            anchor_size: self.anchor_rect.width,
            anchor_side: self.anchor.x,
            gravity: self.gravity.x,
            offset: self.offset.x,
            flip: may(Adjust::FlipX),
            slide: may(Adjust::SlideX),
            resize: may(Adjust::ResizeX),
        };
        let vertical = Axis {
            size: self.size.1,
            anchor: self.anchor_rect.y,
            anchor_size: self.anchor_rect.height,
            anchor_side: self.anchor.y,
            gravity: self.gravity.y,
            offset: self.offset.y,
            flip: may(Adjust::FlipY),
            slide: may(Adjust::SlideY),
            resize: may(Adjust::ResizeY),
        };
        let (x, width) = horizontal.place(bounds.x, bounds.right());
        let (y, height) = vertical.place(bounds.y, bounds.bottom());
        Rect::new(x, y, width, height)
    }
}

fn anchor_side(anchor: Anchor) -> Side {
    let (x, y) = match anchor {
        Anchor::Top => (0, -1),
        Anchor::Bottom => (0, 1),
        Anchor::Left => (-1, 0),
        Anchor::Right => (1, 0),
        Anchor::TopLeft => (-1, -1),
        Anchor::BottomLeft => (-1, 1),
        Anchor::TopRight => (1, -1),
        Anchor::BottomRight => (1, 1),
        _ => (0, 0),
    };
    Side { x, y }
}

fn gravity_side(gravity: Gravity) -> Side {
    let (x, y) = match gravity {
        Gravity::Top => (0, -1),
        Gravity::Bottom => (0, 1),
        Gravity::Left => (-1, 0),
        Gravity::Right => (1, 0),
        Gravity::TopLeft => (-1, -1),
        Gravity::BottomLeft => (-1, 1),
        Gravity::TopRight => (1, -1),
        Gravity::BottomRight => (1, 1),
        _ => (0, 0),
    };
    Side { x, y }
}

/// Numbers beyond this are nobody's sizes or positions; within it none of the sums overflow.
const LIMIT: i32 = 1 << 20;

impl<D: ProtocolHost> Dispatch<XdgPositioner, PositionerKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &XdgPositioner,
        request: xdg_positioner::Request,
        key: &PositionerKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use xdg_positioner::Request;
        let Some(positioner) = data.as_mut().positioners.get_mut(*key) else { return };
        let size = |number: i32| (1..LIMIT).contains(&number);
        let position = |number: i32| number.abs() < LIMIT;
        match request {
            Request::SetSize { width, height } if size(width) && size(height) => {
                positioner.size = (width, height);
            }
            Request::SetAnchorRect { x, y, width, height }
                if position(x) && position(y) && size(width + 1) && size(height + 1) =>
            {
                // An empty rectangle is allowed: a point to anchor at.
                positioner.anchor_rect = Rect::new(x, y, width.max(1), height.max(1));
            }
            Request::SetOffset { x, y } if position(x) && position(y) => {
                positioner.offset = Point::new(x, y);
            }
            Request::SetAnchor { anchor: WEnum::Value(anchor) } => {
                positioner.anchor = anchor_side(anchor);
            }
            Request::SetGravity { gravity: WEnum::Value(gravity) } => {
                positioner.gravity = gravity_side(gravity);
            }
            Request::SetConstraintAdjustment { constraint_adjustment } => {
                positioner.adjust = match constraint_adjustment {
                    WEnum::Value(adjust) => adjust.bits(),
                    WEnum::Unknown(bits) => bits,
                };
            }
            Request::SetSize { .. }
            | Request::SetAnchorRect { .. }
            | Request::SetOffset { .. }
            | Request::SetAnchor { .. }
            | Request::SetGravity { .. } => {
                resource.post_error(Error::InvalidInput, "a number out of range");
            }
            // What else there is concerns popups that follow a parent that is resized.
            _ => {}
        }
    }

    fn destroyed(data: &mut D, _: ClientId, _: &XdgPositioner, key: &PositionerKey) {
        data.as_mut().positioners.remove(*key);
    }
}
