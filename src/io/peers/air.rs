//! Sound and pictures for all phones: made once, encoded once, sent to each.
//!
//! In: what is to be heard, or a film, and from when. Out: a packet of Opus every 20 ms for tracks, and the same as
//! `media_data` (SX-11), whose time says when all phones are to hear it; of a film its pictures as they lie in the file, when
//! `engine::peers::Showing` has them due, and its sound beside them. On a thread of its own with an absolute timer; the
//! hub's queue is never waited for.

use std::f32::consts::TAU;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;

use bytes::Bytes;
use engine::peers::{
    AirLead, Change, Coming, FILM_AHEAD, Made, PACKET, Replayed, Showing, Waiting,
};
use engine::sound::Pcm;
use opus::{Application, Bitrate, Channels, Encoder};
use units::{MonoTime, ShowTime, Span, TrackId, WireTime};
use uuid::Uuid;
use wire::capture::talk::Piece;
use wire::solusync::{self, Header, MediaCodec, MediaData, MediaUntaken, Message};

use super::tape::Tape;
use super::{Frame, Live, PeersHandle, Picture, Untaken};
use crate::chance;
use crate::clock::BoxClock;
use crate::film::{Film, FilmTrouble, Soundtrack, Unit};
use crate::overheard::{Overheard, Tap};
use crate::seal::Sealer;
use crate::sound::LiveInput;

/// Opus's own rate (RFC 7587, 4.1).
pub const TRACK_HZ: u32 = 48_000;
pub(super) const FRAMES: usize = TRACK_HZ as usize / 50;
/// Music in stereo, transparent to most ears; a thousand phones are 96 Mbit/s of it.
const BITS_PER_SECOND: i32 = 96_000;
/// A packet is never larger at that rate.
const PACKET_MAX: usize = 1_275;
/// Of a picture in one message: as base64 it leaves room for others beside it.
const PART_MAX: usize = 30 << 10;
/// So many packets late, the machine stood still: what was missed is left out.
const LATE_MAX: i64 = 10;
/// Not a whole part of any rate, so that a packet lost or doubled is to be seen in the wave.
const TONE_HZ: f32 = 997.0;
/// -12 dBFS.
const TONE_LEVEL: f32 = 0.25;

/// What is to be heard.
pub enum Sound {
    /// A sine of 997 Hz.
    Tone,
    /// A file at [`TRACK_HZ`], over and over: its first two channels.
    File(Pcm),
    /// What an input hears, on both channels.
    Input {
        /// The input.
        input: LiveInput,
        /// Hears why it ended; silence follows.
        lost: Box<dyn Fn(String) + Send>,
    },
    /// What was on air another evening, once.
    Tape {
        /// The capture.
        tape: Box<Tape>,
        /// Hears why it ended before its end.
        lost: Box<dyn Fn(String) + Send>,
    },
    /// A film, over and over.
    Film(Box<Feature>),
}

/// A film with its sound.
pub struct Feature {
    /// Its pictures.
    pub film: Film,
    /// None where it is shown without.
    pub sound: Option<Soundtrack>,
    /// Hears why it ended.
    pub lost: Box<dyn Fn(String) + Send>,
    /// Hears why its sound did; the pictures go on.
    pub mute: Box<dyn Fn(String) + Send>,
}

/// What the thread starts from.
#[derive(Debug)]
pub struct AirSetup {
    /// Where it goes.
    pub hub: PeersHandle,
    /// Says when it is heard.
    pub clock: BoxClock,
    /// TAI minus UTC, frozen for the show.
    pub tai_utc: Span,
    /// Who says it.
    pub node: Uuid,
    /// From sent to heard, at every phone that keeps up.
    pub delay: Span,
    /// Seals it for who has the show's key; none where everybody may hear it.
    pub seal: Option<Sealer>,
    /// Who records it.
    pub overheard: Overheard,
}

/// The thread that makes it. Dropping it is silence.
#[derive(Debug)]
pub struct Air {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    lead: AirLead,
}

/// What becomes of what is on air.
enum Order {
    /// From a time on it is this.
    Play { at: ShowTime, sound: Wanted },
    /// It goes on.
    Stay,
}

/// What is to be heard; none is silence.
type Wanted = Option<(TrackId, Sound)>;

struct OnAir {
    track: TrackId,
    sound: Sound,
    /// Made before, it would be heard too early.
    begins: MonoTime,
    /// Of the next chunk of sound.
    index: u64,
    screening: Screening,
    /// Whose pictures a capture has on air, and what others hear.
    retold: Retold,
}

/// A film of a capture, and what phones hear that do not take it.
type Retold = Option<(TrackId, MediaCodec, Untaken)>;

/// How far a film is.
#[derive(Default)]
struct Screening {
    times: Showing,
    /// Not due yet.
    next: Option<Unit>,
    /// Of the next piece of a picture.
    index: u64,
    /// When a picture is seen that left, at the latest.
    latest: Option<ShowTime>,
    untaken: Option<Untaken>,
    /// Which pass is heard.
    heard: u64,
}

impl Air {
    /// Silence, to begin with.
    ///
    /// # Errors
    /// Where the system gives no thread, or libopus no encoder.
    pub fn start(setup: AirSetup) -> io::Result<Self> {
        let mut encoder = Encoder::new(TRACK_HZ, Channels::Stereo, Application::Audio)
            .map_err(io::Error::other)?;
        encoder.set_bitrate(Bitrate::Bits(BITS_PER_SECOND)).map_err(io::Error::other)?;
        // On Wi-Fi some packets are lost: each carries a coarse copy of the one before.
        encoder.set_inband_fec(true).map_err(io::Error::other)?;
        encoder.set_packet_loss_perc(5).map_err(io::Error::other)?;
        let ahead = encoder.get_lookahead().map_err(io::Error::other)?;
        let ahead = Span::from_ns(i64::from(ahead) * 1_000_000_000 / i64::from(TRACK_HZ));
        let (orders, heard) = channel();
        let began = setup.clock.mono_now();
        let tap = setup.overheard.tap();
        let lead = AirLead::new(setup.delay);
        let studio = Studio { setup, lead, encoder, ahead, tap, began, at: 0, sequence: 0 };
        let thread =
            std::thread::Builder::new().name("air".into()).spawn(move || studio.run(&heard))?;
        Ok(Self { orders: Some(orders), thread: Some(thread), lead })
    }

    /// This, under that name, to be heard from that time on, or as soon after as can be; none is silence, for which
    /// nothing is sent. What was ordered for then or later has no turn any more.
    pub fn play(&self, sound: Option<(TrackId, Sound)>, at: ShowTime) {
        self.order(Order::Play { at, sound });
    }

    /// What is on air goes on; what was ordered and has not had its turn has none.
    pub fn stay(&self) {
        self.order(Order::Stay);
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // A thread that is gone plays nothing.
            let _ = orders.send(order);
        }
    }

    /// How long before it is heard what goes on air is made.
    pub fn lead(&self) -> AirLead {
        self.lead
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
    setup: AirSetup,
    lead: AirLead,
    encoder: Encoder,
    /// A decoder gives back later what it is given, by this much.
    ahead: Span,
    tap: Tap,
    began: MonoTime,
    /// Frames since the track began; silence counts as well.
    at: u64,
    sequence: u64,
}

impl Studio {
    fn run(mut self, orders: &Receiver<Order>) {
        let (mut on_air, mut coming): (Option<OnAir>, Coming<Wanted>) = (None, Coming::default());
        let mut again = None;
        loop {
            let now = self.setup.clock.mono_now();
            if let Some(turn) = coming.poll(self.setup.clock.show(now)) {
                if on_air.is_none() {
                    self.catch_up();
                }
                (on_air, again) = (self.begin(turn), Some(now));
                self.setup.hub.pictures_end();
            }
            if again.is_some_and(|it| it <= now) {
                again = on_air.as_mut().and_then(|it| self.turn(it));
                if again.is_none() && on_air.take().is_some() {
                    self.setup.hub.pictures_end();
                }
            }
            let turn = coming.next_wake().map(|at| self.setup.clock.mono(at));
            match self.hear(orders, again.into_iter().chain(turn).min()) {
                Ok(Order::Play { at, sound }) => {
                    self.line_up(at, sound, on_air.as_ref(), &mut coming)
                }
                Ok(Order::Stay) => coming.clear(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The next order, if one comes until then.
    fn hear(
        &self,
        orders: &Receiver<Order>,
        until: Option<MonoTime>,
    ) -> Result<Order, RecvTimeoutError> {
        let now = self.setup.clock.mono_now();
        match until {
            Some(until) => orders.recv_timeout((until - now).to_std()),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Something is to be heard from a time on.
    fn line_up(
        &self,
        at: ShowTime,
        sound: Wanted,
        on_air: Option<&OnAir>,
        coming: &mut Coming<Wanted>,
    ) {
        let made = |it: &Wanted| it.as_ref().map(|(_, sound)| sound.made());
        let before = coming.last().map_or(on_air.map(|it| it.sound.made()), made);
        let change = Change { before, after: made(&sound) };
        let turn = change.turn(self.setup.clock.now(), at, self.lead);
        coming.handle(Waiting { at, turn, what: sound });
    }

    /// What was ordered has its turn.
    fn begin(&self, turn: Waiting<Wanted>) -> Option<OnAir> {
        let (track, sound) = turn.what?;
        let begins = self.setup.clock.mono(turn.turn.begins);
        let screening = Screening::default();
        Some(OnAir { track, sound, begins, index: 0, screening, retold: None })
    }

    /// Everything that is due; when there is more, or none where there is nothing to send any more.
    fn turn(&mut self, on_air: &mut OnAir) -> Option<MonoTime> {
        if let Sound::Tape { tape, lost } = &mut on_air.sound {
            let retold = (&mut on_air.index, &mut on_air.retold);
            return self.tell_again(tape, retold).map_err(lost).ok().flatten();
        }
        if !matches!(on_air.sound, Sound::Film(_)) {
            return self.send(on_air).map(|made| made + PACKET);
        }
        let shown = self.show(on_air);
        let Sound::Film(feature) = &on_air.sound else { return None };
        shown.map_err(|why| (feature.lost)(why.to_string())).ok()
    }

    /// Every picture of a film that is due, with the sound that is whole by then; and when there is more.
    fn show(&mut self, on_air: &mut OnAir) -> Result<MonoTime, FilmTrouble> {
        let now = self.setup.clock.mono_now();
        loop {
            let (unit, due) = self.next_unit(now, on_air)?;
            // Which pass sound is of is known once all pictures before its end have left.
            self.send_film_sound(on_air, now.min(due));
            let OnAir { track, sound: Sound::Film(feature), screening, .. } = on_air else {
                return Ok(due);
            };
            if due > now {
                screening.next = Some(unit);
                return Ok(match feature.sound {
                    Some(_) => due.min(self.due() + PACKET),
                    None => due,
                });
            }
            screening.times.handle_left(unit.at, unit.lasts);
            self.send_picture(track, feature.film.codec(), (&unit, due), screening);
        }
    }

    /// The next picture of a film, and when it is due.
    fn next_unit(
        &self,
        now: MonoTime,
        on_air: &mut OnAir,
    ) -> Result<(Unit, MonoTime), FilmTrouble> {
        let none = || FilmTrouble::Damaged("it holds no pictures".into());
        let OnAir { sound: Sound::Film(feature), screening, .. } = on_air else {
            return Err(none());
        };
        let film = &mut feature.film;
        let unit =
            match screening.next.take().map_or_else(|| film.next_unit(), |it| Ok(Some(it)))? {
                Some(unit) => unit,
                None => {
                    if !screening.times.handle_end() {
                        return Err(none());
                    }
                    film.rewind()?;
                    film.next_unit()?.ok_or_else(none)?
                }
            };
        let due = screening.times.due(now, unit.at);
        Ok((unit, due))
    }

    /// Every packet of a film's sound that ends by then.
    fn send_film_sound(&mut self, on_air: &mut OnAir, until: MonoTime) {
        if self.due() + FILM_AHEAD < until {
            self.catch_up();
        }
        while let Sound::Film(feature) = &mut on_air.sound
            && let Some(sound) = &mut feature.sound
            && self.due() + PACKET <= until
        {
            let made = self.due();
            let mut pcm = [0.0; 2 * FRAMES];
            if let Err(why) = on_air.screening.hear(sound, made, pcm.as_chunks_mut().0) {
                (feature.mute)(why.to_string());
                feature.sound = None;
                return;
            }
            self.emit(on_air, &pcm, self.seen(made));
        }
    }

    /// When phones see, and hear, what of a film is due then.
    fn seen(&self, made: MonoTime) -> ShowTime {
        self.setup.clock.show(made) + self.lead.of(Made::Film)
    }

    fn send_picture(
        &mut self,
        track: &TrackId,
        codec: MediaCodec,
        (unit, made): (&Unit, MonoTime),
        screening: &mut Screening,
    ) {
        let seen = self.seen(made);
        let parts = unit.data.chunks(PART_MAX);
        let count = parts.len();
        let untaken = screening.untaken.get_or_insert_with(|| self.untaken(track, codec)).clone();
        let latest = screening.latest.map_or(seen, |latest| latest.max(seen));
        screening.latest = Some(latest);
        for (k, part) in parts.enumerate() {
            let piece = Piece {
                codec,
                index: screening.index,
                parts_left: (count - 1 - k) as u32,
                is_key: unit.is_key && k == 0,
                lasts: unit.lasts,
                earlier: latest - seen,
            };
            screening.index += 1;
            self.send_piece(track, piece, (part, seen), &untaken);
        }
    }

    /// A piece of a picture, and the time at which that is seen.
    fn send_piece(
        &mut self,
        track: &TrackId,
        piece: Piece,
        (data, seen): (&[u8], ShowTime),
        untaken: &Untaken,
    ) {
        // Who has the file may lack the key.
        let kept = Some(data).filter(|_| self.setup.seal.is_none());
        self.tap.picture(seen, track, piece, kept);
        let text = self.chunk(MediaData {
            track_id: track.clone(),
            chunk_index: piece.index,
            timestamp: self.wire(seen),
            duration: piece.lasts,
            codec: piece.codec,
            data: data.to_vec(),
            is_keyframe: piece.is_key,
            parts_left: piece.parts_left,
        });
        // A hub that has no room is behind; phones see the gap, and wait for a key frame.
        let (codec, untaken) = (piece.codec, untaken.clone());
        let piece = engine::peers::Piece { text, is_key: piece.is_key };
        let _ = self.setup.hub.picture(Picture { codec, piece, untaken });
    }

    /// What phones hear that do not take a film's codec: written when the first of them is told.
    fn untaken(&mut self, track: &TrackId, codec: MediaCodec) -> Untaken {
        let untaken = MediaUntaken { track_id: track.clone(), codec };
        let (header, clock, tai_utc) =
            (self.header(), self.setup.clock.clone(), self.setup.tai_utc);
        Arc::new(LazyLock::new(Box::new(move || {
            let timestamp = WireTime::from_show(clock.now(), tai_utc);
            let header = Header { timestamp, ..header };
            solusync::emit(&header, &Message::MediaUntaken(untaken)).into()
        })))
    }

    /// Everything of another evening that is due, and when there is more; none at its end.
    fn tell_again(
        &mut self,
        tape: &mut Tape,
        (index, retold): (&mut u64, &mut Retold),
    ) -> Result<Option<MonoTime>, String> {
        loop {
            match tape.turn(self.setup.clock.now(), self.lead)? {
                Replayed::Over => return Ok(None),
                Replayed::Later(at) => return Ok(Some(self.setup.clock.mono(at))),
                Replayed::Dark => {
                    *retold = None;
                    self.setup.hub.pictures_end();
                }
                Replayed::Sound { track, opus, left, heard } => {
                    self.follow(self.setup.clock.mono(left));
                    // What libopus makes nothing of is missing; phones have ways with that.
                    if let Some(pcm) = tape.decode(&opus) {
                        self.say(&track, *index, (&opus, heard), (&pcm, heard));
                    }
                    *index += 1;
                }
                Replayed::Picture { track, piece, data, seen } => {
                    let untaken = self.retell(retold, &track, piece.codec);
                    self.send_piece(&track, piece, (&data, seen), &untaken);
                }
            }
        }
    }

    /// A picture is to be told again; of another film than before, that one is over.
    fn retell(&mut self, retold: &mut Retold, track: &TrackId, codec: MediaCodec) -> Untaken {
        let is_same =
            |(on, with, _): &(TrackId, MediaCodec, Untaken)| on == track && *with == codec;
        if retold.take_if(|it| !is_same(it)).is_some() {
            self.setup.hub.pictures_end();
        }
        retold.get_or_insert_with(|| (track.clone(), codec, self.untaken(track, codec))).2.clone()
    }

    /// Where the track would be had it never paused.
    fn catch_up(&mut self) {
        let gone = self.setup.clock.mono_now() - self.began;
        self.at = (gone.ns() / PACKET.ns()).max(0) as u64 * FRAMES as u64;
    }

    /// What is made then goes on without a gap where it is no more than a packet from where the track is.
    fn follow(&mut self, made: MonoTime) {
        if (made - self.due()).abs() >= PACKET {
            self.at = ((made - self.began).ns() / PACKET.ns()).max(0) as u64 * FRAMES as u64;
        }
    }

    fn due(&self) -> MonoTime {
        self.began + PACKET.times((self.at / FRAMES as u64) as i64)
    }

    /// A packet for everybody; when its first sample was made, or none where there is nothing to send any more.
    fn send(&mut self, on_air: &mut OnAir) -> Option<MonoTime> {
        if self.due() + PACKET.times(LATE_MAX) < self.setup.clock.mono_now() {
            self.catch_up();
        }
        let mut pcm = [0.0; 2 * FRAMES];
        let made = match &mut on_air.sound {
            Sound::Input { input, lost } => match input.read(FRAMES, &self.setup.clock) {
                Ok((samples, made)) => {
                    let frames = pcm.as_chunks_mut::<2>().0.iter_mut();
                    frames.zip(samples).for_each(|(frame, sample)| *frame = [sample; 2]);
                    pcm[..2 * early(made, on_air.begins)].fill(0.0);
                    made
                }
                Err(error) => {
                    lost(error.to_string());
                    return None;
                }
            },
            sound => {
                let made = self.due();
                let place = frames(made - on_air.begins).max(0) as u64;
                sound.fill(place, &mut pcm[2 * early(made, on_air.begins)..]);
                made
            }
        };
        let heard = self.setup.clock.show(made) + self.lead.of(Made::Sound);
        self.emit(on_air, &pcm, heard);
        Some(made)
    }

    /// A packet in all forms.
    fn emit(&mut self, on_air: &mut OnAir, pcm: &[f32; 2 * FRAMES], heard: ShowTime) {
        match self.encoder.encode_vec_float(pcm, PACKET_MAX) {
            Ok(opus) => {
                let opus = (&opus[..], heard - self.ahead);
                self.say(&on_air.track, on_air.index, opus, (pcm, heard));
            }
            Err(error) => {
                tracing::warn!(%error, "sound was not encoded");
                self.at += FRAMES as u64;
            }
        }
        on_air.index += 1;
    }

    /// A packet in both codecs, each with the time of its first sample.
    fn say(
        &mut self,
        track: &TrackId,
        index: u64,
        (opus, opus_heard): (&[u8], ShowTime),
        (pcm, pcm_heard): (&[f32; 2 * FRAMES], ShowTime),
    ) {
        // Who has the file may lack the key.
        let kept = Some(opus).filter(|_| self.setup.seal.is_none());
        self.tap.sound(opus_heard, track, kept);
        let samples = pcm.iter().map(|it| (it.clamp(-1.0, 1.0) * 32_767.0).round() as i16);
        let pcm16 = samples.flat_map(i16::to_le_bytes).collect();
        let mut chunk = |heard, codec, data| {
            let timestamp = self.wire(heard);
            self.chunk(MediaData {
                track_id: track.clone(),
                chunk_index: index,
                timestamp,
                duration: PACKET,
                codec,
                data,
                is_keyframe: false,
                parts_left: 0,
            })
        };
        let live = Live {
            opus: chunk(opus_heard, MediaCodec::Opus, opus.into()),
            pcm16: chunk(pcm_heard, MediaCodec::Pcm16, pcm16),
        };
        // A hub that has no room is behind; what it does not get it need not send. Tracks have no place for a seal.
        if self.setup.seal.is_none() {
            let _ = self.setup.hub.frame(Frame { opus: opus.into(), at: self.at });
        }
        let _ = self.setup.hub.live(live);
        self.at += FRAMES as u64;
    }

    fn wire(&self, at: ShowTime) -> WireTime {
        WireTime::from_show(at, self.setup.tai_utc)
    }

    fn chunk(&mut self, chunk: MediaData) -> Bytes {
        let header = self.header();
        match &mut self.setup.seal {
            Some(sealer) => sealer.seal(&header, chunk),
            None => solusync::emit(&header, &Message::MediaData(chunk)),
        }
        .into()
    }

    fn header(&mut self) -> Header {
        self.sequence += 1;
        Header {
            id: chance::uuid(),
            timestamp: self.wire(self.setup.clock.now()),
            node_id: self.setup.node,
            sequence: self.sequence,
        }
    }
}

impl Screening {
    /// A packet of what is heard from a time on: where a pass ends within it, the next one begins.
    fn hear(
        &mut self,
        sound: &mut Soundtrack,
        from: MonoTime,
        mut out: &mut [[f32; 2]],
    ) -> Result<(), FilmTrouble> {
        let mut at = from;
        while let Some(moment) = self.times.moment(at).filter(|_| !out.is_empty()) {
            if self.heard != moment.pass {
                sound.rewind()?;
                self.heard = moment.pass;
            }
            let left = moment.left.map_or(out.len(), |it| frames(it).max(1) as usize);
            let (now, later) = out.split_at_mut(left.min(out.len()));
            sound.read(frames(moment.place), now)?;
            at += Span::from_ns(now.len() as i64 * 1_000_000_000 / i64::from(TRACK_HZ));
            out = later;
        }
        Ok(())
    }
}

/// How many frames of a packet come before anything begins.
fn early(made: MonoTime, begins: MonoTime) -> usize {
    frames(begins - made).clamp(0, FRAMES as i64) as usize
}

/// Frames that begin within so long.
fn frames(span: Span) -> i64 {
    (i128::from(span.ns()) * i128::from(TRACK_HZ)).div_euclid(1_000_000_000) as i64
}

impl Sound {
    fn made(&self) -> Made {
        match self {
            Self::Film(_) => Made::Film,
            Self::Tape { tape, .. } if tape.has_pictures() => Made::Film,
            Self::Tone | Self::File(_) | Self::Input { .. } | Self::Tape { .. } => Made::Sound,
        }
    }

    /// Both channels, one frame after the other, from a place on.
    fn fill(&self, at: u64, pcm: &mut [f32]) {
        for (frame, at) in pcm.as_chunks_mut::<2>().0.iter_mut().zip(at..) {
            *frame = self.frame(at);
        }
    }

    fn frame(&self, at: u64) -> [f32; 2] {
        match self {
            Self::Input { .. } | Self::Tape { .. } | Self::Film(_) => [0.0; 2],
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
