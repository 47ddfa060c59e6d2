//! Stories of the pure rooms and the simulated world: no socket, no sleep, no root, no headers.

mod calibration;
mod captures;
mod check;
mod click_free;
mod clock;
mod cues;
mod day;
mod demo;
mod docs;
mod fixtures;
mod fuzz;
mod light;
mod light_wire;
mod one_phone;
mod phone_clock;
mod phones;
mod playback;
mod pool;
mod rooms;
mod sound;
mod stage;
mod tables;
mod talk;
mod time_wire;
mod timecode;
mod triggers;
