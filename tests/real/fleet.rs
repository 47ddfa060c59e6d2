//! A small crowd of the page's own cores at the real program, through a bad network.
//!
//! Needs loopback and the built program. What phones know is judged by the truth, and nothing by the speed of this
//! machine.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sim::path::Scenario;
use tokio::runtime::Builder;
use tools::fleet::{Place, Plan, Report, Way, run};

use crate::the_box::{PATIENCE, lines_of, path};

/// Thirty of them on a calm Wi-Fi.
fn crowd(way: Way) -> Report {
    let plan = Plan {
        phones: 30,
        way,
        scenario: *Scenario::named("wifi-calm").expect("a scenario"),
        seed: 7,
        warm_up: Duration::from_secs(3),
        measure: Duration::from_secs(3),
        weigh: Duration::from_millis(600),
        at: Place::Program(path()),
    };
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let report = runtime.expect("threads").block_on(run(&plan, |word| println!("{word}")));
    let report = report.expect("a box, and room for thirty");
    println!("{report}");
    assert_eq!((report.in_step, report.errors.without_time), (30, 0));
    assert!(report.errors.absolute.count >= 30 * 5, "everybody is looked at, again and again");
    assert!(report.errors.within_bound.is_some_and(|share| share >= 0.95), "{report}");
    assert!(report.cost.answered_per_s > 0.0 && report.cost.asked_per_s > 0.0);
    let sounds = &report.sounds;
    assert!(sounds.given >= 1 && sounds.absolute.count > 0, "{report}");
    assert!(sounds.missed.is_some_and(|share| share < 0.2), "every phone is told: {report}");
    assert!(sounds.late.is_some_and(|share| share < 0.5), "the network is calm: {report}");
    // What is not late sounds when the phone's own clock says so.
    let clock = report.errors.absolute.max.expect("it was looked at");
    assert!(sounds.absolute.p50.is_some_and(|usual| usual <= clock + 1.0), "{report}");
    assert!(sounds.lead.p50.is_some_and(|lead| lead > 90.0), "{report}");
    let [usual, more] = report.cost.weighed_at;
    assert!(more > 2.0 * usual, "phones ask more when they are told to: {usual} and {more}");
    let floor = Some(plan.scenario.up.floor);
    assert!(report.networks.streams.up.delay.at(0.0) >= floor, "nobody is faster");
    report
}

#[test]
fn sx09_thirty_phones_on_wifi_know_the_boxs_time_within_what_they_claim() {
    let report = crowd(Way::WebSocket);
    assert_eq!(report.cost.in_datagrams, Some(0.0));
    assert!(report.networks.datagrams.is_none());
}

#[test]
fn sx09_thirty_phones_that_ask_in_datagrams_do_so_too() {
    let report = crowd(Way::WebTransport);
    assert!(report.cost.in_datagrams > Some(0.9), "{report}");
    let datagrams = report.networks.datagrams.expect("a network for them");
    assert_eq!(datagrams.connections, 30);
    assert!(datagrams.lateness.count() > 30 * 10, "questions and answers went through it");
}

#[test]
fn a_fleet_that_is_told_to_end_takes_its_box_and_its_folders_along() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let place = tempfile::tempdir().expect("a folder");
        let mut fleet = Command::new(path().with_file_name("tools"));
        fleet.args(["fleet", "--phones", "1", "--program"]).arg(path());
        fleet.env("TMPDIR", place.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut fleet = fleet.spawn().expect("`cargo build -p tools` makes it");
        let said = lines_of(fleet.stderr.take().expect("piped"));
        let begun = said.recv_timeout(PATIENCE).expect("it says how it goes");
        assert!(begun.contains("nobody here yet"), "{begun}");
        let left = || std::fs::read_dir(place.path()).expect("ours").count();
        assert!(left() > 0, "a box has its folder");
        kill(Pid::from_raw(fleet.id().cast_signed()), signal).expect("it is ours");
        assert_eq!(fleet.wait().expect("it ends").code(), Some(1));
        // A box is waited for before its folder goes.
        assert_eq!(left(), 0, "{signal}");
    }
}
