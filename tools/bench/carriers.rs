//! A crowd over TLS, told by a socket each and by a stream of QUIC each, while packets get lost.
//!
//! In: the real program, in a network namespace of its own whose firewall drops so many of a hundred packets, either way. Out: how
//! long orders take to come, and what a delivery costs the box. TCP is the kernel's; there is no other delay than this machine's.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};
use tools::fleet::FleetError;
use tools::fleet::carriers::{Carrier, Told, tell as tell_crowd};

use super::go::quantile;
use super::{load, tell};

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench carriers\n  tools bench carriers --loss 0,1,3 --clients 100 --json\n\nWith a loss it makes a network namespace and a firewall in it, which takes root, and `unshare`, `ip` and `nft` (Debian:\nutil-linux, iproute2, nftables)."
)]
pub struct Args {
    /// How many are told, by each carrier
    #[arg(long, default_value_t = 40)]
    clients: usize,
    /// How often
    #[arg(long, default_value_t = 150)]
    orders: usize,
    /// Of a hundred packets, so many get lost; several, one after the other
    #[arg(long, value_delimiter = ',', default_value = "0,1,3", value_parser = clap::value_parser!(u8).range(0..50))]
    loss: Vec<u8>,
    /// Which program
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat")]
    program: PathBuf,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// The network is there already
    #[arg(long, hide = true)]
    inside: bool,
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
enum CarriersError {
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error("unshare: {0}")]
    Machine(#[from] std::io::Error),
    /// Its own words are on standard error already.
    #[error("what ran in the network that loses packets ended with {0}")]
    Failed(std::process::ExitStatus),
    #[error("what ran in the network that loses packets gave no report: {0}")]
    NoReport(#[from] serde_json::Error),
}

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    clients: usize,
    orders: usize,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    loss_percent: u8,
    carrier: String,
    /// That did not come, of all that should have.
    missed: usize,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
    /// Microseconds of a processor of the box; null where the kernel does not tell.
    box_us_a_delivery: Option<f64>,
    load: f64,
}

/// Measures and prints.
pub fn run(args: &Args) -> ExitCode {
    tell("carriers", measure(args), args.json, print)
}

fn measure(args: &Args) -> Result<Report, CarriersError> {
    let mut rows = Vec::new();
    for &loss in &args.loss {
        rows.extend(if args.inside || loss == 0 {
            here(args, loss)?
        } else {
            elsewhere(args, loss)?
        });
    }
    Ok(Report { clients: args.clients, orders: args.orders, rows })
}

/// In the network that there is.
fn here(args: &Args, loss: u8) -> Result<Vec<Row>, CarriersError> {
    let runtime = tokio::runtime::Runtime::new()?;
    let row = |(carrier, name): (Carrier, &str)| {
        let load = load();
        let told = tell_crowd(&args.program, carrier, args.clients, args.orders);
        Ok(row(loss, name, load, &runtime.block_on(told)?))
    };
    [(Carrier::Tls, "socket over TLS"), (Carrier::Quic, "stream of QUIC")]
        .into_iter()
        .map(row)
        .collect()
}

/// In one that loses packets: this program once more, in a namespace of its own.
fn elsewhere(args: &Args, loss: u8) -> Result<Vec<Row>, CarriersError> {
    let network = format!(
        "ip link set lo up && nft add table ip loss && nft 'add chain ip loss in {{ type filter hook input priority 0; }}' \
         && nft 'add rule ip loss in numgen random mod 100 < {loss} drop' && exec \"$@\""
    );
    let numbers = [("--clients", args.clients), ("--orders", args.orders), ("--loss", loss.into())];
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", &network, "sh"]).arg(std::env::current_exe()?);
    command.args(["bench", "carriers", "--inside", "--json", "--program"]).arg(&args.program);
    command.args(numbers.iter().flat_map(|(key, number)| [(*key).to_owned(), number.to_string()]));
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(CarriersError::Failed(output.status));
    }
    Ok(serde_json::from_slice::<Report>(&output.stdout)?.rows)
}

fn row(loss_percent: u8, carrier: &str, load: f64, told: &Told) -> Row {
    let at = |part| quantile(&told.took, part).as_secs_f64() * 1e3;
    Row {
        loss_percent,
        carrier: carrier.to_owned(),
        missed: told.ordered - told.took.len(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        p999_ms: at(0.999),
        max_ms: at(1.0),
        box_us_a_delivery: told.cpu_us,
        load,
    }
}

fn print(report: &Report) {
    println!("{} phones over TLS, {} orders", report.clients, report.orders);
    println!(
        "loss  carrier           p50 ms  p99 ms  p99.9 ms  max ms  missed  us a delivery  load"
    );
    for row in &report.rows {
        let cost = row.box_us_a_delivery.map_or("unknown".to_owned(), |us| format!("{us:.1}"));
        let Row { loss_percent, carrier, missed, p50_ms, p99_ms, p999_ms, max_ms, load, .. } = row;
        println!(
            "{loss_percent:>3} %  {carrier:<16}{p50_ms:>8.1}{p99_ms:>8.1}{p999_ms:>10.1}{max_ms:>8.1}{missed:>8}{cost:>15}{load:>6.2}"
        );
    }
}
