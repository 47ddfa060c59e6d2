//! A show with phones for a box whose file does not say how they come. Behind a router that shows the box one address (NAT,
//! a captive portal) an audience of a thousand is let in up to the limit of one address, which nobody notices with one
//! phone at rehearsal.

use super::cues::ReadList;
use super::load::Source;
use crate::reader::{Report, code};

/// Warns once, where the show first turns to phones.
pub fn check(report: &Report, lists: &[ReadList], source: &dyn Source) {
    let cues = lists.iter().flat_map(|list| &list.cues);
    let first = cues.filter_map(|read| read.spots.phones).next();
    let (Some(spot), Some(most)) = (first, source.phones_let_in_untold()) else { return };
    let message = format!(
        "the box file does not say how phones come: where they share an address, {most} of them are let in"
    );
    let help = "`phones_behind_one_address` under [net] of the box file says how many may share one, 0 where each has its own; `connections_per_address` under [limits] lets them in";
    report.warn(spot, code::PHONES_UNTOLD, message, Some(help.into()));
}
