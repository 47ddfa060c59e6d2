//! TCP: a connection to the server for each that a client opens, and two pumps between them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::{Buf, Bytes};
use sim::path::{Direction, Path, Verdict};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::spawn_local;

use super::Office;
use super::courier::{Door, Piece};
use crate::mono_now;

/// What is read at once, and so is one packet: a few frames of a WebSocket, a stretch of a file.
const READ_MAX: usize = 16 << 10;
/// Bytes of a direction that may be on their way; then the sender waits, as with a window of TCP.
const UNDERWAY_MAX: usize = 1 << 20;
/// A process without free descriptors takes nobody in, and tries again.
const BREATH: Duration = Duration::from_millis(50);

pub(super) async fn serve(office: Rc<Office>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((client, from)) => drop(spawn_local(attend(Rc::clone(&office), client, from))),
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

async fn attend(office: Rc<Office>, client: TcpStream, from: SocketAddr) {
    let reset = office.reset();
    tokio::pin!(reset);
    tokio::select! {
        () = office.opens(Direction::Up) => {}
        () = &mut reset => return,
    }
    // A server that is not there is seen as a connection that closes at once.
    let Ok(server) = TcpStream::connect(office.settings.to).await else { return };
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let path = office.open_path(from);
    let (client, server) = (Rc::new(client), Rc::new(server));
    let up = Pump::new(Direction::Up, &client, &server);
    let down = Pump::new(Direction::Down, &server, &client);
    tokio::select! {
        // Once one side broke, the other has nobody to talk to.
        _ = async { tokio::try_join!(up.run(&office, &path), down.run(&office, &path)) } => {}
        () = reset => [client, server].iter().for_each(|socket| part(socket)),
    }
    office.close_path(from);
}

/// Ends a connection, whatever is still on its way.
fn part(socket: &TcpStream) {
    // Whoever has gone already needs no goodbye.
    let _ = SockRef::from(socket).shutdown(Shutdown::Both);
}

/// One direction of a connection.
struct Pump {
    direction: Direction,
    from: Rc<TcpStream>,
    outlet: Rc<Outlet>,
}

impl Pump {
    fn new(direction: Direction, from: &Rc<TcpStream>, to: &Rc<TcpStream>) -> Self {
        Self { direction, from: Rc::clone(from), outlet: Outlet::new(Rc::clone(to)) }
    }

    /// Until the sender has said its last word.
    async fn run(&self, office: &Office, path: &Mutex<Path>) -> io::Result<()> {
        loop {
            self.outlet.has_room().await;
            let bytes = self.read().await?;
            let (length, taken) = (bytes.len(), mono_now());
            office.courier.deliver();
            self.outlet.underway.set(self.outlet.underway.get() + length);
            let sets_out = office.healed(self.direction, taken).await;
            let verdict = office.judge(path, (taken, sets_out), self.direction, length);
            let Verdict::Deliver { at, .. } = verdict else {
                unreachable!("a stream loses nothing")
            };
            let piece = if length == 0 { Piece::End } else { Piece::Bytes(bytes) };
            office.courier.post(at, Rc::clone(&self.outlet) as _, piece);
            if length == 0 {
                return Ok(());
            }
        }
    }

    async fn read(&self) -> io::Result<Bytes> {
        thread_local! {
            // One for all connections of this thread: a thousand that are silent hold no memory.
            static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_MAX]);
        }
        loop {
            self.from.readable().await?;
            let read = BUFFER.with_borrow_mut(|buffer| {
                let length = self.from.try_read(buffer)?;
                Ok::<_, io::Error>(Bytes::copy_from_slice(&buffer[..length]))
            });
            match read {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

/// Where a direction comes out.
struct Outlet {
    to: Rc<TcpStream>,
    /// What has arrived and does not fit into the socket.
    backlog: RefCell<VecDeque<Piece>>,
    is_waiting: Cell<bool>,
    underway: Cell<usize>,
    room: Notify,
}

impl Outlet {
    fn new(to: Rc<TcpStream>) -> Rc<Self> {
        Rc::new(Self {
            to,
            backlog: RefCell::default(),
            is_waiting: Cell::new(false),
            underway: Cell::new(0),
            room: Notify::new(),
        })
    }

    async fn has_room(&self) {
        while self.underway.get() > UNDERWAY_MAX {
            self.room.notified().await;
        }
    }

    /// Writes what the socket takes; `WouldBlock` says that something is left for later.
    fn flush(&self) -> io::Result<()> {
        let mut backlog = self.backlog.borrow_mut();
        while let Some(piece) = backlog.front_mut() {
            match piece {
                Piece::Bytes(bytes) if bytes.has_remaining() => {
                    let written = self.to.try_write(bytes)?;
                    bytes.advance(written);
                    self.underway.set(self.underway.get() - written);
                    self.room.notify_one();
                    continue;
                }
                Piece::Bytes(_) => {}
                Piece::End => SockRef::from(&*self.to).shutdown(Shutdown::Write)?,
            }
            backlog.pop_front();
        }
        Ok(())
    }

    /// Whoever is gone takes nothing more.
    fn give_up(&self) {
        self.backlog.borrow_mut().clear();
        self.underway.set(0);
        self.room.notify_one();
    }
}

impl Door for Outlet {
    fn take(self: Rc<Self>, piece: Piece) {
        self.backlog.borrow_mut().push_back(piece);
        if self.is_waiting.get() {
            return;
        }
        match self.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_waiting.set(true);
                spawn_local(later(self));
            }
            Err(_) => self.give_up(),
            Ok(()) => {}
        }
    }
}

async fn later(outlet: Rc<Outlet>) {
    let flushed = loop {
        if let Err(error) = outlet.to.writable().await {
            break Err(error);
        }
        match outlet.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            flushed => break flushed,
        }
    };
    if flushed.is_err() {
        outlet.give_up();
    }
    outlet.is_waiting.set(false);
}
