//! Sound for the tracks of all phones: made once, encoded once, sent to each.
//!
//! In: what is to be heard. Out: a packet of Opus every 20 ms. On a thread of its own with an absolute timer; the hub's
//! queue is never waited for.

use std::f32::consts::TAU;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::sound::Pcm;
use opus::{Application, Bitrate, Channels, Encoder};

use super::{Frame, PeersHandle};

/// Opus's own rate (RFC 7587, 4.1).
pub const TRACK_HZ: u32 = 48_000;
/// What every browser expects (RFC 7874, 4).
const PACKET: Duration = Duration::from_millis(20);
const FRAMES: usize = TRACK_HZ as usize / 50;
/// Music in stereo, transparent to most ears; a thousand phones are 96 Mbit/s of it.
const BITS_PER_SECOND: i32 = 96_000;
/// A packet is never larger at that rate.
const PACKET_MAX: usize = 1_275;
/// So many packets late, the machine stood still: what was missed is left out.
const LATE_MAX: u32 = 10;
/// Not a whole part of any rate, so that a packet lost or doubled is to be seen in the wave.
const TONE_HZ: f32 = 997.0;
/// -12 dBFS.
const TONE_LEVEL: f32 = 0.25;

/// What is to be heard.
#[derive(Debug, Clone)]
pub enum Sound {
    /// A sine of 997 Hz.
    Tone,
    /// A file at [`TRACK_HZ`], over and over: its first two channels.
    File(Pcm),
}

/// The thread that makes it. Dropping it is silence.
#[derive(Debug)]
pub struct Air {
    orders: Option<Sender<Option<Sound>>>,
    thread: Option<JoinHandle<()>>,
}

impl Air {
    /// Silence, to begin with.
    ///
    /// # Errors
    /// Where the system gives no thread, or libopus no encoder.
    pub fn start(hub: PeersHandle) -> io::Result<Self> {
        let mut encoder = Encoder::new(TRACK_HZ, Channels::Stereo, Application::Audio)
            .map_err(io::Error::other)?;
        encoder.set_bitrate(Bitrate::Bits(BITS_PER_SECOND)).map_err(io::Error::other)?;
        // On Wi-Fi some packets are lost: each carries a coarse copy of the one before.
        encoder.set_inband_fec(true).map_err(io::Error::other)?;
        encoder.set_packet_loss_perc(5).map_err(io::Error::other)?;
        let (orders, heard) = channel();
        let studio = Studio { hub, encoder, at: 0 };
        let thread =
            std::thread::Builder::new().name("air".into()).spawn(move || studio.run(&heard))?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// This from now on; none is silence, for which nothing is sent.
    pub fn play(&self, sound: Option<Sound>) {
        if let Some(orders) = &self.orders {
            // A thread that is gone plays nothing.
            let _ = orders.send(sound);
        }
    }
}

impl Drop for Air {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Studio {
    hub: PeersHandle,
    encoder: Encoder,
    /// Frames since the track began; silence counts as well.
    at: u64,
}

impl Studio {
    fn run(mut self, orders: &Receiver<Option<Sound>>) {
        let began = Instant::now();
        while let Ok(order) = orders.recv() {
            let Some(mut sound) = order else { continue };
            self.at = whole_packets(began.elapsed()) * FRAMES as u64;
            loop {
                self.send(&sound);
                let due = began + PACKET * u32::try_from(self.at / FRAMES as u64).unwrap_or(0);
                if due + PACKET * LATE_MAX < Instant::now() {
                    self.at = whole_packets(began.elapsed()) * FRAMES as u64;
                }
                match orders.recv_timeout(due.saturating_duration_since(Instant::now())) {
                    Ok(Some(next)) => sound = next,
                    Ok(None) => break,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }
    }

    fn send(&mut self, sound: &Sound) {
        let mut pcm = [0.0; 2 * FRAMES];
        sound.fill(self.at, &mut pcm);
        match self.encoder.encode_vec_float(&pcm, PACKET_MAX) {
            // A hub that has no room is behind; what it does not get it need not send.
            Ok(opus) => drop(self.hub.frame(Frame { opus: opus.into(), at: self.at })),
            Err(error) => tracing::warn!(%error, "sound was not encoded"),
        }
        self.at += FRAMES as u64;
    }
}

fn whole_packets(gone: Duration) -> u64 {
    (gone.as_nanos() / PACKET.as_nanos()) as u64
}

impl Sound {
    /// Both channels, one frame after the other.
    fn fill(&self, at: u64, pcm: &mut [f32; 2 * FRAMES]) {
        for (frame, at) in pcm.as_chunks_mut::<2>().0.iter_mut().zip(at..) {
            *frame = self.frame(at);
        }
    }

    fn frame(&self, at: u64) -> [f32; 2] {
        match self {
            Self::Tone => {
                let turns = (at % u64::from(TRACK_HZ)) as f32 * (TONE_HZ / TRACK_HZ as f32);
                [TONE_LEVEL * (turns.fract() * TAU).sin(); 2]
            }
            Self::File(pcm) => {
                let place = at.checked_rem(pcm.frames() as u64).unwrap_or(0) as usize;
                let sample = |channel| pcm.plane(channel)?.get(place).copied();
                let left = sample(0).unwrap_or(0.0);
                [left, sample(1).unwrap_or(left)]
            }
        }
    }
}
