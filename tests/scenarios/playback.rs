//! Several lists, masters, timings, effects and what is done by hand: a show file in, octets of slots out.

use std::sync::Arc;

use engine::glance::Glance;
use engine::light::{Plan, render};
use engine::show::{MediaInfo, Source, load};
use engine::told::{Command, Done, Effect, Refusal, Request};
use engine::{Engine, EngineStart};
use sim::{LightDay, STEP_ALLOWED};
use units::{CommandId, Level, ShowTime, Span, Universe};

/// A show file in memory.
struct Text(String);

impl Source for Text {
    fn text(&self, _: &str) -> Result<String, String> {
        Ok(self.0.clone())
    }
    fn media(&self, _: &str) -> Result<MediaInfo, String> {
        Err("there is no sound".into())
    }
}

/// Dimmers on slots 1 and 2, a par without a dimmer on 3 to 5, a mover on 11 to 17.
const PATCH: &str = r##"
[fixtures]
one = { profile = "generic/dimmer", universe = 1, address = 1 }
two = { profile = "generic/dimmer", universe = 1, address = 2 }
par = { profile = "generic/rgb", universe = 1, address = 3 }
head = { profile = "generic/mover", universe = 1, address = 11 }
[groups]
dims = ["one", "two"]
"##;

struct Desk {
    engine: Engine,
    now: ShowTime,
    plan: Arc<Plan>,
    asked: u32,
}

/// An engine with a show, told only by hand.
fn desk(show: &str) -> Desk {
    let loaded = load("show.toml", &Text(format!("{PATCH}{show}")));
    let said: Vec<String> = loaded.findings.iter().map(ToString::to_string).collect();
    let show = loaded.show.unwrap_or_else(|| panic!("{}", said.join("\n")));
    let now = ShowTime::from_ns(1_790_000_000_000_000_000);
    let start = EngineStart { now, tai_utc: Span::from_secs(37), chance: 1 };
    let engine = Engine::new(Arc::new(show), start);
    let mut desk = Desk { engine, now, plan: Arc::default(), asked: 0 };
    desk.watch();
    desk
}

impl Desk {
    fn ask(&mut self, command: Command) -> Result<Done, Refusal> {
        self.asked += 1;
        let id = CommandId(self.asked.to_string());
        let answer =
            self.engine.command(self.now, &Request { id, command, from: "desk".to_owned() });
        self.watch();
        answer
    }

    fn tell(&mut self, command: Command) -> &mut Self {
        self.ask(command).expect("it makes sense");
        self
    }

    fn go(&mut self) -> &mut Self {
        self.tell(Command::Go { list: None })
    }

    fn go_on(&mut self, list: &str) -> &mut Self {
        self.tell(Command::Go { list: Some(list.into()) })
    }

    fn release(&mut self, list: &str) -> &mut Self {
        self.tell(Command::Release { list: Some(list.into()) })
    }

    fn master(&mut self, name: &str, percent: f64) -> &mut Self {
        let level = Level::from_percent(percent).expect("in range");
        self.tell(Command::Master { master: name.into(), level })
    }

    fn park(&mut self, what: &str, percent: Option<f64>) -> &mut Self {
        let level = percent.map(|percent| Level::from_percent(percent).expect("in range"));
        self.tell(Command::Park { what: what.into(), level })
    }

    /// Time goes by; the engine is woken as it asks.
    fn run(&mut self, secs: f64) -> &mut Self {
        let end = self.now + Span::from_secs_f64(secs);
        while let Some((at, _)) = self.engine.next_wake().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.engine.handle(self.now, engine::told::Input::Wake);
            self.watch();
        }
        self.now = end;
        self
    }

    fn watch(&mut self) {
        while let Some(effect) = self.engine.poll() {
            if let Effect::Light(plan) = effect {
                self.plan = plan;
            }
        }
    }

    /// What the first slots show now.
    fn slots<const N: usize>(&self, numbers: [usize; N]) -> [u8; N] {
        let mut slots = [0; Universe::SLOTS];
        render(&self.plan.universes[0], self.plan.shown(self.now), &mut slots);
        numbers.map(|number| slots[number - 1])
    }

    fn slot(&self, number: usize) -> u8 {
        self.slots([number])[0]
    }

    fn glance(&self) -> Glance {
        self.engine.glance(self.now)
    }
}

const TWO_LISTS: &str = r##"
[[list]]
name = "main"
[[list.cue]]
number = 1
light = { levels = { one = 40, head = { pan = 20, dimmer = 100, color = "#ff0000" } } }
[[list.cue]]
number = 2
light = { levels = { one = 60 } }

[[list]]
name = "over"
priority = 5
release_time = "2s"
[[list.cue]]
number = 101
light = { levels = { one = 20, two = 50, head = { color = "#0000ff" } }, fade = "2s" }
[[list.cue]]
number = 102
light = { levels = { one = 90 } }

[[list]]
name = "beside"
release_time = "1s"
[[list.cue]]
number = 201
light = { levels = { one = 80, head = { color = "#00ff00" } } }
"##;

#[test]
fn of_two_lists_the_higher_priority_is_seen_even_if_it_is_darker_and_takes_over_in_its_own_time() {
    let mut desk = desk(TWO_LISTS);
    desk.go().run(0.5);
    assert_eq!(desk.slots([1, 16, 18]), [102, 255, 0]);
    desk.go_on("over").run(1.0);
    assert_eq!(desk.slots([1, 16, 18]), [77, 128, 128], "half way, from where the lamp stood");
    desk.run(1.0);
    assert_eq!(desk.slots([1, 2, 16, 18]), [51, 128, 0, 255]);
    desk.go().run(0.1);
    assert_eq!(desk.slot(1), 51, "what plays beneath is not seen");
}

#[test]
fn a_list_that_is_released_gives_its_lanes_back_to_who_is_beneath_without_a_jump() {
    let mut desk = desk(TWO_LISTS);
    desk.go().go_on("over").run(3.0).go().run(0.1);
    desk.release("over");
    assert_eq!(desk.slots([1, 2, 18]), [51, 128, 255], "it begins where the lamp stands");
    desk.run(1.0);
    assert_eq!(desk.slots([1, 2]), [102, 64]);
    desk.run(1.0);
    assert_eq!(desk.slots([1, 2, 16, 18]), [153, 0, 255, 0], "to where the other list is by now");
    desk.release("main").run(0.1);
    let rest = [0, 128, 0, 255, 255, 255];
    assert_eq!(desk.slots([1, 11, 15, 16, 17, 18]), rest, "and nobody's lanes to their rest");
}

#[test]
fn lists_of_one_priority_share_intensities_by_the_highest_and_colours_by_the_latest() {
    let mut desk = desk(TWO_LISTS);
    desk.go().run(0.1).go_on("beside").run(0.1);
    assert_eq!(desk.slots([1, 16, 17]), [204, 0, 255]);
    desk.release("beside").run(0.5);
    assert_eq!(desk.slots([1, 16, 17]), [153, 128, 128]);
    desk.run(0.5);
    assert_eq!(desk.slots([1, 16, 17]), [102, 255, 0]);
}

#[test]
fn a_list_that_is_released_while_another_is_paused_beneath_goes_on_after_the_pause() {
    let mut desk = desk(TWO_LISTS);
    desk.go().go_on("over").run(3.0).tell(Command::Pause);
    desk.run(5.0).release("over").run(5.0);
    assert_eq!(desk.slot(2), 128);
    desk.tell(Command::Resume).run(1.0);
    assert_eq!(desk.slot(2), 64);
}

#[test]
fn a_cue_releases_another_list_in_its_time() {
    let mut desk = desk(&format!(
        "{TWO_LISTS}\n[[list.cue]]\nnumber = 202\nrelease = [{{ list = \"main\", time = \"4s\" }}]\n"
    ));
    desk.go().run(0.1).go_on("beside").run(0.1).go_on("beside").run(1.0);
    assert_eq!(desk.slots([11, 12]), [0x46, 0x66], "a quarter of the way to its rest");
}

const MASTERS: &str = r##"
[masters.wash]
of = ["par", "one"]
level = 50

[[list]]
name = "main"
[[list.cue]]
number = 1
light = { levels = { dims = 100, par = { color = "#ff8000", dimmer = 100 }, head = { dimmer = 100, color = "#ffffff", tilt = 100 } } }
[[list.cue]]
number = 2
master = [{ name = "grand", level = 0, time = "2s" }, { name = "wash", level = 100 }]
"##;

#[test]
fn masters_scale_intensities_and_nothing_else() {
    let mut desk = desk(MASTERS);
    desk.go().run(0.1);
    assert_eq!(desk.slots([1, 2, 3, 4, 15, 16, 13]), [128, 255, 128, 64, 255, 255, 255]);
    desk.master("grand", 50.0);
    assert_eq!(desk.slots([1, 2, 3, 4, 15, 16, 13]), [64, 128, 64, 32, 128, 255, 255]);
    desk.master("grand", 100.0).go().run(1.0);
    assert_eq!(desk.slots([1, 2, 3, 15, 16]), [128, 128, 128, 128, 255], "a cue moves masters");
    desk.run(1.0);
    assert_eq!(desk.slots([1, 2, 3, 15, 16]), [0, 0, 0, 0, 255]);
    let masters = desk.glance().masters;
    let told: Vec<_> = masters.iter().map(|it| (it.name.as_str(), it.level.percent())).collect();
    assert_eq!(told, [("grand", 0.0), ("wash", 100.0)]);
    let nobody = Command::Master { master: "wahs".into(), level: Level::FULL };
    assert_eq!(desk.ask(nobody), Err(Refusal::NoSuchMaster { master: "wahs".into() }));
}

#[test]
fn a_blackout_is_at_once_and_comes_back_to_where_the_show_is_by_then() {
    let mut desk = desk(TWO_LISTS);
    desk.go().go_on("over").run(1.0).tell(Command::Blackout { on: true });
    assert_eq!(desk.slots([1, 2, 15, 16, 18]), [0, 0, 0, 128, 128]);
    assert!(desk.glance().blackout);
    desk.run(1.0).tell(Command::Blackout { on: false });
    assert_eq!(desk.slots([1, 2, 15, 16, 18]), [51, 128, 255, 0, 255]);
    desk.tell(Command::Pause).tell(Command::Blackout { on: true });
    assert_eq!(desk.slots([1, 2]), [0, 0], "in a pause, too");
}

#[test]
fn what_is_parked_stays_whatever_cues_masters_and_blackouts_say_and_is_shown() {
    let mut desk = desk(TWO_LISTS);
    desk.park("one", Some(70.0)).park("head.blue", Some(10.0)).park("1/500", Some(100.0));
    desk.go().go_on("over").run(3.0).tell(Command::Blackout { on: true });
    assert_eq!(desk.slots([1, 2, 18, 500]), [179, 0, 26, 255]);
    assert_eq!(desk.glance().parked, ["one", "head.blue", "1/500"]);
    desk.tell(Command::Blackout { on: false }).tell(Command::Unpark { what: Some("one".into()) });
    assert_eq!(desk.slots([1, 18, 500]), [51, 26, 255], "where the show is by then");
    desk.tell(Command::Unpark { what: None });
    assert_eq!(desk.slots([18, 500]), [255, 0]);
    assert!(desk.glance().parked.is_empty());
    for nothing in ["nobody", "one.red", "7/1", "1/513", "1/"] {
        let park = Command::Park { what: nothing.into(), level: None };
        assert!(matches!(desk.ask(park), Err(Refusal::NothingToPark { .. })), "{nothing}");
    }
}

#[test]
fn a_fixture_parked_without_a_level_stays_where_it_stands() {
    let mut desk = desk(TWO_LISTS);
    desk.go().run(0.1).park("head", None).go_on("over").run(3.0);
    assert_eq!(desk.slots([11, 15, 16, 18]), [0x33, 255, 255, 0]);
}

const TIMES: &str = r##"
[[list]]
name = "main"
[[list.cue]]
number = 0.5
light = { levels = { head = { dimmer = 20 } } }
[[list.cue]]
number = 1
[list.cue.light]
levels = { dims = 100, head = { dimmer = 100, color = "#ff0000", pan = 100 } }
fade = { all = "1s", color = "4s", two = "2s" }
delay = { position = "3s", dims = "1s", one = "0s" }
curve = { position = "snap" }
[[list.cue]]
number = 2
light = { levels = { one = 50, two = 0, head = { dimmer = 50 } }, fade_in = "1s", fade_out = "4s" }
[[list.cue]]
number = 3
light = { levels = { one = 100, two = 100 }, fade_in = "1s", fade_out = "4s" }
"##;

#[test]
fn each_kind_of_attribute_group_and_fixture_has_its_own_fade_delay_and_curve() {
    let mut desk = desk(TIMES);
    desk.go().run(0.1).go().run(0.5);
    assert_eq!(desk.slots([1, 2, 11, 15, 16, 17]), [128, 0, 128, 153, 255, 223]);
    desk.run(1.5);
    assert_eq!(desk.slots([1, 2, 11, 15, 16, 17]), [255, 128, 128, 255, 255, 128]);
    desk.run(0.9);
    assert_eq!(desk.slot(11), 128);
    desk.run(0.2);
    assert_eq!(desk.slot(11), 255, "the head turns after its delay");
    assert_eq!(desk.glance().running.len(), 1, "the cue lasts until its last fade is over");
    desk.run(1.0);
    assert!(desk.glance().running.is_empty());
}

const MARKS: &str = r##"
[effects.blink]
wave = "strobe"
on = "head"
rate = 2
[[list]]
name = "main"
[[list.cue]]
number = 1
light = { levels = { par = { color = "#ff0000", dimmer = 100 }, head = { pan = 100, dimmer = 100, color = "#0000ff" } }, fade = "2s", delay = { par = "1s", position = "2s" } }
[[list.cue]]
number = 2
light = { levels = { par = { color = "#0000ff" }, head = { color = "#ff0000" } }, fade = "2s" }
[[list.cue]]
number = 3
light = { levels = { par = 0, head = 0 }, fade = "1s" }
[[list.cue]]
number = 4
light = { levels = { par = { color = "#00ff00" }, head = { color = "#00ff00", pan = 0 } }, fade = "8s" }
[[list.cue]]
number = 5
light = { effect = "blink", levels = { par = 100 } }
[[list.cue]]
number = 6
light = { levels = { head = { color = "#ffffff" } }, fade = "4s" }
"##;

#[test]
fn a_lamp_comes_up_from_dark_in_its_colour_and_one_that_is_seen_fades_to_it() {
    let mut desk = desk(MARKS);
    desk.go().run(1.0);
    assert_eq!(desk.slots([3, 4, 5, 15, 16, 18]), [0, 0, 0, 128, 0, 255]);
    desk.run(1.0);
    assert_eq!(desk.slots([3, 4, 5]), [128, 0, 0], "after its delay, too");
    desk.run(1.0);
    assert_eq!(desk.slots([3, 11]), [255, 191], "by then the head is seen, and turns in its time");
    desk.run(1.0).go().run(1.0);
    assert_eq!(desk.slots([3, 5, 15, 16, 18]), [128, 128, 255, 128, 128]);
    desk.run(1.0).go().run(1.0).go();
    assert_eq!(
        desk.slots([11, 15, 16, 17]),
        [0, 0, 0, 255],
        "what moves in the dark is there at once"
    );
    desk.go().run(0.1);
    assert_eq!(desk.slots([3, 4, 5]), [0, 255, 0]);
    desk.run(0.3);
    assert_eq!(desk.slot(15), 0);
    desk.go().run(2.1);
    assert_eq!(desk.slots([15, 17, 18]), [255, 255, 134], "between two flashes it is not dark");
}

#[test]
fn a_lamp_without_a_dimmer_is_chased_faded_released_and_blacked_out_by_its_virtual_one() {
    let mut desk = desk(
        "[effects.run]\nwave = \"chase\"\non = [\"par\", \"one\"]\n[[list]]\nname = \"main\"\nrelease_time = \"1s\"\n\
         [[list.cue]]\nnumber = 1\nlight = { effect = \"run\", levels = { par = { color = \"#ff0000\" } } }\n\
         [[list.cue]]\nnumber = 2\nlight = { levels = { par = 80 }, fade = \"1s\" }\n",
    );
    desk.go().run(0.25);
    assert_eq!(desk.slots([1, 3, 4]), [0, 255, 0]);
    desk.run(0.5);
    assert_eq!(desk.slots([1, 3, 4]), [255, 0, 0]);
    desk.go().run(1.0);
    assert_eq!(desk.slot(3), 204);
    desk.tell(Command::Blackout { on: true });
    assert_eq!(desk.slot(3), 0);
    desk.tell(Command::Blackout { on: false }).release("main").run(0.5);
    assert_eq!(desk.slots([3, 4]), [102, 51], "dimmer and colour go to their rest");
}

#[test]
fn intensities_that_rise_and_that_fall_have_their_own_times() {
    let mut desk = desk(TIMES);
    desk.go().go().run(5.0).go().run(1.0);
    assert_eq!(desk.slots([1, 2]), [223, 191], "a quarter of the way down");
    desk.run(3.0).go().run(0.5);
    assert_eq!(desk.slots([1, 2]), [191, 128], "half of the way up");
}

#[test]
fn what_a_cue_had_still_to_come_falls_away_when_the_next_takes_it() {
    let mut desk = desk(
        "[[list]]\nname = \"main\"\n[[list.cue]]\nnumber = 1\nlight = { levels = { one = 100 }, delay = \"5s\" }\n\
         [[list.cue]]\nnumber = 2\nlight = { levels = { one = 20 } }\n",
    );
    desk.go().run(1.0).go().run(10.0);
    assert_eq!(desk.slot(1), 51);
}

const TRACKING: &str = r##"
[[list]]
name = "main"
[[list.cue]]
number = 1
light = { levels = { one = 40, head = { pan = 20 } } }
[[list.cue]]
number = 2
light = { levels = { two = 60 } }
[[list.cue]]
number = 3
light = { levels = { par = 100 }, block = true, fade = "1s" }
[[list.cue]]
number = 4
light = { levels = { two = 10 }, fade = "2s" }
[[list.cue]]
number = 5
light = { assert = true }
"##;

fn goto(number: &str) -> Command {
    Command::Goto { cue: number.parse().expect("a number") }
}

#[test]
fn goto_changes_nothing_and_the_go_after_it_shows_what_tracks_into_the_cue() {
    let mut desk = desk(TRACKING);
    desk.tell(goto("2"));
    assert_eq!(desk.slots([1, 2, 11]), [0, 0, 128]);
    desk.go().run(0.1);
    assert_eq!(desk.slots([1, 2, 11]), [102, 153, 0x33], "as if cue 1 had been");
    let fire = Command::Fire { cue: "4".parse().expect("a number") };
    desk.tell(fire).run(2.0);
    assert_eq!(desk.slots([1, 2, 3]), [102, 26, 0], "fire brings what the cue names, no more");
}

#[test]
fn nothing_tracks_through_a_cue_that_blocks() {
    let mut desk = desk(TRACKING);
    desk.go().go().run(0.1).go().run(0.5);
    assert_eq!(desk.slots([1, 2, 3]), [51, 77, 128], "in the time of the cue");
    desk.run(0.5);
    assert_eq!(desk.slots([1, 2, 3, 11]), [0, 0, 255, 128]);
    desk.tell(goto("1")).go().run(0.1).tell(goto("4")).go().run(2.0);
    assert_eq!(desk.slots([1, 2, 3, 11]), [0, 26, 255, 128], "whichever way one comes");
}

#[test]
fn a_cue_that_asserts_takes_back_what_its_list_had() {
    let other = "\n[[list]]\nname = \"other\"\n[[list.cue]]\nnumber = 9\nlight = { levels = { head = { pan = 90 } } }\n";
    let mut desk = desk(&format!("{TRACKING}{other}"));
    desk.go().go().go().go().run(2.0).go_on("other").run(0.1);
    assert_eq!(desk.slot(11), 230);
    desk.go().run(0.1);
    assert_eq!(desk.slots([2, 3, 11]), [26, 255, 128]);
}

#[test]
fn a_cue_that_hangs_follows_its_last_fade_and_one_that_continues_its_beginning() {
    let mut desk = desk(
        "[[list]]\nname = \"main\"\n\
         [[list.cue]]\nnumber = 1\nlight = { levels = { one = 100 }, fade = { all = \"1s\" }, delay = \"1s\" }\ncontinue = \"auto-follow\"\npost_wait = \"3s\"\n\
         [[list.cue]]\nnumber = 2\nlight = { levels = { two = 100 } }\ncontinue = \"auto-continue\"\npost_wait = \"1s\"\n\
         [[list.cue]]\nnumber = 3\nlight = { levels = { two = 0 } }\n",
    );
    desk.go().run(4.9);
    assert_eq!(desk.slots([1, 2]), [255, 0]);
    desk.run(0.2);
    assert_eq!(desk.slot(2), 255);
    desk.run(1.0);
    assert_eq!(desk.slot(2), 0);
}

const PALETTES: &str = r##"
[palettes.sunset]
color = "#ff8000"
[palettes.centre]
head = { pan = 30, tilt = 40 }
[looks.evening]
par = { palette = "sunset", dimmer = 50 }
head = { palette = ["sunset", "centre"], tilt = 80, dimmer = 100 }
[[list]]
name = "main"
[[list.cue]]
number = 1
light = { look = "evening" }
"##;

#[test]
fn a_look_uses_palettes_and_changes_with_them() {
    let mut before = desk(PALETTES);
    before.go().run(0.1);
    assert_eq!(before.slots([3, 4, 11, 13, 16, 17]), [128, 64, 76, 204, 255, 128]);
    let mut after = desk(&PALETTES.replace("#ff8000", "#0080ff").replace("pan = 30", "pan = 70"));
    after.go().run(0.1);
    assert_eq!(after.slots([3, 4, 5, 11, 16, 18]), [0, 64, 128, 179, 0, 255]);
}

const EFFECTS: &str = r##"
[effects.breathe]
wave = "sine"
on = "dims"
rate = 0.25
size = 80
offset = 10
spread = 50
[effects.run]
wave = "chase"
on = ["two", "one"]
[effects.hue]
wave = "rainbow"
on = ["par"]
rate = 0.1
[effects.nod]
wave = "points"
on = "head"
attribute = "tilt"
rate = 0.5
points = [0, 100]
size = 50
[[list]]
name = "main"
[[list.cue]]
number = 1
light = { effect = "breathe", fade = "4s" }
[[list.cue]]
number = 2
light = { levels = { par = 100 }, effect = ["run", "hue", "nod"] }
[[list.cue]]
number = 3
light = { levels = { one = 100, two = 100, par = { dimmer = 60, color = "#0000ff" }, head = { tilt = 0 } }, fade = "1s" }
"##;

#[test]
fn a_sine_breathes_between_its_levels_spread_over_its_group_and_comes_in_with_the_fade() {
    let mut desk = desk(EFFECTS);
    desk.go().run(2.0);
    // Half of the fade: half of (10 + 80) percent, and of (10 + 40) percent.
    assert_eq!(desk.slots([1, 2]), [115, 64]);
    desk.run(2.0);
    assert_eq!(desk.slots([1, 2]), [26, 128]);
    desk.run(3.0);
    assert_eq!(desk.slots([1, 2]), [128, 230]);
}

#[test]
fn a_chase_a_rainbow_and_a_wave_of_points_go_round_until_a_cue_takes_their_lanes() {
    let mut desk = desk(EFFECTS);
    desk.go().go().run(0.25);
    assert_eq!(desk.slots([1, 2]), [0, 255], "in the order in which the effect names them");
    desk.run(0.5);
    assert_eq!(desk.slots([1, 2]), [255, 0]);
    assert_eq!(desk.slot(13), 96, "three eighths of half");
    desk.run(0.25);
    assert_eq!(desk.slots([3, 4, 5]), [255, 153, 0], "a tenth of the round: orange");
    desk.go().run(0.5);
    assert_eq!(desk.slots([1, 2]), [128, 255], "the fade begins where the effect stood");
    assert_eq!(desk.slots([3, 4, 5]), [102, 61, 102], "and the dimmer where it was");
    desk.run(0.5);
    assert_eq!(desk.slots([1, 2, 3, 4, 5]), [255, 255, 0, 0, 153]);
}

#[test]
fn a_pause_holds_an_effect_and_a_stop_ends_it_where_it_is() {
    let mut desk = desk(EFFECTS);
    desk.go().go().run(0.4).tell(Command::Pause).run(7.3);
    let stood = desk.slots([1, 2, 3, 4, 5, 13]);
    desk.tell(Command::Resume);
    assert_eq!(desk.slots([1, 2, 3, 4, 5, 13]), stood);
    desk.run(0.35);
    assert_eq!(desk.slots([1, 2]), [255, 0], "and it goes on from there");
    desk.tell(Command::Stop);
    let stood = desk.slots([1, 2, 3, 4, 5, 13]);
    desk.run(9.0);
    assert_eq!(desk.slots([1, 2, 3, 4, 5, 13]), stood);
}

#[test]
fn s09_who_looks_blindly_sees_a_cue_that_never_goes_live() {
    let mut desk = desk(TRACKING);
    let cue = |number: &str| Some(number.parse().expect("a number"));
    desk.go().run(0.1).tell(Command::Blind { cue: cue("4") });
    let mut slots = [0; Universe::SLOTS];
    render(&desk.plan.blind[0], desk.now, &mut slots);
    assert_eq!((slots[0], slots[1], slots[2]), (0, 26, 255), "with what tracks into it");
    assert_eq!(desk.slots([1, 2, 3]), [102, 0, 0], "and the stage stays as it is");
    assert_eq!(desk.glance().blind, cue("4"));
    desk.tell(Command::Blind { cue: None });
    assert!(desk.plan.blind.is_empty());
    assert!(matches!(desk.ask(Command::Blind { cue: cue("77") }), Err(Refusal::NoSuchCue { .. })));
}

#[test]
fn for_hours_of_every_kind_of_cue_no_slot_steps_further_than_its_fade_allows_on_either_of_two_boxes()
 {
    for (seed, secs) in [(0, 1_200), (1, 1_200), (2, 1_200), (3, 1_200), (6, 3_600)] {
        let mut day = LightDay::begin(seed);
        day.run(Span::from_secs(secs));
        let report = day.report();
        assert!(report.worst_step <= STEP_ALLOWED, "seed {seed}: {report:?}");
        assert!(report.moving > report.frames / 4, "seed {seed}: {report:?}");
        assert!(report.filmed > 0 && report.taped > 0, "seed {seed}: {report:?}");
        assert_eq!(report.differing, 0, "seed {seed}: {report:?}");
    }
}
