//! The documents say what is so: every test that one of them names is there.

use std::collections::BTreeSet;
use std::path::Path;

const DOCUMENTS: &[&str] = &["docs/conformance.md", "docs/lighting-audit.md"];

#[test]
fn every_test_that_a_document_names_is_there() {
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = String::new();
    for room in ["src", "tests", "tools"] {
        read_all(&house.join(room), &mut sources);
    }
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(house.join(document)).expect("the document is there");
        let named = tests_named_in(&text);
        assert!(named.len() > 10, "{document} names next to nothing");
        for name in named {
            assert!(
                sources.contains(&format!("fn {name}(")),
                "{document} names `{name}`, and there is no such test"
            );
        }
    }
}

/// Words in backticks that read like a test's name: `a_story_told_in_one_line`.
fn tests_named_in(text: &str) -> BTreeSet<&str> {
    let story = |word: &&str| {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        word.matches('_').count() >= 3 && word.chars().all(letters)
    };
    text.split('`').skip(1).step_by(2).filter(story).collect()
}

fn read_all(folder: &Path, into: &mut String) {
    for entry in
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
    {
        let rust = entry.extension().is_some_and(|it| it == "rs");
        if entry.is_dir() && !entry.ends_with("node_modules") {
            read_all(&entry, into);
        } else if rust {
            into.push_str(&std::fs::read_to_string(&entry).expect("text"));
        }
    }
}
