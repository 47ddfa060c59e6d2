//! Stories of keys that are pressed over Art-Net, from outside and by cues.

use engine::order::{Evidence, Output, What};
use engine::show::ArtnetKey;
use engine::told::{Command, Input, Said};
use sim::Event;
use wire::artnet::Key;

use wire::artnet::DmxFrame;
use wire::sacn::{DataFrame, SourceName};

use super::stage::{Stage, stage};

const SHOW: &str = r#"
[[list.cue]]
number = 1
light = { levels = { one = 100 }, fade = "0s" }
continue = "auto-continue"
post_wait = "2s"
[[list.cue]]
number = 2
light = { levels = { two = 100 }, fade = "0s" }
send = { artnet = { key = "macro", sub = 3 } }
[[list.cue]]
number = 5
light = { levels = { three = 100 }, fade = "0s" }
send = [{ artnet = { key = "ascii", sub = "G" } }, { artnet = { key = 20, sub = 0 } }]
[[trigger]]
artnet = { key = "show", sub = 5 }
fires = 5
[[trigger]]
artnet = { key = "ascii", sub = "a" }
fires = 1
"#;

fn press(stage: &mut Stage, key: Key, sub: u8) {
    let (key, from) = (ArtnetKey { key, sub }, std::net::Ipv4Addr::new(10, 0, 0, 9));
    stage.world.tell(Input::ArtTrigger { key, from });
}

#[test]
fn a15_a_key_fires_the_cue_that_the_show_has_for_it_and_standby_moves_behind_it() {
    let mut stage = stage(SHOW);
    press(&mut stage, Key::Show, 6);
    press(&mut stage, Key::Macro, 5);
    stage.run(0.1);
    assert!(stage.fired().is_empty(), "nobody has a cue for these");
    press(&mut stage, Key::Show, 5);
    press(&mut stage, Key::Ascii, b'a');
    stage.run(3.0);
    let fired: Vec<String> = stage.fired().into_iter().map(|(cue, _)| cue).collect();
    assert_eq!(fired, ["5", "1", "2"]);
    let by = stage.world.story.iter().find_map(|it| match &it.event {
        Event::Said(Said::Fired { by, .. }) => Some(by.clone()),
        _ => None,
    });
    assert_eq!(by.as_deref(), Some("art-net 10.0.0.9"));
    assert_eq!(stage.slot(3), Some(255));
}

#[test]
fn a15_while_the_show_is_paused_a_key_is_refused_and_that_is_said() {
    let mut stage = stage(SHOW);
    stage.command(Command::Pause).expect("it pauses");
    press(&mut stage, Key::Show, 5);
    stage.run(0.1);
    assert!(stage.fired().is_empty());
    let refused = stage.world.story.iter().any(
        |it| matches!(&it.event, Event::Said(Said::Refused { by, .. }) if by == "art-net 10.0.0.9"),
    );
    assert!(refused);
}

#[test]
fn a15_what_a_cue_sends_is_ordered_for_the_moment_when_it_begins_and_accounted_for() {
    let mut stage = stage(SHOW);
    stage.go().expect("cue 1");
    stage.run(3.0);
    stage.go().expect("cue 5");
    stage.run(1.0);
    let at = |cue: &str, at| (Some(cue.to_owned()), at);
    assert_eq!(stage.ordered(Output::Network), [at("2", 2.0), at("5", 3.0), at("5", 3.0)]);
    let what: Vec<_> = stage
        .orders()
        .into_iter()
        .filter(|order| order.output == Output::Network)
        .map(|order| order.what)
        .collect();
    let key = |key: &str| What::Trigger { key: key.to_owned() };
    assert_eq!(what, [key("macro 3"), key("ascii 'G'"), key("20 0")]);
    let receipts = stage.receipts();
    let sent = receipts.iter().filter(|it| it.output == Output::Network);
    assert!(
        sent.clone()
            .all(|it| it.evidence == Evidence::Simulated && it.late() == Some(units::Span::ZERO))
    );
    assert_eq!(sent.count(), 3);
}

/// A console by sACN over the dimmers, and one by Art-Net whose second fader fires a cue.
const CONSOLES: &str = r#"
[[list.cue]]
number = 1
light = { levels = { one = 40, two = 40 }, fade = "0s" }
[[list.cue]]
number = 7
light = { levels = { three = 100 }, fade = "0s" }
[inputs.desk]
universe = 101
to = 1
slots = "1-2"
fade = "2s"
[inputs.buttons]
port_address = 5
[[trigger]]
input = "buttons"
slot = 2
fires = 7
"#;

/// For so many frames of the grid a console sends these levels of its first two slots.
fn fade_by_hand(stage: &mut Stage, sequence: &mut u8, frames: u32, levels: [u8; 2]) {
    let universe = units::Universe::new(101).expect("a universe");
    let mut frame =
        DataFrame::new(uuid::Uuid::from_u128(2), SourceName::new("Desk"), 100, universe);
    frame.slots_mut()[..2].copy_from_slice(&levels);
    for _ in 0..frames {
        *sequence = sequence.wrapping_add(1);
        frame.set_sequence(*sequence);
        stage.world.hear_sacn(frame.bytes(), std::net::Ipv4Addr::new(10, 0, 0, 9).into());
        stage.run(0.023);
    }
}

#[test]
fn ca07_s14_a_console_is_mixed_with_the_show_in_virtual_time_and_released_when_it_is_lost() {
    let mut stage = stage(CONSOLES);
    stage.go().expect("a cue is on standby");
    stage.run(0.1);
    let shows = |stage: &Stage| [1, 2].map(|slot| stage.slot(slot).expect("it is on"));
    let mut sequence = 0;
    fade_by_hand(&mut stage, &mut sequence, 20, [200, 20]);
    assert_eq!(shows(&stage), [102, 102], "it is sampled first");
    fade_by_hand(&mut stage, &mut sequence, 80, [200, 20]);
    assert_eq!(shows(&stage), [200, 102], "the highest of both");
    stage.run(2.4);
    assert_eq!(shows(&stage), [200, 102], "not lost yet");
    stage.run(1.1);
    let [first, second] = shows(&stage);
    assert!((140..165).contains(&first) && second == 102, "{first} on its way to the show's own");
    stage.run(2.0);
    assert_eq!(shows(&stage), [102, 102]);
}

#[test]
fn ca07_a_fader_of_a_console_fires_its_cue_in_virtual_time() {
    let mut stage = stage(CONSOLES);
    let mut frame = DmxFrame::new(units::PortAddress::new(5).expect("15 bits"));
    for level in [0, 100, 200, 210] {
        frame.slots_mut()[1] = level;
        stage.world.hear_artnet(frame.bytes(), std::net::Ipv4Addr::new(10, 0, 0, 9));
        stage.run(0.1);
    }
    let fired: Vec<String> = stage.fired().into_iter().map(|(cue, _)| cue).collect();
    assert_eq!(fired, ["7"]);
    assert_eq!(stage.slot(3), Some(255));
}
