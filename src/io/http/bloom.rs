//! `/bloom`: signalling with one participant (BL-01 to BL-12).
//!
//! In: texts. Out: what the rooms have for this one. `engine::rooms` decides everything; no media passes here (BL-12).

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::rooms::Standing;
use serde::Deserialize;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tracing::Instrument;
use wire::bloom::ParticipantId;

use super::socket::{self, End, Heard, Line};
use super::stream::Stream;
use super::switchboard::Place;
use super::{House, Peer};
use crate::chance;

/// What may stand behind `/bloom?`.
#[derive(Deserialize)]
pub(super) struct Asked {
    /// For browsers, which can give a WebSocket no header.
    token: Option<String>,
}

/// `GET /bloom`.
pub(super) async fn upgrade(
    State(house): State<Arc<House>>,
    Extension(peer): Extension<Peer>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Response {
    let id = ParticipantId::from_chance(chance::bits());
    let span = tracing::info_span!("bloom_socket", participant_id = %id);
    let shown = bearer(request.headers()).or(asked.token.as_deref());
    let standing = match peer {
        Peer::Socket => Ok(Standing::Full),
        _ => house.board.standing(shown, peer.transport()),
    };
    match standing {
        Ok(standing) => {
            let attend = move |stream| attend(house, peer, id, standing, stream).instrument(span);
            socket::upgrade(request, attend)
        }
        Err(why) => {
            span.in_scope(|| tracing::debug!(%why, "not let in"));
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            (StatusCode::UNAUTHORIZED, challenge, format!("{why}\n")).into_response()
        }
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750, 2.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn attend(
    house: Arc<House>,
    peer: Peer,
    id: ParticipantId,
    standing: Standing,
    stream: Stream,
) {
    match house.board.enter(id, peer.address(), standing) {
        Ok(mut place) => {
            let mut line = Line::new(stream, place.take_inbox());
            let end = converse(&mut line, &mut place).await;
            tracing::debug!(?end, "socket ended");
            // The others hear of it before this one has said its goodbye.
            let attending = place.stand_up();
            line.close(end).await;
            drop(attending);
        }
        Err(refusal) => {
            let word = Some(refusal.emit().into());
            socket::turn_away(stream, word, CloseCode::Again).await;
        }
    }
}

async fn converse(line: &mut Line, place: &mut Place) -> End {
    // Always read on: a flood is to be dropped in its own second (BL-08), not kept for the next.
    loop {
        match line.hear().await {
            Ok(Heard::Text(text)) => place.say(&text),
            Ok(Heard::Binary) => place.say_binary(),
            Err(end) => return end,
        }
    }
}
