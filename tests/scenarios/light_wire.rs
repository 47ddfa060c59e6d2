//! Named packets in `tests/vectors/{sacn,artnet}`: what each means, that the crates `sacn` and `artnet_protocol` agree
//! where they can, and that no damage to any of them makes a parser or a controller panic.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use artnet_protocol::ArtCommand;
use engine::light::controller::{Controller, ControllerSetup, Reach};
use engine::light::receive::{LOSS, Receiver, SAMPLING};
use tests::seeds::{Seed, seeds};
use units::{FrameRate, PortAddress, ShowTime, Span, Timecode, Universe};
use uuid::Uuid;
use wire::artnet::{
    self, ArtnetError, Command, DiagData, DiagPriority, Diagnostics, DmxFrame, Key, Nzs,
    Packet as Art, Poll, Port, Style, TimeCode, Trigger,
};
use wire::rdm::parameter::{self, Parameter};
use wire::rdm::{self, Answer, Message, RdmError};
use wire::sacn::{self, DataFrame, Options, Packet as Acn, SacnError, SourceName};

const CID: Uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);

/// Every packet of a folder by its name; recordings are several, and the fuzzer's.
fn vectors(folder: &str) -> BTreeMap<String, Vec<u8>> {
    let named = |seed: Seed| (seed.name.trim_end_matches(".txt").to_owned(), seed.bytes);
    let packets = seeds(&[folder]).into_iter().filter(|seed| !seed.name.starts_with("recording"));
    packets.map(named).collect()
}

fn vector(folder: &str, name: &str) -> Vec<u8> {
    vectors(folder).remove(name).expect("the vector is there")
}

fn universe(number: u32) -> Universe {
    Universe::new(number).expect("a universe")
}

fn port(raw: u32) -> PortAddress {
    PortAddress::new(raw).expect("15 bits")
}

#[test]
fn sacn_data_is_written_and_read_octet_for_octet_as_the_standard_has_it() {
    let bytes = vector("sacn", "data");
    let mut frame = DataFrame::new(CID, SourceName::new("Desk left"), 100, universe(258));
    frame.set_sequence(42);
    frame.slots_mut()[0] = 255;
    frame.slots_mut()[511] = 128;
    assert_eq!(frame.bytes().as_slice(), bytes);
    let Ok(Acn::Data(data)) = sacn::parse(&bytes) else { panic!("data") };
    assert_eq!(
        (data.cid, data.universe, data.priority, data.sequence),
        (CID, universe(258), 100, 42)
    );
    assert_eq!(data.source_name.to_string(), "Desk left");
    assert_eq!((data.slots[0], data.slots[511], data.slots.len()), (255, 128, 512));
}

#[test]
fn sacn_options_short_universes_and_other_start_codes_are_read() {
    let bytes = vector("sacn", "data-three-slots");
    let Ok(Acn::Data(data)) = sacn::parse(&bytes) else { panic!("data") };
    assert_eq!((data.slots, data.sync_address), ([1, 2, 3].as_slice(), 7962));
    assert_eq!(data.options, Options { preview: true, terminated: false, force_sync: true });
    let bytes = vector("sacn", "data-terminated");
    assert!(matches!(sacn::parse(&bytes), Ok(Acn::Data(data)) if data.options.terminated));
    let bytes = vector("sacn", "data-address-priority");
    assert!(matches!(sacn::parse(&bytes), Ok(Acn::Data(data)) if data.start_code == 0xdd));
    let bytes = vector("sacn", "data-no-slots");
    assert!(matches!(sacn::parse(&bytes), Ok(Acn::Data(data)) if data.slots.is_empty()));
}

#[test]
fn s10_s11_synchronization_and_discovery_are_written_and_read() {
    let packet = sacn::Sync { cid: CID, sequence: 7, address: universe(7962) };
    let bytes = vector("sacn", "sync");
    assert_eq!(sacn::sync(packet).as_slice(), bytes);
    assert_eq!(sacn::parse(&bytes), Ok(Acn::Sync(packet)));
    let listed = [1, 2, 63_999].map(universe);
    let bytes = vector("sacn", "discovery");
    assert_eq!(sacn::discovery(CID, SourceName::new("Desk left"), &listed), [bytes.as_slice()]);
    let Ok(Acn::Discovery(page)) = sacn::parse(&bytes) else { panic!("a discovery") };
    assert_eq!(page.universes().collect::<Vec<_>>(), listed);
}

#[test]
fn sacn_that_contradicts_itself_is_refused_with_its_reason() {
    let refused = |name| sacn::parse(&vector("sacn", name)).map(|_| ()).expect_err("it is wrong");
    assert_eq!(refused("refused-universe-0"), SacnError::Universe(0));
    assert_eq!(refused("refused-priority-201"), SacnError::Priority(201));
    assert_eq!(refused("refused-root-too-long"), SacnError::Lengths);
    assert_eq!(refused("refused-value-count"), SacnError::Lengths);
    assert_eq!(refused("refused-root-too-short"), SacnError::Short(21));
}

#[test]
fn the_crate_sacn_reads_every_sound_vector_as_we_do() {
    use ::sacn::packet::{AcnRootLayerProtocol, E131RootLayerData as Oracle};
    for (name, bytes) in vectors("sacn").iter().filter(|(name, _)| !name.starts_with("refused")) {
        let oracle = AcnRootLayerProtocol::parse(bytes).expect("the oracle reads it").pdu;
        assert_eq!(oracle.cid.as_bytes(), CID.as_bytes());
        match (sacn::parse(bytes).expect("we read it"), oracle.data) {
            (Acn::Data(ours), Oracle::DataPacket(its)) => {
                assert_eq!(ours.universe.number(), its.universe, "{name}");
                assert_eq!((ours.priority, ours.sequence), (its.priority, its.sequence_number));
                assert_eq!(ours.sync_address, its.synchronization_address);
                assert_eq!(ours.source_name.to_string(), its.source_name);
                let options = (its.preview_data, its.stream_terminated, its.force_synchronization);
                let it = ours.options;
                assert_eq!((it.preview, it.terminated, it.force_sync), options);
                let values = [&[ours.start_code], ours.slots].concat();
                assert_eq!(values, *its.data.property_values);
            }
            (Acn::Sync(ours), Oracle::SynchronizationPacket(its)) => {
                assert_eq!(ours.address.number(), its.synchronization_address);
                assert_eq!(ours.sequence, its.sequence_number);
            }
            (Acn::Discovery(ours), Oracle::UniverseDiscoveryPacket(its)) => {
                let universes: Vec<_> = ours.universes().map(Universe::number).collect();
                assert_eq!(universes, *its.data.universes);
            }
            (ours, its) => panic!("{name}: {ours:?} is not {its:?}"),
        }
    }
}

#[test]
fn art_net_is_written_octet_for_octet_as_its_specification_has_it() {
    let mut frame = DmxFrame::new(port(0x1234));
    frame.set_sequence(42);
    frame.slots_mut()[0] = 255;
    frame.slots_mut()[511] = 128;
    assert_eq!(frame.bytes().as_slice(), vector("artnet", "dmx"));
    let poll = Poll { on_change: true, ..Poll::default() };
    assert_eq!(artnet::poll(&poll).as_slice(), vector("artnet", "poll"));
    let targeted = Poll { target: Some(0x100..=0x1ff), ..Poll::default() };
    assert_eq!(artnet::poll(&targeted).as_slice(), vector("artnet", "poll-targeted"));
    assert_eq!(artnet::SYNC.as_slice(), vector("artnet", "sync"));
    let trigger = Trigger::new(Key::Show, 5);
    assert_eq!(trigger.emit().as_slice(), vector("artnet", "trigger"));
    let nzs = Nzs { sequence: 7, start_code: 0x17, port_address: port(0x1234), slots: b"\0PH" };
    assert_eq!(nzs.emit(), Some(vector("artnet", "nzs")));
    let (priority, text) = (DiagPriority::MEDIUM, "lamp".into());
    let line = DiagData { priority, logical_port: 0, text };
    assert_eq!(line.emit(), vector("artnet", "diag-data"));
    let diagnostics = Some(Diagnostics { least: DiagPriority::MEDIUM, unicast: true });
    let poll = Poll { diagnostics, ..Poll::default() };
    assert_eq!(artnet::poll(&poll).as_slice(), vector("artnet", "poll-diagnostics"));
    let timecode = Timecode::parse("01:02:03;04", FrameRate::Drop29_97).expect("a frame");
    let said = TimeCode { stream: 0, timecode };
    assert_eq!(said.emit().as_slice(), vector("artnet", "time-code"));
    assert_eq!(artnet::parse(&said.emit()), Ok(Art::TimeCode(said)));
}

#[test]
fn art_net_is_read_old_and_new() {
    let poll = |name| match artnet::parse(&vector("artnet", name)) {
        Ok(Art::Poll(poll)) => poll,
        other => panic!("{name} was read as {other:?}"),
    };
    assert_eq!(poll("poll-first"), poll("poll"));
    assert_eq!(poll("poll-targeted").target, Some(0x100..=0x1ff));
    for (name, bind_index) in [("poll-reply", 1), ("poll-reply-old", 0)] {
        let Ok(Art::PollReply(reply)) = artnet::parse(&vector("artnet", name)) else {
            panic!("{name}")
        };
        assert_eq!(reply.ports, [Port::Output(port(0x1234)), Port::Output(port(0x1235))]);
        assert_eq!(
            (reply.short_name.as_str(), reply.report.as_str()),
            ("Node", "#0001 [0007] fine")
        );
        assert_eq!((reply.ip, reply.style), (Ipv4Addr::new(10, 0, 0, 7), Style::Node));
        assert_eq!(reply.bind_index, bind_index, "{name}");
    }
    for (name, bind_index, command) in [
        ("address", 1, Command::Other(0)),
        ("address-fail-full", 2, Command::FailFull),
        ("address-fail-scene", 2, Command::FailScene),
        ("address-fail-record", 2, Command::FailRecord),
    ] {
        let expected = Ok(Art::Address { bind_index, command });
        assert_eq!(artnet::parse(&vector("artnet", name)), expected);
    }
    assert_eq!(artnet::parse(&vector("artnet", "input")), Ok(Art::Input { bind_index: 1 }));
    let other = Trigger { oem: 0x2828, ..Trigger::new(Key::Other(0x63), 1) };
    let bytes = vector("artnet", "trigger-of-another-product");
    assert_eq!(artnet::parse(&bytes), Ok(Art::Trigger(other)));
    for (name, operation) in [("ip-prog", 0xf800), ("command", 0x2400)] {
        assert_eq!(artnet::parse(&vector("artnet", name)), Ok(Art::Other(operation)));
    }
    let bytes = vector("artnet", "dmx-two-slots");
    assert!(
        matches!(artnet::parse(&bytes), Ok(Art::Dmx(dmx)) if dmx.slots == [1, 2] && dmx.sequence == 0)
    );
}

#[test]
fn art_net_that_breaks_a_rule_is_refused_with_its_reason() {
    let refused =
        |name| artnet::parse(&vector("artnet", name)).map(|_| ()).expect_err("it is wrong");
    assert_eq!(refused("refused-version-13"), ArtnetError::Version(13));
    assert_eq!(refused("refused-dmx-odd"), ArtnetError::Length(3));
    assert_eq!(refused("refused-dmx-cut-off"), ArtnetError::Length(512));
    assert_eq!(refused("refused-nzs-levels"), ArtnetError::StartCode(0));
    assert_eq!(refused("refused-port-address"), ArtnetError::PortAddress(0x8001));
    assert_eq!(refused("refused-time-code-dropped"), ArtnetError::TimeCode);
    assert_eq!(refused("refused-time-code-type"), ArtnetError::TimeCode);
    assert_eq!(refused("refused-time-code-short"), ArtnetError::Short(18));
}

#[test]
fn a19_rdm_in_art_net_is_written_and_read_octet_for_octet() {
    let lines = [0x1234, 0x1235].map(port);
    assert_eq!(artnet::tod_requests(&lines), [vector("artnet", "tod-request")]);
    assert_eq!(artnet::tod_flush(port(0x1234)), vector("artnet", "tod-control"));
    for (name, total, count) in [("tod-data", Some(2), 2), ("tod-data-none", None, 0)] {
        let bytes = vector("artnet", name);
        let Ok(Art::TodData(part)) = artnet::parse(&bytes) else { panic!("{name}") };
        assert_eq!((part.total, part.uids.len(), part.port_address), (total, count, port(0x1234)));
        assert_eq!(part.emit(), bytes);
    }
    let bytes = vector("artnet", "rdm");
    let Ok(Art::Rdm(packet)) = artnet::parse(&bytes) else { panic!("a message") };
    assert_eq!(packet.message, vector("rdm", "get-status-messages"));
    assert_eq!(packet.emit(), bytes);
    let bytes = vector("artnet", "rdm-sub");
    assert!(matches!(artnet::parse(&bytes), Ok(Art::RdmSub(sub)) if sub.values == [1, 17]));
    assert_eq!(
        artnet::parse(&vector("artnet", "refused-tod-data-cut-off")),
        Err(ArtnetError::Short(36))
    );
}

#[test]
fn a19_rdm_messages_are_read_as_e1_20_has_them_or_refused_with_a_reason() {
    let bytes = vectors("rdm");
    let read = |name: &str| Message::parse(&bytes[name]).expect("it is sound");
    for name in bytes.keys().filter(|it| !it.contains("discovery") && !it.starts_with("refused")) {
        assert_eq!(read(name).emit().as_ref(), Some(&bytes[name]), "{name}");
    }
    let values = |name: &str| {
        let message = read(name);
        let fields = Parameter::of(message.parameter).answer;
        let reading = parameter::read(fields, message.data).expect("it is whole");
        reading.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(values("device-label"), ["label=\"Front wash\""]);
    assert_eq!(values("device-info")[7..], ["start_address=100", "sub_devices=2", "sensors=3"]);
    assert_eq!(values("sensor-value")[1..3], ["present=-2", "lowest=-5"]);
    assert_eq!(read("ack-timer").answer(), Ok(Answer::Timer(4)));
    assert_eq!(read("nack-out-of-range").answer(), Ok(Answer::Nack(6)));
    assert!(
        matches!(read("ack-overflow").answer(), Ok(Answer::Overflow(data)) if data.len() == 10)
    );
    let refused = |name: &str| Message::parse(&bytes[name]).expect_err("it is wrong");
    let (given, right) = (0x066b, 0x066a);
    assert_eq!(refused("refused-checksum"), RdmError::Checksum { given, right });
    assert_eq!(refused("refused-lengths"), RdmError::Lengths(24, 1));
    let lamp = "1234:56789abc".parse().expect("a UID");
    assert_eq!(rdm::parse_discovery_answer(&bytes["discovery-answer"]), Ok(lamp));
    assert_eq!(rdm::discovery_answer(lamp), bytes["discovery-answer"]);
    let both = &bytes["refused-discovery-collision"];
    assert_eq!(rdm::parse_discovery_answer(both), Err(RdmError::Collision));
}

#[test]
fn the_crate_artnet_protocol_reads_dmx_polls_replies_and_timecode_as_we_do() {
    let read =
        |name| ArtCommand::from_buffer(&vector("artnet", name)).expect("the oracle reads it");
    let ArtCommand::Output(dmx) = read("dmx") else { panic!("an ArtDmx") };
    assert_eq!(
        (u16::from(dmx.port_address), dmx.sequence, dmx.data.as_ref().len()),
        (0x1234, 42, 512)
    );
    let ArtCommand::OpTimeCode(said) = read("time-code") else { panic!("an ArtTimeCode") };
    let its = [said.stream_id, said.hours, said.minutes, said.seconds, said.frames];
    assert_eq!((its, said.frame_type), ([0, 1, 2, 3, 4], artnet_protocol::FrameType::DF));
    let ArtCommand::Poll(poll) = read("poll") else { panic!("an ArtPoll") };
    assert_eq!(poll.talk_to_me, artnet_protocol::ArtTalkToMe::EMIT_CHANGES);
    let ArtCommand::PollReply(its) = read("poll-reply") else { panic!("an ArtPollReply") };
    assert_eq!(
        (its.address, its.swout, its.port_types),
        (Ipv4Addr::new(10, 0, 0, 7), [4, 5, 0, 0], [0x80, 0x80, 0, 0])
    );
    let Ok(Art::PollReply(ours)) = artnet::parse(&vector("artnet", "poll-reply")) else {
        panic!("a reply")
    };
    let ArtCommand::PollReply(again) =
        ArtCommand::from_buffer(&ours.emit()).expect("it reads ours")
    else {
        panic!("an ArtPollReply");
    };
    assert_eq!(
        (again.short_name, again.long_name, again.swout),
        (its.short_name, its.long_name, its.swout)
    );
    assert_eq!(
        (again.port_address, again.mac, again.num_ports),
        (its.port_address, its.mac, its.num_ports)
    );
}

/// Each vector cut at every length, and with every octet set to what breaks lengths, counts and flags.
fn damaged(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let cut = (0..=bytes.len()).map(|end| bytes[..end].to_vec());
    let wrong = (0..bytes.len()).flat_map(move |index| {
        [0x00, 0x01, 0x7f, 0x80, 0xff].map(|value| {
            let mut bytes = bytes.to_vec();
            bytes[index] = value;
            bytes
        })
    });
    cut.chain(wrong)
}

#[test]
fn no_damage_to_any_vector_makes_a_parser_or_a_controller_panic() {
    let from = SocketAddrV4::new(Ipv4Addr::LOCALHOST, artnet::PORT);
    let mut controller = Controller::new(
        ControllerSetup {
            own: Ipv4Addr::LOCALHOST,
            mac: [0; 6],
            name: "box".into(),
            port: artnet::PORT,
            broadcast: None,
            poll: BTreeSet::new(),
            reach: Reach::default(),
            ports: BTreeSet::from([port(0x1234)]),
            uid: rdm::Uid { maker: artnet::ESTA, device: 1 },
            takes: BTreeSet::new(),
            priority: 100,
            chance: 1,
        },
        ShowTime::ZERO,
    );
    let mut receiver = Receiver::new(Uuid::nil(), ShowTime::ZERO, [universe(258)]);
    let mut now = ShowTime::ZERO;
    for bytes in vectors("artnet").values().chain(vectors("sacn").values()) {
        for bytes in damaged(bytes) {
            now += Span::from_micros(100);
            controller.handle(now, &bytes, from);
            controller.tick(now);
            while controller.poll().is_some() {}
            receiver.handle(now, &bytes, IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
    }
    now += LOSS;
    receiver.tick(now);
    receiver.handle(now, &vector("sacn", "data"), IpAddr::V4(Ipv4Addr::LOCALHOST));
    controller.handle(now, &vector("artnet", "poll-reply"), from);
    receiver.tick(now + SAMPLING);
    assert!(receiver.merged(universe(258)).is_some(), "the sound ones still count");
    assert_eq!(controller.subscribers(port(0x1234)).len(), 1);
}
