//! What only shows when cues run after one another: who cuts whose fade, who is never reached.
//!
//! *Chain*: cues that follow each other by themselves. A chain goes down its list and ends with it, since a cue
//! can only bring the next one: an auto-follow loop cannot be written.

use std::collections::BTreeMap;

use units::Span;

use super::cues::{ReadCue, ReadList};
use super::model::{Curve, LaneId, Then};
use crate::reader::{Report, code};

/// Two times of day further apart than this are taken for a mistake in their order, nearer ones for a night.
const HALF_A_DAY: u32 = 12 * 3600;

/// Checks every list whose cues are all known.
pub fn check(report: &Report, lists: &[ReadList]) {
    for list in lists.iter().filter(|list| list.whole) {
        for index in 0..list.cues.len() {
            let (cue, rest) = (&list.cues[index], &list.cues[index + 1..]);
            follows(report, cue, rest.first());
            fade_is_cut(report, cue, rest);
            time_of_day(report, &list.cues[..index], cue);
        }
    }
}

/// An auto-follow waits for the end of its cue, and standby waits behind the chain: without an end neither the
/// chain nor GO gets to the next cue. A stop is no such end, it takes the auto-follow with it.
fn follows(report: &Report, cue: &ReadCue, next: Option<&ReadCue>) {
    let number = cue.cue.number;
    match (cue.cue.then, next) {
        (Then::Wait, _) => {}
        (_, None) => {
            let message = format!("nothing comes after cue {number} in this list");
            report.warn(cue.spots.then, code::NOTHING_FOLLOWS, message, None);
        }
        (Then::Follow(_), Some(next)) if cue.length.is_none() => {
            let next = next.cue.number;
            let message =
                format!("cue {next} is never reached: cue {number}, which it follows, never ends");
            let help =
                "give the sound a number of loops, or let GO bring the next cue and stop this one";
            report.error(cue.spots.then, code::NEVER_REACHED, message, Some(help.into()));
        }
        _ => {}
    }
}

/// Walks down the chain until the fades are over.
fn fade_is_cut(report: &Report, cue: &ReadCue, rest: &[ReadCue]) {
    let fade = fading(cue).map(|(_, ends)| ends).max().unwrap_or(Span::ZERO);
    let mut before = cue;
    let mut begins = Span::ZERO;
    for (distance, later) in rest.iter().enumerate() {
        let Some(wait) = comes_after(before) else { return };
        begins += wait + later.cue.pre_wait;
        if begins >= fade {
            return;
        }
        let shared = shared_lanes(cue, begins, later);
        if shared > 0 {
            let cut = Cut { cue, later, fade, begins, shared };
            return cut.report(report, distance == 0);
        }
        before = later;
    }
}

/// How long after its beginning a cue brings the next; none if it does not.
fn comes_after(cue: &ReadCue) -> Option<Span> {
    match cue.cue.then {
        Then::Wait => None,
        Then::Continue(wait) => Some(wait),
        Then::Follow(wait) => Some(cue.length? + wait),
    }
}

struct Cut<'a> {
    cue: &'a ReadCue,
    later: &'a ReadCue,
    fade: Span,
    begins: Span,
    shared: usize,
}

impl Cut<'_> {
    fn report(&self, report: &Report, next: bool) {
        let (number, later) = (self.cue.cue.number, self.later.cue.number);
        let Self { fade, begins, shared, .. } = self;
        let slots = lanes(self.cue).count();
        let message = format!(
            "cue {number} fades for {fade}, but after {begins} cue {later} takes {shared} of its {slots} slots"
        );
        let spot = self.cue.spots.fade;
        if next {
            let help =
                format!("shorten the fade to {begins}, lengthen the post-wait, or auto-follow");
            report.error(spot, code::FADE_LONGER_THAN_CUE, message, Some(help));
        } else {
            report.warn(spot, code::FADES_COLLIDE, message, None);
        }
    }
}

/// Lanes that are still fading when a later cue has begun for so long that it takes them.
fn shared_lanes(one: &ReadCue, begins: Span, other: &ReadCue) -> usize {
    let fades: BTreeMap<LaneId, Span> = fading(one).collect();
    let cut = |(lane, starts): &(LaneId, Span)| {
        fades.get(lane).is_some_and(|ends| begins + *starts < *ends)
    };
    lanes(other).filter(cut).count()
}

/// Lanes of a cue that do not jump, and when their fades end.
fn fading(read: &ReadCue) -> impl Iterator<Item = (LaneId, Span)> {
    read.cue.light.iter().flat_map(|light| {
        let fades = light.targets.iter().map(|it| (it.lane, light.timings[usize::from(it.timing)]));
        fades
            .filter(|(_, timing)| timing.curve != Curve::Snap)
            .map(|(lane, timing)| (lane, timing.length()))
    })
}

/// Lanes of a cue, and when it takes them.
fn lanes(read: &ReadCue) -> impl Iterator<Item = (LaneId, Span)> {
    read.cue.light.iter().flat_map(|light| {
        let timing = |timing: u16| light.timings[usize::from(timing)].delay;
        light.targets.iter().map(move |it| (it.lane, timing(it.timing)))
    })
}

fn time_of_day(report: &Report, before: &[ReadCue], cue: &ReadCue) {
    let Some(at) = cue.cue.at else { return };
    let (number, spot) = (cue.cue.number, cue.spots.at);
    if before.last().is_some_and(|previous| previous.cue.then != Then::Wait) {
        let message = format!("cue {number} comes by itself, and does not wait for its time");
        return report.warn(spot, code::AT_UNUSED, message, None);
    }
    let earlier = before.iter().rev().find_map(|read| Some((read.cue.number, read.cue.at?)));
    let Some((earlier, first)) = earlier else { return };
    let forward = (at.seconds + 24 * 3600 - first.seconds) % (24 * 3600);
    if forward > HALF_A_DAY {
        let message = format!("when cue {earlier} has fired, the time of cue {number} has passed");
        let help = Some("cues of a list come to standby in their order".into());
        report.warn(spot, code::AT_PASSED, message, help);
    }
}
