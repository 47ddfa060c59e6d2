//! The engine: cue lists, what runs, and the orders that come of it.
//!
//! *Run*: one sounding of a cue, from GO to its end. *Chain*: a cue and those that come after it by themselves;
//! GO puts the first cue behind the chain on standby. *Need*: how much time an output needs between its order and
//! its deed; a cue that starts `now` makes each output wait for its own need only, `together` for the longest.

mod agenda;
mod air;
mod alarms;
mod bench;
mod desk;
mod fire;
mod hand;
mod media;
mod on_stage;
mod out;
mod repeat;
mod standby;
mod timecode;
mod whole;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use units::{CommandId, CueNumber, PhoneId, ShowTime, Span, TrackId, VoiceId};

pub use agenda::Why;
use agenda::{Agenda, Event, RunId};
pub(crate) use media::AWAY_MAX;
use standby::Standby;
use timecode::Following;

use crate::audience::Audience;
use crate::boxfile::peers::LIVE_DELAY;
use crate::calibrate::Bench;
use crate::delivery::{self, Delivery, PhoneDelivery};
use crate::glance::{CueGlance, Glance, ListGlance, RunningGlance};
use crate::ledger::Ledger;
use crate::peers::AirLead;
use crate::pool::Pool;
use crate::show::{Cue, CuePlace, Lead, Show, TriggerOn};
use crate::timecode::Course;
use crate::told::{Command, Done, Effect, Input, Refusal, Request, Said};
use crate::{light, sound};

/// Until the card has said what it needs.
const FIRST_SOUND_LEAD: Span = Span::from_millis(60);

/// How many answers are kept for commands that are sent twice.
const ANSWERS_KEPT: usize = 1024;

/// What an engine begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineStart {
    /// Show time now.
    pub now: ShowTime,
    /// TAI minus UTC, frozen for this show.
    pub tai_utc: Span,
    /// Seeds the ids of messages; any number.
    pub chance: u64,
}

/// The show as it runs. Told with [`Engine::command`] and [`Engine::handle`], asked with [`Engine::poll`].
#[derive(Debug, Clone)]
pub struct Engine {
    show: Arc<Show>,
    chance: u64,
    local_ahead: Span,
    sound_lead: Span,
    lists: Vec<Standby>,
    /// One a list; none where it does not chase.
    following: Vec<Option<Following>>,
    /// Timecode that is sent.
    course: Course,
    agenda: Agenda,
    running: Vec<Running>,
    paused: Option<ShowTime>,
    show_runs: bool,
    light: light::Playback,
    desk: desk::Desk,
    airing: air::Airing,
    air_lead: AirLead,
    has_sound_input: bool,
    sound: sound::Playback,
    audience: Audience,
    phones: BTreeSet<PhoneId>,
    pool: Pool,
    delivery: Delivery,
    ledger: Ledger,
    bench: Bench,
    tai_utc: Span,
    answers: VecDeque<(CommandId, Result<Done, Refusal>)>,
    effects: VecDeque<Effect>,
    light_changed: bool,
    sound_changed: bool,
    course_changed: bool,
    /// When it was spoken to last: a chase foretells from there.
    last_now: ShowTime,
    last_order: u64,
    last_voice: u64,
    last_run: u64,
    last_plan: u64,
}

/// A cue that has been fired and has not ended.
#[derive(Debug, Clone)]
struct Running {
    id: RunId,
    place: CuePlace,
    number: CueNumber,
    begin: ShowTime,
    /// When it should have begun; none if that is when it did.
    since: Option<ShowTime>,
    /// None: it sounds until something ends it.
    ends: Option<ShowTime>,
    /// When everything in it but recorded light is through.
    besides: Option<ShowTime>,
    voices: Vec<VoiceId>,
    track: Option<TrackId>,
    tracking: Tracking,
}

/// What a cue brings of light.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tracking {
    /// What it names.
    Own,
    /// And everything that cues before it in its list would have brought: the list has jumped to it.
    All,
}

impl Tracking {
    fn of(jumped: bool) -> Self {
        if jumped { Self::All } else { Self::Own }
    }
}

/// How a cue is fired.
#[derive(Debug, Clone, Copy)]
struct Firing<'a> {
    /// When it is to begin, before its own pre-wait.
    begin: ShowTime,
    tracking: Tracking,
    /// It should have begun then, already gone: sound and tracks come in where they would be by now, if they are not
    /// over; everything else begins now.
    late: bool,
    /// Who asked.
    by: &'a str,
}

impl Engine {
    /// The first cue of every list on standby, nothing fired; the first plans are there to be polled.
    pub fn new(show: Arc<Show>, start: EngineStart) -> Self {
        let mut engine = Self {
            chance: start.chance,
            local_ahead: -start.tai_utc,
            sound_lead: FIRST_SOUND_LEAD,
            lists: vec![Standby::default(); show.lists.len()],
            following: show
                .lists
                .iter()
                .map(|list| Some(Following::new(list.timecode?, start.now)))
                .collect(),
            course: Course::default(),
            agenda: Agenda::default(),
            running: Vec::new(),
            paused: None,
            show_runs: false,
            light: light::Playback::new(&show),
            desk: desk::Desk::default(),
            airing: air::Airing::default(),
            air_lead: AirLead::new(LIVE_DELAY),
            has_sound_input: false,
            sound: sound::Playback::new(),
            audience: Audience::new(start.tai_utc),
            phones: BTreeSet::new(),
            pool: Pool::default(),
            delivery: Delivery::new(start.now),
            ledger: Ledger::default(),
            bench: Bench::default(),
            tai_utc: start.tai_utc,
            answers: VecDeque::new(),
            effects: VecDeque::new(),
            light_changed: true,
            sound_changed: true,
            course_changed: false,
            last_now: start.now,
            last_order: 0,
            last_voice: 0,
            last_run: 0,
            last_plan: 0,
            show,
        };
        engine.set_alarms(start.now);
        engine.send_plans(start.now);
        engine
    }

    /// Does what an operator asks, or says why not. The same id again gets the same answer and does nothing.
    ///
    /// # Errors
    /// A [`Refusal`], which is a sentence for the operator.
    pub fn command(&mut self, now: ShowTime, request: &Request) -> Result<Done, Refusal> {
        if let Some((_, answer)) = self.answers.iter().find(|(id, _)| *id == request.id) {
            return answer.clone();
        }
        self.catch_up(now);
        let answer = self.obey(now, &request.command, &request.from);
        if let Err(refusal) = &answer {
            self.say(Said::Refused { why: refusal.to_string(), by: request.from.clone() });
        }
        self.answers.push_back((request.id.clone(), answer.clone()));
        self.answers.drain(..self.answers.len().saturating_sub(ANSWERS_KEPT));
        self.settle(now);
        answer
    }

    /// Hears what happened in the world.
    pub fn handle(&mut self, now: ShowTime, input: Input) {
        self.catch_up(now);
        match input {
            Input::Wake => {}
            Input::LocalTime { ahead } => {
                self.local_ahead = ahead;
                self.set_alarms(now);
            }
            Input::SoundLead(lead) => self.sound_lead = lead.max(Span::ZERO),
            Input::AirLead(lead) => self.air_lead = lead,
            Input::PhoneLead(lead) => self.delivery.adopt(lead),
            Input::LightFrame(mut frame) => {
                frame.instant =
                    self.paused.map_or(frame.instant, |paused| frame.instant.min(paused));
                let receipts = self.ledger.light_left(&frame);
                receipts.into_iter().for_each(|receipt| self.receive(receipt));
            }
            Input::Crossed { trigger } => self.crossed(now, trigger),
            Input::ArtTrigger { key, from } => {
                self.hear_trigger(now, TriggerOn::Artnet(key), &format!("art-net {from}"));
            }
            Input::Sent { order, at, evidence } => {
                let receipt = self.ledger.sent(order, at, evidence);
                receipt.into_iter().for_each(|receipt| self.receive(receipt));
            }
            Input::SoundBegan { voice, at, evidence } => {
                let receipt = self.ledger.voice_began(voice, at, evidence);
                receipt.into_iter().for_each(|receipt| self.receive(receipt));
            }
            Input::PhoneJoined { phone, way } => {
                self.pool.join(now, phone, way);
                self.welcome(now, phone);
            }
            Input::PhoneLeft { phone } => {
                self.pool.leave(phone);
                self.delivery.handle_left(now, phone);
                self.phones.remove(&phone);
            }
            Input::PhoneCalibrated { phone, said } => self.pool.describe(now, phone, said),
            Input::PhonePlayed { phone, at, arrival } => {
                let is_here = self.phones.contains(&phone);
                let was_late = is_here.then(|| self.delivery.handle_arrival(now, phone, &arrival));
                let was_late = was_late.flatten();
                self.ledger.phone_played(arrival.message, at, was_late);
            }
            // Whoever has not said hello is not among those that cues are for.
            Input::PhoneStatus { phone, status } if self.phones.contains(&phone) => {
                self.delivery.handle_status(now, phone, &status);
            }
            Input::PhoneStatus { .. } => {}
            Input::SoundInput { is_there } => self.has_sound_input = is_there,
            Input::Microphone { is_there } => self.bench.set_microphone(is_there),
            Input::PhoneAsksCalibration { phone } => self.calibrate(now, phone),
            Input::Timecode { source, heard } => self.hear_timecode(now, source, &heard),
            Input::ChirpsHeard { phone, later } => self.chirps_heard(now, phone, later),
            Input::NotOnAir { what, why } => self.not_on_air(&what, why),
            Input::WithoutSound { what, why } => self.without_sound(&what, why),
        }
        self.settle(now);
    }

    /// The next thing the world should do; drain to none before telling more.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call `handle(now, Input::Wake)`, and why.
    pub fn next_wake(&self) -> Option<(ShowTime, Why)> {
        // Phones drift apart in a pause, too.
        let pool = self.pool.next_wake().map(|at| (at, Why::PhonesPooled));
        if self.paused.is_some() {
            return pool;
        }
        let due = self.agenda.next().map(|due| (due.at, self.why(&due.event)));
        let missing = self.ledger.next_overdue().map(|at| (at, Why::ReceiptMissing));
        let all = due.into_iter().chain(self.next_alarm()).chain(missing).chain(pool);
        let all = all.chain(self.next_timecode_wake(self.last_now));
        all.min_by_key(|(at, _)| *at)
    }

    /// A copy of the show's state for watchers.
    pub fn glance(&self, now: ShowTime) -> Glance {
        Glance {
            now,
            title: self.show.title.clone(),
            paused: self.paused.is_some(),
            lists: (0..self.lists.len()).map(|list| self.list_glance(list, now)).collect(),
            timecode: self.lead_glance(now),
            running: self.running.iter().map(|run| self.running_glance(run, now)).collect(),
            phones: self.phones.len(),
            masters: self.masters_glance(now),
            blackout: self.desk.is_black(),
            parked: self.desk.parked(),
            blind: self.desk.seen_blindly(),
            on_air: self.airing.latest().map(|it| it.what.to_string()),
            on_air_cue: self.on_air_by().map(|(_, cue)| cue.number),
            sealed: self.show.seal,
            delivery: self.delivery.glance(self.fixed_phone_lead()),
        }
    }

    /// What was ordered up to now another box has done: it has the receipts, and this one asks nobody for them.
    pub fn disown(&mut self, now: ShowTime) {
        self.ledger.forget(|order| order.at <= now);
    }

    /// How far ahead phones get their orders now.
    pub fn lead_of_phones(&self) -> Span {
        self.delivery.lead()
    }

    /// How orders reach each phone that has said so.
    pub fn deliveries(&self) -> BTreeMap<PhoneId, PhoneDelivery> {
        self.delivery.phones()
    }

    /// The show that runs.
    pub fn show(&self) -> &Arc<Show> {
        &self.show
    }

    fn obey(&mut self, now: ShowTime, command: &Command, from: &str) -> Result<Done, Refusal> {
        match command {
            Command::Go { list } => self.go(now, list.as_deref(), from),
            Command::Back { list } => self.back(now, list.as_deref()),
            Command::Fire { cue } => self.fire_by_number(now, *cue, from),
            Command::Goto { cue } => self.put_on_standby(now, *cue),
            Command::Stop => Ok(self.stop(now, from)),
            Command::Pause => Ok(self.pause(now, from)),
            Command::Resume => Ok(self.resume(now, from)),
            Command::Panic => Ok(self.panic(now, from)),
            Command::Calibrate => self.open_bench(now, from),
            Command::Release { list } => self.release(now, list.as_deref(), from),
            Command::Master { master, level } => self.master(now, master, *level, from),
            Command::Blackout { on } => Ok(self.blackout(now, *on, from)),
            Command::Park { what, level } => self.park(now, what, *level, from),
            Command::Unpark { what } => self.unpark(now, what.as_deref(), from),
            Command::Blind { cue } => self.blind(now, *cue, from),
            Command::Air { what } => self.air(now, what.as_deref(), from),
            Command::Media { control } => self.media(now, control, from),
        }
    }

    /// Does everything that was due up to `now`, before what `now` brings.
    fn catch_up(&mut self, now: ShowTime) {
        self.last_now = now;
        if self.paused.is_some() {
            return;
        }
        self.airing.go_on(now);
        self.ring_alarms(now);
        self.ring_timecodes(now);
        while let Some(event) = self.agenda.take_due(now) {
            self.happen(now, event);
        }
        let overdue = self.ledger.overdue(now);
        overdue.into_iter().for_each(|receipt| self.receive(receipt));
    }

    fn happen(&mut self, now: ShowTime, event: Event) {
        match event {
            Event::Order { run, output, begin } => self.order_output(now, run, output, begin),
            Event::Begin { run, by } => self.begins(run, by),
            Event::Act { run } => self.act(now, run),
            Event::Repeat { run, line, since } => self.repeat(now, run, line, since),
            Event::Next { place, begin, by, .. } => {
                self.fire(now, place, Firing { begin, tracking: Tracking::Own, late: false, by });
            }
            Event::End { run } => self.end(now, run),
            Event::OnAir { cue, what } => self.is_on_air(cue, what),
            Event::FadedOut => self.faded_out(),
        }
    }

    /// What `now` has brought about at once, and the plans that came of it.
    fn settle(&mut self, now: ShowTime) {
        self.catch_up(now);
        self.look_for_the_end();
        self.send_plans(now);
        self.correct_phones(now);
    }

    fn phone_lead(&self) -> Span {
        self.fixed_phone_lead().unwrap_or_else(|| self.delivery.lead())
    }

    /// The longest that it may have become when a cue that is known beforehand begins.
    fn longest_phone_lead(&self) -> Span {
        self.fixed_phone_lead().unwrap_or(delivery::CEILING)
    }

    fn fixed_phone_lead(&self) -> Option<Span> {
        match self.show.phone_lead {
            Lead::Auto => None,
            Lead::Fixed(lead) => Some(lead),
        }
    }

    fn why(&self, event: &Event) -> Why {
        let number = |id: &RunId| self.run(*id).map(|run| run.number);
        match event {
            Event::Order { run, .. }
            | Event::Begin { run, .. }
            | Event::Act { run }
            | Event::Repeat { run, .. } => number(run).map_or(Why::ReceiptMissing, Why::CueDue),
            Event::Next { place, .. } => {
                Why::CueDue(self.show.lists[place.list].cues[place.index].number)
            }
            Event::End { run } => number(run).map_or(Why::ReceiptMissing, Why::CueEnds),
            Event::OnAir { cue, .. } => Why::CueDue(*cue),
            Event::FadedOut => Why::FadedOut,
        }
    }

    fn run(&self, id: RunId) -> Option<&Running> {
        self.running.iter().find(|run| run.id == id)
    }

    fn list_glance(&self, list: usize, now: ShowTime) -> ListGlance {
        let glance = |index: usize| {
            let cue = self.show.at(CuePlace { list, index })?;
            Some(CueGlance { number: cue.number, name: cue.name.clone() })
        };
        let Standby { next, last, alarm } = self.lists[list];
        let name = self.show.lists[list].name.clone();
        let coming = self.agenda.coming(list).or_else(|| alarm.map(|at| (next, at)));
        ListGlance {
            name,
            standby: glance(next),
            coming: coming.and_then(|(index, _)| glance(index)),
            coming_at: coming.map(|(_, at)| at),
            last: last.and_then(glance),
            timecode: self.chase_glance(list, now),
        }
    }

    fn running_glance(&self, run: &Running, now: ShowTime) -> RunningGlance {
        let now = self.paused.unwrap_or(now);
        let name = self.show.at(run.place).map_or_else(String::new, |cue| cue.name.clone());
        let left = run.ends.map(|ends| (ends - now).max(Span::ZERO));
        RunningGlance { number: run.number, name, began: run.begin, left }
    }
}

/// A cue by its number, and its name if it has one.
fn called(cue: &Cue) -> String {
    let Cue { number, name, .. } = cue;
    if name.is_empty() { number.to_string() } else { format!("{number} \"{name}\"") }
}
