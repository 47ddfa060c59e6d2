//! Lines to whoever watches. A reader that has gone away is no reason to stop a show, and while the keys are read
//! raw every line end needs its carriage return.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

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

/// `1 cue`, `2 cues`.
pub fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn ended(text: &str) -> String {
    with_returns(&format!("{text}\n"), RAW.load(Ordering::Relaxed))
}

fn with_returns(text: &str, raw: bool) -> String {
    if raw { text.replace('\n', "\r\n") } else { text.to_owned() }
}

/// Standard error for the log.
#[derive(Debug, Default)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = with_returns(&text, RAW.load(Ordering::Relaxed));
        io::stderr().lock().write_all(text.as_bytes())?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_terminal_gets_its_carriage_returns() {
        assert_eq!(with_returns("a\nb\n", true), "a\r\nb\r\n");
        assert_eq!(with_returns("a\nb\n", false), "a\nb\n");
    }
}
