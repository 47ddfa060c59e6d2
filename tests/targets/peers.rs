//! Offers of phones: each is refused with a reason or has lost its candidates, and the bounds hold.

use engine::peers::{DESCRIPTION_MAX, How, Peers};
use engine::phones::Limits;
use units::{MonoTime, PhoneId, Span};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "peers", folders: &["peers"], run };

fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut peers = Peers::new(Limits::default(), 1);
    let [ada, ben] = [1, 2].map(PhoneId);
    let mut now = MonoTime::from_ns(0);
    for phone in [ada, ben, ada] {
        peers.handle_joined(phone);
        match peers.handle_offer(now, phone, &text) {
            Ok(offered) => {
                assert_eq!(phone, ada, "there is room for one");
                assert!(text.len() <= DESCRIPTION_MAX);
                assert!(!offered.description.lines().any(|it| it.starts_with("a=candidate:")));
                let again = now != MonoTime::from_ns(0);
                assert_eq!(offered.how == How::Again, again, "the same offer, the same connection");
            }
            Err(refusal) => assert!(!refusal.message.is_empty() && refusal.message.len() < 200),
        }
        now += Span::from_secs(1);
    }
    while let Some(wake) = peers.next_wake() {
        assert!(peers.poll(wake).is_some());
    }
}
