//! A show folder on disk, and files that survive a power cut.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::sync::{Arc, Mutex, PoisonError};

use engine::show::{MediaInfo, Source};
use wire::stored::Stored;

use crate::film::Film;
use crate::sound;

/// Files a show may be made of; longer ones are no show files.
const TEXT_MAX: u64 = 4 << 20;

/// How deep media is looked for to suggest a name: `audio/act-2/storm.wav` and one more.
const DEPTH_MAX: usize = 4;

/// Names of sound files end like this.
const ENDINGS: [&str; 8] = ["wav", "flac", "mp3", "ogg", "oga", "opus", "mp4", "webm"];

/// The whole content or the old one, whenever the power goes: written beside, flushed, moved over, and the move
/// flushed with its folder. Nobody may read it whom `mode` does not let, not even while it is written.
///
/// # Errors
/// What the disk says; the old content stands.
pub fn write_whole(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    // One that was left behind by a power cut may have another mode.
    let _ = std::fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Where a show's files are.
#[derive(Debug, Clone)]
pub struct ShowFolder {
    /// The folder itself.
    pub path: PathBuf,
    /// Its first file, within it.
    pub root: String,
    /// Whether the box that is to play it has a sound input; none where it is not known which box that is.
    pub has_sound_input: Option<bool>,
    /// How many phones of one address that box lets in, where its file says nothing of how they come.
    pub phones_let_in_untold: Option<u32>,
    /// Media files as they were when they were hashed last, by their place within the folder.
    editions: Arc<Mutex<BTreeMap<String, Hashed>>>,
}

/// A file, and whether its hash is the show's.
#[derive(Debug, Clone, Copy)]
struct Hashed {
    edition: Edition,
    is_it: bool,
}

/// By what a file that was replaced or written over is told from the one that was there, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edition {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds, and nanoseconds within.
    written: (i64, i64),
}

impl Edition {
    fn of(it: &Metadata) -> Self {
        let written = (it.mtime(), it.mtime_nsec());
        Self { device: it.dev(), inode: it.ino(), bytes: it.len(), written }
    }
}

impl ShowFolder {
    /// From what a person names: the folder, or the first file in it.
    pub fn of(named: &Path) -> Self {
        if named.is_dir() {
            return Self::rooted(named.to_owned(), "show.toml".to_owned());
        }
        let root = named.file_name().map(|name| name.to_string_lossy().into_owned());
        let path = match named.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Self::rooted(path, root.unwrap_or_else(|| "show.toml".to_owned()))
    }

    fn rooted(path: PathBuf, root: String) -> Self {
        let editions = Arc::default();
        Self { path, root, has_sound_input: None, phones_let_in_untold: None, editions }
    }

    /// A media file, if it has the bytes that it had when the show was loaded. One that looks otherwise is hashed again, once:
    /// a folder that was copied over itself is the same show.
    pub(crate) fn open_as_loaded(&self, path: &str, sha256: &str) -> io::Result<File> {
        let file = File::open(self.path.join(path))?;
        let edition = Edition::of(&file.metadata()?);
        // Whoever wants it meanwhile waits for the same answer.
        let mut editions = self.editions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = editions.get(path).filter(|it| it.edition == edition);
        let is_it = match known {
            Some(known) => known.is_it,
            None => sound::sha256(&file)?.0 == sha256,
        };
        editions.insert(path.to_owned(), Hashed { edition, is_it });
        is_it.then_some(file).ok_or_else(|| io::Error::other("it is not the one that was there"))
    }
}

/// A file that is read while it plays. One that is replaced goes on as it was; one that is cut ends early.
pub(crate) struct OnDisk(pub(crate) File);

impl Stored for OnDisk {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.0, into, at)
    }
}

impl Source for ShowFolder {
    fn text(&self, path: &str) -> Result<String, String> {
        let file = self.path.join(path);
        let length = std::fs::metadata(&file).map_err(|error| why(&error))?.len();
        if length > TEXT_MAX {
            return Err(format!("it has {length} bytes; a show file has {TEXT_MAX} at most"));
        }
        let bytes = std::fs::read(&file).map_err(|error| why(&error))?;
        String::from_utf8(bytes).map_err(|error| not_utf8(&error))
    }

    fn media(&self, path: &str) -> Result<MediaInfo, String> {
        let file = self.path.join(path);
        let named = format!("{}: ", file.display());
        // Before it is read, so that whatever is written meanwhile makes it another one. What cannot be asked cannot be read.
        if let Ok(about) = file.metadata() {
            let mut editions = self.editions.lock().unwrap_or_else(PoisonError::into_inner);
            let edition = Edition::of(&about);
            editions.insert(path.to_owned(), Hashed { edition, is_it: true });
        }
        // Whoever asks knows which file, and says so itself.
        sound::media_info(&file).map_err(|error| error.to_string().replacen(&named, "", 1))
    }

    fn capture(&self, path: &str) -> Result<Arc<dyn Stored>, String> {
        let file = File::open(self.path.join(path)).map_err(|error| why(&error))?;
        match file.metadata() {
            Ok(about) if about.is_file() => Ok(Arc::new(OnDisk(file))),
            Ok(_) => Err("it is no file".into()),
            Err(error) => Err(why(&error)),
        }
    }

    fn unfit_for_air(&self, path: &str) -> Option<String> {
        Film::open(&self.path.join(path)).err().map(|trouble| trouble.to_string())
    }

    fn has_sound_input(&self) -> Option<bool> {
        self.has_sound_input
    }

    fn phones_let_in_untold(&self) -> Option<u32> {
        self.phones_let_in_untold
    }

    fn media_there(&self) -> Vec<String> {
        let mut found = Vec::new();
        gather(&self.path, "", DEPTH_MAX, &mut found);
        found.sort();
        found
    }

    fn profiles_there(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path.join("fixtures")).into_iter().flatten().flatten();
        let names = entries.map(|it| it.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> =
            names.filter_map(|it| it.strip_suffix(".toml").map(Into::into)).collect();
        names.sort();
        names
    }
}

/// In words, where the system's are for programmers.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        _ => error.to_string(),
    }
}

fn not_utf8(error: &FromUtf8Error) -> String {
    let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
    format!("line {line} is not UTF-8 text; save it in that encoding")
}

/// What cannot be listed is not suggested.
fn gather(folder: &Path, within: &str, depth: usize, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{within}{}", entry.file_name().to_string_lossy());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => {
                gather(&entry.path(), &format!("{name}/"), depth - 1, found);
            }
            Ok(_) if sounds(&name) => found.push(name),
            _ => {}
        }
    }
}

fn sounds(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_show_is_named_by_its_folder_or_by_its_first_file() {
        let by_file = ShowFolder::of(Path::new("show.toml"));
        assert_eq!((by_file.path, by_file.root), (PathBuf::from("."), "show.toml".to_owned()));
        let other = ShowFolder::of(Path::new("shows/tonight/late.toml"));
        assert_eq!(
            (other.path, other.root),
            (PathBuf::from("shows/tonight"), "late.toml".to_owned())
        );
        let folder = ShowFolder::of(&std::env::temp_dir());
        assert_eq!(folder.root, "show.toml");
    }

    #[test]
    fn a_file_in_another_encoding_is_refused_with_its_line() {
        let latin_1 = String::from_utf8(b"[show]\ntitle = \"caf\xe9\"\n".to_vec());
        let said = not_utf8(&latin_1.expect_err("a lone 0xe9 is no UTF-8"));
        assert_eq!(said, "line 2 is not UTF-8 text; save it in that encoding");
    }

    #[test]
    fn only_what_sounds_is_suggested() {
        assert!(sounds("audio/a.WAV") && sounds("b.opus"));
        assert!(!sounds("wav") && !sounds("notes.txt"));
    }
}
