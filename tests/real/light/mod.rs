//! Light on real sockets: what a receiver, a node and a desk on this machine's loopback get from a running box.
//!
//! Needs loopback addresses 127.0.0.x and nothing else: no root, no fixed port. The pace is real, so the long rules
//! share one evening (`evening`), which takes 13 s and is captured once. Datagrams are read by the crates `sacn` and
//! `artnet_protocol`, which share no code with the box, and timed by the kernel as they arrive.

mod evening;
mod lamps;
mod manners_artnet;
mod meetings;
mod rig;
mod rules_artnet;
mod rules_sacn;
