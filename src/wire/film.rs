//! How long a film is, by its head alone: MP4 (ISO/IEC 14496-12) and WebM (RFC 8794 and RFC 9559).
//!
//! In: stored bytes. Out: a length. Never here: a picture; whoever shows a film decodes it.

use std::io;

use units::Span;

use crate::stored::Stored;

/// Why a file is no film that can be played in step.
#[derive(Debug, thiserror::Error)]
pub enum FilmError {
    /// Look at the disk.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It has another ending than it should, or is damaged.
    #[error("it is neither an MP4 nor a WebM file")]
    Neither,
    /// It was written while it was recorded, or is cut off. Any tool that copies it anew (a remux) puts the length in.
    #[error("it does not say how long it is; remux it (`ffmpeg -i IN -c copy OUT`)")]
    Endless,
    /// No film is.
    #[error("it says that it is longer than a day, or no longer than nothing")]
    Absurd,
}

/// Nobody shows longer ones.
const LONGEST_SECS: f64 = 86_400.0;
/// Parts that are looked at before a file is given up; a film has a dozen before its pictures.
const PARTS_MAX: usize = 4_096;

/// How long it is.
///
/// # Errors
/// [`FilmError`].
pub fn length(film: &dyn Stored) -> Result<Span, FilmError> {
    let seconds = match bytes::<8>(film, 0)? {
        Some([_, _, _, _, b'f', b't', b'y', b'p']) => mp4(film)?,
        Some([0x1a, 0x45, 0xdf, 0xa3, ..]) => webm(film)?,
        _ => return Err(FilmError::Neither),
    };
    let length = Span::from_secs_f64(seconds.min(LONGEST_SECS + 1.0));
    if seconds.is_finite() && seconds <= LONGEST_SECS && length > Span::ZERO {
        Ok(length)
    } else {
        Err(FilmError::Absurd)
    }
}

/// `moov` holds `mvhd`, which says it in units of its own (ISO/IEC 14496-12, 8.2.2).
fn mp4(film: &dyn Stored) -> Result<f64, FilmError> {
    let end = film.length()?;
    let movie = find_box(film, (0, end), *b"moov")?.ok_or(FilmError::Endless)?;
    let (head, _) = find_box(film, movie, *b"mvhd")?.ok_or(FilmError::Endless)?;
    let short = bytes::<20>(film, head)?.ok_or(FilmError::Endless)?;
    let (scale, duration) = if short[0] == 0 {
        let duration = u32_at(&short, 16);
        (u32_at(&short, 12), if duration == u32::MAX { 0 } else { duration.into() })
    } else {
        let long = bytes::<32>(film, head)?.ok_or(FilmError::Endless)?;
        let duration = u64::from(u32_at(&long, 24)) << 32 | u64::from(u32_at(&long, 28));
        (u32_at(&long, 20), if duration == u64::MAX { 0 } else { duration })
    };
    if scale == 0 || duration == 0 {
        return Err(FilmError::Endless);
    }
    Ok(duration as f64 / f64::from(scale))
}

/// What lies in the first box of a kind: from where to where (ISO/IEC 14496-12, 4.2).
fn find_box(
    film: &dyn Stored,
    (mut at, end): (u64, u64),
    kind: [u8; 4],
) -> Result<Option<(u64, u64)>, FilmError> {
    for _ in 0..PARTS_MAX {
        let Some(head) = bytes::<8>(film, at)?.filter(|_| at < end) else { return Ok(None) };
        let (inside, size) = match u32_at(&head, 0) {
            0 => (8, end - at),
            1 => {
                let Some(long) = bytes::<8>(film, at + 8)? else { return Ok(None) };
                (16, u64::from_be_bytes(long))
            }
            size => (8, size.into()),
        };
        if size < inside {
            return Err(FilmError::Neither);
        }
        let next = at.saturating_add(size).min(end);
        if head[4..] == kind {
            return Ok(Some((at + inside, next)));
        }
        at = next;
    }
    Ok(None)
}

/// EBML's ids of what is looked into (RFC 9559, 5.1).
mod id {
    pub const SEGMENT: u64 = 0x1853_8067;
    pub const INFO: u64 = 0x1549_a966;
    pub const TIMESTAMP_SCALE: u64 = 0x002a_d7b1;
    pub const DURATION: u64 = 0x4489;
    pub const CLUSTER: u64 = 0x1f43_b675;
}

/// `Info` stands before the pictures, and `Duration` in it counts `TimestampScale` nanoseconds each.
fn webm(film: &dyn Stored) -> Result<f64, FilmError> {
    let end = film.length()?;
    let (mut at, mut scale, mut duration) = (0, 1_000_000_u64, None);
    for _ in 0..PARTS_MAX {
        let Some(part) = element(film, at)?.filter(|_| at < end) else { break };
        at = match part.id {
            id::CLUSTER => break,
            // What is in these is looked at one by one.
            id::SEGMENT | id::INFO => part.inside,
            _ => part.inside.saturating_add(part.size.unwrap_or(u64::MAX)),
        };
        match (part.id, part.size) {
            (id::TIMESTAMP_SCALE, Some(size)) => {
                scale = number(film, part.inside, size)?.unwrap_or(scale);
            }
            (id::DURATION, Some(size)) => duration = float(film, part.inside, size)?,
            _ => {}
        }
    }
    duration.map(|it| it * scale as f64 / 1e9).ok_or(FilmError::Endless)
}

struct Element {
    id: u64,
    /// Where what it holds begins.
    inside: u64,
    /// Unknown while it is being written.
    size: Option<u64>,
}

/// An id, a size, and what it holds (RFC 8794, 4 to 6).
fn element(film: &dyn Stored, at: u64) -> Result<Option<Element>, FilmError> {
    let Some((id, id_length)) = vint(film, at, 4)? else { return Ok(None) };
    let Some((size, size_length)) = vint(film, at + id_length, 8)? else { return Ok(None) };
    let size = size ^ (1 << (7 * size_length));
    let unknown = size == (1 << (7 * size_length)) - 1;
    let inside = at + id_length + size_length;
    Ok(Some(Element { id, inside, size: (!unknown).then_some(size) }))
}

/// A number whose length stands in its first bits, its marker still in it; and that length.
fn vint(film: &dyn Stored, at: u64, longest: u64) -> Result<Option<(u64, u64)>, FilmError> {
    let Some([first]) = bytes::<1>(film, at)? else { return Ok(None) };
    let length = u64::from(first.leading_zeros()) + 1;
    if length > longest {
        return Err(FilmError::Neither);
    }
    Ok(number(film, at, length)?.map(|value| (value, length)))
}

fn number(film: &dyn Stored, at: u64, length: u64) -> Result<Option<u64>, FilmError> {
    if length > 8 {
        return Err(FilmError::Neither);
    }
    let mut value = 0;
    for k in 0..length {
        let Some([octet]) = bytes::<1>(film, at + k)? else { return Ok(None) };
        value = value << 8 | u64::from(octet);
    }
    Ok(Some(value))
}

fn float(film: &dyn Stored, at: u64, length: u64) -> Result<Option<f64>, FilmError> {
    let value = match length {
        4 => bytes(film, at)?.map(|it| f32::from_be_bytes(it).into()),
        8 => bytes(film, at)?.map(f64::from_be_bytes),
        _ => None,
    };
    Ok(value)
}

fn bytes<const N: usize>(film: &dyn Stored, at: u64) -> Result<Option<[u8; N]>, FilmError> {
    let (mut found, mut have) = ([0; N], 0);
    while have < N {
        match film.read_at(at.saturating_add(have as u64), &mut found[have..])? {
            0 => return Ok(None),
            count => have += count,
        }
    }
    Ok(Some(found))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four octets"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(kind: &[u8; 4], inside: &[u8]) -> Vec<u8> {
        let size = (8 + inside.len()) as u32;
        [&size.to_be_bytes()[..], kind, inside].concat()
    }

    /// With so many units of a thousandth.
    fn mp4_of(duration: u32) -> Vec<u8> {
        let times = [[0; 4], [0; 4], [0; 4], 1_000_u32.to_be_bytes(), duration.to_be_bytes()];
        let movie = boxed(b"moov", &boxed(b"mvhd", &times.concat()));
        [boxed(b"ftyp", b"isom"), boxed(b"mdat", &[7; 50]), movie].concat()
    }

    fn webm_of(info: &[u8]) -> Vec<u8> {
        let head: &[u8] = &[0x1a, 0x45, 0xdf, 0xa3, 0x80, 0x18, 0x53, 0x80, 0x67, 0x01];
        let info_head = [0x15, 0x49, 0xa9, 0x66, 0x80 | info.len() as u8];
        [head, &[0xff; 7], &info_head, info, &[0x1f, 0x43, 0xb6, 0x75, 0xff]].concat()
    }

    #[test]
    fn the_length_of_a_film_stands_in_its_head() {
        assert_eq!(length(&mp4_of(12_345)).expect("a film"), Span::from_millis(12_345));
        let info = [&[0x44, 0x89, 0x88][..], &2_500.0_f64.to_be_bytes()].concat();
        assert_eq!(length(&webm_of(&info)).expect("a film"), Span::from_millis(2_500));
        let scale = [0x2a, 0xd7, 0xb1, 0x83, 0x01, 0x86, 0xa0]; // 100,000 ns
        let info = [&scale[..], &info].concat();
        assert_eq!(length(&webm_of(&info)).expect("a film"), Span::from_millis(250));
    }

    #[test]
    fn a_film_that_does_not_say_how_long_it_is_is_refused_with_what_helps() {
        for film in [mp4_of(0), mp4_of(u32::MAX), webm_of(&[]), boxed(b"ftyp", b"isom")] {
            assert!(matches!(length(&film), Err(FilmError::Endless)));
        }
        assert!(matches!(length(&b"RIFF....WAVE".to_vec()), Err(FilmError::Neither)));
        assert!(matches!(length(&Vec::new()), Err(FilmError::Neither)));
        let info = [&[0x44, 0x89, 0x88][..], &f64::NAN.to_be_bytes()].concat();
        assert!(matches!(length(&webm_of(&info)), Err(FilmError::Absurd)));
    }

    proptest! {
        #[test]
        fn no_bytes_behind_a_true_beginning_panic(rest in prop::collection::vec(any::<u8>(), 0..200), mp4: bool) {
            let head: &[u8] = if mp4 { &[0, 0, 0, 8, b'f', b't', b'y', b'p'] } else { &[0x1a, 0x45, 0xdf, 0xa3] };
            let _ = length(&[head, &rest].concat());
        }
    }
}
