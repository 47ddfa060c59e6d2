//! Fixtures: files of libraries become profiles, and one colour becomes what a fixture has.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use engine::fixture::mix::{Part, appearance, mix};
use engine::fixture::{Colour, Imported, Kelvin, Kind, generic, import, kind, write};
use engine::light::{Playback, Take, render};
use engine::reader::{Finding, Report, Spot, parse};
use engine::show::{MediaInfo, Show, Source, load};
use proptest::prelude::*;
use tests::seeds::seeds;
use units::{Rgb, ShowTime, Span, Universe};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::tables::compare;

fn read_back(kind_: &Kind) -> (Option<Kind>, Vec<Finding>) {
    let report = Report::new();
    let entries = parse(&report, "profile.toml", &write(kind_));
    let read = kind(&report, Spot { file: 0, start: 0, end: 0 }, &entries);
    (read, report.finish())
}

/// One file, and what becomes of it: the profile as it is written into the show, and what was left out.
fn told(name: &str, bytes: &[u8]) -> String {
    let Imported { kind, findings } = import(name, bytes);
    let mut told = format!("=== {name}\n");
    for finding in findings {
        let _ = writeln!(told, "{finding}");
    }
    told + &kind.map_or(String::new(), |it| write(&it))
}

#[test]
fn files_of_both_libraries_become_profiles_as_reviewed() {
    let all = seeds(&["fixtures"]);
    let all: Vec<String> = all.iter().map(|it| told(&it.name, &it.bytes)).collect();
    compare("fixtures.txt", &all.join("\n"));
}

#[test]
fn what_is_imported_is_read_from_the_show_as_the_very_same() {
    let mut kinds = 0;
    for seed in seeds(&["fixtures"]) {
        let Some(imported) = import(&seed.name, &seed.bytes).kind else { continue };
        assert_eq!(read_back(&imported), (Some(imported), Vec::new()), "{}", seed.name);
        kinds += 1;
    }
    assert!(kinds >= 5);
}

fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file(name, SimpleFileOptions::default()).expect("a file in memory");
    archive.write_all(content).expect("it is in memory");
    archive.finish().expect("it is in memory").into_inner()
}

#[test]
fn an_archive_that_would_fill_the_memory_is_refused() {
    let said = |archive: &[u8]| import("bomb.gdtf", archive).findings[0].to_string();
    let large = archive("description.xml", &vec![b' '; 17 << 20]);
    assert!(large.len() < 1 << 18, "it is small on disk");
    assert!(said(&large).contains("larger than 16 MiB"), "{}", said(&large));
    let other = archive("thumbnail.png", b"a picture");
    assert!(said(&other).contains("has no description.xml"), "{}", said(&other));
    let cut = archive("description.xml", b"<GDTF/>");
    assert!(said(&cut[..cut.len() / 2]).contains("cannot be read"));
}

#[test]
fn descriptions_of_endless_depth_or_number_are_refused_or_cut() {
    let deep = "<a>".repeat(200_000);
    assert!(import("deep.xml", deep.as_bytes()).kind.is_none());
    assert!(import("deep.json", "{\"a\":".repeat(200_000).as_bytes()).kind.is_none());
    let pixels = br#"{"name":"Wall","matrix":{"pixelCount":[1e9,1e9,1e9]},
        "templateChannels":{"Red $pixelKey":{"capability":{"type":"ColorIntensity","color":"Red"}}},
        "modes":[{"name":"1","channels":[{"repeatFor":"eachPixelXYZ","templateChannels":["Red $pixelKey"]}]}]}"#;
    let wall = import("wall.json", pixels).kind.expect("it can be read");
    assert_eq!(wall.modes[0].slots, 512);
}

#[test]
fn generic_kinds_are_there_by_their_names() {
    let kinds: Vec<String> = generic::kinds()
        .map(|(name, kind)| {
            let mode = &kind.modes[0];
            let parts: Vec<String> =
                mode.parts.iter().map(engine::fixture::Part::full_name).collect();
            format!("{name}: {} slots, {}", mode.slots, parts.join(" "))
        })
        .collect();
    compare("generic_fixtures.txt", &(kinds.join("\n") + "\n"));
}

/// What fixtures are made of, in the order in which the table names it.
const KITS: &[(&str, &[&str])] = &[
    ("rgb", &["red", "green", "blue"]),
    ("rgbw", &["red", "green", "blue", "white"]),
    ("rgba", &["red", "green", "blue", "amber"]),
    ("rgbwauv", &["red", "green", "blue", "white", "amber", "uv"]),
    ("rgblime", &["red", "green", "blue", "lime"]),
    ("rgbal", &["red", "green", "blue", "amber", "lime"]),
    ("seven", &["red", "amber", "lime", "green", "cyan", "blue", "indigo"]),
    ("rgbww", &["red", "green", "blue", "warm-white"]),
    ("tunable", &["warm-white", "cool-white"]),
    ("cmy", &["cyan", "magenta", "yellow"]),
    ("cmycto", &["cyan", "magenta", "yellow", "cto"]),
];

const COLOURS: &[&str] = &[
    "#ffffff", "#808080", "#000000", "#ff0000", "#ff8000", "#ffbf00", "#ffff00", "#80ff00",
    "#00ff80", "#00ffff", "#8000ff", "#ff00ff", "#ffc896", "#402010", "2700K", "3200K", "5600K",
    "8000K",
];

fn colour(text: &str) -> Colour {
    match text.strip_suffix('K') {
        Some(kelvin) => {
            Colour::White(Kelvin::new(kelvin.parse().expect("a number")).expect("in range"))
        }
        None => Colour::Rgb(text.parse().expect("a colour")),
    }
}

fn kit(names: &[&'static str]) -> Vec<Part<'static>> {
    let lamp = Kelvin::new(6_500.0).expect("in range");
    let warm = Kelvin::new(2_700.0).expect("in range");
    let kelvin = |name: &str| (name == "cto").then_some([lamp, warm]);
    names.iter().map(|&name| Part { attribute: name, kelvin: kelvin(name), open: 0.0 }).collect()
}

#[test]
fn one_colour_becomes_what_a_fixture_has_as_reviewed() {
    let mut table =
        String::from("Percent of each; what they look like together, red green blue.\n");
    for (name, parts) in KITS {
        let _ = writeln!(table, "\n{name}: {}", parts.join(" "));
        let parts = kit(parts);
        for text in COLOURS {
            let Some(drives) = mix(colour(text), &parts) else {
                let _ = writeln!(table, "{text:8} cannot be made");
                continue;
            };
            let percent = |it: f64| format!("{:6.1}", it * 100.0);
            let each: String =
                drives.iter().map(|it| percent(it.expect("all are colours"))).collect();
            let looks: String = appearance(&parts, &drives).map(percent).concat();
            let _ = writeln!(table, "{text:8}{each}  |{looks}");
        }
    }
    compare("mix.txt", &table);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// Hue, saturation and brightness are kept: what the emitters look like together is the colour.
    #[test]
    fn whatever_a_fixture_has_its_colour_is_the_one_that_was_asked_for(
        at in 0..KITS.len(), red: u8, green: u8, blue: u8,
    ) {
        let parts = kit(KITS[at].1);
        let Some(drives) = mix(Colour::Rgb(Rgb { red, green, blue }), &parts) else { return Ok(()) };
        let looks = appearance(&parts, &drives);
        for (looks, asked) in looks.iter().zip([red, green, blue]) {
            prop_assert!((looks - f64::from(asked) / 255.0).abs() < 1e-9, "{looks} is not {asked}");
        }
        prop_assert!(drives.iter().flatten().all(|it| (0.0..=1.0).contains(it)));
        let uv = parts.iter().position(|it| it.attribute == "uv");
        prop_assert!(uv.is_none_or(|it| drives[it] == Some(0.0)));
    }

    /// A fade over hues has no step: colours that are close are made of drives that are close.
    #[test]
    fn colours_that_are_close_are_made_of_drives_that_are_close(
        at in 0..KITS.len(), red: u8, green: u8, blue in 0_u8..255,
    ) {
        let parts = kit(KITS[at].1);
        let mixed = |blue| mix(Colour::Rgb(Rgb { red, green, blue }), &parts);
        let (Some(one), Some(next)) = (mixed(blue), mixed(blue + 1)) else { return Ok(()) };
        for (one, next) in one.iter().flatten().zip(next.iter().flatten()) {
            prop_assert!((one - next).abs() < 0.04, "{one} to {next}");
        }
    }
}

/// A show with these fixtures and one cue with this light.
fn staged(profiles: &str, fixtures: &str, light: &str) -> Show {
    let cue = format!(
        "[[list]]\nname = \"main\"\ncue = [{{ number = 1, light = {{ levels = {light} }} }}]\n"
    );
    good(&format!("{profiles}\n[fixtures]\n{fixtures}\n{cue}"))
}

/// The universe as a receiver has it when the cue is done, up to the slot.
fn lit(show: &Show, slots: usize) -> Vec<u8> {
    let at = ShowTime::ZERO + Span::from_secs(1000);
    let mut playback = Playback::new(show);
    let light = show.lists[0].cues[0].light.as_ref().expect("a light cue");
    playback.take(&Take { list: 0, at, light });
    let universe = Universe::new(1).expect("a universe");
    let mut frame = [0; 512];
    let plan = playback.plan(1);
    render(plan.universe(universe).expect("it is patched"), at + Span::from_secs(1), &mut frame);
    frame[..slots].to_vec()
}

const HEAD: &str = "[profiles.head]\nchannels = [\"pan\", \"tilt\", \"pan/fine\", \"tilt/fine\", \"dimmer\", \"gobo\", \"cto\"]\n\
    degrees = { pan = 540, tilt = [-100, 140] }\nkelvin = { cto = [6500, 2700] }\n\
    dmx = { dimmer = [10, 110] }\nvalues.gobo = { Open = 0, Dots = 20, Shake = [100, 200] }\n";

#[test]
fn pan_and_tilt_go_to_degrees_over_slots_that_stand_apart() {
    let show = staged(
        HEAD,
        "a = { profile = \"head\", universe = 1, address = 1 }",
        "{ a = { pan = \"135deg\", tilt = \"-100deg\" } }",
    );
    // 405 of 540 degrees are 0.75 of 65,535.
    assert_eq!(lit(&show, 4), [0xbf, 0, 0xff, 0]);
}

#[test]
fn a_head_that_hangs_the_other_way_round_is_told_so_once_in_the_patch() {
    let hung = "a = { profile = \"head\", universe = 1, address = 1, swap_pan_tilt = true, invert = [\"pan\"] }";
    let show = staged(HEAD, hung, "{ a = { pan = \"140deg\", tilt = \"-270deg\" } }");
    // What is called pan is the motor of tilt, and runs backwards: its 140 degrees are 0.
    assert_eq!(lit(&show, 4), [0, 0, 0, 0]);
}

#[test]
fn a_dimmer_that_shares_its_slot_keeps_to_its_range_and_values_have_names() {
    let patched = "a = { profile = \"head\", universe = 1, address = 1 }";
    let show = staged(HEAD, patched, "{ a = { dimmer = 50, gobo = \"dots\", cto = \"2700K\" } }");
    assert_eq!(lit(&show, 7)[4..], [60, 20, 255]);
    let show =
        staged(HEAD, patched, "{ a = { dimmer = 100, gobo = { shake = 50 }, color = \"6500K\" } }");
    assert_eq!(lit(&show, 7)[4..], [110, 150, 0]);
}

#[test]
fn a_virtual_dimmer_is_shared_by_htp_and_answers_by_its_curve() {
    let light = "{ a = { color = \"#ff8000\", dimmer = 50 } }";
    let par = |more: &str| {
        let show = staged(
            "",
            &format!("a = {{ profile = \"generic/rgbw\", universe = 1, address = 1{more} }}"),
            light,
        );
        lit(&show, 4)
    };
    assert_eq!(par(""), [128, 64, 0, 0]);
    assert_eq!(par(", curve = \"square\""), [64, 32, 0, 0]);
    assert_eq!(par(", curve = \"s\""), [128, 64, 0, 0]);
    // Half as bright to the eye is 18 % of the light.
    assert_eq!(par(", curve = \"led\""), [47, 24, 0, 0]);
}

#[test]
fn cells_of_a_bar_are_lit_by_themselves_and_together() {
    let bar = "[profiles.bar]\nchannels = [\"red@1\", \"green@1\", \"blue@1\", \"red@2\", \"green@2\", \"blue@2\", \"strobe\"]\n";
    let patched = "bar = { profile = \"bar\", universe = 1, address = 1 }";
    let both = staged(bar, patched, "{ bar = { color = \"#ff0000\", dimmer = 100, strobe = 10 } }");
    assert_eq!(lit(&both, 7), [255, 0, 0, 255, 0, 0, 26]);
    let show = staged(
        bar,
        patched,
        "{ bar.2.color = \"#0000ff\", bar.dimmer = 100, bar.color = \"#ff0000\" }",
    );
    assert_eq!(lit(&show, 7), [255, 0, 0, 0, 0, 255, 0]);
    let cell = staged(bar, patched, "{ \"bar.1\" = 20 }");
    assert_eq!(lit(&cell, 7), [51, 51, 51, 0, 0, 0, 0]);
}

#[test]
fn cells_are_those_of_one_fixture_and_not_what_has_a_dot_in_its_name() {
    let kinds = "[profiles.bar]\nchannels = [\"strobe\", \"red@1\", \"red@2\"]\n\
        [profiles.bare]\nchannels = [\"red@1\", \"red@2\"]\n";
    let patched = "front = { profile = \"generic/dimmer\", universe = 1, address = 1 }\n\
        bar = { profile = \"bar\", universe = 1, address = 11 }\n\
        \"bar.3\" = { profile = \"generic/dimmer\", universe = 1, address = 21 }\n\
        bare = { profile = \"bare\", universe = 1, address = 31 }";
    let show = staged(kinds, patched, "{ front = 20 }");
    let cells: Vec<_> = show.fixtures.iter().map(|it| (it.name.as_str(), it.cell_of)).collect();
    let of_bar = [("bar", None), ("bar.1", Some(1)), ("bar.2", Some(1)), ("bar.3", None)];
    assert_eq!(cells[0], ("front", None));
    assert_eq!(cells[1..5], of_bar);
    assert_eq!(cells[5..], [("bare.1", None), ("bare.2", None)], "nothing is the whole one's own");
}

#[test]
fn twenty_four_bits_reach_the_wire() {
    let show = staged(
        "[profiles.fine]\nchannels = [\"dimmer/24\"]\n",
        "a = { profile = \"fine\", universe = 1, address = 1 }",
        "{ a = 30 }",
    );
    assert_eq!(lit(&show, 3), [0x4c, 0xcc, 0xcd]);
}

#[test]
fn an_imported_profile_is_patched_by_its_name_and_mode() {
    let bar =
        seeds(&["fixtures"]).into_iter().find(|it| it.name == "bar.ofl").expect("it is there");
    let imported = write(&import("bar.ofl", &bar.bytes).kind.expect("it is one"));
    let show = "[fixtures]\na = { profile = \"bar-4\", mode = \"halves\", universe = 1, address = 1 }\n\
        [[list]]\nname = \"main\"\ncue = [{ number = 1, light = { levels = { a = { color = \"#ff0000\", dimmer = 100, color-preset = \"Rainbow\" } } } }]\n";
    let folder = Folder(
        [("show.toml", show), ("fixtures/bar-4.toml", &imported)]
            .map(|(a, b)| (a.into(), b.into()))
            .into(),
    );
    let loaded = load("show.toml", &folder);
    assert_eq!(loaded.findings, []);
    let show = loaded.show.expect("nothing is wrong");
    assert_eq!(lit(&show, 10), [255, 255, 0, 0, 0, 0, 0, 0, 177, 177]);
}

/// A show folder in memory.
struct Folder(BTreeMap<String, String>);

impl Source for Folder {
    fn text(&self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or_else(|| "there is no such file".into())
    }
    fn media(&self, _path: &str) -> Result<MediaInfo, String> {
        Err("there is no such file".into())
    }
}

fn good(text: &str) -> Show {
    let loaded = load("show.toml", &Folder([("show.toml".into(), text.into())].into()));
    let said: Vec<String> = loaded.findings.iter().map(Finding::to_string).collect();
    loaded.show.unwrap_or_else(|| panic!("{}", said.join("\n")))
}
