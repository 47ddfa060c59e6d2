//! A phone's socket, plain or over TLS.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use phone::Event;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use wtransport::tls::client::NoServerVerification;

/// Where phones find the box, as they believe.
pub(super) struct Door {
    at: SocketAddr,
    tls: Option<TlsConnector>,
}

/// A phone's socket.
pub(super) enum Line {
    Closed,
    Opening(Opening),
    Open(Box<Socket>),
}

/// A socket, and its own end of it.
pub(super) struct Socket {
    frames: WebSocketStream<Box<dyn Stream>>,
    address: SocketAddr,
}

type Opening = Pin<Box<dyn Future<Output = Result<Socket, Error>> + Send>>;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Sockets of a thousand phones: the library's usual buffers would take 146 kB each.
const BUFFER: usize = 4096;

impl Door {
    pub(super) fn plain(at: SocketAddr) -> Self {
        Self { at, tls: None }
    }

    /// Over TLS. Whoever answers is taken for the box; a page's owner has clicked a warning away.
    pub(super) fn secure(at: SocketAddr) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider has TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NoServerVerification::new()))
            .with_no_client_auth();
        Self { at, tls: Some(TlsConnector::from(Arc::new(config))) }
    }
}

impl Line {
    pub(super) fn open(door: &Door) -> Self {
        Self::Opening(Box::pin(open(door.at, door.tls.clone())))
    }

    /// What comes of it next.
    pub(super) async fn next(&mut self) -> Event {
        let event = match self {
            Self::Closed => pending().await,
            Self::Opening(opening) => match opening.await {
                Ok(socket) => {
                    *self = Self::Open(Box::new(socket));
                    return Event::Opened;
                }
                Err(_) => Event::Closed,
            },
            Self::Open(socket) => loop {
                match socket.frames.next().await {
                    Some(Ok(Frame::Text(text))) => {
                        return Event::Heard { text: text.as_str().to_owned(), at_ms: None };
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break Event::Closed,
                }
            },
        };
        *self = Self::Closed;
        event
    }

    pub(super) async fn send(&mut self, text: String) {
        if let Self::Open(socket) = self {
            // One that broke says so when it is read.
            let _ = socket.frames.send(Frame::text(text)).await;
        }
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Open(socket) => Some(socket.address),
            _ => None,
        }
    }
}

async fn open(at: SocketAddr, tls: Option<TlsConnector>) -> Result<Socket, Error> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let address = stream.local_addr()?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(stream),
        Some(tls) => Box::new(tls.connect(ServerName::from(at.ip()), stream).await?),
    };
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(0);
    // Of the address only the name of the host is said; TLS is there already.
    let (frames, _) =
        client_async_with_config(format!("ws://{at}/ws"), stream, Some(config)).await?;
    Ok(Socket { frames, address })
}
