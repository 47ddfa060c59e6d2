//! `record FILE`: what leaves the running box, as a capture, until Ctrl-C or for so long.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use units::Span;
use wire::capture::{Reader, whole_len};

use crate::cli::Record;
use crate::client::Client;
use crate::live::text;
use crate::terminal::many;
use crate::{Refused, terminal};

/// Longer than anybody records; an instant so far ahead can still be reckoned.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// `downbeat record FILE`.
pub fn record(client: &Client, order: &Record) -> Result<(), Refused> {
    let failed = |error| Refused(format!("could not write {}: {error}", order.file.display()));
    let lost_before = lost(client)?;
    let numbers: Vec<String> = order.universes.iter().map(u32::to_string).collect();
    let path = match numbers.is_empty() {
        true => "record".to_owned(),
        false => format!("record?universes={}", numbers.join(",")),
    };
    let mut tape = Tape { file: None, place: &order.file, pending: Vec::new(), bytes: 0 };
    let wanted = order.length.map_or(LONGEST, Span::to_std);
    let ended = client.stream(&path, end_of(wanted), |bytes| tape.take(bytes).map_err(failed));
    // What has come is kept, whatever ended it.
    let kept = tape.file.as_ref().map_or(Ok(()), File::sync_all).map_err(failed);
    ended.and(kept)?;
    tell(client, order, lost_before)
}

/// When so long is over, or at Ctrl-C.
async fn end_of(wanted: Duration) {
    let end = Instant::now() + wanted.min(LONGEST);
    tokio::select! {
        () = sleep_until(end) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// The file, made when its first bytes come. Only whole records are written.
struct Tape<'a> {
    file: Option<File>,
    place: &'a Path,
    pending: Vec<u8>,
    bytes: u64,
}

impl Tape<'_> {
    fn take(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.pending.extend(bytes);
        let whole = whole_len(&self.pending, self.file.is_none());
        if whole == 0 {
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(File::create(self.place)?);
        }
        self.file.iter_mut().try_for_each(|file| file.write_all(&self.pending[..whole]))?;
        self.pending.drain(..whole);
        self.bytes += whole as u64;
        terminal::progress(&format!("{} kB", self.bytes.div_ceil(1000)));
        Ok(())
    }
}

/// Frames that recordings have lost since the box began.
fn lost(client: &Client) -> Result<u64, Refused> {
    Ok(client.get("universes")?.document["recording_lost_frames"].as_u64().unwrap_or(0))
}

/// Reads it back, so that what is said is what is there.
fn tell(client: &Client, order: &Record, lost_before: u64) -> Result<(), Refused> {
    let name = order.file.display().to_string();
    let bytes = std::fs::read(&order.file)
        .map_err(|error| Refused(format!("nothing came to be written to {name}: {error}")))?;
    let broken = |error| Refused(format!("{name} cannot be read back: {error}"));
    let mut reader = Reader::new(&bytes).map_err(broken)?;
    let (mut length, mut changes) = (Span::ZERO, 0u64);
    while let Some(record) = reader.next_record().map_err(broken)? {
        length = record.at();
        changes += u64::from(!record.is_mark());
    }
    let universes = reader.head().universes.len();
    // A box that has gone meanwhile cannot say.
    let lost = lost(client).ok().map(|lost| lost.saturating_sub(lost_before));
    let document = json!({ "file": name, "bytes": bytes.len(), "length_ns": length, "universes": universes,
        "changes": changes, "lost_frames": lost });
    terminal::say(&if order.json { document.to_string() } else { words(&document, length) });
    Ok(())
}

fn words(it: &Value, length: Span) -> String {
    let number = |key: &str| it[key].as_u64().unwrap_or(0) as usize;
    let lost = match it["lost_frames"].as_u64() {
        Some(0) => String::new(),
        Some(lost) => format!("; {} did not fit and are missing", many(lost as usize, "frame")),
        None => "; whether frames are missing is unknown: the box has gone".to_owned(),
    };
    let (universes, changes) =
        (many(number("universes"), "universe"), many(number("changes"), "change"));
    format!(
        "{}: {:.2} s of {universes}, {changes}, {} bytes{lost}",
        text(&it["file"]),
        length.secs_f64(),
        number("bytes")
    )
}
