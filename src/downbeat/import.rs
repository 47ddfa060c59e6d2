//! `import FILE`: a fixture of a library becomes a profile of a show.

use std::path::{Path, PathBuf};

use engine::fixture::{self, Imported, Kind, Mode, Part};
use engine::reader::{Finding, Severity};
use io::disk::{self, ShowFolder};
use serde_json::{Value, json};

use crate::Refused;
use crate::cli::Import;
use crate::table::table;
use crate::terminal::{self, many};

/// Where a show has its profiles.
const FOLDER: &str = "fixtures";

/// `downbeat import FILE --into SHOW` or `--list`.
pub fn import(asked: &Import) -> Result<(), Refused> {
    let bytes = read(&asked.file)?;
    let Imported { kind, findings } = fixture::import(&asked.file.display().to_string(), &bytes);
    let kind = kind.map(|kind| chosen(kind, &asked.mode)).transpose();
    let written = match (&kind, &asked.into) {
        (Ok(Some(kind)), Some(show)) => write(kind, show, asked).map(Some),
        _ => Ok(None),
    };
    if asked.json {
        let kind = kind.as_ref().ok().and_then(Option::as_ref);
        let written = written.as_ref().ok().and_then(Option::as_ref);
        terminal::say(&document(kind, written, &findings).to_string());
    } else {
        findings.iter().for_each(|it| terminal::complain(&it.to_string()));
    }
    let (kind, written) = (kind?, written?);
    let Some(kind) = kind else {
        return Err(Refused(format!("{} cannot be imported", asked.file.display())));
    };
    if !asked.json {
        terminal::say(&words(&kind, written.as_ref(), &findings));
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Refused> {
    let why = |error| Refused(format!("could not read {}: {error}", file.display()));
    let length = std::fs::metadata(file).map_err(why)?.len();
    if length > fixture::FILE_MAX as u64 {
        let most = fixture::FILE_MAX >> 20;
        return Err(Refused(format!(
            "{} is no fixture: it has more than {most} MiB",
            file.display()
        )));
    }
    std::fs::read(file).map_err(why)
}

/// The modes that are wanted; all, where none is named.
fn chosen(mut kind: Kind, wanted: &[String]) -> Result<Kind, Refused> {
    let is_it = |mode: &Mode, name: &String| mode.name.eq_ignore_ascii_case(name);
    if let Some(unknown) = wanted.iter().find(|name| !kind.modes.iter().any(|it| is_it(it, name))) {
        let modes: Vec<String> = kind.modes.iter().map(|it| format!("\"{}\"", it.name)).collect();
        return Err(Refused(format!(
            "there is no mode \"{unknown}\"; there is {}",
            modes.join(", ")
        )));
    }
    kind.modes.retain(|mode| wanted.is_empty() || wanted.iter().any(|name| is_it(mode, name)));
    Ok(kind)
}

/// A profile that has been written: its name, and its file.
struct Written {
    name: String,
    file: PathBuf,
}

fn write(kind: &Kind, show: &Path, asked: &Import) -> Result<Written, Refused> {
    let stem = asked.file.file_stem().unwrap_or_default().to_string_lossy();
    let name = asked.name.clone().unwrap_or_else(|| fixture::attribute::slug(&stem));
    if !fixture::attribute::is_cell(&name) {
        let why =
            format!("`{name}` cannot be a profile's name: small letters, digits, `-` and `_`");
        return Err(Refused(format!("{why}; give one with --name")));
    }
    let folder = ShowFolder::of(show).path;
    if !folder.is_dir() {
        return Err(Refused(format!("there is no show at {}", show.display())));
    }
    let file = folder.join(FOLDER).join(format!("{name}.toml"));
    let text = fixture::write(kind);
    let failed = |error| Refused(format!("could not write {}: {error}", file.display()));
    match std::fs::read_to_string(&file) {
        Ok(there) if there != text && !asked.replace => {
            let why = format!("{} is there, and is another one", file.display());
            return Err(Refused(format!(
                "{why}; --replace replaces it, --name gives this one a name"
            )));
        }
        _ => {}
    }
    std::fs::create_dir_all(folder.join(FOLDER)).map_err(failed)?;
    disk::write_whole(&file, text.as_bytes(), 0o644).map_err(failed)?;
    Ok(Written { name, file })
}

fn words(kind: &Kind, written: Option<&Written>, findings: &[Finding]) -> String {
    let mut rows = Vec::new();
    for mode in &kind.modes {
        let parts: Vec<String> = mode.parts.iter().map(Part::full_name).collect();
        rows.push([mode.name.clone(), mode.slots.to_string(), parts.join(" ")]);
    }
    let mut words = format!("{}\n{}", kind.title, table(["MODE", "SLOTS", "CHANNELS"], &rows));
    if !findings.is_empty() {
        words += &format!("\n{} left out, see above", many(findings.len(), "thing"));
    }
    if let (Some(Written { name, file }), Some(mode)) = (written, kind.modes.first()) {
        let mode = if kind.modes.len() > 1 {
            format!(", mode = \"{}\"", mode.name)
        } else {
            String::new()
        };
        let patch = format!("{{ profile = \"{name}\"{mode}, universe = 1, address = 1 }}");
        words += &format!("\n{}: patch it with `{patch}`", file.display());
    }
    words
}

fn document(kind: Option<&Kind>, written: Option<&Written>, findings: &[Finding]) -> Value {
    let errors = findings.iter().filter(|it| it.severity == Severity::Error).count();
    json!({
        "title": kind.map(|it| &it.title),
        "profile": written.map(|it| &it.name),
        "file": written.map(|it| it.file.display().to_string()),
        "modes": kind.map_or(Vec::new(), |it| it.modes.iter().map(mode).collect()),
        "findings": findings,
        "errors": errors,
        "warnings": findings.len() - errors,
    })
}

fn mode(mode: &Mode) -> Value {
    let channel = |part: &Part| {
        let slots: Vec<u16> = part.slots.iter().map(|it| it + 1).collect();
        let values: Vec<&str> = part.values.iter().map(|it| it.name.as_str()).collect();
        json!({
            "attribute": part.attribute, "cell": part.cell, "slots": slots,
            "rest": part.rest.percent(), "highlight": part.highlight.percent(), "values": values,
        })
    };
    let channels: Vec<Value> = mode.parts.iter().map(channel).collect();
    json!({ "name": mode.name, "slots": mode.slots, "channels": channels })
}
