//! Runs a command to its end, hearing every line it writes.
//!
//! In: a command, a time limit, a flag that a person's Ctrl-C raises. Out: its lines as they come, and how it ended.
//! Never: a process left behind, for the command gets a process group of its own and the whole group is ended.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How a command ended.
#[derive(Debug)]
pub enum Ending {
    /// By itself.
    Exited(ExitStatus),
    /// It took longer than it may, and was ended.
    TooLong,
    /// Somebody pressed Ctrl-C, and it was ended.
    Interrupted,
    /// It never began.
    NotStarted(io::Error),
}

/// How often the flag and the clock are looked at while the command is silent: at once, for a person.
const GLANCE: Duration = Duration::from_millis(100);
/// How long a command may take to end when it is asked to, before it is made to.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the command, writes its lines on, and lets `hear` have each of its standard output.
pub fn run(
    command: &mut Command,
    limit: Duration,
    interrupted: &AtomicBool,
    mut hear: impl FnMut(&str),
) -> Ending {
    let mut child = match start(command) {
        Ok(child) => child,
        Err(error) => return Ending::NotStarted(error),
    };
    let lines = lines_of(&mut child);
    let deadline = Instant::now() + limit;
    loop {
        match lines.recv_timeout(GLANCE) {
            Ok(line) => {
                println!("{line}");
                hear(&line);
            }
            Err(RecvTimeoutError::Disconnected) => {
                return end_of(child, deadline, interrupted);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(ending) = must_end(deadline, interrupted) {
            end_group(&mut child);
            return ending;
        }
    }
}

fn start(command: &mut Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn()
}

/// The lines of its standard output, read by a thread that ends with it.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let output = child.stdout.take().expect("standard output is piped");
    let (said, lines) = channel();
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if said.send(text).is_err() {
                break;
            }
        }
    });
    lines
}

/// Its output is closed; it may still be at work.
fn end_of(mut child: Child, deadline: Instant, interrupted: &AtomicBool) -> Ending {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ending::Exited(status),
            Ok(None) => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Ending::NotStarted(error),
        }
        if let Some(ending) = must_end(deadline, interrupted) {
            end_group(&mut child);
            return ending;
        }
    }
}

fn must_end(deadline: Instant, interrupted: &AtomicBool) -> Option<Ending> {
    if interrupted.load(Ordering::Relaxed) {
        Some(Ending::Interrupted)
    } else if Instant::now() >= deadline {
        Some(Ending::TooLong)
    } else {
        None
    }
}

/// Asks the group to end, then makes it.
fn end_group(child: &mut Child) {
    let _ = io::stdout().flush();
    let group = Pid::from_raw(child.id().cast_signed());
    let _ = killpg(group, Signal::SIGTERM);
    let patient_until = Instant::now() + PATIENCE;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < patient_until {
        thread::sleep(Duration::from_millis(20));
    }
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration, interrupted: bool) -> (Ending, Vec<String>) {
        let mut heard = Vec::new();
        let flag = AtomicBool::new(interrupted);
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let ending = run(&mut command, limit, &flag, |line| heard.push(line.to_owned()));
        (ending, heard)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn every_line_is_heard_and_the_exit_code_kept() {
        let (ending, heard) = shell("echo one; printf 'two\\r\\nthree'; exit 3", LONG, false);
        assert_eq!(heard, ["one", "two", "three"]);
        assert!(matches!(ending, Ending::Exited(status) if status.code() == Some(3)));
    }

    #[test]
    fn ctrl_c_ends_the_whole_group_and_not_only_the_shell() {
        let begun = Instant::now();
        let (ending, _) = shell("sleep 600 & sleep 600; wait", LONG, true);
        assert!(matches!(ending, Ending::Interrupted));
        assert!(begun.elapsed() < LONG, "nobody waited for the sleepers");
    }

    #[test]
    fn a_command_that_hangs_is_ended_at_its_limit() {
        let (ending, heard) = shell("echo here; exec sleep 600", Duration::from_millis(300), false);
        assert!(matches!(ending, Ending::TooLong));
        assert_eq!(heard, ["here"]);
    }

    #[test]
    fn a_command_that_is_not_there_says_so() {
        let ending = run(&mut Command::new("no-such-tool"), LONG, &AtomicBool::new(false), |_| {});
        assert!(matches!(ending, Ending::NotStarted(_)));
    }
}
