//! A phone on a desk: the page's own core, and around it what a browser, a sound card and a Wi-Fi would do.
//!
//! In: words from the box, taps, faults, and the time. Out: [`FromPhone`], what it sounds and shows, and what it did.
//! Never: real time; the same seed and the same calls give the same evening.
//!
//! What one hears is the truth here, down to the latency of the card, which this browser knows and tells, and what it
//! does not know of it (`PhoneSpec::hidden`).

use std::collections::BTreeMap;
use std::sync::Arc;

use phone::{Act, AudioTime, Chance, Core, Event, Look, Microphone, Role, Start, State, Turn};
use units::{MonoTime, Ppm, Rgb, ShowTime, Span, TrackId};
use wire::chirp::Voice;
use wire::solusync::Calibrated;

use crate::acoustics::{Arrival, Room, loud, record, way};
use crate::dial::Dial;
use crate::line::{FromPhone, Line};
use crate::speaker::{Heard, Sounded, Speaker};
use crate::wifi::Wifi;

/// What kind of phone, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhoneSpec {
    /// What its page is.
    pub role: Role,
    /// The origin that its page came from.
    pub url: &'static str,
    /// The token that its page was opened with.
    pub token: Option<&'static str>,
    /// Where its chance begins.
    pub seed: u64,
    /// The way to the box.
    pub wifi: Wifi,
    /// How much faster the page's clock runs than the box's.
    pub crystal: Ppm,
    /// How much faster the sound card's clock runs than the box's.
    pub card: Ppm,
    /// From made to heard.
    pub latency: Span,
    /// What the browser does not know of it: the way from its own last stamp to the air.
    pub hidden: Span,
    /// How far it is from the box's loudspeaker.
    pub metres: f64,
    /// And its own loudspeaker from its microphone.
    pub own_metres: f64,
    /// From the air into a recording.
    pub ear: Span,
    /// What its microphone hears of the hall.
    pub room: Room,
    /// Output stamps are off by up to this, either way.
    pub tremble: Span,
    /// The page's clock is rounded down to it, so that a page cannot spy.
    pub grain: Span,
    /// How long its sound stands still after a call, though the browser says that it runs.
    pub stall: Span,
    /// How long a track takes to come and be decoded.
    pub load: Span,
    /// How long after coming in its owner opens the page.
    pub opens: Span,
    /// When somebody touches it, after it was opened; none: nobody does.
    pub tap: Option<Span>,
    /// While something moves on the screen it is painted this often. Crowds are looked at less closely.
    pub repaint: Span,
    /// How wrong the phone's own idea of the date is.
    pub unix_off: Span,
}

impl Default for PhoneSpec {
    /// A usual phone, near the box.
    fn default() -> Self {
        Self {
            role: Role::Phone,
            url: "",
            token: None,
            seed: 1,
            wifi: Wifi::QUIET,
            crystal: Ppm(20.0),
            card: Ppm(-35.0),
            latency: Span::from_millis(20),
            hidden: Span::ZERO,
            metres: 4.0,
            own_metres: 0.05,
            ear: Span::from_millis(30),
            room: Room::HALL,
            tremble: Span::from_micros(500),
            grain: Span::from_micros(100),
            stall: Span::ZERO,
            load: Span::from_millis(200),
            opens: Span::ZERO,
            tap: Some(Span::from_millis(150)),
            repaint: FRAME,
            unix_off: Span::from_secs(3),
        }
    }
}

impl PhoneSpec {
    /// One of a crowd: everything that differs between phones is drawn.
    pub fn drawn(seed: u64, wifi: Wifi) -> Self {
        let mut chance = Chance::new(u128::from(seed) << 64 | 0xd0);
        let mut between = |low: f64, high: f64| low + (high - low) * chance.share();
        let millis = |ms: f64| Span::from_secs_f64(ms / 1e3);
        Self {
            seed,
            wifi,
            crystal: Ppm(between(-30.0, 30.0)),
            card: Ppm(between(-80.0, 80.0)),
            latency: millis(between(8.0, 60.0)),
            tremble: millis(between(0.1, 2.0)),
            // Chromium's step and that of the others.
            grain: millis(if between(0.0, 1.0) < 0.5 { 0.1 } else { 1.0 }),
            load: millis(between(300.0, 4_000.0)),
            opens: millis(between(0.0, 1_000.0)),
            tap: Some(millis(between(500.0, 4_000.0))),
            repaint: Span::from_millis(250),
            unix_off: millis(between(-5_000.0, 5_000.0)),
            ..Self::default()
        }
    }
}

/// What a phone showed from a time on.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// When it was painted.
    pub at: ShowTime,
    /// The colour, flashes included.
    pub color: Rgb,
    /// The show's words.
    pub text: String,
}

/// How a box is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dead {
    /// Its machine says that nobody serves there.
    Process,
    /// Nothing says anything.
    Machine,
}

/// What `/media` has: seconds by path.
pub type Files = Arc<BTreeMap<String, f64>>;

/// A simulated phone.
#[derive(Debug, Clone)]
pub struct SimPhone {
    spec: PhoneSpec,
    opened: ShowTime,
    dial: Dial,
    suspended: Option<ShowTime>,
    chance: Chance,
    core: Core,
    line: Line,
    /// The box it knocked at last, and those that do not open.
    knocked: String,
    dead: BTreeMap<String, Dead>,
    files: Files,
    tracks: BTreeMap<TrackId, f64>,
    /// Tracks on their way, and when they are here.
    loading: Vec<(ShowTime, TrackId, Option<f64>)>,
    /// What it waits for before a tap: that it comes, and not yet what it is.
    fetching: Vec<(ShowTime, TrackId)>,
    speaker: Option<Speaker>,
    /// What was asked of its sound, where somebody wants to render it.
    asked: Option<Vec<Act>>,
    /// What it listens to: audio seconds, from and until.
    listening: Option<(f64, f64)>,
    /// When the box's chirps leave.
    air: Vec<ShowTime>,
    tap: Option<ShowTime>,
    timer: ShowTime,
    frame: Option<ShowTime>,
    painted: ShowTime,
    look: Look,
    shown: Vec<Shown>,
}

/// What its context runs at.
const RATE_HZ: u32 = 48_000;
/// Sixty frames a second.
const FRAME: Span = Span::from_micros(16_667);
/// What the page's clock shows when its script begins.
const PAGE_BEGINS: MonoTime = MonoTime::from_ns(5_000_000_000);
/// A browser's timers take whole milliseconds.
const TIMER: Span = Span::from_millis(1);
/// `plan` in `main.js` takes what is due within it for due.
const NEARLY_MS: f64 = 1.0;

impl SimPhone {
    /// Somebody comes in, and opens the page when it suits them.
    pub fn new(spec: PhoneSpec, files: Files, now: ShowTime) -> Self {
        let now = now + spec.opens;
        let mut chance = Chance::new(u128::from(spec.seed) << 64 | 0x5eed);
        let unix = now - engine::clock::TAI_UTC + spec.unix_off;
        let start = Start {
            chance: format!("{:032x}", chance.bits()),
            unix_ms: unix.ns() as f64 / 1e6,
            role: spec.role,
            url: spec.url.to_owned(),
            token: spec.token.map(str::to_owned),
            ..Start::default()
        };
        let core = Core::new(PAGE_BEGINS, &start);
        Self {
            spec,
            opened: now,
            dial: Dial::new(now, spec.crystal),
            suspended: None,
            line: Line::new(spec.wifi, &mut chance),
            knocked: spec.url.to_owned(),
            dead: BTreeMap::new(),
            chance,
            look: core.look(PAGE_BEGINS),
            core,
            files,
            tracks: BTreeMap::new(),
            loading: Vec::new(),
            fetching: Vec::new(),
            speaker: None,
            asked: None,
            listening: None,
            air: Vec::new(),
            tap: spec.tap.map(|after| now + after),
            timer: now,
            frame: None,
            painted: now - FRAME,
            shown: Vec::new(),
        }
    }

    /// When something happens next.
    pub fn next(&self) -> ShowTime {
        if self.suspended.is_some() {
            return ShowTime::from_ns(i64::MAX);
        }
        let loaded = self.loading.iter().filter(|_| self.speaker.is_some()).map(|it| it.0);
        let fetched = self.fetching.iter().map(|it| it.0);
        let rest = [self.line.next(), self.frame, self.tap, self.recorded_at()];
        loaded.chain(fetched).chain(rest.into_iter().flatten()).fold(self.timer, ShowTime::min)
    }

    /// Everything that is due by now happens; gives what has reached the box.
    pub fn run(&mut self, now: ShowTime) -> Vec<FromPhone> {
        let mut reached = Vec::new();
        while self.next() <= now {
            if let Some(word) = self.line.poll_box(now) {
                reached.push(word);
            } else if let Some(event) = self.due(now) {
                self.handle(now, event);
            }
        }
        reached
    }

    /// The box says something.
    pub fn tell(&mut self, now: ShowTime, text: Arc<str>) {
        self.line.tell(now, text, &mut self.chance);
    }

    /// The box closes the socket.
    pub fn dismiss(&mut self, now: ShowTime) {
        self.line.dismiss(now, &mut self.chance);
    }

    /// Somebody touches the page.
    pub fn tap(&mut self, now: ShowTime) {
        self.tap = None;
        match &mut self.speaker {
            Some(speaker) => speaker.wake(now),
            // Only now is there something to decode with.
            None => {
                self.speaker = Some(Speaker::new(now, &self.spec));
                self.fetching.clear();
                self.loading.iter_mut().for_each(|(at, ..)| *at = now.max(*at));
            }
        }
        self.handle(now, Event::Tapped);
    }

    /// It learns what it is, and maybe how far off it sounds.
    pub fn calibrate(&mut self, now: ShowTime, known: Calibrated) {
        self.handle(now, Event::Calibrated(known));
    }

    /// A call comes in and takes the sound.
    pub fn take_call(&mut self, now: ShowTime) {
        self.speaker.iter_mut().for_each(|speaker| speaker.sleep(now));
    }

    /// The page tells the core something.
    pub fn tell_page(&mut self, now: ShowTime, event: Event) {
        self.handle(now, event);
    }

    /// The listener has pressed the button, and the microphone is open.
    pub fn press_calibrate(&mut self, now: ShowTime) {
        self.handle(now, Event::Calibrate { microphone: Microphone::Ready });
    }

    /// The box's chirps leave at these times.
    pub fn hear_box(&mut self, air: Vec<ShowTime>) {
        self.air = air;
    }

    /// When its own chirps leave, and how far away.
    pub fn chirps(&self) -> (Vec<ShowTime>, f64) {
        (self.speaker.as_ref().map(Speaker::chirps).unwrap_or_default(), self.spec.metres)
    }

    /// It gets warmer or colder: from now on its clock and its sound card run at other rates.
    pub fn warm(&mut self, now: ShowTime, page: Ppm, card: Ppm) {
        if self.suspended.is_none() {
            self.dial.turn(now, page);
            self.speaker.iter_mut().for_each(|speaker| speaker.warm(now, card));
        }
    }

    /// It is put away, and its system stops everything: page, timers, sound, the clock, and what it hears.
    pub fn suspend(&mut self, now: ShowTime) {
        self.suspended = Some(now);
        self.take_call(now);
        self.line.lose(now);
    }

    /// It is taken out again: its socket is dead, its clock goes on where it stood, and its owner touches it.
    pub fn resume(&mut self, now: ShowTime) {
        let Some(since) = self.suspended.take() else { return };
        self.dial.stood(since, now);
        self.line.find(now);
        self.hang_up(now);
        self.handle(now, Event::Woke);
        self.tap(now);
    }

    /// It hangs on another access point from now on.
    pub fn roam(&mut self, wifi: Wifi) {
        self.line.roam(wifi, &mut self.chance);
    }

    /// Its socket is killed; both ends notice.
    pub fn hang_up(&mut self, now: ShowTime) {
        self.line.close(now, &mut self.chance);
        self.handle(now, Event::Closed);
    }

    /// The box is out of its reach: nothing arrives either way, and nobody says so.
    pub fn lose_box(&mut self, now: ShowTime) {
        self.line.lose(now);
    }

    /// The box is in reach again.
    pub fn find_box(&mut self, now: ShowTime) {
        self.line.find(now);
    }

    /// The box with this origin opens to nobody from now on; none: it does.
    pub fn set_dead(&mut self, url: &str, dead: Option<Dead>) {
        match dead {
            Some(dead) => self.dead.insert(url.to_owned(), dead),
            None => self.dead.remove(url),
        };
    }

    /// The origin of the box that it knocked at last.
    pub fn knocked(&self) -> &str {
        &self.knocked
    }

    /// How it fares.
    pub fn state(&self, now: ShowTime) -> State {
        self.look(now).state
    }

    /// What its page would show.
    pub fn look(&self, now: ShowTime) -> Look {
        self.core.look(self.page(now))
    }

    /// What one hears from it.
    pub fn heard(&self, now: ShowTime) -> Vec<Heard> {
        self.speaker.as_ref().map(|speaker| speaker.heard(now)).unwrap_or_default()
    }

    /// What it has sounded so far.
    pub fn sounded(&self) -> Vec<Sounded> {
        self.speaker.as_ref().map(Speaker::sounded).unwrap_or_default()
    }

    /// What it has shown so far.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// How far from its own pitch it ever played, as a share: 0.003 is 0.3 %.
    pub fn bend(&self) -> f64 {
        self.speaker.as_ref().map_or(0.0, |speaker| speaker.bend)
    }

    /// What it has on its mind.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The page's clock before the browser rounds it.
    pub fn exact(&self, now: ShowTime) -> MonoTime {
        PAGE_BEGINS + self.dial.shows(now)
    }

    /// The page's clock, as a page may read it.
    pub fn page(&self, now: ShowTime) -> MonoTime {
        let page = self.exact(now);
        let grain = self.spec.grain.ns().max(1);
        MonoTime::from_ns(page.ns().div_euclid(grain) * grain)
    }

    /// What happens on the phone itself.
    fn due(&mut self, now: ShowTime) -> Option<Event> {
        self.speaker.iter_mut().for_each(|speaker| speaker.run(now));
        if let Some(event) = self.line.poll_phone(now, millis(self.page(now))) {
            return Some(event);
        }
        if self.tap.is_some_and(|at| at <= now) {
            self.tap(now);
            return None;
        }
        if let Some(event) = self.fetched(now).or_else(|| self.loaded(now)) {
            return Some(event);
        }
        if self.recorded_at().is_some_and(|at| at <= now) {
            self.hand_in(now);
            return None;
        }
        if self.frame.is_some_and(|at| at <= now) {
            (self.frame, self.painted) = (None, now);
            return Some(Event::Painted);
        }
        (self.timer <= now).then(|| self.look_at_sound(now))
    }

    fn fetched(&mut self, now: ShowTime) -> Option<Event> {
        let here = self.fetching.iter().position(|(at, _)| *at <= now)?;
        Some(Event::MediaFetched { track_id: self.fetching.remove(here).1 })
    }

    fn loaded(&mut self, now: ShowTime) -> Option<Event> {
        self.speaker.as_ref()?;
        let here = self.loading.iter().position(|(at, ..)| *at <= now)?;
        let (_, track_id, seconds) = self.loading.remove(here);
        Some(match seconds {
            Some(duration_s) => {
                self.tracks.insert(track_id.clone(), duration_s);
                Event::MediaReady { track_id, duration_s }
            }
            None => Event::MediaFailed { track_id },
        })
    }

    /// A phone that was not tapped has no AudioContext to look at.
    fn look_at_sound(&mut self, now: ShowTime) -> Event {
        let page_ms = millis(self.page(now));
        match &self.speaker {
            Some(speaker) => speaker.look(now, page_ms, &mut self.chance),
            None => Event::Tick,
        }
    }

    fn handle(&mut self, now: ShowTime, event: Event) {
        let is_painted = event == Event::Painted;
        let turn = self.core.handle(self.page(now), event);
        self.take(now, turn, is_painted);
    }

    fn take(&mut self, now: ShowTime, turn: Turn, is_painted: bool) {
        self.look = turn.look;
        turn.acts.into_iter().for_each(|act| self.perform(now, act));
        if is_painted {
            self.keep(now);
        }
        self.plan(now, turn.wake_ms);
    }

    /// When the recording that it makes is whole.
    fn recorded_at(&self) -> Option<ShowTime> {
        let ((_, to_s), speaker) = (self.listening?, self.speaker.as_ref()?);
        Some(speaker.makes(to_s) + self.spec.ear)
    }

    /// What its microphone has heard of the box and of itself.
    fn hand_in(&mut self, now: ShowTime) {
        let (Some((from_s, to_s)), Some(speaker)) = (self.listening.take(), &self.speaker) else {
            return;
        };
        let arrival = |leaves: ShowTime, metres: f64, voice| Arrival {
            at_s: speaker.audio(leaves + way(metres) + self.spec.ear) - from_s,
            voice,
            loud: loud(metres),
        };
        let by_box = self.air.iter().map(|at| arrival(*at, self.spec.metres, Voice::Box));
        let own = speaker.chirps();
        let own = own.iter().map(|at| arrival(*at, self.spec.own_metres, Voice::Phone));
        let arrivals: Vec<Arrival> = by_box.chain(own).collect();
        let length = Span::from_secs_f64(to_s - from_s);
        let heard = record(&self.spec.room, &arrivals, length, RATE_HZ, &mut self.chance);
        let from = AudioTime::from_ns((from_s * 1e9).round() as i64);
        let turn = self.core.handle_recording(self.page(now), &heard, from);
        self.take(now, turn, false);
    }

    /// From now on all that is asked of its sound is kept.
    pub fn keep_acts(&mut self) {
        self.asked = Some(Vec::new());
    }

    /// What was asked of its sound since then.
    pub fn acts(&self) -> &[Act] {
        self.asked.as_deref().unwrap_or_default()
    }

    fn knock(&mut self, now: ShowTime, url: String) {
        match self.dead.get(&url) {
            None => self.line.open(now, &mut self.chance),
            Some(Dead::Process) => self.line.knock_refused(now, &mut self.chance),
            Some(Dead::Machine) => self.line.knock_in_vain(),
        }
        self.knocked = url;
    }

    fn perform(&mut self, now: ShowTime, act: Act) {
        self.asked.iter_mut().for_each(|asked| asked.push(act.clone()));
        match act {
            Act::Open { url } => self.knock(now, url),
            Act::Close => self.line.close(now, &mut self.chance),
            Act::Send { text } => self.line.say(now, text, &mut self.chance),
            Act::Ask { head, tail } => {
                let t1 = self.page(now).ns();
                let (secs, rest) = (t1.div_euclid(1_000_000_000), t1.rem_euclid(1_000_000_000));
                self.line.say(now, format!("{head}{secs}.{rest:09}{tail}"), &mut self.chance);
            }
            // The hall's box has no TLS, so it tells nobody where to ask in datagrams.
            Act::OpenStream | Act::OpenTime { .. } | Act::CloseTime | Act::AskTime { .. } => {}
            Act::Fetch { track_id, url } => {
                let seconds = self.files.get(&url).copied();
                let at = now + self.spec.load;
                if self.speaker.is_none() && seconds.is_some() {
                    self.fetching.push((at, track_id.clone()));
                }
                self.loading.push((at, track_id, seconds));
            }
            Act::Forget { track_id } => {
                self.fetching.retain(|(_, track)| *track != track_id);
                self.loading.retain(|(_, track, _)| *track != track_id);
                self.tracks.remove(&track_id);
            }
            Act::Begin { ref track_id, .. } => {
                // What was never decoded cannot sound.
                let Some(seconds) = self.tracks.get(track_id).copied() else { return };
                self.speaker.iter_mut().for_each(|it| it.perform(now, act.clone(), seconds));
            }
            Act::Listen { from_s, to_s } => self.listening = Some((from_s, to_s)),
            Act::Deafen => self.listening = None,
            act => self.speaker.iter_mut().for_each(|it| it.perform(now, act.clone(), 0.0)),
        }
    }

    /// When the page is woken and painted next, as `plan` in `main.js` has it.
    fn plan(&mut self, now: ShowTime, wake_ms: f64) {
        let still_ms = self.look.still_until_ms;
        let moves = still_ms.is_some_and(|still| still <= millis(self.page(now)) + NEARLY_MS);
        if self.frame.is_none() && (moves || !self.is_shown()) {
            let soonest = if moves { now.max(self.painted + self.spec.repaint) } else { now };
            self.frame = Some(self.next_frame(soonest));
        }
        let still_ms = still_ms.filter(|_| !moves).unwrap_or(wake_ms);
        self.timer = self.alarm(now, wake_ms.min(still_ms));
    }

    fn is_shown(&self) -> bool {
        let Look { color, text, .. } = &self.look;
        self.shown.last().is_some_and(|shown| shown.color == *color && shown.text == *text)
    }

    fn keep(&mut self, at: ShowTime) {
        if !self.is_shown() {
            let Look { color, text, .. } = &self.look;
            self.shown.push(Shown { at, color: *color, text: text.clone() });
        }
    }

    fn next_frame(&self, from: ShowTime) -> ShowTime {
        let frames = (from - self.opened).ns().div_euclid(FRAME.ns()) + 1;
        self.opened + FRAME.times(frames)
    }

    /// When the page's clock shows so many milliseconds; a timer never rings at once.
    fn alarm(&self, now: ShowTime, page_ms: f64) -> ShowTime {
        let grain = self.spec.grain.ns().max(1) as f64;
        let page_ns = (page_ms * 1e6 / grain).ceil() * grain - PAGE_BEGINS.ns() as f64;
        // Two nanoseconds for what floating point rounds away.
        let rings = self.dial.when(Span::from_ns(page_ns as i64)) + Span::from_ns(2);
        rings.max(now + TIMER)
    }
}

fn millis(at: MonoTime) -> f64 {
    at.ns() as f64 / 1e6
}
