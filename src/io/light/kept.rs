//! What ArtAddress has set, on disk (rule A17): read at the start, written whole when it has changed.
//!
//! A disk may take its time, so a thread of its own writes; meanwhile only the newest waits. What the disk refuses is
//! tried again until it is written or another is set; at the end it is waited for no longer than [`END`]. A file that
//! stands there and can neither be read nor be put aside is never written over.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, iter};

use engine::light::input::Settings;

use super::{LightError, spawn};
use crate::disk;

/// Who may read it: it is no secret.
const MODE: u32 = 0o644;
/// A full disk is given time to be cleared.
const RETRY: Duration = Duration::from_secs(5);
/// How long a planned exit waits for a disk that stands still: a busy card has written by then, and systemd has not yet
/// lost its patience.
pub(super) const END: Duration = Duration::from_secs(2);

/// What was set on an earlier day, and who keeps what is set today; nobody does where the old could be lost by it.
pub(super) fn open(
    path: &Path,
    warnings: &mut Vec<String>,
) -> Result<(Settings, Option<Keeper>), LightError> {
    match read(path, warnings) {
        Ok(settings) => Ok((settings, Some(Keeper::start(path.to_owned())?))),
        Err(why) => {
            warnings.push(format!(
                "{} stays as it is: {why}; what ArtAddress sets is not kept until the next start",
                path.display()
            ));
            Ok((Settings::default(), None))
        }
    }
}

/// What was set on an earlier day. What makes no sense is put aside with a warning, and nothing of it holds.
///
/// # Errors
/// Why it could not be read, or not be put aside: it is still there.
fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Settings, String> {
    let document = match fs::read(path) {
        Ok(document) => document,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Settings::default()),
        Err(error) => return Err(format!("it cannot be read ({error})")),
    };
    Settings::parse(&document).or_else(|why| {
        let aside = put_aside(path).map_err(|error| {
            format!("it makes no sense ({why}) and cannot be put aside ({error})")
        })?;
        warnings.push(format!(
            "{}: what ArtAddress had set is lost ({why}); it is kept as {}",
            path.display(),
            aside.display()
        ));
        Ok(Settings::default())
    })
}

/// Under a name that nothing has: one that was put aside before stays, too.
fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let later = (2..).map(|number| path.with_extension(format!("broken-{number}")));
    let mut names = iter::once(path.with_extension("broken")).chain(later);
    let is_free = |it: &PathBuf| fs::symlink_metadata(it).is_err();
    let aside = names.find(is_free).expect("a folder ends before numbers do");
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Writes what it is given.
pub(super) struct Keeper {
    newest: SyncSender<Settings>,
    thread: JoinHandle<()>,
}

impl Keeper {
    fn start(path: PathBuf) -> Result<Self, LightError> {
        Self::writing(move |settings| {
            let written = disk::write_whole(&path, settings.emit().as_bytes(), MODE);
            written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
        })
    }

    fn writing(
        write: impl FnMut(&Settings) -> Result<(), String> + Send + 'static,
    ) -> Result<Self, LightError> {
        let (newest, given) = mpsc::sync_channel(1);
        let thread = spawn("light settings", move || write_each(&given, RETRY, write))?;
        Ok(Self { newest, thread })
    }

    /// False if the one before is still being written: it is to be given again. Never waits.
    pub fn keep(&self, settings: &Settings) -> bool {
        self.newest.try_send(settings.clone()).is_ok()
    }

    /// Waits until the last is written, or was refused once more, but no longer than that: a disk that stands still is
    /// no reason to keep a box from its restart.
    pub fn end(self, last: Option<Settings>, within: Duration) {
        let (ended, end) = mpsc::channel::<()>();
        let ending = spawn("light settings end", move || {
            let _until_it_is_over = ended;
            // A thread that has ended by a panic writes nothing more.
            last.into_iter().for_each(|last| drop(self.newest.send(last)));
            drop(self.newest);
            drop::<thread::Result<()>>(self.thread.join());
        });
        if ending.is_err() || end.recv_timeout(within) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("what ArtAddress has set last may be lost: the disk stands still");
        }
    }
}

/// Until nobody gives any more; says when the disk begins to refuse, and when it takes again.
fn write_each(
    given: &Receiver<Settings>,
    retry: Duration,
    mut write: impl FnMut(&Settings) -> Result<(), String>,
) {
    while let Ok(settings) = given.recv() {
        let Err(why) = write(&settings) else { continue };
        tracing::warn!("{why}; it is tried again every {} s", retry.as_secs());
        write_again(given, retry, settings, &mut write);
    }
}

/// Until it is written, or the newest that came meanwhile; at the end once more.
fn write_again(
    given: &Receiver<Settings>,
    retry: Duration,
    mut settings: Settings,
    mut write: impl FnMut(&Settings) -> Result<(), String>,
) {
    loop {
        let next = given.recv_timeout(retry);
        let is_end = next == Err(RecvTimeoutError::Disconnected);
        settings = next.unwrap_or(settings);
        match write(&settings) {
            Ok(()) => return tracing::info!("what ArtAddress has set is written now"),
            Err(why) if is_end => return tracing::warn!("what ArtAddress has set is lost: {why}"),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIBBLE: &str = "{\"ports\": {\n\"5\": 1}}";

    #[test]
    fn settings_that_were_scribbled_over_are_put_aside_and_said_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, mut warnings) = (folder.path().join("artnet.json"), Vec::new());
        assert_eq!(read(&path, &mut warnings), Ok(Settings::default()));
        assert!(warnings.is_empty(), "nothing was ever set");
        fs::write(&path, SCRIBBLE).expect("written");
        assert_eq!(read(&path, &mut warnings), Ok(Settings::default()));
        assert!(warnings[0].contains("artnet.json: ") && warnings[0].contains("line 2"));
        assert!(folder.path().join("artnet.broken").exists() && !path.exists());
    }

    #[test]
    fn what_was_put_aside_before_stays_beside_what_is_put_aside_now() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, mut warnings) = (folder.path().join("artnet.json"), Vec::new());
        let all = ["first", "second", "third"];
        for content in all {
            fs::write(&path, content).expect("written");
            read(&path, &mut warnings).expect("put aside");
        }
        let names = ["artnet.broken", "artnet.broken-2", "artnet.broken-3"];
        let kept = names.map(|name| fs::read_to_string(folder.path().join(name)).expect("kept"));
        assert_eq!(kept, all);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_said_and_never_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, mut warnings) = (folder.path().join("artnet.json"), Vec::new());
        // Root may read any file, but nobody reads a folder as one.
        fs::create_dir(&path).expect("a folder");
        let (settings, keeper) = open(&path, &mut warnings).expect("light starts all the same");
        assert!(settings == Settings::default() && keeper.is_none());
        assert!(warnings[0].contains("artnet.json") && warnings[0].contains("cannot be read"));
        assert!(path.is_dir());
    }

    #[test]
    fn a_file_that_cannot_be_put_aside_is_said_and_never_written_over() {
        let mut warnings = Vec::new();
        // The kernel lets nobody rename these.
        let (_, keeper) = open(Path::new("/proc/self/limits"), &mut warnings).expect("it starts");
        assert!(keeper.is_none() && warnings[0].contains("cannot be put aside"), "{warnings:?}");
    }

    #[test]
    fn what_the_disk_refused_is_written_when_it_takes_it_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let within = folder.path().join("state");
        let (path, (newest, given)) = (within.join("artnet.json"), mpsc::channel());
        newest.send(Settings::default()).expect("it is heard");
        let (mut newest, mut tries) = (Some(newest), 0);
        write_each(&given, Duration::ZERO, |settings| {
            tries += 1;
            if tries == 3 {
                fs::create_dir(&within).expect("a folder");
                drop(newest.take());
            }
            disk::write_whole(&path, settings.emit().as_bytes(), MODE).map_err(|it| it.to_string())
        });
        assert_eq!((tries, read(&path, &mut Vec::new())), (3, Ok(Settings::default())));
        assert!(path.exists());
    }

    #[test]
    fn a_disk_that_stands_still_holds_up_no_exit_and_has_the_last_when_it_goes() {
        let (go, stands) = mpsc::channel::<()>();
        let (wrote, written) = mpsc::channel();
        let keeper = Keeper::writing(move |settings| {
            let _ = stands.recv();
            wrote.send(settings.clone()).map_err(|_| "nobody looks".into())
        });
        let (keeper, settings) = (keeper.expect("a thread"), Settings::default());
        assert!(keeper.keep(&settings), "one is on its way to the disk");
        keeper.end(Some(settings.clone()), Duration::ZERO);
        assert!(written.try_recv().is_err(), "it stands still");
        drop(go);
        assert_eq!(written.iter().collect::<Vec<_>>(), [settings.clone(), settings]);
    }

    #[test]
    fn what_the_disk_refuses_to_the_end_is_tried_once_more_and_no_longer() {
        let (newest, given) = mpsc::channel();
        newest.send(Settings::default()).expect("it is heard");
        drop(newest);
        let mut tries = 0;
        write_each(&given, RETRY, |_| {
            tries += 1;
            Err("no space left".into())
        });
        assert_eq!(tries, 2);
    }
}
