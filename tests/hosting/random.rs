//! Programs made up by chance.
