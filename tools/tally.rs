//! Counts what test runners say. In: their lines. Out: how many passed, failed and were skipped, and which.
//!
//! Node's totals count a test that failed only because one inside it did, so its failures are counted by the list that
//! it writes last, where each stands once.
//!
//! Terms: a test is *skipped* when its runner says so, or when it prints `skipped: REASON` because this machine
//! lacks what it needs; then it does not count as passed, whatever its runner thinks.

use std::fmt;
use std::ops::AddAssign;

/// So many tests of each kind, and the names of those that somebody must look at.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Did what they promise, or so their runner says: [`Tally::settled`] takes off those that skipped themselves.
    pub passed: usize,
    /// Did not.
    pub failed: usize,
    /// Could not be tried here.
    pub skipped: usize,
    /// What failed.
    pub failures: Vec<String>,
    /// What was skipped, with the reason where one was given.
    pub skips: Vec<String>,
    /// Tests that said `skipped: …` and that their runner counts as passed.
    excused: usize,
    node: Node,
}

/// What node says of failures, twice.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Node {
    /// By its totals: parents beside their children.
    total: usize,
    /// By its list, once its heading has come.
    listed: Option<usize>,
}

impl Tally {
    /// One thing that passed.
    pub fn pass() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    /// One thing that failed.
    pub fn fail(what: String) -> Self {
        Self { failed: 1, failures: vec![what], ..Self::default() }
    }

    /// One thing that could not be tried.
    pub fn skip(what: String) -> Self {
        Self { skipped: 1, skips: vec![what], ..Self::default() }
    }

    /// Whether any runner has counted anything.
    pub fn is_empty(&self) -> bool {
        self.passed + self.failed + self.skipped == 0
    }

    /// Once all lines are heard: what skipped itself did not pass, and what node lists has failed.
    pub fn settled(mut self) -> Self {
        self.passed -= self.excused.min(self.passed);
        self.excused = 0;
        let Node { total, listed } = std::mem::take(&mut self.node);
        self.failed += listed.filter(|listed| *listed > 0).unwrap_or(total);
        self
    }

    /// A line that cargo's or node's test runner wrote.
    pub fn hear(&mut self, line: &str) {
        // Names stand at the margin of node's list; what they said, a cross perhaps, is set in.
        if let Some(test) = line.strip_prefix("✖ ") {
            self.hear_node_cross(test);
        }
        let line = line.trim();
        if let Some(reason) = line.strip_prefix("skipped: ") {
            self.excused += 1;
            *self += Self::skip(reason.to_owned());
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.hear_cargo_total(counts);
        } else if let Some(test) = line.strip_prefix("test ") {
            self.hear_cargo_test(test);
        } else if let Some(count) = line.strip_prefix("ℹ ") {
            self.hear_node_total(count);
        } else if let Some(test) = line.strip_prefix("﹣ ") {
            self.skips.push(test.to_owned());
        }
    }

    /// `ok. 5 passed; 0 failed; 1 ignored; …`
    fn hear_cargo_total(&mut self, counts: &str) {
        for part in counts.split([';', '.']) {
            match part.trim().split_once(' ') {
                Some((count, "passed")) => self.passed += number(count),
                Some((count, "failed")) => self.failed += number(count),
                Some((count, "ignored")) => self.skipped += number(count),
                _ => {}
            }
        }
    }

    /// `path::name ... ok`, `… FAILED`, or `… ignored, REASON`
    fn hear_cargo_test(&mut self, test: &str) {
        match test.split_once(" ... ") {
            Some((name, "FAILED")) => self.failures.push(name.to_owned()),
            Some((name, how)) if how.starts_with("ignored") => {
                self.skips.push(format!("{name}{}", how.trim_start_matches("ignored")));
            }
            _ => {}
        }
    }

    /// `pass 3`, `fail 0`, `cancelled 0`, `skipped 0`, `todo 0`
    fn hear_node_total(&mut self, count: &str) {
        match count.split_once(' ') {
            Some(("pass", count)) => self.passed += number(count),
            Some(("fail" | "cancelled", count)) => self.node.total += number(count),
            Some(("skipped" | "todo", count)) => self.skipped += number(count),
            _ => {}
        }
    }

    /// `failing tests:`, then `NAME (1.2ms)` for each; before that heading the same names, as they happen.
    fn hear_node_cross(&mut self, test: &str) {
        match &mut self.node.listed {
            None if test.trim_end() == "failing tests:" => self.node.listed = Some(0),
            None => {}
            Some(listed) => {
                *listed += 1;
                let name = test.rsplit_once(" (").map_or(test, |(name, _)| name);
                self.failures.push(name.to_owned());
            }
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or(0)
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.excused += other.excused;
        self.node.total += other.node.total;
        self.node.listed =
            self.node.listed.into_iter().chain(other.node.listed).reduce(|a, b| a + b);
        self.failures.extend(other.failures);
        self.skips.extend(other.skips);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &str) -> Tally {
        let mut tally = Tally::default();
        lines.lines().for_each(|line| tally.hear(line));
        tally.settled()
    }

    #[test]
    fn cargo_is_counted_over_several_binaries_with_names_and_reasons() {
        let tally = heard(
            "running 3 tests\n\
             test fades::s06_holds ... ok\n\
             test fades::s08_ends ... FAILED\n\
             test card::plays ... ignored, needs a sound card\n\
             test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.10s\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        assert_eq!(tally.to_string(), "3 passed, 1 failed, 1 skipped");
        assert_eq!(tally.failures, ["fades::s08_ends"]);
        assert_eq!(tally.skips, ["card::plays, needs a sound card"]);
    }

    #[test]
    fn node_is_counted_and_a_cancelled_test_is_a_failure() {
        let tally = heard(
            "✔ hello is answered (2.1ms)\n\
             ﹣ screen wakes (0.1ms) # no wake lock\n\
             ℹ tests 4\nℹ pass 2\nℹ fail 0\nℹ cancelled 1\nℹ skipped 1\nℹ todo 0\nℹ duration_ms 52.1",
        );
        assert_eq!(tally.to_string(), "2 passed, 1 failed, 1 skipped");
        assert_eq!(tally.skips, ["screen wakes (0.1ms) # no wake lock"]);
    }

    #[test]
    fn nodes_failures_are_named_and_a_parent_that_fails_by_its_child_is_not_counted() {
        let tally = heard(
            "▶ phones in a browser\n  \
               ✔ a screen takes the colour (0.08ms)\n  \
               ✖ sx10: it comes back (really) (0.64ms)\n    \
                 AssertionError: it is where it was\n\
             ✖ phones in a browser (1.17ms)\n\
             ✖ slow (51.1ms)\n\
             ℹ tests 4\nℹ suites 0\nℹ pass 1\nℹ fail 2\nℹ cancelled 1\nℹ skipped 0\nℹ todo 0\n\n\
             ✖ failing tests:\n\n\
             test at tests/browser/phones.test.js:82:11\n\
             ✖ sx10: it comes back (really) (0.64ms)\n  \
               AssertionError: it said\n  \
               ✖ a cross of its own (1ms)\n\n\
             test at tests/browser/phones.test.js:9:1\n\
             ✖ slow (51.1ms)\n  'test timed out after 50ms'",
        );
        assert_eq!(tally.to_string(), "1 passed, 2 failed, 0 skipped");
        assert_eq!(tally.failures, ["sx10: it comes back (really)", "slow"]);
    }

    #[test]
    fn a_test_that_says_it_could_not_run_has_not_passed() {
        let tally = heard(
            "---- ptp::locks stdout ----\nskipped: ptp::locks: no network namespaces here\n\
             test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        assert_eq!(tally.to_string(), "2 passed, 0 failed, 1 skipped");
    }
}
