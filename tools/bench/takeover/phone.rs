//! A phone as plain as can be: it says hello, keeps what it is told of the boxes, and goes to the other one.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async};
use tools::crowd::Dialect;
use wire::solusync::{Message, NodeType, Welcome, parse_from_box};

/// A box that lives answers within it, however busy the machine.
const ANSWER: Duration = Duration::from_secs(1);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(2);

/// A phone that has been greeted.
pub(super) struct Phone {
    _socket: WebSocketStream<TcpStream>,
    welcome: Welcome,
}

impl Phone {
    /// Comes to a box: `HOST:PORT`.
    pub(super) async fn join(host: &str) -> Result<Self, Error> {
        match timeout(ANSWER, greet(host)).await {
            Ok(greeted) => greeted,
            Err(_) => Err(Error::ConnectionClosed),
        }
    }

    /// Comes until whoever answers drives.
    pub(super) async fn join_master(host: &str) -> Self {
        loop {
            match Self::join(host).await {
                Ok(phone) if phone.welcome.node_type == NodeType::Master => return phone,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Where it would go if its box died: `HOST:PORT`; none where it was told of no other.
    pub(super) fn other(&self) -> Option<String> {
        let cluster = &self.welcome.cluster_info;
        let other = cluster.boxes.iter().find(|it| it.node_id != cluster.master_id)?;
        let host = other.url.strip_prefix("http://")?;
        Some(host.trim_end_matches('/').to_owned())
    }
}

async fn greet(host: &str) -> Result<Phone, Error> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    let Dialect { path, steps, .. } = Dialect::solusync();
    let (mut socket, _) = client_async(format!("ws://{host}{path}"), stream).await?;
    for step in steps {
        socket.send(Frame::text(step.say)).await?;
    }
    while let Some(frame) = socket.next().await {
        let Frame::Text(text) = frame? else { continue };
        if let Ok((_, Message::Welcome(welcome))) = parse_from_box(&text) {
            return Ok(Phone { _socket: socket, welcome: *welcome });
        }
    }
    Err(Error::ConnectionClosed)
}
