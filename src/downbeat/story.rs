//! What happened, as lines for the person at the terminal.

use engine::show::Show;
use engine::told::Said;
use units::{CueNumber, ShowTime, Span};

/// One line; none for what a person need not read.
pub fn line(show: &Show, began: ShowTime, noted: ShowTime, said: &Said) -> Option<String> {
    let words = words(show, said)?;
    Some(format!("{}  {words}", since(noted - began)))
}

fn words(show: &Show, said: &Said) -> Option<String> {
    Some(match said {
        // That it was fired is told by whoever did, and to come by itself is no news yet.
        Said::Fired { .. } => return None,
        Said::Began { cue, name, by } => format!("cue {} began ({by})", quoted(*cue, name)),
        Said::Ended { cue } => format!("cue {} ended", named(show, *cue)),
        Said::Standby { list, cue: Some(cue) } => {
            format!("standby in {list}: cue {}", named(show, *cue))
        }
        Said::Standby { list, cue: None } => format!("{list} is at its end"),
        Said::Did { what, by } => format!("{what} ({by})"),
        Said::Refused { why, by } => format!("refused: {why} ({by})"),
        Said::Timecode { list, follows: true, at } => format!("{list} follows timecode {at}"),
        Said::Timecode { list, follows: false, at } => format!("{list} has lost timecode {at}"),
        Said::OnAir { what, cue } => {
            let what = what.as_deref().unwrap_or("nothing");
            let by = cue.map(|cue| format!(" (cue {cue})")).unwrap_or_default();
            format!("{what} is on air{by}")
        }
        Said::NotOnAir { what, why } => format!("{what} is not on air: {why}"),
        Said::WithoutSound { what, why } => format!("{what} is shown without its sound: {why}"),
        Said::Clock { what } | Said::Cluster { what } => what.clone(),
        Said::Late { order, by } => format!("order {order} was late by {by}"),
    })
}

/// A cue by number and name.
pub fn named(show: &Show, number: CueNumber) -> String {
    show.cue(number).map_or_else(|| number.to_string(), |(_, cue)| quoted(number, &cue.name))
}

fn quoted(number: CueNumber, name: &str) -> String {
    if name.is_empty() { number.to_string() } else { format!("{number} \"{name}\"") }
}

/// Minutes, seconds, tenths since the start.
fn since(gone: Span) -> String {
    let tenths = gone.ns().max(0) / 100_000_000;
    format!("{:>3}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_the_time_since_the_start() {
        assert_eq!(since(Span::from_millis(61_250)), "  1:01.2");
        assert_eq!(since(Span::ZERO), "  0:00.0");
    }
}
