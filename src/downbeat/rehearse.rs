//! `rehearse SHOW --out DIR`: what was heard and seen, as files. The same show writes the same bytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use engine::show::Show;
use hound::{SampleFormat, WavSpec, WavWriter};
use io::journal::{Account, Entry, Event};
use serde_json::json;
use sim::card::CardSpec;
use sim::timeline::Peaks;
use sim::{Listener, Rehearsal};
use units::Span;
use wire::capture::{Head, Writer};

use crate::{Refused, load, terminal};

/// `downbeat rehearse SHOW --out DIR`.
pub fn rehearse(named: &Path, out: &Path) -> Result<(), Refused> {
    let (folder, show) = load::show(named, None)?;
    let show = Arc::new(show);
    let media = load::media(&show, &folder.path)?;
    let failed =
        |error| Refused(format!("could not write the rehearsal to {}: {error}", out.display()));
    std::fs::create_dir_all(out).map_err(failed)?;
    let card = CardSpec::default();
    let mut recorder = Recorder::begin(&out.join("sound.wav"), card).map_err(failed)?;
    let rehearsal = sim::rehearse(show.clone(), media, card, &mut recorder);
    let peaks = recorder.finish().map_err(failed)?;
    write_light(&rehearsal, &out.join("light.jsonl")).map_err(failed)?;
    std::fs::write(out.join("light.dbl"), capture(&show, &rehearsal)).map_err(failed)?;
    write_orders(&rehearsal, &out.join("orders.jsonl")).map_err(failed)?;
    let page = sim::timeline::html(&show, &rehearsal, peaks.peaks());
    std::fs::write(out.join("timeline.html"), page).map_err(failed)?;
    let length = rehearsal.end - rehearsal.start;
    let page = out.join("timeline.html");
    terminal::say(&format!("{length} of show; {} shows it", page.display()));
    Ok(())
}

/// Keeps the sound as it comes: a show of hours passes through.
struct Recorder {
    wav: WavWriter<BufWriter<File>>,
    peaks: Peaks,
    failed: Option<hound::Error>,
}

impl Recorder {
    fn begin(path: &Path, card: CardSpec) -> std::io::Result<Self> {
        let spec = WavSpec {
            channels: card.channels,
            sample_rate: card.rate_hz,
            bits_per_sample: 24, // so that a fade's last steps are still in it
            sample_format: SampleFormat::Int,
        };
        let wav = WavWriter::create(path, spec).map_err(std::io::Error::other)?;
        Ok(Self { wav, peaks: Peaks::new(card.rate_hz, card.channels), failed: None })
    }

    fn write(&mut self, samples: &[f32]) -> hound::Result<()> {
        for sample in samples {
            let full = (f64::from(*sample) * 8_388_608.0).round();
            self.wav.write_sample(full.clamp(-8_388_608.0, 8_388_607.0) as i32)?;
        }
        Ok(())
    }

    fn finish(self) -> std::io::Result<Peaks> {
        let written = self.failed.map_or(Ok(()), Err).and_then(|()| self.wav.finalize());
        written.map_err(std::io::Error::other)?;
        Ok(self.peaks)
    }
}

impl Listener for Recorder {
    fn hear(&mut self, samples: &[f32]) {
        self.peaks.hear(samples);
        if self.failed.is_none() {
            self.failed = self.write(samples).err();
        }
    }
    fn reached(&mut self, _gone: Span) {}
}

/// A line whenever a universe changed: when, which, its 512 slots as hexadecimal digits.
fn write_light(rehearsal: &Rehearsal, path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for frame in &rehearsal.frames {
        let slots = sim::timeline::hex(&frame.slots);
        let line =
            json!({ "at_tai_ns": frame.instant, "universe": frame.universe, "slots": slots });
        writeln!(file, "{line}")?;
    }
    file.flush()
}

/// The same as a capture, which a cue can play.
fn capture(show: &Show, rehearsal: &Rehearsal) -> Vec<u8> {
    let universes = show.universes.keys().copied().collect();
    let head = Head { title: show.title.clone(), began: rehearsal.start, universes };
    let mut bytes = Vec::new();
    let mut writer = Writer::new(head, &mut bytes);
    for frame in &rehearsal.frames {
        writer.frame(frame.instant, frame.universe, &frame.slots, &mut bytes);
    }
    writer.mark(rehearsal.end, &mut bytes);
    bytes
}

/// The journal of the rehearsal, as a running box writes it.
fn write_orders(rehearsal: &Rehearsal, path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for story in &rehearsal.story {
        let Some(event) = journalled(&story.event) else { continue };
        let entry = Entry { noted: story.at, event };
        writeln!(file, "{}", serde_json::to_string(&entry)?)?;
    }
    file.flush()
}

fn journalled(event: &sim::Event) -> Option<Event> {
    Some(match event {
        sim::Event::Ordered(order) => Event::Account(Account::Ordered { order: order.clone() }),
        sim::Event::Received(receipt) => {
            Event::Account(Account::Received { receipt: receipt.clone() })
        }
        sim::Event::Said(said) => Event::Said(said.clone()),
        sim::Event::Told(..)
        | sim::Event::Airs(..)
        | sim::Event::Aired(..)
        | sim::Event::Shown(..) => return None,
    })
}
