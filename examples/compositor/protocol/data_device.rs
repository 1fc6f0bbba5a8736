//! `wl_data_device_manager`: the clipboard. There is no drag and drop.
//!
//! The client with the keyboard may set the selection, and hears what it is: right before it gets the keyboard,
//! and whenever it changes while it has it.

use std::os::fd::AsFd;

use wayland_server::backend::ClientId;
use wayland_server::protocol::wl_data_device::{self, WlDataDevice};
use wayland_server::protocol::wl_data_device_manager::{self, WlDataDeviceManager};
use wayland_server::protocol::wl_data_offer::{self, WlDataOffer};
use wayland_server::protocol::wl_data_source::{self, WlDataSource};
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::{Protocol, ProtocolHost, SourceKey, SurfaceKey};

/// Something a client offers.
pub struct Source {
    resource: WlDataSource,
    mime_types: Vec<String>,
    /// It was made a selection, or was dragged: once is all.
    used: bool,
}

/// What is on the clipboard, and who wants to know.
#[derive(Default)]
pub struct Clipboard {
    selection: Option<SourceKey>,
    devices: Vec<WlDataDevice>,
}

impl Protocol {
    /// Tells the client of `surface` what the selection is.
    pub(super) fn offer_selection<D: ProtocolHost>(&self, surface: Option<SurfaceKey>) {
        let Some(surface) = surface.and_then(|key| self.surfaces.get(key)) else { return };
        let id = surface.resource.id();
        let devices = self.clipboard.devices.iter();
        for device in devices.filter(|device| device.id().same_client_as(&id)) {
            self.offer_to::<D>(device);
        }
    }

    fn offer_to<D: ProtocolHost>(&self, device: &WlDataDevice) {
        let selection = self.clipboard.selection;
        let source = selection.and_then(|key| Some((key, self.sources.get(key)?)));
        let offer = source.and_then(|(key, source)| {
            let client = device.client()?;
            let version = device.version();
            let offer: WlDataOffer =
                client.create_resource::<_, _, D>(&self.display, version, key).ok()?;
            device.data_offer(&offer);
            source.mime_types.iter().for_each(|mime_type| offer.offer(mime_type.clone()));
            Some(offer)
        });
        device.selection(offer.as_ref());
    }

    fn select<D: ProtocolHost>(&mut self, selection: Option<SourceKey>) {
        let before = std::mem::replace(&mut self.clipboard.selection, selection);
        if let Some(source) = before.and_then(|key| self.sources.get(key)) {
            source.resource.cancelled();
        }
        self.offer_selection::<D>(self.seat.keyboard_focus());
    }

    /// Takes a source for the one purpose it may be used for; `None` if it was.
    fn use_source(&mut self, resource: &WlDataSource) -> Option<SourceKey> {
        let key = *resource.data::<SourceKey>()?;
        let source = self.sources.get_mut(key)?;
        (!std::mem::replace(&mut source.used, true)).then_some(key)
    }
}

impl<D: ProtocolHost> GlobalDispatch<WlDataDeviceManager, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WlDataDeviceManager>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ());
    }
}

impl<D: ProtocolHost> Dispatch<WlDataDeviceManager, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        _: &WlDataDeviceManager,
        request: wl_data_device_manager::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use wl_data_device_manager::Request;
        let protocol = data.as_mut();
        match request {
            Request::CreateDataSource { id } => {
                protocol.sources.insert_with_key(|key| Source {
                    resource: init.init(id, key),
                    mime_types: Vec::new(),
                    used: false,
                });
            }
            Request::GetDataDevice { id, .. } => {
                let device = init.init(id, ());
                if protocol.has_keyboard(&device) {
                    protocol.offer_to::<D>(&device);
                }
                protocol.clipboard.devices.push(device);
            }
            _ => {}
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlDataDevice, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlDataDevice,
        request: wl_data_device::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use wl_data_device::{Error, Request};
        let protocol = data.as_mut();
        let (source, drag) = match request {
            Request::StartDrag { source, .. } => (source, true),
            Request::SetSelection { source, .. } => (source, false),
            _ => return,
        };
        let mut selection = None;
        if let Some(source) = &source {
            selection = protocol.use_source(source);
            if selection.is_none() {
                return resource.post_error(Error::UsedSource, "this source was used already");
            }
        }
        if !drag && protocol.has_keyboard(resource) {
            protocol.select::<D>(selection);
        } else if let Some(source) = source {
            // Whoever offers something learns that nobody wants it.
            source.cancelled();
        }
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &WlDataDevice, _: &()) {
        data.as_mut().clipboard.devices.retain(|device| device != resource);
    }
}

impl<D: ProtocolHost> Dispatch<WlDataSource, SourceKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlDataSource,
        request: wl_data_source::Request,
        key: &SourceKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use wl_data_source::{Error, Request};
        match request {
            Request::Offer { mime_type } => {
                if let Some(source) = data.as_mut().sources.get_mut(*key) {
                    source.mime_types.push(mime_type);
                }
            }
            Request::SetActions { .. } if data.as_mut().clipboard.selection == Some(*key) => {
                resource.post_error(Error::InvalidSource, "a selection has no actions");
            }
            _ => {}
        }
    }

    fn destroyed(data: &mut D, _: ClientId, _: &WlDataSource, key: &SourceKey) {
        let protocol = data.as_mut();
        protocol.sources.remove(*key);
        if protocol.clipboard.selection == Some(*key) {
            protocol.select::<D>(None);
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlDataOffer, SourceKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        _: &WlDataOffer,
        request: wl_data_offer::Request,
        key: &SourceKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        // The two clients do the rest between them: the fd is closed here, and a source that is gone sends nothing.
        if let wl_data_offer::Request::Receive { mime_type, fd } = request
            && let Some(source) = data.as_mut().sources.get(*key)
        {
            source.resource.send(mime_type, fd.as_fd());
        }
    }
}
