//! What time is it at the box?
//!
//! In: exchanges of four time stamps (SX-09). Out: [`Reading`]s: network time, how wrong it may be, how fast
//! the box's crystal runs against ours. Never: sockets, the pace of asking.
//!
//! The naive way averages `((t2 - t1) + (t3 - t4)) / 2`. In a full venue it fails, because packets queue: the
//! uplink waits while a thousand phones talk, the average follows the queue, and the phone is heard late.
//! Taking the exchange with the lowest round trip is better, but a burst on the downlink then also throws away
//! an uplink that was clean. So we look at each direction by itself: no packet is faster than its way allows.
//! `fit` finds the curve and the floor under which all waits of the last minutes are likeliest, `excess`
//! learns how long waits are and knows what the page's clock rounds away (`grain`), and `path` keeps the
//! lead where it was when the way changes. What remains is half the asymmetry of the way, which no time stamp
//! shows. A curve that follows a queue is as sure of itself as a good one; so the bound we give is not the curve's but
//! what no answer contradicts (`limits`), and where the curve leaves that, it counts no more.

use std::collections::VecDeque;

use units::{MonoTime, Ppm, Span};
pub use wire::time::Channel;

use crate::scale::NetTime;

mod climb;
mod excess;
mod fit;
mod grain;
mod limits;
mod lows;
mod model;
mod path;
mod suspects;
mod view;
mod work;

pub use grain::{Grain, Kind};

use fit::{Fit, Prior, Row, SKEW_USUAL};
use grain::Sieve;
use limits::{Limits, Skew};
use lows::Lows;
use model::{Ended, Model};
use path::Path;
use suspects::{Slack, Suspect, Suspects, Verdict};
use work::Work;

/// One question and its answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exchange {
    /// When we asked.
    pub t1: MonoTime,
    /// When the box heard it.
    pub t2: NetTime,
    /// When the box answered.
    pub t3: NetTime,
    /// When we heard it.
    pub t4: MonoTime,
    /// The way it went.
    pub channel: Channel,
}

impl Exchange {
    /// The time both ways took (SX-09): `(t4 - t1) - (t3 - t2)`.
    pub fn rtt(&self) -> Span {
        (self.t4 - self.t1) - (self.t3 - self.t2)
    }

    /// Box minus phone by this exchange alone (SX-09): `((t2 - t1) + (t3 - t4)) / 2`.
    pub fn offset(&self) -> Span {
        let there = self.t2.ns().saturating_sub(self.t1.ns());
        let back = self.t3.ns().saturating_sub(self.t4.ns());
        Span::from_ns(there.midpoint(back))
    }
}

/// What an exchange is by what was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// One more of the same.
    Usual,
    /// It came sooner than its way allows: a mistake, a shorter way, or a moved clock. The next ones show which.
    Early,
}

/// What the estimate says at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Network time.
    pub net: NetTime,
    /// How wrong it may be at worst, either way.
    pub bound: Span,
    /// How wrong it is likely to be: one sigma, the way's asymmetry counted in.
    pub sigma: Span,
    /// How much faster the box's crystal runs than ours.
    pub rate: Ppm,
}

/// The estimate.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Option<Origin>,
    rows: VecDeque<Row>,
    model: Model,
    /// What it would be if the page's clock rounded the other way, while that is not known.
    rival: Option<Box<Model>>,
    contest: Option<Contest>,
    next_review: usize,
    fitted_at: f64,
    /// The way is new: it has no fit yet, only a beginning.
    is_new_way: bool,
    prior: Prior,
    path: Path,
    sieve: Sieve,
    channel: Channel,
    lows: Lows,
    suspects: Suspects,
    limits: Limits,
    last: f64,
    count: u32,
}

/// The two models are compared on the same exchanges.
#[derive(Debug, Clone, Copy)]
struct Contest {
    end: usize,
    /// Climbs of the rival until it knows as much of them.
    rounds: usize,
    /// How likely they are by it.
    rival: f64,
}

/// Zero of the small numbers: the first exchange.
#[derive(Debug, Clone, Copy)]
struct Origin {
    mono: MonoTime,
    lead: Span,
}

/// Rows kept: more than three minutes at ten a second.
const ROWS_MAX: usize = 2_048;
/// Of them left free while a fit goes on, since it needs its rows to the end: it takes fewer exchanges than that.
const ROOM: usize = 128;
/// A crystal's skew stays a gentle curve this long, seconds.
const WINDOW_SECS: f64 = 180.0;
/// After a long silence the old rows are worth more than one new answer that waited in a queue, so they go only
/// once as many new ones stand in their place.
const ROWS_MIN: usize = 60;
/// Exchanges until the estimate is fit to start sound by. The opening burst gives them in under a second.
const SETTLED_AFTER: u32 = 5;
/// Rows up to which every exchange is worth a fit at once; then only where few come, or else once a second.
const EAGER_ROWS: usize = 24;
/// What queues may hide of the floors in the first seconds, microseconds.
const UNKNOWN_US: f64 = 10_000.0;
const FIT_EVERY_SECS: f64 = 1.0;
/// How far below a known floor an exchange may lie before it is suspect, beside what is usual there: the floor may
/// be a little high, and a coarse clock's floor by a part of its step.
const NEAR_US: f64 = 80.0;
const NEAR_STEPS: f64 = 0.3;
/// The same in terms of the usual, where a moved clock is to be told from a way that lost its queue.
const FAR_USUALS: f64 = 3.0;
/// Looks at all rows for a fit: the newest exchanges move it little once there are many.
const LOOKS: usize = 3;
const LOOKS_EAGER: usize = 6;
const LOOKS_ANEW: usize = 10;
/// Rows at which the whole is put in question for the first time; then whenever they have doubled.
const FIRST_REVIEW: usize = 16;
/// Of fewer exchanges a way's lead is not worth holding: a page opens its datagrams after three answers on the socket,
/// and what those waited would pull at the clock for minutes.
const ROWS_HELD: usize = 16;
/// Times that a rival learns how long waits are before it is compared.
const ROUNDS: usize = 8;

impl Default for Clock {
    fn default() -> Self {
        Self {
            origin: None,
            rows: VecDeque::with_capacity(ROWS_MAX),
            model: Model::new(Grain::default()),
            rival: Some(Box::new(Model::new(Grain::default()))),
            contest: None,
            next_review: FIRST_REVIEW,
            fitted_at: f64::NEG_INFINITY,
            is_new_way: false,
            prior: Prior { skew: 0.0, skew_var: SKEW_USUAL * SKEW_USUAL, floor: None },
            path: Path::default(),
            sieve: Sieve::default(),
            channel: Channel::default(),
            lows: Lows::default(),
            suspects: Suspects::default(),
            limits: Limits::default(),
            last: 0.0,
            count: 0,
        }
    }
}

impl Clock {
    /// One whose page says how coarse its clock is.
    pub fn with_grain(grain: Grain) -> Self {
        Self { sieve: Sieve::told(grain), model: Model::new(grain), rival: None, ..Self::default() }
    }

    /// Takes one exchange in and says what it is. One that contradicts itself (answered before it was asked, by more than a
    /// coarse clock explains) is ignored.
    pub fn handle(&mut self, exchange: Exchange) -> Heard {
        self.sieve.see(exchange.t1);
        self.sieve.see(exchange.t4);
        let rounded = micros(self.sieve.grain().shortens());
        if exchange.t4 < exchange.t1
            || exchange.t3 < exchange.t2
            || exchange.rtt() < Span::ZERO - rounded
        {
            return Heard::Usual;
        }
        let origin =
            *self.origin.get_or_insert(Origin { mono: exchange.t4, lead: exchange.offset() });
        self.model.suit(self.sieve.grain());
        if self.channel != exchange.channel {
            self.channel = exchange.channel;
            self.begin_way(origin.secs(exchange.t4));
        }
        let row = origin.row(&exchange, self.model.fit.map_or(0.0, |fit| fit.skew()));
        self.limits.hear(row, self.sieve.edges(), self.skew());
        let heard = self.judge(row);
        self.last = row.at;
        self.work();
        heard
    }

    /// Goes on with what exchanges left to do: where they come seldom, it cannot wait for the next.
    pub fn handle_pause(&mut self) {
        self.go_on();
    }

    /// Whether exchanges left anything to do.
    pub fn is_busy(&self) -> bool {
        self.model.is_busy() || self.contest.is_some_and(|contest| contest.rounds > 0)
    }

    /// Sorts an exchange: of a moved clock, of another way, or one more of the same.
    fn judge(&mut self, row: Row) -> Heard {
        let Some(fit) = self.model.fit.filter(|_| self.rows.len() >= 3) else {
            self.keep(row);
            return Heard::Usual;
        };
        let over = fit.over(row, self.model.edges());
        let slack = self.slack(&fit, row.at);
        if -over.0.min(over.1) < slack.near {
            self.suspects.handle_usual();
            self.lows.see(row.at, over);
            self.keep(row);
            if let Some(since) = self.lows.risen(self.model.grain().step_us) {
                self.begin_way(since);
            }
            return Heard::Usual;
        }
        match self.suspects.handle(Suspect { row, over }, slack) {
            Verdict::Open => {}
            Verdict::Stepped(by) => self.step(fit, row, by),
            Verdict::Misfit => self.doubt(),
            Verdict::OtherWay => {
                self.begin_way(self.suspects.since());
                self.keep_suspects();
            }
        }
        Heard::Early
    }

    /// How far below its floor an exchange may lie.
    fn slack(&self, fit: &Fit, at: f64) -> Slack {
        let step_us = self.model.grain().step_us;
        let doubt = 3.0 * fit.var(at).sqrt().min(1e5);
        let Some(usual) = self.lows.usual() else {
            let far = UNKNOWN_US + fit.floor() + step_us + doubt;
            return Slack { near: far, far, whole: far };
        };
        let near = NEAR_US + NEAR_STEPS * step_us + usual + doubt;
        // A way cannot become shorter by more than all of it.
        let whole = fit.floor() + step_us + doubt;
        let far = near.max(whole + FAR_USUALS * usual);
        Slack { near, far, whole: near.max(whole) }
    }

    /// The way changed: floors are new, the clocks are not.
    fn begin_way(&mut self, since: f64) {
        if self.rows.len() < ROWS_HELD {
            self.path = Path::default();
        } else if let Some(fit) = self.model.fit {
            let at = since;
            self.path.changed(
                at,
                fit.lead(at) - self.path.lean(),
                fit.var(at) + self.path.lean_var(fit.floor()),
            );
            self.prior = Prior {
                skew: fit.skew(),
                skew_var: (2.0 * fit.skew_var + 0.05).min(400.0),
                floor: None,
            };
        }
        self.let_go();
        self.rows.drain(..self.rows.partition_point(|row| row.at < since));
        self.lows = Lows::default();
        self.next_review = FIRST_REVIEW;
        self.model.fit = None;
        self.is_new_way = true;
        if let Some(first) = self.rows.front().copied() {
            self.model.begin(first, self.prior.skew);
        }
    }

    /// Neither the clock was moved nor the way became shorter: the curve was wrong. All that was kept out of the
    /// window belongs in it, and the whole is put in question.
    fn doubt(&mut self) {
        self.let_go();
        self.keep_suspects();
        self.lows = Lows::default();
        self.next_review = FIRST_REVIEW;
        self.is_new_way = true;
    }

    /// They are older than the newest of the others.
    fn keep_suspects(&mut self) {
        let suspects = std::mem::take(&mut self.suspects);
        suspects.rows().for_each(|row| self.keep(row));
        self.rows.make_contiguous().sort_unstable_by(|one, other| one.at.total_cmp(&other.at));
    }

    /// The rows will be others: nothing that was begun on them can be ended.
    fn let_go(&mut self) {
        self.model.stop();
        self.contest = None;
        if let Some(rival) = &mut self.rival {
            rival.stop();
        }
    }

    /// The clock was moved: the way is as it was, the lead is another.
    fn step(&mut self, fit: Fit, row: Row, by: f64) {
        let (edges, skew) = (self.sieve.edges(), self.skew());
        self.limits.stepped();
        let suspects = std::mem::take(&mut self.suspects);
        suspects.rows().for_each(|row| self.limits.hear(row, edges, skew));
        self.let_go();
        self.rows.clear();
        self.next_review = FIRST_REVIEW;
        self.path.stepped();
        let floor_var = fit.floor_var + 20.0 * 20.0;
        self.prior = Prior {
            skew: fit.skew(),
            skew_var: fit.skew_var.clamp(4.0, 400.0),
            floor: Some((fit.floor(), floor_var)),
        };
        self.model.fit = Some(fit.moved(row.at).stepped(by));
        self.keep(row);
    }

    fn keep(&mut self, row: Row) {
        if self.rows.len() == ROWS_MAX {
            self.let_go();
        }
        if !self.model.is_climbing() && self.contest.is_none() {
            self.forget(row.at - WINDOW_SECS);
        }
        self.rows.push_back(row);
        self.count = self.count.saturating_add(1);
        if self.model.fit.is_none() {
            self.model.begin(row, self.prior.skew);
        }
    }

    /// Lets go of rows before a time, if enough are left, and of as many as make room.
    fn forget(&mut self, before: f64) {
        let old = self.rows.partition_point(|row| row.at < before);
        let spare = self.rows.len().saturating_sub(ROWS_MIN - 1);
        let excess = self.rows.len().saturating_sub(ROWS_MAX - ROOM);
        self.rows.drain(..old.min(spare).max(excess));
    }

    /// What every exchange does for the fit, as far as one exchange may: whatever the window holds, it takes no
    /// longer.
    fn work(&mut self) {
        if self.is_due() {
            self.begin_fit();
        }
        self.go_on();
    }

    fn go_on(&mut self) {
        let mut work = Work::of_one_exchange();
        if let Some(ended) = self.model.work(&self.rows, &mut work) {
            self.fitted(ended);
        }
        self.compare(&mut work);
    }

    /// Few rows are worth a fit at every exchange; then only where few come, or else once a second. Whatever was
    /// begun is brought to its end first, so that nothing starves.
    fn is_due(&self) -> bool {
        if self.rows.is_empty() || self.model.is_climbing() {
            return false;
        }
        let is_at_rest =
            !self.model.is_busy() && !self.rival.as_ref().is_some_and(|rival| rival.is_climbing());
        self.is_eager() || (is_at_rest && (self.last - self.fitted_at).abs() >= FIT_EVERY_SECS)
    }

    fn is_eager(&self) -> bool {
        self.rows.len() <= EAGER_ROWS || self.is_calm() || self.is_new_way
    }

    /// Whether exchanges come so seldom that the newest is news: a pair, and then none for seconds.
    fn is_calm(&self) -> bool {
        let newest = |k: usize| self.rows[self.rows.len() - k].at;
        newest(1) - newest(3) >= FIT_EVERY_SECS
    }

    fn begin_fit(&mut self) {
        let looks = match self.is_new_way {
            true => LOOKS_ANEW,
            false if self.is_eager() => LOOKS_EAGER,
            false => LOOKS,
        };
        self.fitted_at = self.last;
        self.is_new_way = false;
        self.model.fit = self.model.fit.map(|fit| fit.moved(self.last));
        if let Some(contest) = self.contest.filter(|contest| contest.rounds == 0) {
            return self.model.climb_aside(&self.prior, contest.end, LOOKS);
        }
        let is_review = self.rows.len() >= self.next_review
            && self.contest.is_none()
            && !self.model.is_tabling();
        self.model.climb(&self.prior, self.rows.len(), looks, is_review);
        if is_review {
            self.next_review = self.rows.len() * 2;
        }
    }

    fn fitted(&mut self, ended: Ended) {
        let Some(fit) = self.model.fit else { return };
        let begins = self.rows.front().map_or(fit.at, |row| row.at);
        self.path.hear(fit.floor(), begins, |at| (fit.lead(at), fit.var(at)));
        match ended {
            Ended::Climb => {}
            Ended::Review { end } => self.challenge(fit, end),
            Ended::Aside(likelihood) => self.decide(likelihood),
        }
    }

    /// Now and then: is another way to round likelier?
    fn challenge(&mut self, fit: Fit, end: usize) {
        let (Some(rival), Some(grain)) = (&mut self.rival, self.sieve.rival()) else { return };
        rival.suit(grain);
        rival.fit = Some(fit);
        self.contest = Some(Contest { end, rounds: ROUNDS, rival: f64::NEG_INFINITY });
    }

    /// The rival climbs on what is left of the work.
    fn compare(&mut self, work: &mut Work) {
        let (Some(rival), Some(contest)) = (&mut self.rival, &mut self.contest) else { return };
        if contest.rounds > 0 && !rival.is_busy() {
            rival.climb(&self.prior, contest.end, LOOKS, false);
        }
        if rival.work(&self.rows, work).is_some() {
            contest.rounds -= 1;
            contest.rival = rival.fit.map_or(contest.rival, |fit| fit.likelihood);
        }
    }

    /// The comparison is over; if it proved anything, one model goes.
    fn decide(&mut self, likelihood: f64) {
        let Some(contest) = self.contest.take() else { return };
        self.sieve.weigh(likelihood, contest.rival);
        let grain = self.sieve.grain();
        if let (Some(rival), Kind::Fuzz) = (&mut self.rival, grain.kind) {
            self.model.stop();
            // It climbed on the first exchanges only: it goes on from where we stand.
            rival.stop();
            let (ours, its) = (self.model.edges(), rival.edges());
            rival.fit = self.model.fit.map(|fit| fit.rounded_otherwise(ours, its));
            std::mem::swap(&mut self.model, rival);
            self.is_new_way = true;
        }
        if grain.kind != Kind::Unknown {
            self.rival = None;
            self.model.suit(grain);
        }
    }
    /// Network time at `now`, from the first exchange on.
    pub fn reading(&self, now: MonoTime) -> Option<Reading> {
        let (origin, fit) = (self.origin?, self.model.fit?);
        let at = origin.secs(now);
        let (low, high) = self.limits.at(at, self.skew());
        let lead = (fit.lead(at) - self.path.lean()).max(low).min(high);
        let rounding = self.sieve.doubt_us();
        let var = fit.var(at) + self.path.lean_var(fit.floor()) + rounding * rounding;
        Some(Reading {
            net: NetTime::from_ns(now.ns()) + origin.lead + micros(lead),
            bound: micros((high - lead).max(lead - low)),
            sigma: micros(var.sqrt()),
            rate: Ppm(fit.skew()),
        })
    }

    /// What is known of the skew: never less than of any crystal, and no more by a curve that cannot be.
    fn skew(&self) -> Skew {
        let usual = SKEW_USUAL * SKEW_USUAL;
        let Some(fit) = self.model.fit else {
            return Skew { ppm: self.prior.skew, var: self.prior.skew_var };
        };
        let can_be = fit.floor() > -NEAR_US
            && self.limits.admit(|at| fit.lead(at) - self.path.lean(), NEAR_US);
        Skew { ppm: fit.skew(), var: if can_be { fit.skew_var.min(usual) } else { usual } }
    }

    /// The page's time at this network time.
    pub fn mono_at(&self, net: NetTime) -> Option<MonoTime> {
        // The offset moves by parts per million, so a second look is exact to the nanosecond.
        let mut at = MonoTime::from_ns((net - self.origin?.lead).ns());
        for _ in 0..2 {
            at = at + (net - self.reading(at)?.net);
        }
        Some(at)
    }

    /// Whether sound may start by it.
    pub fn is_settled(&self) -> bool {
        self.count >= SETTLED_AFTER
    }

    /// How coarse the page's clock is, as far as is known.
    pub fn grain(&self) -> Grain {
        self.sieve.grain()
    }
}

impl Origin {
    fn secs(&self, at: MonoTime) -> f64 {
        (at - self.mono).secs_f64()
    }

    /// Both spans as if they had been taken at `t4`.
    fn row(&self, exchange: &Exchange, skew: f64) -> Row {
        let up = exchange.t2.ns().saturating_sub(exchange.t1.ns()).saturating_sub(self.lead.ns());
        let down = exchange.t4.ns().saturating_sub(exchange.t3.ns()).saturating_add(self.lead.ns());
        let waited = (exchange.t4 - exchange.t1).secs_f64();
        Row {
            at: self.secs(exchange.t4),
            up: up as f64 / 1e3 + skew * waited,
            down: down as f64 / 1e3,
        }
    }
}

fn micros(us: f64) -> Span {
    Span::from_secs_f64(us / 1e6)
}

#[cfg(test)]
mod tests;
