//! The messages in `tests/vectors/solusync`, which the page's tests read, too: each is what it says it is, survives the
//! way there and back, and disturbs no phone.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use units::MonoTime;
use wire::solusync::{self, Message};

use crate::{Core, Event, Start};

#[derive(Deserialize)]
struct Vector {
    name: String,
    is: String,
    text: String,
}

#[expect(clippy::disallowed_methods, reason = "a test reads its vectors")]
fn vectors() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/solusync");
    let files: BTreeMap<_, _> = std::fs::read_dir(folder)
        .expect("the vectors are in the repository")
        .map(|entry| entry.expect("a folder can be listed").path())
        .map(|path| (path.clone(), std::fs::read_to_string(path).expect("a file can be read")))
        .collect();
    files
        .values()
        .flat_map(|text| serde_json::from_str::<Vec<Vector>>(text).expect("vectors"))
        .collect()
}

fn kind(text: &str) -> &'static str {
    match solusync::parse(text) {
        Err(_) => "refused",
        Ok((_, Message::Unknown)) => "unknown",
        Ok((_, Message::Hello(_))) => "hello",
        Ok((_, Message::Welcome(_))) => "welcome",
        Ok((_, Message::ClockSync(_))) => "clock_sync",
        Ok((_, Message::ClockSyncResponse(_))) => "clock_sync_response",
        Ok((_, Message::MediaControl(_))) => "media_control",
        Ok((_, Message::MediaData(_))) => "media_data",
        Ok((_, Message::MediaWanted(_))) => "media_wanted",
        Ok((_, Message::MediaUntaken(_))) => "media_untaken",
        Ok((_, Message::Screen(_))) => "screen",
        Ok((_, Message::Played(_))) => "played",
        Ok((_, Message::ClockCorrection(_))) => "clock_correction",
        Ok((_, Message::NodeStatus(_))) => "node_status",
        Ok((_, Message::MasterElection(_))) => "master_election",
        Ok((_, Message::Calibrate)) => "calibrate",
        Ok((_, Message::CalibrateStart(_))) => "calibrate_start",
        Ok((_, Message::CalibrateHeard(_))) => "calibrate_heard",
        Ok((_, Message::CalibrateRefused(_))) => "calibrate_refused",
        Ok((_, Message::Calibrated(_))) => "calibrated",
        Ok((_, Message::ClockPace(_))) => "clock_pace",
        Ok((_, Message::Standing(_))) => "standing",
        Ok((_, Message::Error(_))) => "error",
    }
}

#[test]
fn sx07_every_vector_is_what_it_says_it_is() {
    let vectors = vectors();
    assert!(vectors.len() > 40);
    for Vector { name, is, text } in vectors {
        assert_eq!(kind(&text), is, "{name}");
    }
}

/// What phones alone say, or boxes among themselves, or what the page reads without the core: a phone need not understand it.
const OF_OTHERS: [&str; 8] = [
    "hello",
    "clock_sync",
    "played",
    "master_election",
    "calibrate",
    "calibrated",
    "media_wanted",
    "media_untaken",
];

#[test]
fn sx07_a_phone_understands_everything_that_a_box_says() {
    for Vector { name, text, .. } in vectors() {
        let (all, ours) = (solusync::parse(&text), solusync::parse_from_box(&text));
        let understood =
            |it: &Result<(_, Message), _>| !matches!(it, Ok((_, Message::Unknown)) | Err(_));
        if understood(&all) && !OF_OTHERS.contains(&kind(&text)) {
            assert_eq!(format!("{all:?}"), format!("{ours:?}"), "{name}");
        }
    }
}

#[test]
fn sx07_what_was_understood_survives_the_way_there_and_back() {
    for Vector { name, text, .. } in vectors() {
        let Ok((header, message)) = solusync::parse(&text) else { continue };
        let again = solusync::emit(&header, &message);
        if !again.is_empty() {
            let (_, twice) = solusync::parse(&again).expect("our own words");
            assert_eq!(solusync::emit(&header, &twice), again, "{name}");
            let (said, meant): (Value, Value) = (
                serde_json::from_str(&text).expect("JSON"),
                serde_json::from_str(&again).expect("JSON"),
            );
            assert_eq!(said["type"], meant["type"], "{name}");
            assert_eq!(said["header"]["id"], meant["header"]["id"], "{name}");
        }
    }
}

/// The codes of the protocol, and no other.
const CODES: [&str; 6] = [
    "forbidden",
    "invalid_payload",
    "rate_limited",
    "too_many_connections",
    "unauthorized",
    "version_mismatch",
];

#[test]
fn sx16_sx17_every_refusal_has_a_vector_and_is_said_with_a_code_and_a_sentence_alone() {
    let mut met = BTreeMap::new();
    for Vector { name, text, .. } in vectors() {
        let Ok((header, message @ Message::Error(_))) = solusync::parse(&text) else { continue };
        let said: Value = serde_json::from_str(&solusync::emit(&header, &message)).expect("JSON");
        let keys: Vec<&String> = said.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["code", "header", "message", "type"], "{name}");
        met.insert(said["code"].as_str().expect("a code").to_owned(), name);
    }
    assert_eq!(met.keys().collect::<Vec<_>>(), CODES);
}

#[test]
fn sx18_no_vector_disturbs_a_phone() {
    let start = Start { chance: "1".into(), unix_ms: 1_790_000_000_000.0, ..Start::default() };
    let mut core = Core::new(MonoTime::from_ns(0), &start);
    for (k, Vector { text, .. }) in vectors().into_iter().enumerate() {
        let now = MonoTime::from_ns(k as i64 * 1_000_000);
        core.handle(now, Event::Opened);
        let turn = core.handle(now, Event::Heard { text, at_ms: None });
        assert!(turn.wake_ms.is_finite());
    }
}
