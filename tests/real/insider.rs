//! A phone that keeps its word up to its peer connection (ICE, DTLS, SCTP's handshake), and then says in it what it likes.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use str0m::config::DtlsCert;
use str0m::crypto::dtls::{DtlsInstance, DtlsOutput, DtlsVersion};
use str0m::crypto::{CryptoProvider, from_feature_flags};
use str0m::ice::{IceCreds, StunMessage, TransId};
use str0m::{Rtc, RtcConfig};
use tests::targets::sctp::{End, packet};

use crate::the_box::PATIENCE;

/// Larger than any packet of the box's.
const ROOM: usize = 4096;
/// Knocks again after so long.
const KNOCK: Duration = Duration::from_millis(20);
const INIT: u8 = 1;
const COOKIE_ACK: u8 = 11;

/// One that has offered.
pub struct Outsider {
    crypto: CryptoProvider,
    certificate: DtlsCert,
    own: IceCreds,
    /// To be answered by the box.
    pub offer: String,
}

/// One that is in.
pub struct Insider {
    socket: UdpSocket,
    dtls: Box<dyn DtlsInstance>,
    crypto: CryptoProvider,
    own: IceCreds,
    theirs: IceCreds,
    association: End,
    is_in: bool,
    is_over: bool,
    /// What its packets carry, and the number of its first piece of data.
    tag: [u8; 4],
    first: u32,
    pieces: u32,
}

impl Outsider {
    pub fn new() -> Self {
        let crypto = from_feature_flags();
        let certificate = crypto.dtls_provider.generate_certificate().expect("a key");
        let own = IceCreds::new();
        let config = RtcConfig::new().set_dtls_cert(certificate.clone());
        let mut rtc: Rtc = config.set_local_ice_credentials(own.clone()).build(Instant::now());
        let mut change = rtc.sdp_api();
        change.add_channel("time".to_owned());
        let (offer, _) = change.apply().expect("a channel is new");
        Self { crypto, certificate, own, offer: offer.to_sdp_string() }
    }

    /// Goes in by the box's answer.
    pub fn enter(self, answer: &str, to: SocketAddr) -> Insider {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
        socket.connect(to).expect("loopback");
        socket.set_read_timeout(Some(KNOCK)).expect("a timeout");
        let said = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name));
            line.expect("the answer has it").trim().to_owned()
        };
        assert_eq!(said("a=setup:"), "passive", "the phone begins, in DTLS and in SCTP");
        let (provider, now) = (self.crypto.dtls_provider, Instant::now());
        let dtls = provider.new_dtls(&self.certificate, now, DtlsVersion::Dtls12, None);
        let mut insider = Insider {
            socket,
            dtls: dtls.expect("DTLS"),
            crypto: self.crypto,
            own: self.own,
            theirs: IceCreds { ufrag: said("a=ice-ufrag:"), pass: said("a=ice-pwd:") },
            association: End::new(None),
            is_in: false,
            is_over: false,
            tag: [0; 4],
            first: 0,
            pieces: 0,
        };
        insider.dtls.set_active(true);
        insider.meet();
        insider
    }
}

impl Insider {
    /// Sends chunks in one packet; whether the box still listens.
    pub fn say(&mut self, chunks: &[u8]) -> bool {
        self.tell(&packet(self.tag, self.first, chunks))
    }

    /// Sends so many pieces of one octet each, in one packet, of a message that never becomes whole.
    pub fn say_pieces(&mut self, pieces: u32) -> bool {
        let chunks: Vec<u8> = (self.pieces..self.pieces + pieces).flat_map(piece).collect();
        let chunks = chunks.chunks(20).map(|it| self.numbered(it)).collect::<Vec<_>>().concat();
        self.pieces += pieces;
        self.tell(&packet(self.tag, 0, &chunks))
    }

    /// The box's own number of a piece, which counts from where it began.
    fn numbered(&self, piece: &[u8]) -> Vec<u8> {
        let nth = u32::from_be_bytes([piece[4], piece[5], piece[6], piece[7]]);
        [&piece[..4], &self.first.wrapping_add(nth).to_be_bytes(), &piece[8..]].concat()
    }

    fn tell(&mut self, packet: &[u8]) -> bool {
        if self.dtls.send_application_data(packet).is_err() {
            self.is_over = true;
        }
        self.socket.set_nonblocking(true).expect("a socket");
        self.settle();
        while self.hear() {}
        !self.is_over
    }

    fn meet(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.is_in {
            assert!(Instant::now() < end && !self.is_over, "the box lets it in");
            self.knock();
            while self.hear() {}
            let _ = self.dtls.handle_timeout(Instant::now());
            self.settle();
        }
    }

    fn knock(&self) {
        let name = format!("{}:{}", self.theirs.ufrag, self.own.ufrag);
        let knock = StunMessage::binding_request(&name, TransId::new(), true, 7, 1, true);
        self.send_stun(knock, &self.theirs.pass);
    }

    fn send_stun(&self, message: StunMessage<'_>, word: &str) {
        let hmac = self.crypto.sha1_hmac_provider;
        let mut room = [0; ROOM];
        let length = message
            .to_bytes(Some(word.as_bytes()), &mut room, |key, data| hmac.sha1_hmac(key, data))
            .expect("it has room");
        self.send(&room[..length]);
    }

    fn send(&self, packet: &[u8]) {
        // A port that nobody listens at any more is the box's way to say that it is over.
        let _ = self.socket.send(packet);
    }

    /// Takes the next packet, if there is one.
    fn hear(&mut self) -> bool {
        let mut room = [0; ROOM];
        let Ok(length) = self.socket.recv(&mut room) else { return false };
        match room[0] {
            0 | 1 => self.hear_stun(&room[..length]),
            20..=63 => {
                self.is_over |= self.dtls.handle_packet(&room[..length]).is_err();
                self.settle();
            }
            _ => {}
        }
        true
    }

    fn hear_stun(&self, packet: &[u8]) {
        let Ok(message) = StunMessage::parse(packet) else { return };
        if message.is_binding_request() {
            let from = self.socket.peer_addr().expect("it is connected");
            self.send_stun(StunMessage::binding_reply(message.trans_id(), from), &self.own.pass);
        }
    }

    /// Everything that DTLS has to say.
    fn settle(&mut self) {
        let mut room = vec![0; 1 << 16];
        loop {
            match self.dtls.poll_output(&mut room) {
                DtlsOutput::Packet(packet) => drop(self.socket.send(packet)),
                DtlsOutput::ApplicationData(data) => {
                    let data = data.to_vec();
                    self.hear_chunks(data);
                }
                DtlsOutput::Connected => {
                    self.association.begin();
                    self.say_chunks();
                }
                DtlsOutput::CloseNotify => self.is_over = true,
                DtlsOutput::Timeout(_) | DtlsOutput::BufferTooSmall { .. } => return,
                _ => {}
            }
        }
    }

    /// SCTP's handshake; what comes later is not listened to.
    fn hear_chunks(&mut self, packet: Vec<u8>) {
        if self.is_in {
            return;
        }
        self.is_in = packet[12] == COOKIE_ACK;
        self.association.hear(Instant::now(), packet);
        self.say_chunks();
    }

    fn say_chunks(&mut self) {
        for said in self.association.say(Instant::now()) {
            if said[12] == INIT {
                self.first = u32::from_be_bytes([said[28], said[29], said[30], said[31]]);
            }
            self.tag.copy_from_slice(&said[4..8]);
            self.is_over |= self.dtls.send_application_data(&said).is_err();
        }
    }
}

/// One octet of an ordered message, which begins with the first and never ends.
fn piece(nth: u32) -> [u8; 20] {
    let begins = if nth == 0 { 2 } else { 0 };
    let mut piece = [0, begins, 0, 17, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 53, b'x', 0, 0, 0];
    piece[4..8].copy_from_slice(&nth.to_be_bytes());
    piece
}
