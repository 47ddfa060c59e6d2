//! What the test binaries and the fuzzer share: the targets that hostile bytes are thrown at, the named seeds they
//! begin with, and the damage that is done to seeds.
//!
//! In: bytes. Out: nothing, or a panic that says which promise was broken. The scenarios do it a few thousand times
//! in a bounded way; `tests/fuzz` hands the same functions to libFuzzer.

pub mod attack;
pub mod mutator;
pub mod seeds;
mod tape;
pub mod targets;
