//! `downbeat rdm`: what lamps tell of themselves, and what they are told.

use std::time::Duration;

use clap::{Args, Subcommand};
use engine::light::rdm::SUB_DEVICES_MAX;
use serde_json::{Value, json};
use wire::rdm::parameter::{ALL, Parameter};

use crate::Refused;
use crate::cli::Show;
use crate::client::Client;
use crate::live::{rows, show_answer, text};
use crate::table::table;

/// A lamp may put us off again and again before it answers; a search takes its time.
const PATIENCE: Duration = Duration::from_secs(40);

#[derive(Debug, Subcommand)]
pub enum Rdm {
    /// Every device that the nodes of the show's Art-Net universes have found
    #[command(after_help = "Examples:\n  downbeat rdm list\n  downbeat rdm list --search --json")]
    List {
        #[command(flatten)]
        show: Show,
        /// Make the nodes look for devices anew; their lights may flicker
        #[arg(long)]
        search: bool,
    },
    /// Ask a device
    #[command(after_help = "\
Examples:
  downbeat rdm get 7a70:ffffff00 device_info
  downbeat rdm get 7a70:ffffff00 sensor_value 1 --json | jq .values.present
  downbeat rdm get 7a70:ffffff00 dmx_start_address --sub-device 1-24
  downbeat rdm get 7a70:ffffff00 0x8001      a maker's own, answered in hexadecimal digits")]
    Get(Asked),
    /// Tell a device, or many
    #[command(after_help = "\
To `all`, or to all of a maker as 7a70:ffffffff, is said once and nobody answers.

Examples:
  downbeat rdm set all identify_device off
  downbeat rdm set 7a70:ffffff00 identify_device on --sub-device all
  downbeat rdm set 7a70:ffffff00 identify_device on
  downbeat rdm set 7a70:ffffff00 dmx_start_address 101
  downbeat rdm set 7a70:ffffff00 device_label \"Front left\"")]
    Set(Asked),
    /// Every parameter that goes by a name, and what it takes
    Parameters,
}

#[derive(Debug, Clone, Args)]
pub struct Asked {
    /// The device, as `rdm list` has it; what is set may be for `all`
    uid: String,
    /// What, by its name or its number
    parameter: String,
    /// What the parameter takes
    #[arg(allow_negative_numbers = true)]
    values: Vec<String>,
    /// One of its sub-devices, from 1, or some of them; what is set may be for `all`
    #[arg(long, value_name = "N|N-N|all", default_value = "0", value_parser = sub_devices)]
    sub_device: SubDevices,
    #[command(flatten)]
    show: Show,
}

/// The first, and how many where some are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SubDevices(u16, Option<u16>);

/// What means all of them (E1.20 section 6.2.9).
const ALL_SUB_DEVICES: u16 = 0xffff;

fn sub_devices(text: &str) -> Result<SubDevices, String> {
    let number = |text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|it| *it <= SUB_DEVICES_MAX)
            .ok_or_else(|| format!("a number to {SUB_DEVICES_MAX}, two of them as 1-24, or `all`"))
    };
    match text.split_once('-') {
        None if text == "all" => Ok(SubDevices(ALL_SUB_DEVICES, None)),
        None => Ok(SubDevices(number(text)?, None)),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            let count = (last + 1).checked_sub(first).filter(|count| *count > 0);
            count.map(|count| SubDevices(first, Some(count))).ok_or("the first comes first".into())
        }
    }
}

/// Whatever is asked of lamps.
pub fn rdm(client: &Client, rdm: &Rdm) -> Result<(), Refused> {
    let client = client.with_patience(PATIENCE);
    match rdm {
        Rdm::List { show, search } => {
            let answer = client.post("rdm/list", &json!({ "search": search }))?;
            show_answer(&answer, show.json, devices)
        }
        Rdm::Get(asked) => ask(&client, "rdm/get", asked, values),
        Rdm::Set(asked) => ask(&client, "rdm/set", asked, done),
        Rdm::Parameters => {
            crate::terminal::say(&parameters());
            Ok(())
        }
    }
}

fn ask(
    client: &Client,
    path: &str,
    asked: &Asked,
    words: fn(&Value) -> String,
) -> Result<(), Refused> {
    let Asked { uid, parameter, values, sub_device, show } = asked;
    let SubDevices(first, count) = sub_device;
    let body = json!({
        "uid": uid, "parameter": parameter, "values": values,
        "sub_device": first, "sub_devices": count,
    });
    show_answer(&client.post(path, &body)?, show.json, words)
}

fn devices(it: &Value) -> String {
    let row = |it: &Value| {
        let universe = it["universe"].as_u64().map_or_else(|| "-".into(), |it| it.to_string());
        [
            text(&it["uid"]).to_owned(),
            universe,
            it["port_address"].to_string(),
            text(&it["node"]).to_owned(),
        ]
    };
    let rows: Vec<_> = rows(&it["devices"]).map(row).collect();
    table(["device", "universe", "port address", "node"], &rows)
}

fn values(it: &Value) -> String {
    if it["sub_devices"].is_array() {
        let said = |it: &Value, number: &str| {
            let fields = fields(&it["values"], number).into_iter();
            fields.map(|[name, value]| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
        };
        return each(it, said);
    }
    let number = text(&it["number"]);
    table([text(&it["uid"]), parameter(it)], &fields(&it["values"], number))
}

/// In the order of the standard, which the document's keys are not in.
fn fields(values: &Value, number: &str) -> Vec<[String; 2]> {
    let fields = Parameter::named(number).map_or(&[][..], |parameter| parameter.answer);
    let row = |(name, _): &(&str, _)| {
        let value = &values[*name];
        let list = || rows(value).map(text).collect::<Vec<_>>().join(" ");
        let words = match value {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => if *flag { "on" } else { "off" }.to_owned(),
            Value::Array(_) => list(),
            other => other.to_string(),
        };
        [(*name).to_owned(), words]
    };
    fields.iter().map(row).collect()
}

fn done(it: &Value) -> String {
    match it["sub_devices"].is_array() {
        true => each(it, |_, _| "is set".to_owned()),
        false => format!("{}: {} is set", text(&it["uid"]), parameter(it)),
    }
}

/// A line for each sub-device; what one refuses is said there.
fn each(it: &Value, said: impl Fn(&Value, &str) -> String) -> String {
    let number = text(&it["number"]);
    let row = |it: &Value| {
        let refused = it["refused"]["message"].as_str();
        [it["sub_device"].to_string(), refused.map_or_else(|| said(it, number), str::to_owned)]
    };
    table(["sub-device", parameter(it)], &rows(&it["sub_devices"]).map(row).collect::<Vec<_>>())
}

fn parameter(it: &Value) -> &str {
    it["parameter"].as_str().unwrap_or_else(|| text(&it["number"]))
}

fn parameters() -> String {
    let takes = |fields: Option<&[(&str, _)]>| match fields {
        None => "-".to_owned(),
        Some([]) => "nothing".to_owned(),
        Some(fields) => fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" "),
    };
    let row = |it: &Parameter| {
        [it.name.to_owned(), format!("{:#06x}", it.id), takes(it.ask), takes(it.set)]
    };
    let rows: Vec<_> = ALL.iter().map(row).collect();
    table(["parameter", "number", "get takes", "set takes"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_devices_are_one_some_or_all_and_nothing_else() {
        assert_eq!(sub_devices("3"), Ok(SubDevices(3, None)));
        assert_eq!(sub_devices("1-24"), Ok(SubDevices(1, Some(24))));
        assert_eq!(sub_devices("all"), Ok(SubDevices(0xffff, None)));
        for wrong in ["513", "2-1", "-", "1-", "some", "1-513"] {
            assert!(sub_devices(wrong).is_err(), "{wrong}");
        }
    }
}
