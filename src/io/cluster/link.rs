//! The link between the box that drives and one that stands by: lines over TCP, each with a code.
//!
//! In: the master's steps, and whom the other side believes. Out: the same, told to this box's engine. Each link has a thread, so that one that stands still
//! costs only itself. What is said and decided is `engine::cluster::link`.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::EngineStart;
use engine::cluster::link::{Hello, LINE_MAX, NONCE_MAX, Nonce, OtherShow, Part};
use engine::cluster::trust::{Teller, Trust};
use engine::cluster::{Replicas, Step};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use units::{Span, WireTime};
use uuid::Uuid;
use wire::solusync::{Header, NodeType};

use super::feed::Feed;
use super::key::{Agreement, Key, from_hex, hex};
use super::vault::Vault;
use crate::chance;
use crate::clock::BoxClock;
use crate::conductor::EngineHandle;

/// Neither side waits longer for the other.
const PATIENCE: Duration = Duration::from_secs(2);
/// A link on which nothing happens says so.
const SIGN: Duration = Duration::from_millis(500);
/// Boxes that may hang on one; more are no cluster.
const LINKS_MAX: usize = 16;
/// Others that may try; each has [`PATIENCE`] to prove itself.
const STRANGERS_MAX: usize = 16;

/// What every link of this box shares.
pub(super) struct Ends {
    pub node: Uuid,
    pub key: Key,
    pub show: String,
    pub feed: Feed,
    pub clock: BoxClock,
    pub tai_utc: Span,
    /// In which term this box drives; none while it does not.
    pub term: Mutex<Option<u64>>,
    pub whom: Mutex<Option<Whom>>,
    /// In which term this box has been told the show, 0 if in none.
    pub told_in: AtomicU64,
    /// Why this box does not follow.
    pub trouble: Mutex<Option<Trouble>>,
    /// Where the other boxes' signs of life came from.
    pub heard: Mutex<BTreeSet<IpAddr>>,
    /// What boxes have in common beside the show.
    pub vault: Vault,
    /// What people have to know of that.
    pub said: Mutex<Vec<String>>,
    /// Who stands by, and has taken what.
    pub replicas: watch::Sender<Replicas>,
}

/// Why a box does not follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// A sentence.
    pub why: String,
    /// Whether it never will: it has another show.
    pub other_show: bool,
}

/// Whom to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whom {
    pub at: SocketAddr,
    pub term: u64,
}

impl Trouble {
    fn new(error: &io::Error) -> Self {
        let inner = error.get_ref().map(|it| it.is::<OtherShow>());
        Self { why: error.to_string(), other_show: inner.unwrap_or(false) }
    }
}

impl Ends {
    pub fn term(&self) -> Option<u64> {
        *held(&self.term)
    }

    pub fn whom(&self) -> Option<Whom> {
        *held(&self.whom)
    }

    fn part(&self, term: u64) -> Part {
        let (start, steps) = self.feed.head();
        Part { show: self.show.clone(), term, start, steps }
    }

    /// Says hello; whom this box believes, as it has said there.
    fn say_hello(&self, line: &mut Line, part: Part) -> io::Result<Trust> {
        let node_type = match line.mouth.side {
            Side::Master => NodeType::Master,
            Side::Replica => NodeType::Replica,
        };
        let trust = self.vault.trust();
        let hidden =
            line.mouth.key.hide(line.mouth.side.other() as u8, &serde_json::to_string(&trust)?);
        line.say(&Hello::new(self.header(), node_type, part, hidden))?;
        Ok(trust)
    }

    /// Takes in whom the other side believes.
    fn learn(&self, line: &Line, hello: &Hello) -> io::Result<()> {
        let teller = match line.ear.side {
            Side::Master => Teller::Replica,
            Side::Replica => Teller::Master,
        };
        let told = line.ear.key.read(line.ear.side as u8, &hello.trust);
        // What a reader says of it might hold a part of a key.
        let told = told.and_then(|it| serde_json::from_str(&it).ok());
        let told =
            told.ok_or_else(|| other("its hello cannot be read: give both the same version"))?;
        // Not while others wait: the disk may take its time.
        let said = self.vault.learn(&told, teller);
        held(&self.said).extend(said);
        Ok(())
    }

    fn taken(&self, node: Uuid, steps: Option<u64>) {
        self.replicas.send_modify(|it| match steps {
            Some(steps) => drop(it.taken.insert(node, steps)),
            None => drop(it.taken.remove(&node)),
        });
    }

    fn header(&self) -> Header {
        let timestamp = WireTime::from_show(self.clock.now(), self.tai_utc);
        Header { id: chance::uuid(), timestamp, node_id: self.node, sequence: 1 }
    }
}

pub(super) fn held<T>(it: &Mutex<T>) -> MutexGuard<'_, T> {
    it.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells whoever follows, until the listener is closed. Whoever has not been heard by the post is let in, but cannot keep
/// others out.
pub(super) fn serve(listener: &TcpListener, ends: &Arc<Ends>) {
    let (boxes, strangers) = (Arc::new(()), Arc::new(()));
    for stream in listener.incoming().filter_map(Result::ok) {
        let is_known = stream.peer_addr().is_ok_and(|it| held(&ends.heard).contains(&it.ip()));
        let (links, most) =
            if is_known { (&boxes, LINKS_MAX) } else { (&strangers, STRANGERS_MAX) };
        if Arc::strong_count(links) > most {
            continue;
        }
        let (ends, link) = (ends.clone(), links.clone());
        let tells = std::thread::Builder::new().name("cluster tells".into());
        let _ = tells.spawn(move || {
            let _link = link;
            if let Err(error) = tell(stream, &ends) {
                tracing::info!(%error, "a box follows no more");
            }
        });
    }
}

fn tell(stream: TcpStream, ends: &Ends) -> io::Result<()> {
    let mut line = Line::open(stream, &ends.key, Side::Master)?;
    let asked: Hello = line.hear()?;
    let Some(term) = ends.term() else { return Err(other("this box does not drive")) };
    let ours = ends.part(term);
    let start = ours.start;
    let mut from = match ours.from_step(&asked.part) {
        Ok(from) => from,
        Err(why) => {
            tracing::warn!(
                "box {} stands by without knowing the show: {why}",
                asked.header.node_id
            );
            ends.say_hello(&mut line, ours)?;
            return Err(other(why));
        }
    };
    ends.learn(&line, &asked)?;
    let known = ends.say_hello(&mut line, Part { steps: from, ..ours })?;
    let Line { ear, mut mouth } = line;
    std::thread::scope(|both| {
        both.spawn(|| hear_taken(ear, asked.header.node_id, ends));
        // Whoever learns something begins the link anew, where both tell it.
        let goes_on = || ends.term() == Some(term) && ends.vault.trust() == known;
        let told = tell_steps(&mut mouth, ends, (start, &mut from), goes_on);
        let _ = mouth.stream.shutdown(Shutdown::Both);
        told
    })
}

fn tell_steps(
    mouth: &mut Mouth,
    ends: &Ends,
    (start, from): (Option<EngineStart>, &mut u64),
    goes_on: impl Fn() -> bool,
) -> io::Result<()> {
    while goes_on() {
        let Some(lines) = ends.feed.lines_from(start, *from, SIGN) else { break };
        *from += lines.len() as u64;
        lines.iter().try_for_each(|it| mouth.say_text(it))?;
        if lines.is_empty() {
            mouth.say_text("")?;
        }
    }
    Ok(())
}

/// Until the link ends, which it does where nothing is heard.
fn hear_taken(mut ear: Ear, node: Uuid, ends: &Ends) {
    while let Ok(steps) = ear.hear() {
        ends.taken(node, Some(steps));
    }
    ends.taken(node, None);
    let _ = ear.reader.get_ref().shutdown(Shutdown::Both);
}

/// Follows whomever there is to follow, for as long as the box runs.
pub(super) fn follow(ends: &Ends, engine: &EngineHandle) {
    // Counted here: what the engine was told may still be on its way to it.
    let mut told = Part { show: ends.show.clone(), term: 0, start: None, steps: 0 };
    loop {
        let Some(whom) = ends.whom() else {
            std::thread::park_timeout(SIGN);
            continue;
        };
        let ended = follow_one(ends, whom, engine, &mut told);
        let why = ended.err().filter(|_| ends.whom() == Some(whom));
        *held(&ends.trouble) = why.as_ref().map(Trouble::new);
        if let Some(error) = why {
            tracing::info!(%error, master = %whom.at, "could not follow the box that drives; trying again");
            std::thread::park_timeout(SIGN);
        }
    }
}

fn follow_one(ends: &Ends, whom: Whom, engine: &EngineHandle, told: &mut Part) -> io::Result<()> {
    let stream = TcpStream::connect_timeout(&whom.at, PATIENCE)?;
    let mut line = Line::open(stream, &ends.key, Side::Replica)?;
    let known = ends.say_hello(&mut line, told.clone())?;
    let answer: Hello = line.hear()?;
    if answer.part.show != ends.show {
        return Err(io::Error::other(OtherShow));
    }
    ends.learn(&line, &answer)?;
    let start: EngineStart = answer.part.start.ok_or_else(|| other("it has no show"))?;
    if answer.part.steps == 0 {
        engine.begin(start);
    }
    *told = answer.part;
    ends.told_in.store(told.term, Relaxed);
    *held(&ends.trouble) = None;
    while ends.whom() == Some(whom) && ends.vault.trust() == known {
        match line.ear.hear_text() {
            Ok(text) => follow_step(&text, engine, told)?,
            // It has something new to say; or it is gone, and does not answer when it is called.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        line.say(&told.steps)?;
    }
    Ok(())
}

fn follow_step(text: &str, engine: &EngineHandle, told: &mut Part) -> io::Result<()> {
    if !text.is_empty() {
        let step: Step = serde_json::from_str(text)?;
        engine.follow(step);
        told.steps += 1;
    }
    Ok(())
}

/// Which side says it: what one has said cannot be said back to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Master,
    Replica,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Master => Self::Replica,
            Self::Replica => Self::Master,
        }
    }
}

struct Line {
    ear: Ear,
    mouth: Mouth,
}

/// What comes in of a line.
struct Ear {
    reader: BufReader<TcpStream>,
    key: Key,
    /// Whoever listens.
    side: Side,
    heard: u64,
    /// By then the other side has proved that it has the key; none once it has.
    until: Option<Instant>,
}

/// What goes out.
struct Mouth {
    stream: TcpStream,
    key: Key,
    /// Whoever speaks.
    side: Side,
    said: u64,
}

impl Line {
    fn open(stream: TcpStream, key: &Key, side: Side) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let until = Some(Instant::now() + PATIENCE);
        let (agreement, nonce) = Agreement::begin()?;
        let ours = Nonce { nonce };
        writeln!(reader.get_mut(), "{}", serde_json::to_string(&ours)?)?;
        let theirs: Nonce = serde_json::from_str(&read_line(&mut reader, NONCE_MAX, until)?)?;
        let agreed = agreement.end(&theirs.nonce)?;
        let nonces = match side {
            Side::Master => [&ours.nonce, &theirs.nonce],
            Side::Replica => [&theirs.nonce, &ours.nonce],
        };
        let key = key.of_link(nonces.map(String::as_str), &agreed);
        let ear = Ear { reader, key: key.clone(), side, heard: 0, until };
        Ok(Self { ear, mouth: Mouth { stream, key, side, said: 0 } })
    }

    fn say(&mut self, what: &impl serde::Serialize) -> io::Result<()> {
        self.mouth.say_text(&serde_json::to_string(what)?)
    }

    fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        self.ear.hear()
    }
}

impl Mouth {
    fn say_text(&mut self, text: &str) -> io::Result<()> {
        self.said += 1;
        let code = self.key.code(numbered(self.side, self.said, text).as_bytes());
        self.stream.write_all(format!("{} {text}\n", hex(&code)).as_bytes())
    }
}

impl Ear {
    fn hear<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        Ok(serde_json::from_str(&self.hear_text()?)?)
    }

    fn hear_text(&mut self) -> io::Result<String> {
        let line = read_line(&mut self.reader, LINE_MAX, self.until)?;
        self.heard += 1;
        let (code, text) = line.split_once(' ').ok_or_else(|| other("no line of a link"))?;
        let numbered = numbered(self.side.other(), self.heard, text);
        if !from_hex(code).is_some_and(|code| self.key.holds(&code, numbered.as_bytes())) {
            return Err(other("it has another cluster.key: copy one box's to the others"));
        }
        if self.until.take().is_some() {
            self.reader.get_ref().set_read_timeout(Some(PATIENCE))?;
        }
        Ok(text.to_owned())
    }
}

fn numbered(side: Side, number: u64, text: &str) -> String {
    format!("{side:?} {number} {text}")
}

/// A line of so many octets at most, all of it by then.
fn read_line(
    reader: &mut BufReader<TcpStream>,
    most: usize,
    until: Option<Instant>,
) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        if let Some(until) = until {
            // A timeout of nothing would be none.
            let left =
                until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            reader.get_ref().set_read_timeout(Some(left))?;
        }
        let came = reader.fill_buf()?;
        let end = came.iter().position(|octet| *octet == b'\n');
        let count = end.map_or(came.len(), |at| at + 1);
        line.extend_from_slice(&came[..count]);
        reader.consume(count);
        match end {
            Some(_) => break,
            None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            None if line.len() >= most => return Err(other("a line that never ends")),
            None if until.is_some_and(|it| Instant::now() >= it) => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            None => {}
        }
    }
    line.pop();
    String::from_utf8(line).map_err(|_| other("a line that is no text"))
}

fn other(why: impl ToString) -> io::Error {
    io::Error::other(why.to_string())
}
