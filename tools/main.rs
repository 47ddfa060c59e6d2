//! Chores and benchmarks: `cargo run --release -p tools -- --help`.

fn main() {}
