//! A show that has been read and checked. Every reference is resolved, every range kept: what stands here can run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::ops;
use std::sync::Arc;

use crate::fixture::Range;
use serde::Serialize;
use units::{
    CueNumber, Decibels, FrameRate, Level, PortAddress, Rgb, Slot, Span, Timecode, TrackId,
    Universe,
};
use wire::artnet::Key;

use crate::fixture::attribute;
use crate::timecode::Source;

use super::footage::{Footage, Opening};

/// A whole show.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Show {
    /// For people.
    pub title: String,
    /// sACN priority at which a driving box sends, 1 to 199, so that a takeover has room either side.
    pub priority: u8,
    /// How far ahead phones get their orders.
    pub phone_lead: Lead,
    /// How long a panic takes to fade everything.
    pub panic_fade: Span,
    /// What a panic does to light.
    pub panic_light: PanicLight,
    /// Whether nodes are told to put out each frame of Art-Net at once (rule A13).
    pub artnet_sync: bool,
    /// Why phones may flash more than three times a second; none if they may not.
    pub flash_limit_off: Option<String>,
    /// How all light leaves.
    pub light: LightOut,
    /// Universes the show sends, whether a fixture is in them or not.
    pub universes: BTreeMap<Universe, UniverseOut>,
    /// Everything patched, in the order of the file.
    pub fixtures: Vec<Fixture>,
    /// Masters that scale some of them, in the order of the file; the grand master, which scales all, is always there.
    pub masters: Vec<Master>,
    /// What comes in, in the order of the file.
    pub inputs: Vec<ShowInput>,
    /// What from outside fires cues.
    pub triggers: Vec<Trigger>,
    /// Tracks that phones may play, by name.
    pub tracks: BTreeMap<TrackId, MediaId>,
    /// Every sound file that is used, once; [`MediaId`] is the index.
    pub media: Vec<Media>,
    /// Cue lists in the order of the file; the first is the one that GO means.
    pub lists: Vec<CueList>,
    /// What holds for all timecode; none if the show has none.
    pub timecode: Option<ShowTimecode>,
}

impl Show {
    /// Whether anything in it needs Art-Net.
    pub fn speaks_artnet(&self) -> bool {
        let sends = |cue: &Cue| !cue.sends.is_empty();
        self.universes.values().any(|out| out.artnet.is_some())
            || !self.input_ports().is_empty()
            || self.triggers.iter().any(|it| matches!(it.on, TriggerOn::Artnet(_)))
            || self.lists.iter().flat_map(|list| &list.cues).any(sends)
    }
    /// The cue of that number, with its place.
    pub fn cue(&self, number: CueNumber) -> Option<(CuePlace, &Cue)> {
        self.lists.iter().enumerate().find_map(|(list, cues)| {
            let index = cues.cues.iter().position(|cue| cue.number == number)?;
            Some((CuePlace { list, index }, &cues.cues[index]))
        })
    }
    /// The attribute of that number.
    pub fn channel(&self, lane: LaneId) -> Option<(&Fixture, &Channel)> {
        let fixture = self.fixtures.get(lane.fixture as usize)?;
        Some((fixture, fixture.channels.get(lane.channel as usize)?))
    }
    /// Stretches of slots from 0 that recordings play in, whichever cue's.
    pub fn captured(&self, universe: Universe) -> impl Iterator<Item = ops::Range<usize>> {
        let cues = self.lists.iter().flat_map(|list| &list.cues);
        let captures = cues.filter_map(|cue| cue.light.as_ref()?.capture.as_ref());
        let reels = captures.filter_map(move |it| it.footage.reels.get(&universe));
        reels.flat_map(|reel| reel.stretches())
    }
    /// The sACN universes that come in.
    pub fn input_universes(&self) -> impl Iterator<Item = Universe> {
        self.inputs.iter().filter_map(|input| match input.from {
            InputFrom::Sacn(universe) => Some(universe),
            InputFrom::Artnet(_) => None,
        })
    }
    /// The port addresses that come in, each once, in order.
    pub fn input_ports(&self) -> Vec<PortAddress> {
        let ports = self.inputs.iter().filter_map(|input| match input.from {
            InputFrom::Sacn(_) => None,
            InputFrom::Artnet(port_address) => Some(port_address),
        });
        ports.collect::<BTreeSet<_>>().into_iter().collect()
    }
    /// The cue at a place.
    pub fn at(&self, place: CuePlace) -> Option<&Cue> {
        self.lists.get(place.list)?.cues.get(place.index)
    }
}

/// Where a cue stands: which list, and the how-manieth in it, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CuePlace {
    /// Index into [`Show::lists`].
    pub list: usize,
    /// Index into [`CueList::cues`].
    pub index: usize,
}

/// How far ahead an order is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lead {
    /// What the output needs.
    #[default]
    Auto,
    /// This much.
    Fixed(Span),
}

/// What a panic does to light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PanicLight {
    /// Fade everything out.
    #[default]
    Black,
    /// Stay as it is.
    Hold,
}

/// How all light leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LightOut {
    /// The universe whose synchronization packets make the levels of all sACN universes visible at once (rule S10);
    /// none: each acts when it comes.
    pub sacn_sync: Option<Universe>,
    /// What multicast sACN is sent by and heard on.
    pub sacn_ip: SacnIp,
    /// Every frame of the grid is sent, whether anything changed or not: receivers notice a loss sooner (rule S16).
    pub constant: bool,
}

/// What multicast sACN is sent by and heard on (rule S12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SacnIp {
    /// What most nodes know.
    #[default]
    V4,
    /// IPv6 alone.
    V6,
    /// Each packet twice.
    Both,
}

impl SacnIp {
    /// Whether IPv4 groups are used.
    pub fn v4(self) -> bool {
        self != Self::V6
    }
    /// Whether IPv6 groups are used.
    pub fn v6(self) -> bool {
        self != Self::V4
    }
}

/// How a universe leaves the box. Both may be set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UniverseOut {
    /// For people.
    pub label: String,
    /// As sACN.
    pub sacn: Option<SacnOut>,
    /// As Art-Net.
    pub artnet: Option<ArtnetOut>,
}

/// sACN of a universe.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SacnOut {
    /// Send to the universe's multicast group.
    pub multicast: bool,
    /// And to each of these.
    pub unicast: Vec<IpAddr>,
    /// Beside the levels a priority for each slot: the show's where something is patched, none elsewhere (rule S13).
    pub per_address: bool,
    /// For visualisers only, never for live output (rule S9).
    pub preview: bool,
}

/// Art-Net of a universe: always unicast, to the nodes that subscribe (rule A8).
#[derive(Debug, Clone, PartialEq)]
pub struct ArtnetOut {
    /// Where nodes have it.
    pub port_address: PortAddress,
    /// Addresses that are polled besides the interface's broadcast address.
    pub poll: Vec<IpAddr>,
}

/// A universe that comes in, of a console or another box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowInput {
    /// Its name in triggers.
    pub name: String,
    /// Where it comes from.
    pub from: InputFrom,
    /// The universe that it is mixed with; none: it only fires cues.
    pub to: Option<Universe>,
    /// Its first slot that is used.
    pub first: Slot,
    /// And how many from there.
    pub count: u16,
    /// Where the first goes.
    pub at: Slot,
    /// How it is mixed with the show's own light, and two of its Art-Net senders with each other.
    pub merge: InputMerge,
    /// Priority of what comes by Art-Net, which has none.
    pub priority: u8,
    /// What becomes of it when nobody sends it any more.
    pub loss: LossGoal,
    /// How long it stays as it was before that.
    pub hold: Span,
    /// How long that takes.
    pub fade: Span,
}

/// Where an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputFrom {
    /// A universe by sACN.
    Sacn(Universe),
    /// A port address by Art-Net.
    Artnet(PortAddress),
}

/// How an input is mixed with the show's own light, slot by slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputMerge {
    /// The highest level.
    #[default]
    Htp,
    /// Whoever moved the slot last.
    Ltp,
    /// The higher sACN priority, that of the show being `priority`; among equals the highest level.
    Priority,
}

/// What becomes of an input that nobody sends any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LossGoal {
    /// The show has its slots again.
    #[default]
    Release,
    /// It stays as it was.
    Hold,
    /// It goes out.
    Zero,
    /// It goes full.
    Full,
    /// It shows what ArtAddress has had recorded; where nothing was, it stays as it was.
    Scene,
}

/// A patched light.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixture {
    /// Its name in looks; of a cell the fixture's and the cell's, `bar.3`.
    pub name: String,
    /// Where it listens.
    pub universe: Universe,
    /// Its first slot.
    pub address: Slot,
    /// Index of the fixture whose cell it is. Its name does not tell: a fixture of its own may have a dot in its name.
    pub cell_of: Option<u32>,
    /// What its slots do.
    pub channels: Vec<Channel>,
}

/// One attribute of a fixture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Channel {
    /// `dimmer`, `red`, `pan`, …
    pub attribute: String,
    /// Slots from the fixture's address to each of its own, from 0, coarse before fine: one, two or three of them for
    /// 8, 16 or 24 bits. None is a virtual dimmer, which is on no wire and scales other channels.
    pub offsets: Vec<u16>,
    /// How cues share it.
    pub merge: Merge,
    /// Where it stands before any cue has touched it.
    pub rest: Level,
    /// Where it stands while its fixture is to be found.
    pub highlight: Level,
    /// Index of the virtual dimmer that scales it, among the channels of its fixture.
    pub dimmed_by: Option<usize>,
    /// What leaves the box for a level.
    pub response: Response,
    /// Whether full leaves the box as 0; after the response.
    pub inverted: bool,
    /// What it is at 0 and at full, if it is known in degrees or kelvin.
    pub range: Option<Range>,
    /// Levels that have names: from one to another, or twice the same.
    pub values: Vec<(String, [Level; 2])>,
}

impl Channel {
    /// Whether it is how bright the whole fixture is.
    pub fn is_intensity(&self) -> bool {
        attribute::is_intensity(&self.attribute)
    }
    /// Whether it is how bright one of its colours is.
    pub fn is_colour(&self) -> bool {
        attribute::is_emitter(&self.attribute)
    }
}

/// What leaves the box for a level: evenly spaced points from that for out to that for full, straight between them.
/// Without points it is the level itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response(pub Vec<Level>);

/// A fader over the intensities of some fixtures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Its name.
    pub name: String,
    /// Indices into [`Show::fixtures`].
    pub fixtures: Vec<usize>,
    /// Where it stands at the beginning.
    pub level: Level,
}

/// An attribute of a patched light: which fixture of the show, which of its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId {
    /// Index into [`Show::fixtures`].
    pub fixture: u32,
    /// Index into [`Fixture::channels`].
    pub channel: u32,
}

/// How several cue lists share an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// Highest takes precedence: intensities.
    Htp,
    /// Latest takes precedence: everything else.
    #[default]
    Ltp,
}

/// A sound file.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// Path within the show folder.
    pub file: String,
    /// What the file itself says.
    pub info: MediaInfo,
}

/// What is known of a sound file without hearing it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MediaInfo {
    /// Hexadecimal SHA-256 of its bytes.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Frames a second.
    pub rate_hz: u32,
    /// Channels.
    pub channels: u16,
    /// Length in frames.
    pub frames: u64,
}

impl MediaInfo {
    /// How long it sounds.
    pub fn length(&self) -> Span {
        Span::from_ns(
            (i128::from(self.frames) * 1_000_000_000 / i128::from(self.rate_hz.max(1))) as i64,
        )
    }
}

/// Index into [`Show::media`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MediaId(pub usize);

/// A list of cues with one standby.
#[derive(Debug, Clone, PartialEq)]
pub struct CueList {
    /// Its name.
    pub name: String,
    /// Of two lists that hold an attribute the one of higher priority is seen, 1 to 200; equals share it.
    pub priority: u8,
    /// How long its light takes to go when it is released.
    pub release_time: Span,
    /// In playing order.
    pub cues: Vec<Cue>,
    /// What timecode fires its cues.
    pub timecode: Option<ListTimecode>,
}

/// Timecode of a show.
#[derive(Debug, Clone, PartialEq)]
pub struct ShowTimecode {
    /// Of everything that comes and goes.
    pub rate: FrameRate,
    /// What is sent.
    pub out: Option<TimecodeOut>,
}

/// Timecode that is sent while a list runs.
#[derive(Debug, Clone, PartialEq)]
pub struct TimecodeOut {
    /// As sound.
    pub ltc: Option<LtcOut>,
    /// As MIDI.
    pub mtc: bool,
    /// As ArtTimeCode.
    pub artnet: bool,
    /// Which list, an index.
    pub list: usize,
    /// What shows as its first cue begins.
    pub start: Timecode,
}

/// LTC on the card.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LtcOut {
    /// Channel of the card, from 0.
    pub channel: u16,
    /// How loud.
    pub level: Decibels,
}

/// How a list follows timecode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ListTimecode {
    /// Whose.
    pub source: Source,
    /// The show's rate.
    pub rate: FrameRate,
    /// Added to what is heard.
    pub offset: Span,
    /// How long it goes on when the source falls silent.
    pub freewheel: Span,
    /// What a jump does.
    pub jump: Jump,
}

/// What a jump of timecode does to a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Jump {
    /// The cue of the new place is fired as if it had been fired in time, and the next stands by.
    Follow,
    /// Nothing is fired but what comes later, from standby on.
    Ignore,
    /// The list waits: GO follows the jump, `goto`, `back` and `fire` take it up elsewhere.
    Ask,
}

/// One cue.
#[derive(Debug, Clone, PartialEq)]
pub struct Cue {
    /// Unique in the show.
    pub number: CueNumber,
    /// For people.
    pub name: String,
    /// When its outputs begin.
    pub start: Start,
    /// From GO to the beginning.
    pub pre_wait: Span,
    /// What comes after it by itself.
    pub then: Then,
    /// A time of day at which it fires by itself while it is on standby.
    pub at: Option<TimeOfDay>,
    /// A timecode at which it fires by itself, where its list chases; and what is sent from it on, where it leads.
    pub timecode: Option<Timecode>,
    /// What light does.
    pub light: Option<LightCue>,
    /// What sounds from the box.
    pub sound: Vec<SoundCue>,
    /// What phones do.
    pub phones: Option<PhoneCue>,
    /// What it does to other cues.
    pub acts: Vec<ActOn>,
    /// What it does to masters, and to the light of lists.
    pub light_acts: Vec<LightAct>,
    /// What it says to the lighting network beside levels.
    pub sends: Vec<Sending>,
}

/// What fires a cue from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// What happens.
    pub on: TriggerOn,
    /// The cue that it fires.
    pub fires: CueNumber,
}

/// What happens outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerOn {
    /// Somebody sends this as ArtTrigger (rule A15).
    Artnet(ArtnetKey),
    /// A slot of an input crosses a level upward.
    Slot(SlotTrigger),
}

/// A slot of an input, and what it crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotTrigger {
    /// Index into [`Show::inputs`].
    pub input: usize,
    /// Its slot, as the input counts them.
    pub slot: Slot,
    /// It fires at this level or above.
    pub above: u8,
    /// And again only after it has been below this one.
    pub below: u8,
}

/// A key of ArtTrigger, and which one of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtnetKey {
    /// What is pressed.
    pub key: Key,
    /// Which one.
    pub sub: u8,
}

impl fmt::Display for ArtnetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sub = self.sub;
        match self.key {
            Key::Ascii => write!(f, "ascii {:?}", char::from(sub)),
            Key::Macro => write!(f, "macro {sub}"),
            Key::Soft => write!(f, "soft {sub}"),
            Key::Show => write!(f, "show {sub}"),
            Key::Other(code) => write!(f, "{code} {sub}"),
        }
    }
}

/// What a cue says to the lighting network beside levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// ArtTrigger to everybody (rule A15).
    Artnet(ArtnetKey),
    /// Slots with a start code of their own, to who subscribes to the universe by Art-Net (rule A18).
    StartCode {
        /// Which.
        universe: Universe,
        /// Neither 0 nor 0xcc.
        start_code: u8,
        /// 1 to 512 octets.
        slots: Vec<u8>,
    },
}

/// When a cue's outputs begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Each as soon as it can; the default where no phone sounds.
    Now,
    /// All wait for the longest lead among them.
    Together,
}

/// What comes after a cue by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing; the list waits for GO.
    Wait,
    /// The next cue, this long after this one began (auto-continue with its post-wait).
    Continue(Span),
    /// The next cue, this long after this one ended (auto-follow with its post-wait).
    Follow(Span),
}

/// A local time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay {
    /// Seconds since midnight, 0 to 86,399.
    pub seconds: u32,
}

/// Levels to reach.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LightCue {
    /// One for each attribute that is touched; sorted by lane.
    pub targets: Vec<Target>,
    /// Effects, one for each attribute that they move; sorted by lane.
    pub waves: Vec<WaveTarget>,
    /// What the timings of targets mean; the first is the cue's own.
    pub timings: Vec<Timing>,
    /// Whether it takes again what its list has taken before, and does not name (asserting).
    pub asserts: bool,
    /// Recorded light that plays over everything.
    pub capture: Option<CaptureCue>,
}

impl LightCue {
    /// From its beginning until the last fade is over.
    pub fn length(&self) -> Span {
        self.timings.iter().map(Timing::length).max().unwrap_or(Span::ZERO)
    }
}

impl Timing {
    /// From the cue's beginning until its fades are over.
    pub fn length(&self) -> Span {
        self.delay + self.fade.max(self.fall.unwrap_or(Span::ZERO))
    }
}

/// A recording that plays in step with show time.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptureCue {
    /// Path within the show folder.
    pub file: String,
    /// What is in it, by the universes that it plays in.
    pub footage: Arc<Footage>,
    /// What is kept of the place where it begins; none if all of it is.
    pub opening: Option<Arc<Opening>>,
    /// How often.
    pub loops: Loops,
    /// Where in the file it begins.
    pub offset: Span,
    /// From what lies beneath, at the start.
    pub fade_in: Span,
    /// To what lies beneath, at its own end, and when it is stopped.
    pub fade_out: Span,
}

/// How some attributes go where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// From the cue's beginning to the fade's.
    pub delay: Span,
    /// How long it takes.
    pub fade: Span,
    /// How long it takes an intensity that falls, if that is not the same.
    pub fall: Option<Span>,
    /// How it moves.
    pub curve: Curve,
}

/// Where an attribute goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Which.
    pub lane: LaneId,
    /// The level to reach.
    pub level: Level,
    /// Index into [`LightCue::timings`].
    pub timing: u16,
}

/// An attribute that goes up and down.
#[derive(Debug, Clone, PartialEq)]
pub struct WaveTarget {
    /// Which.
    pub lane: LaneId,
    /// How.
    pub wave: Arc<Wave>,
    /// Index into [`LightCue::timings`]; the fade brings the effect in.
    pub timing: u16,
}

/// An effect on one attribute: between two levels, over and over.
#[derive(Debug, Clone, PartialEq)]
pub struct Wave {
    /// What a cycle looks like.
    pub shape: Shape,
    /// How long a cycle takes; more than nothing.
    pub period: Span,
    /// Where in the cycle it begins: a share of 2^32.
    pub phase: u32,
    /// The level at nothing of the shape.
    pub low: Level,
    /// The level at all of it.
    pub high: Level,
}

/// What a cycle of an effect looks like, from nothing to all.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// From nothing to all and back, as a sine.
    Sine,
    /// All for such a share of 2^32 of the cycle, then nothing.
    Pulse(u32),
    /// What red does while a hue goes round: all, down, nothing, up. Green is a third behind, blue two thirds.
    Hue,
    /// Evenly spaced points, straight between them, and from the last to the first.
    Points(Vec<Level>),
}

/// How a fade moves from its beginning (0) to its end (1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// Evenly.
    #[default]
    Linear,
    /// Slow, fast, slow: `3x² - 2x³`.
    S,
    /// Slow at first: `x²`.
    Rise,
    /// Slow at last: `1 - (1 - x)²`.
    Fall,
    /// All at once at the beginning.
    Snap,
}

/// A file that sounds from the box.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundCue {
    /// Which.
    pub media: MediaId,
    /// How loud.
    pub volume: Decibels,
    /// How often.
    pub loops: Loops,
    /// From silence at the start.
    pub fade_in: Span,
    /// To silence at its own end.
    pub fade_out: Span,
    /// Where in the file it begins.
    pub offset: Span,
    /// Which file channel goes to which output channel. Empty is one to one (mono to both of the first two).
    pub routes: Vec<Route>,
}

/// How often something sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loops {
    /// So often; 1 is once.
    Times(u32),
    /// Until something ends it.
    Forever,
}

/// One crossing of the output matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Route {
    /// Channel of the file, from 0.
    pub from: u16,
    /// Channel of the card, from 0.
    pub to: u16,
    /// How loud.
    pub volume: Decibels,
}

/// What phones do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PhoneCue {
    /// The colour of their screens, and how long it takes.
    pub colour: Option<(Rgb, Span)>,
    /// Words; empty clears them.
    pub text: Option<String>,
    /// A track.
    pub track: Option<PhoneTrack>,
    /// Flashes.
    pub flash: Option<PhoneFlash>,
}

/// A track on phones.
#[derive(Debug, Clone, PartialEq)]
pub struct PhoneTrack {
    /// Its name.
    pub track: TrackId,
    /// How loud.
    pub volume: Decibels,
    /// How often.
    pub loops: Loops,
    /// From silence at the start.
    pub fade_in: Span,
    /// To silence at the end.
    pub fade_out: Span,
}

/// Flashes on phones: three a second at most, unless the show file gives a reason to allow more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhoneFlash {
    /// How many.
    pub count: u32,
    /// How many a second.
    pub per_second: f64,
}

/// What a cue does to masters, and to the light of lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LightAct {
    /// A list lets go of its light.
    Release {
        /// Index into [`Show::lists`].
        list: usize,
        /// How long that takes.
        span: Span,
    },
    /// A master moves.
    Master {
        /// Which.
        master: MasterRef,
        /// Where to.
        level: Level,
        /// How long that takes.
        span: Span,
    },
}

/// A master by its place in the show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterRef {
    /// The grand master.
    Grand,
    /// Index into [`Show::masters`].
    Own(usize),
}

/// What a cue does to another cue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActOn {
    /// Which.
    pub cue: CueNumber,
    /// What.
    pub act: Act,
}

/// What is done to a running cue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    /// End it, fading its sound for so long.
    Stop {
        /// How long.
        fade: Span,
    },
    /// Bring its sound to another volume.
    Fade {
        /// The volume to reach.
        volume: Decibels,
        /// How long it takes.
        span: Span,
        /// Whether it ends there.
        stop: bool,
    },
}
