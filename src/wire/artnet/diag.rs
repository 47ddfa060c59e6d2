//! ArtDiagData: a line for whoever asked for diagnostics (rule A18).

use super::{ArtnetError, at, begin_versioned, op, pair, put_text, text};

/// The longest text, its closing zero included.
pub const DIAG_TEXT_MAX: usize = 512;

mod field {
    use std::ops::Range;
    // 12: filler.
    pub const PRIORITY: usize = 13;
    pub const LOGICAL_PORT: usize = 14;
    // 15: filler.
    pub const LENGTH: Range<usize> = 16..18;
    pub const TEXT: usize = 18;
}

/// How much a line matters (table 5); only who asks for that much or less gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiagPriority(pub u8);

impl DiagPriority {
    /// Worth a line in a list.
    pub const LOW: Self = Self(0x10);
    /// Worth a look.
    pub const MEDIUM: Self = Self(0x40);
    /// Something is wrong.
    pub const HIGH: Self = Self(0x80);
    /// The show suffers.
    pub const CRITICAL: Self = Self(0xe0);
}

/// ArtDiagData.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagData {
    /// How much it matters.
    pub priority: DiagPriority,
    /// The port it is about; 0: the whole device.
    pub logical_port: u8,
    /// The line.
    pub text: String,
}

impl DiagData {
    /// Writes it, the text cut to what fits.
    pub fn emit(&self) -> Vec<u8> {
        let room = (self.text.len() + 1).min(DIAG_TEXT_MAX);
        let mut bytes = vec![0; field::TEXT + room];
        begin_versioned(&mut bytes, op::DIAG_DATA);
        bytes[field::PRIORITY] = self.priority.0;
        bytes[field::LOGICAL_PORT] = self.logical_port;
        bytes[field::LENGTH].copy_from_slice(&(room as u16).to_be_bytes());
        put_text(&mut bytes[field::TEXT..], &self.text);
        bytes
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<DiagData, ArtnetError> {
    let length = u16::from_be_bytes(pair(bytes, field::LENGTH)?);
    let end = field::TEXT + usize::from(length);
    let octets = at(bytes, field::TEXT..end).map_err(|_| ArtnetError::Length(length))?;
    if octets.len() > DIAG_TEXT_MAX {
        return Err(ArtnetError::Length(length));
    }
    Ok(DiagData {
        priority: DiagPriority(bytes[field::PRIORITY]),
        logical_port: bytes[field::LOGICAL_PORT],
        text: text(octets),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, parse};
    use super::*;

    fn line(text: String) -> DiagData {
        DiagData { priority: DiagPriority::MEDIUM, logical_port: 0, text }
    }

    #[test]
    fn a18_a_line_of_diagnostics_ends_with_a_zero() {
        let bytes = line("hi".into()).emit();
        assert_eq!(bytes, *b"Art-Net\0\x00\x23\x00\x0e\x00\x40\x00\x00\x00\x03hi\0");
        assert_eq!(parse(&bytes), Ok(Packet::DiagData(line("hi".into()))));
        assert_eq!(parse(&bytes[..20]), Err(ArtnetError::Length(3)));
    }

    #[test]
    fn a18_a_long_line_is_cut_between_two_characters() {
        let bytes = line("ü".repeat(400)).emit();
        assert_eq!(bytes.len(), 18 + DIAG_TEXT_MAX);
        assert_eq!(parse(&bytes), Ok(Packet::DiagData(line("ü".repeat(255)))));
    }
}
