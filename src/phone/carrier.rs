//! What carries messages: the socket, or a stream beside the datagrams of the WebTransport session (SX-20).
//!
//! In: what the box would rather, what was opened, welcomed and lost. Out: whether this is the moment to go over to a stream, and
//! whether one keeps its phone waiting. Never: either of them.
//!
//! What is lost on a socket is sent again after a fifth of a second, by QUIC within some hundredths, and on a full Wi-Fi much is
//! lost. But it costs the box twice as much, and a venue may block UDP, or let it die without a word. So the box says whether it
//! would rather, and everybody knocks on a socket. A phone goes over within the first moment after its welcome or not at all: later it
//! would drop what hangs on its socket, a peer connection and live sound, and a house would do so together. One whose stream has
//! failed stays with sockets.

use units::{MonoTime, Span};

/// The carrier.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Carrier {
    phase: Phase,
    /// A stream did not last.
    has_failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Socket,
    /// A socket whose box would rather have a stream.
    Rather { since: MonoTime },
    /// A stream that was asked for, and is not welcomed yet.
    Over { since: MonoTime },
    /// A stream.
    Stream { since: MonoTime },
}

/// Sessions that open do so within this, and nobody hangs on a socket yet that is so young.
const MOMENT: Span = Span::from_secs(2);
/// A stream's opening shows nothing: its hello is answered within this, or the session is dead.
const ANSWER_WITHIN: Span = Span::from_secs(3);
/// Until then nobody need know that the phone is under way.
const UNNOTICED: Span = Span::from_secs(1);
/// A stream that lived this long has not failed: its box ended it.
const LASTING: Span = Span::from_secs(300);

impl Carrier {
    /// A hello was answered, and the box would rather have messages on a stream, or would not.
    pub(crate) fn handle_welcome(&mut self, now: MonoTime, rather: bool) {
        self.phase = match self.phase {
            Phase::Over { .. } => Phase::Stream { since: now },
            Phase::Socket if rather && !self.has_failed => Phase::Rather { since: now },
            phase => phase,
        };
    }

    /// The socket is left for a stream.
    pub(crate) fn handle_over(&mut self, now: MonoTime) {
        self.phase = Phase::Over { since: now };
    }

    /// It is let go, for another box.
    pub(crate) fn handle_let_go(&mut self) {
        self.phase = Phase::Socket;
    }

    /// It is gone.
    pub(crate) fn handle_gone(&mut self, now: MonoTime) {
        self.has_failed = match self.phase {
            Phase::Over { .. } => true,
            Phase::Stream { since } => now - since < LASTING,
            Phase::Socket | Phase::Rather { .. } => self.has_failed,
        };
        self.phase = Phase::Socket;
    }

    /// Since when an answered datagram says that the session lives, if this is the moment to go over.
    pub(crate) fn moment(&self, now: MonoTime) -> Option<MonoTime> {
        match self.phase {
            Phase::Rather { since } if now - since < MOMENT => Some(since),
            _ => None,
        }
    }

    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.phase, Phase::Over { .. } | Phase::Stream { .. })
    }

    /// From one to the other.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over { .. })
    }

    /// The same, and nobody need notice yet: the box has just been there.
    pub(crate) fn is_under_way(&self, now: MonoTime) -> bool {
        matches!(self.phase, Phase::Over { since } if now - since < UNNOTICED)
    }

    /// Whether its hello has gone unanswered for too long.
    pub(crate) fn is_late(&self, now: MonoTime) -> bool {
        matches!(self.phase, Phase::Over { since } if now - since >= ANSWER_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> MonoTime {
        MonoTime::ZERO + Span::from_millis(ms)
    }

    fn welcomed() -> Carrier {
        let mut carrier = Carrier::default();
        carrier.handle_welcome(at(0), true);
        carrier
    }

    #[test]
    fn sx20_a_phone_goes_over_in_the_first_moment_or_not_at_all() {
        let mut carrier = welcomed();
        assert_eq!(carrier.moment(at(1_999)), Some(at(0)));
        assert_eq!(carrier.moment(at(2_000)), None);
        carrier.handle_over(at(1_000));
        assert!(carrier.is_stream() && carrier.moment(at(1_000)).is_none());
        carrier.handle_welcome(at(1_100), true);
        assert!(carrier.is_stream() && !carrier.is_late(at(60_000)));
        let mut asked_again = welcomed();
        asked_again.handle_welcome(at(1_500), true);
        assert_eq!(asked_again.moment(at(2_000)), None, "its moment was");
    }

    #[test]
    fn sx20_where_the_box_would_not_have_it_the_socket_stays() {
        let mut carrier = Carrier::default();
        carrier.handle_welcome(at(0), false);
        assert_eq!((carrier.moment(at(1)), carrier.is_stream()), (None, false));
    }

    #[test]
    fn sx20_a_stream_whose_hello_is_not_answered_is_noticed_and_given_up() {
        let mut carrier = welcomed();
        carrier.handle_over(at(100));
        assert!(carrier.is_under_way(at(1_099)) && !carrier.is_under_way(at(1_100)));
        assert!(!carrier.is_late(at(3_099)) && carrier.is_late(at(3_100)));
        carrier.handle_gone(at(3_100));
        carrier.handle_welcome(at(3_200), true);
        assert_eq!(carrier.moment(at(3_201)), None, "it stays with sockets");
    }

    #[test]
    fn sx20_one_whose_stream_has_lasted_may_go_over_again_and_one_whose_stream_has_not_stays() {
        for (ms, may) in [(299_999, false), (300_000, true)] {
            let mut carrier = welcomed();
            carrier.handle_over(at(0));
            carrier.handle_welcome(at(0), true);
            carrier.handle_gone(at(ms));
            assert!(!carrier.is_stream());
            carrier.handle_welcome(at(ms), true);
            assert_eq!(carrier.moment(at(ms)).is_some(), may, "{ms}");
        }
        let mut sent = welcomed();
        sent.handle_over(at(0));
        sent.handle_let_go();
        sent.handle_welcome(at(9), true);
        assert!(sent.moment(at(9)).is_some(), "to be sent to another box is no failure");
    }
}
