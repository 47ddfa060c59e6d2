//! The two guests: up while this lives, and what is done in them.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// The guests, running.
pub struct Guests {
    script: PathBuf,
    place: PathBuf,
}

/// So long a command in a guest may take, in seconds; the emulator is slow.
const COMMAND_SECS: u32 = 90;

impl Guests {
    /// Builds what is missing, and boots both with an interface that has a clock of its own.
    pub fn boot(rig: &std::path::Path, place: &std::path::Path) -> io::Result<Self> {
        fs::create_dir_all(place)?;
        let guests =
            Self { script: rig.join("rig.sh").canonicalize()?, place: place.canonicalize()? };
        guests.must(&["build"])?;
        fs::create_dir_all(guests.share())?;
        guests.must(&["up", "-n", "2", "-m", "768", "--nic", "igb"])?;
        Ok(guests)
    }

    /// A folder of this machine that both see as `/mnt/share`.
    pub fn share(&self) -> PathBuf {
        self.place.join("share")
    }

    /// What a command says in a guest.
    ///
    /// # Errors
    /// It ended with another status than 0; the text is what it said.
    pub fn sh(&self, guest: &str, line: &str) -> io::Result<String> {
        let output = self.rig(&["exec", guest, "-t", &COMMAND_SECS.to_string(), line]).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(said),
            false => Err(io::Error::other(format!(
                "guest {guest}: `{line}`: {said}{}",
                String::from_utf8_lossy(&output.stderr)
            ))),
        }
    }

    fn must(&self, words: &[&str]) -> io::Result<()> {
        match self.rig(words).status()?.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("`rig.sh {}` failed", words.join(" ")))),
        }
    }

    fn rig(&self, words: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command.arg(&self.script).args(words).env("RIG", &self.place);
        command.stdin(std::process::Stdio::null());
        command
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        let _ = self.must(&["down"]);
    }
}
