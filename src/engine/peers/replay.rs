//! What was live another evening leaves again, packet by packet and picture by picture (SX-20).
//!
//! In: the capture, the show's clock. Out: what leaves, when it is heard or seen, or when to ask again. Never here: a
//! connection, a thread.
//!
//! Pictures leave further ahead of their time than sound, so sound waits here that was read on the way to them. Who
//! comes in in the middle, or goes on after a pause, begins with the key frame before: the pictures up to there leave at
//! once, and phones, to whom they are past, decode them without showing them.

use std::collections::VecDeque;

use units::{ShowTime, Span, TrackId};
use wire::capture::talk::{BREAK_MIN, Piece};

use super::{AirLead, Made, Retelling};
use crate::show::{AirReader, Recorded, RecordedAir, RecordedPacket};

/// An evening on its way.
#[derive(Debug)]
pub struct Replay {
    reader: AirReader,
    times: Retelling,
    /// From a picture's leaving to its time.
    ahead: Span,
    /// Read already; heard later.
    sounds: VecDeque<RecordedPacket>,
    /// The next picture.
    shot: Option<(Span, TrackId, Piece, Vec<u8>)>,
    shots: Shots,
    /// Up to where it is read.
    read: Span,
    is_read: bool,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// A packet leaves.
    Sound {
        /// What it was called.
        track: TrackId,
        /// 20 ms of Opus.
        opus: Vec<u8>,
        /// When it was to leave.
        left: ShowTime,
        /// When its first sample is heard.
        heard: ShowTime,
    },
    /// A piece of a picture leaves.
    Picture {
        /// What it was called.
        track: TrackId,
        /// Which, counted from what left first.
        piece: Piece,
        /// It.
        data: Vec<u8>,
        /// When the picture is seen.
        seen: ShowTime,
    },
    /// A film is over.
    Dark,
    /// Nothing before then.
    Later(ShowTime),
    /// Nothing more.
    Over,
}

/// Later, a picture stood behind a slow disk, or with its box: phones go on with the next key frame.
const LATE_MAX: Span = Span::from_secs(1);

impl Replay {
    /// An evening that would have begun `since`.
    pub fn begin(air: &RecordedAir, now: ShowTime, since: ShowTime, lead: AirLead) -> Self {
        let times = Retelling::new(now, since, lead.whole());
        let place = times.place();
        Self {
            reader: air.read_from(place),
            times,
            ahead: lead.of(Made::Film),
            sounds: VecDeque::new(),
            shot: None,
            shots: Shots::default(),
            read: Span::ZERO,
            is_read: false,
        }
    }

    /// What comes next.
    ///
    /// # Errors
    /// What is wrong with the file; nothing comes after that.
    pub fn poll(&mut self, now: ShowTime) -> Result<Replayed, String> {
        self.read_on(now)?;
        if let Some(picture) = self.picture(now) {
            return Ok(picture);
        }
        if let Some(sound) = self.sound(now) {
            return Ok(sound);
        }
        if self.shots.take_end(now, BREAK_MIN) {
            return Ok(Replayed::Dark);
        }
        let more = (!self.is_read).then(|| self.leaves(self.read));
        let sound = self.sounds.front().and_then(|it| self.times.due(now, it.at));
        let end = self.shots.ends.map(|ends| ends + BREAK_MIN);
        let next = [more, sound, end].into_iter().flatten().min();
        Ok(next.map_or(Replayed::Over, Replayed::Later))
    }

    /// Up to the first picture that is not due.
    fn read_on(&mut self, now: ShowTime) -> Result<(), String> {
        while !self.is_read && self.shot.is_none() && self.leaves(self.read) <= now {
            let Some(packet) = self.reader.next()? else {
                self.is_read = true;
                return Ok(());
            };
            self.read = packet.at;
            match packet.what {
                Recorded::Sound(_) if self.times.due(now, packet.at).is_some() => {
                    self.sounds.push_back(packet);
                }
                Recorded::Sound(_) => {}
                Recorded::Picture(piece, data) => {
                    self.shot = Some((packet.at, packet.track, piece, data));
                }
            }
        }
        Ok(())
    }

    /// When pictures leave that have so long until then.
    fn leaves(&self, place: Span) -> ShowTime {
        self.times.heard(place) - self.ahead
    }

    fn picture(&mut self, now: ShowTime) -> Option<Replayed> {
        loop {
            let (at, ..) = self.shot.as_ref()?;
            let late = now - self.times.begun(self.leaves(*at));
            if late < Span::ZERO {
                return None;
            }
            let (at, track, piece, data) = self.shot.take()?;
            let seen = self.times.heard(at) - piece.earlier;
            let index = self.shots.admit(&piece, late <= LATE_MAX);
            if let Some(index) = index {
                self.shots.ends = self.shots.ends.max(Some(seen + piece.lasts));
                let piece = Piece { index, ..piece };
                return Some(Replayed::Picture { track, piece, data, seen });
            }
            // What is wrong with the file is said at the next turn.
            self.read_on(now).ok()?;
        }
    }

    fn sound(&mut self, now: ShowTime) -> Option<Replayed> {
        while let Some(packet) = self.sounds.front() {
            match self.times.due(now, packet.at) {
                Some(left) if left > now => return None,
                due => {
                    let packet = self.sounds.pop_front()?;
                    let heard = self.times.heard(packet.at);
                    let (Some(left), Recorded::Sound(opus)) = (due, packet.what) else { continue };
                    return Some(Replayed::Sound { track: packet.track, opus, left, heard });
                }
            }
        }
        None
    }
}

/// Which pictures leave.
#[derive(Debug, Default)]
struct Shots {
    /// The number of the next piece, as it was then.
    next: Option<u64>,
    /// The number of the first that left.
    first: u64,
    /// Whether all has left from some key frame on.
    is_whole: bool,
    /// When the last one is over.
    ends: Option<ShowTime>,
}

impl Shots {
    /// The number that a piece leaves under; none where phones could make nothing of it.
    fn admit(&mut self, piece: &Piece, is_in_time: bool) -> Option<u64> {
        let goes_on = self.next.replace(piece.index + 1) == Some(piece.index);
        if piece.is_key && is_in_time {
            if self.ends.is_none() || piece.index < self.first {
                self.first = piece.index;
            }
            self.is_whole = true;
        } else if !goes_on || !is_in_time {
            self.is_whole = false;
        }
        self.is_whole.then(|| piece.index - self.first)
    }

    /// Whether the last picture was over so long ago; once.
    fn take_end(&mut self, now: ShowTime, wait: Span) -> bool {
        self.ends.take_if(|ends| *ends + wait <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::solusync::MediaCodec;

    fn piece(index: u64, is_key: bool) -> Piece {
        let (codec, lasts, earlier) = (MediaCodec::Vp9, Span::from_millis(40), Span::ZERO);
        Piece { codec, index, parts_left: 0, is_key, lasts, earlier }
    }

    #[test]
    fn sx20_recorded_pictures_begin_with_a_key_frame_and_count_from_there() {
        let mut shots = Shots::default();
        assert_eq!(shots.admit(&piece(7, false), true), None, "nothing to begin with");
        assert_eq!(shots.admit(&piece(8, true), true), Some(0));
        shots.ends = Some(ShowTime::ZERO);
        assert_eq!(shots.admit(&piece(9, false), true), Some(1));
        assert_eq!(shots.admit(&piece(11, false), true), None, "10 was lost");
        assert_eq!(shots.admit(&piece(12, false), true), None);
        assert_eq!(shots.admit(&piece(13, true), true), Some(5), "phones see what is missing");
        assert_eq!(shots.admit(&piece(0, true), true), Some(0), "another film");
        assert_eq!(shots.admit(&piece(1, false), false), None, "too late");
        assert_eq!(shots.admit(&piece(2, false), true), None, "it builds on that");
        assert_eq!(shots.admit(&piece(3, true), true), Some(3));
    }
}
