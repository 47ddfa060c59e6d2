//! A stage for the stories: a small show from text, in a simulated world.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::order::{Order, Output, Receipt};
use engine::show::{MediaInfo, Show, Source, load};
use engine::told::{Command, Done, Refusal, Said};
use sim::{Event, World, WorldSpec};
use units::{CueNumber, ShowTime, Span};
use wire::solusync::{MediaAction, MediaControl, Message, Screen};

/// Show files in memory; every sound file is ten seconds of stereo at 48 kHz.
pub struct Folder(pub BTreeMap<String, String>);

impl Source for Folder {
    fn text(&self, path: &str) -> Result<String, String> {
        self.0.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }
    fn media(&self, path: &str) -> Result<MediaInfo, String> {
        match path.starts_with("audio/") {
            true => Ok(MediaInfo {
                sha256: format!("{:064x}", path.len()),
                bytes: 1_920_044,
                rate_hz: 48_000,
                channels: 2,
                frames: 480_000,
            }),
            false => Err("no such file".to_owned()),
        }
    }
}

/// A patch that every story has: four dimmers and a colour light in universe 1.
const PATCH: &str = r#"
[show]
title = "Small theatre"
panic_fade = "1s"
[universes.1]
sacn = { unicast = ["127.0.0.1"] }
[fixtures]
one = { profile = "generic/dimmer", universe = 1, address = 1 }
two = { profile = "generic/dimmer", universe = 1, address = 2 }
three = { profile = "generic/dimmer", universe = 1, address = 3 }
wash = { profile = "generic/dimmer-rgb", universe = 1, address = 10 }
[looks.bright]
one = 100
two = 50
[tracks]
track_001 = "audio/piece.wav"
[[list]]
name = "main"
"#;

/// The show that the cues make, checked.
pub fn show(cues: &str) -> Arc<Show> {
    let files = BTreeMap::from([("show.toml".to_owned(), format!("{PATCH}{cues}"))]);
    let loaded = load("show.toml", &Folder(files));
    let findings: Vec<String> = loaded.findings.iter().map(ToString::to_string).collect();
    Arc::new(
        loaded
            .show
            .unwrap_or_else(|| panic!("the story's show has mistakes:\n{}", findings.join("\n"))),
    )
}

/// As a show file names it.
pub fn number(text: &str) -> CueNumber {
    text.parse().expect("a cue number")
}

/// A world that has loaded the show, and knows what a person on a headset would ask.
pub struct Stage {
    pub world: World,
    pub start: ShowTime,
}

pub fn stage(cues: &str) -> Stage {
    let spec = WorldSpec::default();
    Stage { world: World::new(show(cues), spec), start: spec.start }
}

impl Stage {
    pub fn go(&mut self) -> Result<Done, Refusal> {
        self.world.go()
    }
    pub fn run(&mut self, seconds: f64) {
        self.world.run(Span::from_secs_f64(seconds));
    }
    pub fn command(&mut self, command: Command) -> Result<Done, Refusal> {
        self.world.command(command)
    }
    /// A slot of universe 1, counted from 1; nothing before the first frame.
    pub fn slot(&self, number: usize) -> Option<u8> {
        self.world.universe(1).map(|slots| slots[number - 1])
    }
    /// The number of the cue on standby in the first list.
    pub fn standby(&self) -> Option<CueNumber> {
        self.world.glance().lists[0].standby.as_ref().map(|cue| cue.number)
    }
    /// Numbers of the cues that run.
    pub fn running(&self) -> Vec<String> {
        self.world.glance().running.iter().map(|run| run.number.to_string()).collect()
    }
    /// Seconds since the beginning at which each cue was fired.
    pub fn fired(&self) -> Vec<(String, f64)> {
        let fired = self.world.story.iter().filter_map(|it| match &it.event {
            Event::Said(Said::Fired { cue, .. }) => Some((cue.to_string(), self.seconds(it.at))),
            _ => None,
        });
        fired.collect()
    }
    /// Seconds since the beginning at which each cue was said to begin.
    pub fn began(&self) -> Vec<(String, f64)> {
        let began = self.world.story.iter().filter_map(|it| match &it.event {
            Event::Said(Said::Began { cue, .. }) => Some((cue.to_string(), self.seconds(it.at))),
            _ => None,
        });
        began.collect()
    }
    /// Orders to one output: cue, seconds at which it is to be done.
    pub fn ordered(&self, output: Output) -> Vec<(Option<String>, f64)> {
        let mine = self.orders().into_iter().filter(|order| order.output == output);
        mine.map(|order| (order.cue.map(|cue| cue.to_string()), self.seconds(order.at))).collect()
    }
    pub fn orders(&self) -> Vec<Order> {
        let orders = self.world.story.iter().filter_map(|it| match &it.event {
            Event::Ordered(order) => Some(order.clone()),
            _ => None,
        });
        orders.collect()
    }
    pub fn receipts(&self) -> Vec<Receipt> {
        let receipts = self.world.story.iter().filter_map(|it| match &it.event {
            Event::Received(receipt) => Some(receipt.clone()),
            _ => None,
        });
        receipts.collect()
    }
    /// What phones were told about tracks.
    pub fn media_controls(&self) -> Vec<MediaControl> {
        let told = self.world.story.iter().filter_map(|it| match &it.event {
            Event::Told(_, Message::MediaControl(control)) => Some(control.clone()),
            _ => None,
        });
        told.collect()
    }
    /// What phones were told about tracks that begin.
    pub fn plays(&self) -> Vec<MediaControl> {
        self.media_controls()
            .into_iter()
            .filter(|control| control.action == MediaAction::Play)
            .collect()
    }
    /// What phones were told to show.
    pub fn screens(&self) -> Vec<Screen> {
        let told = self.world.story.iter().filter_map(|it| match &it.event {
            Event::Told(_, Message::Screen(screen)) => Some(screen.clone()),
            _ => None,
        });
        told.collect()
    }
    /// Seconds since the beginning of the story.
    pub fn seconds(&self, at: ShowTime) -> f64 {
        ((at - self.start).secs_f64() * 1e6).round() / 1e6
    }
    /// Seconds since the beginning that a wire time means.
    pub fn wire_seconds(&self, at: Option<units::WireTime>) -> f64 {
        at.map_or(f64::NAN, |at| self.seconds(at.to_show(engine::clock::TAI_UTC)))
    }
}
