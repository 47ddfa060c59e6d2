//! A clock of its own for a follower that would steer the machine's.
//!
//! In: a folder. Out: the words that start a program on such a clock, and the file in which each adjustment says how far
//! the clock was from the machine's just then, in nanoseconds. `own_clock.c` is preloaded into the program, which is not
//! let near the machine's clock either.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds it there.
pub fn make(folder: &Path) -> io::Result<()> {
    let source = folder.join("own_clock.c");
    fs::write(&source, include_str!("own_clock.c"))?;
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .args([&library(folder), &source])
        .arg("-ldl")
        .status()?;
    if made.success() { Ok(()) } else { Err(io::Error::other("cc does not build own_clock.c")) }
}

/// What stands before the program's own words.
pub fn preloaded(folder: &Path) -> impl Iterator<Item = String> {
    let preload = format!("LD_PRELOAD={}", library(folder).display());
    let says = format!("OWN_CLOCK={}", says(folder).display());
    ["setpriv", "--bounding-set", "-sys_time", "env", &preload, &says]
        .map(str::to_owned)
        .into_iter()
}

/// Where it says how far it is off.
pub fn says(folder: &Path) -> PathBuf {
    folder.join("own_clock.txt")
}

fn library(folder: &Path) -> PathBuf {
    folder.join("own_clock.so")
}
