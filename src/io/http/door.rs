//! The listeners: TCP on both address families, with TLS and without; UDP beside TLS; the control socket.
//!
//! Whoever comes by the network is let in by threads of their own, which stand back for the others: a crowd that knocks
//! again and again, and handshakes of TLS, take nothing from an order, a clock question, or the control socket. A
//! WebSocket, once open, is heard on others, which do not stand back; so is QUIC.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use engine::phones::Lobby;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::quic::QuicDoor;
use super::tls::Certificates;
use super::{House, Peer, machine, router, switchboard};

/// A header that has not come by then belongs to nobody in a hurry; it also ends idle connections.
const HEADER_PATIENCE: Duration = Duration::from_secs(15);

/// A TLS handshake is two round trips and a signature.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// Browsers send some twenty.
const HEADERS_MAX: usize = 64;

/// Bytes of one request's head.
const HEAD_MAX: usize = 16 << 10;

/// Files that are not for the network: the control socket's clients, light, sound, the journal.
const FILES_KEPT: u64 = 256;

/// A connection and the media file that it fetches.
const FILES_A_CONNECTION: u64 = 2;

/// A tenth of the weight of a thread that does not stand back (sched(7), nice(2)).
const STANDS_BACK: i32 = 10;

/// How often every phone hears how the box fares (DESIGN: Paths).
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// Why a door stays shut; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Another program has the port.
    #[error("port {port} is taken by another program: stop it, or set `[ports] {key}` in box.toml")]
    PortTaken {
        /// Which.
        port: u16,
        /// What it is for, as the box file calls it.
        key: &'static str,
    },
    /// The port is not to be had.
    #[error("could not listen on port {port}: {source}")]
    Port {
        /// Which.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// Another Downbeat answers there.
    #[error("another downbeat runs with the control socket {}: stop it, or give this one `--socket PATH`", path.display())]
    SocketAlive {
        /// Where.
        path: PathBuf,
    },
    /// Something that is no socket stands there.
    #[error("{} is no socket and stays untouched: give another `--socket PATH`", path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The file system does not let us.
    #[error("could not make the control socket {}: {source}: give a place this user may write, `--socket PATH`", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Listens on both address families, or on IPv4 where the machine has no IPv6. Must be called in a runtime.
///
/// # Errors
/// [`DoorError::PortTaken`] and [`DoorError::Port`].
pub fn bind_network(port: u16) -> Result<TcpListener, DoorError> {
    on_both_families(port, "http", listen)
}

/// TLS on TCP and QUIC on UDP, on one port.
#[derive(Debug)]
pub struct Secure {
    streams: TcpListener,
    datagrams: UdpSocket,
    certificates: Arc<Certificates>,
}

/// The same for TLS, with WebTransport beside it. Must be called in a runtime.
///
/// # Errors
/// [`DoorError::PortTaken`] and [`DoorError::Port`].
pub fn bind_secure(port: u16, certificates: Arc<Certificates>) -> Result<Secure, DoorError> {
    const KEY: &str = "https";
    let failed = |source| DoorError::Port { port, source };
    let streams = on_both_families(port, KEY, listen)?;
    // Port 0 has become one that is free.
    let port = streams.local_addr().map_err(failed)?.port();
    let datagrams = on_both_families(port, KEY, take_datagrams)?;
    Ok(Secure { streams, datagrams, certificates })
}

impl Secure {
    /// Where it listens.
    pub fn port(&self) -> Option<u16> {
        self.streams.local_addr().ok().map(|address| address.port())
    }

    /// What it serves with.
    pub fn certificates(&self) -> Arc<Certificates> {
        self.certificates.clone()
    }
}

fn on_both_families<T>(
    port: u16,
    key: &'static str,
    bind: fn(SocketAddr) -> io::Result<T>,
) -> Result<T, DoorError> {
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    bind(both)
        .or_else(|error| match error.kind() {
            ErrorKind::AddrInUse => Err(error),
            _ => bind(four),
        })
        .map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => DoorError::PortTaken { port, key },
            _ => DoorError::Port { port, source },
        })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    // So that a restart does not wait for the last show's connections to be forgotten.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn take_datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

/// The control socket, where only this file's owner and group may knock. A dead program's socket is replaced.
/// Must be called in a runtime.
///
/// # Errors
/// [`DoorError::SocketAlive`], [`DoorError::NotASocket`], [`DoorError::Socket`].
pub fn bind_socket(path: &Path) -> Result<ControlSocket, DoorError> {
    let failed = |source| DoorError::Socket { path: path.to_owned(), source };
    clear_the_place(path)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    let inode = std::fs::metadata(path).map_err(failed)?.ino();
    Ok(ControlSocket { listener, place: Place { path: path.to_owned(), inode } })
}

fn clear_the_place(path: &Path) -> Result<(), DoorError> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(DoorError::NotASocket { path: path.to_owned() });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(DoorError::SocketAlive { path: path.to_owned() }),
        // Nobody listens: what stands there was left behind.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path)
            .map_err(|source| DoorError::Socket { path: path.to_owned(), source }),
        Err(source) => Err(DoorError::Socket { path: path.to_owned(), source }),
    }
}

/// A bound control socket.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    place: Place,
}

/// Where the socket's file stands; gone with it, unless another program has put its own there.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    inode: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Threads of their own, so that however much strangers say, an operator's word stands behind none of it.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Threads {
    /// Those on which HTTP is spoken with the network.
    fn threshold() -> io::Result<Self> {
        Self::new(Builder::new_multi_thread().thread_name("door").on_thread_start(|| {
            // Without it they are threads like others.
            let _ = rustix::process::nice(STANDS_BACK);
        }))
    }

    /// Those on which phones are heard.
    fn hall() -> io::Result<Self> {
        Self::new(Builder::new_multi_thread().thread_name("hall"))
    }

    fn new(builder: &mut Builder) -> io::Result<Self> {
        builder.enable_all().build().map(Some).map(Self)
    }

    fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it ends with this").handle()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // In a runtime nobody may wait for another's threads.
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

/// The open doors.
#[derive(Debug)]
pub struct Doors {
    house: Arc<House>,
    tasks: Vec<JoinHandle<()>>,
    _threads: [Threads; 2],
    _place: Place,
}

impl Doors {
    /// Answers from now on. Must be called in a runtime, which is where the control socket will be.
    ///
    /// # Errors
    /// Where the system gives no threads.
    pub fn open(
        house: Arc<House>,
        network: TcpListener,
        secure: Option<Secure>,
        control: ControlSocket,
    ) -> io::Result<Self> {
        let threads = [Threads::threshold()?, Threads::hall()?];
        let [at, hall] = threads.each_ref().map(Threads::handle);
        let router = router(house.clone(), hall.clone());
        let ControlSocket { listener, place } = control;
        let lobby = Arc::new(Mutex::new(lobby()));
        let mut tasks = Vec::new();
        if let Some(Secure { streams, datagrams, certificates }) = secure {
            let tls = TlsAcceptor::from(Arc::new(certificates.server_of_pages(b"http/1.1")));
            let streams = moved(streams, at)?;
            tasks.push(at.spawn(answer_secure(streams, tls, lobby.clone(), router.clone())));
            let quic = {
                let _there = hall.enter();
                QuicDoor::new(datagrams, &certificates)?
            };
            tasks.push(hall.spawn(quic.answer(house.clone())));
            tasks.push(tokio::spawn(certificates.look_after()));
        }
        tasks.push(tokio::spawn(house.tokens.clone().look_after()));
        tasks.push(at.spawn(answer_network(moved(network, at)?, lobby, router.clone())));
        tasks.push(tokio::spawn(answer_socket(listener, router)));
        tasks.push(tokio::spawn(tell_status(house.clone())));
        tasks.push(tokio::spawn(switchboard::look_after(house.board.clone())));
        Ok(Self { house, tasks, _threads: threads, _place: place })
    }

    /// Lets nobody in any more and says goodbye to every phone.
    pub async fn close(self) {
        for task in &self.tasks {
            task.abort();
        }
        self.house.crowd.send_home();
        self.house.board.send_home();
        // Sockets say goodbye in their own tasks; they have a second, here and there.
        let gone = async {
            while self.house.crowd.attending() + self.house.board.attending() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = timeout(Duration::from_millis(1500), gone).await;
    }
}

fn moved(listener: TcpListener, to: &Handle) -> io::Result<TcpListener> {
    let listener = listener.into_std()?;
    let _there = to.enter();
    TcpListener::from_std(listener)
}

async fn tell_status(house: Arc<House>) {
    let mut meter = machine::Meter::default();
    let mut tick = tokio::time::interval(STATUS_EVERY);
    loop {
        tick.tick().await;
        house.crowd.tell_status(meter.cpu_usage(), machine::memory_usage());
    }
}

/// A connection's place in the lobby, as long as anybody holds it: a socket that is upgraded takes it along.
#[derive(Debug)]
pub(super) struct Guest {
    lobby: Arc<Mutex<Lobby>>,
    address: IpAddr,
}

/// Where sockets are once they are open.
#[derive(Debug, Clone)]
pub(super) struct Inside(pub Handle);

impl Guest {
    fn admit(lobby: &Arc<Mutex<Lobby>>, from: SocketAddr) -> Option<Arc<Self>> {
        let address = from.ip().to_canonical();
        let admitted = lobby.lock().unwrap_or_else(PoisonError::into_inner).enter(address);
        admitted.then(|| Arc::new(Self { lobby: lobby.clone(), address }))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.lobby.lock().unwrap_or_else(PoisonError::into_inner).leave(self.address);
    }
}

/// As many as there are files for, so that the control socket never finds none left.
fn lobby() -> Lobby {
    use nix::sys::resource::{Resource, getrlimit};
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(now, _)| now);
    let room = files.saturating_sub(FILES_KEPT) / FILES_A_CONNECTION;
    Lobby::new(usize::try_from(room).unwrap_or(usize::MAX))
}

async fn answer_network(listener: TcpListener, lobby: Arc<Mutex<Lobby>>, router: Router) {
    loop {
        let Some((stream, from, guest)) = admit(&listener, &lobby).await else { continue };
        let peer = Peer::Network(from);
        tokio::spawn(converse(stream, peer, Some(guest), router.clone()));
    }
}

async fn answer_secure(
    listener: TcpListener,
    tls: TlsAcceptor,
    lobby: Arc<Mutex<Lobby>>,
    router: Router,
) {
    loop {
        let Some((stream, from, guest)) = admit(&listener, &lobby).await else { continue };
        let (handshake, router) = (tls.accept(stream), router.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE_PATIENCE, handshake).await {
                Ok(Ok(stream)) => converse(stream, Peer::Secure(from), Some(guest), router).await,
                Ok(Err(error)) => tracing::debug!(%error, %from, "no TLS"),
                Err(_) => tracing::debug!(%from, "no TLS in time"),
            }
        });
    }
}

/// The next connection that finds room; none if this one did not.
async fn admit(
    listener: &TcpListener,
    lobby: &Arc<Mutex<Lobby>>,
) -> Option<(TcpStream, SocketAddr, Arc<Guest>)> {
    match listener.accept().await {
        Ok((stream, from)) => {
            // Who finds no room is let go at once; phones knock again by themselves.
            let guest = Guest::admit(lobby, from)?;
            // A clock exchange must not wait for Nagle.
            let _ = stream.set_nodelay(true);
            Some((stream, from, guest))
        }
        Err(error) => {
            breathe(&error).await;
            None
        }
    }
}

async fn answer_socket(listener: UnixListener, router: Router) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, Peer::Socket, None, router.clone()));
            }
            Err(error) => breathe(&error).await,
        }
    }
}

/// No file descriptor left, or a client that left while it was let in: the next may have more luck.
async fn breathe(error: &io::Error) {
    tracing::warn!(%error, "could not let a connection in");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    guest: Option<Arc<Guest>>,
    router: Router,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(guest.clone());
        router.call(request.map(Body::new))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, ?peer, "connection ended");
    }
}
