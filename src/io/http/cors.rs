//! What a page may fetch that came from another box of the cluster: its own may be gone.
//!
//! In: requests with a foreign Origin, and browsers' questions before them. Out: leave to read what anybody may read who
//! asks without a browser. Cookies there are none; a token is what its page shows of its own accord.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Lets pages of every origin in, to look and not to do.
pub(super) async fn open(request: Request, next: Next) -> Response {
    let mut response = match *request.method() {
        Method::OPTIONS => (StatusCode::NO_CONTENT, LEAVE.map(header)).into_response(),
        _ => next.run(request).await,
    };
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// A download goes on where it broke, and a performer's page shows its token. An hour between two questions.
const LEAVE: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, range"),
    (header::ACCESS_CONTROL_MAX_AGE, "3600"),
];

fn header((name, value): (HeaderName, &'static str)) -> (HeaderName, HeaderValue) {
    (name, HeaderValue::from_static(value))
}
