//! A whole show in virtual time: GO is pressed whenever every list waits and what was fired has ended.

use std::sync::Arc;

use engine::glance::Glance;
use engine::show::Show;
use engine::sound::Pcm;
use engine::told::Command;
use units::{ShowTime, Span};

use crate::card::CardSpec;
use crate::{Frame, PhoneSpec, Shown, Sounded, Story, World, WorldSpec};

/// How long the silence is before GO is pressed.
const BREATH: Span = Span::from_secs(1);

/// A cue that sounds until something ends it is heard this long before the next GO.
const ENDLESS_HEARD: Span = Span::from_secs(5);

/// How finely the rehearsal looks whether the show waits.
const LOOK: Span = Span::from_millis(100);

/// What a rehearsal leaves behind; sound went to the listener as it came.
#[derive(Debug)]
pub struct Rehearsal {
    /// Show time at its beginning.
    pub start: ShowTime,
    /// Show time at its end.
    pub end: ShowTime,
    /// Universes whenever they changed.
    pub frames: Vec<Frame>,
    /// Everything that happened.
    pub story: Vec<Story>,
    /// What the one phone in the room showed, as it was painted.
    pub shown: Vec<Shown>,
    /// What it sounded.
    pub sounded: Vec<Sounded>,
}

/// Who hears a rehearsal; sound of any length passes by without being kept.
pub trait Listener {
    /// The next samples, interleaved.
    fn hear(&mut self, samples: &[f32]);
    /// The rehearsal has come this far.
    fn reached(&mut self, gone: Span);
}

/// Runs the show from its first cue to its end. The same show gives the same rehearsal, whenever and wherever.
pub fn rehearse(
    show: Arc<Show>,
    media: Arc<[Pcm]>,
    card: CardSpec,
    listener: &mut dyn Listener,
) -> Rehearsal {
    let spec = WorldSpec::default();
    let mut world = World::new(show, spec).with_card(card, media);
    let phone = world.enter(PhoneSpec::default());
    go_on(&mut world, BREATH, listener);
    let mut quiet_since = world.now() - BREATH;
    loop {
        let glance = world.glance();
        if !waits(&glance) {
            quiet_since = world.now();
        } else if world.now() - quiet_since >= BREATH && !press_go(&mut world, &glance) {
            break;
        }
        go_on(&mut world, LOOK, listener);
        listener.reached(world.now() - spec.start);
    }
    world.command(Command::Stop).expect("a stop is never refused");
    go_on(&mut world, BREATH, listener);
    while world.waits_for_receipts() {
        go_on(&mut world, LOOK, listener);
    }
    let (shown, sounded) = (world.phone(phone).shown().to_vec(), world.phone(phone).sounded());
    let (end, World { frames, story, .. }) = (world.now(), world);
    Rehearsal { start: spec.start, end, frames, story, shown, sounded }
}

fn go_on(world: &mut World, span: Span, listener: &mut dyn Listener) {
    world.run(span);
    if let Some(card) = world.card() {
        listener.hear(&card.take_samples());
    }
}

/// Whether nothing more comes by itself: no cue is coming, and all that runs would run for ever.
fn waits(glance: &Glance) -> bool {
    let endless = |began: ShowTime| glance.now - began >= ENDLESS_HEARD;
    glance.lists.iter().all(|list| list.coming.is_none())
        && glance.running.iter().all(|run| run.left.is_none() && endless(run.began))
}

/// GO for the first list that has something on standby.
fn press_go(world: &mut World, glance: &Glance) -> bool {
    let Some(list) = glance.lists.iter().find(|list| list.standby.is_some()) else { return false };
    world.command(Command::Go { list: Some(list.name.clone()) }).is_ok()
}
