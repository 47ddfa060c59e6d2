//! The ways by which the clock is asked: which is open, which answers, which is asked next.
//!
//! In: opened, closed, asked, answered, and the time. Out: the best way, and wishes for the page. Never: a socket.
//!
//! A datagram waits behind nothing and is never sent again, so its two times are the way's own; a question on the
//! socket waits behind whatever is said there, and a lost one comes back late. But a venue may block UDP, and then a
//! session opens and stays mute, or dies without a word. So questions count: a way on which some went unanswered is
//! left for the next one, tried again beside it, and taken back as soon as it answers.
//!
//! Nor is every datagram's way the shorter: a peer connection may lead through a relay, or lose and shuffle what the
//! socket brings cleanly, and a clock that is well led would be led astray. So a way that opens beside one that answers is
//! on trial first, and one that takes plainly longer is left, tried now and then, and taken once it is as good.

use std::collections::VecDeque;

use units::{MonoTime, Span};
use wire::solusync::WebTransport;
use wire::time::Channel;

mod losses;
mod round;

use losses::Losses;
use round::Rounds;

/// The ways.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    /// In the order of [`BEST_FIRST`].
    ways: [Way; 3],
    /// Questions that have no answer yet, in order.
    asked: VecDeque<Asked>,
    /// Where WebTransport is; none where the box has none for us.
    door: Option<WebTransport>,
}

#[derive(Debug, Clone, Default)]
struct Way {
    phase: Phase,
    standing: Standing,
    rounds: Rounds,
    losses: Losses,
    /// Questions without an answer since the last one that had one.
    missed: u32,
    /// Times that it would not open, or closed, since it last answered.
    failures: u32,
    tried: Option<MonoTime>,
    /// When the newest question was put that has an answer.
    answered: Option<MonoTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// Nobody opens it.
    #[default]
    Shut,
    Away {
        until: MonoTime,
    },
    Opening {
        since: MonoTime,
    },
    Open,
}

/// What is known of a way beside the one that is asked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Standing {
    #[default]
    Taken,
    /// It opened beside one that answers.
    Trial,
    /// It takes plainly longer.
    Left,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    at: MonoTime,
    channel: Channel,
    missed: bool,
}

/// What the page is to do with WebTransport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    Open(WebTransport),
    Close,
}

const BEST_FIRST: [Channel; 3] = [Channel::DataChannel, Channel::WebTransport, Channel::WebSocket];
/// An answer that takes longer is a long wait in a queue, of little worth, or none at all.
const PATIENCE: Span = Span::from_millis(1_500);
/// So many in a row are no accident any more, even on a Wi-Fi that loses one in five.
const MISSED_MAX: u32 = 3;
/// A way that does not answer is tried again this often beside the one that does ...
const TRY_EVERY: Span = Span::from_secs(3);
/// ... one on trial so often that it is over in two seconds, and well within ten questions a second (SX-17) ...
const TRIAL_EVERY: Span = Span::from_millis(250);
/// ... one that takes longer as seldom as may be, for it has to be asked for minutes to change our mind ...
const LEFT_EVERY: Span = Span::from_secs(15);
/// ... and is opened anew once so many have gone unanswered.
const GIVEN_UP: u32 = 8;
const OPENING_MAX: Span = Span::from_secs(10);
const BACKOFF_FIRST: Span = Span::from_secs(2);
/// Where UDP is blocked it stays so, but a phone may come to another Wi-Fi.
const BACKOFF_MAX: Span = Span::from_secs(60);
const ASKED_MAX: usize = 32;
/// A question carries the page's clock at the very sending, a moment after we wished for it.
const SENT_WITHIN: Span = Span::from_millis(500);
/// Less than a page's clock can show; the same reading may be rounded otherwise on its way through text.
const SAME: Span = Span::from_micros(1);

impl Ways {
    pub(crate) fn new() -> Self {
        Self { ways: Default::default(), asked: VecDeque::new(), door: None }
    }

    /// The box said where WebTransport is. Told otherwise than before, it is opened anew: the box has another
    /// certificate, or knows us by another number.
    pub(crate) fn handle_door(&mut self, now: MonoTime, door: Option<WebTransport>) {
        if self.door != door {
            self.door = door;
            *self.way(Channel::WebTransport) =
                Way { phase: Phase::Away { until: now }, ..Way::default() };
        }
    }

    /// A way opened.
    pub(crate) fn handle_opened(&mut self, channel: Channel) {
        // What was never answered cannot be compared with.
        let is_second = self.best().is_some_and(|best| !self.ways[place(best)].rounds.is_empty());
        let standing = if is_second { Standing::Trial } else { Standing::Taken };
        *self.way(channel) = Way { phase: Phase::Open, standing, ..Way::default() };
    }

    /// A way closed, or would not open.
    pub(crate) fn handle_closed(&mut self, now: MonoTime, channel: Channel) {
        self.asked.retain(|asked| asked.channel != channel);
        let is_ours = channel == Channel::WebTransport && self.door.is_some();
        let way = self.way(channel);
        way.phase = if is_ours { Phase::Away { until: now + way.backoff() } } else { Phase::Shut };
        way.failures += 1;
    }

    /// The page came back to the front, perhaps on another Wi-Fi: no use in waiting, and all ways are others.
    pub(crate) fn handle_woke(&mut self, now: MonoTime) {
        for way in &mut self.ways {
            way.rounds = Rounds::default();
            if way.standing == Standing::Left {
                way.standing = Standing::Trial;
            }
        }
        if let Phase::Away { until } = &mut self.way(Channel::WebTransport).phase {
            *until = now;
        }
    }

    /// A question left by this way.
    pub(crate) fn handle_asked(&mut self, now: MonoTime, channel: Channel) {
        self.way(channel).tried = Some(now);
        self.asked.push_back(Asked { at: now, channel, missed: false });
        if self.asked.len() > ASKED_MAX {
            self.asked.pop_front();
        }
    }

    /// An answer came after `rtt` to the question that was sent at `t1`; true if we asked it, once.
    pub(crate) fn handle_answered(&mut self, channel: Channel, t1: MonoTime, rtt: Span) -> bool {
        let ours = |asked: &Asked| {
            asked.channel == channel && asked.at <= t1 + SAME && t1 - asked.at < SENT_WITHIN
        };
        let Some(place) = self.asked.iter().rposition(ours) else { return false };
        let was_missed = self.asked.remove(place).is_some_and(|asked| asked.missed);
        let way = self.way(channel);
        if !was_missed {
            way.losses.see(false);
        }
        (way.missed, way.failures) = (0, 0);
        way.answered = way.answered.max(Some(t1));
        way.rounds.see(rtt);
        self.judge();
        true
    }

    /// Whether a question has just gone without an answer for too long.
    pub(crate) fn miss(&mut self, now: MonoTime) -> bool {
        let Self { ways, asked, .. } = self;
        let mut any = false;
        for asked in asked.iter_mut().filter(|it| !it.missed && now - it.at >= PATIENCE) {
            asked.missed = true;
            let way = &mut ways[place(asked.channel)];
            way.missed += 1;
            way.losses.see(true);
            any = true;
        }
        any
    }

    /// What the page is to do now; none when nothing is due.
    pub(crate) fn poll(&mut self, now: MonoTime) -> Option<Wish> {
        let door = self.door.clone();
        let way = self.way(Channel::WebTransport);
        match (way.phase, door) {
            (Phase::Open | Phase::Opening { .. }, None) => {
                way.phase = Phase::Shut;
                Some(Wish::Close)
            }
            (Phase::Away { until }, Some(door)) if now >= until => {
                way.phase = Phase::Opening { since: now };
                Some(Wish::Open(door))
            }
            (Phase::Opening { since }, _) if now - since >= OPENING_MAX => Some(self.give_up(now)),
            (Phase::Open, _) if way.missed >= GIVEN_UP => Some(self.give_up(now)),
            _ => None,
        }
    }

    /// The best way that is open and answers; where none answers, the last that is open.
    pub(crate) fn best(&self) -> Option<Channel> {
        let open = |channel: &Channel| self.ways[place(*channel)].phase == Phase::Open;
        let answers = |channel: &Channel| self.ways[place(*channel)].missed < MISSED_MAX;
        let taken = |channel: &Channel| self.ways[place(*channel)].standing == Standing::Taken;
        let mut all = BEST_FIRST.into_iter().filter(open);
        let mut answering = all.clone().filter(answers);
        let first = answering.clone().next();
        answering.find(taken).or(first).or_else(|| all.next_back())
    }

    /// The share of packets that get lost, 0 to 1, as questions show it that are never sent again; none on the socket, and
    /// before enough was asked.
    pub(crate) fn loss(&self) -> Option<f64> {
        let best = self.best().filter(|channel| *channel != Channel::WebSocket)?;
        self.ways[place(best)].losses.share()
    }

    pub(crate) fn is_open(&self, channel: Channel) -> bool {
        self.ways[place(channel)].phase == Phase::Open
    }

    /// Whether it is open, and answers what was asked since then.
    pub(crate) fn answers_since(&self, channel: Channel, since: MonoTime) -> bool {
        let way = &self.ways[place(channel)];
        way.phase == Phase::Open && way.missed == 0 && way.answered.is_some_and(|t1| t1 >= since)
    }

    /// Whether it may yet do so for the first time.
    pub(crate) fn is_undecided(&self, channel: Channel) -> bool {
        let way = &self.ways[place(channel)];
        match way.phase {
            Phase::Opening { .. } => way.failures == 0,
            Phase::Open => way.missed == 0,
            Phase::Shut | Phase::Away { .. } => false,
        }
    }

    /// Whether it is open, and no accident any more that nothing is answered on it.
    pub(crate) fn is_mute(&self, channel: Channel) -> bool {
        let way = &self.ways[place(channel)];
        way.phase == Phase::Open && way.missed >= MISSED_MAX
    }

    /// A way that is better than the best that answers, and is to be tried again now.
    pub(crate) fn to_try(&self, now: MonoTime) -> Option<Channel> {
        self.mute().find(|channel| self.try_at(*channel) <= now)
    }

    /// When there is something to do next; none if that is for others to say.
    pub(crate) fn next_wake(&self) -> Option<MonoTime> {
        let missed = self.asked.iter().find(|it| !it.missed).map(|it| it.at + PATIENCE);
        let opening = match self.ways[place(Channel::WebTransport)].phase {
            Phase::Away { until } => self.door.as_ref().map(|_| until),
            Phase::Opening { since } => Some(since + OPENING_MAX),
            Phase::Shut | Phase::Open => None,
        };
        let tries = self.mute().map(|channel| self.try_at(channel));
        tries.chain([missed, opening].into_iter().flatten()).min()
    }

    /// Compares those that are on trial, or were left, with the one that is asked by.
    fn judge(&mut self) {
        let Some(leader) = self.best().map(place) else { return };
        for place in 0..self.ways.len() {
            let way = &self.ways[place];
            let was_left = way.standing == Standing::Left;
            if place == leader || way.phase != Phase::Open || way.standing == Standing::Taken {
                continue;
            }
            match way.rounds.is_worse_than(&self.ways[leader].rounds, was_left) {
                Some(true) => self.ways[place].standing = Standing::Left,
                Some(false) => self.ways[place].standing = Standing::Taken,
                None => {}
            }
        }
    }

    fn give_up(&mut self, now: MonoTime) -> Wish {
        self.handle_closed(now, Channel::WebTransport);
        Wish::Close
    }

    /// Open ways that would be better than the one asked by, and do not answer, are on trial or were left.
    fn mute(&self) -> impl Iterator<Item = Channel> {
        let best = self.best();
        let better = BEST_FIRST.into_iter().take_while(move |channel| Some(*channel) != best);
        better.filter(|channel| self.ways[place(*channel)].phase == Phase::Open)
    }

    fn try_at(&self, channel: Channel) -> MonoTime {
        let way = &self.ways[place(channel)];
        let every = match way.standing {
            _ if way.missed >= MISSED_MAX => TRY_EVERY,
            Standing::Taken => TRY_EVERY,
            Standing::Trial => TRIAL_EVERY,
            Standing::Left => LEFT_EVERY,
        };
        way.tried.map_or(MonoTime::ZERO, |tried| tried + every)
    }

    fn way(&mut self, channel: Channel) -> &mut Way {
        &mut self.ways[place(channel)]
    }
}

impl Way {
    fn backoff(&self) -> Span {
        BACKOFF_FIRST.times(1 << self.failures.min(6)).min(BACKOFF_MAX)
    }
}

fn place(channel: Channel) -> usize {
    BEST_FIRST.iter().position(|it| *it == channel).expect("every channel is in the row")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Channel::{DataChannel, WebSocket, WebTransport as Datagrams};

    const RTT: Span = Span::from_millis(4);

    fn at(ms: i64) -> MonoTime {
        MonoTime::from_ns(ms * 1_000_000)
    }

    fn door(number: u32) -> WebTransport {
        WebTransport {
            url: format!("https://box/sync?phone={number}"),
            messages: false,
            certificate_hashes: vec![],
        }
    }

    /// A phone on a secure page whose datagrams are answered.
    fn secure() -> Ways {
        let mut ways = Ways::new();
        ways.handle_opened(WebSocket);
        ways.handle_door(at(0), Some(door(1)));
        assert_eq!(ways.poll(at(0)), Some(Wish::Open(door(1))));
        ways.handle_opened(Datagrams);
        ways
    }

    /// Asks by whatever is best every half second, and beside it what is to be tried; nothing is answered but on
    /// `answering`. Gives what was asked.
    fn ask(ways: &mut Ways, from_ms: i64, times: i64, answering: &[Channel]) -> Vec<Channel> {
        let mut asked = Vec::new();
        for now in (0..times).map(|k| at(from_ms + 500 * k)) {
            ways.miss(now);
            if ways.poll(now).is_some() {
                break;
            }
            for channel in ways.to_try(now).into_iter().chain(ways.best()) {
                ways.handle_asked(now, channel);
                asked.push(channel);
                if answering.contains(&channel) {
                    assert!(ways.handle_answered(channel, now, RTT));
                }
            }
        }
        asked
    }

    #[test]
    fn the_best_way_that_is_open_is_asked() {
        let mut ways = Ways::new();
        assert_eq!(ways.best(), None);
        ways.handle_opened(WebSocket);
        assert_eq!((ways.best(), ways.poll(at(0))), (Some(WebSocket), None), "no door was told");
        ways = secure();
        assert_eq!(ways.best(), Some(Datagrams));
        ways.handle_opened(DataChannel);
        assert_eq!(ways.best(), Some(DataChannel));
        ways.handle_closed(at(1), DataChannel);
        assert_eq!(ways.best(), Some(Datagrams));
    }

    #[test]
    fn sx12_loss_is_seen_in_datagrams_and_not_over_the_socket() {
        let mut ways = secure();
        let mut lost = |every: i64, now_ms: i64, channel| {
            ways.miss(at(now_ms));
            ways.handle_asked(at(now_ms), channel);
            if now_ms / 100 % every != 0 {
                assert!(ways.handle_answered(channel, at(now_ms), RTT));
            }
            ways.loss()
        };
        assert_eq!((1..20).find_map(|k| lost(4, 100 * k, Datagrams)), None, "too few to say");
        let share = (20..200).filter_map(|k| lost(4, 100 * k, Datagrams)).last().expect("known");
        assert!((share - (1.0 - 0.75f64.sqrt())).abs() < 0.02, "there and back: {share}");
        ways.handle_closed(at(21_000), Datagrams);
        ask(&mut ways, 21_000, 40, &[WebSocket]);
        assert_eq!(ways.loss(), None);
    }

    #[test]
    fn datagrams_that_go_mute_are_left_for_the_socket_and_taken_back_when_they_answer() {
        let mut ways = secure();
        let asked = ask(&mut ways, 0, 10, &[WebSocket]);
        assert_eq!(asked[..5], [Datagrams; 5], "{asked:?}");
        assert_eq!(asked[6..], vec![WebSocket; asked.len() - 6], "{asked:?}");
        let again = ask(&mut ways, 5_000, 4, &[WebSocket, Datagrams]);
        assert!(again.contains(&Datagrams) && again.contains(&WebSocket), "{again:?}");
        assert_eq!(ways.best(), Some(Datagrams));
    }

    #[test]
    fn a_session_that_stays_mute_is_opened_anew_and_ever_more_seldom() {
        let mut ways = secure();
        let mut now = 0;
        let mut opened = Vec::new();
        while opened.len() < 8 {
            ask(&mut ways, now, 1, &[WebSocket]);
            now += 500;
            match ways.poll(at(now)) {
                Some(Wish::Open(_)) => {
                    opened.push(now);
                    // Where UDP is blocked it does not even open.
                    ways.handle_closed(at(now + 10), Datagrams);
                }
                Some(Wish::Close) | None => {}
            }
            assert!(now < 600_000, "{opened:?}");
        }
        let gaps: Vec<i64> = opened.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.windows(2).all(|pair| pair[1] >= pair[0]), "{gaps:?}");
        assert!(gaps.last().is_some_and(|gap| (60_000..62_000).contains(gap)), "{gaps:?}");
        ways.handle_woke(at(now));
        assert_eq!(ways.poll(at(now)), Some(Wish::Open(door(1))));
    }

    #[test]
    fn another_certificate_opens_it_anew_and_none_closes_it() {
        let mut ways = secure();
        ways.handle_door(at(5), Some(door(1)));
        assert_eq!(ways.poll(at(5)), None, "nothing new");
        ways.handle_door(at(6), Some(door(2)));
        assert_eq!(ways.poll(at(6)), Some(Wish::Open(door(2))));
        ways.handle_opened(Datagrams);
        ways.handle_door(at(7), None);
        assert_eq!((ways.poll(at(7)), ways.best()), (None, Some(WebSocket)));
    }

    #[test]
    fn an_answer_finds_its_question_and_a_made_up_or_second_one_finds_none() {
        let mut ways = secure();
        ways.handle_asked(at(20), WebSocket);
        ways.handle_asked(at(20), Datagrams);
        assert!(!ways.handle_answered(WebSocket, at(19), RTT), "before it was asked");
        assert!(!ways.handle_answered(WebSocket, at(900), RTT), "long after");
        assert!(ways.handle_answered(WebSocket, at(21), RTT), "a moment after we wished for it");
        assert!(!ways.handle_answered(WebSocket, at(21), RTT), "twice");
        assert!(ways.handle_answered(Datagrams, at(20), RTT));
    }

    #[test]
    fn datagrams_that_overtake_each_other_each_find_their_question() {
        let mut ways = secure();
        (1..=3).for_each(|k| ways.handle_asked(at(100 * k), Datagrams));
        for k in [3, 1, 2] {
            assert!(ways.handle_answered(Datagrams, at(100 * k), RTT), "{k}");
        }
    }

    /// Both ways are asked twice a second for so long, and answer after so many milliseconds: what leads then.
    fn led(
        ways: &mut Ways,
        from_ms: i64,
        times: i64,
        rtt_ms: impl Fn(Channel, i64) -> i64,
    ) -> Channel {
        for k in 0..times {
            let now = at(from_ms + 500 * k);
            ways.miss(now);
            for channel in ways.to_try(now).into_iter().chain(ways.best()) {
                ways.handle_asked(now, channel);
                ways.handle_answered(channel, now, Span::from_millis(rtt_ms(channel, k)));
            }
        }
        ways.best().expect("one is open")
    }

    /// Datagrams that wander by 20 ms each way, beside a clean socket.
    fn shuffled(channel: Channel, k: i64) -> i64 {
        if channel == WebSocket { 1 } else { 1 + 7 * k % 41 }
    }

    fn joined() -> Ways {
        let mut ways = Ways::new();
        ways.handle_opened(WebSocket);
        led(&mut ways, 0, 4, |_, _| 1);
        ways.handle_opened(DataChannel);
        ways
    }

    #[test]
    fn sx09_a_peer_connection_that_shuffles_its_packets_does_not_lead_a_clock_that_the_socket_leads_well()
     {
        let mut ways = joined();
        assert_eq!(led(&mut ways, 2_000, 40, shuffled), WebSocket);
        assert_eq!(led(&mut ways, 22_000, 240, |_, _| 2), DataChannel, "it is as good by now");
    }

    #[test]
    fn sx09_a_peer_connection_that_is_as_good_as_the_socket_leads_within_seconds() {
        for socket_ms in [1, 30, 300] {
            let mut ways = joined();
            let rtt = |channel, k| if channel == WebSocket { socket_ms } else { 2 + k % 3 };
            assert_eq!(led(&mut ways, 2_000, 8, rtt), DataChannel, "{socket_ms} ms by the socket");
        }
    }

    #[test]
    fn a_way_that_was_left_is_seldom_asked_and_leads_where_nothing_else_does() {
        let mut ways = joined();
        led(&mut ways, 2_000, 40, shuffled);
        let asked = ask(&mut ways, 22_000, 120, &[WebSocket, DataChannel]);
        let tried = asked.iter().filter(|it| **it == DataChannel).count();
        assert!((3..=5).contains(&tried), "{tried} in a minute");
        ways.handle_closed(at(90_000), WebSocket);
        assert_eq!(ways.best(), Some(DataChannel));
    }

    #[test]
    fn a_phone_that_woke_puts_all_ways_to_the_test_again() {
        let mut ways = joined();
        led(&mut ways, 2_000, 40, shuffled);
        ways.handle_woke(at(22_000));
        assert_eq!(led(&mut ways, 22_000, 10, |_, _| 2), DataChannel);
    }
}
