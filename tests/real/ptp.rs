//! The box clock among `ptp4l`s and other boxes. Needs root, iproute2 and linuxptp; else each test says so.

mod rig;

use std::time::Duration;

use serde_json::Value;

use rig::{Net, NetBox, able, apart, off_ptp4l, off_the_machine, worst_of};

/// Far above what this machine shows when it is quiet; a sign, a unit or a second that is wrong is beyond it.
const SANE_NS: i128 = 100_000;
const READINGS: usize = 40;
/// Of `ptp4l`, which tells what it measures once a second.
const TOLD: usize = 8;

/// A transport, as `ptp4l` and as the box call it.
const TRANSPORTS: [(&str, &str); 3] = [("-4", "ipv4"), ("-6", "ipv6"), ("-2", "layer2")];

fn readings(the_box: &NetBox, off: impl Fn(&Value) -> i128) -> Vec<i128> {
    let read = |_| {
        std::thread::park_timeout(Duration::from_millis(40));
        off(&the_box.clock())
    };
    (0..READINGS).map(read).collect()
}

fn all_at_once(cases: impl IntoIterator<Item = impl FnOnce() + Send>) {
    std::thread::scope(|scope| {
        let running: Vec<_> = cases.into_iter().map(|case| scope.spawn(case)).collect();
        for case in running {
            if let Err(panic) = case.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn ca02_the_box_follows_ptp4l_over_every_transport() {
    if !able("ca02_the_box_follows_ptp4l_over_every_transport") {
        return;
    }
    all_at_once(TRANSPORTS.map(|(theirs, ours)| move || follow(theirs, ours, "e2e", "-E")));
}

#[test]
fn ca02_the_box_follows_ptp4l_by_peer_delay() {
    if !able("ca02_the_box_follows_ptp4l_by_peer_delay") {
        return;
    }
    let cases = [("-4", "ipv4"), ("-2", "layer2")];
    all_at_once(cases.map(|(theirs, ours)| move || follow(theirs, ours, "p2p", "-P")));
}

fn follow(theirs: &str, ours: &str, delay: &str, their_delay: &str) {
    let net = Net::new(2);
    let _leader = net.ptp4l(0, &format!("-i right {theirs} {their_delay} --masterOnly 1"));
    let clock = format!(
        "ptp = \"follow\"\ninterfaces = [\"left\"]\ntransport = \"{ours}\"\ndelay = \"{delay}\""
    );
    let follower = net.downbeat(1, &clock);
    let locked = follower.wait_for_state("locked");
    assert_eq!((&locked["role"], &locked["stamps"]), (&"follower".into(), &"software".into()));
    assert_eq!(locked["ports"][0]["state"], "following");
    assert_eq!(locked["master"]["steps_removed"], 1);
    let errors = readings(&follower, off_ptp4l);
    let p99 = worst_of(&format!("ptp4l to box, {ours}, {delay}"), errors);
    assert!(p99 < SANE_NS, "{p99} ns");
}

#[test]
fn ca02_ptp4l_follows_the_box_over_every_transport() {
    if !able("ca02_ptp4l_follows_the_box_over_every_transport") {
        return;
    }
    all_at_once(TRANSPORTS.map(|(theirs, ours)| {
        move || {
            let net = Net::new(2);
            let clock = format!("ptp = \"lead\"\ninterfaces = [\"right\"]\ntransport = \"{ours}\"");
            let leader = net.downbeat(0, &clock);
            let follower = net.ptp4l(1, &format!("-i left {theirs} -s"));
            let offsets = follower.offsets(TOLD);
            for told in ["currentUtcOffset 37", "currentUtcOffsetValid 1", "ptpTimescale 1"] {
                follower.wait_for("TIME_PROPERTIES_DATA_SET", told);
            }
            let clock = leader.clock();
            assert_eq!((&clock["role"], &clock["state"]), (&"master".into(), &"free".into()));
            // Its clock is the machine's, so what it measures should be what the box is off the machine.
            let truth = -off_the_machine(&clock);
            let errors = offsets.into_iter().map(|offset| offset - truth).collect();
            let p99 = worst_of(&format!("box to ptp4l, {ours}"), errors);
            assert!(p99 < SANE_NS, "{p99} ns");
        }
    }));
}

#[test]
fn ca02_a_box_between_two_networks_passes_the_time_on() {
    if !able("ca02_a_box_between_two_networks_passes_the_time_on") {
        return;
    }
    let net = Net::new(3);
    let _leader = net.ptp4l(0, "-i right -4 --priority1 100");
    let between = net.downbeat(1, "ptp = \"auto\"\ninterfaces = [\"left\", \"right\"]");
    let locked = between.wait_for_state("locked");
    let follower = net.ptp4l(2, "-i left -4 -s");
    let offsets = follower.offsets(TOLD);
    follower.wait_for("CURRENT_DATA_SET", "stepsRemoved 2");
    // The leader serves UTC without saying so; what the box makes of it is TAI, and it says that.
    for told in ["currentUtcOffset 37", "currentUtcOffsetValid 1", "ptpTimescale 1"] {
        follower.wait_for("TIME_PROPERTIES_DATA_SET", told);
    }
    let master = locked["master"]["identity"].as_str().expect("it has one").replace(':', "");
    let (head, tail) = (&master[..6], &master[10..]);
    follower.wait_for("PARENT_DATA_SET", &format!("grandmasterIdentity {head}.fffe.{tail}"));
    let p99 = worst_of("ptp4l to box to ptp4l", offsets);
    assert!(p99 < SANE_NS, "{p99} ns");
}

#[test]
fn ca02_a_box_behind_a_box_is_told_tai_of_a_master_that_serves_utc_and_never_steps() {
    if !able("ca02_a_box_behind_a_box_is_told_tai_of_a_master_that_serves_utc_and_never_steps") {
        return;
    }
    let net = Net::new(3);
    let _leader = net.ptp4l(0, "-i right -4 --priority1 100");
    let between = net.downbeat(1, "ptp = \"auto\"\ninterfaces = [\"left\", \"right\"]");
    let mut last = net.downbeat(2, "ptp = \"follow\"\ninterfaces = [\"left\"]");
    assert_eq!(between.wait_for_state("locked")["timescale"], "utc_assumed");
    let locked = last.wait("locked on the first", |clock| {
        clock["state"] == "locked" && clock["master"]["steps_removed"] == 2
    });
    assert_eq!(
        (&locked["timescale"], &locked["master"]["utc_offset_s"]),
        (&"tai".into(), &37.into())
    );
    let p99 = worst_of("ptp4l to box to box", readings(&last, off_the_machine));
    assert!(p99 < SANE_NS, "{p99} ns");
    last.wait_for_line("the clock is locked");
    let wrong = |line: &&String| line.contains("stepped") || line.contains("reads like UTC");
    assert_eq!(last.said().iter().find(wrong), None);
}

#[test]
fn ca02_a_pulled_cable_is_held_over_and_the_show_goes_on() {
    if !able("ca02_a_pulled_cable_is_held_over_and_the_show_goes_on") {
        return;
    }
    let net = Net::new(2);
    let _leader = net.ptp4l(0, "-i right -4 --masterOnly 1");
    let mut follower = net.downbeat(1, "ptp = \"follow\"\ninterfaces = [\"left\"]");
    let off = off_the_machine(&follower.wait_for_state("locked"));
    follower.ask("POST", "/api/v1/go");
    for (down, up) in [(0, 0), (1, 1)] {
        let end = if down == 0 { "right" } else { "left" };
        net.ip(down, &format!("link set dev {end} down"));
        let held = follower.wait_for_state("holdover");
        assert!((off_the_machine(&held) - off).abs() < SANE_NS, "{held:#}");
        follower.wait("down", |clock| clock["ports"][0]["state"] == "down");
        net.ip(up, &format!("link set dev {end} up"));
        follower.wait_for_state("locked");
    }
    let p99 = worst_of("after two pulled cables", readings(&follower, off_ptp4l));
    assert!(p99 < SANE_NS, "{p99} ns");
    follower.wait_for_line("no PTP on left: the interface has no link");
    // Not even before the show: what ptp4l gives with software stamps is UTC, and so is the machine's own clock.
    let steps = follower.said().iter().filter(|line| line.contains("stepped")).count();
    assert_eq!(steps, 0, "{:#?}", follower.said());
    assert!(follower.said().iter().any(|line| line.contains("it reads like UTC")));
}

#[test]
fn ca02_an_interface_that_is_taken_out_or_changes_its_address_is_found_again() {
    if !able("ca02_an_interface_that_is_taken_out_or_changes_its_address_is_found_again") {
        return;
    }
    let net = Net::apart(2);
    let mut follower = net.downbeat(1, "ptp = \"follow\"\ninterfaces = [\"left\"]");
    let warning = follower.said().iter().find(|line| line.starts_with("WARNING"));
    assert!(
        warning.is_some_and(|it| it.contains("left: the interface is not there")),
        "{warning:?}"
    );
    net.link(0, 1);
    let leader = net.ptp4l(0, "-i right -4 --masterOnly 1");
    follower.wait_for_state("locked");
    net.ip(1, "addr del 10.97.0.2/24 dev left");
    follower.wait("without an address", |clock| clock["ports"][0]["state"] == "down");
    net.ip(1, "addr add 10.97.0.77/24 dev left");
    follower.wait("following", |clock| clock["ports"][0]["state"] == "following");
    net.ip(1, "link del dev left");
    follower.wait_for_state("holdover");
    drop(leader);
    net.link(0, 1);
    let _again = net.ptp4l(0, "-i right -4 --masterOnly 1");
    follower.wait_for_state("locked");
    follower.wait_for_line("PTP goes on");
}

#[test]
fn ca02_a_master_that_vanishes_is_held_over_until_one_is_back() {
    if !able("ca02_a_master_that_vanishes_is_held_over_until_one_is_back") {
        return;
    }
    let net = Net::new(2);
    let leader = net.ptp4l(0, "-i right -4 --masterOnly 1");
    let follower = net.downbeat(1, "ptp = \"follow\"\ninterfaces = [\"left\"]");
    let before = follower.wait_for_state("locked");
    let off = off_the_machine(&before);
    drop(leader);
    let held = follower.wait_for_state("holdover");
    assert!(held["error_bound_ns"].as_i64() >= before["error_bound_ns"].as_i64(), "{held:#}");
    assert!((off_the_machine(&held) - off).abs() < SANE_NS, "{held:#}");
    let _again = net.ptp4l(0, "-i right -4 --masterOnly 1");
    follower.wait_for_state("locked");
    let p99 = worst_of("after a vanished master", readings(&follower, off_ptp4l));
    assert!(p99 < SANE_NS, "{p99} ns");
}

#[test]
fn ca02_when_the_leader_dies_the_box_leads() {
    if !able("ca02_when_the_leader_dies_the_box_leads") {
        return;
    }
    let net = Net::new(2);
    let leader = net.ptp4l(0, "-i right -4 --priority1 100");
    let the_box = net.downbeat(1, "ptp = \"auto\"\ninterfaces = [\"left\"]");
    the_box.wait_for_state("locked");
    drop(leader);
    the_box.wait("leading", |clock| {
        clock["role"] == "master" && clock["ports"][0]["state"] == "leading"
    });
    let orphan = net.ptp4l(0, "-i right -4 -s");
    let truth = -off_the_machine(&the_box.clock());
    let errors = orphan.offsets(TOLD).into_iter().map(|offset| offset - truth).collect();
    let p99 = worst_of("a box that took over, to ptp4l", errors);
    assert!(p99 < SANE_NS, "{p99} ns");
    // And a better one takes it back.
    drop(orphan);
    let _better = net.ptp4l(0, "-i right -4 --priority1 100");
    the_box.wait("following again", |clock| clock["role"] == "follower");
}

#[test]
fn ca02_two_boxes_compare_their_clocks_and_agree() {
    if !able("ca02_two_boxes_compare_their_clocks_and_agree") {
        return;
    }
    let net = Net::new(2);
    let leader =
        net.downbeat(0, "ptp = \"lead\"\ninterfaces = [\"right\"]\npeers = [\"10.97.0.2\"]");
    let follower =
        net.downbeat(1, "ptp = \"follow\"\ninterfaces = [\"left\"]\npeers = [\"10.97.0.1\"]");
    follower.wait("locked, and of one mind", |clock| {
        clock["state"] == "locked" && clock["agreement"] == "agree"
    });
    let seen = leader.wait("asked", |clock| clock["peers"][0]["difference_ns"].is_i64());
    assert_eq!(seen["peers"][0]["peer"], "10.97.0.2");
    let errors = readings(&follower, |clock| apart(&leader.clock(), clock));
    let p99 = worst_of("box to box", errors);
    assert!(p99 < SANE_NS, "{p99} ns");
}

#[test]
fn ca02_a_port_whose_packets_cannot_leave_says_so_once_and_goes_on_when_they_can() {
    if !able("ca02_a_port_whose_packets_cannot_leave_says_so_once_and_goes_on_when_they_can") {
        return;
    }
    let net = Net::new(2);
    let clock = "ptp = \"lead\"\ninterfaces = [\"right\"]\ntransport = \"ipv6\"";
    let mut leader = net.downbeat(0, clock);
    leader.wait("leading", |clock| clock["ports"][0]["state"] == "leading");
    // Without it IPv6 knows no way for multicast; link and address are as they were.
    let route = "multicast ff00::/8 dev right table local";
    net.ip(0, &format!("-6 route del {route}"));
    leader.wait_for_line("no PTP on right");
    let port = leader.clock()["ports"][0].clone();
    assert!(port["trouble"].as_str().is_some_and(|it| it.contains("unreachable")), "{port:#}");
    net.ip(0, &format!("-6 route add {route}"));
    leader.wait_for_line("PTP goes on");
    let told = leader.said().iter().filter(|line| line.contains("no PTP on right")).count();
    assert_eq!(told, 1, "{:#?}", leader.said());
}

#[test]
fn ca02_a_box_without_the_right_to_ptp_says_so_and_plays_on() {
    if !able("ca02_a_box_without_the_right_to_ptp_says_so_and_plays_on") {
        return;
    }
    let net = Net::new(2);
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let mut the_box = net.downbeat_as(1, "ptp = \"follow\"\ninterfaces = [\"left\"]", &nobody);
    the_box.wait("told", |clock| {
        clock["ports"][0]["trouble"].as_str().is_some_and(|it| it.contains("CAP_NET_BIND_SERVICE"))
    });
    // At the start where the link was there by then, else when it came.
    if !the_box.said().iter().any(|line| line.contains("CAP_NET_BIND_SERVICE")) {
        the_box.wait_for_line("CAP_NET_BIND_SERVICE");
    }
    assert_eq!(the_box.clock()["state"], "free");
    assert!(the_box.ask("POST", "/api/v1/go")["done"].is_object());
}
