//! The program: command line and wiring. Never here: logic of its own.

fn main() {}
