//! SOLUSync-X messages: what is understood survives the way there and back.

use wire::solusync::{Message, emit, parse};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "solusync", folders: &["solusync"], run };

fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok((header, message)) = parse(&text) else { return };
    let said = emit(&header, &message);
    if matches!(message, Message::Unknown) {
        return assert!(said.is_empty(), "what is not known is not said");
    }
    let (again, twice) = parse(&said).expect("our own words");
    assert_eq!(again, header);
    assert_eq!(emit(&again, &twice), said);
}
