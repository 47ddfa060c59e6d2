//! Every step since the show began, for boxes that stand by, and how far this box's engine has come.
//!
//! In: steps. Out: the same as lines, from any of them on. A show that follows timecode takes a hundred a second, much alike; all
//! but the newest are kept deflated, a sixth of their size.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use engine::EngineStart;
use engine::cluster::Step;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use units::{Moment, MonoTime, ShowTime};

/// Cheap to clone; the engine's thread writes, links read.
#[derive(Debug, Clone, Default)]
pub struct Feed {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    log: Mutex<Log>,
    more: Condvar,
    steps: AtomicU64,
    done: AtomicI64,
    /// When that was said, by the monotonic clock.
    beat: AtomicI64,
}

#[derive(Debug, Default)]
struct Log {
    start: Option<EngineStart>,
    /// Each [`BLOCK`] lines, deflated.
    blocks: Vec<Arc<[u8]>>,
    newest: Vec<Arc<str>>,
}

/// Lines that are deflated together.
const BLOCK: usize = 1_024;

/// Where lines are to be had.
enum Lines {
    Newest(Vec<Arc<str>>),
    /// In a block, but for so many of its first.
    Deflated(Arc<[u8]>, usize),
}

impl Log {
    fn len(&self) -> usize {
        self.blocks.len() * BLOCK + self.newest.len()
    }

    fn push(&mut self, line: String) {
        self.newest.push(line.into());
        if self.newest.len() == BLOCK {
            self.blocks.push(deflated(&self.newest.join("\n")).into());
            self.newest.clear();
        }
    }

    fn from(&self, from: usize) -> Lines {
        match self.blocks.get(from / BLOCK) {
            Some(block) => Lines::Deflated(block.clone(), from % BLOCK),
            None => {
                let newest = self.newest.get(from - self.blocks.len() * BLOCK..);
                Lines::Newest(newest.unwrap_or_default().to_vec())
            }
        }
    }
}

impl Lines {
    fn read(self) -> Vec<Arc<str>> {
        match self {
            Self::Newest(lines) => lines,
            Self::Deflated(block, but) => {
                inflated(&block).split('\n').skip(but).map(Arc::from).collect()
            }
        }
    }
}

/// Of zlib's levels; the engine waits for it, a millisecond in ten seconds of timecode.
const QUICK: u32 = 3;

fn deflated(text: &str) -> Vec<u8> {
    let mut writer = DeflateEncoder::new(Vec::new(), Compression::new(QUICK));
    writer.write_all(text.as_bytes()).expect("memory takes it");
    writer.finish().expect("memory takes it")
}

fn inflated(octets: &[u8]) -> String {
    let mut text = String::new();
    DeflateDecoder::new(octets).read_to_string(&mut text).expect("we have deflated it");
    text
}

/// How far an engine has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// Steps since its start.
    pub steps: u64,
    /// Everything up to then is done.
    pub done: ShowTime,
    /// When it said so.
    pub beat: MonoTime,
}

impl Feed {
    /// The engine has begun, or begun anew.
    pub fn begin(&self, start: EngineStart) {
        let mut log = self.log();
        *log = Log { start: Some(start), ..Log::default() };
        self.shared.more.notify_all();
    }

    /// It has taken a step.
    pub fn push(&self, step: &Step) {
        let line = serde_json::to_string(step).expect("every step has a JSON form");
        self.log().push(line);
        self.shared.more.notify_all();
    }

    /// It lives.
    pub fn beat(&self, (steps, done): (u64, ShowTime), now: MonoTime) {
        self.shared.steps.store(steps, Relaxed);
        self.shared.done.store(done.ns(), Relaxed);
        self.shared.beat.store(now.ns(), Relaxed);
    }

    /// When it said last that it lives, and how far it had come.
    pub fn pulse(&self) -> Pulse {
        Pulse {
            steps: self.shared.steps.load(Relaxed),
            done: Moment::from_ns(self.shared.done.load(Relaxed)),
            beat: Moment::from_ns(self.shared.beat.load(Relaxed)),
        }
    }

    /// What its engine began with, and how many steps there are.
    pub(super) fn head(&self) -> (Option<EngineStart>, u64) {
        let log = self.log();
        (log.start, log.len() as u64)
    }

    /// Lines from a step on, some of what there is, after waiting for one at most so long; none where the engine has begun anew
    /// meanwhile.
    pub(super) fn lines_from(
        &self,
        start: Option<EngineStart>,
        from: u64,
        patience: Duration,
    ) -> Option<Vec<Arc<str>>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let is_dry = |log: &mut Log| log.start == start && log.len() <= from;
        let log = self.shared.more.wait_timeout_while(self.log(), patience, is_dry);
        let log = log.expect("nobody panics while holding the steps").0;
        let lines = (log.start == start).then(|| log.from(from));
        // What follows takes long, and the engine waits for the lock.
        drop(log);
        lines.map(Lines::read)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.shared.log.lock().expect("nobody panics while holding the steps")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn line(nth: usize) -> String {
        // As timecode comes: alike but for its times.
        format!(
            r#"{{"at":{},"told":{{"Input":{{"Timecode":{{"frame":{nth},"at":{}}}}}}}}}"#,
            nth * 33_366_700,
            nth * 33_366_650
        )
    }

    fn feed(lines: usize) -> Feed {
        let feed = Feed::default();
        (0..lines).for_each(|nth| feed.log().push(line(nth)));
        feed
    }

    /// All that is told to a box that has taken so many steps.
    fn told(feed: &Feed, mut from: usize) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        loop {
            let lines = feed.lines_from(None, from as u64, NOW).expect("it has not begun anew");
            if lines.is_empty() {
                return all;
            }
            from += lines.len();
            all.extend(lines);
        }
    }

    #[test]
    fn every_step_is_told_from_any_on_whether_it_is_deflated_or_not() {
        let feed = feed(3 * BLOCK + 7);
        for from in [
            0,
            1,
            BLOCK - 1,
            BLOCK,
            2 * BLOCK + 5,
            3 * BLOCK,
            3 * BLOCK + 6,
            3 * BLOCK + 7,
            9 * BLOCK,
        ] {
            let wanted: Vec<Arc<str>> = (from..3 * BLOCK + 7).map(|nth| line(nth).into()).collect();
            assert_eq!(told(&feed, from), wanted, "from {from}");
        }
        assert_eq!(feed.head().1, 3 * BLOCK as u64 + 7);
    }

    #[test]
    fn hours_of_timecode_take_less_than_a_fifth_of_their_lines() {
        let feed = feed(100 * BLOCK);
        let kept: usize = feed.log().blocks.iter().map(|it| it.len()).sum();
        let plain: usize = (0..100 * BLOCK).map(|nth| line(nth).len()).sum();
        println!("{kept} octets of {plain}");
        assert!(kept * 5 < plain, "{kept} of {plain}");
    }
}
