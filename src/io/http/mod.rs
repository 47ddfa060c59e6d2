//! The network door: the page, media, `/ws` for phones, `/bloom` for their rooms, the operator API, metrics.
//!
//! One router answers on TCP and on the box's control socket; [`Peer`] says which, and what is free there.
//! In: requests. Out: answers, and news for the engine. Never here: a decision about the show, or about who may
//! do what (`engine::phones` decides that).

mod api;
mod authority;
mod bloom;
mod cors;
mod crowd;
mod door;
mod files;
mod imported;
mod lamps;
mod lines;
mod machine;
mod mailbox;
mod media;
mod metrics;
mod others;
mod outbox;
mod peering;
mod prompt;
mod quic;
mod socket;
mod stamped;
mod stream;
mod switchboard;

mod tls;
mod tokens;
mod trust;
mod ws;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use engine::light::rdm;
use engine::phonefile::PhoneTable;
use engine::phones::{Limits, Transport};
use engine::show::Show;
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use units::{ShowTime, Span, Subnet};
use uuid::Uuid;

pub use crowd::Crowd;
pub use door::{DoorError, Doors, Secure, bind_network, bind_secure, bind_socket};
pub use peering::{Peering, Postbox};
pub use switchboard::{KeptRoom, Place, Switchboard, SwitchboardGlance};
pub use tls::{CertificateGlance, Certificates, CertificatesGlance, TlsError};
pub use tokens::{Denied, KeyError, Tokens, verify};

use crate::clock::BoxClock;
use crate::cluster::ClusterWatch;
use crate::conductor::EngineHandle;
use crate::disk::ShowFolder;
use crate::journal::Journal;
use crate::light::ToRecord;
use crate::ptp::ClockHandle;
use crate::seal::Seals;

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub struct PageFile {
    /// Its content.
    pub bytes: &'static [u8],
    /// The same, gzipped.
    pub gzipped: &'static [u8],
    /// Its `Content-Type`.
    pub mime: &'static str,
}

/// The page by path (`/`, `/page/main.js`); none where there is no such file.
pub type PageFiles = fn(&str) -> Option<PageFile>;

/// What the outputs can say of themselves, as the JSON that `status` and `universes` print.
pub trait Outputs: Send + Sync {
    /// One entry for each universe on the wire.
    fn universes(&self) -> Value;
    /// One entry for each universe that comes in.
    fn inputs(&self) -> Value;
    /// The sound card.
    fn sound(&self) -> Value;
    /// Asks lamps; the other end is gone where there is nobody to ask.
    fn ask_lamps(&self, ask: rdm::Ask) -> oneshot::Receiver<rdm::Done>;
    /// Frames that recordings of light had no room for.
    fn recording_lost(&self) -> u64;
    /// Frames of recorded light that went out as they were last, since a disk was too slow.
    fn playback_starved(&self) -> u64;
    /// Records light, as the bytes of a capture, until the receiver is dropped.
    ///
    /// # Errors
    /// Why not, as a sentence.
    fn record(&self, asked: &ToRecord) -> Result<mpsc::Receiver<Vec<u8>>, String>;
}

/// What does not change while the box runs.
#[derive(Debug, Clone, Serialize)]
pub struct BoxFacts {
    /// The box's name.
    pub name: String,
    /// The program's version.
    pub version: &'static str,
    /// The box's own id, the same after a restart.
    pub node_id: Uuid,
    /// What is not real on this box: `sound`, …
    pub simulated: Vec<String>,
    /// Where phones find it, best first.
    pub urls: Vec<String>,
    /// The same over TLS; none where its port could not be had.
    pub secure_urls: Vec<String>,
    /// Where TLS is; none where its port could not be had.
    #[serde(skip)]
    pub secure_port: Option<u16>,
}

/// Everything a door needs to answer.
pub struct House {
    /// The boxes that stand in for this one; none where it is alone.
    pub cluster: Option<ClusterWatch>,
    /// The box.
    pub facts: BoxFacts,
    /// The show that runs.
    pub show: Arc<Show>,
    /// Where its files are.
    pub folder: ShowFolder,
    /// The way to the engine.
    pub engine: EngineHandle,
    /// What has happened.
    pub journal: Arc<Journal>,
    /// Everybody on `/ws`.
    pub crowd: Arc<Crowd>,
    /// Everybody on `/bloom`.
    pub board: Arc<Switchboard>,
    /// Peer connections; none where their port could not be had.
    pub peering: Option<Peering>,
    /// The box clock.
    pub clock: BoxClock,
    /// Who keeps it.
    pub keeper: ClockHandle,
    /// When the box began.
    pub began: ShowTime,
    /// TAI minus UTC, frozen for the show.
    pub tai_utc: Span,
    /// How much one client may ask for.
    pub limits: Limits,
    /// What is known of phone models.
    pub phones: PhoneTable,
    /// The subnet of each access point.
    pub access_points: Vec<Subnet>,
    /// Whether phones are to say and hear everything by QUIC where they can.
    pub phones_by_quic: bool,
    /// Whether it has a microphone to calibrate phones with.
    pub calibrates: bool,
    /// The page.
    pub page: PageFiles,
    /// Whom to believe.
    pub tokens: Arc<Tokens>,
    /// The key of sealed live sound; none where that is open to all.
    pub seals: Option<Arc<Seals>>,
    /// What TLS serves with; none where its port could not be had.
    pub certificates: Option<Arc<Certificates>>,
    /// Light and sound.
    pub outputs: Box<dyn Outputs>,
}

impl std::fmt::Debug for House {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("House").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// Who is on the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on this machine whom the file system lets at the control socket.
    Socket,
    /// Somebody on the network, and anybody there can read along.
    Network(SocketAddr),
    /// Somebody on the network, over TLS.
    Secure(SocketAddr),
}

impl Peer {
    fn transport(self) -> Transport {
        match self {
            Self::Socket | Self::Secure(_) => Transport::Private,
            Self::Network(_) => Transport::Plain,
        }
    }
    /// The address that limits count by; the control socket has none and no limit.
    fn address(self) -> Option<IpAddr> {
        match self {
            Self::Socket => None,
            Self::Network(from) | Self::Secure(from) => Some(from.ip().to_canonical()),
        }
    }
}

/// What pages of other boxes fetch, too.
fn abroad() -> Router<Arc<House>> {
    Router::new()
        .route("/media/{sha256}", get(media::serve))
        .route("/prompt", get(prompt::serve))
        .layer(axum::middleware::from_fn(cors::open))
}

/// Every path of the house; WebSockets are heard on `hall`.
pub fn router(house: Arc<House>, hall: Handle) -> Router {
    Router::new()
        .route("/ws", get(ws::upgrade))
        .route("/bloom", get(bloom::upgrade))
        .merge(abroad())
        .route("/trust", get(trust::page))
        .route("/authority.crt", get(trust::authority))
        .route("/healthz", get(metrics::healthz))
        .route("/metrics", get(metrics::metrics))
        .nest("/api/v1", api::router(house.clone()))
        .fallback(files::serve)
        .layer(axum::middleware::from_fn(files::harden))
        .layer(axum::Extension(door::Inside(hall)))
        .with_state(house)
}
