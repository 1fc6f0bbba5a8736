//! `wl_data_device_manager`: toolkits insist on it. There is no clipboard and no drag and drop behind it.

use wayland_server::protocol::wl_data_device::{self, WlDataDevice};
use wayland_server::protocol::wl_data_device_manager::{self, WlDataDeviceManager};
use wayland_server::protocol::wl_data_source::{self, WlDataSource};
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New};

use super::{Protocol, ProtocolHost};

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
        _: &mut D,
        _: &Client,
        _: &WlDataDeviceManager,
        request: wl_data_device_manager::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use wl_data_device_manager::Request;
        match request {
            Request::CreateDataSource { id } => drop(init.init(id, ())),
            Request::GetDataDevice { id, .. } => drop(init.init(id, ())),
            _ => {}
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlDataDevice, (), D> for Protocol {
    fn request(
        _: &mut D,
        _: &Client,
        _: &WlDataDevice,
        request: wl_data_device::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use wl_data_device::Request;
        match request {
            // Whoever offers something learns that nobody wants it.
            Request::StartDrag { source: Some(source), .. }
            | Request::SetSelection { source: Some(source), .. } => source.cancelled(),
            _ => {}
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlDataSource, (), D> for Protocol {
    fn request(
        _: &mut D,
        _: &Client,
        _: &WlDataSource,
        _: wl_data_source::Request,
        _: &(),
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
    }
}
