//! What crosses the cable of a [`Lan`], read by the kernel beside the programs that it is for.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};

use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use socket2::{Domain, Protocol, Socket, Type};

use super::lan::{Lan, Side};
use super::rig::{Heard, art_dmx, sacn_data};

/// What `if_ether.h` calls IPv4, as a packet socket has it: in the network's order.
const IPV4: i32 = 0x0800_u16.to_be() as i32;
const UDP: u8 = 17;
/// Ten seconds of two universes are a tenth of this.
const ROOM: usize = 32 << 20;
const SACN: u16 = 5568;
const ARTNET: u16 = 6454;
const ART_DMX: u16 = 0x5000;

/// Levels of one universe, sACN's or Art-Net's.
#[derive(Debug)]
struct Frame {
    /// Universe or port address.
    number: u16,
    /// It is its source's goodbye, and its levels are nobody's (rule S8).
    terminated: bool,
    slots: Vec<u8>,
}

/// Every frame that arrives on one of the machines, from when this is opened. It takes nothing away.
pub struct Tap {
    socket: Socket,
    from: Ipv4Addr,
    frames: Vec<Frame>,
}

impl Tap {
    /// Those that `from` sends.
    pub fn new(lan: &Lan, side: Side, from: Ipv4Addr) -> Self {
        let open = || Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(IPV4)));
        let socket = lan.on(side, open).expect("root may have a packet socket");
        setsockopt(&socket, RcvBufForce, &ROOM).expect("root may have a large one");
        socket.set_nonblocking(true).expect("the kernel knows it");
        Self { socket, from, frames: Vec::new() }
    }

    /// Those of a universe or port address until now, each once where it was repeated.
    pub fn frames(&mut self, number: u16) -> Vec<Vec<u8>> {
        self.listen();
        let live = self.frames.iter().filter(|it| it.number == number && !it.terminated);
        let mut frames: Vec<_> = live.map(|it| it.slots.clone()).collect();
        frames.dedup();
        frames
    }

    fn listen(&mut self) {
        let mut bytes = [0; 2048];
        while let Ok(length) = (&self.socket).read(&mut bytes) {
            let datagram = self.datagram(&bytes[..length]);
            self.frames.extend(datagram.as_ref().and_then(frame));
        }
    }

    /// A datagram of UDP in a packet of IPv4 (RFC 791, 768) that is whole, as those of lighting are.
    fn datagram(&self, packet: &[u8]) -> Option<(u16, Heard)> {
        let header = usize::from(packet.first()? & 0x0f) * 4;
        let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
        let udp = packet.get(header..usize::from(u16::from_be_bytes([packet[2], packet[3]])))?;
        if packet[9] != UDP || Ipv4Addr::from(source) != self.from {
            return None;
        }
        let word = |at: usize| Some(u16::from_be_bytes([*udp.get(at)?, *udp.get(at + 1)?]));
        let from = SocketAddr::from((source, word(0)?));
        Some((word(2)?, Heard { at: 0, from, bytes: udp.get(8..)?.to_vec() }))
    }
}

fn frame((port, heard): &(u16, Heard)) -> Option<Frame> {
    match *port {
        SACN => sacn_data(heard).filter(|data| data.values.first() == Some(&0)).map(|data| Frame {
            number: data.universe,
            terminated: data.terminated,
            slots: data.values[1..].to_vec(),
        }),
        ARTNET if heard.bytes.get(8..10) == Some(&ART_DMX.to_le_bytes()) => {
            art_dmx(heard).map(|(number, _, slots)| Frame { number, terminated: false, slots })
        }
        _ => None,
    }
}
