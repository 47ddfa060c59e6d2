//! The engine of a box that drives, or that knows the play and waits for its turn.
//!
//! In: what an engine is told, and what the box that drives has told its own. Out: what an engine gives, as far as this box
//! may let it out; and, while it drives, the [`Step`]s that others follow by. Never here: who drives.
//!
//! The naive way sends the show's state about. It is large, it has a hundred forms, and whoever forgets one has a standby that
//! is wrong on the one night that it is needed. Here the same engine is told the same things, so its state is the same. It is
//! told nothing by itself meanwhile, not even the time: it goes as far as the box that drives says that it has gone, so that a
//! stop that was heard just before a cue finds the cue unfired on both.
//!
//! A box that stands by keeps for later what its own house says (how far ahead its card wants to know, who is on its sockets),
//! and what its engine orders that must not be heard or sent twice. Light is let out: lighting networks take the sender of the
//! higher priority, and that is what `io` gives it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use units::{PhoneId, ShowTime, Span, WayId};

use crate::delivery::PhoneDelivery;
use crate::glance::Glance;
use crate::peers::AirLead;
use crate::show::{Air, Show};
use crate::timecode::Course;
use crate::told::{Done, Effect, Input, Refusal, Request};
use crate::{Engine, EngineStart, Why, sound};

/// Something that the show depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When the box that drives was told.
    pub at: ShowTime,
    /// What.
    #[serde(flatten)]
    pub told: Told,
}

/// What an engine is told that another one has to be told, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Somebody asked for something.
    Command(Request),
    /// Something happened ([`Input::is_of_the_show`]).
    Input(Input),
}

/// The engine, and whether it is this box's turn.
#[derive(Debug)]
pub struct Understudy {
    engine: Engine,
    show: Arc<Show>,
    start: EngineStart,
    /// Who drives, for who asks here; none while this box does.
    master: Option<String>,
    /// Whether steps are wanted.
    is_followed: bool,
    steps: VecDeque<Step>,
    /// How many there have been since [`Self::start`].
    count: u64,
    /// The last moment that the engine was told of.
    last: ShowTime,
    /// The last lead of phones that a step says.
    lead: Option<Span>,
    house: OwnHouse,
    kept: Kept,
    effects: VecDeque<Effect>,
}

/// What this box alone says to its engine.
#[derive(Debug, Default)]
struct OwnHouse {
    local_ahead: Option<Span>,
    sound_lead: Option<Span>,
    air_lead: Option<AirLead>,
    microphone: Option<bool>,
    sound_input: Option<bool>,
    phones: BTreeMap<PhoneId, Option<WayId>>,
}

/// What is to be done when it is this box's turn.
#[derive(Debug, Default)]
struct Kept {
    sound: Option<Arc<sound::Plan>>,
    course: Option<Course>,
    air: Option<(Option<Air>, ShowTime)>,
}

impl Understudy {
    /// A box that drives from the beginning; `is_followed` where others are to follow.
    pub fn new(show: Arc<Show>, start: EngineStart, is_followed: bool) -> Self {
        Self {
            engine: Engine::new(show.clone(), start),
            show,
            start,
            master: None,
            is_followed,
            steps: VecDeque::new(),
            count: 0,
            last: start.now,
            lead: None,
            house: OwnHouse::default(),
            kept: Kept::default(),
            effects: VecDeque::new(),
        }
    }

    /// Whether it is this box's turn.
    pub fn drives(&self) -> bool {
        self.master.is_none()
    }

    /// What its engine began with: others that follow begin with the same.
    pub fn start(&self) -> EngineStart {
        self.start
    }

    /// How many steps it has taken, and up to when it has done everything.
    pub fn progress(&self) -> (u64, ShowTime) {
        (self.count, self.last)
    }

    /// As [`Engine::command`]; a box that stands by does nothing that it is asked.
    ///
    /// # Errors
    /// As [`Engine::command`], and [`Refusal::StandsBy`].
    pub fn command(&mut self, now: ShowTime, request: &Request) -> Result<Done, Refusal> {
        if let Some(master) = &self.master {
            return Err(Refusal::StandsBy { master: master.clone() });
        }
        let now = self.at(now);
        if self.is_followed {
            self.note(now, Told::Command(request.clone()));
        }
        self.engine.command(now, request)
    }

    /// As [`Engine::handle`].
    pub fn handle(&mut self, now: ShowTime, input: Input) {
        self.house.hear(&input);
        if !self.drives() {
            return;
        }
        let now = self.at(now);
        if self.is_followed && input.is_of_the_show() {
            self.note(now, Told::Input(input.clone()));
        }
        self.engine.handle(now, input);
    }

    /// As [`Engine::next_wake`]; none while this box stands by.
    pub fn next_wake(&self) -> Option<(ShowTime, Why)> {
        self.engine.next_wake().filter(|_| self.drives())
    }

    /// As [`Engine::poll`], without what is not this box's to do.
    pub fn poll(&mut self) -> Option<Effect> {
        loop {
            if let Some(effect) = self.effects.pop_front() {
                return Some(effect);
            }
            let effect = self.engine.poll()?;
            self.kept.note(&effect);
            if self.drives() || is_let_out(&effect) {
                return Some(effect);
            }
        }
    }

    /// The next step that others have to take; none while this box stands by.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// As [`Engine::glance`].
    pub fn glance(&self, now: ShowTime) -> Glance {
        self.engine.glance(now)
    }

    /// As [`Engine::deliveries`].
    pub fn deliveries(&self) -> BTreeMap<PhoneId, PhoneDelivery> {
        self.engine.deliveries()
    }

    /// Another box drives from now on: what only one may do ceases. [`Self::begin`] follows, once that box has said what its
    /// engine began with.
    pub fn stand_by(&mut self, master: String) {
        if self.drives() {
            self.effects.push_back(Effect::Sound(sound::Playback::new().plan()));
            self.effects.push_back(Effect::Timecode(Course::default()));
            self.effects.push_back(Effect::Air { what: None, at: self.last });
        }
        self.steps.clear();
        self.master = Some(master);
    }

    /// Begins anew, as the box that drives began; its steps follow.
    pub fn begin(&mut self, start: EngineStart) {
        self.engine = Engine::new(self.show.clone(), start);
        (self.start, self.count, self.last, self.lead) = (start, 0, start.now, None);
        self.kept = Kept::default();
    }

    /// The box that drives was told this.
    pub fn follow(&mut self, step: &Step) {
        if self.drives() {
            return;
        }
        self.go_on(step.at);
        self.count += 1;
        self.last = self.last.max(step.at);
        match &step.told {
            // What it was refused there it is refused here.
            Told::Command(request) => drop(self.engine.command(self.last, request)),
            Told::Input(input) => self.engine.handle(self.last, input.clone()),
        }
    }

    /// The box that drives has done everything up to then, after so many steps.
    pub fn handle_progress(&mut self, steps: u64, done: ShowTime) {
        if !self.drives() && steps == self.count {
            self.go_on(done);
        }
    }

    /// It is this box's turn: it does what it kept, tells its engine of its own house, and goes on from show time.
    pub fn take_over(&mut self, now: ShowTime) {
        if self.drives() {
            return;
        }
        self.master = None;
        self.let_out_kept();
        self.engine.disown(self.last);
        let now = self.at(now);
        for input in self.house.inputs() {
            self.handle(now, input);
        }
        self.handle(now, Input::Wake);
    }

    /// Every alarm up to then, each at its own time.
    fn go_on(&mut self, to: ShowTime) {
        while let Some((at, _)) = self.engine.next_wake().filter(|(at, _)| *at <= to) {
            let at = at.max(self.last);
            self.last = at;
            self.engine.handle(at, Input::Wake);
        }
        self.last = self.last.max(to);
    }

    /// Clocks of two boxes agree to microseconds at best: the engine's time does not go back.
    fn at(&mut self, now: ShowTime) -> ShowTime {
        self.last = self.last.max(now);
        self.last
    }

    fn note(&mut self, at: ShowTime, told: Told) {
        let lead = self.engine.lead_of_phones();
        if self.lead.replace(lead) != Some(lead) {
            self.push(Step { at, told: Told::Input(Input::PhoneLead(lead)) });
        }
        self.push(Step { at, told });
    }

    fn push(&mut self, step: Step) {
        self.count += 1;
        self.steps.push_back(step);
    }

    fn let_out_kept(&mut self) {
        let Kept { sound, course, air } = &self.kept;
        self.effects.extend(sound.clone().map(Effect::Sound));
        self.effects.extend(course.map(Effect::Timecode));
        self.effects.extend(air.clone().map(|(what, at)| Effect::Air { what, at }));
    }
}

impl OwnHouse {
    fn hear(&mut self, input: &Input) {
        match input {
            Input::LocalTime { ahead } => self.local_ahead = Some(*ahead),
            Input::SoundLead(lead) => self.sound_lead = Some(*lead),
            Input::AirLead(lead) => self.air_lead = Some(*lead),
            Input::Microphone { is_there } => self.microphone = Some(*is_there),
            Input::SoundInput { is_there } => self.sound_input = Some(*is_there),
            Input::PhoneJoined { phone, way } => drop(self.phones.insert(*phone, *way)),
            Input::PhoneLeft { phone } => drop(self.phones.remove(phone)),
            _ => {}
        }
    }

    /// All of it again.
    fn inputs(&self) -> Vec<Input> {
        let phones = self.phones.iter();
        let phones = phones.map(|(phone, way)| Input::PhoneJoined { phone: *phone, way: *way });
        let facts = [
            self.local_ahead.map(|ahead| Input::LocalTime { ahead }),
            self.sound_lead.map(Input::SoundLead),
            self.air_lead.map(Input::AirLead),
            self.microphone.map(|is_there| Input::Microphone { is_there }),
            self.sound_input.map(|is_there| Input::SoundInput { is_there }),
        ];
        facts.into_iter().flatten().chain(phones).collect()
    }
}

impl Kept {
    fn note(&mut self, effect: &Effect) {
        match effect {
            Effect::Sound(plan) => self.sound = Some(plan.clone()),
            Effect::Timecode(course) => self.course = Some(*course),
            Effect::Air { what, at } => self.air = Some((what.clone(), *at)),
            _ => {}
        }
    }
}

/// What a box that stands by may do: light, which goes out beneath the other's. It has no story and no account of its own; those
/// of the box that drives are right.
fn is_let_out(effect: &Effect) -> bool {
    matches!(effect, Effect::Light(_) | Effect::ShowRuns(_))
}
