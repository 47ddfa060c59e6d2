//! Hangs a fixture up: its kind's mode, and how this one hangs, become channels.
//!
//! *Piece*: the whole fixture, or one of its cells; each is a fixture of its own to looks. A piece that gives light
//! and has nothing to dim it gets a *virtual dimmer*, unless the whole fixture dims it: a channel without slots that
//! scales the light, so that the dimmer is shared by HTP, and colours by LTP, whatever the fixture has.

use units::Level;

use super::model::{Channel, Merge, Response};
use crate::fixture::attribute::{INTENSITIES, is_emitter, is_intensity};
use crate::fixture::{Mode, Part, WHOLE, level};

/// How a fixture hangs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hanging {
    /// Attributes whose full is their nothing.
    pub invert: Vec<String>,
    /// Whether it hangs sideways, so that its pan tilts.
    pub swap_pan_tilt: bool,
    /// How its dimmer answers.
    pub curve: DimmerCurve,
}

/// How bright a dimmer is made for a level, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DimmerCurve {
    /// As the level is.
    #[default]
    Linear,
    /// `x²`: finer steps in the dark, as dimmers of incandescent lamps have.
    Square,
    /// `3x² - 2x³`: gentle at both ends.
    S,
    /// Evenly bright to the eye: CIE 1976 lightness, for light sources whose light is even in their slot.
    Led,
}

/// How many points a curve is drawn through: less than a step of eight bits off between them.
const POINTS: usize = 65;

impl DimmerCurve {
    /// Only `+ - * /`, so that every box finds the same bits.
    fn at(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Square => x * x,
            Self::S => x * x * (3.0 - 2.0 * x),
            // Below 8 % of lightness CIE has a straight line.
            Self::Led if x <= 0.08 => x * 100.0 / 903.3,
            Self::Led => {
                let root = (x * 100.0 + 16.0) / 116.0;
                root * root * root
            }
        }
    }
}

/// A piece: its cell, if it is one, and its channels.
pub type Piece = (Option<String>, Vec<Channel>);

/// Every piece of a fixture, the whole one first.
pub fn pieces(mode: &Mode, hanging: &Hanging) -> Vec<Piece> {
    let dimmed = mode.parts_of(None).iter().any(|it| is_intensity(&it.attribute));
    let piece = |cell: Option<&str>| {
        let parts = mode.parts_of(cell);
        let mut channels: Vec<Channel> = parts.iter().map(|it| channel(it, hanging)).collect();
        if !(dimmed && cell.is_some()) {
            dim(&mut channels, hanging);
        }
        (cell.map(Into::into), channels)
    };
    mode.cells().into_iter().map(piece).collect()
}

fn channel(part: &Part, hanging: &Hanging) -> Channel {
    let attribute = match part.attribute.as_str() {
        "pan" if hanging.swap_pan_tilt => "tilt".into(),
        "tilt" if hanging.swap_pan_tilt => "pan".into(),
        name => name.to_string(),
    };
    let intensity = is_intensity(&attribute);
    let backwards = part.dmx == [255, 0];
    let dmx = if backwards { WHOLE } else { part.dmx };
    let curve = if intensity { hanging.curve } else { DimmerCurve::Linear };
    Channel {
        offsets: part.slots.clone(),
        merge: if intensity { Merge::Htp } else { Merge::Ltp },
        rest: part.rest,
        highlight: part.highlight,
        dimmed_by: None,
        response: response(curve, dmx),
        inverted: backwards != hanging.invert.contains(&attribute),
        range: part.range,
        values: part
            .values
            .iter()
            .map(|it| (it.name.clone(), it.dmx.map(|it| asked(it, part.dmx))))
            .collect(),
        attribute,
    }
}

fn response(curve: DimmerCurve, [from, to]: [u8; 2]) -> Response {
    let whole = [from, to] == WHOLE;
    let points = match curve {
        DimmerCurve::Linear if whole => 0,
        DimmerCurve::Linear => 2,
        _ => POINTS,
    };
    let point = |index: usize| {
        let share = curve.at(index as f64 / (points - 1) as f64);
        level((f64::from(from) + (f64::from(to) - f64::from(from)) * share) / 255.0)
    };
    Response((0..points).map(point).collect())
}

/// The level that brings the slot to that value.
fn asked(value: u8, [from, to]: [u8; 2]) -> Level {
    if [from, to] == WHOLE || from == to {
        return Level::from_slot(value);
    }
    let (value, from, to) = (f64::from(value), f64::from(from), f64::from(to));
    level((value - from) / (to - from))
}

fn dim(channels: &mut Vec<Channel>, hanging: &Hanging) {
    let emits = channels.iter().any(|it| is_emitter(&it.attribute));
    if !emits || channels.iter().any(|it| is_intensity(&it.attribute)) {
        return;
    }
    let dimmer = channels.len();
    for channel in channels.iter_mut().filter(|it| is_emitter(&it.attribute)) {
        channel.dimmed_by = Some(dimmer);
    }
    channels.push(Channel {
        attribute: INTENSITIES[0].into(),
        merge: Merge::Htp,
        highlight: Level::FULL,
        response: response(hanging.curve, WHOLE),
        ..Channel::default()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_goes_from_nothing_to_all_and_never_back() {
        for curve in [DimmerCurve::Linear, DimmerCurve::Square, DimmerCurve::S, DimmerCurve::Led] {
            assert_eq!((curve.at(0.0), curve.at(1.0)), (0.0, 1.0), "{curve:?}");
            let points: Vec<f64> = (0..=1000).map(|it| curve.at(f64::from(it) / 1000.0)).collect();
            assert!(points.windows(2).all(|pair| pair[0] < pair[1]), "{curve:?}");
        }
    }

    #[test]
    fn a_named_value_is_reached_through_the_range_of_its_channel() {
        assert_eq!(asked(200, WHOLE), Level::from_slot(200));
        assert_eq!(asked(150, [100, 200]), level(0.5));
        assert_eq!(asked(250, [100, 200]), Level::FULL);
    }
}
