//! What a recording keeps of the talk with phones (SX-20): what all of them were told, and what each said of it.
//!
//! In: what the engine hears and what it wants done, as both pass. Out: lines for a capture. Phones say how they fare
//! every five seconds, each of a thousand: one word in half a minute is kept.

use std::collections::{BTreeMap, VecDeque};

use units::{PhoneId, ShowTime, Span, WireTime};
use uuid::Uuid;
use wire::capture::talk::{Fare, Line};
use wire::solusync::{self, Header, Message};

use crate::told::{Effect, Input, To};

/// So often a phone's fare is kept.
const FARE_EVERY: Span = Span::from_secs(30);
/// Orders that phones may still speak of; older ones have been forgotten by everybody.
const ORDERS_KEPT: usize = 256;

/// Listens to the talk.
#[derive(Debug)]
pub struct Ear {
    tai_utc: Span,
    /// What phones were told, and for when.
    orders: VecDeque<(Uuid, ShowTime)>,
    /// When a phone's fare was kept last.
    fares: BTreeMap<PhoneId, ShowTime>,
}

impl Ear {
    /// Nothing heard yet.
    pub fn new(tai_utc: Span) -> Self {
        Self { tai_utc, orders: VecDeque::new(), fares: BTreeMap::new() }
    }

    /// What the engine wants done.
    pub fn effect(&mut self, now: ShowTime, effect: &Effect) -> Option<Line> {
        let Effect::Tell { to: To::All, id, message } = effect else { return None };
        let at = match message {
            Message::Screen(it) => it.start_at,
            Message::MediaControl(it) => it.start_at,
            _ => return None,
        };
        self.orders.push_back((*id, at.map_or(now, |at| at.to_show(self.tai_utc))));
        if self.orders.len() > ORDERS_KEPT {
            self.orders.pop_front();
        }
        let timestamp = WireTime::from_show(now, self.tai_utc);
        // Whose it is and how many came before it says nothing to whoever plays it back.
        let header = Header { id: *id, timestamp, node_id: Uuid::nil(), sequence: 0 };
        Some(Line::Told { id: *id, text: solusync::emit(&header, message) })
    }

    /// What the engine hears.
    pub fn input(&mut self, now: ShowTime, input: &Input) -> Option<Line> {
        match input {
            Input::PhoneJoined { phone, .. } => Some(Line::Came { phone: phone.0 }),
            Input::PhoneLeft { phone } => {
                self.fares.remove(phone);
                Some(Line::Went { phone: phone.0 })
            }
            Input::PhonePlayed { phone, at, arrival } => {
                let order = arrival.message;
                let (_, due) = self.orders.iter().find(|(id, _)| *id == order)?;
                let (phone, late) = (phone.0, *at - *due);
                Some(Line::Played { phone, order, late, clock_error: arrival.doubt })
            }
            Input::PhoneStatus { phone, status } => {
                let is_known = self.fares.get(phone).is_some_and(|then| now - *then < FARE_EVERY);
                if is_known {
                    return None;
                }
                self.fares.insert(*phone, now);
                let bound = |ms: Option<f64>| ms.map(|ms| Span::from_secs_f64(ms / 1e3));
                let percent = |share: f64| (share * 100.0).round().clamp(0.0, 100.0) as u8;
                let fare = Fare {
                    clock_error: bound(status.sync.as_ref().and_then(|it| it.clock_ms)),
                    output_error: bound(status.sync.as_ref().and_then(|it| it.output_ms)),
                    battery: status.battery_level.map(percent),
                };
                Some(Line::Fares { phone: phone.0, fare })
            }
            _ => None,
        }
    }
}
