//! Chance from the kernel, for ids and seeds; the pure rooms get it handed in.

use uuid::Uuid;

/// A fresh uuid v4.
pub fn uuid() -> Uuid {
    wire::solusync::uuid_v4(bits())
}

/// 128 bits, for an id that a pure room makes.
pub fn bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel gives chance once the machine is up");
    u128::from_ne_bytes(bytes)
}

/// 64 bits to seed a pure room with.
pub fn seed() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the kernel gives chance once the machine is up");
    u64::from_ne_bytes(bytes)
}
