//! What the screen shows: colour fades, words, flashes, as a function of network time.
//!
//! In: `screen` orders, in any order of arrival. Out: colour and words at a time, and until when they stay.
//! An order for flashes gets three a second at most; what colours may do is `flicker`'s.

use units::{Rgb, Span};
use uuid::Uuid;
use wire::solusync::{Flash, Screen};

use crate::flicker::light;
use crate::scale::{NetTime, net};
use crate::told::Ink;

/// The screen's orders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Screens {
    /// By start; what is long superseded is dropped.
    shown: Vec<Shown>,
    /// When each flash begins, none nearer to the next than [`FLASH_GAP`].
    flashes: Vec<NetTime>,
    /// When it shakes next, and for how long.
    shake: Option<(NetTime, Span)>,
}

#[derive(Debug, Clone)]
struct Shown {
    order: Uuid,
    start: NetTime,
    fade: Option<Fade>,
    text: Option<String>,
    torch: Option<bool>,
    report: Report,
}

#[derive(Debug, Clone, Copy)]
struct Fade {
    from: Option<Rgb>,
    to: Rgb,
    length: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// Tell the box when it was painted.
    Due,
    /// It is state from before we came, or was told already.
    Done,
}

/// Three in any second, with a frame to spare: four would need 1.02 s.
const FLASH_GAP: Span = Span::from_millis(340);
/// Long enough to be seen, short enough to be a flash.
const FLASH_FULL: Span = Span::from_millis(100);
const FLASH_FALL: Span = Span::from_millis(130);
/// A minute of flashes in one order; more is a mistake.
const FLASHES_MAX: u32 = 180;
const SHOWN_MAX: usize = 64;
/// Nobody wants to be shaken for longer.
const SHAKE_MAX: Span = Span::from_secs(5);

impl Screens {
    /// Takes an order in; one without a time begins at `now`.
    pub(crate) fn handle(&mut self, order: Uuid, screen: Screen, now: NetTime, report: Report) {
        let start = screen.start_at.map_or(now, net);
        let length = Span::from_millis(screen.fade_ms.into());
        let fade = screen.color.map(|to| Fade { from: screen.from_color, to, length });
        if let Some(flash) = screen.flash {
            self.flash(flash, start);
        }
        // What began before we came has been felt by then. An order for none ends what goes on.
        if let Some(ms) = screen.vibrate_ms.filter(|_| report == Report::Due) {
            self.shake = Some((start, Span::from_millis(ms.into()).min(SHAKE_MAX)));
        }
        let place = self.shown.partition_point(|other| other.start <= start);
        let Screen { text, torch, .. } = screen;
        self.shown.insert(place, Shown { order, start, fade, text, torch, report });
        self.prune(now);
    }

    /// The colour at a time, flashes included; black before anything was said.
    pub(crate) fn color(&self, at: NetTime) -> Rgb {
        let under = self.faded(self.shown.len(), at);
        match self.flash_share(at) {
            0.0 => under,
            share => mix(under, WHITE, share),
        }
    }

    /// The words at a time.
    pub(crate) fn text(&self, at: NetTime) -> &str {
        let begun = self.shown.iter().rev().filter(|shown| shown.start <= at);
        begun.filter_map(|shown| shown.text.as_deref()).next().unwrap_or("")
    }

    /// Whether the phone's own lamp is lit at a time.
    pub(crate) fn torch(&self, at: NetTime) -> bool {
        let begun = self.shown.iter().rev().filter(|shown| shown.start <= at);
        begun.filter_map(|shown| shown.torch).next().unwrap_or(false)
    }

    /// How long it is to shake from now on, once; what is left of it where it has begun.
    pub(crate) fn take_shake(&mut self, at: NetTime) -> Option<Span> {
        let (start, length) = self.shake.filter(|(start, _)| *start <= at)?;
        self.shake = None;
        let left = length - (at - start);
        (left > Span::ZERO || length == Span::ZERO).then_some(left.max(Span::ZERO))
    }

    /// When the look changes next: `at` itself while it moves, none while it stays.
    pub(crate) fn next_change(&self, at: NetTime) -> Option<NetTime> {
        let fades = self.shown.iter().filter(|shown| shown.is_fading(at)).map(|_| at);
        let glows =
            self.flashes.iter().filter(|start| is_within(**start, FLASH_ALL, at)).map(|_| at);
        let starts = self.shown.iter().map(|shown| shown.start);
        let later = starts.chain(self.flashes.iter().copied()).filter(|start| *start > at);
        fades.chain(glows).chain(later).min()
    }

    /// The orders that the frame painted at this time has carried out and that nobody was told of.
    pub(crate) fn painted(&mut self, at: NetTime) -> Vec<Uuid> {
        let due = |shown: &&mut Shown| shown.start <= at && shown.report == Report::Due;
        let told = self.shown.iter_mut().filter(due).map(|shown| {
            shown.report = Report::Done;
            shown.order
        });
        told.collect()
    }

    /// An order for no flashes at all ends those that are still to come.
    fn flash(&mut self, flash: Flash, start: NetTime) {
        if flash.count == 0 {
            self.flashes.retain(|flash| *flash < start);
        }
        let asked = if flash.per_second > 0.0 { 1.0 / flash.per_second } else { 1.0 };
        let gap = Span::from_secs_f64(asked).max(FLASH_GAP);
        for k in 0..flash.count.min(FLASHES_MAX) {
            let at = start + gap.times(k.into());
            if self.flashes.iter().all(|other| (*other - at).abs() >= FLASH_GAP) {
                self.flashes.push(at);
            }
        }
    }

    fn flash_share(&self, at: NetTime) -> f64 {
        let glow = |start: &NetTime| {
            let age = at - *start;
            match age {
                age if age < Span::ZERO || age >= FLASH_ALL => 0.0,
                age if age < FLASH_FULL => 1.0,
                age => 1.0 - (age - FLASH_FULL).secs_f64() / FLASH_FALL.secs_f64(),
            }
        };
        self.flashes.iter().map(glow).fold(0.0, f64::max)
    }

    /// The colour of the first `count` orders alone.
    fn faded(&self, count: usize, at: NetTime) -> Rgb {
        let begun = |k: &usize| self.shown[*k].start <= at && self.shown[*k].fade.is_some();
        let Some((k, fade)) =
            (0..count).rev().find(begun).and_then(|k| Some((k, self.shown[k].fade?)))
        else {
            return Rgb::default();
        };
        let age = at - self.shown[k].start;
        if age >= fade.length {
            return fade.to;
        }
        let from = fade.from.unwrap_or_else(|| self.faded(k, self.shown[k].start));
        mix(from, fade.to, age.secs_f64() / fade.length.secs_f64())
    }

    fn prune(&mut self, now: NetTime) {
        self.flashes.retain(|start| *start + Span::from_secs(2) > now);
        if self.shown.len() <= SHOWN_MAX {
            return;
        }
        // What stands now is kept as one order without a report, and everything before it goes.
        let (color, text) = (self.color(now), self.text(now).to_owned());
        let torch = Some(self.torch(now));
        let order = self.shown[0].order;
        let fade = Some(Fade { from: None, to: color, length: Span::ZERO });
        self.shown.retain(|shown| shown.start > now || shown.is_fading(now));
        let start = NetTime::from_ns(i64::MIN);
        let text = Some(text);
        self.shown.insert(0, Shown { order, start, fade, text, torch, report: Report::Done });
        self.shown.truncate(SHOWN_MAX);
    }
}

const FLASH_ALL: Span = Span::from_millis(230);
const WHITE: Rgb = Rgb { red: 255, green: 255, blue: 255 };

impl Shown {
    fn is_fading(&self, at: NetTime) -> bool {
        self.fade.is_some_and(|fade| is_within(self.start, fade.length, at))
    }
}

fn is_within(start: NetTime, length: Span, at: NetTime) -> bool {
    start <= at && at - start < length
}

fn mix(from: Rgb, to: Rgb, share: f64) -> Rgb {
    let part = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
    Rgb {
        red: part(from.red, to.red),
        green: part(from.green, to.green),
        blue: part(from.blue, to.blue),
    }
}

/// What reads better on a colour: of white and the page's `#111` the one with more contrast (WCAG 2.2).
pub(crate) fn ink(on: Rgb) -> Ink {
    if light(on) > INKS_MEET { Ink::Dark } else { Ink::Light }
}

/// The relative luminance on which both contrast as much: 1.05 / (it + 0.05) = (it + 0.05) / (0.0056 + 0.05).
const INKS_MEET: f64 = 0.1916;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scale::wire;

    const T0: NetTime = NetTime::from_ns(1_790_000_000_000_000_000);

    fn after(ms: i64) -> NetTime {
        T0 + Span::from_millis(ms)
    }

    fn rgb(text: &str) -> Rgb {
        text.parse().expect("a colour")
    }

    fn fade(ms: i64, color: &str, fade_ms: u32) -> Screen {
        Screen {
            start_at: Some(wire(after(ms))),
            color: Some(rgb(color)),
            fade_ms,
            ..Screen::default()
        }
    }

    fn showing(orders: &[Screen]) -> Screens {
        let mut screens = Screens::default();
        for order in orders {
            screens.handle(Uuid::nil(), order.clone(), T0, Report::Due);
        }
        screens
    }

    #[test]
    fn a_fade_is_half_way_at_half_time_and_stays_at_its_end() {
        let screens = showing(&[fade(1_000, "#ff8000", 2_000)]);
        assert_eq!(screens.color(after(999)), Rgb::default());
        assert_eq!(screens.color(after(2_000)), rgb("#804000"));
        assert_eq!(screens.color(after(9_000)), rgb("#ff8000"));
        assert_eq!(screens.next_change(T0), Some(after(1_000)));
        assert_eq!(screens.next_change(after(1_500)), Some(after(1_500)));
        assert_eq!(screens.next_change(after(3_000)), None);
    }

    #[test]
    fn a_fade_that_interrupts_another_begins_where_that_one_stood() {
        let screens = showing(&[fade(0, "#c80000", 2_000), fade(1_000, "#0000c8", 1_000)]);
        assert_eq!(screens.color(after(1_000)), rgb("#640000"));
        assert_eq!(screens.color(after(1_500)), rgb("#320064"));
    }

    #[test]
    fn a_phone_that_joins_in_the_middle_shows_what_the_others_show() {
        let order = Screen { from_color: Some(rgb("#00ff00")), ..fade(0, "#0000ff", 1_000) };
        let mut late = Screens::default();
        late.handle(Uuid::nil(), order.clone(), after(700), Report::Done);
        assert_eq!(late.color(after(750)), showing(&[order]).color(after(750)));
        assert!(late.painted(after(750)).is_empty());
    }

    #[test]
    fn a_panic_in_the_middle_of_the_lightning_ends_it() {
        let flashing = |count| Screen {
            start_at: Some(wire(after(if count == 0 { 1_200 } else { 0 }))),
            flash: Some(Flash { count, per_second: 2.0 }),
            ..Screen::default()
        };
        let screens =
            showing(&[flashing(20), Screen { color: Some(Rgb::default()), ..flashing(0) }]);
        assert_eq!(screens.color(after(1_050)), WHITE, "the third has begun");
        assert_eq!(screens.color(after(1_550)), Rgb::default());
        assert_eq!(screens.next_change(after(1_600)), None);
    }

    #[test]
    fn what_an_order_leaves_out_stays() {
        let words = |ms, text: &str| Screen {
            start_at: Some(wire(after(ms))),
            text: Some(text.into()),
            ..Screen::default()
        };
        let screens = showing(&[fade(0, "#102030", 0), words(10, "Good evening"), words(50, "")]);
        assert_eq!(screens.color(after(20)), rgb("#102030"));
        assert_eq!((screens.text(after(20)), screens.text(after(60))), ("Good evening", ""));
    }

    #[test]
    fn a_lamp_stays_as_it_was_told_and_a_phone_shakes_once_unless_it_came_later() {
        let order = |ms, torch, vibrate_ms| Screen {
            start_at: Some(wire(after(ms))),
            torch,
            vibrate_ms,
            ..Screen::default()
        };
        let orders = [
            order(0, Some(true), None),
            order(100, None, Some(400)),
            order(200, Some(false), None),
        ];
        let mut screens = showing(&orders);
        let lit = [-1, 0, 199, 200].map(|ms| screens.torch(after(ms)));
        assert_eq!(lit, [false, true, true, false]);
        assert_eq!(screens.take_shake(after(99)), None, "it is not time yet");
        assert_eq!(screens.take_shake(after(150)), Some(Span::from_millis(350)));
        assert_eq!(screens.take_shake(after(151)), None);
        screens.handle(Uuid::nil(), order(0, None, Some(400)), after(150), Report::Done);
        assert_eq!(screens.take_shake(after(150)), None);
    }

    #[test]
    fn a_painted_order_is_reported_once() {
        let mut screens = showing(&[fade(100, "#102030", 0)]);
        assert!(screens.painted(after(99)).is_empty());
        assert_eq!(screens.painted(after(101)).len(), 1);
        assert!(screens.painted(after(102)).is_empty());
    }

    #[test]
    fn a_night_of_orders_keeps_the_table_small_and_the_colour_right() {
        let mut screens = Screens::default();
        for k in 0..1_000 {
            screens.handle(Uuid::nil(), fade(k * 10, "#000001", 5), after(k * 10), Report::Due);
        }
        assert!(screens.shown.len() <= SHOWN_MAX + 1);
        assert_eq!(screens.color(after(20_000)), rgb("#000001"));
    }

    /// WCAG's contrast with white and with `#111`, by the power that the page spares itself.
    fn contrasts(on: Rgb) -> (f64, f64) {
        let linear = |part: u8| match f64::from(part) / 255.0 {
            dark if dark <= 0.040_45 => dark / 12.92,
            part => ((part + 0.055) / 1.055).powf(2.4),
        };
        let light = |it: Rgb| {
            0.2126 * linear(it.red) + 0.7152 * linear(it.green) + 0.0722 * linear(it.blue) + 0.05
        };
        (light(WHITE) / light(on), light(on) / light(rgb("#111111")))
    }

    #[test]
    fn words_on_a_warm_orange_are_dark() {
        let (white, black) = contrasts(rgb("#ff7030"));
        assert!(white < 2.8 && black > 6.8, "{white} {black}");
        assert_eq!(ink(rgb("#ff7030")), Ink::Dark);
    }

    proptest! {
        /// Where both are within a fiftieth of each other the cubic may take either.
        #[test]
        fn the_ink_is_never_the_one_that_reads_worse(red: u8, green: u8, blue: u8) {
            let on = Rgb { red, green, blue };
            let (white, black) = contrasts(on);
            let (taken, left) = match ink(on) {
                Ink::Light => (white, black),
                Ink::Dark => (black, white),
            };
            prop_assert!(taken > left * 0.98, "{on:?}: {taken}, and {left}");
            prop_assert!(taken > 4.2, "{on:?}: {taken}");
        }

        #[test]
        fn never_more_than_three_flashes_in_any_second(
            orders in prop::collection::vec((0_i64..5_000, 0_u32..50, -1.0..1e6_f64), 1..8),
        ) {
            let mut screens = Screens::default();
            for (ms, count, per_second) in orders {
                let flash = Some(Flash { count, per_second });
                let order = Screen { start_at: Some(wire(after(ms))), flash, ..Screen::default() };
                screens.handle(Uuid::nil(), order, T0, Report::Due);
            }
            screens.flashes.sort_unstable();
            for four in screens.flashes.windows(4) {
                prop_assert!(four[3] - four[0] > Span::from_secs(1));
            }
        }
    }
}
