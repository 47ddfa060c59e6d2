//! What we say of ourselves in ArtPollReply (rules A6 and A7): who we are, and every port address that we send or take.
//!
//! A port address that we send is an *input* in Art-Net's words: it comes onto the network by us. One that we take from
//! a desk is an output, so that the desk sends it to us (rule A8).

use std::collections::{BTreeMap, BTreeSet};

use units::PortAddress;
use wire::artnet::{
    PORTS_A_REPLY, PollReply, Port, STATUS_1_RDM, STATUS_1_SET_HERE, STATUS_2_FIFTEEN_BITS, Style,
};

use super::{ControllerSetup, PortState};

/// Bind indices count from 1 in one octet.
const REPLIES_MAX: usize = 255;

/// Major and minor number of this program, an octet each.
const FIRMWARE: [u8; 2] =
    [octet(env!("CARGO_PKG_VERSION_MAJOR")), octet(env!("CARGO_PKG_VERSION_MINOR"))];

/// All our replies, in the order of their bind index, with their reports still empty.
pub(super) fn replies(
    setup: &ControllerSetup,
    taken: &BTreeMap<PortAddress, PortState>,
) -> Vec<PollReply> {
    let about = about(setup);
    let mut pages = pages(&setup.ports, &setup.takes);
    if pages.is_empty() {
        pages.push(Vec::new());
    }
    let reply = |(bind_index, ports): (u8, Vec<Port>)| {
        let state = ports.first().and_then(|port| taken.get(&port.address()));
        let (failsafe, good) = (state.map(|it| it.failsafe), state.map(|it| it.good));
        let good_outputs = good.into_iter().collect();
        PollReply { bind_index, ports, failsafe, good_outputs, ..about.clone() }
    };
    (1..=u8::MAX).zip(pages).map(reply).collect()
}

fn about(setup: &ControllerSetup) -> PollReply {
    PollReply {
        ip: setup.own,
        firmware: FIRMWARE,
        // The show file sets port addresses, and nobody over the network.
        status_1: STATUS_1_SET_HERE | STATUS_1_RDM,
        short_name: setup.name.clone(),
        long_name: format!("Downbeat {}", setup.name),
        acn_priority: setup.priority,
        style: Style::Controller,
        mac: setup.mac,
        bind_ip: setup.own,
        status_2: STATUS_2_FIFTEEN_BITS,
        ..PollReply::default()
    }
}

/// What we take first, a port a reply, so that its bind index says which it is (`input::FIRST_BIND`). Then what we send:
/// one port a reply, as Art-Net 4 prefers it, as long as bind indices suffice; beyond, as many as a reply holds, which
/// is all of 1,020 at most: more are not listed.
fn pages(sent: &BTreeSet<PortAddress>, taken: &BTreeSet<PortAddress>) -> Vec<Vec<Port>> {
    let most = if taken.len() + sent.len() <= REPLIES_MAX { 1 } else { PORTS_A_REPLY };
    let sent: Vec<Port> = sent.iter().map(|address| Port::Input(*address)).collect();
    let kin = sent.chunk_by(|a, b| a.sub_net() == b.sub_net());
    let sent = kin.flat_map(|kin| kin.chunks(most)).map(<[Port]>::to_vec);
    let taken = taken.iter().map(|address| vec![Port::Output(*address)]);
    taken.chain(sent).take(REPLIES_MAX).collect()
}

const fn octet(digits: &str) -> u8 {
    let (digits, mut at, mut number) = (digits.as_bytes(), 0, 0_u8);
    while at < digits.len() {
        number = number.saturating_mul(10).saturating_add(digits[at] - b'0');
        at += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(raw: impl IntoIterator<Item = u32>) -> BTreeSet<PortAddress> {
        raw.into_iter().map(|raw| PortAddress::new(raw).expect("15 bits")).collect()
    }

    #[test]
    fn a06_each_port_has_a_reply_as_long_as_there_are_bind_indices() {
        let pages = pages(&addresses(0..250), &addresses([0x7000]));
        assert_eq!(pages.len(), 251);
        assert!(pages.iter().all(|ports| ports.len() == 1));
    }

    #[test]
    fn a06_beyond_that_four_share_a_reply_and_their_net_and_sub_net() {
        let pages = pages(&addresses((0..600).map(|it| it * 3)), &addresses([5, 6]));
        assert!(pages.len() <= REPLIES_MAX);
        assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 602);
        for ports in pages {
            assert!(ports.len() <= PORTS_A_REPLY);
            assert!(ports.iter().all(|port| port.sub_net() == ports[0].sub_net()));
        }
    }

    #[test]
    fn a06_no_more_than_255_replies_are_sent() {
        let pages = pages(&addresses(0..4000), &addresses([]));
        assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 1020);
    }
}
