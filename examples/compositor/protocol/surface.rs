//! Surfaces: the double-buffered state of `wl_surface`, and how commits travel through subsurfaces.
//!
//! Requests collect in `pending`. A commit takes hold of the attached buffer, and then either applies the changes
//! or, for a synchronized subsurface, keeps them in `cached` until those of its parent are applied.

use wayland_protocols::wp::presentation_time::server::wp_presentation_feedback::WpPresentationFeedback;
use wayland_protocols::wp::viewporter::server::wp_viewport::WpViewport;
use wayland_server::Resource;
use wayland_server::protocol::wl_callback::WlCallback;
use wayland_server::protocol::wl_surface::{Error, WlSurface};

use super::content::Content;
use super::presentation::discard;
use super::region::Region;
use super::shell::{self, Xdg, XdgRole};
use super::subsurface::Subsurface;
use super::viewport::Viewport;
use super::{BufferKey, Protocol, ProtocolHost, SurfaceKey};
use crate::geometry::{Area, Damage, Orientation, Point, Rect};

pub struct Surface {
    pub resource: WlSurface,
    /// The name of its role; once given, it stays.
    pub role: Option<&'static str>,
    pub pending: Changes,
    /// Committed, but kept back until the parent is committed.
    pub cached: Option<Changes>,
    pub content: Option<Content>,
    pub scale: i32,
    pub orientation: Orientation,
    pub viewport: Viewport,
    pub viewport_resource: Option<WpViewport>,
    /// `None`: all of it takes input.
    pub input: Option<Region>,
    /// Who waits for the next frame.
    pub frames: Vec<WlCallback>,
    /// Who wants to know when the last commit was shown.
    pub feedbacks: Vec<WpPresentationFeedback>,
    /// Its client asks for its scale.
    pub asks_scale: bool,
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
    /// What was attached, and is held now.
    pub content: Option<Option<BufferKey>>,
    pub offset: Point,
    pub scale: Option<i32>,
    pub orientation: Option<Orientation>,
    pub viewport: Option<Viewport>,
    pub input: Option<Option<Region>>,
    pub geometry: Option<Rect>,
    pub frames: Vec<WlCallback>,
    pub feedbacks: Vec<WpPresentationFeedback>,
    /// In logical pixels.
    pub damage: Damage,
    /// In pixels of the buffer.
    pub buffer_damage: Damage,
}

impl Changes {
    /// Adds what was committed later. The buffer that is not needed any more.
    fn merge(&mut self, later: Changes) -> Option<BufferKey> {
        let unneeded = self.content.take_if(|_| later.content.is_some()).flatten();
        self.content = later.content.or(self.content);
        self.orientation = later.orientation.or(self.orientation);
        self.viewport = later.viewport.or(self.viewport);
        self.offset = self.offset + later.offset;
        self.scale = later.scale.or(self.scale);
        self.input = later.input.or(self.input.take());
        self.geometry = later.geometry.or(self.geometry);
        self.frames.extend(later.frames);
        discard(std::mem::replace(&mut self.feedbacks, later.feedbacks));
        self.damage.extend(&later.damage);
        self.buffer_damage.extend(&later.buffer_damage);
        unneeded
    }
}

/// What applying changes has led to.
#[derive(Default)]
struct Outcome {
    damage: Damage,
    /// More than the pixels of some surfaces has changed.
    rearranged: bool,
    frame_wanted: bool,
    /// Of the surface that is the pointer.
    cursor: bool,
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
            orientation: Orientation::default(),
            viewport: Viewport::default(),
            viewport_resource: None,
            input: None,
            frames: Vec::new(),
            feedbacks: Vec::new(),
            asks_scale: false,
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

    /// Of its content, the right way up, in pixels.
    fn oriented(&self) -> (i32, i32) {
        self.orientation.size(self.content.as_ref().map_or((0, 0), |content| content.size))
    }

    /// In logical pixels; nothing without content.
    pub fn size(&self) -> (i32, i32) {
        if self.content.is_none() {
            return (0, 0);
        }
        self.viewport.size(self.oriented(), self.scale)
    }

    /// What of the content is shown, in pixels of it, the right way up.
    pub fn source(&self) -> Area {
        self.viewport.source(self.oriented(), self.scale)
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
    if !protocol.hold_attached(key) || !shell::may_commit(protocol, key) {
        return;
    }
    let changes = std::mem::take(&mut protocol.surfaces[key].pending);
    if protocol.is_synchronized(key) {
        let unneeded = protocol.surfaces[key].cached.get_or_insert_default().merge(changes);
        return unneeded.into_iter().for_each(|buffer| protocol.let_go(buffer));
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
    } else {
        outcome.damage.rects().iter().for_each(|area| data.changed(Some(*area)));
    }
    if outcome.cursor {
        data.cursor_changed();
    }
    if outcome.frame_wanted {
        data.frame_wanted();
    }
    for surface in outcome.unmapped {
        data.surface_unmapped(surface);
    }
}

impl Protocol {
    /// Holds the attached buffer; if it can't be shown, its client is told why.
    fn hold_attached(&mut self, key: SurfaceKey) -> bool {
        let surface = &mut self.surfaces[key];
        let attached = surface.pending.attach.take();
        let size = match &attached {
            // A buffer that was destroyed since it was attached has no content any more.
            Some(buffer) => buffer.and_then(|buffer| Some(self.buffers.get(buffer)?.size())),
            None => surface.content.as_ref().map(|content| content.size),
        };
        let scale = surface.pending.scale.unwrap_or(surface.scale);
        let orientation = surface.pending.orientation.unwrap_or(surface.orientation);
        let viewport = surface.pending.viewport.unwrap_or(surface.viewport);
        if let Some((width, height)) = size {
            if attached.is_some() && (width % scale != 0 || height % scale != 0) {
                let message = format!(
                    "a buffer of {width}x{height} pixels does not go with a scale of {scale}"
                );
                surface.resource.post_error(Error::InvalidSize, message);
                return false;
            }
            if let Err((error, message)) = viewport.check(orientation.size((width, height)), scale)
            {
                if let Some(resource) = &surface.viewport_resource {
                    resource.post_error(error, message);
                }
                return false;
            }
        }
        if let Some(attached) = attached {
            let buffer = attached.filter(|buffer| self.has_buffer(*buffer));
            buffer.into_iter().for_each(|buffer| self.hold(buffer));
            self.surfaces[key].pending.content = Some(buffer);
        }
        true
    }

    fn apply(&mut self, key: SurfaceKey, changes: Changes, outcome: &mut Outcome) {
        let surface = &mut self.surfaces[key];
        let before = (surface.size(), surface.content.is_some());
        let first = surface.content.is_none();
        if let Some(content) = changes.content {
            self.set_content(key, content);
        }
        let surface = &mut self.surfaces[key];
        let shown = (surface.source(), surface.orientation);
        surface.orientation = changes.orientation.unwrap_or(surface.orientation);
        surface.viewport = changes.viewport.unwrap_or(surface.viewport);
        surface.scale = changes.scale.unwrap_or(surface.scale);
        if let Some(input) = changes.input {
            surface.input = input;
        }
        outcome.frame_wanted |= !changes.frames.is_empty() || !changes.feedbacks.is_empty();
        surface.frames.extend(changes.frames);
        discard(std::mem::replace(&mut surface.feedbacks, changes.feedbacks));
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
        let mut damage = changes.buffer_damage;
        let surface = &mut self.surfaces[key];
        for rect in changes.damage.rects() {
            damage.add(surface.mapping().to_content(*rect));
        }
        if first {
            damage.add(surface.content.as_ref().map_or_else(Rect::default, Content::bounds));
        }
        let new = surface.content.as_mut().is_some_and(|content| content.add_damage(&damage));
        if shown != (surface.source(), surface.orientation) {
            outcome.damage.add(self.area_of(key));
        } else if new {
            let (mapping, area) = (surface.mapping(), self.area_of(key));
            for rect in damage.rects() {
                let rect = mapping.to_surface(*rect).translated(area.origin());
                outcome.damage.add(rect.intersection(&area));
            }
        }
        outcome.cursor |= self.seat.cursor_surface() == Some(key);
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
            outcome.damage.add(before);
            outcome.damage.add(after);
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
            self.move_icon(key, offset);
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
        let waits = |surface: &Surface| !surface.frames.is_empty() || !surface.feedbacks.is_empty();
        self.surfaces.values().any(waits)
    }
}

/// A `wl_surface` is gone.
pub fn destroy<D: ProtocolHost>(data: &mut D, key: SurfaceKey) {
    let protocol = data.as_mut();
    protocol.detach_from_parent(key);
    protocol.windows.retain(|window| *window != key);
    protocol.popups.retain(|popup| *popup != key);
    protocol.seat.forget(key);
    if let Some(surface) = protocol.surfaces.remove(key) {
        let cached = surface.cached.unwrap_or_default();
        [surface.feedbacks, surface.pending.feedbacks, cached.feedbacks]
            .into_iter()
            .for_each(discard);
        let pending = surface.pending.content.flatten();
        let held = surface.content.and_then(|content| content.held());
        cached
            .content
            .flatten()
            .into_iter()
            .chain(pending)
            .chain(held)
            .for_each(|buffer| protocol.let_go(buffer));
    }
    data.surface_unmapped(key);
    data.changed(None);
}
