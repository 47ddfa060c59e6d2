//! How well phones know the time, on ways of every kind: a table under review.

use std::fmt::Write;

use phone::clock::{Channel, Clock, Exchange};
use phone::{Chance, NetTime};
use units::MonoTime;

use crate::tables::compare;

/// A way between a phone and the box, and the phone's clock. Times in microseconds.
#[derive(Clone, Copy)]
struct Place {
    name: &'static str,
    floor: f64,
    /// Half of what one direction is longer than the other, at most.
    asymmetry: f64,
    /// A turn on the air.
    access: f64,
    /// How often a queue stands before the answer (the question meets half of it), and how long it is.
    crowd: (f64, f64),
    /// How often an answer waits for the next beacon, and for how long at most.
    beacon: (f64, f64),
    /// How often an answer is lost. Where all is ordered it comes late, and those behind it wait.
    loss: f64,
    is_ordered: bool,
    step: f64,
    is_fuzzed: bool,
    /// Seconds between changes of the way.
    roams_every: f64,
    /// The phone sleeps with its clock stopped half-way through, and its skew steps later.
    sleeps: bool,
}

const CALM: Place = Place {
    name: "calm",
    floor: 1_000.0,
    asymmetry: 200.0,
    access: 250.0,
    crowd: (0.0, 0.0),
    beacon: (0.0, 0.0),
    loss: 0.0,
    is_ordered: true,
    step: 100.0,
    is_fuzzed: false,
    roams_every: f64::INFINITY,
    sleeps: false,
};

const PLACES: [Place; 9] = [
    Place { name: "wired", floor: 150.0, asymmetry: 20.0, access: 1.0, step: 5.0, ..CALM },
    CALM,
    Place { name: "crowd, ordered", crowd: (0.8, 9_000.0), loss: 0.05, ..CALM },
    Place {
        name: "crowd, datagrams",
        crowd: (0.8, 9_000.0),
        loss: 0.05,
        is_ordered: false,
        ..CALM
    },
    Place { name: "power save", beacon: (0.4, 200_000.0), ..CALM },
    Place { name: "roams", roams_every: 75.0, ..CALM },
    Place { name: "whole ms, down", step: 1_000.0, ..CALM },
    Place { name: "whole ms, fuzzed", step: 1_000.0, is_fuzzed: true, ..CALM },
    Place { name: "sleeps", sleeps: true, ..CALM },
];

/// Crowded Wi-Fi, as an hour's phones have it.
const SELDOM: Place =
    Place { name: "seldom", floor: 1_000.0, access: 2_000.0, loss: 0.01, sleeps: false, ..CALM };

const SEEDS: u128 = 5;
const SECS: f64 = 200.0;
const AHEAD_US: f64 = 1.79e15;
/// What TCP waits at least before it sends a lost packet again.
const RETRANSMIT_US: f64 = 200_000.0;

/// A phone in its place.
struct Walk {
    place: Place,
    chance: Chance,
    key: u128,
    way: (f64, f64),
    skew_ppm: f64,
    /// Box minus phone, above [`AHEAD_US`].
    lead: f64,
    heard_last: f64,
}

/// What came of an exchange, microseconds.
#[derive(Default)]
struct Tally {
    errors: Vec<f64>,
    without_asymmetry: Vec<f64>,
    by_lowest: Vec<f64>,
    covered: usize,
}

#[test]
fn ca02_phones_know_the_time_on_every_way_as_reviewed() {
    let mut table = String::from(
        "# Five phones in each place for 200 s, ten questions a second; errors from 60 s on, microseconds.\n\
         # all: of the time. seen: without the way's own asymmetry, which no stamp shows. lowest: the same by the\n\
         # exchange with the lowest round trip of the last ten. in: within two sigma.\n\
         # place            | all p95 | seen p50   p95 | lowest p95 |   in\n",
    );
    for place in PLACES {
        let mut tally = Tally::default();
        (0..SEEDS).for_each(|seed| Walk::new(place, seed).walk(&mut tally));
        let share = tally.covered as f64 / tally.errors.len() as f64;
        let (all, lowest) =
            (quantile(&mut tally.errors, 0.95), quantile(&mut tally.by_lowest, 0.95));
        let seen = &mut tally.without_asymmetry;
        let (middle, most) = (quantile(seen, 0.5), quantile(seen, 0.95));
        writeln!(
            table,
            "{:18} | {all:7.0} | {middle:8.0} {most:5.0} | {lowest:10.0} | {share:.2}",
            place.name
        )
        .expect("a string takes all");
        assert!(share >= 0.95, "{}: two sigma cover {share}", place.name);
        let is_same_way = place.roams_every.is_infinite();
        assert!(!is_same_way || most < 0.5 * lowest, "{}: {most} and {lowest}", place.name);
    }
    compare("clock_ways.txt", &table);
}

/// What phones once knew for sure and wrongly for minutes: by questions that are few, what comes too early on a shorter
/// way bends the curve before it is believed.
#[test]
fn sx09_phones_that_ask_seldom_and_walk_about_are_never_outside_the_bound_they_claim() {
    let hours = (0..40).map(|seed| Walk::new(SELDOM, seed).walk_an_hour());
    let (outside, bounds_ms) = hours.fold((0, Vec::new()), |(outside, mut all), (more, bounds)| {
        all.extend(bounds);
        (outside + more, all)
    });
    let (mut bounds_ms, looks) = (bounds_ms.clone(), bounds_ms.len());
    let bound_ms = quantile(&mut bounds_ms, 0.5);
    println!("{outside} of {looks} looks outside; the middle bound is {bound_ms} ms");
    assert!(outside == 0, "{outside} of {looks}");
    assert!(bound_ms < 4.0, "a bound that says nothing: {bound_ms} ms");
}

impl Walk {
    fn new(place: Place, seed: u128) -> Self {
        let mut chance = Chance::new(seed + 1);
        let skew_ppm = (chance.share() - 0.5) * 100.0;
        let mut walk = Self {
            place,
            chance,
            key: seed << 64,
            way: (0.0, 0.0),
            skew_ppm,
            lead: 0.0,
            heard_last: 0.0,
        };
        walk.roam(0.0);
        walk
    }

    fn walk(&mut self, tally: &mut Tally) {
        let mut clock = Clock::default();
        let mut recent: Vec<Exchange> = Vec::new();
        let (mut at, mut roams_at, mut events) = (0.0, self.place.roams_every, 0);
        while at < SECS {
            if at > roams_at {
                roams_at += self.place.roams_every;
                self.roam(900.0);
            }
            if self.place.sleeps && events == 0 && at > SECS * 0.45 {
                events = 1;
                self.lead += 9.5e6;
            } else if self.place.sleeps && events == 1 && at > SECS * 0.7 {
                events = 2;
                self.skew_ppm += 10.0;
            }
            if let Some(exchange) = self.ask(at) {
                clock.handle(exchange);
                recent.push(exchange);
                let ten = &recent[recent.len().saturating_sub(10)..];
                if at > 60.0 {
                    self.judge(tally, &clock, ten, exchange.t4);
                }
            }
            let pace = 0.1 + 0.002 * self.chance.share();
            at += pace;
            self.skew_ppm += 0.03 * (self.chance.share() - 0.5);
            self.lead += self.skew_ppm * pace;
        }
    }

    /// A burst, then a pair of questions every twenty seconds, and another access point every few minutes: how many of
    /// its looks, one a second, were outside their bound, and all bounds, milliseconds.
    fn walk_an_hour(&mut self) -> (usize, Vec<f64>) {
        let (mut clock, mut at, mut roams_at) = (Clock::default(), 0.0, 0.0);
        let (mut outside, mut bounds_ms) = (0, Vec::new());
        for k in 0.. {
            if at > roams_at {
                roams_at += 240.0 + 120.0 * self.chance.share();
                self.roam(2_000.0);
            }
            if let Some(exchange) = self.ask(at) {
                clock.handle(exchange);
            }
            let pace = if k < 10 {
                0.125
            } else if k % 2 == 0 {
                0.04
            } else {
                (at / 10.0).clamp(0.5, 20.0) * (1.0 + 0.2 * self.chance.share())
            };
            // What is on its way is heard before anything else is asked.
            let heard = (self.heard_last / 1e6 - at).max(0.0);
            let ends = at + pace.max(heard + 0.01);
            for look in (at.ceil() as i64)..(ends.ceil() as i64) {
                let (now, gone) = (MonoTime::from_ns(look * 1_000_000_000), look as f64 - at);
                let Some(reading) = clock.reading(now).filter(|_| gone > heard) else { continue };
                let error_us = self.error(reading.net.ns() - now.ns()) - self.skew_ppm * gone;
                outside += usize::from(error_us.abs() / 1e3 > reading.bound.millis_f64());
                bounds_ms.push(reading.bound.millis_f64());
            }
            self.lead += self.skew_ppm * (ends - at);
            self.skew_ppm += 0.03 * (ends - at).sqrt() * (self.chance.share() - 0.5);
            at = ends;
            if at > 3_600.0 {
                break;
            }
        }
        (outside, bounds_ms)
    }

    /// Another way, as long as before or longer.
    fn roam(&mut self, longer: f64) {
        let asymmetry = self.place.asymmetry * (2.0 * self.chance.share() - 1.0);
        let floor = self.place.floor + longer * self.chance.share();
        self.way = (floor + asymmetry, floor - asymmetry);
    }

    fn ask(&mut self, at: f64) -> Option<Exchange> {
        let asked = at * 1e6;
        let wait_up = self.wait(0.5) + self.exponential(20.0);
        let heard = asked + self.way.0 + wait_up;
        let said = heard + 15.0 + self.exponential(20.0);
        let page = self.exponential(75.0);
        let mut back = said + self.way.1 + self.wait(1.0) + page;
        if self.chance.share() < self.place.beacon.0 {
            back += self.place.beacon.1 * self.chance.share();
        }
        let is_lost = self.chance.share() < self.place.loss;
        if is_lost && !self.place.is_ordered {
            return None;
        }
        if self.place.is_ordered {
            let again = if is_lost { RETRANSMIT_US } else { 0.0 };
            back = (back + again).max(self.heard_last + 10.0);
        }
        self.heard_last = back;
        let net = |us: f64| NetTime::from_ns((us + AHEAD_US + self.lead) as i64 * 1_000);
        Some(Exchange {
            t1: self.rounded(asked),
            t2: net(heard),
            t3: net(said),
            t4: self.rounded(back),
            channel: Channel::WebSocket,
        })
    }

    fn wait(&mut self, share: f64) -> f64 {
        let air = self.exponential(self.place.access);
        let (often, long) = self.place.crowd;
        if self.chance.share() < often { air + self.exponential(share * long) } else { air }
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.chance.share()).ln()
    }

    fn rounded(&self, us: f64) -> MonoTime {
        let (step, steps) = (self.place.step, (us / self.place.step).floor());
        let threshold = Chance::new(self.key + steps as u128).share() * step;
        let is_up = self.place.is_fuzzed && us - steps * step > threshold;
        MonoTime::from_ns(((steps + f64::from(u8::from(is_up))) * step) as i64 * 1_000)
    }

    fn judge(&self, tally: &mut Tally, clock: &Clock, recent: &[Exchange], now: MonoTime) {
        let reading = clock.reading(now).expect("asked before");
        let error = self.error(reading.net.ns() - now.ns());
        let asymmetry = (self.way.0 - self.way.1) / 2.0;
        let lowest = recent.iter().min_by_key(|it| it.rtt()).expect("one was asked");
        tally.errors.push(error.abs());
        tally.without_asymmetry.push((error - asymmetry).abs());
        tally.by_lowest.push((self.error(lowest.offset().ns()) - asymmetry).abs());
        tally.covered += usize::from(error.abs() <= 2.0 * reading.sigma.secs_f64() * 1e6);
    }

    fn error(&self, lead_ns: i64) -> f64 {
        (lead_ns - AHEAD_US as i64 * 1_000) as f64 / 1e3 - self.lead
    }
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}
