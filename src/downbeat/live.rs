//! Commands to the running box, and questions it answers (docs/status.md has the documents).

use hyper::StatusCode;
use serde_json::{Map, Value, json};
use units::Span;

use crate::cli::{Command, CueOrder, Globals, ListOrder, Order};
use crate::client::{Answer, Client};
use crate::table::table;
use crate::terminal::many;
use crate::{Refused, address, clock, load, record, terminal};

/// Whatever is neither `run`, `check` nor `rehearse`.
pub fn command(globals: &Globals, command: &Command) -> Result<(), Refused> {
    let config = load::box_config(globals)?;
    let client = Client::new(load::socket(globals, &config));
    match command {
        Command::Go(it) => order(&client, "go", &it.order, &fields_of_list(it)),
        Command::Back(it) => order(&client, "back", &it.order, &fields_of_list(it)),
        Command::Stop(it) => order(&client, "stop", it, &[]),
        Command::Pause(it) => order(&client, "pause", it, &[]),
        Command::Resume(it) => order(&client, "resume", it, &[]),
        Command::Panic(it) => order(&client, "panic", it, &[]),
        Command::Calibrate(it) => order(&client, "calibrate", it, &[]),
        Command::Fire(it) => order(&client, "fire", &it.order, &fields_of_cue(it)),
        Command::Goto(it) => order(&client, "goto", &it.order, &fields_of_cue(it)),
        Command::Status(it) => show(&client, "status", it.json, status),
        Command::Cues(it) => show(&client, "cues", it.json, cues),
        Command::Clock { show: it, step: false } => show(&client, "clock", it.json, clock::words),
        Command::Clock { show: it, step: true } => step_clock(&client, it.json),
        Command::Phones(it) => show(&client, "phones", it.json, phones),
        Command::Universes(it) => show(&client, "universes", it.json, universes),
        Command::Record(it) => record::record(&client, it),
        Command::Receipts { show: it, limit } => {
            show(&client, &format!("receipts?limit={limit}"), it.json, receipts)
        }
        Command::Qr(it) => show(&client, "status", it.json, qr),
        Command::Run { .. } | Command::Check { .. } | Command::Rehearse { .. } => {
            unreachable!("main sends these elsewhere")
        }
    }
}

type Field = (&'static str, Value);

fn fields_of_list(it: &ListOrder) -> Vec<Field> {
    it.list.iter().map(|list| ("list", json!(list))).collect()
}

fn fields_of_cue(it: &CueOrder) -> Vec<Field> {
    vec![("cue", json!(it.cue))]
}

fn order(client: &Client, word: &str, order: &Order, fields: &[Field]) -> Result<(), Refused> {
    let id = order.id.iter().map(|id| ("id", json!(id)));
    let fields = fields.iter().cloned().chain(id);
    let body: Map<String, Value> = fields.map(|(key, value)| (key.to_owned(), value)).collect();
    done(&client.post(word, &Value::Object(body))?, order.json)
}

fn step_clock(client: &Client, as_json: bool) -> Result<(), Refused> {
    done(&client.post("clock/step", &json!({}))?, as_json)
}

fn done(answer: &Answer, as_json: bool) -> Result<(), Refused> {
    if as_json {
        terminal::say(&answer.document.to_string());
    }
    match answer.status {
        StatusCode::OK if as_json => Ok(()),
        StatusCode::OK => {
            terminal::say(text(&answer.document["done"]["said"]));
            Ok(())
        }
        // The document has said it already.
        _ if as_json => Err(Refused(String::new())),
        _ => Err(why(answer)),
    }
}

pub fn why(answer: &Answer) -> Refused {
    let refused = &answer.document["refused"]["message"];
    let error = &answer.document["error"]["message"];
    let why = refused.as_str().or(error.as_str());
    Refused(why.map_or_else(|| format!("the box answered {}", answer.status), str::to_owned))
}

fn show(
    client: &Client,
    path: &str,
    as_json: bool,
    words: fn(&Value) -> String,
) -> Result<(), Refused> {
    let answer = client.get(path)?;
    if answer.status != StatusCode::OK {
        return Err(why(&answer));
    }
    match as_json {
        true => terminal::say(&answer.document.to_string()),
        false => terminal::say(&words(&answer.document)),
    }
    Ok(())
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

pub fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A cue with its name, or a dash.
fn cue(value: &Value) -> String {
    match (value["number"].as_str(), value["name"].as_str()) {
        (Some(number), Some("")) => number.to_owned(),
        (Some(number), Some(name)) => format!("{number} \"{name}\""),
        _ => "-".to_owned(),
    }
}

/// A span of nanoseconds; what is not known is said to be so.
pub fn span(value: &Value) -> String {
    value.as_i64().map_or_else(|| "unknown".to_owned(), |ns| rounded(Span::from_ns(ns)).to_string())
}

/// To milliseconds above a second, to microseconds below: more digits say nothing to a person.
fn rounded(span: Span) -> Span {
    let step = if span.abs() >= Span::from_secs(1) { 1_000_000 } else { 1_000 };
    Span::from_ns((span.ns() + step / 2).div_euclid(step) * step)
}

fn status(it: &Value) -> String {
    let (box_, show) = (&it["box"], &it["show"]);
    let simulated: Vec<&str> = rows(&box_["simulated"]).map(text).collect();
    let mut lines = vec![
        format!(
            "{}  on box {}, version {}",
            text(&show["title"]),
            text(&box_["name"]),
            text(&box_["version"])
        ),
        format!("clock    {}", clock::line(&it["clock"])),
        format!("phones   {} here, {} sockets", it["phones"]["hello"], it["phones"]["sockets"]),
        format!("light    {}", many(rows(&it["light"]["universes"]).count(), "universe")),
    ];
    if !simulated.is_empty() {
        lines.push(format!("SIMULATED: {}", simulated.join(", ")));
    }
    if show["paused"] == true {
        lines.push("PAUSED".to_owned());
    }
    let lists: Vec<[String; 4]> = rows(&show["lists"])
        .map(|list| {
            let name = text(&list["name"]).to_owned();
            [name, cue(&list["standby"]), cue(&list["coming"]), cue(&list["last"])]
        })
        .collect();
    lines.push(String::new());
    lines.push(table(["list", "standby", "coming", "last"], &lists));
    let running: Vec<[String; 2]> = rows(&show["running"])
        .map(|run| {
            let left =
                if run["left_ns"].is_null() { "until ended".into() } else { span(&run["left_ns"]) };
            [cue(run), left]
        })
        .collect();
    if !running.is_empty() {
        lines.push(String::new());
        lines.push(table(["running", "left"], &running));
    }
    lines.join("\n")
}

fn cues(it: &Value) -> String {
    let list = |list: &Value| {
        let rows: Vec<[String; 5]> = rows(&list["cues"]).map(cue_row).collect();
        format!("{}\n{}", text(&list["name"]), table(["", "cue", "name", "does", "then"], &rows))
    };
    rows(&it["lists"]).map(list).collect::<Vec<_>>().join("\n\n")
}

fn cue_row(it: &Value) -> [String; 5] {
    let mark = match (it["standby"] == true, it["running"] == true) {
        (true, _) => ">",
        (_, true) => "*",
        _ => "",
    };
    let outputs = ["light", "sound", "phones"].into_iter().filter(|output| it[*output] == true);
    let acts = (it["acts"].as_u64() > Some(0)).then_some("cues");
    let does: Vec<&str> = outputs.chain(acts).collect();
    let then = match text(&it["then"]) {
        "wait" => String::new(),
        then => format!("{then} {}", span(&it["post_wait_ns"])),
    };
    let at = it["at"].as_str().map(|at| format!("at {at} ")).unwrap_or_default();
    [
        mark.to_owned(),
        text(&it["number"]).to_owned(),
        text(&it["name"]).to_owned(),
        does.join(" "),
        format!("{at}{then}"),
    ]
}

fn phones(it: &Value) -> String {
    let rows: Vec<[String; 11]> = rows(&it["phones"]).map(phone_row).collect();
    let head = [
        "phone",
        "address",
        "here",
        "hello",
        "quality",
        "round trip",
        "asks by",
        "correction",
        "clock within",
        "output within",
        "heard within",
    ];
    table(head, &rows)
}

fn phone_row(phone: &Value) -> [String; 11] {
    let unknown = || "unknown".to_owned();
    let (status, sync) = (&phone["status"], &phone["status"]["sync"]);
    let number = |value: &Value, unit: &str| {
        value.as_f64().map_or_else(unknown, |it| format!("{it:.1}{unit}"))
    };
    [
        phone["id"].to_string(),
        phone["address"].as_str().unwrap_or("control socket").to_owned(),
        number(&phone["connected_s"], " s"),
        if phone["hello"] == true { "yes" } else { "no" }.to_owned(),
        status["network_quality"].as_str().map_or_else(unknown, str::to_owned),
        number(&status["avg_rtt_ms"], " ms"),
        phone["clock_channel"].as_str().map_or_else(unknown, |it| it.replace('_', " ")),
        correction(phone).unwrap_or_else(unknown),
        number(&sync["clock_ms"], " ms"),
        output_error(sync),
        number(&sync["acoustic_ms"], " ms"),
    ]
}

/// Within what, and who says so.
fn output_error(sync: &Value) -> String {
    let source = sync["output_source"].as_str();
    match (sync["output_ms"].as_f64(), source) {
        (Some(within), Some(source)) => format!("{within:.1} ms ({source})"),
        (_, Some("doubtful")) => "unknown (doubtful)".to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// How much sooner a phone was told to sound, and how sure that is.
fn correction(phone: &Value) -> Option<String> {
    let (ms, sigma_ms) = (&phone["correction_ms"], &phone["correction_sigma_ms"]);
    Some(format!("{:+.2} ms, sigma {:.2}", ms.as_f64()?, sigma_ms.as_f64()?))
}

fn universes(it: &Value) -> String {
    let rows: Vec<[String; 8]> = rows(&it["universes"]).map(universe_row).collect();
    table(
        ["universe", "label", "sACN", "Art-Net", "frames/s", "last", "worst late", "others"],
        &rows,
    )
}

fn universe_row(it: &Value) -> [String; 8] {
    let foreign: Vec<&str> = rows(&it["foreign"]).map(|it| text(&it["name"])).collect();
    [
        it["universe"].to_string(),
        text(&it["label"]).to_owned(),
        sacn(&it["sacn"]),
        artnet(&it["artnet"]),
        it["frames_per_second"].as_u64().map_or_else(|| "unknown".into(), |it| it.to_string()),
        span(&it["last_frame_age_ns"]),
        span(&it["worst_late_ns"]),
        if foreign.is_empty() { "-".into() } else { foreign.join(", ") },
    ]
}

fn sacn(it: &Value) -> String {
    let unicast = rows(&it["unicast"]).map(text);
    let ways: Vec<&str> =
        (it["multicast"] == true).then_some("multicast").into_iter().chain(unicast).collect();
    if it.is_null() { "-".to_owned() } else { format!("{} at {}", ways.join(" "), it["priority"]) }
}

fn artnet(it: &Value) -> String {
    if it.is_null() {
        return "-".to_owned();
    }
    let subscribers: Vec<&str> = rows(&it["subscribers"]).map(|it| text(&it["address"])).collect();
    let who = if subscribers.is_empty() { "nobody".to_owned() } else { subscribers.join(" ") };
    format!("{} to {who}", it["port_address"])
}

fn receipts(it: &Value) -> String {
    let rows: Vec<[String; 6]> = rows(&it["orders"]).map(receipt_row).collect();
    table(["order", "cue", "output", "what", "late", "evidence"], &rows)
}

fn receipt_row(it: &Value) -> [String; 6] {
    let (order, receipt) = (&it["order"], &it["receipt"]);
    let late = match receipt.is_null() {
        true => "no receipt".to_owned(),
        false => span(&it["late_ns"]),
    };
    [
        order["id"].to_string(),
        order["cue"].as_str().unwrap_or("-").to_owned(),
        text(&order["output"]).to_owned(),
        text(&order["what"]["do"]).replace('_', " "),
        late,
        receipt["evidence"].as_str().unwrap_or("-").replace('_', " "),
    ]
}

fn qr(it: &Value) -> String {
    let url = text(&it["box"]["urls"][0]);
    format!("{}\n{url}", address::qr(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_said_to_be_unknown() {
        assert_eq!(span(&Value::Null), "unknown");
        assert_eq!(span(&json!(1_234_567)), "1.235ms");
    }

    #[test]
    fn a_phone_that_was_told_no_correction_is_not_shown_as_right() {
        let row = |correction_ms: Value, correction_sigma_ms: Value| {
            phone_row(&json!({
                "id": 3, "address": "10.0.0.9", "connected_s": 1.25, "hello": true, "status": null,
                "correction_ms": correction_ms, "correction_sigma_ms": correction_sigma_ms,
            }))
        };
        let unknown = row(Value::Null, Value::Null);
        assert_eq!(unknown[4..], ["unknown"; 7]);
        assert_eq!(row(json!(0.0), json!(0.092))[7], "+0.00 ms, sigma 0.09");
        assert_eq!(row(json!(-1.234), json!(0.145))[7], "-1.23 ms, sigma 0.14");
    }

    #[test]
    fn an_order_without_a_receipt_is_not_shown_as_in_time() {
        let row = receipt_row(&json!({
            "order": { "id": 3, "cue": "2", "output": "light", "what": { "do": "fade" }, "at_tai_ns": 5 },
            "receipt": null, "late_ns": null,
        }));
        assert_eq!(row, ["3", "2", "light", "fade", "no receipt", "-"]);
    }
}
