//! RDM through Art-Net nodes (rule A19): which devices hang on which line, and questions to them.
//!
//! In: what operators ask, packets of nodes, ticks, each with its time. Out: packets for nodes, answers. The search for
//! devices is the nodes' own; we ask for their tables (`table`). A line is slow and knows one question at a time, so
//! questions to it wait for each other (`line`). Whatever a device or a node does wrong (answers twice, late, as
//! somebody else, never, in pieces without end) costs one question its answer and nothing more.

mod line;
mod several;
mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

use units::{PortAddress, ShowTime, Span};
use wire::artnet::{RdmPacket, RdmSub, TodData, tod_flush, tod_requests};
use wire::rdm::{Class, Message, Uid, nack_reason};

use line::Line;
pub use several::Answers;
use several::Round;
pub use table::Row;
use table::Table;

/// Nodes answer for a table that they have within it.
const TABLE_WITHIN: Span = Span::from_secs(1);
/// A search of a full line takes some seconds.
const SEARCH_WITHIN: Span = Span::from_secs(5);
/// A node that knows ArtRdmSub answers within it.
const AT_ONCE_WITHIN: Span = Span::from_secs(1);
/// Sub-devices of a device (section 5.4 of E1.20).
pub const SUB_DEVICES_MAX: u16 = 512;
/// Questions that wait at most; nobody types faster.
const QUESTIONS_MAX: usize = 256;

/// What an operator asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Who is there?
    List {
        /// Nodes are to search their lines anew.
        anew: bool,
    },
    /// A question to one device; what is set may be for many.
    Question(Question),
    /// The same question to several sub-devices of one device.
    Several(Several),
}

/// A question to several sub-devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Several {
    /// To the first of them.
    pub first: Question,
    /// How many, 1 to [`SUB_DEVICES_MAX`].
    pub count: u16,
    /// Whether the parameter is two octets, so that they may be asked at once.
    pub is_word: bool,
}

/// A question to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Whom.
    pub uid: Uid,
    /// 0 is the device itself.
    pub sub_device: u16,
    /// Get or set.
    pub class: Class,
    /// What.
    pub parameter: u16,
    /// What goes with it.
    pub data: Vec<u8>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// Who is there, in the order of their lines.
    Table(Vec<Row>),
    /// The answer's data, pieces put together; nothing where many were told, who do not answer.
    Answer(Result<Vec<u8>, RdmFailure>),
    /// What each of several said.
    Several(Answers),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RdmFailure {
    /// No node has it in its table.
    #[error("no node knows {0}: `downbeat rdm list --search` makes them look for it")]
    Unknown(Uid),
    /// No node has any of those in its table.
    #[error("no node knows any such device: `downbeat rdm list --search` makes them look")]
    Nobody,
    /// Asked three times, or put off for too long.
    #[error("{0} does not answer")]
    Silent(Uid),
    /// It will not.
    #[error("{0} refuses: {reason}", reason = nack_reason(*.1))]
    Nack(Uid, u16),
    /// Its answer has more pieces than any parameter can have.
    #[error("{0} answers without end")]
    TooMuch(Uid),
    /// What was to be sent is no message.
    #[error("this is too long for a message")]
    TooLong,
    /// Too many questions wait.
    #[error("too many questions wait already")]
    Busy,
}

/// The desk that all questions go through.
#[derive(Debug, Clone)]
pub struct Rdm {
    own: Uid,
    ports: BTreeSet<PortAddress>,
    table: Table,
    lines: BTreeMap<(PortAddress, Ipv4Addr), Line>,
    lists: Vec<(u64, ShowTime)>,
    /// Questions to devices that are in no table, until one has come.
    unknown: Vec<(u64, ShowTime, Ask)>,
    rounds: Vec<Round>,
    /// Counts what is sent to many.
    transaction: u8,
    letters: VecDeque<(Option<Ipv4Addr>, Vec<u8>)>,
    done: VecDeque<(u64, Done)>,
    last: u64,
}

impl Rdm {
    /// Knows nobody yet. Asks as `own`, about the lines of these port addresses.
    pub fn new(own: Uid, ports: BTreeSet<PortAddress>) -> Self {
        Self {
            own,
            ports,
            table: Table::default(),
            lines: BTreeMap::new(),
            lists: Vec::new(),
            unknown: Vec::new(),
            rounds: Vec::new(),
            transaction: 0,
            letters: VecDeque::new(),
            done: VecDeque::new(),
            last: 0,
        }
    }

    /// Takes what an operator asks; the number under which [`Self::poll_done`] answers.
    pub fn ask(&mut self, now: ShowTime, ask: Ask) -> u64 {
        self.last += 1;
        let id = self.last;
        match ask {
            Ask::List { anew } => self.list(now, anew),
            _ if self.waiting() >= QUESTIONS_MAX => self.fail(id, RdmFailure::Busy),
            ask if self.begin(now, id, &ask) => self.collect(now),
            ask => {
                self.ask_for_tables();
                self.unknown.push((id, now + TABLE_WITHIN, ask));
            }
        }
        id
    }

    /// A node tells of its table.
    pub fn handle_table(&mut self, now: ShowTime, part: &TodData, from: Ipv4Addr) {
        if self.ports.contains(&part.port_address) {
            self.table.handle(now, part, from);
        }
    }

    /// A node carries a message.
    pub fn handle_message(&mut self, now: ShowTime, packet: &RdmPacket<'_>, from: Ipv4Addr) {
        let Some(line) = self.lines.get_mut(&(packet.port_address, from)) else { return };
        if let Ok(message) = Message::parse(packet.message)
            && message.to == self.own
        {
            line.handle(now, &message);
        }
        self.collect(now);
    }

    /// A node answers for several sub-devices.
    pub fn handle_several(&mut self, now: ShowTime, sub: &RdmSub, from: Ipv4Addr) {
        self.rounds.iter_mut().for_each(|round| round.handle(sub, from));
        self.collect(now);
    }

    /// Time has come this far.
    pub fn tick(&mut self, now: ShowTime) {
        let due: Vec<_> = self.unknown.extract_if(.., |(_, due, _)| *due <= now).collect();
        for (id, _, ask) in due {
            if !self.begin(now, id, &ask) {
                self.fail_of(id, &ask);
            }
        }
        for (id, _) in self.lists.extract_if(.., |(_, due)| *due <= now) {
            self.done.push_back((id, Done::Table(self.table.rows())));
        }
        self.collect(now);
    }

    /// The next packet for a node; for everybody where no address is given.
    pub fn poll(&mut self) -> Option<(Option<Ipv4Addr>, Vec<u8>)> {
        self.letters.pop_front()
    }

    /// The next answer, and to which question.
    pub fn poll_done(&mut self) -> Option<(u64, Done)> {
        self.done.pop_front()
    }

    fn list(&mut self, now: ShowTime, anew: bool) {
        let within = if anew { SEARCH_WITHIN } else { TABLE_WITHIN };
        self.ask_for_tables();
        if anew {
            let flushes = self.ports.iter().map(|port| (None, tod_flush(*port)));
            self.letters.extend(flushes);
        }
        self.lists.push((self.last, now + within));
    }

    /// False if nobody has whom it is for.
    fn begin(&mut self, now: ShowTime, id: u64, ask: &Ask) -> bool {
        match ask {
            Ask::List { .. } => true,
            Ask::Question(question) if question.uid.is_broadcast() => self.tell_many(id, question),
            Ask::Question(question) => self.line_up(id, question),
            Ask::Several(several) => self.begin_round(now, id, several),
        }
    }

    /// To every line where one of them hangs. Nobody answers (section 6.2 of E1.20).
    fn tell_many(&mut self, id: u64, question: &Question) -> bool {
        let lines = self.table.lines_of(question.uid);
        self.transaction = self.transaction.wrapping_add(1);
        let message = Message {
            to: question.uid,
            from: self.own,
            transaction: self.transaction,
            kind: 1,
            waiting: 0,
            sub_device: question.sub_device,
            class: question.class,
            parameter: question.parameter,
            data: &question.data,
        };
        match message.emit() {
            None => self.fail(id, RdmFailure::TooLong),
            Some(_) if lines.is_empty() => return false,
            Some(message) => {
                let packet = |port_address| RdmPacket { port_address, message: &message }.emit();
                self.letters
                    .extend(lines.into_iter().map(|(port, node)| (Some(node), packet(port))));
                self.done.push_back((id, Done::Answer(Ok(Vec::new()))));
            }
        }
        true
    }

    fn begin_round(&mut self, now: ShowTime, id: u64, several: &Several) -> bool {
        let Some((_, node)) = self.table.find(several.first.uid) else { return false };
        let at_once = several.is_word.then_some((node, now + AT_ONCE_WITHIN));
        if at_once.is_some() {
            self.letters.push_back((Some(node), Round::packet(several).emit()));
        }
        self.rounds.push(Round::new(id, several.clone(), at_once));
        true
    }

    /// Puts a question to the line where its device hangs; false if nobody has it.
    fn line_up(&mut self, id: u64, question: &Question) -> bool {
        let Some((port_address, node)) = self.table.find(question.uid) else { return false };
        let line = self.lines.entry((port_address, node)).or_insert_with(|| Line::new(self.own));
        line.push(id, question.clone());
        true
    }

    fn ask_for_tables(&mut self) {
        self.table.asked();
        let ports: Vec<_> = self.ports.iter().copied().collect();
        self.letters.extend(tod_requests(&ports).into_iter().map(|bytes| (None, bytes)));
    }

    fn waiting(&self) -> usize {
        let lined_up = self.lines.values().map(Line::waiting).sum::<usize>();
        self.unknown.len() + self.rounds.len() + lined_up
    }

    /// Brings in what the lines have to send and to say.
    fn collect(&mut self, now: ShowTime) {
        self.ask_rounds(now);
        for (&(port_address, node), line) in &mut self.lines {
            line.tick(now);
            for message in std::mem::take(&mut line.messages) {
                let packet = RdmPacket { port_address, message: &message };
                self.letters.push_back((Some(node), packet.emit()));
            }
            for (id, answer) in std::mem::take(&mut line.done) {
                match self.rounds.iter_mut().find(|round| round.waits_for == Some(id)) {
                    Some(round) => round.answer(answer),
                    None => self.done.push_back((id, Done::Answer(answer))),
                }
            }
        }
        self.lines.retain(|_, line| line.waiting() > 0);
        let done = self.rounds.extract_if(.., |round| round.is_done());
        self.done.extend(done.map(|round| (round.id, Done::Several(round.answers()))));
    }

    /// Whoever of several has its turn is asked.
    fn ask_rounds(&mut self, now: ShowTime) {
        let mut rounds = std::mem::take(&mut self.rounds);
        for round in &mut rounds {
            let Some(question) = round.next(now) else { continue };
            self.last += 1;
            match self.line_up(self.last, &question) {
                true => round.waits_for = Some(self.last),
                false => round.answer(Err(RdmFailure::Unknown(question.uid))),
            }
        }
        self.rounds = rounds;
    }

    fn fail_of(&mut self, id: u64, ask: &Ask) {
        match ask {
            Ask::List { .. } => {}
            Ask::Question(it) if it.uid.is_broadcast() => self.fail(id, RdmFailure::Nobody),
            Ask::Question(Question { uid, .. })
            | Ask::Several(Several { first: Question { uid, .. }, .. }) => {
                self.fail(id, RdmFailure::Unknown(*uid));
            }
        }
    }

    fn fail(&mut self, id: u64, why: RdmFailure) {
        self.done.push_back((id, Done::Answer(Err(why))));
    }
}

#[cfg(test)]
mod tests;
