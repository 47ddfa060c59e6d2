//! Datagrams of boxes that compare their clocks.

use wire::clock_peer::{emit, parse};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "clock_peer", folders: &["clock_peer"], run };

fn run(bytes: &[u8]) {
    if let Ok(datagram) = parse(bytes) {
        assert_eq!(parse(&emit(&datagram)), Ok(datagram));
    }
}
