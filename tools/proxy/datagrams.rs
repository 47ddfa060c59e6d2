//! UDP: a socket towards the server for each client, so that answers find their way back.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sim::path::{Direction, Path, Verdict};
use tokio::net::UdpSocket;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::Office;
use super::courier::{Door, Piece};
use crate::mono_now;

/// The longest datagram there is.
const DATAGRAM_MAX: usize = 1 << 16;
/// A client that neither says nor hears anything for so long has gone.
const IDLE: Duration = Duration::from_secs(60);
/// More clients than any test has; beyond it, who is new is not heard.
const CLIENTS_MAX: usize = 10_000;

/// A client's socket towards the server.
struct Client {
    upstream: Rc<UdpSocket>,
    path: Arc<Mutex<Path>>,
}

pub(super) async fn serve(office: Rc<Office>, socket: UdpSocket) {
    let socket = Rc::new(socket);
    // Each client lives in the task that brings its answers; when that ends, its place here is empty.
    let mut clients: BTreeMap<SocketAddr, Weak<Client>> = BTreeMap::new();
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        // An error here is of an earlier datagram that could not be delivered.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let known = clients.get(&from).and_then(Weak::upgrade);
        let client = match known {
            Some(client) => client,
            None => {
                clients.retain(|_, client| client.strong_count() > 0);
                if clients.len() >= CLIENTS_MAX {
                    continue;
                }
                let Some(client) = enter(&office, &socket, from).await else { continue };
                clients.insert(from, Rc::downgrade(&client));
                client
            }
        };
        let to = Rc::new(Mouth { socket: Rc::clone(&client.upstream), to: None });
        pass_on(&office, &client.path, Direction::Up, &buffer[..length], to);
    }
}

async fn enter(
    office: &Rc<Office>,
    socket: &Rc<UdpSocket>,
    from: SocketAddr,
) -> Option<Rc<Client>> {
    let any: SocketAddr = match office.settings.to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let upstream = UdpSocket::bind(any).await.ok()?;
    upstream.connect(office.settings.to).await.ok()?;
    let client = Rc::new(Client { upstream: Rc::new(upstream), path: office.open_path(from) });
    let mouth = Rc::new(Mouth { socket: Rc::clone(socket), to: Some(from) });
    spawn_local(answer(Rc::clone(office), Rc::clone(&client), mouth, from));
    Some(client)
}

/// Brings back what the server answers, until nothing more comes, or the client gets another port towards it.
async fn answer(office: Rc<Office>, client: Rc<Client>, mouth: Rc<Mouth>, from: SocketAddr) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    let answers = async {
        while let Ok(received) = timeout(IDLE, client.upstream.recv(&mut buffer)).await {
            // A server that is not there refuses; the next datagram may find it.
            let Ok(length) = received else { continue };
            pass_on(&office, &client.path, Direction::Down, &buffer[..length], Rc::clone(&mouth));
        }
    };
    tokio::select! {
        () = answers => {}
        () = office.reset() => {}
    }
    office.close_path(from);
}

fn pass_on(office: &Office, path: &Mutex<Path>, direction: Direction, bytes: &[u8], to: Rc<Mouth>) {
    let now = mono_now();
    office.courier.deliver();
    let verdict = office.judge(path, (now, now), direction, bytes.len());
    let Verdict::Deliver { at, again, .. } = verdict else { return };
    let bytes = Bytes::copy_from_slice(bytes);
    for due in [Some(at), again].into_iter().flatten() {
        office.courier.post(due, Rc::clone(&to) as _, Piece::Bytes(bytes.clone()));
    }
}

/// A socket, and to whom it speaks where it is not connected.
struct Mouth {
    socket: Rc<UdpSocket>,
    to: Option<SocketAddr>,
}

impl Door for Mouth {
    fn take(self: Rc<Self>, piece: Piece) {
        let Piece::Bytes(bytes) = piece else { return };
        // A socket that is full loses datagrams; nobody has promised otherwise.
        let _ = match self.to {
            Some(to) => self.socket.try_send_to(&bytes, to),
            None => self.socket.try_send(&bytes),
        };
    }
}
