//! Where everything is on the output: surface trees, from the bottom up, and what is under a point.

use super::seat::Cursor;
use super::shell::XdgRole;
use super::{Protocol, SurfaceKey};
use crate::geometry::{Area, Image, Orientation, Point, Rect};

/// A mapped window, as others may want to know it.
pub struct Window<'a> {
    pub key: SurfaceKey,
    /// The window proper, on the output, without shadows its client may draw.
    pub rect: Rect,
    pub title: &'a str,
    pub app_id: &'a str,
    /// Its client draws a frame around the window geometry by itself, or wants none.
    pub frameless: bool,
}

/// A piece of a window.
pub struct Layer<'a> {
    pub image: &'a Image,
    /// What it covers of the output.
    pub area: Rect,
    /// The part of the image that is stretched over it, the right way up.
    pub source: Area,
    pub orientation: Orientation,
    /// What of the area hides all that is below.
    pub opaque: Rect,
}

impl Protocol {
    /// The windows, from the bottom up.
    pub fn windows(&self) -> impl DoubleEndedIterator<Item = Window<'_>> {
        self.windows.iter().filter_map(|key| {
            let surface = self.surfaces.get(*key)?;
            let xdg = surface.xdg.as_ref()?;
            let XdgRole::Toplevel(toplevel) = &xdg.role else { return None };
            let geometry = self.geometry(*key);
            Some(Window {
                key: *key,
                rect: Rect::at(toplevel.position, geometry.size()),
                title: &toplevel.title,
                app_id: &toplevel.app_id,
                frameless: toplevel.is_frameless(geometry),
            })
        })
    }

    /// The popups, from the bottom up: they come and go quickly, and are above all windows while they last.
    pub fn popups(&self) -> impl Iterator<Item = SurfaceKey> {
        self.popups.iter().copied()
    }

    /// What a window or a popup looks like, from the bottom up.
    pub fn layers(&self, root: SurfaceKey) -> Vec<Layer<'_>> {
        let mut surfaces = Vec::new();
        self.collect_tree(root, &mut surfaces);
        surfaces.into_iter().filter_map(|key| self.layer(key, self.origin(key)?)).collect()
    }

    /// What the pointer looks like, if its client has said so, at a position.
    pub fn cursor(&self, at: Point) -> Option<Layer<'_>> {
        match self.seat.cursor()? {
            Cursor::Surface(key, hotspot) => self.layer(key, at - hotspot),
            Cursor::Shape(_) => None,
        }
    }

    fn layer(&self, key: SurfaceKey, at: Point) -> Option<Layer<'_>> {
        let surface = self.surfaces.get(key)?;
        let image = &surface.content.as_ref()?.image;
        let area = Rect::at(at, surface.size());
        let opaque = if image.opaque { area } else { Rect::default() };
        let (source, orientation) = (surface.source(), surface.orientation);
        Some(Layer { image, area, source, orientation, opaque })
    }

    fn collect_tree(&self, key: SurfaceKey, into: &mut Vec<SurfaceKey>) {
        let Some(surface) = self.surfaces.get(key) else { return };
        for child in &surface.stack {
            if *child == key {
                into.push(key);
            } else if surface.content.is_some() {
                // Without content of its parent no subsurface is shown.
                self.collect_tree(*child, into);
            }
        }
    }

    /// The window that a popup or a subsurface belongs to in the end.
    pub fn window_of(&self, mut key: SurfaceKey) -> Option<SurfaceKey> {
        loop {
            let surface = self.surfaces.get(key)?;
            key = match (&surface.xdg, &surface.subsurface) {
                (Some(xdg), _) => match &xdg.role {
                    XdgRole::Toplevel(_) => return Some(key),
                    XdgRole::Popup(popup) => popup.parent?,
                    XdgRole::None => return None,
                },
                (None, Some(subsurface)) => subsurface.parent,
                (None, None) => return None,
            };
        }
    }

    /// Whether a window, a popup or a subsurface is on the output, as far as that is up to its windows.
    pub(super) fn is_mapped(&self, mut key: SurfaceKey) -> bool {
        while let Some(parent) = self.parent_of(key) {
            key = parent;
        }
        self.windows.contains(&key) || self.popups.contains(&key)
    }

    /// The window geometry of an `xdg_surface`, relative to the surface.
    pub(super) fn geometry(&self, key: SurfaceKey) -> Rect {
        let Some(surface) = self.surfaces.get(key) else { return Rect::default() };
        let set = surface.xdg.as_ref().and_then(|xdg| xdg.geometry);
        set.unwrap_or_else(|| Rect::at(Point::default(), surface.size()))
    }

    /// Where the top left pixel of a surface is on the output.
    pub(super) fn origin(&self, key: SurfaceKey) -> Option<Point> {
        let surface = self.surfaces.get(key)?;
        let Some(xdg) = &surface.xdg else {
            let Some(subsurface) = &surface.subsurface else { return self.icon_origin(key) };
            return Some(self.origin(subsurface.parent)? + subsurface.position);
        };
        let window = match &xdg.role {
            XdgRole::Toplevel(toplevel) => toplevel.position,
            XdgRole::Popup(popup) => self.window_origin(popup.parent?)? + popup.rect.origin(),
            XdgRole::None => return None,
        };
        Some(window - self.geometry(key).origin())
    }

    /// Where the top left corner of a window geometry is on the output.
    pub(super) fn window_origin(&self, key: SurfaceKey) -> Option<Point> {
        Some(self.origin(key)? + self.geometry(key).origin())
    }

    /// What a surface covers of the output; nothing if it is not on it.
    pub(super) fn area_of(&self, key: SurfaceKey) -> Rect {
        match (self.surfaces.get(key), self.origin(key)) {
            (Some(surface), Some(origin)) => Rect::at(origin, surface.size()),
            _ => Rect::default(),
        }
    }

    /// What a surface and its subsurfaces cover.
    pub(super) fn area_of_tree(&self, key: SurfaceKey) -> Rect {
        let mut surfaces = Vec::new();
        self.collect_tree(key, &mut surfaces);
        let areas = surfaces.into_iter().map(|key| self.area_of(key));
        areas.reduce(|one, other| one.union(&other)).unwrap_or_default()
    }

    /// What a window covers, with its subsurfaces, and without its popups.
    pub fn area_of_window(&self, key: SurfaceKey) -> Rect {
        let surfaces = self.area_of_tree(key);
        match self.window_origin(key) {
            Some(origin) => surfaces.union(&Rect::at(origin, self.geometry(key).size())),
            None => surfaces,
        }
    }

    /// The surface that takes input at a point of the output.
    pub fn surface_at(&self, point: Point) -> Option<SurfaceKey> {
        let mut surfaces = Vec::new();
        for root in self.windows.iter().chain(&self.popups) {
            self.collect_tree(*root, &mut surfaces);
        }
        surfaces.into_iter().rev().find(|key| {
            let area = self.area_of(*key);
            let input = self.surfaces[*key].input.as_ref();
            area.contains(point)
                && input.is_none_or(|region| region.contains(point - area.origin()))
        })
    }

    /// A point of the output, seen from a surface.
    pub fn local(&self, key: SurfaceKey, point: Point) -> Point {
        point - self.origin(key).unwrap_or_default()
    }

    /// Puts a window on top of all others.
    pub fn raise(&mut self, window: SurfaceKey) {
        if let Some(index) = self.windows.iter().position(|other| *other == window) {
            self.windows[index..].rotate_left(1);
        }
    }
}
