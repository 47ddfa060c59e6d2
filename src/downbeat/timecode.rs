//! Timecode's cables, as far as show and box file name them.

use std::path::Path;
use std::sync::mpsc::Sender;

use engine::timecode::{Course, Heard, Source};
use engine::told::Input;
use io::light::Light;
use io::sound::LtcInput;
use io::timecode::{self, MidiInput, SenderSetup};

use crate::outputs::{Rig, with_cause};

/// What is open.
#[derive(Default)]
pub struct Timecode {
    /// They listen as long as they live.
    _ltc: Option<LtcInput>,
    _midi: Option<MidiInput>,
    sender: Option<timecode::Sender>,
}

/// Tells the engine what a source says.
pub fn tell(reports: &Sender<Input>, source: Source) -> Box<dyn FnMut(Heard) + Send> {
    let reports = reports.clone();
    Box::new(move |heard| {
        // Nobody is left to hear of it on the way out.
        let _ = reports.send(Input::Timecode { source, heard });
    })
}

impl Timecode {
    /// Opens what the show asks for; what could not be had, in sentences.
    pub fn start(rig: &Rig<'_>, light: &Light, reports: &Sender<Input>) -> (Self, Vec<String>) {
        let mut lost = Vec::new();
        let ltc = start_ltc(rig, reports).unwrap_or_else(|why| lose(&mut lost, why));
        let midi = start_midi(rig, reports).unwrap_or_else(|why| lose(&mut lost, why));
        let sender = start_sender(rig, light, &mut lost);
        let sender = sender.unwrap_or_else(|why| lose(&mut lost, why));
        (Self { _ltc: ltc, _midi: midi, sender }, lost)
    }

    /// Sends this from now on.
    pub fn play(&self, course: Course) {
        self.sender.iter().for_each(|sender| sender.play(course));
    }

    /// Closes everything.
    pub fn end(&mut self) {
        *self = Self::default();
    }
}

fn lose<T>(lost: &mut Vec<String>, why: String) -> Option<T> {
    lost.push(why);
    None
}

/// What is not real of it.
pub fn simulated(rig: &Rig<'_>) -> Option<String> {
    let cables = [Source::Ltc, Source::Mtc];
    let chased = rig.show.lists.iter().filter_map(|list| list.timecode);
    let missed = chased.into_iter().any(|it| cables.contains(&it.source));
    let what = "timecode by LTC and MIDI, as asked for by --simulate: none is heard";
    (rig.simulate && missed).then(|| what.to_owned())
}

/// The list that chases this source, where its cable is real.
fn chases<'a>(rig: &Rig<'a>, source: Source) -> Option<&'a str> {
    let mut lists = rig.show.lists.iter().filter(|_| !rig.simulate);
    lists
        .find(|list| list.timecode.is_some_and(|it| it.source == source))
        .map(|list| list.name.as_str())
}

fn start_ltc(rig: &Rig<'_>, reports: &Sender<Input>) -> Result<Option<LtcInput>, String> {
    let Some(list) = chases(rig, Source::Ltc) else { return Ok(None) };
    let ports = &rig.config.timecode;
    let name = ports.ltc_in.as_ref().ok_or_else(|| {
        format!("list `{list}` chases LTC, and the box file names no `[timecode] ltc_in`")
    })?;
    let report = tell(reports, Source::Ltc);
    LtcInput::start(name, ports.ltc_channel, rig.clock.clone(), report)
        .map(Some)
        .map_err(|error| format!("list `{list}` hears no LTC: {}", with_cause(&error)))
}

fn start_midi(rig: &Rig<'_>, reports: &Sender<Input>) -> Result<Option<MidiInput>, String> {
    let Some(list) = chases(rig, Source::Mtc) else { return Ok(None) };
    let path = rig.config.timecode.midi_in.as_ref().ok_or_else(|| {
        format!("list `{list}` chases MTC, and the box file names no `[timecode] midi_in`")
    })?;
    MidiInput::start(Path::new(path), rig.clock.clone(), tell(reports, Source::Mtc))
        .map(Some)
        .map_err(|error| format!("list `{list}` hears no MTC: could not open {path} ({error})"))
}

fn start_sender(
    rig: &Rig<'_>,
    light: &Light,
    lost: &mut Vec<String>,
) -> Result<Option<timecode::Sender>, String> {
    let head = rig.show.timecode.as_ref();
    let Some((head, out)) = head.and_then(|head| Some((head, head.out.as_ref()?))) else {
        return Ok(None);
    };
    let mtc = rig.config.timecode.midi_out.as_ref().filter(|_| out.mtc && !rig.simulate);
    if out.mtc && mtc.is_none() && !rig.simulate {
        lost.push("no MTC: the box file names no `[timecode] midi_out`".to_owned());
    }
    if out.ltc.is_some_and(|ltc| ltc.channel >= rig.config.sound.channels) {
        lost.push("no LTC: its channel is beyond `[sound] channels` of the box file".to_owned());
    }
    let artnet = light.timecode_way().filter(|_| out.artnet);
    if artnet.as_ref().is_some_and(|way| way.to.is_empty()) {
        lost.push(
            "no ArtTimeCode: no lighting interface is named ([net] light), and no node is polled"
                .to_owned(),
        );
    }
    if mtc.is_none() && artnet.is_none() {
        return Ok(None);
    }
    let (mtc, clock) = (mtc.map(Into::into), rig.clock.clone());
    timecode::Sender::start(SenderSetup { rate: head.rate, mtc, artnet, clock })
        .map(Some)
        .map_err(|error| format!("no timecode is sent: {error}"))
}
