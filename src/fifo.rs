//! A queue for small values: first in, first out.
//!
//! A vector and a cursor: what was taken out stays in front of the cursor until all is, so that neither end moves
//! anything.

#[derive(Debug)]
pub(crate) struct Fifo<T> {
    items: Vec<T>,
    /// The first that is still in.
    next: usize,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self { items: Vec::new(), next: 0 }
    }
}

impl<T: Copy> Fifo<T> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.next == self.items.len()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.items.len() - self.next
    }

    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// The last that was pushed, if it is in still.
    #[inline]
    pub(crate) fn last(&self) -> Option<&T> {
        self.items[self.next..].last()
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let Some(&item) = self.items.get(self.next) else {
            self.clear();
            return None;
        };
        self.next += 1;
        Some(item)
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.next = 0;
    }

    /// The next one, if `wanted` says so of it.
    pub(crate) fn pop_if(&mut self, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
        if self.items.get(self.next).is_some_and(|item| !wanted(item)) {
            return None;
        }
        self.pop()
    }

    /// Drops what is not `wanted`.
    pub(crate) fn retain(&mut self, wanted: impl FnMut(&T) -> bool) {
        self.items.drain(..self.next);
        self.next = 0;
        self.items.retain(wanted);
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.items[self.next..]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.items[self.next..]
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.items.capacity()
    }
}
