//! The box file.

use engine::boxfile::load;

use super::Target;
use super::show::explained;

/// The target.
pub const TARGET: Target = Target { name: "boxfile", folders: &["boxfile"], run };

fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let loaded = load("box.toml", text);
    assert_eq!(loaded.config.is_some(), explained(text, "box.toml", &loaded.findings));
    if let Some(config) = loaded.config {
        assert!((1..=63).contains(&config.name.len()));
        assert!((1..=64).contains(&config.sound.channels));
    }
}
