//! A rehearsal as one page to look at: cues against time, every fixture's light, the sound, what phones got.

use std::collections::BTreeMap;

use engine::order::{Evidence, Order, Receipt, What};
use engine::show::{Fixture, Show};
use engine::told::Said;
use serde::Serialize;
use units::{Level, ShowTime, Universe};

use crate::{Event, Frame, Rehearsal};

/// Peaks a second: finer than a pixel at any width a person looks at.
pub const PEAKS_A_SECOND: u32 = 50;

/// The page, complete in one file: no network, no other file.
pub fn html(show: &Show, rehearsal: &Rehearsal, peaks: &[f32]) -> String {
    let data =
        serde_json::to_string(&data(show, rehearsal, peaks)).expect("every field has a JSON form");
    // `</` would end the script that holds it, whatever stands around it.
    include_str!("timeline.html").replace("\"%DATA%\"", &data.replace("</", "<\\/"))
}

#[derive(Serialize)]
struct Data<'a> {
    title: &'a str,
    seconds: f64,
    cues: Vec<CueBar>,
    fixtures: Vec<Lamp<'a>>,
    peaks: Vec<f32>,
    peaks_a_second: u32,
    screens: Vec<ScreenLook>,
    tracks: Vec<TrackBar>,
    orders: Vec<OrderRow>,
}

/// A cue from its beginning to its end.
#[derive(Serialize)]
struct CueBar {
    number: String,
    name: String,
    by: String,
    began: f64,
    end: f64,
}

/// A fixture's colour from each of its changes on.
#[derive(Serialize)]
struct Lamp<'a> {
    name: &'a str,
    place: String,
    colours: Vec<(f64, String)>,
}

/// What a phone showed from a time on.
#[derive(Serialize)]
struct ScreenLook {
    at: f64,
    colour: String,
    text: String,
}

/// A track from its first sound on a phone to its last.
#[derive(Serialize)]
struct TrackBar {
    track: String,
    from: f64,
    to: f64,
}

/// An order and what became of it.
#[derive(Serialize)]
struct OrderRow {
    at: f64,
    cue: Option<String>,
    output: &'static str,
    what: String,
    /// None while nobody knows: it was asked for and no answer came.
    late_ms: Option<f64>,
    /// How it is known; none where the output cannot tell.
    evidence: Option<Evidence>,
}

fn data<'a>(show: &'a Show, rehearsal: &Rehearsal, peaks: &[f32]) -> Data<'a> {
    Data {
        title: &show.title,
        seconds: (rehearsal.end - rehearsal.start).secs_f64(),
        cues: cues(rehearsal),
        fixtures: show.fixtures.iter().map(|fixture| lamp(fixture, rehearsal)).collect(),
        peaks: peaks.to_vec(),
        peaks_a_second: PEAKS_A_SECOND,
        screens: screens(rehearsal),
        tracks: tracks(rehearsal),
        orders: orders(rehearsal),
    }
}

fn cues(rehearsal: &Rehearsal) -> Vec<CueBar> {
    let mut bars: Vec<CueBar> = Vec::new();
    let seconds = |at: ShowTime| (at - rehearsal.start).secs_f64();
    for story in &rehearsal.story {
        match &story.event {
            Event::Said(Said::Began { cue, name, by }) => {
                let (began, end) = (seconds(story.at), f64::NAN);
                bars.push(CueBar {
                    number: cue.to_string(),
                    name: name.clone(),
                    by: by.clone(),
                    began,
                    end,
                });
            }
            Event::Said(Said::Ended { cue }) => {
                let ended = cue.to_string();
                let open = bars.iter_mut().find(|bar| bar.number == ended && bar.end.is_nan());
                open.into_iter().for_each(|bar| bar.end = seconds(story.at));
            }
            _ => {}
        }
    }
    bars.iter_mut().filter(|bar| bar.end.is_nan()).for_each(|bar| bar.end = seconds(rehearsal.end));
    bars
}

fn lamp<'a>(fixture: &'a Fixture, rehearsal: &Rehearsal) -> Lamp<'a> {
    let mut colours: Vec<(f64, String)> = Vec::new();
    for frame in rehearsal.frames.iter().filter(|frame| frame.universe == fixture.universe) {
        let colour = seen(fixture, frame);
        if colours.last().is_none_or(|(_, last)| *last != colour) {
            colours.push(((frame.instant - rehearsal.start).secs_f64(), colour));
        }
    }
    Lamp {
        name: &fixture.name,
        place: format!("{}.{}", fixture.universe, fixture.address),
        colours,
    }
}

/// What the eye would see of a fixture: its colour, or white, at its intensity.
fn seen(fixture: &Fixture, frame: &Frame) -> String {
    let level = |name: &str| {
        let channel = fixture.channels.iter().find(|channel| channel.attribute == name)?;
        let slot = |offset: &u16| frame.slots[fixture.address.index() + usize::from(*offset)];
        let slots: Vec<u8> = channel.offsets.iter().map(slot).collect();
        let share = Level::from_slots(&slots);
        let share = if channel.inverted { share.inverted() } else { share };
        // What a virtual dimmer does is in the slots that it scales.
        (!slots.is_empty()).then_some(share.percent() / 100.0)
    };
    let intensity = level("dimmer").or_else(|| level("intensity")).unwrap_or(1.0);
    let white = level("white").unwrap_or(0.0);
    let part = |name| {
        let colour = level(name).map(|own: f64| own.max(white)).or(level("white"));
        let byte = colour.unwrap_or(1.0) * intensity * 255.0;
        byte.round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", part("red"), part("green"), part("blue"))
}

fn screens(rehearsal: &Rehearsal) -> Vec<ScreenLook> {
    let looks = rehearsal.shown.iter().map(|shown| ScreenLook {
        at: (shown.at - rehearsal.start).secs_f64(),
        colour: shown.color.to_string(),
        text: shown.text.clone(),
    });
    looks.collect()
}

fn tracks(rehearsal: &Rehearsal) -> Vec<TrackBar> {
    let seconds = |at: ShowTime| (at - rehearsal.start).secs_f64();
    let bars = rehearsal.sounded.iter().map(|sounded| TrackBar {
        track: sounded.track.to_string(),
        from: seconds(sounded.from),
        to: seconds(sounded.to.unwrap_or(rehearsal.end)),
    });
    bars.collect()
}

fn orders(rehearsal: &Rehearsal) -> Vec<OrderRow> {
    let receipts: BTreeMap<_, &Receipt> = rehearsal
        .story
        .iter()
        .filter_map(|it| match &it.event {
            Event::Received(receipt) => Some((receipt.order, receipt)),
            _ => None,
        })
        .collect();
    let row = |order: &Order| OrderRow {
        at: (order.at - rehearsal.start).secs_f64(),
        cue: order.cue.map(|cue| cue.to_string()),
        output: match order.output {
            engine::order::Output::Light => "light",
            engine::order::Output::Sound => "sound",
            engine::order::Output::Phones => "phones",
            engine::order::Output::Air => "air",
            engine::order::Output::Network => "network",
        },
        what: words(&order.what),
        late_ms: receipts
            .get(&order.id)
            .and_then(|receipt| receipt.late())
            .map(units::Span::millis_f64),
        evidence: receipts.get(&order.id).map(|receipt| receipt.evidence),
    };
    let ordered = rehearsal.story.iter().filter_map(|it| match &it.event {
        Event::Ordered(order) => Some(row(order)),
        _ => None,
    });
    ordered.collect()
}

/// An order as a person says it.
pub fn words(what: &What) -> String {
    match what {
        What::Fade { slots, span } => format!("fade {slots} attributes in {span}"),
        What::Capture { file } => format!("capture {file}"),
        What::Hold => "hold".to_owned(),
        What::Black { span } => format!("black in {span}"),
        What::Release { list, span } => format!("release {list} in {span}"),
        What::Master { master, level, span } => {
            format!("master {master} to {}% in {span}", f64::from(*level))
        }
        What::Blackout { on: true } => "blackout".to_owned(),
        What::Blackout { on: false } => "blackout over".to_owned(),
        What::Park { what, on: true } => format!("park {what}"),
        What::Park { what, on: false } => format!("unpark {what}"),
        What::Play { file } => format!("play {file}"),
        What::Volume { span } => format!("volume in {span}"),
        What::Stop { span } => format!("stop in {span}"),
        What::Pause => "pause".to_owned(),
        What::Resume => "resume".to_owned(),
        What::Media { action, track } => match track {
            Some(track) => format!("{action:?} {track}").to_lowercase(),
            None => format!("{action:?} all").to_lowercase(),
        },
        What::Track { track } => format!("track {track}"),
        What::StopTracks { span } => format!("stop tracks in {span}"),
        What::Screen => "screen".to_owned(),
        What::Air { air: Some(air) } => format!("{air} on air"),
        What::Air { air: None } => "nothing on air".to_owned(),
        What::Trigger { key } => format!("Art-Net {key}"),
        What::StartCode { universe, start_code } => {
            format!("start code {start_code:#04x} in universe {universe}")
        }
    }
}

/// The loudest sample of every fiftieth of a second, any channel.
#[derive(Debug, Clone)]
pub struct Peaks {
    per_peak: usize,
    filled: usize,
    peaks: Vec<f32>,
}

impl Peaks {
    /// For interleaved samples of so many channels.
    pub fn new(rate_hz: u32, channels: u16) -> Self {
        let per_peak = (rate_hz / PEAKS_A_SECOND).max(1) as usize * usize::from(channels.max(1));
        Self { per_peak, filled: 0, peaks: Vec::new() }
    }
    /// More samples.
    pub fn hear(&mut self, samples: &[f32]) {
        for sample in samples {
            if self.filled.is_multiple_of(self.per_peak) {
                self.peaks.push(0.0);
            }
            self.filled += 1;
            let last = self.peaks.last_mut().expect("one was pushed at the first sample");
            *last = last.max(sample.abs());
        }
    }
    /// All of them, 0 to 1.
    pub fn peaks(&self) -> &[f32] {
        &self.peaks
    }
}

/// A universe's slots as hexadecimal digits, for the light capture.
pub fn hex(slots: &[u8; Universe::SLOTS]) -> String {
    use std::fmt::Write;
    slots.iter().fold(String::with_capacity(Universe::SLOTS * 2), |mut text, slot| {
        write!(text, "{slot:02x}").expect("a string takes all");
        text
    })
}
