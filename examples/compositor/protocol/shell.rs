//! `xdg_wm_base` and `xdg_surface`: what windows and popups have in common.
//!
//! A surface is mapped by the first commit with content after it has acknowledged a configure event, which
//! it is sent after its first commit without.

use std::time::Duration;

use soloop::{Scope, SourceOptions, TimeoutAction, Timer};
use wayland_protocols::xdg::shell::server::xdg_surface::{self, XdgSurface};
use wayland_protocols::xdg::shell::server::xdg_wm_base::{self, XdgWmBase};
use wayland_server::backend::ClientId;
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::popup::{self, Popup};
use super::positioner::Positioner;
use super::toplevel::Toplevel;
use super::{Protocol, ProtocolHost, SurfaceKey};
use crate::geometry::Rect;

/// How long a client may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// What an `xdg_surface` adds to a surface.
pub struct Xdg {
    pub resource: XdgSurface,
    pub wm_base: XdgWmBase,
    pub role: XdgRole,
    /// The part of the surface that is the window proper, without shadows.
    pub geometry: Option<Rect>,
    /// The first configure event was sent.
    asked: bool,
    /// Sent and not acknowledged yet.
    unacknowledged: Vec<u32>,
    /// One was acknowledged: content is welcome.
    configured: bool,
}

/// A window, a popup, or neither yet.
pub enum XdgRole {
    None,
    Toplevel(Toplevel),
    Popup(Popup),
}

impl Xdg {
    /// As it was before it was mapped.
    pub fn reset(&mut self) {
        self.asked = false;
        self.configured = false;
        self.geometry = None;
        self.unacknowledged.clear();
    }
}

/// Whether the pending state of a surface may be committed; if not, its client was told why.
pub fn may_commit(protocol: &mut Protocol, key: SurfaceKey) -> bool {
    let surface = &protocol.surfaces[key];
    let Some(xdg) = &surface.xdg else { return true };
    let (error, message) = if matches!(xdg.role, XdgRole::None) {
        (xdg_surface::Error::NotConstructed, "a commit without a role")
    } else if matches!(surface.pending.content, Some(Some(_))) && !xdg.configured {
        (
            xdg_surface::Error::UnconfiguredBuffer,
            "a buffer before a configure event was acknowledged",
        )
    } else {
        return true;
    };
    xdg.resource.post_error(error, message);
    false
}

/// A surface's pending state was applied: maps it, or asks it to prepare for that.
pub fn committed<D: ProtocolHost>(data: &mut D, key: SurfaceKey) {
    let protocol = data.as_mut();
    let surface = &mut protocol.surfaces[key];
    let has_content = surface.content.is_some();
    let Some(xdg) = &mut surface.xdg else { return };
    if !xdg.asked {
        xdg.asked = true;
        protocol.place_popup(key);
        return protocol.configure(key);
    }
    if !has_content || protocol.windows.contains(&key) || protocol.popups.contains(&key) {
        return;
    }
    match &xdg.role {
        XdgRole::Toplevel(toplevel) => {
            let placed = toplevel.placed;
            protocol.windows.push(key);
            if !placed {
                let size = protocol.geometry(key).size();
                let position = data.place_window(size);
                data.as_mut().set_position(key, position);
            }
            data.window_mapped(key);
            data.window_changed(key);
        }
        XdgRole::Popup(_) => {
            protocol.popups.push(key);
            data.changed(None);
        }
        XdgRole::None => {}
    }
}

/// Takes a surface off the output as its role object goes.
pub fn unmap<D: ProtocolHost>(data: &mut D, key: SurfaceKey) {
    let protocol = data.as_mut();
    protocol.windows.retain(|window| *window != key);
    protocol.popups.retain(|popup| *popup != key);
    if let Some(xdg) = protocol.surfaces.get_mut(key).and_then(|surface| surface.xdg.as_mut()) {
        xdg.reset();
        xdg.role = XdgRole::None;
    }
    data.surface_unmapped(key);
    data.changed(None);
}

impl Protocol {
    /// Asks a surface to look as its role says.
    pub(super) fn configure(&mut self, key: SurfaceKey) {
        let serial = self.next_serial();
        let output = self.output.size;
        let Some(xdg) = self.surfaces.get_mut(key).and_then(|surface| surface.xdg.as_mut()) else {
            return;
        };
        if !xdg.asked {
            return;
        }
        match &xdg.role {
            XdgRole::Toplevel(toplevel) => toplevel.send_configure(output),
            XdgRole::Popup(popup) => popup.send_configure(),
            XdgRole::None => return,
        }
        xdg.resource.configure(serial);
        xdg.unacknowledged.push(serial);
    }
}

/// Asks the client of a window to show that it lives.
pub fn ping<D: ProtocolHost>(data: &mut D, window: SurfaceKey) {
    let protocol = data.as_mut();
    let serial = protocol.next_serial();
    let Some(xdg) = protocol.surfaces.get(window).and_then(|surface| surface.xdg.as_ref()) else {
        return;
    };
    let Some(client) = xdg.wm_base.client().map(|client| client.id()) else { return };
    let Some(connection) = protocol.connections.get(&client) else { return };
    if connection.ping.is_some() {
        return;
    }
    xdg.wm_base.ping(serial);
    let answerer = client.clone();
    let scope = Scope::new();
    let options = SourceOptions::new().name("ping timeout").scope(&scope);
    let timeout = Timer::from_duration(PING_TIMEOUT);
    let handle = data.loop_handle();
    let inserted = handle.insert_once_with(options, timeout, move |_, data: &mut D| {
        if let Some(connection) = data.as_mut().connections.get_mut(&client) {
            connection.ping = None;
            eprintln!(
                "compositor: {} has not answered a ping for {PING_TIMEOUT:?}",
                connection.name
            );
        }
        TimeoutAction::Drop
    });
    let connection = data.as_mut().connections.get_mut(&answerer);
    if let (Ok(_), Some(connection)) = (inserted, connection) {
        connection.ping = Some((serial, scope));
    }
}

fn pong(protocol: &mut Protocol, client: &Client, serial: u32) {
    if let Some(connection) = protocol.connections.get_mut(&client.id()) {
        // The timer goes with its scope.
        connection.ping.take_if(|(ping, _)| *ping == serial);
    }
}

impl<D: ProtocolHost> GlobalDispatch<XdgWmBase, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<XdgWmBase>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ());
    }
}

impl<D: ProtocolHost> Dispatch<XdgWmBase, (), D> for Protocol {
    fn request(
        data: &mut D,
        client: &Client,
        resource: &XdgWmBase,
        request: xdg_wm_base::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use xdg_wm_base::{Error, Request};
        let protocol = data.as_mut();
        match request {
            Request::GetXdgSurface { id, surface } => {
                let key = surface.data().copied().unwrap_or_default();
                let xdg = init.init(id, key);
                let Some(surface) = protocol.surfaces.get_mut(key) else { return };
                let other_role = surface.role.filter(|role| !role.starts_with("xdg_"));
                if surface.xdg.is_some() || other_role.is_some() {
                    let role = other_role.unwrap_or("xdg_surface");
                    return resource
                        .post_error(Error::Role, format!("this surface is a {role} already"));
                }
                if surface.content.is_some() || matches!(surface.pending.attach, Some(Some(_))) {
                    return resource.post_error(
                        Error::InvalidSurfaceState,
                        "this surface has a buffer already",
                    );
                }
                surface.xdg = Some(Xdg {
                    resource: xdg,
                    wm_base: resource.clone(),
                    role: XdgRole::None,
                    geometry: None,
                    asked: false,
                    unacknowledged: Vec::new(),
                    configured: false,
                });
            }
            Request::CreatePositioner { id } => {
                let key = protocol.positioners.insert(Positioner::default());
                init.init(id, key);
            }
            Request::Pong { serial } => pong(data.as_mut(), client, serial),
            Request::Destroy => {
                let mut used =
                    protocol.surfaces.values().filter_map(|surface| surface.xdg.as_ref());
                if used.any(|xdg| xdg.wm_base == *resource) {
                    resource.post_error(Error::DefunctSurfaces, "there are surfaces left");
                }
            }
            _ => {}
        }
    }
}

impl<D: ProtocolHost> Dispatch<XdgSurface, SurfaceKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &XdgSurface,
        request: xdg_surface::Request,
        key: &SurfaceKey,
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use xdg_surface::{Error, Request};
        let protocol = data.as_mut();
        match request {
            Request::GetToplevel { id } => {
                let toplevel = init.init(id, *key);
                if let Err(message) = protocol.make_toplevel(*key, toplevel) {
                    resource.post_error(Error::AlreadyConstructed, message);
                }
            }
            Request::GetPopup { id, parent, positioner } => {
                popup::create(data, resource, *key, init.init(id, *key), parent, &positioner);
            }
            Request::SetWindowGeometry { width, height, .. } if width <= 0 || height <= 0 => {
                resource.post_error(Error::InvalidSize, "a window geometry of no size");
            }
            Request::SetWindowGeometry { x, y, width, height } => {
                if let Some(surface) = protocol.surfaces.get_mut(*key) {
                    surface.pending.geometry = Some(Rect::new(x, y, width, height));
                }
            }
            Request::AckConfigure { serial } => {
                let surface = protocol.surfaces.get_mut(*key);
                let Some(xdg) = surface.and_then(|surface| surface.xdg.as_mut()) else { return };
                match xdg.unacknowledged.iter().position(|sent| *sent == serial) {
                    Some(index) => {
                        // With one all earlier ones are acknowledged.
                        xdg.unacknowledged.drain(..=index);
                        xdg.configured = true;
                        if let XdgRole::Toplevel(toplevel) = &mut xdg.role
                            && let Some(decoration) = &mut toplevel.decoration
                            && decoration.acknowledged()
                        {
                            data.changed(None);
                        }
                    }
                    None => {
                        let message = format!(
                            "{serial} is not the serial of a configure event to acknowledge"
                        );
                        resource.post_error(Error::InvalidSerial, message);
                    }
                }
            }
            Request::Destroy => {
                let xdg = protocol.surfaces.get(*key).and_then(|surface| surface.xdg.as_ref());
                if xdg.is_some_and(|xdg| !matches!(xdg.role, XdgRole::None)) {
                    resource
                        .post_error(Error::DefunctRoleObject, "its window or popup is still there");
                }
            }
            _ => {}
        }
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &XdgSurface, key: &SurfaceKey) {
        let surface = data.as_mut().surfaces.get_mut(*key);
        if let Some(surface) = surface {
            surface.xdg.take_if(|xdg| xdg.resource == *resource);
        }
    }
}
