//! What a surface shows: pixels of its own, copied out of the buffers that are committed.
//!
//! A commit only notes which buffer has the pixels, and what of them is new. They are copied at the end of the round
//! of the loop, so that the client has its buffer back at once, but only once between two frames: what is committed
//! more often waits for the frame, and all but the last of it is never copied.

use super::{BufferKey, Protocol, SurfaceKey};
use crate::geometry::{Damage, Image, Point, Rect};

#[derive(Default)]
pub struct Content {
    /// The pixels as they were last copied.
    pub image: Image,
    /// Of what was committed last, in pixels.
    pub size: (i32, i32),
    fresh: Option<Fresh>,
    /// The frame before which pixels were last copied.
    copied: u64,
}

/// A buffer with pixels that are not copied yet.
struct Fresh {
    buffer: BufferKey,
    damage: Damage,
}

impl Content {
    /// The buffer that it still holds.
    pub fn held(&self) -> Option<BufferKey> {
        self.fresh.as_ref().map(|fresh| fresh.buffer)
    }

    /// All of it, in its own pixels.
    pub fn bounds(&self) -> Rect {
        Rect::at(Point::default(), self.size)
    }

    /// Some of its pixels are others, in its own coordinates; whether there is a buffer that has them.
    pub fn add_damage(&mut self, damage: &Damage) -> bool {
        let bounds = self.bounds();
        let Some(fresh) = &mut self.fresh else { return false };
        damage.rects().iter().for_each(|rect| fresh.damage.add(rect.intersection(&bounds)));
        true
    }
}

impl Protocol {
    /// Gives a surface another buffer, which is held, or none.
    pub(super) fn set_content(&mut self, key: SurfaceKey, buffer: Option<BufferKey>) {
        let surface = &mut self.surfaces[key];
        let Some(buffer) = buffer else {
            let held = surface.content.take().and_then(|content| content.held());
            return held.into_iter().for_each(|held| self.let_go(held));
        };
        let size = self.buffers.get(buffer).map_or((0, 0), |buffer| buffer.size());
        let content = surface.content.get_or_insert_default();
        let before = content.fresh.take();
        if before.is_none() {
            self.uncopied.push(key);
        }
        let (held, mut damage) = before.map(|fresh| (fresh.buffer, fresh.damage)).unzip();
        if std::mem::replace(&mut content.size, size) != size {
            damage.get_or_insert_default().add(content.bounds());
        }
        content.fresh = Some(Fresh { buffer, damage: damage.unwrap_or_default() });
        held.into_iter().for_each(|held| self.let_go(held));
    }

    /// Copies what was committed, but nothing twice before the next frame; whether something has to wait for that.
    pub(super) fn copy_pixels(&mut self) -> bool {
        self.copy_unless(|copied, frame| copied == frame);
        !self.uncopied.is_empty()
    }

    /// Copies everything that was committed: a frame is about to be painted.
    pub fn prepare_frame(&mut self) {
        self.copy_unless(|_, _| false);
        self.frame += 1;
    }

    fn copy_unless(&mut self, waits: impl Fn(u64, u64) -> bool) {
        for key in std::mem::take(&mut self.uncopied) {
            let surface = self.surfaces.get_mut(key);
            let Some(content) = surface.and_then(|surface| surface.content.as_mut()) else {
                continue;
            };
            if waits(content.copied, self.frame) {
                self.uncopied.push(key);
                continue;
            }
            let Some(Fresh { buffer, damage }) = content.fresh.take() else { continue };
            content.copied = self.frame;
            if let Some(source) = self.buffers.get(buffer) {
                self.stats.bytes += source.copy(&self.pools, &mut content.image, &damage);
            }
            self.let_go(buffer);
        }
    }
}
