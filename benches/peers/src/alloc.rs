//! A global allocator that counts while it is asked to, for D5, H1 and the footprint.
//!
//! It counts what is asked of it (not the overhead of the system's allocator), by all threads. Off, it
//! costs the load of a flag.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

pub struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
/// Allocated minus freed since the counting began; wraps below zero if more was freed.
static LIVE: AtomicU64 = AtomicU64::new(0);

/// Counts from here on, or no more.
pub fn count(on: bool) {
    ON.store(on, Relaxed);
}

/// How often memory was asked for; growing an allocation counts.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Relaxed)
}

/// Bytes allocated and not freed.
pub fn live() -> u64 {
    LIVE.load(Relaxed)
}

fn note(allocations: u64, bytes: u64) {
    if ON.load(Relaxed) {
        ALLOCATIONS.fetch_add(allocations, Relaxed);
        LIVE.fetch_add(bytes, Relaxed);
    }
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as u64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as u64);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(0, (layout.size() as u64).wrapping_neg());
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, (size as u64).wrapping_sub(layout.size() as u64));
        unsafe { System.realloc(at, layout, size) }
    }
}
