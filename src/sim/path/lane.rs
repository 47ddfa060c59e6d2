//! One direction of a [`Path`](super::Path).

use phone::Chance;
use units::{MonoTime, Span};

use super::{Carriage, Fate, RESEND_FIRST, Verdict, scaled, wait};

/// What one direction is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaneSpec {
    /// The way itself: no packet is faster.
    pub floor: Span,
    /// The floor is longer by up to this, drawn for each connection and after each gap.
    pub askew: Span,
    /// The wait in queues on top of it.
    pub jitter: Jitter,
    /// Whole crowds talk in waves: queues stay long or short for about so long.
    pub wave: Option<Span>,
    /// Whiles in which nothing moves, and then everything at once.
    pub bursts: Option<Bursts>,
    /// Packets that get lost.
    pub losses: Losses,
    /// The share of datagrams that are overtaken, 0 to 1.
    pub reorder: f64,
    /// Bits a second that fit through; none: as many as come.
    pub rate_bps: Option<u64>,
}

/// How long a packet waits in queues, by its mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Jitter {
    /// Between nothing and twice the mean, each as likely.
    Even(Span),
    /// Mostly short, sometimes long: a queue.
    Queue(Span),
    /// Mostly short, seldom very long (Pareto, shape 2.5): a crowd.
    Crowd(Span),
}

/// Whiles in which nothing moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bursts {
    /// From the end of one to the beginning of the next, on average.
    pub every: Span,
    /// How long one lasts, on average.
    pub length: Span,
}

/// Packets that get lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Losses {
    /// The share of packets, 0 to 1.
    pub share: f64,
    /// How many are lost in a row, on average; 1 leaves each to its own chance.
    pub run: f64,
}

/// A datagram that would wait longer for its turn finds the queue full.
const QUEUE_MAX: Span = Span::from_millis(300);
/// Later than this a piece would not be waited for any more.
const RESEND_MAX: Span = Span::from_secs(3);
/// What fits into one packet of a stream (Ethernet, RFC 879).
const SEGMENT: usize = 1_460;

/// One direction, as it goes.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    spec: LaneSpec,
    carriage: Carriage,
    longer: Span,
    /// How busy the air is in this wave, 1 on average.
    load: f64,
    wave_ends: MonoTime,
    burst: (MonoTime, MonoTime),
    losing: bool,
    /// Until when the pipe is full.
    busy: MonoTime,
    last: MonoTime,
}

impl Lane {
    pub(super) fn new(spec: LaneSpec, carriage: Carriage, chance: &mut Chance) -> Self {
        let zero = MonoTime::ZERO;
        let mut lane = Self {
            spec,
            carriage,
            longer: Span::ZERO,
            load: 1.0,
            wave_ends: zero,
            burst: (zero, zero),
            losing: false,
            busy: zero,
            last: zero,
        };
        lane.move_house(chance);
        lane
    }

    /// From here on the way has another length.
    pub(super) fn move_house(&mut self, chance: &mut Chance) {
        self.longer = scaled(self.spec.askew, chance.share());
    }

    pub(super) fn floor(&self) -> Span {
        self.spec.floor + self.longer
    }

    /// `sets_out` is later than `now` where the packet has been waiting for a radio.
    pub(super) fn judge(
        &mut self,
        now: MonoTime,
        sets_out: MonoTime,
        bytes: usize,
        chance: &mut Chance,
    ) -> Verdict {
        let Some(passed) = self.through_the_pipe(sets_out, bytes) else { return Verdict::Drop };
        let freed = self.after_the_burst(passed, chance);
        let at = freed + self.floor() + self.queued(passed, chance);
        let is_resent = sets_out - now >= RESEND_FIRST;
        match self.carriage {
            Carriage::Datagrams => self.datagram(at, chance),
            Carriage::Stream => self.piece(at, bytes, is_resent, chance),
        }
    }

    /// When its last bit has passed the narrowest place; none if the queue before it is full.
    fn through_the_pipe(&mut self, at: MonoTime, bytes: usize) -> Option<MonoTime> {
        let Some(rate) = self.spec.rate_bps else { return Some(at) };
        let begins = at.max(self.busy);
        if self.carriage == Carriage::Datagrams && begins - at > QUEUE_MAX {
            return None;
        }
        self.busy = begins + Span::from_secs_f64(bytes as f64 * 8.0 / rate.max(1) as f64);
        Some(self.busy)
    }

    fn after_the_burst(&mut self, at: MonoTime, chance: &mut Chance) -> MonoTime {
        let Some(bursts) = self.spec.bursts else { return at };
        if self.burst.1 == MonoTime::ZERO {
            self.burst.1 = at;
        }
        while self.burst.1 <= at {
            let begins = self.burst.1 + scaled(bursts.every, wait(chance));
            // A while without length would never let time get on.
            let length = scaled(bursts.length, wait(chance)).max(Span::from_micros(1));
            self.burst = (begins, begins + length);
        }
        if self.burst.0 <= at { self.burst.1 } else { at }
    }

    fn queued(&mut self, at: MonoTime, chance: &mut Chance) -> Span {
        if let Some(wave) = self.spec.wave.filter(|_| at >= self.wave_ends) {
            self.load = wait(chance);
            self.wave_ends = at + scaled(wave, wait(chance));
        }
        let share = chance.share();
        match self.spec.jitter {
            Jitter::Even(mean) => scaled(mean, 2.0 * share * self.load),
            Jitter::Queue(mean) => scaled(mean, -(1.0 - share).ln() * self.load),
            // A Pareto of shape 2.5, less its least value 1, has the mean 2/3.
            Jitter::Crowd(mean) => scaled(mean, ((1.0 - share).powf(-0.4) - 1.0) * 1.5 * self.load),
        }
    }

    /// Losses come in runs: a chain of two states with these two means (Gilbert).
    fn is_lost(&mut self, chance: &mut Chance) -> bool {
        let Losses { share, run } = self.spec.losses;
        let stays = (1.0 - 1.0 / run.max(1.0)).max(share);
        let begins = share * (1.0 - stays) / (1.0 - share).max(1e-9);
        self.losing = chance.share() < if self.losing { stays } else { begins };
        self.losing
    }

    fn datagram(&mut self, at: MonoTime, chance: &mut Chance) -> Verdict {
        if self.is_lost(chance) {
            return Verdict::Drop;
        }
        if chance.share() < self.spec.reorder {
            let held = Span::from_millis(1) + scaled(self.spec.jitter.mean(), 1.0 + wait(chance));
            return Verdict::Deliver { at: at.max(self.last) + held, fate: Fate::Overtaken };
        }
        self.last = self.last.max(at);
        Verdict::Deliver { at: self.last, fate: Fate::Plain }
    }

    /// Each time it gets lost, TCP waits twice as long, and what is behind it waits, too.
    fn piece(&mut self, at: MonoTime, bytes: usize, resent: bool, chance: &mut Chance) -> Verdict {
        let (mut late, mut patience) = (Span::ZERO, RESEND_FIRST);
        let lost_once =
            (0..bytes.div_ceil(SEGMENT).max(1)).fold(false, |lost, _| self.is_lost(chance) || lost);
        let mut lost = lost_once;
        while lost && late < RESEND_MAX {
            late += patience;
            patience = patience.times(2);
            lost = chance.share() < self.spec.losses.share;
        }
        self.last = self.last.max(at + late);
        let fate = if resent || lost_once { Fate::Resent } else { Fate::Plain };
        Verdict::Deliver { at: self.last, fate }
    }
}

impl Jitter {
    /// The wait of a packet, on average.
    pub fn mean(self) -> Span {
        match self {
            Self::Even(mean) | Self::Queue(mean) | Self::Crowd(mean) => mean,
        }
    }
}
