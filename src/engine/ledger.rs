//! Every order that waits for its receipt.
//!
//! In: orders, reports of the outputs. Out: receipts, one an order, at the latest [`PATIENCE`] after its time.
//! An order whose output cannot tell when it was carried out (a voice's change of volume) is not kept here.

use std::collections::BTreeMap;

use units::{OrderId, ShowTime, Span, VoiceId};
use uuid::Uuid;

use crate::order::{Evidence, Order, Output, Receipt, What};
use crate::told::FrameReport;

/// A phone on crowded Wi-Fi reports late; after this nobody counts on it any more.
pub const PATIENCE: Span = Span::from_secs(2);

/// What is waited for.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    waiting: BTreeMap<OrderId, Waiting>,
    voices: BTreeMap<VoiceId, OrderId>,
    messages: BTreeMap<Uuid, OrderId>,
}

#[derive(Debug, Clone)]
struct Waiting {
    order: Order,
    /// The plan that carries out an order to light; a frame drawn from an earlier one does not show it.
    plan: u64,
    /// Phones that reported, and the latest of their times.
    phones: Option<(u32, ShowTime)>,
    /// How many of them had it too late; none while nobody has told.
    too_late: Option<u32>,
}

impl Ledger {
    /// Waits for a frame that is drawn from that plan or a later one.
    pub fn expect_light(&mut self, order: &Order, plan: u64) {
        let order = order.clone();
        self.waiting.insert(order.id, Waiting { order, plan, phones: None, too_late: None });
    }

    /// Waits for what tells of the order itself.
    pub fn expect(&mut self, order: &Order) {
        self.expect_light(order, 0);
    }

    /// Waits for a voice to begin.
    pub fn expect_voice(&mut self, order: &Order, voice: VoiceId) {
        self.expect(order);
        self.voices.insert(voice, order.id);
    }

    /// Waits for phones to do what a message orders.
    pub fn expect_message(&mut self, order: &Order, message: Uuid) {
        self.expect(order);
        self.messages.insert(message, order.id);
    }

    /// Orders that were taken back are not waited for.
    pub fn forget(&mut self, taken_back: impl Fn(&Order) -> bool) {
        self.waiting.retain(|_, it| !taken_back(&it.order));
        self.voices.retain(|_, of| self.waiting.contains_key(of));
        self.messages.retain(|_, of| self.waiting.contains_key(of));
    }

    /// After a pause: what was not due yet comes later.
    pub fn shift(&mut self, paused: ShowTime, by: Span) {
        for waiting in self.waiting.values_mut().filter(|it| it.order.at > paused) {
            waiting.order.at += by;
        }
    }

    /// A frame left: every light order that was due by its instant and in its plan has been carried out.
    pub fn light_left(&mut self, frame: &FrameReport) -> Vec<Receipt> {
        let shown = |it: &&Waiting| {
            let Order { output, at, .. } = it.order;
            output == Output::Light && at <= frame.instant && it.plan <= frame.plan
        };
        let ids: Vec<OrderId> = self.waiting.values().filter(shown).map(|it| it.order.id).collect();
        ids.into_iter()
            .filter_map(|id| self.close(id, Some(frame.left), frame.evidence, 1))
            .collect()
    }

    /// When the last begins of the light that is waited for; long ago where none is.
    pub fn light_awaited(&self) -> ShowTime {
        let light = self.waiting.values().filter(|it| it.order.output == Output::Light);
        light.map(|it| it.order.at).max().unwrap_or(ShowTime::from_ns(i64::MIN))
    }

    /// A voice began.
    pub fn voice_began(
        &mut self,
        voice: VoiceId,
        at: ShowTime,
        evidence: Evidence,
    ) -> Option<Receipt> {
        let order = self.voices.remove(&voice)?;
        self.close(order, Some(at), evidence, 1)
    }

    /// What a cue says to the lighting network has left.
    pub fn sent(&mut self, order: OrderId, at: ShowTime, evidence: Evidence) -> Option<Receipt> {
        self.close(order, Some(at), evidence, 1)
    }

    /// A phone did it; the receipt waits for the others. A time that no phone can mean says nothing: one phone in
    /// the audience must not make the receipt of all the others worthless. `was_late` is whether the order had come too
    /// late, where that is known.
    pub fn phone_played(&mut self, message: Uuid, at: ShowTime, was_late: Option<bool>) {
        let Some(order) = self.messages.get(&message) else { return };
        let Some(waiting) = self.waiting.get_mut(order) else { return };
        if (at - waiting.order.at).abs() > PATIENCE {
            return;
        }
        let (count, latest) = waiting.phones.unwrap_or((0, at));
        waiting.phones = Some((count.saturating_add(1), latest.max(at)));
        if let Some(was_late) = was_late {
            let late = waiting.too_late.unwrap_or(0);
            waiting.too_late = Some(late.saturating_add(u32::from(was_late)));
        }
    }

    /// Receipts of orders whose time is over: with what phones said, or with nothing known.
    pub fn overdue(&mut self, now: ShowTime) -> Vec<Receipt> {
        let over = |it: &&Waiting| it.order.at + PATIENCE <= now;
        let ids: Vec<OrderId> = self.waiting.values().filter(over).map(|it| it.order.id).collect();
        ids.into_iter()
            .filter_map(|id| match self.waiting.get(&id)?.phones {
                Some((count, latest)) => self.close(id, Some(latest), Evidence::Phone, count),
                None => self.close(id, None, Evidence::None, 0),
            })
            .collect()
    }

    /// When the next order's time is over.
    pub fn next_overdue(&self) -> Option<ShowTime> {
        self.waiting.values().map(|it| it.order.at + PATIENCE).min()
    }

    fn close(
        &mut self,
        id: OrderId,
        happened: Option<ShowTime>,
        evidence: Evidence,
        count: u32,
    ) -> Option<Receipt> {
        let Waiting { order, too_late, .. } = self.waiting.remove(&id)?;
        let Order { id: order, output, at, .. } = order;
        self.voices.retain(|_, of| *of != id);
        self.messages.retain(|_, of| *of != id);
        Some(Receipt { order, output, at, happened, evidence, count, too_late })
    }
}

/// Whether an output can tell when it carried this out.
pub fn can_tell(order: &Order) -> bool {
    match order.output {
        Output::Light | Output::Network => true,
        Output::Sound => matches!(order.what, What::Play { .. }),
        Output::Air => false,
        Output::Phones => matches!(order.what, What::Track { .. } | What::Screen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_phone_that_makes_times_up_does_not_spoil_the_receipt_of_the_others() {
        let due = ShowTime::from_ns(1_790_000_000_000_000_000);
        let order = Order {
            id: OrderId(1),
            cue: None,
            output: Output::Phones,
            what: What::Screen,
            at: due,
        };
        let (mut ledger, message) = (Ledger::default(), Uuid::from_u128(7));
        ledger.expect_message(&order, message);
        ledger.phone_played(message, ShowTime::from_ns(i64::MAX), Some(true));
        ledger.phone_played(message, due + Span::from_millis(12), Some(false));
        ledger.phone_played(message, ShowTime::from_ns(i64::MIN), None);
        let receipts = ledger.overdue(due + PATIENCE);
        assert_eq!(receipts[0].late(), Some(Span::from_millis(12)));
        assert_eq!((receipts[0].count, receipts[0].too_late), (1, Some(0)));
    }
}
