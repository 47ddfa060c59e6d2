//! One client: its socket, its place in the dialect, and the octets of a frame that has not come whole.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::{Domain, Socket, Type};

use super::dialect::{Dialect, number};
use super::{Manner, Party};

/// A client, from its knock on.
pub(super) struct Guest {
    stream: Stream,
    part: Vec<u8>,
    at: At,
    told: String,
    /// So many octets of a word of a flood are on their way.
    begun: usize,
}

/// A socket, plain or over TLS.
struct Stream {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

/// Where in the dialect it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Door,
    Step(usize),
    Inside,
}

/// What came of hearing it.
pub(super) enum Step {
    On,
    Joined,
    Gone { had_joined: bool },
}

/// The kernel answers on this machine at once, unless its queue at the door is full.
const DOOR_PATIENCE: Duration = Duration::from_secs(1);
/// So many words of a flood at once.
const FLOOD: usize = 200;
/// Who does not read is to be noticed within a measurement, not when megabytes have piled up.
const DEAF_BUFFER: usize = 4096;

impl Guest {
    pub(super) fn knock(
        party: &Party,
        from: Ipv4Addr,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if party.manner == Manner::Deaf {
            socket.set_recv_buffer_size(DEAF_BUFFER)?;
        }
        socket.bind(&SocketAddr::from((from, 0)).into())?;
        socket.connect_timeout(&party.to.into(), DOOR_PATIENCE)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let tls = tls.map(|config| {
            let name = ServerName::from(party.to.ip());
            ClientConnection::new(config.clone(), name).map(Box::new)
        });
        let tls = tls.transpose().map_err(io::Error::other)?;
        let stream = Stream { tcp: socket.into(), tls };
        let mut guest =
            Self { stream, part: Vec::new(), at: At::Door, told: String::new(), begun: 0 };
        let (path, to) = (&party.dialect.path, party.to);
        guest.write(
            format!(
                "GET {path} HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            .as_bytes(),
        )?;
        Ok(guest)
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.stream.tcp
    }

    pub(super) fn told(&self) -> &str {
        &self.told
    }

    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.write(&frame(TEXT, text.as_bytes()))
    }

    /// The head of a message of 60 kB, of which octets follow one by one.
    pub(super) fn begin_a_long_word(&mut self) -> io::Result<()> {
        self.write(&frame(TEXT, &[b'x'; 60_000])[..8])
    }

    /// As much of a flood as the socket takes; it goes on in the middle of a word.
    pub(super) fn flood(&mut self) -> io::Result<()> {
        let word = frame(TEXT, b"x");
        let taken = self.stream.write(&word.repeat(FLOOD)[self.begun..])?;
        self.begun = (self.begun + taken) % word.len();
        Ok(())
    }

    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)
    }

    /// Reads once, and goes on in the dialect with whatever came; `note` hears the number of each word.
    pub(super) fn hear(
        &mut self,
        buffer: &mut [u8],
        dialect: &Dialect,
        mut note: impl FnMut(u32),
    ) -> Step {
        let had_joined = self.at == At::Inside;
        match self.stream.read(buffer) {
            Ok(0) => return Step::Gone { had_joined },
            Ok(length) => self.part.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::On,
            Err(_) => return Step::Gone { had_joined },
        }
        match self.go_on(dialect, &mut note) {
            Err(_) => Step::Gone { had_joined },
            Ok(()) if !had_joined && self.at == At::Inside => Step::Joined,
            Ok(()) => Step::On,
        }
    }

    fn go_on(&mut self, dialect: &Dialect, note: &mut impl FnMut(u32)) -> io::Result<()> {
        let mut part = std::mem::take(&mut self.part);
        let mut used = 0;
        if self.at == At::Door {
            let Some(end) = part.windows(4).position(|it| it == b"\r\n\r\n") else {
                self.part = part;
                return Ok(());
            };
            if !part.starts_with(b"HTTP/1.1 101") {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            used = end + 4;
            self.enter(dialect, 0)?;
        }
        while let Some((kind, body, next)) = next_frame(&part, used) {
            used = next;
            self.handle(kind, &part[body], dialect, note)?;
        }
        part.drain(..used);
        self.part = part;
        Ok(())
    }

    fn handle(
        &mut self,
        kind: u8,
        body: &[u8],
        dialect: &Dialect,
        note: &mut impl FnMut(u32),
    ) -> io::Result<()> {
        match kind {
            PING => return self.write(&frame(PONG, body)),
            CLOSE => return Err(io::ErrorKind::ConnectionAborted.into()),
            _ => {}
        }
        if let Some((_, answer)) = dialect.answer.as_ref().filter(|it| it.0.as_bytes() == body) {
            return self.say(answer);
        }
        match self.at {
            At::Inside => number(body).into_iter().for_each(note),
            At::Step(nth) => {
                let text = String::from_utf8_lossy(body);
                let heard = text.contains(&dialect.steps[nth].hear);
                self.told.push_str(&text);
                if heard {
                    self.enter(dialect, nth + 1)?;
                }
            }
            At::Door => {}
        }
        Ok(())
    }

    /// Says what belongs to a step, and to those after it that wait for nothing.
    fn enter(&mut self, dialect: &Dialect, nth: usize) -> io::Result<()> {
        for (nth, step) in dialect.steps.iter().enumerate().skip(nth) {
            if !step.say.is_empty() {
                self.say(&step.say)?;
            }
            if !step.hear.is_empty() {
                self.at = At::Step(nth);
                return Ok(());
            }
        }
        self.at = At::Inside;
        if dialect.capture.is_empty() {
            self.told = String::new();
        }
        Ok(())
    }
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.read(buffer) };
        if tls.read_tls(&mut self.tcp)? == 0 {
            return Ok(0);
        }
        tls.process_new_packets().map_err(io::Error::other)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.tcp)?;
        }
        tls.reader().read(buffer)
    }

    /// How much of it was taken.
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.write(octets) };
        let taken = tls.writer().write(octets)?;
        while tls.wants_write() && tls.write_tls(&mut self.tcp).is_ok() {}
        Ok(taken)
    }

    fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return self.tcp.write_all(octets) };
        tls.writer().write_all(octets)?;
        while tls.wants_write() {
            tls.write_tls(&mut self.tcp)?;
        }
        Ok(())
    }
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A client's frame (RFC 6455, 5.2). A mask of zero leaves the body as it is.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind];
    match body.len() {
        short @ ..126 => frame.push(0x80 | short as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(body);
    frame
}

/// A server's frame from `at` on: its kind, where its body is, and where the next begins; none if it has not come whole.
fn next_frame(octets: &[u8], at: usize) -> Option<(u8, std::ops::Range<usize>, usize)> {
    let head = octets.get(at..at + 2)?;
    let (length, begin) = match head[1] & 0x7f {
        126 => {
            let length = octets.get(at + 2..at + 4)?;
            (usize::from(u16::from_be_bytes(length.try_into().ok()?)), at + 4)
        }
        127 => {
            let length = octets.get(at + 2..at + 10)?;
            (usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok()?, at + 10)
        }
        length => (usize::from(length), at + 2),
    };
    let end = begin.checked_add(length).filter(|end| *end <= octets.len())?;
    Some((head[0] & 15, begin..end, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_whole_or_waited_for() {
        let mut octets = vec![0x81, 2, b'h', b'i', 0x81, 126, 1, 0];
        octets.extend([b'x'; 256]);
        assert_eq!(next_frame(&octets, 0), Some((TEXT, 2..4, 4)));
        assert_eq!(next_frame(&octets, 4), Some((TEXT, 8..264, 264)));
        assert_eq!(next_frame(&octets[..263], 4), None);
        assert_eq!(next_frame(&octets, 264), None);
    }
}
