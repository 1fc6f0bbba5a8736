//! `xdg_toplevel`: windows.

use wayland_protocols::xdg::decoration::zv1::server::zxdg_toplevel_decoration_v1::{self, Mode};
use wayland_protocols::xdg::shell::server::xdg_toplevel::{
    self, State, WmCapabilities, XdgToplevel,
};
use wayland_server::backend::ClientId;
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, Resource, WEnum};

use super::decoration::Decoration;
use super::shell::{XdgRole, unmap};
use super::{Protocol, ProtocolHost, SurfaceKey};
use crate::geometry::{Point, Rect};

pub struct Toplevel {
    resource: XdgToplevel,
    pub title: String,
    pub app_id: String,
    /// Where the top left corner of its window geometry is on the output.
    pub position: Point,
    /// It was given a position.
    pub placed: bool,
    pub fullscreen: bool,
    /// What was agreed on, if its client asked.
    pub decoration: Option<Decoration>,
    maximized: bool,
    /// It has the keyboard.
    active: bool,
    /// What it is to fill while it is maximized or fullscreen, and where it goes back to.
    filling: Option<(Rect, Point)>,
}

impl Toplevel {
    pub fn send_configure(&self, output: (i32, i32)) {
        if self.resource.version() >= 4 {
            self.resource.configure_bounds(output.0, output.1);
        }
        if self.resource.version() >= 5 {
            let capabilities = [WmCapabilities::Maximize, WmCapabilities::Fullscreen];
            self.resource.wm_capabilities(array(capabilities.map(u32::from)));
        }
        let states = [
            (self.active, State::Activated),
            (self.maximized, State::Maximized),
            (self.fullscreen, State::Fullscreen),
        ];
        let states = states.into_iter().filter(|(on, _)| *on).map(|(_, state)| state.into());
        if let Some(decoration) = &self.decoration {
            decoration.send_configure();
        }
        // Without anything to fill the client chooses.
        let (width, height) = self.filling.map_or((0, 0), |(area, _)| area.size());
        self.resource.configure(width, height, array(states));
    }

    /// Whether the compositor draws no frame: its client does, or it covers everything.
    pub fn is_frameless(&self, geometry: Rect) -> bool {
        let own = match &self.decoration {
            Some(decoration) => decoration.agreed == Mode::ClientSide,
            // Shadows around a window are a sign.
            None => geometry.origin() != Point::default(),
        };
        own || self.fullscreen
    }

    /// Fills `area`, or nothing any more.
    fn fill(&mut self, area: Option<Rect>) {
        let home = self.filling.map_or(self.position, |(_, home)| home);
        self.filling = area.map(|area| (area, home));
        self.position = area.map_or(home, |area| area.origin());
    }
}

/// An array of 32-bit numbers, as it goes over the wire.
fn array(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_ne_bytes).collect()
}

impl Protocol {
    pub(super) fn make_toplevel(
        &mut self,
        key: SurfaceKey,
        resource: XdgToplevel,
    ) -> Result<(), String> {
        let Some(surface) = self.surfaces.get_mut(key) else { return Ok(()) };
        surface.assign_role("xdg_toplevel")?;
        let xdg = surface.xdg.as_mut().ok_or("this surface has no xdg_surface")?;
        if !matches!(xdg.role, XdgRole::None) {
            return Err("this surface is a window already".to_owned());
        }
        xdg.role = XdgRole::Toplevel(Toplevel {
            resource,
            title: String::new(),
            app_id: String::new(),
            position: Point::default(),
            placed: false,
            fullscreen: false,
            decoration: None,
            maximized: false,
            active: false,
            filling: None,
        });
        Ok(())
    }

    pub(super) fn toplevel_mut(&mut self, key: SurfaceKey) -> Option<&mut Toplevel> {
        match &mut self.surfaces.get_mut(key)?.xdg.as_mut()?.role {
            XdgRole::Toplevel(toplevel) => Some(toplevel),
            _ => None,
        }
    }

    pub(super) fn set_position(&mut self, key: SurfaceKey, position: Point) {
        if let Some(toplevel) = self.toplevel_mut(key) {
            toplevel.placed = true;
            match &mut toplevel.filling {
                Some((_, home)) => *home = position,
                None => toplevel.position = position,
            }
        }
    }

    /// Tells a window whether it has the keyboard.
    pub(super) fn set_active(&mut self, key: SurfaceKey, active: bool) {
        if let Some(toplevel) = self.toplevel_mut(key)
            && std::mem::replace(&mut toplevel.active, active) != active
        {
            self.configure(key);
        }
    }
}

impl<D: ProtocolHost> Dispatch<XdgToplevel, SurfaceKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &XdgToplevel,
        request: xdg_toplevel::Request,
        key: &SurfaceKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use xdg_toplevel::{Error, Request};
        let work_area = data.work_area();
        let protocol = data.as_mut();
        let output = protocol.output.bounds();
        let Some(toplevel) = protocol.toplevel_mut(*key) else { return };
        match request {
            Request::SetTitle { title } => {
                toplevel.title = title;
                return data.window_changed(*key);
            }
            Request::SetAppId { app_id } => {
                toplevel.app_id = app_id;
                return;
            }
            Request::SetMaximized => toplevel.maximized = true,
            Request::UnsetMaximized => toplevel.maximized = false,
            Request::SetFullscreen { .. } => toplevel.fullscreen = true,
            Request::UnsetFullscreen => toplevel.fullscreen = false,
            Request::SetMaxSize { width, height } | Request::SetMinSize { width, height } => {
                if width < 0 || height < 0 {
                    resource
                        .post_error(Error::InvalidSize, format!("{width}x{height} is not a size"));
                }
                return;
            }
            Request::Resize { edges: WEnum::Unknown(edges), .. } => {
                return resource
                    .post_error(Error::InvalidResizeEdge, format!("{edges} is not an edge"));
            }
            Request::Destroy => {
                use zxdg_toplevel_decoration_v1::Error;
                if let Some(decoration) = &toplevel.decoration {
                    decoration.post_error(Error::Orphaned, "its window goes before it");
                }
                return;
            }
            // There is no hand here to drag windows with.
            _ => return,
        }
        let area = match (toplevel.fullscreen, toplevel.maximized) {
            (true, _) => Some(output),
            (false, true) => Some(work_area),
            (false, false) => None,
        };
        toplevel.fill(area);
        protocol.configure(*key);
        data.changed(None);
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &XdgToplevel, key: &SurfaceKey) {
        if data.as_mut().toplevel_mut(*key).is_some_and(|toplevel| toplevel.resource == *resource) {
            unmap(data, *key);
        }
    }
}
