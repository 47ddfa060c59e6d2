//! Waits that end early when a person presses Ctrl-C, so that what was started and made is ended and undone.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// How often the flag is looked at: at once, for a person.
const GLANCE: Duration = Duration::from_millis(50);

/// From now on these signals end a pause, not the program.
pub fn hear_signals() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&INTERRUPTED))?;
    }
    Ok(())
}

/// Waits so long.
///
/// # Errors
/// Somebody wants it to end.
pub fn of(long: Duration) -> io::Result<()> {
    let end = Instant::now() + long;
    loop {
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "interrupted"));
        }
        match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return Ok(()),
            left => sleep(left.min(GLANCE)),
        }
    }
}
