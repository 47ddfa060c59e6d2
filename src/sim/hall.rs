//! The hall: every simulated phone, and the box's end of their sockets.
//!
//! In: the time, and what the engine tells phones. Out: news for the engine. A thousand phones ring at different
//! times, so who is next is kept in a row of alarms.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::show::Show;
use engine::told::{Input, To};
use units::{PhoneId, ShowTime, Span};
use uuid::Uuid;
use wire::solusync::{Calibrated, Message, NodeStatus};

use crate::edge::Edge;
use crate::line::FromPhone;
use crate::phone::{Files, PhoneSpec, SimPhone};

/// Everybody in it.
#[derive(Debug)]
pub(crate) struct Hall {
    edge: Edge,
    files: Files,
    guests: Vec<Guest>,
    sockets: BTreeMap<PhoneId, usize>,
    alarms: BTreeSet<(ShowTime, usize)>,
    next_round: ShowTime,
    next_status: ShowTime,
}

#[derive(Debug)]
struct Guest {
    phone: SimPhone,
    alarm: ShowTime,
    socket: Option<PhoneId>,
}

/// Dead sockets are looked for this often.
const ROUND: Span = Span::from_secs(10);
/// As on the running box: every phone hears this often how it fares.
const STATUS: Span = Span::from_secs(5);

impl Hall {
    pub(crate) fn new(show: Arc<Show>, seed: u64, now: ShowTime) -> Self {
        let files = show
            .media
            .iter()
            .map(|media| (format!("/media/{}", media.info.sha256), media.info.length().secs_f64()));
        Self {
            files: Arc::new(files.collect()),
            edge: Edge::new(show, seed),
            guests: Vec::new(),
            sockets: BTreeMap::new(),
            alarms: BTreeSet::new(),
            next_round: now + ROUND,
            next_status: now + STATUS,
        }
    }

    /// Somebody comes in and opens the page.
    pub(crate) fn enter(&mut self, spec: PhoneSpec, now: ShowTime) {
        let phone = SimPhone::new(spec, self.files.clone(), now);
        let alarm = phone.next();
        self.alarms.insert((alarm, self.guests.len()));
        self.guests.push(Guest { phone, alarm, socket: None });
    }

    pub(crate) fn len(&self) -> usize {
        self.guests.len()
    }

    pub(crate) fn phone(&self, index: usize) -> &SimPhone {
        &self.guests[index].phone
    }

    /// What the box last heard of how a phone fares.
    pub(crate) fn status(&self, index: usize) -> Option<&NodeStatus> {
        self.edge.status(self.guests[index].socket?)
    }

    /// What a phone found in a calibration, as the box has it.
    pub(crate) fn calibrated(&self, index: usize) -> Option<&Calibrated> {
        self.edge.calibrated(self.guests[index].socket?)
    }

    /// Whose socket that is.
    pub(crate) fn index_of(&self, phone: PhoneId) -> Option<usize> {
        self.sockets.get(&phone).copied()
    }

    /// Does something to a phone.
    pub(crate) fn touch(&mut self, index: usize, deed: impl FnOnce(&mut SimPhone)) {
        deed(&mut self.guests[index].phone);
        self.set_alarm(index);
    }

    /// When something happens next; none in an empty hall.
    pub(crate) fn next(&self) -> Option<ShowTime> {
        let (first, _) = self.alarms.first()?;
        Some(self.next_round.min(self.next_status).min(*first))
    }

    /// The next thing happens; gives what the engine is to hear.
    pub(crate) fn wake(&mut self, now: ShowTime) -> Vec<Input> {
        if self.next_round <= now {
            self.next_round = now + ROUND;
            return self.bury(now);
        }
        if self.next_status <= now {
            self.next_status = now + STATUS;
            for message in self.edge.status_of_box(now) {
                self.say(now, To::All, &message);
            }
            return Vec::new();
        }
        let Some((_, index)) = self.alarms.first().copied() else { return Vec::new() };
        let reached = self.guests[index].phone.run(now);
        let news = reached.into_iter().filter_map(|word| self.hear(now, index, word)).collect();
        self.set_alarm(index);
        news
    }

    /// The box tells phones something; `id` is the message's own.
    pub(crate) fn tell(&mut self, now: ShowTime, to: To, id: Uuid, message: &Message) {
        let phones = match to {
            To::All => self.edge.greeted(),
            To::One(phone) => vec![phone],
        };
        let text = self.edge.text(now, id, message);
        for phone in phones {
            if let Some(index) = self.sockets.get(&phone).copied() {
                self.touch(index, |phone| phone.tell(now, text.clone()));
            }
        }
    }

    /// The edge says something by itself.
    fn say(&mut self, now: ShowTime, to: To, message: &Message) {
        let id = self.edge.id();
        self.tell(now, to, id, message);
    }

    /// When clock questions came, all of them.
    pub(crate) fn questions(&self) -> &[ShowTime] {
        self.edge.questions()
    }

    fn hear(&mut self, now: ShowTime, index: usize, word: FromPhone) -> Option<Input> {
        match word {
            FromPhone::Opened => {
                let socket = self.edge.enter(now);
                self.guests[index].socket = Some(socket);
                self.sockets.insert(socket, index);
                None
            }
            FromPhone::Closed => {
                let socket = self.guests[index].socket.take()?;
                self.sockets.remove(&socket);
                self.edge.leave(socket)
            }
            FromPhone::Said(text) => {
                let socket = self.guests[index].socket?;
                let reply = self.edge.hear(now, socket, &text);
                let phone = &mut self.guests[index].phone;
                reply.word.into_iter().for_each(|word| phone.tell(now, word));
                if reply.dismissed {
                    phone.dismiss(now);
                    return self.hear(now, index, FromPhone::Closed);
                }
                if let Some(Input::PhoneJoined { phone, .. }) = reply.news
                    && let Some((to, pace)) = self.edge.pace_of(now, phone)
                {
                    self.say(now, to, &pace);
                }
                reply.news
            }
        }
    }

    /// Takes the seats of sockets that died without a word.
    fn bury(&mut self, now: ShowTime) -> Vec<Input> {
        let dead = self.edge.dead(now).into_iter();
        dead.filter_map(|socket| {
            let index = self.sockets.remove(&socket)?;
            self.guests[index].socket = None;
            self.edge.leave(socket)
        })
        .collect()
    }

    fn set_alarm(&mut self, index: usize) {
        let guest = &mut self.guests[index];
        self.alarms.remove(&(guest.alarm, index));
        guest.alarm = guest.phone.next();
        self.alarms.insert((guest.alarm, index));
    }
}
