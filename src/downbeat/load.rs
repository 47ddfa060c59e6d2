//! Reads the box file and the show, and says what is wrong with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::boxfile::{self, BoxConfig};
use engine::calibrate;
use engine::phonefile::{self, PhoneTable};
use engine::show::{self, Finding, Media, MediaId, Severity, Show};
use engine::sound::Pcm;
use io::disk::ShowFolder;

use crate::Refused;
use crate::cli::{Format, Globals};
use crate::terminal::{self, many};

/// Where the box file is looked for when nobody names one.
const BOX_FILE: &str = "/etc/downbeat/box.toml";

/// This box: its file, or the defaults where there is none.
pub fn box_config(globals: &Globals) -> Result<BoxConfig, Refused> {
    let path = match &globals.box_file {
        Some(path) => path.clone(),
        None if Path::new(BOX_FILE).exists() => PathBuf::from(BOX_FILE),
        None => return Ok(BoxConfig::default()),
    };
    let loaded = read_box(&path)?;
    for finding in &loaded.findings {
        terminal::complain(&finding.to_string());
    }
    loaded.config.ok_or_else(|| Refused(format!("{} has mistakes", path.display())))
}

fn read_box(path: &Path) -> Result<boxfile::Loaded, Refused> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Refused(format!("could not read {}: {error}", path.display())))?;
    Ok(boxfile::load(&path.display().to_string(), &text))
}

/// What is known of phone models; nothing where there is no table.
pub fn phone_table(config: &BoxConfig) -> Result<PhoneTable, Refused> {
    let path = Path::new(&config.paths.phones);
    let Some(loaded) = read_phones(path)? else { return Ok(PhoneTable::default()) };
    for finding in &loaded.findings {
        terminal::complain(&finding.to_string());
    }
    loaded.table.ok_or_else(|| Refused(format!("{} has mistakes", path.display())))
}

fn read_phones(path: &Path) -> Result<Option<phonefile::Loaded>, Refused> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(phonefile::load(&path.display().to_string(), &text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Refused(format!("could not read {}: {error}", path.display()))),
    }
}

/// What whoever creates a room has to show; none where the box file wants none.
pub fn bloom_token(config: &BoxConfig) -> Result<Option<String>, Refused> {
    let Some(path) = &config.bloom.token_file else { return Ok(None) };
    let text = std::fs::read_to_string(path).map_err(|error| {
        Refused(format!("`token_file` of [bloom]: could not read {path}: {error}"))
    })?;
    boxfile::token(&text).map(Some).map_err(|why| Refused(format!("{path}:1:1: {why}")))
}

/// The control socket: as named, else as the box file has it.
pub fn socket(globals: &Globals, config: &BoxConfig) -> PathBuf {
    globals.socket.clone().unwrap_or_else(|| PathBuf::from(&config.paths.socket))
}

/// The state folder: as named, else as the box file has it.
pub fn state(globals: &Globals, config: &BoxConfig) -> PathBuf {
    globals.state.clone().unwrap_or_else(|| PathBuf::from(&config.paths.state))
}

/// A show that may run, by that box where one is named, with its folder. Every finding is printed.
pub fn show(named: &Path, by: Option<&BoxConfig>) -> Result<(ShowFolder, Show), Refused> {
    let (folder, loaded) = load(named, by.map(Player::of).unwrap_or_default());
    for finding in &loaded.findings {
        terminal::complain(&finding.to_string());
    }
    let show = loaded
        .show
        .ok_or_else(|| Refused(summary(&named.display().to_string(), &loaded.findings)))?;
    Ok((folder, show))
}

/// `check SHOW`; a box file that is named is checked with it, and the files that it names.
pub fn check(globals: &Globals, named: &Path, format: Format) -> Result<(), Refused> {
    let (mut findings, player) = match &globals.box_file {
        Some(path) => box_findings(path)?,
        None => (Vec::new(), Player::default()),
    };
    let (_, loaded) = load(named, player);
    findings.extend(loaded.findings);
    let name = match &globals.box_file {
        Some(path) => format!("{} with {}", named.display(), path.display()),
        None => named.display().to_string(),
    };
    match format {
        Format::Json => terminal::say(&show::json(&findings)),
        Format::Text => findings.iter().for_each(|it| terminal::say(&it.to_string())),
    }
    let mistaken = findings.iter().any(|it| it.severity == Severity::Error);
    match (loaded.show.filter(|_| !mistaken), format) {
        (Some(show), Format::Text) => {
            let cues: usize = show.lists.iter().map(|list| list.cues.len()).sum();
            let (cues, universes) = (many(cues, "cue"), many(show.universes.len(), "universe"));
            terminal::say(&format!("{}: {cues}, {universes}", summary(&name, &findings)));
            Ok(())
        }
        (Some(_), Format::Json) => Ok(()),
        (None, Format::Text) => Err(Refused(summary(&name, &findings))),
        // The document has said it already.
        (None, Format::Json) => Err(Refused(String::new())),
    }
}

/// What a show is asked about the box that is to play it; nothing where that is not known.
#[derive(Debug, Clone, Copy, Default)]
struct Player {
    has_sound_input: Option<bool>,
    phones_let_in_untold: Option<u32>,
}

impl Player {
    fn of(config: &BoxConfig) -> Self {
        Self { has_sound_input: Some(config.sound.input.is_some()), ..Self::default() }
    }
}

fn box_findings(path: &Path) -> Result<(Vec<Finding>, Player), Refused> {
    let loaded = read_box(path)?;
    let mut findings = loaded.findings;
    let mut player = Player { phones_let_in_untold: loaded.let_in_untold, ..Player::default() };
    if let Some(config) = &loaded.config {
        bloom_token(config)?;
        player.has_sound_input = Player::of(config).has_sound_input;
        let phones = read_phones(Path::new(&config.paths.phones))?;
        findings.extend(phones.into_iter().flat_map(|it| it.findings));
    }
    Ok((findings, player))
}

/// Every sound file by its id, the calibration's chirp behind them; what only phones play stays on disk.
pub fn media(show: &Show, folder: &Path) -> Result<Arc<[Pcm]>, Refused> {
    let used = heard_from_the_box(show);
    let one = |(index, media): (usize, &Media)| {
        if !used.contains(&MediaId(index)) {
            return Ok(Pcm::new(1, Vec::new()));
        }
        let path = folder.join(&media.file);
        io::sound::decode(&path)
            .map_err(|error| Refused(format!("could not play {}: {error}", path.display())))
    };
    let chirp = std::iter::once_with(|| Ok(calibrate::chirp()));
    show.media.iter().enumerate().map(one).chain(chirp).collect()
}

fn heard_from_the_box(show: &Show) -> BTreeSet<MediaId> {
    let cues = show.lists.iter().flat_map(|list| &list.cues);
    cues.flat_map(|cue| &cue.sound).map(|sound| sound.media).collect()
}

fn load(named: &Path, player: Player) -> (ShowFolder, show::Loaded) {
    let Player { has_sound_input, phones_let_in_untold } = player;
    let mut folder = ShowFolder::of(named);
    (folder.has_sound_input, folder.phones_let_in_untold) = (has_sound_input, phones_let_in_untold);
    let mut loaded = show::load(&folder.root, &folder);
    for finding in &mut loaded.findings {
        // As the person who asked can open it from where they are.
        let here = folder.path == Path::new(".");
        let path = if here { PathBuf::new() } else { folder.path.clone() };
        finding.file = path.join(&finding.file).display().to_string();
    }
    (folder, loaded)
}

fn summary(name: &str, findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|it| it.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    match (errors, warnings) {
        (0, 0) => format!("{name} is sound"),
        (0, warnings) => format!("{name} may run, with {}", many(warnings, "warning")),
        (errors, 0) => format!("{name} has {}", many(errors, "mistake")),
        (errors, warnings) => {
            format!("{name} has {} and {}", many(errors, "mistake"), many(warnings, "warning"))
        }
    }
}
