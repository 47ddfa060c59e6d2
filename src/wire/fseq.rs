//! xLights' sequences (FSEQ 2.0 to 2.2): a row of octets for every step of time.
//!
//! In: a file's bytes. Out: what its head says, and its frames. Source: FPP's `docs/FSEQ_Sequence_File_Format.txt`; where
//! it says nothing, what FPP's `FSEQFile.cpp` reads. All numbers are little-endian.
//!
//! *Sparse range*: a stretch of channels that the file holds, where it does not hold all; a frame has them one behind
//! the other. *Block*: some frames compressed together.

use std::io::Read;
use std::ops::Range;

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
/// What a block may unpack to: a file that claims more is made to fill memory.
const BLOCK_MAX: usize = 256 << 20;

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
pub struct Sequence<'a> {
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
    /// First frame and compressed octets.
    blocks: Vec<(u32, &'a [u8])>,
    data: &'a [u8],
}

/// Reads the head.
///
/// # Errors
/// What is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Sequence<'_>, FseqError> {
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
    let data = bytes.get(data..).ok_or(FseqError::Head("its frames begin beyond its end"))?;
    let compression = compression(fixed[field::COMPRESSION] & 0x0f)?;
    Ok(Sequence {
        minor,
        step_ms,
        frames: four(fixed, field::FRAMES),
        stretches: stretches(ranges, frame_len)?,
        compression,
        media: said(variable, *b"mf"),
        producer: said(variable, *b"sp"),
        frame_len,
        blocks: if compression == Compression::None { Vec::new() } else { split(blocks, data) },
        data,
    })
}

impl Sequence<'_> {
    /// How many channels there are, counted to the last that the file holds.
    pub fn channels(&self) -> u32 {
        self.stretches.iter().map(|it| it.first + it.count).max().unwrap_or(0)
    }

    /// Octets of a frame.
    pub fn frame_len(&self) -> usize {
        self.frame_len
    }

    /// Hands every frame to `see`, in order. Memory is needed for a block at a time.
    ///
    /// # Errors
    /// Where the frames end early; those before have been seen.
    pub fn each_frame(&self, mut see: impl FnMut(&[u8])) -> Result<(), FseqError> {
        let mut found = 0;
        match self.compression {
            Compression::None => self.see(self.data, self.frames, &mut found, &mut see),
            _ => {
                for (index, (first, octets)) in self.blocks.iter().enumerate() {
                    let end = self.blocks.get(index + 1).map_or(self.frames, |next| next.0);
                    let wanted = end.min(self.frames).saturating_sub(*first);
                    if *first != found || found == self.frames {
                        break;
                    }
                    let most = (wanted as usize * self.frame_len).min(BLOCK_MAX);
                    let block = decompress(self.compression, octets, most);
                    let block = block.ok_or(FseqError::Block(index))?;
                    self.see(&block, wanted, &mut found, &mut see);
                    if found != *first + wanted {
                        break;
                    }
                }
            }
        }
        let wanted = self.frames;
        (found == wanted).then_some(()).ok_or(FseqError::Short { found, wanted })
    }

    fn see(&self, octets: &[u8], most: u32, found: &mut u32, see: &mut impl FnMut(&[u8])) {
        for frame in octets.chunks_exact(self.frame_len).take(most as usize) {
            see(frame);
            *found += 1;
        }
    }
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
fn split<'a>(table: &[u8], mut data: &'a [u8]) -> Vec<(u32, &'a [u8])> {
    let mut blocks = Vec::new();
    for entry in table.chunks_exact(BLOCK_LEN) {
        let length = four(entry, 4) as usize;
        let (block, rest) = data.split_at(length.min(data.len()));
        data = rest;
        if length > 0 {
            blocks.push((four(entry, 0), block));
        }
    }
    blocks
}

/// `most` octets at most; what is beyond them is left. What has come out before damage or a cut is given.
fn decompress(how: Compression, octets: &[u8], most: usize) -> Option<Vec<u8>> {
    match how {
        Compression::None => Some(octets.to_vec()),
        Compression::Zlib => {
            use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
            let told = decompress_to_vec_zlib_with_limit(octets, most);
            Some(told.unwrap_or_else(|error| error.output))
        }
        Compression::Zstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(octets).ok()?;
            let mut block = Vec::new();
            // What it has read stays in the vector when it fails.
            let _ = decoder.take(most as u64).read_to_end(&mut block);
            Some(block)
        }
    }
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
