//! Decides what becomes of a phone that was refused something, so that a flood costs the one who sends it (SX-17).

use units::{ShowTime, Span};

/// What it is to bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hush {
    /// It is not read for so long.
    Wait(Span),
    /// Whatever it says for so long is thrown away.
    Ignore(Span),
}

/// How often one phone was refused something.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    /// Since it was last as good as new.
    refused: u32,
    /// When it is heard again.
    until: Option<ShowTime>,
}

/// Nobody notices it once.
const LEAST: Span = Span::from_millis(2);
/// So often a mistake may be made: more than all that the document's limits let through in a second.
const MISTAKES: u32 = 150;
/// Who mends his ways is heard at once, as people see it.
const DOUBLINGS_MAX: u32 = 7;
/// Who was refused nothing for so long is as good as new.
const FORGIVEN_AFTER: Span = Span::from_secs(2);

impl Patience {
    /// It was refused something at `now`. Once that was too often it is ignored, for longer each time.
    pub fn handle_refused(&mut self, now: ShowTime) -> Hush {
        if self.until.is_none_or(|it| now - it >= FORGIVEN_AFTER) {
            self.refused = 0;
        }
        self.refused = self.refused.saturating_add(1);
        let doublings = self.refused.saturating_sub(MISTAKES).min(DOUBLINGS_MAX);
        let span = LEAST.times(1 << doublings);
        self.until = Some(now + span);
        if doublings > 0 { Hush::Ignore(span) } else { Hush::Wait(span) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sx17_who_floods_is_heard_four_times_a_second_and_who_stops_is_as_good_as_new() {
        let (start, mut patience, mut borne) =
            (ShowTime::from_ns(0), Patience::default(), Vec::new());
        let mut now = start;
        while now - start < Span::from_secs(10) {
            borne.push(patience.handle_refused(now));
            let (Hush::Wait(span) | Hush::Ignore(span)) = borne[borne.len() - 1];
            now += span;
        }
        let (first, rest) = borne.split_at(MISTAKES as usize);
        assert!(first.iter().all(|it| *it == Hush::Wait(LEAST)), "what the limits let through");
        assert!(rest.iter().all(|it| matches!(it, Hush::Ignore(_))));
        assert!((40..50).contains(&rest.len()), "{} in ten seconds", rest.len());
        assert_eq!(patience.handle_refused(now + FORGIVEN_AFTER), Hush::Wait(LEAST));
    }
}
