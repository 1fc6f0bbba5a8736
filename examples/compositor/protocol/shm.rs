//! `wl_shm`: pixels in memory shared with clients.
//!
//! A pool is mapped for as long as it lives, but never read through a reference: its client may change or
//! truncate the file behind it at any time, and touching a page that is not there any more is a `SIGBUS`.
//! The kernel copies the pixels instead, with `process_vm_readv(2)` from this very process, which answers
//! `EFAULT` there.

use std::fs::File;
use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use slotmap::SlotMap;
use vmap::{Map, Span};
use wayland_server::backend::ClientId;
use wayland_server::protocol::wl_shm::{self, Error, Format, WlShm};
use wayland_server::protocol::wl_shm_pool::{self, WlShmPool};
use wayland_server::{
    Client, DataInit, Dispatch, DisplayHandle, GlobalDispatch, New, Resource, WEnum,
};

use super::buffer::{Buffer, Pixels};
use super::{BufferKey, PoolKey, Protocol, ProtocolHost};
use crate::geometry::{Damage, Image, Point, Rect};

pub type Pools = SlotMap<PoolKey, Pool>;

/// A mapped file.
pub struct Pool {
    file: File,
    map: Map,
    /// The pool outlives its object as long as there are buffers in it.
    buffers: usize,
    destroyed: bool,
    client: ClientId,
}

/// Where the pixels of a buffer are; in a pool they lie within it, at least as the pool was mapped.
pub struct Source {
    pool: PoolKey,
    offset: usize,
    stride: usize,
    width: i32,
    height: i32,
    opaque: bool,
}

/// How many rows are copied with one system call.
const ROWS: usize = 1024;

fn map(file: &File, size: i32) -> Result<Map, String> {
    let size = usize::try_from(size).ok().filter(|size| *size > 0).ok_or("a pool of no bytes")?;
    Map::with_options()
        .len(size)
        .map(file)
        .map_err(|error| format!("{size} bytes can't be mapped: {error}"))
}

impl Source {
    pub fn size(&self) -> (i32, i32) {
        (self.width, self.height)
    }

    /// Copies what is damaged into an image, and all of it into one of another size. How many bytes; `Err` if some
    /// of them are not there.
    pub fn copy(&self, pools: &Pools, image: &mut Image, damage: &Damage) -> Result<u64, ()> {
        let pool = pools.get(self.pool).ok_or(())?;
        let base = pool.map.as_ptr() as usize + self.offset;
        image.opaque = self.opaque;
        let all = Rect::at(Point::default(), self.size());
        if image.resize(self.size()) {
            return self.copy_rect(base, image, all);
        }
        let rects = damage.rects().iter().map(|rect| rect.intersection(&all));
        rects.map(|rect| self.copy_rect(base, image, rect)).sum()
    }

    fn copy_rect(&self, base: usize, image: &mut Image, rect: Rect) -> Result<u64, ()> {
        let (top, height) = (rect.y as usize, rect.height as usize);
        let (first, length) = (4 * rect.x as usize, 4 * rect.width as usize);
        let base = base + self.stride * top + first;
        if (length, length) == (image.stride, self.stride) {
            // Rows with nothing between them are one piece.
            let bytes = &mut image.bytes[length * top..][..length * height];
            let from = RemoteIoVec { base, len: bytes.len() };
            return copy(&mut [IoSliceMut::new(bytes)], &[from]);
        }
        let rows = image.bytes.chunks_exact_mut(image.stride).skip(top).take(height);
        let mut rows = rows.enumerate();
        let mut copied = 0;
        loop {
            let piece = rows.by_ref().take(ROWS);
            let (mut to, from): (Vec<_>, Vec<_>) = piece
                .map(|(index, row)| {
                    let row = IoSliceMut::new(&mut row[first..first + length]);
                    (row, RemoteIoVec { base: base + self.stride * index, len: length })
                })
                .unzip();
            if to.is_empty() {
                return Ok(copied);
            }
            copied += copy(&mut to, &from)?;
        }
    }
}

/// Copies from anywhere in this process; `Err` unless all of it is there.
fn copy(to: &mut [IoSliceMut<'_>], from: &[RemoteIoVec]) -> Result<u64, ()> {
    let expected = from.iter().map(|piece| piece.len).sum();
    if process_vm_readv(Pid::this(), to, from) != Ok(expected) {
        return Err(());
    }
    Ok(expected as u64)
}

impl Protocol {
    /// A buffer is gone, and so may be the last use of its pool.
    pub(super) fn leave_pool(&mut self, source: &Source) {
        if let Some(pool) = self.pools.get_mut(source.pool) {
            pool.buffers -= 1;
        }
        self.drop_unused_pool(source.pool);
    }

    fn drop_unused_pool(&mut self, key: PoolKey) {
        if self.pools.get(key).is_some_and(|pool| pool.destroyed && pool.buffers == 0)
            && let Some(pool) = self.pools.remove(key)
            && let Some(connection) = self.connections.get_mut(&pool.client)
        {
            connection.pools -= 1;
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
        client: &Client,
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
                let pool = Pool { file, map, buffers: 0, destroyed: false, client: client.id() };
                let protocol = data.as_mut();
                let key = protocol.pools.insert(pool);
                init.init(id, key);
                protocol.count(client, "pools", |connection| &mut connection.pools);
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
                let (offset, stride) = (offset as usize, stride as usize);
                let source = Source { pool: *key, offset, stride, width, height, opaque };
                protocol
                    .buffers
                    .insert_with_key(|key| Buffer::new(init.init(id, key), Pixels::Shared(source)));
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
