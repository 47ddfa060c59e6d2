//! Stories of the pure rooms and the simulated world: no socket, no sleep, no root, no headers.

mod light;
mod light_wire;
