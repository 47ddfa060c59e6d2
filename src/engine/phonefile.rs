//! The table of phone models, `phones.toml`: how much later than its browser says each kind of phone is heard.
//!
//! In: its text; what a phone says it is. Out: a delay, or findings that name what is wrong. Never: a figure that
//! nobody measured: every entry says who did, and when.
//! `config/phones.toml` is the commented file that comes with the box.

use wire::output::{Device, OutputDelay};

use crate::reader::{Finding, Read, Report, Severity, Spot, Table, code, parse};

/// What is known of phones by their kind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PhoneTable {
    rows: Vec<Row>,
}

/// A kind of phone. A pattern that is left out fits all, and `*` any run of letters.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    model: Option<String>,
    os: Option<String>,
    browser: Option<String>,
    delay: OutputDelay,
}

/// What became of reading a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The table; there is one exactly if no finding is an error.
    pub table: Option<PhoneTable>,
    /// Everything that is wrong with it.
    pub findings: Vec<Finding>,
}

const ROW_KEYS: &[&str] = &["model", "os", "browser", "delay_ms", "spread_ms", "source", "date"];
/// A browser may promise too much latency as well as too little.
const DELAY_RANGE_MS: (f64, f64) = (-500.0, 500.0);
const SPREAD_RANGE_MS: (f64, f64) = (0.0, 500.0);

impl PhoneTable {
    /// What is known of phones like this one; the first entry that fits counts. Nothing of an unknown one.
    pub fn delay_of(&self, device: &Device) -> Option<OutputDelay> {
        self.rows.iter().find(|row| row.fits(device)).map(|row| row.delay)
    }

    /// How many kinds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing is known of any.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Row {
    fn fits(&self, device: &Device) -> bool {
        let fits = |pattern: &Option<String>, said: &Option<String>| match (pattern, said) {
            (None, _) => true,
            (Some(pattern), Some(said)) => matches(&pattern.to_lowercase(), &said.to_lowercase()),
            (Some(_), None) => false,
        };
        fits(&self.model, &device.model)
            && fits(&self.os, &device.os)
            && fits(&self.browser, &device.browser)
    }
}

/// Reads a table; `name` is how findings call it.
pub fn load(name: &str, text: &str) -> Loaded {
    let report = Report::new();
    let entries = parse(&report, name, text);
    let start = Spot { file: 0, start: 0, end: 0 };
    let top = Table::over(&report, start, &entries, "a table of phones", &["phone"]);
    let nodes = top.node("phone").map_or(&[][..], |node| node.one_or_many());
    let rows = nodes
        .iter()
        .filter_map(|node| row(&Table::open(&report, node, "a phone", ROW_KEYS)?))
        .collect();
    let findings = report.finish();
    let sound = findings.iter().all(|finding| finding.severity == Severity::Warning);
    Loaded { table: sound.then_some(PhoneTable { rows }), findings }
}

fn row(table: &Table) -> Option<Row> {
    let (model, os, browser) = (table.line("model"), table.line("os"), table.line("browser"));
    if ["model", "os", "browser"].iter().all(|key| table.node(key).is_none()) {
        table.missing("model");
    }
    for key in ["source", "date"] {
        let _: Option<String> = table.need(key);
    }
    let delay_ms = within(table, "delay_ms", DELAY_RANGE_MS);
    let spread_ms = within(table, "spread_ms", SPREAD_RANGE_MS);
    let delay = OutputDelay { delay_ms: delay_ms?, spread_ms: spread_ms? };
    Some(Row { model, os, browser, delay })
}

fn within(table: &Table, key: &str, (low, high): (f64, f64)) -> Option<f64> {
    let Some(node) = table.node(key) else {
        table.missing(key);
        return None;
    };
    let given = f64::read(node, table.report)?;
    if (low..=high).contains(&given) {
        return Some(given);
    }
    let message = format!("`{key}` must be from {low} to {high}, not {given}");
    table.report.error(node.spot, code::OUT_OF_RANGE, message, None);
    None
}

/// Whether a text fits a pattern whose stars stand for any run of letters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device(model: &str, os: &str, browser: &str) -> Device {
        let some = |it: &str| (!it.is_empty()).then(|| it.to_owned());
        Device { model: some(model), os: some(os), browser: some(browser) }
    }

    const TEXT: &str = "[[phone]]\nmodel = \"Box Phone 3\"\nbrowser = \"Chrome *\"\ndelay_ms = 12.5\n\
        spread_ms = 1.5\nsource = \"a test\"\ndate = \"2026-11-25\"\n\
        [[phone]]\nmodel = \"box*phone*\"\ndelay_ms = -3\nspread_ms = 2\nsource = \"a test\"\ndate = \"2026-11-25\"\n";

    #[test]
    fn sx20_a_phone_gets_the_delay_of_its_kind_and_an_unknown_one_nothing() {
        let table = load("phones.toml", TEXT).table.expect("a good table");
        let delay = |device| table.delay_of(&device).map(|it| it.delay_ms);
        assert_eq!(delay(device("Box Phone 3", "Android 14", "Chrome 126")), Some(12.5));
        assert_eq!(delay(device("BOX phone 3", "", "Firefox 127")), Some(-3.0));
        assert_eq!(delay(device("Boxy Phone 3", "", "")), Some(-3.0));
        assert_eq!(delay(device("Phone 3", "", "Chrome 126")), None);
        assert_eq!(delay(device("", "", "")), None);
    }

    #[test]
    fn the_table_that_comes_with_the_box_is_sound() {
        let loaded = load("config/phones.toml", include_str!("../../config/phones.toml"));
        assert_eq!(loaded.findings, []);
        assert!(loaded.table.is_some_and(|table| table.is_empty()), "nobody has measured one yet");
    }

    #[test]
    fn its_own_example_is_sound_when_the_hashes_are_taken_away() {
        let text = include_str!("../../config/phones.toml");
        let example = text.split("[[phone]]").nth(1).expect("an example");
        let line = |line: &str| line.strip_prefix("# ").unwrap_or("").to_owned();
        let lines: Vec<String> = example.lines().map(line).collect();
        let text = format!("[[phone]]\n{}", lines.join("\n"));
        let loaded = load("phones.toml", &text);
        assert_eq!(loaded.findings, []);
        assert_eq!(loaded.table.map(|table| table.len()), Some(1));
    }

    #[test]
    fn every_mistake_has_its_place() {
        let text =
            "[[phone]]\nmodle = \"x\"\ndelay_ms = 900\nspread_ms = \"some\"\nsource = \"a\"\n";
        let findings = load("phones.toml", text).findings;
        let said: Vec<String> = findings
            .iter()
            .map(|it| format!("{}:{}:{} {}", it.file, it.line, it.column, it.message))
            .collect();
        assert_eq!(
            said,
            [
                "phones.toml:1:1 a phone needs `date`",
                "phones.toml:2:1 unknown key `modle` in a phone",
                "phones.toml:3:12 `delay_ms` must be from -500 to 500, not 900",
                "phones.toml:4:13 `spread_ms` must be a number, not a text",
            ]
        );
    }

    proptest! {
        #[test]
        fn a_pattern_without_stars_is_the_text_itself(text in "[a-z ]{0,12}", other in "[a-z ]{0,12}") {
            let (head, tail) = (format!("{text}*"), format!("*{other}"));
            let whole = format!("{text}{other}");
            let all = [(&text, &text), (&head, &whole), (&tail, &whole)];
            prop_assert!(all.iter().all(|(pattern, text)| matches(pattern, text)));
            prop_assert_eq!(matches(&text, &other), text == other);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            load("phones.toml", &text);
        }
    }
}
