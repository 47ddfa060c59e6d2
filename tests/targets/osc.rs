//! OSC datagrams, to the commands that they mean.

use engine::surface;
use wire::osc::parse;

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "osc", folders: &["osc"], run };

/// A message takes four octets for its length in a bundle, and four for the shortest address.
const MESSAGE_LEN_MIN: usize = 8;

fn run(bytes: &[u8]) {
    let Ok(messages) = parse(bytes) else { return };
    assert!(messages.len() <= 1 + bytes.len() / MESSAGE_LEN_MIN, "{} messages", messages.len());
    for message in &messages {
        assert!(message.address.len() <= bytes.len());
        let _ = surface::meaning(message);
    }
}
