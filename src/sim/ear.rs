//! The box's microphone on a desk: it hears the box's own chirps, and a phone's from where that is.

use engine::calibrate::Listening;
use phone::Chance;
use units::{Ppm, ShowTime, Span};
use wire::chirp::Voice;
use wire::duet;

use crate::acoustics::{Arrival, Room, loud, record, way};

/// A microphone, and what it is to listen to.
#[derive(Debug)]
pub(crate) struct Ear {
    room: Room,
    crystal: Ppm,
    chance: Chance,
    listening: Option<Listening>,
}

const RATE_HZ: u32 = 48_000;
/// From the air into a recording: nobody knows it, and nobody has to.
const LATENCY: Span = Span::from_millis(17);
/// How near it stands to the loudspeaker.
const METRES: f64 = 0.05;

impl Ear {
    pub(crate) fn new(seed: u64) -> Self {
        let chance = Chance::new(u128::from(seed) << 64 | 0xea2);
        Self { room: Room::HALL, crystal: Ppm(0.0), chance, listening: None }
    }

    pub(crate) fn set(&mut self, room: Room, crystal: Ppm) {
        (self.room, self.crystal) = (room, crystal);
    }

    pub(crate) fn listen(&mut self, listening: Listening) {
        self.listening = Some(listening);
    }

    /// When all is recorded.
    pub(crate) fn next(&self) -> Option<ShowTime> {
        self.listening.as_ref().map(|it| it.until + LATENCY)
    }

    pub(crate) fn take(&mut self) -> Option<Listening> {
        self.listening.take()
    }

    /// What it heard; a guest that has gone was not heard.
    pub(crate) fn later(
        &mut self,
        listening: &Listening,
        guest: Option<(Vec<ShowTime>, f64)>,
    ) -> Vec<Option<Span>> {
        let ratio = self.crystal.ratio();
        let arrival = |leaves: ShowTime, metres: f64, voice| Arrival {
            at_s: (leaves + way(metres) + LATENCY - listening.from).secs_f64() * ratio,
            voice,
            loud: loud(metres),
        };
        let own = listening.turns.by_box.iter().map(|at| arrival(*at, METRES, Voice::Box));
        let (chirps, metres) = guest.unwrap_or_default();
        let theirs = chirps.iter().map(|at| arrival(*at, metres, Voice::Phone));
        let arrivals: Vec<Arrival> = own.chain(theirs).collect();
        let length = listening.until - listening.from;
        let heard = record(&self.room, &arrivals, length, RATE_HZ, &mut self.chance);
        duet::later(&heard, &listening.turns_since(listening.from), Voice::Box)
    }
}
