//! `/prompt`: what a performer has to know, as JSON: what comes next, when, and what runs.
//!
//! In: requests with a performer's or an operator's token over TLS, or by the control socket. Out: an answer, as often as a performer's page asks. Never here: a
//! command. Times are UNIX seconds as phones have them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::glance::{CueGlance, Glance, ListGlance};
use serde::Serialize;
use units::{ShowTime, Span, WireTime};
use wire::token::Role;

use super::{House, Peer, api, trust};

/// What comes next, list by list, and what runs.
#[derive(Debug, Serialize)]
struct Prompt {
    title: String,
    paused: bool,
    lists: Vec<ListPrompt>,
    running: Vec<RunningPrompt>,
}

#[derive(Debug, Serialize)]
struct ListPrompt {
    name: String,
    /// What was fired last.
    last: Option<CueGlance>,
    /// What GO would fire.
    standby: Option<CueGlance>,
    /// What comes by itself, and when.
    coming: Option<CueGlance>,
    coming_at: Option<WireTime>,
}

#[derive(Debug, Serialize)]
struct RunningPrompt {
    #[serde(flatten)]
    cue: CueGlance,
    began_at: WireTime,
    /// Null: until something ends it.
    ends_at: Option<WireTime>,
}

/// `GET /prompt`.
pub(super) async fn serve(
    State(house): State<Arc<House>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    match peer {
        Peer::Socket => {}
        Peer::Network(_) => {
            let why = "performers come by https://, where nobody reads along";
            return api::nonsense(StatusCode::FORBIDDEN, "forbidden", why);
        }
        Peer::Secure(_) => {
            let roles = [Role::Performer, Role::Operator];
            if let Err(response) = trust::one_of(&roles, &house, peer, &headers) {
                return *response;
            }
        }
    }
    let prompt = match api::glance(&house).await {
        Ok(glance) => prompt(glance, house.tai_utc),
        Err(response) => return response,
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(prompt)).into_response()
}

fn prompt(glance: Glance, tai_utc: Span) -> Prompt {
    let now = glance.now;
    let wire = |at: ShowTime| WireTime::from_show(at, tai_utc);
    let list = |it: ListGlance| ListPrompt {
        name: it.name,
        last: it.last,
        standby: it.standby,
        coming: it.coming,
        coming_at: it.coming_at.map(wire),
    };
    let running = glance.running.into_iter().map(|it| RunningPrompt {
        cue: CueGlance { number: it.number, name: it.name },
        began_at: wire(it.began),
        ends_at: it.left.map(|left| wire(now + left)),
    });
    Prompt {
        title: glance.title,
        paused: glance.paused,
        running: running.collect(),
        lists: glance.lists.into_iter().map(list).collect(),
    }
}
