//! One rule for the memory of queues: code that finds a queue empty, or nearly so, frees the memory that a burst took.

use std::collections::VecDeque;

/// The capacity that a queue keeps, in items.
const KEPT: usize = 1024;

/// Frees the capacity that a burst took and nothing needs now. Amortised constant time: it moves no more items than
/// were put in.
#[inline]
pub(crate) fn shrink<T>(queue: &mut Vec<T>) {
    let (len, capacity) = (queue.len(), queue.capacity());
    if capacity > KEPT && len < capacity / 8 {
        queue.shrink_to((2 * len).max(KEPT / 2));
    }
}

/// Takes out the first item. Frees spare capacity when the queue gets empty.
#[inline]
pub(crate) fn pop_front<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let item = queue.pop_front();
    if queue.is_empty() && queue.capacity() > KEPT {
        queue.shrink_to(KEPT / 2);
    }
    item
}
