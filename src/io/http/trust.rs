//! Whom the box believes and who believes the box: who may use the operator API over TLS, the making of tokens, the
//! box's certificates, and the page that says in plain words what a browser warns of.
//!
//! In: requests. Out: answers. `engine::token` and `engine::certificate` decide, `Tokens` and `Certificates` do; never
//! here: a token or a key in a log.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use engine::certificate::{Believed, Vouched};
use engine::phones::Proven;
use engine::token::{LIFE, Wanted};
use serde::Deserialize;
use serde_json::{Value, json};
use units::Span;
use wire::token::Role;

use super::api::{nonsense, unauthorized};
use super::bloom::bearer;
use super::tls::{CertificatesGlance, TlsError};
use super::tokens::Denied;
use super::{House, Peer};

/// A chain of four certificates with its key fits several times.
const PEM_MAX: usize = 128 << 10;

pub(super) fn router() -> Router<Arc<House>> {
    Router::new()
        .route("/token", post(token))
        .route("/token/rotate", post(rotate))
        .route("/token/reseal", post(reseal))
        .route("/cert", get(certificates).post(import).delete(forget))
        .route_layer(DefaultBodyLimit::max(PEM_MAX))
}

/// Who asks, for the story, if it is an operator.
///
/// # Errors
/// The answer.
pub(super) fn operator(
    house: &House,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<String, Box<Response>> {
    let proven = one_of(&[Role::Operator], house, peer, headers)?;
    Ok(format!("operator {}", proven.name).trim_end().to_owned())
}

/// Who asks, by the token that they show, if it is for one of these roles; the first is what whoever has none is told of.
///
/// # Errors
/// The answer.
pub(super) fn one_of(
    roles: &[Role],
    house: &House,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<Proven, Box<Response>> {
    let wanted = roles.first().map_or("", |role| role.word());
    let Some(token) = bearer(headers) else {
        let why =
            format!("a token is needed: `downbeat token --role {wanted}` on the box makes one");
        return Err(Box::new(unauthorized(&why)));
    };
    let judged = house.tokens.judge(house.clock.mono_now(), peer.address(), token);
    let proven = judged.map_err(|denied| match denied {
        Denied::Untrusted(why) => unauthorized(&why.to_string()),
        Denied::TooMany => {
            nonsense(StatusCode::TOO_MANY_REQUESTS, "rate_limited", &denied.to_string())
        }
    })?;
    if !roles.contains(&proven.role) {
        let why =
            format!("a token for `{wanted}` is needed: this one is for `{}`", proven.role.word());
        return Err(Box::new(nonsense(StatusCode::FORBIDDEN, "forbidden", &why)));
    }
    Ok(proven)
}

/// The control socket's alone: whoever may make tokens outlives every token.
pub(super) fn only_here(peer: Peer) -> Result<(), Box<Response>> {
    match peer {
        Peer::Socket => Ok(()),
        Peer::Network(_) | Peer::Secure(_) => {
            let why = "this is done on the box itself, by its control socket";
            Err(Box::new(nonsense(StatusCode::FORBIDDEN, "forbidden", why)))
        }
    }
}

/// What a token is asked for with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    role: Role,
    #[serde(default)]
    name: String,
    #[serde(default)]
    life_s: Option<i64>,
}

async fn token(
    State(house): State<Arc<House>>,
    Extension(peer): Extension<Peer>,
    asked: Bytes,
) -> Response {
    if let Err(response) = only_here(peer) {
        return *response;
    }
    let Asked { role, name, life_s } = match serde_json::from_slice(&asked) {
        Ok(asked) => asked,
        Err(error) => {
            return nonsense(StatusCode::BAD_REQUEST, "bad_request", &error.to_string());
        }
    };
    let life = life_s.map_or(LIFE, Span::from_secs);
    let seal = house.seals.as_ref().map(|seals| seals.key());
    match house.tokens.make(&Wanted { role, life, name, seal }) {
        Ok((token, claims)) => {
            let url = house.secure_url().map(|url| carrying(&url, role, &token));
            let done = json!({ "token": token, "role": role, "name": claims.sub,
                "expires_unix_s": claims.exp, "url": url });
            Json(json!({ "done": done })).into_response()
        }
        Err(why) => nonsense(StatusCode::BAD_REQUEST, "bad_request", &why.to_string()),
    }
}

/// The page that takes it, with the token behind a `#`: browsers send that to nobody, so it stands in no log. Operators
/// have no page of their own yet, and see what performers see.
fn carrying(url: &str, role: Role, token: &str) -> String {
    let page = match role {
        Role::Operator | Role::Performer => "performer",
        Role::Audience | Role::Box => "",
    };
    format!("{url}{page}#token={token}")
}

async fn rotate(State(house): State<Arc<House>>, Extension(peer): Extension<Peer>) -> Response {
    if let Err(response) = only_here(peer) {
        return *response;
    }
    // Making a key takes a second on a small board.
    let tokens = house.tokens.clone();
    match tokio::task::spawn_blocking(move || tokens.rotate()).await {
        Ok(Ok(key_id)) => {
            let said = "tokens are signed with a new key; those made before hold until they expire";
            Json(json!({ "done": { "said": said, "key_id": key_id } })).into_response()
        }
        Ok(Err(error)) => nonsense(StatusCode::CONFLICT, "not_kept", &error.to_string()),
        Err(_) => nonsense(StatusCode::INTERNAL_SERVER_ERROR, "gone", "the box is going away"),
    }
}

async fn reseal(State(house): State<Arc<House>>, Extension(peer): Extension<Peer>) -> Response {
    if let Err(response) = only_here(peer) {
        return *response;
    }
    let Some(seals) = &house.seals else {
        let why = "this show does not seal its live sound: `seal = true` under [show] does";
        return nonsense(StatusCode::CONFLICT, "not_sealed", why);
    };
    match seals.renew() {
        Ok(()) => {
            let said =
                "live sound is sealed with a new key; phones with tokens made before hear none";
            Json(json!({ "done": { "said": said } })).into_response()
        }
        Err(error) => nonsense(StatusCode::CONFLICT, "not_kept", &error.to_string()),
    }
}

async fn certificates(State(house): State<Arc<House>>) -> Response {
    let Some(certificates) = &house.certificates else { return no_tls() };
    let mut document = json!(certificates.glance());
    // A phone has to come by a way that it need not believe.
    let near = house.facts.urls.first().map(String::as_str).unwrap_or_default();
    document["authority_url"] = json!(format!("{near}authority.crt"));
    document["page_url"] = json!(format!("{near}trust"));
    Json(document).into_response()
}

fn no_tls() -> Response {
    let why = "this box has no HTTPS: its port is taken, or it could not keep a certificate";
    nonsense(StatusCode::CONFLICT, "no_https", why)
}

/// A certificate from outside with its key, both PEM.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Handed {
    chain: String,
    key: String,
}

async fn import(
    State(house): State<Arc<House>>,
    Extension(peer): Extension<Peer>,
    handed: Result<Json<Handed>, axum::extract::rejection::JsonRejection>,
) -> Response {
    if let Err(response) = only_here(peer) {
        return *response;
    }
    let Some(certificates) = &house.certificates else { return no_tls() };
    // What the reader says of a body might hold a part of a key.
    let Ok(Json(Handed { chain, key })) = handed else {
        let why = "a chain and a key are wanted, both PEM, of 128 KiB at most";
        return nonsense(StatusCode::BAD_REQUEST, "bad_request", why);
    };
    match certificates.import(chain.as_bytes(), key.as_bytes()) {
        Ok((taken, vouched)) => {
            let warning = vouched.warning();
            let mut said = format!("serves {} from now on", taken.names.join(", "));
            said.extend(warning.map(|it| format!("; {it}")));
            let done = json!({ "said": said, "certificate": taken, "vouched": vouched,
                "warning": warning });
            Json(json!({ "done": done })).into_response()
        }
        Err(error @ TlsError::Unfit(_)) => {
            nonsense(StatusCode::CONFLICT, "unfit", &error.to_string())
        }
        Err(error) => nonsense(StatusCode::CONFLICT, "not_kept", &error.to_string()),
    }
}

async fn forget(State(house): State<Arc<House>>, Extension(peer): Extension<Peer>) -> Response {
    if let Err(response) = only_here(peer) {
        return *response;
    }
    let Some(certificates) = &house.certificates else { return no_tls() };
    match certificates.forget() {
        Ok(true) => {
            Json(json!({ "done": { "said": "the box's own certificate serves" } })).into_response()
        }
        Ok(false) => nonsense(StatusCode::CONFLICT, "none", "no certificate was imported"),
        Err(error) => nonsense(StatusCode::CONFLICT, "not_kept", &error.to_string()),
    }
}

impl House {
    /// Where the box is found over TLS: by a name that is believed, where it has one.
    pub(super) fn secure_url(&self) -> Option<String> {
        let host = self.believed().and_then(|it| it.hosts().next().map(str::to_owned));
        let url = host.zip(self.facts.secure_port).map(|(host, port)| address(&host, port));
        url.or_else(|| self.facts.secure_urls.first().cloned())
    }

    fn believed(&self) -> Option<Believed> {
        self.certificates.as_ref()?.believed()
    }

    /// The same host over TLS, where browsers believe the box there.
    pub(super) fn believed_url(&self, asked: &str) -> Option<String> {
        let port = self.facts.secure_port?;
        self.believed().filter(|it| it.is_for(asked)).map(|_| address(asked, port))
    }

    /// What is to be known of a certificate from outside before an evening; null where there is none.
    pub(super) fn imported(&self) -> Value {
        let glance = self.certificates.as_ref().map(|it| it.glance());
        let of = glance.as_ref().and_then(|it| it.imported.as_ref().zip(it.imported_standing));
        of.map_or(Value::Null, |(it, standing)| {
            json!({ "standing": standing, "from_unix_s": it.from_unix_s,
                "until_unix_s": it.until_unix_s })
        })
    }

    /// For phones, best first: HTTPS by a name that all of them believe, where there is one.
    pub(super) fn urls(&self) -> Vec<String> {
        let believed = self.believed().zip(self.facts.secure_port);
        let known = believed.iter().flat_map(|(believed, port)| {
            believed.audience_hosts().map(|host| address(host, *port))
        });
        known.chain(self.facts.urls.iter().cloned()).collect()
    }
}

/// The host that a request was for, as certificates have it.
pub(super) fn host_of(headers: &HeaderMap) -> Option<String> {
    let asked: Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    Some(asked.host().trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// `https://host:port/`, without the port where browsers know it.
pub(super) fn address(host: &str, port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == 443 { format!("https://{host}/") } else { format!("https://{host}:{port}/") }
}

/// `GET /authority.crt`: what a phone installs to believe this box.
pub(super) async fn authority(State(house): State<Arc<House>>) -> Response {
    let Some(certificates) = &house.certificates else {
        return (StatusCode::NOT_FOUND, "this box has no HTTPS\n").into_response();
    };
    let head = [
        (header::CONTENT_TYPE, "application/x-x509-ca-cert"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"downbeat-authority.crt\""),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (head, certificates.authority()).into_response()
}

/// `GET /trust`: what a browser warns of, why, and what to do, for people.
pub(super) async fn page(State(house): State<Arc<House>>, headers: HeaderMap) -> Response {
    let glance = house.certificates.as_ref().map(|it| it.glance());
    let believed = host_of(&headers).and_then(|host| house.believed_url(&host));
    let said = words(glance.as_ref(), believed.as_deref(), house.secure_url().as_deref());
    as_page(said, "default-src 'none'; style-src 'unsafe-inline'")
}

/// What stands before an encrypted page that browsers warn of: why they do, the way to `/trust`, and the way on. A script
/// hands on what stands behind the `#`.
pub(super) fn before(onward: &str) -> Response {
    let body = include_str!("trust/before.html").replace("{onward}", &escaped(onward));
    let said = framed(&body);
    as_page(said, "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'")
}

fn as_page(said: String, policy: &'static str) -> Response {
    let head = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (head, said).into_response()
}

/// The page; nothing in it comes from a stranger but the names in a certificate that the operator imported,
/// and a host that one of them is for.
fn words(
    glance: Option<&CertificatesGlance>,
    believed: Option<&str>,
    secure: Option<&str>,
) -> String {
    let body = match glance {
        None => include_str!("trust/no_https.html").to_owned(),
        Some(it) if believed.is_some() => match it.imported_vouched {
            Some(Vouched::Publicly) => include_str!("trust/believed.html").to_owned(),
            _ => include_str!("trust/unknown.html").to_owned(),
        },
        Some(it) => include_str!("trust/own.html")
            .replace("{fingerprint}", &in_pairs(&it.authority.sha256))
            .replace("{name}", &it.authority_name),
    };
    framed(&body).replace("{secure}", &escaped(believed.or(secure).unwrap_or("/")))
}

fn framed(body: &str) -> String {
    include_str!("trust/frame.html").replace("{body}", body)
}

/// As a value between double quotes, or as text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// As phones show fingerprints: pairs of capitals.
fn in_pairs(hex: &str) -> String {
    let pairs: Vec<&str> = (0..hex.len() / 2).map(|at| &hex[2 * at..2 * at + 2]).collect();
    pairs.join(" ").to_uppercase()
}
