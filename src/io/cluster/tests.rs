//! What boxes of a cluster do by themselves, each in a thread of this process.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use engine::EngineStart;
use engine::cluster::Understudy;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::conductor::Conductor;
use crate::http::Tokens;
use crate::overheard::Overheard;

const PATIENCE: Duration = Duration::from_secs(20);

/// A box that is one of two.
struct Member {
    cluster: Cluster,
    conductor: Conductor,
    hears: Receiver<News>,
    _state: TempDir,
    _ended: oneshot::Receiver<()>,
}

impl Member {
    /// What joins: with a fault in what it does when it begins to drive, the first time, or without. Keys take a while.
    fn of((cluster, name): (&str, &str), has_fault: bool) -> impl FnOnce() -> Self {
        let (state, clock) = (tempfile::tempdir().expect("a folder"), BoxClock::free());
        std::fs::write(state.path().join("cluster.key"), "5".repeat(64)).expect("written");
        let start = EngineStart { now: clock.now(), tai_utc: Span::ZERO, chance: 1 };
        let engine = (Understudy::new(Arc::new(Show::default()), start, true), Span::ZERO);
        let ((gone, ended), (told, hears)) = (oneshot::channel(), channel());
        let (overheard, feed) = (Overheard::default(), Feed::default());
        let conductor = Conductor::start(engine, clock, |_| {}, (&overheard, feed.clone()), gone);
        let conductor = conductor.expect("a thread");
        let tell = tell(told, has_fault);
        let setup = setup((cluster, name), state.path(), (conductor.handle(), feed), tell);
        move || {
            let cluster = Cluster::join(setup).expect("it joins");
            Self { cluster, conductor, hears, _state: state, _ended: ended }
        }
    }

    /// The next news, but for how all stand; in a word.
    fn next(&self) -> String {
        loop {
            match self.hears.recv_timeout(PATIENCE).expect("it says so") {
                News::Standing(_) => {}
                News::Drives { .. } => return "drives".to_owned(),
                News::StandsBy => return "stands by".to_owned(),
                News::Follows(whom) => return format!("follows {whom}"),
                News::Trouble(why) => {
                    return why.rsplit(": ").next().unwrap_or_default().to_owned();
                }
            }
        }
    }

    fn until(&self, what: impl Fn(&ClusterGlance) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !what(&self.cluster.watch().glance()) {
            assert!(Instant::now() < end, "{:?}", self.cluster.watch().glance());
            std::thread::yield_now();
        }
    }

    fn leave(self) {
        self.cluster.leave();
        self.conductor.stop();
    }
}

fn tell(told: Sender<News>, has_fault: bool) -> Box<dyn FnMut(News) + Send> {
    let mut breaks = has_fault;
    Box::new(move |news| {
        let drives = matches!(news, News::Drives { .. });
        // A test that is over listens no more.
        let _ = told.send(news);
        assert!(!(drives && std::mem::take(&mut breaks)), "this is meant to happen");
    })
}

fn setup(
    (cluster, name): (&str, &str),
    state: &Path,
    (engine, feed): (EngineHandle, Feed),
    tell: Box<dyn FnMut(News) + Send>,
) -> ClusterSetup {
    let node = Uuid::from_u128(chance::bits());
    ClusterSetup {
        node,
        name: name.into(),
        cluster: cluster.into(),
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
        tell,
    }
}

#[test]
fn sx13_a_box_with_a_fault_in_its_clusters_thread_goes_on_where_it_is_alone() {
    let left = Member::of(("alone", "left"), true)();
    assert_eq!([left.next(), left.next()], ["drives", "this box goes on alone"]);
    left.until(|it| it.drives);
    left.leave();
}

#[test]
fn sx13_a_box_with_a_fault_in_its_clusters_thread_stands_by_where_another_lives() {
    let [left, right] = [("left", true), ("right", false)]
        .map(|(name, has_fault)| Member::of(("two", name), has_fault))
        .map(|join| join());
    assert_eq!(left.next(), "drives", "it is the first of them");
    assert_eq!([left.next(), left.next()], ["stands by", "this box stands by and joins anew"]);
    left.until(|it| it.master.as_deref() == Some("right"));
    right.until(|it| it.drives);
    [left, right].into_iter().for_each(Member::leave);
}
