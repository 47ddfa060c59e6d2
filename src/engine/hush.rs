//! Decides for how long a phone that was refused something is not heard, so that a flood costs the one who sends it (SX-17).

use units::{ShowTime, Span};

/// One phone's.
#[derive(Debug, Clone, Default)]
pub struct Hush {
    /// So often it was refused something since it was last as good as new.
    refused: u32,
    /// When it is heard again.
    until: Option<ShowTime>,
}

/// Nobody notices it once.
const LEAST: Span = Span::from_millis(2);
/// So often a mistake may be made: more than all that the document's limits let through in a second.
const MISTAKES: u32 = 300;
/// What a flood has left behind it is read soon, when it ends.
const DOUBLINGS_MAX: u32 = 4;
/// Who was refused nothing for so long is as good as new. Who asks once too often in each second is, too.
const FORGIVEN_AFTER: Span = Span::from_millis(500);

impl Hush {
    /// It was refused something at `now`: for so long it is not heard, and longer each time once it was too often.
    pub fn refused(&mut self, now: ShowTime) -> Span {
        if self.until.is_none_or(|it| now - it >= FORGIVEN_AFTER) {
            self.refused = 0;
        }
        self.refused = self.refused.saturating_add(1);
        let doublings = self.refused.saturating_sub(MISTAKES).min(DOUBLINGS_MAX);
        let span = LEAST.times(1 << doublings);
        self.until = Some(now + span);
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sx17_who_floods_is_heard_thirty_times_a_second_and_who_stops_is_as_good_as_new() {
        let (start, mut hush, mut spans) = (ShowTime::from_ns(0), Hush::default(), Vec::new());
        let mut now = start;
        while now - start < Span::from_secs(10) {
            spans.push(hush.refused(now));
            now += spans[spans.len() - 1];
        }
        assert!(spans[..300].iter().all(|it| *it == LEAST), "what the limits let through");
        assert!((590..610).contains(&spans.len()), "{} in ten seconds", spans.len());
        assert_eq!(hush.refused(now + FORGIVEN_AFTER), LEAST);
    }
}
