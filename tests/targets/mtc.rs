//! Bytes of a MIDI cable, a millisecond apart, and a list that chases what they say.

use engine::timecode::{Chase, Heard};
use units::{FrameRate, ShowTime, Span};
use wire::mtc::{Listener, Reading, full, quarter};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "mtc", folders: &["mtc"], run };

fn run(bytes: &[u8]) {
    let mut listener = Listener::default();
    let mut chase = Chase::new(FrameRate::Fps25, Span::from_secs(1));
    let mut now = ShowTime::from_ns(1_795_000_000_000_000_000);
    for byte in bytes {
        now += Span::from_millis(1);
        let Some(reading) = listener.hear(*byte, now) else { continue };
        if let Reading::Frame { at, .. } = reading {
            assert!(at <= now && now - at < Span::from_secs(bytes.len() as i64));
        }
        means_the_same_again(reading, now);
        let _ = chase.hear(now, &Heard::from_mtc(reading));
        let _ = chase.tick(now);
        assert!(chase.next_wake().is_none_or(|at| at > now));
        assert!(chase.speed().is_none_or(f64::is_finite));
    }
}

fn means_the_same_again(reading: Reading, now: ShowTime) {
    let said = match reading {
        Reading::Frame { timecode, .. } => {
            (0..8).flat_map(|piece| quarter(timecode, piece)).collect()
        }
        Reading::Located { timecode } => full(timecode).to_vec(),
        Reading::Reverse => return,
    };
    let mut listener = Listener::default();
    let again = said.into_iter().find_map(|byte| listener.hear(byte, now));
    match (reading, again) {
        (Reading::Frame { timecode, .. }, Some(Reading::Frame { timecode: again, .. }))
        | (Reading::Located { timecode }, Some(Reading::Located { timecode: again })) => {
            assert_eq!(timecode, again);
        }
        other => panic!("{other:?}"),
    }
}
