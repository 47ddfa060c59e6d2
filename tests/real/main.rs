//! Meetings with real peers: the program itself, sockets, alsa-lib. Each module says what it needs.

mod bloom;
mod boxes;
mod certs;
mod codec;
mod crowd;
mod fleet;
mod fuzz;
mod insider;
mod light;
mod live;
mod microphone;
mod peers;
mod peers_box;
mod program;
mod proxy;
mod ptp;
mod quic;
mod sealed;
mod secure;
mod sound;
mod the_box;
mod timecode;
mod tokens;
mod turn;
mod ws;
