//! Live sound: which chunk is heard when (SX-11), and what its network does to it (SX-14, SX-15).
//!
//! In: chunks in the order they were made, each with the network time at which all phones are to hear it; the tied clocks.
//! Out: acts for the page, chunk by chunk: from this audio time to that one. Never here: samples.
//!
//! All phones hear a chunk at its own time: that is what being in step means. Only a phone whose buffer is larger than
//! the box's delay (its network is worse than the show reckoned with) hears it later, by what is missing, rather than in
//! pieces. Chunks follow each other without a gap; what the clocks and the sound card differ by is worked off in their
//! lengths, within 0.3 %. What is further off begins anew. A chunk that comes late is heard from where it would be by
//! now; until it comes the page makes do with an echo of the one before.

use units::{MonoTime, Span, TrackId};
use wire::solusync::{Header, MediaCodec, MediaData, MediaWanted, SealTrouble};

use crate::buffer::Buffer;
use crate::scale::{AudioTime, net, secs};
use crate::told::Act;
use crate::voice::{CROSS_FADE, STEER_MAX, STEER_OVER_SECS, STEER_RATE_MAX, Sync};

/// What the page needs from our word to the sound thread; what is due sooner is late.
const HANDLING: Span = Span::from_millis(8);
/// Without a chunk for so long nothing is live, and nothing is measured.
const QUIET_AFTER: Span = Span::from_secs(2);
/// More is not a loss but another evening.
const MISSING_MAX: u64 = 500;
/// What is lost in one piece is joined to what follows by this.
const REJOIN: Span = Span::from_millis(5);

/// Live sound at one phone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    /// What the page can decode; none where it has said so of nothing.
    codecs: Vec<MediaCodec>,
    is_open: bool,
    /// What the box was told last on this channel.
    wanted: Option<bool>,
    buffer: Option<Buffer>,
    stream: Option<Stream>,
    heard: Option<MonoTime>,
    late: u64,
    /// Pieces that the page did not let be heard, and why the last.
    refused: Option<(u64, SealTrouble)>,
}

#[derive(Debug, Clone)]
struct Stream {
    track: TrackId,
    /// The index that comes next.
    next: u64,
    /// Where what is ordered ends.
    end: AudioTime,
    /// From sent to due, as the box has it; the most that was seen.
    lead: Span,
}

impl Live {
    pub(crate) fn new(codecs: Vec<MediaCodec>) -> Self {
        Self { codecs, ..Self::default() }
    }

    pub(crate) fn handle_opened(&mut self) {
        (self.is_open, self.wanted) = (true, None);
    }

    pub(crate) fn handle_closed(&mut self) {
        (self.is_open, self.stream) = (false, None);
    }

    /// The page could not decode what it said it could.
    pub(crate) fn handle_undecodable(&mut self) {
        self.codecs.retain(|it| *it != MediaCodec::Opus);
        (self.wanted, self.stream) = (None, None);
    }

    /// The page let a piece not be heard. What can be heard by nobody here need not be sent.
    pub(crate) fn handle_refused(&mut self, why: SealTrouble) {
        let before = self.refused.map_or(0, |(count, _)| count);
        self.refused = Some((before + 1, why));
        if why.lasts() {
            self.codecs.clear();
        }
    }

    /// How many pieces were not let be heard, and why the last; none where all were.
    pub(crate) fn refused(&self) -> Option<(u64, SealTrouble)> {
        self.refused
    }

    /// The context lost its time: what was ordered is not heard.
    pub(crate) fn handle_audio_lost(&mut self) {
        self.stream = None;
    }

    /// A question came back after so long.
    pub(crate) fn handle_rtt(&mut self, rtt: Span) {
        if let Some(buffer) = &mut self.buffer {
            buffer.handle_rtt(rtt);
        }
    }

    /// What to tell the box, if it is not what it was told last.
    pub(crate) fn poll_wish(&mut self, hears: bool) -> Option<MediaWanted> {
        let wants = hears && !self.codecs.is_empty();
        if !self.is_open || self.wanted == Some(wants) || (self.wanted.is_none() && !wants) {
            return None;
        }
        self.wanted = Some(wants);
        Some(MediaWanted { codecs: if wants { self.codecs.clone() } else { Vec::new() } })
    }

    /// A chunk came `at`; none for `sync` while the phone does not know the time.
    pub(crate) fn handle_chunk(
        &mut self,
        at: MonoTime,
        (header, chunk): (&Header, MediaData),
        sync: Option<&Sync>,
    ) -> Option<Act> {
        // Pictures go another way (`screening`).
        if !self.codecs.contains(&chunk.codec) || chunk.codec.has_pictures() {
            return None;
        }
        let Some(sync) = sync else {
            self.stream = None;
            return None;
        };
        self.heard = Some(at);
        self.take_measure(at, header, &chunk, sync);
        let lead = net(chunk.timestamp) - net(header.timestamp);
        let ended = self.stream.take().filter(|it| it.track == chunk.track_id);
        let ended = ended.filter(|it| it.next <= chunk.chunk_index);
        let lead = ended.as_ref().map_or(lead, |it| it.lead.max(lead));
        let buffer = self.buffer.as_mut()?;
        let want = |size: Span| sync.audio(net(chunk.timestamp) + (size - lead).max(Span::ZERO));
        let soonest = sync.soon(HANDLING);
        let mut placed = place(ended.as_ref(), chunk.chunk_index, want(buffer.size()));
        if placed.from < soonest {
            self.late += 1;
            let before = buffer.size();
            buffer.handle_underrun(at);
            // There is a hole anyway, so the larger buffer is heard at once.
            let later = want(buffer.size());
            if later > want(before) && later > placed.from {
                placed = Placed { from: later, rise: REJOIN };
            }
        }
        let want = want(buffer.size());
        let off = (want - placed.from).secs_f64() / STEER_OVER_SECS;
        let rate = sync.rate() * (1.0 - off.clamp(-STEER_RATE_MAX, STEER_RATE_MAX));
        let end = placed.from + Span::from_secs_f64(chunk.duration.secs_f64() / rate);
        let next = chunk.chunk_index + 1;
        self.stream = Some(Stream { track: chunk.track_id, next, end, lead });
        (end > soonest).then(|| Act::Live {
            index: chunk.chunk_index,
            codec: chunk.codec,
            data: chunk.data,
            from_s: secs(placed.from),
            until_s: secs(end),
            rise_s: placed.rise.secs_f64(),
        })
    }

    /// Measures while something is live.
    pub(crate) fn tick(&mut self, now: MonoTime) {
        if self.is_live(now)
            && let Some(buffer) = &mut self.buffer
        {
            buffer.tick(now);
        }
    }

    pub(crate) fn next_wake(&self, now: MonoTime) -> Option<MonoTime> {
        let buffer = self.buffer.as_ref().filter(|_| self.is_live(now))?;
        Some(buffer.next_wake())
    }

    /// The buffer while something is live.
    pub(crate) fn buffer(&self, now: MonoTime) -> Option<&Buffer> {
        self.buffer.as_ref().filter(|_| self.is_live(now))
    }

    /// How long after it was sent live sound is heard here, while any is.
    pub(crate) fn delay(&self, now: MonoTime) -> Option<Span> {
        let lead = self.stream.as_ref().map_or(Span::ZERO, |it| it.lead);
        self.buffer(now).map(|it| it.size().max(lead))
    }

    /// Chunks that were not there when they were due.
    #[cfg(test)]
    fn late(&self) -> u64 {
        self.late
    }

    fn is_live(&self, now: MonoTime) -> bool {
        self.heard.is_some_and(|heard| now - heard < QUIET_AFTER)
    }

    fn take_measure(&mut self, at: MonoTime, header: &Header, chunk: &MediaData, sync: &Sync) {
        let buffer = self.buffer.get_or_insert_with(|| Buffer::new(at));
        buffer.handle_chunk(sync.net_at(at) - net(header.timestamp));
        let same = self.stream.as_ref().filter(|it| it.track == chunk.track_id);
        let missing = same.and_then(|it| chunk.chunk_index.checked_sub(it.next));
        if let Some(missing @ 1..=MISSING_MAX) = missing {
            buffer.handle_missing(at, missing as u32);
        }
    }
}

/// Where a chunk begins, and how long it rises.
struct Placed {
    from: AudioTime,
    rise: Span,
}

/// At the end of the one before it, unless that is too far from where it should be.
fn place(before: Option<&Stream>, index: u64, want: AudioTime) -> Placed {
    match before {
        Some(it) if it.next == index && (want - it.end).abs() <= STEER_MAX => {
            Placed { from: it.end, rise: Span::ZERO }
        }
        Some(it) if it.next < index => Placed { from: want, rise: REJOIN },
        _ => Placed { from: want, rise: CROSS_FADE },
    }
}

#[cfg(test)]
mod tests;
