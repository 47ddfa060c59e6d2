//! RDM messages and their data, to the parsers; and to a desk with a question on its lips, which is answered by them.
//! A new message begins wherever its two first octets stand, so that bytes may be a whole conversation.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use engine::light::rdm::{Ask, Question, Rdm};
use units::{PortAddress, ShowTime, Span};
use wire::artnet::{RdmPacket, TodData};
use wire::rdm::parameter::{Parameter, read};
use wire::rdm::{Class, Message, Uid, discovery_answer, parse_discovery_answer};

use super::{Target, pieces};

/// The target.
pub const TARGET: Target = Target { name: "rdm", folders: &["rdm"], run };

/// Whom the seeds are for, and from.
const DESK: Uid = Uid { maker: 0xcba9, device: 0x8765_4321 };
const LAMP: Uid = Uid { maker: 0x1234, device: 0x5678_9abc };
const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

fn run(bytes: &[u8]) {
    if let Ok(uid) = parse_discovery_answer(bytes) {
        assert_eq!(parse_discovery_answer(&discovery_answer(uid)), Ok(uid));
    }
    let port_address = PortAddress::new(1).expect("15 bits");
    let mut rdm = Rdm::new(DESK, BTreeSet::from([port_address]));
    let mut now = ShowTime::ZERO;
    let (total, uids) = (Some(1), vec![LAMP]);
    rdm.handle_table(
        now,
        &TodData { port_address, port: 1, bind_index: 1, total, block: 0, uids },
        NODE,
    );
    let question =
        Question { uid: LAMP, sub_device: 0, class: Class::Get, parameter: 0x0060, data: vec![] };
    rdm.ask(now, Ask::Question(question));
    for piece in pieces(bytes, &[0x01, 0x18]) {
        if let Ok(message) = Message::parse(piece) {
            comes_back(&message);
        }
        rdm.handle_message(now, &RdmPacket { port_address, message: piece }, NODE);
        now += Span::from_millis(300);
        rdm.tick(now);
        let sent = std::iter::from_fn(|| rdm.poll()).count();
        assert!(sent <= 2, "{sent} packets for one");
    }
    now += Span::from_secs(21);
    rdm.tick(now);
    assert_eq!(std::iter::from_fn(|| rdm.poll_done()).count(), 1, "it is answered once");
}

fn comes_back(message: &Message<'_>) {
    let bytes = message.emit().expect("what was read fits");
    assert_eq!(Message::parse(&bytes), Ok(*message));
    let _ = message.answer();
    let parameter = Parameter::of(message.parameter);
    for fields in [Some(parameter.answer), parameter.ask, parameter.set].into_iter().flatten() {
        if let Ok(reading) = read(fields, message.data) {
            assert_eq!(reading.len(), fields.len());
        }
    }
}
