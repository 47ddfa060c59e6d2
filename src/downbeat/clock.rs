//! `downbeat clock`: the box clock in words, and its offsets as a small plot. In: the document. Out: text of 80 columns.

use serde_json::Value;

use crate::live::{rows, span, text};
use crate::table::table;

/// Columns of the plot, beside its scale.
const COLUMNS: usize = 64;
/// Rows of the plot, of eight steps each.
const ROWS: usize = 3;
const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Nobody knows.
const UNKNOWN: char = '·';

/// In one line.
pub fn line(it: &Value) -> String {
    let age = it["age_s"].as_f64().map_or("unknown".to_owned(), |age| format!("{age:.0} s"));
    let bound = match it["error_bound_ns"].as_i64() {
        Some(_) => format!("within {}", span(&it["error_bound_ns"])),
        None => "error unknown".to_owned(),
    };
    format!("{} for {age}, {bound} ({})", text(&it["state"]), text(&it["source"]))
}

/// All of it.
pub fn words(it: &Value) -> String {
    let mut lines = vec![line(it)];
    let mut say = |key: &str, what: String| lines.push(format!("{key:<11}{what}"));
    if let Some(why) = it["why"].as_str() {
        say("because", why.replace('_', " "));
    }
    say("role", role(it));
    say("master", master(it));
    say("offset", span(&it["offset_ns"]));
    say("path delay", span(&it["path_delay_ns"]));
    say("rate", number(&it["rate_ppm"], " ppm"));
    say("stamps", it["stamps"].as_str().unwrap_or("unknown").to_owned());
    say("peers", text(&it["agreement"]).to_owned());
    if !it["step_wanted_ns"].is_null() {
        let by = span(&it["step_wanted_ns"]);
        lines.push(format!("It asks to step by {by}: `downbeat clock --step` lets it."));
    }
    lines.extend(ports(it));
    lines.extend(peers(it));
    lines.push(String::new());
    lines.push(plot(it));
    lines.join("\n")
}

fn number(value: &Value, unit: &str) -> String {
    value.as_f64().map_or_else(|| "unknown".to_owned(), |it| format!("{it:.3}{unit}"))
}

fn role(it: &Value) -> String {
    let identity = it["identity"].as_str().map(|it| format!(", as {it}")).unwrap_or_default();
    match text(&it["ptp"]) {
        "off" => "PTP is off".to_owned(),
        ptp => {
            format!("{} (ptp = \"{ptp}\", domain {}){identity}", text(&it["role"]), it["domain"])
        }
    }
}

fn master(clock: &Value) -> String {
    let it = &clock["master"];
    let Some(identity) = it["identity"].as_str() else { return "none".to_owned() };
    let scale = match (clock["timescale"].as_str(), it["utc_offset_s"].as_i64()) {
        (Some("tai"), Some(utc)) => format!("TAI, UTC {utc} s behind"),
        (Some("tai"), None) => "TAI, UTC offset unknown".to_owned(),
        (Some("utc_assumed"), _) => "UTC by assumption, made TAI".to_owned(),
        (Some("arbitrary"), _) => "a timescale of its own".to_owned(),
        _ => "timescale unknown".to_owned(),
    };
    format!("{identity}, {} away, {scale}", crate::terminal::many(steps(it), "step"))
}

fn steps(it: &Value) -> usize {
    it["steps_removed"].as_u64().unwrap_or(0) as usize
}

fn ports(it: &Value) -> Vec<String> {
    let rows: Vec<[String; 4]> = rows(&it["ports"])
        .map(|port| {
            let word = |key: &str| port[key].as_str().unwrap_or("-").to_owned();
            [word("interface"), word("state"), word("stamps"), word("trouble")]
        })
        .collect();
    listed(["port", "state", "stamps", "trouble"], &rows)
}

fn peers(it: &Value) -> Vec<String> {
    let rows: Vec<[String; 4]> = rows(&it["peers"])
        .map(|peer| {
            let age = number(&peer["age_s"], " s ago");
            let (difference, bound) = (span(&peer["difference_ns"]), span(&peer["bound_ns"]));
            [
                text(&peer["peer"]).to_owned(),
                text(&peer["agreement"]).to_owned(),
                format!("{difference} ± {bound}"),
                age,
            ]
        })
        .collect();
    listed(["peer", "agrees", "difference", "heard"], &rows)
}

fn listed<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    if rows.is_empty() { Vec::new() } else { vec![String::new(), table(head, rows)] }
}

/// The offsets of the last minutes, the oldest on the left; each column has the worst of its time.
fn plot(it: &Value) -> String {
    let past: Vec<(f64, f64)> = rows(&it["history"])
        .filter_map(|past| Some((past["age_s"].as_f64()?, past["offset_ns"].as_f64()?)))
        .collect();
    let (Some(oldest), Some(most)) =
        (most(past.iter().map(|it| it.0)), most(past.iter().map(|it| it.1.abs())))
    else {
        return "offset history: unknown".to_owned();
    };
    let (oldest, most) = (oldest.max(1.0), most.max(1.0));
    let column = |age: f64| ((1.0 - age / oldest) * (COLUMNS - 1) as f64).round() as usize;
    let mut worst: [Option<f64>; COLUMNS] = [None; COLUMNS];
    for (age, offset) in past {
        let seen = &mut worst[column(age).min(COLUMNS - 1)];
        *seen = seen.filter(|it| it.abs() > offset.abs()).or(Some(offset));
    }
    let row = |row: usize| -> String { worst.iter().map(|it| block(*it, most, row)).collect() };
    let scale = [span(&(most as i64).into()), "0".to_owned(), span(&(-most as i64).into())];
    let lines = (0..ROWS).map(|index| format!("{:>11} {}", scale[index], row(ROWS - 1 - index)));
    let foot = format!("{:>11} {:<57}{:>7}", "", format!("{oldest:.0} s ago"), "now");
    lines.chain([foot]).collect::<Vec<_>>().join("\n")
}

fn most(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::max)
}

/// The part of a column's bar that stands in a row, counted from below.
fn block(offset: Option<f64>, most: f64, row: usize) -> char {
    let Some(offset) = offset else { return if row == ROWS / 2 { UNKNOWN } else { ' ' } };
    let height = ((offset / most + 1.0) / 2.0 * (8 * ROWS) as f64).round().max(1.0) as usize;
    BLOCKS[height.saturating_sub(8 * row).min(8)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        let it = json!({ "state": "free", "age_s": 12.2, "error_bound_ns": null, "source": "x",
            "ptp": "off", "agreement": "unknown" });
        let said = words(&it);
        assert!(said.starts_with("free for 12 s, error unknown (x)\n"), "{said}");
        for line in [
            "master     none",
            "offset     unknown",
            "stamps     unknown",
            "offset history: unknown",
        ] {
            assert!(said.contains(line), "{line} in {said}");
        }
    }

    #[test]
    fn what_a_master_counts_its_time_in_is_said_and_so_is_that_it_was_assumed() {
        let said = |timescale: Value, utc_offset_s: Value| {
            let master =
                json!({ "identity": "x", "steps_removed": 1, "utc_offset_s": utc_offset_s });
            super::master(&json!({ "master": master, "timescale": timescale }))
        };
        assert_eq!(said("tai".into(), 37.into()), "x, 1 step away, TAI, UTC 37 s behind");
        let assumed = "x, 1 step away, UTC by assumption, made TAI";
        assert_eq!(said("utc_assumed".into(), Value::Null), assumed);
        assert!(said("arbitrary".into(), Value::Null).ends_with(", a timescale of its own"));
        assert!(said(Value::Null, Value::Null).ends_with(", timescale unknown"));
    }

    #[test]
    fn the_plot_has_80_columns_at_most_and_shows_gaps_as_unknown() {
        let past = |age_s: f64, offset_ns: i64| json!({ "age_s": age_s, "offset_ns": offset_ns });
        let it = json!({ "history": [past(120.0, -900), past(60.0, 12_345_678), past(0.0, 300)] });
        let plot = plot(&it);
        let lines: Vec<&str> = plot.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{plot}");
        assert!(lines[0].trim_start().starts_with("12.346ms"), "{plot}");
        assert_eq!(lines[1].matches(UNKNOWN).count(), COLUMNS - 3, "{plot}");
        assert_eq!(lines[0].matches('█').count(), 1, "{plot}");
    }
}
