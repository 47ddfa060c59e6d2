//! Reads TOML that may be broken, and goes on behind the break.
//!
//! The parser stops at some mistakes and loses everything behind them; an engineer would then mend a file one
//! mistake at a time. So: report the first mistake, blank the line it is in (spaces, so that every other spot
//! stays true), parse again. A broken `[header]` takes its whole section with it, since its keys would
//! otherwise fall into the section before. A line that is fine by itself and stands directly behind a blanked one
//! is a consequence (an open bracket swallows what follows): it is blanked in silence.

use std::ops::Range;

use toml::de::{DeTable, Error};

use super::code;
use super::report::{Report, Spot};
use super::tree::{Entry, entries};

/// Mistakes of syntax that are worth listing; a file with more is not a show file.
const ROUNDS_MAX: usize = 64;

/// The entries of a file, as far as they can be read.
pub fn parse(report: &Report, name: &str, text: &str) -> Vec<Entry> {
    let file = report.add_text(name, text);
    let mut text = text.to_string();
    // Up to here every mistake has been said: what still turns up before it comes of the blanking.
    let mut said_until = 0;
    for _ in 0..ROUNDS_MAX {
        let (table, errors) = DeTable::parse_recoverable(&text);
        let Some(error) = errors.iter().min_by_key(|error| spot_of(error, &text).start) else {
            return entries(file, table.get_ref());
        };
        report.mark_incomplete();
        let at = spot_of(error, &text);
        let line = line_around(&text, at.start);
        let swallowed =
            line.start == said_until && line.start > 0 && stands_alone(&text[line.clone()]);
        if at.start >= said_until && !swallowed {
            let spot = Spot { file, start: at.start, end: at.end };
            report.error(spot, code::SYNTAX, error.message().to_string(), None);
        }
        let broken = if is_header(&text[line.clone()]) { section(&text, line) } else { line };
        if text[broken.clone()].trim().is_empty() {
            return entries(file, table.get_ref());
        }
        said_until = said_until.max(broken.end);
        text = blank(&text, broken);
    }
    Vec::new()
}

fn spot_of(error: &Error, text: &str) -> Range<usize> {
    let Range { start, end } = error.span().unwrap_or(0..0);
    start.min(text.len())..end.min(text.len())
}

/// The line that holds the byte, its end included.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let start = bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |it| it + 1);
    let end =
        bytes[at..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |it| at + it + 1);
    start..end
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

fn stands_alone(line: &str) -> bool {
    DeTable::parse(line).is_ok()
}

/// From a header to the next.
fn section(text: &str, header: Range<usize>) -> Range<usize> {
    let mut end = header.end;
    for line in text[header.end..].split_inclusive('\n') {
        if is_header(line) {
            break;
        }
        end += line.len();
    }
    header.start..end
}

fn blank(text: &str, broken: Range<usize>) -> String {
    let (head, tail) = (&text[..broken.start], &text[broken.end..]);
    let spaces = text[broken].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' });
    head.chars().chain(spaces).chain(tail.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<(usize, String)>) {
        let report = Report::new();
        let keys = parse(&report, "x.toml", text).into_iter().map(|entry| entry.key).collect();
        let found = report.finish().into_iter().map(|it| (it.line, it.message)).collect();
        (keys, found)
    }

    fn lines(text: &str) -> Vec<usize> {
        read(text).1.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn keys_come_in_the_order_of_the_file() {
        assert_eq!(read("b = 1\na = 2\n[d]\n[c]\n").0, ["b", "a", "d", "c"]);
    }

    #[test]
    fn every_broken_line_is_found_and_the_rest_is_read() {
        let (keys, found) = read("a = 01\nb 2\nc = tru\nd = 4\n[e]\nf = \"open\n");
        assert_eq!(keys, ["d", "e"]);
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3, 6]);
    }

    #[test]
    fn a_broken_header_takes_its_section_with_it() {
        let (keys, found) = read("a = 1\n[b\nc = 1\nd = 2\n[e]\n");
        assert_eq!(keys, ["a", "e"]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn an_open_bracket_is_one_mistake_not_one_for_every_line_behind_it() {
        assert_eq!(lines("x = [1,\n2\ny = 3\nz = 4\n[a]\nb = 1\n"), [3]);
    }

    #[test]
    fn a_key_given_twice_is_found() {
        assert_eq!(lines("a = 1\nb = 2\na = 3\n"), [3]);
    }

    #[test]
    fn a_deep_nest_is_refused_not_a_full_stack() {
        assert_eq!(lines(&format!("{} = 1\n", vec!["a"; 100_000].join("."))).len(), 1);
        assert!(!lines(&format!("a = {}", "[".repeat(100_000))).is_empty());
    }
}
