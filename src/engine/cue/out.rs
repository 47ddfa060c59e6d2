//! What leaves the engine: orders, the plans and messages that carry them out, receipts, and words for people.

use units::{CueNumber, OrderId, PhoneId, ShowTime, Span};
use uuid::Uuid;
use wire::solusync::{ClockCorrection, Message, uuid_v4};

use super::Engine;
use crate::ledger::can_tell;
use crate::order::{Order, Output, Receipt, What};
use crate::told::{Effect, Said, To};

/// A frame of light, its head start and a little more: later than this is worth a word.
const LATE: Span = Span::from_millis(30);

/// A frame is drawn a little before its instant, and reports come after it: so much of the past may still be asked for.
const STILL_DRAWN: Span = Span::from_secs(1);

impl Engine {
    pub(super) fn send_plans(&mut self, now: ShowTime) {
        if std::mem::take(&mut self.light_changed) {
            self.light.forget(now - STILL_DRAWN);
            self.last_plan += 1;
            let plan = self.light.plan_until(self.last_plan, Some(self.ledger.light_awaited()));
            self.effects.push_back(Effect::Light(plan));
        }
        if std::mem::take(&mut self.sound_changed) {
            self.sound.set_timecode(self.ltc());
            self.effects.push_back(Effect::Sound(self.sound.plan()));
        }
        if std::mem::take(&mut self.course_changed) {
            self.effects.push_back(Effect::Timecode(self.course));
        }
    }

    pub(super) fn correct_phones(&mut self, now: ShowTime) {
        for (phone, correction) in self.pool.poll(now) {
            let (id, to) = (self.message_id(), To::One(phone));
            let message = Message::ClockCorrection(ClockCorrection(correction));
            self.effects.push_back(Effect::Tell { to, id, message });
        }
    }

    pub(super) fn welcome(&mut self, now: ShowTime, phone: PhoneId) {
        self.phones.insert(phone);
        for message in self.audience.catch_up(now) {
            let id = self.message_id();
            self.effects.push_back(Effect::Tell { to: To::One(phone), id, message });
        }
    }

    pub(super) fn receive(&mut self, receipt: Receipt) {
        if let Some(by) = receipt.late().filter(|by| *by > LATE) {
            self.say(Said::Late { order: receipt.order, by });
        }
        self.effects.push_back(Effect::Received(receipt));
    }

    pub(super) fn say(&mut self, said: Said) {
        self.effects.push_back(Effect::Said(said));
    }

    /// Gives an order; the caller makes the plan or the message that carries it out.
    pub(super) fn order(
        &mut self,
        cue: Option<CueNumber>,
        output: Output,
        what: What,
        at: ShowTime,
    ) -> Order {
        self.last_order += 1;
        let order = Order { id: OrderId(self.last_order), cue, output, what, at };
        if output == Output::Light {
            // Its plan is the next one to be sent.
            self.ledger.expect_light(&order, self.last_plan + 1);
        }
        self.effects.push_back(Effect::Ordered(order.clone()));
        order
    }

    /// Tells every phone, and waits for what they say of it if the order can be told of.
    pub(super) fn tell_all(&mut self, order: &Order, message: Message) {
        let id = self.message_id();
        if can_tell(order) {
            self.ledger.expect_message(order, id);
            self.delivery.handle_told(id, self.last_now, order.at);
        }
        self.effects.push_back(Effect::Tell { to: To::All, id, message });
    }

    pub(super) fn message_id(&mut self) -> Uuid {
        uuid_v4(u128::from(self.next_chance()) << 64 | u128::from(self.next_chance()))
    }

    /// SplitMix64: from one number handed in, as many as are needed.
    fn next_chance(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
