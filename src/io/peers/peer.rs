//! One phone's machine: str0m's, with what we remember beside it.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::peers::{Backlog, Channel};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelId, Reliability};
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaTime, Mid};
use str0m::net::{Protocol, Transmit};
use str0m::stats::PeerStats;
use str0m::{Candidate, Input, Output, Rtc, RtcConfig, RtcError};

use super::{Frame, Traffic, Words};

/// Bytes that may wait for one phone, sent or not, until it has acknowledged them.
const WAITING_MAX: usize = 128 << 10;
/// Chunks of live sound that may wait for one phone: half a second of them, which is more than any buffer holds.
const LIVE_WAITING_MAX: usize = 25;
/// Of that, what live pictures take: sound and pages have room beside them.
const PICTURES_WAITING_MAX: usize = 96 << 10;
/// A page of a score is an envelope of some kilobytes.
const MESSAGE_MAX: u32 = 64 << 10;
/// How often str0m counts.
const STATS_EVERY: Duration = Duration::from_secs(2);
/// Addresses that one phone may knock from until it restarts: str0m keeps each, and a phone has a handful.
const SOURCES_MAX: usize = 32;
/// Addresses of ours that one phone may knock at; a machine may answer to millions (127.0.0.0/8).
const PLACES_MAX: usize = 16;
/// A question of ICE is asked so often, each time later, until its way counts as lost: after some ten seconds.
const QUESTIONS_MAX: usize = 5;
/// Opus always counts at this rate (RFC 7587, 4.1).
const OPUS_HZ: Frequency = Frequency::FORTY_EIGHT_KHZ;

/// What all machines share.
#[derive(Debug, Clone)]
pub(super) struct Making {
    pub provider: Arc<CryptoProvider>,
    pub certificate: DtlsCert,
}

impl Making {
    pub(super) fn new() -> Option<Self> {
        let provider = Arc::new(str0m::crypto::from_feature_flags());
        let certificate = provider.dtls_provider.generate_certificate()?;
        Some(Self { provider, certificate })
    }
}

pub(super) struct Peer {
    pub rtc: Rtc,
    pub wake: Instant,
    /// What it is called by those who knock.
    pub ufrag: String,
    pub channels: BTreeMap<Channel, ChannelId>,
    pub traffic: BTreeMap<Channel, Traffic>,
    pub track: Option<Mid>,
    pub stats: Option<PeerStats>,
    pub loss: Option<f64>,
    pub dropped: u64,
    /// Live pictures that wait for it.
    pub backlog: Backlog<Bytes>,
    /// Whether it was told that it does not take those that are on air.
    pub knows: bool,
    pub ways: u64,
    has_way: bool,
    pending: Option<SdpPendingOffer>,
    sources: VecDeque<SocketAddr>,
    places: Vec<IpAddr>,
}

/// A data channel as the phone opened it.
pub(super) struct Opened {
    pub ordered: bool,
    pub reliable: bool,
}

impl Peer {
    pub(super) fn new(now: Instant, making: &Making) -> Self {
        let mut config = RtcConfig::new();
        config.set_max_stun_retransmits(QUESTIONS_MAX);
        let rtc = config
            .set_crypto_provider(making.provider.clone())
            .set_dtls_cert(making.certificate.clone())
            .clear_codecs()
            .enable_opus(true, false)
            .set_sctp_max_buffered_amount(WAITING_MAX)
            .set_sctp_max_message_size(MESSAGE_MAX)
            .set_stats_interval(Some(STATS_EVERY))
            .build(now);
        Self {
            rtc,
            wake: now,
            ufrag: String::new(),
            channels: BTreeMap::new(),
            traffic: BTreeMap::new(),
            track: None,
            stats: None,
            loss: None,
            dropped: 0,
            backlog: Backlog::default(),
            knows: false,
            ways: 0,
            has_way: false,
            pending: None,
            sources: VecDeque::new(),
            places: Vec::new(),
        }
    }

    /// An address of ours that the phone may come to.
    pub(super) fn add_place(&mut self, place: SocketAddr) {
        if self.places.len() < PLACES_MAX
            && !self.places.contains(&place.ip())
            && let Ok(candidate) = Candidate::host(place, Protocol::Udp)
        {
            self.places.push(place.ip());
            self.rtc.add_local_candidate(candidate);
        }
    }

    /// The same seen from beyond a NAT.
    pub(super) fn add_announced(&mut self, announced: SocketAddr, port: u16) {
        let base = self.places.iter().find(|it| it.is_ipv4() == announced.is_ipv4());
        let base = base.map(|&ip| SocketAddr::new(ip, port));
        if let Some(base) = base
            && let Ok(candidate) = Candidate::server_reflexive(announced, base, Protocol::Udp)
        {
            self.rtc.add_local_candidate(candidate);
        }
    }

    pub(super) fn accept_offer(&mut self, offer: &str) -> Result<String, RtcError> {
        let offer = SdpOffer::from_sdp_string(offer)
            .map_err(|error| RtcError::RemoteSdp(error.to_string()))?;
        let answer = self.rtc.sdp_api().accept_offer(offer)?.to_sdp_string();
        self.pending = None;
        self.called_by(&answer);
        Ok(answer)
    }

    /// An offer that restarts ICE.
    pub(super) fn restart(&mut self) -> Option<String> {
        let mut changes = self.rtc.sdp_api();
        changes.ice_restart(true);
        let (offer, pending) = changes.apply()?;
        self.pending = Some(pending);
        Some(offer.to_sdp_string())
    }

    pub(super) fn accept_answer(&mut self, answer: &str) -> Result<(), RtcError> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let answer = SdpAnswer::from_sdp_string(answer)
            .map_err(|error| RtcError::RemoteSdp(error.to_string()))?;
        self.rtc.sdp_api().accept_answer(pending, answer)?;
        self.ufrag = self.rtc.direct_api().local_ice_credentials().ufrag;
        self.sources.clear();
        Ok(())
    }

    fn called_by(&mut self, ours: &str) {
        let ufrag = engine::peers::ufrag(ours).unwrap_or_default();
        if ufrag != self.ufrag {
            self.ufrag = ufrag.to_owned();
            self.sources.clear();
        }
    }

    /// Whether a packet is this phone's, and it may come from there.
    pub(super) fn lets_in(&mut self, from: SocketAddr, to: SocketAddr, packet: &Input<'_>) -> bool {
        if self.sources.contains(&from) {
            return true;
        }
        if self.sources.len() >= SOURCES_MAX {
            return false;
        }
        let accepted = self.rtc.accepts(packet);
        if accepted {
            self.add_place(to);
            self.sources.push_back(from);
        }
        accepted
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = SocketAddr> {
        self.sources.iter().copied()
    }

    /// Ends the connection; the packets that say so.
    pub(super) fn goodbye(&mut self) -> Vec<Transmit> {
        let mut last = Vec::new();
        // One that is over has nothing to say.
        let _ = self.rtc.close();
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(packet)) => last.push(packet),
                Ok(Output::Event(_)) => {}
                Ok(Output::Timeout(_)) | Err(_) => return last,
            }
        }
    }

    /// How the phone opened a channel.
    pub(super) fn opened(&mut self, id: ChannelId) -> Option<Opened> {
        let channel = self.rtc.channel(id)?;
        let config = channel.config()?;
        let reliable = config.reliability == Reliability::Reliable;
        Some(Opened { ordered: config.ordered, reliable })
    }

    pub(super) fn close_channel(&mut self, id: ChannelId) {
        self.rtc.direct_api().close_data_channel(id);
    }

    pub(super) fn channel_of(&self, id: ChannelId) -> Option<Channel> {
        self.channels.iter().find_map(|(&channel, &it)| (it == id).then_some(channel))
    }

    /// Whether the machine took it.
    pub(super) fn say(&mut self, channel: Channel, words: &Words) -> bool {
        let Some(mut open) = self.channels.get(&channel).and_then(|&id| self.rtc.channel(id))
        else {
            return false;
        };
        let (binary, bytes) = match words {
            Words::Text(bytes) => (false, bytes),
            Words::Binary(bytes) => (true, bytes),
        };
        let taken = open.write(binary, bytes).unwrap_or(false);
        self.dropped += u64::from(!taken);
        if taken {
            let traffic = self.traffic.entry(channel).or_default();
            traffic.messages_out += 1;
            traffic.bytes_out += bytes.len() as u64;
        }
        taken
    }

    /// A chunk of live sound. Where half a second of it waits already, it would be heard by nobody.
    pub(super) fn say_live(&mut self, chunk: &Bytes) {
        let waits = self.channels.get(&Channel::Media).and_then(|&id| self.rtc.channel(id));
        match waits.map(|mut it| it.buffered_amount()) {
            Some(waiting) if waiting <= LIVE_WAITING_MAX * chunk.len() => {
                self.say(Channel::Media, &Words::Text(chunk.clone()));
            }
            Some(_) => self.dropped += 1,
            None => {}
        }
    }

    /// Says what waits of live pictures, as far as there is room for it; whether it said anything.
    pub(super) fn say_pictures(&mut self) -> bool {
        let mut said = false;
        while let Some(mut open) =
            self.channels.get(&Channel::Media).and_then(|&id| self.rtc.channel(id))
        {
            let room = PICTURES_WAITING_MAX.saturating_sub(open.buffered_amount());
            let Some(text) = self.backlog.poll(room) else { break };
            self.say(Channel::Media, &Words::Text(text));
            said = true;
        }
        said
    }

    /// Counts what was heard.
    pub(super) fn note_heard(&mut self, channel: Channel, bytes: &[u8]) {
        let traffic = self.traffic.entry(channel).or_default();
        traffic.messages_in += 1;
        traffic.bytes_in += bytes.len() as u64;
    }

    /// Sound for its track.
    pub(super) fn play(&mut self, now: Instant, frame: &Frame) {
        let Some(writer) = self.track.and_then(|mid| self.rtc.writer(mid)) else { return };
        let opus = writer.payload_params().find(|it| it.spec().codec == Codec::Opus);
        let Some(pt) = opus.map(|it| it.pt()) else { return };
        let at = MediaTime::new(frame.at, OPUS_HZ);
        let taken = writer.write(pt, now, at, frame.opus.clone()).is_ok();
        self.dropped += u64::from(!taken);
    }

    /// Counts the ways that were found: several that do are one.
    pub(super) fn note_way(&mut self, found: bool) {
        self.ways += u64::from(found && !self.has_way);
        self.has_way = found;
    }

    /// A media line of the phone's: ours is the one that it wants to hear.
    pub(super) fn note_track(&mut self, mid: Mid, direction: Direction) {
        let sends = matches!(direction, Direction::SendOnly | Direction::SendRecv);
        match (sends, self.track) {
            (true, None) => self.track = Some(mid),
            (false, Some(ours)) if ours == mid => self.track = None,
            _ => {}
        }
    }
}
