//! A phone without a page: its socket on `/ws`, its place on `/bloom`, and a peer connection of the crate `webrtc`.

use std::net::SocketAddr;

use futures_util::stream::{self, SplitSink};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use wire::solusync::IceServer;

use crate::native::{Native, NativeError, PATIENCE};

/// A phone that has called.
pub struct Caller {
    /// Its peer connection.
    pub native: Native,
    /// What `hello` was answered.
    pub welcome: Value,
    bloom: SplitSink<Socket, Message>,
    heard: UnboundedReceiver<Heard>,
    box_id: String,
    told: UnboundedReceiver<Heard>,
    _awake: [Awake; 2],
}

/// Reads a socket however long nobody listens, for its pings have to be answered; it is closed when this is dropped.
struct Awake(JoinHandle<()>);

impl Awake {
    /// What it hears is for whoever keeps the receiver.
    fn new(
        mut socket: impl Stream<Item = Heard> + Unpin + Send + 'static,
    ) -> (Self, UnboundedReceiver<Heard>) {
        let (tell, heard) = unbounded_channel();
        let read = async move {
            // The library answers pings when it is read.
            while let Some(it) = socket.next().await {
                let is_over = it.is_err();
                let _ = tell.send(it);
                if is_over {
                    break;
                }
            }
        };
        (Self(tokio::spawn(read)), heard)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What went wrong, in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The peer connection.
    #[error("the peer connection: {0}")]
    Native(#[from] NativeError),
    /// A socket.
    #[error("the socket: {0}")]
    Socket(#[from] tokio_tungstenite::tungstenite::Error),
    /// The network.
    #[error("could not reach the box: {0}")]
    Network(#[from] std::io::Error),
    /// The box said something else, or nothing.
    #[error("the box did not say {wanted}, but {said}")]
    Unexpected {
        /// What was waited for.
        wanted: &'static str,
        /// What came last.
        said: String,
    },
}

type Socket = WebSocketStream<TcpStream>;
type Heard = Result<Message, tokio_tungstenite::tungstenite::Error>;

impl Caller {
    /// Says hello and connects; its packets come from this address.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(at: SocketAddr, from: &str, track: bool) -> Result<Self, CallError> {
        let mut caller = Self::arrive(at, from, track).await?;
        caller.connect().await?;
        Ok(caller)
    }

    /// Says hello and goes to the room, where it may offer.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn arrive(at: SocketAddr, from: &str, track: bool) -> Result<Self, CallError> {
        let (ws, welcome) = welcomed(at).await?;
        let native = Native::new(from, track).await?;
        Self::join(at, ws, welcome, native).await
    }

    /// The same for a phone that knows no way to the box but by the TURN servers of which the box tells it.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn arrive_by_relay(at: SocketAddr, from: &str) -> Result<Self, CallError> {
        let (ws, welcome) = welcomed(at).await?;
        let servers = serde_json::from_value(welcome["signaling"]["ice_servers"].clone());
        let servers: Vec<IceServer> = servers.map_err(|_| CallError::Unexpected {
            wanted: "its relays",
            said: welcome.to_string(),
        })?;
        let native = Native::by_relay(from, &servers).await?;
        Self::join(at, ws, welcome, native).await
    }

    async fn join(
        at: SocketAddr,
        ws: Socket,
        welcome: Value,
        native: Native,
    ) -> Result<Self, CallError> {
        let named = |key: &str| welcome["signaling"][key].as_str().map(str::to_owned);
        let unnamed =
            || CallError::Unexpected { wanted: "where to offer", said: welcome.to_string() };
        let room = named("room_id").ok_or_else(unnamed)?;
        let box_id = named("participant_id").ok_or_else(unnamed)?;
        let mut bloom = dial(at, "/bloom").await?;
        say(&mut bloom, &json!({ "type": "JoinRoom", "room_id": room })).await?;
        hear(&mut bloom, "RoomParticipants").await?;
        let (bloom, replies) = bloom.split();
        let ((ws, told), (room, heard)) = (Awake::new(ws), Awake::new(replies));
        Ok(Self { native, welcome, bloom, heard, box_id, told, _awake: [ws, room] })
    }

    /// Offers, and waits until all channels are open.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn connect(&mut self) -> Result<(), CallError> {
        let offer = self.native.offer().await?;
        let answer = self.exchange(&offer).await?;
        self.native.accept(&answer).await?;
        Ok(self.native.opened().await?)
    }

    /// An offer for its answer.
    ///
    /// # Errors
    /// [`CallError::Socket`], [`CallError::Unexpected`].
    pub async fn exchange(&mut self, offer: &str) -> Result<String, CallError> {
        let offer = json!({ "type": "Offer", "to": self.box_id, "sdp": offer });
        say(&mut self.bloom, &offer).await?;
        let mut heard = stream::poll_fn(|context| self.heard.poll_recv(context));
        let answer = hear(&mut heard, "Answer").await?;
        Ok(answer["sdp"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the box says something more on `/ws`, which it does every five seconds.
    ///
    /// # Errors
    /// [`CallError::Unexpected`].
    pub async fn is_told_something(&mut self) -> Result<(), CallError> {
        while self.told.try_recv().is_ok() {}
        let said = match timeout(PATIENCE, self.told.recv()).await {
            Ok(Some(Ok(_))) => return Ok(()),
            Ok(_) => "goodbye",
            Err(_) => "nothing",
        };
        Err(CallError::Unexpected { wanted: "a word on `/ws`", said: said.to_owned() })
    }

    /// An offer that nobody waits for.
    ///
    /// # Errors
    /// [`CallError::Socket`].
    pub async fn throw(&mut self, offer: &str) -> Result<(), CallError> {
        say(&mut self.bloom, &json!({ "type": "Offer", "to": self.box_id, "sdp": offer })).await
    }
}

async fn welcomed(at: SocketAddr) -> Result<(Socket, Value), CallError> {
    let mut ws = dial(at, "/ws").await?;
    say(&mut ws, &hello()).await?;
    let welcome = hear(&mut ws, "hello").await?;
    Ok((ws, welcome))
}

fn hello() -> Value {
    json!({
        "type": "hello",
        "header": {
            "id": "7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a11", "timestamp": 1.5,
            "node_id": "7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a12", "sequence": 1,
        },
        "protocol_version": "0.1.0",
        "node_type": "client",
    })
}

async fn dial(at: SocketAddr, path: &str) -> Result<Socket, CallError> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    let url = format!("ws://{at}{path}");
    Ok(client_async_with_config(url, stream, Some(config)).await?.0)
}

async fn say(
    socket: &mut (impl Sink<Message, Error = tokio_tungstenite::tungstenite::Error> + Unpin),
    message: &Value,
) -> Result<(), CallError> {
    Ok(socket.send(Message::text(message.to_string())).await?)
}

/// The next message of that type; others pass by, refusals do not.
async fn hear(
    socket: &mut (impl Stream<Item = Heard> + Unpin),
    wanted: &'static str,
) -> Result<Value, CallError> {
    let unexpected = |said: String| CallError::Unexpected { wanted, said };
    let heard = async {
        while let Some(frame) = socket.next().await {
            let Message::Text(text) = frame? else { continue };
            let message: Value = serde_json::from_str(&text).unwrap_or_default();
            match message["type"].as_str() {
                Some(kind) if kind == wanted => return Ok(message),
                Some("error" | "Error") => return Err(unexpected(text.to_string())),
                _ => {}
            }
        }
        Err(unexpected("goodbye".to_owned()))
    };
    timeout(PATIENCE, heard).await.unwrap_or_else(|_| Err(unexpected("nothing".to_owned())))
}
