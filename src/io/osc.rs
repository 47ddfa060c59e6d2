//! OSC in: a button of an operator's surface is a command.
//!
//! In: datagrams. Out: commands to the engine. A datagram that is no OSC, or whose address means nothing here, is
//! dropped with a line in the log. Never here: what an address means.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use engine::surface::{self, Meaning};
use engine::told::{Command, Request};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::Instant;
use units::CommandId;
use wire::osc::{DATAGRAM_MAX, Message, parse};

use crate::conductor::EngineHandle;

/// A socket for surfaces, IPv4 and IPv6; call it inside the runtime.
///
/// # Errors
/// Where the port is taken or not ours to have.
pub fn bind(port: u16) -> io::Result<UdpSocket> {
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    open(both).or_else(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Err(error),
        _ => open(four), // a machine without IPv6
    })
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// A surface that sends what means nothing here tells so within it; a flood of nonsense is no flood of the log.
const COMPLAINT_EVERY: Duration = Duration::from_secs(1);

/// What the log is told of what came in vain: one line at a time, with how many there were since the last.
#[derive(Debug, Default)]
struct Complaints {
    said: Option<Instant>,
    held_back: u64,
}

impl Complaints {
    fn say(&mut self, line: impl FnOnce(u64)) {
        if self.said.is_some_and(|said| said.elapsed() < COMPLAINT_EVERY) {
            self.held_back += 1;
            return;
        }
        self.said = Some(Instant::now());
        line(std::mem::take(&mut self.held_back));
    }
}

/// Listens until the engine has gone.
pub async fn listen(socket: UdpSocket, engine: EngineHandle) {
    // One octet more than is looked at, so that what is too long is seen to be.
    let mut buffer = [0; DATAGRAM_MAX + 1];
    let mut complaints = Complaints::default();
    for counted in 0_u64.. {
        // An error here is news of somebody's closed port, and concerns no other datagram.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let commands = commands(&buffer[..length], from, &mut complaints);
        for (place, command) in commands.into_iter().enumerate() {
            let id = CommandId(format!("osc {from} {counted}.{place}"));
            let from = format!("osc {}", from.ip().to_canonical());
            // A refusal is in the story already, with its reason.
            if engine.command(Request { id, command, from }).await.is_err() {
                return;
            }
        }
    }
}

fn commands(datagram: &[u8], from: SocketAddr, complaints: &mut Complaints) -> Vec<Command> {
    let messages = parse(datagram).unwrap_or_else(|error| {
        complaints.say(|more| tracing::warn!(%from, %error, more, "a datagram on the OSC port"));
        Vec::new()
    });
    let meant = |message: Message| match surface::meaning(&message) {
        Meaning::Do(command) => Some(command),
        Meaning::LetGo => None,
        Meaning::Nothing => {
            let address = &message.address;
            complaints.say(|more| tracing::warn!(%from, address, more, "no such OSC address"));
            None
        }
    };
    messages.into_iter().filter_map(meant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_nonsense_is_one_line_of_the_log() {
        let (mut complaints, mut lines) = (Complaints::default(), Vec::new());
        for _ in 0..1_000 {
            complaints.say(|more| lines.push(more));
        }
        assert_eq!(lines, [0]);
        complaints.said = None;
        complaints.say(|more| lines.push(more));
        assert_eq!(lines, [0, 999]);
    }
}
