//! Live sound of another evening, as it would leave the box.

use engine::peers::Retelling;
use engine::show::{Air as What, RecordedPacket, Show, SoundReader};
use units::{ShowTime, Span};

/// From a packet's leaving to its time, in a box that nobody has told otherwise.
const AHEAD: Span = Span::from_millis(260);

/// What is on air.
#[derive(Debug)]
pub(crate) struct Air {
    times: Retelling,
    reader: SoundReader,
    /// The next packet, and when it leaves; none where all have left.
    next: Option<(RecordedPacket, ShowTime)>,
}

impl Air {
    /// Only captures sound in this world.
    pub fn begin(show: &Show, now: ShowTime, what: What) -> Option<Self> {
        let What::Capture { cue, since, .. } = what else { return None };
        let talk = show.at(cue)?.phones.as_ref()?.talk.as_ref()?;
        let times = Retelling::new(now, since, AHEAD);
        let reader = talk.sound.as_ref()?.read_from(times.place());
        let mut air = Self { times, reader, next: None };
        air.advance(now);
        Some(air)
    }

    /// When the next packet leaves.
    pub fn next(&self) -> Option<ShowTime> {
        self.next.as_ref().map(|(_, at)| *at)
    }

    /// It leaves; with when it is heard.
    pub fn take(&mut self) -> Option<(RecordedPacket, ShowTime)> {
        let (packet, left) = self.next.take()?;
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
