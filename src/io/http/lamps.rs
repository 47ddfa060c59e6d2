//! `/api/v1/rdm/…`: questions to lamps through Art-Net nodes (`docs/status.md`).
//!
//! In: a UID, a parameter by name or number, words. Out: what the lamp said, or why there is no answer. A lamp may take
//! many seconds. Never here: how a node is asked.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use engine::light::rdm::{Answers, Ask, Done, Question, RdmFailure, Row, SUB_DEVICES_MAX, Several};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use wire::rdm::parameter::{Parameter, read, write};
use wire::rdm::{Class, Uid};

use super::House;
use super::api::nonsense;

/// What a list may be asked with.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct List {
    search: bool,
}

/// What a question may be asked with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    uid: String,
    parameter: String,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    sub_device: u16,
    /// How many from there on; none: that one alone.
    #[serde(default)]
    sub_devices: Option<u16>,
}

pub(super) async fn list(State(house): State<Arc<House>>, body: Bytes) -> Response {
    let list: List = match fields(&body) {
        Ok(list) => list,
        Err(why) => return wrong(&why),
    };
    match ask(&house, Ask::List { anew: list.search }).await {
        Ok(Done::Table(rows)) => Json(devices(&house, &rows)).into_response(),
        Ok(_) => unreachable!("a list is answered by a table"),
        Err(refused) => refused,
    }
}

fn devices(house: &House, rows: &[Row]) -> Value {
    let row = |row: &Row| {
        let of = |(_, out): &(_, &engine::show::UniverseOut)| {
            out.artnet.as_ref().is_some_and(|it| it.port_address == row.port_address)
        };
        let universe = house.show.universes.iter().find(of).map(|(universe, _)| universe);
        json!({
            "uid": row.uid.to_string(),
            "universe": universe,
            "port_address": row.port_address,
            "node": row.node,
        })
    };
    json!({ "devices": rows.iter().map(row).collect::<Vec<_>>() })
}

pub(super) async fn get(State(house): State<Arc<House>>, body: Bytes) -> Response {
    question(&house, &body, Class::Get).await
}

pub(super) async fn set(State(house): State<Arc<House>>, body: Bytes) -> Response {
    question(&house, &body, Class::Set).await
}

fn fields<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let object: serde_json::Result<Map<String, Value>> = serde_json::from_slice(body);
    let fields = object.and_then(|object| serde_json::from_value(Value::Object(object)));
    fields.map_err(|error| error.to_string())
}

fn wrong(why: &str) -> Response {
    nonsense(StatusCode::BAD_REQUEST, "bad_request", why)
}

async fn question(house: &House, body: &[u8], class: Class) -> Response {
    let asked: Asked = match fields(body) {
        Ok(asked) => asked,
        Err(why) => return wrong(&why),
    };
    let (parameter, question) = match understand(&asked, class) {
        Ok(understood) => understood,
        Err(why) => return wrong(&why),
    };
    let asks = match asked.sub_devices {
        None => Ask::Question(question),
        Some(count) => {
            let is_word = parameter.is_word() && (class == Class::Get || question.data.len() == 2);
            Ask::Several(Several { first: question, count, is_word })
        }
    };
    match ask(house, asks).await {
        Ok(Done::Answer(Ok(data))) => answer(&asked, &parameter, class, &data),
        Ok(Done::Answer(Err(why))) => refuse(code(why), &why.to_string()),
        Ok(Done::Several(answers)) => several(&asked, &parameter, class, answers),
        Ok(Done::Table(_)) => unreachable!("a question is answered by an answer"),
        Err(refused) => refused,
    }
}

fn understand(asked: &Asked, class: Class) -> Result<(Parameter, Question), String> {
    let uid: Uid = asked.uid.parse().map_err(|error| format!("{error}"))?;
    if uid.is_broadcast() && (class != Class::Set || asked.sub_devices.is_some()) {
        return Err(
            "many devices at once do not answer: they can be told, by `set`, and no more".into()
        );
    }
    // 0 is the device itself.
    let is_several = |count| {
        let last = u32::from(asked.sub_device) + u32::from(count) - 1;
        asked.sub_device > 0 && last <= u32::from(SUB_DEVICES_MAX)
    };
    if asked.sub_devices.is_some_and(|count| count == 0 || !is_several(count)) {
        return Err(format!("sub-devices go from 1 to {SUB_DEVICES_MAX}"));
    }
    let parameter = Parameter::named(&asked.parameter).ok_or_else(|| {
        format!(
            "there is no parameter `{}`; one of a maker's own goes by its number",
            asked.parameter
        )
    })?;
    let (fields, word) = match class {
        Class::Set => (parameter.set, "set"),
        _ => (parameter.ask, "asked for"),
    };
    let fields = fields.ok_or_else(|| format!("`{}` cannot be {word}", parameter.name))?;
    // A maker's own may want nothing.
    let fields = if parameter.name.is_empty() && asked.values.is_empty() { &[] } else { fields };
    let data = write(fields, &asked.values).map_err(|error| error.to_string())?;
    let (sub_device, number) = (asked.sub_device, parameter.id);
    Ok((parameter, Question { uid, sub_device, class, parameter: number, data }))
}

/// A device that answers what its parameter does not hold has been heard all the same.
fn answer(asked: &Asked, parameter: &Parameter, class: Class, data: &[u8]) -> Response {
    match values(parameter, class, data) {
        Ok(values) => {
            let mut document = about(asked, parameter);
            document["sub_device"] = json!(asked.sub_device);
            document["values"] = Value::Object(values);
            document["data"] = json!(hexadecimal(data));
            Json(document).into_response()
        }
        Err(why) => refuse("strange_answer", &format!("{} answers {why}", asked.uid)),
    }
}

/// One that refuses does not hide what the others say.
fn several(asked: &Asked, parameter: &Parameter, class: Class, answers: Answers) -> Response {
    let refused = |code: &str, message: String| json!({ "code": code, "message": message });
    let row = |(sub_device, answer): (u16, Result<Vec<u8>, RdmFailure>)| {
        let data = answer.as_deref().map(hexadecimal).ok();
        let read = match &answer {
            Ok(data) => {
                values(parameter, class, data).map_err(|why| refused("strange_answer", why))
            }
            Err(why) => Err(refused(code(*why), why.to_string())),
        };
        let refused = read.as_ref().err().cloned();
        json!({ "sub_device": sub_device, "values": read.ok(), "data": data, "refused": refused })
    };
    let mut document = about(asked, parameter);
    document["sub_devices"] = answers.into_iter().map(row).collect();
    Json(document).into_response()
}

fn about(asked: &Asked, parameter: &Parameter) -> Value {
    json!({
        "uid": asked.uid.to_lowercase(),
        "parameter": if parameter.name.is_empty() { None } else { Some(parameter.name) },
        "number": format!("{:#06x}", parameter.id),
    })
}

fn values(parameter: &Parameter, class: Class, data: &[u8]) -> Result<Map<String, Value>, String> {
    if class == Class::Set {
        return Ok(Map::new());
    }
    let reading = read(parameter.answer, data);
    let reading = reading.map_err(|why| format!("{}: {why}", hexadecimal(data)))?;
    Ok(reading.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn hexadecimal(data: &[u8]) -> String {
    data.iter().map(|octet| format!("{octet:02x}")).collect()
}

async fn ask(house: &House, ask: Ask) -> Result<Done, Response> {
    let none = "this show has no universe that leaves as Art-Net, so there are no nodes to ask";
    house.outputs.ask_lamps(ask).await.map_err(|_| refuse("no_art_net", none))
}

fn refuse(code: &str, message: &str) -> Response {
    let refused = json!({ "refused": { "code": code, "message": message } });
    (StatusCode::CONFLICT, Json(refused)).into_response()
}

fn code(why: RdmFailure) -> &'static str {
    match why {
        RdmFailure::Unknown(_) | RdmFailure::Nobody => "unknown_device",
        RdmFailure::Silent(_) => "silent",
        RdmFailure::Nack(..) => "refused_by_device",
        RdmFailure::TooMuch(_) | RdmFailure::TooLong => "too_long",
        RdmFailure::Busy => "busy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uid: &str, parameter: &str, values: &[&str]) -> Asked {
        let values = values.iter().map(|it| (*it).to_owned()).collect();
        Asked {
            uid: uid.into(),
            parameter: parameter.into(),
            values,
            sub_device: 0,
            sub_devices: None,
        }
    }

    #[test]
    fn a19_what_is_asked_is_understood_or_refused_with_a_reason() {
        let lamp = "7a70:ffffff00";
        let (_, question) = understand(&asked(lamp, "dmx_start_address", &["5"]), Class::Set)
            .expect("it is understood");
        assert_eq!((question.parameter, question.data), (0x00f0, vec![0, 5]));
        let (_, question) =
            understand(&asked(lamp, "0x8001", &[]), Class::Get).expect("a maker's own");
        assert!(question.data.is_empty());
        for (parameter, class, says) in [
            ("device_infos", Class::Get, "there is no parameter `device_infos`"),
            ("device_info", Class::Set, "`device_info` cannot be set"),
            ("reset_device", Class::Get, "`reset_device` cannot be asked for"),
            ("sensor_value", Class::Get, "it takes `sensor`"),
        ] {
            let why = understand(&asked(lamp, parameter, &[]), class).expect_err("it is wrong");
            assert!(why.contains(says), "{why}");
        }
        assert!(understand(&asked("lamp", "device_info", &[]), Class::Get).is_err());
        let (_, question) = understand(&asked("all", "identify_device", &["off"]), Class::Set)
            .expect("all may be told");
        assert_eq!(question.uid, Uid::ALL);
        assert!(understand(&asked("7a70:ffffffff", "device_info", &[]), Class::Get).is_err());
        let several = |sub_device, count| {
            let info = asked(lamp, "device_info", &[]);
            let asked = Asked { sub_device, sub_devices: Some(count), ..info };
            understand(&asked, Class::Get).is_ok()
        };
        assert_eq!([several(1, 512), several(500, 13)], [true; 2]);
        assert_eq!([several(500, 14), several(0, 4), several(3, 0)], [false; 3]);
    }
}
