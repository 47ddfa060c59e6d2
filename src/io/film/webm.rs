//! Pictures and sound of a WebM or Matroska file, block by block (RFC 9559).

use std::io::{self, Seek, SeekFrom};

use matroska_demuxer::{DemuxError, Frame, MatroskaFile, TrackEntry, TrackType};
use units::Span;
use wire::pictures::Avc;
use wire::solusync::MediaCodec;
use wire::soundtrack;

use super::sound::{Coding, Packets, SoundPacket};
use super::{FilmTrouble, LASTS, Source, Unit, place};

pub(super) struct Webm {
    file: File,
    track: u64,
    /// Nanoseconds in a tick.
    tick: i64,
    /// How long a picture lasts, where the file says so.
    lasts: Option<Span>,
    avc: Option<Avc>,
    /// The time of the first picture.
    first: Option<i64>,
    /// The one that comes next: how long the one before it lasts follows from it.
    ahead: Option<Unit>,
}

impl Webm {
    pub(super) fn open(mut source: Box<dyn Source>) -> Result<(MediaCodec, Self), FilmTrouble> {
        source.seek(SeekFrom::Start(0))?;
        let file = File::open(source).map_err(unfit)?;
        let Some(track) = track_of(&file, TrackType::Video) else {
            return Err(FilmTrouble::Unfit("it has no pictures".into()));
        };
        let (codec, avc) = codec(track)?;
        let tick = tick(&file);
        let lasts = track.default_duration().and_then(|it| i64::try_from(it.get()).ok());
        let webm = Self {
            track: track.track_number().get(),
            tick,
            lasts: lasts.map(Span::from_ns),
            avc,
            first: None,
            ahead: None,
            file,
        };
        Ok((codec, webm))
    }

    pub(super) fn next_unit(&mut self) -> Result<Option<Unit>, FilmTrouble> {
        let before = match self.ahead.take() {
            Some(unit) => unit,
            None => match self.read()? {
                Some(unit) => unit,
                None => return Ok(None),
            },
        };
        self.ahead = self.read()?;
        let follows = self.ahead.as_ref().map(|next| next.at - before.at);
        let lasts =
            self.lasts.or(follows).filter(|it| *it > Span::ZERO && *it < Span::from_secs(10));
        Ok(Some(Unit { lasts: lasts.unwrap_or(LASTS), ..before }))
    }

    pub(super) fn rewind(&mut self) -> Result<(), FilmTrouble> {
        (self.first, self.ahead) = (None, None);
        self.file.seek(0).map_err(unfit)
    }

    /// How long its pictures are, and how long it says it is.
    pub(super) fn survey(&mut self) -> Result<(Span, Option<Span>), FilmTrouble> {
        let mut length = Span::ZERO;
        while let Some(unit) = self.next_unit()? {
            length = length.max(unit.at + unit.lasts);
        }
        let said = self.file.info().duration().filter(|it| it.is_finite());
        Ok((length, said.map(|it| Span::from_secs_f64(it * self.tick as f64 / 1e9))))
    }

    fn read(&mut self) -> Result<Option<Unit>, FilmTrouble> {
        let Some(frame) = next_of(&mut self.file, self.track)? else { return Ok(None) };
        let first = *self.first.get_or_insert(ticks(&frame));
        let at = Span::from_ns((ticks(&frame) - first).saturating_mul(self.tick));
        let mut data = frame.data;
        if let Some(avc) = &self.avc {
            let lies = || FilmTrouble::Damaged(format!("a picture makes no sense {}", place(at)));
            data = avc.stream(&data).ok_or_else(lies)?;
        }
        Ok(Some(Unit { at, lasts: LASTS, is_key: false, data }))
    }
}

/// The sound of such a file.
pub(super) struct WebmSound {
    file: File,
    track: u64,
    tick: i64,
    /// What the codec is late by, and when the first picture is seen: of both, the time of the first sample.
    before: Span,
    /// The time of the packet before. Of several in one block only the first has a time of its own.
    last: Option<u64>,
}

impl WebmSound {
    /// None where the film has no sound.
    pub(super) fn open(mut sources: impl FnMut() -> io::Result<Box<dyn Source>>) -> Opened {
        let mut file = File::open(sources()?).map_err(unfit)?;
        let Some(track) = track_of(&file, TrackType::Audio) else { return Ok(None) };
        let (coding, number) = (sound_coding(track)?, track.track_number().get());
        let late = Span::from_ns(i64::try_from(track.codec_delay().unwrap_or(0)).unwrap_or(0));
        let (video, tick) = (track_of(&file, TrackType::Video), tick(&file));
        let video = video.map(|it| it.track_number().get());
        let first = video.map_or(Ok(None), |it| next_of(&mut file, it))?;
        let seen = Span::from_ns(first.map_or(0, |it| ticks(&it).saturating_mul(tick)));
        // Its index may lead to the first picture, and past sound that lies before that.
        let file = File::open(sources()?).map_err(unfit)?;
        let before = late + seen;
        Ok(Some((coding, Self { file, track: number, tick, before, last: None })))
    }
}

type Opened = Result<Option<(Coding, WebmSound)>, FilmTrouble>;

impl Packets for WebmSound {
    fn next_packet(&mut self) -> Result<Option<SoundPacket>, FilmTrouble> {
        let Some(frame) = next_of(&mut self.file, self.track)? else { return Ok(None) };
        let is_new = self.last.replace(frame.timestamp) != Some(frame.timestamp);
        let at =
            Span::from_ns(ticks(&frame).saturating_mul(self.tick).saturating_sub(self.before.ns()));
        Ok(Some(SoundPacket { at: is_new.then_some(at), data: frame.data }))
    }
}

fn sound_coding(track: &TrackEntry) -> Result<Coding, FilmTrouble> {
    if track.content_encodings().is_some_and(|it| !it.is_empty()) {
        return Err(FilmTrouble::Unheard("its sound is packed or encrypted".into()));
    }
    let private = track.codec_private().unwrap_or_default();
    match track.codec_id() {
        "A_OPUS" => Ok(Coding::Opus(private.into())),
        "A_AAC" => Ok(Coding::Aac(private.into())),
        "A_MPEG/L3" => Ok(Coding::Mp3),
        "A_VORBIS" => match soundtrack::vorbis(private) {
            Some(headers) => Ok(Coding::Vorbis(headers)),
            None => Err(FilmTrouble::Damaged("the headers of its sound make no sense".into())),
        },
        other => Err(FilmTrouble::Unheard(format!("its sound is {other:.40}"))),
    }
}

type File = MatroskaFile<Box<dyn Source>>;

fn track_of(file: &File, kind: TrackType) -> Option<&TrackEntry> {
    file.tracks().iter().find(|it| it.track_type() == kind)
}

/// Nanoseconds in a tick.
fn tick(file: &File) -> i64 {
    i64::try_from(file.info().timestamp_scale().get()).unwrap_or(i64::MAX)
}

fn ticks(frame: &Frame) -> i64 {
    i64::try_from(frame.timestamp).unwrap_or(i64::MAX)
}

/// The next frame of a track; none at the end.
fn next_of(file: &mut File, track: u64) -> Result<Option<Frame>, FilmTrouble> {
    let mut frame = Frame::default();
    loop {
        let is_there = file.next_frame(&mut frame).map_err(|why| match unfit(why) {
            FilmTrouble::Unfit(why) => FilmTrouble::Damaged(why),
            other => other,
        })?;
        match is_there {
            false => return Ok(None),
            true if frame.track == track => return Ok(Some(frame)),
            true => {}
        }
    }
}

fn unfit(error: DemuxError) -> FilmTrouble {
    match error {
        DemuxError::ElementSizeExceedsStream { declared, available } => FilmTrouble::Damaged(
            format!("it is cut off: {declared} octets should follow, and {available} do"),
        ),
        other => FilmTrouble::Unfit(other.to_string()),
    }
}

fn codec(track: &TrackEntry) -> Result<(MediaCodec, Option<Avc>), FilmTrouble> {
    if track.content_encodings().is_some_and(|it| !it.is_empty()) {
        return Err(FilmTrouble::Unfit("its pictures are packed or encrypted".into()));
    }
    match track.codec_id() {
        "V_VP9" => Ok((MediaCodec::Vp9, None)),
        "V_MPEG4/ISO/AVC" => match track.codec_private().and_then(Avc::parse) {
            Some(avc) => Ok((MediaCodec::H264, Some(avc))),
            None => Err(FilmTrouble::Damaged("its `avcC` makes no sense".into())),
        },
        other => Err(FilmTrouble::Unfit(format!("its pictures are {other:.40}"))),
    }
}
