//! What phones know of their own error helps those that do not.
//!
//! No time stamp shows how much slower the way there is than the way back, and no browser knows its sound card for
//! certain. A phone that was calibrated by a chirp does: its *residual* is by how much it sounds too late by its own
//! reckoning, corrections left out. Part of that is everybody's in this hall, part its model's, part its way's (the
//! access point), the rest its own; so the box pools residuals and hands each phone a correction.
//!
//! In: residuals, models and ways of phones, whom the box's own microphone has heard, and the time. Out: corrections,
//! each with its standard deviation, told when they have changed for good, a few at a time. Never: sockets, a reckoning
//! for each phone that joins, one phone's word about another.
//!
//! Anybody in the audience may claim a residual, and three who lie would move the hall. So a figure counts for others
//! only if it is the first that a phone said after the box had heard its chirps: it is a *witness* then, and what it
//! has shown stays when it goes, for a crew that calibrates its phones in the afternoon takes them home at night. What
//! any other phone claims is its own affair and corrects nobody but itself.
//!
//! Where there is ground: as soon as there are [`WITNESSES_MIN`] witnesses *every* phone is corrected, one of an unknown
//! model by the common part alone. That part changes nothing between phones if all have it, and splits the hall in two
//! if only some do. With fewer nobody is: of two who disagree nobody knows which one is wrong.

mod fit;

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use units::{PhoneId, ShowTime, Span, WayId};
use wire::solusync::{Calibrated, Estimate};

use fit::{Fit, Guess, Measured, Place, Witness};

/// What is known of a phone.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Traits {
    /// What it says of itself.
    pub said: Calibrated,
    /// The access point that it is heard through.
    pub way: Option<WayId>,
    /// Its residual is what it said when the box's own microphone had heard its chirps.
    pub is_heard: bool,
}

/// Two may disagree and nobody knows which one is wrong; a third decides.
pub const WITNESSES_MIN: usize = 3;
/// More calibrated phones tell nothing new, and the reckoning must not wait for whoever opens sockets.
const WITNESSES_MAX: usize = 512;
/// Those with most witnesses; other models share what is common.
const MODELS_MAX: usize = 64;
/// A hall with more access points has to do without the rest of their ways.
const WAYS_MAX: usize = 16;
/// A phone's own loudspeaker is late by some tens of milliseconds where its browser does not say so. Beyond this it is
/// another one (a Bluetooth box, as a rule): the phone's own, and nothing to believe of its like.
const OTHERS_MAX_MS: f64 = 50.0;

/// How much sooner each phone is to sound than it would by its own reckoning; none where there is no ground.
pub fn corrections(phones: &[&Traits]) -> Vec<Option<Estimate>> {
    let all = || phones.iter().filter(|it| it.is_witness());
    if all().count() < WITNESSES_MIN {
        return vec![None; phones.len()];
    }
    let heard = || all().take(WITNESSES_MAX);
    let models = levels(heard().filter_map(|it| it.said.model.as_deref()), MODELS_MAX);
    let ways = levels(heard().filter_map(|it| it.way), WAYS_MAX);
    let place = |it: &Traits| Place {
        model: it.said.model.as_deref().and_then(|model| models.get(model).copied()),
        way: it.way.and_then(|way| ways.get(&way).copied()),
    };
    let witness =
        |it: &Traits| Some(Witness { place: place(it), measured: measured(it.said.residual?) });
    let witnesses: Vec<Witness> = heard().filter_map(|it| witness(it)).collect();
    let fit = Fit::new(&witnesses, models.len(), ways.len());
    let mut numbers = 0..witnesses.len();
    let correction = |it: &&Traits| match witness(it) {
        Some(measured) => {
            let nth = it.is_witness().then(|| numbers.next()).flatten();
            estimate(fit.guess_measured(nth, measured), Estimate::MAX_MS)
        }
        None => estimate(fit.guess(place(it)), OTHERS_MAX_MS),
    };
    phones.iter().map(correction).collect()
}

impl Traits {
    /// Whether others are judged by it.
    fn is_witness(&self) -> bool {
        self.is_heard && self.said.residual.is_some_and(|it| it.ms.abs() <= OTHERS_MAX_MS)
    }
}

/// Names that are there, numbered; those that come oftenest where they are too many.
fn levels<T: Ord + Copy>(names: impl Iterator<Item = T>, max: usize) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::<T, usize>::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    let mut names: Vec<(T, usize)> = counts.into_iter().collect();
    names.sort_by_key(|(_, count)| Reverse(*count));
    names.into_iter().take(max).enumerate().map(|(nth, (name, _))| (name, nth)).collect()
}

/// In microseconds. Nobody measures better than a microsecond, whatever they say.
fn measured(Estimate { ms, sigma_ms }: Estimate) -> Measured {
    let sigma = (sigma_ms * 1e3).max(1.0);
    Measured { residual: ms * 1e3, noise: sigma * sigma }
}

fn estimate(Guess { mean, variance }: Guess, most_ms: f64) -> Option<Estimate> {
    let it = Estimate { ms: mean / 1e3, sigma_ms: variance.sqrt() / 1e3 };
    (it.ms.abs() <= most_ms && it.sigma_ms <= Estimate::MAX_MS).then_some(it)
}

/// Everybody in the hall, and what each has been told.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    guests: BTreeMap<PhoneId, Guest>,
    /// Of them, those that are witnesses.
    witnesses: usize,
    /// Witnesses that have gone, the last ones.
    gone: VecDeque<Traits>,
    /// When to reckon anew; none while nothing has changed.
    due: Option<ShowTime>,
    /// When it was done last.
    reckoned: Option<ShowTime>,
    /// Whose correction has changed, and when the next of them are told.
    untold: VecDeque<PhoneId>,
    next_round: Option<ShowTime>,
}

#[derive(Debug, Clone, Default)]
struct Guest {
    traits: Traits,
    ears: Ears,
    told: Option<Estimate>,
    next: Option<Estimate>,
}

/// What the box's microphone has to do with a phone.
#[derive(Debug, Clone, Copy, Default)]
enum Ears {
    /// Nothing.
    #[default]
    Never,
    /// It has heard its chirps; the figure that comes of it is to be said.
    Heard,
    /// This figure came of it, and no other until the next time.
    Of(Estimate),
}

impl Guest {
    /// Whether anything is new.
    fn describe(&mut self, said: Calibrated) -> bool {
        if let (Ears::Heard, Some(figure)) = (self.ears, said.residual) {
            self.ears = Ears::Of(figure);
        }
        let is_heard = matches!(self.ears, Ears::Of(figure) if said.residual == Some(figure));
        let traits = Traits { said, is_heard, way: self.traits.way };
        let is_news = self.traits != traits;
        self.traits = traits;
        is_news
    }
}

/// A thousand phones join within seconds: they are reckoned together.
const GATHER: Span = Span::from_millis(500);
/// Asymmetries are seen over minutes.
const RECKON_EVERY: Span = Span::from_secs(4);
/// So many are told at once, and the next after a while: a thousand within a second.
const ROUND: usize = 100;
const ROUND_EVERY: Span = Span::from_millis(100);
/// A change is worth telling from this share of the standard deviation on: less of it nobody can know.
const WORTH_TELLING: f64 = 0.25;

impl Pool {
    /// A phone is there; where it is heard through is all that is known of it. One that is there already has said
    /// `hello` twice.
    pub fn join(&mut self, now: ShowTime, phone: PhoneId, way: Option<WayId>) {
        self.guests.entry(phone).or_default().traits.way = way;
        self.reckon_if_grounded(now);
    }

    /// A phone is gone. What a witness has shown stays.
    pub fn leave(&mut self, phone: PhoneId) {
        let left = self.guests.remove(&phone).map(|guest| guest.traits);
        if let Some(witness) = left.filter(Traits::is_witness) {
            self.witnesses -= 1;
            if self.gone.len() == WITNESSES_MAX {
                self.gone.pop_front();
            }
            self.gone.push_back(witness);
        }
    }

    /// The box's microphone has heard a phone's chirps: the figure that it says next is no mere claim.
    pub fn hear(&mut self, phone: PhoneId) {
        self.guests.entry(phone).and_modify(|guest| guest.ears = Ears::Heard);
    }

    /// What a phone says of itself. One that has not joined is nobody.
    pub fn describe(&mut self, now: ShowTime, phone: PhoneId, said: Calibrated) {
        let before = self.ground();
        let Some(guest) = self.guests.get_mut(&phone) else { return };
        let was = guest.traits.is_witness();
        let is_news = guest.describe(said);
        self.witnesses = self.witnesses + usize::from(guest.traits.is_witness()) - usize::from(was);
        if is_news && before.max(self.ground()) >= WITNESSES_MIN {
            self.due_by(now);
        }
    }

    /// When `poll` has something next.
    pub fn next_wake(&self) -> Option<ShowTime> {
        self.due.into_iter().chain(self.next_round).min()
    }

    /// Whose correction has changed by `now`, and to what.
    pub fn poll(&mut self, now: ShowTime) -> Vec<(PhoneId, Option<Estimate>)> {
        if self.due.is_some_and(|due| due <= now) {
            self.reckon(now);
        }
        if self.next_round.is_none_or(|round| round > now) {
            return Vec::new();
        }
        let round: Vec<PhoneId> = self.untold.drain(..ROUND.min(self.untold.len())).collect();
        self.next_round = (!self.untold.is_empty()).then_some(now + ROUND_EVERY);
        round.into_iter().filter_map(|phone| self.tell(phone)).collect()
    }

    fn tell(&mut self, phone: PhoneId) -> Option<(PhoneId, Option<Estimate>)> {
        let guest = self.guests.get_mut(&phone)?;
        guest.told = guest.next;
        Some((phone, guest.told))
    }

    /// Without witnesses there is nothing to reckon, however many phones come and go.
    fn reckon_if_grounded(&mut self, now: ShowTime) {
        if self.ground() >= WITNESSES_MIN {
            self.due_by(now);
        }
    }

    /// Witnesses, here or gone.
    fn ground(&self) -> usize {
        self.witnesses + self.gone.len()
    }

    fn due_by(&mut self, now: ShowTime) {
        let gathered = now + GATHER;
        // A clock that stepped back has forgotten when that was, and when it is due.
        let last = self.reckoned.filter(|last| *last <= now);
        let soonest = last.map_or(gathered, |last| gathered.max(last + RECKON_EVERY));
        self.due = Some(self.due.map_or(soonest, |due| due.min(soonest)));
    }

    fn reckon(&mut self, now: ShowTime) {
        (self.due, self.reckoned) = (None, Some(now));
        let here = self.guests.values().map(|guest| &guest.traits);
        let traits: Vec<&Traits> = here.chain(&self.gone).collect();
        let corrections = corrections(&traits);
        self.untold.clear();
        for ((phone, guest), next) in self.guests.iter_mut().zip(corrections) {
            guest.next = next;
            if is_news(guest.told, next) {
                self.untold.push_back(*phone);
            }
        }
        self.next_round = (!self.untold.is_empty()).then_some(now);
    }
}

fn is_news(told: Option<Estimate>, next: Option<Estimate>) -> bool {
    let (Some(told), Some(next)) = (told, next) else { return told.is_some() != next.is_some() };
    let moved = (told.ms - next.ms).abs().max((told.sigma_ms - next.sigma_ms).abs());
    moved > WORTH_TELLING * next.sigma_ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> ShowTime {
        ShowTime::from_ns(ms * 1_000_000)
    }

    fn late(us: i64) -> Option<Estimate> {
        Some(Estimate { ms: us as f64 / 1e3, sigma_ms: 0.03 })
    }

    fn of_model(model: &str, residual: Option<Estimate>) -> Calibrated {
        Calibrated { model: Some(model.to_owned()), residual }
    }

    /// So many phones, of which the first few have been calibrated.
    fn hall(phones: u64, calibrated: u64) -> Pool {
        let mut pool = Pool::default();
        for phone in 1..=phones {
            pool.join(at(0), PhoneId(phone), None);
            let residual = late(100 + phone as i64).filter(|_| phone <= calibrated);
            calibrate(&mut pool, at(0), phone, of_model("A", residual));
        }
        pool
    }

    /// The box has heard it, and it says what came of it.
    fn calibrate(pool: &mut Pool, now: ShowTime, phone: u64, said: Calibrated) {
        pool.hear(PhoneId(phone));
        pool.describe(now, PhoneId(phone), said);
    }

    /// Everything that is told until nothing is to come: when, to whom, what.
    fn told(pool: &mut Pool) -> Vec<(ShowTime, PhoneId, Option<Estimate>)> {
        let mut told = Vec::new();
        while let Some(wake) = pool.next_wake() {
            told.extend(pool.poll(wake).into_iter().map(|(phone, next)| (wake, phone, next)));
        }
        told
    }

    #[test]
    fn a_thousand_phones_without_a_calibration_never_wake_the_box() {
        let mut pool = hall(1_000, WITNESSES_MIN as u64 - 1);
        assert_eq!(pool.next_wake(), None);
        pool.leave(PhoneId(7));
        assert_eq!((pool.next_wake(), pool.poll(at(99_999))), (None, Vec::new()));
    }

    #[test]
    fn a_thousand_phones_that_join_together_are_reckoned_once_and_told_in_rounds() {
        let mut pool = hall(1_000, 3);
        let told = told(&mut pool);
        assert_eq!(told.len(), 1_000);
        assert!(told.iter().all(|(_, _, next)| next.is_some()));
        let (first, last) = (told[0].0, told[999].0);
        assert_eq!((first, last), (at(500), at(1_400)));
        let in_a_round = |round| told.iter().filter(|(at, ..)| *at == round).count();
        assert_eq!(in_a_round(first), ROUND);
    }

    #[test]
    fn what_changes_by_less_than_anybody_can_know_is_not_told() {
        let mut pool = hall(20, 5);
        assert_eq!(told(&mut pool).len(), 20);
        calibrate(&mut pool, at(9_000), 1, of_model("A", late(102)));
        assert_eq!(told(&mut pool), []);
        calibrate(&mut pool, at(19_000), 1, of_model("A", late(400)));
        let moved = told(&mut pool);
        assert!(moved.iter().any(|(_, phone, _)| *phone == PhoneId(1)), "{moved:?}");
    }

    #[test]
    fn a_phone_that_says_something_new_every_instant_is_reckoned_every_few_seconds() {
        let mut pool = hall(5, 4);
        let mut reckonings = 0;
        for ms in 0..20_000 {
            calibrate(&mut pool, at(ms), 1, of_model("A", late(ms % 977 * 50)));
            reckonings += usize::from(!pool.poll(at(ms)).is_empty());
        }
        assert!((4..=6).contains(&reckonings), "{reckonings}");
    }

    #[test]
    fn a_clock_that_steps_back_an_hour_keeps_nobody_waiting_for_it() {
        let mut pool = hall(20, 2);
        calibrate(&mut pool, at(3_600_000), 3, of_model("A", late(103)));
        calibrate(&mut pool, at(1_000), 4, of_model("A", late(104)));
        assert_eq!(pool.next_wake(), Some(at(1_500)), "due in the old time");
        assert_eq!(pool.poll(at(3_600_500)).len(), 20);
        calibrate(&mut pool, at(2_000), 5, of_model("A", late(900)));
        assert_eq!(pool.next_wake(), Some(at(2_500)), "reckoned in the old time");
    }

    #[test]
    fn a_crew_that_goes_home_leaves_what_it_has_shown_and_newcomers_have_it() {
        let mut pool = hall(6, 3);
        assert_eq!(told(&mut pool).len(), 6);
        (1..=3).for_each(|phone| pool.leave(PhoneId(phone)));
        assert_eq!(told(&mut pool), [], "nothing has changed for the others");
        pool.join(at(90_000), PhoneId(9), None);
        pool.describe(at(90_000), PhoneId(9), of_model("A", None));
        let newcomer = told(&mut pool);
        assert!(matches!(newcomer[..], [(_, PhoneId(9), Some(_))]), "{newcomer:?}");
    }

    #[test]
    fn witnesses_that_come_and_go_all_night_are_remembered_up_to_a_number() {
        let mut pool = Pool::default();
        for phone in 0..2 * WITNESSES_MAX as u64 {
            pool.join(at(0), PhoneId(phone), None);
            calibrate(&mut pool, at(0), phone, of_model("A", late(100)));
            pool.leave(PhoneId(phone));
        }
        assert_eq!((pool.ground(), pool.witnesses), (WITNESSES_MAX, 0));
    }

    #[test]
    fn a_phone_that_takes_its_calibration_back_is_no_witness_until_it_says_the_same_again() {
        let mut pool = hall(6, 3);
        assert_eq!(told(&mut pool).len(), 6);
        pool.describe(at(60_000), PhoneId(2), of_model("A", None));
        assert!(told(&mut pool).iter().all(|(_, _, next)| next.is_none()));
        pool.describe(at(61_000), PhoneId(77), of_model("A", late(1)));
        assert_eq!(pool.next_wake(), None, "who has not joined is nobody");
        pool.describe(at(62_000), PhoneId(2), of_model("A", late(103)));
        assert_eq!(pool.next_wake(), None, "that is not what came of the chirps");
        pool.describe(at(63_000), PhoneId(2), of_model("A", late(102)));
        assert_eq!(told(&mut pool).len(), 6);
    }

    #[test]
    fn one_visit_to_the_bench_is_worth_one_figure() {
        let mut pool = hall(6, 2);
        pool.hear(PhoneId(3));
        pool.hear(PhoneId(77));
        pool.describe(at(0), PhoneId(3), of_model("A", late(40_000)));
        pool.describe(at(0), PhoneId(3), of_model("A", late(103)));
        assert_eq!(pool.next_wake().map(|wake| pool.poll(wake)), Some(Vec::new()));
    }

    #[test]
    fn a_crowd_of_witnesses_with_a_model_each_is_bounded_and_each_keeps_its_own() {
        let said = |nth: i64| of_model(&format!("M{nth}"), late(nth % 400 - 200));
        let crowd: Vec<Traits> =
            (0..2_000).map(|nth| Traits { said: said(nth), way: None, is_heard: true }).collect();
        let corrections = corrections(&crowd.iter().collect::<Vec<_>>());
        for (traits, correction) in crowd.iter().zip(corrections) {
            let residual = traits.said.residual.expect("everybody was calibrated");
            assert!((residual.ms - correction.expect("ground").ms).abs() < 0.04);
        }
    }

    #[test]
    fn a_thousand_that_claim_what_no_microphone_heard_move_nobody() {
        let mut pool = hall(20, 5);
        let before = told(&mut pool);
        for phone in 21..=1_020 {
            pool.join(at(60_000), PhoneId(phone), None);
            pool.describe(at(60_000), PhoneId(phone), of_model("A", late(40_000)));
        }
        let after = told(&mut pool);
        assert!(after.iter().all(|(_, PhoneId(phone), _)| *phone > 20), "{before:?} {after:?}");
        assert!(after.iter().all(|(.., next)| next.is_some_and(|it| (it.ms - 40.0).abs() < 0.1)));
    }

    #[test]
    fn ten_that_sound_from_another_box_are_no_measure_for_their_like() {
        let mut pool = hall(20, 0);
        for phone in 1..=10 {
            calibrate(&mut pool, at(0), phone, of_model("A", late(180_000)));
        }
        assert_eq!(told(&mut pool), [], "each goes by its own");
        (11..=13)
            .for_each(|phone| calibrate(&mut pool, at(60_000), phone, of_model("A", late(100))));
        for (_, PhoneId(phone), next) in told(&mut pool) {
            let expected = if phone <= 10 { 180.0 } else { 0.1 };
            assert!(next.is_some_and(|it| (it.ms - expected).abs() < 0.1), "{phone}: {next:?}");
        }
    }

    prop_compose! {
        fn traits()(
            model in prop::option::of(0_u8..5),
            way in prop::option::of(0_u16..40),
            residual in prop::option::of((-1e3..=1e3, 1e-300..=1e3)),
            is_heard in any::<bool>(),
        ) -> Traits {
            let residual = residual.map(|(ms, sigma_ms)| Estimate { ms, sigma_ms });
            let said = Calibrated { model: model.map(|it| it.to_string()), residual };
            Traits { said, way: way.map(WayId), is_heard }
        }
    }

    proptest! {
        #[test]
        fn whatever_phones_say_what_they_are_told_can_be_said(hall in prop::collection::vec(traits(), 0..60)) {
            let corrections = corrections(&hall.iter().collect::<Vec<_>>());
            prop_assert_eq!(corrections.len(), hall.len());
            for Estimate { ms, sigma_ms } in corrections.into_iter().flatten() {
                prop_assert!(sigma_ms > 0.0 && sigma_ms <= Estimate::MAX_MS, "{}", sigma_ms);
                prop_assert!(ms.abs() <= Estimate::MAX_MS, "{}", ms);
            }
        }
    }
}
