//! The offsets of the last minutes, for a plot.

use units::{MonoTime, Span};

use super::glance::Past;

/// Five minutes at one a second.
const LENGTH: usize = 300;
const EVERY: Span = Span::from_secs(1);

/// A ring that never grows.
#[derive(Debug, Clone)]
pub(super) struct History {
    kept: [Entry; LENGTH],
    count: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: MonoTime,
    offset: Span,
    bound: Option<Span>,
}

impl History {
    pub(super) fn new() -> Self {
        let nothing = Entry { at: MonoTime::ZERO, offset: Span::ZERO, bound: None };
        Self { kept: [nothing; LENGTH], count: 0 }
    }

    /// Notes it, unless the last note is younger than a second.
    pub(super) fn note(&mut self, at: MonoTime, offset: Span, bound: Option<Span>) {
        let last = self.count.checked_sub(1).map(|last| self.kept[last % LENGTH]);
        if last.is_none_or(|last| at - last.at >= EVERY) {
            self.kept[self.count % LENGTH] = Entry { at, offset, bound };
            self.count += 1;
        }
    }

    /// Oldest first.
    pub(super) fn told(&self, now: MonoTime) -> Vec<Past> {
        let first = self.count.saturating_sub(LENGTH);
        (first..self.count)
            .map(|index| {
                let Entry { at, offset, bound } = self.kept[index % LENGTH];
                let age_s = (now - at).secs_f64();
                Past { age_s, offset_ns: offset, error_bound_ns: bound }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_one_a_second_and_the_last_five_minutes() {
        let mut history = History::new();
        for quarter in 0..4 * 400 {
            let at = MonoTime::from_ns(quarter * 250_000_000);
            history.note(at, Span::from_ns(quarter), None);
        }
        let told = history.told(MonoTime::ZERO + Span::from_secs(400));
        let (first, last) = (told.first().expect("many"), told.last().expect("many"));
        assert_eq!((told.len(), first.age_s, last.age_s), (300, 300.0, 1.0));
        assert_eq!(last.offset_ns, Span::from_ns(399 * 4));
    }
}
