//! What a cue does on phones.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use units::{Decibels, Rgb, ShowTime, Span, TrackId};

use super::{CuePlace, Loops};
use crate::show::talk::PhoneTalk;

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
    /// Their own lamps, on or off.
    pub torch: Option<bool>,
    /// How long they shake.
    pub vibrate: Option<Span>,
    /// What they were told another evening.
    pub talk: Option<Arc<PhoneTalk>>,
    /// Tracks that they fetch, and have ready.
    pub load: Vec<TrackId>,
    /// Tracks that end and leave their memory, until they are loaded or played again.
    pub unload: Vec<TrackId>,
}

impl PhoneCue {
    /// How long everything but the track takes.
    pub fn screen_length(&self) -> Span {
        let flash = |it: PhoneFlash| Span::from_secs_f64(f64::from(it.count) / it.per_second);
        let talk = self.talk.as_ref().map(|it| it.length);
        let lengths =
            [self.colour.map(|(_, fade)| fade), self.flash.map(flash), self.vibrate, talk];
        lengths.into_iter().flatten().max().unwrap_or(Span::ZERO)
    }
}

/// What goes out live, by peer connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Air {
    /// A sine, to hear whether anything comes.
    Tone,
    /// What the sound input hears (`[sound] input`).
    Input,
    /// A track of the show, over and over.
    Track(TrackId),
    /// What was live in the capture of a cue's phones, once. No file or operator names it.
    Capture {
        /// Its file.
        file: String,
        /// The cue.
        cue: CuePlace,
        /// When it would have begun here.
        since: ShowTime,
    },
}

impl Air {
    /// As show files and operators name it; whether there is such a track is another matter.
    pub fn named(name: &str) -> Self {
        match name {
            "tone" => Self::Tone,
            "input" => Self::Input,
            _ => Self::Track(TrackId(name.to_owned())),
        }
    }
}

impl fmt::Display for Air {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tone => f.write_str("tone"),
            Self::Input => f.write_str("input"),
            Self::Track(track) => track.fmt(f),
            Self::Capture { file, .. } => f.write_str(file),
        }
    }
}

/// What a cue puts on air, in place of what was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AirCue {
    /// What; none takes off air what was.
    pub what: Option<Air>,
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
    /// Where in the track it begins.
    pub offset: Span,
}

/// Flashes on phones: three a second at most, unless the show file gives a reason to allow more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhoneFlash {
    /// How many.
    pub count: u32,
    /// How many a second.
    pub per_second: f64,
}
