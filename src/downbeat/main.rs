//! The program: command line and wiring. Never here: logic of its own.

mod address;
mod broadcast;
mod cert;
mod cli;
mod client;
mod clock;
mod cluster;
mod import;
mod keys;
mod lamps;
mod live;
mod load;
mod log;
mod outputs;
mod phones;
mod record;
mod rehearse;
mod run;
mod state;
mod story;
mod table;
mod terminal;
mod timecode;
mod token;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// Why a command was not done; printed as one sentence, exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl Refused {
    /// From anything that says why.
    pub fn because(why: impl std::fmt::Display) -> Self {
        Self(why.to_string())
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::begin();
    let outcome = match &cli.command {
        Command::Run { show } => run::run(&cli.globals, show),
        Command::Check { show, format } => load::check(&cli.globals, show, *format),
        Command::Rehearse { show, out } => rehearse::rehearse(show, out),
        Command::Import(asked) => import::import(asked),
        live => live::command(&cli.globals, live),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refused(why)) => {
            if !why.is_empty() {
                terminal::complain(&format!("downbeat: {why}"));
            }
            ExitCode::FAILURE
        }
    }
}
