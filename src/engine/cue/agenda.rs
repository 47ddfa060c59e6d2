//! What is due, and why: the engine's only alarms.

use units::{CueNumber, ShowTime, Span};

use crate::order::Output;
use crate::show::CuePlace;

/// One sounding of a cue, from GO to its end; a cue fired twice runs twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(pub u64);

/// Something that will be done at its time, unless it is taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    pub at: ShowTime,
    pub event: Event,
}

/// What will be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An output gets its orders, ahead of `begin`.
    Order { run: RunId, output: Output, begin: ShowTime },
    /// A cue begins, whoever fired it.
    Begin { run: RunId, by: String },
    /// A cue acts on other cues.
    Act { run: RunId },
    /// Phones are told again what they were told another evening, which here would have begun at `since`.
    Repeat { run: RunId, line: usize, since: ShowTime },
    /// The next cue comes by itself, and begins at `begin`.
    Next { after: RunId, place: CuePlace, begin: ShowTime, by: &'static str },
    /// What a cue put on air, or took off it, begins to be heard.
    OnAir { cue: CueNumber, what: Option<String> },
    /// A cue has ended.
    End { run: RunId },
    /// What a stop or a panic fades is through.
    FadedOut,
}

impl Event {
    /// Whether it falls away when that run is ended before its time. What continues after its beginning stays.
    pub fn belongs_to(&self, ended: RunId) -> bool {
        match self {
            Self::Order { run, .. }
            | Self::Begin { run, .. }
            | Self::Act { run }
            | Self::Repeat { run, .. }
            | Self::End { run } => *run == ended,
            Self::Next { after, by, .. } => *after == ended && *by == AUTO_FOLLOW,
            Self::OnAir { .. } | Self::FadedOut => false,
        }
    }

    /// Whether it is light of a list that has not been ordered yet.
    pub fn lights_in(&self, list: usize, list_of: impl Fn(RunId) -> Option<usize>) -> bool {
        let Self::Order { run, output: Output::Light, .. } = self else { return false };
        list_of(*run) == Some(list)
    }

    /// Whether it fires the next cue of a list by itself.
    pub fn comes_in(&self, list: usize) -> bool {
        matches!(self, Self::Next { place, .. } if place.list == list)
    }
}

/// Who fired a cue that came after the end of another.
pub const AUTO_FOLLOW: &str = "auto-follow";
/// Who fired a cue that came after the beginning of another.
pub const AUTO_CONTINUE: &str = "auto-continue";

/// Why the engine asks to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// An output's order for a cue is due.
    CueDue(CueNumber),
    /// A cue ends.
    CueEnds(CueNumber),
    /// A cue on standby fires at its time of day.
    TimeOfDay(CueNumber),
    /// A cue's timecode comes.
    Timecode(CueNumber),
    /// A source of timecode may have fallen silent.
    TimecodeSilent,
    /// An order's receipt has not come; say so.
    ReceiptMissing,
    /// What a stop or a panic fades is through.
    FadedOut,
    /// Phones are due to hear how far off they are.
    PhonesPooled,
}

/// Everything that is due, in order.
#[derive(Debug, Clone, Default)]
pub struct Agenda {
    dues: Vec<Due>,
}

impl Agenda {
    /// Adds it behind what is due at the same time.
    pub fn add(&mut self, at: ShowTime, event: Event) {
        let place = self.dues.partition_point(|due| due.at <= at);
        self.dues.insert(place, Due { at, event });
    }

    /// The next thing.
    pub fn next(&self) -> Option<&Due> {
        self.dues.first()
    }

    /// Takes the next thing whose time has come.
    pub fn take_due(&mut self, now: ShowTime) -> Option<Event> {
        let due = self.dues.first().is_some_and(|due| due.at <= now);
        due.then(|| self.dues.remove(0).event)
    }

    /// Index of the cue of a list that comes next by itself, and when it begins.
    pub fn coming(&self, list: usize) -> Option<(usize, ShowTime)> {
        self.dues.iter().find_map(|due| match due.event {
            Event::Next { place, begin, .. } if place.list == list => Some((place.index, begin)),
            _ => None,
        })
    }

    /// Whether there is such a thing.
    pub fn holds(&self, such: impl Fn(&Event) -> bool) -> bool {
        self.dues.iter().any(|due| such(&due.event))
    }

    /// Runs of a list whose light has not been ordered yet.
    pub fn unlit(&self, list: usize, list_of: impl Fn(RunId) -> Option<usize>) -> Vec<RunId> {
        let runs = self.dues.iter().filter_map(|due| match due.event {
            Event::Order { run, .. } if due.event.lights_in(list, &list_of) => Some(run),
            _ => None,
        });
        runs.collect()
    }

    /// Takes back what `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&Event) -> bool) {
        self.dues.retain(|due| keep(&due.event));
    }

    /// Takes back such things that are due from then on.
    pub fn forget(&mut self, from: ShowTime, such: impl Fn(&Event) -> bool) {
        self.dues.retain(|due| due.at < from || !such(&due.event));
    }

    /// Takes such things that are due before then; all of them if there is no such time.
    pub fn take(&mut self, until: Option<ShowTime>, such: impl Fn(&Event) -> bool) -> Vec<Event> {
        let is_it = |due: &mut Due| such(&due.event) && until.is_none_or(|until| due.at < until);
        self.dues.extract_if(.., is_it).map(|due| due.event).collect()
    }

    /// After a pause: everything comes later.
    pub fn shift(&mut self, by: Span) {
        for due in &mut self.dues {
            due.at += by;
            match &mut due.event {
                Event::Order { begin, .. } | Event::Next { begin, .. } => *begin += by,
                Event::Repeat { since, .. } => *since += by,
                Event::Begin { .. }
                | Event::Act { .. }
                | Event::OnAir { .. }
                | Event::End { .. }
                | Event::FadedOut => {}
            }
        }
    }
}
