//! What RDM's parameters hold: a table of the usual ones (E1.20 section 10), and how their data becomes words and back.
//!
//! In: octets, or words that a person typed. Out: a [`Reading`], or octets. A parameter that is not in the table is
//! read as octets, and can be asked for by its number.

use serde_json::{Value, json};

/// Name and value, in the order of the standard.
pub type Reading = Vec<(&'static str, Value)>;

/// A parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its number.
    pub id: u16,
    /// Its name in the standard, in small letters.
    pub name: &'static str,
    /// What a question for it carries; none where it cannot be asked for.
    pub ask: Option<&'static [Field]>,
    /// What its answer carries.
    pub answer: &'static [Field],
    /// What is sent to set it; none where it cannot be set.
    pub set: Option<&'static [Field]>,
}

/// A field of a parameter's data.
pub type Field = (&'static str, Kind);

/// How a field lies on the wire; high octet first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0 to 255.
    Octet,
    /// 0 to 65,535.
    Word,
    /// Likewise, printed as a parameter's number.
    Number,
    /// 0 to 4,294,967,295.
    Long,
    /// -32,768 to 32,767.
    Signed,
    /// 0 or 1.
    Flag,
    /// Two octets, as in 1.0.
    Version,
    /// Up to 32 octets of text, to the end.
    Text,
    /// Parameters' numbers, to the end.
    Numbers,
    /// Whatever it is, to the end.
    Octets,
}

use Kind::{Flag, Long, Number, Numbers, Octet, Octets, Signed, Text, Version, Word};

/// The longest text (section 10).
const TEXT_MAX: usize = 32;

/// All that we know by name.
pub const ALL: &[Parameter] = &[
    queued(0x0020, "queued_message"),
    queued(0x0030, "status_messages"),
    get(0x0050, "supported_parameters", &[("parameters", Numbers)]),
    about(
        0x0051,
        "parameter_description",
        &[("parameter", Number)],
        &[
            ("parameter", Number),
            ("data_length", Octet),
            ("data_type", Octet),
            ("command_class", Octet),
            ("type", Octet),
            ("unit", Octet),
            ("prefix", Octet),
            ("minimum", Long),
            ("maximum", Long),
            ("default", Long),
            ("description", Text),
        ],
    ),
    get(
        0x0060,
        "device_info",
        &[
            ("protocol", Version),
            ("model", Word),
            ("category", Number),
            ("software", Long),
            ("footprint", Word),
            ("personality", Octet),
            ("personalities", Octet),
            ("start_address", Word),
            ("sub_devices", Word),
            ("sensors", Octet),
        ],
    ),
    get(0x0080, "device_model_description", &[("description", Text)]),
    get(0x0081, "manufacturer_label", &[("label", Text)]),
    both(0x0082, "device_label", &[("label", Text)]),
    Parameter {
        id: 0x0090,
        name: "factory_defaults",
        ask: Some(&[]),
        answer: &[("at_defaults", Flag)],
        set: Some(&[]),
    },
    get(0x00c0, "software_version_label", &[("label", Text)]),
    get(0x00c2, "boot_software_version_label", &[("label", Text)]),
    Parameter {
        id: 0x00e0,
        name: "dmx_personality",
        ask: Some(&[]),
        answer: &[("personality", Octet), ("personalities", Octet)],
        set: Some(&[("personality", Octet)]),
    },
    about(
        0x00e1,
        "dmx_personality_description",
        &[("personality", Octet)],
        &[("personality", Octet), ("footprint", Word), ("description", Text)],
    ),
    both(0x00f0, "dmx_start_address", &[("start_address", Word)]),
    about(
        0x0200,
        "sensor_definition",
        &[("sensor", Octet)],
        &[
            ("sensor", Octet),
            ("type", Octet),
            ("unit", Octet),
            ("prefix", Octet),
            ("range_minimum", Signed),
            ("range_maximum", Signed),
            ("normal_minimum", Signed),
            ("normal_maximum", Signed),
            ("records", Octet),
            ("description", Text),
        ],
    ),
    Parameter {
        id: 0x0201,
        name: "sensor_value",
        ask: Some(&[("sensor", Octet)]),
        answer: &[
            ("sensor", Octet),
            ("present", Signed),
            ("lowest", Signed),
            ("highest", Signed),
            ("recorded", Signed),
        ],
        set: Some(&[("sensor", Octet)]),
    },
    both(0x0400, "device_hours", &[("hours", Long)]),
    both(0x0401, "lamp_hours", &[("hours", Long)]),
    both(0x0402, "lamp_strikes", &[("strikes", Long)]),
    both(0x0403, "lamp_state", &[("state", Octet)]),
    both(0x0405, "device_power_cycles", &[("cycles", Long)]),
    both(0x0600, "pan_invert", &[("invert", Flag)]),
    both(0x0601, "tilt_invert", &[("invert", Flag)]),
    both(0x1000, "identify_device", &[("identify", Flag)]),
    Parameter {
        id: 0x1001,
        name: "reset_device",
        ask: None,
        answer: &[],
        set: Some(&[("reset", Octet)]),
    },
];

const fn get(id: u16, name: &'static str, answer: &'static [Field]) -> Parameter {
    Parameter { id, name, ask: Some(&[]), answer, set: None }
}

const fn both(id: u16, name: &'static str, fields: &'static [Field]) -> Parameter {
    Parameter { id, name, ask: Some(&[]), answer: fields, set: Some(fields) }
}

const fn about(
    id: u16,
    name: &'static str,
    ask: &'static [Field],
    answer: &'static [Field],
) -> Parameter {
    Parameter { id, name, ask: Some(ask), answer, set: None }
}

/// Asked for with the least severity that is wanted: 2 advisory, 3 warning, 4 error.
const fn queued(id: u16, name: &'static str) -> Parameter {
    about(id, name, &[("severity", Octet)], &[("data", Octets)])
}

/// A parameter that nobody has told us of.
const UNKNOWN: Parameter = Parameter {
    id: 0,
    name: "",
    ask: Some(&[("data", Octets)]),
    answer: &[("data", Octets)],
    set: Some(&[("data", Octets)]),
};

impl Parameter {
    /// By its name, in small or large letters, or by its number: `device_label`, `0x0082`, `130`.
    pub fn named(text: &str) -> Option<Self> {
        let number = match text.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let known = ALL.iter().find(|it| it.name.eq_ignore_ascii_case(text));
        known.map(Self::copy).or_else(|| number.map(Self::of))
    }
    /// By its number.
    pub fn of(id: u16) -> Self {
        let known = ALL.iter().find(|it| it.id == id);
        known.map_or(Self { id, ..UNKNOWN }, Self::copy)
    }
    /// Whether it is two octets, as ArtRdmSub carries them, asked for with none.
    pub fn is_word(&self) -> bool {
        let word = |(_, kind): &Field| matches!(kind, Word | Number | Signed);
        self.ask == Some(&[]) && matches!(self.answer, [field] if word(field))
    }
    fn copy(&self) -> Self {
        Self { ..*self }
    }
}

/// Data that is not what its parameter holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Longer or shorter than the fields.
    #[error("its {0} octets are not what this parameter holds")]
    Length(usize),
    /// A flag that is neither 0 nor 1.
    #[error("`{0}` is {1}, which is neither on nor off")]
    Flag(&'static str, u8),
    /// More or fewer words than fields.
    #[error("it takes {wanted}, and {given} were given")]
    Words {
        /// What it takes.
        wanted: String,
        /// How many there were.
        given: usize,
    },
    /// A word that is no such value.
    #[error("`{field}` cannot be `{given}`: it is {range}")]
    Word {
        /// Which.
        field: &'static str,
        /// What was typed.
        given: String,
        /// What it may be.
        range: &'static str,
    },
}

/// Reads data strictly: no octet is missing, none is left over.
pub fn read(fields: &[Field], data: &[u8]) -> Result<Reading, DataError> {
    let mut rest = data;
    let mut reading = Reading::new();
    for &(name, kind) in fields {
        let length = kind.length().unwrap_or(rest.len());
        let (octets, after) = rest.split_at_checked(length).ok_or(DataError::Length(data.len()))?;
        let value = kind.value(octets).ok_or(DataError::Length(data.len()))?;
        let value = if kind == Flag { flag(name, octets[0])? } else { value };
        reading.push((name, value));
        rest = after;
    }
    if rest.is_empty() { Ok(reading) } else { Err(DataError::Length(data.len())) }
}

fn flag(name: &'static str, octet: u8) -> Result<Value, DataError> {
    match octet {
        0 | 1 => Ok(Value::Bool(octet == 1)),
        other => Err(DataError::Flag(name, other)),
    }
}

/// Writes data from words, one a field.
pub fn write(fields: &[Field], words: &[String]) -> Result<Vec<u8>, DataError> {
    if words.len() != fields.len() {
        let names: Vec<_> = fields.iter().map(|(name, _)| format!("`{name}`")).collect();
        let wanted = if names.is_empty() { "no value".into() } else { names.join(" and ") };
        return Err(DataError::Words { wanted, given: words.len() });
    }
    let mut data = Vec::new();
    for (&(field, kind), word) in fields.iter().zip(words) {
        let octets = kind.octets(word).ok_or_else(|| {
            let (given, range) = (word.clone(), kind.range());
            DataError::Word { field, given, range }
        })?;
        data.extend(octets);
    }
    Ok(data)
}

impl Kind {
    /// None: to the end.
    fn length(self) -> Option<usize> {
        match self {
            Octet | Flag => Some(1),
            Word | Number | Signed | Version => Some(2),
            Long => Some(4),
            Text | Numbers | Octets => None,
        }
    }

    fn value(self, octets: &[u8]) -> Option<Value> {
        let number = || octets.iter().fold(0_u32, |sum, octet| sum << 8 | u32::from(*octet));
        match self {
            Octet | Flag | Word | Long => Some(json!(number())),
            Number => Some(json!(hex(number()))),
            Signed => Some(json!(number() as u16 as i16)),
            Version => Some(json!(format!("{}.{}", octets[0], octets[1]))),
            Text => (octets.len() <= TEXT_MAX).then(|| json!(text(octets))),
            Numbers => octets.len().is_multiple_of(2).then(|| {
                let number = |pair: &[u8]| hex(u32::from(u16::from_be_bytes([pair[0], pair[1]])));
                json!(octets.chunks(2).map(number).collect::<Vec<_>>())
            }),
            Octets => Some(json!(octets.iter().map(|it| format!("{it:02x}")).collect::<String>())),
        }
    }

    fn octets(self, word: &str) -> Option<Vec<u8>> {
        match self {
            Octet => Some(vec![number(word)?]),
            Flag => match word {
                "on" | "true" | "1" => Some(vec![1]),
                "off" | "false" | "0" => Some(vec![0]),
                _ => None,
            },
            Word | Number => Some(number::<u16>(word)?.to_be_bytes().to_vec()),
            Long => Some(number::<u32>(word)?.to_be_bytes().to_vec()),
            Signed => Some(word.parse::<i16>().ok()?.to_be_bytes().to_vec()),
            Version => {
                let (major, minor) = word.split_once('.')?;
                Some(vec![major.parse().ok()?, minor.parse().ok()?])
            }
            Text => (word.len() <= TEXT_MAX && word.is_ascii()).then(|| word.as_bytes().to_vec()),
            Octets => octets_of(word),
            Numbers => None,
        }
    }

    fn range(self) -> &'static str {
        match self {
            Octet => "a number from 0 to 255",
            Word | Number => "a number from 0 to 65535",
            Long => "a number from 0 to 4294967295",
            Signed => "a number from -32768 to 32767",
            Flag => "on or off",
            Version => "two numbers such as 1.0",
            Text => "up to 32 ASCII characters",
            Octets => "pairs of hexadecimal digits",
            Numbers => "not to be written",
        }
    }
}

fn hex(number: u32) -> String {
    format!("{number:#06x}")
}

/// Some devices end it with zeros.
fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).trim_end_matches('\0').to_owned()
}

fn number<T: TryFrom<u32>>(word: &str) -> Option<T> {
    let number = match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => word.parse().ok()?,
    };
    T::try_from(number).ok()
}

fn octets_of(word: &str) -> Option<Vec<u8>> {
    let digits = word.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pair = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hexadecimal digits are text");
        u8::from_str_radix(pair, 16).expect("two hexadecimal digits")
    };
    Some(digits.chunks(2).map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn a19_device_info_is_read_field_by_field() {
        let data = [1, 0, 0, 1, 5, 8, 0, 0, 0, 9, 0, 16, 1, 4, 0, 100, 0, 2, 3];
        let info = Parameter::named("device_info").expect("it is known");
        let reading = read(info.answer, &data).expect("it is whole");
        let of = |name: &str| reading.iter().find(|(it, _)| *it == name).map(|(_, it)| it.clone());
        assert_eq!(of("protocol"), Some(json!("1.0")));
        assert_eq!(of("category"), Some(json!("0x0508")));
        assert_eq!(of("start_address"), Some(json!(100)));
        assert_eq!(of("sensors"), Some(json!(3)));
        assert_eq!(read(info.answer, &data[..18]), Err(DataError::Length(18)));
        assert_eq!(read(info.answer, &[0; 20]), Err(DataError::Length(20)));
    }

    #[test]
    fn a19_texts_lists_and_signed_numbers_are_read() {
        let of = |name| Parameter::named(name).expect("it is known").answer;
        let label = read(of("DEVICE_LABEL"), b"Front wash\0\0").expect("a text");
        assert_eq!(label, [("label", json!("Front wash"))]);
        assert!(read(of("device_label"), &[b'x'; 33]).is_err(), "32 at most");
        let list = read(of("supported_parameters"), &[0, 0x82, 0x80, 1]).expect("a list");
        assert_eq!(list, [("parameters", json!(["0x0082", "0x8001"]))]);
        assert!(read(of("supported_parameters"), &[0, 0x82, 0x80]).is_err());
        let sensor = read(of("sensor_value"), &[1, 0xff, 0xfe, 0, 0, 0, 9, 0, 0]).expect("a value");
        assert_eq!(sensor[1], ("present", json!(-2)));
        assert_eq!(read(of("identify_device"), &[2]), Err(DataError::Flag("identify", 2)));
    }

    #[test]
    fn a19_values_are_written_from_words_or_refused_with_what_they_may_be() {
        let set = |name: &str, given: &[&str]| {
            write(Parameter::named(name).and_then(|it| it.set).expect("it is set"), &words(given))
        };
        assert_eq!(set("dmx_start_address", &["300"]), Ok(vec![1, 44]));
        assert_eq!(set("identify_device", &["on"]), Ok(vec![1]));
        assert_eq!(set("device_label", &["Left"]), Ok(b"Left".to_vec()));
        assert_eq!(set("reset_device", &["0xff"]), Ok(vec![255]));
        assert_eq!(set("factory_defaults", &[]), Ok(vec![]));
        assert_eq!(set("0x8001", &["00ff"]), Ok(vec![0, 255]));
        let why = set("dmx_start_address", &["70000"]).expect_err("too large").to_string();
        assert_eq!(why, "`start_address` cannot be `70000`: it is a number from 0 to 65535");
        let why = set("identify_device", &[]).expect_err("too few").to_string();
        assert_eq!(why, "it takes `identify`, and 0 were given");
    }

    #[test]
    fn a19_every_parameter_is_found_by_its_name_and_its_number() {
        for it in ALL {
            assert_eq!(Parameter::named(it.name).map(|found| found.id), Some(it.id));
            assert_eq!(Parameter::of(it.id).name, it.name);
        }
        assert!(ALL.windows(2).all(|pair| pair[0].id < pair[1].id), "in order, none twice");
        assert_eq!(Parameter::named("0x8001").map(|it| it.id), Some(0x8001));
        assert!(Parameter::named("device_lable").is_none());
    }
}
