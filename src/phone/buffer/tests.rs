//! The buffer on simulated and recorded ways, and by any events at all.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn at(ms: f64) -> MonoTime {
    MonoTime::from_ns((ms * 1e6) as i64)
}

fn ms(ms: f64) -> Span {
    Span::from_secs_f64(ms / 1e3)
}

#[test]
fn sx14_five_levels_have_the_document_s_bounds_and_sizes() {
    let level = |rtt_ms, loss_percent: f64| Quality::of(ms(rtt_ms), loss_percent / 100.0);
    let cases = [
        (9.9, 0.0, Quality::Excellent, 30),
        (10.0, 0.0, Quality::Good, 80),
        (5.0, 0.05, Quality::Good, 80),
        (49.9, 0.1, Quality::Fair, 120),
        (99.9, 0.9, Quality::Fair, 120),
        (100.0, 0.0, Quality::Poor, 180),
        (20.0, 4.9, Quality::Poor, 180),
        (200.0, 0.0, Quality::Critical, 250),
        (5.0, 5.0, Quality::Critical, 250),
    ];
    for (rtt, loss, quality, size) in cases {
        assert_eq!(level(rtt, loss), quality, "{rtt} ms, {loss} %");
        assert_eq!(quality.buffer(), Span::from_millis(size));
    }
}

/// A quiet network until `until_ms`, chunks of 20 ms.
fn quiet(buffer: &mut Buffer, from_ms: u32, until_ms: u32, delay_ms: f64) {
    for k in (from_ms..until_ms).step_by(20) {
        buffer.handle_chunk(ms(delay_ms));
        buffer.tick(at(f64::from(k)));
    }
}

#[test]
fn sx15_a_quiet_network_comes_down_slowly_to_the_smallest_buffer() {
    let mut buffer = Buffer::new(at(0.0));
    quiet(&mut buffer, 0, 60_000, 2.0);
    let after_a_minute = buffer.size().millis_f64();
    assert!((120.0..160.0).contains(&after_a_minute), "{after_a_minute}");
    quiet(&mut buffer, 60_000, 300_000, 2.0);
    assert_eq!((buffer.size(), buffer.quality()), (ms(30.0), Some(Quality::Excellent)));
}

#[test]
fn sx14_a_buffer_that_has_measured_nothing_names_no_level_and_begins_with_the_largest() {
    let mut buffer = Buffer::new(at(0.0));
    buffer.handle_chunk(ms(2.0));
    buffer.tick(at(199.0));
    assert_eq!((buffer.quality(), buffer.size()), (None, ms(250.0)));
    buffer.tick(at(200.0));
    assert_eq!(buffer.quality(), Some(Quality::Excellent));
}

#[test]
fn sx15_a_tear_adds_a_fifth_at_once_and_once_for_all_chunks_behind_the_gap() {
    let mut buffer = Buffer::new(at(0.0));
    quiet(&mut buffer, 0, 300_000, 2.0);
    for k in 0..5 {
        buffer.handle_underrun(at(300_000.0 + 20.0 * f64::from(k)));
    }
    assert!((buffer.size().millis_f64() - 36.0).abs() < 1e-9);
    buffer.handle_underrun(at(300_200.0));
    assert!((buffer.size().millis_f64() - 43.2).abs() < 1e-9);
}

#[test]
fn sx15_after_a_tear_it_does_not_come_down_before_all_was_well_for_a_while() {
    let mut buffer = Buffer::new(at(0.0));
    quiet(&mut buffer, 0, 300_000, 2.0);
    buffer.handle_underrun(at(300_000.0));
    let torn = buffer.size();
    quiet(&mut buffer, 300_000, 304_900, 2.0);
    assert_eq!(buffer.size(), torn);
    quiet(&mut buffer, 304_900, 308_000, 2.0);
    assert!(buffer.size() < torn);
}

#[test]
fn sx15_one_bad_measure_among_good_ones_moves_no_level() {
    let mut buffer = Buffer::new(at(0.0));
    quiet(&mut buffer, 0, 20_000, 2.0);
    buffer.handle_rtt(ms(30.0));
    quiet(&mut buffer, 20_000, 20_400, 2.0);
    assert_eq!(buffer.quality(), Some(Quality::Excellent), "smoothed");
    for k in 0..20 {
        buffer.handle_rtt(ms(30.0));
        quiet(&mut buffer, 20_400 + 200 * k, 20_600 + 200 * k, 2.0);
    }
    assert_eq!(buffer.quality(), Some(Quality::Good), "but it lasts");
}

#[test]
fn sx15_chunks_that_never_come_are_a_worse_level() {
    let mut buffer = Buffer::new(at(0.0));
    quiet(&mut buffer, 0, 20_000, 2.0);
    assert_eq!(buffer.loss(), Some(0.0));
    for k in 0..50 {
        buffer.handle_missing(at(20_000.0), 1);
        quiet(&mut buffer, 20_000 + 200 * k, 20_200 + 200 * k, 2.0);
    }
    let loss = buffer.loss().expect("seen");
    assert!((loss - 1.0 / 11.0).abs() < 0.01, "{loss}");
    assert_eq!(buffer.quality(), Some(Quality::Critical));
}

/// A way down, simulated: when each piece was sent, how long it took, and the round trip then; milliseconds.
struct Trace {
    name: String,
    rows: Vec<[f64; 3]>,
}

#[expect(clippy::disallowed_methods, reason = "a test reads its vectors")]
fn traces() -> Vec<Trace> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/delays");
    let files = std::fs::read_dir(folder).expect("the traces are in the repository");
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a file can be read");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let row = |line: &str| {
            let mut values = line.split(' ').map(|it| it.parse().expect("a number"));
            std::array::from_fn(|_| values.next().expect("three to a line"))
        };
        let mut at = 0.0;
        // The first value is the time since the line before.
        let rows = lines.map(row).map(|[gap, delay, rtt]: [f64; 3]| {
            at += gap;
            [at, delay, rtt]
        });
        Trace { name: path.display().to_string(), rows: rows.collect() }
    };
    files.map(|entry| read(entry.expect("a folder can be listed").path())).collect()
}

/// A piece that was not there when it was due.
struct Tear {
    delay_ms: f64,
    /// Slower than all before it: no buffer could have known.
    is_record: bool,
    /// The buffer had seen as much and grew as fast as it may.
    was_climbing: bool,
}

/// The tears, and the mean size. A delay is known when its piece has come, not before.
fn play(trace: &Trace) -> (Vec<Tear>, f64) {
    let (mut buffer, mut tears, mut sum, mut record) = (Buffer::new(at(0.0)), vec![], 0.0, 0.0);
    let mut under_way: Vec<[f64; 3]> = Vec::new();
    for &row in &trace.rows {
        let [sent, delay_ms, _] = row;
        let (come, rest) =
            under_way.iter().partition(|[sent_then, delay, _]| sent_then + delay <= sent);
        under_way = rest;
        for [_, delay_ms, rtt] in come {
            record = delay_ms.max(record);
            buffer.handle_chunk(ms(delay_ms));
            buffer.handle_rtt(ms(rtt));
        }
        buffer.tick(at(sent));
        let size = buffer.size().millis_f64();
        sum += size;
        if delay_ms > size {
            let (is_record, was_climbing) = (delay_ms > record, buffer.is_climbing());
            tears.push(Tear { delay_ms, is_record, was_climbing });
            buffer.handle_underrun(at(sent + size));
        }
        under_way.push(row);
    }
    (tears, sum / trace.rows.len() as f64)
}

#[test]
fn sx15_on_simulated_and_recorded_ways_nothing_tears_that_a_perfect_buffer_of_the_same_mean_would_have_held()
 {
    let traces = traces();
    assert!(traces.len() >= 6);
    for trace in traces {
        let (tears, mean) = play(&trace);
        // That one is set once, by somebody who knows the whole evening, and never moves.
        let perfect = trace.rows.iter().filter(|row| row[1] > mean).count();
        let ours = tears.iter().filter(|it| it.delay_ms <= mean);
        let ours = ours.filter(|it| !it.is_record && !it.was_climbing).count();
        println!("{}: mean {mean:.0} ms, {} torn, perfect {perfect}", trace.name, tears.len());
        assert_eq!(ours, 0, "{}", trace.name);
        // The first gap of its kind, and those that come while the document's 10 %/s are being waited for.
        assert!(tears.len() <= perfect + 3, "{}: {} and {perfect}", trace.name, tears.len());
    }
}

#[derive(Debug, Clone, Copy)]
enum Any {
    Chunk(f64),
    Rtt(f64),
    Missing(u32),
    Underrun,
    Sleep(u16),
}

fn any() -> impl Strategy<Value = Any> {
    prop_oneof![
        8 => (0.0..400.0_f64).prop_map(Any::Chunk),
        2 => (0.0..2_000.0_f64).prop_map(Any::Rtt),
        1 => (1..50_u32).prop_map(Any::Missing),
        1 => Just(Any::Underrun),
        1 => (1..9_000_u16).prop_map(Any::Sleep),
    ]
}

proptest! {
    #[test]
    fn sx15_whatever_comes_the_size_moves_within_the_document_s_bounds(events in prop::collection::vec(any(), 1..600)) {
        let mut buffer = Buffer::new(at(0.0));
        let mut now = 0.0;
        let mut trail = vec![(0.0, buffer.size().millis_f64())];
        for event in events {
            match event {
                Any::Chunk(delay) => buffer.handle_chunk(ms(delay)),
                Any::Rtt(rtt) => buffer.handle_rtt(ms(rtt)),
                Any::Missing(chunks) => buffer.handle_missing(at(now), chunks),
                Any::Underrun => {
                    let before = buffer.size().millis_f64();
                    buffer.handle_underrun(at(now));
                    let after = buffer.size().millis_f64();
                    let jumped = (after - (before * 1.2).min(250.0)).abs() < 1e-6;
                    prop_assert!(jumped || after == before, "{} to {}", before, after);
                    if after != before {
                        trail.clear();
                    }
                    trail.push((now, after));
                    continue;
                }
                Any::Sleep(ms) => now += f64::from(ms),
            }
            now += 20.0;
            buffer.tick(at(now));
            let size = buffer.size().millis_f64();
            prop_assert!((30.0..=250.0).contains(&size));
            for (since, was) in &trail {
                // What began just before a measure ends just after one.
                let secs = (now - since + 200.0) / 1e3;
                prop_assert!(size <= was * 1.1_f64.powf(secs) + 1e-6, "{} to {} in {} s", was, size, secs);
                prop_assert!(size >= was * 0.9_f64.powf(secs) - 1e-6, "{} to {} in {} s", was, size, secs);
            }
            trail.push((now, size));
            prop_assert!(buffer.next_wake() > at(now) && buffer.next_wake() <= at(now + 200.0));
        }
    }
}
