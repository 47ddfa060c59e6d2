//! Changes to one direction of a scenario, as a person types them: `delay=5ms,jitter=crowd:3ms,loss=2%`; and cuts that
//! are planned: `5s-15s`, `up:5s-15s`.

use sim::path::{Bursts, Cut, Direction, Jitter, LaneSpec, Losses};
use units::{MonoTime, Span};

/// Why a change was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Correct it; the known ones are named.
    #[error(
        "`{0}` is none of delay, askew, jitter, wave, burst, loss, run, dense, stray, reorder, duplicate, rate, queue"
    )]
    UnknownKey(String),
    /// Correct it.
    #[error("`{key}={value}`: wanted is {wanted}")]
    BadValue {
        /// Which.
        key: String,
        /// What stands there.
        value: String,
        /// What could.
        wanted: &'static str,
    },
    /// Correct one of the three: what is lost in all lies between what is lost in good and in bad whiles.
    #[error("`loss` has to lie between `stray` and `dense`")]
    Losses,
    /// Correct it.
    #[error("`{0}` is no cut such as 5s-15s, up:500ms-2s or down:1s-1.5s")]
    BadCut(String),
}

/// A cut, counted from the proxy's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedCut {
    /// Which way is cut.
    pub direction: Direction,
    /// After how long it begins.
    pub begins: Span,
    /// After how long it ends; later than it begins.
    pub ends: Span,
}

impl PlannedCut {
    /// The same of a proxy that started then.
    pub fn from(&self, start: MonoTime) -> Cut {
        Cut { direction: self.direction, begins: start + self.begins, ends: start + self.ends }
    }
}

/// One cut as it is typed; both ways where none is named.
///
/// # Errors
/// It is none, or ends before it begins.
pub fn planned_cuts(text: &str) -> Result<Vec<PlannedCut>, SpecError> {
    let (ways, times) = match text.trim().split_once(':') {
        Some(("up", times)) => (vec![Direction::Up], times),
        Some(("down", times)) => (vec![Direction::Down], times),
        Some(_) => return Err(SpecError::BadCut(text.to_owned())),
        None => (vec![Direction::Up, Direction::Down], text),
    };
    let ends =
        times.split_once('-').and_then(|(from, to)| Some((span(from.trim())?, span(to.trim())?)));
    let (begins, ends) =
        ends.filter(|(from, to)| from < to).ok_or_else(|| SpecError::BadCut(text.to_owned()))?;
    Ok(ways.into_iter().map(|direction| PlannedCut { direction, begins, ends }).collect())
}

/// The direction with the changes.
///
/// # Errors
/// The first word that means nothing.
pub fn adjust(mut lane: LaneSpec, changes: &str) -> Result<LaneSpec, SpecError> {
    for change in changes.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let (key, value) = change.split_once('=').unwrap_or((change, ""));
        set(&mut lane, key.trim(), value.trim())?;
    }
    let Losses { share, dense, stray, .. } = lane.losses;
    let may_be = share == 0.0 && stray == 0.0 || (stray..=dense).contains(&share) && stray < dense;
    may_be.then_some(lane).ok_or(SpecError::Losses)
}

fn set(lane: &mut LaneSpec, key: &str, value: &str) -> Result<(), SpecError> {
    let wrong = |wanted| {
        let (key, value) = (key.to_owned(), value.to_owned());
        SpecError::BadValue { key, value, wanted }
    };
    let span = || span(value).ok_or_else(|| wrong("a time such as 5ms, 200us or 1.5s"));
    let share = || share(value).ok_or_else(|| wrong("a share such as 2% or 0.02"));
    match key {
        "delay" => lane.floor = span()?,
        "askew" => lane.askew = span()?,
        "jitter" => lane.jitter = jitter(value).ok_or_else(|| {
            wrong("a mean such as 3ms, behind `even:`, `queue:` or `crowd:` if it is not a queue's")
        })?,
        "wave" => lane.wave = Some(span()?).filter(|wave| *wave > Span::ZERO),
        "burst" => {
            lane.bursts = bursts(value)
                .ok_or_else(|| wrong("its length and its distance, such as 40ms/800ms"))?;
        }
        "loss" => lane.losses.share = share()?,
        "run" => {
            let run = value.parse().ok().filter(|run| *run >= 1.0);
            lane.losses.run = run.ok_or_else(|| wrong("a number of packets, at least 1"))?;
        }
        "dense" => lane.losses.dense = share()?,
        "stray" => lane.losses.stray = share()?,
        "reorder" => lane.reorder = share()?,
        "duplicate" => lane.duplicate = share()?,
        "queue" => lane.queue_max = span()?,
        "rate" => {
            lane.rate_bps =
                Some(rate(value).ok_or_else(|| wrong("a rate such as 5mbit or 300kbit"))?);
        }
        _ => return Err(SpecError::UnknownKey(key.to_owned())),
    }
    Ok(())
}

/// A number and its unit; no time has less than none of it, or more than an hour.
fn span(text: &str) -> Option<Span> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let secs = number.trim().parse::<f64>().ok()? * unit;
    (0.0..=3_600.0).contains(&secs).then(|| Span::from_secs_f64(secs))
}

fn share(text: &str) -> Option<f64> {
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

fn jitter(text: &str) -> Option<Jitter> {
    let (kind, mean) = text.split_once(':').unwrap_or(("queue", text));
    let mean = span(mean)?;
    match kind {
        "even" => Some(Jitter::Even(mean)),
        "queue" => Some(Jitter::Queue(mean)),
        "crowd" => Some(Jitter::Crowd(mean)),
        _ => None,
    }
}

fn bursts(text: &str) -> Option<Option<Bursts>> {
    let (length, every) = text.split_once('/')?;
    let (length, every) = (span(length)?, span(every)?);
    let some = length > Span::ZERO;
    (!some || every > Span::ZERO).then_some(some.then_some(Bursts { every, length }))
}

fn rate(text: &str) -> Option<u64> {
    let units = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1.0)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let rate = number.trim().parse::<f64>().ok()? * unit;
    (1.0..=1e12).contains(&rate).then_some(rate as u64)
}

#[cfg(test)]
mod tests {
    use sim::path::Scenario;

    use super::*;

    fn clear(changes: &str) -> Result<LaneSpec, SpecError> {
        adjust(Scenario::named("clear").expect("a scenario").up, changes)
    }

    #[test]
    fn every_change_is_understood() {
        let lane = clear(
            "delay=5ms, askew=200us,jitter=crowd:3ms,wave=1s,burst=40ms/0.8s,loss=2%,run=3,dense=80%,stray=0.1%,reorder=0.5,duplicate=1%,rate=5mbit,queue=50ms",
        )
        .expect("all known");
        assert_eq!((lane.floor, lane.askew), (Span::from_millis(5), Span::from_micros(200)));
        assert_eq!(lane.jitter, Jitter::Crowd(Span::from_millis(3)));
        assert_eq!(lane.wave, Some(Span::from_secs(1)));
        let (length, every) = (Span::from_millis(40), Span::from_millis(800));
        assert_eq!(lane.bursts, Some(Bursts { every, length }));
        assert_eq!((lane.losses.share, lane.losses.run, lane.reorder), (0.02, 3.0, 0.5));
        assert_eq!((lane.losses.dense, lane.losses.stray, lane.duplicate), (0.8, 0.001, 0.01));
        assert_eq!((lane.rate_bps, lane.queue_max), (Some(5_000_000), Span::from_millis(50)));
        assert_eq!(clear("burst=0ms/1s").expect("known").bursts, None);
        assert_eq!(clear(""), Ok(Scenario::named("clear").expect("a scenario").up));
    }

    #[test]
    fn what_means_nothing_is_refused_by_its_name() {
        assert_eq!(clear("dealy=5ms"), Err(SpecError::UnknownKey("dealy".into())));
        for wrong in [
            "delay",
            "delay=5",
            "delay=-1ms",
            "delay=nans",
            "loss=101%",
            "loss=x",
            "run=0",
            "run=NaN",
            "jitter=waltz:1ms",
            "burst=1ms",
            "burst=1ms/0s",
            "rate=0bit",
            "rate=1e99mbit",
        ] {
            assert!(matches!(clear(wrong), Err(SpecError::BadValue { .. })), "{wrong}");
        }
        for wrong in ["loss=1%,stray=2%", "loss=50%,dense=40%", "loss=1%,dense=1%,stray=1%"] {
            assert_eq!(clear(wrong), Err(SpecError::Losses), "{wrong}");
        }
    }

    #[test]
    fn a_cut_has_a_beginning_an_end_and_a_direction_or_both() {
        let (begins, ends) = (Span::from_millis(500), Span::from_secs(2));
        let cut = |direction| PlannedCut { direction, begins, ends };
        assert_eq!(planned_cuts("up:500ms-2s"), Ok(vec![cut(Direction::Up)]));
        assert_eq!(planned_cuts("down: 0.5s - 2s"), Ok(vec![cut(Direction::Down)]));
        assert_eq!(planned_cuts("500ms-2s"), Ok(vec![cut(Direction::Up), cut(Direction::Down)]));
        for wrong in ["", "5s", "5s-", "2s-1s", "1s-1s", "left:1s-2s", "up:1-2", "up:-1s-2s"] {
            assert_eq!(planned_cuts(wrong), Err(SpecError::BadCut(wrong.to_owned())));
        }
    }
}
