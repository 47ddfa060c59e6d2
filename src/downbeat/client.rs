//! Asks the running box, through its control socket.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::{Refused, live};

/// A box that takes longer to answer is not driving a show.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// 200, 400, 409, …
    pub status: StatusCode,
    /// One JSON document.
    pub document: Value,
}

/// A control socket.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    patience: Duration,
}

impl Client {
    /// The box that listens there, if there is one.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, patience: PATIENCE }
    }

    /// The same box, for what may take longer.
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { socket: self.socket.clone(), patience }
    }

    /// `GET /api/v1/…`
    pub fn get(&self, path: &str) -> Result<Answer, Refused> {
        self.ask(Method::GET, path, None)
    }

    /// `POST /api/v1/…`
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, Refused> {
        self.ask(Method::POST, path, Some(body))
    }

    /// `DELETE /api/v1/…`
    pub fn delete(&self, path: &str) -> Result<Answer, Refused> {
        self.ask(Method::DELETE, path, None)
    }

    /// `GET /api/v1/…` whose answer goes on: every piece to `take`, until the box ends it, `take` fails or has
    /// enough, or `end` is over.
    pub fn stream(
        &self,
        path: &str,
        end: impl Future<Output = ()>,
        mut take: impl FnMut(&[u8]) -> Result<ControlFlow<()>, Refused>,
    ) -> Result<(), Refused> {
        let runtime = runtime()?;
        runtime.block_on(async {
            tokio::pin!(end);
            let response = send(&self.socket, Method::GET, path, String::new()).await?;
            let status = response.status();
            let mut body = response.into_body();
            if status != StatusCode::OK {
                let bytes = body.collect().await.map_err(lost)?.to_bytes();
                return Err(live::why(&Answer { status, document: document(&bytes)? }));
            }
            loop {
                let frame = tokio::select! {
                    frame = body.frame() => frame,
                    () = &mut end => return Ok(()),
                };
                // A box that goes away ends it, too: what has come is good.
                let Some(Ok(frame)) = frame else { return Ok(()) };
                if let Some(bytes) = frame.data_ref()
                    && take(bytes)?.is_break()
                {
                    return Ok(());
                }
            }
        })
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Refused> {
        let runtime = runtime()?;
        let body = body.map(ToString::to_string).unwrap_or_default();
        // What was asked waits in the socket, and a box that comes round does it after all.
        let after_all = if method != Method::GET { "; it may still do it" } else { "" };
        let asked = ask(&self.socket, method, path, body);
        match runtime.block_on(async { tokio::time::timeout(self.patience, asked).await }) {
            Ok(answer) => answer,
            Err(_) => Err(Refused(format!(
                "the box at {} does not answer within {} s{after_all}",
                self.socket.display(),
                self.patience.as_secs()
            ))),
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Refused> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().map_err(|error| Refused(format!("could not start: {error}")))
}

fn lost(error: hyper::Error) -> Refused {
    Refused(format!("the box went away meanwhile: {error}"))
}

fn document(bytes: &[u8]) -> Result<Value, Refused> {
    serde_json::from_slice(bytes)
        .map_err(|error| Refused(format!("the box answered no JSON: {error}")))
}

async fn ask(socket: &Path, method: Method, path: &str, body: String) -> Result<Answer, Refused> {
    let response = send(socket, method, path, body).await?;
    let status = response.status();
    let bytes = response.into_body().collect().await.map_err(lost)?.to_bytes();
    Ok(Answer { status, document: document(&bytes)? })
}

async fn send(
    socket: &Path,
    method: Method,
    path: &str,
    body: String,
) -> Result<Response<Incoming>, Refused> {
    let stream = UnixStream::connect(socket).await.map_err(|error| nobody(socket, &error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/{path}"))
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(Refused::because)?;
    sender.send_request(request).await.map_err(lost)
}

fn nobody(socket: &Path, error: &std::io::Error) -> Refused {
    use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    let place = socket.display();
    match error.kind() {
        NotFound | ConnectionRefused => Refused(format!(
            "no box is running here (nobody listens at {place}): start one with `downbeat run SHOW`, or name its `--socket`"
        )),
        PermissionDenied => Refused(format!(
            "this user may not use the control socket {place}: use the user or group that runs the box"
        )),
        _ => Refused(format!("could not reach the box at {place}: {error}")),
    }
}
