//! `record FILE`: what leaves the running box, or comes in, as a capture, until Ctrl-C or for so long.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep_until};
use units::Span;
use wire::capture::talk::{Stretch, Talk};
use wire::capture::{Reader, Record, whole_len};

use crate::client::Client;
use crate::live::{rows, text};
use crate::terminal::many;
use crate::{Refused, cli, terminal};

/// Longer than anybody records; an instant so far ahead can still be reckoned.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// So often whoever watches is told how far it is.
const TELL: Duration = Duration::from_millis(200);

/// `downbeat record FILE`.
pub fn record(client: &Client, order: &cli::Record) -> Result<(), Refused> {
    let failed = |error| Refused(format!("could not write {}: {error}", order.file.display()));
    let lost_before = lost(client)?;
    let mut tape = Tape::new(&order.file);
    let wanted = order.length.map_or(LONGEST, Span::to_std);
    let ended =
        client.stream(&path(order), end_of(wanted), |bytes| tape.take(bytes).map_err(failed));
    terminal::progress_ends();
    // What has come is kept, whatever ended it.
    let kept = tape.file.as_ref().map_or(Ok(()), File::sync_all).map_err(failed);
    match ended.and(kept) {
        Ok(()) => tell(client, order, lost_before),
        Err(why) => Err(tape.kept_in_spite_of(why)),
    }
}

/// What the box is asked for.
fn path(order: &cli::Record) -> String {
    let numbers: Vec<String> = order.universes.iter().map(u32::to_string).collect();
    let inputs: Vec<String> = order.inputs.iter().map(|it| escaped(it)).collect();
    let phones = order.phones.then(|| "true".to_owned()).into_iter().collect();
    let wanted = [("universes", numbers), ("inputs", inputs), ("phones", phones)];
    let wanted = wanted.iter().filter(|(_, all)| !all.is_empty());
    let wanted: Vec<String> = wanted.map(|(key, all)| format!("{key}={}", all.join(","))).collect();
    match wanted.is_empty() {
        true => "record".to_owned(),
        false => format!("record?{}", wanted.join("&")),
    }
}

/// As it may stand in an address (RFC 3986 section 2.1).
fn escaped(words: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.~=".contains(&octet);
    let escape = |octet: u8| match plain(octet) {
        true => char::from(octet).to_string(),
        false => format!("%{octet:02X}"),
    };
    words.bytes().map(escape).collect()
}

/// When so long is over, at Ctrl-C, or when the system wants the program to end.
async fn end_of(wanted: Duration) {
    let end = Instant::now() + wanted.min(LONGEST);
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = sleep_until(end) => {}
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// The file, made when its first bytes come. Only whole records stay in it.
struct Tape<'a> {
    file: Option<File>,
    place: &'a Path,
    pending: Vec<u8>,
    bytes: u64,
    began: Instant,
    told: Option<Instant>,
}

impl<'a> Tape<'a> {
    fn new(place: &'a Path) -> Self {
        Self { file: None, place, pending: Vec::new(), bytes: 0, began: Instant::now(), told: None }
    }

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
        self.say();
        Ok(())
    }

    fn say(&mut self) {
        if self.told.is_none_or(|told| told.elapsed() > TELL) {
            self.told = Some(Instant::now());
            let (seconds, kb) = (self.began.elapsed().as_secs(), self.bytes.div_ceil(1000));
            let rate = self.bytes / 1000 / seconds.max(1);
            let clock = format!("{}:{:02}", seconds / 60, seconds % 60);
            terminal::progress(&format!("{clock}, {kb} kB, {rate} kB/s; Ctrl-C ends it"));
        }
    }

    /// Takes half a record off the end, and says what there is.
    fn kept_in_spite_of(&self, why: Refused) -> Refused {
        let Some(file) = self.file.as_ref().filter(|_| self.bytes > 0) else { return why };
        let name = self.place.display();
        match file.set_len(self.bytes) {
            Ok(()) => Refused(format!(
                "{why}; what was recorded until then is good: {} bytes in {name}",
                self.bytes
            )),
            Err(error) => Refused(format!("{why}; the end of {name} could not be mended: {error}")),
        }
    }
}

/// Frames that recordings have lost since the box began.
fn lost(client: &Client) -> Result<u64, Refused> {
    Ok(client.get("universes")?.document["recording_lost_frames"].as_u64().unwrap_or(0))
}

/// Reads it back, so that what is said is what is there.
fn tell(client: &Client, order: &cli::Record, lost_before: u64) -> Result<(), Refused> {
    let name = order.file.display().to_string();
    let file = File::open(&order.file)
        .map_err(|error| Refused(format!("nothing came to be written to {name}: {error}")))?;
    let bytes = file.metadata().map_err(Refused::because)?.len();
    let broken = |error| Refused(format!("{name} cannot be read back: {error}"));
    let mut reader = Reader::new(BufReader::new(file)).map_err(broken)?;
    let (mut length, mut changes, mut told, mut said) = (Span::ZERO, 0u64, 0u64, 0u64);
    let mut sound = Vec::new();
    while let Some(record) = reader.next_record().map_err(broken)? {
        length = record.at();
        match record {
            Record::Frame { .. } => changes += 1,
            Record::Talk { talk: Talk::Told { .. }, .. } => told += 1,
            Record::Talk { at, talk: Talk::Sound(it) } => Stretch::add(&mut sound, at, &it),
            Record::Talk { .. } => said += 1,
            Record::Mark { .. } => {}
        }
    }
    let sound: Vec<Value> = sound.iter().map(stretch).collect();
    let phones = reader.has_talk().then(|| json!({ "told": told, "said": said, "sound": sound }));
    let universes = reader.head().universes.len();
    // A box that has gone meanwhile cannot say.
    let lost = lost(client).ok().map(|lost| lost.saturating_sub(lost_before));
    let document = json!({ "file": name, "bytes": bytes, "length_ns": length, "universes": universes,
        "changes": changes, "lost_frames": lost, "phones": phones });
    terminal::say(&if order.json { document.to_string() } else { words(&document, length) });
    Ok(())
}

fn stretch(it: &Stretch) -> Value {
    json!({ "track": it.track, "from_ns": it.from, "until_ns": it.until, "kept": it.is_kept })
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
    let phones = match &it["phones"] {
        Value::Null => String::new(),
        phones => format!(
            ", {} to phones and {} of theirs",
            many(phones["told"].as_u64().unwrap_or(0) as usize, "word"),
            phones["said"].as_u64().unwrap_or(0)
        ),
    };
    let whole = format!(
        "{}: {:.2} s of {universes}, {changes}{phones}, {} bytes{lost}",
        text(&it["file"]),
        length.secs_f64(),
        number("bytes")
    );
    let sound = rows(&it["phones"]["sound"]).map(sounded);
    std::iter::once(whole).chain(sound).collect::<Vec<_>>().join("\n")
}

/// From when until when phones heard something live.
fn sounded(it: &Value) -> String {
    let seconds = |key: &str| it[key].as_f64().unwrap_or_default() / 1e9;
    let kept = if it["kept"] == true { "" } else { ", sealed and so not kept" };
    let (from, until) = (seconds("from_ns"), seconds("until_ns"));
    format!("  {from:.2} to {until:.2} s: {} on air{kept}", text(&it["track"]))
}
