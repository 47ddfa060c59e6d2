//! Draws a frame: for every instant the same octets, on every box.
//!
//! It neither allocates, locks, logs nor waits, and reckons with whole numbers only. First the masters, then the
//! virtual dimmers, the slots, what is recorded, what is parked; where nothing moves and nothing scales, octets are
//! copied.

use units::{Level, ShowTime, Span, Universe};

use super::draw::{
    Drawing, Layer, Odd, Part, Row, Run, SETS_FROM, Scaling, Times, UNSCALED, octet,
};
use super::fade::{Fade, ONE};
use super::master::{WHOLE, scale, scaled};
use super::plan::UniversePlan;
use super::wave;
use crate::show::{Response, Wave};

/// More than a universe can have: a set of masters, or a virtual dimmer, for every slot and both.
const SCALES_MAX: usize = 2 * Universe::SLOTS;

/// What a frame is reckoned in. A thread that draws many universes keeps one: to clear it costs as much as half of what
/// it is for.
#[derive(Debug, Clone)]
pub struct Desk {
    scales: [u32; SCALES_MAX],
    levels: [u16; Universe::SLOTS],
}

impl Default for Desk {
    fn default() -> Self {
        Self { scales: [WHOLE; SCALES_MAX], levels: [0; Universe::SLOTS] }
    }
}

/// As [`Desk::draw`], at a desk of its own.
pub fn render(plan: &UniversePlan, at: ShowTime, slots: &mut [u8; Universe::SLOTS]) {
    Desk::default().draw(plan, at, slots);
}

/// The priority of each slot (rule S13): `priority` where the show has something to say, 0 elsewhere.
pub fn priorities(plan: &UniversePlan, priority: u8) -> [u8; Universe::SLOTS] {
    let (mut low, mut high) = ([0; Universe::SLOTS], [u8::MAX; Universe::SLOTS]);
    // What is drawn over both grounds alike has been drawn.
    render(plan, ShowTime::ZERO, &mut low);
    render(plan, ShowTime::ZERO, &mut high);
    std::array::from_fn(|slot| if low[slot] == high[slot] { priority } else { 0 })
}

impl Desk {
    /// Draws a universe as it stands at `at` (already through [`super::Plan::shown`]). Slots without a lane are left
    /// alone.
    pub fn draw(&mut self, plan: &UniversePlan, at: ShowTime, slots: &mut [u8; Universe::SLOTS]) {
        let drawing: &Drawing = &plan.drawing;
        let sets = self.scales[usize::from(SETS_FROM)..].iter_mut();
        for (scale, set) in sets.zip(&drawing.sets) {
            *scale = plan.faders.scale(set, at);
        }
        self.dimmers(&drawing.dimmers, at);
        self.slots(&drawing.slots, at, slots);
        plan.overlay.iter().for_each(|overlay| overlay.draw(at, &plan.faders, slots));
        for (slot, octet) in &drawing.pins {
            slots[usize::from(*slot) % Universe::SLOTS] = *octet;
        }
    }

    /// The stretches of a lane cover all of time, so every scale that the slots ask for is written here, whatever
    /// another universe has left there.
    fn dimmers(&mut self, layer: &Layer, at: ShowTime) {
        for run in layer.runs.iter().filter(|run| is_on(run.times, at)) {
            let count = self.reckon(run, at);
            for (place, level) in run.places.iter().zip(&self.levels[..count]) {
                self.scales[usize::from(*place) % SCALES_MAX] = scale(*level);
            }
        }
        let mut memory = Memory::default();
        for odd in layer.odd.iter().filter(|odd| is_on(odd.times, at)) {
            let level = self.odd(odd, &layer.parts, at, &mut memory);
            let level = respond(&odd.response, level);
            self.scales[usize::from(odd.places[0]) % SCALES_MAX] = scale(level.sixteen());
        }
    }

    fn slots(&mut self, layer: &Layer, at: ShowTime, slots: &mut [u8; Universe::SLOTS]) {
        for run in layer.runs.iter().filter(|run| is_on(run.times, at)) {
            if at >= run.fade.end() && self.is_whole(&run.scaling) {
                place(run, &run.done, slots);
            } else if let Some(slots) = in_a_row(run, slots) {
                self.octets(run, at, slots);
            } else {
                let mut octets = [0; Universe::SLOTS];
                let octets = &mut octets[..run.places.len().min(Universe::SLOTS)];
                self.octets(run, at, octets);
                place(run, octets, slots);
            }
        }
        let mut memory = Memory::default();
        for odd in layer.odd.iter().filter(|odd| is_on(odd.times, at)) {
            let level = self.odd(odd, &layer.parts, at, &mut memory);
            put(odd, level, slots);
        }
    }

    /// The octets of a run's lanes.
    fn octets(&mut self, run: &Run, at: ShowTime, octets: &mut [u8]) {
        if self.is_whole(&run.scaling) {
            blend(octets, &run.from, &run.to, sixteen(run.fade.weight(at)), octet);
        } else {
            let count = self.reckon(run, at);
            let drawn = octets.iter_mut().zip(&self.levels[..count]);
            drawn.for_each(|(drawn, level)| *drawn = octet(*level));
        }
        let flipped = octets.iter_mut().zip(&run.flips);
        flipped.for_each(|(drawn, flip)| *drawn ^= flip);
    }

    fn is_whole(&self, scaling: &Scaling) -> bool {
        match scaling {
            Scaling::Not => true,
            Scaling::By(scale) => self.scales[usize::from(*scale) % SCALES_MAX] == WHOLE,
            Scaling::Each(_) => false,
        }
    }

    /// The levels of a run's lanes; gives how many they are.
    fn reckon(&mut self, run: &Run, at: ShowTime) -> usize {
        let count = run.places.len().min(Universe::SLOTS);
        let levels = &mut self.levels[..count];
        blend(levels, &run.from, &run.to, sixteen(run.fade.weight(at)), |level| level);
        match &run.scaling {
            Scaling::Not => {}
            Scaling::By(by) => match self.scales[usize::from(*by) % SCALES_MAX] {
                WHOLE => {}
                scale => levels.iter_mut().for_each(|level| *level = narrow(*level, scale)),
            },
            Scaling::Each(scales) => {
                for (level, by) in levels.iter_mut().zip(scales) {
                    *level = narrow(*level, self.scales[usize::from(*by) % SCALES_MAX]);
                }
            }
        }
        count
    }

    fn odd(&self, odd: &Odd, parts: &[Part], at: ShowTime, memory: &mut Memory) -> Level {
        let parts = &parts[odd.first as usize..][..odd.parts as usize];
        let wide = odd.width > 1;
        let levels = parts.iter().enumerate();
        let levels = levels.map(|(place, part)| memory.level(place, part, wide, at));
        let highest = levels.max().unwrap_or(0);
        let by = match odd.scaled_by {
            UNSCALED => WHOLE,
            by => self.scales[usize::from(by) % SCALES_MAX],
        };
        let level = scaled(highest, by);
        if wide { Level::from_bits(level) } else { Level::from_sixteen(level as u16) }
    }
}

fn is_on(times: Times, at: ShowTime) -> bool {
    times.0 <= at && at < times.1
}

/// How many parts of an odd one are remembered; as many lists seldom share a lane.
const REMEMBERED: usize = 4;

/// What the parts of the last odd one were asked for, each by its place: neighbours are shared by the same lists, whose
/// fades and effects they have in common.
#[derive(Default)]
struct Memory {
    fades: [Option<(Fade, u32)>; REMEMBERED],
    turns: [Option<(Span, ShowTime, u32)>; REMEMBERED],
}

impl Memory {
    /// The level of a part, which is the `place`th of its odd one.
    fn level(&mut self, place: usize, part: &Part, wide: bool, at: ShowTime) -> u32 {
        let weight = self.weight(place, &part.fade, at);
        let to = part.wave.as_ref().map(|(wave, since)| {
            let turn = self.turn(place, wave, *since, at);
            wave::level_of(wave, turn)
        });
        if wide {
            let to = to.unwrap_or(Level::from_bits(part.to));
            super::fade::blend(Level::from_bits(part.from), to, weight).bits()
        } else {
            let to = to.map_or(part.to, |to| u32::from(to.sixteen()));
            blend_one(part.from, to, sixteen(weight))
        }
    }

    fn weight(&mut self, place: usize, fade: &Fade, at: ShowTime) -> u32 {
        let remembered = &mut self.fades[place % REMEMBERED];
        match remembered {
            Some((of, weight)) if of == fade => *weight,
            _ => remembered.insert((*fade, fade.weight(at))).1,
        }
    }

    /// Where in its cycle an effect is, its own phase apart.
    fn turn(&mut self, place: usize, wave: &Wave, since: ShowTime, at: ShowTime) -> u32 {
        let remembered = &mut self.turns[place % REMEMBERED];
        match remembered {
            Some((period, from, turn)) if (*period, *from) == (wave.period, since) => *turn,
            _ => remembered.insert((wave.period, since, wave::turn(wave.period, since, at))).2,
        }
    }
}

/// A weight in sixteen bits, 0 to [`WHOLE`].
fn sixteen(weight: u32) -> u32 {
    (weight + (ONE >> 17)) >> 14
}

/// As [`blend_one`], level by level. Weights of sixteen bits are what processors multiply several of at once.
fn blend<T: Copy>(drawn: &mut [T], from: &Row, to: &Row, weight: u32, grain: impl Fn(u16) -> T) {
    let (Ok(keep), Ok(part)) = (u16::try_from(WHOLE - weight), u16::try_from(weight)) else {
        return match if weight == 0 { from } else { to } {
            Row::Alike(level) => drawn.fill(grain(*level)),
            Row::Each(levels) => {
                drawn.iter_mut().zip(levels).for_each(|(drawn, level)| *drawn = grain(*level))
            }
        };
    };
    let blend = |from, to| grain(between(from, to, keep, part));
    match (from, to) {
        (Row::Alike(from), Row::Alike(to)) => drawn.fill(blend(*from, *to)),
        (Row::Alike(from), Row::Each(to)) => {
            drawn.iter_mut().zip(to).for_each(|(drawn, to)| *drawn = blend(*from, *to))
        }
        (Row::Each(from), Row::Alike(to)) => {
            drawn.iter_mut().zip(from).for_each(|(drawn, from)| *drawn = blend(*from, *to))
        }
        (Row::Each(from), Row::Each(to)) => {
            let rows = from.iter().zip(to);
            drawn.iter_mut().zip(rows).for_each(|(drawn, (from, to))| *drawn = blend(*from, *to))
        }
    }
}

fn between(from: u16, to: u16, keep: u16, part: u16) -> u16 {
    let from = u32::from(from) * u32::from(keep);
    ((from + u32::from(to) * u32::from(part) + WHOLE / 2) >> 16) as u16
}

/// Between two levels of sixteen bits; the sum stays below 2^32.
fn blend_one(from: u32, to: u32, weight: u32) -> u32 {
    (from * (WHOLE - weight) + to * weight + WHOLE / 2) >> 16
}

/// As [`scaled`], of sixteen bits.
fn narrow(level: u16, scale: u32) -> u16 {
    ((u32::from(level) * scale + WHOLE / 2) >> 16) as u16
}

/// The slots of a run whose places follow on each other.
fn in_a_row<'a>(run: &Run, slots: &'a mut [u8; Universe::SLOTS]) -> Option<&'a mut [u8]> {
    let first = run.places.first().map_or(0, |first| usize::from(*first));
    slots.get_mut(first..first + run.places.len()).filter(|_| run.in_a_row)
}

fn place(run: &Run, octets: &[u8], slots: &mut [u8; Universe::SLOTS]) {
    match in_a_row(run, slots) {
        Some(slots) => slots.copy_from_slice(octets),
        None => {
            for (place, octet) in run.places.iter().zip(octets) {
                slots[usize::from(*place) % Universe::SLOTS] = *octet;
            }
        }
    }
}

fn put(odd: &Odd, level: Level, slots: &mut [u8; Universe::SLOTS]) {
    let level = respond(&odd.response, level);
    let level = if odd.inverted { level.inverted() } else { level };
    let mut put = |octets: &[u8]| {
        for (place, octet) in odd.places.iter().zip(octets) {
            slots[usize::from(*place) % Universe::SLOTS] = *octet;
        }
    };
    match odd.width {
        1 => put(&[octet(level.sixteen())]),
        2 => put(&level.coarse_fine()),
        _ => put(&level.coarse_fine_finest()),
    }
}

fn respond(response: &Response, level: Level) -> Level {
    let points = &response.0;
    if points.len() < 2 {
        return level;
    }
    let full = u64::from(Level::FULL.bits());
    let along = u64::from(level.bits()) * (points.len() as u64 - 1);
    let (index, past) = ((along / full) as usize, along % full);
    let (from, to) = (points[index], points[(index + 1).min(points.len() - 1)]);
    let sum = u64::from(from.bits()) * (full - past) + u64::from(to.bits()) * past;
    Level::from_bits(((sum + full / 2) / full) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_goes_through_its_points_straight_between_them() {
        let points = [0, 0x20_0000, 0xff_ffff].map(Level::from_bits).to_vec();
        let response = Response(points);
        let respond = |bits| respond(&response, Level::from_bits(bits)).bits();
        assert_eq!((respond(0), respond(0xff_ffff)), (0, 0xff_ffff));
        assert!(respond(0x7f_ffff).abs_diff(0x20_0000) < 4);
        assert!(respond(0x3f_ffff).abs_diff(0x10_0000) < 4);
    }
}
