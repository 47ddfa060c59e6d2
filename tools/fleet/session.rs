//! A phone's WebTransport session: what `src/page/web/time.js` is in a browser.

use std::error::Error;
use std::fmt::Write;
use std::future::{Future, pending};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use phone::{Channel, Event};
use wtransport::tls::Sha256Digest;
use wtransport::{ClientConfig, Connection, Endpoint, RecvStream, SendStream};

/// A session.
pub(super) enum Session {
    Closed,
    Opening(Opening),
    Open { connection: Connection, address: SocketAddr },
}

type Opening = Pin<Box<dyn Future<Output = Result<(Connection, SocketAddr), Failed>> + Send>>;
/// All the same to the phone: it goes on by its socket.
type Failed = Box<dyn Error + Send + Sync>;

const CHANNEL: Channel = Channel::WebTransport;
/// As browsers do.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

impl Session {
    /// With one of the certificates that have these hashes, hexadecimal.
    pub(super) fn open(url: String, hashes: &[String]) -> Self {
        let hashes: Vec<Sha256Digest> = hashes.iter().filter_map(|hash| digest(hash)).collect();
        Self::Opening(Box::pin(async move {
            let config = ClientConfig::builder()
                .with_bind_address((Ipv4Addr::LOCALHOST, 0).into())
                .with_server_certificate_hashes(hashes)
                .keep_alive_interval(Some(KEEP_ALIVE))
                .build();
            let endpoint = Endpoint::client(config)?;
            let address = endpoint.local_addr()?;
            Ok((endpoint.connect(url).await?, address))
        }))
    }

    /// What comes of it next; `now_ms` is read first of all when something came.
    pub(super) async fn next(&mut self, now_ms: impl Fn() -> f64) -> Event {
        let closed = Event::TimeClosed { channel: CHANNEL };
        let event = match self {
            Self::Closed => pending().await,
            Self::Opening(opening) => match opening.await {
                Ok((connection, address)) => {
                    *self = Self::Open { connection, address };
                    return Event::TimeOpened { channel: CHANNEL };
                }
                Err(_) => closed,
            },
            Self::Open { connection, .. } => match connection.receive_datagram().await {
                Ok(datagram) => {
                    let at_ms = now_ms();
                    return Event::TimeHeard { channel: CHANNEL, octets: hex(&datagram), at_ms };
                }
                Err(_) => closed,
            },
        };
        *self = Self::Closed;
        event
    }

    /// A question with the page's clock in it.
    pub(super) fn ask(&self, question: &str, clock_at: usize, now_ms: f64) {
        let Self::Open { connection, .. } = self else { return };
        let Some(mut octets) = unhex(question) else { return };
        octets[clock_at..][..8].copy_from_slice(&now_ms.to_be_bytes());
        // One that has just ended says so when it is read.
        let _ = connection.send_datagram(octets);
    }

    /// A stream in it, for messages; none where there is no session.
    pub(super) async fn stream(&mut self) -> Option<(SendStream, RecvStream)> {
        let Self::Open { connection, .. } = self else { return None };
        connection.open_bi().await.ok()?.await.ok()
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Open { address, .. } => Some(*address),
            _ => None,
        }
    }
}

fn digest(hash: &str) -> Option<Sha256Digest> {
    unhex(hash)?.try_into().ok().map(Sha256Digest::new)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").expect("a string takes all");
        text
    })
}
