//! One order to a thousand phones and more: what a delivery costs, when the last one has it, what a connection takes, and
//! whether everybody is let in; beside the least that can be done and beside other servers, in one run.
//!
//! In: the real program or a peer of it on one processor, a crowd in processes of its own on another. Out: a row a server
//! and size. Loopback runs the receiver's half in the sender's time, for all of them alike.

mod guests;
mod process;
mod server;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use tools::crowd::{Arrival, Manner, Party};
use tools::fleet;

use super::{load, tell};
use crate::test::root;
use guests::{Account, Guests};
use process::{kernel_kib, rss_kib, spent};
use server::{Peer, Server, ServerError, machine};

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench fanout\n  tools bench fanout --peers floor,downbeat --phones 1000 --seconds 5\n  tools bench fanout --peers downbeat --phones 1000 --beside deaf,dribbling,restless,flooding\n  tools bench fanout --peers downbeat --phones 1000 --clock 60\n\nNode and npm are needed for ws, socket-io and soundworks, and openssl for ws-tls. 5,000 phones are as many descriptors in two processes: `ulimit -n 20000`."
)]
pub struct Args {
    /// Phones, one measurement each
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 2000, 5000])]
    phones: Vec<u32>,
    /// Servers
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = [Peer::Floor, Peer::Ws, Peer::SocketIo, Peer::Soundworks, Peer::Downbeat, Peer::WsTls, Peer::DownbeatTls])]
    peers: Vec<Peer>,
    /// Orders a second
    #[arg(long, default_value_t = 10.0)]
    orders: f64,
    /// How long
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Octets of an order's text
    #[arg(long, default_value_t = 300)]
    octets: usize,
    /// How many come a second
    #[arg(long, default_value_t = 500.0)]
    joins: f64,
    /// Bad company for the box, each kind in a measurement of its own after one without
    #[arg(long, value_delimiter = ',', value_enum)]
    beside: Vec<Manner>,
    /// How many of them
    #[arg(long, default_value_t = 2000)]
    beside_count: u32,
    /// Seconds of phones that only ask the time, in a box of their own at the end; not by default
    #[arg(long)]
    clock: Option<u64>,
    /// Which program
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat")]
    program: PathBuf,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// This process is the crowd
    #[arg(long, hide = true)]
    guests: bool,
    /// This process is the floor, on this port
    #[arg(long, hide = true)]
    serve_floor: Option<u16>,
}

/// One measurement.
#[derive(Debug, Serialize)]
struct Row {
    peer: &'static str,
    phones: u32,
    beside: Option<Manner>,
    joined: u32,
    failed: u32,
    join_s: f64,
    /// From the order to the last receiver.
    last_p50_ms: f64,
    last_p99_ms: f64,
    last_max_ms: f64,
    us_a_delivery: f64,
    /// Without what the process spends as long while nobody says anything.
    us_a_delivery_beside_idle: f64,
    /// The process's own, without what it had before anybody came.
    rss_kib_a_phone: f64,
    /// Of both ends of the connections.
    kernel_kib_a_phone: f64,
    delivered: u64,
    expected: u64,
    /// Connections at the end.
    here: usize,
    load: f64,
}

/// All of them.
#[derive(Debug, Serialize)]
struct Report {
    rows: Vec<Row>,
    clock: Option<fleet::Report>,
}

/// Orders before those that count.
const WARM_UP: u32 = 10;
/// Whoever has not heard an order by then will not.
const SETTLE: Duration = Duration::from_millis(1500);
/// How long it is weighed what a question of the time costs.
const WEIGH: Duration = Duration::from_secs(18);
/// How long nobody says anything.
const IDLE: Duration = Duration::from_secs(2);

/// Measures and prints.
pub fn run(args: &Args) -> ExitCode {
    if args.guests {
        return ended(guests::serve());
    }
    if let Some(port) = args.serve_floor {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let served = listener.and_then(|it| tools::crowd::serve_floor(&it));
        return ended(served.map_err(machine("the floor")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime.map_err(machine("a runtime")).and_then(|it| it.block_on(report(args)));
    tell("the fan-out", measured, args.json, print)
}

fn ended(result: Result<(), ServerError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn report(args: &Args) -> Result<Report, ServerError> {
    Ok(Report { rows: measure(args).await?, clock: clock(args).await? })
}

/// What phones ask of the clock, and what that costs: the pages' own core, on sockets without any weather.
async fn clock(args: &Args) -> Result<Option<fleet::Report>, ServerError> {
    let Some((seconds, phones)) = args.clock.zip(args.phones.first()) else { return Ok(None) };
    let seconds = Duration::from_secs(seconds);
    let plan = fleet::Plan {
        phones: *phones as usize,
        way: fleet::Way::WebSocket,
        scenario: sim::path::SCENARIOS[0],
        seed: 1,
        warm_up: seconds / 2,
        measure: seconds / 2,
        weigh: WEIGH,
        at: fleet::Place::Program(root().join(&args.program)),
    };
    Ok(Some(fleet::run(&plan, |word| eprintln!("the clock: {word}")).await?))
}

async fn measure(args: &Args) -> Result<Vec<Row>, ServerError> {
    process::open_files();
    let mut rows = Vec::new();
    for &phones in &args.phones {
        for &peer in &args.peers {
            let company = [None].into_iter().chain(args.beside.iter().copied().map(Some));
            for beside in company {
                match one(args, peer, phones, beside).await {
                    Ok(row) => {
                        eprintln!("{row:?}");
                        rows.push(row);
                    }
                    // A peer that does not run here takes no other's row with it; the box has no such excuse.
                    Err(error) if peer.is_other() => {
                        eprintln!("no row for {} and {phones} phones: {error}", peer.name());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(rows)
}

async fn one(
    args: &Args,
    peer: Peer,
    phones: u32,
    beside: Option<Manner>,
) -> Result<Row, ServerError> {
    let measured = (args.orders * f64::from(args.seconds)) as u32;
    let words = WARM_UP + measured;
    let program = root().join(&args.program);
    let mut server = Server::start(peer, &program, words, args.octets).await?;
    // What a process does when it has just begun is not what it does.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = |count: u32, first: u32, manner: Manner| Party {
        to: server.at,
        secure: server.secure,
        dialect: server.dialect.clone(),
        count,
        first,
        per_second: args.joins,
        manner,
    };
    let (rss, kernel) = (rss_kib(server.pid), kernel_kib());
    let (mut guests, arrival) = Guests::come(&asked(phones, 0, Manner::Good))?;
    let a_phone = |now: f64, before: f64| (now - before) / f64::from(phones);
    let memory = [a_phone(rss_kib(server.pid), rss), a_phone(kernel_kib(), kernel)];
    let company = beside.map(|manner| Guests::come(&asked(args.beside_count, phones, manner)));
    let _company = company.transpose()?;
    server.open()?;
    let said = say(args, &mut server, words).await?;
    let account = guests.report()?;
    Ok(row(peer, phones, beside, arrival, memory, &said, &account))
}

/// The share of a processor that a server takes with everybody there and nothing said, bad company at work.
async fn idle(server: &Server) -> f64 {
    tokio::time::sleep(SETTLE).await;
    let (before, begin) = (spent(server.pid), Instant::now());
    tokio::time::sleep(IDLE).await;
    (spent(server.pid) - before) as f64 / begin.elapsed().as_nanos() as f64
}

/// When each order began, and what the server spent on those that count, in nanoseconds.
struct SaidAll {
    at: Vec<i64>,
    spent_ns: u64,
    /// What it would have spent anyway.
    idle_ns: f64,
}

async fn say(args: &Args, server: &mut Server, words: u32) -> Result<SaidAll, ServerError> {
    let idle = idle(server).await;
    let mut at = Vec::new();
    let (mut before, mut begin) = (0, Instant::now());
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / args.orders));
    for number in 0..words {
        tick.tick().await;
        if number == WARM_UP {
            (before, begin) = (spent(server.pid), Instant::now());
        }
        at.push(server.say(number).await?);
    }
    tokio::time::sleep(SETTLE).await;
    let spent_ns = spent(server.pid) - before;
    Ok(SaidAll { at, spent_ns, idle_ns: idle * begin.elapsed().as_nanos() as f64 })
}

fn row(
    peer: Peer,
    phones: u32,
    beside: Option<Manner>,
    Arrival { joined, failed, seconds }: Arrival,
    [rss, kernel]: [f64; 2],
    said: &SaidAll,
    account: &Account,
) -> Row {
    let counted = (WARM_UP..).zip(said.at.iter().skip(WARM_UP as usize));
    let heard: Vec<_> =
        counted.map(|(number, at)| (at, account.heard.get(&number).copied())).collect();
    let delivered: u64 = heard.iter().filter_map(|it| Some(u64::from(it.1?.count))).sum();
    // An order that did not reach everybody has no last receiver.
    let whole =
        heard.iter().filter_map(|(at, it)| it.filter(|it| it.count >= joined).zip(Some(at)));
    let mut last: Vec<f64> = whole.map(|(it, at)| (it.last_ns - **at) as f64 / 1e6).collect();
    last.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        let place = ((last.len() as f64 * share).ceil() as usize).saturating_sub(1);
        last.get(place).copied().unwrap_or(f64::NAN)
    };
    let us_each = |ns: f64| ns / 1e3 / delivered as f64;
    Row {
        peer: peer.name(),
        phones,
        beside,
        joined,
        failed,
        join_s: seconds,
        last_p50_ms: quantile(0.5),
        last_p99_ms: quantile(0.99),
        last_max_ms: quantile(1.0),
        us_a_delivery: us_each(said.spent_ns as f64),
        us_a_delivery_beside_idle: us_each(said.spent_ns as f64 - said.idle_ns),
        rss_kib_a_phone: rss,
        kernel_kib_a_phone: kernel,
        delivered,
        expected: heard.len() as u64 * u64::from(joined),
        here: account.here,
        load: load(),
    }
}

fn print(Report { rows, clock }: &Report) {
    println!(
        "server        phones  beside     failed  join s  last p50  last p99  max ms  us/delivery  beside idle  RSS KiB  kernel KiB  delivered          load"
    );
    for row in rows {
        let Row { peer, phones, failed, join_s, last_p50_ms, last_p99_ms, last_max_ms, .. } = row;
        let beside = row.beside.map_or_else(|| "-".to_owned(), |it| format!("{it:?}"));
        println!(
            "{peer:12} {phones:7}  {beside:9} {failed:7} {join_s:7.1} {last_p50_ms:9.1} {last_p99_ms:9.1} {last_max_ms:7.1} {:12.1} {:12.1} {:8.1} {:11.1}  {}/{} {:6.1}",
            row.us_a_delivery,
            row.us_a_delivery_beside_idle,
            row.rss_kib_a_phone,
            row.kernel_kib_a_phone,
            row.delivered,
            row.expected,
            row.load
        );
    }
    if let Some(clock) = clock {
        println!("{clock}");
    }
}
