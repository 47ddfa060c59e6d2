//! Hostile bytes never panic: every target stands its named seeds and a few thousand damaged ones, the same each time.
//!
//! `FUZZ_SECONDS=600 cargo test --release -p tests --test scenarios fuzz::` goes on as long at each target;
//! `FUZZ_SEED=N` goes another way. `tests/fuzz` has the same targets for libFuzzer.

use std::collections::BTreeSet;

use engine::told::Command;
use serde_json::json;
use tests::attack::{Budget, attack};
use tests::mutator::Mutator;
use tests::seeds::seeds;
use tests::targets::engine::Night;
use tests::targets::phone::Page;
use tests::targets::{self, Target};
use units::CueNumber;

fn stands(target: &Target, cases: usize) {
    attack(target, Budget::from_env(cases));
}

#[test]
fn whatever_stands_in_a_show_file_is_explained_and_what_is_a_show_can_run() {
    stands(&targets::show::TARGET, 700);
}

#[test]
fn whatever_stands_in_a_box_file_is_explained() {
    stands(&targets::boxfile::TARGET, 700);
}

#[test]
fn whatever_stands_in_a_fixture_file_is_explained_or_is_the_same_in_a_show() {
    stands(&targets::fixture::TARGET, 1500);
}

#[test]
fn sx07_whatever_a_phone_says_is_refused_or_means_the_same_twice() {
    stands(&targets::solusync::TARGET, 2000);
}

#[test]
fn bl06_whatever_participants_say_is_refused_or_means_the_same_twice_and_the_rooms_keep_their_bounds()
 {
    stands(&targets::bloom::TARGET, 1000);
}

#[test]
fn whatever_datagram_asks_or_tells_the_time_is_refused_or_is_the_same_twice() {
    stands(&targets::time::TARGET, 2000);
}

#[test]
fn sx16_whatever_is_shown_for_a_token_nothing_holds_that_nobody_signed() {
    stands(&targets::token::TARGET, 2000);
}

#[test]
fn sx20_whatever_is_said_to_be_sealed_is_no_piece_or_opens_to_what_its_head_says() {
    stands(&targets::sealed::TARGET, 2000);
}

#[test]
fn sx11_whatever_is_said_to_be_opus_is_none_or_sounds_and_the_next_packet_too() {
    stands(&targets::opus::TARGET, 2000);
}

#[test]
fn sx06_whatever_a_phone_offers_is_refused_or_has_lost_its_candidates() {
    stands(&targets::peers::TARGET, 2000);
}

#[test]
fn sx06_whatever_knocks_for_a_peer_connection_only_a_whole_request_wants_anybody() {
    stands(&targets::stun::TARGET, 2000);
}

#[test]
fn whatever_comes_to_the_osc_port_is_refused_or_is_messages() {
    stands(&targets::osc::TARGET, 2000);
}

#[test]
fn whatever_comes_to_the_sacn_port_the_receiver_keeps_its_bounds() {
    stands(&targets::sacn::TARGET, 2000);
}

#[test]
fn whatever_comes_to_the_art_net_port_the_controller_keeps_its_bounds() {
    stands(&targets::artnet::TARGET, 2000);
}

#[test]
fn sx20_whatever_a_capture_holds_is_refused_or_plays_and_is_the_same_when_written_again() {
    stands(&targets::capture::TARGET, 700);
}

#[test]
fn sx20_whatever_a_sequence_holds_is_refused_or_plays() {
    stands(&targets::fseq::TARGET, 700);
}

#[test]
fn a19_whatever_lamps_say_a_question_to_them_is_answered_once() {
    stands(&targets::rdm::TARGET, 2000);
}

#[test]
fn whatever_sounds_on_the_timecode_input_the_decoder_keeps_its_bounds() {
    stands(&targets::ltc::TARGET, 300);
}

#[test]
fn whatever_comes_by_midi_is_passed_over_or_means_the_same_twice() {
    stands(&targets::mtc::TARGET, 2000);
}

#[test]
fn whatever_comes_to_the_clock_port_is_refused_or_means_the_same_twice() {
    stands(&targets::clock_peer::TARGET, 2000);
}

#[test]
fn sx13_whatever_boxes_say_among_themselves_is_refused_or_is_the_same_twice_and_no_lease_turns_in_a_circle()
 {
    stands(&targets::cluster::TARGET, 1500);
}

#[test]
fn whatever_a_box_and_a_browser_say_the_phone_keeps_its_head() {
    stands(&targets::phone::TARGET, 600);
}

#[test]
fn whatever_is_pressed_and_reported_the_engine_goes_on() {
    stands(&targets::engine::TARGET, 400);
}

#[test]
fn ca02_whatever_masters_and_peers_say_a_running_show_never_steps_and_the_clock_comes_back() {
    stands(&targets::clock::TARGET, 400);
}

#[test]
fn every_seed_has_a_name_of_its_own() {
    for target in targets::ALL {
        let all = seeds(target.folders);
        let names: BTreeSet<&str> = all.iter().map(|seed| seed.name.as_str()).collect();
        assert_eq!(names.len(), all.len(), "{}", target.name);
    }
}

/// A box may run for a season.
#[test]
fn evenings_full_of_presses_leave_nothing_behind_in_the_engine() {
    let mut night = Night::busy();
    let mut chance = Mutator::new(1);
    // The first evening fills what is kept for a while, the answers to commands above all.
    let first = after_evening(&mut night, &mut chance);
    let last = (0..8).map(|_| after_evening(&mut night, &mut chance)).last();
    assert!(last < Some(first + first / 20), "{first} grew to {last:?}");
}

/// How much the engine remembers when everything has ended.
fn after_evening(night: &mut Night, chance: &mut Mutator) -> usize {
    for _ in 0..1500 {
        let cue = CueNumber::from_thousandths(1000 * (1 + chance.below(9) as u32));
        let _ = night.command(match chance.below(8) {
            0 => Command::Stop,
            1 => Command::Pause,
            2 | 3 => Command::Resume,
            4 => Command::Panic,
            _ => Command::Fire { cue: cue.expect("one to nine") },
        });
        night.wait_ms(chance.below(700) as i64);
    }
    let _ = night.command(Command::Panic);
    night.wait_ms(60_000);
    night.memory()
}

/// A box that never stops talking may be a broken one.
#[test]
fn ten_thousand_orders_do_not_fill_a_phone() {
    let mut page = Page::new();
    let in_step = seeds(&["phone"]).into_iter().find(|seed| seed.name == "in-step.jsonl");
    let in_step = String::from_utf8(in_step.expect("the seed is there").bytes).expect("it is text");
    in_step.lines().for_each(|line| page.read(line));
    let order = |page: &mut Page, number: u32| {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let header = json!({"id": id, "timestamp": 1.79e9, "node_id": id, "sequence": number});
        let at = 1.79e9 + 60.0 + f64::from(number % 97);
        let screen = json!({"type": "screen", "header": header, "start_at": at, "text": "x",
            "color": "#ffffff", "flash": {"count": 9, "per_second": 3.0}});
        let action = ["play", "seek", "stop", "pause"][number as usize % 4];
        let control = json!({"type": "media_control", "header": header, "action": action,
            "track_id": "track_001", "start_at": at, "params": {"position_ms": number % 1000}});
        page.read(&if number.is_multiple_of(5) { screen } else { control }.to_string());
    };
    (0..2_000).for_each(|number| order(&mut page, number));
    let few = page.memory();
    (2_000..10_000).for_each(|number| order(&mut page, number));
    let many = page.memory();
    assert!(many < 2 * few, "{few} grew to {many}");
}
