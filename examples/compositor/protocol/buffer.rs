//! `wl_buffer`: pixels to copy, in shared memory or of one colour, and when they are given back.

use wayland_server::backend::ClientId;
use wayland_server::protocol::wl_buffer::{self, WlBuffer};
use wayland_server::{Client, DataInit, Dispatch, DisplayHandle, Resource};

use super::shm::{Pools, Source};
use super::{BufferKey, Protocol, ProtocolHost};
use crate::geometry::{Damage, Image};

pub struct Buffer {
    resource: WlBuffer,
    pixels: Pixels,
    /// How many commits wait for its pixels to be copied.
    holders: usize,
    /// Its object is gone; with the last holder it goes, too.
    destroyed: bool,
}

pub enum Pixels {
    Shared(Source),
    /// Blue, green, red, alpha.
    Single([u8; 4]),
}

impl Buffer {
    pub fn new(resource: WlBuffer, pixels: Pixels) -> Self {
        Self { resource, pixels, holders: 0, destroyed: false }
    }

    pub fn size(&self) -> (i32, i32) {
        match &self.pixels {
            Pixels::Shared(source) => source.size(),
            Pixels::Single(_) => (1, 1),
        }
    }

    /// Copies what is damaged, or says to its client that it is not there. How many bytes.
    pub fn copy(&self, pools: &Pools, image: &mut Image, damage: &Damage) -> u64 {
        match &self.pixels {
            Pixels::Shared(source) => source.copy(pools, image, damage).unwrap_or_else(|()| {
                use wayland_server::protocol::wl_shm::Error::InvalidFd;
                let message = "the pool's file is shorter than the pool: it was truncated";
                self.resource.post_error(InvalidFd, message);
                0
            }),
            Pixels::Single(pixel) => {
                image.resize((1, 1));
                image.opaque = pixel[3] == 255;
                image.bytes.copy_from_slice(pixel);
                4
            }
        }
    }
}

impl Protocol {
    /// Whether a buffer is there to be attached.
    pub(super) fn has_buffer(&self, key: BufferKey) -> bool {
        self.buffers.get(key).is_some_and(|buffer| !buffer.destroyed)
    }

    /// Keeps a buffer until it is let go.
    pub(super) fn hold(&mut self, key: BufferKey) {
        if let Some(buffer) = self.buffers.get_mut(key) {
            buffer.holders += 1;
        }
    }

    /// Gives a buffer back to its client, unless something else holds it.
    pub(super) fn let_go(&mut self, key: BufferKey) {
        let Some(buffer) = self.buffers.get_mut(key) else { return };
        buffer.holders -= 1;
        if buffer.holders > 0 {
            return;
        }
        if buffer.destroyed {
            self.remove_buffer(key);
        } else {
            buffer.resource.release();
        }
    }

    fn remove_buffer(&mut self, key: BufferKey) {
        if let Some(Buffer { pixels: Pixels::Shared(source), .. }) = self.buffers.remove(key) {
            self.leave_pool(&source);
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlBuffer, BufferKey, D> for Protocol {
    fn request(
        _: &mut D,
        _: &Client,
        _: &WlBuffer,
        _: wl_buffer::Request,
        _: &BufferKey,
        _: &DisplayHandle,
        _: &mut DataInit<'_, D>,
    ) {
    }

    fn destroyed(data: &mut D, _: ClientId, _: &WlBuffer, key: &BufferKey) {
        let protocol = data.as_mut();
        let Some(buffer) = protocol.buffers.get_mut(*key) else { return };
        buffer.destroyed = true;
        if buffer.holders == 0 {
            protocol.remove_buffer(*key);
        }
    }
}
