//! What held the loop awake or asleep, or had it lose something.
