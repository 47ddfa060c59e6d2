//! When a box holds the address that is its cluster's, and when it says so to the network.
//!
//! In: whether it drives, and the time. Out: what to do. Never here: interfaces, packets.
//!
//! An address is held for a few seconds and then again, so that one whose process has died loses it by itself. Whoever takes it
//! over says so several times: switches and phones remember the dead box, and that one may answer for it a while longer.

use units::{MonoTime, Span};

/// So long an address is held if nobody holds it again; whole seconds.
pub const HELD_FOR: Span = Span::from_secs(3);

const HOLD_EVERY: Span = Span::from_secs(1);
/// After it was taken over: at once, since every phone waits, and until the last that the dead box can say is past.
const ANNOUNCED_AFTER: [Span; 6] = [
    Span::ZERO,
    Span::from_millis(250),
    Span::from_millis(1_000),
    Span::from_millis(2_000),
    Span::from_millis(3_500),
    Span::from_millis(6_000),
];
/// For whoever missed all that, or was told otherwise by a box that had it, too, while a cable was cut.
const ANNOUNCED_EVERY: Span = Span::from_secs(5);
/// Whoever drives no more holds it so long yet: what it says to those who came by it leaves from there.
const LET_GO_AFTER: Span = Span::from_millis(500);

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Hold it, or hold it on, for [`HELD_FOR`].
    Hold,
    /// Say that it is here.
    Announce,
    /// Hold it no more.
    LetGo,
}

/// A box and its cluster's address.
#[derive(Debug, Clone)]
pub struct Tenure {
    held: Option<Held>,
    /// When it lets go of it; it may hold it yet, from before.
    lets_go: Option<MonoTime>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    since: MonoTime,
    hold_at: MonoTime,
    announced: usize,
    announce_at: MonoTime,
}

impl Default for Tenure {
    fn default() -> Self {
        Self::new()
    }
}

impl Tenure {
    /// A box that has just been started: it stands by, and what it held before its death is another's now.
    pub fn new() -> Self {
        Self { held: None, lets_go: Some(MonoTime::ZERO) }
    }

    /// Whether it drives.
    pub fn handle_drives(&mut self, now: MonoTime, drives: bool) {
        match (drives, self.held) {
            (true, None) => {
                let held = Held { since: now, hold_at: now, announced: 0, announce_at: now };
                (self.held, self.lets_go) = (Some(held), None);
            }
            (false, Some(_)) => (self.held, self.lets_go) = (None, Some(now + LET_GO_AFTER)),
            _ => {}
        }
    }

    /// What to do now, one thing at a time.
    pub fn poll(&mut self, now: MonoTime) -> Option<Deed> {
        let Some(held) = &mut self.held else {
            return self.lets_go.take_if(|at| *at <= now).map(|_| Deed::LetGo);
        };
        if now >= held.hold_at {
            held.hold_at = now + HOLD_EVERY;
            return Some(Deed::Hold);
        }
        if now >= held.announce_at {
            held.announced += 1;
            let next = ANNOUNCED_AFTER.get(held.announced).map(|after| held.since + *after);
            held.announce_at = next.unwrap_or(now + ANNOUNCED_EVERY);
            return Some(Deed::Announce);
        }
        None
    }

    /// When `poll` has something next; none while it holds nothing.
    pub fn next_wake(&self) -> Option<MonoTime> {
        self.held.map(|it| it.hold_at.min(it.announce_at)).or(self.lets_go)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> MonoTime {
        MonoTime::from_ns(ms * 1_000_000)
    }

    /// What it does from wake to wake, and when, ms.
    fn deeds(tenure: &mut Tenure, from: i64, until: i64) -> Vec<(i64, Deed)> {
        let (mut now, mut deeds) = (at(from), Vec::new());
        while now < at(until) {
            while let Some(deed) = tenure.poll(now) {
                deeds.push(((now - at(0)).ns() / 1_000_000, deed));
            }
            now = tenure.next_wake().unwrap_or(at(until));
        }
        deeds
    }

    #[test]
    fn whoever_drives_holds_the_address_before_it_says_so_and_holds_it_on() {
        let mut tenure = Tenure::new();
        assert_eq!(deeds(&mut tenure, 0, 10_000), [(0, Deed::LetGo)], "what it held before");
        tenure.handle_drives(at(10_000), true);
        let did = deeds(&mut tenure, 10_000, 80_000);
        assert_eq!(did[..2], [(10_000, Deed::Hold), (10_000, Deed::Announce)]);
        let of = |wanted| did.iter().filter(move |(_, it)| *it == wanted).map(|(at, _)| *at);
        let holds: Vec<i64> = of(Deed::Hold).collect();
        assert!(holds.windows(2).all(|it| it[1] - it[0] < 2_000), "{holds:?}");
        let said: Vec<i64> = of(Deed::Announce).map(|at| at - 10_000).collect();
        assert_eq!(said[..7], [0, 250, 1_000, 2_000, 3_500, 6_000, 11_000]);
        tenure.handle_drives(at(80_000), true);
        assert_eq!(tenure.poll(at(79_999)), None, "it has held it all the while");
    }

    #[test]
    fn whoever_drives_no_more_lets_go_once_when_it_has_said_so() {
        let mut tenure = Tenure::new();
        tenure.handle_drives(at(0), true);
        deeds(&mut tenure, 0, 5_000);
        tenure.handle_drives(at(5_000), false);
        assert_eq!(deeds(&mut tenure, 5_000, 20_000), [(5_500, Deed::LetGo)]);
        tenure.handle_drives(at(20_000), false);
        assert_eq!(tenure.poll(at(20_000)), None);
    }
}
