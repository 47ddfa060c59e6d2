//! What boxes say among themselves, line by line: a datagram's text is heard by a box that has just begun, and everything that is
//! understood survives the way there and back. A line `+2000` lets that many milliseconds go by.

use engine::cluster::link::Hello;
use engine::cluster::{Act, Lease, LeaseSetup, Step};
use units::{MonoTime, Span};
use uuid::Uuid;
use wire::cluster::{emit, parse};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "cluster", folders: &["cluster"], run };

/// More lines only take longer.
const LINES_MAX: usize = 200;
/// A lease that has more to do at one moment turns in a circle.
const ACTS_MAX: usize = 20;

fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut now = MonoTime::from_ns(1_000_000_000);
    let mut lease = Lease::new(LeaseSetup {
        node: Uuid::from_u128(9),
        name: "left".into(),
        voters: ["left", "right", "witness"].map(String::from).to_vec(),
        chance: 7,
        kept: 0,
        now,
    });
    for line in text.lines().take(LINES_MAX) {
        survives_the_way(line);
        if let Some(ms) = line.strip_prefix('+').and_then(|ms| ms.parse::<u16>().ok()) {
            now += Span::from_millis(i64::from(ms));
            lease.handle_wake(now);
        } else if let Ok(letter) = parse(line.as_bytes()) {
            lease.handle_letter(now, &letter);
        }
        let acts: Vec<Act> = std::iter::from_fn(|| lease.poll()).take(ACTS_MAX + 1).collect();
        assert!(acts.len() <= ACTS_MAX, "{acts:?}");
    }
}

fn survives_the_way(line: &str) {
    if let Ok(letter) = parse(line.as_bytes()) {
        let again = parse(emit(&letter).as_bytes()).expect("what we say is read");
        assert_eq!(emit(&again), emit(&letter));
    }
    if let Ok(hello) = serde_json::from_str::<Hello>(line) {
        let text = serde_json::to_string(&hello).expect("it has a JSON form");
        assert_eq!(serde_json::from_str::<Hello>(&text).expect("what we say is read"), hello);
    }
    if let Ok(step) = serde_json::from_str::<Step>(line) {
        let text = serde_json::to_string(&step).expect("it has a JSON form");
        let again: Step = serde_json::from_str(&text).expect("what we say is read");
        assert_eq!(serde_json::to_string(&again).expect("again"), text);
    }
}
