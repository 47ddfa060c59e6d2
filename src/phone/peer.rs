//! The peer connection to the box (WebRTC): when it is offered, when its way is looked for anew, when it is given up.
//!
//! In: where the box waits for an offer, how the connection stands, whether questions on it are answered, and the time.
//! Out: wishes for the page. Never: a socket, a session description.
//!
//! A phone that roams or sleeps keeps its connection and looks for another way (ICE restart, RFC 8445, 2.4): channels,
//! track and what was learnt of the box's clock stay. Browsers notice after some seconds that nothing comes; a page
//! that comes back to the front asks the time on it at once, and one second and a half without an answer is enough.
//! The box, too, drops a connection in the end; then there is a new one.

use units::{MonoTime, Span};
use wire::solusync::Signaling;

use crate::chance::Chance;
use crate::told::PeerLink;

/// The connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Where the box waits for an offer; none where it takes none, or nobody knows.
    door: Option<Signaling>,
    phase: Phase,
    /// Times that it came to nothing since it last was up.
    failures: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody wants it.
    Shut,
    Away {
        until: MonoTime,
    },
    /// Until its channels are open: where a way was found the handshake may still come to nothing, and browsers do not
    /// say so.
    Opening {
        since: MonoTime,
    },
    Up {
        /// A question was put then to see whether it lives.
        doubted: Option<MonoTime>,
    },
    /// It was up, and nothing comes.
    Down {
        since: MonoTime,
        next: Step,
        at: MonoTime,
    },
}

/// What is done by turns while nothing comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Restart,
    Probe,
}

/// What the page is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Offer a new one; whatever was before is dropped.
    Open(Signaling),
    /// Offer another way for the one there is.
    Restart,
    /// Ask the time on it: browsers do not always say that a way was found.
    Probe,
    /// Drop it.
    Close,
}

/// Phones come all at once when a box begins; each offer costs it cryptography.
const STAGGER: Span = Span::from_secs(1);
/// Over satellites and a TURN server five round trips take three seconds; then some packets get lost.
const OPENING_MAX: Span = Span::from_secs(15);
/// One that lives answers within this.
const PATIENCE: Span = Span::from_millis(1_500);
/// Browsers try each way for some seconds: half of this after a restart it is seen what came of it.
const RESTART_EVERY: Span = Span::from_secs(4);
const PROBE_AFTER: Span = Span::from_secs(2);
/// The box gives it up after a minute.
const LOST_AFTER: Span = Span::from_secs(50);
const BACKOFF_FIRST: Span = Span::from_secs(2);
/// A network that lets no UDP through stays so, but a phone may come to another one.
const BACKOFF_MAX: Span = Span::from_secs(60);

impl Peer {
    pub(crate) fn new() -> Self {
        Self { door: None, phase: Phase::Shut, failures: 0 }
    }

    /// The box said where it waits. Each `/ws` has a room of its own, and the box has dropped what the one before led
    /// to.
    pub(crate) fn handle_door(
        &mut self,
        now: MonoTime,
        door: Option<Signaling>,
        chance: &mut Chance,
    ) {
        if self.door == door {
            return;
        }
        let wait = Span::from_secs_f64(STAGGER.secs_f64() * chance.share());
        (self.door, self.failures) = (door, 0);
        self.phase = match self.phase {
            // Without a door it is closed at once.
            Phase::Shut if self.door.is_none() => Phase::Shut,
            _ => Phase::Away { until: if self.door.is_some() { now + wait } else { now } },
        };
    }

    /// The page says how it stands.
    pub(crate) fn handle_link(&mut self, now: MonoTime, link: PeerLink, chance: &mut Chance) {
        self.phase = match (self.phase, link) {
            (Phase::Up { .. }, PeerLink::Connected) => Phase::Up { doubted: None },
            // Until a question is answered, those that were not still count.
            (Phase::Down { since, .. }, PeerLink::Connected) => {
                Phase::Down { since, next: Step::Probe, at: now }
            }
            (Phase::Up { .. }, PeerLink::Disconnected) => down(now),
            (Phase::Opening { .. } | Phase::Up { .. } | Phase::Down { .. }, PeerLink::Closed) => {
                self.away(now, chance)
            }
            (phase, _) => phase,
        };
    }

    /// Its channel for the time is open.
    pub(crate) fn handle_opened(&mut self) {
        if matches!(self.phase, Phase::Opening { .. }) {
            (self.phase, self.failures) = (Phase::Up { doubted: None }, 0);
        }
    }

    /// The page came back to the front, perhaps on another Wi-Fi; true if it is to be seen whether the connection lives.
    pub(crate) fn handle_woke(&mut self, now: MonoTime) -> bool {
        match &mut self.phase {
            Phase::Away { until } => *until = now,
            Phase::Down { next, at, .. } => (*next, *at) = (Step::Restart, now),
            Phase::Up { doubted } => *doubted = doubted.or(Some(now)),
            Phase::Shut | Phase::Opening { .. } => {}
        }
        matches!(self.phase, Phase::Up { .. })
    }

    /// A question on it was answered.
    pub(crate) fn handle_answered(&mut self) {
        if matches!(self.phase, Phase::Up { .. } | Phase::Down { .. }) {
            (self.phase, self.failures) = (Phase::Up { doubted: None }, 0);
        }
    }

    /// Questions on it go unanswered.
    pub(crate) fn handle_mute(&mut self, now: MonoTime) {
        if matches!(self.phase, Phase::Up { .. }) {
            self.phase = down(now);
        }
    }

    /// What the page is to do now; none when nothing is due.
    pub(crate) fn poll(&mut self, now: MonoTime, chance: &mut Chance) -> Option<Wish> {
        match self.phase {
            Phase::Away { until } if until <= now => Some(self.open(now)),
            Phase::Opening { since } if now - since >= OPENING_MAX => {
                Some(self.give_up(now, chance))
            }
            Phase::Up { doubted: Some(since) } if now - since >= PATIENCE => {
                self.phase = down(now);
                self.poll(now, chance)
            }
            Phase::Down { since, .. } if now - since >= LOST_AFTER => {
                Some(self.give_up(now, chance))
            }
            Phase::Down { since, next, at } if at <= now => {
                let (wish, next, wait) = match next {
                    Step::Restart => (Wish::Restart, Step::Probe, PROBE_AFTER),
                    Step::Probe => (Wish::Probe, Step::Restart, RESTART_EVERY - PROBE_AFTER),
                };
                self.phase = Phase::Down { since, next, at: now + wait };
                Some(wish)
            }
            _ => None,
        }
    }

    /// When [`Peer::poll`] has something next; none while nothing is under way.
    pub(crate) fn next_wake(&self) -> Option<MonoTime> {
        match self.phase {
            Phase::Shut => None,
            Phase::Away { until } => Some(until),
            Phase::Opening { since } => Some(since + OPENING_MAX),
            Phase::Up { doubted } => doubted.map(|since| since + PATIENCE),
            Phase::Down { since, at, .. } => Some(at.min(since + LOST_AFTER)),
        }
    }

    fn open(&mut self, now: MonoTime) -> Wish {
        match self.door.clone() {
            Some(door) => {
                self.phase = Phase::Opening { since: now };
                Wish::Open(door)
            }
            None => {
                self.phase = Phase::Shut;
                Wish::Close
            }
        }
    }

    fn give_up(&mut self, now: MonoTime, chance: &mut Chance) -> Wish {
        self.phase = self.away(now, chance);
        Wish::Close
    }

    fn away(&mut self, now: MonoTime, chance: &mut Chance) -> Phase {
        let longest = BACKOFF_FIRST.times(1 << self.failures.min(6)).min(BACKOFF_MAX);
        self.failures += 1;
        let wait = longest.secs_f64() * (0.5 + 0.5 * chance.share());
        Phase::Away { until: now + Span::from_secs_f64(wait) }
    }
}

fn down(now: MonoTime) -> Phase {
    Phase::Down { since: now, next: Step::Restart, at: now }
}

#[cfg(test)]
mod tests {
    use PeerLink::{Closed, Connected, Disconnected};
    use uuid::Uuid;

    use super::*;

    fn at(ms: i64) -> MonoTime {
        MonoTime::from_ns(ms * 1_000_000)
    }

    fn door(number: u128) -> Signaling {
        let [room_id, participant_id] = [number, number + 1].map(Uuid::from_u128);
        Signaling { room_id, participant_id, ice_servers: Vec::new() }
    }

    struct Phone {
        peer: Peer,
        chance: Chance,
    }

    impl Phone {
        /// One that has been told of a room.
        fn told() -> Self {
            let mut phone = Self { peer: Peer::new(), chance: Chance::new(3) };
            phone.peer.handle_door(at(0), Some(door(1)), &mut phone.chance);
            phone
        }

        fn up() -> Self {
            let mut phone = Self::told();
            assert_eq!(phone.wishes(0, 1_001), [(phone.opened(), Wish::Open(door(1)))]);
            phone.open(1_200);
            phone
        }

        fn open(&mut self, ms: i64) {
            self.link(ms, Connected);
            self.peer.handle_opened();
        }

        /// When the first wish of this seed's phone comes.
        fn opened(&self) -> i64 {
            let mut again = Self::told();
            let first = again.peer.next_wake().expect("it will open");
            assert!(again.peer.poll(first, &mut again.chance).is_some());
            first.ns().div_euclid(1_000_000)
        }

        fn link(&mut self, ms: i64, link: PeerLink) {
            self.peer.handle_link(at(ms), link, &mut self.chance);
        }

        /// What is wished for from wake to wake, if nothing happens; milliseconds.
        fn wishes(&mut self, from: i64, until: i64) -> Vec<(i64, Wish)> {
            let (mut wishes, mut now) = (Vec::new(), at(from));
            while let Some(wake) = self.peer.next_wake().filter(|wake| *wake < at(until)) {
                now = now.max(wake);
                let wish = self.peer.poll(now, &mut self.chance);
                wishes.extend(wish.map(|wish| (now.ns() / 1_000_000, wish)));
            }
            wishes
        }
    }

    #[test]
    fn a_way_that_was_found_is_asked_on_before_another_is_looked_for() {
        let mut phone = Phone::up();
        phone.link(10_000, Disconnected);
        assert_eq!(phone.wishes(10_000, 10_500), [(10_000, Wish::Restart)]);
        phone.link(11_000, Connected);
        // The questions of before are still unanswered.
        phone.peer.handle_mute(at(11_000));
        assert_eq!(phone.wishes(11_000, 12_000), [(11_000, Wish::Probe)]);
        phone.peer.handle_answered();
        assert_eq!(phone.wishes(12_000, 3_600_000), []);
    }

    #[test]
    fn a_phone_that_was_told_of_a_room_offers_once_within_a_second() {
        let mut phone = Phone::told();
        let wishes = phone.wishes(0, 14_000);
        assert!(matches!(wishes[..], [(0..=1_000, Wish::Open(_))]), "{wishes:?}");
        phone.open(1_200);
        assert_eq!(phone.wishes(1_200, 3_600_000), []);
        phone.peer.handle_door(at(2_000), Some(door(1)), &mut phone.chance);
        assert_eq!(phone.peer.next_wake(), None, "nothing new");
    }

    #[test]
    fn one_whose_handshake_comes_to_nothing_is_given_up_and_offered_anew() {
        let mut phone = Phone::told();
        assert_eq!(phone.wishes(0, 1_001).len(), 1);
        phone.link(1_200, Connected);
        let wishes = phone.wishes(1_200, 19_000);
        assert!(matches!(wishes[..], [(_, Wish::Close), (_, Wish::Open(_))]), "{wishes:?}");
    }

    #[test]
    fn a_box_that_takes_no_peers_is_left_alone() {
        let mut phone = Phone { peer: Peer::new(), chance: Chance::new(1) };
        phone.peer.handle_door(at(0), None, &mut phone.chance);
        assert!(!phone.peer.handle_woke(at(1)));
        assert_eq!((phone.wishes(0, 100_000), phone.peer.next_wake()), (vec![], None));
    }

    #[test]
    fn a_connection_on_which_nothing_comes_looks_for_another_way_until_it_is_given_up() {
        let mut phone = Phone::up();
        phone.link(10_000, Disconnected);
        let wishes = phone.wishes(10_000, 61_000);
        let steps = (0..25)
            .map(|k| (10_000 + 2_000 * k, [Wish::Restart, Wish::Probe][k as usize % 2].clone()));
        assert_eq!(wishes, steps.chain([(60_000, Wish::Close)]).collect::<Vec<_>>());
        let reopened = phone.wishes(61_000, 62_100);
        assert!(matches!(reopened[..], [(_, Wish::Open(_))]), "{reopened:?}");
    }

    #[test]
    fn another_way_that_was_found_ends_the_search() {
        let mut phone = Phone::up();
        phone.link(10_000, Disconnected);
        assert_eq!(phone.wishes(10_000, 11_000).len(), 1);
        phone.link(11_000, Connected);
        assert_eq!(phone.wishes(11_000, 11_500), [(11_000, Wish::Probe)]);
        phone.peer.handle_answered();
        assert_eq!(phone.wishes(11_500, 20_000), []);
        phone.link(20_000, Disconnected);
        assert_eq!(phone.wishes(20_000, 22_100).len(), 2);
        phone.peer.handle_answered();
        assert_eq!(
            phone.wishes(22_100, 100_000),
            [],
            "the browser did not say so, but an answer came"
        );
    }

    #[test]
    fn a_page_that_wakes_sees_within_a_second_and_a_half_whether_its_connection_lives() {
        let mut phone = Phone::up();
        assert!(phone.peer.handle_woke(at(5_000)), "somebody asks on it");
        phone.peer.handle_answered();
        assert_eq!(phone.wishes(5_000, 10_000), [], "it lives");
        assert!(phone.peer.handle_woke(at(10_000)));
        assert!(phone.peer.handle_woke(at(11_000)), "again, which does not make it wait longer");
        assert_eq!(phone.wishes(10_000, 12_000), [(11_500, Wish::Restart)]);
        assert!(!phone.peer.handle_woke(at(12_500)), "it is known to be down");
        assert_eq!(phone.wishes(12_500, 13_000), [(12_500, Wish::Restart)]);
    }

    #[test]
    fn one_that_goes_mute_without_a_word_of_the_browsers_looks_for_another_way() {
        let mut phone = Phone::up();
        phone.peer.handle_mute(at(9_000));
        phone.peer.handle_mute(at(9_100));
        assert_eq!(phone.wishes(9_000, 10_000), [(9_000, Wish::Restart)]);
    }

    #[test]
    fn one_that_comes_to_nothing_is_tried_ever_more_seldom_and_at_once_when_the_page_wakes() {
        let mut phone = Phone::told();
        let wishes = phone.wishes(0, 900_000);
        let opened: Vec<i64> = wishes
            .iter()
            .filter(|(_, wish)| matches!(wish, Wish::Open(_)))
            .map(|(ms, _)| *ms)
            .collect();
        let gaps: Vec<i64> = opened.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(gaps[0] < 18_000 && gaps.iter().all(|gap| *gap <= 75_000), "{gaps:?}");
        assert!(gaps.last().is_some_and(|gap| *gap >= 45_000), "{gaps:?}");
        phone.link(900_000, Closed);
        phone.peer.handle_woke(at(900_100));
        assert!(matches!(phone.wishes(900_100, 900_200)[..], [(900_100, Wish::Open(_))]));
    }

    #[test]
    fn another_room_means_another_connection_and_none_closes_it() {
        let mut phone = Phone::up();
        phone.peer.handle_door(at(5_000), Some(door(7)), &mut phone.chance);
        let wishes = phone.wishes(5_000, 6_001);
        assert!(matches!(&wishes[..], [(_, Wish::Open(it))] if *it == door(7)), "{wishes:?}");
        phone.open(6_100);
        phone.peer.handle_door(at(7_000), None, &mut phone.chance);
        assert_eq!(phone.wishes(7_000, 100_000), [(7_000, Wish::Close)]);
    }

    #[test]
    fn late_words_of_one_that_was_dropped_mean_nothing() {
        let mut phone = Phone::up();
        phone.link(2_000, Closed);
        let Some(wake) = phone.peer.next_wake() else { panic!("it comes again") };
        for word in [Connected, Disconnected, Closed] {
            phone.link(2_001, word);
            assert_eq!(phone.peer.next_wake(), Some(wake));
        }
    }

    #[test]
    fn a_thousand_phones_of_a_box_that_began_do_not_offer_together() {
        let mut firsts: Vec<MonoTime> = (0..1_000)
            .filter_map(|seed| {
                let (mut peer, mut chance) = (Peer::new(), Chance::new(seed));
                peer.handle_door(at(0), Some(door(1)), &mut chance);
                peer.next_wake()
            })
            .collect();
        firsts.sort_unstable();
        let crowded = firsts.windows(100).map(|some| some[99] - some[0]).min().expect("many");
        assert!(crowded > Span::from_millis(50), "a hundred within {crowded}");
    }
}
