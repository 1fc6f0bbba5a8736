//! `xdg_popup`: menus and the like, next to their parents.

use wayland_protocols::xdg::shell::server::xdg_popup::{self, XdgPopup};
use wayland_protocols::xdg::shell::server::xdg_positioner::XdgPositioner;
use wayland_protocols::xdg::shell::server::xdg_surface::{self, XdgSurface};
use wayland_protocols::xdg::shell::server::xdg_wm_base::{self, XdgWmBase};
use wayland_server::backend::ClientId;
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, Resource};

use super::positioner::Positioner;
use super::shell::{XdgRole, unmap};
use super::{Protocol, ProtocolHost, SurfaceKey};
use crate::geometry::{Point, Rect};

pub struct Popup {
    resource: XdgPopup,
    pub parent: Option<SurfaceKey>,
    rules: Positioner,
    /// Relative to the parent's window geometry.
    pub rect: Rect,
    /// A press anywhere else dismisses it.
    grabs: bool,
}

impl Popup {
    pub fn send_configure(&self) {
        let Rect { x, y, width, height } = self.rect;
        self.resource.configure(x, y, width, height);
    }
}

/// `xdg_surface.get_popup`.
pub fn create<D: ProtocolHost>(
    data: &mut D,
    xdg_surface: &XdgSurface,
    key: SurfaceKey,
    resource: XdgPopup,
    parent: Option<XdgSurface>,
    positioner: &XdgPositioner,
) {
    let protocol = data.as_mut();
    let parent = parent.and_then(|parent| parent.data::<SurfaceKey>().copied());
    let parent = parent.filter(|parent| *parent != key && protocol.window_of(*parent).is_some());
    let Some(wm_base) = protocol.wm_base(key) else { return };
    let Some(parent) = parent else {
        let message = "a popup needs a window or a popup as its parent";
        return wm_base.post_error(xdg_wm_base::Error::InvalidPopupParent, message);
    };
    let rules = protocol.positioner(positioner);
    let Some(rules) = rules.filter(Positioner::is_complete) else {
        let message = "the positioner has no size or no anchor";
        return wm_base.post_error(xdg_wm_base::Error::InvalidPositioner, message);
    };
    let Some(surface) = protocol.surfaces.get_mut(key) else { return };
    if let Err(message) = surface.assign_role("xdg_popup") {
        return xdg_surface.post_error(xdg_surface::Error::AlreadyConstructed, message);
    }
    let Some(xdg) = &mut surface.xdg else { return };
    if !matches!(xdg.role, XdgRole::None) {
        let message = "this surface is a popup already";
        return xdg_surface.post_error(xdg_surface::Error::AlreadyConstructed, message);
    }
    xdg.role = XdgRole::Popup(Popup {
        resource,
        parent: Some(parent),
        rules,
        rect: Rect::default(),
        grabs: false,
    });
}

impl Protocol {
    fn wm_base(&self, key: SurfaceKey) -> Option<XdgWmBase> {
        Some(self.surfaces.get(key)?.xdg.as_ref()?.wm_base.clone())
    }

    fn positioner(&self, resource: &XdgPositioner) -> Option<Positioner> {
        self.positioners.get(*resource.data()?).copied()
    }

    /// Puts a popup where its rules say, now that its parent is where it is.
    pub(super) fn place_popup(&mut self, key: SurfaceKey) {
        let origin = self.popup_parent(key).and_then(|parent| self.window_origin(parent));
        let bounds = self.output.bounds().translated(Point::default() - origin.unwrap_or_default());
        if let Some(popup) = self.popup_mut(key) {
            popup.rect = popup.rules.place(bounds);
        }
    }

    fn popup_mut(&mut self, key: SurfaceKey) -> Option<&mut Popup> {
        match &mut self.surfaces.get_mut(key)?.xdg.as_mut()?.role {
            XdgRole::Popup(popup) => Some(popup),
            _ => None,
        }
    }

    fn popup_parent(&self, key: SurfaceKey) -> Option<SurfaceKey> {
        match &self.surfaces.get(key)?.xdg.as_ref()?.role {
            XdgRole::Popup(popup) => popup.parent,
            _ => None,
        }
    }

    /// Whether `key` is `popup`, or a popup or subsurface of it.
    fn belongs_to(&self, mut key: SurfaceKey, popup: SurfaceKey) -> bool {
        while key != popup {
            match self.parent_of(key).or_else(|| self.popup_parent(key)) {
                Some(parent) => key = parent,
                None => return false,
            }
        }
        true
    }

    /// Whether there is a popup that takes the pointer from everything else.
    pub fn popup_grabs(&self) -> bool {
        self.popups.iter().any(|key| {
            let xdg = self.surfaces.get(*key).and_then(|surface| surface.xdg.as_ref());
            xdg.is_some_and(|xdg| matches!(&xdg.role, XdgRole::Popup(popup) if popup.grabs))
        })
    }

    /// Dismisses the popups that a press on `pressed` is outside of; whether there were any.
    pub fn dismiss_popups(&mut self, pressed: Option<SurfaceKey>) -> bool {
        let mapped = self.popups.len();
        for key in self.popups.clone().into_iter().rev() {
            let inside = pressed.is_some_and(|pressed| self.belongs_to(pressed, key));
            if let Some(popup) = self.popup_mut(key)
                && popup.grabs
                && !inside
            {
                popup.resource.popup_done();
                self.popups.retain(|other| *other != key);
            }
        }
        self.popups.len() < mapped
    }
}

impl<D: ProtocolHost> Dispatch<XdgPopup, SurfaceKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &XdgPopup,
        request: xdg_popup::Request,
        key: &SurfaceKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use xdg_popup::Request;
        let protocol = data.as_mut();
        match request {
            Request::Grab { .. } if protocol.popups.contains(key) => {
                let error = xdg_popup::Error::InvalidGrab;
                resource.post_error(error, "a grab after the popup was mapped");
            }
            Request::Grab { .. } => {
                if let Some(popup) = protocol.popup_mut(*key) {
                    popup.grabs = true;
                }
            }
            Request::Reposition { positioner, token } => {
                let rules = protocol.positioner(&positioner);
                let (Some(rules), Some(popup)) = (rules, protocol.popup_mut(*key)) else { return };
                popup.rules = rules;
                resource.repositioned(token);
                protocol.place_popup(*key);
                protocol.configure(*key);
                data.changed(None);
            }
            Request::Destroy => {
                let mut others = protocol.popups.iter();
                if others.any(|other| protocol.popup_parent(*other) == Some(*key)) {
                    let Some(wm_base) = protocol.wm_base(*key) else { return };
                    let error = xdg_wm_base::Error::NotTheTopmostPopup;
                    wm_base.post_error(error, "there is a popup on top of it");
                }
            }
            _ => {}
        }
    }

    fn destroyed(data: &mut D, _: ClientId, resource: &XdgPopup, key: &SurfaceKey) {
        if data.as_mut().popup_mut(*key).is_some_and(|popup| popup.resource == *resource) {
            unmap(data, *key);
        }
    }
}
