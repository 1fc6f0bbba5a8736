//! `wl_subcompositor` and `wl_subsurface`: surfaces in surfaces.

use wayland_server::backend::ClientId;
use wayland_server::protocol::wl_subcompositor::{self, WlSubcompositor};
use wayland_server::protocol::wl_subsurface::{self, WlSubsurface};
use wayland_server::protocol::wl_surface::WlSurface;
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource};

use super::surface::apply_cached;
use super::{Protocol, ProtocolHost, SurfaceKey};
use crate::geometry::Point;

pub struct Subsurface {
    pub parent: SurfaceKey,
    /// Relative to the parent.
    pub position: Point,
    /// Takes effect when the parent is committed.
    pending_position: Option<Point>,
    /// What it was set to; the parent may make it synchronized all the same.
    synchronized: bool,
}

impl Subsurface {
    /// Whether it moved.
    pub fn apply_position(&mut self) -> bool {
        let Some(position) = self.pending_position.take() else { return false };
        std::mem::replace(&mut self.position, position) != position
    }
}

impl Protocol {
    pub(super) fn parent_of(&self, key: SurfaceKey) -> Option<SurfaceKey> {
        Some(self.surfaces.get(key)?.subsurface.as_ref()?.parent)
    }

    /// Whether its commits wait for those of its parent: if it, or one of its ancestors, is set so.
    pub(super) fn is_synchronized(&self, mut key: SurfaceKey) -> bool {
        while let Some(subsurface) = self.surfaces.get(key).and_then(|s| s.subsurface.as_ref()) {
            if subsurface.synchronized {
                return true;
            }
            key = subsurface.parent;
        }
        false
    }

    /// Takes a subsurface out of its parent's stack, at once.
    pub(super) fn detach_from_parent(&mut self, key: SurfaceKey) {
        let surface = self.surfaces.get_mut(key);
        let Some(subsurface) = surface.and_then(|surface| surface.subsurface.take()) else {
            return;
        };
        if let Some(parent) = self.surfaces.get_mut(subsurface.parent) {
            parent.stack.retain(|child| *child != key);
            if let Some(stack) = &mut parent.pending_stack {
                stack.retain(|child| *child != key);
            }
        }
    }

    /// Whether `key` is `ancestor` or under it.
    fn is_within(&self, mut key: SurfaceKey, ancestor: SurfaceKey) -> bool {
        while key != ancestor {
            match self.parent_of(key) {
                Some(parent) => key = parent,
                None => return false,
            }
        }
        true
    }

    fn add_subsurface(&mut self, key: SurfaceKey, parent: SurfaceKey) -> Result<(), String> {
        if self.is_within(parent, key) {
            return Err("a surface can't be in itself".to_owned());
        }
        let surface = &mut self.surfaces[key];
        surface.assign_role("wl_subsurface")?;
        if surface.subsurface.is_some() {
            return Err("this surface is a subsurface already".to_owned());
        }
        surface.subsurface = Some(Subsurface {
            parent,
            position: Point::default(),
            pending_position: None,
            synchronized: true,
        });
        self.pending_stack_of(parent).push(key);
        Ok(())
    }

    /// The stack that the next commit of a surface gives it.
    fn pending_stack_of(&mut self, key: SurfaceKey) -> &mut Vec<SurfaceKey> {
        let surface = &mut self.surfaces[key];
        surface.pending_stack.get_or_insert_with(|| surface.stack.clone())
    }

    /// Moves a subsurface next to a sibling, or its parent; whether that is one.
    fn restack(&mut self, key: SurfaceKey, reference: &WlSurface, above: bool) -> bool {
        let (Some(parent), Some(&reference)) = (self.parent_of(key), reference.data()) else {
            return false;
        };
        if reference == key || !self.surfaces.contains_key(parent) {
            return false;
        }
        let stack = self.pending_stack_of(parent);
        let Some(here) = stack.iter().position(|other| *other == key) else { return false };
        if !stack.contains(&reference) {
            return false;
        }
        stack.remove(here);
        let there = stack.iter().position(|other| *other == reference).unwrap_or(0);
        stack.insert(there + usize::from(above), key);
        true
    }
}

impl<D: ProtocolHost> GlobalDispatch<WlSubcompositor, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WlSubcompositor>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        init.init(resource, ());
    }
}

impl<D: ProtocolHost> Dispatch<WlSubcompositor, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlSubcompositor,
        request: wl_subcompositor::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        let wl_subcompositor::Request::GetSubsurface { id, surface, parent } = request else {
            return;
        };
        let key = surface.data().copied().unwrap_or_default();
        init.init(id, key);
        let parent = parent.data().copied().unwrap_or_default();
        if let Err(message) = data.as_mut().add_subsurface(key, parent) {
            resource.post_error(wl_subcompositor::Error::BadSurface, message);
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlSubsurface, SurfaceKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlSubsurface,
        request: wl_subsurface::Request,
        key: &SurfaceKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
        use wl_subsurface::Request;
        let protocol = data.as_mut();
        let surface = protocol.surfaces.get_mut(*key);
        let Some(subsurface) = surface.and_then(|surface| surface.subsurface.as_mut()) else {
            return;
        };
        let placed = match request {
            Request::SetPosition { x, y } => {
                subsurface.pending_position = Some(Point::new(x, y));
                true
            }
            Request::SetSync => {
                subsurface.synchronized = true;
                true
            }
            Request::SetDesync => {
                subsurface.synchronized = false;
                release(data, *key);
                true
            }
            Request::PlaceAbove { sibling } => protocol.restack(*key, &sibling, true),
            Request::PlaceBelow { sibling } => protocol.restack(*key, &sibling, false),
            _ => true,
        };
        if !placed {
            let message = "the reference is neither the parent nor a sibling";
            resource.post_error(wl_subsurface::Error::BadSurface, message);
        }
    }

    fn destroyed(data: &mut D, _: ClientId, _: &WlSubsurface, key: &SurfaceKey) {
        data.as_mut().detach_from_parent(*key);
        data.changed(None);
    }
}

/// Applies what a subsurface, and those in it, kept back, if nothing keeps them synchronized any more.
fn release<D: ProtocolHost>(data: &mut D, key: SurfaceKey) {
    if data.as_mut().is_synchronized(key) {
        return;
    }
    apply_cached(data, key);
    let children = data.as_mut().surfaces.get(key).map(|surface| surface.stack.clone());
    for child in children.unwrap_or_default() {
        if child != key {
            release(data, child);
        }
    }
}
