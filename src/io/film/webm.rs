//! Pictures of a WebM or Matroska file, block by block (RFC 9559).

use std::io::{Seek, SeekFrom};

use matroska_demuxer::{DemuxError, Frame, MatroskaFile, TrackEntry, TrackType};
use units::Span;
use wire::pictures::Avc;
use wire::solusync::MediaCodec;

use super::{FilmTrouble, LASTS, Source, Unit, place};

pub(super) struct Webm {
    file: MatroskaFile<Box<dyn Source>>,
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
        let file = MatroskaFile::open(source).map_err(unfit)?;
        let mut videos = file.tracks().iter().filter(|it| it.track_type() == TrackType::Video);
        let Some(track) = videos.next() else {
            return Err(FilmTrouble::Unfit("it has no pictures".into()));
        };
        let (codec, avc) = codec(track)?;
        let tick = i64::try_from(file.info().timestamp_scale().get()).unwrap_or(i64::MAX);
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
        let mut frame = Frame::default();
        loop {
            let is_there = self.file.next_frame(&mut frame);
            let is_there = is_there.map_err(|why| match unfit(why) {
                FilmTrouble::Unfit(why) => FilmTrouble::Damaged(why),
                other => other,
            })?;
            if !is_there {
                return Ok(None);
            }
            if frame.track == self.track {
                break;
            }
        }
        let ticks = i64::try_from(frame.timestamp).unwrap_or(i64::MAX);
        let first = *self.first.get_or_insert(ticks);
        let at = Span::from_ns((ticks - first).saturating_mul(self.tick));
        let mut data = frame.data;
        if let Some(avc) = &self.avc {
            let lies = || FilmTrouble::Damaged(format!("a picture makes no sense {}", place(at)));
            data = avc.stream(&data).ok_or_else(lies)?;
        }
        Ok(Some(Unit { at, lasts: LASTS, is_key: false, data }))
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
