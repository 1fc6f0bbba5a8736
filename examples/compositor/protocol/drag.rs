//! Drag and drop: what a client drags from surface to surface, as long as it holds the pointer with a button.
//!
//! [`Drag`] is what is in the hand; it ends with the grab, with its source and with the device that began it. With each
//! client that it comes over it has a [`Deal`], which outlasts the drag once something is dropped: until the client
//! has finished with it.

use wayland_server::Resource;
use wayland_server::protocol::wl_data_device::WlDataDevice;
use wayland_server::protocol::wl_data_source::WlDataSource;
use wayland_server::protocol::wl_surface::WlSurface;

use super::{DealKey, Protocol, ProtocolHost, SourceKey, SurfaceKey};
use crate::geometry::{Point, Rect};

/// What is in the hand.
pub struct Drag {
    /// Whoever began it.
    device: WlDataDevice,
    /// `None`: what is dragged is known to its own client alone.
    source: Option<SourceKey>,
    icon: Option<Icon>,
    /// On the output.
    at: Point,
    over: Option<Target>,
}

struct Icon {
    surface: SurfaceKey,
    offset: Point,
}

/// What it is over.
struct Target {
    key: SurfaceKey,
    /// Those that were told so.
    devices: Vec<WlDataDevice>,
    deal: Option<DealKey>,
}

/// Begins a drag; the pointer leaves the surface it is on.
pub fn start<D: ProtocolHost>(
    data: &mut D,
    device: WlDataDevice,
    source: Option<SourceKey>,
    icon: Option<SurfaceKey>,
) {
    let icon = icon.map(|surface| Icon { surface, offset: Point::default() });
    data.as_mut().drag = Some(Drag { device, source, icon, at: Point::default(), over: None });
    // The pointer is told anew where it is.
    data.changed(None);
}

/// The pointer is over `surface` now, or over nothing, at a point of the output.
pub fn move_to<D: ProtocolHost>(
    data: &mut D,
    time: u32,
    surface: Option<SurfaceKey>,
    point: Point,
) {
    let protocol = data.as_mut();
    protocol.move_pointer(time, None, point);
    let before = protocol.icon_area();
    let surface = surface.and_then(|key| Some((key, protocol.surfaces.get(key)?.resource.clone())));
    let at = surface.as_ref().map_or(point, |(key, _)| protocol.local(*key, point));
    let Some(drag) = &mut protocol.drag else { return };
    drag.at = point;
    match (&drag.over, surface) {
        (None, None) => {}
        (Some(target), Some((key, _))) if target.key == key => {
            let (x, y) = (at.x.into(), at.y.into());
            target.devices.iter().for_each(|device| device.motion(time, x, y));
        }
        (_, surface) => {
            protocol.leave_target();
            if let Some((key, surface)) = surface {
                protocol.enter_target::<D>(key, surface, at);
            }
        }
    }
    let after = data.as_mut().icon_area();
    data.changed(Some(before));
    data.changed(Some(after));
}

/// The grab has ended: what is dragged is dropped, if that is wanted where it is.
pub fn drop_it<D: ProtocolHost>(data: &mut D) {
    let protocol = data.as_mut();
    let Some(drag) = &protocol.drag else { return };
    let source = drag.source;
    let taken = match drag.over.as_ref().map(|target| target.deal) {
        None => false,
        Some(Some(deal)) => protocol.drop_deal(deal),
        // It belongs to the client that it is over.
        Some(None) => source.is_none(),
    };
    let drag = protocol.drag.as_mut();
    if let Some(target) = drag.and_then(|drag| drag.over.take_if(|_| taken)) {
        target.devices.iter().for_each(WlDataDevice::drop);
    }
    end(data);
    if !taken {
        data.as_mut().tell_source(source, 1, WlDataSource::cancelled);
    }
}

/// Ends a drag; what it is still over is left.
fn end<D: ProtocolHost>(data: &mut D) {
    let protocol = data.as_mut();
    protocol.leave_target();
    let area = protocol.icon_area();
    protocol.drag = None;
    data.changed(Some(area));
}

/// A source is gone: with it what is dragged.
pub fn source_gone<D: ProtocolHost>(data: &mut D, source: SourceKey) {
    if data.as_mut().drag.as_ref().is_some_and(|drag| drag.source == Some(source)) {
        end(data);
    }
}

/// A device is gone: with it what it drags.
pub fn device_gone<D: ProtocolHost>(data: &mut D, device: &WlDataDevice) {
    let protocol = data.as_mut();
    if let Some(drag) = protocol.drag.as_ref().filter(|drag| drag.device == *device) {
        let source = drag.source;
        end(data);
        data.as_mut().tell_source(source, 1, WlDataSource::cancelled);
    }
}

impl Protocol {
    pub fn is_dragging(&self) -> bool {
        self.drag.is_some()
    }

    /// What is dragged looks like this.
    pub fn drag_icon(&self) -> Option<SurfaceKey> {
        Some(self.drag.as_ref()?.icon.as_ref()?.surface)
    }

    /// Where the icon of a drag is on the output, if a surface is that.
    pub(super) fn icon_origin(&self, key: SurfaceKey) -> Option<Point> {
        let drag = self.drag.as_ref()?;
        let icon = drag.icon.as_ref().filter(|icon| icon.surface == key)?;
        Some(drag.at + icon.offset)
    }

    /// An offset that the icon was committed with.
    pub(super) fn move_icon(&mut self, key: SurfaceKey, offset: Point) {
        let icon = self.drag.as_mut().and_then(|drag| drag.icon.as_mut());
        if let Some(icon) = icon.filter(|icon| icon.surface == key) {
            icon.offset = icon.offset + offset;
        }
    }

    fn icon_area(&self) -> Rect {
        self.drag_icon().map_or_else(Rect::default, |icon| self.area_of_tree(icon))
    }

    fn enter_target<D: ProtocolHost>(&mut self, key: SurfaceKey, surface: WlSurface, at: Point) {
        let serial = self.next_serial();
        let Some(drag) = &self.drag else { return };
        let source = drag.source;
        // Of what has no source only its own client knows what it is.
        let told = source.is_some() || drag.device.id().same_client_as(&surface.id());
        let devices: Vec<_> = self.devices_of(&surface.id()).filter(|_| told).cloned().collect();
        let deal = source.and_then(|source| self.offer_drag::<D>(source, &devices));
        let offers = deal.iter().flat_map(|deal| &self.deals[*deal].offers).map(Some);
        for (device, offer) in devices.iter().zip(offers.chain(std::iter::repeat(None))) {
            device.enter(serial, &surface, at.x.into(), at.y.into(), offer);
        }
        if let Some(drag) = &mut self.drag {
            drag.over = Some(Target { key, devices, deal });
        }
    }

    fn leave_target(&mut self) {
        let Some(target) = self.drag.as_mut().and_then(|drag| drag.over.take()) else { return };
        target.devices.iter().for_each(WlDataDevice::leave);
        target.deal.into_iter().for_each(|deal| self.close_deal(deal));
    }
}
