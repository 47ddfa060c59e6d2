//! A capture, to its reader, and to a show that plays it.

use std::sync::Arc;

use engine::show::{MediaInfo, Source, load};
use engine::told::Command;
use units::{ShowTime, Span};
use wire::capture::{Head, Reader, Record, Writer};
use wire::stored::Stored;

use super::Target;
use super::engine::Night;

/// The target.
pub const TARGET: Target = Target { name: "capture", folders: &["capture"], run };

/// More universes than this are not tried out: the case would take too long, and shows nothing new.
const UNIVERSES_TRIED_MAX: usize = 16;

fn run(bytes: &[u8]) {
    plays(bytes);
    let Ok(reader) = Reader::new(bytes) else { return };
    let head = Head { began: ShowTime::ZERO, ..reader.head().clone() };
    if head.universes.len() <= UNIVERSES_TRIED_MAX {
        comes_back(reader, head);
    }
}

/// A capture that plays is done, paused and stopped like any cue, in whatever bytes it stands.
pub(super) fn plays(bytes: &[u8]) {
    for cue in [LIGHT, TALK] {
        let loaded = load("show.toml", &Folder { bytes, cue });
        let few = loaded.show.filter(|it| it.universes.len() <= UNIVERSES_TRIED_MAX);
        let Some(show) = few else { continue };
        let mut night = Night::of(Arc::new(show));
        for command in [Command::Go { list: None }, Command::Pause, Command::Resume, Command::Stop]
        {
            let _ = night.command(command);
            night.wait_ms(300);
        }
    }
}

const LIGHT: &str =
    "light = { capture = \"a\", loop = 3, fade_in = \"100ms\", fade_out = \"50ms\" }";
/// What phones were told.
const TALK: &str = "phones = { capture = \"a\" }";

/// Written again, and read again, it shows the same at the same times.
fn comes_back(mut reader: Reader<&[u8]>, head: Head) {
    let universes = head.universes.clone();
    let mut again = Vec::new();
    let mut writer = Writer::new(head, &mut again);
    let (mut shown, mut last) = (Vec::new(), Span::ZERO);
    while let Ok(Some(record)) = reader.next_record() {
        let at = match record {
            Record::Talk { at, .. } => at,
            Record::Mark { at } => {
                writer.mark(ShowTime::ZERO + at, &mut again);
                at
            }
            Record::Frame { at, index, slots } => {
                writer.frame(ShowTime::ZERO + at, universes[index], slots, &mut again);
                let seen = shown.iter().rev().find(|(_, other, _)| *other == index);
                if seen.is_none_or(|(_, _, before)| before != slots) {
                    shown.push((at, index, *slots));
                }
                at
            }
        };
        assert!(at >= last, "time goes on");
        last = at;
    }
    let mut reader = Reader::new(&again[..]).expect("our own words");
    let mut frames = shown.iter();
    while let Some(record) = reader.next_record().expect("our own words") {
        if let Record::Frame { at, index, slots } = record {
            assert_eq!(frames.next(), Some(&(at, index, *slots)));
        }
    }
    assert!(frames.next().is_none() && !reader.is_cut());
}

struct Folder<'a> {
    bytes: &'a [u8],
    cue: &'a str,
}

impl Source for Folder<'_> {
    fn text(&self, _: &str) -> Result<String, String> {
        Ok(format!("[[list]]\nname = \"main\"\n[[list.cue]]\nnumber = 1\n{}\n", self.cue))
    }
    fn media(&self, _: &str) -> Result<MediaInfo, String> {
        Err("there is no such file".into())
    }
    fn capture(&self, _: &str) -> Result<Arc<dyn Stored>, String> {
        Ok(Arc::new(self.bytes.to_vec()))
    }
}
