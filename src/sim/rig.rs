//! The simulated lighting network: every universe, rendered on the grid, mixed with what consoles send, kept where it
//! changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::light::input::{InputTable, Mixer};
use engine::light::{GRID, Plan, render};
use engine::order::Evidence;
use engine::show::Show;
use engine::told::FrameReport;
use units::{ShowTime, Universe};

use super::feeders::Feeders;

/// A universe as it looked from an instant on.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The grid instant.
    pub instant: ShowTime,
    /// Which universe.
    pub universe: Universe,
    /// Its slots.
    pub slots: Box<[u8; Universe::SLOTS]>,
}

/// Every lamp, as seen from the network.
#[derive(Debug)]
pub struct Rig {
    plan: Arc<Plan>,
    feeders: Feeders,
    /// Of universes that something comes into.
    mixers: BTreeMap<Universe, Mixer>,
    inputs: Arc<InputTable>,
    next: ShowTime,
    shown: Vec<Frame>,
}

impl Rig {
    /// Dark; the first frame is on the first grid instant from `start` on.
    pub fn new(show: &Show, start: ShowTime) -> Self {
        let mixers = show.universes.keys().map(|it| (*it, Mixer::new(show, *it)));
        Self {
            plan: Arc::default(),
            feeders: Feeders::default(),
            mixers: mixers.filter(|(_, mixer)| !mixer.is_empty()).collect(),
            inputs: Arc::default(),
            next: start.round_up(GRID),
            shown: Vec::new(),
        }
    }

    /// This is what comes in from now on.
    pub fn bring_in(&mut self, inputs: Arc<InputTable>) {
        self.inputs = inputs;
    }

    /// Renders by this from now on.
    pub fn play(&mut self, plan: Arc<Plan>) {
        self.feeders.play(&plan);
        self.plan = plan;
    }

    /// When the next frame is due.
    pub fn next(&self) -> ShowTime {
        self.next
    }

    /// Renders the next frame; gives the universes that changed, and the report.
    pub fn frame(&mut self) -> (Vec<Frame>, FrameReport) {
        let instant = self.next;
        self.next += GRID;
        let (shown, plan) = (self.plan.shown(instant), self.plan.serial);
        self.feeders.feed(&self.plan, instant);
        let universes = self.plan.universes.clone();
        let changed = universes.iter().filter_map(|drawn| {
            let (universe, mut slots) = (drawn.universe, Box::new([0; Universe::SLOTS]));
            render(drawn, shown, &mut slots);
            if let Some(mixer) = self.mixers.get_mut(&universe) {
                mixer.mix(&self.inputs, instant, &mut slots);
            }
            self.show(Frame { instant, universe, slots })
        });
        let changed = changed.collect();
        (changed, FrameReport { instant, plan, left: instant, evidence: Evidence::Simulated })
    }

    /// A universe as it looks now; none before its first frame.
    pub fn universe(&self, universe: Universe) -> Option<&[u8; Universe::SLOTS]> {
        self.shown.iter().find(|it| it.universe == universe).map(|it| &*it.slots)
    }

    /// Keeps the frame, and gives it back if it differs from what was shown.
    fn show(&mut self, frame: Frame) -> Option<Frame> {
        match self.shown.iter_mut().find(|it| it.universe == frame.universe) {
            Some(shown) if shown.slots == frame.slots => return None,
            Some(shown) => *shown = frame.clone(),
            None => self.shown.push(frame.clone()),
        }
        Some(frame)
    }
}
