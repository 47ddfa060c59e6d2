//! Decides which of the box's own certificates serves, and when one is made.
//!
//! In: today's date and what there is. Out: a [`Care`]. Never here: keys, files, the date.
//!
//! No authority knows the box, so a page that opens WebTransport is told the certificate's hash, and browsers take
//! a hash only for a certificate of two weeks at most. One is made well before the other ends, and its hash is told
//! with the other's, so that a page opened days ago still knows the one that serves.

/// From when until when a certificate holds, UNIX seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: i64,
    /// The last.
    pub until: i64,
}

/// What a box with these certificates is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Nothing.
    Keep,
    /// Make one and serve it at once: there is none that holds.
    MakeCurrent,
    /// Make the one that will serve after this.
    MakeNext,
    /// The next one serves from now on.
    TakeNext,
}

const DAY: i64 = 86_400;
/// Two weeks are the most that browsers take (W3C WebTransport, "custom certificate requirements"); an hour less, so
/// that nobody counts the last second otherwise.
const LIFE: i64 = 14 * DAY - 3_600;
/// A phone's date may lag as far.
const BACKDATED: i64 = DAY;
/// With so much left the next one is made ...
const MAKE_BEFORE: i64 = 6 * DAY;
/// ... and with so much it serves: its hash has been told for three days, and a phone's date may lead by as many.
const TAKE_BEFORE: i64 = 3 * DAY;

impl Validity {
    /// Of a certificate that is made now.
    pub fn made(now: i64) -> Self {
        Self { from: now - BACKDATED, until: now - BACKDATED + LIFE }
    }

    /// Whether it holds now.
    pub fn holds(self, now: i64) -> bool {
        (self.from..=self.until).contains(&now)
    }

    fn left(self, now: i64) -> i64 {
        self.until - now
    }
}

/// What is to be done now. One thing at a time: ask again after it.
pub fn care(now: i64, current: Option<Validity>, next: Option<Validity>) -> Care {
    let next = next.filter(|next| next.holds(now));
    match current.filter(|current| current.holds(now)) {
        None if next.is_some() => Care::TakeNext,
        None => Care::MakeCurrent,
        Some(current) if next.is_some() && current.left(now) <= TAKE_BEFORE => Care::TakeNext,
        Some(current) if next.is_none() && current.left(now) <= MAKE_BEFORE => Care::MakeNext,
        Some(_) => Care::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box's drawer.
    #[derive(Debug, Default)]
    struct Drawer {
        current: Option<Validity>,
        next: Option<Validity>,
        made: u32,
    }

    impl Drawer {
        fn look(&mut self, now: i64) {
            loop {
                match care(now, self.current, self.next) {
                    Care::Keep => return,
                    Care::MakeCurrent => self.current = Some(Validity::made(now)),
                    Care::MakeNext => self.next = Some(Validity::made(now)),
                    Care::TakeNext => {
                        self.current = self.next.take();
                        continue;
                    }
                }
                self.made += 1;
            }
        }
    }

    const TODAY: i64 = 1_790_000_000;
    const HOURS: i64 = 365 * 24;

    #[test]
    fn through_a_year_a_page_knows_what_serves_two_days_after_it_was_told() {
        let mut drawer = Drawer::default();
        let mut hours = Vec::new();
        for now in (0..HOURS).map(|hour| TODAY + hour * 3_600) {
            drawer.look(now);
            let serves = drawer.current.expect("one serves");
            let late_phone = serves.holds(now - BACKDATED + 3_600);
            assert!(late_phone && serves.left(now) > TAKE_BEFORE - DAY, "{serves:?}");
            hours.push((serves, drawer.next));
        }
        for (told, later) in hours.iter().zip(&hours[48..]) {
            assert!(later.0 == told.0 || Some(later.0) == told.1, "{told:?} {later:?}");
        }
        assert!((30..60).contains(&drawer.made), "{} certificates in a year", drawer.made);
    }

    #[test]
    fn a_box_that_stood_on_a_shelf_for_a_month_makes_a_new_one() {
        let mut drawer = Drawer::default();
        drawer.look(TODAY);
        drawer.look(TODAY + 8 * DAY);
        assert!(drawer.next.is_some());
        drawer.look(TODAY + 38 * DAY);
        assert!(drawer.current.is_some_and(|it| it.holds(TODAY + 38 * DAY)), "{drawer:?}");
    }

    #[test]
    fn a_box_that_learns_today_s_date_late_makes_one_that_holds_today() {
        let mut drawer = Drawer::default();
        drawer.look(0);
        drawer.look(TODAY);
        assert_eq!(drawer.current, Some(Validity::made(TODAY)));
        drawer.look(TODAY - 2 * DAY);
        assert_eq!(drawer.current, Some(Validity::made(TODAY - 2 * DAY)));
    }

    #[test]
    fn no_browser_is_shown_more_than_two_weeks() {
        let made = Validity::made(TODAY);
        assert!(made.until - made.from < 14 * DAY && made.holds(TODAY));
    }
}
