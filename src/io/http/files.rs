//! The page's files, and the headers that every answer wears.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::{House, Peer, trust};

/// Scripts come from here only and may compile WebAssembly; sockets may be opened, and tracks fetched, from any box of the
/// cluster, of which boxes tell in `hello` (and Safari before 15.4 does not take a socket to the same host for `'self'`).
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; \
    connect-src 'self' ws: wss: http: https:; img-src 'self' data:; media-src 'self' blob:; object-src 'none'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The same for browsers that know WebAssembly but not its keyword (SX-18).
const POLICY_OLD: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'; \
    connect-src 'self' ws: wss: http: https:; img-src 'self' data:; media-src 'self' blob:; object-src 'none'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Everything that is no other path: a file of the page, or 404.
pub(super) async fn serve(
    State(house): State<Arc<House>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if let (Peer::Network(_), true) = (peer, PRIVATE.contains(&request.uri().path())) {
        return to_tls(&house, &request);
    }
    let Some(file) = (house.page)(request.uri().path()) else {
        return elsewhere(&request);
    };
    let (bytes, encoding) =
        if takes_gzip(request.headers()) && file.gzipped.len() < file.bytes.len() {
            (file.gzipped, Some((header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))))
        } else {
            (file.bytes, None)
        };
    let etag = etag(bytes);
    // The page is small and must never be older than the box it talks to: asked for each time, sent when it changed.
    let caching = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, HeaderValue::from_str(&etag).expect("hexadecimal is a header value")),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if has_already(request.headers(), &etag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let content = [(header::CONTENT_TYPE, HeaderValue::from_static(file.mime))];
    let mut response = (caching, content, bytes).into_response();
    response.headers_mut().extend(encoding);
    // It is the document's, and a worker's own; with every other file it would be a tenth of that.
    if file.mime.starts_with("text/html") || request.uri().path() == "/sw.js" {
        let policy = HeaderValue::from_static(policy(request.headers()));
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Whether the client takes gzip (RFC 9110, 12.5.3): it says so, or takes anything, and does not refuse it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let says =
        headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|it| it.to_str().ok());
    let words = says.flat_map(|it| it.split(',')).map(|word| {
        let (name, weight) = word.split_once(';').unwrap_or((word, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse().ok());
        (name.trim().to_ascii_lowercase(), weight.is_some_and(|q: f64| q > 0.0))
    });
    let mut words: Vec<(String, bool)> = words.collect();
    // What is named goes before what is meant by `*`.
    words.sort_by_key(|(name, _)| name == "*");
    let found = words.iter().find(|(name, _)| ["gzip", "x-gzip", "*"].contains(&name.as_str()));
    found.is_some_and(|(_, taken)| *taken)
}

/// Operators have no page of their own yet, and see what performers see, as their tokens' addresses have it.
fn elsewhere(request: &Request) -> Response {
    let query = request.uri().query().map(|it| format!("?{it}")).unwrap_or_default();
    match request.uri().path() {
        "/operator" => sent_to(&format!("/performer{query}")),
        _ => (StatusCode::NOT_FOUND, "nothing here\n").into_response(),
    }
}

/// Pages that carry a token, which is for nobody to read along.
const PRIVATE: [&str; 2] = ["/operator", "/performer"];

/// To the same page over TLS, on the host that was asked: at once where browsers believe the box there, and else by a page
/// that says what they will warn of.
fn to_tls(house: &House, request: &Request) -> Response {
    let asked = trust::host_of(request.headers());
    let Some((host, port)) = asked.zip(house.facts.secure_port) else {
        return (StatusCode::FORBIDDEN, "this page is for https:// alone\n").into_response();
    };
    let rest = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let place = |url: String| format!("{}{rest}", url.trim_end_matches('/'));
    match house.believed_url(&host) {
        Some(url) => sent_to(&place(url)),
        None => trust::before(&place(trust::address(&host, port))),
    }
}

/// Browsers take along what the address has behind its `#`.
fn sent_to(place: &str) -> Response {
    match HeaderValue::from_str(place) {
        Ok(place) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// The version of a file; hashed once, since a whole audience asks at the same moment.
fn etag(bytes: &'static [u8]) -> String {
    static KNOWN: Mutex<BTreeMap<usize, String>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().expect("nobody panics while holding the versions");
    known.entry(bytes.as_ptr() as usize).or_insert_with(|| version(bytes)).clone()
}

fn version(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// Whether the client says that it has this version (RFC 9110, 13.1.2).
pub(super) fn has_already(headers: &HeaderMap, etag: &str) -> bool {
    let Some(theirs) = headers.get(header::IF_NONE_MATCH).and_then(|it| it.to_str().ok()) else {
        return false;
    };
    theirs.split(',').map(str::trim).any(|it| it == "*" || it.trim_start_matches("W/") == etag)
}

fn policy(headers: &HeaderMap) -> &'static str {
    let agent = headers.get(header::USER_AGENT).and_then(|it| it.to_str().ok()).unwrap_or("");
    if lacks_wasm_keyword(agent) { POLICY_OLD } else { POLICY }
}

/// Chrome before 97, Firefox before 102 and Safari before 16 do not know `'wasm-unsafe-eval'`.
fn lacks_wasm_keyword(agent: &str) -> bool {
    let major = |name: &str| -> Option<u32> {
        let (_, after) = agent.split_once(name)?;
        after.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()
    };
    match (major("Chrome/"), major("Firefox/"), major("Version/")) {
        (Some(chrome), _, _) => chrome < 97,
        (_, Some(firefox), _) => firefox < 102,
        // Only Safari and its kin name a Version without naming Chrome.
        (_, _, Some(safari)) => safari < 16,
        _ => false,
    }
}

/// What every answer wears, whoever asked for what.
pub(super) async fn harden(
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    const ALWAYS: [(HeaderName, &str); 1] = [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    // What a page fetches for itself is framed by nobody and leads nowhere; with all of it this would be a kilobyte.
    const DOCUMENTS: [(HeaderName, &str); 2] =
        [(header::REFERRER_POLICY, "no-referrer"), (header::X_FRAME_OPTIONS, "DENY")];
    // A page that shares its process with nobody may read a fine clock: steps of 5 us instead of 100. Browsers take
    // this word over TLS only, and complain about it elsewhere.
    const ISOLATED: [(HeaderName, &str); 3] = [
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let mut response = next.run(request).await;
    let isolated = ISOLATED.into_iter().filter(|_| matches!(peer, Peer::Secure(_)));
    let is_part = is_part(response.headers().get(header::CONTENT_TYPE));
    let documents = DOCUMENTS.into_iter().filter(|_| !is_part);
    for (name, value) in ALWAYS.into_iter().chain(documents).chain(isolated) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether that is a part of a page, and no page.
fn is_part(mime: Option<&HeaderValue>) -> bool {
    let mime = mime.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let parts = ["text/javascript", "text/css", "application/wasm", "application/json", "image/"];
    parts.iter().any(|part| mime.starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sx18_only_browsers_that_need_it_may_evaluate() {
        let old = [
            "Mozilla/5.0 (Linux; Android 8.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/90.0.4430.91 Mobile Safari/537.36",
            "Mozilla/5.0 (X11; Linux x86_64; rv:88.0) Gecko/20100101 Firefox/88.0",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 14_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/14.0 Mobile/15E148 Safari/604.1",
        ];
        let new = [
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
            "curl/8.5",
            "",
        ];
        assert!(old.iter().all(|agent| lacks_wasm_keyword(agent)));
        assert!(!new.iter().any(|agent| lacks_wasm_keyword(agent)));
    }

    #[test]
    fn only_who_takes_gzip_gets_it() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            takes_gzip(&headers)
        };
        assert!(
            ["gzip", "br, GZIP", "deflate, gzip;q=0.5", "*", "br;q=1, *;q=0.1"]
                .into_iter()
                .all(takes)
        );
        assert!(
            !["", "br", "identity", "gzip;q=0", "*, gzip;q=0", "gzip;q=x"].into_iter().any(takes)
        );
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_client_that_has_the_file_says_so_in_any_of_the_ways() {
        let says = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(value).expect("a value"));
            has_already(&headers, "\"ab\"")
        };
        assert!(says("\"ab\"") && says("\"x\", W/\"ab\"") && says("*"));
        assert!(!says("\"abc\"") && !says("ab"));
        assert!(!has_already(&HeaderMap::new(), "\"ab\""));
    }
}
