//! Keeps the socket to the box: opens it, notices its death, knocks again, and paces the clock's questions.
//!
//! In: opened, closed, heard, and the time. Out: what to do now. Never: a socket.
//!
//! Phones drop sockets without a word (iOS does when the screen locks), so silence is the only sign. A box
//! that comes back meets a thousand phones at once, so each waits a time of its own.

use std::collections::VecDeque;

use units::{MonoTime, Span};

use crate::chance::Chance;

/// The link.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    phase: Phase,
    failures: u32,
    /// When the questions without an answer were asked.
    asked: VecDeque<MonoTime>,
    next_ask: MonoTime,
    gap: Span,
    burst_left: u32,
    patience: Patience,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Away { until: MonoTime },
    Opening { since: MonoTime },
    Open { since: MonoTime, heard: MonoTime },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Usual,
    /// The box is full: come back late.
    Long,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Open,
    Close,
    Ask,
}

/// Ten questions a second are allowed (SX-17); a burst at eight stays clear of it.
const BURST_GAP: Span = Span::from_millis(125);
/// What the crystal does in 2 s is a microsecond or so; the questions are the heartbeat, too.
const CALM_GAP: Span = Span::from_secs(2);
const BURST: u32 = 10;
/// Three heartbeats and a roam between access points.
const SILENCE_MAX: Span = Span::from_millis(6_500);
const OPENING_MAX: Span = Span::from_secs(6);
const BACKOFF_FIRST: Span = Span::from_millis(400);
const BACKOFF_MAX: Span = Span::from_secs(8);
const BACKOFF_FULL: Span = Span::from_secs(20);
/// A socket that lived this long was no failure.
const HEALTHY_AFTER: Span = Span::from_secs(10);
const ASKED_MAX: usize = 16;

impl Link {
    pub(crate) fn new(now: MonoTime) -> Self {
        Self {
            phase: Phase::Away { until: now },
            failures: 0,
            asked: VecDeque::new(),
            next_ask: now,
            gap: BURST_GAP,
            burst_left: BURST,
            patience: Patience::Usual,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// The socket opened: the burst begins.
    pub(crate) fn handle_opened(&mut self, now: MonoTime) {
        self.phase = Phase::Open { since: now, heard: now };
        self.patience = Patience::Usual;
        self.begin_burst(now);
    }

    /// The socket closed, or would not open.
    pub(crate) fn handle_closed(&mut self, now: MonoTime, chance: &mut Chance) {
        if let Phase::Open { since, .. } = self.phase
            && now - since > HEALTHY_AFTER
        {
            self.failures = 0;
        }
        if !matches!(self.phase, Phase::Away { .. }) {
            self.phase = Phase::Away { until: now + self.backoff(chance) };
            self.failures += 1;
        }
    }

    /// The box said something, whatever it was.
    pub(crate) fn handle_heard(&mut self, now: MonoTime) {
        if let Phase::Open { heard, .. } = &mut self.phase {
            *heard = now;
        }
    }

    /// The page came back to the front: no use in waiting.
    pub(crate) fn handle_woke(&mut self, now: MonoTime) {
        match &mut self.phase {
            Phase::Away { until } if self.patience == Patience::Usual => *until = now,
            Phase::Open { .. } => self.begin_burst(now),
            _ => {}
        }
    }

    /// The box said that it is full.
    pub(crate) fn handle_full(&mut self) {
        self.patience = Patience::Long;
    }

    /// The box asked for fewer questions.
    pub(crate) fn handle_rate_limited(&mut self, now: MonoTime) {
        self.burst_left = 0;
        self.gap = CALM_GAP;
        self.next_ask = now + CALM_GAP;
    }

    /// An answer came: the time at which its question was asked, if we asked it.
    pub(crate) fn answered(&mut self, t1_micros: i64) -> Option<MonoTime> {
        let place = self.asked.iter().position(|t1| t1.ns().div_euclid(1_000) == t1_micros)?;
        self.asked.drain(..=place).next_back()
    }

    /// What to do now, once per call; none when nothing is due.
    pub(crate) fn poll(&mut self, now: MonoTime) -> Option<Wish> {
        match self.phase {
            Phase::Away { until } if now >= until => {
                self.phase = Phase::Opening { since: now };
                Some(Wish::Open)
            }
            Phase::Opening { since } if now - since > OPENING_MAX => Some(Wish::Close),
            Phase::Open { heard, .. } if now - heard > SILENCE_MAX => Some(Wish::Close),
            Phase::Open { .. } if now >= self.next_ask => {
                self.ask(now);
                Some(Wish::Ask)
            }
            _ => None,
        }
    }

    /// When `poll` has something next.
    pub(crate) fn next_wake(&self) -> MonoTime {
        match self.phase {
            Phase::Away { until } => until,
            Phase::Opening { since } => since + OPENING_MAX + Span::from_millis(1),
            Phase::Open { heard, .. } => {
                self.next_ask.min(heard + SILENCE_MAX + Span::from_millis(1))
            }
        }
    }

    fn begin_burst(&mut self, now: MonoTime) {
        self.asked.clear();
        self.gap = BURST_GAP;
        self.burst_left = BURST;
        self.next_ask = now;
    }

    fn ask(&mut self, now: MonoTime) {
        self.asked.push_back(now);
        if self.asked.len() > ASKED_MAX {
            self.asked.pop_front();
        }
        self.burst_left = self.burst_left.saturating_sub(1);
        if self.burst_left == 0 {
            self.gap = Span::from_ns(self.gap.ns() * 3 / 2).min(CALM_GAP);
        }
        self.next_ask = now + self.gap;
    }

    fn backoff(&self, chance: &mut Chance) -> Span {
        let longest = match self.patience {
            Patience::Long => BACKOFF_FULL,
            Patience::Usual => BACKOFF_FIRST.times(1 << self.failures.min(6)).min(BACKOFF_MAX),
        };
        Span::from_secs_f64(longest.secs_f64() * (0.25 + 0.75 * chance.share()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> MonoTime {
        MonoTime::from_ns(ms * 1_000_000)
    }

    fn opened() -> Link {
        let mut link = Link::new(at(0));
        assert_eq!(link.poll(at(0)), Some(Wish::Open));
        link.handle_opened(at(10));
        link
    }

    /// Steps from wake to wake and answers each question at once.
    fn asks(link: &mut Link, until_ms: i64) -> Vec<MonoTime> {
        let mut asks = Vec::new();
        while link.next_wake() < at(until_ms) {
            let now = link.next_wake();
            while let Some(wish) = link.poll(now) {
                assert_eq!(wish, Wish::Ask);
                link.handle_heard(now);
                asks.push(now);
            }
        }
        asks
    }

    #[test]
    fn sx17_a_burst_then_a_calm_heartbeat_and_never_more_than_ten_a_second() {
        let asks = asks(&mut opened(), 60_000);
        for eleven in asks.windows(11) {
            assert!(eleven[10] - eleven[0] > Span::from_secs(1));
        }
        assert!(asks[9] - asks[0] < Span::from_millis(1_300), "the burst");
        assert_eq!(asks[asks.len() - 1] - asks[asks.len() - 2], CALM_GAP);
    }

    #[test]
    fn a_socket_that_died_without_a_word_is_closed_after_seven_seconds() {
        let mut link = opened();
        let mut closed = None;
        while closed.is_none() && link.next_wake() < at(60_000) {
            let now = link.next_wake();
            closed = link.poll(now).filter(|wish| *wish == Wish::Close).map(|_| now);
        }
        assert!(closed.is_some_and(|closed| closed < at(7_000)), "{closed:?}");
    }

    #[test]
    fn a_thousand_phones_do_not_knock_together_and_none_gives_up() {
        let mut firsts = Vec::new();
        for seed in 0..1_000 {
            let (mut link, mut chance) = (opened(), Chance::new(seed));
            for _ in 0..20 {
                link.handle_closed(at(100), &mut chance);
                let Phase::Away { until } = link.phase else { panic!("closed") };
                assert!(until - at(100) <= BACKOFF_MAX);
                firsts.push(until);
                link.phase = Phase::Opening { since: at(100) };
            }
        }
        firsts.sort_unstable();
        firsts.dedup();
        assert!(firsts.len() > 15_000);
    }

    #[test]
    fn an_answer_finds_its_question_and_a_made_up_one_finds_none() {
        let mut link = opened();
        assert_eq!(link.poll(at(20)), Some(Wish::Ask));
        assert_eq!(link.answered(999), None);
        assert_eq!(link.answered(20_000), Some(at(20)));
        assert_eq!(link.answered(20_000), None);
    }

    #[test]
    fn a_page_that_comes_back_to_the_front_knocks_at_once() {
        let (mut link, mut chance) = (opened(), Chance::new(1));
        link.handle_closed(at(50), &mut chance);
        assert_eq!(link.poll(at(51)), None);
        link.handle_woke(at(52));
        assert_eq!(link.poll(at(52)), Some(Wish::Open));
    }
}
