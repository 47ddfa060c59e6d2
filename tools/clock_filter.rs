//! The phone's clock estimate as a filter, so that other programs can judge it.
//!
//! In: exchanges, one a line. Out: after each, what the estimate says. Never: a clock of its own.

use std::fmt::Display;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;
use phone::NetTime;
use phone::clock::{Channel, Clock, Exchange, Grain, Kind, Reading};
use signal_hook::consts::SIGINT;
use units::MonoTime;

/// What the page would know of itself.
#[derive(clap::Args, Clone, Copy)]
#[command(
    after_help = "In: t1 t2 t3 t4, whole microseconds: asked (phone), heard and answered (box), heard (phone).\nOut, one line each, at once: OFFSET SIGMA SKEW: box minus phone at t4 and one sigma of it, microseconds; how\nmuch faster the box's crystal runs, ppm. It ends with its input, or with Ctrl-C.\n\nExample:\n  $ printf '1001 6502 6523 2021\\n' | tools clock-filter\n  5001.06 506.16 0.00000"
)]
pub struct Args {
    /// The step of the phone's clock, microseconds
    #[arg(long, env = "SYNC_CLOCK_RES_US")]
    res_us: Option<f64>,
    /// How the phone's clock rounds
    #[arg(long, env = "SYNC_CLOCK_MODE")]
    mode: Option<Mode>,
    /// The way of the exchanges
    #[arg(long, env = "SYNC_TRANSPORT", default_value = "ws")]
    transport: Transport,
    /// Believe the stamps alone, whatever is said of the clock
    #[arg(long)]
    unaided: bool,
}

#[derive(ValueEnum, Clone, Copy)]
enum Mode {
    /// Down
    Floor,
    /// Up or down
    Fuzz,
}

#[derive(ValueEnum, Clone, Copy)]
enum Transport {
    /// WebSocket
    Ws,
    /// Data channel
    Dc,
}

/// Filters until the input ends.
pub fn run(args: &Args) -> ExitCode {
    let always = Arc::new(AtomicBool::new(true));
    if let Err(error) = signal_hook::flag::register_conditional_shutdown(SIGINT, 0, always) {
        eprintln!("could not wait for Ctrl-C: {error}");
    }
    match filter(args, io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn filter(args: &Args, input: impl BufRead, mut output: impl Write) -> Result<(), String> {
    let mut clock = args.clock();
    for (k, line) in input.lines().enumerate() {
        let refused = |why: &dyn Display| format!("stdin:{}: {why}", k + 1);
        let line = line.map_err(|error| refused(&error))?;
        let exchange = parse(&line, args.channel()).map_err(|why| refused(&why))?;
        clock.handle(exchange);
        let reading = clock.reading(exchange.t4).ok_or("an answer before its question");
        let reading = reading.map_err(|why| refused(&why))?;
        if say(&mut output, exchange.t4, &reading).is_err() {
            // Nobody listens any more.
            return Ok(());
        }
    }
    Ok(())
}

impl Args {
    fn clock(&self) -> Clock {
        let kind = |mode| match mode {
            Mode::Floor => Kind::Floor,
            Mode::Fuzz => Kind::Fuzz,
        };
        match (self.res_us, self.mode) {
            (Some(step_us), Some(mode)) if !self.unaided => {
                Clock::with_grain(Grain { step_us, kind: kind(mode) })
            }
            _ => Clock::default(),
        }
    }

    fn channel(&self) -> Channel {
        match self.transport {
            Transport::Ws => Channel::WebSocket,
            Transport::Dc => Channel::DataChannel,
        }
    }
}

fn parse(line: &str, channel: Channel) -> Result<Exchange, String> {
    let numbers: Vec<i64> = line
        .split_whitespace()
        .map(|word| word.parse().map_err(|error| format!("{word:?} is no whole number: {error}")))
        .collect::<Result<_, String>>()?;
    let [t1, t2, t3, t4] = numbers[..] else {
        return Err(format!("t1 t2 t3 t4 are four numbers, not {}", numbers.len()));
    };
    let (mono, net) = (
        |us: i64| MonoTime::from_ns(us.saturating_mul(1_000)),
        |us: i64| NetTime::from_ns(us.saturating_mul(1_000)),
    );
    Ok(Exchange { t1: mono(t1), t2: net(t2), t3: net(t3), t4: mono(t4), channel })
}

fn say(output: &mut impl Write, at: MonoTime, reading: &Reading) -> io::Result<()> {
    let offset_us = reading.net.ns().saturating_sub(at.ns()) as f64 / 1e3;
    let sigma_us = reading.sigma.secs_f64() * 1e6;
    writeln!(output, "{offset_us:.2} {sigma_us:.2} {:.5}", reading.rate.0)?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNAIDED: Args =
        Args { res_us: None, mode: None, transport: Transport::Ws, unaided: false };

    fn filtered(input: &str) -> (String, Result<(), String>) {
        let mut output = Vec::new();
        let result = filter(&UNAIDED, input.as_bytes(), &mut output);
        (String::from_utf8(output).expect("numbers"), result)
    }

    #[test]
    fn every_exchange_is_answered_with_offset_sigma_and_skew() {
        let (output, result) = filtered("1000 6500 6520 2020\n5001000 5006500 5006520 5002020\n");
        assert_eq!(result, Ok(()));
        let lines: Vec<Vec<f64>> = output
            .lines()
            .map(|line| line.split(' ').map(|word| word.parse().expect("a number")).collect())
            .collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|it| (it[0] - 5_000.0).abs() < 20.0 && it[1] > 0.0), "{lines:?}");
    }

    #[test]
    fn a_malformed_line_is_refused_by_its_number() {
        let (output, result) = filtered("1000 6500 6520 2020\n1000 6500 6520\n");
        assert_eq!(output.lines().count(), 1);
        assert_eq!(result, Err("stdin:2: t1 t2 t3 t4 are four numbers, not 3".into()));
        let (_, result) = filtered("1000 6500 soon 2020\n");
        assert!(result.is_err_and(|why| why.starts_with("stdin:1: \"soon\"")));
        let (_, result) = filtered("2020 6500 6520 1000\n");
        assert_eq!(result, Err("stdin:1: an answer before its question".into()));
    }
}
