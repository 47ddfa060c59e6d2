//! The token of whoever was invited: to which box it is shown, and when again.
//!
//! In: welcomes, refusals and the time. Out: what a hello shows, and whether it is to be said again. A phone whose token does
//! not hold has a place in the audience, with all that belongs to it, before it is asked whether it wants that.

use units::{MonoTime, Span};
use uuid::Uuid;
use wire::solusync::RefusalCode;

use crate::chance::Chance;

/// The box forgives an address its wrong tokens after a minute without one; phones behind it come apart.
const SHOWN_AGAIN: Span = Span::from_secs(61);
const STAGGER: Span = Span::from_secs(15);

/// Row SX-16.
#[derive(Debug, Clone, Default)]
pub(crate) struct Invitation {
    token: Option<String>,
    /// The box that took it last.
    taken_by: Option<Uuid>,
    /// A hello is unanswered; whether it shows the token.
    asked: Option<bool>,
    refused: Option<Refused>,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    by: Uuid,
    code: RefusalCode,
    /// It was not even looked at, and is shown again then.
    until: Option<MonoTime>,
}

impl Invitation {
    pub(crate) fn new(token: Option<String>) -> Self {
        Self { token, ..Self::default() }
    }

    /// What a hello shows.
    pub(crate) fn show(&mut self) -> Option<String> {
        let token = self.token.clone().filter(|_| self.refused.is_none());
        self.asked = Some(token.is_some());
        token
    }

    /// Why it is in the audience; none where it is what it was invited to be.
    pub(crate) fn refused(&self) -> Option<RefusalCode> {
        self.refused.map(|it| it.code)
    }

    /// A box welcomed the phone; true if this one may know a token that another one did not, and hello is said again.
    pub(crate) fn handle_welcome(&mut self, by: Uuid) -> bool {
        if self.asked.take() == Some(true) {
            self.taken_by = Some(by);
        }
        let is_elsewhere = self.refused.is_some_and(|it| it.by != by);
        self.show_again(is_elsewhere)
    }

    /// A box said no; true if that was to the token, and hello is said again without. One that no box has ever taken is not
    /// shown again.
    pub(crate) fn handle_refused(&mut self, by: Uuid, code: RefusalCode) -> bool {
        let is_ours = self.asked.take_if(|with| *with).is_some();
        if is_ours {
            self.refused = Some(Refused { by, code, until: None });
            self.token.take_if(|_| self.taken_by.is_none());
        }
        is_ours
    }

    /// Too much came from where the phone is; true if for that the token was not looked at, and hello is said again without. One
    /// that the box knows it looks at always, so then it was too much of something else.
    pub(crate) fn handle_rate_limited(
        &mut self,
        now: MonoTime,
        by: Uuid,
        chance: &mut Chance,
    ) -> bool {
        let is_known = self.taken_by == Some(by);
        let is_ours = self.asked.take_if(|with| *with && !is_known).is_some();
        if is_ours {
            let wait = SHOWN_AGAIN.secs_f64() + STAGGER.secs_f64() * chance.share();
            let until = Some(now + Span::from_secs_f64(wait));
            self.refused = Some(Refused { by, code: RefusalCode::RateLimited, until });
        }
        is_ours
    }

    /// True if hello is to be said again, with it.
    pub(crate) fn poll(&mut self, now: MonoTime) -> bool {
        let is_due = self.next_wake().is_some_and(|until| until <= now);
        self.show_again(is_due)
    }

    /// When [`Invitation::poll`] has something.
    pub(crate) fn next_wake(&self) -> Option<MonoTime> {
        self.refused.and_then(|it| it.until).filter(|_| self.asked.is_none())
    }

    fn show_again(&mut self, is_time: bool) -> bool {
        let again = is_time && self.token.is_some();
        if again {
            self.refused = None;
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: Uuid = Uuid::from_u128(1);
    const BOOTH: Uuid = Uuid::from_u128(2);

    fn shown() -> Invitation {
        let mut invitation = Invitation::new(Some("token".into()));
        assert!(invitation.show().is_some());
        invitation
    }

    #[test]
    fn one_that_no_box_has_taken_is_shown_once() {
        let mut invitation = shown();
        assert!(invitation.handle_refused(STAGE, RefusalCode::Unauthorized));
        assert_eq!(invitation.show(), None);
        assert!(!invitation.handle_refused(STAGE, RefusalCode::Forbidden), "that was not to it");
        assert!(!invitation.handle_welcome(BOOTH));
        assert_eq!(invitation.refused(), Some(RefusalCode::Unauthorized));
    }

    #[test]
    fn one_that_was_taken_is_shown_to_every_box_once() {
        let mut invitation = shown();
        assert!(!invitation.handle_welcome(STAGE));
        assert!(
            invitation.show().is_some()
                && invitation.handle_refused(BOOTH, RefusalCode::Unauthorized)
        );
        assert!(!invitation.handle_welcome(BOOTH));
        assert!(invitation.handle_welcome(STAGE));
        assert!(invitation.show().is_some());
    }

    #[test]
    fn one_that_was_not_looked_at_is_shown_again_after_a_minute_and_not_by_all_at_once() {
        let mut dues: Vec<MonoTime> = (0..1_000)
            .map(|seed| {
                let (mut invitation, mut chance) = (shown(), Chance::new(seed));
                assert!(invitation.handle_rate_limited(MonoTime::ZERO, STAGE, &mut chance));
                assert_eq!(invitation.show(), None);
                assert!(!invitation.handle_welcome(STAGE) && !invitation.poll(MonoTime::ZERO));
                let due = invitation.next_wake().expect("it is shown again");
                assert!(invitation.poll(due) && invitation.show().is_some());
                assert_eq!((invitation.refused(), invitation.next_wake()), (None, None));
                due
            })
            .collect();
        dues.sort_unstable();
        assert!(dues[0] - MonoTime::ZERO > Span::from_secs(60));
        assert!(dues[999] - dues[0] > Span::from_secs(10));
    }

    #[test]
    fn what_is_too_much_of_something_else_leaves_it_alone() {
        let (mut invitation, mut chance) = (shown(), Chance::new(1));
        assert!(!invitation.handle_welcome(STAGE));
        assert!(!invitation.handle_rate_limited(MonoTime::ZERO, STAGE, &mut chance));
        assert!(invitation.show().is_some(), "hello is said again, to who drives from now on");
        assert!(!invitation.handle_rate_limited(MonoTime::ZERO, STAGE, &mut chance));
        assert!(invitation.handle_rate_limited(MonoTime::ZERO, BOOTH, &mut chance));
        assert_eq!(invitation.refused(), Some(RefusalCode::RateLimited));
    }

    #[test]
    fn one_that_is_due_waits_for_the_answer_to_the_hello_before() {
        let (mut invitation, mut chance) = (shown(), Chance::new(1));
        assert!(invitation.handle_rate_limited(MonoTime::ZERO, STAGE, &mut chance));
        let late = MonoTime::ZERO + Span::from_secs(600);
        assert_eq!((invitation.show(), invitation.poll(late)), (None, false));
        assert!(!invitation.handle_welcome(STAGE));
        assert!(invitation.poll(late) && invitation.show().is_some());
        assert!(invitation.handle_refused(STAGE, RefusalCode::Unauthorized));
    }
}
