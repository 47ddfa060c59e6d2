//! What a look may ask of a channel: percent, degrees, a colour temperature, or a value by its name.

use units::Level;

use super::model::Channel;
use crate::fixture::{Colour, Kelvin, Range, level};
use crate::reader::{Node, Number, Read, Report, Value, code, in_range, suggestion};

/// What is asked of a channel, before it is known of which.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// So much of it.
    Level(Level),
    /// `"30deg"`
    Degrees(f64),
    /// `"3200K"`
    Kelvin(Kelvin),
    /// `"open"`, or `{ strobe = 50 }` between two ends.
    Named(String, Level),
}

impl Read for Asked {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        match &node.value {
            Value::Number(_) => Level::read(node, report).map(Self::Level),
            Value::Text(text) => match number_of(text, "deg") {
                Some(degrees) => Some(Self::Degrees(degrees)),
                None if number_of(text, "K").is_some() => {
                    Kelvin::read(node, report).map(Self::Kelvin)
                }
                None => Some(Self::Named(text.clone(), Level::OUT)),
            },
            Value::Table(entries) if entries.len() == 1 => {
                let share = Level::read(&entries[0].node, report)?;
                Some(Self::Named(entries[0].key.clone(), share))
            }
            _ => {
                report.wrong_type(node, "percent, \"30deg\", or the name of a value");
                None
            }
        }
    }
}

impl Asked {
    /// The level of this channel; none, with a finding, if the channel knows nothing of it. `of` is whose it is.
    pub fn level(
        &self,
        channel: &Channel,
        of: &str,
        node: &Node,
        report: &Report,
    ) -> Option<Level> {
        let name = &channel.attribute;
        match (self, channel.range) {
            (Self::Level(level), _) => Some(*level),
            (Self::Degrees(asked), Some(Range::Degrees([from, to]))) => {
                let level = share((asked - from) / (to - from));
                if level.is_none() {
                    let (low, high) = (from.min(to), from.max(to));
                    let message = format!("`{name}` of `{of}` goes from {low} to {high} degrees");
                    report.error(node.spot, code::OUT_OF_RANGE, message, None);
                }
                level
            }
            (Self::Kelvin(asked), Some(Range::Kelvin([from, to]))) => {
                let (from, to) = (from.mired(), to.mired());
                Some(level((asked.mired() - from) / (to - from)))
            }
            (Self::Degrees(_), _) => unknown(channel, of, "degrees", node, report),
            (Self::Kelvin(_), _) => unknown(channel, of, "kelvin", node, report),
            (Self::Named(value, share), _) => named(channel, value, *share).or_else(|| {
                let known = channel.values.iter().map(|(name, _)| name.as_str());
                let message = format!("`{name}` of `{of}` has no value `{value}`");
                report.error(node.spot, code::UNKNOWN_WORD, message, suggestion(value, known));
                None
            }),
        }
    }
}

fn share(share: f64) -> Option<Level> {
    // A rounding away from its end is no other place.
    (-1e-9..=1.0 + 1e-9).contains(&share).then(|| level(share))
}

fn named(channel: &Channel, value: &str, share: Level) -> Option<Level> {
    let (_, [from, to]) =
        channel.values.iter().find(|(name, _)| name.eq_ignore_ascii_case(value))?;
    let between = (to.percent() - from.percent()) * share.percent() / 100.0;
    Some(level((from.percent() + between) / 100.0))
}

fn unknown(channel: &Channel, of: &str, what: &str, node: &Node, report: &Report) -> Option<Level> {
    let name = &channel.attribute;
    let message = format!("nobody says how many {what} `{name}` of `{of}` has");
    let help = format!("percent will do; or the profile says it, `{what} = {{ {name} = … }}`");
    report.error(node.spot, code::OUT_OF_RANGE, message, Some(help));
    None
}

fn number_of(text: &str, unit: &str) -> Option<f64> {
    text.strip_suffix(unit)?.trim().parse().ok().filter(|it: &f64| it.is_finite())
}

impl Read for Kelvin {
    /// `"3200K"`
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let given = match &node.value {
            Value::Number(Number { real, .. }) => Some(*real),
            Value::Text(text) => number_of(text, "K"),
            _ => None,
        };
        let Some(kelvin) = given else {
            report.wrong_type(node, "a colour temperature such as \"3200K\"");
            return None;
        };
        in_range(report, node, Self::new(kelvin))
    }
}

impl Read for Colour {
    /// `"#rrggbb"` or `"3200K"`
    fn read(node: &Node, report: &Report) -> Option<Self> {
        match node.text() {
            Some(text) if number_of(text, "K").is_some() => {
                Kelvin::read(node, report).map(Self::White)
            }
            _ => units::Rgb::read(node, report).map(Self::Rgb),
        }
    }
}
