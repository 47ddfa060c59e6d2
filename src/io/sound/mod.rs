//! The box's own sound at the edge: files into memory, blocks out to a card.
//!
//! In: plans. Out: samples on a card, and reports of what was first heard when. Never: a decision about what sounds.
//! Card thread to card: a block every few milliseconds. Without a card the same threads run against the clock.

#[cfg(target_os = "linux")]
mod alsa;
mod card;
#[cfg(not(target_os = "linux"))]
mod cpal;
mod decode;
mod ear;
mod live;
mod ltc;
mod microphone;
mod output;
mod pace;
mod realtime;
mod sample;
mod simulated;

pub use card::{Buffer, Card, CardGlance, CardSetup, Device};
pub(crate) use decode::{Block, Codec, sha256};
pub use decode::{MediaError, decode, media_info};
pub use live::LiveInput;
pub use ltc::LtcInput;
pub use microphone::Microphone;
pub use output::CardError;
pub(crate) use realtime::ask as ask_for_real_time;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::sound::{FrameGrid, Plan, Renderer};
    use engine::timecode::{Course, Line, Ltc};
    use units::{FrameRate, Gain, ShowTime, Span, Timecode};

    use crate::heap::asked_by;

    #[test]
    fn rendering_ltc_never_touches_the_heap_whatever_frame_a_block_begins_in() {
        for rate in [FrameRate::Fps24, FrameRate::Fps25, FrameRate::Drop29_97, FrameRate::Fps30] {
            let begin = ShowTime::from_ns(1_790_000_000_000_000_000);
            // Over a minute with dropped numbers, and over midnight.
            let position = Timecode::zero(rate).plus(-90).position();
            let still = Line::Still { position };
            let line = Line::Runs { at: begin, position };
            let course = Course { before: still, from: begin, line };
            let timecode = Some(Ltc { course, rate, channel: 1, gain: Gain(0.5) });
            let plan = Plan { voices: Vec::new(), timecode };
            let renderer = Renderer::new(Arc::new([]), 48_000, 2);
            let mut out = vec![0.0; 2 * 480];
            let (mut loudest, mut at) = (0.0_f32, begin - Span::from_millis(100));
            let asked = asked_by(|| {
                for _ in 0..1_000 {
                    renderer.render(&plan, FrameGrid::exact(at, 48_000), &mut out);
                    loudest = out.iter().fold(loudest, |most, sample| most.max(sample.abs()));
                    at += Span::from_millis(10);
                }
            });
            assert_eq!((asked, loudest), (0, 0.5), "{rate}");
        }
    }

    #[test]
    fn the_heap_is_watched() {
        assert!(asked_by(|| drop(std::hint::black_box(vec![0_u8; 64]))) >= 2);
    }
}
