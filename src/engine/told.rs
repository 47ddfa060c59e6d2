//! What the engine is told, and what it answers and orders.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use units::{CommandId, CueNumber, Level, OrderId, PhoneId, ShowTime, Span, VoiceId, WayId};
use uuid::Uuid;
use wire::solusync::{Calibrated, MediaControl, Message, NodeStatus, Played};

use crate::calibrate::Listening;
use crate::delivery::{Arrival, span};
use crate::order::{Evidence, Order, Receipt};
use crate::peers::AirLead;
use crate::show::{Air, ArtnetKey, Sending};
use crate::timecode::{Course, Heard, Source};
use crate::{light, sound};

/// What an operator may ask for, whoever carries it: terminal, socket, OSC, pin, page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Fire the cue on standby and put the next one there.
    Go {
        /// The list; the first one where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        list: Option<String>,
    },
    /// Put the cue before on standby. Nothing changes on stage.
    Back {
        /// The list; the first one where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        list: Option<String>,
    },
    /// End every running cue: sound fades out briefly, light stays as it is.
    Stop,
    /// Everything that moves stands still.
    Pause,
    /// Everything goes on where it stood.
    Resume,
    /// Fade everything out, over the show's `panic_fade`.
    Panic,
    /// Fire this cue now; its list's standby moves behind it.
    Fire {
        /// Which.
        cue: CueNumber,
    },
    /// Put this cue on standby. Nothing changes on stage.
    Goto {
        /// Which.
        cue: CueNumber,
    },
    /// Phones may calibrate themselves by chirps for ten minutes.
    Calibrate,
    /// A list lets go of its light, over the list's `release_time`.
    Release {
        /// The list; the first one where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        list: Option<String>,
    },
    /// A master goes to a level at once.
    Master {
        /// Its name; `grand` is over everything.
        master: String,
        /// In percent.
        level: Level,
    },
    /// Every intensity goes out at once, or comes back to where the show has it by then.
    Blackout {
        /// It goes out.
        on: bool,
    },
    /// Something stays where it is, whatever cues and masters say.
    Park {
        /// `FIXTURE`, `FIXTURE.ATTRIBUTE` or `UNIVERSE/SLOT`.
        what: String,
        /// Where; where it is left out, where it stands.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level: Option<Level>,
    },
    /// What was parked is let go.
    Unpark {
        /// As it was parked; everything where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        what: Option<String>,
    },
    /// Visualisers see a cue, and nobody else does.
    Blind {
        /// Which; none ends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cue: Option<CueNumber>,
    },
    /// Phones with a peer connection hear something live, on its channel `media` or its track.
    Air {
        /// `tone`, `input`, or a track of the show; none ends it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        what: Option<String>,
    },
    /// Phones play, stop, … a track by hand.
    Media {
        /// What, as `/ws` has it.
        control: MediaControl,
    },
}

/// A command with its name and its sender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Given by the sender: sent twice, done once, answered alike.
    pub id: CommandId,
    /// What.
    pub command: Command,
    /// Who, for the log: `socket`, `osc 10.0.0.5`, `terminal`.
    pub from: String,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// A sentence for people: `cue 2 "Sunrise" began`.
    pub said: String,
    /// The cue it fired, if it fired one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired: Option<CueNumber>,
    /// The cue on standby now; none at the end of the list.
    pub standby: Option<CueNumber>,
}

impl Done {
    /// The same of a box of a cluster whose others have not taken it.
    pub fn alone(self) -> Self {
        Self { said: format!("{}; alone: no other box has taken it", self.said), ..self }
    }
}

/// Why a command was not done. Each is a sentence for the person who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    /// No such cue.
    #[error("there is no cue {cue}")]
    NoSuchCue {
        /// What was asked for.
        cue: CueNumber,
    },
    /// Nothing of that name can go on air.
    #[error("there is no track `{what}`; `tone` is always there")]
    NoSuchTrack {
        /// What was asked for.
        what: String,
    },
    /// A track has to be named.
    #[error("say which track: only `pause` and `stop` are for all of them")]
    NoTrack,
    /// A volume, a place or a time that cannot be meant.
    #[error("a volume is 0 to 1, a place within a day, and a time within a day of now")]
    OutOfRange,
    /// No such list.
    #[error("there is no cue list `{list}`")]
    NoSuchList {
        /// What was asked for.
        list: String,
    },
    /// No such master.
    #[error("there is no master `{master}`")]
    NoSuchMaster {
        /// What was asked for.
        master: String,
    },
    /// Nothing of that name can be parked.
    #[error("there is no `{what}` to park: say a fixture, `FIXTURE.ATTRIBUTE` or `UNIVERSE/SLOT`")]
    NothingToPark {
        /// What was asked for.
        what: String,
    },
    /// Nothing of that name is parked.
    #[error("`{what}` is not parked")]
    NotParked {
        /// What was asked for.
        what: String,
    },
    /// Paused: resume first.
    #[error("the show is paused: `resume` first")]
    Paused,
    /// No phone can be calibrated.
    #[error("this box has no microphone: set `[sound] microphone` in its box file")]
    NoMicrophone,
    /// Another box drives.
    #[error("this box stands by: {master} drives, and takes this")]
    StandsBy {
        /// Its name, or what is known of it.
        master: String,
    },
    /// There is no sound input to put on air.
    #[error("this box has no sound input to put on air: set `input` under [sound] of its box file")]
    NoSoundInput,
}

/// What happened in the world. What a show depends on has a JSON form, for boxes that stand by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The alarm that [`crate::Engine::next_wake`] asked for.
    #[serde(skip)]
    Wake,
    /// The local time zone is this far ahead of TAI; sent at the start and when it changes (for cues at a time of day).
    LocalTime {
        /// Local minus TAI.
        ahead: Span,
    },
    /// How far ahead the sound card must know what it plays.
    SoundLead(Span),
    /// How far ahead what goes on air must be known, to be heard at its time.
    AirLead(AirLead),
    /// How far ahead phones get their orders, as another box has learnt it.
    PhoneLead(Span),
    /// A light frame left the box.
    #[serde(skip)]
    LightFrame(FrameReport),
    /// A slot of an input has crossed the level of a trigger.
    Crossed {
        /// Index into the show's triggers.
        trigger: usize,
    },
    /// Somebody pressed a key by ArtTrigger (rule A15).
    ArtTrigger {
        /// Which.
        key: ArtnetKey,
        /// Who.
        from: Ipv4Addr,
    },
    /// What a cue says to the lighting network has left.
    #[serde(skip)]
    Sent {
        /// The order.
        order: OrderId,
        /// When.
        at: ShowTime,
        /// How we know.
        evidence: Evidence,
    },
    /// A voice's first sample reached the output.
    #[serde(skip)]
    SoundBegan {
        /// Which voice.
        voice: VoiceId,
        /// When.
        at: ShowTime,
        /// How we know.
        evidence: Evidence,
    },
    /// A phone said `hello` and wants all it needs to begin.
    #[serde(skip)]
    PhoneJoined {
        /// Its socket.
        phone: PhoneId,
        /// The access point that it is heard through; none if that is not known.
        way: Option<WayId>,
    },
    /// A phone's socket is gone.
    #[serde(skip)]
    PhoneLeft {
        /// Its socket.
        phone: PhoneId,
    },
    /// A phone did what a message ordered.
    #[serde(skip)]
    PhonePlayed {
        /// Its socket.
        phone: PhoneId,
        /// When, by the phone's own estimate.
        at: ShowTime,
        /// Which message, and how that came.
        arrival: Arrival,
    },
    /// Whether the box can listen.
    Microphone {
        /// It can.
        is_there: bool,
    },
    /// Whether the box has a sound input to put on air.
    SoundInput {
        /// It has.
        is_there: bool,
    },
    /// A phone asks for a calibration.
    #[serde(skip)]
    PhoneAsksCalibration {
        /// Its socket.
        phone: PhoneId,
    },
    /// What the box's microphone heard, as [`Effect::Listen`] asked; or why it heard nothing.
    #[serde(skip)]
    ChirpsHeard {
        /// Whose chirps.
        phone: PhoneId,
        /// How much later each was heard than the box's own.
        later: Result<Vec<Option<Span>>, String>,
    },
    /// A source of timecode spoke.
    Timecode {
        /// Which.
        source: Source,
        /// What it said.
        heard: Heard,
    },
    /// What [`Effect::Air`] asked for cannot sound; nothing does.
    NotOnAir {
        /// What it was.
        what: Air,
        /// A sentence.
        why: String,
    },
    /// The film that is on air is seen without its sound.
    WithoutSound {
        /// Which.
        what: Air,
        /// A sentence.
        why: String,
    },
    /// A phone says what it is, and how far off it sounds.
    #[serde(skip)]
    PhoneCalibrated {
        /// Its socket.
        phone: PhoneId,
        /// What it says.
        said: Calibrated,
    },
    /// A phone says how it fares.
    #[serde(skip)]
    PhoneStatus {
        /// Its socket.
        phone: PhoneId,
        /// What it says.
        status: Box<NodeStatus>,
    },
}

impl Input {
    /// Whether what the show does from now on depends on it. What outputs and phones report only closes accounts.
    pub fn is_of_the_show(&self) -> bool {
        use Input::*;
        match self {
            LocalTime { .. } | SoundLead(_) | AirLead(_) | PhoneLead(_) | Microphone { .. } => true,
            Crossed { .. } | ArtTrigger { .. } | Timecode { .. } | SoundInput { .. } => true,
            NotOnAir { .. } | WithoutSound { .. } => true,
            Wake | LightFrame(_) | Sent { .. } | SoundBegan { .. } | ChirpsHeard { .. } => false,
            PhoneJoined { .. } | PhoneLeft { .. } | PhonePlayed { .. } | PhoneStatus { .. } => {
                false
            }
            PhoneAsksCalibration { .. } | PhoneCalibrated { .. } => false,
        }
    }

    /// [`Input::PhonePlayed`], as the phone says it.
    pub fn played(phone: PhoneId, said: &Played, tai_utc: Span) -> Self {
        let arrival = Arrival {
            message: said.order,
            arrived: said.arrived.map(|it| it.to_show(tai_utc)),
            doubt: said.clock_error_ms.and_then(span),
            source: said.source,
        };
        Self::PhonePlayed { phone, at: said.at.to_show(tai_utc), arrival }
    }
}

/// A light frame that left the box, all universes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameReport {
    /// The grid instant it was rendered for.
    pub instant: ShowTime,
    /// The `serial` of the plan that it was drawn from.
    pub plan: u64,
    /// When its last packet left.
    pub left: ShowTime,
    /// How we know.
    pub evidence: Evidence,
}

/// What the world should do next, or know.
#[derive(Debug, Clone)]
pub enum Effect {
    /// An order was given; keep it for the report. Plans and messages carry it out.
    Ordered(Order),
    /// An order has its receipt; keep it for the report.
    Received(Receipt),
    /// A show runs from now on, or does not any more: while it does, the box clock is not stepped unasked.
    ShowRuns(bool),
    /// Something that a person watching wants to read.
    Said(Said),
    /// Render light by this from now on.
    Light(Arc<light::Plan>),
    /// Render sound by this from now on.
    Sound(Arc<sound::Plan>),
    /// Say this to the lighting network, then, and tell when it left.
    Send {
        /// The order.
        order: OrderId,
        /// When.
        at: ShowTime,
        /// What.
        what: Sending,
    },
    /// Send this timecode by MIDI and Art-Net from now on; LTC is part of sound.
    Timecode(Course),
    /// Record what the microphone hears, and say where the chirps are.
    Listen(Listening),
    /// Send this by peer connections; none is silence. It takes the place of all that was to be heard from then on.
    Air {
        /// What, in place of what was.
        what: Option<Air>,
        /// When it is to be heard first; as soon after as can be.
        at: ShowTime,
    },
    /// What goes out by peer connections goes on; nothing that was ordered and has not had its turn has one.
    AirStays,
    /// Tell phones.
    Tell {
        /// Whom.
        to: To,
        /// `header.id` of the message.
        id: Uuid,
        /// What.
        message: Message,
    },
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Every phone that has said `hello`.
    All,
    /// One.
    One(PhoneId),
}

/// One line of the show's story.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Said {
    /// A cue was fired: its orders go out. What is known beforehand is fired ahead of its beginning.
    Fired {
        /// Which.
        cue: CueNumber,
        /// Its name.
        name: String,
        /// Who asked: a sender, `auto-continue`, `auto-follow`, `clock`.
        by: String,
    },
    /// The first of a cue's outputs begins.
    Began {
        /// Which.
        cue: CueNumber,
        /// Its name.
        name: String,
        /// Who fired it.
        by: String,
    },
    /// A cue's outputs have all ended.
    Ended {
        /// Which.
        cue: CueNumber,
    },
    /// Standby moved.
    Standby {
        /// The list.
        list: String,
        /// The cue that GO would fire.
        cue: Option<CueNumber>,
    },
    /// A command other than GO was done.
    Did {
        /// The sentence that was answered.
        what: String,
        /// Who asked.
        by: String,
    },
    /// A command was refused.
    Refused {
        /// Why, as a sentence.
        why: String,
        /// Who asked.
        by: String,
    },
    /// A cue, or the end of all cues, has changed what phones hear live.
    OnAir {
        /// As it is named; none if nothing.
        what: Option<String>,
        /// The cue; none for a stop or a panic.
        cue: Option<CueNumber>,
    },
    /// What was to be heard live cannot be, and nothing is.
    NotOnAir {
        /// As it was named.
        what: String,
        /// A sentence.
        why: String,
    },
    /// A film is on air without its sound.
    WithoutSound {
        /// As it was named.
        what: String,
        /// A sentence.
        why: String,
    },
    /// What the box clock has to say.
    Clock {
        /// A sentence.
        what: String,
    },
    /// What the boxes that stand in for each other have to say.
    Cluster {
        /// A sentence.
        what: String,
    },
    /// A list follows timecode from here on, or does not any more.
    Timecode {
        /// Which list.
        list: String,
        /// Whether it follows.
        follows: bool,
        /// `at 01:00:10:00`, or empty.
        at: String,
    },
    /// An order was carried out late, or nobody knows whether it was.
    Late {
        /// Which.
        order: OrderId,
        /// How late.
        #[serde(rename = "by_ns")]
        by: Span,
    },
}
