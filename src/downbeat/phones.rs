//! What `downbeat phones` says to people: everybody's phone, and their peer connections. A line has room in a terminal of a
//! hundred columns.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::live::{rows, span, text};
use crate::table::table;
use crate::terminal::many;

/// Longer addresses (IPv6) are shown by their end, which tells phones apart.
const ADDRESS_MAX: usize = 15;

/// So many phones fill two screens of a terminal; `--all` shows the others.
const SHOWN: usize = 10;

/// The document of `phones` in words: all of them in a few lines, then some of them, or all, the worst first.
pub fn phones(it: &Value, all: bool) -> String {
    let ordered = worst_first(it);
    let shown = &ordered[..if all { ordered.len() } else { ordered.len().min(SHOWN) }];
    let said = [
        summary(it),
        patients(it, shown),
        fares(shown),
        more(shown),
        names(shown),
        peers(shown),
        channels(shown),
        pictures(shown),
        unheard(shown),
        left_out(ordered.len() - shown.len()),
    ];
    said.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// As the box has put them.
fn worst_first(it: &Value) -> Vec<&Value> {
    let by_id: BTreeMap<u64, &Value> =
        rows(&it["phones"]).filter_map(|phone| Some((phone["id"].as_u64()?, phone))).collect();
    let summary = &it["summary"];
    let ids = rows(&summary["look_at"]).map(|it| &it["id"]).chain(rows(&summary["rest"]));
    ids.filter_map(|id| by_id.get(&id.as_u64()?).copied()).collect()
}

fn left_out(count: usize) -> String {
    match count {
        0 => String::new(),
        _ => format!("{} more: `downbeat phones --all`", many(count, "phone")),
    }
}

/// Everybody in a few lines that have room in eighty columns, then whom to look at.
fn summary(it: &Value) -> String {
    let (said, refused) = (&it["summary"], refused(&it["refused"]));
    let away = turned_away(&it["turned_away"]);
    if said["phones"] == 0 {
        let refused = Some(refused.trim_start_matches(", ").to_owned());
        let nobody = [Some("no phone is here".to_owned()), refused, away];
        let said = nobody.into_iter().flatten().filter(|it| !it.is_empty());
        return said.collect::<Vec<_>>().join("\n");
    }
    let refused = (!refused.is_empty()).then(|| refused.replacen(", refused:", "refused   ", 1));
    let batteries = said["batteries_low"].as_u64().filter(|count| *count > 0);
    let lines = [
        Some(everybody(it)),
        Some(format!("clocks     {}", clocks(&said["clock_ms"]))),
        Some(format!("delivery   {}", lead(&it["delivery"]))),
        network(&said["quality"]),
        batteries.map(|count| format!("batteries  {count} nearly empty")),
        refused,
        away,
    ];
    let lines = lines.into_iter().flatten().chain(look_at(said));
    lines.collect::<Vec<_>>().join("\n")
}

fn everybody(it: &Value) -> String {
    let said = &it["summary"];
    let others = said["others"].as_u64().filter(|count| *count > 0);
    let others = others.map(|count| format!(", {count} new, or screens"));
    let count = said["phones"].as_u64().unwrap_or_default() as usize;
    format!(
        "{}: {} in step, {} not{}; {} with every track",
        many(count, "phone"),
        said["in_step"],
        said["not_in_step"],
        others.unwrap_or_default(),
        it["ready"]
    )
}

fn clocks(it: &Value) -> String {
    let ms = |key: &str| it[key].as_f64().map(|ms| format!("±{ms:.1}"));
    let all = || {
        let (half, most, nearly, worst) = (ms("p50")?, ms("p95")?, ms("p99")?, ms("worst")?);
        Some(format!(
            "{half} ms p50, {most} p95, {nearly} p99, {worst} the worst of {}",
            it["count"]
        ))
    };
    all().unwrap_or_else(|| "unknown".to_owned())
}

/// `12 good`, `3 poor`, the most first.
fn counted(it: &Value) -> Vec<(u64, &str)> {
    let counts = it.as_object().into_iter().flatten();
    let mut counts: Vec<(u64, &str)> =
        counts.map(|(key, count)| (count.as_u64().unwrap_or_default(), key.as_str())).collect();
    counts.sort_by_key(|(count, _)| Reverse(*count));
    counts
}

fn network(it: &Value) -> Option<String> {
    let said: Vec<String> =
        counted(it).iter().map(|(count, level)| format!("{count} {level}")).collect();
    (!said.is_empty()).then(|| format!("network    {}", said.join(", ")))
}

/// How many there are, and a line for each trouble.
fn look_at(said: &Value) -> Vec<String> {
    let count = rows(&said["look_at"]).count();
    if count == 0 {
        return vec!["look at    nobody".to_owned()];
    }
    let head = format!("look at    {}", many(count, "phone"));
    let why = counted(&said["trouble"]);
    let why = why.iter().map(|(count, word)| format!("           {count} {}", trouble(word)));
    std::iter::once(head).chain(why).collect()
}

/// What is the matter, as one says it of one or of many.
fn trouble(word: &str) -> &str {
    match word {
        "silent" => "said nothing for a while",
        "no_hello" => "without hello",
        "no_time" => "without the time",
        "clock_off" => "with a clock that may be off",
        "late" => "with late orders",
        "tracks_missing" => "without all tracks",
        "live_refused" => "left out what is live",
        "output_doubtful" => "on Bluetooth or the like",
        "network" => "on a bad network",
        "battery_low" => "with an empty battery",
        other => other,
    }
}

/// What is the matter with each of those shown; nothing where all are well.
fn patients(it: &Value, shown: &[&Value]) -> String {
    let row = |patient: &Value| {
        let why: Vec<&str> = rows(&patient["why"]).map(|why| trouble(text(why))).collect();
        [patient["id"].to_string(), why.join(", ")]
    };
    let rows: Vec<[String; 2]> =
        rows(&it["summary"]["look_at"]).take(shown.len()).map(row).collect();
    if rows.is_empty() { String::new() } else { table(["phone", "look at it:"], &rows) }
}

/// How each fares.
fn fares(shown: &[&Value]) -> String {
    let rows: Vec<[String; 9]> = shown.iter().copied().map(fare_row).collect();
    let head =
        ["phone", "address", "ready", "clock", "output", "buffer", "quality", "battery", "silent"];
    if rows.is_empty() { String::new() } else { table(head, &rows) }
}

fn more(shown: &[&Value]) -> String {
    let rows: Vec<[String; 9]> = shown.iter().copied().map(more_row).collect();
    let head = [
        "phone",
        "role",
        "here",
        "round trip",
        "asks by",
        "correction",
        "acoustic",
        "takes",
        "late",
    ];
    if rows.is_empty() { String::new() } else { table(head, &rows) }
}

/// Whom tokens name; a crowd has none.
fn names(shown: &[&Value]) -> String {
    let line =
        |phone: &&Value| Some(format!("phone {} is {}", phone["id"], phone["name"].as_str()?));
    shown.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

/// What became of live pictures; nothing where none were sent.
fn pictures(shown: &[&Value]) -> String {
    let row = |phone: &&Value| {
        let counts = phone["status"]["pictures"].as_object()?;
        let count = |key: &str| counts.get(key).map_or_else(unknown, Value::to_string);
        let [shown, held, skipped, late, lost] =
            ["shown", "held", "skipped", "late", "lost"].map(count);
        Some([phone["id"].to_string(), shown, held, skipped, late, lost])
    };
    let rows: Vec<[String; 6]> = shown.iter().filter_map(row).collect();
    let head = ["phone", "pictures shown", "held too long", "passed over", "late", "lost"];
    if rows.is_empty() { String::new() } else { table(head, &rows) }
}

/// Which phones left pieces of what is live out, and why; nothing where none did.
fn unheard(shown: &[&Value]) -> String {
    let line = |phone: &&Value| {
        let status = &phone["status"];
        let count = status["live_refused"].as_u64()? as usize;
        let why = match status["live_refused_why"].as_str()? {
            "insecure" => "sealed, and it came over plain HTTP",
            "no_token" => "sealed, and it has no token",
            "other_key" => "sealed with another key than its token's",
            "changed" => "the last was changed on the way",
            "replayed" => "the last was a repetition",
            _ => "the last came without a seal",
        };
        let pieces = many(count, "piece");
        Some(format!("phone {} left out {pieces} of what is live: {why}", phone["id"]))
    };
    shown.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

/// How far ahead phones get their orders, and how many came too late.
pub fn lead(it: &Value) -> String {
    let ahead = span(&it["lead_ns"]);
    let who = if it["auto"] == true { "" } else { " as the show says" };
    match (it["reached"].as_u64(), it["late"].as_u64()) {
        (Some(reached), Some(late)) if reached > 0 => {
            let share = 100.0 * late as f64 / reached as f64;
            format!("orders {ahead} ahead{who}, {late} of {reached} too late ({share:.2} %)")
        }
        _ => format!("orders {ahead} ahead{who}, no phone has told yet how they come"),
    }
}

/// Who stands at the door, and which key lets them in; nothing where nobody does.
pub fn turned_away(it: &Value) -> Option<String> {
    let count = |key: &str| it[key].as_u64().and_then(|count| usize::try_from(count).ok());
    let (phones, addresses) = (many(count("phones")?, "phone"), count("addresses")?);
    let (from, most) = (text(&it["most_from"]), &it["connections_per_address"]);
    let from = match addresses {
        1 => format!("{from}: it may have {most}"),
        _ => format!("{addresses} addresses, most from {from}: each may have {most}"),
    };
    let key = "raise `connections_per_address` under [limits] of box.toml";
    Some(format!("TURNED AWAY  about {phones} from {from}\n             {key}"))
}

/// How often phones were refused what they asked for; nothing where none was.
pub fn refused(counts: &Value) -> String {
    let counts = counts.as_object().into_iter().flatten();
    let said: Vec<String> = counts
        .filter(|(_, count)| count.as_u64() > Some(0))
        .map(|(code, count)| format!("{count} {}", code.replace('_', " ")))
        .collect();
    if said.is_empty() { String::new() } else { format!(", refused: {}", said.join(", ")) }
}

fn fare_row(phone: &Value) -> [String; 9] {
    let (status, sync) = (&phone["status"], &phone["status"]["sync"]);
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let buffer = match (status.is_null(), status["buffer_ms"].as_f64()) {
        (_, Some(ms)) => format!("{ms:.0} ms"),
        // Nothing is live.
        (false, None) => "-".to_owned(),
        (true, None) => unknown(),
    };
    [
        phone["id"].to_string(),
        address(phone),
        tracks(status).unwrap_or_else(unknown),
        within(&sync["clock_ms"]),
        output(sync),
        buffer,
        status["network_quality"].as_str().map_or_else(unknown, str::to_owned),
        status["battery_level"].as_f64().map_or_else(unknown, percent),
        phone["heard_s"].as_f64().map_or_else(unknown, age),
    ]
}

fn more_row(phone: &Value) -> [String; 9] {
    let (status, delivery) = (&phone["status"], &phone["delivery"]);
    let role = if phone["hello"] == true { text(&phone["role"]) } else { "no hello" };
    let asks_by = phone["clock_channel"].as_str().map(|channel| match channel {
        "data_channel" => "channel",
        "web_transport" => "datagrams",
        _ if phone["carrier"] == "quic" => "stream",
        _ => "socket",
    });
    let takes = |it: &Value| Some((it["p50_ms"].as_f64()?, it["p99_ms"].as_f64()?));
    let late = |it: &Value| {
        let reached = it["reached"].as_u64().filter(|reached| *reached > 0)?;
        Some((it["late"].as_u64()?, reached))
    };
    [
        phone["id"].to_string(),
        role.to_owned(),
        phone["connected_s"].as_f64().map_or_else(unknown, age),
        status["avg_rtt_ms"].as_f64().map_or_else(unknown, |it| format!("{it:.1} ms")),
        asks_by.map_or_else(unknown, str::to_owned),
        correction(phone).unwrap_or_else(unknown),
        within(&status["sync"]["acoustic_ms"]),
        takes(delivery).map_or_else(unknown, |(half, most)| format!("{half:.0} / {most:.0} ms")),
        late(delivery).map_or_else(unknown, |(late, reached)| format!("{late} of {reached}")),
    ]
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn address(phone: &Value) -> String {
    let Some(address) = phone["address"].as_str() else { return "control socket".to_owned() };
    let too_many = address.chars().count().saturating_sub(ADDRESS_MAX);
    if too_many == 0 {
        return address.to_owned();
    }
    std::iter::once('…').chain(address.chars().skip(too_many + 1)).collect()
}

/// How many it has, of how many.
fn tracks(status: &Value) -> Option<String> {
    let count = |key: &str| status[key].as_u64();
    Some(format!("{} of {}", count("tracks_ready")?, count("tracks_wanted")?))
}

fn within(ms: &Value) -> String {
    ms.as_f64().map_or_else(unknown, |it| format!("±{it:.1} ms"))
}

/// Within what, and who says so.
fn output(sync: &Value) -> String {
    match (sync["output_ms"].as_f64(), sync["output_source"].as_str()) {
        (Some(ms), Some(source)) => format!("±{ms:.1} ms {source}"),
        (_, Some("doubtful")) => "unknown, doubtful".to_owned(),
        _ => unknown(),
    }
}

/// How much sooner a phone was told to sound, and how sure that is.
fn correction(phone: &Value) -> Option<String> {
    let (ms, sigma_ms) = (&phone["correction_ms"], &phone["correction_sigma_ms"]);
    Some(format!("{:+.2} ±{:.2} ms", ms.as_f64()?, sigma_ms.as_f64()?))
}

/// To a person's precision.
fn age(seconds: f64) -> String {
    match seconds {
        ..100.0 => format!("{seconds:.0} s"),
        ..6_000.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3_600.0),
    }
}

/// Their peer connections; nothing where nobody has one.
fn peers(shown: &[&Value]) -> String {
    let with_one = shown.iter().filter(|phone| phone["peer"].is_object());
    let rows: Vec<[String; 9]> = with_one.copied().map(peer_row).collect();
    let head = ["phone", "peer", "since", "round trip", "loss", "in", "out", "carries", "dropped"];
    if rows.is_empty() { String::new() } else { table(head, &rows) }
}

/// What went over their channels; nothing where nobody has one.
fn channels(shown: &[&Value]) -> String {
    let rows: Vec<[String; 4]> = shown.iter().copied().flat_map(channel_rows).collect();
    if rows.is_empty() {
        String::new()
    } else {
        table(["phone", "channel", "heard", "said"], &rows)
    }
}

fn channel_rows(phone: &Value) -> Vec<[String; 4]> {
    let traffic = phone["peer"]["traffic"].as_object();
    let row = |(channel, it): (&String, &Value)| {
        let number = |key: &str| it[key].as_u64().unwrap_or_default();
        let counted = |way: &str| {
            let bytes = number(&format!("bytes_{way}")) as f64 / 1e3;
            format!("{} ({bytes:.1} kB)", number(&format!("messages_{way}")))
        };
        [phone["id"].to_string(), channel.clone(), counted("in"), counted("out")]
    };
    traffic.into_iter().flatten().map(row).collect()
}

fn peer_row(phone: &Value) -> [String; 9] {
    let peer = &phone["peer"];
    let known = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
    let number = |key: &str| peer[key].as_f64();
    let kilobytes = |key: &str| known(number(key).map(|it| format!("{:.1} kB", it / 1e3)));
    let track = (peer["track"] == true).then_some("sound");
    let carries: Vec<&str> = rows(&peer["channels"]).map(text).chain(track).collect();
    [
        phone["id"].to_string(),
        text(&peer["state"]).to_owned(),
        known(number("state_s").map(|it| format!("{it:.1} s"))),
        known(number("rtt_ms").map(|it| format!("{it:.1} ms"))),
        known(number("loss").map(|it| format!("{:.1} %", it * 100.0))),
        kilobytes("bytes_in"),
        kilobytes("bytes_out"),
        carries.join(" "),
        peer["dropped"].to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use engine::muster::{Muster, Patient, Quantiles, Trouble};
    use serde_json::json;
    use units::PhoneId;

    use super::*;

    /// Everything that a phone can say, as long as it can be.
    fn full() -> Value {
        json!({
            "id": 12345, "address": "fd12:3456:789a:1:c0ff:eeee:1234:5678", "connected_s": 12_345.6,
            "hello": true, "role": "performer", "name": "Wilhelmina of the first desk", "heard_s": 99.4, "clock_channel": "web_transport",
            "correction_ms": -12.345, "correction_sigma_ms": 0.123,
            "status": {
                "tracks_ready": 12, "tracks_wanted": 12, "buffer_ms": 250.0,
                "live_refused": 1_234, "live_refused_why": "other_key",
                "pictures": { "shown": 1_234_567, "held": 12_345, "skipped": 1_234, "late": 123, "lost": 12 },
                "network_quality": "excellent", "battery_level": 1.0, "avg_rtt_ms": 1_234.5,
                "sync": {
                    "clock_ms": 10.25, "output_ms": 12.3, "output_source": "calibrated", "acoustic_ms": 10.4,
                },
            },
            "delivery": { "p50_ms": 350.0, "p99_ms": 1_250.0, "reached": 1_234, "late": 12 },
        })
    }

    #[test]
    fn sx12_all_that_is_known_of_a_phone_has_room_in_a_hundred_columns() {
        let delivery =
            json!({ "lead_ns": 120_000_000, "auto": true, "reached": 20_000, "late": 7 });
        let summary = Muster::default();
        let mut summary = json!(summary);
        summary["phones"] = json!(1);
        summary["rest"] = json!([12345]);
        let document = json!({ "phones": [full()], "delivery": delivery, "summary": summary });
        let shown = phones(&document, false);
        let widest = shown.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{shown}");
        let left = "phone 12345 left out 1234 pieces of what is live: sealed with another key than its token's";
        assert!(shown.contains(left), "{shown}");
        assert!(shown.contains("\nphone 12345 is Wilhelmina of the first desk\n"), "{shown}");
        let counted = shown.lines().find(|it| it.contains("1234567")).expect("its pictures");
        let counted: Vec<&str> = counted.split_whitespace().collect();
        assert_eq!(counted, ["12345", "1234567", "12345", "1234", "123", "12"]);
        let cells = ["12 of 12", "±10.2 ms", "±12.3 ms calibrated", "250 ms", "100 %", "99 s"];
        for cell in cells {
            assert!(shown.contains(cell), "{cell} in {shown}");
        }
        assert!(shown.contains("…eeee:1234:5678") && shown.contains("350 / 1250 ms"), "{shown}");
        assert!(
            shown.contains("\ndelivery   orders 120ms ahead, 7 of 20000 too late (0.04 %)\n"),
            "{shown}"
        );
    }

    fn house() -> Value {
        let clock_ms = Quantiles {
            count: 990,
            p50: Some(0.21),
            p95: Some(0.84),
            p99: Some(1.36),
            worst: Some(9.04),
        };
        let late = vec![Trouble::Late, Trouble::BatteryLow];
        let summary = Muster {
            phones: 1_000,
            in_step: 985,
            not_in_step: 5,
            others: 10,
            clock_ms,
            quality: [("good".to_owned(), 90), ("excellent".to_owned(), 900)].into(),
            batteries_low: 1,
            trouble: [(Trouble::Late, 2), (Trouble::BatteryLow, 1)].into(),
            look_at: vec![
                Patient { id: PhoneId(700), why: late },
                Patient { id: PhoneId(3), why: vec![Trouble::Late] },
            ],
            rest: (1..=1_000).filter(|id| ![3, 700].contains(id)).map(PhoneId).collect(),
            ..Muster::default()
        };
        let phones: Vec<Value> =
            (1..=1_000).map(|id| json!({ "id": id, "address": "10.0.0.9" })).collect();
        let delivery =
            json!({ "lead_ns": 120_000_000, "auto": true, "reached": 20_000, "late": 7 });
        json!({
            "summary": summary, "phones": phones, "ready": 990, "delivery": delivery,
            "refused": { "too_many_connections": 40, "forbidden": 0 },
        })
    }

    #[test]
    fn sx12_a_thousand_phones_are_a_few_lines_and_the_ten_that_are_worst() {
        let shown = phones(&house(), false);
        let head = "\
1000 phones: 985 in step, 5 not, 10 new, or screens; 990 with every track
clocks     ±0.2 ms p50, ±0.8 p95, ±1.4 p99, ±9.0 the worst of 990
delivery   orders 120ms ahead, 7 of 20000 too late (0.04 %)
network    900 excellent, 90 good
batteries  1 nearly empty
refused    40 too many connections
look at    2 phones
           2 with late orders
           1 with an empty battery

phone  look at it:
700    with late orders, with an empty battery
3      with late orders

phone  address   ready";
        assert!(shown.starts_with(head), "{shown}");
        assert!(shown.ends_with("\n\n990 phones more: `downbeat phones --all`"), "{shown}");
        assert!(shown.lines().count() < 50, "{}", shown.lines().count());
        let ids = |said: &str| -> Vec<String> {
            let rows = said.lines().filter(|line| line.contains("10.0.0.9"));
            rows.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
        };
        assert_eq!(ids(&shown)[..4], ["700", "3", "1", "2"]);
        assert_eq!(ids(&phones(&house(), true)).len(), 1_000);
    }

    #[test]
    fn where_nobody_is_there_is_no_bare_head() {
        let document = json!({ "summary": Muster::default(), "phones": [], "refused": {} });
        assert_eq!(phones(&document, false), "no phone is here");
    }

    #[test]
    fn sx12_what_a_phone_has_not_said_is_unknown_and_never_nothing() {
        let silent = json!({ "id": 3, "address": "10.0.0.9", "hello": false, "status": null });
        assert_eq!(fare_row(&silent)[2..], ["unknown"; 7]);
        let more = more_row(&silent);
        assert_eq!(
            (more[1].as_str(), &more[2..]),
            ("no hello", &["unknown"; 7].map(str::to_owned)[..])
        );
        let mut phone = full();
        assert_eq!(pictures(&[&silent]), "");
        phone["status"]["buffer_ms"] = Value::Null;
        phone["status"]["sync"]["output_ms"] = Value::Null;
        phone["status"]["sync"]["output_source"] = json!("doubtful");
        assert_eq!(fare_row(&phone)[4..6], ["unknown, doubtful", "-"]);
        assert!(
            lead(&json!({ "lead_ns": 400_000_000, "auto": true, "reached": 0, "late": 0 }))
                .contains("no phone has told yet")
        );
    }

    #[test]
    fn a_phone_that_was_told_no_correction_is_not_shown_as_right() {
        let row = |ms: Value, sigma_ms: Value| {
            let phone = json!({ "correction_ms": ms, "correction_sigma_ms": sigma_ms });
            more_row(&phone)[5].clone()
        };
        assert_eq!(row(Value::Null, Value::Null), "unknown");
        assert_eq!(row(json!(0.0), json!(0.092)), "+0.00 ±0.09 ms");
        assert_eq!(row(json!(-1.234), json!(0.145)), "-1.23 ±0.14 ms");
    }
}
