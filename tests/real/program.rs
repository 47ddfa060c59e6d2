//! The program from outside: exit codes, the control socket, the pages, signals.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use units::{ShowTime, Span, Universe};
use wire::capture::talk::Talk;
use wire::capture::{Head, Reader, Record, Writer};

use crate::the_box::{
    Place, TheBox, body, click, exchange, exists, noise, path, program, unfinished,
};
use crate::ws::Phone;

fn code(output: &std::process::Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_mistake_of_usage_is_2_and_help_is_0() {
    let usage = program().arg("waltz").output().expect("it starts");
    assert_eq!(code(&usage), 2);
    let help = program().arg("--help").output().expect("it starts");
    assert_eq!(code(&help), 0);
    assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"));
}

#[test]
fn ca08_check_says_where_the_mistake_is_and_exits_1() {
    let place = Place::new();
    let folder = place.folder.path().to_str().expect("a plain path").to_owned();
    let sound = program().args(["check", &folder]).output().expect("it starts");
    assert_eq!(code(&sound), 0, "{}", said(&sound));
    let text = std::fs::read_to_string(place.path("show.toml")).expect("ours");
    std::fs::write(place.path("show.toml"), text.replace(", fade =", ", fdae =")).expect("ours");
    let broken = program().args(["check", &folder]).output().expect("it starts");
    assert_eq!(code(&broken), 1);
    let printed = String::from_utf8_lossy(&broken.stdout).into_owned();
    let line = text.lines().position(|line| line.contains(", fade =")).map(|index| index + 1);
    let place_of_it = format!("{folder}/show.toml:{}:", line.expect("the show has a fade"));
    assert!(printed.contains(&place_of_it), "{printed}");
    let json = program().args(["check", &folder, "--format", "json"]).output().expect("it starts");
    let document: Value = serde_json::from_slice(&json.stdout).expect("one document");
    assert_eq!((code(&json), &document["errors"]), (1, &Value::from(1)));
}

#[test]
fn check_finds_what_cannot_go_on_air_and_by_which_box() {
    let place = Place::new();
    let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/film/vp8.webm");
    std::fs::copy(film, place.path("odd.webm")).expect("written");
    let show = "[tracks]\nodd = \"odd.webm\"\n[[list]]\nname = \"main\"\n[[list.cue]]\n\
        number = 1\nair = \"odd\"\n[[list.cue]]\nnumber = 2\nair = \"input\"\n";
    std::fs::write(place.path("show.toml"), show).expect("ours");
    let check = |more: &[&str]| {
        let checked = program().arg("check").arg(place.folder.path()).args(more).output();
        let checked = checked.expect("it starts");
        assert_eq!(code(&checked), 1);
        String::from_utf8_lossy(&checked.stdout).into_owned()
    };
    let unfit = "show.toml:7:7: error: `odd.webm` cannot go on air: its pictures are V_VP8";
    let nameless = check(&[]);
    assert!(nameless.contains(unfit) && !nameless.contains("input"), "{nameless}");
    let by_box = check(&["--box", place.path("box.toml").to_str().expect("plain")]);
    assert!(by_box.contains("show.toml:10:7: error: this box has no sound input"), "{by_box}");
}

#[test]
fn ca08_a_show_that_does_not_check_does_not_run() {
    let place = Place::new();
    std::fs::write(place.path("show.toml"), "[shwo]\n").expect("ours");
    let folder = place.folder.path().to_owned();
    let output = place.downbeat(&["run"]).arg(folder).output().expect("it starts");
    assert_eq!(code(&output), 1);
    assert!(said(&output).contains("show.toml:1:2"), "{}", said(&output));
    assert!(!exists(&place.socket()));
}

#[test]
fn without_a_box_a_live_command_says_so_and_exits_1() {
    let place = Place::new();
    let output = place.downbeat(&["go"]).output().expect("it starts");
    assert_eq!(code(&output), 1);
    assert!(said(&output).contains("no box is running"), "{}", said(&output));
}

#[test]
fn a_box_without_a_terminal_fires_nothing_by_itself_and_leaves_at_sigterm() {
    let mut the_box = TheBox::start();
    let status = the_box.ask_json(&["status"]);
    assert_eq!(status["show"]["lists"][0]["standby"]["number"], "1");
    assert_eq!(status["show"]["lists"][0]["last"], Value::Null);
    assert_eq!(status["show"]["running"], Value::Array(Vec::new()));
    assert!(the_box.is_alive(), "its input has ended, it goes on");
    the_box.signal(Signal::SIGTERM);
    let (status, took) = the_box.wait_for_the_end();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!exists(&the_box.place.socket()), "the socket's file goes with it");
}

#[test]
fn sigint_is_a_planned_exit_too() {
    let mut the_box = TheBox::start();
    the_box.signal(Signal::SIGINT);
    assert_eq!(the_box.wait_for_the_end().0.code(), Some(0));
}

#[test]
fn a_go_from_the_command_line_fires_and_the_story_tells() {
    let mut the_box = TheBox::start();
    let output = the_box.ask(&["go"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    the_box.wait_for_line("cue 1 \"Warm\" began");
    let status = the_box.ask_json(&["status"]);
    assert_eq!(status["show"]["lists"][0]["last"]["number"], "1");
    assert_eq!(status["show"]["lists"][0]["standby"]["number"], "2");
}

#[test]
fn masters_blackout_park_release_blind_and_air_go_by_words_and_status_shows_them() {
    let the_box = TheBox::start();
    let does = |words: &[&str], says: &str| {
        let output = the_box.ask(words);
        assert_eq!(code(&output), 0, "{words:?}: {}", said(&output));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.contains(says), "{words:?}: {printed}");
    };
    does(&["master", "grand", "42.5"], "42.5");
    does(&["blackout"], "blackout");
    does(&["park", "par.red", "80"], "par.red");
    does(&["park", "1/3"], "1/3");
    does(&["blind", "3"], "3");
    does(&["air", "tone"], "tone is on air");
    let show = the_box.ask_json(&["status"])["show"].clone();
    assert_eq!(show["masters"][0], serde_json::json!({ "name": "grand", "level_percent": 42.5 }));
    assert_eq!((&show["blackout"], &show["blind"]), (&true.into(), &"3".into()), "{show}");
    assert_eq!(show["on_air"], "tone");
    assert_eq!(show["parked"], serde_json::json!(["par.red", "1/3"]));
    let words = the_box.ask(&["status"]).stdout;
    let words = String::from_utf8_lossy(&words).into_owned();
    for line in [
        "BLACKOUT",
        "PARKED   par.red, 1/3",
        "BLIND    3",
        "ON AIR   tone",
        "master   grand at 42.5%",
    ] {
        assert!(words.contains(line), "{words}");
    }
    does(&["unpark", "1/3"], "1/3");
    does(&["unpark"], "");
    does(&["blackout", "off"], "blackout");
    does(&["blind"], "");
    does(&["air"], "nothing is on air");
    does(&["release", "--list", "balcony"], "balcony");
    let show = the_box.ask_json(&["status"])["show"].clone();
    assert_eq!(
        (&show["blackout"], &show["parked"], &show["blind"], &show["on_air"]),
        (&false.into(), &serde_json::json!([]), &Value::Null, &Value::Null)
    );
    let refused = the_box.ask(&["master", "nobody", "10"]);
    assert_eq!((code(&refused), said(&refused).contains("no master `nobody`")), (1, true));
}

#[test]
fn a_track_that_cannot_be_read_leaves_the_air_silent_and_says_so() {
    let mut the_box = TheBox::start();
    assert_eq!(code(&the_box.ask(&["air", "tone"])), 0);
    // Copied over badly since the show was checked.
    std::fs::write(the_box.place.path("click.wav"), b"no sound").expect("written");
    assert_eq!(code(&the_box.ask(&["air", "track_001"])), 0);
    let line = the_box.wait_for_line("track_001 is not on air: ");
    assert!(line.contains("click.wav"), "{line}");
    let show = the_box.ask_json(&["status"])["show"].clone();
    assert_eq!(show["on_air"], Value::Null, "not the tone of before either");
    let refused = the_box.ask(&["air", "nothing"]);
    assert_eq!((code(&refused), said(&refused).contains("no track `nothing`")), (1, true));
}

#[test]
fn a_refusal_is_a_sentence_and_exit_1() {
    let the_box = TheBox::start();
    let output = the_box.ask(&["fire", "99"]);
    assert_eq!((code(&output), said(&output).as_str()), (1, "downbeat: there is no cue 99\n"));
    let output = the_box.ask(&["fire", "99", "--json"]);
    assert_eq!(code(&output), 1);
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document["refused"]["code"], "no_such_cue");
}

#[test]
fn a_command_sent_twice_is_done_once_and_answered_alike() {
    let the_box = TheBox::start();
    let (first, one) = the_box.knock("POST", "/api/v1/go", r#"{"id":"press-1"}"#);
    let (second, other) = the_box.knock("POST", "/api/v1/go", r#"{"id":"press-1"}"#);
    assert_eq!((first, second), (200, 200));
    assert_eq!(body(&one), body(&other));
    assert_eq!(body(&one)["done"]["fired"], "1");
    assert_eq!(the_box.ask_json(&["status"])["show"]["lists"][0]["last"]["number"], "1");
}

#[test]
fn commands_that_make_no_sense_are_400_and_change_nothing() {
    let the_box = TheBox::start();
    for (path, text) in [
        ("fire", ""),
        ("fire", r#"{"cue":"x"}"#),
        ("go", "{"),
        ("go", r#"{"lsit":"main"}"#),
        ("stop", r#"{"cue":"1"}"#),
    ] {
        let (status, answer) = the_box.knock("POST", &format!("/api/v1/{path}"), text);
        assert_eq!(status, 400, "{path} {text}: {answer}");
        assert_eq!(body(&answer)["error"]["code"], "bad_request");
    }
    for (method, word) in [("POST", "waltz"), ("GET", "waltz"), ("GET", "go")] {
        let (status, answer) = the_box.knock(method, &format!("/api/v1/{word}"), "");
        assert_eq!(status, 404, "{method} {word}: {answer}");
        assert_eq!(body(&answer)["error"]["code"], "not_found");
    }
    for (method, path, status, code) in [
        ("GET", "receipts?limit=x", 400, "bad_request"),
        ("GET", "record?phones=maybe", 400, "bad_request"),
        ("POST", "token", 400, "bad_request"),
        ("POST", "status", 405, "method_not_allowed"),
        ("GET", "token", 405, "method_not_allowed"),
    ] {
        let (is, answer) = the_box.knock(method, &format!("/api/v1/{path}"), "");
        assert_eq!(
            (is, &body(&answer)["error"]["code"]),
            (status, &code.into()),
            "{method} {path}"
        );
    }
    assert_eq!(the_box.ask_json(&["status"])["show"]["lists"][0]["last"], Value::Null);
}

#[test]
fn a_token_is_made_for_whoever_asks_on_the_socket_whatever_kind_of_body_it_says_that_is() {
    let the_box = TheBox::start();
    let (status, answer) = the_box.knock("POST", "/api/v1/token", r#"{"role":"operator"}"#);
    assert_eq!((status, &body(&answer)["done"]["role"]), (200, &"operator".into()), "{answer}");
}

#[test]
fn every_document_has_its_documented_keys() {
    let the_box = TheBox::start();
    assert_eq!(code(&the_box.ask(&["go"])), 0);
    let keys = |value: &Value| -> Vec<String> {
        value.as_object().map(|it| it.keys().cloned().collect()).unwrap_or_default()
    };
    let status = the_box.ask_json(&["status"]);
    assert_eq!(keys(&status), ["box", "clock", "cluster", "light", "phones", "show", "sound"]);
    assert_eq!(status["cluster"], Value::Null, "this box is alone");
    let box_ = &status["box"];
    let of_box = ["certificate", "name", "node_id", "secure_urls", "simulated", "urls", "version"];
    assert_eq!(keys(box_), of_box);
    assert_eq!(box_["certificate"], Value::Null, "none was imported");
    let list = &status["show"]["lists"][0];
    assert_eq!(keys(list), ["coming", "coming_tai_ns", "last", "name", "standby", "timecode"]);
    let clock = the_box.ask_json(&["clock"]);
    let of_clock: Vec<&str> = "age_s agreement domain error_bound_ns history identity master now now_tai_ns \
        now_unix_s offset_ns path_delay_ns peers ports ptp rate_ppm role source stamps state step_wanted_ns \
        tai_utc_s timescale why"
        .split_whitespace()
        .collect();
    assert_eq!(keys(&clock), of_clock);
    assert_eq!(clock["now"]["tai_ns"], clock["now_tai_ns"]);
    assert!(clock["now"]["mono_ns"].as_i64().is_some_and(|mono_ns| mono_ns > 0));
    assert_eq!(clock["error_bound_ns"], Value::Null, "unknown is never 0");
    let cues = the_box.ask_json(&["cues"]);
    assert_eq!(cues["lists"][0]["cues"][1]["standby"], true);
    let of_cue = [
        "acts",
        "air",
        "at",
        "light",
        "name",
        "number",
        "phones",
        "post_wait_ns",
        "pre_wait_ns",
        "running",
        "sends",
        "sound",
        "standby",
        "then",
        "timecode",
    ];
    assert_eq!(keys(&cues["lists"][0]["cues"][0]), of_cue);
    let universes = the_box.ask_json(&["universes"]);
    assert_eq!(universes["universes"].as_array().map(Vec::len), Some(1));
    let phones = the_box.ask_json(&["phones"]);
    let of_phones =
        ["delivery", "hello", "phones", "ready", "refused", "sockets", "summary", "turned_away"];
    assert_eq!(keys(&phones), of_phones);
    assert_eq!(keys(&phones["delivery"]), ["auto", "late", "lead_ns", "reached", "words"]);
    let _phone = Phone::join(&the_box);
    let documented = include_str!("../../docs/status.md");
    let of_phone = keys(&the_box.ask_json(&["phones"])["phones"][0]);
    assert!(of_phone.contains(&"role".to_owned()), "{of_phone:?}");
    for key in of_phone {
        assert!(documented.contains(&format!("| `{key}` |")), "docs/status.md lacks `{key}`");
    }
    let receipts = the_box.ask_json(&["receipts"]);
    assert_eq!(receipts["orders"][0]["order"]["cue"], "1");
    assert_eq!(keys(&receipts["orders"][0]), ["late_ns", "order", "receipt"]);
    let answer = the_box.ask(&["rdm", "list"]);
    assert_eq!(code(&answer), 1, "a show without Art-Net has no lamps to ask");
    assert!(said(&answer).contains("no universe that leaves as Art-Net"), "{}", said(&answer));
    for word in ["status", "clock", "cues", "universes", "phones", "receipts", "qr"] {
        let output = the_box.ask(&[word]);
        assert_eq!(code(&output), 0, "{word}: {}", said(&output));
        assert!(!output.stdout.is_empty(), "{word} says something to people");
    }
}

#[test]
fn note7_operators_are_refused_over_plain_http() {
    let the_box = TheBox::start();
    for answer in [the_box.fetch("/api/v1/status", ""), the_box.post("/api/v1/go", "{}")] {
        assert_eq!(answer.0, 401);
        assert_eq!(body(&answer.1)["error"]["code"], "unauthorized");
    }
    assert_eq!(the_box.ask_json(&["status"])["show"]["lists"][0]["last"], Value::Null);
}

#[test]
fn the_page_comes_with_a_policy_and_is_asked_for_again_only_when_it_changed() {
    let the_box = TheBox::start();
    let (status, answer) = the_box.fetch("/", "");
    assert_eq!(status, 200);
    let lower = answer.to_ascii_lowercase();
    assert!(lower.contains("content-type: text/html"), "{answer}");
    assert!(lower.contains("'wasm-unsafe-eval'") && lower.contains("nosniff"));
    let etag = lower.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a version");
    let (again, _) = the_box.fetch("/", &format!("if-none-match: {etag}\r\n"));
    assert_eq!(again, 304);
    assert_eq!(the_box.fetch("/page/none.js", "").0, 404);
    assert_eq!(the_box.fetch("/page/../../../etc/passwd", "").0, 404);
}

#[test]
fn media_is_given_by_hash_and_goes_on_where_it_broke() {
    let the_box = TheBox::start();
    let track = Phone::join(&the_box).welcome["show"]["tracks"][0].clone();
    let url = track["url"].as_str().expect("a path");
    assert_eq!(track["bytes"], click().len());
    let whole = the_box.fetch(url, "");
    assert_eq!(whole.0, 200);
    assert!(whole.1.to_ascii_lowercase().contains("immutable"));
    let part = the_box.fetch(url, "range: bytes=4-11\r\n");
    assert_eq!(part.0, 206);
    assert!(part.1.contains("bytes 4-11/1644") && part.1.ends_with("WAVE"), "{}", part.1);
    assert_eq!(the_box.fetch(url, "range: bytes=99999-\r\n").0, 416);
    let etag = format!("if-none-match: \"{}\"\r\n", track["sha256"].as_str().expect("a hash"));
    assert_eq!(the_box.fetch(url, &etag).0, 304);
    assert_eq!(the_box.fetch("/media/show.toml", "").0, 404);
    assert_eq!(the_box.fetch(&format!("/media/{}", "0".repeat(64)), "").0, 404);
}

#[test]
fn no_other_bytes_are_given_out_under_a_hash_though_they_are_as_many() {
    let the_box = TheBox::start();
    let track = Phone::join(&the_box).welcome["show"]["tracks"][0].clone();
    let url = track["url"].as_str().expect("a path");
    assert_eq!(the_box.fetch(url, "").0, 200);
    let (file, new) = (the_box.place.path("click.wav"), the_box.place.path("new.wav"));
    let other: Vec<u8> = click().iter().map(|octet| octet ^ 1).collect();
    std::fs::write(&new, &other).expect("ours");
    std::fs::rename(&new, &file).expect("ours");
    assert_eq!(the_box.fetch(url, "").0, 410, "replaced");
    std::fs::write(&file, click()).expect("ours");
    assert_eq!(
        the_box.fetch(url, "").0,
        200,
        "the same bytes are the same sound, whenever they were written"
    );
    let the_box = TheBox::start();
    let file = std::fs::File::options().write(true).open(the_box.place.path("click.wav"));
    file.expect("ours").write_all(&other).expect("ours");
    assert_eq!(the_box.fetch(url, "range: bytes=4-11\r\n").0, 410, "written over");
}

#[test]
fn sx03_a_page_of_another_box_may_fetch_tracks_here_and_the_api_stays_the_own_pages() {
    let the_box = TheBox::start();
    let track = Phone::join(&the_box).welcome["show"]["tracks"][0].clone();
    let url = track["url"].as_str().expect("a path");
    let answer = |path: &str, headers: &str| the_box.fetch(path, headers).1.to_ascii_lowercase();
    let from = "origin: http://10.0.0.6:8080\r\n";
    let leave = "access-control-allow-origin: *";
    assert!(answer(url, from).contains(leave), "{}", answer(url, from));
    assert!(answer(url, "range: bytes=4-11\r\n").contains(leave));
    assert!(answer("/prompt", from).contains(leave), "a refusal is read, too");
    for own in ["/", "/api/v1/status", "/metrics"] {
        assert!(!answer(own, from).contains(leave), "{own}");
    }
    let asks = format!("{from}access-control-request-method: GET\r\n");
    let (status, asked) = exchange(the_box.dial(), "OPTIONS", url, &asks, "");
    assert_eq!(status, 204);
    let asked = asked.to_ascii_lowercase();
    assert!(asked.contains("access-control-allow-headers: authorization, range"), "{asked}");
    assert!(!asked.contains("credentials"), "{asked}");
    assert!(answer("/", "").contains("connect-src 'self' ws: wss: http: https:;"));
}

#[test]
fn healthz_and_metrics_answer() {
    let the_box = TheBox::start();
    assert_eq!(the_box.fetch("/healthz", "").0, 200);
    let (status, text) = the_box.fetch("/metrics", "");
    assert_eq!(status, 200);
    assert!(text.contains("\ndownbeat_sockets 0\n"), "{text}");
}

#[test]
fn a_watcher_reads_what_happens_as_lines_of_json() {
    let the_box = TheBox::start();
    let mut stream = UnixStream::connect(the_box.place.socket()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(b"GET /api/v1/events HTTP/1.0\r\nhost: x\r\n\r\n").expect("it reads");
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("it goes on"));
    // The head has come, so the watch is on.
    assert!(lines.any(|line| line.is_empty()));
    assert_eq!(code(&the_box.ask(&["go"])), 0);
    let fired = lines
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
        .find(|it| it["event"] == "fired")
        .expect("it is told");
    assert_eq!((&fired["cue"], &fired["by"]), (&Value::from("1"), &Value::from("socket")));
}

#[test]
fn an_osc_button_is_a_go_its_release_is_nothing_and_noise_is_neither() {
    let mut the_box = TheBox::start();
    let surface = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let press = |address: &[u8], value: f32| {
        let datagram = [address, b",f\0\0", &value.to_be_bytes()].concat();
        surface.send_to(&datagram, ("127.0.0.1", the_box.place.osc)).expect("sent");
    };
    press(b"/go\0", 0.0);
    surface.send_to(&[0xff; 900], ("127.0.0.1", the_box.place.osc)).expect("sent");
    press(b"/nothing\0\0\0\0", 1.0);
    press(b"/cue/10/start\0\0\0", 1.0);
    press(b"/go\0", 1.0);
    let bell = the_box.wait_for_line("cue ");
    assert!(
        bell.contains("Bell") && bell.contains("osc 127.0.0.1"),
        "the release did nothing: {bell}"
    );
    the_box.wait_for_line("cue 1 \"Warm\"");
}

#[test]
fn a_taken_port_is_said_and_exits_1() {
    let place = Place::new();
    let _taken = TcpListener::bind(("0.0.0.0", place.http)).expect("free until now");
    let folder = place.folder.path().to_owned();
    let output = place.downbeat(&["run"]).arg(folder).output().expect("it starts");
    assert_eq!(code(&output), 1);
    let port = format!("port {} is taken", place.http);
    assert!(said(&output).contains(&port), "{}", said(&output));
}

#[test]
fn a_dead_boxs_socket_is_replaced_and_a_living_ones_is_not() {
    let place = Place::new();
    // Bound and dropped: its file stays behind, as after a kill.
    drop(UnixListener::bind(place.socket()).expect("free"));
    assert!(exists(&place.socket()));
    let mut the_box = place.run();
    let other = Place::new();
    let second = other
        .downbeat(&["run"])
        .arg(other.folder.path())
        .args(["--socket".as_ref(), the_box.place.socket().as_os_str()])
        .output();
    // Named twice is a mistake of usage; named once it is refused.
    assert_eq!(code(&second.expect("it starts")), 2);
    let second = program()
        .args(["run".as_ref(), other.folder.path().as_os_str(), "--socket".as_ref()])
        .arg(the_box.place.socket())
        .arg("--state")
        .arg(other.path("state"))
        .arg("--box")
        .arg(other.path("box.toml"))
        .arg("--simulate")
        .output()
        .expect("it starts");
    assert_eq!(code(&second), 1);
    assert!(said(&second).contains("another downbeat runs"), "{}", said(&second));
    assert!(the_box.is_alive() && exists(&the_box.place.socket()));
}

#[test]
fn a_place_that_may_not_be_written_is_named_with_the_way_out() {
    let place = Place::new();
    std::fs::write(place.path("state"), "a file, not a folder").expect("ours");
    let folder = place.folder.path().to_owned();
    let output = place.downbeat(&["run"]).arg(folder).output().expect("it starts");
    assert_eq!(code(&output), 1);
    assert!(said(&output).contains("--state"), "{}", said(&output));
}

#[test]
fn a_box_is_the_same_box_after_a_restart() {
    let mut the_box = TheBox::start();
    let id = |the_box: &TheBox| the_box.ask_json(&["status"])["box"]["node_id"].clone();
    let first = id(&the_box);
    the_box.restart();
    assert_eq!(id(&the_box), first);
    assert_ne!(first, Value::Null);
}

#[test]
fn noise_on_every_stream_socket_leaves_the_box_as_it_was() {
    let mut the_box = TheBox::start();
    for seed in 0..40 {
        let bytes = noise(seed, 1 + (seed as usize * 97) % 3000);
        let mut stream = the_box.dial();
        // It may hang up in the middle, which is its right.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        let mut stream = UnixStream::connect(the_box.place.socket()).expect("it listens");
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(the_box.is_alive());
    assert_eq!(the_box.fetch("/healthz", "").0, 200);
    assert_eq!(the_box.ask_json(&["status"])["show"]["lists"][0]["last"], Value::Null);
}

#[test]
fn ca07_a_rehearsal_writes_the_same_bytes_in_any_folder() {
    let rehearse = || {
        let place = Place::new();
        let out = place.path("out");
        let folder = place.folder.path().as_os_str();
        let words = ["rehearse".as_ref(), folder, "--out".as_ref(), out.as_os_str()];
        let output = program().args(words).output().expect("it starts");
        assert_eq!(code(&output), 0, "{}", said(&output));
        ["sound.wav", "light.jsonl", "orders.jsonl", "timeline.html", "light.dbl"]
            .map(|name| std::fs::read(out.join(name)).unwrap_or_else(|_| panic!("no {name}")))
    };
    let (first, second) = (rehearse(), rehearse());
    assert!(first == second, "the same show, the same bytes");
    let orders = String::from_utf8(first[2].clone()).expect("JSON lines");
    let events: Vec<Value> =
        orders.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |event: &str| events.iter().filter(|it| it["event"] == event).count();
    assert_eq!(of("fired"), 4, "GO was pressed for every cue: {orders}");
    assert!(of("ordered") >= 4 && of("received") > 0);
    assert!(!first[1].is_empty() && first[0].starts_with(b"RIFF"));
}

/// Plays a capture that was taken, in the box's own show.
const PLAYS_IT: &str =
    "\n[[list.cue]]\nnumber = 77\nlight = { capture = \"taken.dbl\", loop = \"forever\" }\n";

#[test]
fn sx20_what_leaves_the_box_is_recorded_for_so_long_and_the_show_can_play_it() {
    let the_box = TheBox::start();
    let file = the_box.place.path("taken.dbl");
    let name = file.to_str().expect("a plain path");
    assert_eq!(code(&the_box.ask(&["go"])), 0);
    let told = the_box.ask_json(&["record", name, "--universes", "1", "--for", "1500ms"]);
    assert_eq!(told["length_ns"], Span::from_millis(1_500).ns(), "by the capture's own time");
    assert_eq!((&told["lost_frames"], &told["universes"]), (&Value::from(0), &Value::from(1)));
    assert!(told["changes"].as_u64() >= Some(1), "{told}");
    let bytes = std::fs::read(&file).expect("it is written");
    let mut reader = Reader::new(&bytes[..]).expect("a capture");
    while reader.next_record().expect("no damage").is_some() {}
    assert!(!reader.is_cut());

    let show = the_box.place.path("show.toml");
    let text = std::fs::read_to_string(&show).expect("ours");
    std::fs::write(&show, text + PLAYS_IT).expect("ours");
    let checked = program().arg("check").arg(&show).output().expect("it starts");
    assert_eq!(code(&checked), 0, "{}", String::from_utf8_lossy(&checked.stdout));
}

#[test]
fn sx20_what_phones_are_told_and_say_is_recorded_beside_the_light_and_a_show_can_tell_it_again() {
    let the_box = TheBox::start();
    let file = the_box.place.path("evening.dbl");
    let recorder = the_box.record(&file, &["--phones"]);
    let mut phone = Phone::join(&the_box);
    assert_eq!(code(&the_box.ask(&["go"])), 0);
    let order = phone.hear("screen");
    let (id, due) = (&order["header"]["id"], order["start_at"].as_f64().expect("a time"));
    phone.say("played", &json!({ "order": id, "at": due + 0.025, "source": "screen" }));
    let late = loop {
        if let Some(late) = lateness(&unfinished(&file)) {
            break late;
        }
        std::thread::yield_now();
    };
    assert!((late - Span::from_millis(25)).abs() < Span::from_micros(2), "{late}");
    let told = recorder.end();
    assert_eq!(told["phones"]["sound"], json!([]), "nothing was on air");
    assert_eq!(told["phones"]["said"], json!(2), "it came, and did it: {told}");
    assert!(told["phones"]["told"].as_u64() >= Some(1) && told["changes"].as_u64() >= Some(1));
    let show = the_box.place.path("show.toml");
    let text = std::fs::read_to_string(&show).expect("ours");
    let again = "\n[[list.cue]]\nnumber = 77\nphones = { capture = \"evening.dbl\" }\n";
    std::fs::write(&show, text + again).expect("ours");
    let checked = program().arg("check").arg(&show).output().expect("it starts");
    assert_eq!(code(&checked), 0, "{}", String::from_utf8_lossy(&checked.stdout));
}

/// How late a phone says that it was, in a capture that may still be written, once light is in it, too.
fn lateness(file: &Path) -> Option<Span> {
    let bytes = std::fs::read(file).expect("it is there");
    let mut reader = Reader::new(&bytes[..]).ok()?;
    let (mut lateness, mut is_lit) = (None, false);
    while let Some(record) = reader.next_record().expect("no damage") {
        match record {
            Record::Talk { talk: Talk::Played { late, .. }, .. } => lateness = Some(late),
            Record::Frame { .. } => is_lit = true,
            _ => {}
        }
    }
    lateness.filter(|_| is_lit)
}

#[test]
fn sx20_ctrl_c_ends_a_recording_and_a_second_one_or_an_unknown_universe_is_refused() {
    let the_box = TheBox::start();
    let (first, second) = (the_box.place.path("first.dbl"), the_box.place.path("second.dbl"));
    let output = the_box.ask(&["record", "/nowhere/first.dbl"]);
    assert!(said(&output).contains("could not write /nowhere/first.dbl"), "{}", said(&output));
    // The box was not asked, so the next one need not wait until it has noticed.
    let recorder = the_box.record(&first, &[]);
    while length_of(&unfinished(&first)).0 == Span::ZERO {
        std::thread::yield_now();
    }
    let name = second.to_str().expect("a plain path");
    let output = the_box.ask(&["record", name]);
    assert_eq!((code(&output), exists(&second)), (1, false));
    assert!(said(&output).contains("one at a time"), "{}", said(&output));
    let output = the_box.ask(&["record", name, "--universes", "63999"]);
    assert!(said(&output).contains("universe 63999 does not leave this box"), "{}", said(&output));
    let told = recorder.end();
    assert_eq!(told["lost_frames"], Value::from(0));
    assert!(!length_of(&first).1, "whole records, whenever it ends");
    let output = the_box.ask(&["record", name, "--inputs", "desk"]);
    assert!(said(&output).contains("nothing comes in"), "{}", said(&output));
    let output = the_box.ask(&["record", name, "--inputs", "desk=0"]);
    assert!(said(&output).contains("inputs are names"), "{}", said(&output));
}

#[test]
fn sx20_what_a_cue_may_be_playing_stands_until_the_new_take_has_ended() {
    let the_box = TheBox::start();
    let file = the_box.place.path("take.dbl");
    std::fs::write(&file, restless()).expect("ours");
    let before = std::fs::File::open(&file).expect("a cue has it open");
    let recorder = the_box.record(&file, &[]);
    while length_of(&unfinished(&file)).0 == Span::ZERO {
        std::thread::yield_now();
    }
    assert_eq!(std::fs::read(&file).expect("it is there"), restless(), "while it is recorded");
    recorder.end();
    assert_ne!(std::fs::read(&file).expect("it is there"), restless(), "the new take");
    assert!(!exists(&unfinished(&file)));
    let (mut played, mut it) = (Vec::new(), &before);
    it.read_to_end(&mut played).expect("it is open");
    assert_eq!(played, restless(), "who plays the old one goes on");
}

#[test]
fn a_recording_ends_whole_with_its_terminal_and_under_nohup_outlives_it() {
    let the_box = TheBox::start();
    let file = the_box.place.path("night.dbl");
    let whole = Span::from_secs(3);
    for (begin, length) in
        [("trap '' HUP; exec \"$0\" \"$@\"", "3s"), ("exec \"$0\" \"$@\"", "10m")]
    {
        let name = file.to_str().expect("a plain path");
        let words = the_box.place.downbeat(&["record", name, "--for", length]);
        let mut shell = Command::new("sh");
        shell.args(["-c", begin]).arg(words.get_program()).args(words.get_args());
        let mut recorder = shell.stdout(Stdio::null()).spawn().expect("it starts");
        while !exists(&unfinished(&file)) {
            std::thread::yield_now();
        }
        while length_of(&unfinished(&file)).0 == Span::ZERO {
            std::thread::yield_now();
        }
        let pid = Pid::from_raw(i32::try_from(recorder.id()).expect("a process id"));
        kill(pid, Signal::SIGHUP).expect("it is ours");
        assert!(recorder.wait().expect("it ends").success());
        let (lasts, is_cut) = length_of(&file);
        assert!(!is_cut && (length == "10m" || lasts == whole), "{length}: {lasts}");
    }
}

/// Reads a capture to its end; gives its length, and whether it is cut there.
fn length_of(file: &Path) -> (Span, bool) {
    let bytes = std::fs::read(file).expect("it is there");
    // Nothing has been written yet.
    let Ok(mut reader) = Reader::new(&bytes[..]) else { return (Span::ZERO, true) };
    let mut length = Span::ZERO;
    while let Some(record) = reader.next_record().expect("no damage") {
        length = record.at();
    }
    (length, reader.is_cut())
}

/// A universe that is never as it was.
fn restless() -> Vec<u8> {
    let mut bytes = Vec::new();
    let one = Universe::new(1).expect("a universe");
    let head = Head { title: String::new(), began: ShowTime::ZERO, universes: vec![one] };
    let mut writer = Writer::new(head, &mut bytes);
    for frame in 0..100 {
        let noise = noise(frame, Universe::SLOTS);
        let slots = std::array::from_fn(|slot| noise[slot]);
        let at = ShowTime::ZERO + Span::from_millis(23).times(frame as i64);
        writer.frame(at, one, &slots, &mut bytes);
    }
    bytes
}

#[test]
fn sx20_a_full_disk_ends_a_recording_with_a_reason_and_all_that_was_recorded_until_then() {
    const NAME: &str = "sx20_a_full_disk_…";
    let place = Place::new();
    let show = place.path("show.toml");
    let text = std::fs::read_to_string(&show).expect("ours");
    std::fs::write(&show, text + PLAYS_IT).expect("ours");
    std::fs::write(place.path("taken.dbl"), restless()).expect("ours");
    let the_box = place.run();
    assert_eq!(code(&the_box.ask(&["fire", "77"])), 0);
    let (disk, kept) = (the_box.place.path("disk"), the_box.place.path("kept.dbl"));
    std::fs::create_dir(&disk).expect("ours");
    let mount = format!("mount -t tmpfs -o size=16k tmpfs {}", disk.display());
    if !Command::new("unshare")
        .args(["-m", "sh", "-c", &mount])
        .status()
        .is_ok_and(|it| it.success())
    {
        println!("skipped: {NAME}: this machine lends nobody a small disk");
        return;
    }
    let record = the_box.place.downbeat(&["record", "full.dbl"]);
    let words: Vec<_> = record.get_args().map(|it| it.to_string_lossy().into_owned()).collect();
    let words = words.join("' '").replace("full.dbl", &format!("{}/full.dbl", disk.display()));
    let (program, from) = (path(), format!("{}/full.dbl", disk.display()));
    let script = format!(
        "{mount} && '{}' '{words}'; code=$?; cp {from} {}; exit $code",
        program.display(),
        kept.display()
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).output();
    let output = output.expect("it starts");
    assert_eq!(code(&output), 1, "{}", said(&output));
    let words = said(&output);
    assert!(words.contains("No space left") && words.contains("is good"), "{words}");
    let (length, is_cut) = length_of(&kept);
    assert!(length > Span::ZERO && !is_cut);
}

/// A fixture file of the vectors.
fn fixture_file(name: &str) -> String {
    format!("{}/vectors/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn an_imported_fixture_stands_in_the_show_and_the_show_checks() {
    let place = Place::new();
    let folder = place.folder.path().to_str().expect("a plain path").to_owned();
    let archive = fixture_file("bar.gdtf");
    let import =
        program().args(["import", &archive, "--into", &folder]).output().expect("it starts");
    assert_eq!(code(&import), 0, "{}", said(&import));
    assert!(said(&import).contains("bar.gdtf/description.xml:"), "what is left out has a place");
    let printed = String::from_utf8_lossy(&import.stdout).into_owned();
    assert!(printed.contains("profile = \"bar\", mode = \"Pixels\""), "{printed}");
    let show = "[fixtures]\na = { profile = \"bar\", mode = \"Pixels\", universe = 1, address = 1 }\n\
        [[list]]\nname = \"main\"\n[[list.cue]]\nnumber = 1\n\
        light = { levels = { a = { color = \"#ff0000\", dimmer = 80 }, \"a.pixel-2\" = { color = \"#0000ff\" } } }\n";
    std::fs::write(place.path("show.toml"), show).expect("ours");
    let check = program().args(["check", &folder]).output().expect("it starts");
    assert_eq!(code(&check), 0, "{}", String::from_utf8_lossy(&check.stdout));
    // Another fixture of that name is not overwritten unasked.
    let other = fixture_file("wash.ofl");
    let again = ["import", &other, "--into", &folder, "--name", "bar"];
    let refused = program().args(again).output().expect("it starts");
    assert_eq!(code(&refused), 1);
    assert!(said(&refused).contains("--replace"), "{}", said(&refused));
    let replaced = program().args(again).arg("--replace").output().expect("it starts");
    assert_eq!(code(&replaced), 0, "{}", said(&replaced));
}

#[test]
fn what_would_be_imported_is_listed_as_a_table_and_as_json() {
    let file = fixture_file("wash.ofl");
    let json = ["import", &file, "--list", "--json", "--mode", "small"];
    let listed = program().args(json).output().expect("it starts");
    assert_eq!(code(&listed), 0, "{}", said(&listed));
    let document: Value = serde_json::from_slice(&listed.stdout).expect("one document");
    assert_eq!(
        (&document["modes"][0]["slots"], &document["file"]),
        (&Value::from(12), &Value::Null)
    );
    assert_eq!(document["modes"].as_array().map(Vec::len), Some(1));
    assert!(document["warnings"].as_u64() > Some(0));
    let usage = program().args(["import", &file]).output().expect("it starts");
    assert_eq!(code(&usage), 2, "it has to be said what for");
    let unknown = ["import", &file, "--list", "--mode", "huge"];
    let unknown = program().args(unknown).output().expect("it starts");
    assert!(code(&unknown) == 1 && said(&unknown).contains("\"Small\""), "{}", said(&unknown));
    let broken = program().args(["import", &fixture_file("refused-broken.ofl"), "--list"]).output();
    let broken = broken.expect("it starts");
    assert!(
        code(&broken) == 1 && said(&broken).contains("refused-broken.ofl:1:58"),
        "{}",
        said(&broken)
    );
}
