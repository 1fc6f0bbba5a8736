//! What was lost or misleading where a program meets the kernel, other processes and other crates.
