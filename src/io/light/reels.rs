//! Reads long recordings ahead of show time, each on a thread of its own, so that a slow disk costs only what is on it.
//!
//! In: plans, before they are drawn. Out: frames in their streams (`engine::light::Feeder`). A thread ends when nobody has
//! its stream any more.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, Weak};
use std::thread::{Builder, sleep};
use std::time::Duration;

use engine::light::{Feeder, Plan, Stream};

/// So often it is looked whether there is room to read on; a stream is two seconds ahead.
const TURN: Duration = Duration::from_millis(10);
/// After so long a disk that failed is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// A disk that is still too slow is told of again after so many seconds.
const TELL_AGAIN: u32 = 10;

/// The recordings that are being read.
#[derive(Debug, Default)]
pub(super) struct Reels {
    read: Mutex<Vec<Reading>>,
    /// What starved of those that are over.
    starved: AtomicU64,
}

/// One of them.
#[derive(Debug)]
struct Reading {
    stream: Weak<Stream>,
    /// How much of what starved has been told of, and how many seconds ago.
    told: u64,
    ago: u32,
}

impl Reels {
    /// Frames that went out as they were last, since a disk was too slow.
    pub fn starved(&self) -> u64 {
        let read = self.read.lock().expect("nobody panics with it");
        let now = read.iter().filter_map(|it| it.stream.upgrade()).map(|it| it.starved());
        self.starved.load(Relaxed) + now.sum::<u64>()
    }

    /// Says which disks are too slow; asked once a second by whoever does not read.
    pub fn tell(&self) {
        for it in &mut *self.read.lock().expect("nobody panics with it") {
            let Some(stream) = it.stream.upgrade() else { continue };
            it.ago = it.ago.saturating_add(1);
            let late = stream.starved() - it.told;
            if late > 0 && (it.told == 0 || it.ago > TELL_AGAIN) {
                (it.told, it.ago) = (stream.starved(), 0);
                let file = &stream.file;
                tracing::warn!(
                    "recorded light `{file}`: the disk is too slow, {late} frames stand still"
                );
            }
        }
    }

    /// Reads what this plan shows, from now on.
    pub fn play(self: &Arc<Self>, plan: &Plan) {
        let streams = plan.streams();
        let mut read = self.read.lock().expect("nobody panics with it");
        read.retain(|it| it.stream.strong_count() > 0);
        for stream in streams {
            if read.iter().any(|it| it.stream.as_ptr() == Arc::as_ptr(&stream)) {
                continue;
            }
            read.push(Reading { stream: Arc::downgrade(&stream), told: 0, ago: 0 });
            let (file, all) = (stream.file.clone(), self.clone());
            let reader = move || all.read(Feeder::new(stream));
            if let Err(why) = Builder::new().name("light reel".into()).spawn(reader) {
                tracing::error!("recorded light `{file}` cannot be read while it plays: {why}");
            }
        }
    }

    /// Until this thread is the only one that has the stream.
    fn read(&self, mut feeder: Feeder) {
        let mut has_failed = false;
        while Arc::strong_count(feeder.stream()) > 1 {
            let (fed, file) = (feeder.feed(), &feeder.stream().file);
            match &fed {
                Err(why) if !has_failed => {
                    tracing::error!("recorded light `{file}` stands still: {why}")
                }
                Ok(()) if has_failed => tracing::warn!("recorded light `{file}` goes on"),
                _ => {}
            }
            has_failed = fed.is_err();
            sleep(if has_failed { AGAIN } else { TURN });
        }
        self.starved.fetch_add(feeder.stream().starved(), Relaxed);
    }
}
