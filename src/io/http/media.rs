//! `/media/<sha256>`: the show's sound files by the hash of their bytes.
//!
//! The name says the content, so it may be kept for ever, and a download that broke goes on where it stopped.
//! Only what the show names is given out.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::show::Media;
use tokio::task::spawn_blocking;

use super::{House, files};

/// Read and sent at a time; what one slow phone holds in memory.
const CHUNK: u64 = 64 << 10;

/// `GET /media/{sha256}`.
pub(super) async fn serve(
    State(house): State<Arc<House>>,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(media) = house.show.media.iter().find(|it| it.info.sha256 == sha256) else {
        return (StatusCode::NOT_FOUND, "no such file in the show\n").into_response();
    };
    let etag = format!("\"{sha256}\"");
    if files::has_already(&headers, &etag) {
        return (StatusCode::NOT_MODIFIED, forever(&etag)).into_response();
    }
    match wanted(&headers, &etag, media.info.bytes) {
        Wanted::Nonsense => unsatisfiable(media.info.bytes),
        Wanted::All => send(&house, media, &etag, None).await,
        Wanted::Part(range) => send(&house, media, &etag, Some(range)).await,
    }
}

fn forever(etag: &str) -> [(header::HeaderName, HeaderValue); 2] {
    [
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::ETAG, value(etag)),
    ]
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits, letters and quotes are a header value")
}

fn unsatisfiable(length: u64) -> Response {
    let range = value(&format!("bytes */{length}"));
    (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response()
}

/// The file that the show means; looking at it may take as long as reading it does.
async fn open(house: &House, media: &Media) -> std::io::Result<Arc<File>> {
    let (folder, path) = (house.folder.clone(), media.file.clone());
    let sha256 = media.info.sha256.clone();
    let opened = spawn_blocking(move || folder.open_as_loaded(&path, &sha256)).await;
    opened.map_err(std::io::Error::other)?.map(Arc::new)
}

async fn send(house: &House, media: &Media, etag: &str, part: Option<Range<u64>>) -> Response {
    let length = media.info.bytes;
    let file = match open(house, media).await {
        Ok(file) => file,
        Err(error) => {
            tracing::warn!(file = media.file, %error, "could not give out a media file");
            return (StatusCode::GONE, "the file has changed since the show was loaded\n")
                .into_response();
        }
    };
    let range = part.clone().unwrap_or(0..length);
    let content = [
        (header::CONTENT_TYPE, HeaderValue::from_static(mime(&media.file))),
        (header::CONTENT_LENGTH, value(&(range.end - range.start).to_string())),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    ];
    let body = Body::from_stream(chunks(file, range.clone()));
    let mut response = (forever(etag), content, body).into_response();
    if part.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let says = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        response.headers_mut().insert(header::CONTENT_RANGE, value(&says));
    }
    response
}

fn chunks(
    file: Arc<File>,
    range: Range<u64>,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    futures_util::stream::try_unfold(range.start, move |at| {
        let (file, end) = (file.clone(), range.end);
        async move {
            if at >= end {
                return Ok(None);
            }
            let chunk = spawn_blocking(move || read(&file, at, (end - at).min(CHUNK)))
                .await
                .map_err(std::io::Error::other)??;
            let next = at + chunk.len() as u64;
            Ok(Some((chunk, next)))
        }
    })
}

fn read(file: &File, at: u64, length: u64) -> std::io::Result<Bytes> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}

/// What a browser may decode by name; phones look into the file anyway.
fn mime(file: &str) -> &'static str {
    match file.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
        Some("wav") => "audio/wav",
        Some("flac") => "audio/flac",
        Some("mp3") => "audio/mpeg",
        Some("ogg" | "oga" | "opus") => "audio/ogg",
        Some("mp4") => "video/mp4",
        Some("webm") => "video/webm",
        _ => "application/octet-stream",
    }
}

#[derive(Debug, PartialEq)]
enum Wanted {
    All,
    Part(Range<u64>),
    /// A range that the file does not have.
    Nonsense,
}

/// What part is asked for (RFC 9110, 14.2). More than one part, or a part of another version, is answered whole.
fn wanted(headers: &HeaderMap, etag: &str, length: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
    let same_version = text(header::IF_RANGE).is_none_or(|it| it == etag);
    match text(header::RANGE).and_then(|it| it.strip_prefix("bytes=")) {
        Some(ranges) if same_version && !ranges.contains(',') => range(ranges.trim(), length),
        _ => Wanted::All,
    }
}

fn range(text: &str, length: u64) -> Wanted {
    let Some((first, last)) = text.split_once('-') else { return Wanted::All };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => return Wanted::All,
        (Ok(first), Ok(last)) => first..length.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(last)) if first.is_empty() => length.saturating_sub(last)..length,
        // What cannot be read is as if it had not been said.
        _ => return Wanted::All,
    };
    if range.is_empty() { Wanted::Nonsense } else { Wanted::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_goes_on_where_it_broke() {
        assert_eq!(range("100-", 1000), Wanted::Part(100..1000));
        assert_eq!(range("0-0", 1000), Wanted::Part(0..1));
        assert_eq!(range("990-5000", 1000), Wanted::Part(990..1000));
        assert_eq!(range("-10", 1000), Wanted::Part(990..1000));
        assert_eq!(range("-5000", 1000), Wanted::Part(0..1000));
    }

    #[test]
    fn a_part_that_is_not_there_is_said_to_be_nonsense() {
        assert_eq!(range("1000-", 1000), Wanted::Nonsense);
        assert_eq!(range("-0", 1000), Wanted::Nonsense);
        assert_eq!(range("0-", 0), Wanted::Nonsense);
        for unreadable in ["", "x", "5-1", "a-b", "18446744073709551616-"] {
            assert_eq!(range(unreadable, 1000), Wanted::All, "{unreadable}");
        }
    }

    #[test]
    fn a_part_of_another_version_is_answered_whole() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_static("bytes=5-"));
        assert_eq!(wanted(&headers, "\"a\"", 10), Wanted::Part(5..10));
        headers.insert(header::IF_RANGE, HeaderValue::from_static("\"b\""));
        assert_eq!(wanted(&headers, "\"a\"", 10), Wanted::All);
    }
}
