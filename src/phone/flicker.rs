//! Holds what would flash more than three times a second, whatever was ordered: light that flickers can hurt.
//!
//! In: the colour that a frame is to have. Out: the colour that it may have. What counts as a flash is WCAG 2.2's
//! (success criterion 2.3.1 and its "general flash and red flash thresholds"): a pair of opposing changes of relative
//! luminance by a tenth or more where the darker is below 0.8, or of opposing changes to and from saturated red. A
//! colour that would be one change too many is not shown; the one before it stays until it may go.

use std::collections::VecDeque;

use units::{MonoTime, Rgb, Span};

/// What the screen has shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flicker {
    shown: Rgb,
    light: Swing,
    red: Swing,
}

/// A quantity that goes up and down.
#[derive(Debug, Clone, Default)]
struct Swing {
    /// The furthest that it has got since it last turned; a page begins in the dark.
    extreme: f64,
    rising: bool,
    /// When it turned, the last of them.
    turns: VecDeque<MonoTime>,
}

/// Three flashes, up and down each.
const TURNS_MAX: usize = 6;
/// In this they may be, with a frame to spare.
const WINDOW: Span = Span::from_millis(1_020);
const LIGHT_STEP: f64 = 0.1;
const DARK_BELOW: f64 = 0.8;
const RED_STEP: f64 = 20.0;

impl Flicker {
    /// The colour that a frame at `now` may have, and whether another was wanted.
    pub(crate) fn allowed(&self, now: MonoTime, wanted: Rgb) -> (Rgb, bool) {
        let too_much = self.light.is_one_too_many(now, light(wanted), is_flash)
            || self.red.is_one_too_many(now, red(wanted), is_red_flash);
        if too_much { (self.shown, true) } else { (wanted, false) }
    }

    /// This was shown.
    pub(crate) fn handle_shown(&mut self, now: MonoTime, color: Rgb) {
        self.light.follow(now, light(color), is_flash);
        self.red.follow(now, red(color), is_red_flash);
        self.shown = color;
    }
}

impl Swing {
    fn is_one_too_many(&self, now: MonoTime, to: f64, counts: fn(f64, f64) -> bool) -> bool {
        let recent = self.turns.iter().filter(|turn| now - **turn < WINDOW).count();
        recent >= TURNS_MAX && self.turns_at(to, counts)
    }

    fn turns_at(&self, to: f64, counts: fn(f64, f64) -> bool) -> bool {
        counts(self.extreme, to) && self.rising != (to > self.extreme)
    }

    fn follow(&mut self, now: MonoTime, to: f64, counts: fn(f64, f64) -> bool) {
        if self.turns_at(to, counts) {
            self.rising = to > self.extreme;
            self.extreme = to;
            self.turns.push_back(now);
            if self.turns.len() > TURNS_MAX {
                self.turns.pop_front();
            }
        } else if self.rising == (to > self.extreme) {
            self.extreme = to;
        }
    }
}

/// The phone's own lamp.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lamp {
    is_lit: bool,
    turned: Option<MonoTime>,
}

/// On and off again three times, and a frame to spare.
const LAMP_STAYS: Span = Span::from_millis(170);

impl Lamp {
    /// Whether it is lit at `now`; what was wanted too soon waits.
    pub(crate) fn turn(&mut self, now: MonoTime, wanted: bool) -> bool {
        let is_free = self.turned.is_none_or(|turned| now - turned >= LAMP_STAYS);
        if wanted != self.is_lit && is_free {
            (self.is_lit, self.turned) = (wanted, Some(now));
        }
        self.is_lit
    }

    /// Whether what is wanted has to wait.
    pub(crate) fn holds(&self, wanted: bool) -> bool {
        self.is_lit != wanted
    }

    /// Whether it is lit.
    pub(crate) fn is_lit(&self) -> bool {
        self.is_lit
    }
}

fn is_flash(from: f64, to: f64) -> bool {
    (from - to).abs() >= LIGHT_STEP && from.min(to) < DARK_BELOW
}

fn is_red_flash(from: f64, to: f64) -> bool {
    (from - to).abs() > RED_STEP
}

/// Relative luminance, 0 to 1.
pub(crate) fn light(color: Rgb) -> f64 {
    0.2126 * linear(color.red) + 0.7152 * linear(color.green) + 0.0722 * linear(color.blue)
}

/// How saturated a red is, 0 to 320; what is not red enough to count is 0.
fn red(color: Rgb) -> f64 {
    let [red, green, blue] = [color.red, color.green, color.blue].map(linear);
    let is_saturated = red > 0.0 && red / (red + green + blue) >= 0.8;
    if is_saturated { (red - green - blue).max(0.0) * 320.0 } else { 0.0 }
}

/// sRGB to linear light, within 0.003 (a cubic, since a power would weigh more in the page).
fn linear(part: u8) -> f64 {
    let part = f64::from(part) / 255.0;
    part * (part * (part * 0.305_306 + 0.682_171) + 0.012_523)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME: Span = Span::from_micros(16_667);

    fn at(frame: usize) -> MonoTime {
        MonoTime::ZERO + FRAME.times(frame as i64)
    }

    /// What a screen shows of what is wanted, frame by frame.
    fn shown(wanted: impl IntoIterator<Item = Rgb>) -> Vec<Rgb> {
        let mut flicker = Flicker::default();
        let frames = wanted.into_iter().enumerate();
        let show = |(frame, wanted)| {
            let (color, _) = flicker.allowed(at(frame), wanted);
            flicker.handle_shown(at(frame), color);
            color
        };
        frames.map(show).collect()
    }

    /// The changes that count, found by hand: each leg from a lowest to a highest value or back.
    fn changes(values: &[f64], counts: fn(f64, f64) -> bool) -> Vec<usize> {
        let (mut from, mut up, mut found) = (values[0], None, Vec::new());
        for (frame, &value) in values.iter().enumerate() {
            match up {
                Some(true) if value > from => from = value,
                Some(false) if value < from => from = value,
                _ if counts(from, value) => {
                    (up, from) = (Some(value > from), value);
                    found.push(frame);
                }
                _ => {}
            }
        }
        found
    }

    fn most_in_a_second(changes: &[usize]) -> usize {
        let within =
            |first: &usize| changes.iter().filter(|it| (*first..*first + 60).contains(it)).count();
        changes.iter().map(within).max().unwrap_or(0)
    }

    fn rgb(red: u8, green: u8, blue: u8) -> Rgb {
        Rgb { red, green, blue }
    }

    #[test]
    fn sx19_a_strobe_of_cues_is_shown_three_times_a_second() {
        let strobe = (0..600)
            .map(|frame| if frame / 3 % 2 == 0 { rgb(0, 0, 0) } else { rgb(255, 255, 255) });
        let shown: Vec<f64> = shown(strobe).into_iter().map(light).collect();
        let most = most_in_a_second(&changes(&shown, is_flash));
        assert!((5..=6).contains(&most), "{most}: it flashes, and no more than it may");
    }

    #[test]
    fn a_red_strobe_of_one_lightness_is_held_too() {
        let strobe = (0..600)
            .map(|frame| if frame / 3 % 2 == 0 { rgb(255, 0, 0) } else { rgb(127, 127, 0) });
        let shown: Vec<f64> = shown(strobe).into_iter().map(red).collect();
        assert!(most_in_a_second(&changes(&shown, is_red_flash)) <= 6);
    }

    #[test]
    fn a_lamp_goes_on_and_off_three_times_a_second_at_most_and_ends_as_it_was_told() {
        let mut lamp = Lamp::default();
        let mut turns = Vec::new();
        for k in 0..300_i64 {
            let (now, was) = (MonoTime::ZERO + FRAME.times(k), lamp.is_lit());
            if lamp.turn(now, k % 4 < 2) != was {
                turns.push(now);
            }
        }
        assert!(turns.len() > 20, "it turns");
        assert!(turns.windows(7).all(|seven| seven[6] - seven[0] > Span::from_secs(1)));
        let late = MonoTime::ZERO + Span::from_secs(9);
        assert!(lamp.turn(late, true) && !lamp.holds(true));
        assert!(lamp.turn(late, false), "it was lit just now");
        assert!(lamp.holds(false));
        assert!(!lamp.turn(late + LAMP_STAYS, false));
    }

    #[test]
    fn a_first_flash_counts_that_rises_in_two_faint_steps() {
        let dark = Rgb::default();
        let greens = [142, 170, 101, 150, 160].map(|green| rgb(0, green, 100));
        let strobe = greens.into_iter().flat_map(|green| [dark, green]);
        let wanted = [dark, rgb(36, 93, 19), rgb(89, 112, 176)].into_iter().chain(strobe);
        let lights: Vec<f64> = shown(wanted).into_iter().map(light).collect();
        assert_eq!(most_in_a_second(&changes(&lights, is_flash)), 6);
    }

    #[test]
    fn what_is_slow_or_faint_is_shown_as_it_is() {
        let slow: Vec<Rgb> = (0..600).map(|frame| rgb((frame % 256) as u8, 40, 90)).collect();
        assert_eq!(shown(slow.clone()), slow);
        let faint: Vec<Rgb> =
            (0..600).map(|frame| rgb(100 + 8 * (frame % 2) as u8, 100, 100)).collect();
        assert_eq!(shown(faint.clone()), faint);
    }

    #[test]
    fn what_was_held_is_shown_as_soon_as_it_may() {
        let strobe =
            (0..60).map(|frame| if frame / 3 % 2 == 0 { rgb(0, 0, 0) } else { rgb(255, 255, 255) });
        let end = rgb(255, 144, 48);
        let shown = shown(strobe.chain(std::iter::repeat_n(end, 70)));
        assert_eq!(shown.last(), Some(&end));
    }

    proptest! {
        #[test]
        fn no_order_whatever_makes_a_phone_flash_faster(
            legs in prop::collection::vec((any::<(u8, u8, u8)>(), 1_usize..20), 1..120),
        ) {
            let wanted = legs.into_iter().flat_map(|((r, g, b), long)| std::iter::repeat_n(rgb(r, g, b), long));
            let shown = shown(std::iter::once(Rgb::default()).chain(wanted));
            let lights: Vec<f64> = shown.iter().copied().map(light).collect();
            let reds: Vec<f64> = shown.iter().copied().map(red).collect();
            prop_assert!(most_in_a_second(&changes(&lights, is_flash)) <= 6);
            prop_assert!(most_in_a_second(&changes(&reds, is_red_flash)) <= 6);
        }
    }
}
