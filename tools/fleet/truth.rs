//! The box's time at a reading of the machine's monotonic clock, as the box itself lays it over.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use phone::NetTime;
use units::{MonoTime, Span};

use super::{FleetError, document};
use crate::mono_now;

/// The overlay, by the last two pairs that the box told.
pub(super) struct Truth {
    pairs: Mutex<[Pair; 2]>,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    mono: MonoTime,
    net: NetTime,
}

/// A box that is steered changes its rate by 100 ppm at most (DESIGN: Time): between two questions it cannot come
/// further than so many microseconds from the line through the two before.
const EVERY: Duration = Duration::from_millis(500);
const CLOCK: &str = "/api/v1/clock";

impl Truth {
    pub(super) async fn ask(socket: &Path) -> Result<Self, FleetError> {
        let pair = pair(socket).await?;
        Ok(Self { pairs: Mutex::new([pair, pair]) })
    }

    /// Keeps up with a box that is steered, for ever.
    pub(super) async fn follow(&self, socket: &Path) {
        loop {
            tokio::time::sleep(EVERY).await;
            // A box that is gone is seen by whoever asks it for more.
            if let Ok(pair) = pair(socket).await {
                let mut pairs = self.pairs.lock().expect("nobody panics while holding it");
                *pairs = [pairs[1], pair];
            }
        }
    }

    /// Network time at a reading.
    pub(super) fn net(&self, mono: MonoTime) -> NetTime {
        let [first, last] = *self.pairs.lock().expect("nobody panics while holding it");
        let ratio = match (last.mono - first.mono).ns() {
            0 => 1.0,
            gone => (last.net - first.net).ns() as f64 / gone as f64,
        };
        let since = mono - last.mono;
        // The rate is near 1; only what it differs by goes through floating point.
        last.net + since + Span::from_ns((since.ns() as f64 * (ratio - 1.0)).round() as i64)
    }

    pub(super) fn net_now(&self) -> NetTime {
        self.net(mono_now())
    }
}

async fn pair(socket: &Path) -> Result<Pair, FleetError> {
    let clock = document(socket, CLOCK).await?;
    let number = |missing: &'static str, value: Option<i64>| {
        value.ok_or(FleetError::Mute { path: CLOCK, missing })
    };
    let mono_ns = number("now.mono_ns", clock["now"]["mono_ns"].as_i64())?;
    let tai_ns = number("now.tai_ns", clock["now"]["tai_ns"].as_i64())?;
    let tai_utc_s = clock["tai_utc_s"].as_f64();
    let tai_utc = tai_utc_s.ok_or(FleetError::Mute { path: CLOCK, missing: "tai_utc_s" })?;
    let net = NetTime::from_ns(tai_ns) - Span::from_secs_f64(tai_utc);
    Ok(Pair { mono: MonoTime::from_ns(mono_ns), net })
}
