//! What a phone's address sends while a peer connection is made and when it stands: damaged records of DTLS between the
//! true ones, to str0m. Nothing panics and nothing goes on for ever; whether such a phone gets its connection is its own
//! affair.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use str0m::config::DtlsCert;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "dtls", folders: &["dtls"], run };

/// Turns of ten milliseconds: the true records alone need twenty.
const TURNS: usize = 60;
/// What one turn can have to say.
const WORDS_MAX: usize = 1_000;

fn run(record: &[u8]) {
    met(record);
}

/// Whether they came together all the same.
fn met(record: &[u8]) -> bool {
    let mut now = Instant::now();
    let (mut phone, mut ours) = (End::new(1, now), End::new(2, now));
    introduce(&mut phone, &mut ours);
    for _ in 0..TURNS {
        for packet in phone.say() {
            let is_dtls = matches!(packet.first(), Some(20..=63));
            if is_dtls {
                ours.hear(now, phone.at, record);
            }
            ours.hear(now, phone.at, &packet);
        }
        ours.say().iter().for_each(|packet| phone.hear(now, ours.at, packet));
        now += Duration::from_millis(10);
        [&mut phone, &mut ours].into_iter().for_each(|end| end.wake(now));
    }
    ours.hear(now, phone.at, record);
    ours.say();
    ours.is_connected
}

fn introduce(phone: &mut End, ours: &mut End) {
    for end in [&mut *phone, &mut *ours] {
        let candidate = Candidate::host(end.at, Protocol::Udp).expect("an address");
        end.rtc.add_local_candidate(candidate);
    }
    let mut change = phone.rtc.sdp_api();
    change.add_channel("time".to_owned());
    let (offer, pending) = change.apply().expect("a channel is new");
    let answer = ours.rtc.sdp_api().accept_offer(offer).expect("str0m knows its own");
    phone.rtc.sdp_api().accept_answer(pending, answer).expect("str0m knows its own");
}

struct End {
    rtc: Rtc,
    at: SocketAddr,
    is_over: bool,
    is_connected: bool,
}

impl End {
    fn new(number: u8, now: Instant) -> Self {
        static CERTIFICATE: OnceLock<DtlsCert> = OnceLock::new();
        let provider = str0m::crypto::from_feature_flags();
        let made = || provider.dtls_provider.generate_certificate().expect("a key");
        let certificate = CERTIFICATE.get_or_init(made).clone();
        let rtc = RtcConfig::new().set_dtls_cert(certificate).build(now);
        let at = SocketAddr::from(([10, 0, 0, number], 4003));
        Self { rtc, at, is_over: false, is_connected: false }
    }

    fn hear(&mut self, now: Instant, source: SocketAddr, packet: &[u8]) {
        let Ok(contents) = packet.try_into() else { return };
        let heard = Receive { proto: Protocol::Udp, source, destination: self.at, contents };
        let input = Input::Receive(now, heard);
        if self.rtc.accepts(&input) {
            self.take(input);
        }
    }

    fn wake(&mut self, now: Instant) {
        self.take(Input::Timeout(now));
    }

    /// An error ends the connection, as the hub does.
    fn take(&mut self, input: Input<'_>) {
        self.is_over = self.is_over || self.rtc.handle_input(input).is_err();
    }

    fn say(&mut self) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        for _ in 0..WORDS_MAX {
            if self.is_over {
                return said;
            }
            match self.rtc.poll_output() {
                Ok(Output::Transmit(it)) => said.push(it.contents.to_vec()),
                Ok(Output::Event(Event::ChannelOpen(..))) => self.is_connected = true,
                Ok(Output::Event(_)) => {}
                Ok(Output::Timeout(_)) => return said,
                Err(_) => self.is_over = true,
            }
        }
        panic!("it goes on for ever");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_none_hinders_nobody() {
        assert!([&[][..], &[22], &[63; 40]].into_iter().all(met));
    }
}
