//! Boxes that stand in for each other: who drives, whatever dies and is cut (SX-03, SX-13).

use std::collections::BTreeMap;

use engine::cluster::{LISTEN, SILENCE};
use phone::Chance;
use sim::{Boxes, Turn};
use units::Span;

/// Longer than any of them waits before it looks again.
const SETTLED: Span = Span::from_secs(2);
/// Delays of the network and a beat that was just missed.
const SLACK: Span = Span::from_millis(60);

/// So many boxes, all started, on a network that loses nothing.
fn boxes(count: usize, seed: u64) -> Boxes {
    let mut boxes = Boxes::new(count, 0.0, seed);
    (0..count).for_each(|who| boxes.start(who));
    boxes.run_for(SETTLED);
    boxes
}

fn last_turn(boxes: &Boxes) -> Turn {
    *boxes.turns.last().expect("somebody drives")
}

#[test]
fn sx03_a_box_alone_drives_at_once() {
    let mut boxes = Boxes::new(1, 0.0, 1);
    boxes.start(0);
    assert_eq!(boxes.masters(), [0]);
    assert_eq!(boxes.turns[0].at, boxes.now());
}

#[test]
fn sx03_of_boxes_that_start_together_the_first_voter_drives() {
    for (count, seed) in
        [2, 3, 5].into_iter().flat_map(|count| (0..20_u64).map(move |it| (count, it)))
    {
        let boxes = boxes(count, seed);
        assert_eq!(boxes.masters(), [0], "{count} boxes, seed {seed}");
        assert_eq!(boxes.turns.len(), 1, "{count} boxes, seed {seed}: nobody else has tried");
    }
}

#[test]
fn sx03_a_box_whose_others_are_switched_off_drives_after_it_has_listened() {
    let mut boxes = Boxes::new(2, 0.0, 1);
    boxes.start(1);
    boxes.run_for(SETTLED);
    assert_eq!(boxes.masters(), [1]);
    let waited = boxes.turns[0].at - (boxes.now() - SETTLED);
    assert!(waited >= LISTEN && waited < LISTEN + SLACK, "{waited}");
}

#[test]
fn sx13_the_other_of_two_takes_over_within_silence_and_stays_when_the_first_is_back() {
    for seed in 0..100_u64 {
        let mut boxes = boxes(2, seed);
        boxes.run_for(Span::from_micros(seed as i64 % 50_000));
        let died = boxes.now();
        boxes.kill(0);
        boxes.run_for(SETTLED);
        let turn = last_turn(&boxes);
        assert_eq!((turn.who, turn.term), (1, Some(2)), "seed {seed}");
        assert!(
            turn.at - died <= SILENCE + Span::from_millis(6),
            "seed {seed}: {}",
            turn.at - died
        );
        boxes.start(0);
        boxes.run_for(SETTLED);
        assert_eq!(boxes.masters(), [1], "seed {seed}: nobody takes a show back");
    }
}

#[test]
fn sx13_a_planned_exit_is_taken_over_at_once() {
    for count in [2, 3] {
        let mut boxes = boxes(count, 7);
        let left = boxes.now();
        boxes.leave(0);
        boxes.run_for(SETTLED);
        let turn = last_turn(&boxes);
        assert_eq!((boxes.masters(), turn.who), (vec![1], 1), "{count} boxes");
        assert!(turn.at - left < SILENCE, "{count} boxes: {}", turn.at - left);
    }
}

#[test]
fn sx13_a_box_that_is_not_fit_any_more_lets_a_fit_one_drive_and_goes_on_where_there_is_none() {
    let mut boxes = boxes(2, 7);
    boxes.set_score(0, 0.0);
    boxes.run_for(SETTLED);
    assert_eq!(boxes.masters(), [1]);
    boxes.kill(1);
    boxes.run_for(SETTLED);
    assert_eq!(boxes.masters(), [0], "an unfit box is better than none");
}

#[test]
fn sx13_after_a_fault_the_show_goes_on_where_nobody_else_lived_when_it_began() {
    let mut boxes = boxes(2, 7);
    let goes_on = |boxes: &Boxes, who: usize, began| {
        boxes.lease(who).expect("it lives").goes_on_after_fault(began)
    };
    let together = boxes.now();
    assert!([0, 1].iter().all(|who| !goes_on(&boxes, *who, together)));
    boxes.kill(1);
    boxes.run_for(SETTLED);
    assert!(goes_on(&boxes, 0, boxes.now()));
    assert!(!goes_on(&boxes, 0, together), "a fault that took so long began while the other lived");
}

#[test]
fn sx13_two_that_a_cut_made_drive_both_are_one_again_by_the_higher_term() {
    let mut boxes = boxes(2, 7);
    boxes.cut(&[0, 1]);
    boxes.run_for(SETTLED);
    assert_eq!(boxes.masters(), [0, 1], "a cut cannot be told from a death");
    boxes.heal();
    boxes.run_for(SLACK);
    assert_eq!(boxes.masters(), [1], "who took over has the higher term");
}

#[test]
fn sx13_two_that_have_never_met_and_drive_in_the_same_term_are_one_by_the_order_of_voters() {
    let mut boxes = Boxes::new(2, 0.0, 3);
    boxes.cut(&[0, 1]);
    [1, 0].into_iter().for_each(|who| boxes.start(who));
    boxes.run_for(SETTLED);
    assert_eq!(boxes.masters(), [0, 1]);
    boxes.heal();
    boxes.run_for(SLACK);
    assert_eq!(boxes.masters(), [0]);
}

#[test]
fn sx13_of_three_the_one_that_is_cut_off_alone_never_takes_over() {
    for seed in 0..50_u64 {
        let mut boxes = boxes(3, seed);
        boxes.cut(&[0, 0, 1]);
        boxes.run_for(SETTLED);
        assert_eq!(boxes.masters(), [0], "seed {seed}");
        boxes.heal();
        boxes.run_for(SETTLED);
        assert_eq!(boxes.masters(), [0], "seed {seed}: nor does it disturb who drives");
        assert_eq!(boxes.turns.len(), 1, "seed {seed}");
    }
}

#[test]
fn sx13_who_drives_goes_on_when_all_others_are_gone() {
    let mut boxes = boxes(3, 3);
    boxes.kill(1);
    boxes.kill(2);
    boxes.run_for(SETTLED);
    assert_eq!(boxes.masters(), [0]);
}

/// Whatever happens: in a term of three and more there is one master at most, and once everything is whole again there
/// is one, whom all follow.
#[test]
fn sx13_whatever_dies_and_is_cut_there_is_one_master_a_term_and_one_in_the_end() {
    for seed in 0..1_000_u64 {
        let count = 2 + (seed as usize % 4);
        let boxes = through_trouble(count, seed);
        assert_eq!(boxes.masters().len(), 1, "{count} boxes, seed {seed}");
        let master = boxes.masters()[0];
        for who in 0..count {
            let lease = boxes.lease(who).expect("all live");
            assert_eq!(lease.master(boxes.now()), Some(Boxes::node(master)), "seed {seed}");
        }
        if count > 2 {
            assert_one_a_term(&boxes.turns, seed);
        }
    }
}

/// Half a minute in which boxes die, come back and are cut off, on a network that loses; then two quiet seconds.
fn through_trouble(count: usize, seed: u64) -> Boxes {
    let mut chance = Chance::new(u128::from(seed) << 64 | 7);
    let mut boxes = Boxes::new(count, 0.05, seed);
    (0..count).for_each(|who| boxes.start(who));
    for _ in 0..60 {
        let who = (chance.share() * count as f64) as usize;
        match (chance.share() * 5.0) as usize {
            0 => boxes.kill(who),
            1 => boxes.start(who),
            2 => {
                let groups: Vec<_> =
                    (0..count).map(|_| usize::from(chance.share() < 0.5)).collect();
                boxes.cut(&groups);
            }
            3 => boxes.heal(),
            _ => boxes.set_score(who, f64::from(u8::from(chance.share() < 0.7))),
        }
        boxes.run_for(Span::from_millis((chance.share() * 1_000.0) as i64));
    }
    boxes.calm();
    for who in 0..count {
        boxes.start(who);
        boxes.set_score(who, 1.0);
    }
    boxes.run_for(SETTLED);
    boxes
}

fn assert_one_a_term(turns: &[Turn], seed: u64) {
    let mut by_term = BTreeMap::new();
    for (term, who) in turns.iter().filter_map(|it| Some((it.term?, it.who))) {
        let first = *by_term.entry(term).or_insert(who);
        assert_eq!(first, who, "seed {seed}: two drive in term {term}");
    }
}
