//! Stories of the pure rooms and the simulated world: no socket, no sleep, no root, no headers.

mod check;
mod clock;
mod cues;
mod demo;
mod docs;
mod fuzz;
mod light;
mod light_wire;
mod one_phone;
mod phones;
mod sound;
mod stage;
mod tables;
mod time_wire;
