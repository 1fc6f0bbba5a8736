//! What cost more than it may, or was kept for good.
