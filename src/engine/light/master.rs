//! Masters: faders over the intensities of fixtures.
//!
//! A master is a lane like any other, but for what it does: its level scales. The grand master and blackout, which is
//! a master that knows only nothing and all, are there in every show.

use units::ShowTime;

use super::fade::Fade;
use super::lane::{Lane, Move};

/// What leaves a level as it is: a scale is of sixteen bits and this.
pub const WHOLE: u32 = 1 << 16;

/// Every master, ready to be read at any instant: the grand master, blackout, then those of the show.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faders {
    masters: Vec<Vec<Stretch>>,
    /// When one of them moves.
    pub moves: Vec<(ShowTime, ShowTime)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Stretch {
    from: ShowTime,
    fade: Fade,
    begin: u32,
    goal: u32,
}

impl Faders {
    pub fn new(masters: &[Lane], since: ShowTime) -> Self {
        let masters: Vec<Vec<Stretch>> = masters.iter().map(|it| stretches(it, since)).collect();
        let all = masters.iter().flatten();
        let moves = all.map(|it| (it.fade.at.max(it.from), it.fade.end())).collect();
        Self { masters, moves }
    }

    /// What several masters leave of a level.
    pub fn scale(&self, masters: &[u16], at: ShowTime) -> u32 {
        let scales = masters.iter().map(|it| self.masters[usize::from(*it)].as_slice());
        scales.fold(WHOLE, |scale, master| scaled(scale, value(master, at)))
    }
}

fn stretches(lane: &Lane, since: ShowTime) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    lane.each_stretch(since, |from, _, seen| {
        let seen = seen.first().cloned().unwrap_or_else(|| Move::still(lane.rest));
        let (begin, goal) = (seen.from, seen.level(seen.fade.end()));
        let (begin, goal) = (scale(begin.sixteen()), scale(goal.sixteen()));
        stretches.push(Stretch { from, fade: seen.fade, begin, goal });
    });
    stretches
}

fn value(master: &[Stretch], at: ShowTime) -> u32 {
    let index = master.partition_point(|it| it.from <= at).saturating_sub(1);
    let it = &master[index];
    let weight = u64::from(it.fade.weight(at) >> 14);
    let sum = u64::from(it.begin) * (u64::from(WHOLE) - weight) + u64::from(it.goal) * weight;
    ((sum + u64::from(WHOLE / 2)) >> 16) as u32
}

/// The scale that a level is.
pub fn scale(level: u16) -> u32 {
    let level = u32::from(level);
    level + (level >> 15)
}

/// What is left of a level, or of another scale.
pub fn scaled(value: u32, scale: u32) -> u32 {
    ((u64::from(value) * u64::from(scale) + u64::from(WHOLE / 2)) >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_takes_all_full_takes_nothing_and_half_takes_half() {
        assert_eq!([0, 0x7fff, 0x8000, 0xffff].map(scale), [0, 0x7fff, 0x8001, WHOLE]);
        assert_eq!(
            (scaled(0xffff, WHOLE), scaled(0xffff, 0), scaled(200, WHOLE / 2)),
            (0xffff, 0, 100)
        );
    }
}
