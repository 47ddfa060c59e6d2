//! RDM through Art-Net nodes (rule A19): which devices hang on which line, and questions to them.
//!
//! In: what operators ask, packets of nodes, ticks, each with its time. Out: packets for nodes, answers. The search for
//! devices is the nodes' own; we ask for their tables (`table`). A line is slow and knows one question at a time, so
//! questions to it wait for each other (`line`). Whatever a device or a node does wrong (answers twice, late, as
//! somebody else, never, in pieces without end) costs one question its answer and nothing more.

mod line;
mod table;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

use units::{PortAddress, ShowTime, Span};
use wire::artnet::{RdmPacket, TodData, tod_flush, tod_requests};
use wire::rdm::{Class, Message, Uid, nack_reason};

use line::Line;
pub use table::Row;
use table::Table;

/// Nodes answer for a table that they have within it.
const TABLE_WITHIN: Span = Span::from_secs(1);
/// A search of a full line takes some seconds.
const SEARCH_WITHIN: Span = Span::from_secs(5);
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
    /// A question to one device.
    Question(Question),
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
    /// The answer's data, pieces put together.
    Answer(Result<Vec<u8>, RdmFailure>),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RdmFailure {
    /// No node has it in its table.
    #[error("no node knows {0}: `downbeat rdm list --search` makes them look for it")]
    Unknown(Uid),
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
    unknown: Vec<(u64, ShowTime, Question)>,
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
            letters: VecDeque::new(),
            done: VecDeque::new(),
            last: 0,
        }
    }

    /// Takes what an operator asks; the number under which [`Self::poll_done`] answers.
    pub fn ask(&mut self, now: ShowTime, ask: Ask) -> u64 {
        self.last += 1;
        match ask {
            Ask::List { anew } => self.list(now, anew),
            Ask::Question(_) if self.waiting() >= QUESTIONS_MAX => {
                self.fail(self.last, RdmFailure::Busy)
            }
            Ask::Question(question) => self.question(now, question),
        }
        self.last
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

    /// Time has come this far.
    pub fn tick(&mut self, now: ShowTime) {
        let due: Vec<_> = self.unknown.extract_if(.., |(_, due, _)| *due <= now).collect();
        for (id, _, question) in due {
            if !self.line_up(id, &question) {
                self.fail(id, RdmFailure::Unknown(question.uid));
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

    fn question(&mut self, now: ShowTime, question: Question) {
        if self.line_up(self.last, &question) {
            return self.collect(now);
        }
        self.ask_for_tables();
        self.unknown.push((self.last, now + TABLE_WITHIN, question));
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
        self.unknown.len() + self.lines.values().map(Line::waiting).sum::<usize>()
    }

    /// Brings in what the lines have to send and to say.
    fn collect(&mut self, now: ShowTime) {
        for (&(port_address, node), line) in &mut self.lines {
            line.tick(now);
            for message in std::mem::take(&mut line.messages) {
                let packet = RdmPacket { port_address, message: &message };
                self.letters.push_back((Some(node), packet.emit()));
            }
            let done = std::mem::take(&mut line.done).into_iter();
            self.done.extend(done.map(|(id, answer)| (id, Done::Answer(answer))));
        }
        self.lines.retain(|_, line| line.waiting() > 0);
    }

    fn fail(&mut self, id: u64, why: RdmFailure) {
        self.done.push_back((id, Done::Answer(Err(why))));
    }
}

#[cfg(test)]
mod tests;
