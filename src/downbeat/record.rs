//! `record FILE`: what leaves the running box, or comes in, as a capture, until Ctrl-C or for so long; and what one holds.

use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{AccessFlags, access};
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};
use units::Span;
use wire::capture::talk::{Fare, Stretch, Talk};
use wire::capture::{CaptureError, Cut, Head, Reader, Record};
use wire::quality::Quality;

use crate::client::Client;
use crate::live::{rows, text};
use crate::terminal::many;
use crate::{Refused, cli, terminal};

/// Longer than anybody records; an instant so far ahead can still be reckoned.
const LONGEST: Span = Span::from_secs(7 * 24 * 3600);
/// A box says five times a second that its capture goes on; one that is so late says nothing more.
const LATE: Duration = Duration::from_secs(5);
/// So often whoever watches is told how far it is.
const TELL: Duration = Duration::from_millis(200);

/// `downbeat record FILE`.
pub fn record(client: &Client, order: &cli::Record) -> Result<(), Refused> {
    let failed = |error| Refused(format!("could not write {}: {error}", order.file.display()));
    let place = Place::of(&order.file).map_err(failed)?;
    let lost_before = lost(client)?;
    let wanted = order.length.unwrap_or(LONGEST);
    let mut tape = Tape::new(&place, wanted);
    let stuck = wanted.min(LONGEST).to_std() + LATE;
    let ended =
        client.stream(&path(order), end_of(stuck), |bytes| tape.take(bytes).map_err(failed));
    terminal::progress_ends();
    tape.close(ended)?;
    tell(client, order, lost_before)
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

/// When so long is over, at Ctrl-C, or when the system wants the program to end, or the terminal has gone.
async fn end_of(stuck: Duration) {
    let told = async |kind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    };
    let hung_up = async {
        // Under `nohup` it goes on.
        if ignores_hangup() {
            std::future::pending().await
        }
        told(SignalKind::hangup()).await;
    };
    tokio::select! {
        () = sleep(stuck) => {}
        () = told(SignalKind::terminate()) => {}
        () = hung_up => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// As whoever began the program left it: the first bit of its ignored signals (proc(5)).
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.is_some_and(|it| u64::from_str_radix(it.trim(), 16).is_ok_and(|it| it & 1 == 1))
}

/// Where a recording goes: beside its name until it has ended, since a cue may be playing what stands under it.
struct Place {
    whole: PathBuf,
    beside: PathBuf,
    /// Of the one that is there.
    permissions: Option<Permissions>,
}

impl Place {
    /// By its name, if it can be written, as far as that is known before anything is: a box that had begun would still be
    /// recording, for nobody, when it is asked again.
    fn of(named: &Path) -> io::Result<Self> {
        // A link goes on leading where it led.
        let whole = named.canonicalize().unwrap_or_else(|_| named.to_owned());
        let permissions = match fs::metadata(&whole) {
            Ok(about) if !about.is_file() => return Err(io::Error::other("it is no file")),
            Ok(about) => {
                File::options().append(true).open(&whole)?;
                Some(about.permissions())
            }
            Err(_) => None,
        };
        let mut beside = whole.clone().into_os_string();
        beside.push(".part");
        let place = Self { whole, beside: beside.into(), permissions };
        access(place.folder(), AccessFlags::W_OK)?;
        Ok(place)
    }

    /// The file beside, for whoever may read the one that it is to replace.
    fn begin(&self) -> io::Result<File> {
        let file = File::create(&self.beside)?;
        self.permissions.iter().try_for_each(|it| file.set_permissions(it.clone()))?;
        Ok(file)
    }

    fn folder(&self) -> &Path {
        let folder = self.whole.parent().filter(|it| !it.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }

    /// The one beside is the whole one from now on, whenever the power goes.
    fn take(&self) -> io::Result<()> {
        fs::rename(&self.beside, &self.whole)?;
        File::open(self.folder())?.sync_all()
    }
}

/// The file, made when its first bytes come. Only whole records stay in it.
struct Tape<'a> {
    file: Option<File>,
    place: &'a Place,
    cut: Cut,
    whole: Vec<u8>,
    bytes: u64,
    has_records: bool,
    began: Instant,
    told: Option<Instant>,
}

impl<'a> Tape<'a> {
    fn new(place: &'a Place, length: Span) -> Self {
        let (file, cut, whole, told) = (None, Cut::new(length), Vec::new(), None);
        let began = Instant::now();
        Self { file, place, cut, whole, bytes: 0, has_records: false, began, told }
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<ControlFlow<()>> {
        self.whole.clear();
        let is_over = self.cut.take(bytes, &mut self.whole);
        if !self.whole.is_empty() {
            let file = match self.file.take() {
                Some(file) => file,
                None => self.place.begin()?,
            };
            self.file.insert(file).write_all(&self.whole)?;
            self.bytes += self.whole.len() as u64;
            self.has_records = self.cut.has_records();
            self.say();
        }
        Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
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

    /// What has come is kept under its name, whatever ended it; where nothing has come, all is as it was.
    fn close(self, ended: Result<(), Refused>) -> Result<(), Refused> {
        let name = self.place.whole.display();
        let Some(file) = self.file.as_ref().filter(|_| self.has_records) else {
            if self.file.is_some() {
                let _ = fs::remove_file(&self.place.beside);
            }
            return Err(ended.err().unwrap_or_else(|| {
                Refused(format!("nothing came to be written: {name} is as it was"))
            }));
        };
        // Half a record comes off its end.
        let kept = file.set_len(self.bytes).and_then(|()| file.sync_all());
        match (ended, kept.and_then(|()| self.place.take())) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(why), Ok(())) => Err(Refused(format!(
                "{why}; what was recorded until then is good: {} bytes in {name}",
                self.bytes
            ))),
            (ended, Err(error)) => {
                let why = ended.err().map(|why| format!("{why}; ")).unwrap_or_default();
                let beside = self.place.beside.display();
                Err(Refused(format!("{why}could not finish {name}: {error}: see {beside}")))
            }
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
    let it = Contents::read(BufReader::new(file)).map_err(broken)?;
    if let Some(damage) = it.damage {
        return Err(broken(damage));
    }
    // A box that has gone meanwhile cannot say.
    let lost = lost(client).ok().map(|lost| lost.saturating_sub(lost_before));
    let document = json!({ "file": name, "bytes": bytes, "length_ns": it.length,
        "universes": it.head.universes.len(), "changes": it.changes, "lost_frames": lost,
        "phones": it.phones() });
    terminal::say(&if order.json { document.to_string() } else { words(&document, it.length) });
    Ok(())
}

/// `downbeat record --list FILE`: what a capture that is there holds. No box is asked.
pub fn list(order: &cli::Record) -> Result<(), Refused> {
    let name = order.file.display().to_string();
    let unread = |why: String| Refused(format!("could not read {name}: {why}"));
    let file = File::open(&order.file).map_err(|error| unread(error.to_string()))?;
    let bytes = file.metadata().map_err(Refused::because)?.len();
    let it = Contents::read(BufReader::new(file)).map_err(|error| unread(error.to_string()))?;
    let document = it.document(&name, bytes);
    terminal::say(&if order.json { document.to_string() } else { listed(&document, &it) });
    Ok(())
}

/// What stands in a capture, up to its end, its cut or its damage.
struct Contents {
    head: Head,
    has_talk: bool,
    length: Span,
    changes: u64,
    came: u64,
    told: u64,
    said: u64,
    /// Words by which level they say that the network has, from the best.
    quality: [u64; Quality::ALL.len()],
    sound: Vec<Stretch>,
    pictures: Vec<Stretch>,
    is_cut: bool,
    damage: Option<CaptureError>,
}

impl Contents {
    fn read(bytes: impl Read) -> Result<Self, CaptureError> {
        let mut reader = Reader::new(bytes)?;
        let (head, has_talk) = (reader.head().clone(), reader.has_talk());
        let mut it = Self {
            head,
            has_talk,
            length: Span::ZERO,
            changes: 0,
            came: 0,
            told: 0,
            said: 0,
            quality: [0; Quality::ALL.len()],
            sound: Vec::new(),
            pictures: Vec::new(),
            is_cut: false,
            damage: None,
        };
        loop {
            match reader.next_record() {
                Ok(Some(record)) => it.take(&record),
                Ok(None) => break,
                Err(damage) => {
                    it.damage = Some(damage);
                    break;
                }
            }
        }
        it.is_cut = reader.is_cut();
        Ok(it)
    }

    fn take(&mut self, record: &Record) {
        self.length = record.at();
        match record {
            Record::Frame { .. } => self.changes += 1,
            Record::Talk { talk: Talk::Told { .. }, .. } => self.told += 1,
            Record::Talk { at, talk: Talk::Sound(it) } => Stretch::add(&mut self.sound, *at, it),
            Record::Talk { at, talk: Talk::Picture(it) } => {
                Stretch::add_picture(&mut self.pictures, *at, it);
            }
            Record::Talk { talk, .. } => {
                self.came += u64::from(matches!(talk, Talk::Came { .. }));
                self.said += 1;
                if let Talk::Fares { fare: Fare { quality: Some(level), .. }, .. } = talk {
                    self.quality[*level as usize] += 1;
                }
            }
            Record::Mark { .. } => {}
        }
    }

    /// Null where phones were not recorded.
    fn phones(&self) -> Value {
        let all = |it: &[Stretch]| it.iter().map(stretch).collect::<Vec<Value>>();
        let (sound, pictures) = (all(&self.sound), all(&self.pictures));
        let quality = Quality::ALL.iter().zip(self.quality);
        let quality: Map<String, Value> =
            quality.map(|(level, said)| (level.name().into(), said.into())).collect();
        let phones = json!({ "came": self.came, "told": self.told, "said": self.said,
            "quality": quality, "sound": sound, "pictures": pictures });
        if self.has_talk { phones } else { Value::Null }
    }

    fn document(&self, name: &str, bytes: u64) -> Value {
        let universes: Vec<u16> = self.head.universes.iter().map(|it| it.number()).collect();
        let damaged_at = match self.damage {
            Some(CaptureError::Damaged(at)) => Some(at),
            _ => None,
        };
        json!({ "file": name, "title": self.head.title, "began_tai_ns": self.head.began.ns(),
            "bytes": bytes, "length_ns": self.length, "universes": universes,
            "changes": self.changes, "phones": self.phones(), "cut": self.is_cut,
            "damaged": self.damage.map(|it| it.to_string()), "damaged_at": damaged_at })
    }
}

fn stretch(it: &Stretch) -> Value {
    json!({ "track": it.track, "from_ns": it.from, "until_ns": it.until, "kept": it.is_kept })
}

fn words(it: &Value, length: Span) -> String {
    let lost = match it["lost_frames"].as_u64() {
        Some(0) => String::new(),
        Some(lost) => format!("; {} did not fit and are missing", many(lost as usize, "frame")),
        None => "; whether frames are missing is unknown: the box has gone".to_owned(),
    };
    let universes = it["universes"].as_u64().unwrap_or(0) as usize;
    let whole = format!("{}{lost}", summary(it, length, &many(universes, "universe")));
    std::iter::once(whole).chain(live(it)).collect::<Vec<_>>().join("\n")
}

/// As `words`, with what only a look into the file says.
fn listed(it: &Value, contents: &Contents) -> String {
    let universes = &contents.head.universes;
    let count = many(universes.len(), "universe");
    let numbers: Vec<String> = universes.iter().map(ToString::to_string).collect();
    let universes = match numbers.is_empty() {
        true => count,
        false => format!("{count} ({})", numbers.join(", ")),
    };
    let title = text(&it["title"]);
    let of = (!title.is_empty()).then(|| format!("  of the show \"{title}\""));
    let cut = contents.is_cut.then(|| "  it was cut off while it was written".to_owned());
    let damage = contents.damage.map(|it| format!("  {it}: nothing behind it is read"));
    let whole = summary(it, contents.length, &universes);
    let lines = std::iter::once(whole).chain(of).chain(networks(contents)).chain(live(it));
    let lines = lines.chain(cut).chain(damage);
    lines.collect::<Vec<_>>().join("\n")
}

fn summary(it: &Value, length: Span, universes: &str) -> String {
    let count = |it: &Value| it.as_u64().unwrap_or(0) as usize;
    let phones = match &it["phones"] {
        Value::Null => String::new(),
        phones => format!(
            ", {}, {} to them and {} of theirs",
            many(count(&phones["came"]), "phone"),
            many(count(&phones["told"]), "word"),
            phones["said"]
        ),
    };
    let (changes, bytes) = (many(count(&it["changes"]), "change"), count(&it["bytes"]));
    let (file, length) = (text(&it["file"]), length.secs_f64());
    format!("{file}: {length:.2} s of {universes}, {changes}{phones}, {bytes} bytes")
}

/// How often they said which level their network has.
fn networks(it: &Contents) -> Option<String> {
    let said = Quality::ALL.iter().zip(it.quality).filter(|(_, said)| *said > 0);
    let said: Vec<String> = said.map(|(level, said)| format!("{said} {}", level.name())).collect();
    (!said.is_empty()).then(|| format!("  of their networks they said: {}", said.join(", ")))
}

/// From when until when phones heard and saw something live.
fn live(it: &Value) -> impl Iterator<Item = String> {
    let heard = rows(&it["phones"]["sound"]).map(|it| aired(it, "heard"));
    heard.chain(rows(&it["phones"]["pictures"]).map(|it| aired(it, "seen")))
}

fn aired(it: &Value, how: &str) -> String {
    let seconds = |key: &str| it[key].as_f64().unwrap_or_default() / 1e9;
    let kept = if it["kept"] == true { "" } else { ", sealed and so not kept" };
    let (from, until) = (seconds("from_ns"), seconds("until_ns"));
    format!("  {from:.2} to {until:.2} s: {} {how} live{kept}", text(&it["track"]))
}

#[cfg(test)]
mod tests {
    use units::{ShowTime, TrackId, Universe};
    use wire::capture::Writer;
    use wire::capture::talk::{Line, Piece};
    use wire::solusync::MediaCodec;

    use super::*;

    /// A universe that changes, a phone, and a second of a film with its sound, whose end was sealed.
    fn capture() -> Vec<u8> {
        let universe = Universe::new(7).expect("in range");
        let head = Head { title: "Storm".into(), began: ShowTime::ZERO, universes: vec![universe] };
        let mut bytes = Vec::new();
        let mut writer = Writer::with_talk(head, &mut bytes);
        let at = |ms| ShowTime::ZERO + Span::from_millis(ms);
        writer.frame(at(0), universe, &[9; Universe::SLOTS], &mut bytes);
        writer.talk(at(10), &Line::Came { phone: 1 }, &mut bytes);
        for nth in 0..25 {
            let track = || TrackId("film".into());
            let (codec, lasts, earlier) = (MediaCodec::Vp9, Span::from_millis(40), Span::ZERO);
            let piece =
                Piece { codec, index: nth, parts_left: 0, is_key: nth == 0, lasts, earlier };
            let data = (nth < 20).then(|| vec![1; 9]);
            let time = at(1_000 + 40 * nth as i64);
            writer.talk(time, &Line::Picture { track: track(), piece, data }, &mut bytes);
            let opus = (nth < 20).then(|| vec![0xfc, 1]);
            writer.talk(time, &Line::Sound { track: track(), opus }, &mut bytes);
        }
        bytes
    }

    fn said(bytes: &[u8]) -> String {
        let it = Contents::read(bytes).expect("a capture");
        listed(&it.document("storm.dbl", bytes.len() as u64), &it)
    }

    #[test]
    fn sx20_a_capture_is_listed_with_what_was_live_when_and_what_of_it_was_sealed() {
        let bytes = capture();
        let expected = format!(
            "storm.dbl: 1.96 s of 1 universe (7), 1 change, 1 phone, 0 words to them and 1 of theirs, {} bytes\n  \
             of the show \"Storm\"\n  \
             1.00 to 1.78 s: film heard live\n  \
             1.80 to 1.98 s: film heard live, sealed and so not kept\n  \
             1.00 to 1.80 s: film seen live\n  \
             1.80 to 2.00 s: film seen live, sealed and so not kept",
            bytes.len()
        );
        assert_eq!(said(&bytes), expected);
        let document = Contents::read(&bytes[..]).expect("a capture").document("storm.dbl", 1);
        assert_eq!((&document["universes"], &document["cut"]), (&json!([7]), &json!(false)));
        assert_eq!(document["phones"]["pictures"][1]["kept"], false);
        assert_eq!(document["damaged_at"], Value::Null);
    }

    #[test]
    fn sx20_a_capture_is_listed_with_what_phones_said_of_their_networks() {
        let head = Head { title: String::new(), began: ShowTime::ZERO, universes: vec![] };
        let mut bytes = Vec::new();
        let mut writer = Writer::with_talk(head, &mut bytes);
        for (phone, quality) in [
            (1, Some(Quality::Good)),
            (2, Some(Quality::Critical)),
            (1, Some(Quality::Good)),
            (3, None),
        ] {
            let fare = Fare { quality, ..Fare::default() };
            writer.talk(ShowTime::ZERO, &Line::Fares { phone, fare }, &mut bytes);
        }
        let listed = said(&bytes);
        assert!(
            listed.ends_with("\n  of their networks they said: 2 good, 1 critical"),
            "{listed}"
        );
        let document = Contents::read(&bytes[..]).expect("a capture").document("it", 1);
        let levels = ["excellent", "good", "critical"].map(|it| &document["phones"]["quality"][it]);
        assert_eq!(levels, [0, 2, 1]);
    }

    #[test]
    fn sx20_of_a_capture_that_is_cut_or_damaged_is_listed_what_stands_before_and_where_that_is() {
        let mut bytes = capture();
        let cut = said(&bytes[..bytes.len() - 1]);
        assert!(cut.ends_with("\n  it was cut off while it was written"), "{cut}");
        let end = bytes.len();
        bytes.extend([3, 0, 0, 0, 9]);
        let damaged = said(&bytes);
        let line = format!("\n  it is damaged at byte {end}: nothing behind it is read");
        assert!(damaged.starts_with("storm.dbl: 1.96 s") && damaged.ends_with(&line), "{damaged}");
        let document = Contents::read(&bytes[..]).expect("a capture").document("storm.dbl", 1);
        assert_eq!(document["damaged_at"], end as u64);
    }
}
