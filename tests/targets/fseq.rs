//! xLights' sequences, to their parser, and to a show that plays them.

use std::sync::Arc;

use wire::fseq::{Frames, parse};

use super::{Target, capture};

/// The target.
pub const TARGET: Target = Target { name: "fseq", folders: &["fseq"], run };

/// More frames than this are not tried out: the case would take too long, and shows nothing new.
const FRAMES_TRIED_MAX: u32 = 10_000;

fn run(bytes: &[u8]) {
    let stored = Arc::new(bytes.to_vec());
    let Ok(sequence) = parse(&*stored) else { return };
    assert!(sequence.step_ms > 0 && sequence.frame_len() > 0);
    if sequence.frames > FRAMES_TRIED_MAX || sequence.channels() > 4096 {
        return;
    }
    let sequence = Arc::new(sequence);
    let mut all = Vec::new();
    let mut frames = Frames::new(sequence.clone(), stored.clone(), 0);
    let end = loop {
        match frames.next_frame() {
            Ok(Some(frame)) => all.push(frame.to_vec()),
            Ok(None) => break Ok(()),
            Err(why) => break Err(why),
        }
    };
    assert!(all.iter().all(|frame| frame.len() == sequence.frame_len()));
    assert_eq!(end.is_ok(), all.len() == sequence.frames as usize);
    // From the middle on it is the same.
    let first = sequence.begin_for(sequence.frames / 2);
    let mut frames = Frames::new(sequence.clone(), stored, first);
    if let (Some(wanted), Ok(Some(frame))) = (all.get(first as usize), frames.next_frame()) {
        assert_eq!(wanted, frame);
    }
    capture::plays(bytes);
}
