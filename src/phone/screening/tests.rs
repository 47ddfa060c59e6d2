//! Live pictures, 25 in a second, on a phone whose screen is drawn 60 times in one, in virtual time.

use super::*;

const PICTURE: Span = Span::from_millis(40);
/// At 4 Mbit/s.
const OCTETS: u32 = 20_000;
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
    let is_key = k.is_multiple_of(10);
    Piece { index: k, at: due(k), lasts: PICTURE, left: 0, is_key, octets: OCTETS }
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
    /// What the decoder was given, in that order.
    given: Vec<u64>,
    /// What was seen, and when.
    seen: Vec<(u64, NetTime)>,
    most: usize,
}

impl Phone {
    fn hear(&mut self, k: u64, now: NetTime) -> Verdict {
        self.take(&piece(k), now)
    }

    fn take(&mut self, piece: &Piece, now: NetTime) -> Verdict {
        let verdict = self.screening.handle_piece(piece, now);
        if verdict == Verdict::Whole {
            self.waits.push_back(piece.index);
            self.waits.drain(..self.screening.poll_dropped(now));
        }
        assert_eq!(self.waits.len(), self.screening.waits.len(), "the page has what the core has");
        verdict
    }

    /// The screen is drawn once.
    fn draw(&mut self, now: NetTime) -> Drawn {
        while self.screening.poll_decode(now) {
            let k = self.waits.pop_front().expect("it waits");
            self.screening.handle_decoded(due(k));
            self.decoded.push_back(k);
            self.given.push(k);
        }
        self.most = self.most.max(self.decoded.len());
        let drawn = self.screening.poll_drawn(now);
        let past: Vec<u64> = self.decoded.drain(..drawn.past).collect();
        if let Some(last) = past.last().filter(|_| drawn.draws) {
            self.seen.push((*last, now + PERIOD));
        }
        if !drawn.is_on {
            self.waits.clear();
            self.decoded.clear();
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
    let part = |index, left| Piece {
        index,
        left,
        at: due(0),
        lasts: PICTURE,
        is_key: index == 0,
        octets: 1,
    };
    let hear = |screening: &mut Screening, it: Piece| screening.handle_piece(&it, at(0));
    assert_eq!([part(0, 2), part(1, 1)].map(|it| hear(&mut screening, it)), [Verdict::Kept; 2]);
    assert_eq!(hear(&mut screening, part(2, 0)), Verdict::Whole);
    // The second of three is missing; then a picture comes to an end that never began.
    let mut screening = Screening::new();
    assert_eq!(hear(&mut screening, part(0, 2)), Verdict::Kept);
    assert_eq!(hear(&mut screening, part(2, 0)), Verdict::Dropped);
    let other = Piece { index: 3, left: 0, at: due(1), lasts: PICTURE, is_key: false, octets: 1 };
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
    phone.waits.clear();
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
        let piece = Piece { index: k as u64, at, lasts, left: 0, is_key: k == 0, octets: 1 };
        assert_eq!(screening.handle_piece(&piece, now), Verdict::Whole);
        at += lasts;
    }
    let mut waits: VecDeque<NetTime> = screening.waits.iter().map(|it| it.shot.at).collect();
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

#[test]
fn sx11_a_page_that_is_not_seen_for_ten_minutes_hoards_nothing_and_is_in_step_at_once_when_it_is_back()
 {
    let mut phone = Phone::default();
    phone.run(0..100, |_| Some(Span::ZERO));
    let (shown, heard) = (phone.seen.len(), phone.screening.next.expect("it has heard of some"));
    let (gone, back) = (heard, heard + 15_005);
    let mut most = 0;
    for k in gone..back {
        phone.hear(k, due(k) - LEAD);
        most = most.max(phone.waits.len());
    }
    // From one key frame to the next, and what is sent ahead.
    assert!(most <= 10 + 32, "{most} wait");
    phone.given.clear();
    let mut now = due(back) - LEAD;
    for _ in 0..3 {
        let before = phone.given.len();
        phone.draw(now);
        assert!(phone.given.len() - before <= GIVEN_MAX);
        now += PERIOD;
    }
    // The newest key frame that was past, and nothing out of order behind it.
    let first = phone.given[0];
    assert!(piece(first).is_key && due(first) <= now && due(first + 10) > now - PERIOD.times(3));
    assert!(phone.given.windows(2).all(|two| two[1] == two[0] + 1));
    let off = phone.seen[shown..].iter().map(|(k, seen)| (*seen - due(*k)).millis_f64());
    assert!(
        off.clone().all(|it| it.abs() <= PICTURE.millis_f64()),
        "{:?}",
        off.collect::<Vec<_>>()
    );
    let counts = phone.screening.counts();
    assert_eq!((counts.held, counts.late, counts.lost), (1, 0, 0));
    let rest = (phone.waits.len() + phone.decoded.len()) as u64;
    assert_eq!(
        counts.shown + counts.skipped + rest,
        back,
        "each was shown, passed over, or is to come"
    );
}

#[test]
fn sx11_more_than_32_mb_never_wait_even_where_no_key_frame_comes_to_begin_anew_with() {
    let mut phone = Phone::default();
    let large = |k| Piece { is_key: k == 0 || k == 5_000, ..piece(k) };
    let mut most = 0;
    for k in 0..5_000 {
        phone.take(&large(k), due(k) - LEAD);
        most = most.max(phone.waits.len() as u64 * u64::from(OCTETS));
    }
    assert!(most <= WAITS_MAX, "{most} octets wait");
    assert_eq!(phone.waits.len(), 0, "nothing can be decoded any more");
    let counts = phone.screening.counts();
    assert_eq!(counts.skipped + counts.lost, 5_000);
    assert!(counts.skipped > 1_600, "what was whole in time is passed over");
    assert_eq!(phone.take(&large(5_000), due(4_990)), Verdict::Whole);
    phone.draw(due(5_000));
    assert_eq!(phone.seen.last().map(|(k, _)| *k), Some(5_000));
}

#[test]
fn sx11_too_much_that_waits_goes_up_to_the_newest_key_frame_though_that_is_not_past() {
    let mut phone = Phone::default();
    let large = |k| Piece { octets: 1 << 20, ..piece(k) };
    // Sent all at once, long before it is seen.
    for k in 0..35 {
        assert_eq!(phone.take(&large(k), at(0)), Verdict::Whole);
    }
    assert_eq!(phone.waits.iter().copied().collect::<Vec<_>>(), (30..35).collect::<Vec<_>>());
    assert_eq!(phone.screening.counts(), PictureCounts { skipped: 30, ..counts(0, 0, 0) });
}

#[test]
fn sx11_who_joins_late_behind_a_key_frame_decodes_a_few_at_a_time_and_sees_none_that_is_past() {
    let mut phone = Phone::default();
    let long = |k| Piece { is_key: k == 0, ..piece(k) };
    let mut now = due(200);
    (0..231).for_each(|k| {
        phone.take(&long(k), now);
    });
    let mut draws = 0;
    while phone.seen.is_empty() {
        let before = phone.given.len();
        assert!(phone.draw(now).is_on, "something is, though all that has come is past");
        assert!(phone.given.len() - before <= GIVEN_MAX);
        (now, draws) = (now + PERIOD, draws + 1);
    }
    assert!(draws <= 15, "{draws}");
    let (k, seen) = phone.seen[0];
    assert!((seen - due(k)).abs() <= PICTURE, "{k} is not of now");
    let counts = phone.screening.counts();
    assert_eq!((counts.shown, counts.late, counts.lost), (1, 0, 0), "nobody is late who comes");
    assert!(counts.skipped < 8, "{} of a quarter of a second are passed over", counts.skipped);
}

#[test]
fn sx11_what_waits_when_nothing_is_on_any_more_waits_for_nothing() {
    let mut phone = Phone::default();
    (0..25).for_each(|k| {
        phone.hear(k, due(k) - LEAD);
    });
    let over = due(25) + STANDS + Span::from_millis(10);
    assert!(!phone.draw(over).is_on);
    assert_eq!(phone.screening.waits.len(), 0);
    assert_eq!(phone.hear(25, over), Verdict::Dropped, "its decoder is gone");
    for k in 26..35 {
        phone.hear(k, due(k) - LEAD);
    }
    assert_eq!(phone.waits.front(), Some(&30));
}
