//! Sealed pieces of live sound: what is sealed along is what was said, and what has been opened is sealed no more.

use wire::sealed::{TAG_OCTETS, is_sealed, parse};
use wire::solusync::{self, Message};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "sealed", folders: &["sealed"], run };

fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(piece) = parse(&text) else { return };
    assert!(is_sealed(&text) && text.starts_with(piece.head) && piece.data.len() > TAG_OCTETS);
    let octets = &piece.data[..piece.data.len() - TAG_OCTETS];
    let opened = piece.opened(octets);
    assert!(!is_sealed(&opened));
    if let Ok((header, Message::MediaData(chunk))) = solusync::parse(&opened) {
        assert_eq!((header, chunk.timestamp), (piece.header, piece.timestamp));
        assert_eq!(chunk.data, octets);
    }
}
