//! Whether other boxes say the same time as the master does.
//!
//! In: exchanges of four stamps with other boxes. Out: agree, disagree or unknown, for each and all in all.
//! Never: steering by them.
//!
//! A box can follow a master and be wrong: two masters in a split network, a switch that corrects badly, a stamp that
//! lies. Every figure of its own is fine then; another box's clock is not. So boxes ask each other, and a difference
//! beyond what both may be off says that one of them is wrong. Which, the majority decides: one liar among three
//! convinces nobody; of two boxes that contradict each other neither may call itself locked.

use std::net::IpAddr;

use units::{MonoTime, ShowTime, Span};

use super::glance::{Agreement, PeerGlance};
use super::news::PeerExchange;
use super::settings::Settings;

/// More boxes than a show has; who comes later takes the place of who was silent longest.
const PEERS_MAX: usize = 16;
/// Of so many answers the fastest counts.
const ANSWERS: usize = 8;
/// An answer is worth something for so long.
const FRESH: Span = Span::from_secs(10);
/// Contradicted for so long before it is believed: masters change, and boxes do not notice in the same instant.
const DOUBT: Span = Span::from_secs(2);

/// The other boxes.
#[derive(Debug, Clone)]
pub(super) struct Peers {
    peers: [Option<Peer>; PEERS_MAX],
    contradicted: Option<MonoTime>,
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    name: IpAddr,
    answers: [Option<Answer>; ANSWERS],
    next: usize,
}

/// In the middle of an exchange the peer read this, give or take half the round trip.
#[derive(Debug, Clone, Copy)]
struct Answer {
    at: MonoTime,
    peer: ShowTime,
    unsure: Span,
    bound: Option<Span>,
}

/// A clock to hold them against: what it reads now, how fast it runs, how far off it may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Yardstick {
    pub(super) now: MonoTime,
    pub(super) show: ShowTime,
    /// What a monotonic nanosecond is in show time.
    pub(super) pace: f64,
    pub(super) bound: Option<Span>,
}

/// One peer, measured.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    agreement: Agreement,
    difference: Option<Span>,
    bound: Option<Span>,
}

impl Peers {
    pub(super) fn new() -> Self {
        Self { peers: [None; PEERS_MAX], contradicted: None }
    }

    /// An answer came. One that contradicts itself (answered before it was asked) is ignored.
    pub(super) fn heard(&mut self, exchange: &PeerExchange) {
        let PeerExchange { peer, t1, t2, t3, t4, bound } = *exchange;
        let round_trip = (t4 - t1) - (t3 - t2);
        if t4 < t1 || t3 < t2 || round_trip < Span::ZERO {
            return;
        }
        let at = MonoTime::from_ns(t1.ns().midpoint(t4.ns()));
        let show = ShowTime::from_ns(t2.ns().midpoint(t3.ns()));
        let unsure = Span::from_ns(round_trip.ns() / 2 + 1);
        self.peer(peer).keep(Answer { at, peer: show, unsure, bound: bound.map(Span::abs) });
    }

    /// It does not answer any more.
    pub(super) fn silent(&mut self, name: IpAddr) {
        if let Some(peer) = self.peers.iter_mut().flatten().find(|it| it.name == name) {
            peer.answers = [None; ANSWERS];
        }
    }

    /// What they say all in all, and the middle one of their differences.
    pub(super) fn judge(&mut self, with: &Yardstick, settings: &Settings) -> (Agreement, Span) {
        let mut voices = [Span::ZERO; PEERS_MAX];
        let (mut count, mut against) = (0, 0);
        for peer in self.peers.iter().flatten() {
            let verdict = peer.verdict(with, settings);
            if let (Agreement::Agree | Agreement::Disagree, Some(by)) =
                (verdict.agreement, verdict.difference)
            {
                voices[count] = by;
                count += 1;
                against += usize::from(verdict.agreement == Agreement::Disagree);
            }
        }
        voices[..count].sort_unstable();
        let middle = voices[count / 2];
        if 2 * against <= count {
            self.contradicted = None;
            return (if count == 0 { Agreement::Unknown } else { Agreement::Agree }, middle);
        }
        let since = *self.contradicted.get_or_insert(with.now);
        let is_sure = with.now - since >= DOUBT;
        (if is_sure { Agreement::Disagree } else { Agreement::Unknown }, middle)
    }

    /// Whether they contradict, though not for long enough to be believed: no time to follow anybody.
    pub(super) fn is_contradicted(&self) -> bool {
        self.contradicted.is_some()
    }

    /// Each of them.
    pub(super) fn told(&self, with: &Yardstick, settings: &Settings) -> Vec<PeerGlance> {
        let row = |peer: &Peer| {
            let verdict = peer.verdict(with, settings);
            PeerGlance {
                peer: peer.name,
                agreement: verdict.agreement,
                difference_ns: verdict.difference,
                bound_ns: verdict.bound,
                age_s: peer.last().map(|it| (with.now - it.at).secs_f64()),
            }
        };
        self.peers.iter().flatten().map(row).collect()
    }

    fn peer(&mut self, name: IpAddr) -> &mut Peer {
        let known = self.peers.iter().position(|it| it.is_some_and(|it| it.name == name));
        let place = known.unwrap_or_else(|| self.room());
        self.peers[place].get_or_insert(Peer { name, answers: [None; ANSWERS], next: 0 })
    }

    /// An empty place, or that of who was silent longest.
    fn room(&mut self) -> usize {
        let last = |it: &Option<Peer>| it.as_ref().and_then(|it| it.last()).map(|it| it.at);
        let place = (0..PEERS_MAX)
            .min_by_key(|place| (self.peers[*place].is_some(), last(&self.peers[*place])))
            .expect("there are places");
        self.peers[place] = None;
        place
    }
}

impl Peer {
    fn keep(&mut self, answer: Answer) {
        self.answers[self.next] = Some(answer);
        self.next = (self.next + 1) % ANSWERS;
    }

    fn last(&self) -> Option<Answer> {
        self.answers.iter().flatten().max_by_key(|it| it.at).copied()
    }

    fn verdict(&self, with: &Yardstick, settings: &Settings) -> Verdict {
        let is_fresh = |it: &&Answer| with.now - it.at <= FRESH;
        let best = self.answers.iter().flatten().filter(is_fresh).min_by_key(|it| it.unsure);
        let Some(best) = best else {
            return Verdict { agreement: Agreement::Unknown, difference: None, bound: None };
        };
        let gone = Span::from_ns(((with.now - best.at).ns() as f64 * with.pace).round() as i64);
        let difference = best.peer + gone - with.show;
        let bound = with.bound.zip(best.bound).map(|(own, its)| own + its + best.unsure);
        let agreement = match bound {
            None => Agreement::Unknown,
            Some(bound) if difference.abs() <= bound + settings.peer_tolerance => Agreement::Agree,
            Some(_) => Agreement::Disagree,
        };
        Verdict { agreement, difference: Some(difference), bound }
    }
}
