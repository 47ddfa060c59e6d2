//! What carries messages: the socket, or a stream beside the datagrams of the WebTransport session (SX-20).
//!
//! In: at which box was said hello, and what became of a stream. Out: whether to say the next hello on a stream. Never: either.
//!
//! What is lost on a socket is sent again after a fifth of a second, by QUIC within some hundredths, and on a full Wi-Fi much is
//! lost. But it costs the box twice as much, and a venue may block UDP, or let it die without a word: so the box says whether it
//! would rather; everybody begins on the socket, goes over once datagrams are answered, and knocks there again when a stream ends.

use units::{MonoTime, Span};

/// The carrier.
#[derive(Debug, Clone, Default)]
pub(crate) struct Carrier {
    is_stream: bool,
    /// Since it opened.
    is_welcomed: bool,
    /// The box that would rather have them in its session.
    door_of: Option<String>,
    /// Of streams that did not last.
    failures: u32,
    opened: Option<MonoTime>,
    rests: Option<MonoTime>,
}

/// After a stream that did not last the socket has its time; each time twice as much.
const REST_FIRST: Span = Span::from_secs(60);
const REST_DOUBLINGS_MAX: u32 = 5;
/// One that lived this long was no failure.
const HEALTHY_AFTER: Span = Span::from_secs(300);

impl Carrier {
    /// The hello on it was answered by this box, which would rather have messages in its session, or would not.
    pub(crate) fn handle_welcome(&mut self, url: &str, rather: bool) {
        (self.is_welcomed, self.door_of) = (true, rather.then(|| url.to_owned()));
    }

    /// It is to be opened at this box, and datagrams of the session that there is are answered, or are not; whether it is to be
    /// a stream.
    pub(crate) fn handle_open(&mut self, now: MonoTime, url: &str, are_answered: bool) -> bool {
        self.is_stream =
            are_answered && self.may_stream(now) && self.door_of.as_deref() == Some(url);
        (self.is_welcomed, self.opened) = (false, Some(now));
        self.is_stream
    }

    /// It is gone.
    pub(crate) fn handle_closed(&mut self, now: MonoTime) {
        if !std::mem::take(&mut self.is_stream) {
            return;
        }
        if self.opened.is_some_and(|opened| now - opened > HEALTHY_AFTER) {
            self.failures = 0;
        }
        self.rests = Some(now + REST_FIRST.times(1 << self.failures.min(REST_DOUBLINGS_MAX)));
        self.failures += 1;
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Whether the socket is to be left for a stream, now that datagrams are answered.
    pub(crate) fn wants_over(&self, now: MonoTime) -> bool {
        !self.is_stream && self.is_welcomed && self.door_of.is_some() && self.may_stream(now)
    }

    /// From one to the other, and nothing is lost: the box has just been there.
    pub(crate) fn is_on_its_way(&self) -> bool {
        self.is_stream && !self.is_welcomed
    }

    fn may_stream(&self, now: MonoTime) -> bool {
        self.rests.is_none_or(|rests| rests <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: &str = "https://10.0.0.5:8443/";

    fn at(secs: i64) -> MonoTime {
        MonoTime::ZERO + Span::from_secs(secs)
    }

    fn welcomed() -> Carrier {
        let mut carrier = Carrier::default();
        assert!(!carrier.handle_open(at(0), BOX, false));
        carrier.handle_welcome(BOX, true);
        carrier
    }

    #[test]
    fn sx20_everybody_begins_on_the_socket_and_goes_over_once_datagrams_are_answered() {
        let mut carrier = Carrier::default();
        assert!(!carrier.handle_open(at(0), BOX, true), "by whom is not known");
        assert!(!carrier.wants_over(at(0)), "nobody has said where");
        carrier.handle_welcome(BOX, true);
        assert!(carrier.wants_over(at(1)));
        assert!(carrier.handle_open(at(1), BOX, true) && carrier.is_on_its_way());
        assert!(!carrier.wants_over(at(1)));
        carrier.handle_welcome(BOX, true);
        assert!(!carrier.is_on_its_way() && !carrier.wants_over(at(9)));
    }

    #[test]
    fn sx20_where_the_box_would_not_have_it_the_socket_stays() {
        let mut carrier = welcomed();
        carrier.handle_welcome(BOX, false);
        assert!(!carrier.wants_over(at(1)) && !carrier.handle_open(at(1), BOX, true));
    }

    #[test]
    fn sx20_another_box_is_met_on_a_socket_first() {
        let mut carrier = welcomed();
        assert!(!carrier.handle_open(at(5), "https://10.0.0.6:8443/", true));
        assert!(carrier.handle_open(at(6), BOX, true), "this one is known");
    }

    #[test]
    fn sx20_a_stream_that_ends_gives_way_to_the_socket_and_is_tried_more_and_more_seldom() {
        let mut carrier = welcomed();
        let mut now = at(1);
        for rest in [60, 120, 240, 480, 960, 1_920, 1_920] {
            assert!(carrier.handle_open(now, BOX, true), "{rest}");
            carrier.handle_closed(now);
            carrier.handle_closed(now);
            assert!(!carrier.handle_open(now + Span::from_secs(rest - 1), BOX, true));
            carrier.handle_welcome(BOX, true);
            now += Span::from_secs(rest);
            assert!(carrier.wants_over(now));
        }
        assert!(carrier.handle_open(now, BOX, true));
        carrier.handle_closed(now + Span::from_secs(301));
        carrier.handle_open(now, BOX, false);
        carrier.handle_welcome(BOX, true);
        assert!(carrier.wants_over(now + Span::from_secs(301 + 60)), "it had lived");
    }
}
