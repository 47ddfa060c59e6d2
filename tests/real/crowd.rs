//! A crowd at the real program, with bad company in it. Needs loopback and the built program.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tools::crowd::{Crowd, Dialect, Manner, Party, word};
use tools::running::{Running, get};

use crate::the_box::{PATIENCE, path};

/// Octets of an order's text.
const OCTETS: usize = 300;

/// A box whose cues each show one word, and the runtime that speaks to it.
fn a_box(words: u32) -> (Runtime, Running, TempDir) {
    let cue = |number: u32| {
        let text = word(number, OCTETS);
        format!("[[list.cue]]\nnumber = \"{}\"\nphones = {{ text = \"{text}\" }}\n", number + 1)
    };
    let cues: String = (0..words).map(cue).collect();
    let show = TempDir::new().expect("a folder");
    let text = format!("[show]\ntitle = \"Crowd\"\n[[list]]\nname = \"main\"\n{cues}");
    std::fs::write(show.path().join("show.toml"), text).expect("a show");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let running = runtime.block_on(Running::start(&path(), show.path(), "")).expect("a box");
    (runtime, running, show)
}

fn crowd(to: SocketAddr, secure: bool, first: u32, manner: Manner) -> Crowd {
    let (dialect, count, per_second) = (Dialect::solusync(), 40, 500.0);
    let party = Party { to, secure, dialect, count, first, per_second, manner };
    let mut crowd = Crowd::new(party).expect("epoll");
    let arrival = crowd.arrive().expect("epoll");
    assert_eq!((arrival.joined, arrival.failed), (count, 0), "{manner:?}");
    crowd
}

/// Everybody listens until it is so.
fn until(crowds: &mut [Crowd], what: &str, so: impl Fn(&[Crowd]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so(crowds) {
        assert!(Instant::now() < deadline, "{what}");
        for crowd in crowds.iter_mut() {
            crowd.listen(Duration::from_millis(2)).expect("epoll");
        }
    }
}

#[test]
fn sx02_an_order_reaches_everybody_plain_and_over_tls() {
    let (runtime, running, _show) = a_box(5);
    let plain = crowd(running.http(), false, 0, Manner::Good);
    let secure = crowd(running.https(), true, 100, Manner::Good);
    let mut crowds = [plain, secure];
    // Whoever is welcomed and not yet known to the engine hears what is ordered just then once more, as one who joins.
    let known = || {
        let status = runtime.block_on(get(&running.socket(), "/api/v1/status")).expect("status");
        let status: Value = serde_json::from_str(&status).expect("JSON");
        status["show"]["phones"].as_u64()
    };
    until(&mut crowds, "the engine does not know all of them", |_| known() == Some(80));
    for number in 0..5 {
        runtime.block_on(running.post("go", "{}")).expect("GO");
        until(&mut crowds, "somebody has not heard an order", |crowds| {
            crowds.iter().all(|it| it.heard().get(&number).is_some_and(|it| it.count == 40))
        });
    }
    assert!(crowds.iter().all(|it| it.here() == 40));
}

#[test]
fn sx02_who_does_not_read_dribbles_comes_again_and_again_or_floods_keeps_no_order_from_the_others()
{
    let (runtime, running, _show) = a_box(3);
    let company =
        [Manner::Good, Manner::Deaf, Manner::Dribbling, Manner::Restless, Manner::Flooding];
    let mut crowds = company.map(|it| crowd(running.http(), false, 100 * it as u32, it));
    for number in 0..3 {
        runtime.block_on(running.post("go", "{}")).expect("GO");
        until(&mut crowds, "the good ones have not heard an order", |crowds| {
            crowds[0].heard().get(&number).is_some_and(|it| it.count == 40)
        });
        until(&mut crowds, "the restless are not let in again", |crowds| {
            crowds[3].came() >= 40 * (number + 2)
        });
    }
    assert_eq!([crowds[0].here(), crowds[4].here()], [40, 40], "who floods is heard, if seldom");
}
