//! A crowd of phones as the box's orders find it: how long each word takes to each, and what they tell of that.
//!
//! In: a show, a seed, the way that each phone is on. Out: how far ahead orders go, and how many truly came too late.
//! Never: phone cores. An hour of hundreds of them is long; what they would say of their delays is drawn instead, wrong
//! by what they do not know of the time.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::clock::TAI_UTC;
use engine::delivery::{Account, Arrival};
use engine::show::Show;
use engine::told::{Command, Effect, Input, Request, To};
use engine::{Engine, EngineStart};
use phone::Chance;
use units::{CommandId, CueNumber, PhoneId, ShowTime, Span};
use uuid::Uuid;
use wire::output::{OutputSource, SyncErrors};
use wire::solusync::{MediaAction, Message, NodeStatus, NodeType, PlayedSource};

use crate::path::scaled;
use crate::wifi::{Way, Wifi};

/// Everybody, and the box's engine.
#[derive(Debug)]
pub struct Crowd {
    engine: Engine,
    now: ShowTime,
    chance: Chance,
    guests: Vec<Guest>,
    to_come: BTreeMap<(ShowTime, u64), Coming>,
    count: u64,
    truth: Account,
}

/// A phone.
#[derive(Debug)]
struct Guest {
    down: Way,
    /// What its page and its card need between an order and the sound.
    need: Span,
    /// Its clock is off by so much, and it knows that it may be by [`DOUBT`].
    off: Span,
    /// The box's last word on itself that it has not told of: when it comes, and how long it took.
    heard: Option<(ShowTime, Span)>,
}

#[derive(Debug)]
enum Coming {
    BoxSpeaks,
    PhoneSpeaks(usize),
    Heard(Input),
}

/// As on the running box, and as in the page.
const STATUS: Span = Span::from_secs(5);
/// How wrong a phone's clock may be.
const DOUBT: Span = Span::from_millis(3);

impl Crowd {
    /// Everybody has come in, each on a way of its own.
    pub fn new(show: Arc<Show>, seed: u64, ways: impl IntoIterator<Item = Wifi>) -> Self {
        let now = ShowTime::from_ns(1_790_000_000_000_000_000);
        let mut chance = Chance::new(u128::from(seed) << 64 | 0xc0);
        let guests: Vec<Guest> = ways.into_iter().map(|it| Guest::new(it, &mut chance)).collect();
        let start = EngineStart { now, tai_utc: TAI_UTC, chance: seed };
        let mut crowd = Self {
            engine: Engine::new(show, start),
            now,
            chance,
            guests,
            to_come: BTreeMap::new(),
            count: 0,
            truth: Account::default(),
        };
        for guest in 0..crowd.guests.len() {
            crowd.engine.handle(now, Input::PhoneJoined { phone: id(guest), way: None });
            let first = now + scaled(STATUS, crowd.chance.share());
            crowd.plan(first, Coming::PhoneSpeaks(guest));
        }
        crowd.plan(now, Coming::BoxSpeaks);
        crowd
    }

    /// Somebody's way is another one from now on.
    pub fn roam(&mut self, guest: usize, wifi: Wifi) {
        self.guests[guest].down.roam(wifi, Span::ZERO);
    }

    /// Time goes on, and every so often a cue with a track is fired.
    pub fn run(&mut self, span: Span, cue: CueNumber, every: Span) {
        let (end, mut next) = (self.now + span, self.now + every);
        while next <= end {
            self.run_until(next);
            self.fire(cue);
            next += every;
        }
        self.run_until(end);
    }

    /// How far ahead orders go now.
    pub fn lead(&self) -> Span {
        self.engine.glance(self.now).delivery.lead
    }

    /// What the engine has been told of orders since it began.
    pub fn told(&self) -> Account {
        self.engine.glance(self.now).delivery.account
    }

    /// What truly became of them since this was asked last.
    pub fn take_truth(&mut self) -> Account {
        std::mem::take(&mut self.truth)
    }

    fn run_until(&mut self, end: ShowTime) {
        while let Some(next) = self.to_come.first_entry().filter(|it| it.key().0 <= end) {
            let ((at, _), coming) = next.remove_entry();
            self.now = at;
            self.come(coming);
        }
        self.now = end;
        self.engine.handle(end, Input::Wake);
        while self.engine.poll().is_some() {}
    }

    fn come(&mut self, coming: Coming) {
        match coming {
            Coming::BoxSpeaks => {
                for guest in &mut self.guests {
                    let came = guest.down.arrival(self.now, &mut self.chance);
                    guest.heard = Some((came, came - self.now));
                }
                self.plan(self.now + STATUS, Coming::BoxSpeaks);
            }
            Coming::PhoneSpeaks(guest) => {
                let status = Box::new(self.guests[guest].status(self.now));
                self.engine.handle(self.now, Input::PhoneStatus { phone: id(guest), status });
                self.plan(self.now + STATUS, Coming::PhoneSpeaks(guest));
            }
            Coming::Heard(input) => self.engine.handle(self.now, input),
        }
    }

    fn fire(&mut self, cue: CueNumber) {
        self.count += 1;
        let id = CommandId(format!("desk {}", self.count));
        let request = Request { id, command: Command::Fire { cue }, from: "desk".to_owned() };
        self.engine.command(self.now, &request).expect("the show has the cue");
        while let Some(effect) = self.engine.poll() {
            if let Effect::Tell { to: To::All, id, message: Message::MediaControl(it) } = effect
                && it.action == MediaAction::Play
            {
                self.order(id, it.start_at.expect("a cue has its time").to_show(TAI_UTC));
            }
        }
    }

    fn order(&mut self, message: Uuid, due: ShowTime) {
        for k in 0..self.guests.len() {
            let guest = &mut self.guests[k];
            let came = guest.down.arrival(self.now, &mut self.chance);
            self.truth.reached += 1;
            self.truth.late += u64::from(came + guest.need > due);
            let at = due.max(came + guest.need);
            let arrival = Arrival {
                message,
                arrived: Some(came + guest.off),
                doubt: Some(DOUBT),
                source: PlayedSource::AudioClock,
            };
            let played = Input::PhonePlayed { phone: id(k), at, arrival };
            self.plan(at + Span::from_millis(20), Coming::Heard(played));
        }
    }

    fn plan(&mut self, at: ShowTime, coming: Coming) {
        self.count += 1;
        self.to_come.insert((at, self.count), coming);
    }
}

impl Guest {
    fn new(wifi: Wifi, chance: &mut Chance) -> Self {
        let off = scaled(DOUBT.times(2), chance.share()) - DOUBT;
        let need = Span::from_millis(70) + scaled(Span::from_millis(50), chance.share());
        Self { down: Way::new(wifi, Span::ZERO), need, off, heard: None }
    }

    fn status(&mut self, now: ShowTime) -> NodeStatus {
        let heard = self.heard.take_if(|(came, _)| *came <= now);
        let took = heard.map(|(_, took)| (took + self.off).max(Span::ZERO).millis_f64());
        let sync = SyncErrors {
            clock_ms: Some(DOUBT.millis_f64()),
            output_ms: None,
            output_source: OutputSource::Unknown,
            acoustic_ms: None,
            delay_ms: 0.0,
            nudge_ms: 0.0,
        };
        NodeStatus {
            delivery_ms: took,
            need_ms: Some(self.need.millis_f64()),
            sync: Some(sync),
            ..NodeStatus::of(NodeType::Client)
        }
    }
}

fn id(guest: usize) -> PhoneId {
    PhoneId(guest as u64 + 1)
}
