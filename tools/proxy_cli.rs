//! `tools proxy`: a bad network from the command line.

use std::fmt::Write;
use std::io::BufRead;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use sim::path::{Carriage, Direction, SCENARIOS, Scenario};
use tools::load;
use tools::proxy::{Account, PlannedCut, Proxy, Settings, adjust, planned_cuts};

/// How to spoil a network.
#[derive(clap::Args)]
#[command(after_help = help())]
pub struct Args {
    /// Where to listen; port 0 takes one that is free, and says which
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Whom to stand in front of
    #[arg(long)]
    to: SocketAddr,
    /// What the network is like: a name below, or its beginning
    #[arg(long, default_value = "wifi-calm", value_parser = scenario)]
    scenario: &'static Scenario,
    /// Changes on the way from client to server, such as `delay=5ms,loss=2%`
    #[arg(long, default_value = "", hide_default_value = true)]
    up: String,
    /// Changes on the way back
    #[arg(long, default_value = "", hide_default_value = true)]
    down: String,
    /// Cuts both ways, or one, from when until when after the start, such as `5s-15s` or `up:5s-15s`; may stand several times
    #[arg(long, value_parser = planned, value_name = "WHEN")]
    cut: Vec<Cuts>,
    /// Where chance begins; the same seed spoils the same packets in the same way
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Datagrams instead of connections
    #[arg(long)]
    udp: bool,
    /// JSON instead of words: a line when it listens and at each `show`, a document at the end
    #[arg(long)]
    json: bool,
}

/// What one `--cut` asks for.
#[derive(Debug, Clone)]
struct Cuts(Vec<PlannedCut>);

fn planned(text: &str) -> Result<Cuts, String> {
    planned_cuts(text).map(Cuts).map_err(|error| error.to_string())
}

/// For arguments of other chores, too.
pub fn scenario(name: &str) -> Result<&'static Scenario, String> {
    let names = || SCENARIOS.each_ref().map(|it| it.name).join(", ");
    Scenario::named(name).ok_or_else(|| format!("it is none of {}", names()))
}

fn help() -> String {
    let mut text = "Scenarios:\n".to_owned();
    for Scenario { name, what, .. } in &SCENARIOS {
        let _ = writeln!(text, "  {name:<14} {what}");
    }
    text += "\nChanges to one direction:\n  \
        delay=5ms           no packet is faster\n  \
        askew=1ms           each connection's way is longer by up to this\n  \
        jitter=queue:3ms    a mean wait in queues; also even:3ms (up to twice as long), crowd:3ms (seldom very long)\n  \
        wave=700ms          queues stay long or short for about so long\n  \
        burst=40ms/800ms    whiles of about so long, and so far apart, in which nothing moves\n  \
        loss=2%,run=3       lost packets, and how many in a row; a connection sends them again and waits\n  \
        dense=50%,stray=1%  how many are lost in a row's bad while, and outside (Gilbert-Elliott)\n  \
        reorder=1%          datagrams that others overtake\n  \
        duplicate=1%        datagrams that come twice\n  \
        rate=5mbit          bits a second\n  \
        queue=300ms         how long a datagram may wait for its turn at that rate; what would wait longer is lost\n\n\
        While it runs, lines of its input are orders: `cut`, `cut up`, `cut down`, `heal`, `heal up`, `heal down`; \
        `reset` breaks every connection, and gives senders of datagrams another port; `show` tells what was done.\n\n\
        Examples:\n  \
        tools proxy --to 127.0.0.1:8080 --scenario venue --seed 7\n  \
        tools proxy --to 127.0.0.1:8443 --udp --scenario leo --listen 127.0.0.1:9443\n  \
        tools proxy --to 127.0.0.1:8080 --scenario clear --up delay=5ms,loss=1% --down delay=20ms,rate=2mbit\n  \
        tools proxy --to 127.0.0.1:9000 --udp --scenario clear --down loss=5%,run=4,duplicate=1% --cut up:10s-20s";
    text
}

/// Runs until Ctrl-C.
pub fn run(args: &Args) -> ExitCode {
    match settings(args).and_then(|settings| begin(args, settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn settings(args: &Args) -> Result<Settings, String> {
    let known = args.scenario;
    let up = adjust(known.up, &args.up).map_err(|error| format!("--up: {error}"))?;
    let down = adjust(known.down, &args.down).map_err(|error| format!("--down: {error}"))?;
    let carriage = if args.udp { Carriage::Datagrams } else { Carriage::Stream };
    let scenario = Scenario { up, down, ..*known };
    let cuts = args.cut.iter().flat_map(|Cuts(cuts)| cuts.clone()).collect();
    Ok(Settings { listen: args.listen, to: args.to, carriage, scenario, seed: args.seed, cuts })
}

fn begin(args: &Args, settings: Settings) -> Result<(), String> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| format!("no signals: {error}"))?;
    let scenario = settings.scenario;
    let proxy = Proxy::start(settings)
        .map_err(|error| format!("could not listen on {}: {error}", args.listen))?;
    let proxy = Arc::new(proxy);
    greet(args, &scenario, proxy.address());
    let (ordered, json) = (Arc::clone(&proxy), args.json);
    thread::spawn(move || {
        let lines = std::io::stdin().lock().lines().map_while(Result::ok);
        lines.for_each(|line| obey(&ordered, &line, json));
    });
    signals.forever().next();
    part(args, &scenario, proxy.account());
    Ok(())
}

fn greet(args: &Args, scenario: &Scenario, address: SocketAddr) {
    if args.json {
        println!("{}", serde_json::json!({ "listening": address }));
        return;
    }
    let kind = if args.udp { "UDP" } else { "TCP" };
    println!("listening on {address}");
    println!("{kind} to {}: {} ({}), seed {}", args.to, scenario.name, scenario.what, args.seed);
    println!("type cut, heal, reset or show; Ctrl-C ends it");
}

/// A line of a person's, or of a script's.
fn obey(proxy: &Proxy, line: &str, json: bool) {
    let both = [Direction::Up, Direction::Down];
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        [] => {}
        ["show"] if json => println!("{}", serde_json::json!(proxy.account())),
        ["show"] => eprintln!("{}", proxy.account()),
        ["reset"] => proxy.reset(),
        ["cut"] => both.iter().for_each(|way| proxy.cut(*way)),
        ["cut", "up"] => proxy.cut(Direction::Up),
        ["cut", "down"] => proxy.cut(Direction::Down),
        ["heal"] => both.iter().for_each(|way| proxy.heal(*way)),
        ["heal", "up"] => proxy.heal(Direction::Up),
        ["heal", "down"] => proxy.heal(Direction::Down),
        _ => {
            eprintln!(
                "`{line}` is none of: cut, cut up, cut down, heal, heal up, heal down, reset, show"
            );
        }
    }
}

fn part(args: &Args, scenario: &Scenario, account: Account) {
    #[derive(Serialize)]
    struct Report {
        scenario: &'static str,
        seed: u64,
        udp: bool,
        #[serde(flatten)]
        account: Account,
        load: String,
    }
    let report =
        Report { scenario: scenario.name, seed: args.seed, udp: args.udp, account, load: load() };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).expect("numbers and words"));
    } else {
        println!("\n{}; load {}", report.account, report.load);
    }
}
