//! Where the pictures of an MP4 file lie, and when they are seen (ISO/IEC 14496-12, 8.6 and 8.7).

use std::io::{self, Read, Seek, SeekFrom};
use std::iter::repeat_n;

use re_mp4::{BoxHeader, BoxType, MoovBox, ReadBox, StblBox, StsdBoxContent, TrakBox};
use units::Span;
use wire::pictures::Avc;
use wire::solusync::MediaCodec;

use super::{FilmTrouble, LASTS, Source, Unit, place};

/// The tables of a day's pictures are smaller.
const MOVIE_MAX: u64 = 256 << 20;
/// More are those of two days.
const PICTURES_MAX: usize = 8 << 20;

pub(super) struct Mp4 {
    source: Box<dyn Source>,
    places: Vec<Place>,
    next: usize,
    /// Ticks in a second.
    scale: u32,
    /// None of codecs that lie there as they go out.
    avc: Option<Avc>,
}

/// A picture in the file; times in ticks.
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
        let videos = movie.traks.iter().filter_map(|it| Some((codec(it)?, it)));
        let Some((codec, track)) = videos.min_by_key(|(codec, _)| codec.is_err()) else {
            return Err(FilmTrouble::Unfit("it has no pictures".into()));
        };
        let (codec, avc) = codec?;
        let scale = track.mdia.mdhd.timescale;
        let places = match places(&track.mdia.minf.stbl, end) {
            Ok(places) => places,
            Err(Some(beyond)) => {
                let why = format!("it is cut off: picture {} is missing", beyond + 1);
                return Err(FilmTrouble::Damaged(why));
            }
            Err(None) => {
                let why = "the tables of its pictures contradict each other".into();
                return Err(FilmTrouble::Damaged(why));
            }
        };
        let (Some(_), 1..) = (places.first(), scale) else {
            return Err(FilmTrouble::Unfit("it has no pictures in its head (fragmented?)".into()));
        };
        let mp4 = Self { source, places, next: 0, scale, avc };
        Ok((codec, mp4))
    }

    pub(super) fn length(&self) -> Span {
        let ends = self.places.iter().map(|it| self.span(it.at) + self.lasts(it));
        ends.max().unwrap_or(Span::ZERO)
    }

    pub(super) fn next_unit(&mut self) -> Result<Option<Unit>, FilmTrouble> {
        let Some(&found) = self.places.get(self.next) else { return Ok(None) };
        self.next += 1;
        let (at, lasts) = (self.span(found.at), self.lasts(&found));
        // It lies within the file, so it is no larger than that.
        let mut data = vec![0; found.size as usize];
        self.source.seek(SeekFrom::Start(found.offset))?;
        self.source.read_exact(&mut data)?;
        if let Some(avc) = &self.avc {
            let lies = || FilmTrouble::Damaged(format!("a picture makes no sense {}", place(at)));
            data = avc.stream(&data).ok_or_else(lies)?;
        }
        Ok(Some(Unit { at, lasts, is_key: false, data }))
    }

    pub(super) fn rewind(&mut self) {
        self.next = 0;
    }

    fn span(&self, ticks: i64) -> Span {
        Span::from_ns((i128::from(ticks) * 1_000_000_000 / i128::from(self.scale)) as i64)
    }

    fn lasts(&self, it: &Place) -> Span {
        Some(self.span(it.lasts.into())).filter(|it| *it > Span::ZERO).unwrap_or(LASTS)
    }
}

/// The box that has all tables.
fn movie(source: &mut Box<dyn Source>, end: u64) -> Result<MoovBox, FilmTrouble> {
    let mut at = 0;
    while at < end {
        source.seek(SeekFrom::Start(at))?;
        let header = BoxHeader::read(source).map_err(unfit)?;
        let behind = source.stream_position()?;
        match header.name {
            BoxType::MoovBox if header.size <= MOVIE_MAX.min(end) => {
                let left = 4 * header.size + 1_024;
                return MoovBox::read_box(&mut Once { source, left }, header.size).map_err(unfit);
            }
            // The last one, up to the end; and one that would not lead on.
            _ if header.size < 8 => break,
            // The size counts a head of eight octets, however long it is.
            _ => at = (behind - 8).saturating_add(header.size),
        }
    }
    Err(FilmTrouble::Unfit("its head is missing".into()))
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
fn codec(track: &TrakBox) -> Option<Result<(MediaCodec, Option<Avc>), FilmTrouble>> {
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

/// Every picture of a file that ends there. Else the first that lies beyond, or none where the tables do not fit each other.
fn places(table: &StblBox, end: u64) -> Result<Vec<Place>, Option<usize>> {
    let sizes = &table.stsz;
    let count = usize::try_from(sizes.sample_count).ok().filter(|it| *it <= PICTURES_MAX);
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
    places.iter_mut().for_each(|it| it.at -= first);
    Ok(places)
}

/// Where the next picture of a size lies: in chunks, one behind the other.
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
