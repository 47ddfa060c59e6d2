//! Decides when a phone that says `hello` is answered, so that a crowd that comes, or comes again and again, never takes
//! more of the box at once than a show can spare.
//!
//! In: who asks, and the monotonic clock. Out: when it is their turn. Never here: sockets.
//!
//! A `hello` is the dearest thing that anybody may ask for without a token: a room to offer a peer connection in, a place
//! in the engine, and all that plays. Nobody is refused it: whoever comes too often only waits longer.

use std::collections::BTreeMap;
use std::net::IpAddr;

use units::{MonoTime, Span};

/// Who may be answered when.
#[derive(Debug)]
pub struct Reception {
    /// What a turn costs an address.
    an_address: Span,
    /// How far an address may be ahead of its pace.
    spare: Span,
    /// When each address will have paid for all its turns.
    paid: BTreeMap<IpAddr, MonoTime>,
    swept: MonoTime,
    /// The next turn of all.
    next: MonoTime,
}

/// Between two turns, whosever: a thousand a second, so that five thousand are in before the doors have shut.
const APART: Span = Span::from_millis(1);
/// In so long an address may come again with all the sockets that it may have...
const AGAIN: Span = Span::from_secs(10);
/// ...and so often at once, since a page that is opened anew is nobody's attack.
const AT_ONCE: i64 = 4;

impl Reception {
    /// Nobody has come. An address may have so many sockets (SX-17).
    pub fn new(connections_per_address: usize) -> Self {
        let sockets = i64::try_from(connections_per_address).unwrap_or(i64::MAX).max(1);
        Self {
            an_address: Span::from_ns(AGAIN.ns() / sockets),
            spare: AGAIN.times(AT_ONCE),
            paid: BTreeMap::new(),
            swept: MonoTime::ZERO,
            next: MonoTime::ZERO,
        }
    }

    /// When an address that asks now may queue up with all others.
    pub fn handle_knock(&mut self, now: MonoTime, from: IpAddr) -> MonoTime {
        self.forget(now);
        let paid = self.paid.entry(from).or_insert(now);
        *paid = (*paid).max(now) + self.an_address;
        now.max(*paid - self.spare)
    }

    /// The turn of whoever queues up now.
    pub fn handle_queued(&mut self, now: MonoTime) -> MonoTime {
        let turn = self.next.max(now);
        self.next = turn + APART;
        turn
    }

    /// Whoever has paid is as good as new.
    fn forget(&mut self, now: MonoTime) {
        if now - self.swept >= AGAIN {
            self.paid.retain(|_, paid| *paid > now);
            self.swept = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> MonoTime {
        MonoTime::from_ns(ms * 1_000_000)
    }

    fn from(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_crowd_that_comes_at_once_is_let_in_one_after_the_other_and_one_alone_at_once() {
        let mut reception = Reception::new(10);
        let turns: Vec<MonoTime> = (0..5_000).map(|_| reception.handle_queued(at(500))).collect();
        assert_eq!((turns[0], turns[1], turns[4_999]), (at(500), at(501), at(5_499)));
        assert_eq!(reception.handle_queued(at(9_000)), at(9_000), "no turn is saved up");
        assert_eq!(reception.handle_queued(at(9_000)), at(9_001));
    }

    #[test]
    fn sx17_an_address_that_comes_again_and_again_waits_and_no_other_does() {
        let mut reception = Reception::new(10);
        for nth in 0..40 {
            assert_eq!(reception.handle_knock(at(0), from(1)), at(0), "{nth}");
        }
        assert_eq!(reception.handle_knock(at(0), from(1)), at(1_000));
        assert_eq!(reception.handle_knock(at(0), from(1)), at(2_000));
        assert_eq!(reception.handle_knock(at(0), from(2)), at(0));
        assert_eq!(reception.handle_knock(at(42_000), from(1)), at(42_000), "it has paid");
    }

    #[test]
    fn sx17_an_audience_behind_one_address_comes_in_at_once_where_it_may() {
        let mut reception = Reception::new(600);
        for _ in 0..2_400 {
            assert_eq!(reception.handle_knock(at(0), from(1)), at(0));
        }
        assert!(reception.handle_knock(at(0), from(1)) > at(0));
    }

    #[test]
    fn addresses_that_have_paid_are_forgotten() {
        let mut reception = Reception::new(10);
        for second in 0..1_000 {
            reception.handle_knock(at(second * 1_000), from((second % 250) as u8));
        }
        assert!(reception.paid.len() <= 12, "{}", reception.paid.len());
    }
}
