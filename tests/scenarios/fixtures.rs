//! Fixtures: files of libraries become profiles, and one colour becomes what a fixture has.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use engine::fixture::mix::{Part, appearance, mix};
use engine::fixture::{Colour, Imported, Kelvin, Kind, generic, import, kind, write};
use engine::reader::{Finding, Report, Spot, parse};
use proptest::prelude::*;
use tests::seeds::seeds;
use units::Rgb;
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
