//! The controller among desks and nodes, in virtual time.

use super::*;
use proptest::prelude::*;

const BOX: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);
const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const DESK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

/// A controller on a lighting network, stepped every 10 ms.
struct Rig {
    controller: Controller,
    now: ShowTime,
    sent: Vec<(ShowTime, Letter)>,
}

impl Rig {
    fn new() -> Self {
        let setup = ControllerSetup {
            own: BOX,
            mac: [0; 6],
            name: "box".into(),
            port: artnet::PORT,
            broadcast: Some(BROADCAST),
            poll: BTreeSet::from([Ipv4Addr::new(127, 0, 0, 2)]),
            reach: Reach { network: Some((BOX, Ipv4Addr::new(255, 255, 255, 0))) },
            ports: BTreeSet::from([port(1), port(2)]),
            uid: Uid { maker: artnet::ESTA, device: 1 },
            takes: BTreeSet::new(),
            priority: 100,
            chance: 3,
        };
        let controller = Controller::new(setup, ShowTime::ZERO);
        Self { controller, now: ShowTime::ZERO, sent: Vec::new() }
    }
    fn run(&mut self, span: Span) -> &mut Self {
        let end = self.now + span;
        while self.now < end {
            self.controller.tick(self.now);
            while let Some(letter) = self.controller.poll() {
                self.sent.push((self.now, letter));
            }
            self.now += Span::from_millis(10);
        }
        self
    }
    fn hear(&mut self, bytes: &[u8], from: Ipv4Addr) -> &mut Self {
        let from = SocketAddrV4::new(from, artnet::PORT);
        self.controller.handle(self.now, bytes, from);
        self.run(Span::from_millis(10))
    }
    fn polls(&self, to: Ipv4Addr) -> Vec<ShowTime> {
        self.read(to, |packet| matches!(packet, Packet::Poll(_)))
    }
    fn replies(&self, to: Ipv4Addr) -> Vec<ShowTime> {
        // The root stands for all replies of ours to one question.
        self.read(to, |it| matches!(it, Packet::PollReply(reply) if reply.bind_index == 1))
    }
    fn read(&self, to: Ipv4Addr, want: impl Fn(&Packet) -> bool) -> Vec<ShowTime> {
        let wanted = |letter: &Letter| {
            *letter.to.ip() == to && want(&artnet::parse(&letter.bytes).expect("our own"))
        };
        self.sent.iter().filter(|(_, letter)| wanted(letter)).map(|(at, _)| *at).collect()
    }
    fn subscribers(&self, raw: u32) -> Vec<Ipv4Addr> {
        self.controller.subscribers(port(raw)).iter().map(|it| it.address).collect()
    }
}

fn port(raw: u32) -> PortAddress {
    PortAddress::new(raw).expect("15 bits")
}
fn secs(secs: i64) -> Span {
    Span::from_secs(secs)
}
fn asks(on_change: bool) -> Vec<u8> {
    artnet::poll(&Poll { on_change, ..Poll::default() }).to_vec()
}
fn subscribes(raw: u32, bind_index: u8) -> Vec<u8> {
    let ports = vec![Port::Output(port(raw))];
    let name = "node".to_string();
    let reply = PollReply { ip: NODE, short_name: name, ports, bind_index, ..PollReply::default() };
    reply.emit().to_vec()
}

#[test]
fn a02_everybody_is_polled_every_two_and_a_half_seconds_for_hours() {
    let mut rig = Rig::new();
    rig.run(secs(3600));
    for to in [BROADCAST, Ipv4Addr::new(127, 0, 0, 2)] {
        let polls = rig.polls(to);
        assert_eq!(polls.len(), 1440);
        assert!(polls.windows(2).all(|pair| (pair[1] - pair[0]) == POLL_EVERY));
    }
}

#[test]
fn a02_a_stall_is_not_made_up_for_by_a_burst_of_polls() {
    let mut rig = Rig::new();
    rig.run(secs(5));
    rig.now += secs(60);
    let before = rig.polls(BROADCAST).len();
    rig.run(secs(5));
    assert!((2..=3).contains(&(rig.polls(BROADCAST).len() - before)));
}

#[test]
fn a03_a_poll_is_answered_by_unicast_within_a_second_each_time_later_or_sooner() {
    let mut rig = Rig::new();
    let mut delays = BTreeSet::new();
    for _ in 0..20 {
        let asked = rig.now;
        let before = rig.replies(DESK).len();
        rig.hear(&asks(false), DESK).run(secs(2));
        let replies = rig.replies(DESK);
        assert_eq!(replies.len(), before + 1);
        delays.insert((replies[before] - asked).ns());
        assert!(replies[before] - asked <= REPLY_DELAY_MAX + Span::from_millis(10));
    }
    assert!(delays.len() > 10, "{delays:?}");
    assert!(rig.replies(BROADCAST).is_empty());
}

#[test]
fn a03_its_own_poll_is_answered_too() {
    let mut rig = Rig::new();
    rig.hear(&asks(true), BOX).run(secs(2));
    assert_eq!(rig.replies(BOX).len(), 1);
}

#[test]
fn a03_a_poll_for_other_port_addresses_is_none_of_ours() {
    let mut rig = Rig::new();
    let ask = |target| artnet::poll(&Poll { target: Some(target), ..Poll::default() });
    rig.hear(&ask(100..=200), DESK).run(secs(2));
    assert!(rig.replies(DESK).is_empty());
    rig.hear(&ask(0..=1), DESK).run(secs(2));
    assert_eq!(rig.replies(DESK).len(), 1);
}

#[test]
fn a03_a_flood_of_polls_gets_one_answer_a_delay() {
    let mut rig = Rig::new();
    for _ in 0..1000 {
        rig.hear(&asks(true), DESK);
    }
    assert!(rig.replies(DESK).len() <= 40, "10 s of flood, half a second a reply");
}

#[test]
fn a04_a_node_silent_for_three_seconds_after_a_poll_is_gone() {
    let mut rig = Rig::new();
    rig.run(Span::from_millis(100)).hear(&subscribes(1, 1), NODE);
    rig.run(Span::from_millis(5380));
    assert_eq!(rig.subscribers(1), [NODE], "polled at 2.5 s: it may answer until 5.5 s");
    rig.run(Span::from_millis(60));
    assert!(rig.subscribers(1).is_empty());
}

#[test]
fn a04_a_node_that_answers_each_poll_late_stays() {
    let mut rig = Rig::new();
    for _ in 0..10 {
        rig.hear(&subscribes(1, 1), NODE).run(Span::from_millis(2900));
        assert_eq!(rig.subscribers(1), [NODE]);
    }
}

#[test]
fn a05_who_asked_for_changes_hears_of_them_at_once() {
    let mut rig = Rig::new();
    rig.hear(&asks(true), DESK).hear(&asks(false), Ipv4Addr::new(10, 0, 0, 10)).run(secs(2));
    let before = rig.replies(DESK).len();
    rig.hear(&subscribes(1, 1), NODE);
    assert_eq!(rig.replies(DESK).len(), before + 1);
    assert_eq!(rig.replies(Ipv4Addr::new(10, 0, 0, 10)).len(), 1);
    rig.hear(&subscribes(1, 1), NODE);
    assert_eq!(rig.replies(DESK).len(), before + 1, "nothing changed");
}

#[test]
fn a05_programming_is_answered_with_a_reply() {
    let mut rig = Rig::new();
    for (operation, length) in [(0x6000_u16, 107), (0x7000, 20)] {
        let mut bytes = vec![0; length];
        bytes[..8].copy_from_slice(b"Art-Net\0");
        bytes[8..10].copy_from_slice(&operation.to_le_bytes());
        bytes[11] = 14;
        let before = rig.replies(DESK).len();
        rig.hear(&bytes, DESK);
        assert_eq!(rig.replies(DESK).len(), before + 1, "{operation:#x}");
    }
}

#[test]
fn a06_what_comes_in_has_a_reply_of_its_own_and_is_an_output_to_the_network() {
    let mut rig = Rig::new();
    rig.controller.setup.takes = BTreeSet::from([port(0x105), port(0x206)]);
    rig.hear(&asks(false), DESK).run(secs(2));
    let to_desk = rig.sent.iter().filter(|(_, letter)| *letter.to.ip() == DESK);
    let replies: Vec<_> = to_desk
        .filter_map(|(_, letter)| match artnet::parse(&letter.bytes) {
            Ok(Packet::PollReply(reply)) => Some((reply.bind_index, reply.ports)),
            _ => None,
        })
        .collect();
    let (taken, sent) = (|raw| vec![Port::Output(port(raw))], |raw| vec![Port::Input(port(raw))]);
    assert_eq!(replies, [(1, taken(0x105)), (2, taken(0x206)), (3, sent(1)), (4, sent(2))]);
}

#[test]
fn a05_programming_of_one_of_our_replies_is_answered_with_that_one() {
    let mut rig = Rig::new();
    let mut bytes = vec![0; 107];
    bytes[..8].copy_from_slice(b"Art-Net\0");
    bytes[8..14].copy_from_slice(&[0, 0x60, 0, 14, 0, 2]);
    rig.run(Span::from_millis(100)).hear(&bytes, DESK);
    let (_, letter) = rig.sent.last().expect("an answer");
    let Ok(Packet::PollReply(reply)) = artnet::parse(&letter.bytes) else { panic!("a reply") };
    assert_eq!((reply.bind_index, reply.ports), (2, vec![Port::Input(port(2))]));
}

#[test]
fn a05_a16_a17_what_comes_in_is_told_of_whenever_it_changes_to_whoever_wants_that() {
    use wire::artnet::{Failsafe, GoodOutput};
    let mut rig = Rig::new();
    rig.controller.setup.takes = BTreeSet::from([port(0x105), port(0x206)]);
    rig.hear(&asks(true), DESK).run(secs(2));
    rig.sent.clear();
    let good = GoodOutput { flowing: true, merging: true, latest: true };
    let state = PortState { good, failsafe: Failsafe::Scene };
    for _ in 0..2 {
        rig.controller.set_ports(rig.now, BTreeMap::from([(port(0x206), state)]));
        rig.run(Span::from_millis(10));
    }
    let told: Vec<_> = rig.sent.iter().filter(|(_, letter)| *letter.to.ip() == DESK).collect();
    let [(_, letter)] = told.as_slice() else { panic!("once, and that port alone: {told:?}") };
    let Ok(Packet::PollReply(reply)) = artnet::parse(&letter.bytes) else { panic!("a reply") };
    assert_eq!((reply.bind_index, reply.failsafe), (2, Some(Failsafe::Scene)));
    assert_eq!(reply.good_outputs, [good]);
}

#[test]
fn a05_nobody_sets_our_address_or_gives_us_orders() {
    let mut rig = Rig::new();
    rig.run(Span::from_millis(100));
    let (before, setup) = (rig.sent.len(), format!("{:?}", rig.controller.setup));
    for operation in [0x2400_u16, 0xf800, 0xf900, 0xf200, 0x7000] {
        let mut bytes = vec![0xff; 300];
        bytes[..8].copy_from_slice(b"Art-Net\0");
        bytes[8..10].copy_from_slice(&operation.to_le_bytes());
        bytes[10..12].copy_from_slice(&[0, 14]);
        rig.hear(&bytes, DESK);
    }
    assert_eq!(rig.sent.len(), before, "there is no port 255 to answer for");
    assert_eq!(format!("{:?}", rig.controller.setup), setup);
}

#[test]
fn a06_a07_each_address_that_we_send_is_an_input_in_a_reply_of_its_own_and_replies_are_counted() {
    let mut rig = Rig::new();
    rig.hear(&asks(false), DESK).run(secs(2));
    let replies: Vec<_> = rig
        .sent
        .iter()
        .filter(|(_, letter)| *letter.to.ip() == DESK)
        .filter_map(|(_, letter)| match artnet::parse(&letter.bytes) {
            Ok(Packet::PollReply(reply)) => Some(*reply),
            _ => None,
        })
        .collect();
    assert_eq!(replies.len(), 2);
    for (index, reply) in replies.iter().enumerate() {
        assert_eq!(usize::from(reply.bind_index), index + 1);
        assert_eq!(reply.ports, [Port::Input(port(index as u32 + 1))]);
        assert_eq!((reply.ip, reply.bind_ip, reply.acn_priority), (BOX, BOX, 100));
        let counted = format!("#0001 [{:04}] 2 universes to 0 nodes", index + 1);
        assert_eq!(reply.report, counted);
    }
}

#[test]
fn a15_triggers_for_us_wait_to_be_taken_and_a_flood_of_them_is_bounded() {
    let mut rig = Rig::new();
    let ours = Trigger::new(artnet::Key::Show, 5);
    let others = Trigger { oem: 0x2828, ..ours };
    rig.hear(&others.emit(), DESK).hear(&ours.emit(), BOX).hear(&ours.emit(), DESK);
    assert_eq!(rig.controller.poll_trigger(), Some((ours, DESK)));
    assert_eq!(rig.controller.poll_trigger(), None);
    for _ in 0..1000 {
        rig.hear(&ours.emit(), DESK);
    }
    assert_eq!(std::iter::from_fn(|| rig.controller.poll_trigger()).count(), STRANGERS_MAX);
}

#[test]
fn a19_tables_are_asked_for_by_broadcast_and_a_lamp_at_its_node() {
    let mut rig = Rig::new();
    let lamp = Uid { maker: 0x7a70, device: 7 };
    let question = rdm::Question {
        uid: lamp,
        sub_device: 0,
        class: wire::rdm::Class::Get,
        parameter: 0x0082,
        data: Vec::new(),
    };
    rig.controller.ask_rdm(rig.now, rdm::Ask::Question(question));
    let sent = |rig: &Rig, to: Ipv4Addr, operation: u8| {
        let meant = |letter: &Letter| *letter.to.ip() == to && letter.bytes[9] == operation;
        rig.sent.iter().filter(|(_, letter)| meant(letter)).count()
    };
    rig.run(Span::from_millis(10));
    assert_eq!(sent(&rig, BROADCAST, 0x80), 1);
    let table = artnet::TodData {
        port_address: port(1),
        port: 1,
        bind_index: 1,
        total: Some(1),
        block: 0,
        uids: vec![lamp],
    };
    rig.hear(&table.emit(), NODE).run(secs(1));
    assert_eq!((sent(&rig, NODE, 0x83), sent(&rig, BROADCAST, 0x83)), (1, 0));
}

#[test]
fn a18_another_start_code_makes_nobody_a_foreign_sender() {
    let mut rig = Rig::new();
    let text = artnet::Nzs { sequence: 1, start_code: 0x17, port_address: port(1), slots: &[1] };
    rig.hear(&text.emit().expect("it may be"), DESK);
    assert_eq!(rig.controller.foreign(port(1)).count(), 0);
}

#[test]
fn a15_a_key_is_pressed_by_broadcast() {
    let mut rig = Rig::new();
    let key = Trigger::new(artnet::Key::Macro, 3);
    rig.controller.press(key);
    rig.run(Span::from_millis(10));
    assert_eq!(rig.read(BROADCAST, |it| *it == Packet::Trigger(key)).len(), 1);
}

#[test]
fn a18_another_start_code_goes_to_subscribers_and_is_counted() {
    let mut rig = Rig::new();
    rig.controller.send_nzs(port(1), 0x17, &[1, 2]);
    rig.hear(&subscribes(1, 1), NODE);
    (0..2).for_each(|_| rig.controller.send_nzs(port(1), 0x17, &[1, 2]));
    rig.controller.send_nzs(port(1), 0, &[1, 2]);
    rig.run(Span::from_millis(10));
    let of = |rig: &Rig, sequence| {
        rig.read(NODE, |it| matches!(it, Packet::Nzs(nzs) if nzs.sequence == sequence)).len()
    };
    assert_eq!([1, 2, 3, 4].map(|sequence| of(&rig, sequence)), [0, 1, 1, 0]);
    assert!(rig.read(BROADCAST, |it| matches!(it, Packet::Nzs(_))).is_empty());
}

#[test]
fn a18_diagnostics_go_to_whoever_asked_and_to_everybody_when_several_did() {
    let mut rig = Rig::new();
    let wants = |least, unicast| {
        let diagnostics = Some(Diagnostics { least, unicast });
        artnet::poll(&Poll { diagnostics, ..Poll::default() })
    };
    let told = |rig: &Rig, to| rig.read(to, |it| matches!(it, Packet::DiagData(_))).len();
    let say = |rig: &mut Rig| {
        rig.controller.diagnose(DiagPriority::MEDIUM, "a node is gone".into());
        rig.run(Span::from_millis(10));
    };
    say(&mut rig);
    rig.hear(&wants(DiagPriority::HIGH, true), DESK);
    say(&mut rig);
    assert_eq!((told(&rig, DESK), told(&rig, BROADCAST)), (0, 0), "nobody asked for that much");
    rig.hear(&wants(DiagPriority::LOW, true), DESK);
    say(&mut rig);
    assert_eq!((told(&rig, DESK), told(&rig, BROADCAST)), (1, 0));
    rig.hear(&wants(DiagPriority::CRITICAL, true), NODE);
    say(&mut rig);
    assert_eq!((told(&rig, DESK), told(&rig, BROADCAST)), (1, 1));
    rig.run(secs(11));
    say(&mut rig);
    assert_eq!((told(&rig, DESK), told(&rig, BROADCAST)), (1, 1), "both have gone");
}

#[test]
fn a06_a_node_may_speak_in_several_replies_and_lose_one_of_them() {
    let mut rig = Rig::new();
    rig.hear(&subscribes(1, 1), NODE).hear(&subscribes(2, 2), NODE);
    assert_eq!((rig.subscribers(1), rig.subscribers(2)), (vec![NODE], vec![NODE]));
    rig.run(secs(2)).hear(&subscribes(1, 1), NODE).run(secs(1)).hear(&subscribes(1, 1), NODE);
    rig.run(secs(2)).hear(&subscribes(1, 1), NODE).run(secs(1));
    assert_eq!(rig.subscribers(1), [NODE]);
    assert!(rig.subscribers(2).is_empty());
}

#[test]
fn a08_only_who_puts_an_address_out_subscribes_to_it() {
    let mut rig = Rig::new();
    rig.hear(&subscribes(3, 1), NODE);
    assert!(rig.subscribers(3).is_empty(), "not ours to send");
    rig.hear(&subscribes(1, 1), NODE).hear(&subscribes(1, 2), NODE);
    assert_eq!(rig.subscribers(1), [NODE], "two replies, one address, sent once");
    rig.hear(&subscribes(2, 1), NODE).hear(&subscribes(2, 2), NODE);
    assert!(rig.subscribers(1).is_empty(), "it was patched elsewhere");
}

#[test]
fn strangers_beyond_the_lighting_network_are_not_heard() {
    let mut rig = Rig::new();
    let phone = Ipv4Addr::new(192, 168, 7, 7);
    rig.hear(&subscribes(1, 1), phone).hear(&asks(true), phone).run(secs(2));
    assert!(rig.subscribers(1).is_empty());
    assert!(rig.replies(phone).is_empty());
}

#[test]
fn a16_another_sender_of_our_address_is_named_until_it_is_silent() {
    let mut rig = Rig::new();
    let frame = artnet::DmxFrame::new(port(1));
    rig.hear(frame.bytes(), DESK).hear(frame.bytes(), BOX);
    assert_eq!(rig.controller.foreign(port(1)).collect::<Vec<_>>(), [DESK]);
    rig.run(secs(11));
    assert_eq!(rig.controller.foreign(port(1)).count(), 0);
}

#[test]
fn a_flood_of_nodes_is_bounded() {
    let mut rig = Rig::new();
    for number in 0..2000_u32 {
        let from = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() | (number % 250));
        rig.controller.handle(
            rig.now,
            &subscribes(1, (number / 250) as u8),
            SocketAddrV4::new(from, artnet::PORT),
        );
    }
    assert_eq!(rig.controller.nodes.len(), NODES_MAX);
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(
        operation: u16, rest in proptest::collection::vec(any::<u8>(), 0..300), known in 0_usize..6,
    ) {
        let operation: u16 = [0x2000, 0x2100, 0x5000, 0x6000, 0x7000, operation][known];
        let mut rig = Rig::new();
        rig.hear(&rest, DESK);
        rig.hear(&[b"Art-Net\0".as_slice(), &operation.to_le_bytes(), &rest].concat(), DESK);
        rig.run(secs(2));
        prop_assert!(rig.controller.nodes.len() <= 1);
    }
}
