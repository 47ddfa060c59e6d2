//! When each phone would have sounded beside when it was to, by the true clock.
//!
//! In: orders as they come, the phone's clock, until their time is over. Out: [`Sounded`]. A phone of a fleet has no sound
//! card; the rest is what the page does: it plays what it was ordered when its own clock says so, or as soon after the
//! order came as its page can. Who begins late joins in the middle, at the *place* where the others are by then (SX-10):
//! that it was silent until then is the network's, how far it is from the others is the clock's, so they are told apart.

use phone::NetTime;
use phone::clock::Clock;
use serde::Serialize;
use units::{MonoTime, Span};
use wire::solusync::{Message, parse_from_box};

use super::guest::PageClock;
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
    /// Where in what was ordered it began, as the network time of that place: `due`, unless it came too late.
    pub(super) place: NetTime,
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

    /// Time went on. Gives whether anything sounded.
    pub(super) fn look(&mut self, now: MonoTime, clock: &Clock, page: &PageClock) -> bool {
        let before = self.done.len();
        self.waiting.retain_mut(|order| {
            // Once it has sounded, what the clock learns changes nothing.
            if order.plans.is_none_or(|plans| now < plans) {
                let plans = clock.mono_at(order.due).map(|at| page.machine(at));
                order.plans = plans.or(order.plans);
            }
            let sounded = order.sounded(clock, page).filter(|it| it.at <= now);
            self.done.extend(sounded);
            sounded.is_none()
        });
        self.done.len() > before
    }

    /// What has sounded since this was asked last.
    pub(super) fn take(&mut self) -> Vec<Sounded> {
        std::mem::take(&mut self.done)
    }
}

impl Order {
    /// When and where it begins, as known now.
    fn sounded(&self, clock: &Clock, page: &PageClock) -> Option<Sounded> {
        let (plans, soonest) = (self.plans?, self.came + NEED);
        let (at, is_late) = (plans.max(soonest), soonest > plans);
        let place = if is_late { clock.reading(page.exact(at))?.net } else { self.due };
        Some(Sounded { due: self.due, lead: self.lead, at, place, is_late })
    }
}

/// What became of all orders at all phones, in milliseconds.
#[derive(Debug, Serialize)]
pub struct Sounds {
    /// How far from its time each that came in time would have sounded, its sign taken off.
    pub absolute: Quantiles,
    /// How long after its time each that came too late would have begun.
    pub late_by: Quantiles,
    /// How far from the place where it should have been by then, its sign taken off.
    pub late_from_place: Quantiles,
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
    late_by: Vec<f64>,
    late_from_place: Vec<f64>,
    leads: Vec<f64>,
}

impl Tally {
    /// `truth` is the box's time when it sounded.
    pub(super) fn add(&mut self, sounded: Sounded, truth: NetTime) {
        let error = (truth - sounded.place).millis_f64().abs();
        self.leads.push(sounded.lead.millis_f64());
        if sounded.is_late {
            self.late_by.push((truth - sounded.due).millis_f64());
            self.late_from_place.push(error);
        } else {
            self.errors.push(error);
        }
    }

    /// `given` orders to so many phones.
    pub(super) fn close(self, given: usize, phones: usize) -> Sounds {
        let (count, wanted) = (self.leads.len(), given * phones);
        let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        Sounds {
            absolute: Quantiles::of(&self.errors),
            late_by: Quantiles::of(&self.late_by),
            late_from_place: Quantiles::of(&self.late_from_place),
            lead: Quantiles::of(&self.leads),
            late: share(self.late_by.len(), count),
            given,
            missed: share(wanted.saturating_sub(count), wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use phone::Channel;
    use phone::clock::Exchange;
    use serde_json::json;
    use sim::Rounding;
    use sim::path::{Carriage, Direction, Path, Scenario, Verdict};
    use units::Ppm;

    use super::*;

    /// The box's clock less the machine's.
    const AHEAD: Span = Span::from_secs(1_790_000_000);
    /// What a crowded house has its orders ahead by.
    const LEAD: Span = Span::from_millis(460);

    fn net(at: MonoTime) -> NetTime {
        NetTime::from_ns(at.ns()) + AHEAD
    }

    fn order(sent: MonoTime) -> String {
        let secs = |at: MonoTime| net(at).ns() as f64 / 1e9;
        let id = "00000000-0000-4000-8000-000000000000";
        json!({
            "type": "screen",
            "header": { "id": id, "timestamp": secs(sent), "node_id": id, "sequence": 0 },
            "start_at": secs(sent + LEAD),
        })
        .to_string()
    }

    /// A phone whose crystal is off, and that has known the time for a minute.
    fn phone() -> (PageClock, Clock) {
        let step = Rounding::Floor(Span::from_micros(5));
        let page = PageClock::new(MonoTime::ZERO, Ppm(40.0), step);
        let mut clock = Clock::default();
        for k in 0..60_i64 {
            let at = |ms: i64| MonoTime::ZERO + Span::from_millis(1_000 * k + ms);
            let (t1, t4) = (page.exact(at(0)), page.exact(at(2)));
            let (t2, t3, channel) = (net(at(1)), net(at(1)), Channel::WebSocket);
            clock.handle(Exchange { t1, t2, t3, t4, channel });
        }
        (page, clock)
    }

    /// `tools fleet --phones 1000 --scenario venue-crowded`: one phone sounded 675 ms from when it was ordered.
    #[test]
    fn an_order_that_waits_in_the_crowd_begins_late_and_in_its_place() {
        let (page, clock) = phone();
        let scenario = Scenario::named("venue-crowded").expect("a scenario");
        let (mut orders, mut tally) = (Orders::default(), Tally::default());
        for seed in 0..1_000 {
            let mut way = Path::new(scenario, Carriage::Stream, seed, MonoTime::ZERO);
            for cue in 0..15 {
                let sent = MonoTime::ZERO + Span::from_secs(60 + 2 * cue);
                let Verdict::Deliver { at, .. } = way.judge(sent, Direction::Down, 300) else {
                    unreachable!("a stream loses nothing")
                };
                orders.hear(at, &order(sent));
            }
        }
        orders.look(MonoTime::ZERO + Span::from_secs(120), &clock, &page);
        orders.take().into_iter().for_each(|it| tally.add(it, net(it.at)));
        let sounds = tally.close(15, 1_000);
        println!("{sounds:?}");
        assert!(sounds.late_by.max > Some(500.0), "nobody waits for so slow a one: {sounds:?}");
        assert_eq!(sounds.missed, Some(0.0), "{sounds:?}");
        assert!(sounds.absolute.max < Some(1.0), "in time: {sounds:?}");
        assert!(sounds.late_from_place.max < Some(1.0), "where the others are: {sounds:?}");
    }
}
