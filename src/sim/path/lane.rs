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
    /// The share of datagrams that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Bits a second that fit through; none: as many as come.
    pub rate_bps: Option<u64>,
    /// A datagram that would wait longer for its turn finds the queue before the narrow place full.
    pub queue_max: Span,
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

/// Packets that get lost, by Gilbert and Elliott: a chain of a good and a bad state, in each of which a packet has its
/// chance (E. O. Elliott, *Estimates of Error Rates for Codes on Burst-Noise Channels*, 1963).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Losses {
    /// The share of all packets, 0 to 1; from `stray` to `dense`.
    pub share: f64,
    /// How many packets meet the bad state before it ends, on average; 1 leaves each to its own chance.
    pub run: f64,
    /// The share that is lost in the bad state; 1 loses whole runs (Gilbert).
    pub dense: f64,
    /// The share that is lost in the good state.
    pub stray: f64,
}

impl Losses {
    /// Nothing gets lost.
    pub const NONE: Self = Self { share: 0.0, run: 1.0, dense: 1.0, stray: 0.0 };

    /// So many in runs of that mean length.
    pub const fn runs(share: f64, run: f64) -> Self {
        Self { share, run, ..Self::NONE }
    }

    /// How much of the time the bad state holds.
    fn bad(self) -> f64 {
        ((self.share - self.stray) / (self.dense - self.stray).max(1e-9)).clamp(0.0, 1.0)
    }
}

/// A radio that did not hear that it was heard sends again about so soon.
const ECHO_MIN: Span = Span::from_micros(200);
/// Later than this a piece would not be waited for any more.
const RESEND_MAX: Span = Span::from_secs(3);
/// What fits into one packet of a stream (Ethernet, RFC 879).
const SEGMENT: usize = 1_460;

/// One direction, as it goes.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    spec: LaneSpec,
    carriage: Carriage,
    /// What befalls packets; how much is drawn from it never depends on the time.
    fates: Chance,
    /// What passes with time.
    whiles: Chance,
    longer: Span,
    /// How busy the air is in this wave, 1 on average.
    load: f64,
    wave_ends: MonoTime,
    burst: (MonoTime, MonoTime),
    is_bad: bool,
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
            fates: Chance::new(chance.bits()),
            whiles: Chance::new(chance.bits()),
            longer: Span::ZERO,
            load: 1.0,
            wave_ends: zero,
            burst: (zero, zero),
            is_bad: false,
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

    /// What will befall the next packet, whenever it sets out.
    pub(super) fn draw(&mut self, bytes: usize) -> Lot {
        match self.carriage {
            Carriage::Datagrams => self.draw_datagram(),
            Carriage::Stream => self.draw_piece(bytes),
        }
    }

    fn draw_datagram(&mut self) -> Lot {
        let is_lost = self.is_lost();
        let LaneSpec { reorder, duplicate, jitter, .. } = self.spec;
        let fates = &mut self.fates;
        let queued = fates.share();
        let mut befalls = |share: f64, least: Span| {
            let (happens, wait) = (fates.share() < share, wait(fates));
            happens.then(|| least + scaled(jitter.mean(), wait))
        };
        let held = befalls(reorder, Span::from_millis(1) + jitter.mean());
        let again = befalls(duplicate, ECHO_MIN);
        Lot { queued, is_lost, held, again, resent_after: Span::ZERO }
    }

    /// Each time it gets lost, TCP waits twice as long.
    fn draw_piece(&mut self, bytes: usize) -> Lot {
        let segments = bytes.div_ceil(SEGMENT).max(1);
        let mut is_lost = (0..segments).fold(false, |lost, _| self.is_lost() || lost);
        let queued = self.fates.share();
        let (mut resent_after, mut patience) = (Span::ZERO, RESEND_FIRST);
        while is_lost && resent_after < RESEND_MAX {
            resent_after += patience;
            patience = patience.times(2);
            is_lost = self.fates.share() < self.spec.losses.share;
        }
        Lot { queued, is_lost: false, held: None, again: None, resent_after }
    }

    fn is_lost(&mut self) -> bool {
        let losses = self.spec.losses;
        let bad = losses.bad();
        let stays = (1.0 - 1.0 / losses.run.max(1.0)).max(bad);
        let begins = if bad < 1.0 { bad * (1.0 - stays) / (1.0 - bad) } else { 1.0 };
        self.is_bad = self.fates.share() < if self.is_bad { stays } else { begins };
        self.fates.share() < if self.is_bad { losses.dense } else { losses.stray }
    }

    /// `sets_out` is later than `now` where the packet has been waiting for a radio, or for a way that was closed.
    pub(super) fn judge(
        &mut self,
        now: MonoTime,
        sets_out: MonoTime,
        bytes: usize,
        lot: Lot,
    ) -> Verdict {
        let Some(passed) = self.through_the_pipe(sets_out, bytes) else { return Verdict::Drop };
        let freed = self.after_the_burst(passed);
        let at = freed + self.floor() + self.queued(passed, lot.queued);
        if lot.is_lost {
            return Verdict::Drop;
        }
        match lot.held {
            Some(held) => lot.delivered(at.max(self.last) + held, Fate::Overtaken),
            None => {
                self.last = self.last.max(at + lot.resent_after);
                let is_resent = lot.resent_after > Span::ZERO || sets_out - now >= RESEND_FIRST;
                lot.delivered(self.last, if is_resent { Fate::Resent } else { Fate::Plain })
            }
        }
    }

    /// When its last bit has passed the narrowest place; none if the queue before it is full.
    fn through_the_pipe(&mut self, at: MonoTime, bytes: usize) -> Option<MonoTime> {
        let Some(rate) = self.spec.rate_bps else { return Some(at) };
        let begins = at.max(self.busy);
        if self.carriage == Carriage::Datagrams && begins - at > self.spec.queue_max {
            return None;
        }
        self.busy = begins + Span::from_secs_f64(bytes as f64 * 8.0 / rate.max(1) as f64);
        Some(self.busy)
    }

    fn after_the_burst(&mut self, at: MonoTime) -> MonoTime {
        let Some(bursts) = self.spec.bursts else { return at };
        if self.burst.1 == MonoTime::ZERO {
            self.burst.1 = at;
        }
        while self.burst.1 <= at {
            let begins = self.burst.1 + scaled(bursts.every, wait(&mut self.whiles));
            // A while without length would never let time get on.
            let length = scaled(bursts.length, wait(&mut self.whiles)).max(Span::from_micros(1));
            self.burst = (begins, begins + length);
        }
        if self.burst.0 <= at { self.burst.1 } else { at }
    }

    fn queued(&mut self, at: MonoTime, share: f64) -> Span {
        if let Some(wave) = self.spec.wave.filter(|_| at >= self.wave_ends) {
            self.load = wait(&mut self.whiles);
            self.wave_ends = at + scaled(wave, wait(&mut self.whiles));
        }
        match self.spec.jitter {
            Jitter::Even(mean) => scaled(mean, 2.0 * share * self.load),
            Jitter::Queue(mean) => scaled(mean, -(1.0 - share).ln() * self.load),
            // A Pareto of shape 2.5, less its least value 1, has the mean 2/3.
            Jitter::Crowd(mean) => scaled(mean, ((1.0 - share).powf(-0.4) - 1.0) * 1.5 * self.load),
        }
    }
}

/// What befalls a packet, by its place in the order alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lot {
    /// Its share of what queues there are, 0 to 1.
    queued: f64,
    is_lost: bool,
    /// So long it is held while others overtake.
    held: Option<Span>,
    /// So long after it, it arrives again.
    again: Option<Span>,
    /// So long TCP takes to bring what got lost.
    resent_after: Span,
}

impl Lot {
    fn delivered(self, at: MonoTime, fate: Fate) -> Verdict {
        Verdict::Deliver { at, again: self.again.map(|after| at + after), fate }
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
