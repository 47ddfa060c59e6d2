//! How far ahead phones get their orders where the show says `auto`: as far as this house needs (SX-20).
//!
//! In: how long words of the box took to each phone, as the phones say; the show time. Out: the lead, and how many
//! orders came too late. Never: clocks, sockets; and never an effect on what was ordered before.
//!
//! *Delay*: from the box's word to the phone's ear for it, the phone's doubt of its clock included. *Need*: how much
//! earlier than its time an order has to be there, since sound is made before it is heard. Their sum is what a lead
//! has to cover.
//!
//! A lead that covers the longest delay that anybody had holds the whole house up for one phone whose radio was asleep;
//! one that covers each phone's usual delay leaves every hundredth phone behind, in every cue another one. Ours is the
//! least one that, by what all have said, is missed once in [`MISSED_ONCE_IN`]. Such a claim needs as many words before
//! anybody may make it, so one word counts beside them that nobody has heard, and it may take long: a lead comes down
//! from [`UNTOLD`] as ever more is heard, and one long delay puts it up at once.
//!
//! *The word unheard*. The next of `n` words takes longer than all of them once in `n + 1`, whatever the house. How much
//! longer, nobody has heard; in the tails of networks what takes `f` times as long is at least `f` to the power of 1.5
//! times as rare. By that alone a lead a few times the longest word would do after ten words, and a house that loses
//! every hundredth, which then comes 200 ms late, would not be known for it. But even where a rare word of any length is
//! as rare as it best hides, once in `n`, it is met unheard once in `n` times `e` only: from [`ENOUGH`] words on that
//! is within the promise, and before them a lead stays where it is.
//!
//! Whoever takes longer than [`CEILING`] more often than not is not waited for, and is late. What phones say fades in a
//! quarter of an hour, and the slower the fewer words there are, so that a long evening makes up for few phones. It
//! outlives them: a phone that comes again and again is of this house, too. But the more is heard of those who are here,
//! the sooner it is forgotten: else one that was slow, or said so, would hold the house up for an hour after it has
//! gone. While it is here it is believed, for a phone far off and one that lies say the same. All of it follows from the
//! engine's inputs, so a box that hears the same has learnt the same; a box that begins anew knows nothing.

mod spread;

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use units::{PhoneId, ShowTime, Span};
use uuid::Uuid;
use wire::solusync::{NodeStatus, PlayedSource};

use spread::Spread;

/// Until phones have said enough: by then a crowded Wi-Fi has brought nearly all of them their orders.
pub const UNTOLD: Span = Span::from_millis(400);
/// Sooner than this nobody sees a cue answer to GO, and a page in a bad moment is soon as late.
pub const FLOOR: Span = Span::from_millis(100);
/// Longer than this an operator does not wait for phones; a show on a slower way sets its own `lead`.
pub const CEILING: Span = Span::from_millis(1_000);

/// Half as often as the promise of one in a thousand: a rare thing is known badly.
const MISSED_ONCE_IN: f64 = 2_000.0;
/// A thousand by `e`: so many words tell enough of what they do not tell.
const ENOUGH: f64 = 368.0;
/// A word that weighs less, two of its half-lives old, is not what this house may take.
const BYGONE: f64 = 0.25;
/// Words weigh half after ten minutes, where there are [`MISSED_ONCE_IN`] and more.
const FADES_IN_A_MINUTE: f64 = 0.067;
/// And after an hour at most, where there are fewer: yesterday's house says nothing of tonight's.
const FADES_SLOWER_MAX: f64 = 6.0;
/// What those said who have gone weighs half after two and a half minutes, where those who are here have said
/// [`MISSED_ONCE_IN`] words and more: one that comes for a third of every minute is still of the house.
const GONE_FADES_IN_A_MINUTE: f64 = 0.2;
/// Then next to nothing is left of any.
const FORGOTTEN_MINUTES: i64 = 1_800;
/// From the engine's decision to the socket, and to the next frame that a page paints.
const MARGIN: Span = Span::from_millis(10);
/// A lead comes down so much in a second, while cues are under way that know the old one.
const FALL_PER_SECOND: Span = Span::from_millis(2);
/// All phones together are looked at this often.
const LOOK: Span = Span::from_secs(1);
/// Phones speak every five seconds; who speaks more often is not heard more often.
const SPEAKS: Span = Span::from_secs(4);
/// A phone that doubts its clock more than this says nothing of delays.
const DOUBT_MAX: Span = Span::from_millis(100);
/// Longer than this no page needs.
const NEED_MAX: Span = Span::from_millis(500);
/// Orders are reported as they are heard: by then all that will.
const REMEMBERED: Span = Span::from_secs(30);
const REMEMBERED_MAX: usize = 512;

/// What was learnt of all phones.
#[derive(Debug, Clone)]
pub struct Delivery {
    phones: BTreeMap<PhoneId, Phone>,
    /// What those said who have gone.
    gone: Spread,
    lead: Span,
    looked: ShowTime,
    /// Up to this whole minute of show time words have faded, so that whoever hears the same has the same numbers.
    minute: i64,
    told: VecDeque<Told>,
    account: Account,
}

/// What is known of one.
#[derive(Debug, Clone, Default)]
struct Phone {
    spread: Spread,
    need: Span,
    spoke: Option<ShowTime>,
    account: Account,
}

/// A word for all phones.
#[derive(Debug, Clone, Copy)]
struct Told {
    message: Uuid,
    at: ShowTime,
    due: ShowTime,
}

/// Orders that phones told the arrival of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Account {
    /// How many, each phone's counted.
    pub reached: u64,
    /// Of these, how many had come too late to be done on time.
    pub late: u64,
}

/// What a phone says of an order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// `header.id` of the message.
    pub message: Uuid,
    /// When it came, by the phone's estimate; none from a phone that does not say.
    pub arrived: Option<ShowTime>,
    /// How wrong that estimate may be, where the phone knows.
    pub doubt: Option<Span>,
    /// How the phone knows what it did.
    pub source: PlayedSource,
}

/// The lead, for watchers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliveryGlance {
    /// How far ahead phones get their orders now.
    #[serde(rename = "lead_ns")]
    pub lead: Span,
    /// Whether that is learnt; otherwise the show file says so.
    pub auto: bool,
    /// Words that were told of, faded by age.
    pub words: f64,
    /// What became of orders since the box began.
    #[serde(flatten)]
    pub account: Account,
}

/// One phone, for watchers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PhoneDelivery {
    /// What half of the box's words need at most to be there in time, milliseconds; none while it has not said.
    pub p50_ms: Option<f64>,
    /// And 99 of a hundred.
    pub p99_ms: Option<f64>,
    /// What became of its orders.
    #[serde(flatten)]
    pub account: Account,
}

impl Delivery {
    /// Nobody has said anything.
    pub fn new(now: ShowTime) -> Self {
        Self {
            phones: BTreeMap::new(),
            gone: Spread::default(),
            lead: UNTOLD,
            looked: now,
            minute: minute(now),
            told: VecDeque::new(),
            account: Account::default(),
        }
    }

    /// How far ahead phones are to have an order that is given now.
    pub fn lead(&self) -> Span {
        self.lead
    }

    /// Another box has learnt this lead, in the same house.
    pub fn adopt(&mut self, lead: Span) {
        self.lead = lead.clamp(FLOOR, CEILING);
    }

    /// All phones are told something that is to be done at a time.
    pub fn handle_told(&mut self, message: Uuid, now: ShowTime, due: ShowTime) {
        while self.told.front().is_some_and(|it| now - it.due.max(it.at) > REMEMBERED)
            || self.told.len() >= REMEMBERED_MAX
        {
            self.told.pop_front();
        }
        self.told.push_back(Told { message, at: now, due });
    }

    /// A phone says how it fares.
    pub fn handle_status(&mut self, now: ShowTime, phone: PhoneId, status: &NodeStatus) {
        self.age(now);
        let known = self.phones.entry(phone).or_default();
        if let Some(need) = status.need_ms.and_then(span) {
            known.need = need.min(NEED_MAX);
        }
        let doubt = status.sync.as_ref().and_then(|sync| sync.clock_ms).and_then(span);
        let Some(delay) = status.delivery_ms.and_then(span).zip(doubt) else { return };
        if known.spoke.is_none_or(|spoke| now - spoke >= SPEAKS) {
            known.spoke = Some(now);
            known.hear(delay.0, delay.1);
            self.look(now);
        }
    }

    /// A phone did what an order for all said; gives whether it had come too late, where the phone told.
    pub fn handle_arrival(
        &mut self,
        now: ShowTime,
        phone: PhoneId,
        said: &Arrival,
    ) -> Option<bool> {
        let told = *self.told.iter().rev().find(|it| it.message == said.message)?;
        let (arrived, doubt) = (said.arrived?, said.doubt.filter(|it| *it <= DOUBT_MAX)?);
        // Nothing comes before it was sent, and nobody reports what is to come.
        if arrived < told.at - doubt || arrived > now + doubt {
            return None;
        }
        self.age(now);
        let known = self.phones.entry(phone).or_default();
        // A screen is painted when the order is there; sound has to be made before.
        let need = if said.source == PlayedSource::AudioClock { known.need } else { Span::ZERO };
        let is_late = arrived + need > told.due;
        known.hear(arrived - told.at, doubt);
        for account in [&mut known.account, &mut self.account] {
            account.reached += 1;
            account.late += u64::from(is_late);
        }
        self.look(now);
        Some(is_late)
    }

    /// A phone's socket is gone.
    pub fn handle_left(&mut self, now: ShowTime, phone: PhoneId) {
        self.age(now);
        if let Some(left) = self.phones.remove(&phone).filter(|it| !it.is_out_of_reach()) {
            self.gone.join(&left.spread);
        }
    }

    /// For watchers; `fixed` is the show's own lead, where it has one.
    pub fn glance(&self, fixed: Option<Span>) -> DeliveryGlance {
        DeliveryGlance {
            lead: fixed.unwrap_or(self.lead),
            auto: fixed.is_none(),
            words: self.whole().total(),
            account: self.account,
        }
    }

    /// Every phone that has said something.
    pub fn phones(&self) -> BTreeMap<PhoneId, PhoneDelivery> {
        let glance = |phone: &Phone| PhoneDelivery {
            p50_ms: phone.spread.quantile(0.5).map(Span::millis_f64),
            p99_ms: phone.spread.quantile(0.99).map(Span::millis_f64),
            account: phone.account,
        };
        self.phones.iter().map(|(id, phone)| (*id, glance(phone))).collect()
    }

    /// The lead goes up at once to what is needed, and comes down slowly.
    fn look(&mut self, now: ShowTime) {
        let since = now - self.looked;
        if since < LOOK {
            return;
        }
        self.looked = now;
        let fallen = self.lead - Span::from_secs_f64(FALL_PER_SECOND.secs_f64() * since.secs_f64());
        self.lead = self.needed().max(fallen);
    }

    /// What by all that was said is missed once in so many.
    fn needed(&self) -> Span {
        let whole = self.whole();
        let missed = (whole.total() + 1.0) / MISSED_ONCE_IN;
        let covers = |lead: &Span| {
            let unheard = if *lead < UNTOLD { unheard(&whole, *lead - MARGIN) } else { 0.0 };
            whole.above(*lead - MARGIN) + unheard <= missed
        };
        let least = Spread::edges().map(|edge| edge + MARGIN).find(covers);
        least.unwrap_or(CEILING).clamp(FLOOR, CEILING)
    }

    /// Time has gone on; a clock that stepped back has forgotten how far.
    fn age(&mut self, now: ShowTime) {
        let minutes = minute(now).saturating_sub(std::mem::replace(&mut self.minute, minute(now)));
        if minutes <= 0 {
            return;
        }
        let gone = self.gone.total();
        let here = self.whole().total() - gone;
        let (mut kept, mut kept_of_gone) = (1.0, 1.0);
        for _ in 0..minutes.min(FORGOTTEN_MINUTES) {
            let in_a_minute = kept_in_a_minute(here * kept + gone * kept_of_gone);
            kept *= in_a_minute;
            kept_of_gone *= in_a_minute * kept_of_gone_in_a_minute(here * kept);
        }
        self.gone.fade(kept_of_gone);
        self.phones.values_mut().for_each(|phone| phone.spread.fade(kept));
    }

    /// Of everybody who can be reached.
    fn whole(&self) -> Spread {
        let mut whole = self.gone.clone();
        let within = self.phones.values().filter(|phone| !phone.is_out_of_reach());
        within.for_each(|phone| whole.join(&phone.spread));
        whole
    }
}

impl Phone {
    fn hear(&mut self, delay: Span, doubt: Span) {
        if doubt <= DOUBT_MAX {
            self.spread.add(delay.max(Span::ZERO) + doubt + self.need);
        }
    }

    fn is_out_of_reach(&self) -> bool {
        self.spread.above(CEILING) * 2.0 > self.spread.total()
    }
}

/// How much of the word that nobody has heard takes longer than that.
fn unheard(whole: &Spread, took: Span) -> f64 {
    let rarer = whole.longest(BYGONE).secs_f64() / took.secs_f64();
    if whole.total() < ENOUGH { 1.0 } else { (rarer * rarer.sqrt()).min(1.0) }
}

fn kept_in_a_minute(words: f64) -> f64 {
    1.0 - FADES_IN_A_MINUTE / (MISSED_ONCE_IN / words).clamp(1.0, FADES_SLOWER_MAX)
}

/// Beside that, the more so the more is known of those who are here.
fn kept_of_gone_in_a_minute(here: f64) -> f64 {
    1.0 - GONE_FADES_IN_A_MINUTE * (here / MISSED_ONCE_IN).min(1.0)
}

fn minute(now: ShowTime) -> i64 {
    now.ns().div_euclid(60_000_000_000)
}

/// Milliseconds that a phone says; what cannot be meant is not said.
pub(crate) fn span(ms: f64) -> Option<Span> {
    (0.0..=60_000.0).contains(&ms).then(|| Span::from_secs_f64(ms / 1e3))
}

#[cfg(test)]
mod tests;
