//! A table whose keys are known: what is unknown in it is a finding, what is asked for comes typed.

use std::ops::RangeInclusive;

use units::OutOfRange;

use super::code;
use super::report::{Report, Spot, nearest, suggestion};
use super::tree::{Entry, Node, Value};
use super::words::Read;

/// A table that is being read.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// Where findings go.
    pub report: &'a Report,
    /// The table itself, for what is missing in it.
    pub spot: Spot,
    what: &'static str,
    known: &'static [&'static str],
    entries: &'a [Entry],
}

impl<'a> Table<'a> {
    /// Opens a table. `what` names it with its article, "a cue"; any key but the `known` ones is a finding.
    pub fn open(
        report: &'a Report,
        node: &'a Node,
        what: &'static str,
        known: &'static [&'static str],
    ) -> Option<Self> {
        let Some(entries) = node.entries() else {
            report.wrong_type(node, "a table, { … }");
            return None;
        };
        Some(Self::over(report, node.spot, entries, what, known))
    }

    /// The same, over entries that stand at no one place, such as a whole file's.
    pub fn over(
        report: &'a Report,
        spot: Spot,
        entries: &'a [Entry],
        what: &'static str,
        known: &'static [&'static str],
    ) -> Self {
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let message = format!("unknown key `{}` in {what}", entry.key);
            let help = suggestion(&entry.key, known.iter().copied());
            report.error(entry.spot, code::UNKNOWN_KEY, message, help);
        }
        Self { report, spot, what, known, entries }
    }

    /// The value of a key.
    pub fn node(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// A key with its value.
    pub fn entry(&self, key: &str) -> Option<&'a Entry> {
        debug_assert!(self.known.contains(&key), "{key} is not among the keys of {}", self.what);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The entries of a table within this one; none if it is not there.
    pub fn entries(&self, key: &str, wanted: &str) -> &'a [Entry] {
        let Some(node) = self.node(key) else { return &[] };
        node.entries().unwrap_or_else(|| {
            self.report.wrong_type(node, wanted);
            &[]
        })
    }

    /// A typed value; a wrong one is reported, and none.
    pub fn read<T: Read>(&self, key: &str) -> Option<T> {
        T::read(self.node(key)?, self.report)
    }

    /// A typed value, or what it is when nobody says.
    pub fn or<T: Read>(&self, key: &str, default: T) -> T {
        self.read(key).unwrap_or(default)
    }

    /// A typed value that has to be there.
    pub fn need<T: Read>(&self, key: &str) -> Option<T> {
        if self.node(key).is_none() {
            self.missing(key);
        }
        self.read(key)
    }

    /// A name for people, on one line: a control character would act on every terminal that shows it.
    pub fn line(&self, key: &str) -> Option<String> {
        let node = self.node(key)?;
        let text = String::read(node, self.report)?;
        if text.contains(char::is_control) {
            let message = format!("`{key}` must be one line, without control characters");
            self.report.error(node.spot, code::OUT_OF_RANGE, message, None);
            return None;
        }
        Some(text)
    }

    /// Whether every key in it is known.
    pub fn all_known(&self) -> bool {
        self.entries.iter().all(|entry| self.known.contains(&entry.key.as_str()))
    }

    /// A whole number within a range.
    pub fn whole(&self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        whole(self.report, self.node(key)?, range)
    }

    /// A list of typed values; one alone may stand without its brackets.
    pub fn each<T: Read>(&self, key: &str) -> Vec<T> {
        let items = self.node(key).map_or(&[][..], Node::one_or_many);
        items.iter().filter_map(|item| T::read(item, self.report)).collect()
    }

    /// Says that a key is missing, unless it is there and misspelt: that has been said.
    pub fn missing(&self, key: &str) {
        let unknown = self.entries.iter().filter(|it| !self.known.contains(&it.key.as_str()));
        if unknown.into_iter().any(|entry| nearest(&entry.key, &[key]).is_some()) {
            return;
        }
        let message = format!("{} needs `{key}`", self.what);
        self.report.absent(self.spot, code::MISSING_KEY, message, None);
    }

    /// Says of every key of these that is there that it does nothing without another.
    pub fn no_effect(&self, keys: &[&str], without: &str) {
        for entry in keys.iter().filter_map(|key| self.entry(key)) {
            let message = format!("`{}` does nothing without `{without}`", entry.key);
            self.report.warn(entry.spot, code::NO_EFFECT, message, None);
        }
    }
}

/// A whole number within a range.
pub fn whole(report: &Report, node: &Node, range: RangeInclusive<u32>) -> Option<u32> {
    let Value::Number(number) = &node.value else {
        report.wrong_type(node, "a whole number");
        return None;
    };
    let given = number.whole.and_then(|it| u32::try_from(it).ok()).filter(|it| range.contains(it));
    if given.is_none() {
        let (low, high) = (range.start(), range.end());
        let (key, given) = (&node.key, &number.text);
        let message = format!("`{key}` must be a whole number from {low} to {high}, not {given}");
        report.error(node.spot, code::OUT_OF_RANGE, message, None);
    }
    given
}

/// What a range check of `units` says becomes a finding.
pub fn in_range<T>(report: &Report, node: &Node, given: Result<T, OutOfRange>) -> Option<T> {
    given.map_err(|wrong| report.out_of_range(node, &wrong)).ok()
}
