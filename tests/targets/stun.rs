//! STUN: whom a packet wants is in it, and only a whole binding request wants anybody.

use wire::stun::called;

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "stun", folders: &["stun"], run };

fn run(bytes: &[u8]) {
    if let Some(name) = called(bytes) {
        assert!(bytes.starts_with(&[0, 1]));
        assert!(name.is_empty() || bytes.windows(name.len()).any(|it| it == name.as_bytes()));
        assert!(!name.contains(':'));
    }
}
