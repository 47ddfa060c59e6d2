//! Named seeds: `tests/vectors/FOLDER`, one or many to a file.
//!
//! `.txt`: a line is a field, its name, then octets in hexadecimal; `00*5` is five of them, `#` begins a remark.
//! `.json`: a list of `{name, text}`. A `README.md` and a checksum are none; any other file is its own bytes.

use std::path::{Path, PathBuf};

/// Bytes that mean something to a target, or nearly do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// The file's name, or its name within the file.
    pub name: String,
    /// What is thrown.
    pub bytes: Vec<u8>,
}

/// Every seed of these folders, in the order of their names.
///
/// # Panics
/// Where a folder is not there or a file in it is not what its name says.
pub fn seeds(folders: &[&str]) -> Vec<Seed> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    folders
        .iter()
        .flat_map(|folder| files(&vectors.join(folder)))
        .flat_map(|it| read(&it))
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of seeds is there");
    let mut files: Vec<PathBuf> = entries.map(|it| it.expect("it can be listed").path()).collect();
    files.sort();
    files
}

fn read(file: &Path) -> Vec<Seed> {
    let bytes = || std::fs::read(file).expect("a seed can be read");
    let text = || String::from_utf8(bytes()).expect("this kind of seed is text");
    let name = file.file_name().expect("it has a name").to_string_lossy().into_owned();
    match file.extension().and_then(|it| it.to_str()) {
        None | Some("md" | "py" | "sha256") => Vec::new(),
        Some("txt") => vec![Seed { name, bytes: octets(&text()) }],
        Some("json") => listed(&text()),
        Some(_) => vec![Seed { name, bytes: bytes() }],
    }
}

/// The octets of a `.txt` seed.
fn octets(text: &str) -> Vec<u8> {
    let fields = text.lines().filter(|line| !line.starts_with('#'));
    let words = fields.flat_map(|line| line.split_whitespace().skip(1));
    let run = |word: &str| {
        let (octet, count) = word.split_once('*').unwrap_or((word, "1"));
        let octet = u8::from_str_radix(octet, 16).expect("two hexadecimal digits");
        vec![octet; count.parse().expect("a count")]
    };
    words.flat_map(run).collect()
}

fn listed(text: &str) -> Vec<Seed> {
    let list: Vec<serde_json::Value> = serde_json::from_str(text).expect("a list of seeds");
    let word = |it: &serde_json::Value, key| it[key].as_str().expect("a text").to_owned();
    list.iter().map(|it| Seed { name: word(it, "name"), bytes: word(it, "text").into() }).collect()
}
