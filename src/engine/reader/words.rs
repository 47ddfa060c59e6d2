//! What a value means: lengths of time, levels, colours, numbers of cues.

use std::net::IpAddr;

use units::{CueNumber, Decibels, Rgb, Span, Subnet};

use super::code;
use super::report::{Report, suggestion};
use super::table::in_range;
use super::tree::{Node, Value};

/// A type that a value can be read as.
pub trait Read: Sized {
    /// The value, or none and a finding.
    fn read(node: &Node, report: &Report) -> Option<Self>;
}

/// Longer than any show; more is a unit forgotten.
const SPAN_MAX: Span = Span::from_secs(24 * 3600);

impl Read for String {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let text = node.text().map(Self::from);
        if text.is_none() {
            report.wrong_type(node, "a text in quotes");
        }
        text
    }
}

impl Read for bool {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        match node.value {
            Value::Flag(flag) => Some(flag),
            _ => {
                report.wrong_type(node, "true or false");
                None
            }
        }
    }
}

impl Read for f64 {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        match &node.value {
            Value::Number(number) => Some(number.real),
            _ => {
                report.wrong_type(node, "a number");
                None
            }
        }
    }
}

impl Read for Span {
    /// `"250ms"`, `"2s"`, `"1m30s"`, `"1h"`; a bare number is seconds.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let given = match &node.value {
            Value::Number(number) => Some(number.real),
            Value::Text(text) => seconds(text),
            _ => {
                report.wrong_type(node, "a length of time such as \"2s\" or \"250ms\"");
                return None;
            }
        };
        let span = given
            .filter(|seconds| (0.0..=SPAN_MAX.secs_f64()).contains(seconds))
            .map(Self::from_secs_f64);
        if span.is_none() {
            let message = format!("`{}` must be a length of time from 0s to 24h", node.key);
            let help = "write it as \"250ms\", \"2s\", \"1.5s\", \"1m30s\" or \"1h\"; a bare number is seconds";
            report.error(node.spot, code::OUT_OF_RANGE, message, Some(help.into()));
        }
        span
    }
}

/// A length of time in the words of a show file, for those who read it elsewhere.
///
/// # Errors
/// How it is written.
pub fn span(text: &str) -> Result<Span, String> {
    let given = seconds(text).filter(|it| (0.0..=SPAN_MAX.secs_f64()).contains(it));
    given
        .map(Span::from_secs_f64)
        .ok_or_else(|| "write it as 90s, 10m, 1m30s or 1h; 24h at most".into())
}

/// Each unit once, the longest first.
fn seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 4] = [("h", 3600.0), ("m", 60.0), ("s", 1.0), ("ms", 0.001)];
    let mut units = UNITS.iter();
    let mut rest = text.trim();
    let mut total = None;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        total = Some(total.unwrap_or(0.0) + number.parse::<f64>().ok()? * factor);
        rest = tail.trim_start();
    }
    total
}

impl Read for Decibels {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        in_range(report, node, Self::new(f64::read(node, report)?))
    }
}

impl Read for Rgb {
    /// `"#rrggbb"`.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        in_range(report, node, String::read(node, report)?.parse())
    }
}

impl Read for CueNumber {
    /// `1`, `2.5` or `"2.5"`.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let text = match &node.value {
            Value::Number(number) => &number.text,
            Value::Text(text) => text,
            _ => {
                report.wrong_type(node, "a cue number such as 1 or 2.5");
                return None;
            }
        };
        in_range(report, node, text.parse())
    }
}

impl Read for IpAddr {
    /// The address of one machine.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let text = String::read(node, report)?;
        let one = |it: &Self| {
            !it.is_unspecified() && !it.is_multicast() && it.to_string() != "255.255.255.255"
        };
        let address = text.parse().ok().filter(one);
        if address.is_none() {
            let message = format!("`{}`: `{text}` is not the address of one machine", node.key);
            let help = Some("such as \"192.168.1.20\"; a multicast address goes by itself".into());
            report.error(node.spot, code::OUT_OF_RANGE, message, help);
        }
        address
    }
}

impl Read for Subnet {
    /// An address and its shared bits.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let subnet: Result<Self, _> = String::read(node, report)?.parse();
        subnet
            .map_err(|wrong| {
                let message = format!("`{}`: {wrong}", node.key);
                report.error(node.spot, code::OUT_OF_RANGE, message, None);
            })
            .ok()
    }
}

/// One of several words.
pub fn word<T: Copy>(report: &Report, node: &Node, words: &[(&str, T)]) -> Option<T> {
    let text = String::read(node, report)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
    if found.is_none() {
        let known = words.iter().map(|&(word, _)| word);
        let message = format!("`{}` cannot be `{text}`", node.key);
        report.error(node.spot, code::UNKNOWN_WORD, message, suggestion(&text, known));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_as_people_write_them() {
        assert_eq!(seconds("250ms"), Some(0.25));
        assert_eq!(seconds("1.5s"), Some(1.5));
        assert_eq!(seconds("1m30s"), Some(90.0));
        assert_eq!(seconds("1h 2m 3s"), Some(3723.0));
    }

    #[test]
    fn a_length_without_a_unit_or_with_a_strange_one_is_refused() {
        for wrong in ["", "2", "s", "2 parsecs", "30s1m", "1s1s", "-2s", "1.2.3s", "２s"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
