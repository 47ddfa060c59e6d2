//! `tools test`: everything that can be tested on this machine, and an honest count at the end.
//!
//! Each step has a heading and its time. A step this machine cannot do is named `skipped:` with the reason.
//! The last line is `N passed, N failed, N skipped`, alone; the exit code is 0 only when nothing failed.
//! Never here: installing anything (that is `tools/setup`).

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::child::{self, Ending};
use crate::tally::Tally;

/// Which steps to run.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  tools test\n  tools test scenarios page")]
pub struct Args {
    /// Steps to run, all of them when none is named
    #[arg(value_enum)]
    steps: Vec<Step>,
}

/// One kind of test, in the order they are run: what is quick to say no comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Formatting
    Format,
    /// Lints, warnings forbidden
    Lints,
    /// The program itself, which later steps run
    Program,
    /// Unit tests of every room
    Units,
    /// Examples in the documentation
    Examples,
    /// Stories of the pure rooms, in virtual time
    Scenarios,
    /// Meetings with real peers
    Real,
    /// The page's types and its tests, in node
    Page,
    /// The page in headless browsers, Chromium above all
    Browser,
}

/// No step takes a third of this on two slow cores, a cold build included; whatever takes longer hangs.
const STEP_LIMIT: Duration = Duration::from_secs(20 * 60);
/// The oldest node whose test runner has the reporter that is read here.
const NODE_OLDEST: (u32, u32) = (18, 0);
/// The oldest whose test runner can be told how many files to run at a time.
const NODE_PARALLEL: (u32, u32) = (20, 10);
/// These measure to half a millisecond, or a picture, and with five browsers, so nothing else runs then.
const BROWSER_ALONE: [&str; 7] = [
    "live.test.js",
    "old.test.js",
    "peer.test.js",
    "phones.test.js",
    "pictures.test.js",
    "sealed.test.js",
    "webkit.test.js",
];

/// Runs the steps, prints the count.
pub fn run(args: &Args) -> ExitCode {
    let house = House::here();
    let steps = if args.steps.is_empty() { Step::value_variants() } else { &args.steps };
    let (mut total, begun) = (Tally::default(), Instant::now());
    for step in steps {
        match house.take(*step) {
            Some(tally) => total += tally,
            None => return interrupted(*step),
        }
    }
    conclude(&total, begun.elapsed())
}

fn interrupted(step: Step) -> ExitCode {
    println!("\ninterrupted in step {}", name(step));
    ExitCode::from(130)
}

fn conclude(total: &Tally, took: Duration) -> ExitCode {
    println!("\n== all steps: {:.0} s", took.as_secs_f64());
    total.skips.iter().for_each(|what| println!("skipped: {what}"));
    total.failures.iter().for_each(|what| println!("failed: {what}"));
    println!("{total}");
    if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The working copy that is tested, and where its parts are.
struct House {
    root: PathBuf,
    target: PathBuf,
    interrupted: Arc<AtomicBool>,
}

impl House {
    fn here() -> Self {
        let root = root();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .expect("these signals may be caught");
        }
        Self { target: root.join(target), root, interrupted }
    }

    /// One step with its heading and time; nothing when somebody interrupted it.
    fn take(&self, step: Step) -> Option<Tally> {
        println!("\n== {}", name(step));
        let begun = Instant::now();
        let tally = match self.lacks(step) {
            Some(reason) => Tally::skip(format!("{}: {reason}", name(step))),
            None => self.run(step)?,
        };
        tally.skips.iter().for_each(|what| println!("skipped: {what}"));
        println!("-- {}: {tally} ({:.1} s)", name(step), begun.elapsed().as_secs_f64());
        Some(tally)
    }

    /// What this machine lacks for a step.
    fn lacks(&self, step: Step) -> Option<String> {
        match step {
            Step::Page => lacks_node(),
            Step::Browser => lacks_node().or_else(lacks_chromium),
            _ => None,
        }
    }

    fn run(&self, step: Step) -> Option<Tally> {
        let mut tally = Tally::default();
        for mut command in self.commands(step) {
            let mut heard = Tally::default();
            println!("   {}", shown(&command));
            let ending = child::run(&mut command, STEP_LIMIT, &self.interrupted, |line| {
                heard.hear(line);
            });
            let (heard, went_well) = judge(step, &command, &ending, heard.settled())?;
            tally += heard;
            if !went_well {
                break;
            }
        }
        Some(if tally.is_empty() { Tally::pass() } else { tally })
    }

    fn commands(&self, step: Step) -> Vec<Command> {
        match step {
            Step::Format => vec![self.cargo(&["fmt", "--all", "--check"])],
            Step::Lints => vec![self.cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "--deny",
                "warnings",
            ])],
            Step::Program => vec![self.cargo(&["build", "--workspace", "--bins", "--locked"])],
            Step::Units => vec![self.cargo_test(&["--lib", "--bins"])],
            Step::Examples => vec![self.cargo_test(&["--doc"])],
            Step::Scenarios => vec![self.cargo_test(&["--test", "scenarios"])],
            Step::Real => {
                let mut command = self.cargo_test(&["--test", "real"]);
                command.args(["--", "--show-output"]);
                vec![command]
            }
            Step::Page => {
                let files = test_files(&self.root.join("tests/page"));
                vec![self.npm_ci(), self.tsc(), self.node(&files)]
            }
            Step::Browser => {
                let folder = self.root.join("tests/browser");
                let alone = BROWSER_ALONE.map(|file| folder.join(file));
                let mut others = test_files(&folder);
                others.retain(|file| !alone.contains(file));
                // Browsers mostly wait, for each other and for tracks to play; three would starve their sound.
                vec![self.npm_ci(), self.node_at_once(1, &alone), self.node_at_once(2, &others)]
            }
        }
    }

    /// The whole workspace is named each time, so that every step builds the same features and shares them.
    fn cargo_test(&self, targets: &[&str]) -> Command {
        let mut command = self.cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
        command.args(targets);
        command
    }

    fn cargo(&self, args: &[&str]) -> Command {
        let mut command = self.command("cargo");
        command.args(args);
        command
    }

    fn npm_ci(&self) -> Command {
        let mut command = self.command("npm");
        command.args(["ci", "--prefix", "tests/page", "--no-audit", "--no-fund"]);
        command.arg("--prefer-offline");
        command
    }

    fn tsc(&self) -> Command {
        let mut command = self.command("tests/page/node_modules/.bin/tsc");
        command.args(["--project", "tests/page"]);
        command
    }

    /// Node's own test runner over these files.
    fn node(&self, files: &[PathBuf]) -> Command {
        let mut command = self.command("node");
        command.args(["--test", "--test-reporter=spec"]);
        command.args(files);
        command
    }

    /// The same, so many files at a time where node lets itself be told: else all processors but one have one each.
    fn node_at_once(&self, count: u32, files: &[PathBuf]) -> Command {
        let mut command = self.node(&[]);
        if node_version().is_some_and(|version| version >= NODE_PARALLEL) {
            command.arg(format!("--test-concurrency={count}"));
        }
        command.args(files);
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command.env("DOWNBEAT", self.target.join("debug/downbeat"));
        command.env("DOWNBEAT_TOOLS", self.target.join("debug/tools"));
        command.env("DOWNBEAT_BIN", self.target.join("debug/downbeat"));
        command
    }
}

/// What a command's end means for the count, and whether the step may go on; nothing when it was interrupted.
fn judge(step: Step, command: &Command, ending: &Ending, heard: Tally) -> Option<(Tally, bool)> {
    let because = match ending {
        Ending::Interrupted => return None,
        Ending::Exited(status) if status.success() => return Some((heard, true)),
        // What comes behind is tested all the same.
        Ending::Exited(_) if heard.failed > 0 => return Some((heard, true)),
        Ending::Exited(status) => format!("ended with {status}"),
        Ending::TooLong => format!("took longer than {} minutes", STEP_LIMIT.as_secs() / 60),
        Ending::NotStarted(error) => format!("could not be started: {error}"),
    };
    let mut tally = heard;
    tally += Tally::fail(format!("{}: `{}` {because}", name(step), shown(command)));
    Some((tally, false))
}

/// The folder that holds the workspace.
pub fn root() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR"));
    tools.parent().expect("tools lies in the workspace").to_owned()
}

fn test_files(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".test.js"))
        .collect();
    files.sort();
    // Without a name node would look for tests everywhere; a missing folder must be a failure instead.
    if files.is_empty() { vec![folder.join("*.test.js")] } else { files }
}

/// Major and minor.
fn node_version() -> Option<(u32, u32)> {
    let said = said_by("node", &["--version"])?;
    let mut parts = said.trim_start_matches('v').split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

fn lacks_node() -> Option<String> {
    match node_version() {
        Some(version) if version >= NODE_OLDEST => said_by("npm", &["--version"])
            .is_none()
            .then(|| "npm is not here; `tools/setup --tests` installs it".into()),
        Some((major, _)) => Some(format!("node {major} is too old, {} is needed", NODE_OLDEST.0)),
        None => Some("node is not here; `tools/setup --tests` installs it".into()),
    }
}

fn lacks_chromium() -> Option<String> {
    said_by("chromium", &["--version"])
        .is_none()
        .then(|| "chromium is not here; `tools/setup --tests` installs it".into())
}

/// What a program answers, if it is there and well.
fn said_by(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn shown(command: &Command) -> String {
    let root = root();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words
        .map(|word| Path::new(word).strip_prefix(&root).unwrap_or(Path::new(word)))
        .map(|word| word.to_string_lossy())
        .collect();
    words.join(" ")
}

fn name(step: Step) -> String {
    format!("{step:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn judged(ending: &Ending, heard: Tally) -> Option<(String, bool)> {
        let command = Command::new("cargo");
        judge(Step::Units, &command, ending, heard).map(|(tally, on)| (tally.to_string(), on))
    }

    fn exit(code: i32) -> Ending {
        Ending::Exited(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn a_command_that_fails_without_counting_is_one_failure() {
        let told = judged(&exit(101), Tally::default());
        assert_eq!(told, Some(("0 passed, 1 failed, 0 skipped".into(), false)));
        let told = judged(&Ending::TooLong, Tally::pass());
        assert_eq!(told, Some(("1 passed, 1 failed, 0 skipped".into(), false)));
    }

    #[test]
    fn a_failure_that_was_counted_is_not_counted_twice_and_hides_none_of_those_behind_it() {
        let told = judged(&exit(101), Tally::fail("fades".into()));
        assert_eq!(told, Some(("0 passed, 1 failed, 0 skipped".into(), true)));
    }

    #[test]
    fn a_step_that_went_well_goes_on_and_an_interrupted_one_counts_nothing() {
        assert_eq!(judged(&exit(0), Tally::pass()).map(|told| told.1), Some(true));
        assert_eq!(judged(&Ending::Interrupted, Tally::pass()), None);
    }
}
