//! What a recording keeps of the talk with phones (SX-20): what all of them were told, and what each said of it.
//!
//! In: what the engine hears and what it wants done, as both pass. Out: lines for a capture. Phones say how they fare
//! every five seconds, each of a thousand: one word in half a minute is kept, and those by which a network is another.

use std::collections::{BTreeMap, VecDeque};

use units::{PhoneId, ShowTime, Span, WireTime};
use uuid::Uuid;
use wire::capture::talk::{Fare, Line};
use wire::quality::Quality;
use wire::solusync::{self, Header, Message, NodeStatus};

use crate::delivery::span;
use crate::told::{Effect, Input, To};

/// So often a phone's fare is kept.
const FARE_EVERY: Span = Span::from_secs(30);
/// And so often at most, though its network has another level each time: phones speak every five seconds.
const CHANGE_EVERY: Span = Span::from_secs(4);
/// Orders that phones may still speak of; older ones have been forgotten by everybody.
const ORDERS_KEPT: usize = 256;

/// Listens to the talk.
#[derive(Debug)]
pub struct Ear {
    tai_utc: Span,
    /// What phones were told, and for when.
    orders: VecDeque<(Uuid, ShowTime)>,
    /// When a phone's fare was kept last, and which level its network had.
    fares: BTreeMap<PhoneId, (ShowTime, Option<Quality>)>,
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
                let fare = fare(status);
                self.is_news(now, *phone, fare.quality)
                    .then_some(Line::Fares { phone: phone.0, fare })
            }
            _ => None,
        }
    }

    /// Whether how a phone fares is kept now.
    fn is_news(&mut self, now: ShowTime, phone: PhoneId, quality: Option<Quality>) -> bool {
        let is_news = self.fares.get(&phone).is_none_or(|(then, before)| {
            now - *then >= if quality == *before { FARE_EVERY } else { CHANGE_EVERY }
        });
        if is_news {
            self.fares.insert(phone, (now, quality));
        }
        is_news
    }
}

/// What a capture has of it.
fn fare(status: &NodeStatus) -> Fare {
    let bound = |ms: f64| Span::from_secs_f64(ms / 1e3);
    let (sync, word) = (status.sync.as_ref(), status.network_quality.as_deref());
    let share = |of: f64, whole: f64| (of * whole).round().clamp(0.0, whole);
    Fare {
        clock_error: sync.and_then(|it| it.clock_ms).map(bound),
        output_error: sync.and_then(|it| it.output_ms).map(bound),
        battery: status.battery_level.map(|it| share(it, 100.0) as u8),
        quality: word.and_then(Quality::named),
        round_trip: status.avg_rtt_ms.and_then(span),
        loss: status.packet_loss_percent.map(|it| share(it / 100.0, 10_000.0) as u16),
        buffer: status.buffer_ms.and_then(span),
        tracks_ready: status.tracks_ready,
        tracks_wanted: status.tracks_wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::solusync::NodeType;

    fn heard(ear: &mut Ear, second: i64, word: &str) -> Option<Fare> {
        let network_quality = Some(word.to_owned());
        let status = NodeStatus { network_quality, ..NodeStatus::of(NodeType::Client) };
        hear(ear, second, status)
    }

    fn hear(ear: &mut Ear, second: i64, status: NodeStatus) -> Option<Fare> {
        let input = Input::PhoneStatus { phone: PhoneId(1), status: Box::new(status) };
        match ear.input(ShowTime::ZERO + Span::from_secs(second), &input)? {
            Line::Fares { phone: 1, fare } => Some(fare),
            line => panic!("{line:?}"),
        }
    }

    #[test]
    fn sx20_how_a_phone_fares_is_kept_twice_a_minute_and_when_its_network_gets_worse_or_better() {
        let mut ear = Ear::new(Span::ZERO);
        let said = |second: i64| match second {
            0..40 => "good",
            40..80 => "critical",
            _ => "fair",
        };
        let mut kept = Vec::new();
        for second in (0..120).step_by(5) {
            kept.extend(heard(&mut ear, second, said(second)).map(|it| (second, it.quality)));
        }
        let expected = [(0, 1), (30, 1), (40, 4), (70, 4), (80, 2), (110, 2)]
            .map(|(at, it)| (at, Some(Quality::ALL[it])));
        assert_eq!(kept, expected);
    }

    #[test]
    fn sx20_a_phone_whose_network_is_another_in_every_word_fills_no_recording() {
        let mut ear = Ear::new(Span::ZERO);
        let kept = (0..60)
            .filter_map(|it| heard(&mut ear, it, Quality::ALL[it as usize % 2].name()))
            .count();
        assert!(kept <= 15, "{kept} in a minute");
    }

    #[test]
    fn sx20_what_a_phone_reports_is_kept_and_what_cannot_be_meant_is_not() {
        let mut ear = Ear::new(Span::ZERO);
        let status = NodeStatus {
            network_quality: Some("poor".into()),
            avg_rtt_ms: Some(31.25),
            packet_loss_percent: Some(1.25),
            buffer_ms: Some(180.0),
            tracks_ready: Some(3),
            tracks_wanted: Some(4),
            ..NodeStatus::of(NodeType::Client)
        };
        let expected = Fare {
            quality: Some(Quality::Poor),
            round_trip: Some(Span::from_micros(31_250)),
            loss: Some(125),
            buffer: Some(Span::from_millis(180)),
            tracks_ready: Some(3),
            tracks_wanted: Some(4),
            ..Fare::default()
        };
        assert_eq!(hear(&mut ear, 0, status), Some(expected));
        let wild = NodeStatus {
            network_quality: Some("superb".into()),
            avg_rtt_ms: Some(f64::INFINITY),
            packet_loss_percent: Some(1e9),
            buffer_ms: Some(-1.0),
            ..NodeStatus::of(NodeType::Client)
        };
        let expected = Fare { loss: Some(10_000), ..Fare::default() };
        assert_eq!(hear(&mut ear, 60, wild), Some(expected));
    }
}
