//! Tokens: what is read means the same when it is written again, and no text holds by itself.

use engine::token::{Signature, judge};
use uuid::Uuid;
use wire::token::{parse, signed, to_sign};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "token", folders: &["token"], run };

/// The vectors are for this box, and judged then.
const NODE: Uuid = Uuid::from_u128(0x7d9f_0f2e_92a3_4c4e_9a57_0f5b_0c0f_5aff);
const NOW: i64 = 1_790_000_000;

fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let judged = judge(NOW, &text, |_, _, _| Signature::Right(NODE));
    let Ok(shown) = parse(&text) else { return assert!(judged.is_err(), "it is no token") };
    let again = signed(&to_sign(&shown.key_id, &shown.claims), &shown.signature);
    if let Ok(twice) = parse(&again) {
        assert_eq!((&twice.key_id, &twice.claims), (&shown.key_id, &shown.claims));
        assert_eq!(twice.signature, shown.signature);
    }
    if let Ok(claims) = judged {
        assert!(claims.aud == NODE && claims.exp > NOW && claims.nbf <= NOW + 30, "{claims:?}");
    }
    for signature in [Signature::Wrong, Signature::NoSuchKey] {
        assert!(judge(NOW, &text, |_, _, _| signature).is_err(), "nobody has signed it");
    }
}
