//! The show file: what it holds (`model`), how it is read, and every mistake that can be seen before doors.

pub mod model;

pub use model::*;
