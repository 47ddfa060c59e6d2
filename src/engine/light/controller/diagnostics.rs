//! Who gets our diagnostics (rule A18): with one asker it says itself how; with several the lowest priority that any
//! asked for holds for all, and lines are broadcast.

use std::net::Ipv4Addr;

use wire::artnet::{DiagPriority, Diagnostics};

/// Where lines of one priority go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Nobody asked for them.
    Nobody,
    /// Only one asked, and wants them alone.
    One(Ipv4Addr),
    /// Everybody may hear them.
    Everybody,
}

/// Where a line of that priority goes, by what each asker wants.
pub(super) fn way(
    priority: DiagPriority,
    askers: impl Iterator<Item = (Ipv4Addr, Diagnostics)>,
) -> Way {
    let askers: Vec<_> = askers.collect();
    let least = askers.iter().map(|(_, wanted)| wanted.least).min();
    match askers.as_slice() {
        _ if least.is_none_or(|least| priority < least) => Way::Nobody,
        [(address, wanted)] if wanted.unicast => Way::One(*address),
        _ => Way::Everybody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
    const TOOL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);

    fn wants(address: Ipv4Addr, least: DiagPriority, unicast: bool) -> (Ipv4Addr, Diagnostics) {
        (address, Diagnostics { least, unicast })
    }

    #[test]
    fn a18_one_asker_says_how_much_and_whether_alone() {
        let way = |priority, unicast| {
            way(priority, [wants(DESK, DiagPriority::MEDIUM, unicast)].into_iter())
        };
        assert_eq!(way(DiagPriority::LOW, true), Way::Nobody);
        assert_eq!(way(DiagPriority::MEDIUM, true), Way::One(DESK));
        assert_eq!(way(DiagPriority::HIGH, false), Way::Everybody);
    }

    #[test]
    fn a18_with_several_askers_the_lowest_priority_is_broadcast() {
        let both = [wants(DESK, DiagPriority::HIGH, true), wants(TOOL, DiagPriority::LOW, true)];
        assert_eq!(way(DiagPriority::LOW, both.into_iter()), Way::Everybody);
        assert_eq!(way(DiagPriority(0), both.into_iter()), Way::Nobody);
        assert_eq!(way(DiagPriority::CRITICAL, std::iter::empty()), Way::Nobody);
    }
}
