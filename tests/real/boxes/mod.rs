//! Two boxes that stand in for each other, on the loopback: one dies in the middle of a fade (SX-03, SX-08, SX-13).

mod address;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use units::Span;

use crate::certs::{authority, believing};
use crate::light::rig::{Data, Ear, loopback, sacn_data, system_now};
use crate::secure::tls;
use crate::the_box::{PATIENCE, Place, TheBox, exchange, free_port};
use crate::tokens::{bearer, token};
use crate::ws::Phone;

/// A fade so long that a box can die in it, sound, and phones.
const SHOW: &str = r##"
[show]
title = "Two boxes"
seal = true
[universes.1]
sacn = { unicast = ["127.0.0.HOST"] }
[fixtures]
one = { profile = "generic/dimmer", universe = 1, address = 1 }
[tracks]
track_001 = "click.wav"
[[list]]
name = "main"
[[list.cue]]
number = 1
name = "Dawn"
light = { levels = { one = 100 }, fade = "4s" }
phones = { track = "track_001", loop = "forever" }
[[list.cue]]
number = 2
name = "Dusk"
light = { levels = { one = 0 }, fade = "0s" }
"##;
const SACN: u16 = 5568;
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A box of the cluster of that name, whose light goes to an address of the loopback. What is live is sealed.
fn place(name: &str, cluster: &str, host: u8) -> Place {
    let place = Place::new();
    let Place { http, https, osc, .. } = place;
    let text = format!(
        "name = \"{name}\"\n[net]\ncluster = \"lo\"\n[ports]\nclock = 0\npeers = 0\ncluster = 0\nhttp = {http}\n\
        https = {https}\nosc = {osc}\n[cluster]\nname = \"{cluster}\"\nvoters = [\"left\", \"right\"]\n"
    );
    std::fs::write(place.path("box.toml"), text).expect("written");
    std::fs::write(place.path("show.toml"), SHOW.replace("HOST", &host.to_string()))
        .expect("written");
    std::fs::create_dir_all(place.path("state")).expect("a folder");
    std::fs::write(place.path("state/cluster.key"), KEY).expect("written");
    place
}

fn cluster(the_box: &TheBox) -> Value {
    the_box.ask_json(&["status"])["cluster"].clone()
}

/// Both, the one that drives first and the other one knowing the show. On a machine that is too busy for a sign of life in time
/// that may be the right one.
fn pair(name: &str, host: u8) -> [(TheBox, &'static str); 2] {
    let mut pair = ["left", "right"].map(|it| (place(it, name, host).run(), it));
    wait_until("one drives and the other one knows the show", || {
        pair.sort_by_key(|(it, _)| cluster(it)["drives"] != true);
        let [first, other] = [&pair[0], &pair[1]].map(|(it, _)| cluster(it));
        first["drives"] == true && other["master"] == pair[0].1 && other["knows_the_show"] == true
    });
    pair
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "in vain: {what}");
    }
}

/// The next that a box sends, of what is wanted.
fn from(ear: &Ear, name: &str, wanted: impl Fn(&Data) -> bool) -> Data {
    let now = system_now();
    let heard = ear.wait_for(Span::from_secs(10), |heard| {
        sacn_data(heard).filter(|it| it.at >= now && it.name == name && wanted(it))
    });
    heard.unwrap_or_else(|| panic!("{name} never sends that"))
}

#[test]
fn sx13_a_box_is_killed_mid_fade_and_the_other_goes_on_at_a_higher_priority() {
    let ear = Ear::new(loopback(78), SACN);
    let [(mut first, its), (mut other, others)] = pair("mid-fade", 78);
    assert_eq!(from(&ear, its, |_| true).priority, 100);
    assert_eq!(from(&ear, others, |_| true).priority, 99, "it is there, and not seen");
    assert_eq!(first.ask_json(&["go"])["done"]["kept"], "replicated");
    let refused = other.ask(&["go"]);
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains(&format!("{its} drives")), "{why}");
    let half = from(&ear, its, |it| it.values[1] >= 100);
    let beside = from(&ear, others, |it| it.at >= half.at);
    assert!(beside.values[1].abs_diff(half.values[1]) <= 3, "{half:?} beside {beside:?}");

    let killed = system_now();
    first.child.kill().expect("it lives");
    first.wait_for_the_end();
    let seen = from(&ear, others, |it| it.priority > 100);
    let ms = (seen.at - killed) as f64 / 1e6;
    println!("seen {ms:.0} ms after the other was killed, at level {}", seen.values[1]);
    assert_eq!(seen.priority, 101, "receivers still hold the dead box's last frame");
    // Four seconds for 255 levels: a level in 15.7 ms.
    let due = half.values[1] as f64 + (seen.at - half.at) as f64 / 1e6 / 15.686;
    assert!((seen.values[1] as f64 - due).abs() <= 4.0, "{} where {due} is due", seen.values[1]);
    other.wait_for_line("this box drives");
    assert_eq!(from(&ear, others, |it| it.priority == 100).values[1], 255, "the fade has ended");
    let done = other.ask_json(&["go"])["done"].clone();
    assert_eq!(done["kept"], "alone");
    assert!(done["said"].as_str().is_some_and(|it| it.contains("no other box")), "{done}");
    from(&ear, others, |it| it.values[1] == 0);

    let term = cluster(&other)["term"].as_u64().expect("a term");
    first.begin_again();
    first.wait_for_line(&format!("{others} drives, this box stands by"));
    wait_until("the first box knows the show", || knows_the_show_of(&first, others));
    let list = first.ask_json(&["status"])["show"]["lists"][0].clone();
    assert_eq!(list["last"]["number"], "2", "what it has slept through it knows: {list}");
    assert_eq!(from(&ear, its, |_| true).priority, 99, "nobody takes a show back");

    other.signal(Signal::SIGTERM);
    other.wait_for_the_end();
    first.wait_for_line("this box drives");
    assert_eq!(cluster(&first)["term"], term + 1);
}

fn knows_the_show_of(the_box: &TheBox, master: &str) -> bool {
    let it = cluster(the_box);
    it["master"] == master && it["knows_the_show"] == true
}

#[test]
fn sx13_a_box_that_stood_still_gives_way_when_it_wakes_and_knows_what_it_has_missed() {
    let ear = Ear::new(loopback(83), SACN);
    let [(first, its), (mut other, others)] = pair("standing still", 83);
    assert!(first.ask(&["go"]).status.success());
    from(&ear, its, |it| it.values[1] > 0);
    first.signal(Signal::SIGSTOP);
    other.wait_for_line("this box drives");
    assert!(other.ask(&["fire", "2"]).status.success());
    from(&ear, others, |it| it.values[1] == 0);
    first.signal(Signal::SIGCONT);
    wait_until("the first box knows the show", || knows_the_show_of(&first, others));
    let beneath = from(&ear, its, |it| it.priority < 100);
    assert_eq!(beneath.values[1], 0, "it shows what is shown");
    assert_eq!(first.ask(&["go"]).status.code(), Some(1));
}

#[test]
fn sx03_a_box_with_another_show_does_not_follow_and_says_so() {
    let boxes = [place("left", "another show", 79), place("right", "another show", 80)];
    let boxes = boxes.map(Place::run);
    let deaf = |it: &Value| it["trouble"].as_str().is_some_and(|why| why.contains("another show"));
    wait_until(
        "one says why it does not follow, and the other one knows that it is not fit",
        || {
            let [left, right] = [&boxes[0], &boxes[1]].map(cluster);
            let is_so = |other: &Value, first: &Value| {
                deaf(other)
                    && other["knows_the_show"] == false
                    && first["boxes"][0]["candidate_score"] == 0.0
            };
            is_so(&right, &left) || is_so(&left, &right)
        },
    );
}

#[test]
fn sx03_a_box_with_another_key_is_not_heard_and_both_say_so() {
    let mut left = place("left", "another key", 81).run();
    let other = place("right", "another key", 81);
    std::fs::write(other.path("state/cluster.key"), KEY.replace('0', "1")).expect("written");
    let mut right = other.run();
    left.wait_for_line("another cluster key");
    right.wait_for_line("another cluster key");
    assert_eq!(cluster(&left)["boxes"], serde_json::json!([]));
}

#[test]
fn sx08_hello_names_both_boxes_and_who_drives() {
    let [(first, its), (other, others)] = pair("hello", 82);
    for (the_box, node_type) in [(&first, "master"), (&other, "replica")] {
        let welcome = Phone::join(the_box).welcome;
        assert_eq!(welcome["node_type"], node_type);
        let boxes = welcome["cluster_info"]["boxes"].as_array().expect("a list");
        let names: Vec<_> = boxes.iter().map(|it| it["name"].as_str().expect("a name")).collect();
        assert_eq!(names, [its, others], "who drives is first");
        assert_eq!(welcome["cluster_info"]["master_id"], boxes[0]["node_id"]);
        assert_eq!(welcome["cluster_info"]["replica_ids"][0], boxes[1]["node_id"]);
    }
}

/// What the box says to whoever shows this over TLS.
fn judged(the_box: &TheBox, token: &str) -> u16 {
    exchange(tls(the_box, None), "GET", "/api/v1/status", &bearer(token), "").0
}

#[test]
fn sx03_sx16_tokens_authority_and_sealed_sound_are_the_same_on_both_and_outlive_a_box() {
    let [(mut first, _), (mut other, _)] = pair("trust", 84);
    let operator = ["--role", "operator"];
    let made = token(&first, &operator);
    assert_eq!(judged(&other, &made), 200, "a code of one box is known on the other");
    assert_eq!(judged(&first, &token(&other, &operator)), 200, "and the other way round");
    let seal = |the_box: &TheBox| {
        let token = token(the_box, &operator);
        wire::token::parse(&token).expect("a token").claims.seal.expect("the show is sealed")
    };
    assert!(seal(&first) == seal(&other));
    let (_, root) = authority(&first);
    assert!(root == authority(&other).1, "phones install one");
    believing(&other, std::slice::from_ref(&root)).expect("it vouches for the other box");
    believing(&first, &[root]).expect("and for this one");

    // What changes while both run reaches the other, whoever drives.
    let before = seal(&first);
    for the_box in [&first, &other] {
        assert!(the_box.ask(&["token", "--rotate"]).status.success());
        assert!(the_box.ask(&["token", "--reseal"]).status.success());
        let made = token(the_box, &operator);
        wait_until("both know the new key", || {
            // A guess too many, and the address is not looked at for a minute.
            seal(&first) == seal(&other) && judged(&first, &made) + judged(&other, &made) == 400
        });
    }
    assert!(seal(&first) != before);
    wait_until("the show is followed all the while", || {
        let it = cluster(&other);
        it["knows_the_show"] == true && it["trouble"].is_null()
    });

    first.child.kill().expect("it lives");
    first.wait_for_the_end();
    assert_eq!(judged(&other, &made), 200);
    other.restart();
    assert_eq!(judged(&other, &made), 200, "kept, though nobody is there to tell it again");
}

#[test]
fn sx03_strangers_at_the_clusters_port_keep_no_box_out_and_are_shown_the_door() {
    let left = place("left", "strangers", 85);
    let port = free_port();
    let text = std::fs::read_to_string(left.path("box.toml")).expect("written");
    std::fs::write(
        left.path("box.toml"),
        text.replace("cluster = 0", &format!("cluster = {port}")),
    )
    .expect("written");
    let mut left = left.run();
    left.wait_for_line("this box drives");
    let strangers: Vec<_> = (0..40).map(|_| stranger(port)).collect();
    let right = place("right", "strangers", 85).run();
    wait_until("the other box knows the show", || knows_the_show_of(&right, "left"));
    // Those that were let in are told to go, though they say a little now and then; the others were sent away at once.
    wait_until("no stranger is left", || strangers.iter().all(is_over));
}

/// Somebody from another address, who begins to say something.
fn stranger(port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 9], 0)).into()).expect("an address");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("it listens");
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(true).expect("a socket");
    stream
}

/// Whether the box has closed it. It is fed meanwhile.
fn is_over(mut stream: &TcpStream) -> bool {
    if stream.write(b"{").is_err() {
        return true;
    }
    match stream.read(&mut [0; 256]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
