//! What it takes to tell a crowd over TLS by a socket each, or by a stream of QUIC each: the box's processor, and the time.
//!
//! In: the real program, and clients that say hello and listen. Out: when each had each order. All of it goes through this machine's
//! own network stack, which a network namespace can have lose packets.

use std::path::Path;
use std::time::{Duration, Instant};

use phone::Event;
use serde::Serialize;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant as Moment, sleep_until, timeout};
use units::WireTime;
use wire::solusync::{
    self, Header, Hello, Message, NodeType, PROTOCOL_VERSION, WebTransport, emit,
};

use super::line::{Door, Line};
use super::session::Session;
use super::{FleetError, SHOW, Way, box_file, expense};
use crate::running::{BoxError, Running};

/// What carries their messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// A WebSocket over TLS.
    Tls,
    /// A stream of a WebTransport session.
    Quic,
}

/// How it went.
#[derive(Debug, Clone)]
pub struct Told {
    /// From an order's being given to a client's having it, sorted; those that never came are not in it.
    pub took: Vec<Duration>,
    /// So many should have come.
    pub ordered: usize,
    /// Of a processor of the box, microseconds a delivery, beyond what it spends while nothing is ordered; none where the kernel does
    /// not tell.
    pub cpu_us: Option<f64>,
}

/// How far orders are apart.
const EVERY: Duration = Duration::from_millis(150);
/// How long the box is watched while nothing is ordered.
const IDLE: Duration = Duration::from_secs(5);
/// What has not come by then is not counted.
const PATIENCE: Duration = Duration::from_secs(5);

/// Has the box tell `clients` by one carrier, `orders` times.
///
/// # Errors
/// There is no box, or somebody is not let in.
pub async fn tell(
    program: &Path,
    carrier: Carrier,
    clients: usize,
    orders: usize,
) -> Result<Told, FleetError> {
    let folder = TempDir::new().map_err(BoxError::machine("a temporary folder"))?;
    std::fs::write(folder.path().join("show.toml"), SHOW).map_err(BoxError::machine("a show"))?;
    let the_box = Running::start(program, folder.path(), &box_file(Way::WebTransport)).await?;
    let (heard, mut came) = unbounded_channel();
    let mut crowd = JoinSet::new();
    for number in 0..clients {
        let client = Client::join(&the_box, carrier, number).await?;
        crowd.spawn(client.listen(heard.clone()));
    }
    let spent = || expense::cpu_ns(the_box.pid());
    let (before, began) = (spent(), Instant::now());
    sleep_until(Moment::now() + IDLE).await;
    let idle = spent().zip(before).map(|(now, then)| (now - then) / began.elapsed().as_secs_f64());
    let (before, began) = (spent(), Instant::now());
    let given = give(&the_box, orders).await?;
    let busy = spent().zip(before).map(|(now, then)| now - then);
    let beyond = busy.zip(idle).map(|(busy, idle)| busy - idle * began.elapsed().as_secs_f64());
    let ordered = clients * orders;
    let took = gather(&mut came, &given, ordered).await;
    Ok(Told { took, ordered, cpu_us: beyond.map(|ns| ns / 1e3 / ordered as f64) })
}

/// Orders, and when each was given.
async fn give(the_box: &Running, orders: usize) -> Result<Vec<Instant>, FleetError> {
    let (mut given, mut due) = (Vec::new(), Moment::now());
    for _ in 0..orders {
        given.push(Instant::now());
        the_box.post("fire", r#"{"cue":"1"}"#).await?;
        due += EVERY;
        sleep_until(due).await;
    }
    Ok(given)
}

/// How long each took, sorted.
async fn gather(
    came: &mut UnboundedReceiver<(usize, Instant)>,
    given: &[Instant],
    ordered: usize,
) -> Vec<Duration> {
    let mut took = Vec::new();
    while took.len() < ordered
        && let Ok(Some((nth, at))) = timeout(PATIENCE, came.recv()).await
    {
        took.extend(given.get(nth).map(|given| at - *given));
    }
    took.sort_unstable();
    took
}

/// One that has been answered.
struct Client {
    line: Line,
    /// What its stream lives in.
    _session: Session,
}

impl Client {
    async fn join(the_box: &Running, carrier: Carrier, number: usize) -> Result<Self, FleetError> {
        let mut line = Line::open(&Door::secure(the_box.https()));
        let WebTransport { url, certificate_hashes, .. } = greeted(&mut line, number).await?;
        if carrier == Carrier::Tls {
            return Ok(Self { line, _session: Session::Closed });
        }
        let mut session = Session::open(url, &certificate_hashes);
        session.next(|| 0.0).await;
        let mut line = Line::over(session.stream().await);
        greeted(&mut line, number).await?;
        Ok(Self { line, _session: session })
    }

    /// Until nobody wants to know any more.
    async fn listen(mut self, heard: UnboundedSender<(usize, Instant)>) {
        let mut nth = 0;
        while let Event::Heard { text, .. } = self.line.next().await {
            if text.contains(r#""type":"screen""#) && heard.send((nth, Instant::now())).is_err() {
                return;
            }
            nth += usize::from(text.contains(r#""type":"screen""#));
        }
    }
}

/// Says hello once it is open, and hears where the session is.
async fn greeted(line: &mut Line, number: usize) -> Result<WebTransport, FleetError> {
    let mute = FleetError::Mute { path: "hello", missing: "webtransport" };
    loop {
        match line.next().await {
            Event::Opened => line.send(hello(number)).await,
            Event::Heard { text, .. } => {
                if let Ok((_, Message::Welcome(welcome))) = solusync::parse_from_box(&text) {
                    return welcome.webtransport.ok_or(mute);
                }
            }
            _ => return Err(mute),
        }
    }
}

fn hello(number: usize) -> String {
    let id = solusync::uuid_v4(number as u128);
    let header = Header { id, timestamp: WireTime::from_micros(0), node_id: id, sequence: 1 };
    emit(
        &header,
        &Message::Hello(Hello {
            protocol_version: PROTOCOL_VERSION.into(),
            capabilities: vec!["screen".into()],
            node_type: NodeType::Client,
            auth_token: None,
            device: None,
        }),
    )
}
