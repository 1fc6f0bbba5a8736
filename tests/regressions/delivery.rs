//! What was delivered twice, late, or to the wrong source.
