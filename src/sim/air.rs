//! What goes out live to phones, as it would leave the box: of another evening each packet, of all else that it does.

use engine::peers::{AirLead, Change, Coming, Made, Replay, Replayed, Waiting};
use engine::show::{Air as What, Show};
use units::{ShowTime, Span, TrackId};
use wire::capture::talk::Piece;

/// From sent to heard, in a box that nobody has told otherwise.
const DELAY: Span = Span::from_millis(250);

/// What is on air, and what is to be.
#[derive(Debug)]
pub(crate) struct Air {
    lead: AirLead,
    on: Option<What>,
    coming: Coming<Option<What>>,
    playing: Option<Replay>,
    /// When it goes on.
    again: Option<ShowTime>,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Aired {
    /// This is made from now on; none is silence.
    Turn(Option<What>),
    /// A packet leaves, to be heard then.
    Packet(TrackId, ShowTime),
    /// A piece of a picture leaves, to be seen then.
    Piece(TrackId, Piece, ShowTime),
}

impl Air {
    /// Silence, to begin with.
    pub fn new() -> Self {
        let (lead, coming) = (AirLead::new(DELAY), Coming::default());
        Self { lead, on: None, coming, playing: None, again: None }
    }

    /// This is to be heard from then on.
    pub fn handle(&mut self, show: &Show, now: ShowTime, what: Option<What>, at: ShowTime) {
        let made = |it: &What| Made::of(it, show);
        let before = self.coming.last().unwrap_or(&self.on).as_ref().map(made);
        let change = Change { before, after: what.as_ref().map(made) };
        let turn = change.turn(now, at, self.lead);
        self.coming.handle(Waiting { at, turn, what });
    }

    /// What is on air goes on.
    pub fn stay(&mut self) {
        self.coming.clear();
    }

    /// When something happens next.
    pub fn next(&self) -> Option<ShowTime> {
        self.coming.next_wake().into_iter().chain(self.again).min()
    }

    /// What happens by now.
    pub fn poll(&mut self, show: &Show, now: ShowTime) -> Option<Aired> {
        if let Some(Waiting { what, .. }) = self.coming.poll(now) {
            self.playing = what.as_ref().and_then(|it| begin(show, now, it, self.lead));
            self.again = self.playing.is_some().then_some(now);
            self.on.clone_from(&what);
            return Some(Aired::Turn(what));
        }
        self.again.take_if(|at| *at <= now)?;
        self.go_on(now)
    }

    /// A file that is damaged by now is over: this world has nobody to complain to.
    fn go_on(&mut self, now: ShowTime) -> Option<Aired> {
        let replayed = self.playing.as_mut()?.poll(now).unwrap_or(Replayed::Over);
        self.again = Some(now);
        match replayed {
            Replayed::Sound { track, heard, .. } => Some(Aired::Packet(track, heard)),
            Replayed::Picture { track, piece, seen, .. } => Some(Aired::Piece(track, piece, seen)),
            Replayed::Dark => self.go_on(now),
            Replayed::Later(at) => {
                self.again = Some(at);
                None
            }
            Replayed::Over => {
                (self.playing, self.again) = (None, None);
                None
            }
        }
    }
}

/// Only captures sound in this world.
fn begin(show: &Show, now: ShowTime, what: &What, lead: AirLead) -> Option<Replay> {
    let What::Capture { cue, since, .. } = what else { return None };
    let talk = show.at(*cue)?.phones.as_ref()?.talk.as_ref()?;
    Some(Replay::begin(talk.air.as_ref()?, now, *since, lead))
}
