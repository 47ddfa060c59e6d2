//! What the shell tells the core, and what the core asks of it. JSON over the WebAssembly door, types natively.
//!
//! Keys bear their unit: `_ms` is the page's monotonic clock, `_s` the AudioContext's.

use serde::{Deserialize, Serialize};
use units::{Rgb, TrackId};
use wire::duet::Unheard;
use wire::output::{CalibrateRefusal, SyncErrors};
use wire::solusync::{Calibrated, MediaCodec, PictureCounts, SealTrouble, Signaling};
use wire::time::Channel;

use crate::device::Hints;
use crate::state::State;

/// How a page begins.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Start {
    /// 32 hexadecimal digits of chance: names and backoff come from it.
    pub chance: String,
    /// UNIX time by the phone's own reckoning, milliseconds: good enough until the box has answered.
    pub unix_ms: f64,
    /// What the page is.
    pub role: Role,
    /// Where it came from: its box's origin, `http://10.0.0.5:8080/`. Empty where nobody knows.
    #[serde(default)]
    pub url: String,
    /// `navigator.userAgent`.
    #[serde(default)]
    pub user_agent: String,
    /// `navigator.userAgentData`, where there is one.
    #[serde(default)]
    pub hints: Hints,
    /// A token from the box (JWT), where the page was opened with one over TLS.
    #[serde(default)]
    pub token: Option<String>,
    /// What [`Act::Keep`] gave last; empty where the page keeps nothing.
    #[serde(default)]
    pub kept: String,
    /// What the page can make sound of, dearest first.
    #[serde(default)]
    pub codecs: Vec<MediaCodec>,
    /// Whether the browser may have a microphone for it: none has over plain HTTP.
    #[serde(default)]
    pub listens: bool,
}

/// What the page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A phone: colour, words and sound, after a tap.
    #[default]
    Phone,
    /// A projector or stage monitor: colour and words.
    Screen,
    /// A performer's: the same beneath what comes next.
    Performer,
}

/// What happened; `{"tapped":null}`, `{"nudged":{"ms":3}}`. With its name beside its fields instead of about them, to
/// read one would be a tenth of the core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Time went by, as [`Turn::wake_ms`] asked.
    Tick,
    /// The socket opened.
    Opened,
    /// The socket closed, or would not open.
    Closed,
    /// The box said this.
    Heard {
        /// A message.
        text: String,
        /// When it came, read first of all; none is now.
        #[serde(default)]
        at_ms: Option<f64>,
    },
    /// A way for datagrams opened.
    TimeOpened {
        /// Which.
        channel: Channel,
    },
    /// A way for datagrams closed, would not open, or is not to be had in this browser.
    TimeClosed {
        /// Which.
        channel: Channel,
    },
    /// A datagram came.
    TimeHeard {
        /// By which way.
        channel: Channel,
        /// Its octets, hexadecimal.
        octets: String,
        /// When it came, read first of all.
        at_ms: f64,
    },
    /// How the peer connection stands.
    PeerLink {
        /// So.
        link: PeerLink,
    },
    /// The peer connection's channel `media` opened.
    LiveOpened,
    /// It closed.
    LiveClosed,
    /// The box said this on it.
    LiveHeard {
        /// A message.
        text: String,
        /// When it came, read first of all.
        at_ms: f64,
    },
    /// The page could not decode what it said it could.
    LiveUndecodable,
    /// The page let a piece of live sound not be heard.
    LiveRefused {
        /// Why.
        why: SealTrouble,
    },
    /// Live pictures were seen for the first time or the last, or a second of them went by.
    Pictures {
        /// Whether one is seen.
        seen: bool,
        /// What has become of them so far.
        counts: PictureCounts,
    },
    /// Someone touched the page: sound may begin.
    Tapped,
    /// The page came back to the front, or the network came back: try at once.
    Woke,
    /// A track is fetched, and is what the show means; it is decoded as soon as somebody has touched the page.
    MediaFetched {
        /// Which.
        track_id: TrackId,
    },
    /// A track is fetched and decoded.
    MediaReady {
        /// Which.
        track_id: TrackId,
        /// Its length as decoded.
        duration_s: f64,
    },
    /// A track could not be fetched.
    MediaFailed {
        /// Which.
        track_id: TrackId,
    },
    /// A track has come whole, and the browser makes nothing of it.
    MediaUndecodable {
        /// Which.
        track_id: TrackId,
    },
    /// A look at the AudioContext.
    Audio {
        /// Whether its clock runs.
        running: bool,
        /// `currentTime`.
        audio_s: f64,
        /// `outputLatency`, where the browser has it.
        #[serde(default)]
        latency_s: Option<f64>,
        /// `getOutputTimestamp()`, where the browser has it.
        #[serde(default)]
        output: Option<OutputStamp>,
    },
    /// The page was painted with the last [`Look`].
    Painted,
    /// The page learnt what phone it is on, or how far off it sounds by the core's own reckoning; all of it, each time.
    Calibrated(Calibrated),
    /// What the phone says about its battery, 0 to 1.
    Battery {
        /// Share of full.
        level: f64,
    },
    /// The listener says that sound is to come so much earlier than it would.
    Nudged {
        /// Milliseconds; negative is later.
        ms: f64,
    },
    /// The listener wants to have it calibrated.
    Calibrate {
        /// What the browser says to that.
        microphone: Microphone,
    },
}

/// How the peer connection stands, as the browser has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerLink {
    /// There is a way.
    Connected,
    /// Nothing comes any more, or no way was found; another one may be.
    Disconnected,
    /// It is over: it was closed, refused, or is not to be had in this browser.
    Closed,
}

/// Whether the page may listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Microphone {
    /// It is open.
    Ready,
    /// The page came over plain HTTP, where there is none.
    Insecure,
    /// The listener or the system said no.
    Refused,
    /// The browser has none, or none that fits.
    Missing,
}

impl Microphone {
    /// Why it cannot be used; none if it can.
    pub(crate) fn trouble(self) -> Option<DuetTrouble> {
        match self {
            Self::Ready => None,
            Self::Insecure => Some(DuetTrouble::Insecure),
            Self::Refused => Some(DuetTrouble::NotAllowed),
            Self::Missing => Some(DuetTrouble::NoMicrophone),
        }
    }
}

/// `getOutputTimestamp()`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OutputStamp {
    /// `contextTime`.
    pub audio_s: f64,
    /// `performanceTime`.
    pub page_ms: f64,
}

/// What the shell does next, in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Open the socket at this box, in place of the one there is. Whatever else is wanted from a box is wanted from this one,
    /// from now on.
    Open {
        /// Its origin; empty where [`Start::url`] was.
        url: String,
    },
    /// The same, on a stream of the WebTransport session that is open, in place of the socket (SX-20): a message a line.
    OpenStream,
    /// Close it: nobody is there any more.
    Close,
    /// Fetch what the page may want of its own files later, once: where they came from there may be no box by then.
    Stock,
    /// Say this to the box.
    Send {
        /// A message.
        text: String,
    },
    /// Ask the time over the socket: `head`, the page's clock in seconds at the very sending, `tail`.
    Ask {
        /// The message up to the clock.
        head: String,
        /// The rest of it.
        tail: String,
    },
    /// Open WebTransport.
    OpenTime {
        /// Where.
        url: String,
        /// SHA-256 of certificates that it may serve with, hexadecimal.
        hashes: Vec<String>,
    },
    /// Close WebTransport.
    CloseTime,
    /// Offer the box a peer connection, instead of the one there is.
    OpenPeer {
        /// Where the box waits for it.
        door: Signaling,
    },
    /// Offer another way for the peer connection (ICE restart).
    RestartPeer,
    /// Close the peer connection.
    ClosePeer,
    /// Ask the time in a datagram, with the page's clock in it at the very sending.
    AskTime {
        /// By which way.
        channel: Channel,
        /// The datagram, hexadecimal.
        octets: String,
        /// Where in it the clock goes: milliseconds, eight octets of a double, high octet first.
        clock_at: usize,
    },
    /// Shake from now on.
    Vibrate {
        /// Milliseconds.
        ms: f64,
    },
    /// Fetch and decode a track.
    Fetch {
        /// Which.
        track_id: TrackId,
        /// Where, relative to the box's origin.
        url: String,
    },
    /// Drop a track.
    Forget {
        /// Which.
        track_id: TrackId,
    },
    /// Start a piece of a track.
    Begin {
        /// Its number; `rate` and `end` name it.
        segment: u32,
        /// The voice it belongs to; `gain` names it.
        voice: u32,
        /// Which track.
        track_id: TrackId,
        /// When. Gone by already: start now, as far into the track as it would be.
        at_s: f64,
        /// Where in the track, seconds.
        offset_s: f64,
        /// How fast, near 1.
        rate: f64,
        /// Whether the track begins again at its end.
        looped: bool,
        /// Fade it in over this long: the other half of a cross-fade.
        rise_s: f64,
    },
    /// Change how fast a piece plays.
    Rate {
        /// Which.
        segment: u32,
        /// When.
        at_s: f64,
        /// How fast.
        rate: f64,
    },
    /// End a piece.
    End {
        /// Which.
        segment: u32,
        /// When its fade begins.
        at_s: f64,
        /// How long the fade is; then it is silent for good.
        fall_s: f64,
    },
    /// Set how loud a voice is from now on: straight lines through these points.
    Gain {
        /// Which.
        voice: u32,
        /// Audio time in seconds, factor 0 to 1; the first is where it stands now.
        points: Vec<(f64, f64)>,
    },
    /// Say this on the channel `media`.
    SayLive {
        /// A message.
        text: String,
    },
    /// Sound a chunk of live sound, stretched to fill the time from one audio time to the other.
    Live {
        /// Counts the chunks of what is live; the one before it ends where this one begins, if nothing rises.
        index: u64,
        /// How it is coded.
        codec: MediaCodec,
        /// What, as base64.
        #[serde(with = "wire::solusync::media_data::octets")]
        data: Vec<u8>,
        /// When it begins. Gone by already: as far into it as it would be by now.
        from_s: f64,
        /// When it ends.
        until_s: f64,
        /// It does not follow the one before: fade it in over this long, and that one out.
        rise_s: f64,
    },
    /// Record what the microphone hears between these audio times, and hand it in.
    Listen {
        /// From when.
        from_s: f64,
        /// Until when.
        to_s: f64,
    },
    /// Stop listening, whatever was recorded.
    Deafen,
    /// Sound a chirp.
    Chirp {
        /// When.
        at_s: f64,
    },
    /// Keep this for the next time the page is opened.
    Keep {
        /// What [`Start::kept`] gets.
        text: String,
    },
}

/// What one call gives back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// What to do.
    pub acts: Vec<Act>,
    /// When to call again if nothing else happens.
    pub wake_ms: f64,
    /// What the page shows.
    pub look: Look,
}

/// What the page shows at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The whole screen's colour, flashes included.
    pub color: Rgb,
    /// What reads well on it.
    pub ink: Ink,
    /// Words of the show; empty for none.
    pub text: String,
    /// The show's title; empty while unknown.
    pub title: String,
    /// Whether the phone's own lamp is lit.
    pub torch: bool,
    /// Whether a cue of this show lights it: its holder has to allow that.
    pub wants_torch: bool,
    /// Tracks that have come and that this browser cannot play; nobody waits for them.
    pub unplayable: usize,
    /// How the phone fares, or the tap that it waits for.
    pub state: State,
    /// How it fares whether it waits for a tap or not.
    pub fare: State,
    /// How much sooner it sounds than by its own reckoning; none where nobody knows how much it should.
    pub correction_ms: Option<f64>,
    /// One standard deviation of that.
    pub correction_sigma_ms: Option<f64>,
    /// Until when the colour stays as it is: now while it moves, none for ever.
    pub still_until_ms: Option<f64>,
    /// The three errors, for people who ask.
    pub errors: SyncErrors,
    /// How much earlier the listener wants it.
    pub nudge_ms: f64,
    /// What its holder may do about how it sounds.
    pub ear: Ear,
    /// How a calibration stands.
    pub duet: Duet,
    /// Whether the box can calibrate it, as far as anybody knows.
    pub calibrates: bool,
}

/// What the holder of a phone may do about how it sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ear {
    /// Nothing: before anything has sounded nobody can tell early from late.
    Closed,
    /// Have it calibrated, as is done before doors, while nothing plays.
    Calibrates,
    /// Move it as well.
    Nudges,
}

/// How a calibration stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Duet {
    /// Whether one is going on.
    pub is_on: bool,
    /// The last that there is to say of it.
    pub news: DuetNews,
}

/// What there is to say of a calibration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case")]
pub enum DuetNews {
    /// Nobody asked for one.
    #[default]
    None,
    /// The box is asked.
    Asking,
    /// Both chirp and listen: people keep quiet.
    Listening,
    /// It came to nothing.
    Failed {
        /// Why.
        why: DuetTrouble,
    },
    /// The box will not.
    Refused {
        /// Why, in its own words.
        message: String,
    },
    /// It is calibrated.
    Found {
        /// How late it was; negative is early.
        late_ms: f64,
        /// One standard deviation of what is left.
        sigma_ms: f64,
    },
}

/// Why a calibration came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DuetTrouble {
    /// The page came over plain HTTP, where there is no microphone.
    Insecure,
    /// The listener or the system does not let the page listen.
    NotAllowed,
    /// The browser has no microphone that fits.
    NoMicrophone,
    /// The phone is not in step.
    NotInStep,
    /// The box ordered what cannot be done.
    Misunderstood,
    /// The box says nothing.
    NoAnswer,
    /// The box did not hear the phone.
    BoxHeardNothing,
    /// The phone did not hear the box.
    PhoneHeardNothing,
    /// What was heard does not fit together.
    Muddled,
    /// It would be later than any phone is.
    TooLate,
    /// The box has no microphone.
    BoxIsDeaf,
    /// The operator has not opened it.
    Closed,
    /// The show is on.
    Busy,
    /// Another phone is at it.
    Taken,
}

impl From<Unheard> for DuetTrouble {
    fn from(why: Unheard) -> Self {
        match why {
            Unheard::ByBox => Self::BoxHeardNothing,
            Unheard::ByPhone => Self::PhoneHeardNothing,
            Unheard::Muddled => Self::Muddled,
        }
    }
}

impl DuetTrouble {
    /// What the box says; none where only its message says it.
    pub(crate) fn of_box(code: CalibrateRefusal) -> Option<Self> {
        match code {
            CalibrateRefusal::NoMicrophone => Some(Self::BoxIsDeaf),
            CalibrateRefusal::Closed => Some(Self::Closed),
            CalibrateRefusal::Busy => Some(Self::Busy),
            CalibrateRefusal::Taken => Some(Self::Taken),
            CalibrateRefusal::Other => None,
        }
    }
}

/// What reads well on a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ink {
    /// On light colours.
    Dark,
    /// On dark colours.
    Light,
}
