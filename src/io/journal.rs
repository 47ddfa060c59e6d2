//! Keeps what happened: for whoever watches now, for `receipts`, and on disk for the morning after.
//!
//! In: what the engine says, orders and receipts. Out: a live feed, the latest orders with their receipts, and
//! `journal.jsonl` in the state folder, bounded. Never: a wait; what cannot be taken now is dropped and counted.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex};

use engine::order::{Order, Receipt};
use engine::told::Said;
use serde::Serialize;
use tokio::sync::broadcast;
use units::ShowTime;

/// Orders kept in memory with their receipts: an act of a busy show.
const ORDERS_KEPT: usize = 2000;

/// Entries a watcher may lag behind before it is dropped: several busy cues.
const LAG_MAX: usize = 1024;

/// Entries that may wait for the disk; a memory card that stalls for some seconds still loses nothing.
const DISK_WAITING_MAX: usize = 16_384;

/// The file is put aside at this size and a new one begun; with the one put aside it stays below twice this.
const FILE_MAX: u64 = 8 << 20;

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A line of the show's story; carries its own `event`.
    Said(Said),
    /// An order was given or has its receipt.
    Account(Account),
}

/// What is accounted for.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Account {
    /// An order was given.
    Ordered {
        /// The order.
        order: Order,
    },
    /// An order has its receipt.
    Received {
        /// The receipt.
        receipt: Receipt,
    },
}

/// One line of the journal.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// When it was noted, TAI nanoseconds.
    #[serde(rename = "noted_tai_ns")]
    pub noted: ShowTime,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// An entry with its JSON, which every watcher shares.
#[derive(Debug, Clone)]
pub struct Line {
    /// What happened.
    pub entry: Arc<Entry>,
    /// The same as JSON, without a line end.
    pub json: Arc<str>,
}

/// An order and the latest that is known of it.
#[derive(Debug, Clone, Serialize)]
pub struct Accounted {
    /// The order.
    pub order: Order,
    /// What became of it; none while nobody has said anything.
    pub receipt: Option<Receipt>,
}

/// The journal of this run.
#[derive(Debug)]
pub struct Journal {
    feed: broadcast::Sender<Line>,
    orders: Mutex<VecDeque<Accounted>>,
    disk: Option<SyncSender<Arc<str>>>,
    dropped: AtomicU64,
}

impl Journal {
    /// Begins, in memory and in `folder`; without a folder nothing is written.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn begin(folder: Option<&Path>) -> std::io::Result<Self> {
        let disk = folder.map(|folder| write_to(folder.join("journal.jsonl"))).transpose()?;
        let (feed, _) = broadcast::channel(LAG_MAX);
        Ok(Self { feed, orders: Mutex::default(), disk, dropped: AtomicU64::new(0) })
    }

    /// Something happened.
    pub fn note(&self, noted: ShowTime, event: Event) {
        if let Event::Account(account) = &event {
            self.account(account);
        }
        let entry = Entry { noted, event };
        let json: Arc<str> =
            serde_json::to_string(&entry).expect("every entry has a JSON form").into();
        if let Some(disk) = &self.disk
            && disk.try_send(json.clone()).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        // Nobody watching is no error.
        let _ = self.feed.send(Line { entry: Arc::new(entry), json });
    }

    fn account(&self, account: &Account) {
        let mut orders = self.orders.lock().expect("nobody panics while holding the orders");
        match account {
            Account::Ordered { order } => {
                if orders.len() == ORDERS_KEPT {
                    orders.pop_front();
                }
                orders.push_back(Accounted { order: order.clone(), receipt: None });
            }
            Account::Received { receipt } => {
                // Newest first: a receipt comes soon after its order.
                if let Some(it) = orders.iter_mut().rev().find(|it| it.order.id == receipt.order) {
                    it.receipt = Some(receipt.clone());
                }
            }
        }
    }

    /// Everything from now on.
    pub fn watch(&self) -> broadcast::Receiver<Line> {
        self.feed.subscribe()
    }

    /// The latest orders, oldest first, at most `limit`.
    pub fn orders(&self, limit: usize) -> Vec<Accounted> {
        let orders = self.orders.lock().expect("nobody panics while holding the orders");
        orders.iter().skip(orders.len().saturating_sub(limit)).cloned().collect()
    }

    /// How many entries the disk did not take in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn write_to(path: PathBuf) -> std::io::Result<SyncSender<Arc<str>>> {
    let mut file = Rotating::open(path)?;
    let (queue, lines) = mpsc::sync_channel::<Arc<str>>(DISK_WAITING_MAX);
    std::thread::Builder::new().name("journal".into()).spawn(move || {
        while let Ok(line) = lines.recv() {
            if let Err(error) = file.write_all(std::iter::once(line).chain(lines.try_iter())) {
                tracing::warn!(%error, "could not write the journal; going on without it");
                return;
            }
        }
    })?;
    Ok(queue)
}

/// A file that is put aside when it has grown.
struct Rotating {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
}

impl Rotating {
    fn open(path: PathBuf) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let written = file.metadata()?.len();
        Ok(Self { path, file: BufWriter::new(file), written })
    }

    fn write_all(&mut self, lines: impl Iterator<Item = Arc<str>>) -> std::io::Result<()> {
        for line in lines {
            self.file.write_all(line.as_bytes())?;
            self.file.write_all(b"\n")?;
            self.written += line.len() as u64 + 1;
            if self.written >= FILE_MAX {
                self.put_aside()?;
            }
        }
        self.file.flush()
    }

    fn put_aside(&mut self) -> std::io::Result<()> {
        self.file.flush()?;
        std::fs::rename(&self.path, self.path.with_extension("jsonl.old"))?;
        *self = Self::open(self.path.clone())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::order::{Evidence, Output, What};
    use units::OrderId;

    fn order(id: u64) -> Order {
        Order {
            id: OrderId(id),
            cue: None,
            output: Output::Light,
            what: What::Hold,
            at: ShowTime::from_ns(5),
        }
    }

    fn receipt(id: u64) -> Receipt {
        Receipt {
            order: OrderId(id),
            output: Output::Light,
            at: ShowTime::from_ns(5),
            happened: Some(ShowTime::from_ns(7)),
            evidence: Evidence::AfterSend,
            count: 1,
            too_late: None,
        }
    }

    #[test]
    fn an_order_waits_for_its_receipt_and_shows_that_it_has_none() {
        let journal = Journal::begin(None).expect("memory only");
        let now = ShowTime::from_ns(9);
        for id in [1, 2] {
            journal.note(now, Event::Account(Account::Ordered { order: order(id) }));
        }
        journal.note(now, Event::Account(Account::Received { receipt: receipt(2) }));
        let orders = journal.orders(10);
        assert_eq!(orders[0].receipt, None);
        assert_eq!(orders[1].receipt, Some(receipt(2)));
        assert_eq!(journal.orders(1)[0].order.id, OrderId(2));
    }

    #[test]
    fn every_watcher_reads_the_same_line() {
        let journal = Journal::begin(None).expect("memory only");
        let mut watcher = journal.watch();
        let said = Said::Did { what: "paused".into(), by: "socket".into() };
        journal.note(ShowTime::from_ns(9), Event::Said(said));
        let line = watcher.try_recv().expect("it was there when it happened");
        assert_eq!(
            &*line.json,
            r#"{"noted_tai_ns":9,"event":"did","what":"paused","by":"socket"}"#
        );
    }
}
