//! Sound files into memory: WAV, FLAC, MP3, Ogg Vorbis, Opus; of films, how long they are.
//!
//! In: a path. Out: every frame that the encoder was given, no more: what encoders add before and after (MP3, Vorbis
//! and Opus all do) is taken off where the file says how much, so that a loop is seamless and a start is exact.
//! A packet that cannot be decoded becomes silence of its length, and what follows stays in its place.
//!
//! Symphonia reads all of them but Opus packets. Those go to libopus itself, through the `opus` crate: the adapter
//! for symphonia takes two channels at most and drops the pre-skip from the first packet only, which is too little
//! where the pre-skip is longer than a packet.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use engine::show::MediaInfo;
use engine::sound::Pcm;
use sha2::{Digest, Sha256};
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_MP3, CODEC_ID_OPUS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia_codec_aac::AacDecoder;
use units::Span;
use wire::film::{self, FilmError};

use crate::disk::OnDisk;
use crate::film::{Film, FilmTrouble};

/// More than any file that is meant to be heard, and what the renderer filters in full on the slowest card.
const RATE_HZ: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// More than any desk's direct outputs; a header that says more is not a sound file's.
const CHANNELS_MAX: usize = 64;
/// A file may be so many frames shorter than it says: the last MP3 block and a little.
const SHORT_MAX: u64 = 4_608;
/// The longest Opus packet: 120 ms at 48 kHz (RFC 6716 section 3.2.5).
const OPUS_FRAMES_MAX: usize = 5_760;

/// Why a sound file cannot be played. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The disk said no. Look at the path and its permissions.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Not a sound file that we know. Convert it.
    #[error("{}: {why}; WAV, FLAC, MP3, Ogg Vorbis and Opus can be played", file.display())]
    Unknown {
        /// Which.
        file: PathBuf,
        /// What it seems to be instead.
        why: String,
    },
    /// Its data makes no sense. Export or copy it again.
    #[error("{}: damaged: {why}", file.display())]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It ends before it should. Copy it again.
    #[error("{}: cut off: {found} of {said} frames are there", file.display())]
    Short {
        /// Which.
        file: PathBuf,
        /// Frames that its header promises.
        said: u64,
        /// Frames that are there.
        found: u64,
    },
}

/// Reads a whole file into memory.
pub fn decode(path: &Path) -> Result<Pcm, MediaError> {
    contained(path, || read(path))
}

/// What a file says of itself, its length counted packet by packet: as long as what [`decode`] gives.
pub fn media_info(path: &Path) -> Result<MediaInfo, MediaError> {
    contained(path, || describe(path))
}

/// A library's mistake about one damaged file is that file's end, not the show's: symphonia 0.6.1 counts on some
/// lengths without a check.
fn contained<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, MediaError>,
) -> Result<T, MediaError> {
    // Nothing outlives the attempt that could be half done: reader and decoder are made within.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let why = "no decoder can make sense of its structure".into();
        Err(MediaError::Damaged { file: path.into(), why })
    })
}

fn read(path: &Path) -> Result<Pcm, MediaError> {
    if film_length(path)?.is_some() {
        let why = "it is a film, which phones alone play".into();
        return Err(MediaError::Damaged { file: path.into(), why });
    }
    let mut reader = Reader::open(path)?;
    let mut codec = reader.codec()?;
    let mut planes: Vec<Vec<f32>> = vec![Vec::new(); reader.channels];
    while let Some(packet) = reader.packet()? {
        let before = planes[0].len();
        if codec.decode(&packet, &mut planes).is_err() {
            planes
                .iter_mut()
                .for_each(|plane| plane.resize(before + frames(&packet, &reader) as usize, 0.0));
        }
    }
    for plane in &mut planes {
        plane.drain(..plane.len().min(reader.pre_skip as usize));
    }
    reader.check(planes[0].len() as u64)?;
    Ok(Pcm::new(reader.rate_hz, planes))
}

fn describe(path: &Path) -> Result<MediaInfo, MediaError> {
    let (sha256, bytes) = digest(path)?;
    if let Some(length) = film_length(path)? {
        return match Film::open(path).and_then(Film::survey) {
            // What cannot go out live may be played ahead of time all the same: there browsers read it.
            Ok(_) | Err(FilmTrouble::Unfit(_) | FilmTrouble::Unheard(_)) => {
                Ok(MediaInfo::film(sha256, bytes, length))
            }
            Err(FilmTrouble::Damaged(why)) => Err(MediaError::Damaged { file: path.into(), why }),
            Err(FilmTrouble::Unreadable(source)) => {
                Err(MediaError::Unreadable { file: path.into(), source })
            }
        };
    }
    let mut reader = Reader::open(path)?;
    let mut counted = 0;
    while let Some(packet) = reader.packet()? {
        counted += frames(&packet, &reader);
    }
    let frames = counted.saturating_sub(reader.pre_skip);
    reader.check(frames)?;
    Ok(MediaInfo {
        sha256,
        bytes,
        rate_hz: reader.rate_hz,
        channels: reader.channels as u16,
        frames,
    })
}

/// How long a film is; none where it is none.
fn film_length(path: &Path) -> Result<Option<Span>, MediaError> {
    let unreadable = |source| MediaError::Unreadable { file: path.into(), source };
    match film::length(&OnDisk(File::open(path).map_err(unreadable)?)) {
        Ok(length) => Ok(Some(length)),
        Err(FilmError::Neither) => Ok(None),
        Err(FilmError::Unreadable(source)) => Err(unreadable(source)),
        Err(error) => Err(MediaError::Damaged { file: path.into(), why: error.to_string() }),
    }
}

fn digest(path: &Path) -> Result<(String, u64), MediaError> {
    let unreadable = |source| MediaError::Unreadable { file: path.into(), source };
    sha256(&File::open(path).map_err(unreadable)?).map_err(unreadable)
}

/// Of a whole file, hexadecimal, and how many bytes that are.
pub(crate) fn sha256(file: &File) -> io::Result<(String, u64)> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        match file.read_at(&mut buffer, bytes)? {
            0 => break,
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
    Ok((hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), bytes))
}

/// Frames of a packet that are to be heard.
fn frames(packet: &Packet, reader: &Reader) -> u64 {
    let dur = packet.dur.get();
    if reader.params.codec == CODEC_ID_MP3 {
        // Symphonia 0.6.1 leaves the trims in an MP3 packet's duration, unlike in an Ogg packet's.
        return dur.saturating_sub(packet.trim_start.get()).saturating_sub(packet.trim_end.get());
    }
    dur
}

/// An open file, read packet by packet.
struct Reader {
    file: PathBuf,
    format: Box<dyn FormatReader>,
    track: u32,
    params: AudioCodecParameters,
    rate_hz: u32,
    channels: usize,
    /// Frames that Opus puts before the first one (RFC 7845 section 4.2).
    pre_skip: u64,
    /// How many frames the file promises, where it knows.
    said: Option<u64>,
}

impl Reader {
    fn open(path: &Path) -> Result<Self, MediaError> {
        let file = path.to_path_buf();
        let unknown = |why: String| MediaError::Unknown { file: path.into(), why };
        let source = File::open(path)
            .map_err(|source| MediaError::Unreadable { file: file.clone(), source })?;
        let format = probe(path, source).map_err(|error| match error {
            Error::IoError(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
                MediaError::Unreadable { file: file.clone(), source }
            }
            error => unknown(format!("not a sound file ({error})")),
        })?;
        let track = format
            .default_track(TrackType::Audio)
            .ok_or_else(|| unknown("no sound in it".into()))?;
        let params = track
            .codec_params
            .as_ref()
            .and_then(|params| params.audio())
            .ok_or_else(|| unknown("its sound cannot be told".into()))?
            .clone();
        let rate_hz = params.sample_rate.unwrap_or(0);
        let channels = params.channels.as_ref().map_or(0, |channels| channels.count());
        if !RATE_HZ.contains(&rate_hz) || !(1..=CHANNELS_MAX).contains(&channels) {
            return Err(unknown(format!("{channels} channels at {rate_hz} Hz")));
        }
        let pre_skip = if params.codec == CODEC_ID_OPUS { track.delay.unwrap_or(0) } else { 0 };
        let (pre_skip, said) = (u64::from(pre_skip), promised(track, &params, u64::from(pre_skip)));
        Ok(Self { file, track: track.id, params, rate_hz, channels, pre_skip, said, format })
    }

    /// The next packet of the track; none at the end, be it sudden.
    fn packet(&mut self) -> Result<Option<Packet>, MediaError> {
        loop {
            match self.format.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => return Ok(Some(packet)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(None);
                }
                Err(Error::IoError(source)) => {
                    return Err(MediaError::Unreadable { file: self.file.clone(), source });
                }
                Err(Error::ResetRequired) => {
                    return Err(self.damaged("several streams are chained in it".into()));
                }
                Err(error) => return Err(self.damaged(error.to_string())),
            }
        }
    }

    fn codec(&self) -> Result<Codec, MediaError> {
        if self.params.codec == CODEC_ID_OPUS {
            let head = self.params.extra_data.as_deref().unwrap_or_default();
            return Codec::opus(head).map_err(|why| self.damaged(why));
        }
        Codec::known(&self.params)
            .map_err(|why| MediaError::Unknown { file: self.file.clone(), why })
    }

    fn check(&self, found: u64) -> Result<(), MediaError> {
        match self.said {
            _ if found == 0 => Err(self.damaged("there is no sound in it".into())),
            Some(said) if found + SHORT_MAX < said => {
                Err(MediaError::Short { file: self.file.clone(), said, found })
            }
            _ => Ok(()),
        }
    }

    fn damaged(&self, why: String) -> MediaError {
        MediaError::Damaged { file: self.file.clone(), why }
    }
}

fn probe(path: &Path, source: File) -> Result<Box<dyn FormatReader>, Error> {
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
        hint.with_extension(extension);
    }
    let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    symphonia::default::get_probe().probe(
        &hint,
        stream,
        FormatOptions::default(),
        MetadataOptions::default(),
    )
}

/// Without an encoder's tag an MP3's length is a guess from its size, which promises nothing.
fn promised(track: &Track, params: &AudioCodecParameters, pre_skip: u64) -> Option<u64> {
    let known = params.codec != CODEC_ID_MP3 || track.delay.is_some();
    track.num_frames.filter(|_| known).map(|frames| frames.saturating_sub(pre_skip))
}

/// Packets into samples.
pub(crate) enum Codec {
    Known(Box<dyn AudioDecoder>),
    Opus(Opus),
}

/// What was in a packet.
pub(crate) struct Block<'a> {
    pub rate_hz: u32,
    pub channels: usize,
    /// One frame after the other.
    pub samples: &'a [f32],
}

impl Codec {
    /// Opus by its identification header; or why not.
    pub(crate) fn opus(head: &[u8]) -> Result<Self, String> {
        Opus::new(head).map(Self::Opus)
    }

    /// What symphonia knows; or why not.
    pub(crate) fn known(params: &AudioCodecParameters) -> Result<Self, String> {
        let options = AudioDecoderOptions::default();
        let made = symphonia::default::get_codecs().make_audio_decoder(params, &options);
        made.map(Self::Known).map_err(|error| error.to_string())
    }

    /// AAC-LC by its `AudioSpecificConfig`; or why not.
    pub(crate) fn aac(config: &[u8]) -> Result<Self, String> {
        let mut params = AudioCodecParameters::new();
        params.for_codec(CODEC_ID_AAC).with_extra_data(config.into());
        let made = AacDecoder::try_new(&params, &AudioDecoderOptions::default());
        made.map(|it| Self::Known(Box::new(it))).map_err(|error| error.to_string())
    }

    /// All that is in a packet, written into `room`.
    pub(crate) fn block<'a>(
        &mut self,
        packet: &Packet,
        room: &'a mut Vec<f32>,
    ) -> Result<Block<'a>, Broken> {
        match self {
            Self::Known(decoder) => {
                let decoded = decoder.decode(packet).map_err(|_| Broken)?;
                let (rate_hz, channels) = (decoded.spec().rate(), decoded.num_planes());
                room.resize(decoded.samples_interleaved(), 0.0);
                decoded.copy_to_slice_interleaved(&mut *room);
                Ok(Block { rate_hz, channels, samples: room })
            }
            Self::Opus(opus) => opus.block(packet, room),
        }
    }

    /// Adds a packet's frames to the planes, or none at all.
    fn decode(&mut self, packet: &Packet, planes: &mut [Vec<f32>]) -> Result<(), Broken> {
        let mut room = Vec::new();
        let block = self.block(packet, &mut room)?;
        if block.channels != planes.len() {
            return Err(Broken);
        }
        for (channel, plane) in planes.iter_mut().enumerate() {
            plane.extend(block.samples.iter().skip(channel).step_by(block.channels));
        }
        Ok(())
    }
}

/// A packet that cannot be decoded.
pub(crate) struct Broken;

/// libopus, as many streams as the file has (RFC 7845 section 5.1).
pub(crate) struct Opus {
    decoder: opus::MSDecoder,
    channels: usize,
}

impl Opus {
    fn new(head: &[u8]) -> Result<Self, String> {
        let layout = OpusLayout::parse(head).ok_or("its Opus header is not one")?;
        let OpusLayout { streams, coupled, gain, mapping } = layout;
        let mut decoder = opus::MSDecoder::new(48_000, streams, coupled, &mapping)
            .map_err(|error| error.to_string())?;
        decoder.set_gain(i32::from(gain)).map_err(|error| error.to_string())?;
        Ok(Self { decoder, channels: mapping.len() })
    }

    fn block<'a>(&mut self, packet: &Packet, room: &'a mut Vec<f32>) -> Result<Block<'a>, Broken> {
        if packet.data.is_empty() {
            return Err(Broken);
        }
        room.resize(OPUS_FRAMES_MAX * self.channels, 0.0);
        let frames = self.decoder.decode_float(&packet.data, room, false).map_err(|_| Broken)?;
        let tail = (packet.trim_end.get() as usize).min(frames);
        let samples = &room[..(frames - tail) * self.channels];
        Ok(Block { rate_hz: 48_000, channels: self.channels, samples })
    }
}

/// What an identification header says (RFC 7845 section 5.1).
struct OpusLayout {
    streams: u8,
    coupled: u8,
    /// Q7.8 decibels.
    gain: i16,
    /// Which decoded channel each output takes.
    mapping: Vec<u8>,
}

impl OpusLayout {
    /// Byte 9 channels, 16..18 gain (low byte first), 18 mapping family, then streams, coupled streams and mapping.
    fn parse(head: &[u8]) -> Option<Self> {
        let channels = *head.get(9)?;
        let gain = i16::from_le_bytes([*head.get(16)?, *head.get(17)?]);
        match (*head.get(18)?, channels) {
            (0, 1) => Some(Self { streams: 1, coupled: 0, gain, mapping: vec![0] }),
            (0, 2) => Some(Self { streams: 1, coupled: 1, gain, mapping: vec![0, 1] }),
            (0, _) | (_, 0) => None,
            (family, _) => {
                let mapping = head.get(21..21 + usize::from(channels))?;
                let mapping = if family == 1 { as_wav(mapping) } else { mapping.to_vec() };
                Some(Self { streams: *head.get(19)?, coupled: *head.get(20)?, gain, mapping })
            }
        }
    }
}

/// Channels as WAV files order them (front left, right, centre, LFE, …) and symphonia does, from Vorbis' order,
/// which family 1 has (RFC 7845 section 5.1.1.2).
fn as_wav(mapping: &[u8]) -> Vec<u8> {
    let order: &[usize] = match mapping.len() {
        3 => &[0, 2, 1],
        5 => &[0, 2, 1, 3, 4],
        6 => &[0, 2, 1, 5, 3, 4],
        7 => &[0, 2, 1, 6, 5, 3, 4],
        8 => &[0, 2, 1, 7, 5, 6, 3, 4],
        _ => return mapping.to_vec(),
    };
    order.iter().map(|&from| mapping[from]).collect()
}
