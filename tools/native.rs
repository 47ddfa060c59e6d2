//! A peer connection that is not the box's kind: the crate `webrtc`, an implementation of its own from ICE to SCTP.
//! Tests and benchmarks meet the box with it as a phone does with its browser.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;
use webrtc::data_channel::{DataChannel, DataChannelEvent, RTCDataChannelInit};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler,
    RTCConfiguration, RTCConfigurationBuilder, RTCIceGatheringState, RTCIceServer,
    RTCIceTransportPolicy, RTCPeerConnectionState, RTCSessionDescription, SettingEngineBuilder,
};
use webrtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use webrtc::runtime::default_runtime;
use wire::solusync::IceServer;

/// Whatever is waited for comes within this, or it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The channels that a phone opens.
pub const CHANNELS: [&str; 3] = ["time", "media", "score"];

/// A phone's end of a peer connection.
pub struct Native {
    connection: Arc<dyn PeerConnection>,
    channels: BTreeMap<&'static str, Line>,
    state: watch::Receiver<RTCPeerConnectionState>,
    gathered: watch::Receiver<u64>,
    track: Mutex<mpsc::UnboundedReceiver<Packet>>,
}

/// A packet of the track.
#[derive(Debug, Clone)]
pub struct Packet {
    /// What is in it.
    pub payload: Bytes,
    /// Its time, in samples at 48 kHz.
    pub timestamp: u32,
}

struct Line {
    channel: Arc<dyn DataChannel>,
    open: watch::Receiver<bool>,
    heard: Mutex<mpsc::UnboundedReceiver<Bytes>>,
}

/// What went wrong, in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// The library says so.
    #[error("{0}")]
    Library(#[from] webrtc::error::Error),
    /// It did not happen in time.
    #[error("{0} did not come in time")]
    Late(&'static str),
    /// The other side has gone.
    #[error("the channel has closed")]
    Closed,
}

struct Ears {
    state: watch::Sender<RTCPeerConnectionState>,
    gathered: watch::Sender<u64>,
    track: mpsc::UnboundedSender<Packet>,
}

#[async_trait]
impl PeerConnectionEventHandler for Ears {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_modify(|times| *times += 1);
        }
    }
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.state.send_replace(state);
    }
    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let packets = self.track.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let timestamp = packet.header.timestamp;
                    // Nobody listens any more.
                    let _ = packets.send(Packet { payload: packet.payload, timestamp });
                }
            }
        });
    }
}

impl Native {
    /// A connection with the three channels, from this address of the machine (`127.0.0.1:0`), and a track if it is
    /// wanted.
    ///
    /// # Errors
    /// [`NativeError::Library`].
    pub async fn new(from: &str, track: bool) -> Result<Self, NativeError> {
        Self::with(from, track, RTCConfiguration::default()).await
    }

    /// The same, with a track, that knows no way but by these TURN servers.
    ///
    /// # Errors
    /// [`NativeError::Library`].
    pub async fn by_relay(from: &str, servers: &[IceServer]) -> Result<Self, NativeError> {
        let server = |it: &IceServer| RTCIceServer {
            urls: it.urls.clone(),
            username: it.username.clone().unwrap_or_default(),
            credential: it.credential.clone().unwrap_or_default(),
        };
        let configuration = RTCConfigurationBuilder::new()
            .with_ice_servers(servers.iter().map(server).collect())
            .with_ice_transport_policy(RTCIceTransportPolicy::Relay)
            .build();
        Self::with(from, true, configuration).await
    }

    async fn with(
        from: &str,
        track: bool,
        configuration: RTCConfiguration,
    ) -> Result<Self, NativeError> {
        let (state_said, state) = watch::channel(RTCPeerConnectionState::New);
        let (gathered_said, gathered) = watch::channel(0);
        let (packets, heard) = mpsc::unbounded_channel();
        let ears = Ears { state: state_said, gathered: gathered_said, track: packets };
        let mut media = MediaEngine::default();
        media.register_default_codecs()?;
        // A phone that comes to another Wi-Fi has other addresses: a restart opens other sockets.
        let settings = SettingEngineBuilder::new()
            .with_discard_local_candidates_during_ice_restart(true)
            .build();
        let connection = PeerConnectionBuilder::new()
            .with_handler(Arc::new(ears))
            .with_runtime(default_runtime().expect("it is built with tokio's"))
            .with_configuration(configuration)
            .with_media_engine(media)
            .with_setting_engine(settings)
            .with_udp_addrs(vec![from.to_owned()])
            .build()
            .await?;
        let connection: Arc<dyn PeerConnection> = Arc::new(connection);
        let mut channels = BTreeMap::new();
        for label in CHANNELS {
            channels.insert(label, Line::open(&connection, label).await?);
        }
        if track {
            let direction = RTCRtpTransceiverDirection::Recvonly;
            let init = RTCRtpTransceiverInit {
                direction,
                streams: Vec::new(),
                send_encodings: Vec::new(),
            };
            connection.add_transceiver_from_kind(RtpCodecKind::Audio, Some(init)).await?;
        }
        Ok(Self { connection, channels, state, gathered, track: Mutex::new(heard) })
    }

    /// A complete offer.
    ///
    /// # Errors
    /// [`NativeError::Library`], [`NativeError::Late`].
    pub async fn offer(&self) -> Result<String, NativeError> {
        let mut gathered = self.gathered.clone();
        gathered.mark_unchanged();
        let offer = self.connection.create_offer(None).await?;
        self.connection.set_local_description(offer).await?;
        // One that has all its candidates already gathers none.
        let _ = timeout(Duration::from_secs(2), gathered.changed()).await;
        let whole = self.connection.local_description().await;
        whole.map(|it| it.sdp).ok_or(NativeError::Late("an offer"))
    }

    /// The box's answer.
    ///
    /// # Errors
    /// [`NativeError::Library`].
    pub async fn accept(&self, answer: &str) -> Result<(), NativeError> {
        let answer = RTCSessionDescription::answer(answer.to_owned())?;
        Ok(self.connection.set_remote_description(answer).await?)
    }

    /// An offer that restarts ICE, from other sockets.
    ///
    /// # Errors
    /// [`NativeError::Library`], [`NativeError::Late`].
    pub async fn restart(&self) -> Result<String, NativeError> {
        self.connection.restart_ice().await?;
        self.offer().await
    }

    /// An answer to the box's offer.
    ///
    /// # Errors
    /// [`NativeError::Library`].
    pub async fn answer(&self, offer: &str) -> Result<String, NativeError> {
        let offer = RTCSessionDescription::offer(offer.to_owned())?;
        self.connection.set_remote_description(offer).await?;
        let answer = self.connection.create_answer(None).await?;
        self.connection.set_local_description(answer.clone()).await?;
        Ok(answer.sdp)
    }

    /// Waits until all channels are open.
    ///
    /// # Errors
    /// [`NativeError::Late`], [`NativeError::Closed`].
    pub async fn opened(&self) -> Result<(), NativeError> {
        for line in self.channels.values() {
            let mut open = line.open.clone();
            let opened = timeout(PATIENCE, open.wait_for(|open| *open)).await;
            opened.map_err(|_| NativeError::Late("a channel"))?.map_err(|_| NativeError::Closed)?;
        }
        Ok(())
    }

    /// Waits for a state of the whole connection.
    ///
    /// # Errors
    /// [`NativeError::Late`].
    pub async fn comes_to(&self, wanted: RTCPeerConnectionState) -> Result<(), NativeError> {
        let mut state = self.state.clone();
        let come = timeout(PATIENCE, state.wait_for(|state| *state == wanted)).await;
        come.is_ok().then_some(()).ok_or(NativeError::Late("a state"))
    }

    /// Says something on a channel.
    ///
    /// # Errors
    /// [`NativeError::Library`].
    pub async fn say(&self, label: &str, bytes: &[u8]) -> Result<(), NativeError> {
        Ok(self.channels[label].channel.send(BytesMut::from(bytes)).await?)
    }

    /// The next message on a channel.
    ///
    /// # Errors
    /// [`NativeError::Late`], [`NativeError::Closed`].
    pub async fn hear(&self, label: &str) -> Result<Bytes, NativeError> {
        let mut heard = self.channels[label].heard.lock().await;
        let word = timeout(PATIENCE, heard.recv()).await;
        word.map_err(|_| NativeError::Late("a message"))?.ok_or(NativeError::Closed)
    }

    /// The next packet of the track.
    ///
    /// # Errors
    /// [`NativeError::Late`], [`NativeError::Closed`].
    pub async fn sound(&self) -> Result<Packet, NativeError> {
        let packet = timeout(PATIENCE, async { self.track.lock().await.recv().await }).await;
        packet.map_err(|_| NativeError::Late("sound"))?.ok_or(NativeError::Closed)
    }

    /// Ends it.
    ///
    /// # Errors
    /// [`NativeError::Library`].
    pub async fn close(&self) -> Result<(), NativeError> {
        Ok(self.connection.close().await?)
    }
}

impl Line {
    async fn open(
        connection: &Arc<dyn PeerConnection>,
        label: &'static str,
    ) -> Result<Self, NativeError> {
        let unordered = RTCDataChannelInit {
            ordered: false,
            max_retransmits: Some(0),
            ..RTCDataChannelInit::default()
        };
        let init = (label == "time").then_some(unordered);
        let channel = connection.create_data_channel(label, init).await?;
        let (opened, open) = watch::channel(false);
        let (words, heard) = mpsc::unbounded_channel();
        let listens = channel.clone();
        tokio::spawn(async move {
            while let Some(event) = listens.poll().await {
                match event {
                    DataChannelEvent::OnOpen => drop(opened.send_replace(true)),
                    DataChannelEvent::OnMessage(message) => {
                        // Nobody listens any more.
                        let _ = words.send(message.data.freeze());
                    }
                    DataChannelEvent::OnClose => break,
                    _ => {}
                }
            }
        });
        Ok(Self { channel, open, heard: Mutex::new(heard) })
    }
}
