//! Mixes what comes in with what the show itself draws, slot by slot.
//!
//! In: a universe as the show draws it, and the frames of its inputs. Out: what leaves. Nothing here allocates after
//! it is made, so a render thread may own it. Never here: where frames come from.

use units::{ShowTime, Span, Universe};

use super::{InputFrame, InputState, InputTable};
use crate::show::{InputMerge, LossGoal, Show, ShowInput};

/// The inputs of one universe, in the order of the show file.
#[derive(Debug, Clone, Default)]
pub struct Mixer {
    feeds: Vec<Feed>,
}

/// An input on its way into a universe.
#[derive(Debug, Clone)]
struct Feed {
    /// Index in the table.
    input: usize,
    /// First slot of the input, first slot of the universe, and how many, all from 0.
    from: usize,
    to: usize,
    count: usize,
    merge: InputMerge,
    /// The show's own.
    priority: u8,
    wait: Span,
    fade: Span,
    latest: Latest,
}

/// What a lost input goes to.
#[derive(Debug, Clone, Copy)]
enum Ground<'a> {
    /// What the show itself has there.
    Show,
    Level(u8),
    Scene(&'a [u8; Universe::SLOTS]),
}

/// Who changed each slot last; the show did, before anything came.
#[derive(Debug, Clone)]
struct Latest {
    came: bool,
    own: [u8; Universe::SLOTS],
    input: [u8; Universe::SLOTS],
    is_input: [bool; Universe::SLOTS],
}

impl Mixer {
    /// Whatever of the show's inputs goes to this universe.
    pub fn new(show: &Show, universe: Universe) -> Self {
        let feeds = show.inputs.iter().enumerate().filter(|(_, input)| input.to == Some(universe));
        let feeds = feeds.map(|(index, input)| Feed::new(index, input, show.priority)).collect();
        Self { feeds }
    }

    /// Whether nothing comes in.
    pub fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }

    /// Slots where something may come in.
    pub fn slots(&self) -> impl Iterator<Item = usize> {
        self.feeds.iter().flat_map(|feed| feed.to..feed.to + feed.count)
    }

    /// Mixes what comes in into `slots`, which the show has drawn for `at`.
    pub fn mix(&mut self, table: &InputTable, at: ShowTime, slots: &mut [u8; Universe::SLOTS]) {
        for feed in &mut self.feeds {
            if let Some(frame) = table.get(feed.input) {
                feed.mix(frame, at, slots);
            }
        }
    }
}

impl Feed {
    fn new(input: usize, it: &ShowInput, priority: u8) -> Self {
        Self {
            input,
            from: it.first.index(),
            to: it.at.index(),
            count: usize::from(it.count),
            merge: it.merge,
            priority,
            wait: it.hold,
            fade: it.fade,
            latest: Latest::new(),
        }
    }

    fn mix(&mut self, frame: &InputFrame, at: ShowTime, slots: &mut [u8; Universe::SLOTS]) {
        let (left, ground) = match frame.state {
            InputState::Waiting => return,
            InputState::Live => (1.0, Ground::Show),
            InputState::Lost { since, goal } => self.lost(frame, at - since, goal),
        };
        let released = matches!(ground, Ground::Show);
        if left == 0.0 && released {
            return self.latest.release();
        }
        self.latest.come(frame);
        for index in 0..self.count {
            let slot = self.from + index;
            let own = &mut slots[self.to + index];
            let (level, priority) = (frame.merged.levels[slot], frame.merged.priorities[slot]);
            let is_latest = self.latest.is_input(slot, *own, level);
            if priority > 0 {
                let level = ground.under(slot, level, left);
                let mixed = self.merge(*own, level, priority, is_latest);
                *own = if released { between(*own, mixed, left) } else { mixed };
            }
        }
    }

    fn merge(&self, own: u8, level: u8, priority: u8, is_latest: bool) -> u8 {
        match self.merge {
            InputMerge::Ltp if is_latest => level,
            InputMerge::Priority if priority > self.priority => level,
            InputMerge::Priority if priority < self.priority => own,
            InputMerge::Ltp => own,
            InputMerge::Htp | InputMerge::Priority => own.max(level),
        }
    }

    /// How much of an input is left, 1 to 0, and what it goes to. A scene that nobody recorded is what was there last.
    fn lost<'a>(&self, frame: &'a InputFrame, ago: Span, goal: LossGoal) -> (f64, Ground<'a>) {
        let fade = self.fade.ns().max(1) as f64;
        let left = (1.0 - (ago - self.wait).ns() as f64 / fade).clamp(0.0, 1.0);
        match (goal, &frame.scene) {
            (LossGoal::Scene, Some(scene)) => (left, Ground::Scene(&scene.0)),
            (LossGoal::Hold | LossGoal::Scene, _) => (1.0, Ground::Show),
            (LossGoal::Release, _) => (left, Ground::Show),
            (LossGoal::Zero, _) => (left, Ground::Level(0)),
            (LossGoal::Full, _) => (left, Ground::Level(u8::MAX)),
        }
    }
}

impl Ground<'_> {
    /// A level that has gone to it but for what is left.
    fn under(self, slot: usize, level: u8, left: f64) -> u8 {
        match self {
            Self::Show => level,
            Self::Level(ground) => between(ground, level, left),
            Self::Scene(scene) => between(scene[slot], level, left),
        }
    }
}

impl Latest {
    fn new() -> Self {
        let nothing = [0; Universe::SLOTS];
        Self { came: false, own: nothing, input: nothing, is_input: [false; Universe::SLOTS] }
    }

    /// An input that has just come takes nothing before it moves, wherever its faders stand; what it held through a
    /// loss it still has.
    fn come(&mut self, frame: &InputFrame) {
        let live = frame.state == InputState::Live;
        if live && !self.came {
            self.input = frame.merged.levels;
        }
        self.came = live;
    }

    /// The show has everything again.
    fn release(&mut self) {
        self.came = false;
        self.is_input = [false; Universe::SLOTS];
    }

    /// Whether the input moved a slot after the show did. Where both move, the hand at the console is right.
    fn is_input(&mut self, slot: usize, own: u8, level: u8) -> bool {
        if level != self.input[slot] {
            self.is_input[slot] = true;
        } else if own != self.own[slot] {
            self.is_input[slot] = false;
        }
        (self.own[slot], self.input[slot]) = (own, level);
        self.is_input[slot]
    }
}

/// `left` of `to`, and the rest of `from`.
fn between(from: u8, to: u8, left: f64) -> u8 {
    let (from, to) = (f64::from(from), f64::from(to));
    (from + (to - from) * left).round() as u8
}

#[cfg(test)]
mod tests {
    use super::super::settings::Scene;
    use super::*;
    use crate::light::receive::Merged;

    fn feed(merge: InputMerge) -> Feed {
        Feed {
            input: 0,
            from: 0,
            to: 0,
            count: 512,
            merge,
            priority: 100,
            wait: Span::from_secs(1),
            fade: Span::from_secs(2),
            latest: Latest::new(),
        }
    }
    fn at(secs: f64) -> ShowTime {
        ShowTime::ZERO + Span::from_secs_f64(secs)
    }
    fn frame(level: u8, priority: u8, state: InputState) -> InputFrame {
        let merged = Merged { levels: [level; 512], priorities: [priority; 512] };
        InputFrame { merged, state, scene: None }
    }
    fn live(level: u8) -> InputFrame {
        frame(level, 100, InputState::Live)
    }
    fn lost(level: u8, goal: LossGoal) -> InputFrame {
        frame(level, 100, InputState::Lost { since: at(0.0), goal })
    }
    /// What the first slot shows.
    fn mixed(feed: &mut Feed, own: u8, frame: &InputFrame, secs: f64) -> u8 {
        let mut slots = [own; 512];
        feed.mix(frame, at(secs), &mut slots);
        slots[0]
    }

    #[test]
    fn by_the_highest_by_priority_and_nothing_where_nobody_sends() {
        let mut htp = feed(InputMerge::Htp);
        assert_eq!([50, 200].map(|own| mixed(&mut htp, own, &live(100), 0.0)), [100, 200]);
        let mut by_priority = feed(InputMerge::Priority);
        let mut shows = |own, level, priority| {
            mixed(&mut by_priority, own, &frame(level, priority, InputState::Live), 0.0)
        };
        assert_eq!((shows(200, 10, 101), shows(10, 200, 99)), (10, 10));
        assert_eq!((shows(200, 10, 100), shows(10, 200, 100)), (200, 200), "equals by the highest");
        for merge in [InputMerge::Htp, InputMerge::Ltp, InputMerge::Priority] {
            let nobody = frame(255, 0, InputState::Live);
            assert_eq!(mixed(&mut feed(merge), 7, &nobody, 0.0), 7);
        }
    }

    #[test]
    fn by_the_latest_a_slot_is_whose_who_moved_it_last_and_who_comes_takes_nothing() {
        let mut feed = feed(InputMerge::Ltp);
        assert_eq!(mixed(&mut feed, 50, &live(200), 0.0), 50, "it has not moved");
        assert_eq!(mixed(&mut feed, 50, &live(201), 0.1), 201);
        assert_eq!(mixed(&mut feed, 50, &live(201), 0.2), 201);
        assert_eq!(mixed(&mut feed, 60, &live(201), 0.3), 60, "the show moved");
        assert_eq!(mixed(&mut feed, 70, &live(10), 0.4), 10, "both moved");
    }

    #[test]
    fn s14_a_lost_input_is_held_then_fades_to_what_the_show_has_and_never_flashes() {
        for merge in [InputMerge::Htp, InputMerge::Ltp] {
            let mut feed = feed(merge);
            mixed(&mut feed, 0, &live(199), -0.2);
            mixed(&mut feed, 0, &live(200), -0.1);
            let seen: Vec<u8> = (0..200)
                .map(|frame| {
                    mixed(&mut feed, 0, &lost(200, LossGoal::Release), f64::from(frame) * 0.023)
                })
                .collect();
            assert_eq!((seen[0], seen[43], seen[87], seen[199]), (200, 200, 100, 0));
            let steps = seen.windows(2).map(|pair| i16::from(pair[0]) - i16::from(pair[1]));
            assert!(steps.into_iter().all(|step| (0..=3).contains(&step)), "{merge:?}: {seen:?}");
        }
    }

    #[test]
    fn a17_a_lost_input_holds_goes_out_or_goes_full_as_it_is_told() {
        let shows = |goal, secs| mixed(&mut feed(InputMerge::Htp), 10, &lost(200, goal), secs);
        assert_eq!(shows(LossGoal::Hold, 60.0), 200);
        assert_eq!([1.0, 2.0, 3.0].map(|secs| shows(LossGoal::Zero, secs)), [200, 100, 10]);
        assert_eq!([1.0, 2.0, 3.0].map(|secs| shows(LossGoal::Full, secs)), [200, 228, 255]);
    }

    #[test]
    fn a17_a_lost_input_shows_the_recorded_scene_and_one_that_was_never_recorded_holds() {
        let mut feed = feed(InputMerge::Htp);
        let mut lost = lost(200, LossGoal::Scene);
        assert_eq!(mixed(&mut feed, 10, &lost, 60.0), 200);
        lost.scene = Some(Scene([100; 512]));
        assert_eq!([1.0, 2.0, 3.0].map(|secs| mixed(&mut feed, 10, &lost, secs)), [200, 150, 100]);
        assert_eq!(mixed(&mut feed, 110, &lost, 60.0), 110, "the show's own is higher");
    }

    #[test]
    fn what_is_held_through_a_loss_is_the_inputs_still_when_it_is_back() {
        let mut feed = feed(InputMerge::Ltp);
        mixed(&mut feed, 50, &live(0), 0.0);
        mixed(&mut feed, 50, &live(200), 0.1);
        mixed(&mut feed, 50, &lost(200, LossGoal::Hold), 9.0);
        assert_eq!(mixed(&mut feed, 50, &live(200), 10.0), 200);
        assert_eq!(mixed(&mut feed, 50, &lost(200, LossGoal::Release), 20.0), 50);
        assert_eq!(mixed(&mut feed, 50, &live(200), 30.0), 50, "it was released: it begins anew");
    }

    #[test]
    fn a_few_slots_of_an_input_go_where_they_are_sent() {
        let mut feed = Feed { from: 2, to: 10, count: 2, ..feed(InputMerge::Htp) };
        let mut frame = live(0);
        frame.merged.levels[..5].copy_from_slice(&[1, 2, 3, 4, 5]);
        let mut slots = [0; 512];
        feed.mix(&frame, at(0.0), &mut slots);
        let lit: Vec<_> = slots.iter().enumerate().filter(|(_, level)| **level > 0).collect();
        assert_eq!(lit, [(10, &3), (11, &4)]);
        let mixer = Mixer { feeds: vec![feed] };
        assert_eq!(mixer.slots().collect::<Vec<_>>(), [10, 11]);
    }
}
