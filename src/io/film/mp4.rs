//! Where the pictures and the sound of an MP4 file lie, and when they are seen and heard (ISO/IEC 14496-12, 8.6 and 8.7).

use std::io::{self, Read, Seek, SeekFrom};
use std::iter::repeat_n;
use std::ops::Range;

use re_mp4::{
    BoxHeader, BoxType, FourCC, MoovBox, Mp4aBox, ReadBox, StblBox, StsdBoxContent, TrakBox,
};
use units::Span;
use wire::pictures::Avc;
use wire::solusync::MediaCodec;
use wire::soundtrack;

use super::sound::{Coding, Packets, SoundPacket};
use super::{FilmTrouble, LASTS, Source, Unit, place};

/// The tables of a day's pictures are smaller.
const MOVIE_MAX: u64 = 256 << 20;
/// Of as many channels as there can be.
const OPUS_HEAD_MAX: u64 = 300;
/// More are those of two days, and the sound of two.
const PIECES_MAX: usize = 8 << 20;

pub(super) struct Mp4 {
    track: Track,
    /// None of codecs that lie there as they go out.
    avc: Option<Avc>,
}

/// Pieces of one kind in the file, and how far they were read.
pub(super) struct Track {
    source: Box<dyn Source>,
    places: Vec<Place>,
    next: usize,
    /// Ticks in a second.
    scale: u32,
}

/// A piece in the file; times in ticks, from the earliest on.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    size: u32,
    lasts: u32,
    at: i64,
}

impl Mp4 {
    pub(super) fn open(mut source: Box<dyn Source>) -> Result<(MediaCodec, Self), FilmTrouble> {
        let end = source.seek(SeekFrom::End(0))?;
        let movie = movie(&mut source, end)?;
        let (video, codec) = video(&movie)?;
        let (codec, avc) = codec?;
        let (places, _) = read_places(video, end, "picture")?;
        let scale = video.mdia.mdhd.timescale;
        if places.is_empty() || scale == 0 {
            let why = "it has no pictures in its head (fragmented?)".into();
            return Err(FilmTrouble::Unfit(why));
        }
        Ok((codec, Self { track: Track { source, places, next: 0, scale }, avc }))
    }

    pub(super) fn length(&self) -> Span {
        let track = &self.track;
        let ends = track.places.iter().map(|it| track.span(it.at) + track.lasts(it));
        ends.max().unwrap_or(Span::ZERO)
    }

    pub(super) fn next_unit(&mut self) -> Result<Option<Unit>, FilmTrouble> {
        let Some((found, mut data)) = self.track.read()? else { return Ok(None) };
        let (at, lasts) = (self.track.span(found.at), self.track.lasts(&found));
        if let Some(avc) = &self.avc {
            let lies = || FilmTrouble::Damaged(format!("a picture makes no sense {}", place(at)));
            data = avc.stream(&data).ok_or_else(lies)?;
        }
        Ok(Some(Unit { at, lasts, is_key: false, data }))
    }

    pub(super) fn rewind(&mut self) {
        self.track.next = 0;
    }
}

impl Track {
    fn read(&mut self) -> Result<Option<(Place, Vec<u8>)>, FilmTrouble> {
        let Some(&found) = self.places.get(self.next) else { return Ok(None) };
        self.next += 1;
        // It lies within the file, so it is no larger than that.
        let mut data = vec![0; found.size as usize];
        self.source.seek(SeekFrom::Start(found.offset))?;
        self.source.read_exact(&mut data)?;
        Ok(Some((found, data)))
    }

    fn span(&self, ticks: i64) -> Span {
        span(ticks, self.scale)
    }

    fn lasts(&self, it: &Place) -> Span {
        Some(self.span(it.lasts.into())).filter(|it| *it > Span::ZERO).unwrap_or(LASTS)
    }
}

/// The sound of such a file.
pub(super) struct Mp4Sound {
    track: Track,
    /// From the first picture to the first piece.
    begins: Span,
}

impl Mp4Sound {
    /// None where the film has no sound.
    pub(super) fn open(mut source: Box<dyn Source>) -> Result<Option<(Coding, Self)>, FilmTrouble> {
        let end = source.seek(SeekFrom::End(0))?;
        let movie = movie(&mut source, end)?;
        let is_sound = |it: &TrakBox| it.mdia.hdlr.handler_type == SOUND;
        let Some(nth) = movie.traks.iter().position(is_sound) else { return Ok(None) };
        let sound = &movie.traks[nth];
        let coding = match &sound.mdia.minf.stbl.stsd.contents {
            StsdBoxContent::Unknown(kind) if kind.value == *b"Opus" => opus(&mut source, end, nth)?,
            _ => sound_coding(sound)?,
        };
        let (video, _) = video(&movie)?;
        let seen = begins(&movie, video, read_places(video, end, "picture")?.1);
        let (places, first) = read_places(sound, end, "packet")?;
        let begins = begins(&movie, sound, first) - seen;
        let track = Track { source, places, next: 0, scale: sound.mdia.mdhd.timescale };
        Ok(Some((coding, Self { track, begins })))
    }
}

impl Packets for Mp4Sound {
    fn next_packet(&mut self) -> Result<Option<SoundPacket>, FilmTrouble> {
        let Some((found, data)) = self.track.read()? else { return Ok(None) };
        Ok(Some(SoundPacket { at: Some(self.begins + self.track.span(found.at)), data }))
    }
}

/// (ISO/IEC 14496-12, 8.4.3)
const SOUND: FourCC = FourCC { value: *b"soun" };
/// Kinds of sound (ISO/IEC 14496-1, table 5): AAC, as MPEG-4 and as MPEG-2 have it, and MP3 as both do.
mod kind {
    pub const AAC: [u8; 4] = [0x40, 0x66, 0x67, 0x68];
    pub const MP3: [u8; 2] = [0x69, 0x6b];
}

fn sound_coding(track: &TrakBox) -> Result<Coding, FilmTrouble> {
    let unheard = |why: String| Err(FilmTrouble::Unheard(why));
    let content = &track.mdia.minf.stbl.stsd.contents;
    let StsdBoxContent::Mp4a(Mp4aBox { esds: Some(esds), .. }) = content else {
        return unheard("its sound is of a kind that is not known".into());
    };
    let config = &esds.es_desc.dec_config;
    let said = &config.dec_specific;
    match config.object_type_indication {
        it if kind::MP3.contains(&it) => Ok(Coding::Mp3),
        it if kind::AAC.contains(&it) => {
            match soundtrack::aac(said.profile, said.freq_index, said.chan_conf) {
                Some(config) => Ok(Coding::Aac(config.into())),
                None => unheard(format!("its sound is AAC of kind {}", said.profile)),
            }
        }
        it => unheard(format!("its sound is of kind {it:#x}")),
    }
}

/// What the library leaves out of a track's sample entry (Encapsulation of Opus in ISOBMFF, 4.3).
fn opus(source: &mut Box<dyn Source>, end: u64, track: usize) -> Result<Coding, FilmTrouble> {
    let [entry, specific] = [*b"Opus", *b"dOps"].map(|it| BoxType::from(u32::from_be_bytes(it)));
    // Of each, how much stands before the boxes in it.
    let path = [
        (BoxType::MoovBox, 0, 0),
        (BoxType::TrakBox, track, 0),
        (BoxType::MdiaBox, 0, 0),
        (BoxType::MinfBox, 0, 0),
        (BoxType::StblBox, 0, 0),
        (BoxType::StsdBox, 0, 8),
        (entry, 0, 28),
        (specific, 0, 0),
    ];
    let lacks = || FilmTrouble::Damaged("the head of its sound makes no sense".into());
    let mut within = 0..end;
    for (kind, others, before) in path {
        within = find(source, within, kind, others)?.ok_or_else(lacks)?;
        within.start = within.start.saturating_add(before);
    }
    let mut head = Vec::new();
    source.seek(SeekFrom::Start(within.start))?;
    let size = within.end.saturating_sub(within.start).min(OPUS_HEAD_MAX);
    source.by_ref().take(size).read_to_end(&mut head)?;
    soundtrack::opus(&head).map(Coding::Opus).ok_or_else(lacks)
}

/// When a track begins whose earliest piece has this time of its own: what its edit list puts before it, and cuts off (8.6.6).
fn begins(movie: &MoovBox, track: &TrakBox, first: i64) -> Span {
    let list = track.edts.as_ref().and_then(|it| it.elst.as_ref());
    let edits = list.map_or(&[][..], |it| &it.entries);
    let is_empty = |time: u64| time == u64::MAX || time == u64::from(u32::MAX);
    let empty = edits.iter().take_while(|it| is_empty(it.media_time)).map(|it| it.segment_duration);
    let waits = empty.fold(0, u64::saturating_add);
    let cut = edits.iter().map(|it| it.media_time).find(|it| !is_empty(*it)).unwrap_or(0);
    let ticks = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    span(ticks(waits), movie.mvhd.timescale)
        + span(first.saturating_sub(ticks(cut)), track.mdia.mdhd.timescale)
}

fn span(ticks: i64, scale: u32) -> Span {
    Span::from_ns((i128::from(ticks) * 1_000_000_000 / i128::from(scale.max(1))) as i64)
}

type Pictured = Result<(MediaCodec, Option<Avc>), FilmTrouble>;

/// The track of pictures to show, and how they are coded.
fn video(movie: &MoovBox) -> Result<(&TrakBox, Pictured), FilmTrouble> {
    let videos = movie.traks.iter().filter_map(|it| Some((it, codec(it)?)));
    let none = || FilmTrouble::Unfit("it has no pictures".into());
    videos.min_by_key(|(_, codec)| codec.is_err()).ok_or_else(none)
}

/// Every piece of a track, and when the earliest is by the track's own time.
fn read_places(track: &TrakBox, end: u64, what: &str) -> Result<(Vec<Place>, i64), FilmTrouble> {
    places(&track.mdia.minf.stbl, end).map_err(|wrong| {
        FilmTrouble::Damaged(match wrong {
            Some(beyond) => format!("it is cut off: {what} {} is missing", beyond + 1),
            None => format!("the tables of its {what}s contradict each other"),
        })
    })
}

/// The box that has all tables.
fn movie(source: &mut Box<dyn Source>, end: u64) -> Result<MoovBox, FilmTrouble> {
    let found = find(source, 0..end, BoxType::MoovBox, 0)?;
    let size = found.as_ref().map(|it| it.end - it.start + 8);
    let (Some(found), Some(size)) = (found, size.filter(|it| *it <= MOVIE_MAX.min(end))) else {
        return Err(FilmTrouble::Unfit("its head is missing".into()));
    };
    source.seek(SeekFrom::Start(found.start))?;
    MoovBox::read_box(&mut Once { source, left: 4 * size + 1_024 }, size).map_err(unfit)
}

/// What is in the box of a kind behind so many others of it; it may say that it ends beyond the file.
fn find(
    source: &mut Box<dyn Source>,
    within: Range<u64>,
    kind: BoxType,
    mut others: usize,
) -> Result<Option<Range<u64>>, FilmTrouble> {
    let mut at = within.start;
    while at < within.end {
        source.seek(SeekFrom::Start(at))?;
        let header = BoxHeader::read(source).map_err(unfit)?;
        let behind = source.stream_position()?;
        // The last one, up to the end; and one that would not lead on.
        if header.size < 8 {
            break;
        }
        // The size counts a head of eight octets, however long it is.
        at = (behind - 8).saturating_add(header.size);
        match (header.name == kind, others) {
            (true, 0) => return Ok(Some(behind..at.max(behind))),
            (is_one, _) => others -= usize::from(is_one),
        }
    }
    Ok(None)
}

/// A box that says that it is smaller than its own head has the library read it again and again; so it gets a few times what
/// there is to read, and no more.
struct Once<'a> {
    source: &'a mut Box<dyn Source>,
    left: u64,
}

impl Read for Once<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(room)?;
        self.left = self.left.checked_sub(read as u64).ok_or(io::ErrorKind::InvalidData)?;
        Ok(read)
    }
}

impl Seek for Once<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.source.seek(to)
    }
}

fn unfit(error: re_mp4::Error) -> FilmTrouble {
    FilmTrouble::Unfit(error.to_string())
}

/// How a track's pictures are coded; none of a track that has none.
fn codec(track: &TrakBox) -> Option<Pictured> {
    let content = &track.mdia.minf.stbl.stsd.contents;
    Some(match content {
        StsdBoxContent::Avc1(it) => match Avc::parse(&it.avcc.raw) {
            Some(avc) => Ok((MediaCodec::H264, Some(avc))),
            None => Err(FilmTrouble::Damaged("its `avcC` makes no sense".into())),
        },
        StsdBoxContent::Vp09(_) => Ok((MediaCodec::Vp9, None)),
        StsdBoxContent::Mp4a(_) | StsdBoxContent::Tx3g(_) => return None,
        _ => match track.mdia.minf.vmhd {
            None => return None,
            Some(_) => {
                let name = content.codec_string().unwrap_or_else(|| "of another kind".into());
                Err(FilmTrouble::Unfit(format!("its pictures are {name}")))
            }
        },
    })
}

/// Every piece of a file that ends there, and when the earliest is. Else the first that lies beyond, or none where the
/// tables do not fit each other.
fn places(table: &StblBox, end: u64) -> Result<(Vec<Place>, i64), Option<usize>> {
    let sizes = &table.stsz;
    let count = usize::try_from(sizes.sample_count).ok().filter(|it| *it <= PIECES_MAX);
    let size = |k: usize| match sizes.sample_size {
        0 => sizes.sample_sizes.get(k).copied(),
        size => Some(size),
    };
    let mut lengths = table
        .stts
        .entries
        .iter()
        .flat_map(|it| repeat_n(it.sample_delta, it.sample_count as usize));
    let shifts = table.ctts.iter().flat_map(|it| &it.entries);
    let mut shifts = shifts.flat_map(|it| repeat_n(it.sample_offset, it.sample_count as usize));
    let mut offsets = offsets(table);
    let (mut places, mut decoded) = (Vec::new(), 0_i64);
    for k in 0..count.ok_or(None)? {
        let (lasts, size) = (lengths.next().ok_or(None)?, size(k).ok_or(None)?);
        // A table of shifts that is too short says nothing of the rest.
        let at = decoded.checked_add(shifts.next().unwrap_or(0).into()).ok_or(None)?;
        let offset = offsets(size).ok_or(None)?;
        // At once: tables can claim far more pictures than the file has octets.
        if offset.checked_add(size.into()).is_none_or(|it| it > end) {
            return Err(Some(k));
        }
        places.push(Place { offset, size, lasts, at });
        decoded = decoded.checked_add(lasts.into()).ok_or(None)?;
    }
    let first = places.iter().map(|it| it.at).min().unwrap_or(0);
    places.iter_mut().for_each(|it| it.at = it.at.saturating_sub(first));
    Ok((places, first))
}

/// Where the next piece of a size lies: in chunks, one behind the other.
fn offsets(table: &StblBox) -> impl FnMut(u32) -> Option<u64> {
    let chunk = |k: usize| match (&table.stco, &table.co64) {
        (Some(it), _) => it.entries.get(k).map(|it| u64::from(*it)),
        (None, Some(it)) => it.entries.get(k).copied(),
        (None, None) => None,
    };
    let runs = &table.stsc.entries;
    let (mut run, mut next, mut left, mut at) = (0, 0, 0, 0_u64);
    move |size| {
        while left == 0 {
            at = chunk(next)?;
            next += 1;
            // Chunks are counted from 1.
            while runs.get(run + 1).is_some_and(|it| it.first_chunk as usize <= next) {
                run += 1;
            }
            left = runs.get(run)?.samples_per_chunk;
        }
        left -= 1;
        let here = at;
        at = at.checked_add(size.into())?;
        Some(here)
    }
}
