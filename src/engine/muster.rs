//! Decides what an operator is told of all phones at a glance, and which of them to look at first.
//!
//! In: what the box knows of each phone. Out: a [`Muster`]: figures of all, and every phone's id, the worst first.
//! Never here: words for people, sockets. What a phone has not said is counted apart, never as good or as bad.

use std::collections::BTreeMap;

use serde::Serialize;
use units::{PhoneId, Span};
use wire::output::OutputSource;
use wire::solusync::NodeStatus;
use wire::token::Role;

use crate::delivery::Account;

/// What is known of one phone.
#[derive(Debug, Clone, Copy)]
pub struct Fare<'a> {
    /// Which.
    pub id: PhoneId,
    /// Whether it has said `hello`.
    pub hello: bool,
    /// Since it came.
    pub connected: Span,
    /// Since anything was heard of it.
    pub heard: Span,
    /// What its token says it is; the audience's where it has shown none.
    pub role: Role,
    /// What it last said of itself.
    pub status: Option<&'a NodeStatus>,
    /// What became of its orders; none while it has not told.
    pub account: Option<Account>,
}

/// Why somebody should look at a phone; the first is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Nothing was heard of it for a quarter of a minute: its socket is open, and nobody is there.
    Silent,
    /// It came and does not say hello.
    NoHello,
    /// It does not know the time.
    NoTime,
    /// It may be off by more than five milliseconds.
    ClockOff,
    /// More than one in a hundred of its orders came too late.
    Late,
    /// It has not all of its tracks.
    TracksMissing,
    /// It leaves out pieces of what is live, for their seal's sake.
    LiveRefused,
    /// Its browser says of its sound what is seldom true (Bluetooth).
    OutputDoubtful,
    /// Its network is `poor` or `critical`.
    Network,
    /// Its battery is nearly empty.
    BatteryLow,
}

/// Three reports are missing.
const SILENT: Span = Span::from_secs(15);
/// Who has just come is still finding the time, and its tracks are on their way.
const NEW: Span = Span::from_secs(20);
/// Beyond it the rhythm of one phone stands out of all others.
const CLOCK_OFF_MS: f64 = 5.0;
/// One in so many orders.
const LATE_ONE_IN: u64 = 100;
/// A phone warns its owner at about as much.
const BATTERY_LOW: f64 = 0.15;

/// All phones, for an operator.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Muster {
    /// Sockets.
    pub phones: usize,
    /// Of them, those that know the time and were heard just now.
    pub in_step: usize,
    /// Those that should and do not.
    pub not_in_step: usize,
    /// Those that came within twenty seconds, and screens and operators, who do not say.
    pub others: usize,
    /// How far off their clocks may be, by their own word.
    pub clock_ms: Quantiles,
    /// What became of orders, those of all that are here.
    pub delivery: Account,
    /// How many are at each level of the network, as they say it.
    pub quality: BTreeMap<String, usize>,
    /// How many have a battery that is nearly empty.
    pub batteries_low: usize,
    /// How many have each trouble.
    pub trouble: BTreeMap<Trouble, usize>,
    /// Everybody who has any, with their troubles: the worst first.
    pub look_at: Vec<Patient>,
    /// Everybody else, the greatest clock error first.
    pub rest: Vec<PhoneId>,
}

/// Whom to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Patient {
    /// Which.
    pub id: PhoneId,
    /// Why; the worst first.
    pub why: Vec<Trouble>,
}

/// Of so many figures, milliseconds; none of nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many said one.
    pub count: usize,
    /// The middle one.
    pub p50: Option<f64>,
    /// One in twenty is greater.
    pub p95: Option<f64>,
    /// One in a hundred is.
    pub p99: Option<f64>,
    /// The greatest.
    pub worst: Option<f64>,
}

impl Muster {
    /// Of these phones.
    pub fn of(fares: &[Fare]) -> Self {
        let mut muster = Self { phones: fares.len(), ..Self::default() };
        let mut ranked: Vec<(Vec<Trouble>, &Fare)> =
            fares.iter().map(|fare| (fare.troubles(), fare)).collect();
        ranked.sort_by(|(some, one), (more, other)| {
            rank(some).cmp(&rank(more)).then(other.clock_or_none().total_cmp(&one.clock_or_none()))
        });
        fares.iter().for_each(|fare| muster.count(fare));
        muster.clock_ms = Quantiles::of(fares.iter().filter_map(Fare::clock_ms).collect());
        for (why, fare) in ranked {
            why.iter().for_each(|it| *muster.trouble.entry(*it).or_default() += 1);
            match why.is_empty() {
                true => muster.rest.push(fare.id),
                false => muster.look_at.push(Patient { id: fare.id, why }),
            }
        }
        muster.batteries_low = muster.trouble.get(&Trouble::BatteryLow).copied().unwrap_or(0);
        muster
    }

    fn count(&mut self, fare: &Fare) {
        match fare.is_in_step() {
            Some(true) => self.in_step += 1,
            Some(false) => self.not_in_step += 1,
            None => self.others += 1,
        }
        let account = fare.account.unwrap_or_default();
        self.delivery.reached += account.reached;
        self.delivery.late += account.late;
        if let Some(level) = fare.status.and_then(|it| it.network_quality.as_ref()) {
            *self.quality.entry(level.clone()).or_default() += 1;
        }
    }
}

/// Everybody with a trouble before everybody without, the worst trouble first, then who has more of them.
fn rank(why: &[Trouble]) -> (bool, Option<Trouble>, usize) {
    (why.is_empty(), why.first().copied(), usize::MAX - why.len())
}

impl Fare<'_> {
    fn clock_ms(&self) -> Option<f64> {
        self.status?.sync.as_ref()?.clock_ms
    }

    fn clock_or_none(&self) -> f64 {
        self.clock_ms().unwrap_or(-1.0)
    }

    /// A desk that says nothing of itself is no phone that fell silent: who drives a show need not be in step with it.
    fn is_mute_by_trade(&self) -> bool {
        matches!(self.role, Role::Operator | Role::Box) && self.status.is_none()
    }

    /// None of who does not say: a screen, a desk, or one that has just come.
    fn is_in_step(&self) -> Option<bool> {
        if self.is_mute_by_trade() {
            return None;
        }
        let says = self.status.is_some_and(|it| it.sync.is_some());
        let knows = self.clock_ms().is_some() && self.heard <= SILENT;
        match self.connected > NEW {
            true if says || self.status.is_none() => Some(knows),
            false if knows => Some(true),
            _ => None,
        }
    }

    fn troubles(&self) -> Vec<Trouble> {
        let is_new = self.connected <= NEW;
        let sync = self.status.and_then(|it| it.sync.as_ref());
        let has = |is_so: bool, it: Trouble| is_so.then_some(it);
        let of_all = [
            has(self.heard > SILENT && !self.is_mute_by_trade(), Trouble::Silent),
            has(!self.hello && !is_new, Trouble::NoHello),
            has(self.hello && self.is_in_step() == Some(false), Trouble::NoTime)
                .filter(|_| self.clock_ms().is_none()),
            has(self.clock_ms() > Some(CLOCK_OFF_MS), Trouble::ClockOff),
            has(self.is_late(), Trouble::Late),
            has(self.misses_tracks() && !is_new, Trouble::TracksMissing),
            has(self.status.is_some_and(|it| it.live_refused.is_some()), Trouble::LiveRefused),
            has(
                sync.is_some_and(|it| it.output_source == OutputSource::Doubtful),
                Trouble::OutputDoubtful,
            ),
            has(self.has_bad_network(), Trouble::Network),
            has(
                self.battery() < Some(BATTERY_LOW) && self.battery().is_some(),
                Trouble::BatteryLow,
            ),
        ];
        of_all.into_iter().flatten().collect()
    }

    fn is_late(&self) -> bool {
        self.account.is_some_and(|it| it.late * LATE_ONE_IN > it.reached)
    }

    fn misses_tracks(&self) -> bool {
        let counts = self.status.and_then(|it| Some((it.tracks_ready?, it.tracks_wanted?)));
        counts.is_some_and(|(ready, wanted)| ready < wanted)
    }

    fn has_bad_network(&self) -> bool {
        let level = self.status.and_then(|it| it.network_quality.as_deref());
        matches!(level, Some("poor" | "critical"))
    }

    fn battery(&self) -> Option<f64> {
        self.status?.battery_level
    }
}

impl Quantiles {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_unstable_by(f64::total_cmp);
        let last = figures.len().saturating_sub(1) as f64;
        let at = |share: f64| figures.get((last * share).ceil() as usize).copied();
        Self { count: figures.len(), p50: at(0.5), p95: at(0.95), p99: at(0.99), worst: at(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use wire::output::SyncErrors;
    use wire::solusync::NodeType;

    use super::*;

    fn said(clock_ms: Option<f64>) -> NodeStatus {
        let sync = SyncErrors {
            clock_ms,
            output_ms: Some(5.0),
            output_source: OutputSource::Reported,
            acoustic_ms: None,
            delay_ms: 0.0,
            nudge_ms: 0.0,
        };
        NodeStatus {
            tracks_ready: Some(3),
            tracks_wanted: Some(3),
            network_quality: Some("good".into()),
            sync: Some(sync),
            ..NodeStatus::of(NodeType::Client)
        }
    }

    fn fare(id: u64, status: &NodeStatus) -> Fare<'_> {
        let (connected, heard) = (Span::from_secs(60), Span::from_secs(1));
        let (status, role, account) = (Some(status), Role::Audience, None);
        Fare { id: PhoneId(id), hello: true, connected, heard, role, status, account }
    }

    fn just(it: Fare<'_>) -> Fare<'_> {
        Fare { connected: Span::from_secs(3), ..it }
    }

    fn ids(patients: &[Patient]) -> Vec<u64> {
        patients.iter().map(|it| it.id.0).collect()
    }

    #[test]
    fn sx12_a_thousand_phones_that_are_well_are_a_few_figures_and_nobody_to_look_at() {
        let said: Vec<NodeStatus> =
            (1..=1_000).map(|nth| said(Some(f64::from(nth) / 1e3))).collect();
        let fares: Vec<Fare> = said.iter().zip(1..).map(|(it, id)| fare(id, it)).collect();
        let muster = Muster::of(&fares);
        assert_eq!((muster.phones, muster.in_step, muster.not_in_step), (1_000, 1_000, 0));
        let Quantiles { count, p50, p95, p99, worst } = muster.clock_ms;
        assert_eq!((count, p50, p95), (1_000, Some(0.501), Some(0.951)));
        assert_eq!((p99, worst), (Some(0.991), Some(1.0)));
        assert_eq!(muster.quality, BTreeMap::from([("good".into(), 1_000)]));
        assert!(muster.look_at.is_empty() && muster.trouble.is_empty());
        assert_eq!(muster.rest[..2], [PhoneId(1_000), PhoneId(999)]);
    }

    #[test]
    fn sx12_the_worst_is_named_first_and_why() {
        let (well, off, further, none) =
            (said(Some(0.4)), said(Some(6.0)), said(Some(9.0)), said(None));
        let empty = NodeStatus { battery_level: Some(0.04), ..said(Some(0.3)) };
        let tired = NodeStatus {
            tracks_ready: Some(1),
            network_quality: Some("critical".into()),
            ..said(Some(0.2))
        };
        let gone = Fare { heard: Span::from_secs(16), ..fare(7, &well) };
        let late = Fare { account: Some(Account { reached: 99, late: 1 }), ..fare(8, &well) };
        let fares = [
            fare(1, &well),
            fare(2, &off),
            fare(3, &empty),
            fare(4, &further),
            fare(5, &none),
            fare(6, &tired),
            gone,
            late,
        ];
        let muster = Muster::of(&fares);
        assert_eq!(ids(&muster.look_at), [7, 5, 4, 2, 8, 6, 3]);
        assert_eq!(muster.look_at[5].why, [Trouble::TracksMissing, Trouble::Network]);
        assert_eq!((muster.in_step, muster.not_in_step), (6, 2), "5 and 7 are not");
        assert_eq!((muster.delivery.reached, muster.delivery.late), (99, 1));
        assert_eq!((muster.batteries_low, muster.trouble[&Trouble::ClockOff]), (1, 2));
        assert_eq!(muster.rest, [PhoneId(1)]);
    }

    #[test]
    fn sx12_who_has_just_come_and_who_is_a_screen_is_nobodys_trouble() {
        let (screen, new) = (NodeStatus::of(NodeType::Client), said(None));
        let wordless = Fare { status: None, hello: false, ..just(fare(3, &new)) };
        let muster = Muster::of(&[fare(1, &screen), just(fare(2, &new)), wordless]);
        assert_eq!((muster.in_step, muster.not_in_step, muster.others), (0, 0, 3));
        assert!(muster.look_at.is_empty(), "{muster:?}");
        let still = Fare { connected: Span::from_secs(21), ..wordless };
        assert_eq!(Muster::of(&[still]).look_at[0].why, [Trouble::NoHello]);
    }

    #[test]
    fn sx12_an_operators_desk_that_says_nothing_of_itself_is_nobodys_trouble_and_a_phone_that_does_not_is()
     {
        let (well, off) = (said(Some(0.4)), said(Some(9.0)));
        let mute = Fare { heard: Span::from_secs(25), status: None, ..fare(1, &well) };
        let muster = Muster::of(&[Fare { role: Role::Operator, ..mute }]);
        assert_eq!((muster.not_in_step, muster.others, muster.look_at.len()), (0, 1, 0));
        assert_eq!(Muster::of(&[mute]).look_at[0].why, [Trouble::Silent, Trouble::NoTime]);
        let its_phone = Fare { role: Role::Operator, ..fare(2, &off) };
        assert_eq!(Muster::of(&[its_phone]).look_at[0].why, [Trouble::ClockOff]);
    }

    #[test]
    fn nobody_is_no_figure() {
        let muster = Muster::of(&[]);
        assert_eq!((muster.phones, muster.clock_ms), (0, Quantiles::default()));
        assert_eq!(muster.clock_ms.worst, None);
    }
}
