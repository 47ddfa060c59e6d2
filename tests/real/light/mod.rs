//! Light on real sockets: what a receiver, a node and a desk on this machine's loopback get from a running box.
//!
//! Needs loopback addresses 127.0.0.x; what is about a network of two machines (`lan`) needs root, and `olad` and QLC+
//! Debian's packages `ola` and `qlcplus`: without them that is skipped, and said. The pace is real, so the long rules
//! share one evening (`evening`), which takes 13 s and is captured once. Datagrams are read by the crates `sacn` and
//! `artnet_protocol`, which share no code with the box, and timed by the kernel as they arrive.

mod console_in;
mod evening;
mod interop;
mod lamps;
pub mod lan;
mod manners_artnet;
mod meetings;
mod olad;
mod qlcplus;
pub(crate) mod rig;
mod rules_artnet;
mod rules_sacn;
mod sacn_out;
mod tap;
