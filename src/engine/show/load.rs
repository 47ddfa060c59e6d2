//! Gathers the files of a show, and puts the show together.

use std::collections::BTreeSet;
use std::sync::Arc;

use wire::stored::Stored;

use super::captures::Captures;
use super::footage::FOOTAGE_MAX;
use super::head::Head;
use super::media::Library;
use super::model::{CueList, MediaInfo, Show};
use super::patch::Patch;
use super::{
    cues, dark, effects, inputs, looks, masters, timecode, timing, triggers, universes, untold,
};
use crate::reader::{
    Entry, Finding, Node, Read, Report, Severity, Spot, Table, Value, code, parse,
};

/// Where the files of a show come from. Paths are relative to the show folder, parted by `/`, without `.` and `..`.
pub trait Source {
    /// The text of a file, or why it cannot be had, as a fragment that fits after "could not read …: ".
    fn text(&self, path: &str) -> Result<String, String>;
    /// What is known of a sound file, or why it cannot be played.
    fn media(&self, path: &str) -> Result<MediaInfo, String>;
    /// Where the bytes of a recording of light lie, or why they cannot be had.
    fn capture(&self, _path: &str) -> Result<Arc<dyn Stored>, String> {
        Err("there is no such file".into())
    }
    /// What a recording may take in memory; a longer one is read while it plays.
    fn footage_max(&self) -> usize {
        FOOTAGE_MAX
    }
    /// Why a film cannot go out live; none where it can.
    fn unfit_for_air(&self, _path: &str) -> Option<String> {
        None
    }
    /// Whether the box has a sound input; none where it is not known which box will play the show.
    fn has_sound_input(&self) -> Option<bool> {
        None
    }
    /// How many phones of one address the box lets in, where its file says nothing of how they come; none where it does, or
    /// where it is not known which box will play the show.
    fn phones_let_in_untold(&self) -> Option<u32> {
        None
    }
    /// Paths of sound files that are there, to suggest one for a name that is not.
    fn media_there(&self) -> Vec<String> {
        Vec::new()
    }
    /// Names of the profiles in `fixtures`, to suggest one for a name that is not there.
    fn profiles_there(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What became of reading a show.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The show; there is one exactly if no finding is an error. It has a list, and every list has a cue.
    pub show: Option<Show>,
    /// Everything that is wrong, or odd, in the order of the files and their lines.
    pub findings: Vec<Finding>,
}

/// Reads and checks a show whose first file is `root`, `show.toml` as a rule.
pub fn load(root: &str, source: &dyn Source) -> Loaded {
    let report = Report::new();
    let entries = Files { source, report: &report, read: BTreeSet::new() }.gather(root);
    let show = entries.map(|entries| assemble(&report, &entries, source));
    let findings = report.finish();
    let sound = findings.iter().all(|finding| finding.severity == Severity::Warning);
    Loaded { show: show.filter(|_| sound), findings }
}

const TOP_KEYS: &[&str] = &[
    "include",
    "show",
    "universes",
    "profiles",
    "fixtures",
    "groups",
    "masters",
    "palettes",
    "looks",
    "effects",
    "tracks",
    "timecode",
    "list",
    "inputs",
    "trigger",
];

/// Goes on past every mistake with what could be read, so that all of them are found; `load` drops such a show.
fn assemble(report: &Report, entries: &[Entry], source: &dyn Source) -> Show {
    let start = Spot { file: 0, start: 0, end: 0 };
    let top = Table::over(report, start, entries, "a show file", TOP_KEYS);
    let head = Head::read(&top);
    let mut universes = universes::read(&top);
    let patch = Patch::read(&top, source, &mut universes);
    let inputs = inputs::read(&top, &mut universes);
    let palettes = looks::palettes(&top, &patch);
    let looks = looks::read(&top, &patch, &palettes);
    let effects = effects::read(&top, &patch, head.flash_limit_off.is_none());
    let masters = masters::read(&top, &patch);
    let mut library = Library::new(report, source);
    let tracks = library.tracks(&top);
    let timecode = timecode::Head::read(&top);
    let lists = cues::read(
        &top,
        &mut cues::Known {
            patch: &patch,
            looks: &looks,
            palettes: &palettes,
            effects: &effects,
            masters: &masters,
            tracks: &tracks,
            universes: &universes,
            library: &mut library,
            captures: &mut Captures::new(source),
            source,
            flash_limited: head.flash_limit_off.is_none(),
            timecode_rate: timecode.rate,
        },
    );
    let cues = lists.iter().flat_map(|list| &list.cues);
    let played = cues.filter_map(|read| read.cue.light.as_ref()?.capture.as_ref());
    for universe in played.flat_map(|it| it.footage.reels.keys()) {
        universes.entry(*universe).or_insert_with(universes::undeclared);
    }
    timing::check(report, &lists);
    dark::check(report, &patch, &lists);
    untold::check(report, &lists, source);
    let triggers = triggers::read(&top, &inputs, &lists);
    let timecode = timecode.finish(&lists);
    timecode::check(report, &lists, timecode.as_ref());
    let media = library.into_media();
    let lists = lists.into_iter().map(|list| CueList {
        name: list.name,
        priority: list.priority,
        release_time: list.release_time,
        cues: list.cues.into_iter().map(|read| read.cue).collect(),
        timecode: list.timecode,
    });
    Show {
        title: head.title,
        priority: head.priority,
        phone_lead: head.phone_lead,
        panic_fade: head.panic_fade,
        panic_light: head.panic_light,
        artnet_sync: head.artnet_sync,
        flash_limit_off: head.flash_limit_off,
        seal: head.seal,
        light: head.light,
        universes,
        fixtures: patch.fixtures,
        masters,
        inputs,
        triggers,
        tracks: tracks.into_iter().filter_map(|(track, id)| Some((track, id?))).collect(),
        media,
        lists: lists.collect(),
        timecode,
    }
}

struct Files<'a> {
    source: &'a dyn Source,
    report: &'a Report,
    read: BTreeSet<String>,
}

impl Files<'_> {
    /// The entries of a first file and of all that it includes; none if there is no first file.
    fn gather(mut self, root: &str) -> Option<Vec<Entry>> {
        match self.source.text(root) {
            Ok(text) => Some(self.file(root, &text)),
            Err(why) => {
                let file = self.report.add_text(root, "");
                let spot = Spot { file, start: 0, end: 0 };
                let message = format!("could not read the show: {why}");
                self.report.error(spot, code::FILE_UNREADABLE, message, None);
                None
            }
        }
    }

    fn file(&mut self, path: &str, text: &str) -> Vec<Entry> {
        self.read.insert(path.into());
        let mut entries = parse(self.report, path, text);
        let includes = entries.iter().find(|entry| entry.key == "include").cloned();
        for node in includes.iter().flat_map(|entry| entry.node.one_or_many()) {
            for entry in self.include(path, node).unwrap_or_default() {
                merge(self.report, &mut entries, entry, Depth::Tables);
            }
        }
        entries
    }

    fn include(&mut self, from: &str, node: &Node) -> Option<Vec<Entry>> {
        let name = String::read(node, self.report)?;
        let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        let Some(path) = within(folder, &name) else {
            outside(self.report, node.spot, &name);
            return None;
        };
        if self.read.contains(&path) {
            let message = format!("`{path}` is part of this show already");
            self.report.error(node.spot, code::INCLUDED_TWICE, message, None);
            return None;
        }
        match self.source.text(&path) {
            Ok(text) => Some(self.file(&path, &text)),
            Err(why) => {
                // What it would have declared is unknown, not absent.
                self.report.mark_incomplete();
                let message = format!("could not read `{path}`: {why}");
                self.report.error(node.spot, code::FILE_UNREADABLE, message, None);
                None
            }
        }
    }
}

/// A path that is meant from within `folder`, as seen from the show folder; none if it leads out of it.
pub(super) fn within(folder: &str, path: &str) -> Option<String> {
    if path.is_empty() || path.starts_with('/') || path.contains(['\\', '\0']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// A path that leads out of the show folder.
pub(super) fn outside(report: &Report, spot: Spot, path: &str) {
    let message = format!("`{path}` is not a path within the show folder");
    let help = "a show is one folder, so that it can be copied; parts of a path are parted by `/`";
    report.error(spot, code::PATH_OUTSIDE, message, Some(help.into()));
}

/// How deep tables of the same name flow together: `[fixtures]` of two files do, a fixture of two files does not.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    Tables,
    Names,
}

fn merge(report: &Report, into: &mut Vec<Entry>, entry: Entry, depth: Depth) {
    if depth == Depth::Tables && entry.key == "include" {
        return;
    }
    let Some(there) = into.iter_mut().find(|it| it.key == entry.key) else {
        into.push(entry);
        return;
    };
    match (&mut there.node.value, entry.node.value, depth) {
        (Value::Table(all), Value::Table(more), Depth::Tables) => {
            more.into_iter().for_each(|entry| merge(report, all, entry, Depth::Names));
        }
        (Value::List(all), Value::List(more), Depth::Tables) => all.extend(more),
        _ => report.duplicate(
            entry.spot,
            code::DUPLICATE_NAME,
            &format!("`{}`", entry.key),
            there.spot,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn a_path_is_seen_from_the_show_folder_and_stays_in_it() {
        assert_eq!(within("", "audio/a.wav").as_deref(), Some("audio/a.wav"));
        assert_eq!(within("more", "../patch.toml").as_deref(), Some("patch.toml"));
        assert_eq!(within("more", "./x//y.toml").as_deref(), Some("more/x/y.toml"));
        for out in ["", "..", "../x", "a/../../x", "/etc/passwd", "C:\\x", "."] {
            assert_eq!(within("", out), None, "{out}");
        }
    }
}
