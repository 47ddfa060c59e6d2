//! Where the log goes: to the journal under systemd, else to standard error. `RUST_LOG` says how much.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::terminal::LogQueue;

/// From now on.
pub fn begin() {
    match tracing_journald::layer() {
        Ok(journal) if under_systemd() => {
            tracing_subscriber::registry().with(filter("info")).with(journal).init();
        }
        _ => {
            let queue = LogQueue::begin();
            let lines = tracing_subscriber::fmt::layer()
                .with_writer(move || queue.clone())
                .with_ansi(false)
                .with_target(false);
            // At a desk the story is on standard output; the log is for what goes wrong.
            tracing_subscriber::registry().with(filter("warn")).with(lines).init();
        }
    }
}

/// systemd names the journal that our standard error goes to.
fn under_systemd() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

/// Of a sound file that cannot be read we say ourselves what is wrong, and which it is; its reader cannot. Of PTP we
/// say ourselves what matters, and not what every packet measured.
fn filter(default: &str) -> EnvFilter {
    EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{default},symphonia=off,statime=error")))
}
