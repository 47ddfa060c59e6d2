//! What goes out live to phones, as it would leave the box: of another evening each packet, of all else that it does.

use engine::peers::{AirLead, Change, Coming, Made, Retelling, Waiting};
use engine::show::{Air as What, RecordedPacket, Show, SoundReader};
use units::{ShowTime, Span, TrackId};

/// From sent to heard, in a box that nobody has told otherwise.
const DELAY: Span = Span::from_millis(250);

/// What is on air, and what is to be.
#[derive(Debug)]
pub(crate) struct Air {
    lead: AirLead,
    on: Option<What>,
    coming: Coming<Option<What>>,
    playing: Option<Playing>,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Aired {
    /// This is made from now on; none is silence.
    Turn(Option<What>),
    /// A packet leaves, to be heard then.
    Packet(TrackId, ShowTime),
}

/// A capture on its way.
#[derive(Debug)]
struct Playing {
    times: Retelling,
    reader: SoundReader,
    /// The next packet, and when it leaves; none where all have left.
    next: Option<(RecordedPacket, ShowTime)>,
}

impl Air {
    /// Silence, to begin with.
    pub fn new() -> Self {
        let (lead, coming) = (AirLead::new(DELAY), Coming::default());
        Self { lead, on: None, coming, playing: None }
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
        let packet = self.playing.as_ref().and_then(|it| Some(it.next.as_ref()?.1));
        self.coming.next_wake().into_iter().chain(packet).min()
    }

    /// What happens by now.
    pub fn poll(&mut self, show: &Show, now: ShowTime) -> Option<Aired> {
        if let Some(Waiting { what, .. }) = self.coming.poll(now) {
            self.playing = what.as_ref().and_then(|it| Playing::begin(show, now, it, self.lead));
            self.on.clone_from(&what);
            return Some(Aired::Turn(what));
        }
        let (packet, heard) = self.playing.as_mut()?.take(now)?;
        Some(Aired::Packet(packet.track, heard))
    }
}

impl Playing {
    /// Only captures sound in this world.
    fn begin(show: &Show, now: ShowTime, what: &What, lead: AirLead) -> Option<Self> {
        let What::Capture { cue, since, .. } = what else { return None };
        let talk = show.at(*cue)?.phones.as_ref()?.talk.as_ref()?;
        let times = Retelling::new(now, *since, lead.whole());
        let reader = talk.sound.as_ref()?.read_from(times.place());
        let mut playing = Self { times, reader, next: None };
        playing.advance(now);
        Some(playing)
    }

    /// What leaves by now; with when it is heard.
    fn take(&mut self, now: ShowTime) -> Option<(RecordedPacket, ShowTime)> {
        let (packet, left) = self.next.take_if(|(_, at)| *at <= now)?;
        self.advance(left);
        let heard = self.times.heard(packet.at);
        Some((packet, heard))
    }

    /// A file that is damaged by now is over: this world has nobody to complain to.
    fn advance(&mut self, now: ShowTime) {
        while let Ok(Some(packet)) = self.reader.next() {
            if let Some(at) = self.times.due(now, packet.at) {
                self.next = Some((packet, at));
                return;
            }
        }
    }
}
