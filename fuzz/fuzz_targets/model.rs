//! Programs from the fuzzer, on the loop and on a naive model of it: `cargo +nightly fuzz run model`.
#![no_main]

#[allow(dead_code, reason = "the test counts what its programs did")]
#[path = "../../tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;
use model::ops::Op;

fuzz_target!(|program: Vec<Op>| {
    if program.len() <= 200 {
        model::check(&program);
    }
});
