//! Boxes that stand in for each other: who drives, what the others are told, and what each lets out (SX-03, SX-13).
//!
//! *Master*, who drives; *replica*, who stands by. *Term*: counts who has driven; a higher one always wins. *Step*: something
//! that the show depends on, with its time; boxes that have taken the same steps have the same show.

mod fitness;
mod lease;
pub mod link;
mod replicas;
pub mod tenure;
pub mod trust;
mod understudy;
pub mod ways;

pub use fitness::Fitness;
pub use lease::{Act, BEAT, LISTEN, Lease, LeaseSetup, Peer, SILENCE};
pub use replicas::{Replicas, Replication};
pub use understudy::{Step, Told, Understudy};
