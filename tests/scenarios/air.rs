//! What cues put on air: phones hear it live, from the cue's time on, until a cue, a hand, a stop or a panic ends it.

use engine::order::{Output, What};
use engine::peers::AirLead;
use engine::show::Air;
use engine::told::{Command, Effect, Input, Refusal, Request, Said};
use engine::{Engine, EngineStart};
use units::{CommandId, ShowTime, Span, TrackId};

use crate::stage::{number, show};

const T0: ShowTime = ShowTime::from_ns(1_790_000_000_000_000_000);

/// Speaks to the house, plays it a piece, and is silent again; two cues later nothing has changed.
const EVENING: &str = r#"
[[list.cue]]
number = 1
air = "input"
[[list.cue]]
number = 2
phones = { text = "listen" }
[[list.cue]]
number = 3
air = "track_001"
[[list.cue]]
number = 4
air = false
[[list.cue]]
number = 5
phones = { text = "good night" }
"#;

/// An engine that is woken when it asks, and what came of it.
struct Evening {
    engine: Engine,
    now: ShowTime,
    commands: u32,
    /// What is to be sent, and the seconds from which it is to be heard.
    sent: Vec<(Option<Air>, f64)>,
    /// Orders for the air.
    ordered: Vec<(Option<String>, f64)>,
    /// The story, with the seconds at which it was told.
    said: Vec<(Said, f64)>,
}

impl Evening {
    fn of(cues: &str) -> Self {
        let start = EngineStart { now: T0, tai_utc: Span::ZERO, chance: 1 };
        let engine = Engine::new(show(cues), start);
        let (sent, ordered, said) = (Vec::new(), Vec::new(), Vec::new());
        let mut evening = Self { engine, now: T0, commands: 0, sent, ordered, said };
        evening.tell(Input::AirLead(AirLead::new(Span::from_millis(240))));
        evening.tell(Input::SoundInput { is_there: true });
        evening
    }

    fn tell(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        self.listen();
    }

    fn command(&mut self, command: Command) -> Result<(), Refusal> {
        self.commands += 1;
        let id = CommandId(self.commands.to_string());
        let answer = self.engine.command(self.now, &Request { id, command, from: "desk".into() });
        self.listen();
        answer.map(drop)
    }

    fn go(&mut self) {
        self.command(Command::Go { list: None }).expect("a cue is on standby");
    }

    fn air(&mut self, what: Option<&str>) -> Result<(), Refusal> {
        self.command(Command::Air { what: what.map(Into::into) })
    }

    fn run(&mut self, seconds: f64) {
        let end = self.now + Span::from_secs_f64(seconds);
        while let Some((at, _)) = self.engine.next_wake().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.tell(Input::Wake);
        }
        self.now = end;
        self.tell(Input::Wake);
    }

    fn listen(&mut self) {
        let seconds = |at: ShowTime| ((at - T0).secs_f64() * 1e6).round() / 1e6;
        while let Some(effect) = self.engine.poll() {
            match effect {
                Effect::Air { what, at } => self.sent.push((what, seconds(at))),
                Effect::Said(said) => self.said.push((said, seconds(self.now))),
                Effect::Ordered(order) if order.output == Output::Air => {
                    let What::Air { air } = order.what else { panic!("{order:?}") };
                    self.ordered.push((air, seconds(order.at)));
                }
                _ => {}
            }
        }
    }

    /// What is on air, and by which cue.
    fn on_air(&self) -> (Option<String>, Option<String>) {
        let glance = self.engine.glance(self.now);
        (glance.on_air, glance.on_air_cue.map(|cue| cue.to_string()))
    }

    /// What the story says of it: what, by which cue, when.
    fn told(&self) -> Vec<(Option<String>, Option<String>, f64)> {
        let told = self.said.iter().filter_map(|(said, at)| match said {
            Said::OnAir { what, cue } => Some((what.clone(), cue.map(|it| it.to_string()), *at)),
            _ => None,
        });
        told.collect()
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn track() -> Air {
    Air::Track(TrackId("track_001".into()))
}

#[test]
fn sx11_what_a_cue_puts_on_air_is_heard_as_soon_as_it_can_be_and_the_story_says_when() {
    let mut evening = Evening::of(EVENING);
    evening.run(1.0);
    evening.go();
    assert_eq!(evening.sent, [(Some(Air::Input), 1.3)], "by what it has to be known ahead");
    assert_eq!(evening.ordered, [(some("input"), 1.3)]);
    assert_eq!(evening.on_air(), (some("input"), some("1")));
    assert_eq!(evening.told(), [], "nobody hears it yet");
    evening.run(0.5);
    assert_eq!(evening.told(), [(some("input"), some("1"), 1.3)]);
    evening.go();
    evening.run(1.5);
    assert_eq!(evening.on_air(), (some("input"), some("1")), "it stays");
    evening.go();
    evening.go();
    evening.run(1.0);
    let ends = [(Some(track()), 3.3), (None, 3.3)];
    assert_eq!(evening.sent[1..], ends, "the latest wins");
    assert_eq!(evening.told()[1..], [(None, some("4"), 3.3)]);
    assert_eq!(evening.on_air(), (None, None));
}

#[test]
fn sx11_a_cue_that_is_known_beforehand_is_heard_at_its_time() {
    let mut evening = Evening::of(
        r#"
[[list.cue]]
number = 1
light = { look = "bright" }
continue = "auto-continue"
post_wait = "2s"
[[list.cue]]
number = 2
air = "tone"
light = { levels = { one = 0 } }
continue = "auto-continue"
post_wait = "3s"
[[list.cue]]
number = 3
air = false
"#,
    );
    evening.go();
    evening.run(10.0);
    assert_eq!(evening.sent, [(Some(Air::Tone), 2.0), (None, 5.0)]);
    let told = [(some("tone"), some("2"), 2.0), (None, some("3"), 5.0)];
    assert_eq!(evening.told(), told);
}

#[test]
fn sx11_a_cue_ends_what_another_put_on_air_and_leaves_what_a_hand_did() {
    let cues = r#"
[[list.cue]]
number = 1
air = "tone"
[[list.cue]]
number = 2
stop = { cue = 1, fade = "2s" }
"#;
    let mut evening = Evening::of(cues);
    evening.go();
    evening.run(1.0);
    evening.go();
    evening.run(3.0);
    assert_eq!(evening.sent, [(Some(Air::Tone), 0.3), (None, 3.0)], "at the end of the fade");
    assert_eq!(evening.told()[1..], [(None, some("2"), 3.0)]);
    let mut evening = Evening::of(cues);
    evening.go();
    evening.run(1.0);
    evening.air(Some("track_001")).expect("there is one");
    evening.go();
    evening.run(3.0);
    assert_eq!(evening.on_air(), (some("track_001"), None), "it is no longer cue 1's");
}

#[test]
fn sx11_a_stop_and_a_panic_end_what_cues_put_on_air_and_nobody_who_speaks_by_hand() {
    for end in [Command::Stop, Command::Panic] {
        let mut evening = Evening::of(EVENING);
        evening.go();
        evening.run(1.0);
        evening.command(end.clone()).expect("always");
        assert_eq!(evening.on_air(), (None, None));
        assert_eq!((&evening.sent[1..], evening.told().len()), (&[(None, 1.0)][..], 2));
        evening.air(Some("input")).expect("there is one");
        evening.command(end).expect("always");
        evening.run(1.0);
        assert_eq!(evening.on_air(), (some("input"), None));
    }
}

#[test]
fn sx11_an_input_that_the_box_does_not_have_is_refused_and_what_is_on_air_stays() {
    let mut evening = Evening::of(EVENING);
    evening.air(Some("track_001")).expect("there is one");
    evening.tell(Input::SoundInput { is_there: false });
    assert_eq!(evening.air(Some("input")), Err(Refusal::NoSoundInput));
    assert_eq!(evening.on_air(), (some("track_001"), None));
    assert_eq!(evening.sent.len(), 1);
}

#[test]
fn sx11_a_stop_before_it_is_heard_takes_it_back_and_the_story_never_says_it() {
    let mut evening = Evening::of(EVENING);
    evening.go();
    evening.run(0.1);
    evening.air(None).expect("always");
    evening.run(5.0);
    assert_eq!(evening.sent, [(Some(Air::Input), 0.3), (None, 0.1)]);
    assert_eq!((evening.told(), evening.on_air()), (vec![], (None, None)));
}

#[test]
fn sx11_a_list_that_jumps_brings_what_it_has_on_air_there() {
    let mut evening = Evening::of(EVENING);
    let goto = |cue: &str| Command::Goto { cue: number(cue) };
    evening.command(goto("2")).expect("it exists");
    evening.go();
    evening.run(1.0);
    assert_eq!(evening.on_air(), (some("input"), some("2")), "as cue 1 would have left it");
    evening.command(goto("5")).expect("it exists");
    assert_eq!(evening.on_air().0, some("input"), "goto changes nothing");
    evening.go();
    evening.run(1.0);
    assert_eq!(evening.on_air(), (None, None), "as cue 4 would have");
    evening.command(goto("3")).expect("it exists");
    evening.go();
    evening.run(1.0);
    assert_eq!(evening.on_air().0, some("track_001"));
    evening.command(Command::Back { list: None }).expect("always");
    evening.command(Command::Back { list: None }).expect("always");
    evening.go();
    evening.run(1.0);
    assert_eq!(evening.on_air(), (some("input"), some("2")), "and back");
    let heard = evening.sent.len();
    evening.command(goto("2")).expect("it exists");
    evening.go();
    evening.run(1.0);
    assert_eq!(evening.sent.len(), heard, "what is on air as it should be goes on without a gap");
}

#[test]
fn sx11_a_jump_takes_off_air_what_its_own_list_put_there_and_nothing_else() {
    let mut evening = Evening::of(&format!(
        "{EVENING}[[list]]\nname = \"talk\"\n[[list.cue]]\nnumber = 10\nair = \"tone\"\n"
    ));
    evening.command(Command::Go { list: Some("talk".into()) }).expect("cue 10");
    evening.run(1.0);
    evening.command(Command::Goto { cue: number("5") }).expect("it exists");
    evening.go();
    evening.run(1.0);
    assert_eq!(evening.on_air(), (some("tone"), some("10")));
}

#[test]
fn sx11_a_pause_holds_what_is_to_come_and_not_what_is_live() {
    let mut evening = Evening::of(
        r#"
[[list.cue]]
number = 1
air = "tone"
continue = "auto-continue"
post_wait = "2s"
[[list.cue]]
number = 2
air = "track_001"
"#,
    );
    evening.go();
    evening.run(1.0);
    evening.command(Command::Pause).expect("it runs");
    evening.run(10.0);
    assert_eq!((evening.sent.len(), evening.on_air().0), (1, some("tone")));
    evening.command(Command::Resume).expect("it is paused");
    evening.run(5.0);
    assert_eq!(evening.sent[1..], [(Some(track()), 12.3)]);
}

#[test]
fn what_cannot_go_on_air_is_off_it_and_what_was_asked_for_since_stays() {
    let mut evening = Evening::of(EVENING);
    let failed = || Input::NotOnAir { what: track(), why: "it is gone".to_owned() };
    evening.air(Some("track_001")).expect("there is one");
    assert_eq!(evening.on_air().0, some("track_001"));
    evening.air(Some("tone")).expect("always there");
    evening.tell(failed());
    assert_eq!(evening.on_air().0, some("tone"));
    evening.command(Command::Fire { cue: number("3") }).expect("it exists");
    evening.tell(failed());
    evening.run(1.0);
    assert_eq!((evening.on_air(), evening.told()), ((None, None), vec![]));
    let is_it = |said: &Said| matches!(said, Said::NotOnAir { what, .. } if what == "track_001");
    assert_eq!(evening.said.iter().filter(|(said, _)| is_it(said)).count(), 1);
    assert!(matches!(evening.air(Some("piece")), Err(Refusal::NoSuchTrack { .. })));
}

#[test]
fn sx11_a_stop_within_the_fade_that_ends_it_ends_it_at_once() {
    let mut evening = Evening::of(
        r#"
[[list.cue]]
number = 1
air = "tone"
[[list.cue]]
number = 2
stop = { cue = 1, fade = "20s" }
"#,
    );
    evening.go();
    evening.run(1.0);
    evening.go();
    evening.run(1.0);
    evening.command(Command::Stop).expect("always");
    assert_eq!(evening.sent[1..], [(None, 21.0), (None, 2.0)]);
    evening.run(30.0);
    assert_eq!(evening.told()[1..], [(None, None, 2.0)], "and never again");
}

#[test]
fn sx11_what_one_cue_puts_on_air_is_heard_until_another_s_time_however_early_that_is_told() {
    let mut evening = Evening::of(
        r#"
[[list.cue]]
number = 1
air = "tone"
continue = "auto-continue"
post_wait = "100ms"
[[list.cue]]
number = 2
air = "track_001"
"#,
    );
    evening.go();
    evening.run(2.0);
    assert_eq!(evening.sent, [(Some(Air::Tone), 0.3), (Some(track()), 0.4)]);
    let told = [(some("tone"), some("1"), 0.3), (some("track_001"), some("2"), 0.4)];
    assert_eq!(evening.told(), told);
}
