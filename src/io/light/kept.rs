//! What ArtAddress has set, on disk (rule A17): read at the start, written whole whenever it changes.
//!
//! A disk may take its time, so a thread of its own writes; meanwhile only the newest waits.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};

use engine::light::input::Settings;

use super::{LightError, spawn};
use crate::disk;

/// Who may read it: it is no secret.
const MODE: u32 = 0o644;

/// What was set on an earlier day. What cannot be read is put aside with a warning, and nothing of it holds.
pub(super) fn read(path: &Path, warnings: &mut Vec<String>) -> Settings {
    let document = match fs::read(path) {
        Ok(document) => document,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                warnings.push(format!("{} cannot be read: {error}", path.display()));
            }
            return Settings::default();
        }
    };
    Settings::parse(&document).unwrap_or_else(|why| {
        let aside = path.with_extension("broken");
        let kept = match fs::rename(path, &aside) {
            Ok(()) => format!("it is kept as {}", aside.display()),
            Err(error) => format!("it could not be put aside: {error}"),
        };
        warnings
            .push(format!("{}: what ArtAddress had set is lost ({why}); {kept}", path.display()));
        Settings::default()
    })
}

/// Writes what it is given.
pub(super) struct Keeper {
    newest: SyncSender<Settings>,
    thread: JoinHandle<()>,
}

impl Keeper {
    pub fn start(path: PathBuf) -> Result<Self, LightError> {
        let (newest, given) = mpsc::sync_channel::<Settings>(1);
        let thread = spawn("light settings", move || {
            for settings in given {
                let document = settings.emit();
                if let Err(error) = disk::write_whole(&path, document.as_bytes(), MODE) {
                    tracing::warn!("{} cannot be written: {error}", path.display());
                }
            }
        })?;
        Ok(Self { newest, thread })
    }

    /// False if the one before is still being written: it is to be given again. Never waits.
    pub fn keep(&self, settings: &Settings) -> bool {
        self.newest.try_send(settings.clone()).is_ok()
    }

    /// Waits until the last is written.
    pub fn end(self, last: Option<Settings>) {
        // A thread that has ended by a panic writes nothing more.
        last.into_iter().for_each(|last| drop(self.newest.send(last)));
        drop(self.newest);
        drop::<thread::Result<()>>(self.thread.join());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_were_scribbled_over_are_put_aside_and_said_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, mut warnings) = (folder.path().join("artnet.json"), Vec::new());
        assert_eq!(read(&path, &mut warnings), Settings::default());
        assert!(warnings.is_empty(), "nothing was ever set");
        fs::write(&path, "{\"ports\": {\n\"5\": 1}}").expect("written");
        assert_eq!(read(&path, &mut warnings), Settings::default());
        assert!(warnings[0].contains("artnet.json: ") && warnings[0].contains("line 2"));
        assert!(folder.path().join("artnet.broken").exists() && !path.exists());
    }
}
