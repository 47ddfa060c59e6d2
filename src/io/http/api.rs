//! `/api/v1`: the operator's commands and questions, as JSON (`docs/api.md`, `docs/status.md`).
//!
//! Free on the control socket. On the network it needs an operator's token, and plain HTTP takes none: 401. Tokens and
//! certificates are made on the control socket alone: an operator's token must not be worth more than the night.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, Request as HttpRequest, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use engine::cluster::Replication;
use engine::delivery::PhoneDelivery;
use engine::glance::Glance;
use engine::muster::{Fare, Muster};
use engine::rooms::RoomGlance;
use engine::show::{Cue, Then};
use engine::told::{Command, Done, Refusal, Request};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use units::{CommandId, CueNumber, Level, PhoneId, Span, Timecode, Universe};

use super::crowd::PhoneGlance;
use super::{House, Peer, Peering, SwitchboardGlance, lamps, trust};
use crate::chance;
use crate::cluster::ClusterWatch;
use crate::conductor::Gone;
use crate::journal::{Accounted, Line};
use crate::light::ToRecord;
use crate::peers::PeerGlance;

/// The longest command has an id and a list's name.
const BODY_MAX: usize = 16 << 10;

/// A command that comes in halves is not worth waiting for.
const BODY_PATIENCE: Duration = Duration::from_secs(5);

/// The engine answers in microseconds; one that does not is gone.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn router(house: Arc<House>) -> Router<Arc<House>> {
    Router::new()
        .route("/status", get(status))
        .route("/cues", get(cues))
        .route("/clock", get(clock))
        .route("/clock/step", post(step_clock))
        .route("/phones", get(phones))
        .route("/rooms", get(rooms))
        .route("/universes", get(universes))
        .route("/record", get(record))
        .route("/rdm/list", post(lamps::list))
        .route("/rdm/get", post(lamps::get))
        .route("/rdm/set", post(lamps::set))
        .route("/receipts", get(receipts))
        .route("/events", get(events))
        .merge(trust::router())
        .route("/{command}", post(command).get(no_such_question))
        .fallback(|| async { nonsense(StatusCode::NOT_FOUND, "not_found", "no such path") })
        .method_not_allowed_fallback(another_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(house, admit))
}

/// Who gives a command, for the story.
#[derive(Debug, Clone)]
pub(super) struct From(String);

async fn admit(
    State(house): State<Arc<House>>,
    Extension(peer): Extension<Peer>,
    mut request: HttpRequest,
    next: Next,
) -> Response {
    let from = match peer {
        Peer::Socket => "socket".to_owned(),
        Peer::Network(_) => {
            return unauthorized(
                "operators need a token, and tokens are refused over plain HTTP; on the box itself use its control socket",
            );
        }
        Peer::Secure(_) => match trust::operator(&house, peer, request.headers()) {
            Ok(from) => from,
            Err(response) => return *response,
        },
    };
    request.extensions_mut().insert(From(from));
    next.run(request).await
}

pub(super) fn unauthorized(message: &str) -> Response {
    nonsense(StatusCode::UNAUTHORIZED, "unauthorized", message)
}

/// Who asks with a command's word has forgotten the method.
async fn no_such_question() -> Response {
    nonsense(StatusCode::NOT_FOUND, "not_found", "no such question; a command is sent by POST")
}

async fn another_method() -> Response {
    let message = "this path is for another method";
    nonsense(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

pub(super) fn nonsense(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
}

fn misread(why: &QueryRejection) -> Response {
    nonsense(StatusCode::BAD_REQUEST, "bad_request", &why.body_text())
}

fn gone(_: Gone) -> Response {
    nonsense(StatusCode::SERVICE_UNAVAILABLE, "engine_gone", "the engine does not answer")
}

/// What a command may carry.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    id: Option<CommandId>,
    #[serde(default)]
    list: Option<String>,
    #[serde(default)]
    cue: Option<CueNumber>,
    #[serde(default)]
    master: Option<String>,
    #[serde(default)]
    level: Option<Level>,
    #[serde(default)]
    on: Option<bool>,
    #[serde(default)]
    what: Option<String>,
}

impl Asked {
    /// The names of the fields that are there, but for the id.
    fn fields(&self) -> Vec<&'static str> {
        let there = [
            ("list", self.list.is_some()),
            ("cue", self.cue.is_some()),
            ("master", self.master.is_some()),
            ("level", self.level.is_some()),
            ("on", self.on.is_some()),
            ("what", self.what.is_some()),
        ];
        there.into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
    }
}

/// The fields that a command takes.
fn takes(word: &str) -> &'static [&'static str] {
    match word {
        "go" | "back" | "release" => &["list"],
        "fire" | "goto" | "blind" => &["cue"],
        "master" => &["master", "level"],
        "blackout" => &["on"],
        "park" => &["what", "level"],
        "unpark" | "air" => &["what"],
        _ => &[],
    }
}

async fn command(
    State(house): State<Arc<House>>,
    Extension(From(from)): Extension<From>,
    Path(word): Path<String>,
    body: Body,
) -> Response {
    let wrong = |message: &str| nonsense(StatusCode::BAD_REQUEST, "bad_request", message);
    let body = match tokio::time::timeout(BODY_PATIENCE, axum::body::to_bytes(body, BODY_MAX)).await
    {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return wrong("the body did not arrive, or is too long"),
        Err(_) => return wrong("the body did not arrive in time"),
    };
    match read(&word, &body) {
        Ok(None) => nonsense(StatusCode::NOT_FOUND, "not_found", "no such command"),
        Ok(Some((id, command))) => give(&house, id, command, from).await,
        Err(why) => wrong(&why),
    }
}

async fn give(house: &House, id: Option<CommandId>, command: Command, from: String) -> Response {
    let id = id.unwrap_or_else(|| CommandId(chance::uuid().to_string()));
    let request = Request { id, command, from };
    match house.engine.command(request).await {
        Ok(Ok(done)) => answered(house, done).await,
        Ok(Err(refusal)) => (StatusCode::CONFLICT, Json(refused(&refusal))).into_response(),
        Err(gone_away) => gone(gone_away),
    }
}

/// It is done; only this answer waits for the other boxes to have taken it, too.
async fn answered(house: &House, done: Done) -> Response {
    let kept = match (&house.cluster, house.engine.steps().await) {
        (Some(cluster), Ok(steps)) => Some(cluster.kept(steps).await),
        _ => None,
    };
    let done = if kept == Some(Replication::Alone) { done.alone() } else { done };
    let mut document = json!({ "done": done });
    document["done"]["kept"] = json!(kept.unwrap_or(Replication::Alone));
    Json(document).into_response()
}

fn refused(refusal: &Refusal) -> Value {
    #[derive(Serialize)]
    struct Refused<'a> {
        #[serde(flatten)]
        refusal: &'a Refusal,
        message: String,
    }
    json!({ "refused": Refused { refusal, message: refusal.to_string() } })
}

/// A word and its body as a command; none if there is no such word.
fn read(word: &str, body: &[u8]) -> Result<Option<(Option<CommandId>, Command)>, String> {
    let asked = match body.trim_ascii() {
        [] => Asked::default(),
        body => fields(body).map_err(|error| error.to_string())?,
    };
    let strange = asked.fields().into_iter().find(|field| !takes(word).contains(field));
    let Asked { id, list, cue, master, level, on, what } = asked;
    let needed = |example: &str| format!("`{word}` needs a {example}");
    let a_cue = || cue.ok_or_else(|| needed("cue: {\"cue\": \"2.5\"}"));
    let example = "master and its level: {\"master\": \"grand\", \"level\": 80}";
    let a_thing = "thing to park: {\"what\": \"front.red\", \"level\": 80}";
    let command = match word {
        "go" => Command::Go { list },
        "back" => Command::Back { list },
        "stop" => Command::Stop,
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "panic" => Command::Panic,
        "calibrate" => Command::Calibrate,
        "fire" => Command::Fire { cue: a_cue()? },
        "goto" => Command::Goto { cue: a_cue()? },
        "release" => Command::Release { list },
        "master" => Command::Master {
            master: master.ok_or_else(|| needed(example))?,
            level: level.ok_or_else(|| needed(example))?,
        },
        "blackout" => Command::Blackout { on: on.unwrap_or(true) },
        "park" => Command::Park { what: what.ok_or_else(|| needed(a_thing))?, level },
        "unpark" => Command::Unpark { what },
        "blind" => Command::Blind { cue },
        "air" => Command::Air { what },
        _ => return Ok(None),
    };
    match strange {
        None => Ok(Some((id, command))),
        Some(field) => Err(format!("`{word}` takes no `{field}`")),
    }
}

/// Fields by name only: a list would be taken for them in their order.
fn fields(body: &[u8]) -> serde_json::Result<Asked> {
    let object: Map<String, Value> = serde_json::from_slice(body)?;
    serde_json::from_value(Value::Object(object))
}

pub(super) async fn glance(house: &House) -> Result<Glance, Response> {
    match tokio::time::timeout(PATIENCE, house.engine.glance()).await {
        Ok(glance) => glance.map_err(gone),
        Err(_) => Err(gone(Gone)),
    }
}

async fn status(State(house): State<Arc<House>>) -> Response {
    let glance = match glance(&house).await {
        Ok(glance) => glance,
        Err(response) => return response,
    };
    let clock = match clock_document(&house).await {
        Ok(clock) => clock,
        Err(response) => return response,
    };
    let mut facts = json!(house.facts);
    facts["urls"] = json!(house.urls());
    facts["certificate"] = house.imported();
    Json(json!({
        "box": facts,
        "cluster": house.cluster.as_ref().map(ClusterWatch::glance),
        "show": glance,
        "clock": clock,
        "phones": {
            "sockets": house.crowd.sockets(),
            "hello": house.crowd.greeted(),
            "ready": house.crowd.ready(),
            "refused": house.crowd.refused(),
            "turned_away": house.crowd.turned_away(),
        },
        "light": { "universes": house.outputs.universes(), "inputs": house.outputs.inputs() },
        "sound": house.outputs.sound(),
    }))
    .into_response()
}

/// The box clock as a watcher sees it.
#[derive(Debug, Serialize)]
struct ClockDocument {
    #[serde(flatten)]
    glance: crate::ptp::Glance,
    now_tai_ns: i64,
    now_unix_s: f64,
    tai_utc_s: f64,
}

async fn clock_document(house: &House) -> Result<ClockDocument, Response> {
    let asked = tokio::time::timeout(PATIENCE, house.keeper.glance());
    let Ok(Some(glance)) = asked.await else {
        return Err(nonsense(
            StatusCode::SERVICE_UNAVAILABLE,
            "clock_gone",
            "the clock does not answer",
        ));
    };
    let now = glance.now.tai;
    Ok(ClockDocument {
        glance,
        now_tai_ns: now.ns(),
        now_unix_s: units::WireTime::from_show(now, house.tai_utc).micros() as f64 / 1e6,
        tai_utc_s: house.tai_utc.secs_f64(),
    })
}

async fn clock(State(house): State<Arc<House>>) -> Response {
    clock_document(&house).await.map_or_else(|response| response, |it| Json(it).into_response())
}

/// The operator lets the clock step.
async fn step_clock(State(house): State<Arc<House>>) -> Response {
    let document = match clock_document(&house).await {
        Ok(document) => document,
        Err(response) => return response,
    };
    let Some(by) = document.glance.clock.step_wanted_ns else {
        return nonsense(StatusCode::CONFLICT, "no_step_wanted", "the clock does not ask to step");
    };
    house.keeper.grant_step();
    let said = format!("the clock steps by {by}");
    Json(json!({ "done": { "said": said, "step_ns": by } })).into_response()
}

/// A phone, and its peer connection where it has one.
#[derive(Debug, Serialize)]
struct WithPeer {
    #[serde(flatten)]
    phone: PhoneGlance,
    peer: Option<PeerGlance>,
    /// How orders reach it; none while it has not said.
    delivery: Option<PhoneDelivery>,
}

impl WithPeer {
    fn fare(&self) -> Fare<'_> {
        Fare {
            id: self.phone.id,
            hello: self.phone.hello,
            connected: Span::from_secs_f64(self.phone.connected_s),
            heard: Span::from_secs_f64(self.phone.heard_s),
            role: self.phone.role,
            status: self.phone.status.as_ref(),
            account: self.delivery.map(|it| it.account),
        }
    }
}

async fn phones(State(house): State<Arc<House>>) -> Response {
    let mut peers = peers(&house).await;
    let glance = match glance(&house).await {
        Ok(glance) => glance,
        Err(response) => return response,
    };
    let deliveries = house.engine.deliveries().await.unwrap_or_default();
    let phones = house.crowd.glance();
    let hello = phones.iter().filter(|it| it.hello).count();
    let with_peer = |phone: PhoneGlance| WithPeer {
        peer: peers.remove(&phone.id),
        delivery: deliveries.get(&phone.id).copied(),
        phone,
    };
    let phones: Vec<WithPeer> = phones.into_iter().map(with_peer).collect();
    let fares: Vec<Fare> = phones.iter().map(WithPeer::fare).collect();
    let (ready, refused) = (house.crowd.ready(), house.crowd.refused());
    Json(json!({
        "sockets": phones.len(),
        "hello": hello,
        "ready": ready,
        "refused": refused,
        "turned_away": house.crowd.turned_away(),
        "delivery": glance.delivery,
        "summary": Muster::of(&fares),
        "phones": phones,
    }))
    .into_response()
}

/// A room, and the phone that the box made it for.
#[derive(Debug, Serialize)]
struct WithPhone {
    #[serde(flatten)]
    room: RoomGlance,
    phone: Option<PhoneId>,
    peer: Option<PeerGlance>,
}

async fn rooms(State(house): State<Arc<House>>) -> Json<Value> {
    let mut peers = peers(&house).await;
    let phones = house.peering.as_ref().map(Peering::phones_by_room).unwrap_or_default();
    let SwitchboardGlance { sockets, rooms } = house.board.glance();
    let rooms = rooms.into_iter().map(|room| {
        let phone = phones.get(&room.room_id).copied();
        WithPhone { peer: phone.and_then(|it| peers.remove(&it)), phone, room }
    });
    Json(json!({ "sockets": sockets, "rooms": rooms.collect::<Vec<_>>() }))
}

async fn peers(house: &House) -> BTreeMap<PhoneId, PeerGlance> {
    match &house.peering {
        Some(peering) => peering.glance().await,
        None => BTreeMap::new(),
    }
}

async fn universes(State(house): State<Arc<House>>) -> Json<Value> {
    let outputs = &house.outputs;
    let (universes, inputs) = (outputs.universes(), outputs.inputs());
    let (lost, starved) = (outputs.recording_lost(), outputs.playback_starved());
    Json(json!({ "universes": universes, "inputs": inputs, "recording_lost_frames": lost,
        "playback_starved_frames": starved }))
}

#[derive(Debug, Deserialize)]
struct Recorded {
    /// Numbers parted by commas.
    universes: Option<String>,
    /// Names of inputs parted by commas, `=N` behind those that are recorded as universe N.
    inputs: Option<String>,
    /// What phones are told and say, too.
    #[serde(default)]
    phones: bool,
}

impl Recorded {
    fn read(&self) -> Option<ToRecord> {
        let parted = |all: &Option<String>| {
            let all = all.as_deref().unwrap_or_default().split(',').filter(|it| !it.is_empty());
            all.map(str::to_owned).collect::<Vec<_>>()
        };
        let universe = |number: &str| Universe::new(number.parse().ok()?).ok();
        let input = |words: &String| match words.rsplit_once('=') {
            Some((name, number)) => Some((name.to_owned(), Some(universe(number)?))),
            None => Some((words.clone(), None)),
        };
        let universes: Option<_> = parted(&self.universes).iter().map(|it| universe(it)).collect();
        let inputs: Option<_> = parted(&self.inputs).iter().map(input).collect();
        Some(ToRecord { universes: universes?, inputs: inputs?, phones: self.phones })
    }
}

async fn record(
    State(house): State<Arc<House>>,
    asked: Result<Query<Recorded>, QueryRejection>,
) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(why) => return misread(&why),
    };
    let Some(asked) = asked.read() else {
        let message = "universes are numbers from 1 to 63999, parted by commas; inputs are names, with `=` and such a number";
        return nonsense(StatusCode::BAD_REQUEST, "bad_request", message);
    };
    match house.outputs.record(&asked) {
        Ok(bytes) => {
            let pieces = futures_util::stream::unfold(bytes, async |mut bytes| {
                let piece = bytes.recv().await?;
                Some((Ok::<_, std::convert::Infallible>(Bytes::from(piece)), bytes))
            });
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            (kind, Body::from_stream(pieces)).into_response()
        }
        Err(why) => nonsense(StatusCode::CONFLICT, "cannot_record", &why),
    }
}

/// A cue as the list of cues has it.
#[derive(Debug, Serialize)]
struct CueRow<'a> {
    number: CueNumber,
    name: &'a str,
    standby: bool,
    running: bool,
    light: bool,
    sound: bool,
    phones: bool,
    air: bool,
    acts: usize,
    sends: usize,
    #[serde(rename = "pre_wait_ns")]
    pre_wait: Span,
    then: &'static str,
    #[serde(rename = "post_wait_ns")]
    post_wait: Option<Span>,
    at: Option<String>,
    timecode: Option<Timecode>,
}

async fn cues(State(house): State<Arc<House>>) -> Response {
    let glance = match glance(&house).await {
        Ok(glance) => glance,
        Err(response) => return response,
    };
    let lists: Vec<Value> = house
        .show
        .lists
        .iter()
        .map(|list| {
            let rows: Vec<CueRow> = list.cues.iter().map(|cue| row(cue, &glance)).collect();
            json!({ "name": list.name, "cues": rows })
        })
        .collect();
    Json(json!({ "title": house.show.title, "lists": lists })).into_response()
}

fn row<'a>(cue: &'a Cue, glance: &Glance) -> CueRow<'a> {
    let standby = |list: &engine::glance::ListGlance| {
        list.standby.as_ref().is_some_and(|it| it.number == cue.number)
    };
    let (then, post_wait) = match cue.then {
        Then::Wait => ("wait", None),
        Then::Continue(wait) => ("auto-continue", Some(wait)),
        Then::Follow(wait) => ("auto-follow", Some(wait)),
    };
    CueRow {
        number: cue.number,
        name: &cue.name,
        standby: glance.lists.iter().any(standby),
        running: glance.running.iter().any(|it| it.number == cue.number),
        light: cue.light.is_some(),
        sound: !cue.sound.is_empty(),
        phones: cue.phones.is_some(),
        air: cue.air.is_some(),
        acts: cue.acts.len(),
        sends: cue.sends.len(),
        pre_wait: cue.pre_wait,
        then,
        post_wait,
        at: cue.at.map(|at| time_of_day(at.seconds)),
        timecode: cue.timecode,
    }
}

fn time_of_day(seconds: u32) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[derive(Debug, Deserialize)]
struct Limit {
    #[serde(default = "twenty")]
    limit: usize,
}

fn twenty() -> usize {
    20
}

/// An order with its receipt, and the difference that everybody wants to see.
#[derive(Debug, Serialize)]
struct AccountedRow {
    #[serde(flatten)]
    accounted: Accounted,
    late_ns: Option<Span>,
}

async fn receipts(
    State(house): State<Arc<House>>,
    asked: Result<Query<Limit>, QueryRejection>,
) -> Response {
    let limit = match asked {
        Ok(Query(Limit { limit })) => limit,
        Err(why) => return misread(&why),
    };
    let rows: Vec<AccountedRow> = house
        .journal
        .orders(limit)
        .into_iter()
        .map(|accounted| {
            let late_ns = accounted.receipt.as_ref().and_then(engine::order::Receipt::late);
            AccountedRow { accounted, late_ns }
        })
        .collect();
    Json(json!({ "orders": rows })).into_response()
}

/// Everything that happens from now on, a line of JSON each. Who reads too slowly is told so, and dropped.
async fn events(State(house): State<Arc<House>>) -> Response {
    let lines = futures_util::stream::unfold(Some(house.journal.watch()), next_line);
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

type Feed = Option<Receiver<Line>>;

async fn next_line(feed: Feed) -> Option<(Result<Bytes, std::convert::Infallible>, Feed)> {
    let mut feed = feed?;
    match feed.recv().await {
        Ok(line) => Some((Ok(format!("{}\n", line.json).into()), Some(feed))),
        Err(RecvError::Lagged(missed)) => {
            let word = json!({ "event": "dropped", "missed": missed, "message": "you read too slowly; ask again" });
            Some((Ok(format!("{word}\n").into()), None))
        }
        Err(RecvError::Closed) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(word: &str, body: &str) -> Option<Command> {
        read(word, body.as_bytes()).ok().flatten().map(|(_, command)| command)
    }

    #[test]
    fn every_command_is_read_from_its_word_and_body() {
        let cue = "2.5".parse().expect("a number");
        assert_eq!(command("go", ""), Some(Command::Go { list: None }));
        assert_eq!(command("go", r#"{"list":"b"}"#), Some(Command::Go { list: Some("b".into()) }));
        assert_eq!(command("fire", r#"{"cue":"2.5"}"#), Some(Command::Fire { cue }));
        assert_eq!(command("goto", r#"{"cue":"2.50","id":"x"}"#), Some(Command::Goto { cue }));
        assert_eq!(command("panic", " \n"), Some(Command::Panic));
        let half = Level::from_percent(50.0).expect("in range");
        let master = Command::Master { master: "grand".into(), level: half };
        assert_eq!(command("master", r#"{"master":"grand","level":50}"#), Some(master));
        assert_eq!(command("blackout", ""), Some(Command::Blackout { on: true }));
        assert_eq!(command("blackout", r#"{"on":false}"#), Some(Command::Blackout { on: false }));
        let park = Command::Park { what: "a.red".into(), level: None };
        assert_eq!(command("park", r#"{"what":"a.red"}"#), Some(park));
        assert_eq!(command("unpark", ""), Some(Command::Unpark { what: None }));
        assert_eq!(command("blind", r#"{"cue":"2.5"}"#), Some(Command::Blind { cue: Some(cue) }));
        assert_eq!(command("release", ""), Some(Command::Release { list: None }));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for (word, body) in [
            ("fire", ""),
            ("fire", r#"{"cue":"x"}"#),
            ("stop", r#"{"cue":"1"}"#),
            ("go", r#"{"lsit":"b"}"#),
            ("go", "[]"),
            ("go", "\u{0}"),
            ("master", r#"{"master":"grand"}"#),
            ("master", r#"{"master":"grand","level":101}"#),
            ("park", r#"{"level":50}"#),
            ("blackout", r#"{"level":50}"#),
        ] {
            assert!(read(word, body.as_bytes()).is_err(), "{word} {body}");
        }
        assert!(matches!(read("waltz", b""), Ok(None)));
    }

    #[test]
    fn a_refusal_has_its_code_and_its_sentence() {
        let answer = refused(&Refusal::NoSuchList { list: "b".into() });
        assert_eq!(
            answer,
            json!({ "refused": { "code": "no_such_list", "list": "b", "message": "there is no cue list `b`" } })
        );
    }
}
