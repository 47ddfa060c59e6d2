//! Keeps the socket to the box: opens it, notices its death, knocks again.
//!
//! In: opened, closed, heard, and the time. Out: what to do now. Never: a socket, nor to which box (`boxes`).
//!
//! Phones drop sockets without a word (iOS does when the screen locks), so silence is the only sign. A box
//! that comes back meets a thousand phones at once, so each waits a time of its own.

use units::{MonoTime, Span};

use crate::boxes::Knock;
use crate::chance::Chance;

/// The link.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    phase: Phase,
    failures: u32,
    patience: Patience,
    /// Longest silence.
    silence: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Away { until: MonoTime },
    Opening { until: MonoTime },
    Open { since: MonoTime, heard: MonoTime, probed: MonoTime, woke: bool },
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
    /// Close: the box has fallen silent, though nothing happened to this phone.
    Leave,
    /// Say something that is answered: the box has been silent for long.
    Probe,
}

/// The box says every 5 s how it fares. Silent for longer, it is asked something, again and again.
const PROBE_AFTER: Span = Span::from_millis(5_500);
const PROBE_EVERY: Span = Span::from_millis(1_500);
/// A status that is due, a roam between access points, and an answer.
const SILENCE_MAX: Span = Span::from_millis(9_500);
/// Where there is another box to go to, and nothing is lost by looking there.
const SILENCE_MAX_OF_SEVERAL: Span = Span::from_millis(7_000);
const PROBE_EVERY_OF_SEVERAL: Span = Span::from_millis(700);
/// A page that was put to sleep may have lost its socket long ago: it hears from the box within this, or it has.
const AWAKE_SILENCE_MAX: Span = Span::from_millis(3_500);
/// A page that is looked at so much later than it asked for stood still.
const ASLEEP: Span = Span::from_secs(2);
const BACKOFF_FIRST: Span = Span::from_millis(400);
const BACKOFF_MAX: Span = Span::from_secs(8);
const BACKOFF_FULL: Span = Span::from_secs(20);
/// A socket that lived this long was no failure.
const HEALTHY_AFTER: Span = Span::from_secs(10);

impl Link {
    pub(crate) fn new(now: MonoTime) -> Self {
        let phase = Phase::Away { until: now };
        Self { phase, failures: 0, patience: Patience::Usual, silence: SILENCE_MAX }
    }

    /// Whether there is another box.
    pub(crate) fn handle_several(&mut self, are_several: bool) {
        self.silence = if are_several { SILENCE_MAX_OF_SEVERAL } else { SILENCE_MAX };
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// Neither open nor about to be.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self.phase, Phase::Away { .. })
    }

    /// The socket opened.
    pub(crate) fn handle_opened(&mut self, now: MonoTime) {
        self.phase = Phase::Open { since: now, heard: now, probed: now, woke: false };
        self.patience = Patience::Usual;
    }

    /// The socket closed, or would not open.
    pub(crate) fn handle_closed(&mut self, now: MonoTime, knock: Knock, chance: &mut Chance) {
        if let Phase::Open { since, .. } = self.phase
            && now - since > HEALTHY_AFTER
        {
            self.failures = 0;
        }
        match knock {
            Knock::AtOnce => self.phase = Phase::Away { until: now },
            Knock::Later => {
                self.phase = Phase::Away { until: now + self.backoff(chance) };
                self.failures += 1;
            }
        }
    }

    /// It is let go, for another one elsewhere.
    pub(crate) fn handle_let_go(&mut self, now: MonoTime) {
        self.phase = Phase::Away { until: now };
    }

    /// The box said something, whatever it was.
    pub(crate) fn handle_heard(&mut self, now: MonoTime) {
        if let Phase::Open { heard, woke, .. } = &mut self.phase {
            (*heard, *woke) = (now, false);
        }
    }

    /// The page came back to the front: no use in waiting.
    pub(crate) fn handle_woke(&mut self, now: MonoTime) {
        let (long_ago, every) = (now - (self.silence - AWAKE_SILENCE_MAX), self.probe_every());
        match &mut self.phase {
            Phase::Away { until } if self.patience == Patience::Usual => *until = now,
            Phase::Open { heard, probed, woke, .. } => {
                (*heard, *probed, *woke) = ((*heard).min(long_ago), now - every, true);
            }
            _ => {}
        }
    }

    /// The box said that it is full.
    pub(crate) fn handle_full(&mut self) {
        self.patience = Patience::Long;
    }

    /// What to do now, once per call; none when nothing is due. A socket may take `opening` to open.
    pub(crate) fn poll(&mut self, now: MonoTime, opening: Span) -> Option<Wish> {
        self.notice_sleep(now);
        let (silence, every) = (self.silence, self.probe_every());
        match &mut self.phase {
            Phase::Away { until } if now >= *until => {
                self.phase = Phase::Opening { until: now + opening };
                Some(Wish::Open)
            }
            Phase::Opening { until } if now > *until => Some(Wish::Close),
            Phase::Open { heard, woke, .. } if now - *heard > silence => {
                Some(if *woke { Wish::Close } else { Wish::Leave })
            }
            Phase::Open { heard, probed, woke, .. }
                if now >= probe_at((*heard, *woke), *probed, every) =>
            {
                *probed = now;
                Some(Wish::Probe)
            }
            _ => None,
        }
    }

    /// When `poll` has something next.
    pub(crate) fn next_wake(&self) -> MonoTime {
        match self.phase {
            Phase::Away { until } => until,
            Phase::Opening { until } => until + Span::from_millis(1),
            Phase::Open { heard, probed, woke, .. } => {
                let silent = heard + self.silence + Span::from_millis(1);
                probe_at((heard, woke), probed, self.probe_every()).min(silent)
            }
        }
    }

    /// Asked so long after it wanted to be, the page stood still, and nobody has said so yet: what the box said meanwhile may wait
    /// behind this.
    fn notice_sleep(&mut self, now: MonoTime) {
        let is_late = now - self.next_wake() > ASLEEP;
        let (asked, every) = (now - (self.silence - AWAKE_SILENCE_MAX), self.probe_every());
        match &mut self.phase {
            Phase::Open { heard, probed, woke: woke @ false, .. } if is_late => {
                (*heard, *probed, *woke) = (asked, now - every, true);
            }
            _ => {}
        }
    }

    fn probe_every(&self) -> Span {
        if self.silence == SILENCE_MAX { PROBE_EVERY } else { PROBE_EVERY_OF_SEVERAL }
    }

    fn backoff(&self, chance: &mut Chance) -> Span {
        let longest = match self.patience {
            Patience::Long => BACKOFF_FULL,
            Patience::Usual => BACKOFF_FIRST.times(1 << self.failures.min(6)).min(BACKOFF_MAX),
        };
        Span::from_secs_f64(longest.secs_f64() * (0.25 + 0.75 * chance.share()))
    }
}

fn probe_at((heard, woke): (MonoTime, bool), probed: MonoTime, every: Span) -> MonoTime {
    let due = probed + every;
    if woke { due } else { due.max(heard + PROBE_AFTER) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENING: Span = Span::from_secs(6);

    fn at(ms: i64) -> MonoTime {
        MonoTime::from_ns(ms * 1_000_000)
    }

    fn opened() -> Link {
        let mut link = Link::new(at(0));
        assert_eq!(link.poll(at(0), OPENING), Some(Wish::Open));
        link.handle_opened(at(10));
        link
    }

    /// Steps from wake to wake, and hears nothing; gives what was wished for and when.
    fn silent(link: &mut Link, from: MonoTime, until: MonoTime) -> Vec<(MonoTime, Wish)> {
        let mut wishes = Vec::new();
        while link.next_wake() < until
            && !matches!(wishes.last(), Some((_, Wish::Close | Wish::Leave)))
        {
            let now = link.next_wake().max(from);
            wishes.extend(link.poll(now, OPENING).map(|wish| (now, wish)));
        }
        wishes
    }

    #[test]
    fn a_box_that_says_how_it_fares_is_never_probed() {
        let mut link = opened();
        for k in 1..20 {
            assert_eq!(silent(&mut link, at(0), at(5_000 * k)), []);
            link.handle_heard(at(5_000 * k));
        }
    }

    #[test]
    fn a_socket_that_died_without_a_word_is_probed_and_closed_after_ten_seconds() {
        let wishes = silent(&mut opened(), at(0), at(60_000));
        let probes = wishes.iter().filter(|(_, wish)| *wish == Wish::Probe).count();
        assert_eq!(probes, 3, "{wishes:?}");
        assert!(wishes.last().is_some_and(|(closed, _)| *closed < at(10_000)), "{wishes:?}");
    }

    #[test]
    fn where_there_is_another_box_a_silent_one_is_left_after_seven_seconds_and_two_probes() {
        let mut link = opened();
        link.handle_several(true);
        let wishes = silent(&mut link, at(0), at(60_000));
        let words: Vec<Wish> = wishes.iter().map(|(_, wish)| *wish).collect();
        assert_eq!(words, [Wish::Probe, Wish::Probe, Wish::Probe, Wish::Leave]);
        assert!(wishes.last().is_some_and(|(left, _)| *left < at(7_100)), "{wishes:?}");
    }

    #[test]
    fn a_page_that_stood_still_asks_before_it_leaves_a_box_that_lives() {
        let mut link = opened();
        link.handle_several(true);
        let now = at(60_000);
        assert_eq!(link.poll(now, OPENING), Some(Wish::Probe), "it was frozen for a minute");
        assert_eq!(link.poll(now, OPENING), None);
        assert!(link.next_wake() > now && link.next_wake() < at(63_600));
        link.handle_heard(at(60_200));
        assert_eq!(silent(&mut link, at(60_200), at(65_000)), [], "and it lives");
        let wishes = silent(&mut link, at(65_000), at(120_000));
        assert_eq!(wishes.last().map(|(_, wish)| *wish), Some(Wish::Leave));
    }

    #[test]
    fn a_page_that_is_told_that_it_has_slept_for_long_knocks_again_at_once() {
        for are_several in [false, true] {
            let mut link = opened();
            link.handle_several(are_several);
            link.handle_woke(at(60_000));
            assert_eq!(link.poll(at(60_000), OPENING), Some(Wish::Close), "{are_several}");
        }
    }

    #[test]
    fn where_there_is_another_box_a_page_that_wakes_asks_at_once_too() {
        let mut link = opened();
        link.handle_several(true);
        link.handle_woke(at(1_000));
        assert_eq!(link.poll(at(1_000), OPENING), Some(Wish::Probe));
        let wishes = silent(&mut link, at(1_000), at(60_000));
        let closed = wishes.last().expect("it gives up");
        assert!(
            closed.1 == Wish::Close && closed.0 > at(4_400) && closed.0 < at(4_600),
            "{wishes:?}"
        );
    }

    #[test]
    fn a_page_that_wakes_learns_within_seconds_whether_its_socket_lives() {
        let mut link = opened();
        link.handle_heard(at(4_000));
        link.handle_woke(at(5_000));
        let wishes = silent(&mut link, at(5_000), at(60_000));
        assert_eq!(wishes[0], (at(5_000), Wish::Probe));
        assert_eq!(wishes.last().map(|(_, wish)| *wish), Some(Wish::Close), "the box is no worse");
        assert!(wishes.last().is_some_and(|(closed, _)| *closed < at(8_600)), "{wishes:?}");
    }

    #[test]
    fn a_thousand_phones_do_not_knock_together_and_none_gives_up() {
        let mut firsts = Vec::new();
        for seed in 0..1_000 {
            let (mut link, mut chance) = (opened(), Chance::new(seed));
            for _ in 0..20 {
                link.handle_closed(at(100), Knock::Later, &mut chance);
                let Phase::Away { until } = link.phase else { panic!("closed") };
                assert!(until - at(100) <= BACKOFF_MAX);
                firsts.push(until);
                link.phase = Phase::Opening { until: at(6_100) };
            }
        }
        firsts.sort_unstable();
        firsts.dedup();
        assert!(firsts.len() > 15_000);
    }

    #[test]
    fn a_page_that_comes_back_to_the_front_knocks_at_once() {
        let (mut link, mut chance) = (opened(), Chance::new(1));
        link.handle_closed(at(50), Knock::Later, &mut chance);
        assert_eq!(link.poll(at(51), OPENING), None);
        link.handle_woke(at(52));
        assert_eq!(link.poll(at(52), OPENING), Some(Wish::Open));
    }
}
