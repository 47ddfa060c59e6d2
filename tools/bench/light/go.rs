//! From GO to light on the wire, of every slot of thousands of universes, and what it does to frames that leave meanwhile.
//!
//! In: the box on one core, a listener on the other, a stage that comes up, and a GO that takes all of it down. Out: how
//! long until the first and the last universe were seen to go down, and how evenly frames came from a second before GO
//! until well after it. Times are the kernel's stamps as packets arrive.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tools::running::post;

use super::listener::{Fell, Heard};
use super::{CORES, DRAWN_UP, Net, Running, Sender};
use crate::bench::net::ENDS;
use crate::pause;

/// The stage moves for so long before GO, and is listened to.
const BEFORE: Duration = Duration::from_secs(1);
/// And so long after it should have gone down.
const AFTER: Duration = Duration::from_secs(1);

/// How to measure.
pub struct GoArgs<'a> {
    pub universes: u16,
    pub trials: u32,
    pub program: &'a Path,
    pub cores: &'a str,
}

/// What a GO did. Times in milliseconds.
#[derive(Debug, Serialize)]
pub struct Row {
    universes: u16,
    trial: u32,
    load: f64,
    /// What a host took of this machine's processors meanwhile.
    stolen: Option<f64>,
    /// From GO until the box had answered.
    answered: f64,
    /// Until the first universe was seen to change; none if none was.
    first: Option<f64>,
    /// Until all were; none if some were not.
    all: Option<f64>,
    heard: Heard,
}

/// Measures, a row a GO.
pub fn measure(args: &GoArgs) -> io::Result<Vec<Row>> {
    pause::hear_signals()?;
    let (folder, net) = (TempDir::new()?, Net::new()?);
    let run_by = (args.program, args.cores);
    let _sender = Sender::start(run_by, &net, folder.path(), "downbeat", args.universes)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let desk = Desk { runtime, folder: folder.path() };
    let drawn_up = DRAWN_UP * u32::from(args.universes);
    (0..args.trials)
        .map(|trial| {
            desk.press("goto", r#"{"cue":"1"}"#)?;
            desk.press("go", "")?;
            pause::of(drawn_up)?;
            let secs = (BEFORE + BEFORE + drawn_up + AFTER).as_secs_f64();
            let listening = listen(&net, folder.path(), secs)?;
            pause::of(BEFORE)?;
            let (load, stolen) = (crate::bench::load(), crate::bench::stolen_ms());
            let pressed = now_ns();
            desk.press("go", "")?;
            let answered = now_ns();
            let heard: Heard = listening.end()?;
            // Until it is dark, so that the next comes up from there.
            pause::of(super::peers::FADE)?;
            let since = |ns: u64| ns.saturating_sub(pressed) as f64 / 1e6;
            let all = |it: &Fell| it.universes == usize::from(args.universes);
            let row = Row {
                universes: args.universes,
                trial,
                load,
                stolen: stolen.zip(crate::bench::stolen_ms()).map(|(before, now)| now - before),
                answered: since(answered),
                first: heard.fell.map(|it| since(it.first_ns)),
                all: heard.fell.filter(all).map(|it| since(it.last_ns)),
                heard,
            };
            eprintln!("{}", serde_json::to_string(&row).expect("numbers and words"));
            Ok(row)
        })
        .collect()
}

/// Prints them for people.
pub fn print(rows: &[Row]) {
    println!("ms from GO; jitter and distance from the grid from a second before it to the end\n");
    println!(
        "universes  trial  answered  first     all     Hz  lost  jitter p50    p99   p99.9     max  off grid p99.9  stolen  load"
    );
    for it in rows {
        let Heard { hz, lost, jitter_p50, jitter_p99, jitter_p999, jitter_max, .. } = it.heard;
        println!(
            "{:>9} {:>6} {:>9.1} {:>6} {:>7} {hz:>6.1} {lost:>5} {jitter_p50:>11.3} {jitter_p99:>6.3} {jitter_p999:>7.3} {jitter_max:>7.3} {:>15.3} {:>7} {:>5.2}",
            it.universes,
            it.trial,
            it.answered,
            super::text(it.first, 1),
            super::text(it.all, 1),
            it.heard.off_grid_p999,
            super::text(it.stolen, 0),
            it.load,
        );
    }
}

/// Who presses GO: by the control socket, as a surface on the box does.
struct Desk<'a> {
    runtime: Runtime,
    folder: &'a Path,
}

impl Desk<'_> {
    fn press(&self, order: &str, body: &'static str) -> io::Result<()> {
        let done = self.runtime.block_on(post(&self.folder.join("socket"), order, body));
        done.map_err(io::Error::other)
    }
}

fn listen(net: &Net, folder: &Path, secs: f64) -> io::Result<Running> {
    let words = format!("listen --interface {} --secs {secs}", ENDS[1]);
    Running::start(net, 1, CORES[1], &words, &folder.join("listen.out"))
}

/// UNIX time, as the kernel stamps.
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is after 1970").as_nanos() as u64
}
