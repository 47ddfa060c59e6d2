//! Live sound of another evening, packet by packet, as each is due (SX-20).

use std::sync::Arc;

use engine::peers::Retelling;
use engine::show::{RecordedPacket, RecordedSound, SoundReader};
use opus::{Channels, Decoder};
use units::{ShowTime, Span};

use super::air::{FRAMES, TRACK_HZ};

/// A capture's sound on its way.
pub struct Tape {
    sound: Arc<RecordedSound>,
    since: ShowTime,
    playing: Option<Playing>,
}

struct Playing {
    times: Retelling,
    reader: SoundReader,
    decoder: Decoder,
    /// Not due yet.
    next: Option<RecordedPacket>,
}

/// What comes next.
pub(super) enum Due {
    /// This packet, which should leave now.
    Packet {
        packet: RecordedPacket,
        /// When it was to leave.
        left: ShowTime,
        /// When its first sample is heard.
        heard: ShowTime,
    },
    /// Nothing before then.
    Later(ShowTime),
    /// Nothing more.
    Over,
}

impl Tape {
    /// What was recorded of an evening that would have begun `since`.
    pub fn new(sound: Arc<RecordedSound>, since: ShowTime) -> Self {
        Self { sound, since, playing: None }
    }

    /// The next packet; each leaves `ahead` of its time.
    pub(super) fn turn(&mut self, now: ShowTime, ahead: Span) -> Result<Due, String> {
        let playing = match &mut self.playing {
            Some(playing) => playing,
            none => none.insert(begin(&self.sound, Retelling::new(now, self.since, ahead))?),
        };
        loop {
            let next = playing.next.take().map_or_else(|| playing.reader.next(), |it| Ok(Some(it)));
            let Some(packet) = next? else { return Ok(Due::Over) };
            match playing.times.due(now, packet.at) {
                None => {}
                Some(due) if due > now => {
                    playing.next = Some(packet);
                    return Ok(Due::Later(due));
                }
                Some(left) => {
                    let heard = playing.times.heard(packet.at);
                    return Ok(Due::Packet { packet, left, heard });
                }
            }
        }
    }

    /// Both channels; none where libopus makes nothing of it.
    pub(super) fn decode(&mut self, opus: &[u8]) -> Option<[f32; 2 * FRAMES]> {
        let mut pcm = [0.0; 2 * FRAMES];
        let decoder = &mut self.playing.as_mut()?.decoder;
        let frames = decoder.decode_float(opus, &mut pcm, false);
        frames.is_ok_and(|frames| frames == FRAMES).then_some(pcm)
    }
}

fn begin(sound: &RecordedSound, times: Retelling) -> Result<Playing, String> {
    let decoder = Decoder::new(TRACK_HZ, Channels::Stereo).map_err(|error| error.to_string())?;
    Ok(Playing { times, reader: sound.read_from(times.place()), decoder, next: None })
}
