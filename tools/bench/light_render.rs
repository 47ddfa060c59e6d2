//! What a frame of light costs to draw, for many universes of 512 slots that all move, beside what it costs to copy
//! their octets and to read through what they are drawn from: less is not possible.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use engine::light::{Desk, GRID, MasterId, Plan, Playback, Take};
use engine::show::{
    Channel, Curve, Fixture, LaneId, LightCue, Merge, Shape, Show, Target, Timing, UniverseOut,
    Wave, WaveTarget,
};
use serde::Serialize;
use std::sync::Arc;
use tools::load;
use units::{Level, ShowTime, Slot, Span, Universe};

/// How much to draw.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench light-render\n  tools bench light-render --universes 3000 --frames 50 --json"
)]
pub struct Args {
    /// How many universes of 512 slots
    #[arg(long, default_value_t = 512)]
    universes: u32,
    /// How many frames of each kind
    #[arg(long, default_value_t = 200)]
    frames: u32,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    bench: &'static str,
    universes: u32,
    frames: u32,
    load: String,
    rows: Vec<Row>,
    orders: Vec<Order>,
}

/// What the engine does once, when a cue of every slot is fired.
#[derive(Serialize)]
struct Order {
    what: &'static str,
    took_ms: f64,
}

/// One kind of frame.
#[derive(Serialize)]
struct Row {
    what: &'static str,
    /// Of all universes.
    frame_ms_p50: f64,
    frame_ms_p99: f64,
    universe_us_p50: f64,
}

/// Draws, copies, and prints.
pub fn run(args: &Args) -> ExitCode {
    let mut rows = Vec::new();
    let octets = vec![[7_u8; Universe::SLOTS]; args.universes as usize];
    let mut wire = octets.clone();
    rows.push(row("copying the octets", args, |_| {
        wire.iter_mut().zip(&octets).for_each(|(to, from)| *to = *black_box(from));
        black_box(&wire);
    }));
    let drawn_from = vec![[7_u64; Universe::SLOTS]; args.universes as usize];
    rows.push(row("reading eight octets a slot", args, |_| {
        let sum = |it: &[u64; Universe::SLOTS]| it.iter().fold(0, |sum, word| sum ^ word);
        black_box(black_box(&drawn_from).iter().map(sum).fold(0, |sum, word| sum ^ word));
    }));
    for (what, play) in SCENES {
        let began = Instant::now();
        let plan = play(args.universes);
        eprintln!(
            "  {what}: ordered and drawn up in {:.0} ms",
            began.elapsed().as_secs_f64() * 1e3
        );
        let mut desk = Desk::default();
        rows.push(row(what, args, |frame| {
            let at = at(0.1) + GRID.times(i64::from(frame));
            for (universe, slots) in plan.universes.iter().zip(&mut wire) {
                desk.draw(universe, at, slots);
            }
            black_box(&wire);
        }));
    }
    let (universes, frames) = (args.universes, args.frames);
    let orders = orders(universes);
    let report = Report { bench: "light-render", universes, frames, load: load(), rows, orders };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).expect("numbers and words"));
    } else {
        report.print();
    }
    ExitCode::SUCCESS
}

/// Two cues of every slot, one behind the other.
fn orders(universes: u32) -> Vec<Order> {
    let show = show(universes);
    let (mut playback, mut orders) = (Playback::new(&show), Vec::new());
    let mut plan = playback.plan(0);
    let mut order = |what, deed: &mut dyn FnMut()| {
        let began = Instant::now();
        deed();
        orders.push(Order { what, took_ms: began.elapsed().as_secs_f64() * 1e3 });
    };
    let cues = [
        (
            0.0,
            Level::FULL,
            ["a cue takes every slot", "and is drawn up", "what was before forgotten"],
        ),
        (
            9.0,
            Level::OUT,
            ["the next one takes them", "and is drawn up", "what was before forgotten"],
        ),
    ];
    for (secs, level, [takes, drawn, forgotten]) in cues {
        let light = cue_of(&show, level);
        order(takes, &mut || playback.take(&Take { list: 0, at: at(secs), light: &light }));
        order(drawn, &mut || plan = playback.plan(1));
        order(forgotten, &mut || playback.forget(at(secs + 1.0)));
    }
    black_box(plan);
    orders
}

fn row(what: &'static str, args: &Args, mut frame: impl FnMut(u32)) -> Row {
    let mut took: Vec<f64> = (0..args.frames)
        .map(|index| {
            let began = Instant::now();
            frame(index);
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    let (frame_ms_p50, frame_ms_p99) = (at(0.5), at(0.99));
    let universe_us_p50 = frame_ms_p50 * 1e3 / f64::from(args.universes);
    Row { what, frame_ms_p50, frame_ms_p99, universe_us_p50 }
}

impl Report {
    fn print(&self) {
        println!(
            "{} universes of 512 slots, {} frames each, one thread, load {}",
            self.universes, self.frames, self.load
        );
        println!("{:<44} {:>12} {:>12} {:>14}", "", "frame p50", "frame p99", "a universe");
        for it in &self.rows {
            println!(
                "{:<44} {:>9.3} ms {:>9.3} ms {:>11.3} us",
                it.what, it.frame_ms_p50, it.frame_ms_p99, it.universe_us_p50
            );
        }
        println!("\nonce, by the engine:");
        for it in &self.orders {
            println!("{:<44} {:>9.1} ms", it.what, it.took_ms);
        }
    }
}

type Scene = fn(u32) -> Arc<Plan>;

const SCENES: [(&str, Scene); 6] = [
    ("a fade on every slot", |count| played(count, |_, _| {})),
    ("and the grand master moving", |count| {
        played(count, |it, _| {
            it.set_master(MasterId::GRAND, at(0.0), Span::from_secs(60), Level::OUT)
        })
    }),
    ("every slot still", still),
    ("two lists fading, the highest seen", |count| {
        played(count, |it, show| fade(it, show, 1, at(0.05), Level::ONE_STEP))
    }),
    ("an effect on every slot", |count| played(count, wave)),
    ("an effect and a fade of another list", |count| {
        played(count, |it, show| {
            wave(it, show);
            fade(it, show, 1, at(0.05), Level::ONE_STEP);
        })
    }),
];

fn at(secs: f64) -> ShowTime {
    ShowTime::from_ns(1_790_000_000_000_000_000) + Span::from_secs_f64(secs)
}

/// Every slot of every universe fading for a minute, and what comes on top.
fn played(universes: u32, more: impl FnOnce(&mut Playback, &Show)) -> Arc<Plan> {
    let show = show(universes);
    let mut playback = Playback::new(&show);
    fade(&mut playback, &show, 0, at(0.0), Level::FULL);
    more(&mut playback, &show);
    playback.forget(at(0.06));
    playback.plan(1)
}

fn still(universes: u32) -> Arc<Plan> {
    Playback::new(&show(universes)).plan(1)
}

fn lanes(show: &Show) -> impl Iterator<Item = LaneId> {
    let fixtures = 0..show.fixtures.len() as u32;
    fixtures.flat_map(|fixture| (0..512).map(move |channel| LaneId { fixture, channel }))
}

fn fade(playback: &mut Playback, show: &Show, list: usize, at: ShowTime, level: Level) {
    playback.take(&Take { list, at, light: &cue_of(show, level) });
}

fn cue_of(show: &Show, level: Level) -> LightCue {
    let targets = lanes(show).map(|lane| Target { lane, level, timing: 0 }).collect();
    let timing = Timing { fade: Span::from_secs(60), curve: Curve::S, ..Timing::default() };
    LightCue { targets, timings: vec![timing], ..LightCue::default() }
}

fn wave(playback: &mut Playback, show: &Show) {
    let wave = |lane: LaneId| {
        let (shape, period, phase) = (Shape::Sine, Span::from_secs(4), lane.channel << 23);
        let wave = Wave { shape, period, phase, low: Level::OUT, high: Level::FULL };
        WaveTarget { lane, wave: Arc::new(wave), timing: 0 }
    };
    let waves = lanes(show).map(wave).collect();
    let light = LightCue { waves, timings: vec![Timing::default()], ..LightCue::default() };
    playback.take(&Take { list: 0, at: at(0.02), light: &light });
}

fn show(universes: u32) -> Show {
    let universe = |number| Universe::new(number).expect("a universe");
    let channel = |offset| Channel {
        attribute: "dimmer".into(),
        offsets: vec![offset],
        merge: Merge::Htp,
        ..Channel::default()
    };
    let fixture = |number: u32| Fixture {
        name: number.to_string(),
        universe: universe(number),
        address: Slot::new(1).expect("a slot"),
        cell_of: None,
        channels: (0..512).map(channel).collect(),
    };
    Show {
        universes: (1..=universes).map(|it| (universe(it), UniverseOut::default())).collect(),
        fixtures: (1..=universes).map(fixture).collect(),
        ..Show::default()
    }
}
