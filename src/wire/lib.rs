//! Bytes and JSON to meaning, and back.
//!
//! In: bytes from anybody, however hostile. Out: messages, or why they were refused. Parsing never panics.
//! Never here: sockets, clocks, randomness; message ids and times are handed in.

pub mod artnet;
pub mod bloom;
pub mod capture;
pub mod chirp;
pub mod clock_peer;
#[cfg(not(target_arch = "wasm32"))]
pub mod cluster;
pub mod duet;
#[cfg(not(target_arch = "wasm32"))] // browsers know how long a film is
pub mod film;
#[cfg(not(target_arch = "wasm32"))] // no page plays a sequence
pub mod fseq;
pub mod ltc;
pub mod mtc;
pub mod neighbour;
pub mod osc;
pub mod output;
#[cfg(not(target_arch = "wasm32"))] // what a page gets is read by its browser
pub mod pictures;
pub mod ptp;
pub mod quality;
pub mod rdm;
pub mod sacn;
pub mod sealed;
pub mod solusync;
#[cfg(not(target_arch = "wasm32"))] // what a page gets is decoded as it comes
pub mod soundtrack;
pub mod stored;
pub mod stun;
pub mod time;
#[cfg(not(target_arch = "wasm32"))] // a page carries a token and never reads it
pub mod token;
#[cfg(not(target_arch = "wasm32"))] // a page has no cable
pub mod udp;
