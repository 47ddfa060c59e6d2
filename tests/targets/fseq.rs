//! xLights' sequences, to their parser, and to a show that plays them.

use wire::fseq::parse;

use super::{Target, capture};

/// The target.
pub const TARGET: Target = Target { name: "fseq", folders: &["fseq"], run };

/// More frames than this are not tried out: the case would take too long, and shows nothing new.
const FRAMES_TRIED_MAX: u32 = 10_000;

fn run(bytes: &[u8]) {
    let Ok(sequence) = parse(bytes) else { return };
    assert!(sequence.step_ms > 0 && sequence.frame_len() > 0);
    if sequence.frames > FRAMES_TRIED_MAX || sequence.channels() > 4096 {
        return;
    }
    let mut seen = 0;
    let all = sequence.each_frame(|frame| {
        assert_eq!(frame.len(), sequence.frame_len());
        seen += 1;
    });
    assert_eq!(all.is_ok(), seen == sequence.frames);
    capture::plays(bytes);
}
