//! Collects findings while files are read.

use std::cell::{Cell, RefCell};

use units::OutOfRange;

use super::finding::{Finding, Severity};
use super::{Node, code};

/// A stretch of a file's text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Which file, in the order of [`Report::add_text`].
    pub file: usize,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// A line longer than this is not quoted: nobody reads it, and a report of a hostile file stays small.
const LINE_QUOTED_MAX: usize = 400;

/// A list of what is known is cut here: help is to be read at a glance.
const KNOWN_LISTED_MAX: usize = 12;

/// Words longer than this are not typing mistakes, and cost too much to compare.
const WORD_COMPARED_MAX: usize = 64;

/// What has been found so far. Everybody who reads holds it at the same time, so it changes behind a shared reference.
#[derive(Debug, Default)]
pub struct Report {
    texts: RefCell<Vec<Text>>,
    found: RefCell<Vec<(Spot, Finding)>>,
    incomplete: Cell<bool>,
}

#[derive(Debug)]
struct Text {
    name: String,
    text: String,
    line_starts: Vec<usize>,
}

impl Report {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a file in, and says its index.
    pub fn add_text(&self, name: &str, text: &str) -> usize {
        let starts =
            text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(starts).collect();
        self.texts.borrow_mut().push(Text { name: name.into(), text: text.into(), line_starts });
        self.texts.borrow().len() - 1
    }

    /// Something that keeps it from running.
    pub fn error(&self, spot: Spot, code: &'static str, message: String, help: Option<String>) {
        self.add(Severity::Error, spot, code, message, help);
    }

    /// Something that is probably not meant.
    pub fn warn(&self, spot: Spot, code: &'static str, message: String, help: Option<String>) {
        self.add(Severity::Warning, spot, code, message, help);
    }

    /// Something that is not there. Silent when a part of the text could not be read: it may stand in that part.
    pub fn absent(&self, spot: Spot, code: &'static str, message: String, help: Option<String>) {
        if !self.incomplete.get() {
            self.error(spot, code, message, help);
        }
    }

    /// A part of the text could not be read.
    pub fn mark_incomplete(&self) {
        self.incomplete.set(true);
    }

    /// A value of the wrong kind; `wanted` reads after "must be".
    pub fn wrong_type(&self, node: &Node, wanted: &str) {
        let message = format!("`{}` must be {wanted}, not {}", node.key, node.value.kind());
        self.error(node.spot, code::WRONG_TYPE, message, None);
    }

    /// A value outside its range.
    pub fn out_of_range(&self, node: &Node, wrong: &OutOfRange) {
        self.error(node.spot, code::OUT_OF_RANGE, format!("`{}`: {wrong}", node.key), None);
    }

    /// A name that stands for nothing: `kind` is what it should be, `known` all there are.
    pub fn unknown<'a>(
        &self,
        spot: Spot,
        code: &'static str,
        kind: &str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) {
        self.absent(spot, code, format!("there is no {kind} `{name}`"), suggestion(name, known));
    }

    /// A name that is taken already, and where.
    pub fn duplicate(&self, spot: Spot, code: &'static str, what: &str, first: Spot) {
        let message = format!("{what} is there already, at {}", self.place(first));
        self.error(spot, code, message, None);
    }

    /// `FILE:LINE` of a spot.
    pub fn place(&self, spot: Spot) -> String {
        let texts = self.texts.borrow();
        let text = &texts[spot.file];
        format!("{}:{}", text.name, text.line_of(spot.start) + 1)
    }

    /// Everything that was found, in the order of the files and their lines, each thing once.
    pub fn finish(self) -> Vec<Finding> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(spot, _)| (spot.file, spot.start));
        let mut findings: Vec<Finding> = found.into_iter().map(|(_, finding)| finding).collect();
        findings.dedup();
        findings
    }

    fn add(
        &self,
        severity: Severity,
        spot: Spot,
        code: &'static str,
        message: String,
        help: Option<String>,
    ) {
        let finding = self.texts.borrow()[spot.file].finding(severity, spot, code, message, help);
        self.found.borrow_mut().push((spot, finding));
    }
}

impl Text {
    fn finding(
        &self,
        severity: Severity,
        spot: Spot,
        code: &'static str,
        message: String,
        help: Option<String>,
    ) -> Finding {
        let line = self.line_of(spot.start);
        let start = self.line_starts[line];
        let end = self.line_starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let whole = self.text[start..end].trim_end_matches('\r');
        let before = self.chars(start, spot.start.min(start + whole.len()));
        let length = self.chars(spot.start, spot.end.min(start + whole.len())).max(1);
        let quoted = if whole.len() > LINE_QUOTED_MAX { "" } else { whole };
        Finding {
            severity,
            file: self.name.clone(),
            line: line + 1,
            column: before + 1,
            length,
            code,
            message,
            help,
            text_of_line: quoted.into(),
        }
    }

    /// Counted from 0.
    fn line_of(&self, at: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= at) - 1
    }

    fn chars(&self, start: usize, end: usize) -> usize {
        self.text.get(start..end).map_or(0, |it| it.chars().count())
    }
}

/// "did you mean …" if something known is near, else what is known.
pub fn suggestion<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.collect();
    if let Some(near) = nearest(word, &known) {
        return Some(format!("did you mean `{near}`?"));
    }
    let listed: Vec<String> =
        known.iter().take(KNOWN_LISTED_MAX).map(|it| format!("`{it}`")).collect();
    let more = if known.len() > KNOWN_LISTED_MAX { ", …" } else { "" };
    (!listed.is_empty()).then(|| format!("there is {}{more}", listed.join(", ")))
}

/// Near is: a third of the letters wrong at most, two neighbours swapped counting once; and half of those that are meant
/// have to be right, since of three letters any two make another word.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > WORD_COMPARED_MAX {
        return None;
    }
    let wrong_max = word.chars().count().div_ceil(3);
    let near = known.iter().filter(|it| it.len().abs_diff(word.len()) <= 4 * wrong_max);
    near.map(|it| (strsim::osa_distance(&word.to_lowercase(), &it.to_lowercase()), *it))
        .filter(|&(wrong, it)| wrong <= wrong_max && 2 * wrong <= it.chars().count())
        .min_by_key(|&(wrong, _)| wrong)
        .map(|(_, it)| it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, start: usize, end: usize) -> Finding {
        let report = Report::new();
        let file = report.add_text("show.toml", text);
        report.error(Spot { file, start, end }, code::SYNTAX, "wrong".into(), None);
        report.finish().remove(0)
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        let finding = found("name = \"Öde\"\nkey = 1\n", 7, 13);
        assert_eq!((finding.line, finding.column, finding.length), (1, 8, 5));
    }

    #[test]
    fn a_spot_over_several_lines_is_underlined_on_its_first() {
        let finding = found("a = [\r\n1,\r\n]", 4, 12);
        assert_eq!((finding.line, finding.column, finding.length), (1, 5, 1));
        assert_eq!(finding.text_of_line, "a = [");
    }

    #[test]
    fn the_end_of_an_empty_text_is_a_place() {
        let finding = found("", 0, 0);
        assert_eq!((finding.line, finding.column, finding.length), (1, 1, 1));
    }

    #[test]
    fn a_line_nobody_could_read_is_not_quoted() {
        assert_eq!(found(&"x".repeat(500), 3, 4).text_of_line, "");
    }

    #[test]
    fn a_typing_mistake_finds_its_word_and_nonsense_finds_the_list() {
        let known = || ["fade", "curve", "look"].into_iter();
        assert_eq!(suggestion("fad", known()).as_deref(), Some("did you mean `fade`?"));
        assert_eq!(suggestion("cruve", known()).as_deref(), Some("did you mean `curve`?"));
        let list = Some("there is `fade`, `curve`, `look`");
        assert_eq!(suggestion("banana", known()).as_deref(), list);
        assert_eq!(suggestion("x", std::iter::empty()), None);
    }
}
