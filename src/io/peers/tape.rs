//! What was live another evening, packet by packet and picture by picture, as each is due (SX-20).

use std::sync::Arc;

use engine::peers::{AirLead, Replay, Replayed};
use engine::show::RecordedAir;
use opus::{Channels, Decoder};
use units::ShowTime;

use super::air::{FRAMES, TRACK_HZ};

/// What was live in a capture, on its way.
pub struct Tape {
    air: Arc<RecordedAir>,
    since: ShowTime,
    playing: Option<Playing>,
}

struct Playing {
    replay: Replay,
    decoder: Decoder,
}

impl Tape {
    /// What was recorded of an evening that would have begun `since`.
    pub fn new(air: Arc<RecordedAir>, since: ShowTime) -> Self {
        Self { air, since, playing: None }
    }

    /// Whether there are pictures in it.
    pub(super) fn has_pictures(&self) -> bool {
        self.air.has_pictures()
    }

    /// What comes next.
    pub(super) fn turn(&mut self, now: ShowTime, lead: AirLead) -> Result<Replayed, String> {
        let playing = match &mut self.playing {
            Some(playing) => playing,
            none => {
                let decoder = Decoder::new(TRACK_HZ, Channels::Stereo);
                let decoder = decoder.map_err(|error| error.to_string())?;
                let replay = Replay::begin(&self.air, now, self.since, lead);
                none.insert(Playing { replay, decoder })
            }
        };
        playing.replay.poll(now)
    }

    /// Both channels; none where libopus makes nothing of it.
    pub(super) fn decode(&mut self, opus: &[u8]) -> Option<[f32; 2 * FRAMES]> {
        let mut pcm = [0.0; 2 * FRAMES];
        let decoder = &mut self.playing.as_mut()?.decoder;
        let frames = decoder.decode_float(opus, &mut pcm, false);
        frames.is_ok_and(|frames| frames == FRAMES).then_some(pcm)
    }
}
