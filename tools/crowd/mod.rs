//! Clients of any WebSocket server, thousands in one thread: they come at a pace, say what their protocol wants of them, and
//! note when numbered words reach them.
//!
//! In: an address, a [`Dialect`], how many come and how fast. Out: who came, and for each number how many heard it and when
//! the last of them did, by the machine's monotonic clock. Some may be asked to be bad company ([`Manner`]).

mod dialect;
mod floor;
mod guest;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use wtransport::tls::client::NoServerVerification;

use crate::mono_now;
use guest::{Guest, Step};

pub use dialect::{Dialect, Exchange, word};
pub use floor::serve as serve_floor;

/// Who comes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Party {
    /// Where the server is.
    pub to: SocketAddr,
    /// Over TLS; whoever answers is taken for it.
    pub secure: bool,
    /// What it speaks.
    pub dialect: Dialect,
    /// So many.
    pub count: u32,
    /// The number of the first, from which its address follows: one address each, so that limits meet nobody.
    pub first: u32,
    /// So many come a second.
    pub per_second: f64,
    /// How they behave.
    pub manner: Manner,
}

/// How a client behaves once it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// It reads what it is sent.
    Good,
    /// It stops reading.
    Deaf,
    /// It begins a message and sends an octet of it a second.
    Dribbling,
    /// It leaves at once and comes again, once a second.
    Restless,
    /// It reads, and says two hundred things a second that mean nothing.
    Flooding,
}

/// How their coming went.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Arrival {
    /// Let in, and answered as the dialect wants.
    pub joined: u32,
    /// Not.
    pub failed: u32,
    /// From the first knock to the last answer.
    pub seconds: f64,
}

/// One number's way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// So many heard it.
    pub count: u32,
    /// When the last of them did, nanoseconds of the monotonic clock.
    pub last_ns: i64,
}

/// Everybody who came.
pub struct Crowd {
    party: Party,
    tls: Option<Arc<ClientConfig>>,
    epoll: Epoll,
    guests: Vec<Option<Guest>>,
    joined: u32,
    failed: u32,
    heard: BTreeMap<u32, Heard>,
    buffer: Vec<u8>,
    events: Vec<EpollEvent>,
    again: Instant,
}

/// A server that has not answered by then has failed.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often whoever is bad company does what it does.
const BAD_TURN: Duration = Duration::from_secs(1);

impl Crowd {
    /// Nobody has come yet.
    ///
    /// # Errors
    /// The kernel gives no epoll instance.
    pub fn new(party: Party) -> io::Result<Self> {
        Ok(Self {
            tls: party.secure.then(anybody),
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            guests: Vec::new(),
            joined: 0,
            failed: 0,
            heard: BTreeMap::new(),
            buffer: vec![0; 64 << 10],
            events: vec![EpollEvent::empty(); 1024],
            again: Instant::now() + BAD_TURN,
            party,
        })
    }

    /// Everybody comes, at the pace, and is waited for.
    ///
    /// # Errors
    /// The kernel's own; who is not let in is only counted.
    pub fn arrive(&mut self) -> io::Result<Arrival> {
        let begin = Instant::now();
        for nth in 0..self.party.count {
            let due = begin + Duration::from_secs_f64(f64::from(nth) / self.party.per_second);
            while Instant::now() < due {
                self.listen(due - Instant::now())?;
            }
            self.guests.push(None);
            self.knock(nth as usize);
        }
        while self.joined + self.failed < self.party.count
            && begin.elapsed() < PATIENCE + self.pace()
        {
            self.listen(Duration::from_millis(20))?;
        }
        let joined = self.joined.min(self.party.count);
        let failed = self.party.count - joined;
        Ok(Arrival { joined, failed, seconds: begin.elapsed().as_secs_f64() })
    }

    fn pace(&self) -> Duration {
        Duration::from_secs_f64(f64::from(self.party.count) / self.party.per_second)
    }

    /// Hears what comes within `wait`, or sooner.
    ///
    /// # Errors
    /// The kernel's own.
    pub fn listen(&mut self, wait: Duration) -> io::Result<()> {
        let wait = EpollTimeout::from(wait.as_millis().min(1_000) as u16);
        let mut events = std::mem::take(&mut self.events);
        let found = match self.epoll.wait(&mut events, wait) {
            Err(nix::Error::EINTR) => 0,
            found => found?,
        };
        for event in &events[..found] {
            self.hear(event.data() as usize);
        }
        self.events = events;
        if self.party.manner != Manner::Good && Instant::now() >= self.again {
            self.again += BAD_TURN;
            self.misbehave();
        }
        Ok(())
    }

    /// What was heard of each number.
    pub fn heard(&self) -> &BTreeMap<u32, Heard> {
        &self.heard
    }

    /// How often somebody was let in.
    pub fn came(&self) -> u32 {
        self.joined
    }

    /// How many still have their socket.
    pub fn here(&self) -> usize {
        self.guests.iter().flatten().count()
    }

    /// All that one of them was told while it came.
    pub fn told(&self, nth: usize) -> &str {
        self.guests.get(nth).and_then(Option::as_ref).map_or("", |it| it.told())
    }

    /// One of them says something.
    ///
    /// # Errors
    /// It is not here, or the server takes nothing more.
    pub fn say(&mut self, nth: usize, text: &str) -> io::Result<()> {
        let guest = self.guests.get_mut(nth).and_then(Option::as_mut);
        guest.ok_or(io::ErrorKind::NotConnected)?.say(text)
    }

    fn knock(&mut self, nth: usize) {
        let from = address(self.party.first + nth as u32);
        match Guest::knock(&self.party, from, self.tls.as_ref()) {
            Ok(guest) => {
                let event = EpollEvent::new(EpollFlags::EPOLLIN, nth as u64);
                match self.epoll.add(guest.socket(), event) {
                    Ok(()) => self.guests[nth] = Some(guest),
                    Err(_) => self.failed += 1,
                }
            }
            Err(_) => self.failed += 1,
        }
    }

    fn hear(&mut self, nth: usize) {
        let Some(guest) = self.guests[nth].as_mut() else { return };
        let now = mono_now().ns();
        let heard = &mut self.heard;
        let step = guest.hear(&mut self.buffer, &self.party.dialect, |number| {
            let it = heard.entry(number).or_default();
            (it.count, it.last_ns) = (it.count + 1, now);
        });
        match step {
            Step::On => {}
            Step::Joined => {
                self.joined += 1;
                self.settle(nth);
            }
            Step::Gone { had_joined } => {
                self.failed += u32::from(!had_joined);
                self.leave(nth);
            }
        }
    }

    fn settle(&mut self, nth: usize) {
        let Some(guest) = &mut self.guests[nth] else { return };
        match self.party.manner {
            Manner::Good | Manner::Flooding => {}
            Manner::Deaf => {
                let _ = self.epoll.delete(guest.socket());
            }
            Manner::Dribbling => drop(guest.begin_a_long_word()),
            Manner::Restless => self.leave(nth),
        }
    }

    fn misbehave(&mut self) {
        match self.party.manner {
            Manner::Good | Manner::Deaf => {}
            Manner::Dribbling => {
                for guest in self.guests.iter_mut().flatten() {
                    let _ = guest.write(b"x");
                }
            }
            Manner::Flooding => {
                for guest in self.guests.iter_mut().flatten() {
                    let _ = guest.flood();
                }
            }
            Manner::Restless => {
                let gone: Vec<usize> =
                    (0..self.guests.len()).filter(|nth| self.guests[*nth].is_none()).collect();
                gone.into_iter().for_each(|nth| self.knock(nth));
            }
        }
    }

    fn leave(&mut self, nth: usize) {
        if let Some(guest) = self.guests[nth].take() {
            let _ = self.epoll.delete(guest.socket());
        }
    }
}

/// All over 127.0.0.0/8, from 127.1.0.1 on.
fn address(nth: u32) -> Ipv4Addr {
    let [_, high, low, _] = ((0x7f01 << 16) + ((nth / 250) << 8)).to_be_bytes();
    Ipv4Addr::new(127, high, low, (nth % 250 + 1) as u8)
}

fn anybody() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(NoServerVerification::new()))
        .with_no_client_auth();
    Arc::new(config)
}
