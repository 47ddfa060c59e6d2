//! `[profiles.NAME]`, and the files in the show's `fixtures`: every kind of fixture by its name.
//!
//! A name is looked for among those of the show, then among those that are built in, then as a file, which is read
//! only if a fixture is of that kind.

use std::collections::BTreeMap;

use super::load::{Source, within};
use crate::fixture::{Kind, generic, kind};
use crate::reader::{Node, Read, Spot, Table, code, parse};

/// Where a show has profiles that were imported.
const FOLDER: &str = "fixtures";

/// Every kind that is known.
pub struct Profiles<'a> {
    top: &'a Table<'a>,
    source: &'a dyn Source,
    /// None for one that is declared wrongly, so that using it is no second mistake.
    kinds: BTreeMap<String, Option<Kind>>,
}

impl<'a> Profiles<'a> {
    /// Those that are built in, and those of the show.
    pub fn read(top: &'a Table<'a>, source: &'a dyn Source) -> Self {
        let mut kinds: BTreeMap<String, Option<Kind>> =
            generic::kinds().map(|(name, kind)| (name, Some(kind))).collect();
        for entry in top.entries("profiles", "a table of profiles, [profiles.my-par]") {
            if kinds.contains_key(&entry.key) {
                let message = format!("`{}` is built in; give yours another name", entry.key);
                top.report.error(entry.spot, code::DUPLICATE_NAME, message, None);
                continue;
            }
            let own = match entry.node.entries() {
                Some(entries) => kind(top.report, entry.node.spot, entries),
                None => {
                    top.report.wrong_type(&entry.node, "a table, { … }");
                    None
                }
            };
            kinds.insert(entry.key.clone(), own);
        }
        Self { top, source, kinds }
    }

    /// The kind that a fixture names.
    pub fn find(&mut self, node: &Node) -> Option<&Kind> {
        let name = String::read(node, self.top.report)?;
        if !self.kinds.contains_key(&name) {
            let imported = self.file(&name, node.spot);
            self.kinds.insert(name.clone(), imported);
        }
        self.kinds.get(&name)?.as_ref()
    }

    fn file(&self, name: &str, spot: Spot) -> Option<Kind> {
        let report = self.top.report;
        let there = self.source.profiles_there();
        let text =
            within(FOLDER, &format!("{name}.toml")).map(|path| (self.source.text(&path), path));
        match text {
            Some((Ok(text), path)) => {
                let entries = parse(report, &path, &text);
                let start = entries.first().map_or(spot, |it| Spot { start: 0, end: 0, ..it.spot });
                kind(report, start, &entries)
            }
            Some((Err(why), path)) if there.iter().any(|it| it == name) => {
                let message = format!("could not read `{path}`: {why}");
                report.error(spot, code::FILE_UNREADABLE, message, None);
                None
            }
            _ => {
                let known = self.kinds.keys().chain(&there).map(String::as_str);
                report.unknown(spot, code::UNKNOWN_PROFILE, "profile", name, known);
                None
            }
        }
    }
}
