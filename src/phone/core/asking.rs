//! The clock's questions: when and by which way one is asked, and what becomes of its answer.
//!
//! In: the time, answers. Out: acts that ask, exchanges for the clock. Never: a stamp of our own; the page makes them.

use units::MonoTime;
use wire::solusync::{self, ClockSyncResponse};
use wire::time::{Answer, Channel, Question, T1_AT};

use super::Core;
use crate::clock::{Exchange, Heard};
use crate::scale::{NetTime, from_secs, net};
use crate::told::Act;

/// The middle of these is the round trip we report.
const RTTS_MAX: usize = 16;

impl Core {
    pub(super) fn ask_if_due(&mut self, now: MonoTime) {
        if self.ways.miss(now) {
            self.pace.handle_missed(now);
        }
        let Some(best) = self.ways.best() else { return };
        // Another way is of another length, and has to be learnt.
        if self.asked_by.is_some_and(|by| by != best) {
            self.pace.handle_doubt(now);
            self.rtts.clear();
        }
        if now >= self.pace.next() {
            self.asked_by = Some(best);
            self.ask(now, best);
            let doubt = self.clock.reading(now).map(|reading| reading.sigma);
            self.pace.handle_asked(now, doubt, &mut self.chance);
        }
        if let Some(channel) = self.ways.to_try(now) {
            self.ask(now, channel);
        }
    }

    /// The page puts its clock in when it sends: a core that is busy must not make the way look longer.
    pub(super) fn ask(&mut self, now: MonoTime, channel: Channel) {
        self.ways.handle_asked(now, channel);
        let act = match channel {
            Channel::WebSocket => {
                let (head, tail) = solusync::clock_sync_around_t1(&self.header(now));
                Act::Ask { head, tail }
            }
            Channel::WebTransport | Channel::DataChannel => {
                let octets = hex(&Question { t1: [0; 8] }.emit());
                Act::AskTime { channel, octets, clock_at: T1_AT }
            }
        };
        self.acts.push(act);
    }

    pub(super) fn heard_time(&mut self, channel: Channel, at: MonoTime, octets: &str) {
        let answer = unhex(octets).and_then(|octets| Answer::parse(&octets).ok());
        let Some(Answer { t1, t2_ns, t3_ns }) = answer else { return };
        let t1 = from_secs(f64::from_be_bytes(t1) / 1e3);
        let (t2, t3) = (NetTime::from_ns(t2_ns), NetTime::from_ns(t3_ns));
        self.compare(Exchange { t1, t2, t3, t4: at, channel });
    }

    pub(super) fn answered(&mut self, at: MonoTime, answer: &ClockSyncResponse) {
        // By the parser of all messages: `str::parse` brings ten kilobytes of tables of its own.
        let Ok(t1) = serde_json::from_str(answer.t1.get()).map(from_secs) else { return };
        let (t2, t3, channel) = (net(answer.t2), net(answer.t3), Channel::WebSocket);
        self.compare(Exchange { t1, t2, t3, t4: at, channel });
    }

    /// What was asked only to see whether a way answers says nothing of the way that is asked by: another one is of
    /// another length, and the clock would have to learn it anew each time.
    fn compare(&mut self, exchange: Exchange) {
        let is_ours = self.ways.handle_answered(exchange.channel, exchange.t1, exchange.rtt());
        if is_ours && exchange.channel == Channel::DataChannel {
            self.peer.handle_answered();
        }
        if !is_ours || self.asked_by != Some(exchange.channel) {
            return;
        }
        self.live.handle_rtt(exchange.rtt());
        self.rtts.push_back(exchange.rtt());
        if self.rtts.len() > RTTS_MAX {
            self.rtts.pop_front();
        }
        // Was it a mistake, a shorter way, or a moved clock? The next answers say, and the curve may not wait for them.
        if self.clock.handle(exchange) == Heard::Early {
            self.pace.handle_doubt(exchange.t4);
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// None of what is no hexadecimal, or longer than any datagram that means something.
fn unhex(text: &str) -> Option<Vec<u8>> {
    const LENGTH_MAX: usize = 200;
    let digits: Option<Vec<u8>> =
        text.chars().take(LENGTH_MAX + 1).map(|it| Some(it.to_digit(16)? as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0 && digits.len() <= LENGTH_MAX)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
