//! The bad network before the box: for its streams, and for datagrams where there are some.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use phone::Channel;
use serde::Serialize;
use sim::path::{Carriage, Scenario};
use units::Span;

use super::line::Door;
use super::{Addresses, Way};
use crate::proxy::{Account, Proxy, Settings};

/// One door to the phones: a port for TCP, and over TLS the same one for UDP.
pub(super) struct Network {
    streams: Proxy,
    datagrams: Option<Proxy>,
}

/// What the network did.
#[derive(Debug, Clone, Serialize)]
pub struct Networks {
    /// To `/ws`.
    pub streams: Account,
    /// To `/sync`; none where nobody asks there.
    pub datagrams: Option<Account>,
}

/// A port that is free for TCP is seldom taken for UDP.
const TRIES: usize = 20;

impl Network {
    pub(super) fn start(
        way: Way,
        to: Addresses,
        scenario: Scenario,
        seed: u64,
    ) -> io::Result<Self> {
        let proxy = |port: u16, to: SocketAddr, carriage| {
            let listen = (Ipv4Addr::LOCALHOST, port).into();
            Proxy::start(Settings { listen, to, carriage, scenario, seed, cuts: Vec::new() })
        };
        let secure = match (way, to.https) {
            (Way::WebSocket, _) => {
                let streams = proxy(0, to.http, Carriage::Stream)?;
                return Ok(Self { streams, datagrams: None });
            }
            (Way::WebTransport | Way::Quic, Some(https)) => https,
            (Way::WebTransport | Way::Quic, None) => {
                return Err(io::ErrorKind::AddrNotAvailable.into());
            }
        };
        let mut tries = 0..TRIES;
        loop {
            let streams = proxy(0, secure, Carriage::Stream)?;
            match proxy(streams.address().port(), secure, Carriage::Datagrams) {
                Ok(datagrams) => return Ok(Self { streams, datagrams: Some(datagrams) }),
                Err(_) if tries.next().is_some() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where phones go.
    pub(super) fn door(&self) -> Door {
        let at = self.streams.address();
        if self.datagrams.is_some() { Door::secure(at) } else { Door::plain(at) }
    }

    /// Half of what a phone's way up is longer than its way down.
    pub(super) fn asymmetry(&self, (channel, client): (Channel, SocketAddr)) -> Option<Span> {
        match channel {
            Channel::WebSocket => self.streams.asymmetry(client),
            _ => self.datagrams.as_ref()?.asymmetry(client),
        }
    }

    pub(super) fn account(&self) -> Networks {
        Networks {
            streams: self.streams.account(),
            datagrams: self.datagrams.as_ref().map(Proxy::account),
        }
    }
}
