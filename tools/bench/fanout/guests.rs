//! The crowd in a process of its own, on a processor of its own, so that neither it nor the server is measured with the
//! other.
//!
//! What passes between the two processes is a line of JSON each way: the party, how it arrived, `report`, what was heard.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tools::crowd::{Arrival, Crowd, Heard, Manner, Party};

use super::server::{ServerError, machine, pin};

/// A crowd in its process.
pub struct Guests {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
}

/// What it heard.
#[derive(Debug, Serialize, Deserialize)]
pub struct Account {
    pub heard: BTreeMap<u32, Heard>,
    pub here: usize,
}

const CROWDS: usize = 1;

impl Guests {
    /// Bad company stands back for those who are measured: when these hear a word is not to wait for what others on
    /// their processor do.
    pub fn come(party: &Party) -> Result<(Self, Arrival), ServerError> {
        let own = std::env::current_exe().map_err(machine("this program"))?;
        let mut command = match party.manner {
            Manner::Good => Command::new(own),
            _ => niced(&own),
        };
        command.args(["bench", "fanout", "--guests"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(machine("a crowd"))?;
        pin(child.id(), CROWDS);
        let say = child.stdin.take().expect("it is piped");
        let hear = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut guests = Self { child, say, hear };
        let arrival = guests.ask(party)?;
        Ok((guests, arrival))
    }

    pub fn report(&mut self) -> Result<Account, ServerError> {
        self.ask(&"report")
    }

    fn ask<T: for<'a> Deserialize<'a>>(&mut self, what: &impl Serialize) -> Result<T, ServerError> {
        let failed = machine("a crowd");
        let mut line = serde_json::to_string(what).expect("plain words and numbers");
        line.push('\n');
        let mut answer = String::new();
        let told = self.say.write_all(line.as_bytes()).and_then(|()| self.say.flush());
        told.and_then(|()| self.hear.read_line(&mut answer))
            .and_then(|_| Ok(serde_json::from_str(&answer)?))
            .map_err(failed)
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn niced(program: &Path) -> Command {
    let mut command = Command::new("nice");
    command.args(["-n", "19"]).arg(program);
    command
}

/// The other end: this process is the crowd.
pub fn serve() -> Result<(), ServerError> {
    let (asks, asked) = channel::<String>();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if asks.send(line).is_err() {
                return;
            }
        }
    });
    let Ok(line) = asked.recv() else { return Ok(()) };
    let party = serde_json::from_str(&line).map_err(|it| machine("the party")(it.into()))?;
    let mut crowd = Crowd::new(party).map_err(machine("a crowd"))?;
    answer(&crowd.arrive().map_err(machine("a crowd"))?);
    loop {
        crowd.listen(Duration::from_millis(20)).map_err(machine("a crowd"))?;
        match asked.try_recv() {
            Ok(_) => answer(&Account { heard: crowd.heard().clone(), here: crowd.here() }),
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => {}
        }
    }
}

fn answer(what: &impl Serialize) {
    let mut out = std::io::stdout().lock();
    let line = serde_json::to_string(what).expect("plain words and numbers");
    // Nobody is there to be told that nobody is there.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
