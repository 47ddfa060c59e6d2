//! Orders and receipts: what was asked of an output for which show time, and what became of it.

use serde::Serialize;
use units::{CueNumber, Level, OrderId, ShowTime, Span, TrackId, Universe};
use wire::solusync::MediaAction;

/// Something an output has to do at a show time. Its order of fields is the order of its JSON keys.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Order {
    /// Counts up from 1 over a run of the show.
    pub id: OrderId,
    /// The cue that asked for it; none for a panic and the like.
    pub cue: Option<CueNumber>,
    /// Who does it.
    pub output: Output,
    /// What.
    pub what: What,
    /// When, TAI nanoseconds.
    #[serde(rename = "at_tai_ns")]
    pub at: ShowTime,
}

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// The lighting network.
    Light,
    /// The box's own sound.
    Sound,
    /// The phones.
    Phones,
    /// What phones hear live.
    Air,
    /// The lighting network, beside levels.
    Network,
}

/// What is to be done, in words a report can print.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum What {
    /// Slots go to their levels.
    Fade {
        /// How many slots.
        slots: usize,
        /// How long it takes.
        #[serde(rename = "span_ns")]
        span: Span,
    },
    /// A recording of light plays.
    Capture {
        /// The file, as the show names it.
        file: String,
    },
    /// Every slot stays at the level it has.
    Hold,
    /// Everything goes out.
    Black {
        /// How long it takes.
        #[serde(rename = "span_ns")]
        span: Span,
    },
    /// A list lets go of its light.
    Release {
        /// Its name.
        list: String,
        /// How long it takes.
        #[serde(rename = "span_ns")]
        span: Span,
    },
    /// A master goes to a level.
    Master {
        /// Its name.
        master: String,
        /// Where to, in percent.
        level: Level,
        /// How long it takes.
        #[serde(rename = "span_ns")]
        span: Span,
    },
    /// Every intensity goes out at once, or comes back.
    Blackout {
        /// It goes out.
        on: bool,
    },
    /// Something is pinned where it is, or let go.
    Park {
        /// What.
        what: String,
        /// It is pinned.
        on: bool,
    },
    /// A voice begins.
    Play {
        /// The file, as the show names it.
        file: String,
    },
    /// Voices change their volume.
    Volume {
        /// How long it takes.
        #[serde(rename = "span_ns")]
        span: Span,
    },
    /// Voices end.
    Stop {
        /// How long the fade before the end is.
        #[serde(rename = "span_ns")]
        span: Span,
    },
    /// Everything that moves stands still.
    Pause,
    /// Everything goes on.
    Resume,
    /// Phones play a track.
    Track {
        /// Its name.
        track: TrackId,
    },
    /// Phones end their tracks.
    StopTracks {
        /// How long the fade before the end is.
        #[serde(rename = "span_ns")]
        span: Span,
    },
    /// Phones do something else with a track, by an operator's `media_control`.
    Media {
        /// What.
        action: MediaAction,
        /// Which; none is all of them.
        track: Option<TrackId>,
    },
    /// Phones show something.
    Screen,
    /// Phones hear something live.
    Air {
        /// As it is named; none is nothing any more.
        air: Option<String>,
    },
    /// A key is pressed by Art-Net.
    Trigger {
        /// Which: `show 5`.
        key: String,
    },
    /// Slots with a start code of their own leave.
    StartCode {
        /// In which universe.
        universe: Universe,
        /// Which.
        start_code: u8,
    },
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Receipt {
    /// Which.
    pub order: OrderId,
    /// Who did it.
    pub output: Output,
    /// When it was to be done.
    #[serde(rename = "at_tai_ns")]
    pub at: ShowTime,
    /// When it really happened; none while nobody can tell.
    #[serde(rename = "happened_tai_ns")]
    pub happened: Option<ShowTime>,
    /// How we know.
    pub evidence: Evidence,
    /// How many receipts this one sums up: phones of an order, 1 elsewhere.
    pub count: u32,
    /// Of the phones among them that told when the order came, how many had it too late; none where nobody told.
    pub too_late: Option<u32>,
}

impl Receipt {
    /// How late it was; negative is early, none is unknown.
    pub fn late(&self) -> Option<Span> {
        self.happened.map(|happened| happened - self.at)
    }
}

/// How we know when something happened, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The sound card's time stamp of the sample.
    Dac,
    /// The kernel's time stamp of the packet as it left.
    KernelTransmit,
    /// A phone's own report.
    Phone,
    /// The program's clock after the call that sent it.
    AfterSend,
    /// The simulated world did it exactly then.
    Simulated,
    /// Nobody said anything.
    None,
}
