//! Who drives: a lease that is numbered by its term.
//!
//! In: what other boxes say, how fit this one is, the monotonic clock. Out: what to say, and when to begin and to cease to
//! drive. Never here: sockets, signatures, the show.
//!
//! Whoever drives says so every [`BEAT`]. A stage whose lamps wait a second has seen it, and a network that loses two
//! packets in a row is no dead box, so it is missed after [`SILENCE`]. Of two boxes the other takes over then: whether the
//! cable is dead or the box it cannot know, and lighting goes on by priorities where both are alive. Of three and more
//! nobody takes over without the votes of more than half, so there is one at most in a term. Who drives already goes on
//! without them: a show that stops because a witness was switched off would be worse than two that send the same.
//!
//! A box that begins listens first, and remembers in which term it voted last: whom a restart made forget would vote twice.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use units::{MonoTime, Span};
use uuid::Uuid;
use wire::cluster::{Beacon, Election, Letter, Word};
use wire::solusync::{self, BoxAt, ClusterInfo, MasterElection, NodeType, uuid_v4};

/// Between two signs of life.
pub const BEAT: Span = Span::from_millis(50);
/// A master that has not been heard for so long is lost.
pub const SILENCE: Span = Span::from_millis(150);
/// How long a box listens before it stands: ten signs of life of whoever drives.
pub const LISTEN: Span = Span::from_millis(500);
/// A fitter box is left so long to stand before this one does.
const PRECEDENCE: Span = Span::from_millis(60);
/// Votes are there within it, or the next term is asked for, and up to as much later by chance.
const BALLOT: Span = Span::from_millis(100);
/// A box that has not been heard for so long is forgotten by those who list boxes.
const FORGOTTEN: Span = Span::from_secs(10);

/// What a lease begins with.
#[derive(Debug, Clone)]
pub struct LeaseSetup {
    /// This box.
    pub node: Uuid,
    /// Its name, which is among the voters.
    pub name: String,
    /// Whoever has a vote; the first is preferred where two are as fit.
    pub voters: Vec<String>,
    /// Seeds ids and delays; any number.
    pub chance: u64,
    /// What [`Act::Keep`] kept last, 0 if nothing.
    pub kept: u64,
    /// Now.
    pub now: MonoTime,
}

/// What the box is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Keep this over restarts, before anything else is said: the last term that was voted in.
    Keep {
        /// Which.
        term: u64,
    },
    /// Say this to all.
    Say(Word),
    /// Drive, from now on, in this term; who drove before it, where that is known.
    Drive {
        /// Which term.
        term: u64,
        /// Who drove before.
        after: Option<Uuid>,
    },
    /// Stand by from now on.
    StandBy,
}

/// Another box.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// When it was heard last.
    pub heard: MonoTime,
    /// The sign of life that it gave last.
    pub beacon: Beacon,
    start: u64,
    sequence: u64,
}

impl Peer {
    /// Whether it is there.
    pub fn lives(&self, now: MonoTime) -> bool {
        now - self.heard < SILENCE
    }
}

/// How this box stands.
#[derive(Debug, Clone, PartialEq)]
enum Standing {
    Drives,
    StandsBy,
    /// It has asked for votes in the term: until when, and who has given theirs.
    Stands {
        until: MonoTime,
        votes: Vec<Uuid>,
    },
}

/// Who drives, as this box has it.
#[derive(Debug, Clone)]
pub struct Lease {
    node: Uuid,
    voters: Vec<String>,
    place: usize,
    chance: u64,
    begun: MonoTime,
    term: u64,
    /// The last term in which a vote was given.
    voted: u64,
    standing: Standing,
    /// Who drives, or drove last.
    master: Option<Uuid>,
    /// In which term.
    master_term: u64,
    /// When the master is lost if it is not heard again.
    lost_at: Option<MonoTime>,
    /// What a beacon says beside the lease itself.
    own: Beacon,
    leaves: bool,
    peers: BTreeMap<Uuid, Peer>,
    next_beat: MonoTime,
    /// When to stand, where nobody drives.
    stand_at: Option<MonoTime>,
    acts: VecDeque<Act>,
}

impl Lease {
    /// Stands by, and has heard nobody. A box without voters drives at once.
    pub fn new(setup: LeaseSetup) -> Self {
        let place = setup.voters.iter().position(|it| *it == setup.name).unwrap_or_default();
        let mut lease = Self {
            node: setup.node,
            voters: setup.voters,
            place,
            chance: setup.chance,
            begun: setup.now,
            term: setup.kept,
            voted: setup.kept,
            standing: Standing::StandsBy,
            master: None,
            master_term: 0,
            lost_at: None,
            own: nothing_known(),
            leaves: false,
            peers: BTreeMap::new(),
            next_beat: setup.now,
            stand_at: None,
            acts: VecDeque::new(),
        };
        if lease.voters.len() < 2 {
            lease.begin_to_drive(setup.now);
        }
        lease
    }

    /// Whether this box drives.
    pub fn drives(&self) -> bool {
        self.standing == Standing::Drives
    }

    /// The term of whoever drives, or drove last.
    pub fn master_term(&self) -> u64 {
        self.master_term
    }

    /// Who drives as far as this box knows; none where nobody does.
    pub fn master(&self, now: MonoTime) -> Option<Uuid> {
        match self.drives() {
            true => Some(self.node),
            false => self.master.filter(|it| self.is_driven_by(now, *it)),
        }
    }

    /// All other boxes that were heard in the last ten seconds.
    pub fn peers(&self) -> &BTreeMap<Uuid, Peer> {
        &self.peers
    }

    /// Whether the show goes on here after a fault in what turns this: nobody knows what the lease is worth then, so not
    /// where others lived when the fault began. A fault takes its time, in which nobody was heard.
    pub fn goes_on_after_fault(&self, began: MonoTime) -> bool {
        self.drives() && self.living_peers(began).is_empty()
    }

    /// The other boxes that live.
    pub fn living_peers(&self, now: MonoTime) -> Vec<Uuid> {
        self.peers.iter().filter(|(_, it)| it.lives(now)).map(|(node, _)| *node).collect()
    }

    /// Whether this box would go on with the show: it drives, or was told it in the master's term and has taken as many steps.
    pub fn knows_the_show(&self, now: MonoTime, told_in: u64, steps: u64) -> bool {
        let master = self.master(now).and_then(|it| self.peers.get(&it));
        let knows = |it: &Peer| (it.beacon.term, it.beacon.steps) == (told_in, steps);
        self.drives() || master.is_some_and(knows)
    }

    /// For phones: what this box is, and which there are, the one that drives first. Where nobody does just then, whoever drove
    /// last is named (SX-08).
    pub fn standing(&self, now: MonoTime) -> solusync::Standing {
        let at = |node_id: Uuid, name: &str, beacon: &Beacon| BoxAt {
            node_id,
            name: name.to_owned(),
            url: beacon.url.clone(),
            secure_url: beacon.secure_url.clone(),
        };
        let own_name = self.voters.get(self.place).map_or("", String::as_str);
        let others = self.peers.iter().map(|(node, it)| at(*node, &it.name, &it.beacon));
        let mut boxes: Vec<_> =
            std::iter::once(at(self.node, own_name, &self.own)).chain(others).collect();
        let master_id = self.master(now).or(self.master).unwrap_or(self.node);
        boxes.sort_by_key(|it| (it.node_id != master_id, it.node_id));
        let replica_ids = boxes.iter().map(|it| it.node_id).filter(|it| *it != master_id).collect();
        let node_type = if self.drives() { NodeType::Master } else { NodeType::Replica };
        solusync::Standing {
            node_type,
            cluster_info: ClusterInfo { master_id, replica_ids, boxes },
        }
    }

    /// The next thing to do; drain to none before telling more.
    pub fn poll(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// When to call [`Self::handle_wake`].
    pub fn next_wake(&self) -> MonoTime {
        let look = match &self.standing {
            Standing::Drives => None,
            Standing::Stands { until, .. } => Some(*until),
            Standing::StandsBy => self.stand_at.or(self.lost_at),
        };
        look.map_or(self.next_beat, |at| at.min(self.next_beat))
    }

    /// How this box fares: what its signs of life say from now on. `term` and `drives` are the lease's own.
    pub fn handle_own(&mut self, now: MonoTime, own: Beacon) {
        self.own = own;
        let unfit = self.own.candidate_score <= 0.0;
        if self.drives() && unfit && self.living(now).any(|it| it.beacon.candidate_score > 0.0) {
            self.cede(now);
        }
    }

    /// A planned exit: somebody else is to drive at once.
    pub fn handle_leave(&mut self, now: MonoTime) {
        self.leaves = true;
        self.cede(now);
    }

    /// Time has passed.
    pub fn handle_wake(&mut self, now: MonoTime) {
        self.peers.retain(|_, it| now - it.heard < FORGOTTEN);
        self.look(now);
        if now >= self.next_beat {
            self.beat(now);
        }
    }

    /// Another box of this cluster has spoken, and it was it.
    pub fn handle_letter(&mut self, now: MonoTime, letter: &Letter) {
        let from = letter.header.node_id;
        if from == self.node || !self.is_news(letter) {
            return;
        }
        match &letter.word {
            Word::Beacon(beacon) => self.hear_beacon(now, letter, beacon),
            Word::MasterElection(election) => self.hear_election(now, from, election),
        }
        self.look(now);
    }

    /// A box's words count once, in their order, and those of its last start only.
    fn is_news(&mut self, letter: &Letter) -> bool {
        if !self.voters.contains(&letter.sender.name) {
            return false;
        }
        let said = (letter.sender.start, letter.header.sequence);
        let Some(known) = self.peers.get_mut(&letter.header.node_id) else { return true };
        // Networks change the order of words. Votes may come late: each is for a term, and counts once in it.
        let is_news = match letter.word {
            Word::Beacon(_) => said > (known.start, known.sequence),
            Word::MasterElection(_) => said.0 >= known.start,
        };
        (known.start, known.sequence) = said.max((known.start, known.sequence));
        is_news
    }

    fn hear_beacon(&mut self, now: MonoTime, letter: &Letter, beacon: &Beacon) {
        let from = letter.header.node_id;
        let peer = Peer {
            name: letter.sender.name.clone(),
            heard: now,
            beacon: beacon.clone(),
            start: letter.sender.start,
            sequence: letter.header.sequence,
        };
        self.peers.insert(from, peer);
        self.learn_term(beacon.term);
        if beacon.drives && self.is_outranked(now, from, beacon.term) {
            self.follow(from, beacon.term);
        }
    }

    /// Whether that box drives with more right than the one that this box knows of, itself included.
    fn is_outranked(&self, now: MonoTime, by: Uuid, term: u64) -> bool {
        let known = self.master(now).filter(|it| *it != by);
        let right = |node, term| (term, self.rank(node));
        known.is_none_or(|known| right(by, term) > right(known, self.master_term))
    }

    /// Of two that drive in one term, which only boxes do that did not hear each other, one has to cease.
    fn rank(&self, node: Uuid) -> (Reverse<usize>, Uuid) {
        let place = match self.peers.get(&node) {
            Some(peer) => self.voters.iter().position(|it| *it == peer.name),
            None => Some(self.place),
        };
        (Reverse(place.unwrap_or(usize::MAX)), node)
    }

    fn follow(&mut self, master: Uuid, term: u64) {
        (self.master, self.master_term) = (Some(master), term);
        self.stand_at = None;
        self.stand_by();
    }

    /// A higher term than its own ends whatever a box was in.
    fn learn_term(&mut self, term: u64) {
        // Who drives goes on until somebody does in a higher term: that one was asked for is not that one was given.
        if term > self.term && !self.drives() {
            self.stand_by();
        }
        self.term = self.term.max(term);
    }

    fn stand_by(&mut self) {
        let drove = self.drives();
        self.standing = Standing::StandsBy;
        if drove {
            self.acts.push_back(Act::StandBy);
        }
    }

    fn hear_election(&mut self, now: MonoTime, from: Uuid, election: &Election) {
        let Election { said, term, vote } = election;
        if *vote == from {
            return self.hear_candidate(now, from, *said, *term);
        }
        if let Standing::Stands { votes, .. } = &mut self.standing
            && *vote == self.node
            && *term == self.term
            && !votes.contains(&from)
        {
            votes.push(from);
        }
    }

    fn hear_candidate(&mut self, now: MonoTime, from: Uuid, said: MasterElection, term: u64) {
        let knows_better = self.master(now).is_some_and(|master| master != from);
        let may_vote = term > self.voted && term >= self.term;
        if self.drives() || knows_better || !may_vote {
            return;
        }
        self.learn_term(term);
        self.vote_in(term);
        let score = self.own.candidate_score;
        let said = MasterElection { candidate_score: score, ..said };
        self.say(Word::MasterElection(Election { said, term, vote: from }));
    }

    /// What the time, or what was heard, has brought about.
    fn look(&mut self, now: MonoTime) {
        let master = self.master(now).and_then(|it| self.peers.get(&it));
        self.lost_at = master.map(|it| it.heard + SILENCE);
        match &self.standing {
            Standing::Drives => {}
            Standing::Stands { votes, .. } if 1 + votes.len() > self.voters.len() / 2 => {
                self.begin_to_drive(now);
            }
            Standing::Stands { until, .. } if now >= *until => {
                self.standing = Standing::StandsBy;
                self.stand_at = Some(now + self.some_of(BALLOT));
            }
            Standing::Stands { .. } => {}
            Standing::StandsBy => self.look_for_a_master(now),
        }
    }

    fn look_for_a_master(&mut self, now: MonoTime) {
        let fitter = self.living(now).filter(|it| self.is_fitter(it)).count();
        if self.master(now).is_some() || !self.may_stand(now, fitter) {
            self.stand_at = None;
            return;
        }
        let after = PRECEDENCE.times(fitter as i64);
        let at = *self.stand_at.get_or_insert(now + after);
        if now >= at {
            self.stand(now);
        }
    }

    /// Who is not fit leaves it to those who are; where nobody is, a poor show is better than none.
    fn may_stand(&self, now: MonoTime, fitter: usize) -> bool {
        let has_listened = now - self.begun >= LISTEN || self.lost_is_known(now);
        let is_fit = self.own.candidate_score > 0.0;
        !self.leaves && has_listened && (is_fit || fitter == 0)
    }

    /// A master that says itself that it does not drive any more needs no longer listening.
    fn lost_is_known(&self, now: MonoTime) -> bool {
        let master = self.master.and_then(|it| self.peers.get(&it));
        master.is_some_and(|it| it.lives(now) && !it.beacon.drives)
    }

    fn is_fitter(&self, peer: &Peer) -> bool {
        let of = |name: &str| self.voters.iter().position(|it| it == name);
        let theirs = (peer.beacon.candidate_score, Reverse(of(&peer.name)));
        let ours = (self.own.candidate_score, Reverse(Some(self.place)));
        theirs.0 > 0.0 && theirs > ours
    }

    /// Asks for votes; of two boxes its own will do.
    fn stand(&mut self, now: MonoTime) {
        self.term = self.term.saturating_add(1);
        self.vote_in(self.term);
        let said = MasterElection {
            election_id: self.some_id(),
            candidate_score: self.own.candidate_score,
            current_master: None,
        };
        self.say(Word::MasterElection(Election { said, term: self.term, vote: self.node }));
        let until = now + BALLOT;
        self.standing = Standing::Stands { until, votes: Vec::new() };
        if self.voters.len() == 2 {
            self.begin_to_drive(now);
        }
    }

    /// Kept before it is said, so that nobody votes twice in a term whom a restart has made forget.
    fn vote_in(&mut self, term: u64) {
        self.voted = term;
        self.stand_at = None;
        self.acts.push_back(Act::Keep { term });
    }

    fn begin_to_drive(&mut self, now: MonoTime) {
        self.standing = Standing::Drives;
        self.term = self.term.max(1);
        self.master_term = self.term;
        let after = self.master.replace(self.node).filter(|it| *it != self.node);
        self.acts.push_back(Act::Drive { term: self.term, after });
        self.beat(now);
    }

    fn cede(&mut self, now: MonoTime) {
        self.stand_by();
        self.beat(now);
    }

    fn beat(&mut self, now: MonoTime) {
        self.next_beat = now + BEAT;
        if self.voters.len() < 2 {
            return;
        }
        let drives = self.drives();
        let term = if drives { self.master_term } else { self.term };
        self.say(Word::Beacon(Beacon { term, drives, ..self.own.clone() }));
    }

    fn say(&mut self, word: Word) {
        self.acts.push_back(Act::Say(word));
    }

    fn is_driven_by(&self, now: MonoTime, master: Uuid) -> bool {
        self.peers.get(&master).is_some_and(|it| it.lives(now) && it.beacon.drives)
    }

    fn living(&self, now: MonoTime) -> impl Iterator<Item = &Peer> {
        self.peers.values().filter(move |it| it.lives(now))
    }

    fn some_of(&mut self, span: Span) -> Span {
        Span::from_ns((self.next_chance() % span.ns().unsigned_abs()) as i64)
    }

    fn some_id(&mut self) -> Uuid {
        uuid_v4(u128::from(self.next_chance()) << 64 | u128::from(self.next_chance()))
    }

    /// SplitMix64.
    fn next_chance(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.chance;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }
}

/// Unfit, until somebody says how this box fares.
fn nothing_known() -> Beacon {
    Beacon {
        term: 0,
        drives: false,
        candidate_score: 0.0,
        done_ns: 0,
        steps: 0,
        port: 0,
        url: String::new(),
        secure_url: None,
    }
}
