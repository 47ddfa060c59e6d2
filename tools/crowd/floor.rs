//! The least that a WebSocket server can do: one thread, and every text that a client says is framed once and written to
//! every other with one call each. What that costs is what nobody can be below.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

struct Client {
    stream: TcpStream,
    open: bool,
}

/// The listener's own number among the clients.
const DOOR: u64 = u64::MAX;

/// Serves until the process ends. It takes a client's frame to come whole, as it does on this machine.
///
/// # Errors
/// The kernel's own.
pub fn serve(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, DOOR))?;
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut events = [EpollEvent::empty(); 256];
    let mut buffer = vec![0; 64 << 10];
    loop {
        let found = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..found] {
            if event.data() == DOOR {
                admit(listener, &epoll, &mut clients)?;
                continue;
            }
            let nth = event.data() as usize;
            let Some(client) = &mut clients[nth] else { continue };
            match client.stream.read(&mut buffer) {
                Ok(0) | Err(_) => clients[nth] = None,
                Ok(length) if !client.open => client.open = greet(client, &buffer[..length]),
                Ok(length) => pass_on(&clients, nth, &mut buffer[..length]),
            }
        }
    }
}

fn admit(
    listener: &TcpListener,
    epoll: &Epoll,
    clients: &mut Vec<Option<Client>>,
) -> io::Result<()> {
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, clients.len() as u64))?;
        clients.push(Some(Client { stream, open: false }));
    }
    Ok(())
}

fn greet(client: &mut Client, head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = derive_accept_key(key.unwrap_or_default().trim().as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    client.stream.write_all(answer.as_bytes()).is_ok()
}

/// To everybody but the one who said it.
fn pass_on(clients: &[Option<Client>], from: usize, frame: &mut [u8]) {
    let Some(body) = unmasked(frame) else { return };
    let mut out = vec![0x81];
    match body.len() {
        short @ ..126 => out.push(short as u8),
        length => {
            out.push(126);
            out.extend((length as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
    for (nth, client) in clients.iter().enumerate() {
        if let Some(client) = client.as_ref().filter(|it| it.open && nth != from) {
            let _ = (&client.stream).write(&out);
        }
    }
}

/// The body of a client's text of up to 64 kB (RFC 6455, 5.2).
fn unmasked(frame: &mut [u8]) -> Option<&[u8]> {
    let [kind, length, ..] = *frame else { return None };
    let (length, begin) = match length & 0x7f {
        126 => (usize::from(u16::from_be_bytes(frame.get(2..4)?.try_into().ok()?)), 4),
        127 => return None,
        length => (usize::from(length), 2),
    };
    let mask: [u8; 4] = frame.get(begin..begin + 4)?.try_into().ok()?;
    let body = frame.get_mut(begin + 4..begin + 4 + length)?;
    body.iter_mut().zip(mask.iter().cycle()).for_each(|(octet, mask)| *octet ^= mask);
    (kind & 15 == 1).then_some(body)
}
