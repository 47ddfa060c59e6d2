//! Kinds of attributes, by which fades and delays may differ.

use super::model::Channel;

/// What an attribute is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Intensity,
    Color,
    Position,
    Beam,
}

/// As the show file calls them.
pub const KINDS: [(&str, Kind); 4] = [
    ("intensity", Kind::Intensity),
    ("color", Kind::Color),
    ("position", Kind::Position),
    ("beam", Kind::Beam),
];

const SUBTRACTIVE: [&str; 6] = ["cyan", "magenta", "yellow", "cto", "ctb", "hue"];

impl Kind {
    pub fn of(channel: &Channel) -> Self {
        let name = channel.attribute.as_str();
        if channel.is_intensity() {
            Self::Intensity
        } else if channel.is_colour() || SUBTRACTIVE.contains(&name) || name.starts_with("color") {
            Self::Color
        } else if name.starts_with("pan") || name.starts_with("tilt") {
            Self::Position
        } else {
            Self::Beam
        }
    }
}
