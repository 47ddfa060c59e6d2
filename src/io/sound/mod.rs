//! The box's own sound at the edge: files into memory, blocks out to a card.

mod decode;

pub use decode::{MediaError, decode, media_info};
