//! Cue lists: GO, standby, chains, leads, stop, pause, panic, receipts.

use engine::order::{Evidence, Output};
use engine::show::Air;
use engine::told::{Command, Effect, FrameReport, Input, Refusal, Request, Said};
use engine::{Engine, EngineStart};
use proptest::prelude::*;
use sim::Event;
use units::{CommandId, PhoneId, ShowTime, Span, TrackId};

use crate::stage::{Stage, number, show, stage};

const TWO_CUES: &str = r#"
[[list.cue]]
number = 1
light = { look = "bright", fade = "2s" }
[[list.cue]]
number = 2
light = { levels = { one = 0 }, fade = "0s" }
"#;

#[test]
fn the_first_cue_stands_by_and_nothing_is_fired() {
    let mut stage = stage(TWO_CUES);
    stage.run(3.0);
    assert_eq!(stage.standby(), Some(number("1")));
    assert!(stage.fired().is_empty());
    assert_eq!(stage.slot(1), Some(0));
}

#[test]
fn go_fades_the_look_in_and_moves_standby() {
    let mut stage = stage(TWO_CUES);
    let done = stage.go().expect("cue 1 is on standby");
    assert_eq!((done.fired, done.standby), (Some(number("1")), Some(number("2"))));
    stage.run(1.0);
    let half = stage.slot(1).expect("frames came");
    assert!((125..=128).contains(&half), "half way up the fade, not {half}");
    stage.run(1.1);
    assert_eq!((stage.slot(1), stage.slot(2)), (Some(255), Some(128)));
    assert!(stage.running().is_empty());
}

#[test]
fn a_cue_that_is_fired_ahead_of_its_time_is_said_to_begin_when_it_does() {
    let mut stage = stage(
        r#"
[[list.cue]]
number = 1
light = { look = "bright" }
continue = "auto-continue"
post_wait = "3s"
[[list.cue]]
number = 2
phones = { track = "track_001" }
[[list.cue]]
number = 3
light = { look = "bright" }
pre_wait = "2s"
[[list.cue]]
number = 4
light = { look = "bright" }
pre_wait = "2s"
"#,
    );
    let at = |cue: &str, seconds: f64| (cue.to_owned(), seconds);
    stage.go().expect("cue 1");
    assert_eq!(stage.began(), [at("1", 0.0)], "light begins at once");
    stage.run(2.9);
    assert_eq!((stage.fired().len(), stage.began().len()), (2, 1), "phones have been told");
    stage.run(1.1);
    assert_eq!(stage.began()[1..], [at("2", 3.0)]);
    stage.go().expect("cue 3");
    stage.run(1.0);
    stage.command(Command::Pause).expect("it runs");
    stage.run(7.0);
    stage.command(Command::Resume).expect("it is paused");
    stage.run(3.0);
    assert_eq!(stage.began()[2..], [at("3", 13.0)], "a pause holds it");
    stage.go().expect("cue 4");
    stage.run(1.0);
    stage.command(Command::Stop).expect("always");
    stage.run(5.0);
    assert_eq!(stage.began().len(), 3, "cue 4 never began");
}

#[test]
fn ca02_a_show_runs_from_its_first_cue_through_every_silence_to_the_end_of_its_last() {
    let mut stage = stage(TWO_CUES);
    stage.run(3.0);
    assert!(!stage.world.show_runs());
    stage.go().expect("cue 1");
    stage.run(60.0);
    assert!(stage.running().is_empty() && stage.world.show_runs(), "it waits for GO");
    stage.go().expect("cue 2");
    stage.run(1.0);
    assert!(!stage.world.show_runs(), "nothing runs, and the list is at its end");
    stage.command(Command::Fire { cue: number("1") }).expect("it exists");
    assert!(stage.world.show_runs(), "a cue that is asked for begins it anew");
    stage.command(Command::Goto { cue: number("1") }).expect("it exists");
    stage.run(1.0);
    assert!(stage.world.show_runs(), "its fade takes two seconds");
    stage.run(1.5);
    assert!(!stage.world.show_runs(), "nothing runs, and the first cue is on standby");
}

#[test]
fn ca02_a_show_that_is_stopped_or_panics_runs_until_it_has_faded_out() {
    for (command, still) in [(Command::Stop, 0.02), (Command::Panic, 0.9)] {
        let mut stage = stage(TWO_CUES);
        stage.go().expect("cue 1");
        stage.run(0.5);
        stage.command(Command::Pause).expect("it runs");
        stage.run(5.0);
        assert!(stage.world.show_runs(), "a pause is no end");
        stage.command(command.clone()).expect("always");
        stage.run(still);
        assert!(stage.world.show_runs(), "{command:?} fades");
        stage.run(1.5);
        assert!(!stage.world.show_runs(), "{command:?} is through");
        stage.command(Command::Fire { cue: number("1") }).expect("it exists");
        assert!(stage.world.show_runs(), "the next cue begins it anew");
    }
}

#[test]
fn ca02_a_show_runs_while_a_cue_is_to_come_by_itself() {
    let mut stage = stage(
        r#"
[[list.cue]]
number = 1
continue = "auto-continue"
post_wait = "5s"
[[list.cue]]
number = 2
"#,
    );
    stage.go().expect("cue 1");
    stage.run(4.5);
    assert!(stage.running().is_empty() && stage.world.show_runs());
    stage.run(1.0);
    assert!(!stage.world.show_runs());
}

#[test]
fn with_nothing_to_do_go_and_back_do_nothing_and_say_so() {
    let mut stage = stage(TWO_CUES);
    stage.go().expect("cue 1");
    stage.go().expect("cue 2");
    let done = stage.go().expect("nothing to do is no mistake");
    assert_eq!((done.fired, done.standby), (None, None));
    assert!(done.said.contains("`main` is at its end"), "{}", done.said);
    stage.command(Command::Back { list: None }).expect("back to cue 2");
    assert_eq!(stage.standby(), Some(number("2")));
    stage.command(Command::Goto { cue: number("1") }).expect("cue 1 exists");
    stage.command(Command::Back { list: None }).expect("nothing to do is no mistake");
    assert_eq!(stage.standby(), Some(number("1")));
    assert_eq!(stage.fired().len(), 2, "neither back nor goto fires anything");
}

/// An engine without a world.
fn bare(cues: &str) -> Engine {
    let start = EngineStart { now: ShowTime::ZERO, tai_utc: Span::ZERO, chance: 1 };
    Engine::new(show(cues), start)
}

fn ask(engine: &mut Engine, id: &str, command: Command) {
    let request = Request { id: CommandId(id.to_owned()), command, from: "desk".to_owned() };
    engine.command(ShowTime::ZERO, &request).expect("it can be done");
}

#[test]
fn sx11_a_film_that_is_shown_without_its_sound_stays_on_air_and_the_story_says_why_it_is_mute() {
    let on_cue = format!("{TWO_CUES}[[list.cue]]\nnumber = 3\nair = \"track_001\"\n");
    let by_hand = Command::Air { what: Some("track_001".to_owned()) };
    for (id, command) in [("hand", by_hand), ("cue", Command::Fire { cue: number("3") })] {
        let mut engine = bare(&on_cue);
        let muted = |engine: &mut Engine| -> Vec<(String, String)> {
            let (what, why) = (Air::Track(TrackId("track_001".into())), "it has none".to_owned());
            engine.handle(ShowTime::ZERO, Input::WithoutSound { what, why });
            let effects = std::iter::from_fn(|| engine.poll());
            let told = effects.filter_map(|it| match it {
                Effect::Said(Said::WithoutSound { what, why }) => Some((what, why)),
                _ => None,
            });
            told.collect()
        };
        assert_eq!(muted(&mut engine), [], "nobody asked for it");
        ask(&mut engine, id, command);
        assert_eq!(muted(&mut engine), [("track_001".to_owned(), "it has none".to_owned())]);
        let on_air = engine.glance(ShowTime::ZERO).on_air;
        assert_eq!(on_air.as_deref(), Some("track_001"), "by {id}: it is seen all the same");
        ask(&mut engine, "since", Command::Air { what: Some("tone".to_owned()) });
        assert_eq!(muted(&mut engine), [], "by {id}: what is on air now is heard");
    }
}

#[test]
fn a_frame_drawn_from_an_older_plan_is_no_receipt() {
    let mut engine = bare(TWO_CUES);
    ask(&mut engine, "1", Command::Go { list: None });
    let mut plans = Vec::new();
    let mut receipts = |engine: &mut Engine| {
        let effects: Vec<Effect> = std::iter::from_fn(|| engine.poll()).collect();
        plans.extend(effects.iter().filter_map(|it| match it {
            Effect::Light(plan) => Some(plan.serial),
            _ => None,
        }));
        let receipts = effects.iter().filter(|it| matches!(it, Effect::Received(_))).count();
        (receipts, plans.clone())
    };
    let (_, plans) = receipts(&mut engine);
    let [before, after] = plans[..] else {
        panic!("one plan at the start, one for the GO: {plans:?}")
    };
    let frame = |plan, ms| {
        let instant = ShowTime::ZERO + Span::from_millis(ms);
        Input::LightFrame(FrameReport {
            instant,
            plan,
            left: instant,
            evidence: Evidence::KernelTransmit,
        })
    };
    engine.handle(ShowTime::ZERO + Span::from_millis(1), frame(before, 1));
    assert_eq!(receipts(&mut engine).0, 0, "this frame was drawn before the GO was known");
    engine.handle(ShowTime::ZERO + Span::from_millis(24), frame(after, 24));
    assert_eq!(receipts(&mut engine).0, 1);
}

#[test]
fn a_command_sent_twice_is_done_once() {
    let mut stage = stage(TWO_CUES);
    let request = Request {
        id: CommandId("a1".to_owned()),
        command: Command::Go { list: None },
        from: "phone".to_owned(),
    };
    let first = stage.world.request(&request);
    let again = stage.world.request(&request);
    assert_eq!(first, again);
    assert_eq!(stage.fired().len(), 1);
}

#[test]
fn fire_moves_standby_behind_the_cue_and_a_wrong_number_is_refused() {
    let mut stage = stage(TWO_CUES);
    stage.command(Command::Fire { cue: number("2") }).expect("cue 2 exists");
    assert_eq!(stage.standby(), None);
    assert_eq!(
        stage.command(Command::Fire { cue: number("9") }),
        Err(Refusal::NoSuchCue { cue: number("9") })
    );
}

#[test]
fn a_slot_of_a_console_fires_its_cue_and_is_refused_while_paused() {
    let trigger =
        "[inputs.desk]\nuniverse = 101\n[[trigger]]\ninput = \"desk\"\nslot = 1\nfires = 2\n";
    let mut stage = stage(&format!("{TWO_CUES}{trigger}"));
    stage.world.tell(Input::Crossed { trigger: 0 });
    assert_eq!(stage.fired(), [("2".to_owned(), 0.0)]);
    let by =
        |event: &Event| matches!(event, Event::Said(Said::Fired { by, .. }) if by == "input desk");
    assert!(stage.world.story.iter().any(|it| by(&it.event)), "the story says who");
    stage.command(Command::Pause).expect("it can be paused");
    stage.world.tell(Input::Crossed { trigger: 0 });
    stage.world.tell(Input::Crossed { trigger: 7 });
    assert_eq!(stage.fired().len(), 1, "and one that is not in the show is none");
}

#[test]
fn auto_continue_comes_after_its_post_wait_and_auto_follow_after_the_end() {
    let mut stage = stage(
        r#"
[[list.cue]]
number = 1
light = { levels = { one = 100 }, fade = "2s" }
continue = "auto-continue"
post_wait = "1s"
[[list.cue]]
number = 2
light = { levels = { two = 100 }, fade = "3s" }
continue = "auto-follow"
[[list.cue]]
number = 3
light = { levels = { three = 100 }, fade = "0s" }
[[list.cue]]
number = 4
light = { levels = { three = 0 } }
"#,
    );
    stage.go().expect("cue 1");
    assert_eq!(stage.standby(), Some(number("4")), "standby waits behind the chain");
    stage.run(10.0);
    let lights: Vec<f64> = stage.ordered(Output::Light).into_iter().map(|(_, at)| at).collect();
    assert_eq!(lights, [0.0, 1.0, 4.0]);
}

#[test]
fn a_hand_that_moves_on_takes_the_list_out_of_its_chain() {
    let mut stage = stage(
        r#"
[[list.cue]]
number = 1
light = { levels = { one = 100 }, fade = "1s" }
continue = "auto-continue"
post_wait = "5s"
[[list.cue]]
number = 2
light = { levels = { one = 20 }, fade = "1s" }
[[list.cue]]
number = 3
light = { levels = { one = 60 }, fade = "1s" }
"#,
    );
    stage.go().expect("cue 1");
    stage.run(2.0);
    stage.go().expect("cue 3, behind the chain");
    stage.run(10.0);
    let fired: Vec<String> = stage.fired().into_iter().map(|(cue, _)| cue).collect();
    assert_eq!(fired, ["1", "3"]);
}

#[test]
fn a_pre_wait_delays_the_outputs_and_not_the_standby() {
    let mut stage = stage(
        r#"
[[list.cue]]
number = 1
pre_wait = "5s"
light = { levels = { one = 100 }, fade = "0s" }
"#,
    );
    stage.go().expect("cue 1");
    stage.run(4.99);
    assert_eq!(stage.slot(1), Some(0));
    stage.run(0.1);
    assert_eq!(stage.slot(1), Some(255));
}

#[test]
fn together_waits_for_the_longest_lead_and_now_for_nobody() {
    let cue = |start: &str| {
        format!(
            r##"
[[list.cue]]
number = 1
start = "{start}"
light = {{ levels = {{ one = 100 }}, fade = "0s" }}
sound = {{ file = "audio/piece.wav" }}
phones = {{ color = "#ff0000" }}
"##
        )
    };
    let begins = |stage: &Stage| {
        let first = |output| stage.ordered(output).first().expect("one order").1;
        (first(Output::Light), first(Output::Sound), first(Output::Phones))
    };
    let mut together = stage(&cue("together"));
    together.go().expect("cue 1");
    together.run(1.0);
    assert_eq!(begins(&together), (0.4, 0.4, 0.4));
    let mut now = stage(&cue("now"));
    now.go().expect("cue 1");
    now.run(1.0);
    assert_eq!(begins(&now), (0.0, 0.06, 0.4));
}

/// A cue of every slot of `universes`, and one that follows it.
fn walls(universes: usize) -> String {
    let slots: Vec<String> = (1..=512).map(|it| format!("\"s{it}\"")).collect();
    let names: Vec<String> = (2..universes + 2).map(|it| format!("\"wall{it}\"")).collect();
    let wall =
        |it| format!("[fixtures.wall{it}]\nprofile = \"wall\"\nuniverse = {it}\naddress = 1\n");
    let walls: String = (2..universes + 2).map(wall).collect();
    let levels: String = (1..=512).map(|it| format!("s{it} = 100\n")).collect();
    format!(
        r#"
[[list.cue]]
number = 1
light = {{ look = "up", fade = "1s" }}
continue = "auto-follow"
[[list.cue]]
number = 2
light = {{ look = "up", fade = "1s" }}
[profiles.wall]
channels = [{}]
[groups]
walls = [{}]
{walls}
[looks.up.walls]
{levels}"#,
        slots.join(", "),
        names.join(", ")
    )
}

#[test]
fn light_of_hundreds_of_universes_begins_when_it_is_drawn_up_and_follows_on_time() {
    for (universes, need) in [(2, 0.0), (120, 120.0 * 512.0 * 400e-9)] {
        let mut stage = stage(&walls(universes));
        stage.go().expect("cue 1");
        stage.run(2.0);
        let begins: Vec<f64> = stage.ordered(Output::Light).into_iter().map(|it| it.1).collect();
        assert_eq!(begins.len(), 2);
        for (begins, wanted) in begins.iter().zip([need, need + 1.0]) {
            assert!((begins - wanted).abs() < 1e-6, "{universes} universes: {begins}");
        }
    }
}

#[test]
fn a_cue_that_follows_begins_on_time_though_phones_need_their_lead() {
    let mut stage = stage(
        r#"
[[list.cue]]
number = 1
light = { levels = { one = 100 }, fade = "2s" }
continue = "auto-follow"
[[list.cue]]
number = 2
phones = { track = "track_001" }
light = { levels = { two = 100 }, fade = "0s" }
"#,
    );
    stage.go().expect("cue 1");
    stage.run(5.0);
    assert_eq!(stage.wire_seconds(stage.plays()[0].start_at), 2.0);
    assert_eq!(stage.ordered(Output::Light)[1].1, 2.0);
}

#[test]
fn a_cue_that_cuts_in_just_before_another_begins_does_not_swallow_it() {
    let mut stage = stage(
        r##"
[[list.cue]]
number = 1
start = "together"
light = { levels = { one = 100 }, fade = "1s" }
phones = { color = "#ff0000" }
[[list.cue]]
number = 2
light = { levels = { one = 20 }, fade = "0s" }
"##,
    );
    stage.go().expect("cue 1");
    stage.run(0.37);
    stage.go().expect("cue 2");
    stage.run(0.025);
    assert_eq!(stage.slot(1), Some(51));
    stage.run(0.505);
    let half = stage.slot(1).expect("frames came");
    assert!((145..=158).contains(&half), "half way from 20 to 100 %, not {half}");
    stage.run(0.6);
    assert_eq!(stage.slot(1), Some(255));
}

#[test]
fn a_time_of_day_fires_the_cue_on_standby_and_no_other() {
    // The story begins at 2026-09-21 14:13:20 TAI; the hall keeps UTC.
    let mut stage = stage(
        r#"
[[list.cue]]
number = 1
at = "14:13:30"
light = { levels = { one = 100 }, fade = "0s" }
[[list.cue]]
number = 2
light = { levels = { two = 100 } }
"#,
    );
    let begin = -(stage.start.ns() - engine::clock::TAI_UTC.ns()).rem_euclid(86_400_000_000_000);
    let due = (14 * 3600 + 13 * 60 + 30) as f64 + begin as f64 / 1e9;
    let due = if due < 0.0 { due + 86_400.0 } else { due };
    stage.run(due + 0.1);
    assert_eq!(stage.slot(1), Some(255));
    let (_, at) = stage.ordered(Output::Light)[0].clone();
    assert!((at - due).abs() < 1e-3, "{at} is not {due}");
    stage.run(90_000.0);
    assert_eq!(stage.fired().len(), 1);
}

#[test]
fn stop_freezes_light_where_it_is_and_ends_every_cue() {
    let mut stage = stage(TWO_CUES);
    stage.go().expect("cue 1");
    stage.run(1.0);
    stage.command(Command::Stop).expect("never refused");
    stage.run(0.1);
    let stopped = stage.slot(1);
    stage.run(5.0);
    assert_eq!(stage.slot(1), stopped);
    assert!(stage.running().is_empty());
}

#[test]
fn pause_holds_the_fade_and_resume_finishes_it() {
    let mut stage = stage(TWO_CUES);
    stage.go().expect("cue 1");
    stage.run(1.0);
    stage.command(Command::Pause).expect("never refused");
    stage.run(7.0);
    let held = stage.slot(1).expect("frames came");
    assert!((125..=129).contains(&held), "{held}");
    assert_eq!(stage.go(), Err(Refusal::Paused));
    stage.command(Command::Resume).expect("never refused");
    stage.run(0.9);
    assert_eq!(stage.running(), ["1"]);
    stage.run(0.2);
    assert_eq!(stage.slot(1), Some(255));
    assert!(stage.running().is_empty());
}

#[test]
fn phones_go_on_after_a_pause_where_they_were() {
    let mut stage = stage(
        r#"
[[list.cue]]
number = 1
phones = { track = "track_001", fade_in = "1s" }
"#,
    );
    stage.go().expect("cue 1");
    stage.run(3.0);
    stage.command(Command::Pause).expect("never refused");
    stage.run(5.0);
    stage.command(Command::Resume).expect("never refused");
    stage.run(1.0);
    let resumed = stage.plays()[1].clone();
    assert_eq!(stage.wire_seconds(resumed.start_at), 8.4);
    assert_eq!(resumed.params.position_ms, 3000.0);
    assert_eq!(resumed.params.fade_in_ms, 0);
}

#[test]
fn sx10_cues_begin_within_a_track_move_within_it_and_load_and_unload_it() {
    let mut stage = stage(
        r#"
[[list.cue]]
number = 1
phones = { track = "track_001", start_at = "4s" }

[[list.cue]]
number = 2
phones = { track = "track_001", start_at = "2s", loop = "forever" }

[[list.cue]]
number = 3
phones = { unload = "track_001" }

[[list.cue]]
number = 4
phones = { load = ["track_001"] }
"#,
    );
    for _ in 0..4 {
        stage.go().expect("a cue");
        stage.run(2.0);
    }
    let said = stage.media_controls();
    let said: Vec<_> = said.iter().map(|it| (it.action, it.params.position_ms)).collect();
    use wire::solusync::MediaAction::{Load, Play, Unload};
    assert_eq!(said, [(Play, 4_000.0), (Play, 2_000.0), (Unload, 0.0), (Load, 0.0)]);
    assert!(stage.screens().is_empty(), "nothing was said of screens");
}

#[test]
fn panic_fades_everything_out_even_while_paused() {
    for paused in [false, true] {
        let mut stage = stage(TWO_CUES);
        stage.go().expect("cue 1");
        stage.run(3.0);
        if paused {
            stage.command(Command::Pause).expect("never refused");
            stage.run(1.0);
        }
        stage.command(Command::Panic).expect("never refused");
        stage.run(0.5);
        let half = stage.slot(1).expect("frames came");
        assert!((120..=135).contains(&half), "half way out, not {half}");
        stage.run(0.6);
        assert_eq!((stage.slot(1), stage.slot(2)), (Some(0), Some(0)));
        let dark = stage.screens().pop().expect("phones are told");
        assert_eq!(
            (dark.color.map(|it| it.to_string()), dark.fade_ms),
            (Some("#000000".to_owned()), 1000)
        );
    }
}

#[test]
fn a_stop_cue_ends_another_before_it_began() {
    let mut stage = stage(
        r#"
[[list.cue]]
number = 1
pre_wait = "4s"
light = { levels = { one = 100 }, fade = "0s" }
[[list.cue]]
number = 2
stop = 1
"#,
    );
    stage.go().expect("cue 1");
    stage.run(1.0);
    stage.go().expect("cue 2");
    stage.run(9.0);
    assert_eq!(stage.slot(1), Some(0));
    assert!(stage.running().is_empty());
}

#[test]
fn every_light_order_gets_a_receipt_within_a_frame() {
    let mut stage = stage(TWO_CUES);
    stage.run(0.5);
    stage.go().expect("cue 1");
    stage.run(0.7);
    stage.go().expect("cue 2");
    stage.run(1.0);
    let receipts = stage.receipts();
    assert_eq!(receipts.len(), 2);
    for receipt in receipts {
        let late = receipt.late().expect("light knows");
        assert!(late >= Span::ZERO && late <= engine::light::GRID, "{late}");
        assert_eq!(receipt.evidence, Evidence::Simulated);
    }
}

#[test]
fn an_order_nobody_reports_on_is_unknown_and_not_on_time() {
    let mut stage = stage(
        r##"
[[list.cue]]
number = 1
phones = { color = "#00ff00" }
"##,
    );
    stage.go().expect("cue 1");
    stage.run(3.0);
    let receipt = stage.receipts().pop().expect("its time is over");
    assert_eq!((receipt.happened, receipt.evidence, receipt.count), (None, Evidence::None, 0));
}

#[test]
fn a_phone_that_joins_late_hears_what_plays_and_sees_what_shows() {
    let mut stage = stage(
        r##"
[[list.cue]]
number = 1
phones = { track = "track_001", color = "#ff0000", fade = "4s", text = "hello" }
"##,
    );
    stage.go().expect("cue 1");
    stage.run(2.0);
    let told = stage.world.story.len();
    stage.world.phone_joins(PhoneId(9));
    stage.world.story.drain(..told);
    let (play, screen) = (stage.plays().remove(0), stage.screens().remove(0));
    assert_eq!(stage.wire_seconds(play.start_at), 0.4, "be where you would be, had you been there");
    assert_eq!((stage.wire_seconds(screen.start_at), screen.fade_ms), (0.4, 4000));
    assert_eq!(screen.text.as_deref(), Some("hello"));
    stage.run(9.0);
    let told = stage.world.story.len();
    stage.world.phone_joins(PhoneId(10));
    stage.world.story.drain(..told);
    assert!(stage.plays().is_empty(), "the track is over");
    assert_eq!(stage.screens().len(), 1, "the colour is not");
}

#[test]
fn a_colour_that_cuts_into_a_fade_begins_where_the_fade_was() {
    let mut stage = stage(
        r##"
[[list.cue]]
number = 1
phones = { color = "#ff0000", fade = "4s" }
[[list.cue]]
number = 2
phones = { color = "#0000ff", fade = "1s" }
"##,
    );
    stage.go().expect("cue 1");
    stage.run(2.0);
    stage.go().expect("cue 2");
    let cut = stage.screens().remove(1);
    assert_eq!(cut.from_color.map(|it| it.to_string()), Some("#800000".to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever operators press, the engine keeps its promises: it never panics, wakes in the future, and light
    /// never jumps while nothing snaps.
    #[test]
    fn whatever_is_pressed_light_never_jumps(presses in prop::collection::vec((0_u8..9, 0_u32..3000), 1..40)) {
        let mut stage = stage(r#"
[[list.cue]]
number = 1
light = { levels = { one = 100 }, fade = "2s" }
continue = "auto-continue"
post_wait = "2s"
[[list.cue]]
number = 2
light = { levels = { one = 20, two = 70 }, fade = "3s", curve = "s" }
sound = { file = "audio/piece.wav", loop = "forever" }
[[list.cue]]
number = 3
light = { levels = { one = 60 }, fade = "1s" }
stop = [{ cue = 2, fade = "1s" }]
phones = { track = "track_001" }
"#);
        stage.world.tell(Input::SoundLead(Span::from_millis(80)));
        stage.run(0.1);
        let mut before = stage.slot(1);
        for (press, wait_ms) in presses {
            let command = match press {
                0..=2 => Command::Go { list: None },
                3 => Command::Back { list: None },
                4 => Command::Stop,
                5 => Command::Pause,
                6 => Command::Resume,
                7 => Command::Fire { cue: number("3") },
                _ => Command::Panic,
            };
            let _ = stage.command(command);
            // One frame at a time: the steepest fade here is a panic, full to out in one second.
            for _ in 0..=wait_ms / 23 {
                stage.run(0.023);
                let now = stage.slot(1);
                let step = before.zip(now).map_or(0, |(before, now)| before.abs_diff(now));
                prop_assert!(step <= 7, "a jump of {step}");
                before = now;
            }
        }
    }
}
