//! Light, sound and timecode, started as the box file says, and handed on to whoever plays or watches them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};

use engine::boxfile::{BoxConfig, SoundDevice};
use engine::calibrate::Listening;
use engine::light::rdm;
use engine::light::turn::Turn;
use engine::show::{Sending, Show};
use engine::timecode::{Course, Source};
use engine::told::Input;
use engine::{light, sound};
use io::clock::BoxClock;
use io::light::{Light, LightNet, LightSetup, LightWatch, ToRecord};
use io::overheard::Overheard;
use io::sound::{Card, CardSetup, Device, Microphone};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use units::{OrderId, ShowTime};
use uuid::Uuid;

use crate::timecode::{self, Timecode};
use crate::{Refused, load};

/// What outputs are started from.
pub struct Rig<'a> {
    /// The show.
    pub show: &'a Show,
    /// Where its files are.
    pub folder: &'a Path,
    /// This box.
    pub config: &'a BoxConfig,
    /// Where it keeps its state.
    pub state: &'a Path,
    /// Its own id.
    pub node: Uuid,
    /// Its clock.
    pub clock: BoxClock,
    /// Whether sound is simulated, whatever there is.
    pub simulate: bool,
}

/// Light and sound while the box runs.
pub struct Outputs {
    light: Mutex<Option<Light>>,
    on_the_wire: LightWatch,
    /// What passes between the box and phones.
    pub overheard: Overheard,
    card: Mutex<Option<Card>>,
    microphone: Mutex<Option<Microphone>>,
    timecode: Mutex<Timecode>,
    simulated: Vec<String>,
    warnings: Vec<String>,
}

impl Outputs {
    /// Light goes out from here on, fixtures at rest; the card is open.
    pub fn start(rig: &Rig<'_>, reports: Sender<Input>) -> Result<Self, Refused> {
        let (card, simulated) = start_card(rig, &reports)?;
        let (microphone, deaf) = start_microphone(rig, &reports);
        let light = start_light(rig, reports.clone())?;
        let (cables, lost) = Timecode::start(rig, &light, &reports);
        let warnings = light.warnings().iter().cloned().chain(deaf).chain(lost).collect();
        Ok(Self {
            on_the_wire: light.watch(),
            overheard: Overheard::default(),
            light: Mutex::new(Some(light)),
            card: Mutex::new(card),
            microphone: Mutex::new(microphone),
            timecode: Mutex::new(cables),
            simulated: simulated.into_iter().chain(timecode::simulated(rig)).collect(),
            warnings,
        })
    }

    /// Renders light by this from now on.
    pub fn play_light(&self, plan: Arc<light::Plan>) {
        if let Some(light) = &mut *self.light() {
            light.play(plan);
        }
    }

    /// Says this to the lighting network, then.
    pub fn send(&self, order: OrderId, at: ShowTime, what: Sending) {
        if let Some(light) = &*self.light() {
            light.send(order, at, what);
        }
    }

    /// Sends light as one whose turn that is; who takes over says from whom.
    pub fn take_turn(&self, turn: Turn, from: Option<Uuid>) {
        if let Some(light) = &*self.light() {
            light.take_turn(turn, from);
        }
    }

    /// These boxes stand in for this one, and are no strangers to its light.
    pub fn know_boxes(&self, boxes: BTreeSet<Uuid>) {
        if let Some(light) = &*self.light() {
            light.know_boxes(boxes);
        }
    }

    /// Renders sound by this from now on.
    pub fn play_sound(&self, plan: Arc<sound::Plan>) {
        if let Some(card) = &mut *self.card() {
            card.play(plan);
        }
    }

    /// Sends this timecode from now on.
    pub fn play_timecode(&self, course: Course) {
        self.timecode.lock().expect("nobody panics while holding timecode").play(course);
    }

    /// Records what the microphone hears, and reports the chirps in it.
    pub fn listen(&self, listening: Listening) {
        if let Some(microphone) = &*self.microphone() {
            microphone.listen(listening);
        }
    }

    /// What is not real.
    pub fn simulated(&self) -> Vec<String> {
        self.simulated.clone()
    }

    /// What did not go as it should at the start, in sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// A planned exit: light says goodbye, sound fades out.
    pub fn stop(&self) {
        if let Some(light) = self.light().take() {
            light.stop();
        }
        if let Some(card) = self.card().take() {
            card.stop();
        }
        drop(self.microphone().take());
        self.timecode.lock().expect("nobody panics while holding timecode").end();
    }

    fn microphone(&self) -> MutexGuard<'_, Option<Microphone>> {
        self.microphone.lock().expect("nobody panics while holding the microphone")
    }

    fn light(&self) -> MutexGuard<'_, Option<Light>> {
        self.light.lock().expect("nobody panics while holding light")
    }

    fn card(&self) -> MutexGuard<'_, Option<Card>> {
        self.card.lock().expect("nobody panics while holding the card")
    }
}

/// The outputs, for the network door's watchers.
pub struct Watched(pub Arc<Outputs>);

impl io::http::Outputs for Watched {
    fn universes(&self) -> Value {
        serde_json::to_value(self.0.on_the_wire.glance()).expect("a glance has a JSON form")
    }
    fn inputs(&self) -> Value {
        serde_json::to_value(self.0.on_the_wire.inputs()).expect("a glance has a JSON form")
    }
    fn ask_lamps(&self, ask: rdm::Ask) -> oneshot::Receiver<rdm::Done> {
        match &*self.0.light() {
            Some(light) => light.ask_lamps(ask),
            None => oneshot::channel().1,
        }
    }
    fn recording_lost(&self) -> u64 {
        self.0.on_the_wire.recording_lost() + self.0.overheard.lost()
    }
    fn playback_starved(&self) -> u64 {
        self.0.on_the_wire.playback_starved()
    }
    fn record(&self, asked: &ToRecord) -> Result<mpsc::Receiver<Vec<u8>>, String> {
        self.0.on_the_wire.record(asked, &self.0.overheard)
    }
    fn sound(&self) -> Value {
        let card = self.0.card().as_ref().map(Card::glance);
        serde_json::to_value(card).expect("a glance has a JSON form")
    }
}

/// The microphone, where the box file names one and it opens; else why not.
fn start_microphone(
    rig: &Rig<'_>,
    reports: &Sender<Input>,
) -> (Option<Microphone>, Option<String>) {
    let Some(name) = rig.config.sound.microphone.as_ref().filter(|_| !rig.simulate) else {
        return (None, None);
    };
    let heard = reports.clone();
    let report = Box::new(move |input| {
        let _ = heard.send(input);
    });
    match Microphone::start(name, rig.clock.clone(), report) {
        Ok(microphone) => {
            let _ = reports.send(Input::Microphone { is_there: true });
            (Some(microphone), None)
        }
        Err(error) => (None, Some(format!("phones cannot be calibrated: {}", with_cause(&error)))),
    }
}

fn start_light(rig: &Rig<'_>, reports: Sender<Input>) -> Result<Light, Refused> {
    let setup = LightSetup {
        show: rig.show,
        cid: rig.node,
        source_name: rig.config.name.clone(),
        net: LightNet {
            interface: rig.config.net.light.clone(),
            here: rig.config.net.light_here,
            ..LightNet::default()
        },
        priority: rig.show.priority,
        kept: Some(rig.state.join("artnet.json")),
        clock: rig.clock.clone(),
        chance: io::chance::seed(),
        timecode: timecode::tell(&reports, Source::Artnet),
        report: Box::new(move |input| {
            // Nobody is left to hear of it on the way out.
            let _ = reports.send(input);
        }),
    };
    Light::start(setup).map_err(|error| Refused(format!("could not {}", with_cause(&error))))
}

/// An error and what is behind it, in one line.
pub fn with_cause(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The card, and what is to be said loudly about it.
fn start_card(
    rig: &Rig<'_>,
    reports: &Sender<Input>,
) -> Result<(Option<Card>, Option<String>), Refused> {
    let media = load::media(rig.show, rig.folder)?;
    let open = |device: Device| {
        let reports = reports.clone();
        Card::start(CardSetup {
            device,
            channels: rig.config.sound.channels,
            rate_hz: rig.config.sound.rate_hz,
            media: media.clone(),
            clock: rig.clock.clone(),
            report: Box::new(move |input| {
                let _ = reports.send(input);
            }),
        })
    };
    let refused = |error: &dyn std::error::Error| {
        Refused(format!("could not open the sound card: {}", with_cause(error)))
    };
    let simulated = |why: String| match open(Device::Simulated) {
        Ok(card) => Ok((Some(card), Some(why))),
        Err(error) => Err(refused(&error)),
    };
    match &rig.config.sound.device {
        _ if rig.simulate => simulated("sound, as asked for by --simulate".to_owned()),
        SoundDevice::Simulated => simulated("sound, as the box file has it".to_owned()),
        SoundDevice::None => Ok((None, None)),
        SoundDevice::Auto => open(Device::Default)
            .map(|card| (Some(card), None))
            .or_else(|_| simulated("sound: this box has no card that opens".to_owned())),
        // A card that was left at home must not keep light and phones from their show.
        SoundDevice::Alsa(name) => {
            open(Device::Named(name.clone())).map(|card| (Some(card), None)).or_else(|error| {
                simulated(format!(
                    "sound: the card `{name}` does not open ({}); start again when it does",
                    with_cause(&error)
                ))
            })
        }
    }
}
