//! Sound files and tracks: each file is asked for once, however often it is used.

use std::collections::BTreeMap;

use units::TrackId;

use super::load::{Source, outside, within};
use super::model::{Media, MediaId, MediaInfo};
use crate::reader::{Entry, Node, Read, Report, Table, code, suggestion};

/// Every sound file that has been named so far.
pub struct Library<'a> {
    report: &'a Report,
    source: &'a dyn Source,
    asked: BTreeMap<String, Result<MediaId, String>>,
    media: Vec<Media>,
}

/// Tracks by name; none for one whose file cannot be played, so that using it is no second mistake.
pub type Tracks = BTreeMap<TrackId, Option<MediaId>>;

impl<'a> Library<'a> {
    /// Nothing named yet.
    pub fn new(report: &'a Report, source: &'a dyn Source) -> Self {
        Self { report, source, asked: BTreeMap::new(), media: Vec::new() }
    }

    /// Reads `[tracks]`.
    pub fn tracks(&mut self, top: &Table) -> Tracks {
        let entries = top.entries("tracks", "a table of tracks, [tracks]");
        entries.iter().filter_map(|entry| self.track(entry)).collect()
    }

    /// The file that a node names, relative to the show folder.
    pub fn file(&mut self, node: &Node) -> Option<MediaId> {
        let name = String::read(node, self.report)?;
        let Some(path) = within("", &name) else {
            outside(self.report, node.spot, &name);
            return None;
        };
        let answer = match self.asked.get(&path) {
            Some(answer) => answer.clone(),
            None => self.ask(&path),
        };
        if let Err(why) = &answer {
            let message = format!("could not read `{path}`: {why}");
            let help = self.alike(&path);
            self.report.error(node.spot, code::MEDIA_UNREADABLE, message, help);
        }
        answer.ok()
    }

    /// What is known of a file.
    pub fn info(&self, id: MediaId) -> &MediaInfo {
        &self.media[id.0].info
    }

    /// The path of a file.
    pub fn file_of(&self, id: MediaId) -> &str {
        &self.media[id.0].file
    }

    /// Every file that can be played.
    pub fn into_media(self) -> Vec<Media> {
        self.media
    }

    fn track(&mut self, entry: &Entry) -> Option<(TrackId, Option<MediaId>)> {
        let media = self.file(&entry.node);
        let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if entry.key.is_empty() || !entry.key.chars().all(good) {
            let message = format!("`{}` is not a name for a track", entry.key);
            let help = Some("letters, digits, `_`, `-` and `.`".into());
            self.report.error(entry.spot, code::OUT_OF_RANGE, message, help);
            return None;
        }
        Some((TrackId(entry.key.clone()), media))
    }

    fn ask(&mut self, path: &str) -> Result<MediaId, String> {
        let audible = |info: MediaInfo| match info {
            // A loop of no length would never get anywhere.
            MediaInfo { frames: 0, .. } => Err("it holds no sound".to_string()),
            MediaInfo { rate_hz: 0, .. } => Err("it does not say how it sounds".to_string()),
            info => Ok(info),
        };
        let answer = self.source.media(path).and_then(audible).map(|info| {
            self.media.push(Media { file: path.into(), info });
            MediaId(self.media.len() - 1)
        });
        self.asked.insert(path.into(), answer.clone());
        answer
    }

    fn alike(&self, path: &str) -> Option<String> {
        let there = self.source.media_there();
        let missing = !there.iter().any(|it| it == path);
        missing.then(|| suggestion(path, there.iter().map(String::as_str))).flatten()
    }
}
