//! Remembers which addresses are turned away just now, having all the sockets that they may (SX-17): an audience behind a
//! router that shows the box one address is noticed while it stands at the door, and not afterwards.
//!
//! In: who was turned away, and when. Out: a [`TurnedAwayGlance`]. Never here: sockets, log lines.
//!
//! Whoever is turned away comes again, a page five to twenty seconds later (`phone::link`), and nobody sees through the
//! router which of them it was. So *about* how many stand there is how often somebody knocked in the mean of that time.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use serde::Serialize;
use units::{ShowTime, Span};

/// Who was turned away of late.
#[derive(Debug)]
pub struct TurnedAway {
    sockets: usize,
    knocks: VecDeque<(ShowTime, IpAddr)>,
}

/// A page comes again after so long on average.
const AGAIN: Span = Span::from_micros(12_500_000);
/// And after so long at most: if nobody has, nobody stands there any more.
const AGAIN_MAX: Span = Span::from_secs(20);
/// More knocks than a full house makes in that time are an attack, and as many say so.
const KNOCKS_MAX: usize = 16_384;

/// Who is turned away just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TurnedAwayGlance {
    /// About how many phones.
    pub phones: usize,
    /// From so many addresses.
    pub addresses: usize,
    /// The one that knocks most.
    pub most_from: IpAddr,
    /// How many sockets an address may have.
    pub connections_per_address: usize,
}

impl TurnedAway {
    /// Nobody yet; an address may have so many sockets.
    pub fn new(sockets: usize) -> Self {
        Self { sockets, knocks: VecDeque::new() }
    }

    /// Somebody is. Gives whether nobody stood there before.
    pub fn handle_turned_away(&mut self, now: ShowTime, from: IpAddr) -> bool {
        self.forget(now);
        let is_first = self.knocks.is_empty();
        if self.knocks.len() == KNOCKS_MAX {
            self.knocks.pop_front();
        }
        self.knocks.push_back((now, from));
        is_first
    }

    /// Who stands there now; none where nobody does.
    pub fn glance(&mut self, now: ShowTime) -> Option<TurnedAwayGlance> {
        self.forget(now);
        let mut by_address: BTreeMap<IpAddr, usize> = BTreeMap::new();
        self.knocks.iter().for_each(|(_, from)| *by_address.entry(*from).or_default() += 1);
        let (most_from, _) = by_address.iter().max_by_key(|(_, knocks)| **knocks)?;
        let of_late = self.knocks.iter().filter(|(at, _)| now - *at <= AGAIN).count();
        Some(TurnedAwayGlance {
            phones: of_late.max(by_address.len()),
            addresses: by_address.len(),
            most_from: *most_from,
            connections_per_address: self.sockets,
        })
    }

    /// A clock that stepped back has forgotten when that was.
    fn forget(&mut self, now: ShowTime) {
        let is_past = |at: ShowTime| now - at > AGAIN_MAX || at > now;
        while self.knocks.front().is_some_and(|(at, _)| is_past(*at)) {
            self.knocks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> ShowTime {
        ShowTime::ZERO + Span::from_secs_f64(seconds)
    }

    fn router(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn sx17_an_audience_behind_a_router_is_seen_while_it_stands_at_the_door() {
        let mut away = TurnedAway::new(10);
        assert_eq!(away.glance(at(0.0)), None);
        assert!(away.handle_turned_away(at(0.0), router(1)), "the first is news");
        for _ in 1..40 {
            assert!(!away.handle_turned_away(at(1.0), router(1)));
        }
        let seen = away.glance(at(2.0)).expect("they stand there");
        assert_eq!((seen.phones, seen.addresses, seen.connections_per_address), (40, 1, 10));
        assert_eq!(away.glance(at(21.1)), None, "nobody has come again");
        assert!(away.handle_turned_away(at(60.0), router(1)), "news again");
    }

    #[test]
    fn sx17_phones_that_come_again_and_again_are_not_counted_again_and_again() {
        let mut away = TurnedAway::new(10);
        // A hundred, each every twelve and a half seconds, for two minutes.
        for nth in 0..960 {
            away.handle_turned_away(at(f64::from(nth) / 8.0), router(1));
        }
        let seen = away.glance(at(120.0)).expect("they stand there");
        assert!((98..=102).contains(&seen.phones), "{seen:?}");
    }

    #[test]
    fn sx17_the_address_that_knocks_most_is_named_and_memory_has_an_end() {
        let mut away = TurnedAway::new(10);
        for nth in 0..2 * KNOCKS_MAX {
            away.handle_turned_away(at(0.0), router(if nth % 3 == 0 { 1 } else { 2 }));
        }
        assert_eq!(away.knocks.len(), KNOCKS_MAX);
        let seen = away.glance(at(0.0)).expect("they stand there");
        assert_eq!((seen.addresses, seen.most_from), (2, router(2)));
    }
}
