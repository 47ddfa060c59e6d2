//! Every finding of `check`, as it is printed: one table for each code, reviewed as a diff.
//!
//! A table is a text of sections that begin with `--- NAME`: the files of a show, then `--- findings`, what is
//! printed of them. With UPDATE_TABLES=1 in the environment the last section is written anew: read the diff.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::boxfile;
use engine::fixture::import;
use engine::reader::{Finding, Severity, code};
use engine::show::{
    Act, Loaded, Loops, MediaInfo, SacnIp, Show, Source, Start, Target, Then, load,
};
use proptest::prelude::*;
use units::Span;
use wire::stored::Stored;

/// A show folder in memory, with one sound of ten seconds and one of none.
#[derive(Default)]
struct Folder(BTreeMap<String, String>);

impl Source for Folder {
    fn text(&self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or_else(|| "there is no such file".into())
    }
    fn media(&self, path: &str) -> Result<MediaInfo, String> {
        let frames = match path {
            "audio/song.wav" => 480_000,
            "audio/silence.wav" => 0,
            "video/odd.mp4" => {
                return Ok(MediaInfo::film("5a".repeat(32), 44, Span::from_secs(10)));
            }
            _ => return Err("there is no such file".into()),
        };
        Ok(MediaInfo { sha256: "5a".repeat(32), bytes: 44, rate_hz: 48_000, channels: 2, frames })
    }
    fn capture(&self, path: &str) -> Result<Arc<dyn Stored>, String> {
        let bytes = |name: &str| {
            let seeds = tests::seeds::seeds(&["capture", "fseq"]);
            seeds.into_iter().find(|seed| seed.name == name).map(|seed| seed.bytes)
        };
        let seed = match path {
            "captures/overture.dbl" => bytes("two-universes.txt"),
            "captures/sealed.dbl" => bytes("live-sealed.txt"),
            "captures/cut.dbl" => bytes("cut-in-a-record.txt"),
            "captures/damaged.dbl" => bytes("broken-run-beyond-512.txt"),
            "captures/carol.fseq" => bytes("zstd-2.1-sparse.fseq"),
            _ => None,
        };
        let seed = seed.ok_or("there is no such file")?;
        Ok(Arc::new(seed))
    }
    fn unfit_for_air(&self, path: &str) -> Option<String> {
        (path == "video/odd.mp4").then(|| "its pictures are H.265".into())
    }
    fn has_sound_input(&self) -> Option<bool> {
        Some(false)
    }
    fn phones_let_in_untold(&self) -> Option<u32> {
        self.0.get("box-says-nothing").map(|_| 10)
    }
    fn media_there(&self) -> Vec<String> {
        vec!["audio/song.wav".into(), "audio/silence.wav".into()]
    }
}

fn folder(show: &str) -> Folder {
    Folder(BTreeMap::from([("show.toml".into(), show.into())]))
}

fn checked(show: &str) -> Loaded {
    load("show.toml", &folder(show))
}

fn good(show: &str) -> Show {
    let loaded = checked(show);
    let said: Vec<String> = loaded.findings.iter().map(Finding::to_string).collect();
    loaded.show.unwrap_or_else(|| panic!("{}", said.join("\n")))
}

fn table_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tables/check")
}

/// The code that a table is about is its file's name.
fn tables() -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(table_folder()).expect("the tables are there");
    let mut tables: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|it| it == "txt"))
        .map(|path| (path.file_stem().expect("a name").to_string_lossy().into_owned(), path))
        .collect();
    tables.sort();
    tables
}

struct Sections {
    files: Folder,
    findings: String,
}

fn sections(text: &str) -> Sections {
    let mut files = BTreeMap::new();
    for section in text.split("--- ").skip(1) {
        let (name, body) = section.split_once('\n').expect("a section has a name");
        files.insert(name.to_string(), body.to_string());
    }
    let findings = files.remove("findings").unwrap_or_default();
    Sections { files: Folder(files), findings }
}

fn findings_of(files: &Folder) -> Vec<Finding> {
    if let Some(text) = files.0.get("box.toml") {
        return boxfile::load("box.toml", text).findings;
    }
    let mut imported = files.0.iter().filter(|(name, _)| name.starts_with("import/")).peekable();
    match imported.peek() {
        Some(_) => {
            imported.flat_map(|(name, text)| import(name, text.as_bytes()).findings).collect()
        }
        None => load("show.toml", files).findings,
    }
}

#[test]
fn every_mistake_is_said_with_its_place_its_word_and_what_to_do() {
    for (code, path) in tables() {
        let text = std::fs::read_to_string(&path).expect("a readable table");
        let table = sections(&text);
        let found = findings_of(&table.files);
        let printed: String = found.iter().map(|finding| format!("{finding}\n")).collect();
        if std::env::var_os("UPDATE_TABLES").is_some() {
            let head = text.split("--- findings").next().expect("a table begins with files");
            std::fs::write(&path, format!("{head}--- findings\n{printed}"))
                .expect("a writable table");
        } else {
            assert_eq!(printed, table.findings, "{}", path.display());
        }
        assert!(
            found.iter().any(|finding| finding.code == code),
            "{code} is not found in its own table"
        );
    }
}

#[test]
fn every_code_has_a_table_and_a_word_in_the_documentation() {
    let named: Vec<String> = tables().into_iter().map(|(code, _)| code).collect();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = |name| std::fs::read_to_string(docs.join(name)).expect("the page is there");
    let pages = page("show-file.md") + &page("box-file.md");
    for code in code::ALL {
        assert!(named.iter().any(|name| name == code), "{code} has no table");
        assert!(pages.contains(&format!("| `{code}` |")), "{code} is not documented");
    }
}

const PATCH: &str = r#"
[fixtures]
par = { profile = "generic/rgb", universe = 1, address = 1 }
spot = { profile = "generic/dimmer-rgb", universe = 1, address = 4 }
head = { profile = "generic/mover", universe = 2, address = 1 }
[groups]
front = ["spot", "par"]
"#;

/// Universe, slot (0 for a virtual dimmer) and eight-bit value of everything that the first cue takes.
fn lit(looks: &str, light: &str) -> Vec<(u16, u16, u8)> {
    let cue = format!("[[list]]\nname = \"main\"\ncue = [{{ number = 1, light = {light} }}]\n");
    let show = good(&format!("{PATCH}{looks}\n{cue}"));
    let light = show.lists[0].cues[0].light.as_ref().expect("a light cue");
    let slot = |it: &Target| {
        let (fixture, channel) = show.channel(it.lane).expect("it is patched");
        let slot = channel.offsets.first().map_or(0, |offset| fixture.address.number() + offset);
        (fixture.universe.number(), slot, it.level.slot())
    };
    light.targets.iter().map(slot).collect()
}

#[test]
fn what_holds_for_all_light_is_read_from_the_show_and_its_universes() {
    let said = "[show]\nsacn_sync = 7962\nsacn_ip = \"both\"\nconstant_output = true\n\
        [universes.1]\nsacn = { per_address = true, preview = true }\n\
        [[list]]\nname = \"main\"\ncue = [{ number = 1, phones = { text = \"a\" } }]\n";
    let show = good(said);
    assert_eq!(show.light.sacn_sync.map(units::Universe::number), Some(7962));
    assert_eq!((show.light.sacn_ip, show.light.constant), (SacnIp::Both, true));
    let out = show.universes.values().next().and_then(|out| out.sacn.clone()).expect("sACN");
    assert_eq!((out.multicast, out.per_address, out.preview), (true, true, true));
}

#[test]
fn the_exact_word_wins_over_the_group_wherever_it_stands() {
    let warm = "[looks.warm]\nspot = { dimmer = 100 }\nfront = { dimmer = 50 }\n";
    assert_eq!(lit(warm, "{ look = \"warm\" }"), [(1, 0, 128), (1, 4, 255)]);
}

#[test]
fn a_fixture_without_a_dimmer_has_one_all_the_same() {
    let warm = "[looks.warm]\nfront = { color = \"#ff8000\", dimmer = 50 }\n";
    assert_eq!(
        lit(warm, "{ look = \"warm\" }"),
        [
            (1, 1, 255),
            (1, 2, 128),
            (1, 3, 0),
            (1, 0, 128),
            (1, 4, 128),
            (1, 5, 255),
            (1, 6, 128),
            (1, 7, 0)
        ]
    );
}

#[test]
fn the_levels_of_a_cue_go_over_its_look() {
    let warm = "[looks.warm]\npar = { color = \"#ff0000\", dimmer = 100 }\n";
    let light = "{ look = \"warm\", levels = { front = { dimmer = 20 }, par = { blue = 100 } } }";
    assert_eq!(lit(warm, light), [(1, 1, 255), (1, 2, 0), (1, 3, 255), (1, 0, 51), (1, 4, 51)]);
}

#[test]
fn a_moving_light_takes_one_target_for_two_slots() {
    assert_eq!(
        lit("", "{ levels = { head = { pan = 25, dimmer = 10 } } }"),
        [(2, 1, 64), (2, 5, 26)]
    );
}

#[test]
fn files_of_a_show_flow_together_in_the_order_of_their_includes() {
    let mut files =
        folder("include = [\"more/patch.toml\", \"cues.toml\"]\n[looks.warm]\npar = 50\n");
    files.0.insert("more/patch.toml".into(), format!("include = \"show.toml\"\n{PATCH}"));
    files.0.insert("more/show.toml".into(), "[show]\ntitle = \"Evening\"\npriority = 120\n".into());
    let cue = |number| format!("[[list.cue]]\nnumber = {number}\nlight = {{ look = \"warm\" }}\n");
    files.0.insert("cues.toml".into(), format!("[[list]]\nname = \"main\"\n{}{}", cue(2), cue(1)));
    let loaded = load("show.toml", &files);
    assert_eq!(loaded.findings, []);
    let show = loaded.show.expect("nothing is wrong");
    assert_eq!((show.title.as_str(), show.priority), ("Evening", 120));
    let names: Vec<&str> = show.fixtures.iter().map(|fixture| fixture.name.as_str()).collect();
    assert_eq!(names, ["par", "spot", "head"]);
    let numbers: Vec<String> =
        show.lists[0].cues.iter().map(|cue| cue.number.to_string()).collect();
    assert_eq!(numbers, ["2", "1"]);
}

#[test]
fn a_show_that_cannot_be_read_says_so_and_does_not_run() {
    let loaded = load("show.toml", &Folder::default());
    assert_eq!(loaded.show, None);
    let said: Vec<String> = loaded.findings.iter().map(Finding::to_string).collect();
    assert_eq!(said, ["show.toml:1:1: error: could not read the show: there is no such file"]);
}

#[test]
fn a_warning_does_not_keep_a_show_from_running() {
    let loaded = checked("[[list]]\nname = \"main\"\ncue = [{ number = 1 }]\n");
    assert!(
        loaded.findings.iter().all(|it| it.severity == Severity::Warning) && loaded.show.is_some()
    );
    assert_eq!(loaded.findings.len(), 1);
}

#[test]
fn everything_left_out_has_the_default_that_the_page_promises() {
    let text = "[tracks]\nsong = \"audio/song.wav\"\n[[list]]\nname = \"main\"\ncue = [\
        { number = 1, sound = { track = \"song\", fade_out = \"2s\" } }, \
        { number = 2, phones = { track = \"song\" }, stop = 1 }]\n";
    let show = good(text);
    assert_eq!((show.title.as_str(), show.priority), ("Untitled", 100));
    assert_eq!(show.panic_fade, Span::from_secs(1));
    let [first, second] = &show.lists[0].cues[..] else { panic!("two cues") };
    assert_eq!((first.start, second.start), (Start::Now, Start::Together));
    assert_eq!(first.sound[0].loops, Loops::Times(1));
    assert_eq!(second.acts[0].act, Act::Stop { fade: Span::from_secs(2) });
    assert_eq!((show.media.len(), first.then), (1, Then::Wait));
}

/// Nothing in the file can bring a cue but the one before it, so whatever is written, a chain ends with its list.
#[test]
fn an_auto_follow_loop_cannot_be_written() {
    for word in ["goto", "start", "fire", "go", "follow", "next", "loop", "repeat"] {
        let cue = format!("number = 1\nphones = {{ text = \"x\" }}\n{word} = 1\n");
        let text = format!("[[list]]\nname = \"main\"\n[[list.cue]]\n{cue}");
        assert!(checked(&text).show.is_none(), "{word} brings a cue");
        let text = format!("[[list]]\nname = \"main\"\n{word} = true\n[[list.cue]]\nnumber = 1\n");
        assert!(checked(&text).show.is_none(), "{word} turns a list back to its beginning");
    }
}

/// Whole shows by name; also where the fuzzer begins.
fn seeds() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/show");
    let entries = std::fs::read_dir(folder).expect("the seeds are there");
    let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("a readable folder").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("a readable seed")).collect()
}

#[test]
fn the_seeds_are_shows() {
    for seed in seeds() {
        good(&seed);
    }
}

/// What holds of every text: a show exactly if there is no error, and findings at places that exist.
fn holds(text: &str) {
    let loaded = checked(text);
    let errors = loaded.findings.iter().filter(|it| it.severity == Severity::Error).count();
    assert_eq!(loaded.show.is_some(), errors == 0);
    let lines = text.split('\n').count();
    for finding in &loaded.findings {
        assert!((1..=lines).contains(&finding.line), "{finding}");
        assert!(code::ALL.contains(&finding.code), "{finding}");
        assert!(!finding.to_string().is_empty());
    }
    assert!(loaded.show.iter().all(|show| show.lists.iter().all(|list| !list.cues.is_empty())));
    let boxed = boxfile::load("box.toml", text);
    let errors = boxed.findings.iter().filter(|it| it.severity == Severity::Error).count();
    assert_eq!(boxed.config.is_some(), errors == 0);
}

/// A cut and a paste: `what` (or a stretch of the text itself) comes in the place of some of its characters.
fn mutated(seed: &str, at: f64, drop: usize, what: &str) -> String {
    let chars: Vec<char> = seed.chars().collect();
    let at = (at * chars.len() as f64) as usize;
    let head = chars[..at].iter();
    head.copied().chain(what.chars()).chain(chars[at..].iter().skip(drop).copied()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn hostile_bytes_are_findings_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        holds(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_show_with_a_slip_of_the_pen_is_findings_and_never_a_panic(
        seed in prop::sample::select(seeds()),
        at in 0.0..1.0_f64,
        drop in 0_usize..40,
        what in "[\\[\\]{}=\",.#\\\\\n 0-9a-z-]{0,12}|\\PC{0,8}",
    ) {
        holds(&mutated(&seed, at, drop, &what));
    }
}
