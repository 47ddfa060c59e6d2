//! What a phone sends inside its peer connection: chunks of SCTP, true in tag and checksum, to the crate that str0m
//! gives them to. Whatever they hold is answered a few times at most, and the box's end goes on or ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event,
    Payload, ServerConfig, StreamEvent, Transmit,
};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "sctp", folders: &["sctp"], run };

/// A damaged packet that is answered more often makes the box a lever.
const ANSWERS_MAX: usize = 16;
/// Data, and what tells that data are given up: their numbers count from where the association began.
const NUMBERED: [u8; 3] = [0, 64, 192];

fn run(chunks: &[u8]) {
    thrown(chunks);
}

/// How many octets of messages came of it.
fn thrown(chunks: &[u8]) -> usize {
    let mut now = Instant::now();
    let (mut phone, mut ours) = (End::new(None), End::new(Some(Arc::default())));
    phone.begin();
    let (tag, first) = acquaint(&mut phone, &mut ours, now);
    for _ in 0..2 {
        ours.hear(now, packet(tag, first, chunks));
        let answers = ours.say(now).len();
        assert!(answers <= ANSWERS_MAX, "{answers} answers");
    }
    for _ in 0..16 {
        let Some((_, association)) = &mut ours.association else { break };
        let Some(wake) = association.poll_timeout() else { break };
        now = now.max(wake).min(now + Duration::from_secs(60));
        association.handle_timeout(now);
        let answers = ours.say(now).len();
        assert!(answers <= ANSWERS_MAX, "{answers} tries");
    }
    ours.read
}

/// Brings both ends together; hands back what a packet to the second must carry: its tag, and the first number.
fn acquaint(phone: &mut End, ours: &mut End, now: Instant) -> ([u8; 4], u32) {
    let (mut tag, mut first) = ([0; 4], 0);
    loop {
        let said = phone.say(now);
        if said.is_empty() {
            assert_ne!(tag, [0; 4], "they have met");
            return (tag, first);
        }
        for packet in said {
            if packet[12] == 1 {
                first = u32::from_be_bytes([packet[28], packet[29], packet[30], packet[31]]);
            }
            tag.copy_from_slice(&packet[4..8]);
            ours.hear(now, packet);
        }
        ours.say(now).into_iter().for_each(|packet| phone.hear(now, packet));
    }
}

/// Chunks as a packet that is true in tag and checksum; the number of data counts from `first`.
pub fn packet(tag: [u8; 4], first: u32, chunks: &[u8]) -> Vec<u8> {
    let mut packet = [&[0x13, 0x88, 0x13, 0x88], &tag[..], &[0; 4], chunks].concat();
    if let Some(chunk) = packet.get_mut(12..20).filter(|chunk| NUMBERED.contains(&chunk[0])) {
        let number = u32::from_be_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        chunk[4..].copy_from_slice(&number.wrapping_add(first).to_be_bytes());
    }
    let sum = crc32c(&packet);
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet
}

/// RFC 9260, Appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    let fold = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0x82F6_3B78 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, &octet| (0..8).fold(sum ^ u32::from(octet), |sum, _| fold(sum)))
}

/// An end of an association.
#[derive(Debug)]
pub struct End {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    other: SocketAddr,
    /// Octets of whole messages.
    read: usize,
}

impl End {
    /// One that [`Self::begin`]s, or with a configuration waits for the other.
    pub fn new(server: Option<Arc<ServerConfig>>) -> Self {
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), server);
        Self { endpoint, association: None, read: 0, other: SocketAddr::from(([1, 1, 1, 1], 5000)) }
    }

    /// Says hello first.
    pub fn begin(&mut self) {
        self.association = self.endpoint.connect(ClientConfig::default(), self.other).ok();
    }

    /// A packet has come.
    pub fn hear(&mut self, now: Instant, packet: Vec<u8>) {
        match self.endpoint.handle(now, self.other, None, None, packet.into()) {
            // As str0m: one association a connection.
            Some((handle, DatagramEvent::NewAssociation(new))) if self.association.is_none() => {
                self.association = Some((handle, new));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some((_, association)) = &mut self.association {
                    association.handle_event(event);
                }
            }
            _ => {}
        }
        self.read();
    }

    /// Takes all messages that are whole.
    fn read(&mut self) {
        let Some((handle, association)) = &mut self.association else { return };
        while let Some(event) = association.poll() {
            let Event::Stream(StreamEvent::Readable { id }) = event else { continue };
            let Ok(mut stream) = association.stream(id) else { continue };
            while let Ok(Some(chunks)) = stream.read_sctp() {
                let mut room = vec![0; chunks.len()];
                self.read += chunks.read(&mut room).unwrap_or(0);
            }
        }
        while let Some(event) = association.poll_endpoint_event() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                association.handle_event(event);
            }
        }
    }

    /// What it has to say.
    pub fn say(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut said: Vec<Transmit> =
            std::iter::from_fn(|| self.endpoint.poll_transmit()).collect();
        if let Some((_, association)) = &mut self.association {
            said.extend(
                std::iter::from_fn(|| association.poll_transmit(now)).take(ANSWERS_MAX + 1),
            );
        }
        said.into_iter()
            .flat_map(|it| match it.payload {
                Payload::RawEncode(packets) => packets.iter().map(|it| it.to_vec()).collect(),
                Payload::PartialDecode(_) => Vec::new(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_true_chunk_is_read_once_and_one_out_of_turn_or_of_a_false_length_is_not() {
        let chunk = |length, turn| {
            [&[0, 3, 0, length, 0, 0, 0, 0, 0, 1, 0, turn, 0, 0, 0, 51], &b"abcd"[..]].concat()
        };
        assert_eq!(
            [(20, 0), (20, 1), (99, 0)].map(|(length, turn)| thrown(&chunk(length, turn))),
            [4, 0, 0]
        );
    }
}
