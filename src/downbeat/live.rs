//! Commands to the running box, and questions it answers (docs/status.md has the documents).

use hyper::StatusCode;
use serde_json::{Map, Value, json};
use units::Span;

use crate::cli::{Command, CueOrder, Globals, ListOrder, Order, Switch};
use crate::client::{Answer, Client};
use crate::table::table;
use crate::terminal::many;
use crate::{Refused, address, cert, clock, lamps, load, phones, record, terminal, token};

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
        Command::Release(it) => order(&client, "release", &it.order, &fields_of_list(it)),
        Command::Master { name, level, order: it } => {
            order(&client, "master", it, &[("master", json!(name)), ("level", json!(level))])
        }
        Command::Blackout { switch, order: it } => {
            order(&client, "blackout", it, &[("on", json!(*switch == Switch::On))])
        }
        Command::Park { what, level, order: it } => {
            let level = level.map(|level| ("level", json!(level)));
            let what = ("what", json!(what));
            order(&client, "park", it, &[what].into_iter().chain(level).collect::<Vec<_>>())
        }
        Command::Unpark { what, order: it } => order(&client, "unpark", it, &fields_of_what(what)),
        Command::Air { what, order: it } => order(&client, "air", it, &fields_of_what(what)),
        Command::Blind { cue, order: it } => {
            let cue: Vec<_> = cue.iter().map(|cue| ("cue", json!(cue))).collect();
            order(&client, "blind", it, &cue)
        }
        Command::Status(it) => show(&client, "status", it.json, status),
        Command::Cues(it) => show(&client, "cues", it.json, cues),
        Command::Clock { show: it, step: false } => show(&client, "clock", it.json, clock::words),
        Command::Clock { show: it, step: true } => step_clock(&client, it.json),
        Command::Phones(it) => {
            show(&client, "phones", it.show.json, |said| phones::phones(said, it.all))
        }
        Command::Rooms(it) => show(&client, "rooms", it.json, rooms_table),
        Command::Rdm { rdm } => lamps::rdm(&client, rdm),
        Command::Universes(it) => show(&client, "universes", it.json, universes),
        Command::Record(it) if it.list => record::list(it),
        Command::Record(it) => record::record(&client, it),
        Command::Receipts { show: it, limit } => {
            show(&client, &format!("receipts?limit={limit}"), it.json, receipts)
        }
        Command::Cert { show: it, deed: None } => show(&client, "cert", it.json, cert::words),
        Command::Cert { deed: Some(deed), .. } => cert::deed(&client, deed),
        Command::Token(it) => token::token(&client, it),
        Command::Qr(it) => show(&client, "status", it.json, qr),
        Command::Run { .. }
        | Command::Check { .. }
        | Command::Rehearse { .. }
        | Command::Import(_) => {
            unreachable!("main sends these elsewhere")
        }
    }
}

type Field = (&'static str, Value);

fn fields_of_list(it: &ListOrder) -> Vec<Field> {
    it.list.iter().map(|list| ("list", json!(list))).collect()
}

fn fields_of_what(what: &Option<String>) -> Vec<Field> {
    what.iter().map(|what| ("what", json!(what))).collect()
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

pub fn done(answer: &Answer, as_json: bool) -> Result<(), Refused> {
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
    words: impl Fn(&Value) -> String,
) -> Result<(), Refused> {
    show_answer(&client.get(path)?, as_json, words)
}

/// The document, or what it says in words; a refusal is one in either.
pub fn show_answer(
    answer: &Answer,
    as_json: bool,
    words: impl Fn(&Value) -> String,
) -> Result<(), Refused> {
    if answer.status != StatusCode::OK {
        return Err(why(answer));
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

/// Who drives, who is there besides, and what keeps this box from going on with the show.
fn cluster(it: &Value) -> Vec<String> {
    if it.is_null() {
        return Vec::new();
    }
    let this = match (it["drives"] == true, it["master"].as_str()) {
        (true, _) => "this box drives".to_owned(),
        (false, Some(master)) => format!("{master} drives, this box stands by"),
        (false, None) => "NOBODY DRIVES".to_owned(),
    };
    let mut lines = vec![format!("cluster  {}: {this} (term {})", text(&it["name"]), it["term"])];
    lines.extend(rows(&it["boxes"]).map(|other| {
        let is = match (other["lives"] == true, other["candidate_score"].as_f64()) {
            (false, _) => "NOT HEARD",
            (true, _) if other["drives"] == true => "drives",
            (true, Some(score)) if score >= 1.0 => "ready to drive",
            (true, Some(score)) if score > 0.0 => "does not know the show yet",
            _ => "NOT FIT TO DRIVE",
        };
        format!("         {} at {}: {is}", text(&other["name"]), text(&other["url"]))
    }));
    if it["knows_the_show"] == false {
        let why = it["trouble"].as_str().unwrap_or("it is being told");
        lines.push(format!("         this box does not know the show: {why}"));
    }
    lines
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
    ];
    lines.extend(cluster(&it["cluster"]));
    lines.extend(cert::standing(&box_["certificate"]));
    lines.extend([
        format!(
            "phones   {} here, {} with every track, {} sockets{}",
            it["phones"]["hello"],
            it["phones"]["ready"],
            it["phones"]["sockets"],
            phones::refused(&it["phones"]["refused"])
        ),
        format!("         {}", phones::lead(&show["delivery"])),
    ]);
    lines.extend(phones::turned_away(&it["phones"]["turned_away"]));
    lines.push(format!("light    {}", many(rows(&it["light"]["universes"]).count(), "universe")));
    lines.extend(rows(&it["light"]["inputs"]).map(input_line));
    lines.extend(timecode(show));
    lines.extend(rows(&it["light"]["universes"]).flat_map(foreign_lines));
    if !simulated.is_empty() {
        lines.push(format!("SIMULATED: {}", simulated.join(", ")));
    }
    if show["paused"] == true {
        lines.push("PAUSED".to_owned());
    }
    if show["blackout"] == true {
        lines.push("BLACKOUT".to_owned());
    }
    let parked: Vec<&str> = rows(&show["parked"]).map(text).collect();
    if !parked.is_empty() {
        lines.push(format!("PARKED   {}", parked.join(", ")));
    }
    if !show["blind"].is_null() {
        lines.push(format!("BLIND    {}", text(&show["blind"])));
    }
    if let Some(what) = show["on_air"].as_str() {
        let sealed = if show["sealed"] == true { ", for phones with a token" } else { "" };
        let by = show["on_air_cue"].as_str().map(|it| format!(", by cue {it}")).unwrap_or_default();
        lines.push(format!("ON AIR   {what}{by}{sealed}"));
    }
    let lowered = rows(&show["masters"]).filter(|it| it["level_percent"] != 100.0);
    lines.extend(
        lowered.map(|it| format!("master   {} at {}%", text(&it["name"]), it["level_percent"])),
    );
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

/// Whether somebody sends an input, and who.
fn input_line(it: &Value) -> String {
    let sources: Vec<String> = rows(&it["sources"]).map(source).collect();
    let from = if sources.is_empty() { "nobody".to_owned() } else { sources.join(", ") };
    format!("input    {} {}, from {from}", text(&it["input"]), text(&it["state"]))
}

/// Who sends an input: Art-Net gives no name.
fn source(it: &Value) -> String {
    let who = it["name"].as_str().unwrap_or("Art-Net");
    format!("{who} {} at {}", text(&it["address"]), it["priority"])
}

/// A line for each who sends on a universe of ours: receivers may obey them.
fn foreign_lines(it: &Value) -> impl Iterator<Item = String> {
    rows(&it["foreign"]).map(|other| {
        let who = format!("{} at {}", text(&other["name"]), text(&other["address"]));
        let priority = other["priority"].as_u64();
        let priority = priority.map(|it| format!(", priority {it}")).unwrap_or_default();
        format!("FOREIGN  {who} sends universe {} too{priority}", it["universe"])
    })
}

/// What is chased, a line a list, and what is sent.
fn timecode(show: &Value) -> Vec<String> {
    let chased = rows(&show["lists"]).filter(|list| !list["timecode"].is_null()).map(chase);
    let lead = &show["timecode"];
    let runs = if lead["runs"] == true { "running" } else { "standing" };
    let sent = match lead["timecode"].as_str() {
        Some(now) => format!("timecode {now} sent with {} ({runs})", text(&lead["list"])),
        None => format!("timecode none sent until {} begins", text(&lead["list"])),
    };
    chased.chain((!lead.is_null()).then_some(sent)).collect()
}

fn chase(list: &Value) -> String {
    let it = &list["timecode"];
    let now = it["timecode"].as_str().unwrap_or("nothing heard yet");
    let asks = (it["asks"] == true).then_some("it has jumped: GO follows it");
    let trouble = it["trouble"].as_str().map(|trouble| match trouble {
        "reverse" => "it runs backwards",
        _ => "it counts frames otherwise than the show",
    });
    let speed = it["speed"].as_f64().filter(|it| (it - 1.0).abs() > 0.001);
    let speed = speed.map(|it| format!("at {:.1} % of its speed", it * 100.0));
    let state = format!("{} ({}) {}", text(&it["source"]), text(&it["rate"]), text(&it["state"]));
    let more = asks.into_iter().chain(trouble).map(str::to_owned).chain(speed);
    let said: Vec<String> = [format!("timecode {now}  {} from {state}", text(&list["name"]))]
        .into_iter()
        .chain(more)
        .collect();
    said.join(", ")
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
    let outputs =
        ["light", "sound", "phones", "air"].into_iter().filter(|output| it[*output] == true);
    let acts = (it["acts"].as_u64() > Some(0)).then_some("cues");
    let sends = (it["sends"].as_u64() > Some(0)).then_some("network");
    let does: Vec<&str> = outputs.chain(acts).chain(sends).collect();
    let then = match text(&it["then"]) {
        "wait" => String::new(),
        then => format!("{then} {}", span(&it["post_wait_ns"])),
    };
    let at = it["timecode"].as_str().or(it["at"].as_str());
    let at = at.map(|at| format!("at {at} ")).unwrap_or_default();
    [
        mark.to_owned(),
        text(&it["number"]).to_owned(),
        text(&it["name"]).to_owned(),
        does.join(" "),
        format!("{at}{then}"),
    ]
}

/// Each room, and below it who is in it.
fn rooms_table(it: &Value) -> String {
    let with_people =
        |room| [room_row(room)].into_iter().chain(rows(&room["participants"]).map(participant_row));
    let rows: Vec<[String; 5]> = rows(&it["rooms"]).flat_map(with_people).collect();
    if rows.is_empty() {
        return "no room is open".to_owned();
    }
    table(["room, and who is in it", "since", "messages", "idle", ""], &rows)
}

fn room_row(room: &Value) -> [String; 5] {
    let inside = rows(&room["participants"]).count();
    let peer = room["peer"]["state"].as_str().unwrap_or("no peer connection");
    let kept = match room["phone"].as_u64() {
        Some(phone) => format!(", the box waits for phone {phone}: {peer}"),
        None if room["kept"] == true => ", kept by the box".to_owned(),
        None => String::new(),
    };
    [
        text(&room["room_id"]).to_owned(),
        seconds(&room["age_s"]),
        room["messages"].to_string(),
        seconds(&room["idle_s"]),
        format!("{inside} of {}{kept}", room["participants_max"]),
    ]
}

fn participant_row(it: &Value) -> [String; 5] {
    let place = match (&it["is_box"], it["address"].as_str()) {
        (Value::Bool(true), _) => "the box",
        (_, address) => address.unwrap_or("control socket"),
    };
    [
        format!("  {}", text(&it["participant_id"])),
        seconds(&it["joined_s"]),
        it["messages"].to_string(),
        String::new(),
        place.to_owned(),
    ]
}

fn seconds(value: &Value) -> String {
    value.as_f64().map_or_else(|| "unknown".to_owned(), |it| format!("{it:.1} s"))
}

/// Who sends, what leaves, then who else sends it and what comes in, where there is any.
fn universes(it: &Value) -> String {
    let sender = rows(&it["universes"]).map(|it| &it["sacn"]).find(|it| !it.is_null());
    let sender =
        sender.map(|it| format!("sACN as {} ({})", text(&it["source_name"]), text(&it["cid"])));
    let sent: Vec<_> = rows(&it["universes"]).flat_map(universe_rows).collect();
    let head = ["universe", "label", "frames/s", "last", "worst late", "sACN", "Art-Net"];
    let sent = table(head, &sent);
    let others: Vec<_> = rows(&it["universes"]).flat_map(other_rows).collect();
    let others = table(["universe", "sent by others too", "address", "priority"], &others);
    let inputs: Vec<_> = rows(&it["inputs"]).flat_map(input_rows).collect();
    let inputs = table(["input", "from", "to", "state", "source", "heard"], &inputs);
    // A table without rows is its head alone.
    let more = [others, inputs].into_iter().filter(|it| it.contains('\n'));
    sender.into_iter().chain([sent]).chain(more).collect::<Vec<_>>().join("\n\n")
}

/// One for each source, or one without.
fn input_rows(it: &Value) -> Vec<[String; 6]> {
    let from = match it["universe"].is_null() {
        true => format!("Art-Net {}", it["port_address"]),
        false => format!("sACN {}", it["universe"]),
    };
    let to = match it["to"].is_null() {
        true => "-".to_owned(),
        false => format!("{} by {}", it["to"], text(&it["merge"])),
    };
    let row = |source: String, heard: String| {
        let (input, state) = (text(&it["input"]).to_owned(), text(&it["state"]).to_owned());
        [input, from.clone(), to.clone(), state, source, heard]
    };
    let sources: Vec<_> =
        rows(&it["sources"]).map(|it| row(source(it), span(&it["age_ns"]))).collect();
    if sources.is_empty() { vec![row("nobody".to_owned(), "-".to_owned())] } else { sources }
}

/// One, and one more for each receiver beyond the first.
fn universe_rows(it: &Value) -> Vec<[String; 7]> {
    let (sacn, artnet) = (sacn(&it["sacn"]), artnet(&it["artnet"]));
    let figures = match it["last_frame_age_ns"].is_null() {
        true => ["-", "never", "-"].map(str::to_owned),
        false => {
            let rate = it["frames_per_second"].as_u64();
            let rate = rate.map_or_else(|| "unknown".to_owned(), |it| it.to_string());
            [rate, span(&it["last_frame_age_ns"]), span(&it["worst_late_ns"])]
        }
    };
    let row = |place: usize| {
        let own = |cell: &str| if place == 0 { cell.to_owned() } else { String::new() };
        let receiver = |all: &[String]| all.get(place).cloned().unwrap_or_default();
        let [rate, last, late] = figures.each_ref().map(|it| own(it));
        let (number, label) = (own(&it["universe"].to_string()), own(text(&it["label"])));
        [number, label, rate, last, late, receiver(&sacn), receiver(&artnet)]
    };
    (0..sacn.len().max(artnet.len())).map(row).collect()
}

/// Where it leaves for as sACN, and at which priority; at least one.
fn sacn(it: &Value) -> Vec<String> {
    let unicast = rows(&it["unicast"]).map(text);
    let ways = (it["multicast"] == true).then_some("multicast").into_iter().chain(unicast);
    let mut ways: Vec<_> = ways.map(str::to_owned).collect();
    match ways.first_mut() {
        Some(first) => first.push_str(&format!(" at {}", it["priority"])),
        None => ways.push("-".to_owned()),
    }
    ways
}

/// Who has it as Art-Net, and at which port address; at least one.
fn artnet(it: &Value) -> Vec<String> {
    if it.is_null() {
        return vec!["-".to_owned()];
    }
    let mut subscribers: Vec<_> =
        rows(&it["subscribers"]).map(|it| text(&it["address"]).to_owned()).collect();
    if subscribers.is_empty() {
        subscribers.push("nobody".to_owned());
    }
    subscribers[0] = format!("{} to {}", it["port_address"], subscribers[0]);
    subscribers
}

fn other_rows(it: &Value) -> Vec<[String; 4]> {
    let row = |other: &Value| {
        let priority = other["priority"].as_u64().map_or_else(|| "-".into(), |it| it.to_string());
        let (name, address) = (text(&other["name"]).to_owned(), text(&other["address"]).to_owned());
        [it["universe"].to_string(), name, address, priority]
    };
    rows(&it["foreign"]).map(row).collect()
}

fn receipts(it: &Value) -> String {
    let rows: Vec<[String; 6]> = rows(&it["orders"]).map(receipt_row).collect();
    if rows.is_empty() {
        return "no order was given yet".to_owned();
    }
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
        evidence(receipt),
    ]
}

/// Who says so; and if they are phones, how many had the order too late.
fn evidence(receipt: &Value) -> String {
    let evidence = receipt["evidence"].as_str().unwrap_or("-").replace('_', " ");
    match receipt["too_late"].as_u64() {
        Some(late) if late > 0 => {
            format!("{evidence}, too late at {late} of {}", receipt["count"])
        }
        _ => evidence,
    }
}

fn qr(it: &Value) -> String {
    address::qr_or_link(text(&it["box"]["urls"][0]), terminal::columns())
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
    fn receivers_stand_under_each_other_and_who_else_sends_is_named() {
        let document = json!({ "inputs": [], "universes": [{
            "universe": 3, "label": "Floor", "frames_per_second": 44, "last_frame_age_ns": 12_000_000,
            "worst_late_ns": 420_000, "evidence": "kernel_transmit",
            "sacn": {
                "source_name": "Booth", "cid": "c1d", "priority": 100, "multicast": true,
                "unicast": ["10.0.0.5"],
            },
            "artnet": { "port_address": 17, "subscribers": [] },
            "foreign": [{ "name": "Desk", "address": "10.0.0.9", "priority": 150 }],
        }, {
            "universe": 4, "label": "", "frames_per_second": null, "last_frame_age_ns": null,
            "worst_late_ns": null, "evidence": "kernel_transmit", "sacn": null,
            "artnet": { "port_address": 18, "subscribers": [{ "address": "10.0.0.6" }] },
            "foreign": [],
        }] });
        let shown = "\
sACN as Booth (c1d)

universe  label  frames/s  last   worst late  sACN              Art-Net
3         Floor  44        12ms   420us       multicast at 100  17 to nobody
                                              10.0.0.5
4                -         never  -           -                 18 to 10.0.0.6

universe  sent by others too  address   priority
3         Desk                10.0.0.9  150";
        assert_eq!(universes(&document), shown);
    }

    #[test]
    fn who_sends_an_input_is_shown_and_so_is_that_nobody_does() {
        let input = |sources: Value| {
            input_rows(&json!({
                "input": "desk", "universe": 101, "port_address": null, "to": 1, "merge": "htp",
                "state": "live", "sources": sources,
            }))
        };
        let source =
            json!({ "name": "Desk", "address": "10.0.0.9", "priority": 110, "age_ns": 23_000_000 });
        assert_eq!(
            input(json!([source]))[0],
            ["desk", "sACN 101", "1 by htp", "live", "Desk 10.0.0.9 at 110", "23ms"]
        );
        assert_eq!(input(json!([]))[0][4..], ["nobody", "-"]);
    }

    #[test]
    fn status_says_who_sends_inputs_and_who_else_sends_our_universes() {
        let said = status(&json!({
            "box": {}, "show": {}, "clock": {}, "phones": {},
            "light": {
                "universes": [{ "universe": 1, "foreign": [
                    { "name": "Desk", "address": "10.0.0.9", "priority": 110 },
                    { "name": "Art-Net", "address": "10.0.0.8", "priority": null },
                ] }],
                "inputs": [
                    { "input": "desk", "state": "live", "sources": [
                        { "name": "Desk", "address": "10.0.0.9", "priority": 100, "age_ns": 5 },
                    ] },
                    { "input": "buttons", "state": "lost", "sources": [] },
                ],
            },
        }));
        for line in [
            "input    desk live, from Desk 10.0.0.9 at 100",
            "input    buttons lost, from nobody",
            "FOREIGN  Desk at 10.0.0.9 sends universe 1 too, priority 110",
            "FOREIGN  Art-Net at 10.0.0.8 sends universe 1 too",
        ] {
            assert!(said.lines().any(|it| it == line), "{line} in {said}");
        }
    }

    #[test]
    fn status_says_of_an_imported_certificate_what_is_not_as_it_should_be() {
        let said = |standing: &str| {
            let certificate = json!({ "standing": standing, "from_unix_s": 0, "until_unix_s": 0 });
            let box_ = json!({ "certificate": certificate });
            status(&json!({ "box": box_, "show": {}, "clock": {}, "phones": {}, "light": {} }))
        };
        for (standing, part) in [
            ("early", "imported does not hold before 19"),
            ("ending", "imported ends 19"),
            ("expired", "imported HAS ENDED 19"),
        ] {
            assert!(said(standing).contains(part), "{}", said(standing));
        }
        assert!(!said("holds").contains("imported"));
    }

    #[test]
    fn sx17_status_says_whom_the_box_turns_away_and_which_key_lets_them_in() {
        let away = json!({
            "phones": 40, "addresses": 2, "most_from": "192.0.2.7", "connections_per_address": 10,
        });
        let said = |away: Value| {
            let phones = json!({ "turned_away": away });
            status(&json!({ "box": {}, "show": {}, "clock": {}, "phones": phones, "light": {} }))
        };
        let lines = "
TURNED AWAY  about 40 phones from 2 addresses, most from 192.0.2.7: each may have 10
             raise `connections_per_address` under [limits] of box.toml
";
        assert!(said(away).contains(lines));
        assert!(!said(Value::Null).contains("TURNED AWAY"));
    }

    #[test]
    fn sx03_status_says_who_drives_and_who_would_be_ready_to() {
        let said = cluster(&json!({
            "name": "stage", "drives": false, "term": 3, "master": "left",
            "knows_the_show": false, "trouble": "it plays another show",
            "boxes": [
                { "name": "left", "url": "http://10.0.0.5:8080/", "lives": true, "drives": true, "candidate_score": 1.0 },
                { "name": "spare", "url": "http://10.0.0.8:8080/", "lives": true, "drives": false, "candidate_score": 1.0 },
                { "name": "third", "url": "http://10.0.0.7:8080/", "lives": false, "candidate_score": 1.0 },
            ],
        }));
        assert_eq!(
            said,
            [
                "cluster  stage: left drives, this box stands by (term 3)",
                "         left at http://10.0.0.5:8080/: drives",
                "         spare at http://10.0.0.8:8080/: ready to drive",
                "         third at http://10.0.0.7:8080/: NOT HEARD",
                "         this box does not know the show: it plays another show",
            ]
        );
        assert!(cluster(&Value::Null).is_empty(), "a box alone has no cluster");
    }

    #[test]
    fn a_table_with_nothing_in_it_is_a_sentence() {
        assert_eq!(rooms_table(&json!({ "sockets": 0, "rooms": [] })), "no room is open");
        assert_eq!(receipts(&json!({ "orders": [] })), "no order was given yet");
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
