//! Surfaces: the double-buffered state of `wl_surface`, and how commits travel through subsurfaces.
//!
//! Requests collect in `pending`. A commit takes the pixels out of the attached buffer, so that the client
//! has it back, and then either applies the changes or, for a synchronized subsurface, keeps them in
//! `cached` until those of its parent are applied.

use wayland_server::Resource;
use wayland_server::protocol::wl_callback::WlCallback;
use wayland_server::protocol::wl_surface::{Error, WlSurface};

use super::region::Region;
use super::shell::{self, Xdg, XdgRole};
use super::subsurface::Subsurface;
use super::{BufferKey, Protocol, ProtocolHost, SurfaceKey};
use crate::geometry::{Image, Point, Rect};

pub struct Surface {
    pub resource: WlSurface,
    /// The name of its role; once given, it stays.
    pub role: Option<&'static str>,
    pub pending: Changes,
    /// Committed, but kept back until the parent is committed.
    pub cached: Option<Changes>,
    pub content: Option<Image>,
    pub scale: i32,
    /// `None`: all of it takes input.
    pub input: Option<Region>,
    /// Who waits for the next frame.
    pub frames: Vec<WlCallback>,
    /// Itself and its subsurfaces, from the bottom up.
    pub stack: Vec<SurfaceKey>,
    pub pending_stack: Option<Vec<SurfaceKey>>,
    pub subsurface: Option<Subsurface>,
    pub xdg: Option<Xdg>,
    /// Its client knows that it is on the output.
    pub entered: bool,
}

/// What the requests since the last commit changed.
#[derive(Default)]
pub struct Changes {
    pub attach: Option<Option<BufferKey>>,
    /// The pixels of what was attached.
    pub content: Option<Option<Image>>,
    pub offset: Point,
    pub scale: Option<i32>,
    pub input: Option<Option<Region>>,
    pub geometry: Option<Rect>,
    pub frames: Vec<WlCallback>,
    pub damaged: bool,
}

impl Changes {
    /// Adds what was committed later.
    fn merge(&mut self, later: Changes) {
        if later.content.is_some() {
            self.content = later.content;
        }
        self.offset = self.offset + later.offset;
        self.scale = later.scale.or(self.scale);
        self.input = later.input.or(self.input.take());
        self.geometry = later.geometry.or(self.geometry);
        self.frames.extend(later.frames);
        self.damaged |= later.damaged;
    }
}

/// What applying changes has led to.
#[derive(Default)]
struct Outcome {
    area: Rect,
    /// More than the pixels of some surfaces has changed.
    rearranged: bool,
    frame_wanted: bool,
    unmapped: Vec<SurfaceKey>,
}

impl Surface {
    pub fn new(key: SurfaceKey, resource: WlSurface) -> Self {
        Self {
            resource,
            role: None,
            pending: Changes::default(),
            cached: None,
            content: None,
            scale: 1,
            input: None,
            frames: Vec::new(),
            stack: vec![key],
            pending_stack: None,
            subsurface: None,
            xdg: None,
            entered: false,
        }
    }

    pub fn has_content(&self) -> bool {
        self.content.is_some()
    }

    /// In logical pixels; nothing without content.
    pub fn size(&self) -> (i32, i32) {
        let size = self.content.as_ref().map(|image| (image.width, image.height));
        size.map_or((0, 0), |(width, height)| (width / self.scale, height / self.scale))
    }

    /// Gives it a role, unless it has another.
    pub fn assign_role(&mut self, role: &'static str) -> Result<(), String> {
        match self.role.replace(role) {
            Some(other) if other != role => {
                self.role = Some(other);
                Err(format!("this surface has the role {other} already, it can't become {role}"))
            }
            _ => Ok(()),
        }
    }
}

/// `wl_surface.commit`.
pub fn commit<D: ProtocolHost>(data: &mut D, key: SurfaceKey) {
    let protocol = data.as_mut();
    protocol.stats.commits += 1;
    if !protocol.take_content(key) || !shell::may_commit(protocol, key) {
        return;
    }
    let changes = std::mem::take(&mut protocol.surfaces[key].pending);
    if protocol.is_synchronized(key) {
        protocol.surfaces[key].cached.get_or_insert_default().merge(changes);
        return;
    }
    let mut outcome = Outcome::default();
    protocol.apply(key, changes, &mut outcome);
    let unmapped = outcome.unmapped.contains(&key);
    finish(data, outcome);
    if !unmapped {
        shell::committed(data, key);
    }
}

/// Applies what a subsurface has kept back, as it does not have to any more.
pub fn apply_cached<D: ProtocolHost>(data: &mut D, key: SurfaceKey) {
    let protocol = data.as_mut();
    let cached = protocol.surfaces.get_mut(key).and_then(|surface| surface.cached.take());
    if let Some(changes) = cached {
        let mut outcome = Outcome::default();
        protocol.apply(key, changes, &mut outcome);
        finish(data, outcome);
    }
}

/// Tells the rest of the program.
fn finish<D: ProtocolHost>(data: &mut D, outcome: Outcome) {
    if outcome.rearranged {
        data.changed(None);
    } else if !outcome.area.is_empty() {
        data.changed(Some(outcome.area));
    }
    if outcome.frame_wanted {
        data.frame_wanted();
    }
    for surface in outcome.unmapped {
        data.surface_unmapped(surface);
    }
}

impl Protocol {
    /// Takes the pixels of the attached buffer; if that fails, its client is told why.
    fn take_content(&mut self, key: SurfaceKey) -> bool {
        let surface = &mut self.surfaces[key];
        let Some(attached) = surface.pending.attach.take() else { return true };
        let resource = surface.resource.clone();
        let scale = surface.pending.scale.unwrap_or(surface.scale);
        // A buffer that was destroyed since it was attached has no content any more.
        let content = match attached.filter(|buffer| self.has_buffer(*buffer)) {
            Some(buffer) => match self.take_pixels(buffer) {
                Some(image) => Some(image),
                None => return false,
            },
            None => None,
        };
        if let Some(image) = &content
            && (image.width % scale != 0 || image.height % scale != 0)
        {
            let message = format!(
                "a buffer of {}x{} pixels does not go with a scale of {scale}",
                image.width, image.height
            );
            resource.post_error(Error::InvalidSize, message);
            return false;
        }
        self.surfaces[key].pending.content = Some(content);
        true
    }

    fn apply(&mut self, key: SurfaceKey, changes: Changes, outcome: &mut Outcome) {
        let surface = &mut self.surfaces[key];
        let before = (surface.size(), surface.content.is_some());
        let attached = changes.content.is_some();
        if let Some(content) = changes.content {
            surface.content = content;
        }
        surface.scale = changes.scale.unwrap_or(surface.scale);
        if let Some(input) = changes.input {
            surface.input = input;
        }
        outcome.frame_wanted |= !changes.frames.is_empty();
        surface.frames.extend(changes.frames);
        if let Some(stack) = surface.pending_stack.take() {
            surface.stack = stack;
            outcome.rearranged = true;
        }
        if before != (surface.size(), surface.content.is_some()) {
            // Of a window that is about to be mapped, the mapping tells.
            let mapped = self.windows.contains(&key) || self.popups.contains(&key);
            outcome.rearranged |= mapped || surface.xdg.is_none() || surface.content.is_none();
        }
        if before.1 && surface.content.is_none() {
            if let Some(xdg) = &mut surface.xdg {
                xdg.reset();
            }
            self.windows.retain(|window| *window != key);
            self.popups.retain(|popup| *popup != key);
            outcome.unmapped.push(key);
        }
        outcome.rearranged |= self.move_surface(key, changes.offset, changes.geometry);
        if attached || changes.damaged {
            outcome.area = outcome.area.union(&self.area_of(key));
        }
        self.enter_output(key);
        for child in self.surfaces[key].stack.clone() {
            if child != key {
                self.apply_from_parent(child, outcome);
            }
        }
    }

    /// What a subsurface is told by the commit of its parent.
    fn apply_from_parent(&mut self, key: SurfaceKey, outcome: &mut Outcome) {
        let synchronized = self.is_synchronized(key);
        let before = self.area_of_tree(key);
        let Some(surface) = self.surfaces.get_mut(key) else {
            return;
        };
        let cached = surface.cached.take_if(|_| synchronized);
        if let Some(subsurface) = &mut surface.subsurface
            && subsurface.apply_position()
        {
            let after = self.area_of_tree(key);
            outcome.area = outcome.area.union(&before).union(&after);
        }
        if let Some(changes) = cached {
            self.apply(key, changes, outcome);
        }
    }

    /// Applies an offset and a window geometry; whether anything moved.
    fn move_surface(&mut self, key: SurfaceKey, offset: Point, geometry: Option<Rect>) -> bool {
        let surface = &mut self.surfaces[key];
        let mut moved = false;
        if let Some(xdg) = &mut surface.xdg {
            if let Some(geometry) = geometry {
                moved |= xdg.geometry.replace(geometry) != Some(geometry);
            }
            if let XdgRole::Toplevel(toplevel) = &mut xdg.role {
                toplevel.position = toplevel.position + offset;
                moved |= offset != Point::default();
            }
        } else if let Some(subsurface) = &mut surface.subsurface {
            subsurface.position = subsurface.position + offset;
            moved |= offset != Point::default();
        } else {
            self.seat.move_hotspot(key, offset);
        }
        moved
    }

    /// Takes the frame callbacks of all surfaces.
    pub fn take_frame_callbacks(&mut self) -> Vec<WlCallback> {
        let taken: Vec<_> =
            self.surfaces.values_mut().flat_map(|surface| surface.frames.drain(..)).collect();
        self.stats.callbacks += taken.len() as u64;
        taken
    }

    pub fn awaits_frame(&self) -> bool {
        self.surfaces.values().any(|surface| !surface.frames.is_empty())
    }
}

/// A `wl_surface` is gone.
pub fn destroy<D: ProtocolHost>(data: &mut D, key: SurfaceKey) {
    let protocol = data.as_mut();
    protocol.detach_from_parent(key);
    protocol.windows.retain(|window| *window != key);
    protocol.popups.retain(|popup| *popup != key);
    protocol.seat.forget(key);
    protocol.surfaces.remove(key);
    data.surface_unmapped(key);
    data.changed(None);
}
