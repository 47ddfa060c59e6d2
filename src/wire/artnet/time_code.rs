//! ArtTimeCode: which frame begins now (rule A14).

use units::{Clock, FrameRate, Timecode};

use super::{ArtnetError, at, begin_versioned, op};

/// Octets of it.
pub const TIME_CODE_LEN: usize = field::KIND + 1;

mod field {
    // 12: filler.
    /// A filler in older revisions, where it is 0: the master.
    pub const STREAM: usize = 13;
    pub const FRAMES: usize = 14;
    pub const SECONDS: usize = 15;
    pub const MINUTES: usize = 16;
    pub const HOURS: usize = 17;
    pub const KIND: usize = 18;
}

/// ArtTimeCode. It says no more than 24, 25, 29.97 drop-frame and 30.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeCode {
    /// Which of several; 0 is the master.
    pub stream: u8,
    /// The frame that begins as it leaves.
    pub timecode: Timecode,
}

impl TimeCode {
    /// Writes it.
    pub fn emit(self) -> [u8; TIME_CODE_LEN] {
        let mut bytes = [0; TIME_CODE_LEN];
        begin_versioned(&mut bytes, op::TIME_CODE);
        let Clock { hours, minutes, seconds, frames } = self.timecode.clock();
        bytes[field::STREAM] = self.stream;
        bytes[field::FRAMES] = frames;
        bytes[field::SECONDS] = seconds;
        bytes[field::MINUTES] = minutes;
        bytes[field::HOURS] = hours;
        bytes[field::KIND] = match self.timecode.rate() {
            FrameRate::Fps23_976 | FrameRate::Fps24 => 0,
            FrameRate::Fps25 => 1,
            FrameRate::Drop29_97 => 2,
            FrameRate::Fps29_97 | FrameRate::Fps30 => 3,
        };
        bytes
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<TimeCode, ArtnetError> {
    at(bytes, 0..TIME_CODE_LEN)?;
    let rate = match bytes[field::KIND] {
        0 => FrameRate::Fps24,
        1 => FrameRate::Fps25,
        2 => FrameRate::Drop29_97,
        3 => FrameRate::Fps30,
        _ => return Err(ArtnetError::TimeCode),
    };
    let clock = Clock {
        hours: bytes[field::HOURS],
        minutes: bytes[field::MINUTES],
        seconds: bytes[field::SECONDS],
        frames: bytes[field::FRAMES],
    };
    let timecode = Timecode::new(rate, clock).map_err(|_| ArtnetError::TimeCode)?;
    Ok(TimeCode { stream: bytes[field::STREAM], timecode })
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, parse};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a14_a_timecode_is_read_as_it_was_written(
            rate in proptest::sample::select(vec![
                FrameRate::Fps24, FrameRate::Fps25, FrameRate::Drop29_97, FrameRate::Fps30
            ]),
            frame: u32, stream: u8,
        ) {
            let said = TimeCode { stream, timecode: Timecode::zero(rate).plus(i64::from(frame)) };
            let bytes = said.emit();
            prop_assert_eq!(parse(&bytes), Ok(Packet::TimeCode(said)));
        }
    }
}
