//! SOLUSync-X 0.1: what a box and a phone say to each other over `/ws` (rows SX-07 to SX-12).
//!
//! A message is a JSON object with `type`, `header` and the fields of its type. Unknown types and fields are
//! ignored (row note 1). The document has no message for a phone's screen, none for a phone's report of what it
//! did, none for how far off it sounds, none for how often it may ask, none for what it can decode and none for a box that
//! takes over, so types of ours stand beside it: `screen`, `played`, `calibrated` and `clock_correction`, `clock_pace`,
//! `media_wanted`, `media_untaken`, `standing`, and those of [`crate::output`].
//!
//! Times on the wire are UNIX seconds at microsecond precision; `t1` comes back digit for digit.

mod calibrated;
pub mod media_data;
mod standing;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use units::{Rgb, Span, TrackId, WireTime};
use uuid::Uuid;

use crate::output::{
    CalibrateHeard, CalibrateRefused, CalibrateStart, Device, OutputDelay, SyncErrors,
};

pub use calibrated::{Calibrated, ClockCorrection, Estimate};
pub(crate) use media_data::{DURATION_MAX, INDEX_MAX, PARTS_MAX};
pub use media_data::{MediaCodec, MediaData, MediaUntaken, MediaWanted};
pub use standing::{BoxAt, ClusterInfo, Standing};

/// The version this room speaks.
pub const PROTOCOL_VERSION: &str = "0.1.0";

/// Who says it, when, and the how-manieth of its messages it is (SX-07).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The message's own id, uuid v4.
    pub id: Uuid,
    /// When it was sent.
    pub timestamp: WireTime,
    /// The sender, uuid v4.
    pub node_id: Uuid,
    /// Counts the sender's messages.
    pub sequence: u64,
}

/// Everything that is said, in either direction.
#[derive(Debug, Clone)]
pub enum Message {
    /// A phone's first words (SX-08).
    Hello(Hello),
    /// The box's answer, with everything a phone needs to begin (SX-08).
    Welcome(Box<Welcome>),
    /// What time is it? (SX-09)
    ClockSync(ClockSync),
    /// The answer (SX-09).
    ClockSyncResponse(ClockSyncResponse),
    /// Play, pause, stop, seek, load, unload (SX-10).
    MediaControl(MediaControl),
    /// A piece of live sound or pictures (SX-11).
    MediaData(MediaData),
    /// What a phone takes of it.
    MediaWanted(MediaWanted),
    /// A phone does not take the codec of what is on air (ours).
    MediaUntaken(MediaUntaken),
    /// What a phone's screen shows.
    Screen(Screen),
    /// What a phone did with an order, and when.
    Played(Played),
    /// What a phone is, and how far off it sounds.
    Calibrated(Calibrated),
    /// How much sooner a phone is to sound.
    ClockCorrection(ClockCorrection),
    /// How a node fares (SX-12).
    NodeStatus(Box<NodeStatus>),
    /// A box stands for master, since the old one was lost (SX-13).
    MasterElection(MasterElection),
    /// A phone asks for a calibration by ear.
    Calibrate,
    /// Both chirp now.
    CalibrateStart(CalibrateStart),
    /// What the box heard of it.
    CalibrateHeard(CalibrateHeard),
    /// There is none, and why.
    CalibrateRefused(CalibrateRefused),
    /// How often phones may ask the time.
    ClockPace(ClockPace),
    /// The box drives from now on, or no more, or stands among others.
    Standing(Standing),
    /// A refusal.
    Error(Refusal),
    /// A type this room does not know; ignored.
    Unknown,
}

/// `hello` as a phone says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Semantic version; another major version is refused.
    pub protocol_version: String,
    /// `audio`, `video`, `clock_sync`, …
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// `client` for a phone.
    pub node_type: NodeType,
    /// A JWT, where the phone has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<String>,
    /// What the phone is, as far as its browser says (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
}

/// `hello` as the box answers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Semantic version.
    pub protocol_version: String,
    /// What this box can do.
    pub capabilities: Vec<String>,
    /// `master` or `replica`.
    pub node_type: NodeType,
    /// Who drives, who stands by.
    pub cluster_info: ClusterInfo,
    /// The show and the tracks to fetch ahead of time.
    pub show: ShowInfo,
    /// What is known of phones like the one that asked (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_delay: Option<OutputDelay>,
    /// Where to ask the time in datagrams (ours); over TLS only, since browsers let no other page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webtransport: Option<WebTransport>,
    /// Where to offer the box a peer connection (ours); none where it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signaling: Option<Box<Signaling>>,
    /// Whether the box has a microphone to calibrate phones with (ours); none where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrates: Option<bool>,
}

/// The door of WebTransport: datagrams ask the time, and messages go on a stream that the client opens, a line each (SX-20).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebTransport {
    /// `https://…/sync`; the session's own to whoever is in one.
    pub url: String,
    /// Whether the box would rather have messages there than on the socket.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub messages: bool,
    /// Hexadecimal SHA-256 of the certificate that serves there, and of the one that will.
    pub certificate_hashes: Vec<String>,
}

/// The room of two on `/bloom` in which the box waits for this phone's offer; it lives as long as the phone's `/ws`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signaling {
    /// The room to join.
    pub room_id: Uuid,
    /// The box in it: whom to offer.
    pub participant_id: Uuid,
    /// What to ask for a way, as `RTCConfiguration.iceServers` takes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ice_servers: Vec<IceServer>,
}

/// A STUN or TURN server, in the words of `RTCIceServer` (W3C WebRTC, 4.2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:`, `stuns:`, `turn:` or `turns:`, each.
    pub urls: Vec<String>,
    /// For TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For TURN. Whoever says `hello` is told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// What a phone fetches before it is needed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShowInfo {
    /// The show's title, for people.
    pub title: String,
    /// Every track that a cue may play on phones.
    pub tracks: Vec<TrackInfo>,
    /// Whether a cue lights phones' own lamps: their holders have to allow it (ours).
    #[serde(default, skip_serializing_if = "is_false")]
    pub torch: bool,
}

/// One track, by the hash of its bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrackInfo {
    /// Its name in `media_control`.
    pub track_id: TrackId,
    /// `/media/<sha256>`, relative to the page.
    pub url: String,
    /// Hexadecimal SHA-256 of the file.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// Length in seconds.
    pub duration: f64,
    /// Whether it has pictures, which screens show, too (ours).
    #[serde(default, skip_serializing_if = "is_false")]
    pub pictures: bool,
}

/// Who a node is (SX-03).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeType {
    /// The box that drives.
    Master,
    /// A box that stands by.
    Replica,
    /// A phone.
    Client,
}

/// `clock_sync`: `t1` is kept as the sender wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClockSync {
    /// The sender's clock when it asked, any JSON number.
    #[serde(deserialize_with = "number_as_written")]
    pub t1: Box<RawValue>,
}

/// `clock_sync_response`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClockSyncResponse {
    /// The asker's `t1`, digit for digit.
    #[serde(deserialize_with = "number_as_written")]
    pub t1: Box<RawValue>,
    /// The box's clock when the question came.
    pub t2: WireTime,
    /// The box's clock when the answer left.
    pub t3: WireTime,
}

fn number_as_written<'de, D: Deserializer<'de>>(from: D) -> Result<Box<RawValue>, D::Error> {
    let raw = Box::<RawValue>::deserialize(from)?;
    match serde_json::from_str::<f64>(raw.get()) {
        Ok(_) => Ok(raw),
        Err(_) => Err(D::Error::custom("t1 must be a number")),
    }
}

/// `media_control`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaControl {
    /// What to do.
    pub action: MediaAction,
    /// With which track; all tracks where it is left out of `pause` and `stop`, and where it is left out of `play` a pause
    /// is over in which there is nothing to play on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track_id: Option<TrackId>,
    /// When, in network time. A time gone by means: be now where you would be, had you started then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<WireTime>,
    /// How.
    #[serde(default)]
    pub params: MediaParams,
}

/// What `media_control` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are the documentation")]
pub enum MediaAction {
    Play,
    Pause,
    Stop,
    Seek,
    Load,
    Unload,
}

/// How `media_control` wants it. What is left out keeps its default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaParams {
    /// A factor, 0 to 1.
    pub volume: f64,
    /// How often it sounds; 0 is for ever.
    pub loop_count: u32,
    /// Milliseconds of fade at the start.
    pub fade_in_ms: u32,
    /// Milliseconds of fade at the end, and at `stop`.
    pub fade_out_ms: u32,
    /// Where in the track it is at `start_at`, in milliseconds (ours; `seek` and resuming use it).
    #[serde(skip_serializing_if = "is_zero")]
    pub position_ms: f64,
}

impl MediaParams {
    /// As the document has them: a volume from 0 to 1; and a place within a day of sound.
    pub fn is_in_range(&self) -> bool {
        (0.0..=1.0).contains(&self.volume) && (0.0..=86_400_000.0).contains(&self.position_ms)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Default for MediaParams {
    fn default() -> Self {
        Self { volume: 1.0, loop_count: 1, fade_in_ms: 0, fade_out_ms: 0, position_ms: 0.0 }
    }
}

/// `screen`: what a phone shows from `start_at` on. It carries where the fade comes from, so that a phone that
/// joins in the middle shows what the others show. What is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Screen {
    /// When it begins.
    pub start_at: Option<WireTime>,
    /// The colour to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Rgb>,
    /// The colour it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_color: Option<Rgb>,
    /// Milliseconds from one to the other.
    #[serde(default)]
    pub fade_ms: u32,
    /// Words to show; empty clears them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A flash on top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flash: Option<Flash>,
    /// The phone's own lamp, on or off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torch: Option<bool>,
    /// Milliseconds for which the phone shakes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vibrate_ms: Option<u32>,
}

/// White flashes. A phone shows at most three a second, whatever is asked (DESIGN: Phones).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Flash {
    /// How many; 0 ends those that are still to come.
    pub count: u32,
    /// How many a second.
    pub per_second: f64,
}

/// `played`: a phone's receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Played {
    /// The `header.id` of the order.
    pub order: Uuid,
    /// When it happened by the phone's estimate of network time.
    pub at: WireTime,
    /// How the phone knows.
    pub source: PlayedSource,
    /// The phone's own bound on its clock's error, in milliseconds, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_error_ms: Option<f64>,
    /// When the order came, by the same estimate; only where that is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived: Option<WireTime>,
}

/// How a phone knows when something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlayedSource {
    /// The audio clock, with the browser's output time stamp.
    AudioClock,
    /// The frame in which the screen was painted.
    Screen,
}

/// `node_status`; what is not known is left out, never 0 (SX-12).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the document's own words; shares are 0 to 1")]
pub struct NodeStatus {
    pub node_type: NodeType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected_clients: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_usage: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_usage: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_level: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_quality: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avg_rtt_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet_loss_percent: Option<f64>,
    /// Tracks of the show that are here and are what it means, and decoded where somebody has touched the page (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracks_ready: Option<u32>,
    /// Tracks that are to be (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracks_wanted: Option<u32>,
    /// How long after it was sent live sound is heard, while any is (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer_ms: Option<f64>,
    /// How long the box's last `node_status` took to come, by the phone's clock (ours). Others are as long on their way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_ms: Option<f64>,
    /// How much earlier than its time an order for sound has to be there (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub need_ms: Option<f64>,
    /// Pieces of live sound that the phone has not let be heard for their seal's sake (ours); none while all it was sent
    /// could be heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_refused: Option<u64>,
    /// Why, the last of them (ours).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_refused_why: Option<SealTrouble>,
    /// What has become of the live pictures that it was sent (ours); none while it was sent none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<PictureCounts>,
    /// Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncErrors>,
}

/// Live pictures at a phone since its page was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PictureCounts {
    /// Drawn.
    pub shown: u64,
    /// Of those, how many stood too long, since the next was not there, or the page drew nothing.
    pub held: u64,
    /// There in time, and passed over: the page drew too seldom.
    pub skipped: u64,
    /// Whole after their time, and not seen.
    pub late: u64,
    /// Pieces that never came, or could not be decoded, or not without one that never came.
    pub lost: u64,
}

impl NodeStatus {
    /// Of whom nothing is known yet.
    pub fn of(node_type: NodeType) -> Self {
        Self {
            node_type,
            connected_clients: None,
            cpu_usage: None,
            memory_usage: None,
            battery_level: None,
            network_quality: None,
            avg_rtt_ms: None,
            packet_loss_percent: None,
            tracks_ready: None,
            tracks_wanted: None,
            buffer_ms: None,
            delivery_ms: None,
            need_ms: None,
            live_refused: None,
            live_refused_why: None,
            pictures: None,
            sync: None,
        }
    }
}

/// Why a phone lets a piece of live sound not be heard (`wire::sealed`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SealTrouble {
    /// It is sealed, and the page came over plain HTTP, where browsers neither take tokens nor open seals.
    Insecure,
    /// It is sealed, and the page was opened without a token.
    NoToken,
    /// It is sealed with another key than the one of the page's token.
    OtherKey,
    /// Somebody has changed it or moved it.
    Changed,
    /// It was said before.
    Replayed,
    /// The page's token says that it is sealed, and it is not.
    Unsealed,
}

impl SealTrouble {
    /// Whether it will be the same with the next piece.
    pub fn lasts(self) -> bool {
        matches!(self, Self::Insecure | Self::NoToken | Self::OtherKey)
    }
}

/// `master_election`: boxes say it among themselves when the master is lost (SX-13).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MasterElection {
    /// Names the election: every candidate of one says the same.
    pub election_id: Uuid,
    /// How fit the sender is, 0 to 1.
    #[serde(deserialize_with = "share")]
    pub candidate_score: f64,
    /// Who drives as far as the sender knows; null where nobody does.
    pub current_master: Option<Uuid>,
}

fn share<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(from)?;
    let is_one = (0.0..=1.0).contains(&share);
    is_one.then_some(share).ok_or_else(|| D::Error::custom("a score is 0 to 1"))
}

/// `clock_pace`: the box asks phones to leave time between their clock questions (ours). Zero lets go of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClockPace {
    /// Milliseconds between two questions, on average.
    pub min_interval_ms: u32,
    /// Milliseconds between two questions of the burst after the socket opened.
    #[serde(default)]
    pub opening_interval_ms: u32,
}

/// `error`: a refusal, with a code for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people.
    pub message: String,
}

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// No token, or one that does not hold.
    Unauthorized,
    /// The role may not do this.
    Forbidden,
    /// Too many in too short a time.
    RateLimited,
    /// Not a message of this protocol.
    InvalidPayload,
    /// Another major version.
    VersionMismatch,
    /// Too many sockets from one address.
    TooManyConnections,
}

/// Why text was no message.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or a field is missing or of the wrong kind.
    #[error("not a message: {0}")]
    Invalid(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    header: Header,
}

/// Text to message.
///
/// # Errors
/// What is not JSON, has no header, or lacks a field of its type. An unknown type is [`Message::Unknown`].
pub fn parse(text: &str) -> Result<(Header, Message), ParseError> {
    let Envelope { kind, header } = serde_json::from_str(text)?;
    let message = match kind.as_str() {
        // The answer to `hello` is told from the question by what only it carries.
        "hello" if has_cluster_info(text) => Message::Welcome(body(text)?),
        "hello" => Message::Hello(body(text)?),
        "clock_sync" => Message::ClockSync(body(text)?),
        "clock_sync_response" => Message::ClockSyncResponse(body(text)?),
        "media_control" => Message::MediaControl(body(text)?),
        "media_data" => Message::MediaData(body(text)?),
        "media_wanted" => Message::MediaWanted(body(text)?),
        "media_untaken" => Message::MediaUntaken(body(text)?),
        "screen" => Message::Screen(body(text)?),
        "played" => Message::Played(body(text)?),
        "calibrated" => Message::Calibrated(body(text)?),
        "clock_correction" => Message::ClockCorrection(body(text)?),
        "node_status" => Message::NodeStatus(body(text)?),
        "master_election" => Message::MasterElection(body(text)?),
        "calibrate" => Message::Calibrate,
        "calibrate_start" => Message::CalibrateStart(body(text)?),
        "calibrate_heard" => Message::CalibrateHeard(body(text)?),
        "clock_pace" => Message::ClockPace(body(text)?),
        "standing" => Message::Standing(body(text)?),
        "calibrate_refused" => Message::CalibrateRefused(body(text)?),
        "error" => Message::Error(body(text)?),
        _ => Message::Unknown,
    };
    Ok((header, message))
}

/// The same for a phone: what phones alone say, or boxes among themselves, is [`Message::Unknown`] to it, and need not be
/// understood by its page.
///
/// # Errors
/// As [`parse`].
pub fn parse_from_box(text: &str) -> Result<(Header, Message), ParseError> {
    let Envelope { kind, header } = serde_json::from_str(text)?;
    let message = match kind.as_str() {
        "hello" => Message::Welcome(body(text)?),
        "clock_sync_response" => Message::ClockSyncResponse(body(text)?),
        "media_control" => Message::MediaControl(body(text)?),
        "media_data" => Message::MediaData(body(text)?),
        "screen" => Message::Screen(body(text)?),
        "clock_correction" => Message::ClockCorrection(body(text)?),
        "node_status" => Message::NodeStatus(body(text)?),
        "calibrate_start" => Message::CalibrateStart(body(text)?),
        "calibrate_heard" => Message::CalibrateHeard(body(text)?),
        "calibrate_refused" => Message::CalibrateRefused(body(text)?),
        "clock_pace" => Message::ClockPace(body(text)?),
        "standing" => Message::Standing(body(text)?),
        "error" => Message::Error(body(text)?),
        _ => Message::Unknown,
    };
    Ok((header, message))
}

fn has_cluster_info(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(default)]
        cluster_info: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_str::<Probe>(text).is_ok_and(|probe| probe.cluster_info.is_some())
}

fn body<T: DeserializeOwned>(text: &str) -> Result<T, ParseError> {
    Ok(serde_json::from_str(text)?)
}

/// Message to text; [`Message::Unknown`] is never sent and has no text.
pub fn emit(header: &Header, message: &Message) -> String {
    match message {
        Message::Hello(it) => wrap("hello", header, it),
        Message::Welcome(it) => wrap("hello", header, it),
        Message::ClockSync(it) => wrap("clock_sync", header, it),
        Message::ClockSyncResponse(it) => wrap("clock_sync_response", header, it),
        Message::MediaControl(it) => wrap("media_control", header, it),
        Message::MediaData(it) => wrap("media_data", header, it),
        Message::MediaWanted(it) => wrap("media_wanted", header, it),
        Message::MediaUntaken(it) => wrap("media_untaken", header, it),
        Message::Screen(it) => wrap("screen", header, it),
        Message::Played(it) => wrap("played", header, it),
        Message::Calibrated(it) => wrap("calibrated", header, it),
        Message::ClockCorrection(it) => wrap("clock_correction", header, it),
        Message::NodeStatus(it) => wrap("node_status", header, it),
        Message::MasterElection(it) => wrap("master_election", header, it),
        Message::Calibrate => wrap("calibrate", header, &Nothing {}),
        Message::CalibrateStart(it) => wrap("calibrate_start", header, it),
        Message::CalibrateHeard(it) => wrap("calibrate_heard", header, it),
        Message::CalibrateRefused(it) => wrap("calibrate_refused", header, it),
        Message::ClockPace(it) => wrap("clock_pace", header, it),
        Message::Standing(it) => wrap("standing", header, it),
        Message::Error(it) => wrap("error", header, it),
        Message::Unknown => String::new(),
    }
}

/// A message that needs no more than its type.
#[derive(Serialize)]
struct Nothing {}

fn wrap<T: Serialize>(kind: &str, header: &Header, body: &T) -> String {
    #[derive(Serialize)]
    struct Whole<'a, T> {
        #[serde(rename = "type")]
        kind: &'a str,
        header: &'a Header,
        #[serde(flatten)]
        body: &'a T,
    }
    serde_json::to_string(&Whole { kind, header, body }).expect("every field has a JSON form")
}

/// A clock question in two halves: between them goes `t1`, a JSON number, at the very moment of sending.
pub fn clock_sync_around_t1(header: &Header) -> (String, String) {
    let nothing = RawValue::from_string("0".to_owned()).expect("a JSON number");
    let mut head = emit(header, &Message::ClockSync(ClockSync { t1: nothing }));
    let tail = head.split_off(head.len() - 1);
    head.pop();
    (head, tail)
}

/// A uuid v4 from 128 bits of chance.
pub fn uuid_v4(chance: u128) -> Uuid {
    uuid::Builder::from_random_bytes(chance.to_be_bytes()).into_uuid()
}

/// A span as the protocol's whole milliseconds; negative is none.
pub fn whole_ms(span: Span) -> u32 {
    u32::try_from(span.ns() / 1_000_000).unwrap_or(if span < Span::ZERO { 0 } else { u32::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#""header":{"id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a11","timestamp":1790000000.123456,"node_id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a12","sequence":7}"#;

    #[test]
    fn sx09_t1_comes_back_digit_for_digit() {
        let text = format!(r#"{{"type":"clock_sync",{HEADER},"t1":1790000000.1234560}}"#);
        let (header, Message::ClockSync(ask)) = parse(&text).expect("a message") else {
            panic!("another type")
        };
        let now = WireTime::from_micros(1_790_000_000_200_000);
        let answer = Message::ClockSyncResponse(ClockSyncResponse { t1: ask.t1, t2: now, t3: now });
        assert!(emit(&header, &answer).contains(r#""t1":1790000000.1234560,"#));
    }

    #[test]
    fn sx09_a_question_is_whole_once_t1_stands_between_its_halves() {
        let (header, _) = parse(&format!(r#"{{"type":"waltz",{HEADER}}}"#)).expect("a message");
        let (head, tail) = clock_sync_around_t1(&header);
        let (again, Message::ClockSync(ask)) = parse(&format!("{head}12.5{tail}")).expect("whole")
        else {
            panic!("another type")
        };
        assert_eq!((again, ask.t1.get()), (header, "12.5"));
    }

    #[test]
    fn sx08_a_hello_is_told_from_its_answer() {
        let hello = format!(
            r#"{{"type":"hello",{HEADER},"protocol_version":"0.1.0","node_type":"client","more":[1,2]}}"#
        );
        assert!(matches!(parse(&hello), Ok((_, Message::Hello(_)))));
    }

    #[test]
    fn note1_unknown_types_are_ignored_and_broken_ones_refused() {
        assert!(matches!(
            parse(&format!(r#"{{"type":"waltz",{HEADER}}}"#)),
            Ok((_, Message::Unknown))
        ));
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"type":"hello"}"#,
            &format!(r#"{{"type":"clock_sync",{HEADER},"t1":"x"}}"#),
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sx10_params_left_out_keep_their_defaults() {
        let text = format!(
            r#"{{"type":"media_control",{HEADER},"action":"play","track_id":"track_001","start_at":1790000001.0,"params":{{"volume":0.5}}}}"#
        );
        let Ok((_, Message::MediaControl(it))) = parse(&text) else { panic!("no media_control") };
        assert_eq!(it.params, MediaParams { volume: 0.5, ..MediaParams::default() });
    }
}
