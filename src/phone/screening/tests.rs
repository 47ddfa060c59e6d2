//! Live pictures, 25 in a second, on a phone whose screen is drawn 60 times in one, in virtual time.

use super::*;

const PICTURE: Span = Span::from_millis(40);
/// From sent to seen.
const LEAD: Span = Span::from_millis(1_250);

fn at(ms: i64) -> NetTime {
    NetTime::from_ns(ms * 1_000_000)
}

/// When picture `k` is seen.
fn due(k: u64) -> NetTime {
    at(10_000) + PICTURE.times(k as i64)
}

fn piece(k: u64) -> Piece {
    Piece { index: k, at: due(k), lasts: PICTURE, left: 0, is_key: k.is_multiple_of(10) }
}

fn counts(shown: u64, held: u64, lost: u64) -> PictureCounts {
    PictureCounts { shown, held, lost, ..PictureCounts::default() }
}

/// A phone with a decoder that gives back each picture at once.
#[derive(Default)]
struct Phone {
    screening: Screening,
    waits: VecDeque<u64>,
    decoded: VecDeque<u64>,
    /// What was seen, and when.
    seen: Vec<(u64, NetTime)>,
    most: usize,
}

impl Phone {
    fn hear(&mut self, k: u64, now: NetTime) -> Verdict {
        let verdict = self.screening.handle_piece(&piece(k), now);
        if verdict == Verdict::Whole {
            self.waits.push_back(k);
        }
        verdict
    }

    /// The screen is drawn once.
    fn draw(&mut self, now: NetTime) -> Drawn {
        while self.screening.poll_decode(now) {
            let k = self.waits.pop_front().expect("it waits");
            self.screening.handle_decoded(due(k));
            self.decoded.push_back(k);
        }
        self.most = self.most.max(self.decoded.len());
        let drawn = self.screening.poll_drawn(now);
        let past: Vec<u64> = self.decoded.drain(..drawn.past).collect();
        if let Some(last) = past.last().filter(|_| drawn.draws) {
            self.seen.push((*last, now + PERIOD));
        }
        drawn
    }

    /// From one time to another; each picture comes `late` after it was sent, but for those that never do.
    fn run(&mut self, pictures: std::ops::Range<u64>, late: impl Fn(u64) -> Option<Span>) {
        let comes = |k: u64| late(k).map(|late| due(k) - LEAD + late);
        let mut coming: VecDeque<u64> = pictures.clone().filter(|k| comes(*k).is_some()).collect();
        let (mut now, end) = (due(pictures.start) - LEAD, due(pictures.end));
        while now < end {
            while let Some(k) = coming.pop_front_if(|k| comes(*k).is_some_and(|it| it <= now)) {
                self.hear(k, now);
            }
            self.draw(now);
            now += PERIOD;
        }
    }
}

#[test]
fn sx11_every_picture_is_seen_at_its_time_as_near_as_the_screen_is_drawn() {
    let mut phone = Phone::default();
    phone.run(0..100, |k| Some(Span::from_millis((k as i64 * 37) % 200)));
    assert_eq!(
        phone.seen.iter().map(|(k, _)| *k).collect::<Vec<_>>(),
        (0..100).collect::<Vec<_>>()
    );
    let off = phone.seen.iter().map(|(k, seen)| (*seen - due(*k)).millis_f64().abs());
    let worst = off.fold(0.0, f64::max);
    assert!(worst <= PERIOD.millis_f64() / 2.0 + 0.1, "{worst} ms");
    assert_eq!(phone.screening.counts(), counts(100, 0, 0));
    assert!(phone.most <= DECODED_MAX + 3, "{} decoded at a time", phone.most);
}

#[test]
fn sx11_a_lost_picture_holds_the_last_one_until_the_next_key_frame_and_is_counted() {
    let mut phone = Phone::default();
    phone.run(0..40, |k| (k != 13).then_some(Span::from_millis(20)));
    let seen: Vec<u64> = phone.seen.iter().map(|(k, _)| *k).collect();
    assert_eq!(seen, (0..13).chain(20..40).collect::<Vec<_>>());
    assert_eq!(phone.screening.counts(), counts(33, 1, 7));
}

#[test]
fn sx11_a_late_picture_is_decoded_for_those_after_it_not_seen_and_counted() {
    let mut phone = Phone::default();
    let late = |k| if k == 13 { Span::from_millis(1_310) } else { Span::from_millis(20) };
    phone.run(0..13, |k| Some(late(k)));
    // Everything behind it on the channel waits for it.
    let now = due(14) + Span::from_millis(20);
    for k in 13..40 {
        assert_eq!(phone.hear(k, now), Verdict::Whole);
    }
    phone.draw(now);
    assert_eq!(phone.seen.last().map(|(k, _)| *k), Some(15), "the newest that is due");
    assert_eq!(phone.screening.counts().late, 2);
}

#[test]
fn sx11_who_joins_decodes_from_the_key_frame_on_and_sees_what_the_others_see() {
    let mut phone = Phone::default();
    let now = due(7);
    for k in 0..20 {
        phone.hear(k, now);
    }
    phone.draw(now);
    assert_eq!(phone.seen.iter().map(|(k, _)| *k).collect::<Vec<_>>(), [7]);
    assert_eq!(phone.screening.counts(), counts(1, 0, 0), "nobody is late who comes");
    let mut phone = Phone::default();
    assert_eq!(phone.hear(3, now), Verdict::Dropped, "nothing to begin with");
    assert_eq!(phone.hear(10, now), Verdict::Whole);
}

#[test]
fn sx11_a_picture_in_parts_is_whole_with_its_last_and_none_without_one_of_them() {
    let mut screening = Screening::new();
    let part = |index, left| Piece { index, left, at: due(0), lasts: PICTURE, is_key: index == 0 };
    let hear = |screening: &mut Screening, it: Piece| screening.handle_piece(&it, at(0));
    assert_eq!([part(0, 2), part(1, 1)].map(|it| hear(&mut screening, it)), [Verdict::Kept; 2]);
    assert_eq!(hear(&mut screening, part(2, 0)), Verdict::Whole);
    // The second of three is missing; then a picture comes to an end that never began.
    let mut screening = Screening::new();
    assert_eq!(hear(&mut screening, part(0, 2)), Verdict::Kept);
    assert_eq!(hear(&mut screening, part(2, 0)), Verdict::Dropped);
    let other = Piece { index: 3, left: 0, at: due(1), lasts: PICTURE, is_key: false };
    assert_eq!(hear(&mut screening, other), Verdict::Dropped);
    assert_eq!(screening.counts().lost, 1, "the one that is missing");
    assert_eq!(hear(&mut screening, Piece { index: 4, is_key: true, ..other }), Verdict::Whole);
}

#[test]
fn sx11_another_film_begins_anew_and_one_that_is_over_goes_dark() {
    let mut phone = Phone::default();
    phone.run(0..20, |_| Some(Span::ZERO));
    assert!(!phone.screening.begins(&piece(20)) && phone.screening.begins(&piece(0)));
    let over = due(20) + STANDS;
    assert!(phone.draw(over - Span::from_millis(10)).is_on);
    assert!(!phone.draw(over + Span::from_millis(10)).is_on);
    phone.screening.restart();
    assert_eq!(phone.hear(0, at(0)), Verdict::Whole);
    phone.screening.handle_broken();
    assert_eq!(phone.hear(1, at(0)), Verdict::Dropped);
    assert_eq!(phone.hear(10, at(0)), Verdict::Whole);
}

#[test]
fn sx12_what_stands_too_long_and_what_is_passed_over_is_counted_apart() {
    let mut phone = Phone::default();
    let mut now = due(0) - Span::from_millis(500);
    for k in 0..40 {
        phone.hear(k, now);
    }
    while now < due(19) {
        phone.draw(now);
        now += PERIOD;
    }
    assert_eq!(phone.seen.last().map(|(k, _)| *k), Some(19));
    // The page's thread was busy with something else for a fifth of a second.
    let now = due(24) + Span::from_millis(10);
    phone.draw(now);
    assert_eq!(phone.seen.last().map(|(k, _)| *k), Some(24));
    let counts = phone.screening.counts();
    assert_eq!((counts.held, counts.skipped, counts.late, counts.lost), (1, 4, 0, 0));
    phone.draw(now + Span::from_millis(2));
    assert_eq!(phone.screening.counts(), counts, "nothing was due");
}

#[test]
fn sx12_pictures_of_different_lengths_stand_as_long_as_they_should() {
    let mut screening = Screening::new();
    let (mut at, mut now) = (due(0), due(0) - Span::from_millis(300));
    for (k, ms) in [40, 400, 40, 1_000, 40, 40].into_iter().enumerate() {
        let lasts = Span::from_millis(ms);
        let piece = Piece { index: k as u64, at, lasts, left: 0, is_key: k == 0 };
        assert_eq!(screening.handle_piece(&piece, now), Verdict::Whole);
        at += lasts;
    }
    let mut waits: VecDeque<NetTime> = screening.waits.iter().map(|it| it.at).collect();
    while now < at {
        while screening.poll_decode(now) {
            // As browsers round it.
            let at = waits.pop_front().expect("it waits") + Span::from_micros(1);
            screening.handle_decoded(at);
        }
        screening.poll_drawn(now);
        now += PERIOD;
    }
    assert_eq!(screening.counts(), counts(6, 0, 0));
}
