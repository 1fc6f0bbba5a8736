//! One rule for the memory of queues: whoever finds one empty, or nearly so, gives the room of a burst back.

use std::collections::VecDeque;

/// The room that a queue keeps, in items.
const KEPT: usize = 1024;

/// A queue whose room can be given back.
pub(crate) trait ShrinkQueue {
    fn len(&self) -> usize;
    fn capacity(&self) -> usize;
    fn shrink_to(&mut self, capacity: usize);
}

impl<T> ShrinkQueue for Vec<T> {
    fn len(&self) -> usize {
        self.len()
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn shrink_to(&mut self, capacity: usize) {
        self.shrink_to(capacity);
    }
}

impl<T> ShrinkQueue for VecDeque<T> {
    fn len(&self) -> usize {
        self.len()
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn shrink_to(&mut self, capacity: usize) {
        self.shrink_to(capacity);
    }
}

/// Gives back what a burst took and nothing needs any more. Amortised constant: as much was put in as is moved.
#[inline]
pub(crate) fn shrink(queue: &mut impl ShrinkQueue) {
    let (len, capacity) = (queue.len(), queue.capacity());
    if capacity > KEPT && len < capacity / 8 {
        queue.shrink_to((2 * len).max(KEPT / 2));
    }
}

/// Takes out the first item; whoever takes the last one gives the room back.
#[inline]
pub(crate) fn pop_front<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let item = queue.pop_front();
    if queue.is_empty() {
        shrink(queue);
    }
    item
}
