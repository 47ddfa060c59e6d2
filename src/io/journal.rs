//! Keeps what happened: for whoever watches now, for `receipts`, and on disk for the morning after.
//!
//! In: what the engine says, orders and receipts. Out: a live feed, the latest orders with their receipts, and
//! `journal.jsonl` in the state folder, bounded. Never: a wait; what cannot be taken now is dropped and counted.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::iter;
use std::os::unix::fs::FileExt;
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

/// Lines that are written at once.
const BATCH: usize = 256;

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
    dropped: Arc<AtomicU64>,
}

impl Journal {
    /// Begins, in memory and in `folder`; without a folder nothing is written.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn begin(folder: Option<&Path>) -> std::io::Result<Self> {
        let dropped = Arc::<AtomicU64>::default();
        let write = |folder: &Path| write_to(folder.join("journal.jsonl"), dropped.clone());
        let disk = folder.map(write).transpose()?;
        let (feed, _) = broadcast::channel(LAG_MAX);
        Ok(Self { feed, orders: Mutex::default(), disk, dropped })
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

    /// How many entries the disk did not take, or not in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn write_to(path: PathBuf, dropped: Arc<AtomicU64>) -> std::io::Result<SyncSender<Arc<str>>> {
    let mut file = Rotating::open(path)?;
    let (queue, lines) = mpsc::sync_channel::<Arc<str>>(DISK_WAITING_MAX);
    std::thread::Builder::new().name("journal".into()).spawn(move || {
        let mut is_well = true;
        while let Ok(line) = lines.recv() {
            let batch: Vec<_> = iter::once(line).chain(lines.try_iter().take(BATCH - 1)).collect();
            let written = file.write(&batch);
            match &written {
                Ok(()) if !is_well => tracing::info!("the journal is written again"),
                Err(error) if is_well => {
                    tracing::warn!(%error, "could not write the journal; trying again with what comes");
                }
                _ => {}
            }
            is_well = written.is_ok();
            if !is_well {
                dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
        }
    })?;
    Ok(queue)
}

/// A file that is put aside when it has grown, and opened anew when something went wrong.
struct Rotating {
    path: PathBuf,
    file: Option<File>,
    written: u64,
}

impl Rotating {
    fn open(path: PathBuf) -> std::io::Result<Self> {
        let mut it = Self { path, file: None, written: 0 };
        it.reopen()?;
        Ok(it)
    }

    /// A disk that was full, or a box that lost its power, has left half a line at its end.
    fn reopen(&mut self) -> std::io::Result<&mut File> {
        let options = OpenOptions::new().create(true).read(true).append(true).clone();
        let mut file = options.open(&self.path)?;
        self.written = file.metadata()?.len();
        let mut last = *b"\n";
        if self.written > 0 {
            file.read_exact_at(&mut last, self.written - 1)?;
        }
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
        Ok(self.file.insert(file))
    }

    fn write(&mut self, lines: &[Arc<str>]) -> std::io::Result<()> {
        if self.written >= FILE_MAX {
            match std::fs::rename(&self.path, self.path.with_extension("jsonl.old")) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                // It is put aside, or somebody has taken it away: either way another begins.
                _ => (self.file, self.written) = (None, 0),
            }
        }
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let file = match self.file.take() {
            Some(file) => self.file.insert(file),
            None => self.reopen()?,
        };
        let written = file.write_all(text.as_bytes());
        self.written += text.len() as u64;
        if written.is_err() {
            self.file = None;
        }
        written
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

    fn lines(of: &[&str]) -> Vec<Arc<str>> {
        of.iter().map(|it| Arc::from(*it)).collect()
    }

    #[test]
    fn what_comes_after_half_a_line_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.jsonl");
        std::fs::write(&path, "{}\n{\"ha").expect("written");
        let mut file = Rotating::open(path.clone()).expect("opened");
        file.write(&lines(&["{1}", "{2}"])).expect("written");
        assert_eq!(std::fs::read_to_string(path).expect("read"), "{}\n{\"ha\n{1}\n{2}\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_was_full_is_written_to_again_once_it_has_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.jsonl");
        std::os::unix::fs::symlink("/dev/full", &path).expect("a disk without room");
        let mut file = Rotating { path: path.clone(), file: None, written: 0 };
        for _ in 0..2 {
            let error = file.write(&lines(&["{1}"])).expect_err("no room");
            assert_eq!(error.kind(), ErrorKind::StorageFull);
        }
        std::fs::remove_file(&path).expect("there is room again");
        file.write(&lines(&["{2}"])).expect("written");
        assert_eq!(std::fs::read_to_string(path).expect("read"), "{2}\n");
    }

    #[test]
    fn a_file_that_somebody_took_away_is_begun_anew_when_it_would_be_put_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.jsonl");
        let mut file = Rotating::open(path.clone()).expect("opened");
        std::fs::remove_file(&path).expect("gone");
        file.written = FILE_MAX;
        file.write(&lines(&["{1}"])).expect("written");
        assert_eq!(
            (std::fs::read_to_string(&path).expect("read"), file.written),
            ("{1}\n".into(), 4)
        );
    }

    #[test]
    fn a_file_that_has_grown_is_put_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.jsonl");
        let mut file = Rotating::open(path.clone()).expect("opened");
        file.write(&lines(&["x".repeat(FILE_MAX as usize).as_str()])).expect("written");
        file.write(&lines(&["{1}"])).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "{1}\n");
        let aside = std::fs::metadata(path.with_extension("jsonl.old")).expect("it is there");
        assert_eq!(aside.len(), FILE_MAX + 1);
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
