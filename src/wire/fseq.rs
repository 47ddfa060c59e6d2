//! xLights' sequences (FSEQ 2.0 to 2.2): a row of octets for every step of time.
//!
//! In: bytes that lie somewhere. Out: what their head says, and frames from any block on. Source: FPP's
//! `docs/FSEQ_Sequence_File_Format.txt`; where it says nothing, what FPP's `FSEQFile.cpp` reads. All numbers are
//! little-endian.
//!
//! *Sparse range*: a stretch of channels that the file holds, where it does not hold all; a frame has them one behind
//! the other. *Block*: some frames compressed together.

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use flate2::bufread::ZlibDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use crate::stored::{Passage, Passages, Stored, fill};

/// What a sequence begins with.
pub const MAGIC: [u8; 4] = *b"PSEQ";

mod field {
    use super::Range;
    pub const MAGIC: Range<usize> = 0..4;
    pub const DATA: usize = 4; // two octets
    pub const MINOR: usize = 6;
    pub const MAJOR: usize = 7;
    pub const HEAD_LEN: usize = 8; // two octets
    pub const CHANNELS: usize = 10; // four
    pub const FRAMES: usize = 14; // four
    pub const STEP_MS: usize = 18;
    /// Low half: how blocks are compressed. High half, from 2.1 on: bits 8 to 11 of the number of blocks.
    pub const COMPRESSION: usize = 20;
    pub const BLOCKS: usize = 21;
    pub const RANGES: usize = 22;
    pub const END: usize = 32;
}

const BLOCK_LEN: usize = 8;
const RANGE_LEN: usize = 6;
/// A variable header's length and code.
const VARIABLE_LEN: usize = 4;
/// Far above any sequence we know; a frame of it is 8 MB.
const CHANNELS_MAX: usize = 1 << 23;
/// Of all frames; a day of 200 universes. What claims more is made to keep its reader busy.
const OCTETS_MAX: u64 = 1 << 39;

/// Why bytes are no sequence that can be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FseqError {
    /// Another kind of file.
    #[error("it is no FSEQ file: it does not begin with PSEQ")]
    Magic,
    /// Save it as version 2.
    #[error("it is FSEQ version {0}.{1}; versions 2.0 to 2.2 can be played")]
    Version(u8, u8),
    /// Cut within its head, or its parts contradict each other.
    #[error("its head is broken: {0}")]
    Head(&'static str),
    /// A way to compress that the format does not know.
    #[error("its frames are compressed in a way ({0}) that is not known")]
    Compression(u8),
    /// Cut, or damaged.
    #[error("its frames end at {found} of {wanted}")]
    Short {
        /// Whole frames there are.
        found: u32,
        /// Frames the head promises.
        wanted: u32,
    },
    /// Damaged.
    #[error("its block {0} cannot be decompressed")]
    Block(usize),
    /// The disk failed.
    #[error("the disk does not give it: {0}")]
    Unread(io::ErrorKind),
}

/// How frames are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// Zstandard.
    Zstd,
    /// zlib (RFC 1950).
    Zlib,
}

/// A stretch of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The first, from 0.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// A sequence whose head has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// 0 to 2.
    pub minor: u8,
    /// From a frame to the next, milliseconds; never 0.
    pub step_ms: u8,
    /// How many frames.
    pub frames: u32,
    /// Which channels a frame has, one stretch behind the other; their counts are a frame's octets.
    pub stretches: Vec<Stretch>,
    /// How frames are kept.
    pub compression: Compression,
    /// The sound that belongs to it (`mf`), as the writer's machine named it.
    pub media: Option<String>,
    /// What wrote it (`sp`).
    pub producer: Option<String>,
    frame_len: usize,
    /// Where frames begin in the file.
    data: u64,
    /// Empty if nothing is compressed.
    blocks: Vec<Block>,
}

/// Frames that are compressed together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    /// Its first frame.
    first: u32,
    /// Where it is in the file.
    octets: Range<u64>,
}

/// Reads the head.
///
/// # Errors
/// What is wrong with it.
pub fn parse(file: &dyn Stored) -> Result<Sequence, FseqError> {
    let mut bytes = vec![0; usize::from(u16::MAX)];
    let there = read(file, &mut bytes)?;
    bytes.truncate(there);
    if bytes.get(field::MAGIC) != Some(&MAGIC) {
        return Err(FseqError::Magic);
    }
    let fixed = bytes.get(..field::END).ok_or(FseqError::Head("it ends early"))?;
    let (major, minor) = (fixed[field::MAJOR], fixed[field::MINOR]);
    if major != 2 || minor > 2 {
        return Err(FseqError::Version(major, minor));
    }
    let step_ms = fixed[field::STEP_MS];
    let frame_len = four(fixed, field::CHANNELS) as usize;
    let frames = four(fixed, field::FRAMES);
    if u64::from(frames) * frame_len as u64 > OCTETS_MAX {
        return Err(FseqError::Head("it claims more than any show has"));
    }
    if step_ms == 0 || frame_len == 0 || frame_len > CHANNELS_MAX {
        return Err(FseqError::Head("its step or its channels are out of range"));
    }
    let (head_len, data) = (two(fixed, field::HEAD_LEN), two(fixed, field::DATA));
    let high = if minor >= 1 { usize::from(fixed[field::COMPRESSION] >> 4) << 8 } else { 0 };
    let blocks = (high | usize::from(fixed[field::BLOCKS])) * BLOCK_LEN;
    let ranges = usize::from(fixed[field::RANGES]) * RANGE_LEN;
    let tables = bytes.get(field::END..field::END + blocks + ranges);
    let (blocks, ranges) = tables.ok_or(FseqError::Head("it ends early"))?.split_at(blocks);
    let variable = bytes.get(head_len.max(field::END)..data).unwrap_or_default();
    let length = file.length().map_err(unread)?;
    if data as u64 > length {
        return Err(FseqError::Head("its frames begin beyond its end"));
    }
    let compression = compression(fixed[field::COMPRESSION] & 0x0f)?;
    let blocks = if compression == Compression::None { &[][..] } else { blocks };
    let blocks = split(blocks, data as u64, length);
    if blocks.windows(2).any(|pair| pair[0].first >= pair[1].first) {
        return Err(FseqError::Head("its blocks are in no order"));
    }
    Ok(Sequence {
        minor,
        step_ms,
        frames,
        stretches: stretches(ranges, frame_len)?,
        compression,
        media: said(variable, *b"mf"),
        producer: said(variable, *b"sp"),
        frame_len,
        data: data as u64,
        blocks,
    })
}

impl Sequence {
    /// How many channels there are, counted to the last that the file holds.
    pub fn channels(&self) -> u32 {
        self.stretches.iter().map(|it| it.first + it.count).max().unwrap_or(0)
    }

    /// Octets of a frame.
    pub fn frame_len(&self) -> usize {
        self.frame_len
    }

    /// Where reading can begin so that frame `wanted` comes: the first of its block, or it itself.
    pub fn begin_for(&self, wanted: u32) -> u32 {
        match self.compression {
            Compression::None => wanted.min(self.frames),
            _ => self.blocks[..self.block_of(wanted)].last().map_or(0, |it| it.first),
        }
    }

    /// How many blocks begin at `frame` or before it.
    fn block_of(&self, frame: u32) -> usize {
        self.blocks.partition_point(|it| it.first <= frame)
    }
}

/// Reads frames one by one. Memory is needed for one, and for what their compression looks back on.
pub struct Frames {
    sequence: Arc<Sequence>,
    file: Arc<Watched>,
    /// The frame that comes next.
    next: u32,
    /// What it is read from, and the first frame that is not in it.
    open: Option<(Unpacking, u32)>,
    block: usize,
    frame: Vec<u8>,
}

/// Remembers that the disk failed: a decoder that hears of it takes the file to be damaged.
struct Watched {
    file: Arc<dyn Stored>,
    failed: OnceLock<io::ErrorKind>,
}

impl Watched {
    fn unread(&self) -> Option<FseqError> {
        self.failed.get().copied().map(FseqError::Unread)
    }
}

impl Stored for Watched {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(at, into);
        if let Some(kind) = read.as_ref().err().map(io::Error::kind)
            && kind != io::ErrorKind::Interrupted
        {
            self.failed.get_or_init(|| kind);
        }
        read
    }
}

/// A block that is read.
enum Unpacking {
    Plain(Passages),
    Zstd(Box<StreamingDecoder<Passages, FrameDecoder>>),
    Zlib(Box<ZlibDecoder<Passages>>),
}

impl Frames {
    /// From frame `first` on, which is one that [`Sequence::begin_for`] has given.
    pub fn new(sequence: Arc<Sequence>, file: Arc<dyn Stored>, first: u32) -> Self {
        let block = sequence.block_of(first).saturating_sub(1);
        let frame = vec![0; sequence.frame_len];
        let file = Arc::new(Watched { file, failed: OnceLock::new() });
        Self { sequence, file, next: first, open: None, block, frame }
    }

    /// The frame that comes next.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// The octets of the next frame; none behind the last.
    ///
    /// # Errors
    /// Where the frames end early, or why they cannot be read; no frame comes after that.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FseqError> {
        if self.next >= self.sequence.frames {
            return Ok(None);
        }
        if self.open.as_ref().is_none_or(|(_, end)| *end <= self.next) {
            self.open = Some(self.open_next()?);
        }
        let (unpacking, _) = self.open.as_mut().expect("it was opened");
        let there = match unpacking {
            Unpacking::Plain(octets) => fill(octets, &mut self.frame),
            Unpacking::Zstd(octets) => fill(octets, &mut self.frame),
            Unpacking::Zlib(octets) => fill(octets, &mut self.frame),
        };
        // Damage ends a block as a cut does.
        if there.unwrap_or(0) < self.frame.len() {
            return Err(self.file.unread().unwrap_or_else(|| self.short()));
        }
        self.next += 1;
        Ok(Some(&self.frame))
    }

    fn short(&self) -> FseqError {
        FseqError::Short { found: self.next, wanted: self.sequence.frames }
    }

    fn open_next(&mut self) -> Result<(Unpacking, u32), FseqError> {
        let Sequence { compression, frames, frame_len, data, .. } = *self.sequence;
        if compression == Compression::None {
            let begin = data + u64::from(self.next) * frame_len as u64;
            let octets = Passage::new(self.file.clone(), begin, u64::MAX);
            return Ok((Unpacking::Plain(octets), frames));
        }
        let blocks = &self.sequence.blocks;
        let block = blocks.get(self.block).filter(|it| it.first == self.next);
        let Block { octets, .. } = block.ok_or_else(|| self.short())?.clone();
        let end = blocks.get(self.block + 1).map_or(frames, |it| it.first.min(frames));
        if end <= self.next {
            return Err(self.short());
        }
        let octets = Passage::new(self.file.clone(), octets.start, octets.end);
        let unpacking = match compression {
            Compression::Zlib => Unpacking::Zlib(Box::new(ZlibDecoder::new(octets))),
            _ => {
                let decoder = StreamingDecoder::new(octets);
                let damaged = |_| self.file.unread().unwrap_or(FseqError::Block(self.block));
                Unpacking::Zstd(Box::new(decoder.map_err(damaged)?))
            }
        };
        self.block += 1;
        Ok((unpacking, end))
    }
}

fn unread(error: io::Error) -> FseqError {
    FseqError::Unread(error.kind())
}

fn read(file: &dyn Stored, into: &mut [u8]) -> Result<usize, FseqError> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(filled as u64, &mut into[filled..]).map_err(unread)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn compression(code: u8) -> Result<Compression, FseqError> {
    match code {
        0 => Ok(Compression::None),
        1 => Ok(Compression::Zstd),
        2 => Ok(Compression::Zlib),
        other => Err(FseqError::Compression(other)),
    }
}

fn stretches(table: &[u8], frame_len: usize) -> Result<Vec<Stretch>, FseqError> {
    if table.is_empty() {
        return Ok(vec![Stretch { first: 0, count: frame_len as u32 }]);
    }
    let three = |at: &[u8]| u32::from_le_bytes([at[0], at[1], at[2], 0]);
    let stretch = |at: &[u8]| Stretch { first: three(at), count: three(&at[3..]) };
    let all: Vec<Stretch> = table.chunks_exact(RANGE_LEN).map(stretch).collect();
    let sum: usize = all.iter().map(|it| it.count as usize).sum();
    let fits = sum == frame_len;
    fits.then_some(all).ok_or(FseqError::Head("its sparse ranges are not as long as a frame"))
}

/// Blocks stand one behind the other. An entry of no length is not used; a block that reaches beyond the file is cut.
fn split(table: &[u8], data: u64, length: u64) -> Vec<Block> {
    let mut begin = data;
    let block = |entry: &[u8]| {
        let end = (begin + u64::from(four(entry, 4))).min(length);
        let octets = std::mem::replace(&mut begin, end)..end;
        (four(entry, 4) > 0).then(|| Block { first: four(entry, 0), octets })
    };
    table.chunks_exact(BLOCK_LEN).filter_map(block).collect()
}

/// The text of a variable header, up to its zero.
fn said(mut headers: &[u8], code: [u8; 2]) -> Option<String> {
    while headers.len() >= VARIABLE_LEN {
        let length = two(headers, 0);
        let header = headers.get(..length).filter(|_| length >= VARIABLE_LEN)?;
        if header[2..VARIABLE_LEN] == code {
            let text = header[VARIABLE_LEN..].split(|octet| *octet == 0).next()?;
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        headers = &headers[length..];
    }
    None
}

fn two(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn four(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
