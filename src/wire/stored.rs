//! Bytes that lie somewhere and are read from any place, so that a file may be longer than memory.
//!
//! In: whoever has them. Out: a [`Passage`] from one place to another. Never here: a disk.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

/// Bytes that lie somewhere. Reading moves no place, so that several may read at once.
pub trait Stored: Send + Sync {
    /// How many there are.
    ///
    /// # Errors
    /// Why nobody knows.
    fn length(&self) -> io::Result<u64>;

    /// Those from `at` on, as many as come at once; 0 at the end.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;
}

impl Stored for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// What lies between two places, read one behind the other.
#[derive(Clone)]
pub struct Passage {
    stored: Arc<dyn Stored>,
    next: u64,
    end: u64,
}

/// A passage, read in pieces that are worth the way.
pub type Passages = BufReader<Passage>;

impl Passage {
    /// From `begin` up to `end`, or to where the bytes are over.
    pub fn new(stored: Arc<dyn Stored>, begin: u64, end: u64) -> Passages {
        BufReader::with_capacity(1 << 16, Self { stored, next: begin, end })
    }
}

impl Read for Passage {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.next)).unwrap_or(usize::MAX);
        let count = into.len().min(left);
        let count = self.stored.read_at(self.next, &mut into[..count])?;
        self.next += count as u64;
        Ok(count)
    }
}

/// Fills `into`; gives how much of it there was before the end.
pub(crate) fn fill(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
