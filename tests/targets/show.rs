//! The show file: every text is a show, or its mistakes are explained; and what is a show can run.

use std::sync::Arc;

use engine::reader::{Finding, Severity, code, json};
use engine::show::{MediaInfo, Show, Source, load};
use engine::told::Command;

use super::Target;
use super::engine::Night;

/// The target.
pub const TARGET: Target = Target { name: "show", folders: &["show", "show-broken"], run };

/// More universes, or cues, than this are not tried out: the case would take too long, and shows nothing new.
const UNIVERSES_TRIED_MAX: usize = 16;
const CUES_TRIED: usize = 12;

fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let loaded = load("show.toml", &Folder { show: text });
    assert_eq!(loaded.show.is_some(), explained(text, "show.toml", &loaded.findings));
    if let Some(show) = loaded.show.filter(|it| it.universes.len() <= UNIVERSES_TRIED_MAX) {
        play(show);
    }
}

/// Whether no finding is an error. All of them have to be at places that exist, in words.
pub(super) fn explained(text: &str, file: &str, findings: &[Finding]) -> bool {
    let lines: Vec<&str> = text.split('\n').collect();
    for finding in findings {
        assert!(!finding.message.is_empty() && !finding.to_string().is_empty());
        assert!(code::ALL.contains(&finding.code), "{finding}");
        assert!(finding.line >= 1 && finding.column >= 1 && finding.length >= 1, "{finding:?}");
        if finding.file == file {
            let line = lines.get(finding.line - 1).expect("the line is in the file");
            assert!(finding.column <= line.chars().count() + 1, "{finding:?}");
        }
    }
    let document: serde_json::Value = serde_json::from_str(&json(findings)).expect("it is JSON");
    assert_eq!(document["findings"].as_array().map(Vec::len), Some(findings.len()));
    findings.iter().all(|it| it.severity == Severity::Warning)
}

/// GO until the list is at its end, and panic.
fn play(show: Show) {
    assert!(!show.lists.is_empty() && show.lists.iter().all(|list| !list.cues.is_empty()));
    let mut night = Night::of(Arc::new(show));
    for _ in 0..CUES_TRIED {
        let _ = night.command(Command::Go { list: None });
        night.wait_ms(700);
    }
    let _ = night.command(Command::Panic);
    night.wait_ms(10_000);
}

/// A show folder: the text, a patch to include, a sound, and a sound of no length.
pub(super) struct Folder<'a> {
    pub(super) show: &'a str,
}

const PATCH: &str =
    "[fixtures]\nfar = { profile = \"generic/dimmer\", universe = 7, address = 1 }\n";

impl Source for Folder<'_> {
    fn text(&self, path: &str) -> Result<String, String> {
        match path {
            "show.toml" => Ok(self.show.into()),
            "patch.toml" => Ok(PATCH.into()),
            _ => Err("there is no such file".into()),
        }
    }
    fn media(&self, path: &str) -> Result<MediaInfo, String> {
        let frames = match path {
            "audio/song.wav" => 480_000,
            "audio/silence.wav" => 0,
            _ => return Err("there is no such file".into()),
        };
        Ok(MediaInfo { sha256: "5a".repeat(32), bytes: 44, rate_hz: 48_000, channels: 2, frames })
    }
    fn media_there(&self) -> Vec<String> {
        vec!["audio/song.wav".into(), "audio/silence.wav".into()]
    }
}
