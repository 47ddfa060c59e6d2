//! When each phone would have sounded beside when it was to, by the true clock.
//!
//! In: orders as they come, the phone's clock, until their time is over. Out: [`Sounded`]. A phone of a fleet has no sound
//! card; the rest is what the page does: it plays what it was ordered when its own clock says so, or as soon after the
//! order came as its page can.

use phone::NetTime;
use phone::clock::Clock;
use serde::Serialize;
use units::{MonoTime, Span};
use wire::solusync::{Message, parse_from_box};

use super::report::Quantiles;

/// What a page needs from an order to the sound thread, where that has to begin at once.
pub(super) const NEED: Span = Span::from_millis(60);

/// Orders that one phone waits for the time of.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: Vec<Order>,
    done: Vec<Sounded>,
}

#[derive(Debug)]
struct Order {
    due: NetTime,
    lead: Span,
    /// By the machine's clock.
    came: MonoTime,
    /// When the phone's own clock will say that it is time, by the machine's clock, as known last.
    plans: Option<MonoTime>,
}

/// One order at one phone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sounded {
    /// When it was to sound.
    pub(super) due: NetTime,
    /// How far ahead of that it had left the box.
    pub(super) lead: Span,
    /// When it would have, by the machine's clock.
    pub(super) at: MonoTime,
    /// It came too late for its time.
    pub(super) is_late: bool,
}

impl Orders {
    /// A text came; what is to begin after it left is an order, anything else is state.
    pub(super) fn hear(&mut self, came: MonoTime, text: &str) {
        let Ok((header, message)) = parse_from_box(text) else { return };
        let start_at = match message {
            Message::Screen(it) => it.start_at,
            Message::MediaControl(it) => it.start_at,
            _ => None,
        };
        let micros = |it: units::WireTime| NetTime::from_ns(it.micros() * 1_000);
        let (Some(due), sent) = (start_at.map(micros), micros(header.timestamp)) else { return };
        if due > sent {
            self.waiting.push(Order { due, lead: due - sent, came, plans: None });
        }
    }

    /// Time went on; `machine` says what the machine's clock reads when the page's does. Gives whether anything sounded.
    pub(super) fn look(
        &mut self,
        now: MonoTime,
        clock: &Clock,
        machine: impl Fn(MonoTime) -> MonoTime,
    ) -> bool {
        let before = self.done.len();
        self.waiting.retain_mut(|order| {
            // Once it has sounded, what the clock learns changes nothing.
            if order.plans.is_none_or(|plans| now < plans) {
                order.plans = clock.mono_at(order.due).map(&machine).or(order.plans);
            }
            let Some(plans) = order.plans else { return true };
            let soonest = order.came + NEED;
            let (at, is_late) = (plans.max(soonest), soonest > plans);
            if at <= now {
                self.done.push(Sounded { due: order.due, lead: order.lead, at, is_late });
            }
            at > now
        });
        self.done.len() > before
    }

    /// What has sounded since this was asked last.
    pub(super) fn take(&mut self) -> Vec<Sounded> {
        std::mem::take(&mut self.done)
    }
}

/// What became of all orders at all phones, in milliseconds.
#[derive(Debug, Serialize)]
pub struct Sounds {
    /// How far from its time each would have sounded, its sign taken off.
    pub absolute: Quantiles,
    /// How far ahead they had left the box.
    pub lead: Quantiles,
    /// The share that came too late for their time, 0 to 1; null without any.
    pub late: Option<f64>,
    /// Orders that were given.
    pub given: usize,
    /// The share of them, each phone's counted, that no phone has told of by the end; null without any.
    pub missed: Option<f64>,
}

/// They as they come.
#[derive(Debug, Default)]
pub(super) struct Tally {
    errors: Vec<f64>,
    leads: Vec<f64>,
    late: usize,
}

impl Tally {
    pub(super) fn add(&mut self, sounded: Sounded, truth: NetTime) {
        self.errors.push((truth - sounded.due).millis_f64().abs());
        self.leads.push(sounded.lead.millis_f64());
        self.late += usize::from(sounded.is_late);
    }

    /// `given` orders to so many phones.
    pub(super) fn close(self, given: usize, phones: usize) -> Sounds {
        let (count, wanted) = (self.errors.len(), given * phones);
        let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        Sounds {
            absolute: Quantiles::of(&self.errors),
            lead: Quantiles::of(&self.leads),
            late: share(self.late, count),
            given,
            missed: share(wanted.saturating_sub(count), wanted),
        }
    }
}
