//! What carries a phone's messages: a socket, plain or over TLS, or a stream of its session.

use std::future::{Future, pending, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use phone::Event;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use wtransport::tls::client::NoServerVerification;
use wtransport::{RecvStream, SendStream};

/// Where phones find the box, as they believe.
pub(super) struct Door {
    at: SocketAddr,
    tls: Option<TlsConnector>,
}

/// What carries a phone's messages.
pub(super) enum Line {
    Closed,
    Opening(Opening),
    Open(Box<Open>),
}

/// One that is open.
pub(super) enum Open {
    Socket(Socket),
    Stream(Lines),
}

/// A socket, and its own end of it.
pub(super) struct Socket {
    frames: WebSocketStream<Box<dyn Stream>>,
    address: SocketAddr,
}

/// A stream: a message a line.
pub(super) struct Lines {
    mouth: SendStream,
    ears: BufReader<RecvStream>,
    heard: Vec<u8>,
}

/// Why not is all the same to the phone.
type Opening = Pin<Box<dyn Future<Output = Option<Open>> + Send>>;

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
        let socket = open(door.at, door.tls.clone());
        Self::Opening(Box::pin(async { Some(Open::Socket(socket.await.ok()?)) }))
    }

    /// On a stream that was just opened; none could be.
    pub(super) fn over(stream: Option<(SendStream, RecvStream)>) -> Self {
        let open = stream.map(|(mouth, ears)| {
            Open::Stream(Lines { mouth, ears: BufReader::new(ears), heard: Vec::new() })
        });
        Self::Opening(Box::pin(ready(open)))
    }

    /// What comes of it next.
    pub(super) async fn next(&mut self) -> Event {
        let event = match self {
            Self::Closed => pending().await,
            Self::Opening(opening) => match opening.await {
                Some(open) => {
                    *self = Self::Open(Box::new(open));
                    return Event::Opened;
                }
                None => Event::Closed,
            },
            Self::Open(open) => match open.next().await {
                Some(text) => return Event::Heard { text, at_ms: None },
                None => Event::Closed,
            },
        };
        *self = Self::Closed;
        event
    }

    pub(super) async fn send(&mut self, text: String) {
        // One that broke says so when it is read.
        let _ = match self {
            Self::Open(open) => open.send(text).await,
            _ => None,
        };
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Open(open) => match &**open {
                Open::Socket(socket) => Some(socket.address),
                Open::Stream(_) => None,
            },
            _ => None,
        }
    }
}

impl Open {
    /// The next message; none once it has ended.
    async fn next(&mut self) -> Option<String> {
        match self {
            Self::Socket(socket) => loop {
                if let Frame::Text(text) = socket.frames.next().await?.ok()? {
                    return Some(text.as_str().to_owned());
                }
            },
            Self::Stream(Lines { ears, heard, .. }) => {
                // What was read of a line stays, whatever else happens first.
                ears.read_until(b'\n', heard).await.ok().filter(|read| *read > 0)?;
                String::from_utf8(std::mem::take(heard)).ok()
            }
        }
    }

    async fn send(&mut self, text: String) -> Option<()> {
        match self {
            Self::Socket(socket) => socket.frames.send(Frame::text(text)).await.ok(),
            Self::Stream(lines) => lines.mouth.write_all((text + "\n").as_bytes()).await.ok(),
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
