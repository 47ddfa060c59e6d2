//! Where `/ws` stands: sockets of simulated phones on one side, the engine on the other.
//!
//! In: what reaches the box. Out: what is answered at once, and news for the engine. The decisions are those of
//! the running box, [`engine::phones::Visitor`]; clock questions are answered here and the engine never sees them.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::clock::TAI_UTC;
use engine::pace::HousePace;
use engine::phones::{Answer, Limits, Transport, Visitor, welcome};
use engine::show::Show;
use engine::told::{Input, To};
use engine::weather::Weather;
use phone::Chance;
use units::{PhoneId, ShowTime, Span, WireTime};
use uuid::Uuid;
use wire::solusync::{
    self, Calibrated, ClockSyncResponse, Header, Message, NodeStatus, NodeType, Standing,
};

/// The box's end of every socket.
#[derive(Debug)]
pub(crate) struct Edge {
    show: Arc<Show>,
    node: Uuid,
    chance: Chance,
    sequence: u64,
    sockets: u64,
    seats: BTreeMap<PhoneId, Seat>,
    pace: HousePace,
    /// When clock questions came, all of them.
    questions: Vec<ShowTime>,
}

/// A socket.
#[derive(Debug)]
struct Seat {
    visitor: Visitor,
    greeted: bool,
    heard: ShowTime,
    status: Option<NodeStatus>,
    calibrated: Option<Calibrated>,
}

/// What comes of a word.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// What the phone is told at once.
    pub(crate) word: Option<Arc<str>>,
    /// What the engine is told.
    pub(crate) news: Option<Input>,
    /// Whether the socket is closed after the word.
    pub(crate) dismissed: bool,
}

/// As on the running box: nobody who answers pings is silent for so long.
const DEAD_AFTER: Span = Span::from_secs(30);

impl Edge {
    pub(crate) fn new(show: Arc<Show>, seed: u64) -> Self {
        let mut chance = Chance::new(u128::from(seed) << 64 | 0xed6e);
        let node = solusync::uuid_v4(chance.bits());
        let pace = HousePace::new(Limits::default().clock_syncs_total_per_second);
        let (seats, questions) = (BTreeMap::new(), Vec::new());
        Self { show, node, chance, sequence: 0, sockets: 0, seats, pace, questions }
    }

    /// A socket opened.
    pub(crate) fn enter(&mut self, now: ShowTime) -> PhoneId {
        self.sockets += 1;
        let phone = PhoneId(self.sockets);
        let visitor = Visitor::new(&Limits::default(), Transport::Plain);
        self.seats.insert(
            phone,
            Seat { visitor, greeted: false, heard: now, status: None, calibrated: None },
        );
        phone
    }

    /// A socket is gone.
    pub(crate) fn leave(&mut self, phone: PhoneId) -> Option<Input> {
        let seat = self.seats.remove(&phone)?;
        seat.greeted.then_some(Input::PhoneLeft { phone })
    }

    /// Sockets that nothing was heard from for too long.
    pub(crate) fn dead(&self, now: ShowTime) -> Vec<PhoneId> {
        let dead = self.seats.iter().filter(|(_, seat)| now - seat.heard >= DEAD_AFTER);
        dead.map(|(phone, _)| *phone).collect()
    }

    /// Everybody who has said `hello`.
    pub(crate) fn greeted(&self) -> Vec<PhoneId> {
        self.seats.iter().filter(|(_, seat)| seat.greeted).map(|(phone, _)| *phone).collect()
    }

    /// What phones are told when one of them has said `hello`: how often they may ask the time.
    pub(crate) fn pace_of(&mut self, now: ShowTime, phone: PhoneId) -> Option<(To, Message)> {
        let phones = self.greeted().len();
        let (to, pace) = self.pace.handle_joined(now, phone, phones)?;
        Some((to, Message::ClockPace(pace)))
    }

    /// What every phone is told now and then: how the box fares, and how often they may ask where that has changed.
    pub(crate) fn status_of_box(&mut self, now: ShowTime) -> Vec<Message> {
        let phones = self.greeted().len();
        let status = NodeStatus {
            connected_clients: Some(phones as u64),
            ..NodeStatus::of(NodeType::Master)
        };
        let said = self.seats.values().filter_map(|seat| seat.status.as_ref());
        let status = Weather::of(said).told_in(status);
        let pace = self.pace.poll(now, phones, None).map(Message::ClockPace);
        [Message::NodeStatus(Box::new(status))].into_iter().chain(pace).collect()
    }

    /// A message's own name.
    pub(crate) fn id(&mut self) -> Uuid {
        solusync::uuid_v4(self.chance.bits())
    }

    /// When clock questions came, all of them.
    pub(crate) fn questions(&self) -> &[ShowTime] {
        &self.questions
    }

    /// What a phone last said of itself.
    pub(crate) fn status(&self, phone: PhoneId) -> Option<&NodeStatus> {
        self.seats.get(&phone)?.status.as_ref()
    }

    /// What a phone found in a calibration.
    pub(crate) fn calibrated(&self, phone: PhoneId) -> Option<&Calibrated> {
        self.seats.get(&phone)?.calibrated.as_ref()
    }

    /// A word came.
    pub(crate) fn hear(&mut self, now: ShowTime, phone: PhoneId, text: &str) -> Reply {
        let Some(seat) = self.seats.get_mut(&phone) else { return Reply::default() };
        seat.heard = now;
        match seat.visitor.handle_text(now, text) {
            // No phone here shows a token, so none is an operator.
            Answer::Nothing | Answer::Prove { .. } | Answer::Media { .. } => Reply::default(),
            Answer::Clock(t1) => {
                self.questions.push(now);
                let at = WireTime::from_show(now, TAI_UTC);
                let answer = ClockSyncResponse { t1, t2: at, t3: at };
                self.reply(now, &Message::ClockSyncResponse(answer))
            }
            Answer::Welcome { .. } => {
                seat.greeted = true;
                let welcome = welcome(Standing::alone(self.node), &self.show, None);
                let welcome = Message::Welcome(Box::new(welcome));
                let news = Some(Input::PhoneJoined { phone, way: None });
                Reply { news, ..self.reply(now, &welcome) }
            }
            Answer::Played(said) => news(Input::played(phone, &said, TAI_UTC)),
            Answer::Calibrated(said) => {
                seat.calibrated = Some(said.clone());
                news(Input::PhoneCalibrated { phone, said })
            }
            Answer::Status(status) => {
                seat.status = Some((*status).clone());
                news(Input::PhoneStatus { phone, status })
            }
            Answer::Calibrate => news(Input::PhoneAsksCalibration { phone }),
            Answer::Refuse(refusal) => self.reply(now, &Message::Error(refusal)),
            Answer::Dismiss(refusal) => {
                Reply { dismissed: true, ..self.reply(now, &Message::Error(refusal)) }
            }
        }
    }

    /// A message as the box says it: the header is made here.
    pub(crate) fn text(&mut self, now: ShowTime, id: Uuid, message: &Message) -> Arc<str> {
        self.sequence += 1;
        let timestamp = WireTime::from_show(now, TAI_UTC);
        let header = Header { id, timestamp, node_id: self.node, sequence: self.sequence };
        solusync::emit(&header, message).into()
    }

    fn reply(&mut self, now: ShowTime, message: &Message) -> Reply {
        let id = self.id();
        Reply { word: Some(self.text(now, id, message)), ..Reply::default() }
    }
}

fn news(input: Input) -> Reply {
    Reply { news: Some(input), ..Reply::default() }
}
