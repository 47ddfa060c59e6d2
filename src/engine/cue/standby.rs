//! Where each list stands: the cue that GO would fire, and the one it fired last.

use units::{ShowTime, Span};

use crate::show::{CueList, CuePlace, Show, Then, TimeOfDay};

/// One list's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standby {
    /// Index of the cue that GO fires; the length of the list at its end.
    pub next: usize,
    /// Index of the cue fired last.
    pub last: Option<usize>,
    /// When the cue on standby fires by itself.
    pub alarm: Option<ShowTime>,
}

impl Standby {
    /// Whether the cue on standby is the one that comes after what was fired last, or the first.
    pub fn is_in_order(&self, list: &CueList) -> bool {
        self.next == self.last.map_or(0, |last| Self::behind(list, last))
    }

    /// Behind a cue and all that comes after it by itself: the first cue that waits for somebody.
    pub fn behind(list: &CueList, index: usize) -> usize {
        let waits = |cue: &crate::show::Cue| cue.then == Then::Wait;
        list.cues[index..].iter().position(waits).map_or(list.cues.len(), |chain| index + chain + 1)
    }
}

/// Every list that exists, by index.
pub fn list_named(show: &Show, name: Option<&str>) -> Option<usize> {
    match name {
        None => (!show.lists.is_empty()).then_some(0),
        Some(name) => show.lists.iter().position(|list| list.name == name),
    }
}

/// The place of the cue that comes after `place`.
pub fn next_place(show: &Show, place: CuePlace) -> Option<CuePlace> {
    let next = CuePlace { index: place.index + 1, ..place };
    show.at(next).map(|_| next)
}

/// The next time a local clock shows `time`; `ahead` is local time minus TAI.
pub fn next_time_of_day(time: TimeOfDay, now: ShowTime, ahead: Span) -> ShowTime {
    const DAY: Span = Span::from_secs(86_400);
    let local = now + ahead;
    let midnight = local - Span::from_ns(local.ns().rem_euclid(DAY.ns()));
    let today = midnight + Span::from_secs(i64::from(time.seconds)) - ahead;
    if today >= now { today } else { today + DAY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_to_eight_comes_today_until_it_has_gone() {
        let time = TimeOfDay { seconds: 71_700 };
        let ahead = Span::from_secs(3_563); // one hour east of UTC, 37 s of leap
        let noon = ShowTime::from_ns(43_200_000_000_000) - ahead;
        let fires = next_time_of_day(time, noon, ahead);
        assert_eq!(fires - noon, Span::from_secs(71_700 - 43_200));
        assert_eq!(next_time_of_day(time, fires, ahead), fires);
        assert_eq!(
            next_time_of_day(time, fires + Span::from_ns(1), ahead) - fires,
            Span::from_secs(86_400)
        );
    }
}
