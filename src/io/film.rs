//! The pictures of a film, unit by unit, as phones decode them: H.264 and VP9, in MP4, WebM and Matroska; and its sound
//! ([`Soundtrack`]).
//!
//! In: a file. Out: every picture in the order of decoding, with its time, as `media_data` carries it; nothing is encoded
//! anew. Of two libraries the one reads MP4's boxes and the other WebM's elements. How pictures lie in an MP4 file is worked
//! out here, since the library's own way of doing it panics over tables that do not fit each other, and believes any count.

mod mp4;
mod sound;
mod webm;

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use units::Span;
use wire::pictures;
use wire::solusync::MediaCodec;

pub use sound::{Opener, Soundtrack};

/// A picture, as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// When it is seen, from the first one on.
    pub at: Span,
    /// How long; more than nothing.
    pub lasts: Span,
    /// Whether decoding can begin with it.
    pub is_key: bool,
    /// What a decoder is given.
    pub data: Vec<u8>,
}

/// Why a film cannot be read for phones to see it live.
#[derive(Debug, thiserror::Error)]
pub enum FilmTrouble {
    /// Look at the disk.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// Convert it. A track it may be all the same: there browsers read it.
    #[error("{0}; live pictures are H.264 in MP4 or VP9 in WebM")]
    Unfit(String),
    /// Show it without its sound, or convert that.
    #[error("{0}; live films are heard in AAC-LC, MP3, Opus and Vorbis")]
    Unheard(String),
    /// Copy or export it again.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// What films are read from.
pub trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// A film that is read while it is shown.
pub struct Film {
    codec: MediaCodec,
    reel: Reel,
}

enum Reel {
    Mp4(mp4::Mp4),
    Webm(Box<webm::Webm>),
}

/// A larger picture goes into no number of messages that phones take.
pub const UNIT_MAX: usize = 1 << 20;
/// How long a picture lasts of which nobody says it.
const LASTS: Span = Span::from_millis(40);
/// A film may be so much shorter than it says: its sound was longer.
const SHORT_MAX: Span = Span::from_secs(2);

impl Film {
    /// Opens a file.
    ///
    /// # Errors
    /// [`FilmTrouble`].
    pub fn open(path: &Path) -> Result<Self, FilmTrouble> {
        Self::read(Box::new(BufReader::new(File::open(path)?)))
    }

    /// The same of what lies elsewhere.
    ///
    /// # Errors
    /// [`FilmTrouble`].
    pub fn read(mut source: Box<dyn Source>) -> Result<Self, FilmTrouble> {
        contained(|| match head(&mut source)?[..] {
            [_, _, _, _, b'f', b't', b'y', b'p'] => {
                let (codec, mp4) = mp4::Mp4::open(source)?;
                Ok(Self { codec, reel: Reel::Mp4(mp4) })
            }
            [0x1a, 0x45, 0xdf, 0xa3, ..] => {
                let (codec, webm) = webm::Webm::open(source)?;
                Ok(Self { codec, reel: Reel::Webm(Box::new(webm)) })
            }
            _ => Err(FilmTrouble::Unfit("it is no film".into())),
        })
    }

    /// How its pictures are coded.
    pub fn codec(&self) -> MediaCodec {
        self.codec
    }

    /// The next picture to decode; none at the end.
    ///
    /// # Errors
    /// [`FilmTrouble`]; nothing comes after that.
    pub fn next_unit(&mut self) -> Result<Option<Unit>, FilmTrouble> {
        let codec = self.codec;
        let unit = contained(|| match &mut self.reel {
            Reel::Mp4(mp4) => mp4.next_unit(),
            Reel::Webm(webm) => webm.next_unit(),
        })?;
        let Some(unit) = unit else { return Ok(None) };
        match unit.data.len() {
            0 => Err(FilmTrouble::Damaged(format!("an empty picture {}", place(unit.at)))),
            1..=UNIT_MAX => Ok(Some(Unit { is_key: pictures::is_key(codec, &unit.data), ..unit })),
            _ => {
                Err(FilmTrouble::Unfit(format!("a picture of more than 1 MiB {}", place(unit.at))))
            }
        }
    }

    /// Back to the first picture.
    ///
    /// # Errors
    /// [`FilmTrouble`].
    pub fn rewind(&mut self) -> Result<(), FilmTrouble> {
        match &mut self.reel {
            Reel::Mp4(mp4) => mp4.rewind(),
            Reel::Webm(webm) => return contained(|| webm.rewind()),
        }
        Ok(())
    }

    /// Goes through all that its tables say, and in WebM through all pictures: how long it is.
    ///
    /// # Errors
    /// [`FilmTrouble`].
    pub fn survey(mut self) -> Result<Span, FilmTrouble> {
        let (length, said) = match &mut self.reel {
            Reel::Mp4(mp4) => return Ok(mp4.length()),
            Reel::Webm(webm) => contained(|| webm.survey())?,
        };
        match said {
            Some(said) if length + SHORT_MAX < said => Err(FilmTrouble::Damaged(format!(
                "it is cut off: {:.1} s of {:.1} are there",
                length.secs_f64(),
                said.secs_f64()
            ))),
            _ => Ok(length),
        }
    }
}

impl std::fmt::Debug for Film {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Film").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// The first octets, by which films are told apart.
fn head(source: &mut Box<dyn Source>) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    source.seek(SeekFrom::Start(0))?;
    source.by_ref().take(8).read_to_end(&mut head)?;
    source.seek(SeekFrom::Start(0))?;
    Ok(head)
}

/// A library's mistake about one film is that film's end, and nobody else's.
fn contained<T>(work: impl FnOnce() -> Result<T, FilmTrouble>) -> Result<T, FilmTrouble> {
    let none = || Err(FilmTrouble::Unfit("no reader can make sense of its structure".into()));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| none())
}

fn place(at: Span) -> String {
    format!("{:.2} s into it", at.secs_f64())
}

#[cfg(test)]
mod tests;
