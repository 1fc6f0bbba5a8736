//! `wl_shm`: pixels in memory shared with clients.
//!
//! A pool is mapped for as long as it lives, but never read through a reference: its client may change or
//! truncate the file behind it at any time, and touching a page that is not there any more is a `SIGBUS`.
//! The kernel copies the pixels instead, with `process_vm_readv(2)` from this very process, which answers
//! `EFAULT` there. They are copied when a buffer is committed, so that it is released at once.

use std::fs::File;
use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use vmap::{Map, Span};
use wayland_server::backend::ClientId;
use wayland_server::protocol::wl_buffer::{self, WlBuffer};
use wayland_server::protocol::wl_shm::{self, Error, Format, WlShm};
use wayland_server::protocol::wl_shm_pool::{self, WlShmPool};
use wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource, WEnum,
};

use super::{BufferKey, PoolKey, Protocol, ProtocolHost};
use crate::geometry::Image;

/// A mapped file.
pub struct Pool {
    file: File,
    map: Map,
    /// The pool outlives its object as long as there are buffers in it.
    buffers: usize,
    destroyed: bool,
}

/// A picture in a pool; it lies within it, at least as the pool was mapped.
pub struct Buffer {
    resource: WlBuffer,
    pool: PoolKey,
    offset: usize,
    width: i32,
    height: i32,
    stride: usize,
    opaque: bool,
}

fn map(file: &File, size: i32) -> Result<Map, String> {
    let size = usize::try_from(size).ok().filter(|size| *size > 0).ok_or("a pool of no bytes")?;
    Map::with_options()
        .len(size)
        .map(file)
        .map_err(|error| format!("{size} bytes can't be mapped: {error}"))
}

impl Protocol {
    /// Copies the pixels of a buffer, and releases it; if they are not there, its client is told.
    pub(super) fn take_pixels(&mut self, key: BufferKey) -> Option<Image> {
        let buffer = &self.buffers[key];
        // The last row may be shorter than the stride.
        let length = buffer.stride * (buffer.height as usize - 1) + 4 * buffer.width as usize;
        let mut bytes = vec![0; buffer.stride * buffer.height as usize];
        let base = self.pools[buffer.pool].map.as_ptr() as usize + buffer.offset;
        let copied = process_vm_readv(
            Pid::this(),
            &mut [IoSliceMut::new(&mut bytes[..length])],
            &[RemoteIoVec { base, len: length }],
        );
        if copied != Ok(length) {
            let message = "the pool's file is shorter than the pool: it was truncated";
            buffer.resource.post_error(Error::InvalidFd, message);
            return None;
        }
        buffer.resource.release();
        self.stats.bytes += length as u64;
        let &Buffer { width, height, stride, opaque, .. } = buffer;
        Some(Image { width, height, stride, opaque, bytes })
    }

    pub(super) fn has_buffer(&self, key: BufferKey) -> bool {
        self.buffers.contains_key(key)
    }

    fn drop_unused_pool(&mut self, key: PoolKey) {
        if self.pools.get(key).is_some_and(|pool| pool.destroyed && pool.buffers == 0) {
            self.pools.remove(key);
        }
    }
}

impl<D: ProtocolHost> GlobalDispatch<WlShm, (), D> for Protocol {
    fn bind(
        _: &mut D,
        _: &DisplayHandle,
        _: &Client,
        resource: New<WlShm>,
        _: &(),
        init: &mut DataInit<'_, D>,
    ) {
        let shm = init.init(resource, ());
        shm.format(Format::Argb8888);
        shm.format(Format::Xrgb8888);
    }
}

impl<D: ProtocolHost> Dispatch<WlShm, (), D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlShm,
        request: wl_shm::Request,
        _: &(),
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        let wl_shm::Request::CreatePool { id, fd, size } = request else { return };
        let file = File::from(fd);
        match map(&file, size) {
            Ok(map) => {
                let pool = Pool { file, map, buffers: 0, destroyed: false };
                let key = data.as_mut().pools.insert(pool);
                init.init(id, key);
            }
            Err(message) => {
                let error = if size <= 0 { Error::InvalidStride } else { Error::InvalidFd };
                // An object has to come of it all the same, though its client is not going to use it.
                init.init(id, PoolKey::default());
                resource.post_error(error, message);
            }
        }
    }
}

impl<D: ProtocolHost> Dispatch<WlShmPool, PoolKey, D> for Protocol {
    fn request(
        data: &mut D,
        _: &Client,
        resource: &WlShmPool,
        request: wl_shm_pool::Request,
        key: &PoolKey,
        _: &DisplayHandle,
        init: &mut DataInit<'_, D>,
    ) {
        use wl_shm_pool::Request;
        let protocol = data.as_mut();
        let Some(pool) = protocol.pools.get_mut(*key) else { return };
        match request {
            Request::CreateBuffer { id, offset, width, height, stride, format } => {
                let opaque = match format {
                    WEnum::Value(Format::Argb8888) => false,
                    WEnum::Value(Format::Xrgb8888) => true,
                    _ => {
                        init.init(id, BufferKey::default());
                        let message = format!("format {format:?} is not supported");
                        return resource.post_error(Error::InvalidFormat, message);
                    }
                };
                let end = i64::from(offset) + i64::from(stride) * i64::from(height);
                let fits = offset >= 0
                    && width > 0
                    && height > 0
                    && i64::from(stride) >= 4 * i64::from(width)
                    && end <= pool.map.len() as i64;
                if !fits {
                    init.init(id, BufferKey::default());
                    let message = format!(
                        "{width}x{height} pixels with a stride of {stride} bytes at {offset} are not in a \
                         pool of {} bytes",
                        pool.map.len()
                    );
                    return resource.post_error(Error::InvalidStride, message);
                }
                pool.buffers += 1;
                protocol.buffers.insert_with_key(|buffer| Buffer {
                    resource: init.init(id, buffer),
                    pool: *key,
                    offset: offset as usize,
                    width,
                    height,
                    stride: stride as usize,
                    opaque,
                });
            }
            Request::Resize { size } if (size as usize) < pool.map.len() || size <= 0 => {
                resource.post_error(Error::InvalidFd, "a pool can't shrink");
            }
            Request::Resize { size } => match map(&pool.file, size) {
                Ok(map) => pool.map = map,
                Err(message) => resource.post_error(Error::InvalidFd, message),
            },
            _ => {}
        }
    }

    fn destroyed(data: &mut D, _: ClientId, _: &WlShmPool, key: &PoolKey) {
        let protocol = data.as_mut();
        if let Some(pool) = protocol.pools.get_mut(*key) {
            pool.destroyed = true;
        }
        protocol.drop_unused_pool(*key);
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
        let Some(buffer) = protocol.buffers.remove(*key) else { return };
        if let Some(pool) = protocol.pools.get_mut(buffer.pool) {
            pool.buffers -= 1;
        }
        protocol.drop_unused_pool(buffer.pool);
    }
}
