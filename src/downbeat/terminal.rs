//! Lines to whoever watches. A reader that has gone away is no reason to stop a show, and while the keys are read
//! raw every line end needs its carriage return. Names come from phones, tokens and files of others: none commands the
//! terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

static RAW: AtomicBool = AtomicBool::new(false);

/// Whether the terminal is raw from now on.
pub fn set_raw(raw: bool) {
    RAW.store(raw, Ordering::Relaxed);
}

/// A line, or several.
pub fn say(text: &str) {
    let mut out = io::stdout().lock();
    // Nobody reading is no error of the show.
    let _ = out.write_all(ended(text).as_bytes()).and_then(|()| out.flush());
}

/// The same, to standard error.
pub fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(ended(text).as_bytes());
}

/// How far something is, over what was said of it before; only where somebody watches.
pub fn progress(text: &str) {
    let mut watcher = io::stderr().lock();
    if watcher.is_terminal() {
        let _ = write!(watcher, "\r{}\x1b[K", harmless(text));
    }
}

/// What comes now is not behind what was said of how far something is.
pub fn progress_ends() {
    let mut watcher = io::stderr().lock();
    if watcher.is_terminal() {
        let _ = write!(watcher, "\r\x1b[K");
    }
}

/// How wide the terminal is that reads the lines; none where a file or a pipe does, which wraps nothing.
pub fn columns() -> Option<usize> {
    let (columns, _) = io::stdout().is_terminal().then(crossterm::terminal::size)?.ok()?;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

/// `1 cue`, `2 cues`.
pub fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn ended(text: &str) -> String {
    with_returns(&format!("{}\n", harmless(text)), RAW.load(Ordering::Relaxed))
}

/// With a mark in place of whatever moves the cursor, colours, rings, or turns the way of reading round.
fn harmless(text: &str) -> String {
    let harms = |it: char| {
        let turns = matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (it.is_control() && !matches!(it, '\n' | '\t'))
    };
    text.replace(harms, "\u{fffd}")
}

fn with_returns(text: &str, raw: bool) -> String {
    if raw { text.replace('\n', "\r\n") } else { text.to_owned() }
}

/// Lines that may wait for a reader of the log; more are dropped, and how many is said.
const LINES_WAITING_MAX: usize = 1024;

/// The way to standard error for the log. It never waits: a terminal that is held (Ctrl-S, a stalled SSH) or a pipe
/// that nobody empties must not hold up whoever has something to say, be it the network door or light.
#[derive(Debug, Clone)]
pub struct LogQueue {
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

impl LogQueue {
    /// Writes to standard error from now on, on a thread of its own.
    pub fn begin() -> Self {
        Self::onto(|| Box::new(io::stderr()))
    }

    fn onto(open: impl FnOnce() -> Box<dyn Write> + Send + 'static) -> Self {
        let (lines, waiting) = sync_channel::<String>(LINES_WAITING_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let missed = dropped.clone();
        std::thread::spawn(move || {
            let mut out = open();
            for line in waiting {
                // Nobody reading is no error of the show.
                let _ = out.write_all(line.as_bytes());
                say_missed(&mut *out, missed.swap(0, Ordering::Relaxed));
            }
        });
        Self { lines, dropped }
    }
}

fn say_missed(out: &mut dyn Write, missed: u64) {
    if missed > 0 {
        let text = with_returns(
            &format!("({missed} lines of the log came too fast to be written)\n"),
            RAW.load(Ordering::Relaxed),
        );
        let _ = out.write_all(text.as_bytes());
    }
}

impl Write for LogQueue {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = with_returns(&String::from_utf8_lossy(bytes), RAW.load(Ordering::Relaxed));
        if self.lines.try_send(text).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Somebody who reads a line whenever the test lets them.
    struct StubReader {
        may_read: Receiver<()>,
        read: Sender<String>,
    }

    impl Write for StubReader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The test has seen enough where nobody lets it read on.
            let _ = self.may_read.recv();
            let _ = self.read.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_reads_the_log_and_whoever_writes_it_goes_on() {
        let ((let_read, may_read), (read, was_read)) = (channel(), channel());
        let mut queue = LogQueue::onto(move || Box::new(StubReader { may_read, read }));
        // The first may be in the reader's hands already, and every other one has its place or is counted.
        let lines = LINES_WAITING_MAX + 100;
        for number in 0..lines {
            queue.write_all(format!("line {number}\n").as_bytes()).expect("never refused");
        }
        let dropped = queue.dropped.load(Ordering::Relaxed);
        assert!((99..=100).contains(&dropped), "{dropped}");
        (0..2).for_each(|_| let_read.send(()).expect("the reader waits"));
        assert_eq!(was_read.recv().expect("read"), "line 0\n");
        let said = was_read.recv().expect("read");
        assert!(said.contains(&format!("{dropped} lines")), "{said}");
    }

    #[test]
    fn what_commands_a_terminal_is_printed_as_a_mark() {
        let text = "a\x1b[2J\r\x07\u{9b}\u{202e}b\tc\n\u{5e95}\u{200d}\u{1f600}";
        assert_eq!(
            harmless(text),
            "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}b\tc\n\u{5e95}\u{200d}\u{1f600}"
        );
    }

    #[test]
    fn a_raw_terminal_gets_its_carriage_returns() {
        assert_eq!(with_returns("a\nb\n", true), "a\r\nb\r\n");
        assert_eq!(with_returns("a\nb\n", false), "a\nb\n");
    }
}
