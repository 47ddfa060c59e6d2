//! The sound of a film that goes out live, decoded packet by packet as it plays.
//!
//! In: a file, and which frames of the film are wanted. Out: these, in stereo at 48 kHz. Of several languages the first is
//! heard. Frame 0 is heard when the first picture is seen: edit lists, a codec's delay and pictures that begin later are
//! reckoned in. A packet that cannot be decoded is silence. Never here: a whole film's sound.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use engine::sound::Rerate;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP3, CODEC_ID_VORBIS};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};
use units::Span;

use super::mp4::Mp4Sound;
use super::webm::WebmSound;
use super::{FilmTrouble, Source, contained, head};
use crate::sound::{Block, Codec};

/// What phones hear live.
const RATE_HZ: u32 = 48_000;
/// Times of packets are rounded, in WebM to milliseconds; what is further off is where the time says.
const OFF_MAX: u64 = RATE_HZ as u64 / 50;
/// So many packets in a row that cannot be decoded are a second of it: it is not damage here and there.
const BROKEN_MAX: u32 = 50;
/// No film's sound has other rates.
const RATES_HZ: std::ops::RangeInclusive<u32> = 4_000..=192_000;

/// A film's sound, from its first picture on.
pub struct Soundtrack {
    open: Opener,
    pass: Pass,
}

/// Opens the file once more.
pub type Opener = Box<dyn Fn() -> io::Result<Box<dyn Source>> + Send>;

/// How the sound of a film is coded, with what its decoder has to know.
pub(super) enum Coding {
    Aac(Vec<u8>),
    Mp3,
    Opus(Vec<u8>),
    Vorbis(Vec<u8>),
}

/// A packet of it.
pub(super) struct SoundPacket {
    /// When its first sample is heard, from the first picture on; none if it follows the one before.
    pub at: Option<Span>,
    pub data: Vec<u8>,
}

/// What packets come from, in their order.
pub(super) trait Packets: Send {
    fn next_packet(&mut self) -> Result<Option<SoundPacket>, FilmTrouble>;
}

/// From the beginning to the end.
struct Pass {
    packets: Box<dyn Packets>,
    codec: Codec,
    /// What was decoded last, as it is heard, and which frame the first of it is.
    block: Vec<[f32; 2]>,
    at: i64,
    /// Its rate, and what makes it 48 kHz; none where the next packet has to say where it is.
    rerate: Option<(u32, Rerate)>,
    /// Packets that could not be decoded, since the last that could.
    broken: u32,
    is_over: bool,
    room: Vec<f32>,
}

impl Soundtrack {
    /// Of a file; none where the film has no sound.
    ///
    /// # Errors
    /// [`FilmTrouble`]; the film may be shown without it.
    pub fn open(path: &Path) -> Result<Option<Self>, FilmTrouble> {
        let path = path.to_path_buf();
        Self::read_from(Box::new(move || Ok(Box::new(BufReader::new(File::open(&path)?)))))
    }

    /// The same of what lies elsewhere.
    ///
    /// # Errors
    /// [`FilmTrouble`].
    pub fn read_from(open: Opener) -> Result<Option<Self>, FilmTrouble> {
        let pass = contained(|| Pass::begin(&open))?;
        Ok(pass.map(|pass| Self { open, pass }))
    }

    /// Frames from this one on; silence where there is no sound. Those before the ones that were read last are gone.
    ///
    /// # Errors
    /// [`FilmTrouble`]; nothing is heard any more.
    pub fn read(&mut self, from: i64, out: &mut [[f32; 2]]) -> Result<(), FilmTrouble> {
        contained(|| self.pass.read(from, out))
    }

    /// Back to the beginning.
    ///
    /// # Errors
    /// [`FilmTrouble`].
    pub fn rewind(&mut self) -> Result<(), FilmTrouble> {
        let gone = || FilmTrouble::Damaged("it has no sound any more".into());
        self.pass = contained(|| Pass::begin(&self.open))?.ok_or_else(gone)?;
        Ok(())
    }
}

impl std::fmt::Debug for Soundtrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Soundtrack").field("at", &self.pass.at).finish_non_exhaustive()
    }
}

impl Coding {
    fn codec(&self) -> Result<Codec, FilmTrouble> {
        let mut params = AudioCodecParameters::new();
        let made = match self {
            Self::Aac(config) => Codec::aac(config),
            Self::Opus(head) => Codec::opus(head),
            Self::Mp3 => Codec::known(params.for_codec(CODEC_ID_MP3)),
            Self::Vorbis(headers) => Codec::known(
                params.for_codec(CODEC_ID_VORBIS).with_extra_data(headers.as_slice().into()),
            ),
        };
        made.map_err(|why| FilmTrouble::Unheard(format!("its sound cannot be decoded ({why})")))
    }
}

impl Pass {
    fn begin(open: &Opener) -> Result<Option<Self>, FilmTrouble> {
        let mut source = open()?;
        let found: Option<(Coding, Box<dyn Packets>)> = match head(&mut source)?[..] {
            [_, _, _, _, b'f', b't', b'y', b'p'] => {
                Mp4Sound::open(source)?.map(|(coding, it)| (coding, Box::new(it) as _))
            }
            _ => WebmSound::open(open)?.map(|(coding, it)| (coding, Box::new(it) as _)),
        };
        let Some((coding, packets)) = found else { return Ok(None) };
        Ok(Some(Self {
            packets,
            codec: coding.codec()?,
            block: Vec::new(),
            at: i64::MIN,
            rerate: None,
            broken: 0,
            is_over: false,
            room: Vec::new(),
        }))
    }

    fn read(&mut self, from: i64, out: &mut [[f32; 2]]) -> Result<(), FilmTrouble> {
        for (frame, at) in out.iter_mut().zip(from..) {
            while !self.is_over && at >= self.ends() {
                self.advance()?;
            }
            let place = usize::try_from(at.saturating_sub(self.at));
            *frame = place.ok().and_then(|it| self.block.get(it).copied()).unwrap_or_default();
        }
        Ok(())
    }

    fn ends(&self) -> i64 {
        self.at.saturating_add(self.block.len() as i64)
    }

    /// The next block, in place of the one that was read.
    fn advance(&mut self) -> Result<(), FilmTrouble> {
        self.at = self.ends();
        self.block.clear();
        let Some(SoundPacket { at, data }) = self.packets.next_packet()? else {
            if let Some((_, mut rerate)) = self.rerate.take() {
                rerate.finish(&mut self.block);
            }
            self.is_over = true;
            return Ok(());
        };
        let packet = Packet::new(0, Timestamp::ZERO, Duration::ZERO, data);
        let Ok(Block { rate_hz, channels, samples }) = self.codec.block(&packet, &mut self.room)
        else {
            (self.rerate, self.broken) = (None, self.broken + 1);
            return match self.broken {
                ..BROKEN_MAX => Ok(()),
                _ => Err(FilmTrouble::Damaged("its sound makes no sense".into())),
            };
        };
        self.broken = 0;
        if samples.is_empty() || channels == 0 || !RATES_HZ.contains(&rate_hz) {
            return Ok(());
        }
        let said = at.map(|at| (i128::from(at.ns()) * i128::from(RATE_HZ) / 1_000_000_000) as i64);
        let is_new = self.rerate.as_ref().is_none_or(|(before_hz, _)| *before_hz != rate_hz);
        let off = |at: i64| at.abs_diff(self.at) > OFF_MAX;
        if is_new || said.is_some_and(off) {
            self.at = said.unwrap_or(self.at.max(0));
            self.rerate = Some((rate_hz, Rerate::new(rate_hz, RATE_HZ)));
        }
        let [left, right] = stereo(samples, channels);
        if let Some((_, rerate)) = &mut self.rerate {
            rerate.push([&left, &right], &mut self.block);
        }
        Ok(())
    }
}

/// Two channels of however many, which come as WAV files order them: what is in front in the middle, and behind, goes to
/// both sides or its own, 3 dB quieter (ITU-R BS.775, annex 4), and what is deepest to none.
fn stereo(samples: &[f32], channels: usize) -> [Vec<f32>; 2] {
    const HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
    let sides: [&[(usize, f32)]; 2] = match channels {
        1 => [&[(0, 1.0)], &[(0, 1.0)]],
        2 => [&[(0, 1.0)], &[(1, 1.0)]],
        3 => [&[(0, 1.0), (2, HALF)], &[(1, 1.0), (2, HALF)]],
        4 => [&[(0, 1.0), (2, HALF)], &[(1, 1.0), (3, HALF)]],
        5 => [&[(0, 1.0), (2, HALF), (3, HALF)], &[(1, 1.0), (2, HALF), (4, HALF)]],
        _ => [&[(0, 1.0), (2, HALF), (4, HALF)], &[(1, 1.0), (2, HALF), (5, HALF)]],
    };
    sides.map(|parts| {
        let frame = |frame: &[f32]| parts.iter().map(|(k, level)| frame[*k] * level).sum();
        samples.chunks_exact(channels).map(frame).collect()
    })
}
