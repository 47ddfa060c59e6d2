//! What we say to others: which timecode shows at an instant, and what is sent of it.
//!
//! A function of show time, so that every output, another box and a restart agree. A change is known before it comes,
//! so a course is one line until an instant, and another from there on.

use units::{FrameRate, ShowTime, Span, Timecode};

/// Timecode as time goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// None.
    Silent,
    /// It stands there.
    Still {
        /// How long after 00:00:00:00.
        position: Span,
    },
    /// It runs.
    Runs {
        /// When it was,
        at: ShowTime,
        /// there.
        position: Span,
    },
}

impl Line {
    /// Where it is.
    pub fn position(self, at: ShowTime) -> Option<Span> {
        match self {
            Self::Silent => None,
            Self::Still { position } => Some(position),
            Self::Runs { at: begin, position } => Some(position + (at - begin)),
        }
    }
}

/// A line, and the one that it changes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Until then.
    pub before: Line,
    /// When it changes.
    pub from: ShowTime,
    /// From then on.
    pub line: Line,
}

impl Default for Course {
    fn default() -> Self {
        Self { before: Line::Silent, from: ShowTime::ZERO, line: Line::Silent }
    }
}

/// What is sent at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tick {
    /// A frame begins.
    Frame(Timecode),
    /// A quarter frame of MTC: of which timecode, and which of its eight.
    Quarter(Timecode, u8),
    /// It stands there from now on.
    Full(Timecode),
}

impl Course {
    /// The line at an instant.
    pub fn line_at(&self, at: ShowTime) -> Line {
        if at < self.from { self.before } else { self.line }
    }

    /// Changes into another line then. What was to change before has changed.
    #[must_use]
    pub fn turned(&self, from: ShowTime, line: Line) -> Self {
        let before = if from < self.from { self.before } else { self.line };
        Self { before, from, line }
    }

    /// What ArtTimeCode has to say next, later than `after`: every frame, also of one that stands, so that whoever
    /// listens knows that it does.
    pub fn next_frame(&self, rate: FrameRate, after: ShowTime) -> Option<(ShowTime, Tick)> {
        self.next(after, |line, after| match line {
            Line::Silent => None,
            Line::Still { position } => {
                let gone = rate.frame_at(after - self.from) + 1;
                let at = self.from + rate.begins(gone.max(0));
                Some((at, Tick::Frame(Timecode::at(rate, position))))
            }
            Line::Runs { at, position } => {
                let frame = rate.frame_at(position + (after - at)) + 1;
                let begins = at + (rate.begins(frame) - position);
                Some((begins, Tick::Frame(Timecode::zero(rate).plus(frame))))
            }
        })
    }

    /// What MTC has to say next, later than `after`: quarter frames while it runs, a full message when it stops.
    pub fn next_quarter(&self, rate: FrameRate, after: ShowTime) -> Option<(ShowTime, Tick)> {
        let stops = match self.line {
            Line::Still { position } if after < self.from => {
                Some((self.from, Tick::Full(Timecode::at(rate, position))))
            }
            _ => None,
        };
        let runs = self.next(after, |line, after| {
            let Line::Runs { at, position } = line else { return None };
            let quarter = quarter_at(rate, position + (after - at)) + 1;
            let begins = at + (quarter_begins(rate, quarter) - position);
            // Eight quarters tell the frame in which the first of them left: every other one.
            let frame = quarter.div_euclid(8) * 2;
            let timecode = Timecode::zero(rate).plus(frame);
            Some((begins, Tick::Quarter(timecode, quarter.rem_euclid(8) as u8)))
        });
        runs.into_iter().chain(stops).min_by_key(|(at, _)| *at)
    }

    /// The first after an instant, of the line before if it still comes there, else of the line after.
    fn next(
        &self,
        after: ShowTime,
        of: impl Fn(Line, ShowTime) -> Option<(ShowTime, Tick)>,
    ) -> Option<(ShowTime, Tick)> {
        let before = (after < self.from).then(|| of(self.before, after)).flatten();
        let before = before.filter(|(at, _)| *at < self.from);
        before.or_else(|| of(self.line, after.max(self.from - Span::from_ns(1))))
    }
}

fn quarter_at(rate: FrameRate, position: Span) -> i64 {
    let (frames, seconds) = rate.fraction();
    let exact = i128::from(position.ns()) * 4 * i128::from(frames);
    exact.div_euclid(i128::from(seconds) * 1_000_000_000) as i64
}

fn quarter_begins(rate: FrameRate, quarter: i64) -> Span {
    let (frames, seconds) = rate.fraction();
    let exact = i128::from(quarter) * i128::from(seconds) * 1_000_000_000;
    let quarters = 4 * i128::from(frames);
    Span::from_ns((exact + quarters - 1).div_euclid(quarters) as i64)
}

/// LTC on a channel of the card: part of the plan of sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ltc {
    /// Which timecode.
    pub course: Course,
    /// At which rate.
    pub rate: FrameRate,
    /// Channel of the card, from 0.
    pub channel: u16,
    /// How loud.
    pub gain: units::Gain,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::mtc;

    const T0: ShowTime = ShowTime::from_ns(1_795_000_000_123_456_789);

    fn ticks(
        course: &Course,
        until: Span,
        next: impl Fn(&Course, ShowTime) -> Option<(ShowTime, Tick)>,
    ) -> Vec<(Span, Tick)> {
        let mut all = Vec::new();
        let mut now = T0 - Span::from_ns(1);
        while let Some((at, tick)) = next(course, now).filter(|(at, _)| *at < T0 + until) {
            assert!(at > now);
            all.push((at - T0, tick));
            now = at;
        }
        all
    }

    fn running(rate: FrameRate, text: &str) -> Course {
        let position = Timecode::parse(text, rate).expect("a frame").position();
        Course::default().turned(T0, Line::Runs { at: T0, position })
    }

    #[test]
    fn every_frame_is_told_as_it_begins_for_an_hour_of_drop_frame() {
        let rate = FrameRate::Drop29_97;
        let course = running(rate, "00:59:59;00");
        let all = ticks(&course, Span::from_secs(120), |it, after| it.next_frame(rate, after));
        assert_eq!(all.len(), 3597);
        for (n, (at, tick)) in all.iter().enumerate() {
            let expected = Timecode::parse("00:59:59;00", rate).expect("a frame").plus(n as i64);
            assert_eq!(*tick, Tick::Frame(expected));
            assert!((*at - rate.begins(n as i64)).abs() <= Span::from_ns(2));
        }
    }

    #[test]
    fn a_pause_stands_from_its_instant_on_and_is_told_in_full() {
        let rate = FrameRate::Fps25;
        let stop = T0 + Span::from_millis(90);
        let course = running(rate, "01:00:00:00");
        let position = course.line.position(stop).expect("it runs");
        let course = course.turned(stop, Line::Still { position });
        let frames = ticks(&course, Span::from_millis(170), |it, after| it.next_frame(rate, after));
        let numbers: Vec<u8> = frames
            .iter()
            .map(|(_, tick)| if let Tick::Frame(it) = tick { it.clock().frames } else { 99 })
            .collect();
        assert_eq!(numbers, [0, 1, 2, 2, 2]);
        assert_eq!(frames[3].0, Span::from_millis(90));
        let quarters =
            ticks(&course, Span::from_millis(500), |it, after| it.next_quarter(rate, after));
        assert_eq!(quarters.len(), 10, "nine quarters and a full message: {quarters:?}");
        assert!(matches!(quarters[9], (at, Tick::Full(_)) if at == Span::from_millis(90)));
    }

    proptest! {
        #[test]
        fn what_we_send_by_midi_is_heard_frame_exactly(
            rate in proptest::sample::select(vec![
                FrameRate::Fps24, FrameRate::Fps25, FrameRate::Drop29_97, FrameRate::Fps30
            ]),
            begin in 0_i64..80_000_000_000_000,
        ) {
            let line = Line::Runs { at: T0, position: Span::from_ns(begin) };
            let course = Course::default().turned(T0, line);
            let mut listener = mtc::Listener::default();
            let mut heard = 0;
            for (at, tick) in ticks(&course, Span::from_secs(2), |it, after| it.next_quarter(rate, after)) {
                let Tick::Quarter(timecode, piece) = tick else { panic!("it runs") };
                for byte in mtc::quarter(timecode, piece) {
                    let Some(said) = listener.hear(byte, T0 + at) else { continue };
                    let mtc::Reading::Frame { timecode, at } = said else { panic!("{said:?}") };
                    let position = Span::from_ns(begin) + (at - T0);
                    let apart = (position - timecode.position()).ns().rem_euclid(rate.day().ns());
                    prop_assert!(apart <= 3 || apart >= rate.day().ns() - 3, "{apart}");
                    heard += 1;
                }
            }
            prop_assert!(heard >= 22);
        }
    }
}
