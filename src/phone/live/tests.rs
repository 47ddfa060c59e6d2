//! Live sound at a phone whose clocks are tied: its page began a second before network time, its sound half a second
//! after its page.

use units::WireTime;
use uuid::Uuid;

use super::*;
use crate::audio::{AudioClock, Stamp};
use crate::clock::{Channel, Clock, Exchange};
use crate::scale::NetTime;

const AHEAD: Span = Span::from_secs(1);
const SOUND_AFTER: Span = Span::from_millis(500);
const CHUNK: Span = Span::from_millis(20);

struct Phone {
    live: Live,
    clock: Clock,
    audio: AudioClock,
    acts: Vec<Act>,
}

fn mono(ms: i64) -> MonoTime {
    MonoTime::from_ns(ms * 1_000_000)
}

fn network(at: MonoTime) -> NetTime {
    NetTime::from_ns((at + AHEAD).ns())
}

/// What is heard then.
fn audio_s(at: MonoTime) -> f64 {
    (at - MonoTime::ZERO - SOUND_AFTER).secs_f64()
}

impl Phone {
    fn new() -> Self {
        let (mut clock, mut audio) = (Clock::default(), AudioClock::default());
        for k in 0..40 {
            let asked = mono(1_000 + 200 * k);
            let [t1, t4] = [asked, asked + Span::from_millis(2)];
            let answered = network(asked + Span::from_millis(1));
            clock.handle(Exchange {
                t1,
                t2: answered,
                t3: answered,
                t4,
                channel: Channel::WebSocket,
            });
            let made = AudioTime::from_ns((asked - SOUND_AFTER).ns());
            audio.handle(&Stamp { at: asked, made, left: None, latency: None });
        }
        let live = Live::new(vec![MediaCodec::Opus, MediaCodec::Pcm16]);
        Self { live, clock, audio, acts: Vec::new() }
    }

    /// A chunk that was sent at `sent_ms` of the page's, and came `late_ms` later; it is due `lead_ms` after it was sent.
    fn chunk(&mut self, index: u64, sent_ms: i64, late_ms: i64, lead_ms: i64) {
        let wire = |at: NetTime| WireTime::from_micros(at.ns() / 1_000);
        let (sent, came) = (mono(sent_ms), mono(sent_ms + late_ms));
        let header = Header {
            id: Uuid::nil(),
            timestamp: wire(network(sent)),
            node_id: Uuid::nil(),
            sequence: 1,
        };
        let chunk = MediaData {
            track_id: TrackId("live".into()),
            chunk_index: index,
            timestamp: wire(network(sent + Span::from_millis(lead_ms))),
            duration: CHUNK,
            codec: MediaCodec::Opus,
            data: vec![1],
            is_keyframe: false,
            parts_left: 0,
        };
        let ahead = -SOUND_AFTER;
        let sync = Sync::at(came, &self.clock, &self.audio, ahead, Span::ZERO).expect("settled");
        self.live.tick(came);
        self.acts.extend(self.live.handle_chunk(came, (&header, chunk), Some(&sync)));
    }

    /// From and until, seconds of audio; and the rise.
    fn placed(&self) -> Vec<(f64, f64, f64)> {
        let place = |act: &Act| match act {
            Act::Live { from_s, until_s, rise_s, .. } => (*from_s, *until_s, *rise_s),
            other => panic!("{other:?}"),
        };
        self.acts.iter().map(place).collect()
    }
}

#[test]
fn sx11_chunks_are_heard_at_their_own_time_and_follow_each_other_without_a_gap() {
    let mut phone = Phone::new();
    (0..50).for_each(|k| phone.chunk(k, 10_000 + 20 * k as i64, 5 + (k as i64 * 7) % 11, 300));
    let placed = phone.placed();
    assert_eq!(placed.len(), 50);
    for (k, (from, _, rise)) in placed.iter().enumerate() {
        let due = audio_s(mono(10_300 + 20 * k as i64));
        assert!((from - due).abs() < 0.000_5, "{k}: {from} and not {due}");
        assert_eq!(*rise > 0.0, k == 0, "only the first one rises");
    }
    assert!(placed.windows(2).all(|two| two[0].1 == two[1].0));
}

#[test]
fn sx11_a_lost_chunk_leaves_its_place_empty_and_the_next_is_joined_softly() {
    let mut phone = Phone::new();
    for k in (0..20).filter(|k| *k != 10) {
        phone.chunk(k, 10_000 + 20 * k as i64, 5, 300);
    }
    let placed = phone.placed();
    let gap = placed[10].0 - placed[9].1;
    assert!((gap - 0.02).abs() < 0.000_5, "{gap}");
    assert_eq!(placed[10].2, REJOIN.secs_f64());
    phone.live.tick(mono(10_800));
    let lost = phone.live.buffer(mono(10_800)).and_then(Buffer::loss);
    assert!(lost.is_some_and(|share| share > 0.0), "{lost:?}");
}

#[test]
fn sx15_a_late_chunk_keeps_its_place_and_counts_and_one_that_is_past_is_not_sounded() {
    let mut phone = Phone::new();
    (0..5).for_each(|k| phone.chunk(k, 10_000 + 20 * k as i64, 5, 300));
    phone.chunk(5, 10_100, 305, 300);
    phone.chunk(6, 10_120, 330, 300);
    phone.chunk(7, 10_140, 260, 300);
    let placed = phone.placed();
    assert_eq!(
        (placed.len(), phone.live.late()),
        (7, 2),
        "the sixth in part, the seventh not at all"
    );
    let due = audio_s(mono(10_400));
    assert!((placed[5].0 - due).abs() < 0.000_5, "in its own place");
    assert!(placed[6].0 - placed[5].1 > 0.019, "and the eighth in its own");
}

#[test]
fn sx15_a_phone_whose_buffer_exceeds_the_box_s_delay_is_later_by_the_difference() {
    let mut phone = Phone::new();
    phone.chunk(0, 10_000, 5, 100);
    let behind = phone.placed()[0].0 - audio_s(mono(10_100));
    assert!((behind - 0.150).abs() < 0.001, "250 ms to begin with: {behind}");
    // A quiet network: the buffer comes down, and with it what the phone is behind, by rate and not by a jump.
    (1..6_000).for_each(|k| phone.chunk(k, 10_000 + 20 * k as i64, 5, 100));
    let placed = phone.placed();
    assert!(placed.windows(2).all(|two| two[0].1 == two[1].0), "never torn on the way");
    let behind = placed[5_999].0 - audio_s(mono(10_100 + 20 * 5_999));
    assert!(behind < 0.005, "in step: {behind}");
}

#[test]
fn sx15_after_a_tear_sound_is_a_fifth_later_at_once_and_stays_there() {
    let mut phone = Phone::new();
    let sent_ms = |k: u64| 10_000 + 20 * k as i64;
    (0..12_000).for_each(|k| phone.chunk(k, sent_ms(k), 8, 40));
    let size = phone.live.delay(mono(sent_ms(12_000))).expect("it is live");
    // What is stuck behind it comes with it.
    for k in 12_000..12_020 {
        phone.chunk(k, sent_ms(k), (100 - 20 * (k as i64 - 12_000)).max(8), 40);
    }
    let placed = phone.placed();
    let after = |k: u64| placed[k as usize].0 - audio_s(mono(sent_ms(k)));
    assert!((after(11_999) - size.secs_f64()).abs() < 0.001, "{} of {size:?}", after(11_999));
    assert!((after(12_000) - 1.2 * size.secs_f64()).abs() < 0.001, "{}", after(12_000));
    assert!((after(12_019) - after(12_000)).abs() < 0.002, "{}", after(12_019));
}

#[test]
fn sx11_who_comes_anew_begins_anew_and_what_cannot_be_decoded_is_left() {
    let mut phone = Phone::new();
    (0..5).for_each(|k| phone.chunk(100 + k, 10_000 + 20 * k as i64, 5, 300));
    phone.chunk(0, 10_100, 5, 300);
    assert_eq!(phone.placed()[5].2, CROSS_FADE.secs_f64());
    phone.live.handle_undecodable();
    phone.chunk(1, 10_120, 5, 300);
    assert_eq!(phone.acts.len(), 6);
}

#[test]
fn sx11_the_box_is_told_what_is_wanted_once_and_again_on_a_new_channel() {
    let mut live = Live::new(vec![MediaCodec::Opus, MediaCodec::Pcm16]);
    assert_eq!(live.poll_wish(true), None, "no channel");
    live.handle_opened();
    assert_eq!(live.poll_wish(false), None, "nobody touched it: nothing is said");
    let all = MediaWanted { codecs: vec![MediaCodec::Opus, MediaCodec::Pcm16] };
    assert_eq!(live.poll_wish(true), Some(all.clone()));
    assert_eq!(live.poll_wish(true), None);
    assert_eq!(live.poll_wish(false), Some(MediaWanted::default()), "the sound sleeps");
    live.handle_closed();
    live.handle_opened();
    assert_eq!(live.poll_wish(true), Some(all));
    live.handle_undecodable();
    assert_eq!(live.poll_wish(true), Some(MediaWanted { codecs: vec![MediaCodec::Pcm16] }));
}

#[test]
fn sx20_what_cannot_be_opened_here_is_asked_for_no_more_and_what_was_meddled_with_is_counted() {
    let mut live = Live::new(vec![MediaCodec::Opus]);
    live.handle_opened();
    assert!(live.poll_wish(true).is_some());
    assert_eq!(live.refused(), None);
    live.handle_refused(SealTrouble::Replayed);
    live.handle_refused(SealTrouble::Changed);
    assert_eq!(live.poll_wish(true), None, "the next piece may be right");
    assert_eq!(live.refused(), Some((2, SealTrouble::Changed)));
    live.handle_refused(SealTrouble::OtherKey);
    assert_eq!(live.poll_wish(true), Some(MediaWanted::default()));
    assert_eq!(live.refused(), Some((3, SealTrouble::OtherKey)));
}
