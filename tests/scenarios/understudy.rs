//! A box that stands by takes the same steps, and goes on in the middle of everything (SX-03, SX-13).

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::EngineStart;
use engine::cluster::{Step, Understudy};
use engine::light::{GRID, Plan, render};
use engine::sound;
use engine::told::{Command, Effect, Input, Refusal, Request};
use phone::Chance;
use units::{CommandId, PhoneId, ShowTime, Span, Universe};
use uuid::Uuid;

use crate::stage::{number, show};

/// Fades, chains by time and by end, sound, phones' sound and screens, and a list of its own.
const EVENING: &str = r##"
[[list.cue]]
number = 1
light = { look = "bright", fade = "2s" }
phones = { color = "#ff9030", fade = "1s" }
[[list.cue]]
number = 2
sound = { file = "audio/piece.wav" }
light = { levels = { one = 10, three = 80 }, fade = "3s" }
continue = "auto-continue"
post_wait = "1.3s"
[[list.cue]]
number = 3
start = "together"
light = { levels = { wash = 70 }, fade = "700ms" }
phones = { track = "track_001" }
continue = "auto-follow"
[[list.cue]]
number = 4
light = { levels = { one = 100, two = 0 }, fade = "1s" }
phones = { color = "#102030" }
[[list]]
name = "side"
[[list.cue]]
number = 11
light = { levels = { three = 30 }, fade = "400ms" }
continue = "auto-continue"
post_wait = "400ms"
[[list.cue]]
number = 12
light = { levels = { three = 90 }, fade = "5s" }
"##;

/// Between two signs of life.
const BEAT: Span = Span::from_millis(50);

fn start() -> EngineStart {
    let now = ShowTime::from_ns(1_790_000_000_000_000_000).round_up(GRID);
    EngineStart { now, tai_utc: engine::clock::TAI_UTC, chance: 7 }
}

/// A box, and what it last let out.
struct OneBox {
    box_: Understudy,
    light: Arc<Plan>,
    sound: Arc<sound::Plan>,
    told: BTreeMap<Uuid, String>,
    silenced: bool,
}

impl OneBox {
    fn new() -> Self {
        let mut it = Self {
            box_: Understudy::new(show(EVENING), start(), true),
            light: Arc::default(),
            sound: Arc::default(),
            told: BTreeMap::new(),
            silenced: false,
        };
        it.settle();
        it
    }

    fn standing_by() -> Self {
        let mut it = Self::new();
        it.box_.stand_by("left".into());
        it.box_.begin(start());
        it.settle();
        it
    }

    fn settle(&mut self) {
        while let Some(effect) = self.box_.poll() {
            match effect {
                Effect::Light(plan) => self.light = plan,
                Effect::Sound(plan) => self.sound = plan,
                Effect::Tell { id, message, .. } => {
                    drop(self.told.insert(id, format!("{message:?}")))
                }
                Effect::Air { what: None, .. } => self.silenced = true,
                _ => {}
            }
        }
    }

    fn ask(&mut self, now: ShowTime, id: u64, command: &Command) {
        let id = CommandId(format!("order {id}"));
        // What the show has no use for just then is refused by all alike.
        let _ =
            self.box_.command(now, &Request { id, command: command.clone(), from: "desk".into() });
        self.settle();
    }

    fn wake(&mut self, now: ShowTime) {
        if self.box_.next_wake().is_some_and(|(at, _)| at <= now) {
            self.box_.handle(now, Input::Wake);
        }
        self.settle();
    }

    fn drawn(&self, at: ShowTime) -> [u8; Universe::SLOTS] {
        let mut slots = [0; Universe::SLOTS];
        for plan in &self.light.universes {
            render(plan, self.light.shown(at), &mut slots);
        }
        slots
    }

    /// What the steps of another one are once they have come by the network.
    fn follow(&mut self, other: &mut Self) {
        while let Some(step) = other.box_.poll_step() {
            let text = serde_json::to_string(&step).expect("a step has a JSON form");
            let step: Step = serde_json::from_str(&text).expect("and is read again");
            self.box_.follow(&step);
            self.settle();
        }
    }
}

/// What a hand does now and then.
fn some_order(chance: &mut Chance) -> Command {
    let cue = ["1", "2", "3", "4", "11", "12"][(chance.share() * 6.0) as usize];
    match (chance.share() * 12.0) as usize {
        0..=4 => Command::Go { list: None },
        5 => Command::Go { list: Some("side".into()) },
        6 => Command::Back { list: None },
        7 => Command::Pause,
        8 | 9 => Command::Resume,
        10 => Command::Fire { cue: number(cue) },
        _ => Command::Stop,
    }
}

#[test]
fn sx03_a_box_that_takes_over_goes_on_as_if_nothing_had_happened() {
    for seed in 0..200_u64 {
        let mut chance = Chance::new(u128::from(seed) << 64 | 3);
        // One that never dies says what is right.
        let (mut right, mut left, mut other) =
            (OneBox::new(), OneBox::new(), OneBox::standing_by());
        let dies = start().now + Span::from_secs_f64(2.0 + 20.0 * chance.share());
        let (mut now, mut beat, mut next_order) = (start().now, start().now, start().now);
        let mut dead = false;
        for id in 0.. {
            now += Span::from_millis(5);
            if now > dies + Span::from_secs(6) {
                break;
            }
            if now >= dies && !dead {
                (dead, left) = (true, OneBox { told: left.told, ..OneBox::new() });
                other.box_.take_over(now);
                other.settle();
            }
            let drives = if dead { &mut other } else { &mut left };
            if now >= next_order {
                next_order = now + Span::from_secs_f64(1.5 * chance.share());
                let order = some_order(&mut chance);
                right.ask(now, id, &order);
                drives.ask(now, id, &order);
            }
            right.wake(now);
            drives.wake(now);
            if !dead {
                other.follow(&mut left);
            }
            if !dead && now >= beat {
                beat = now + BEAT;
                let (steps, done) = (left.box_.progress().0, now);
                other.box_.handle_progress(steps, done);
                other.settle();
            }
            if dead {
                assert_eq!(other.drawn(now), right.drawn(now), "seed {seed}, {} after", now - dies);
            }
        }
        assert_eq!(other.sound, right.sound, "seed {seed}");
        assert_eq!(other.box_.glance(now), right.box_.glance(now), "seed {seed}");
        let told: BTreeMap<_, _> = left.told.into_iter().chain(other.told).collect();
        assert_eq!(told, right.told, "seed {seed}: phones are told the same, whoever tells them");
    }
}

#[test]
fn sx03_a_box_that_stands_by_sends_light_and_is_neither_heard_nor_obeyed() {
    let (mut left, mut other) = (OneBox::new(), OneBox::standing_by());
    assert!(other.silenced, "what was live on it ends");
    let now = start().now;
    let go = Request {
        id: CommandId("go".into()),
        command: Command::Go { list: None },
        from: "desk".into(),
    };
    let refused = other.box_.command(now, &go);
    assert_eq!(refused, Err(Refusal::StandsBy { master: "left".into() }));
    for (id, after) in [(0, 0), (1, 4)] {
        left.ask(now + Span::from_secs(after), id, &Command::Go { list: None });
    }
    other.follow(&mut left);
    let later = now + Span::from_secs(5);
    assert_eq!(other.drawn(later), left.drawn(later));
    assert_ne!(other.drawn(later), [0; Universe::SLOTS]);
    assert!(!left.sound.voices.is_empty() && !left.told.is_empty());
    assert!(other.sound.voices.is_empty() && other.told.is_empty());
}

#[test]
fn sx03_a_box_that_comes_late_takes_all_steps_at_once_and_one_that_was_master_begins_anew() {
    let mut left = OneBox::new();
    let now = start().now;
    let mut steps = Vec::new();
    for id in 0..3 {
        let at = now + Span::from_secs(2 * id);
        left.wake(at);
        left.ask(at, id as u64, &Command::Go { list: None });
        steps.extend(std::iter::from_fn(|| left.box_.poll_step()));
    }
    let mut late = OneBox::new();
    late.ask(now, 99, &Command::Fire { cue: number("12") });
    late.box_.stand_by("left".into());
    late.box_.begin(left.box_.start());
    for step in &steps {
        late.box_.follow(step);
    }
    late.settle();
    let after = now + Span::from_secs(9);
    left.wake(after);
    late.box_.handle_progress(left.box_.progress().0, after);
    late.settle();
    assert_eq!(late.drawn(after), left.drawn(after));
    assert_eq!(late.box_.progress(), left.box_.progress());
}

#[test]
fn sx03_phones_that_are_here_when_a_box_takes_over_are_told_what_plays() {
    let (mut left, mut other) = (OneBox::new(), OneBox::standing_by());
    let now = start().now;
    other.box_.handle(now, Input::PhoneJoined { phone: PhoneId(5), way: None });
    left.ask(now, 0, &Command::Fire { cue: number("3") });
    other.follow(&mut left);
    assert!(other.told.is_empty());
    other.box_.take_over(now + Span::from_secs(1));
    other.settle();
    assert!(other.told.values().any(|it| it.contains("track_001")), "{:?}", other.told);
    assert_eq!(other.box_.glance(now).phones, 1);
}
