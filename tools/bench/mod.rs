//! Measurements. Each prints what was measured, how often, and how busy the machine was.

use std::fmt::Display;
use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

mod box_clock;
mod carriers;
pub(crate) mod clock;
mod clock_wasm;
mod day;
mod fanout;
mod go;
mod light;
mod light_day;
mod light_render;
#[cfg(feature = "rooms")]
mod live;
mod ltc;
mod net;
mod pages;
#[cfg(feature = "rooms")]
mod peers;
#[cfg(feature = "rooms")]
mod rooms;
mod takeover;

/// What to measure.
#[derive(Subcommand)]
pub enum Bench {
    /// From GO to the first changed sACN packet
    Go(go::Args),
    /// How far clocks are apart, beside ptp4l and chrony
    Clock(clock::Args),
    /// What light costs and how evenly it leaves, beside a bare sending loop, olad and QLC+
    Light(light::Args),
    /// How far apart two pages in Chromium play the same click
    Pages(pages::Args),
    /// A day of virtual time with phones whose crystals wander: is anybody lost, is a glitch to be heard?
    Day(day::Args),
    /// What an exchange costs the phone's clock, natively and in WebAssembly
    ClockWasm(clock_wasm::Args),
    /// A day of light in virtual time: does a level jump, does a second box draw another octet?
    LightDay(light_day::Args),
    /// What drawing a frame of light costs, beside copying it
    LightRender(light_render::Args),
    /// What peer connections of a crowd cost the box, and what they leave behind
    #[cfg(feature = "rooms")]
    Peers(peers::Args),
    /// How far from one another a crowd on peer connections hears live sound, and what that costs the box
    #[cfg(feature = "rooms")]
    Live(live::Args),
    /// What LTC costs to render as sound, beside libltc
    Ltc(ltc::Args),
    /// What a hop through the rooms of Bloom costs, beside bare channels and beside a flood
    #[cfg(feature = "rooms")]
    Rooms(rooms::Args),
    /// What an order to thousands of phones costs and when the last has it, beside other servers
    Fanout(fanout::Args),
    /// What phones over TLS hear later, and cost more, by a socket or by QUIC, where packets get lost
    Carriers(carriers::Args),
    /// From the death of the box that drives to the light and the answer of the other one
    Takeover(takeover::Args),
    /// The box clock through simulated nights
    BoxClock(box_clock::Args),
}

/// Measures it.
pub fn run(which: &Bench) -> ExitCode {
    match which {
        Bench::Go(args) => go::run(args),
        Bench::Clock(args) => clock::run(args),
        Bench::Light(args) => light::run(args),
        Bench::Pages(args) => pages::run(args),
        #[cfg(feature = "rooms")]
        Bench::Peers(args) => peers::run(args),
        #[cfg(feature = "rooms")]
        Bench::Live(args) => live::run(args),
        Bench::Day(args) => day::run(args),
        Bench::ClockWasm(args) => clock_wasm::run(args),
        Bench::LightDay(args) => light_day::run(args),
        Bench::LightRender(args) => light_render::run(args),
        Bench::Ltc(args) => ltc::run(args),
        #[cfg(feature = "rooms")]
        Bench::Rooms(args) => rooms::run(args),
        Bench::Fanout(args) => fanout::run(args),
        Bench::Carriers(args) => carriers::run(args),
        Bench::Takeover(args) => takeover::run(args),
        Bench::BoxClock(args) => box_clock::run(args),
    }
}

/// Prints what was measured, or why it could not be.
fn tell<R: Serialize, E: Display>(
    what: &str,
    measured: Result<R, E>,
    json: bool,
    print: impl FnOnce(&R),
) -> ExitCode {
    match measured {
        Ok(report) if json => {
            println!("{}", serde_json::to_string_pretty(&report).expect("numbers and words"));
        }
        Ok(report) => print(&report),
        Err(error) => {
            eprintln!("could not measure {what}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// How many processes run or wait, over the last minute.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(f64::NAN)
}

/// What a host has taken of this machine's processors since its start, in milliseconds, to a hundredth of a second; none
/// where that is not told.
fn stolen_ms() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: f64 = text.lines().next()?.split_whitespace().nth(8)?.parse().ok()?;
    Some(ticks * 10.0)
}
