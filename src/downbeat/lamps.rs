//! `downbeat rdm`: what lamps tell of themselves, and what they are told.

use std::time::Duration;

use clap::{Args, Subcommand};
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
  downbeat rdm get 7a70:ffffff00 0x8001      a maker's own, answered in hexadecimal digits")]
    Get(Asked),
    /// Tell a device
    #[command(after_help = "\
Examples:
  downbeat rdm set 7a70:ffffff00 identify_device on
  downbeat rdm set 7a70:ffffff00 dmx_start_address 101
  downbeat rdm set 7a70:ffffff00 device_label \"Front left\"")]
    Set(Asked),
    /// Every parameter that goes by a name, and what it takes
    Parameters,
}

#[derive(Debug, Clone, Args)]
pub struct Asked {
    /// The device, as `rdm list` has it
    uid: String,
    /// What, by its name or its number
    parameter: String,
    /// What the parameter takes
    #[arg(allow_negative_numbers = true)]
    values: Vec<String>,
    /// One of its sub-devices, from 1
    #[arg(long, value_name = "N", default_value_t = 0)]
    sub_device: u16,
    #[command(flatten)]
    show: Show,
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
    let body = json!({
        "uid": uid, "parameter": parameter, "values": values, "sub_device": sub_device,
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

/// In the order of the standard, which the document's keys are not in.
fn values(it: &Value) -> String {
    let number = text(&it["number"]);
    let fields = Parameter::named(number).map_or(&[][..], |parameter| parameter.answer);
    let row = |(name, _): &(&str, _)| {
        let value = &it["values"][*name];
        let list = || rows(value).map(text).collect::<Vec<_>>().join(" ");
        let words = match value {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => if *flag { "on" } else { "off" }.to_owned(),
            Value::Array(_) => list(),
            other => other.to_string(),
        };
        [(*name).to_owned(), words]
    };
    table(
        [text(&it["uid"]), it["parameter"].as_str().unwrap_or(number)],
        &fields.iter().map(row).collect::<Vec<_>>(),
    )
}

fn done(it: &Value) -> String {
    let parameter = it["parameter"].as_str().unwrap_or_else(|| text(&it["number"]));
    format!("{}: {parameter} is set", text(&it["uid"]))
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
