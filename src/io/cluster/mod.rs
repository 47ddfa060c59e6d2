//! Boxes that stand in for each other: signs of life, the lease, and the link by which a show is followed.
//!
//! In: datagrams and lines of other boxes, how this box fares. Out: the same of this one; who drives. Never here: who that is to
//! be, and what it means for outputs.

mod address;
mod feed;
mod key;
mod link;
mod post;
#[cfg(test)]
mod tests;
mod vault;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use engine::cluster::ways::Ways;
use engine::cluster::{Act, BEAT, Fitness, Lease, LeaseSetup, Replicas, Replication};
use engine::show::Show;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use units::{MonoTime, Span, WireTime};
use uuid::Uuid;
use wire::cluster::{Beacon, Letter, Sender, Word};
use wire::solusync::{Header, Standing};

pub use address::{Holder, Wanted, may_hold};
pub use feed::{Feed, Pulse};
pub use key::Key;
use link::{Ends, Whom, held};
use post::{Came, Post};
pub use vault::Vault;

use crate::clock::BoxClock;
use crate::conductor::EngineHandle;
use crate::{chance, disk};

/// An engine that has not said for so long that it lives is dead, whatever else of the box is not.
const ENGINE_SILENT: Span = Span::from_millis(100);
/// What a box that lives has not taken by then is said to be in this one alone.
const REPLICATED_WITHIN: Duration = Duration::from_millis(150);
/// Interfaces that are not there are looked for so often.
const MEND_EVERY: Span = Span::from_secs(1);
/// Strangers, and faults of our own, are told of once in so long.
const TOLD_EVERY: Span = Span::from_secs(60);

/// What a cluster is joined with.
pub struct ClusterSetup {
    /// This box.
    pub node: Uuid,
    /// Its name.
    pub name: String,
    /// The cluster's.
    pub cluster: String,
    /// Names of the boxes that have a vote; two or more.
    pub voters: Vec<String>,
    /// What all its boxes have.
    pub key: Key,
    /// Where the state is kept.
    pub state: PathBuf,
    /// Where signs of life go; none: where the system sends groups.
    pub interfaces: Vec<String>,
    /// The lighting interface, whose link is watched.
    pub light: Option<String>,
    /// TCP port at which others are told of the show; 0 is any.
    pub port: u16,
    /// The one that whoever drives holds; none if there is none.
    pub address: Option<Wanted>,
    /// Where phones find this box, and over TLS.
    pub urls: (String, Option<String>),
    /// Tells the show and the program apart from all others.
    pub show: String,
    /// Its engine.
    pub engine: EngineHandle,
    /// What that engine has been told.
    pub feed: Feed,
    /// What it has in common with the others beside the show.
    pub vault: Vault,
    /// The box clock.
    pub clock: BoxClock,
    /// TAI minus UTC.
    pub tai_utc: Span,
    /// Told of what changes; must not wait.
    pub tell: Box<dyn FnMut(News) + Send>,
}

/// What changes.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// This box drives from now on; whom it takes over from, where there was one.
    Drives {
        /// As a source of light.
        after: Option<Uuid>,
    },
    /// It stands by from now on.
    StandsBy,
    /// A box of that name drives, and this one follows it.
    Follows(String),
    /// Which boxes there are, and which drives.
    Standing(Standing),
    /// Something that a person has to see to.
    Trouble(String),
}

/// The cluster, for watchers.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct ClusterGlance {
    /// Its name.
    pub name: String,
    /// Whether this box drives.
    pub drives: bool,
    /// The term of whoever drives, or drove last.
    pub term: u64,
    /// Who drives, by name; none where nobody does, or this box knows of nobody.
    pub master: Option<String>,
    /// Whether this box would go on with the show if it had to drive now.
    pub knows_the_show: bool,
    /// Why not, where it is known.
    pub trouble: Option<String>,
    /// The other boxes that were heard in the last ten seconds.
    pub boxes: Vec<BoxGlance>,
}

/// Another box.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BoxGlance {
    /// Its name.
    pub name: String,
    /// Its id.
    pub node_id: Uuid,
    /// Whether it drives.
    pub drives: bool,
    /// Whether it is heard now.
    pub lives: bool,
    /// How fit it is to drive, 0 to 1.
    pub candidate_score: f64,
    /// Where phones find it.
    pub url: String,
}

/// A box of a cluster, as long as this lives.
#[derive(Debug)]
pub struct Cluster {
    leaving: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    watch: ClusterWatch,
    holder: Option<Arc<Holder>>,
}

/// Sees how the cluster stands; cheap to clone.
#[derive(Debug, Clone)]
pub struct ClusterWatch {
    glance: Arc<Mutex<ClusterGlance>>,
    replicas: watch::Receiver<Replicas>,
}

impl ClusterWatch {
    /// How it stands now.
    pub fn glance(&self) -> ClusterGlance {
        held(&self.glance).clone()
    }

    /// Whether the others have taken so many steps, once they have or [`REPLICATED_WITHIN`] is past.
    pub async fn kept(&self, steps: u64) -> Replication {
        let mut replicas = self.replicas.clone();
        let replicated = replicas.wait_for(|it| it.is_known(steps));
        let _ = tokio::time::timeout(REPLICATED_WITHIN, replicated).await;
        self.replicas.borrow().kept(steps)
    }
}

impl Cluster {
    /// Joins: stands by from here on, until the lease says otherwise.
    ///
    /// # Errors
    /// A port that is taken, a state that cannot be kept. An interface that is not there is waited for.
    pub fn join(setup: ClusterSetup) -> io::Result<Self> {
        let post = Post::new(&setup.interfaces, setup.key.clone());
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, setup.port))?;
        let port = listener.local_addr()?.port();
        let kept = Kept::begin(&setup.state)?;
        let ends = Arc::new(Ends {
            node: setup.node,
            key: setup.key.clone(),
            show: setup.show.clone(),
            feed: setup.feed.clone(),
            clock: setup.clock.clone(),
            tai_utc: setup.tai_utc,
            term: Mutex::new(None),
            whom: Mutex::new(None),
            told_in: AtomicU64::new(0),
            trouble: Mutex::new(None),
            vault: setup.vault.clone(),
            heard: Mutex::default(),
            said: Mutex::default(),
            replicas: watch::Sender::default(),
        });
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.into()).spawn(run)
        };
        let serves = ends.clone();
        spawn("cluster door", Box::new(move || link::serve(&listener, &serves)))?;
        let said = ends.clone();
        let say = move |what| held(&said.said).push(what);
        let clock = setup.clock.clone();
        let holder = setup.address.clone().map(|it| Holder::start(it, clock, say).map(Arc::new));
        let holder = holder.transpose()?;
        let (follows, engine) = (ends.clone(), setup.engine.clone());
        let follower = spawn("cluster follows", Box::new(move || link::follow(&follows, &engine)))?;
        let leaving = Arc::new(AtomicBool::new(false));
        let watch = ClusterWatch { glance: Arc::default(), replicas: ends.replicas.subscribe() };
        let member = Member::new(setup, kept, (post, port), ends, follower.thread().clone());
        let glance = watch.glance.clone();
        let member = Member { glance, leaving: leaving.clone(), holder: holder.clone(), ..member };
        let thread = spawn("cluster", Box::new(move || member.run()))?;
        Ok(Self { leaving, thread, watch, holder })
    }

    /// For those who want to see how it stands.
    pub fn watch(&self) -> ClusterWatch {
        self.watch.clone()
    }

    /// A planned exit: somebody else drives from here on. What holds the cluster's address is to leave when those who came by
    /// it have been told.
    pub fn leave(self) -> Option<Holder> {
        self.leaving.store(true, Relaxed);
        let _ = self.thread.join();
        self.holder.and_then(Arc::into_inner)
    }
}

/// Tells a show and a program apart from all others: boxes of two kinds would not do the same at the same steps.
pub fn fingerprint(show: &Show, version: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{version} {show:?}"));
    key::hex(&hash.finalize())
}

/// What survives a restart.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Kept {
    /// How often this box has been started.
    starts: u64,
    /// The last term in which it has voted.
    voted: u64,
}

impl Kept {
    /// One more start.
    fn begin(state: &Path) -> io::Result<Self> {
        let before = match std::fs::read_to_string(state.join("cluster.json")) {
            // One that holds nothing of use is as good as none: the others know the term.
            Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(error),
        };
        let kept = Self { starts: before.starts + 1, ..before };
        kept.write(state)?;
        Ok(kept)
    }

    fn write(&self, state: &Path) -> io::Result<()> {
        let text = serde_json::to_string(self).expect("numbers have a JSON form");
        disk::write_whole(&state.join("cluster.json"), text.as_bytes(), 0o644)
    }
}

/// The thread's own.
struct Member {
    setup: ClusterSetup,
    lease: Lease,
    post: Post,
    port: u16,
    ends: Arc<Ends>,
    follower: std::thread::Thread,
    kept: Kept,
    said: u64,
    ways: Ways,
    next_own: MonoTime,
    next_mend: MonoTime,
    stranger_told: Option<MonoTime>,
    fault_told: Option<MonoTime>,
    standing: Option<Standing>,
    glance: Arc<Mutex<ClusterGlance>>,
    leaving: Arc<AtomicBool>,
    holder: Option<Arc<Holder>>,
}

impl Member {
    fn new(
        setup: ClusterSetup,
        kept: Kept,
        (post, port): (Post, u16),
        ends: Arc<Ends>,
        follower: std::thread::Thread,
    ) -> Self {
        let now = setup.clock.mono_now();
        Self {
            lease: lease(&setup, kept, now),
            setup,
            post,
            port,
            ends,
            follower,
            kept,
            said: 0,
            ways: Ways::default(),
            next_own: now,
            next_mend: now,
            stranger_told: None,
            fault_told: None,
            standing: None,
            glance: Arc::default(),
            leaving: Arc::default(),
            holder: None,
        }
    }

    fn run(mut self) {
        // Whoever is late here is taken for dead.
        crate::sound::ask_for_real_time();
        while !self.leaving.load(Relaxed) {
            let began = self.now();
            if catch_unwind(AssertUnwindSafe(|| self.turn())).is_err() {
                // One that comes again and again must not cost a processor.
                std::thread::sleep(BEAT.to_std());
                let _ = catch_unwind(AssertUnwindSafe(|| self.stumble(began)));
            }
        }
        self.lease.handle_leave(self.now());
        self.act(self.now());
    }

    fn turn(&mut self) {
        let now = self.now();
        if now >= self.next_own {
            self.next_own = now + BEAT;
            self.look_at_own(now);
        }
        if now >= self.next_mend {
            self.next_mend = now + MEND_EVERY;
            self.post.mend().into_iter().for_each(|it| (self.setup.tell)(News::Trouble(it)));
        }
        self.lease.handle_wake(now);
        self.act(now);
        self.publish(now);
        self.listen();
    }

    /// Where the show does not go on after a fault of our own, it is as if this box had just been started.
    fn stumble(&mut self, began: MonoTime) {
        let now = self.now();
        let goes_on = self.lease.goes_on_after_fault(began);
        if !goes_on {
            self.lease = lease(&self.setup, self.kept, now);
            (self.standing, self.next_own) = (None, now);
            *held(&self.ends.whom) = None;
            self.stand_by();
        }
        if self.fault_told.is_some_and(|told| now - told < TOLD_EVERY) {
            return;
        }
        self.fault_told = Some(now);
        let then = if goes_on { "goes on alone" } else { "stands by and joins anew" };
        let why = format!(
            "a fault in the cluster's thread (its backtrace is in the log): this box {then}"
        );
        (self.setup.tell)(News::Trouble(why));
    }

    fn now(&self) -> MonoTime {
        self.setup.clock.mono_now()
    }

    fn listen(&mut self) {
        let next = self.lease.next_wake().min(self.next_own);
        let patience = (next - self.now()).max(Span::ZERO).to_std();
        let mut came = Vec::new();
        self.post.hear(patience, |it| came.push(it));
        let now = self.now();
        for it in came {
            match it {
                Came::Letter(letter, from) => self.take(now, letter, from),
                Came::Stranger(from) => self.tell_of_stranger(now, from),
            }
        }
        self.act(now);
    }

    fn take(&mut self, now: MonoTime, letter: Letter, from: IpAddr) {
        let node = letter.header.node_id;
        if letter.sender.cluster != self.setup.cluster || node == self.setup.node {
            return;
        }
        self.lease.handle_letter(now, &letter);
        self.ways.handle_heard(now, node, from);
        held(&self.ends.heard).insert(from);
        if let Word::Beacon(beacon) = &letter.word
            && self.lease.master(now) == Some(node)
        {
            self.setup.engine.progress(beacon.steps, beacon.done());
        }
    }

    fn tell_of_stranger(&mut self, now: MonoTime, from: IpAddr) {
        if self.stranger_told.is_some_and(|told| now - told < TOLD_EVERY) {
            return;
        }
        self.stranger_told = Some(now);
        let why = format!(
            "a box at {from} has another cluster key, and is not heard: copy cluster.key from one box's state folder to the \
             other's, and start it again"
        );
        (self.setup.tell)(News::Trouble(why));
    }

    /// How this box fares. A dead engine gives no sign of life, so others take over.
    fn look_at_own(&mut self, now: MonoTime) {
        self.setup.engine.beat();
        let said = std::mem::take(&mut *held(&self.ends.said));
        said.into_iter().for_each(|it| (self.setup.tell)(News::Trouble(it)));
        let pulse = self.setup.feed.pulse();
        let fitness = Fitness {
            light: self.setup.light.as_deref().is_none_or(has_link),
            same_show: !held(&self.ends.trouble).as_ref().is_some_and(|it| it.other_show),
            knows_the_show: self.knows_the_show(now, pulse),
        };
        self.lease.handle_own(
            now,
            Beacon {
                term: 0,
                drives: false,
                candidate_score: fitness.score(),
                done_ns: pulse.done.ns(),
                steps: pulse.steps,
                port: self.port,
                url: self.setup.urls.0.clone(),
                secure_url: self.setup.urls.1.clone(),
            },
        );
    }

    fn knows_the_show(&self, now: MonoTime, pulse: Pulse) -> bool {
        self.lease.knows_the_show(now, self.ends.told_in.load(Relaxed), pulse.steps)
    }

    fn act(&mut self, now: MonoTime) {
        while let Some(act) = self.lease.poll() {
            match act {
                Act::Keep { term } => self.keep(term),
                Act::Say(word) => self.say(now, word),
                Act::Drive { term, after } => {
                    *held(&self.ends.whom) = None;
                    *held(&self.ends.trouble) = None;
                    *held(&self.ends.term) = Some(term);
                    self.setup.engine.take_over();
                    self.holder.iter().for_each(|it| it.set_drives(true));
                    (self.setup.tell)(News::Drives { after });
                }
                Act::StandBy => self.stand_by(),
            }
        }
        self.follow(now);
    }

    fn stand_by(&mut self) {
        *held(&self.ends.term) = None;
        self.setup.engine.stand_by("another box".to_owned());
        self.holder.iter().for_each(|it| it.set_drives(false));
        (self.setup.tell)(News::StandsBy);
    }

    /// Whoever drives is followed, and who drives follows nobody.
    fn follow(&mut self, now: MonoTime) {
        let master = self.lease.master(now).filter(|_| !self.lease.drives());
        let Some((master, peer)) = master.and_then(|it| Some((it, self.lease.peers().get(&it)?)))
        else {
            return;
        };
        let Some(ip) = self.ways.to(master) else { return };
        let whom = Whom { at: SocketAddr::new(ip, peer.beacon.port), term: peer.beacon.term };
        if held(&self.ends.whom).replace(whom) != Some(whom) {
            self.setup.engine.stand_by(peer.name.clone());
            (self.setup.tell)(News::Follows(peer.name.clone()));
            self.follower.unpark();
        }
    }

    fn keep(&mut self, term: u64) {
        self.kept.voted = term;
        if let Err(error) = self.kept.write(&self.setup.state) {
            (self.setup.tell)(News::Trouble(format!("could not keep the term of a vote: {error}")));
        }
    }

    fn say(&mut self, now: MonoTime, word: Word) {
        let engine_lives = now - self.setup.feed.pulse().beat < ENGINE_SILENT;
        if !engine_lives && !self.leaving.load(Relaxed) {
            return;
        }
        self.said += 1;
        let header = Header {
            id: chance::uuid(),
            timestamp: WireTime::from_show(self.setup.clock.now(), self.setup.tai_utc),
            node_id: self.setup.node,
            sequence: self.said,
        };
        let sender = Sender {
            cluster: self.setup.cluster.clone(),
            name: self.setup.name.clone(),
            start: self.kept.starts,
        };
        self.post.say(&Letter { header, sender, word });
    }

    fn publish(&mut self, now: MonoTime) {
        let standing = self.lease.standing(now);
        if self.standing.as_ref() != Some(&standing) {
            self.standing = Some(standing.clone());
            (self.setup.tell)(News::Standing(standing));
        }
        let glance = self.glance(now);
        *held(&self.glance) = glance;
        let (voters, living) = (self.setup.voters.len(), self.lease.living_peers(now));
        self.ends.replicas.send_if_modified(|it| {
            let is_new = (it.voters, &it.living) != (voters, &living);
            (it.voters, it.living) = (voters, living);
            is_new
        });
    }

    fn glance(&self, now: MonoTime) -> ClusterGlance {
        let peers = self.lease.peers();
        let master = self.lease.master(now);
        let boxes = peers.iter().map(|(node, peer)| BoxGlance {
            name: peer.name.clone(),
            node_id: *node,
            drives: master == Some(*node),
            lives: peer.lives(now),
            candidate_score: peer.beacon.candidate_score,
            url: peer.beacon.url.clone(),
        });
        ClusterGlance {
            name: self.setup.cluster.clone(),
            drives: self.lease.drives(),
            term: self.lease.master_term(),
            master: match self.lease.drives() {
                true => Some(self.setup.name.clone()),
                false => master.and_then(|it| peers.get(&it)).map(|it| it.name.clone()),
            },
            knows_the_show: self.knows_the_show(now, self.setup.feed.pulse()),
            trouble: held(&self.ends.trouble).as_ref().map(|it| it.why.clone()),
            boxes: boxes.collect(),
        }
    }
}

fn lease(setup: &ClusterSetup, kept: Kept, now: MonoTime) -> Lease {
    Lease::new(LeaseSetup {
        node: setup.node,
        name: setup.name.clone(),
        voters: setup.voters.clone(),
        chance: chance::seed(),
        kept: kept.voted,
        now,
    })
}

/// Whether a cable is in it, as the kernel sees it; one that it does not tell of has.
fn has_link(interface: &str) -> bool {
    let carrier = std::fs::read_to_string(format!("/sys/class/net/{interface}/carrier"));
    carrier.map_or(true, |text| text.trim() != "0")
}
