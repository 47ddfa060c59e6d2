//! Follows a source: where it is, how fast it runs, when a timecode will come.
//!
//! Readings tremble (a network by milliseconds) and lie (a cable that is plugged in). So nothing is believed before
//! three readings in a row agree, and then a straight line through the last two seconds is. A reading that is off the
//! line begins another; until three agree on that, the old line goes on.

use std::collections::VecDeque;

use units::{Clock, FrameRate, ShowTime, Span, Timecode};

use super::{Heard, State, Trouble};

/// So many readings that agree are believed.
const AGREE: usize = 3;
/// The line goes through readings of so long.
const WINDOW: Span = Span::from_secs(2);
/// More than any source says in a window; a flood costs no more.
const READINGS_MAX: usize = 128;
/// Less shows nothing of the speed.
const SPEED_AFTER: Span = Span::from_millis(400);
/// A tape at hand; beyond it is winding.
const SPEED: (f64, f64) = (0.5, 2.0);
/// Frames off the line that are trembling, not a jump.
const TREMBLE_FRAMES: i64 = 2;
/// Frames of silence that are no silence yet: MTC speaks every two.
const SILENT_FRAMES: i64 = 5;
/// The same frame so often, and it stands.
const STANDS_AFTER: u32 = 3;
/// What has come within so long has just come, not to come again tomorrow.
const JUST_NOW: Span = Span::from_secs(60);
/// A frame that began so long before, or after, it was told of did not.
const TOLD_WITHIN: Span = Span::from_secs(2);
/// How long a trouble is told of.
const TROUBLE_KEPT: Span = Span::from_secs(1);

/// What became of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is followed from here on.
    Locked {
        /// Not where it was going before, nor where it stood.
        jumped: bool,
    },
    /// It is not followed any more.
    Lost,
}

/// One source, followed.
#[derive(Debug, Clone)]
pub struct Chase {
    rate: FrameRate,
    freewheel: Span,
    state: State,
    line: Option<Line>,
    readings: VecDeque<Reading>,
    candidates: Vec<Reading>,
    /// The last position that was believed, and when.
    known: Option<Reading>,
    heard: Option<ShowTime>,
    last: Option<Clock>,
    repeats: u32,
    trouble: Option<(Trouble, ShowTime)>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: ShowTime,
    position: Span,
}

/// Position as a function of show time.
#[derive(Debug, Clone, Copy)]
struct Line {
    at: ShowTime,
    position: Span,
    speed: f64,
}

impl Line {
    fn position(&self, at: ShowTime) -> Span {
        self.position + Span::from_secs_f64((at - self.at).secs_f64() * self.speed)
    }
}

impl Chase {
    /// Of a source at that rate; silent for longer than `freewheel`, it is lost.
    pub fn new(rate: FrameRate, freewheel: Span) -> Self {
        Self {
            rate,
            freewheel,
            state: State::None,
            line: None,
            readings: VecDeque::new(),
            candidates: Vec::new(),
            known: None,
            heard: None,
            last: None,
            repeats: 0,
            trouble: None,
        }
    }

    /// Takes what the source said.
    pub fn hear(&mut self, now: ShowTime, heard: &Heard) -> Option<Event> {
        match *heard {
            Heard::Reverse => {
                self.trouble = Some((Trouble::Reverse, now));
                self.candidates.clear();
                None
            }
            Heard::Located { clock } => {
                let timecode = Timecode::new(self.rate, clock).ok()?;
                self.heard = Some(now);
                self.known = Some(Reading { at: now, position: timecode.position() });
                self.stand()
            }
            Heard::Frame { at, .. } if (now - at).abs() > TOLD_WITHIN => None,
            Heard::Frame { clock, drops, count, at } => {
                let fits = drops == self.rate.drops()
                    && count.is_none_or(|count| u32::from(count) == self.rate.count());
                let timecode = Timecode::new(self.rate, clock).ok().filter(|_| fits);
                let Some(timecode) = timecode else {
                    self.trouble = Some((Trouble::WrongRate, now));
                    self.candidates.clear();
                    return None;
                };
                self.heard = Some(now);
                self.frame(Reading { at, position: timecode.position() }, clock)
            }
        }
    }

    fn frame(&mut self, reading: Reading, clock: Clock) -> Option<Event> {
        self.repeats = if self.last.replace(clock) == Some(clock) { self.repeats + 1 } else { 0 };
        if self.repeats >= STANDS_AFTER {
            self.known = Some(reading);
            return self.stand();
        }
        let tremble = self.rate.begins(TREMBLE_FRAMES);
        match self.line {
            Some(line)
                if self.apart(reading.position, line.position(reading.at)).abs() <= tremble =>
            {
                // Laid beside the line, so that midnight is no step in it.
                let expected = line.position(reading.at);
                let position = expected + self.apart(reading.position, expected);
                self.candidates.clear();
                self.believe(Reading { position, ..reading });
                self.state = State::Locked;
                None
            }
            _ => self.candidate(reading),
        }
    }

    fn candidate(&mut self, reading: Reading) -> Option<Event> {
        if let Some(before) = self.candidates.last() {
            let expected = before.position + (reading.at - before.at);
            let apart = self.apart(reading.position, expected);
            let still = reading.position == before.position;
            if still || apart.abs() > Span::from_ns(self.rate.frame().ns() * 3 / 4) {
                self.candidates.clear();
            }
        }
        self.candidates.push(reading);
        if self.state == State::None {
            self.state = State::Locking;
        }
        (self.candidates.len() >= AGREE).then(|| self.lock(reading))
    }

    fn lock(&mut self, reading: Reading) -> Event {
        let jumped = !self.goes_on(reading);
        self.readings.clear();
        self.line = None;
        for candidate in std::mem::take(&mut self.candidates) {
            self.believe(candidate);
        }
        self.state = State::Locked;
        Event::Locked { jumped }
    }

    /// Whether it is where it was going, or goes on from where it stood or fell silent.
    fn goes_on(&self, reading: Reading) -> bool {
        let tremble = self.rate.begins(TREMBLE_FRAMES);
        let runs_on = self.line.is_some_and(|line| {
            self.apart(reading.position, line.position(reading.at)).abs() <= tremble
        });
        let from_there = self.line.is_none()
            && self.known.is_some_and(|known| {
                let further = self.apart(reading.position, known.position);
                (-tremble..=Span::from_secs(1)).contains(&further)
            });
        runs_on || from_there
    }

    fn believe(&mut self, reading: Reading) {
        self.readings.push_back(reading);
        let old = |it: &Reading| reading.at - it.at > WINDOW;
        while self.readings.len() > READINGS_MAX || self.readings.front().is_some_and(old) {
            self.readings.pop_front();
        }
        self.line = Some(fit(&self.readings));
        self.known = Some(reading);
    }

    fn stand(&mut self) -> Option<Event> {
        let ran = self.line.take().is_some();
        self.readings.clear();
        self.candidates.clear();
        self.state = State::Standing;
        ran.then_some(Event::Lost)
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: ShowTime) -> Option<Event> {
        let (Some(known), true) = (self.known, self.line.is_some()) else { return None };
        let silent = now - known.at;
        if silent > self.patience() + self.freewheel {
            self.line = None;
            self.readings.clear();
            self.state = State::Lost;
            return Some(Event::Lost);
        }
        if silent > self.patience() {
            self.state = State::Freewheel;
        }
        None
    }

    /// When [`Chase::tick`] has something to do.
    pub fn next_wake(&self) -> Option<ShowTime> {
        let known = self.known.filter(|_| self.line.is_some())?;
        let waits = match self.state {
            State::Freewheel => self.patience() + self.freewheel,
            _ => self.patience(),
        };
        Some(known.at + waits + Span::from_ns(1))
    }

    fn patience(&self) -> Span {
        self.rate.begins(SILENT_FRAMES)
    }

    /// Where it is; none while it is not followed.
    pub fn position(&self, at: ShowTime) -> Option<Span> {
        self.line.map(|line| line.position(at))
    }

    /// When it comes to a position next, or came within the last minute; none while it is not followed.
    pub fn when(&self, position: Span, now: ShowTime) -> Option<ShowTime> {
        let (line, day) = (self.line?, self.rate.day());
        let ahead = self.further(position, line.position(now));
        let ahead = if day - ahead < JUST_NOW { ahead - day } else { ahead };
        Some(now + Span::from_secs_f64(ahead.secs_f64() / line.speed))
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it is not followed, where it spoke within the last second.
    pub fn trouble(&self, now: ShowTime) -> Option<Trouble> {
        self.trouble.filter(|(_, at)| now - *at < TROUBLE_KEPT).map(|(trouble, _)| trouble)
    }

    /// How fast it runs.
    pub fn speed(&self) -> Option<f64> {
        self.line.map(|line| line.speed)
    }

    /// Where it is, or was last.
    pub fn last_position(&self, at: ShowTime) -> Option<Span> {
        self.position(at).or(self.known.map(|known| known.position))
    }

    /// Since it was heard.
    pub fn age(&self, now: ShowTime) -> Option<Span> {
        self.heard.map(|heard| now - heard)
    }

    /// When it was at a position last; none while it is not followed.
    pub fn was_at(&self, position: Span, now: ShowTime) -> Option<ShowTime> {
        let line = self.line?;
        let gone = self.further(line.position(now), position);
        Some(now - Span::from_secs_f64(gone.secs_f64() / line.speed))
    }

    /// From one position forwards to another, over midnight if need be.
    pub fn further(&self, to: Span, from: Span) -> Span {
        Span::from_ns((to - from).ns().rem_euclid(self.rate.day().ns()))
    }

    /// From one position to another by the shorter way round the day.
    fn apart(&self, to: Span, from: Span) -> Span {
        let (day, ahead) = (self.rate.day(), self.further(to, from));
        if ahead.times(2) > day { ahead - day } else { ahead }
    }
}

/// The straight line through readings, by least squares; at speed 1 while they show none.
fn fit(readings: &VecDeque<Reading>) -> Line {
    let (first, last) = (readings[0], readings[readings.len() - 1]);
    let count = readings.len() as f64;
    let points = || {
        readings
            .iter()
            .map(|it| ((it.at - first.at).secs_f64(), (it.position - first.position).secs_f64()))
    };
    let (x, y) = points().fold((0.0, 0.0), |(x, y), it| (x + it.0 / count, y + it.1 / count));
    let (above, below) = points().fold((0.0, 0.0), |(above, below), it| {
        (above + (it.0 - x) * (it.1 - y), below + (it.0 - x) * (it.0 - x))
    });
    let shows = last.at - first.at >= SPEED_AFTER && below > 0.0;
    let speed = if shows { (above / below).clamp(SPEED.0, SPEED.1) } else { 1.0 };
    let at = first.at + Span::from_secs_f64(x);
    Line { at, position: first.position + Span::from_secs_f64(y), speed }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: FrameRate = FrameRate::Fps25;
    const T0: ShowTime = ShowTime::from_ns(1_795_000_000_000_000_000);

    fn secs(secs: f64) -> Span {
        Span::from_secs_f64(secs)
    }

    struct Deck {
        chase: Chase,
        now: ShowTime,
        position: Span,
        chance: u64,
        events: Vec<Event>,
    }

    impl Deck {
        fn new() -> Self {
            let chase = Chase::new(RATE, Span::from_secs(1));
            Self { chase, now: T0, position: secs(3600.0), chance: 7, events: Vec::new() }
        }

        /// Plays so many frames, each up to `tremble` late.
        fn play(&mut self, frames: u32, speed: f64, tremble: Span) -> &mut Self {
            for _ in 0..frames {
                self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let late = Span::from_ns((self.chance >> 33) as i64 % (tremble.ns() + 1));
                let heard = Heard::frame(Timecode::at(RATE, self.position), self.now + late);
                let event = self.chase.hear(self.now + late, &heard);
                self.events.extend(event);
                self.position += RATE.frame();
                self.now += secs(0.04 / speed);
                self.events.extend(self.chase.tick(self.now));
            }
            self
        }

        fn wait(&mut self, span: Span) -> &mut Self {
            self.now += span;
            self.events.extend(self.chase.tick(self.now));
            self
        }

        fn off(&self) -> Span {
            self.chase.position(self.now).expect("it is followed") - self.position
        }
    }

    #[test]
    fn three_frames_that_agree_are_believed_and_when_the_next_comes_is_known() {
        let mut deck = Deck::new();
        deck.play(2, 1.0, Span::ZERO);
        assert_eq!((deck.chase.state(), deck.events.len()), (State::Locking, 0));
        deck.play(1, 1.0, Span::ZERO);
        assert_eq!(deck.events, [Event::Locked { jumped: true }]);
        let comes = deck.chase.when(secs(3610.0), deck.now).expect("it is followed");
        assert_eq!(comes, T0 + secs(10.0));
    }

    #[test]
    fn a_tape_that_drags_is_followed_at_its_own_speed() {
        for speed in [0.9, 0.97, 1.02, 1.1] {
            let mut deck = Deck::new();
            deck.play(60, speed, Span::ZERO);
            let comes = deck.chase.when(deck.position + secs(1.0), deck.now).expect("followed");
            assert!((comes - deck.now - secs(1.0 / speed)).abs() < secs(1e-6), "{speed}");
        }
    }

    #[test]
    fn a_network_that_trembles_by_five_milliseconds_moves_a_cue_by_less_than_three() {
        let mut deck = Deck::new();
        deck.play(50, 1.0, Span::from_millis(5));
        for _ in 0..200 {
            deck.play(1, 1.0, Span::from_millis(5));
            let comes = deck.chase.when(deck.position + secs(0.4), deck.now).expect("followed");
            // All are late by half of it on the average.
            let off = comes - deck.now - secs(0.4) - secs(0.0025);
            assert!(off.abs() < Span::from_millis(3), "{off}");
        }
    }

    #[test]
    fn silence_is_bridged_for_as_long_as_asked_and_no_longer() {
        let mut deck = Deck::new();
        deck.play(50, 1.0, Span::ZERO).wait(secs(0.3));
        assert_eq!(deck.chase.state(), State::Freewheel);
        assert!((deck.off() - secs(0.3)).abs() < secs(1e-6));
        deck.wait(secs(1.0));
        assert_eq!((deck.chase.state(), deck.chase.position(deck.now)), (State::Lost, None));
        assert_eq!(deck.events.last(), Some(&Event::Lost));
    }

    #[test]
    fn a_dropout_is_no_jump_and_a_jump_is_one_once_three_frames_agree() {
        let mut deck = Deck::new();
        deck.play(50, 1.0, Span::ZERO);
        deck.position += secs(0.4);
        deck.wait(secs(0.4)).play(5, 1.0, Span::ZERO);
        assert_eq!((deck.events.len(), deck.chase.state()), (1, State::Locked));
        deck.position += secs(60.0);
        deck.play(2, 1.0, Span::ZERO);
        assert!((deck.off() + secs(60.0)).abs() < secs(0.001), "the old line goes on");
        deck.play(1, 1.0, Span::ZERO);
        assert_eq!(deck.events.last(), Some(&Event::Locked { jumped: true }));
        assert!(deck.off().abs() < secs(0.001));
    }

    #[test]
    fn frames_that_are_said_to_have_begun_hours_ago_are_not_believed() {
        let mut chase = Chase::new(RATE, Span::from_secs(1));
        for frame in 0..100 {
            let at = T0 + secs(0.04).times(frame);
            let timecode = Timecode::at(RATE, secs(0.04).times(frame));
            assert_eq!(chase.hear(at + secs(7200.0), &Heard::frame(timecode, at)), None);
        }
    }

    #[test]
    fn one_wrong_frame_is_passed_over() {
        let mut deck = Deck::new();
        deck.play(50, 1.0, Span::ZERO);
        let wrong = Heard::frame(Timecode::at(RATE, secs(7.0)), deck.now);
        assert_eq!(deck.chase.hear(deck.now, &wrong), None);
        deck.play(50, 1.0, Span::ZERO);
        assert_eq!((deck.events.len(), deck.chase.state()), (1, State::Locked));
    }

    #[test]
    fn a_machine_that_stands_stops_us_at_once_and_goes_on_without_a_jump() {
        let mut deck = Deck::new();
        deck.play(50, 1.0, Span::ZERO);
        for _ in 0..20 {
            deck.play(1, 1.0, Span::ZERO);
            deck.position -= RATE.frame();
        }
        assert_eq!(deck.chase.state(), State::Standing);
        assert_eq!(deck.events.last(), Some(&Event::Lost));
        deck.play(10, 1.0, Span::ZERO);
        assert_eq!(deck.events.last(), Some(&Event::Locked { jumped: false }));
    }

    #[test]
    fn midnight_is_no_jump() {
        let mut deck = Deck::new();
        deck.position = RATE.day() - secs(1.0);
        deck.play(100, 1.0, Span::ZERO);
        assert_eq!((deck.events.len(), deck.chase.state()), (1, State::Locked));
        let comes = deck.chase.when(secs(10.0), deck.now).expect("followed");
        assert!((comes - deck.now - secs(7.0)).abs() < secs(0.001));
    }

    #[test]
    fn backwards_and_another_rate_are_told_of_and_not_followed() {
        let mut deck = Deck::new();
        deck.play(50, 1.0, Span::ZERO);
        let film = Heard::frame(Timecode::at(FrameRate::Fps24, deck.position), deck.now);
        assert_eq!(deck.chase.hear(deck.now, &film), None);
        assert_eq!(deck.chase.trouble(deck.now), Some(Trouble::WrongRate));
        assert_eq!(deck.chase.hear(deck.now, &Heard::Reverse), None);
        assert_eq!(deck.chase.trouble(deck.now), Some(Trouble::Reverse));
        deck.wait(secs(2.0));
        assert_eq!((deck.chase.state(), deck.chase.trouble(deck.now)), (State::Lost, None));
    }
}
