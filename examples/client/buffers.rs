//! Two buffers in memory that is shared with the compositor: one to show, one to paint.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use rustix::fs::MemfdFlags;
use wayland_client::QueueHandle;
use wayland_client::protocol::wl_buffer::WlBuffer;
use wayland_client::protocol::wl_shm::{Format, WlShm};

use crate::state::State;

/// Which of the two.
pub type Slot = usize;

pub struct Buffers {
    shm: WlShm,
    slots: [Option<Buffer>; 2],
}

struct Buffer {
    object: WlBuffer,
    memory: File,
    size: (i32, i32),
    /// The compositor may read it.
    busy: bool,
}

impl Buffers {
    pub fn new(shm: WlShm) -> Self {
        Self { shm, slots: [None, None] }
    }

    /// Copies a picture into the buffer that the compositor does not read; `None` if it reads both.
    pub fn fill(
        &mut self,
        size: (i32, i32),
        pixels: &[u8],
        queue: &QueueHandle<State>,
    ) -> io::Result<Option<&WlBuffer>> {
        let free = |buffer: &Option<Buffer>| buffer.as_ref().is_none_or(|buffer| !buffer.busy);
        let Some(slot) = self.slots.iter().position(free) else { return Ok(None) };
        let buffer = match self.slots[slot].take_if(|buffer| buffer.size == size) {
            Some(buffer) => buffer,
            None => Buffer::new(&self.shm, size, slot, queue)?,
        };
        if let Some(outgrown) = self.slots[slot].take() {
            outgrown.object.destroy();
        }
        buffer.memory.write_all_at(pixels, 0)?;
        let buffer = self.slots[slot].insert(buffer);
        buffer.busy = true;
        Ok(Some(&buffer.object))
    }

    /// The compositor reads it no more.
    pub fn release(&mut self, slot: Slot) {
        if let Some(buffer) = &mut self.slots[slot] {
            buffer.busy = false;
        }
    }
}

impl Buffer {
    fn new(
        shm: &WlShm,
        (width, height): (i32, i32),
        slot: Slot,
        queue: &QueueHandle<State>,
    ) -> io::Result<Self> {
        let bytes = 4 * width * height;
        let memory = File::from(rustix::fs::memfd_create("pixels", MemfdFlags::CLOEXEC)?);
        memory.set_len(bytes as u64)?;
        let pool = shm.create_pool(memory.as_fd(), bytes, queue, ());
        let object = pool.create_buffer(0, width, height, 4 * width, Format::Xrgb8888, queue, slot);
        pool.destroy();
        Ok(Self { object, memory, size: (width, height), busy: false })
    }
}
