//! A show that has been read and checked. Every reference is resolved, every range kept: what stands here can run.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use units::{CueNumber, Decibels, Level, PortAddress, Rgb, Slot, Span, TrackId, Universe};

use super::footage::Footage;

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
    /// Tracks that phones may play, by name.
    pub tracks: BTreeMap<TrackId, MediaId>,
    /// Every sound file that is used, once; [`MediaId`] is the index.
    pub media: Vec<Media>,
    /// Cue lists in the order of the file; the first is the one that GO means.
    pub lists: Vec<CueList>,
}

impl Show {
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
    pub fn captured(&self, universe: Universe) -> impl Iterator<Item = Range<usize>> {
        let cues = self.lists.iter().flat_map(|list| &list.cues);
        let captures = cues.filter_map(|cue| cue.light.as_ref()?.capture.as_ref());
        let reels = captures.filter_map(move |it| it.footage.reels.get(&universe));
        reels.flat_map(|reel| reel.stretches())
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

/// A patched light.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixture {
    /// Its name in looks.
    pub name: String,
    /// Where it listens.
    pub universe: Universe,
    /// Its first slot.
    pub address: Slot,
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
    /// Index of the virtual dimmer that scales it, among the channels of its fixture.
    pub dimmed_by: Option<usize>,
    /// What leaves the box for a level.
    pub response: Response,
    /// Whether full leaves the box as 0; after the response.
    pub inverted: bool,
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
    /// In playing order.
    pub cues: Vec<Cue>,
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
    /// What light does.
    pub light: Option<LightCue>,
    /// What sounds from the box.
    pub sound: Vec<SoundCue>,
    /// What phones do.
    pub phones: Option<PhoneCue>,
    /// What it does to other cues.
    pub acts: Vec<ActOn>,
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
    /// What the timings of targets mean; the first is the cue's own.
    pub timings: Vec<Timing>,
    /// Recorded light that plays over everything.
    pub capture: Option<CaptureCue>,
}

impl LightCue {
    /// From its beginning until the last fade is over.
    pub fn length(&self) -> Span {
        let ends = self.timings.iter().map(|timing| timing.delay + timing.fade);
        ends.max().unwrap_or(Span::ZERO)
    }
}

/// A recording that plays in step with show time.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptureCue {
    /// Path within the show folder.
    pub file: String,
    /// What is in it, by the universes that it plays in.
    pub footage: Arc<Footage>,
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
