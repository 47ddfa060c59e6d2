//! Fixture files of both libraries: what cannot be read is explained, and what can is the same once it is in a show.

use engine::fixture::{Imported, Kind, import, kind, write};
use engine::reader::{Report, Severity, Spot, code, parse};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "fixture", folders: &["fixtures"], run };

fn run(bytes: &[u8]) {
    let Imported { kind, findings } = import("fixture", bytes);
    let sound = findings.iter().all(|it| it.severity == Severity::Warning);
    assert_eq!(kind.is_some(), sound);
    for finding in &findings {
        assert!(code::ALL.contains(&finding.code) && !finding.to_string().is_empty(), "{finding}");
        assert!(finding.line >= 1 && finding.column >= 1 && finding.length >= 1, "{finding:?}");
    }
    if let Some(kind) = kind {
        keeps_its_bounds(&kind);
        is_read_back(kind);
    }
}

fn keeps_its_bounds(kind: &Kind) {
    assert!((1..=512).contains(&kind.modes.len()));
    for mode in &kind.modes {
        assert!((1..=512).contains(&mode.slots));
        let slots = mode.parts.iter().flat_map(|it| &it.slots);
        let mut slots: Vec<&u16> = slots.inspect(|it| assert!(**it < mode.slots)).collect();
        let count = slots.len();
        slots.sort_unstable();
        slots.dedup();
        assert_eq!(slots.len(), count, "two parts share a slot");
    }
}

fn is_read_back(imported: Kind) {
    let report = Report::new();
    let entries = parse(&report, "profile.toml", &write(&imported));
    let read = kind(&report, Spot { file: 0, start: 0, end: 0 }, &entries);
    assert_eq!(report.finish(), Vec::new());
    let read = read.expect("without a finding there is a kind");
    for (read, imported) in read.modes.iter().zip(&imported.modes) {
        for (read, imported) in read.parts.iter().zip(&imported.parts) {
            assert_eq!(read, imported, "in mode `{}`", read.full_name());
        }
    }
    assert_eq!(read, imported);
}
