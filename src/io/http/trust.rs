//! Whom the box believes: who may use the operator API over TLS, and the making of tokens.
//!
//! In: requests. Out: answers. `engine::token` decides, `Tokens` signs and judges; never here: a token in a log.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use engine::token::{LIFE, Wanted};
use serde::Deserialize;
use serde_json::json;
use units::Span;
use wire::token::Role;

use super::api::{nonsense, unauthorized};
use super::bloom::bearer;
use super::tokens::Denied;
use super::{House, Peer};

pub(super) fn router() -> Router<Arc<House>> {
    Router::new().route("/token", post(token)).route("/token/rotate", post(rotate))
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
    let Some(token) = bearer(headers) else {
        let why = "operators need a token: `downbeat token --role operator` on the box makes one";
        return Err(Box::new(unauthorized(why)));
    };
    let judged = house.tokens.judge(house.clock.mono_now(), peer.address(), token);
    let proven = judged.map_err(|denied| match denied {
        Denied::Untrusted(why) => unauthorized(&why.to_string()),
        Denied::TooMany => {
            nonsense(StatusCode::TOO_MANY_REQUESTS, "rate_limited", &denied.to_string())
        }
    })?;
    if proven.role != Role::Operator {
        let why = format!("only operators may: this token is for `{}`", proven.role.word());
        return Err(Box::new(nonsense(StatusCode::FORBIDDEN, "forbidden", &why)));
    }
    Ok(format!("operator {}", proven.name).trim_end().to_owned())
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
    asked: Result<Json<Asked>, axum::extract::rejection::JsonRejection>,
) -> Response {
    if let Err(response) = only_here(peer) {
        return *response;
    }
    let Json(Asked { role, name, life_s }) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            return nonsense(StatusCode::BAD_REQUEST, "bad_request", &error.body_text());
        }
    };
    let life = life_s.map_or(LIFE, Span::from_secs);
    match house.tokens.make(&Wanted { role, life, name }) {
        Ok((token, claims)) => {
            let url = house.facts.secure_urls.first().map(|url| carrying(url, role, &token));
            let done = json!({ "token": token, "role": role, "name": claims.sub,
                "expires_unix_s": claims.exp, "url": url });
            Json(json!({ "done": done })).into_response()
        }
        Err(why) => nonsense(StatusCode::BAD_REQUEST, "bad_request", &why.to_string()),
    }
}

/// The page that takes it, with the token behind a `#`: browsers send that to nobody, so it stands in no log.
fn carrying(url: &str, role: Role, token: &str) -> String {
    let page = if role == Role::Operator { "operator" } else { "" };
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
