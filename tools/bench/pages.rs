//! From page to page: how far apart two phones in Chromium play the same click.
//!
//! In: a real box, two browsers, an AudioWorklet at the output of each (`tests/browser/output.js` says how their
//! clocks are laid over each other). Out: the spread of the distances, into no sound card and through PulseAudio; of
//! the latter also as a recording of what it mixed has them. Bounded is the first; the others say what the
//! machine's sound adds.

use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};

use serde::{Deserialize, Serialize};

use super::tell;
use crate::test::root;

/// How to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  tools bench pages\n  tools bench pages --seconds 180 --json > pages.json\n\nNeeds what the browser tests need: `tools/setup --tests`, `npm ci --prefix tests/page`. PulseAudio (Debian:\npulseaudio, pulseaudio-utils) is started privately where it is installed; without it that part is left out."
)]
pub struct Args {
    /// How long to listen, each way
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..))]
    seconds: u32,
    /// Which program
    #[arg(long, env = "DOWNBEAT", default_value = "target/release/downbeat")]
    program: PathBuf,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub fn run(args: &Args) -> ExitCode {
    tell("pages", measure(args), args.json, |report| print!("{}", report.table()))
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
enum PagesError {
    /// `tools/setup --tests` installs it.
    #[error("node: {0}")]
    Node(#[from] io::Error),
    /// Its own words are on standard error already.
    #[error("tests/browser/output.js ended with {0}")]
    Failed(std::process::ExitStatus),
    /// The script and this file do not belong together.
    #[error("tests/browser/output.js gave no report: {0}")]
    NoReport(#[from] serde_json::Error),
}

/// What was measured, in milliseconds.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    /// How long each way.
    seconds: u32,
    /// Load averages of 1, 5 and 15 minutes.
    load_before: [f64; 3],
    load_after: [f64; 3],
    /// Why the rows of PulseAudio are missing.
    pulse_absent: Option<String>,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    /// `none`: Chromium paces itself. `pulse`: a null sink of PulseAudio.
    output: String,
    /// `worklet`: sample positions and output stamps of the pages. `recording`: what was mixed.
    seen_by: String,
    /// How long the sound of the worse page stalled meanwhile, by its own stamps.
    stood_still_ms: f64,
    clicks: usize,
    p50_ms: f64,
    p95_ms: f64,
    max_ms: f64,
}

impl Report {
    fn table(&self) -> String {
        let load = |[one, five, fifteen]: [f64; 3]| format!("{one:.2} {five:.2} {fifteen:.2}");
        let (before, after) = (load(self.load_before), load(self.load_after));
        let mut lines = vec![
            format!("two pages, the same click (load before {before}, after {after})"),
            format!(
                "{:<8}{:<12}{:>8}{:>10}{:>10}{:>10}{:>12}",
                "output", "seen by", "clicks", "p50 ms", "p95 ms", "max ms", "stalled ms"
            ),
        ];
        lines.extend(self.rows.iter().map(Row::line));
        lines.extend(self.pulse_absent.iter().map(|why| format!("without PulseAudio: {why}")));
        lines.join("\n") + "\n"
    }
}

impl Row {
    fn line(&self) -> String {
        let Self { output, seen_by, stood_still_ms, clicks, p50_ms, p95_ms, max_ms } = self;
        format!(
            "{output:<8}{seen_by:<12}{clicks:>8}{p50_ms:>10.3}{p95_ms:>10.3}{max_ms:>10.3}{stood_still_ms:>12.1}"
        )
    }
}

fn measure(args: &Args) -> Result<Report, PagesError> {
    let mut command = Command::new("node");
    command.arg("tests/browser/output.js").arg(args.seconds.to_string());
    command.current_dir(root()).env("DOWNBEAT", root().join(&args.program));
    let Output { status, stdout, .. } = command.stderr(Stdio::inherit()).output()?;
    if !status.success() {
        return Err(PagesError::Failed(status));
    }
    Ok(serde_json::from_slice(&stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_report_becomes_a_table_that_says_what_is_missing() {
        let report: Report = serde_json::from_str(
            r#"{"seconds":60,"load_before":[1,2,3],"load_after":[0.5,1,2],"pulse_absent":"no parec","rows":[
                {"output":"none","seen_by":"worklet","stood_still_ms":0,"clicks":240,
                 "p50_ms":0.05,"p95_ms":0.1234,"max_ms":0.2}]}"#,
        )
        .expect("as the script writes it");
        let table = report.table();
        assert!(table.contains("load before 1.00 2.00 3.00, after 0.50 1.00 2.00"), "{table}");
        assert!(
            table.contains("none    worklet          240     0.050     0.123     0.200"),
            "{table}"
        );
        assert!(table.ends_with("without PulseAudio: no parec\n"), "{table}");
    }
}
