//! OSC in: a button of an operator's surface is a command.
//!
//! In: datagrams. Out: commands to the engine. A datagram that is no OSC, or whose address means nothing here, is
//! dropped with a line in the log. Never here: what an address means.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use engine::surface;
use engine::told::{Command, Request};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
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

/// Listens until the engine has gone.
pub async fn listen(socket: UdpSocket, engine: EngineHandle) {
    // One octet more than is looked at, so that what is too long is seen to be.
    let mut buffer = [0; DATAGRAM_MAX + 1];
    for counted in 0_u64.. {
        // An error here is news of somebody's closed port, and concerns no other datagram.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        for (place, command) in commands(&buffer[..length], from).into_iter().enumerate() {
            let id = CommandId(format!("osc {from} {counted}.{place}"));
            let from = format!("osc {}", from.ip().to_canonical());
            // A refusal is in the story already, with its reason.
            if engine.command(Request { id, command, from }).await.is_err() {
                return;
            }
        }
    }
}

fn commands(datagram: &[u8], from: SocketAddr) -> Vec<Command> {
    let messages = parse(datagram).unwrap_or_else(|error| {
        tracing::warn!(%from, %error, "a datagram on the OSC port");
        Vec::new()
    });
    let meant = |message: Message| {
        let command = surface::command(&message.address);
        if command.is_none() {
            tracing::warn!(%from, address = message.address, "no such OSC address");
        }
        command
    };
    messages.into_iter().filter(|message| !message.released).filter_map(meant).collect()
}
