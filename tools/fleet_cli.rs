//! `tools fleet`: phones at a box, from the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use sim::path::{SCENARIOS, Scenario};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tools::fleet::{self, Place, Plan, Report, Way};

use crate::proxy_cli;
use crate::test::root;

/// What to try.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools fleet --phones 1000 --scenario venue\n  tools fleet --phones 200 --scenario all --json > fleet.json\n  tools fleet --phones 1000 --way webtransport\n  tools fleet --phones 50 --box 127.0.0.1:8080 --socket /run/downbeat/control.sock\n\nBox, phones and network share this machine's clock, so the error is known exactly; they share its processors, too, so\nread the load. `tools proxy --help` describes the scenarios."
)]
pub struct Args {
    /// How many
    #[arg(long, default_value_t = 1000)]
    phones: usize,
    /// What the network is like: a name, its beginning, or `all` in turn
    #[arg(long, default_value = "venue-crowded", value_parser = scenarios)]
    scenario: Scenarios,
    /// How phones come in and ask: over plain HTTP on the socket, over TLS in datagrams, the same with all that is said by QUIC, or the first two one after the other
    #[arg(long, value_enum, default_value = "ws")]
    way: Ways,
    /// Where chance begins
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds after the last phone came in which nothing is counted
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    warm_up: f64,
    /// Seconds in which errors are taken
    #[arg(long, default_value_t = 30.0, value_parser = seconds)]
    measure: f64,
    /// Seconds in which what a question costs the box is weighed
    #[arg(long, default_value_t = 30.0, value_parser = seconds)]
    weigh: f64,
    /// Which program to run as the box
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat")]
    program: PathBuf,
    /// A box that runs on this machine already, its HTTP port; it must let so many in from one address
    #[arg(long = "box", requires = "socket")]
    the_box: Option<SocketAddr>,
    /// Its HTTPS port, for those that ask in datagrams
    #[arg(long = "secure-box", requires = "the_box")]
    secure_box: Option<SocketAddr>,
    /// That box's control socket
    #[arg(long)]
    socket: Option<PathBuf>,
    /// One JSON document instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Ways {
    Ws,
    Webtransport,
    Quic,
    Both,
}

impl Ways {
    fn each(self) -> &'static [Way] {
        match self {
            Self::Ws => &[Way::WebSocket],
            Self::Webtransport => &[Way::WebTransport],
            Self::Quic => &[Way::Quic],
            Self::Both => &[Way::WebSocket, Way::WebTransport],
        }
    }
}

#[derive(Debug, Clone)]
struct Scenarios(Vec<&'static Scenario>);

fn scenarios(name: &str) -> Result<Scenarios, String> {
    // Where nothing happens nothing is learnt.
    let all = || SCENARIOS.iter().filter(|it| it.name != "clear").collect();
    if name == "all" {
        Ok(Scenarios(all()))
    } else {
        proxy_cli::scenario(name).map(|it| Scenarios(vec![it]))
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|it| (0.0..=86_400.0).contains(it));
    seconds.ok_or_else(|| "seconds, up to a day".to_owned())
}

/// Runs every scenario, prints each when it is over.
pub fn run(args: &Args) -> ExitCode {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut reports = Vec::new();
    let scenarios = args.scenario.0.iter();
    for (scenario, way) in
        scenarios.flat_map(|it| args.way.each().iter().map(move |way| (*it, *way)))
    {
        let say = |word| eprintln!("  {} by {way}: {word}", scenario.name);
        let plan = plan(args, scenario, way);
        // Dropped where it stands, it ends its box and takes its folders away.
        let ended = runtime.block_on(async {
            tokio::select! {
                ended = fleet::run(&plan, say) => ended.map_err(|error| error.to_string()),
                why = told_to_end() => Err(why),
            }
        });
        match ended {
            Ok(report) => reports.extend(tell(args, report)),
            Err(why) => {
                eprintln!("{why}");
                return ExitCode::FAILURE;
            }
        }
    }
    if args.json {
        #[derive(Serialize)]
        struct Document {
            fleet: Vec<Report>,
        }
        let document = Document { fleet: reports };
        println!("{}", serde_json::to_string_pretty(&document).expect("numbers and words"));
    }
    ExitCode::SUCCESS
}

/// Ctrl-C, or whoever else wants it to end; in words.
async fn told_to_end() -> String {
    let told = async |kind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = told(SignalKind::interrupt()) => {}
        () = told(SignalKind::terminate()) => {}
        () = told(SignalKind::hangup()) => {}
    }
    "interrupted: nothing is left behind".to_owned()
}

/// Words are told at once; a document waits for the rest of it.
fn tell(args: &Args, report: Report) -> Option<Report> {
    if args.json {
        return Some(report);
    }
    println!("{report}\n");
    None
}

fn plan(args: &Args, scenario: &Scenario, way: Way) -> Plan {
    let at = match (args.the_box, &args.socket) {
        (Some(http), Some(socket)) => {
            Place::Running { http, https: args.secure_box, socket: socket.clone() }
        }
        _ => Place::Program(root().join(&args.program)),
    };
    Plan {
        phones: args.phones,
        way,
        scenario: *scenario,
        seed: args.seed,
        warm_up: Duration::from_secs_f64(args.warm_up),
        measure: Duration::from_secs_f64(args.measure),
        weigh: Duration::from_secs_f64(args.weigh),
        at,
    }
}
