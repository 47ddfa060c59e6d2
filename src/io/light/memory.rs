//! What the log has been told already, so that it is told of changes alone.

use std::collections::{BTreeMap, BTreeSet};

use engine::light::input::{InputSource, InputState};
use units::Universe;
use wire::artnet::DiagPriority;

use super::glance::{Foreign, NodeGlance};

/// Grows with the show, not with the evening.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Of the subscribers that the render thread has.
    pub generation: u64,
    /// The last one that was accounted for.
    pub second: i64,
    /// What is to be told to whoever asked for diagnostics (rule A18).
    pub diagnostics: Vec<(DiagPriority, String)>,
    failed: u64,
    failing: bool,
    foreign: BTreeSet<(Universe, String)>,
    nodes: BTreeMap<Universe, Vec<NodeGlance>>,
    lost: BTreeSet<String>,
    live: BTreeSet<String>,
}

impl Memory {
    pub fn say_nodes(&mut self, universe: Universe, nodes: &[NodeGlance]) {
        let before = self.nodes.insert(universe, nodes.to_vec()).unwrap_or_default();
        for node in nodes.iter().filter(|node| !before.contains(node)) {
            self.note(DiagPriority::LOW, format!("node {node} takes universe {universe}"));
        }
        for node in before.iter().filter(|node| !nodes.contains(node)) {
            let text = format!("node {node} no longer takes universe {universe}");
            self.note(DiagPriority::MEDIUM, text);
        }
    }

    pub fn say_foreign<'a>(&mut self, all: impl Iterator<Item = (Universe, &'a Vec<Foreign>)>) {
        let mut now = BTreeSet::new();
        for (universe, foreign) in all {
            now.extend(foreign.iter().map(|it| (universe, it.to_string())));
        }
        let was = std::mem::replace(&mut self.foreign, now.clone());
        for (universe, who) in now.difference(&was) {
            self.note(DiagPriority::HIGH, format!("{who} sends on our universe {universe}"));
        }
        for (universe, who) in was.difference(&now) {
            self.note(DiagPriority::LOW, format!("{who} sends on our universe {universe} no more"));
        }
    }

    /// For the log, and for whoever asked for diagnostics.
    fn note(&mut self, priority: DiagPriority, text: String) {
        match priority >= DiagPriority::MEDIUM {
            true => tracing::warn!("{text}"),
            false => tracing::info!("{text}"),
        }
        self.diagnostics.push((priority, text));
    }

    pub fn say_inputs<'a>(
        &mut self,
        all: impl Iterator<Item = (&'a String, &'a (InputState, Vec<InputSource>))>,
    ) {
        for (name, (state, sources)) in all {
            match state {
                InputState::Waiting => {}
                InputState::Live if self.live.insert(name.clone()) => {
                    self.lost.remove(name);
                    let who: Vec<String> = sources.iter().map(ToString::to_string).collect();
                    tracing::info!("input {name} comes in from {}", who.join(", "));
                }
                InputState::Lost { .. } if self.lost.insert(name.clone()) => {
                    self.live.remove(name);
                    tracing::warn!("input {name} is lost: nobody sends it any more");
                }
                InputState::Live | InputState::Lost { .. } => {}
            }
        }
    }

    pub fn say_failures(&mut self, failed: u64) {
        let more = failed - self.failed;
        match (more, self.failing) {
            (1.., false) => tracing::warn!("{more} lighting packets could not be sent in a second"),
            (0, true) => tracing::info!("lighting packets leave again; {failed} were lost in all"),
            _ => {}
        }
        self.failing = more > 0;
        self.failed = failed;
    }
}
