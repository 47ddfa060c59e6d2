//! What stands in a file: values with their spots, keys in the order in which they were written.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};
use toml::value::Datetime;

use super::report::Spot;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The key it belongs to; an item of a list has the list's.
    pub key: String,
    /// The value's own text; for a table with a header, the header.
    pub spot: Spot,
    /// What it is.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `"text"`
    Text(String),
    /// `12`, `1.5`
    Number(Number),
    /// `true`
    Flag(bool),
    /// `19:55`, `19:55:00` without quotes: seconds since midnight.
    Clock(u32),
    /// Any other date or time.
    Date,
    /// `[1, 2]`, `[[list]]`
    List(Vec<Node>),
    /// `{ a = 1 }`, `[table]`
    Table(Vec<Entry>),
}

/// A number, with the digits it was written in: cue 1.50 is not told from 1.5, but 0.1 stays 0.1.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// As written, underscores removed.
    pub text: String,
    /// None for a fraction, and beyond 64 bits.
    pub whole: Option<i64>,
    /// The nearest floating-point number.
    pub real: f64,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's own text.
    pub spot: Spot,
    /// The key.
    pub key: String,
    /// The value.
    pub node: Node,
}

impl Value {
    /// In a word, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Number(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Clock(_) | Self::Date => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Node {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries, if it is a table.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list; anything else is a list of one.
    pub fn one_or_many(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }
}

/// The entries of a table that `toml` has read, in the order of the file. Nesting is at most 80 deep, `toml`'s limit.
pub(super) fn entries(file: usize, table: &DeTable) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            spot: spot(file, key.span()),
            key: key.get_ref().to_string(),
            node: node(file, key.get_ref(), value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.spot.start);
    entries
}

fn node(file: usize, key: &str, value: &Spanned<DeValue>) -> Node {
    let spot = spot(file, value.span());
    Node { key: key.into(), spot, value: self::value(file, key, value.get_ref()) }
}

fn value(file: usize, key: &str, value: &DeValue) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Number(whole(number)),
        DeValue::Float(number) => Value::Number(real(number)),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(when) => clock(when).map_or(Value::Date, Value::Clock),
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| node(file, key, item)).collect())
        }
        DeValue::Table(table) => Value::Table(entries(file, table)),
    }
}

fn whole(number: &DeInteger) -> Number {
    let whole = i64::from_str_radix(number.as_str(), number.radix()).ok();
    let real =
        whole.map_or_else(|| number.as_str().parse().unwrap_or(f64::INFINITY), |it| it as f64);
    Number { text: number.to_string(), whole, real }
}

fn real(number: &DeFloat) -> Number {
    let real = number.as_str().parse().unwrap_or(f64::NAN);
    Number { text: number.as_str().into(), whole: None, real }
}

fn clock(when: &Datetime) -> Option<u32> {
    let time = when.time.filter(|_| when.date.is_none() && when.offset.is_none())?;
    let seconds = time.second.unwrap_or(0);
    Some((u32::from(time.hour) * 60 + u32::from(time.minute)) * 60 + u32::from(seconds.min(59)))
}

fn spot(file: usize, span: Range<usize>) -> Spot {
    Spot { file, start: span.start, end: span.end }
}
