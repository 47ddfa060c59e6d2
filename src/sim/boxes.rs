//! Boxes that stand in for each other on a network that loses, delays and is cut, in virtual time.
//!
//! In: how many, a seed, and what is cut, killed and started when. Out: who drives, and who has driven when.
//! Never here: the show; each box is its lease alone.

use std::collections::BTreeMap;

use engine::cluster::{Act, Lease, LeaseSetup};
use phone::Chance;
use units::{MonoTime, Span, WireTime};
use uuid::Uuid;
use wire::cluster::{Beacon, Letter, Sender, Word};
use wire::solusync::{Header, uuid_v4};

/// A letter on its way takes up to so long.
const DELAY_MAX: Span = Span::from_millis(5);

/// Somebody began, or ceased, to drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// When.
    pub at: MonoTime,
    /// Which box.
    pub who: usize,
    /// In which term; none where it ceased.
    pub term: Option<u64>,
}

/// The boxes and what is between them.
pub struct Boxes {
    now: MonoTime,
    chance: Chance,
    lost: f64,
    boxes: Vec<OneBox>,
    /// Which groups hear each other; all are in one at first.
    groups: Vec<usize>,
    flying: BTreeMap<(MonoTime, u64), (usize, Letter)>,
    sent: u64,
    /// Everything that happened.
    pub turns: Vec<Turn>,
}

struct OneBox {
    /// None while it is dead.
    lease: Option<Lease>,
    starts: u64,
    kept: u64,
    sequence: u64,
    score: f64,
}

impl Boxes {
    /// So many voters, none of them started, on a network that loses this share of all letters.
    pub fn new(count: usize, lost: f64, seed: u64) -> Self {
        let one = |_| OneBox { lease: None, starts: 0, kept: 0, sequence: 0, score: 1.0 };
        Self {
            now: MonoTime::from_ns(1_000_000_000),
            chance: Chance::new(u128::from(seed) << 64 | 0xb0e5),
            lost,
            boxes: (0..count).map(one).collect(),
            groups: vec![0; count],
            flying: BTreeMap::new(),
            sent: 0,
            turns: Vec::new(),
        }
    }

    /// Now.
    pub fn now(&self) -> MonoTime {
        self.now
    }

    /// The id of a box, the same after every start.
    pub fn node(who: usize) -> Uuid {
        uuid_v4(who as u128 + 1)
    }

    /// A box is started, if it is not there.
    pub fn start(&mut self, who: usize) {
        if self.boxes[who].lease.is_some() {
            return;
        }
        let setup = LeaseSetup {
            node: Self::node(who),
            name: name(who),
            voters: (0..self.boxes.len()).map(name).collect(),
            chance: (self.chance.share() * 1e15) as u64,
            kept: self.boxes[who].kept,
            now: self.now,
        };
        let it = &mut self.boxes[who];
        (it.starts, it.sequence, it.lease) = (it.starts + 1, 0, Some(Lease::new(setup)));
        self.say_fitness(who);
    }

    /// A box dies in the middle of whatever it does.
    pub fn kill(&mut self, who: usize) {
        if self.drives(who) {
            self.turns.push(Turn { at: self.now, who, term: None });
        }
        self.boxes[who].lease = None;
    }

    /// A planned exit.
    pub fn leave(&mut self, who: usize) {
        if let Some(lease) = &mut self.boxes[who].lease {
            lease.handle_leave(self.now);
        }
        self.settle(who);
        self.kill(who);
    }

    /// How fit a box is from now on.
    pub fn set_score(&mut self, who: usize, score: f64) {
        self.boxes[who].score = score;
        self.say_fitness(who);
    }

    /// From now on boxes hear those of their own group only.
    pub fn cut(&mut self, groups: &[usize]) {
        self.groups = groups.to_vec();
    }

    /// Everybody hears everybody again.
    pub fn heal(&mut self) {
        self.groups.fill(0);
    }

    /// And nothing is lost any more.
    pub fn calm(&mut self) {
        self.heal();
        self.lost = 0.0;
    }

    /// Whether a box lives and drives.
    pub fn drives(&self, who: usize) -> bool {
        self.boxes[who].lease.as_ref().is_some_and(Lease::drives)
    }

    /// Whether a box lives.
    pub fn lives(&self, who: usize) -> bool {
        self.boxes[who].lease.is_some()
    }

    /// All that drive.
    pub fn masters(&self) -> Vec<usize> {
        (0..self.boxes.len()).filter(|it| self.drives(*it)).collect()
    }

    /// A living box's lease.
    pub fn lease(&self, who: usize) -> Option<&Lease> {
        self.boxes[who].lease.as_ref()
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Span) {
        let end = self.now + span;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
    }

    fn next(&self) -> Option<MonoTime> {
        let wakes = self.boxes.iter().filter_map(|it| Some(it.lease.as_ref()?.next_wake()));
        wakes.chain(self.flying.first_key_value().map(|((at, _), _)| *at)).min()
    }

    fn step(&mut self) {
        while let Some(entry) = self.flying.first_entry().filter(|it| it.key().0 <= self.now) {
            let (to, letter) = entry.remove();
            if let Some(lease) = &mut self.boxes[to].lease {
                lease.handle_letter(self.now, &letter);
            }
            self.settle(to);
        }
        for who in 0..self.boxes.len() {
            let now = self.now;
            if let Some(lease) = &mut self.boxes[who].lease
                && lease.next_wake() <= now
            {
                lease.handle_wake(now);
                self.settle(who);
            }
        }
    }

    fn settle(&mut self, who: usize) {
        while let Some(act) = self.boxes[who].lease.as_mut().and_then(Lease::poll) {
            let at = self.now;
            match act {
                Act::Keep { term } => self.boxes[who].kept = term,
                Act::Say(word) => self.send(who, &word),
                Act::Drive { term, .. } => self.turns.push(Turn { at, who, term: Some(term) }),
                Act::StandBy => self.turns.push(Turn { at, who, term: None }),
            }
        }
    }

    fn send(&mut self, who: usize, word: &Word) {
        let it = &mut self.boxes[who];
        it.sequence += 1;
        let header = Header {
            id: uuid_v4(u128::from(self.sent)),
            timestamp: WireTime::from_micros(self.now.ns() / 1_000),
            node_id: Self::node(who),
            sequence: it.sequence,
        };
        let sender = Sender { cluster: "stage".into(), name: name(who), start: it.starts };
        let letter = Letter { header, sender, word: word.clone() };
        for to in (0..self.boxes.len()).filter(|to| *to != who) {
            let arrives = self.chance.share() >= self.lost;
            let delay = Span::from_ns((self.chance.share() * DELAY_MAX.ns() as f64) as i64);
            if arrives && self.groups[to] == self.groups[who] {
                self.sent += 1;
                self.flying.insert((self.now + delay, self.sent), (to, letter.clone()));
            }
        }
    }

    fn say_fitness(&mut self, who: usize) {
        let candidate_score = self.boxes[who].score;
        let own = Beacon {
            term: 0,
            drives: false,
            candidate_score,
            done_ns: 0,
            steps: 0,
            port: 4001,
            url: String::new(),
            secure_url: None,
        };
        if let Some(lease) = &mut self.boxes[who].lease {
            lease.handle_own(self.now, own);
        }
        self.settle(who);
    }
}

fn name(who: usize) -> String {
    format!("box {who}")
}
