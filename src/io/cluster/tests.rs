//! What one box of a cluster does by itself.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use engine::EngineStart;
use engine::cluster::Understudy;
use tokio::sync::oneshot;
use units::Span;

use super::*;
use crate::conductor::Conductor;
use crate::http::Tokens;
use crate::overheard::Overheard;

const PATIENCE: Duration = Duration::from_secs(20);

/// One of two, alone; what it tells goes to `told`, and it breaks at what is told first of its driving.
fn setup(state: &Path, engine: EngineHandle, feed: Feed, told: Sender<News>) -> ClusterSetup {
    let node = Uuid::from_u128(1);
    let mut is_whole = true;
    let tell = move |news: News| {
        let breaks = is_whole && matches!(news, News::Drives { .. });
        told.send(news).expect("somebody listens");
        if breaks {
            is_whole = false;
            panic!("this is meant to happen");
        }
    };
    ClusterSetup {
        node,
        name: "left".into(),
        cluster: "stage".into(),
        voters: ["left", "right"].map(String::from).into(),
        key: Key::open(state).expect("a key").0,
        state: state.to_owned(),
        interfaces: vec!["lo".into()],
        light: None,
        port: 0,
        address: None,
        urls: ("http://127.0.0.1/".into(), None),
        show: "the same".into(),
        engine,
        feed,
        vault: Vault {
            tokens: Arc::new(Tokens::open(state, node).expect("keys").0),
            certificates: None,
            seals: None,
        },
        clock: BoxClock::free(),
        tai_utc: Span::ZERO,
        tell: Box::new(tell),
    }
}

#[test]
fn sx13_a_box_with_a_fault_in_its_clusters_thread_stands_by_says_so_and_joins_anew() {
    let (state, clock) = (tempfile::tempdir().expect("a folder"), BoxClock::free());
    let start = EngineStart { now: clock.now(), tai_utc: Span::ZERO, chance: 1 };
    let engine = (Understudy::new(Arc::new(Show::default()), start, true), Span::ZERO);
    let (gone, _ended) = oneshot::channel();
    let (overheard, feed) = (Overheard::default(), Feed::default());
    let conductor = Conductor::start(engine, clock, |_| {}, (&overheard, feed.clone()), gone);
    let conductor = conductor.expect("a thread");
    let (told, hears) = channel();
    let cluster = Cluster::join(setup(state.path(), conductor.handle(), feed, told));
    let cluster = cluster.expect("it joins");
    let mut said = Vec::new();
    while said.len() < 4 {
        match hears.recv_timeout(PATIENCE).expect("it says so") {
            News::Standing(_) => {}
            News::Trouble(why) => said.push(why.split(' ').take(3).collect::<Vec<_>>().join(" ")),
            other => said.push(format!("{other:?}")),
        }
    }
    assert_eq!(
        said,
        ["Drives { after: None }", "a fault in", "StandsBy", "Drives { after: None }"]
    );
    assert!(cluster.watch().glance().drives);
    cluster.leave();
    conductor.stop();
}
