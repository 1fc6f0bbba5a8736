//! `wl_data_device_manager`: what clients offer each other, and the clipboard. What is dragged is in [`super::drag`].
//!
//! The client with the keyboard may set the selection, and hears what it is: right before it gets the keyboard,
//! and whenever it changes while it has it.

use std::os::fd::{AsFd, OwnedFd};

use wayland_server::backend::{ClientId, ObjectId};
use wayland_server::protocol::wl_data_device::{self, WlDataDevice};
use wayland_server::protocol::wl_data_device_manager::{self, DndAction, WlDataDeviceManager};
use wayland_server::protocol::wl_data_offer::{self, WlDataOffer};
use wayland_server::protocol::wl_data_source::{self, WlDataSource};
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::{Protocol, ProtocolHost, SourceKey, SurfaceKey, drag, offer};

/// Something a client offers.
pub struct Source {
    pub resource: WlDataSource,
    mime_types: Vec<String>,
    /// What may be done with what is dragged, if the client has said so.
    actions: Option<DndAction>,
    /// It was made a selection, or was dragged: once is all.
    used: bool,
}

impl Source {
    /// What may be done with what is dragged: it can be copied, if nothing else is said.
    pub fn actions(&self) -> DndAction {
        self.actions.unwrap_or(DndAction::Copy)
    }
}

/// What is on the clipboard, and who wants to know.
#[derive(Default)]
pub struct Clipboard {
    selection: Option<SourceKey>,
    devices: Vec<WlDataDevice>,
}

impl Protocol {
    /// The devices of the client that an object belongs to.
    pub(super) fn devices_of(&self, id: &ObjectId) -> impl Iterator<Item = &WlDataDevice> {
        self.clipboard.devices.iter().filter(|device| device.id().same_client_as(id))
    }

    /// Tells the client of `surface` what the selection is.
    pub(super) fn offer_selection<D: ProtocolHost>(&self, surface: Option<SurfaceKey>) {
        let Some(surface) = surface.and_then(|key| self.surfaces.get(key)) else { return };
        self.devices_of(&surface.resource.id()).for_each(|device| self.offer_to::<D>(device));
    }

    fn offer_to<D: ProtocolHost>(&self, device: &WlDataDevice) {
        let selection = self.clipboard.selection;
        let source = selection.and_then(|key| Some((key, self.sources.get(key)?)));
        let offer = source.and_then(|(key, source)| self.offer_source::<D, _>(device, source, key));
        device.selection(offer.as_ref());
    }

    /// An offer of a source, of which the device is told; `None` if its client is gone.
    pub(super) fn offer_source<D, U>(
        &self,
        device: &WlDataDevice,
        source: &Source,
        name: U,
    ) -> Option<WlDataOffer>
    where
        D: ProtocolHost + Dispatch<WlDataOffer, U>,
        U: Send + Sync + 'static,
    {
        let client = device.client()?;
        let offer: WlDataOffer =
            client.create_resource::<_, _, D>(&self.display, device.version(), name).ok()?;
        device.data_offer(&offer);
        source.mime_types.iter().for_each(|mime_type| offer.offer(mime_type.clone()));
        Some(offer)
    }

    /// Has a source write what it offers. The two clients do the rest between them: the fd is closed here, and a source that
    /// is gone sends nothing.
    pub(super) fn ask_for(&self, source: SourceKey, mime_type: String, fd: OwnedFd) {
        self.tell_source(Some(source), 1, |source| source.send(mime_type, fd.as_fd()));
    }

    fn select<D: ProtocolHost>(&mut self, selection: Option<SourceKey>) {
        let before = std::mem::replace(&mut self.clipboard.selection, selection);
        self.tell_source(before, 1, WlDataSource::cancelled);
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
                    actions: None,
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
        let source = match &request {
            Request::StartDrag { source, .. } | Request::SetSelection { source, .. } => source,
            _ => return,
        };
        let mut key = None;
        if let Some(source) = source {
            key = protocol.use_source(source);
            if key.is_none() {
                return resource.post_error(Error::UsedSource, "this source was used already");
            }
        }
        match request {
            Request::SetSelection { .. } if protocol.has_keyboard(resource) => {
                protocol.select::<D>(key);
            }
            Request::StartDrag { icon, serial, .. } if protocol.holds_pointer(resource, serial) => {
                let icon = icon.and_then(|icon| icon.data::<SurfaceKey>().copied());
                if let Some(surface) = icon.and_then(|key| protocol.surfaces.get_mut(key))
                    && let Err(message) = surface.assign_role("drag icon")
                {
                    return resource.post_error(Error::Role, message);
                }
                drag::start(data, resource.clone(), key, icon);
            }
            // Whoever offers something learns that nobody wants it.
            _ => protocol.tell_source(key, 1, WlDataSource::cancelled),
        }
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &WlDataDevice, _: &()) {
        data.as_mut().clipboard.devices.retain(|device| device != resource);
        drag::device_gone(data, resource);
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
        let Some(source) = data.as_mut().sources.get_mut(*key) else { return };
        match request {
            Request::Offer { mime_type } => source.mime_types.push(mime_type),
            Request::SetActions { .. } if source.used || source.actions.is_some() => {
                resource.post_error(Error::InvalidSource, "too late for actions");
            }
            Request::SetActions { dnd_actions } => {
                source.actions = offer::known(dnd_actions);
                if source.actions.is_none() {
                    resource.post_error(Error::InvalidActionMask, "there is no such action");
                }
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
        drag::source_gone(data, *key);
    }
}

impl<D: ProtocolHost> Dispatch<WlDataOffer, SourceKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlDataOffer,
        request: wl_data_offer::Request,
        key: &SourceKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use wl_data_offer::{Error, Request};
        match request {
            Request::Receive { mime_type, fd } => data.as_mut().ask_for(*key, mime_type, fd),
            Request::SetActions { .. } => {
                resource.post_error(Error::InvalidOffer, "a selection has no actions");
            }
            Request::Finish => {
                resource.post_error(Error::InvalidFinish, "a selection has no end");
            }
            _ => {}
        }
    }
}
