//! Nodes and devices of every kind, in virtual time.

use proptest::prelude::*;
use wire::artnet::{self, Packet};

use super::*;

const DESK: Uid = Uid { maker: 0x7ff0, device: 1 };
const LAMP: Uid = Uid { maker: 0x7a70, device: 7 };
const OTHER: Uid = Uid { maker: 0x7a70, device: 8 };
const NODE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 8);
const LABEL: u16 = 0x0082;

fn port(raw: u32) -> PortAddress {
    PortAddress::new(raw).expect("15 bits")
}

fn get(parameter: u16) -> Ask {
    let data = Vec::new();
    Ask::Question(Question { uid: LAMP, sub_device: 0, class: Class::Get, parameter, data })
}

fn part(total: u16, block: u8, uids: &[Uid]) -> TodData {
    let (port_address, total) = (port(1), Some(total));
    TodData { port_address, port: 1, bind_index: 1, total, block, uids: uids.to_vec() }
}

/// What an answer is: its kind, what it is about, its data.
type Says<'a> = (u8, Class, u16, &'a [u8]);

struct Hall {
    rdm: Rdm,
    now: ShowTime,
}

impl Hall {
    fn new() -> Self {
        Self { rdm: Rdm::new(DESK, BTreeSet::from([port(1), port(2)])), now: ShowTime::ZERO }
    }

    /// A node that has told of one lamp.
    fn with_lamp() -> Self {
        let mut hall = Self::new();
        hall.tells(&part(1, 0, &[LAMP]), NODE);
        hall
    }

    fn tells(&mut self, part: &TodData, from: Ipv4Addr) {
        self.rdm.handle_table(self.now, part, from);
    }

    fn wait(&mut self, millis: i64) {
        let end = self.now + Span::from_millis(millis);
        while self.now < end {
            self.now += Span::from_millis(10);
            self.rdm.tick(self.now);
        }
    }

    fn ask(&mut self, ask: Ask) -> u64 {
        self.rdm.ask(self.now, ask)
    }

    /// Everything sent since the last look: to whom, and which transaction and parameter.
    fn asked(&mut self) -> Vec<(u8, u16)> {
        let letters = std::iter::from_fn(|| self.rdm.poll());
        let read = |(_, bytes): (_, Vec<u8>)| match artnet::parse(&bytes) {
            Ok(Packet::Rdm(packet)) => {
                let message = Message::parse(packet.message).expect("our own words");
                Some((message.transaction, message.parameter))
            }
            _ => None,
        };
        letters.filter_map(read).collect()
    }

    fn says(&mut self, from: Uid, transaction: u8, (kind, class, parameter, data): Says<'_>) {
        let (to, waiting, sub_device) = (DESK, 0, 0);
        let message =
            Message { to, from, transaction, kind, waiting, sub_device, class, parameter, data };
        let message = message.emit().expect("it fits");
        let packet = RdmPacket { port_address: port(1), message: &message };
        self.rdm.handle_message(self.now, &packet, NODE);
    }

    fn answers(&mut self) -> Vec<Result<Vec<u8>, RdmFailure>> {
        let done = std::iter::from_fn(|| self.rdm.poll_done());
        let answer = |(_, done)| match done {
            Done::Answer(answer) => Some(answer),
            Done::Table(_) | Done::Several(_) => None,
        };
        done.filter_map(answer).collect()
    }

    fn listed(&mut self) -> Vec<(Uid, Ipv4Addr)> {
        self.ask(Ask::List { anew: false });
        self.wait(1000);
        let done = std::iter::from_fn(|| self.rdm.poll_done());
        let rows = done.filter_map(|(_, done)| match done {
            Done::Table(rows) => Some(rows),
            Done::Answer(_) | Done::Several(_) => None,
        });
        rows.last().expect("a table").iter().map(|row| (row.uid, row.node)).collect()
    }
}

#[test]
fn a19_a_table_in_parts_replaces_the_one_before_when_all_parts_have_come() {
    let mut hall = Hall::with_lamp();
    let many: Vec<Uid> = (100..350).map(|device| Uid { maker: 1, device }).collect();
    hall.tells(&part(250, 0, &many[..200]), NODE);
    assert_eq!(hall.listed().len(), 201, "the lamp may be in the part that is to come");
    hall.tells(&part(250, 1, &many[200..]), NODE);
    assert_eq!(hall.listed().len(), 250, "it was not");
    hall.tells(&part(0, 0, &[]), NODE);
    assert!(hall.listed().is_empty());
}

#[test]
fn a19_a_lost_part_doubles_and_a_table_that_is_not_there_lose_no_device() {
    let mut hall = Hall::with_lamp();
    hall.tells(&part(300, 1, &[OTHER]), NODE);
    assert_eq!(hall.listed().len(), 2, "the first part was lost");
    hall.tells(&part(3, 0, &[LAMP, LAMP, OTHER]), NODE);
    hall.tells(&part(3, 0, &[LAMP, LAMP, OTHER]), NODE);
    assert_eq!(hall.listed(), [(LAMP, NODE), (OTHER, NODE)]);
    hall.tells(&TodData { total: None, ..part(0, 0, &[]) }, NODE);
    assert_eq!(hall.listed().len(), 2, "it is still searching");
    hall.tells(&part(1, 0, &[Uid { maker: 0xffff, device: u32::MAX }]), SECOND);
    assert_eq!(hall.listed().len(), 2, "everybody is no device");
}

#[test]
fn a19_a_node_that_is_gone_takes_its_devices_along_after_three_rounds() {
    let mut hall = Hall::with_lamp();
    for _ in 0..3 {
        assert_eq!(hall.listed().len(), 1);
    }
    assert!(hall.listed().is_empty());
}

#[test]
fn a19_a_device_that_two_nodes_claim_is_asked_where_it_was_told_of_last() {
    let mut hall = Hall::with_lamp();
    hall.now += Span::from_secs(1);
    hall.tells(&part(1, 0, &[LAMP]), SECOND);
    hall.ask(get(LABEL));
    assert_eq!(hall.rdm.poll().map(|(to, _)| to), Some(Some(SECOND)));
}

#[test]
fn a19_a_question_is_answered_once_and_by_whom_it_was_asked() {
    let mut hall = Hall::with_lamp();
    hall.ask(get(LABEL));
    let [(transaction, LABEL)] = hall.asked()[..] else { panic!("one question") };
    hall.says(OTHER, transaction, (0, Class::Got, LABEL, b"liar"));
    hall.says(LAMP, transaction.wrapping_add(9), (0, Class::Got, LABEL, b"old"));
    hall.says(LAMP, transaction, (0, Class::WasSet, LABEL, b""));
    hall.says(LAMP, transaction, (0, Class::Got, 0x0081, b"another"));
    hall.says(LAMP, transaction, (7, Class::Got, LABEL, b"no such kind"));
    assert!(hall.answers().is_empty());
    hall.says(LAMP, transaction, (0, Class::Got, LABEL, b"Left"));
    hall.says(LAMP, transaction, (0, Class::Got, LABEL, b"Left"));
    assert_eq!(hall.answers(), [Ok(b"Left".to_vec())]);
}

#[test]
fn a19_a_silent_device_is_asked_three_times_and_a_late_answer_to_the_first_counts() {
    let mut hall = Hall::with_lamp();
    hall.ask(get(LABEL));
    hall.wait(2500);
    let asked = hall.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.windows(2).all(|pair| pair[0].0 != pair[1].0), "each is a transaction");
    hall.says(LAMP, asked[0].0, (0, Class::Got, LABEL, b"slow"));
    assert_eq!(hall.answers(), [Ok(b"slow".to_vec())]);
    hall.ask(get(LABEL));
    hall.wait(3100);
    assert_eq!(hall.answers(), [Err(RdmFailure::Silent(LAMP))]);
}

#[test]
fn a19_questions_to_a_line_wait_for_each_other() {
    let mut hall = Hall::with_lamp();
    hall.ask(get(LABEL));
    hall.ask(get(0x0081));
    let [(transaction, LABEL)] = hall.asked()[..] else { panic!("one at a time") };
    hall.says(LAMP, transaction, (2, Class::Got, LABEL, &[0, 0]));
    assert_eq!(hall.answers(), [Err(RdmFailure::Nack(LAMP, 0))]);
    assert!(matches!(hall.asked()[..], [(_, 0x0081)]));
}

#[test]
fn a19_a_device_that_takes_its_time_is_asked_for_its_queue() {
    let mut hall = Hall::with_lamp();
    hall.ask(get(LABEL));
    let (transaction, _) = hall.asked()[0];
    hall.says(LAMP, transaction, (1, Class::Got, LABEL, &[0, 4]));
    hall.wait(390);
    assert!(hall.asked().is_empty(), "not before its time");
    hall.wait(20);
    let [(transaction, QUEUE)] = hall.asked()[..] else { panic!("the queue") };
    hall.says(LAMP, transaction, (0, Class::Got, 0x0030, &[]));
    hall.wait(260);
    let [(transaction, QUEUE)] = hall.asked()[..] else { panic!("nothing was there yet") };
    hall.says(LAMP, transaction, (0, Class::Got, 0x0201, &[0; 9]));
    let [(transaction, QUEUE)] = hall.asked()[..] else { panic!("something else was there") };
    hall.says(LAMP, transaction, (0, Class::Got, LABEL, b"at last"));
    assert_eq!(hall.answers(), [Ok(b"at last".to_vec())]);
}

const QUEUE: u16 = 0x0020;

#[test]
fn a19_a_device_without_a_queue_is_asked_again_and_one_that_always_puts_off_is_silent() {
    let mut hall = Hall::with_lamp();
    hall.ask(get(LABEL));
    let (transaction, _) = hall.asked()[0];
    hall.says(LAMP, transaction, (1, Class::Got, LABEL, &[0, 1]));
    hall.wait(260);
    let (transaction, _) = hall.asked()[0];
    hall.says(LAMP, transaction, (2, Class::Got, QUEUE, &[0, 0]));
    assert!(matches!(hall.asked()[..], [(_, LABEL)]));
    for _ in 0..200 {
        hall.wait(110);
        for (transaction, parameter) in hall.asked() {
            hall.says(LAMP, transaction, (1, Class::Got, parameter, &[0, 1]));
        }
    }
    assert_eq!(hall.answers(), [Err(RdmFailure::Silent(LAMP))]);
}

#[test]
fn a19_a_long_answer_comes_in_pieces_and_one_without_end_ends() {
    let mut hall = Hall::with_lamp();
    hall.ask(get(0x0050));
    let (first, _) = hall.asked()[0];
    hall.says(LAMP, first, (3, Class::Got, 0x0050, &[1, 2]));
    let (second, _) = hall.asked()[0];
    hall.says(LAMP, first, (3, Class::Got, 0x0050, &[1, 2]));
    hall.says(LAMP, second, (0, Class::Got, 0x0050, &[3, 4]));
    assert_eq!(hall.answers(), [Ok(vec![1, 2, 3, 4])], "the doubled piece counts once");
    hall.ask(get(0x0050));
    for _ in 0..1000 {
        for (transaction, _) in hall.asked() {
            hall.says(LAMP, transaction, (3, Class::Got, 0x0050, &[0; 231]));
        }
    }
    assert_eq!(hall.answers(), [Err(RdmFailure::TooMuch(LAMP))]);
}

#[test]
fn a19_a_device_that_nobody_knows_is_looked_for_before_it_is_given_up() {
    let mut hall = Hall::new();
    hall.ask(get(LABEL));
    let requests = std::iter::from_fn(|| hall.rdm.poll()).count();
    assert_eq!(requests, 1, "nodes are asked for their tables");
    hall.tells(&part(1, 0, &[LAMP]), NODE);
    hall.wait(1000);
    assert!(matches!(hall.asked()[..], [(_, LABEL)]));
    let lost =
        Question { uid: OTHER, sub_device: 0, class: Class::Get, parameter: 1, data: vec![] };
    hall.ask(Ask::Question(lost));
    hall.wait(1000);
    assert_eq!(hall.answers(), [Err(RdmFailure::Unknown(OTHER))]);
}

#[test]
fn a19_a_search_makes_the_nodes_of_every_line_look_anew() {
    let mut hall = Hall::new();
    let id = hall.ask(Ask::List { anew: true });
    let sent: Vec<_> = std::iter::from_fn(|| hall.rdm.poll()).collect();
    let flushes = sent.iter().filter(|(to, bytes)| to.is_none() && bytes[9] == 0x82).count();
    assert_eq!(flushes, 2);
    hall.wait(4990);
    assert_eq!(hall.rdm.poll_done(), None, "a search takes its time");
    hall.wait(20);
    assert_eq!(hall.rdm.poll_done(), Some((id, Done::Table(Vec::new()))));
}

#[test]
fn a19_a_crowd_of_questions_and_of_devices_is_bounded() {
    let mut hall = Hall::with_lamp();
    for _ in 0..QUESTIONS_MAX + 5 {
        hall.ask(get(LABEL));
    }
    assert_eq!(hall.answers(), vec![Err(RdmFailure::Busy); 5]);
    for block in 0..60_u32 {
        let uids: Vec<_> = (0..200).map(|it| Uid { maker: 9, device: block * 200 + it }).collect();
        hall.tells(&part(13_000, block as u8, &uids), NODE);
    }
    assert_eq!(hall.rdm.table.rows().len(), 4096);
}

proptest! {
    #[test]
    fn a19_whatever_a_device_says_the_line_is_free_again_in_time(
        said in proptest::collection::vec((0_u8..5, 0_usize..4, 0_u8..6, proptest::collection::vec(any::<u8>(), 0..4)), 0..60),
    ) {
        let mut hall = Hall::with_lamp();
        hall.ask(get(LABEL));
        for (kind, about, back, data) in said {
            let (latest, _) = hall.asked().last().copied().unwrap_or((1, 0));
            let parameter = [LABEL, QUEUE, 0x0030, 0x0201][about];
            hall.says(LAMP, latest.wrapping_sub(back), (kind, Class::Got, parameter, &data));
            hall.wait(30);
        }
        hall.wait(21_000);
        prop_assert_eq!(hall.answers().len(), 1);
        prop_assert_eq!(hall.rdm.waiting(), 0);
    }
}

const START: u16 = 0x00f0;

fn several(class: Class, data: &[u8], is_word: bool) -> Ask {
    let data = data.to_vec();
    let first = Question { uid: LAMP, sub_device: 3, class, parameter: START, data };
    Ask::Several(Several { first, count: 2, is_word })
}

impl Hall {
    /// Everything for several at once that was sent since the last look.
    fn asked_at_once(&mut self) -> Vec<RdmSub> {
        let letters = std::iter::from_fn(|| self.rdm.poll());
        let read = |(to, bytes): (Option<Ipv4Addr>, Vec<u8>)| match artnet::parse(&bytes) {
            Ok(Packet::RdmSub(sub)) if to == Some(NODE) => Some(sub),
            _ => None,
        };
        letters.filter_map(read).collect()
    }

    fn answers_of_several(&mut self) -> Option<Answers> {
        match self.rdm.poll_done()? {
            (_, Done::Several(answers)) => Some(answers),
            (_, other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a19_several_sub_devices_are_asked_at_once_and_a_node_that_can_answers_for_all() {
    let mut hall = Hall::with_lamp();
    hall.ask(several(Class::Get, &[], true));
    let asked = hall.asked_at_once();
    let get = RdmSub {
        uid: LAMP,
        class: 0x20,
        parameter: START,
        sub_device: 3,
        count: 2,
        values: vec![],
    };
    assert_eq!(asked.as_slice(), std::slice::from_ref(&get));
    let says = RdmSub { class: 0x21, values: vec![101, 0x0203], ..get };
    for strange in [
        RdmSub { count: 3, values: vec![1; 3], ..says.clone() },
        RdmSub { uid: OTHER, ..says.clone() },
        RdmSub { class: 0x31, values: vec![], ..says.clone() },
    ] {
        hall.rdm.handle_several(hall.now, &strange, NODE);
    }
    hall.rdm.handle_several(hall.now, &says, SECOND);
    assert_eq!(hall.answers_of_several(), None, "none of these answers it");
    hall.rdm.handle_several(hall.now, &says, NODE);
    let answers = vec![(3, Ok(vec![0, 101])), (4, Ok(vec![2, 3]))];
    assert_eq!(hall.answers_of_several(), Some(answers));
    hall.wait(3000);
    assert!(hall.asked().is_empty() && hall.answers_of_several().is_none(), "nothing more to ask");
}

#[test]
fn a19_several_are_set_at_once_to_one_value() {
    let mut hall = Hall::with_lamp();
    hall.ask(several(Class::Set, &[1, 2], true));
    let asked = hall.asked_at_once();
    assert_eq!((asked[0].class, asked[0].values.as_slice()), (0x30, &[0x0102, 0x0102][..]));
    let says = RdmSub { class: 0x31, values: vec![], ..asked[0].clone() };
    hall.rdm.handle_several(hall.now, &says, NODE);
    assert_eq!(hall.answers_of_several(), Some(vec![(3, Ok(vec![])), (4, Ok(vec![]))]));
}

#[test]
fn a19_a_node_that_does_not_answer_for_several_is_asked_for_each_and_a_refusal_is_of_one_alone() {
    let mut hall = Hall::with_lamp();
    hall.ask(several(Class::Get, &[], true));
    hall.wait(900);
    assert!(hall.asked().is_empty(), "it may still answer");
    hall.wait(200);
    let [(transaction, START)] = hall.asked()[..] else { panic!("one at a time") };
    hall.says(LAMP, transaction, (2, Class::Got, START, &[0, 9]));
    hall.wait(20);
    let [(transaction, START)] = hall.asked()[..] else { panic!("then the next") };
    hall.says(LAMP, transaction, (0, Class::Got, START, &[0, 7]));
    let answers = vec![(3, Err(RdmFailure::Nack(LAMP, 9))), (4, Ok(vec![0, 7]))];
    assert_eq!(hall.answers_of_several(), Some(answers));
}

#[test]
fn a19_what_is_no_word_is_asked_one_by_one_and_a_silent_device_only_for_the_first() {
    let mut hall = Hall::with_lamp();
    hall.ask(several(Class::Get, &[], false));
    hall.wait(4000);
    assert_eq!(hall.asked().len(), 3, "three tries");
    let silent = || Err(RdmFailure::Silent(LAMP));
    assert_eq!(hall.answers_of_several(), Some(vec![(3, silent()), (4, silent())]));
}

#[test]
fn a19_what_is_for_all_goes_to_every_line_with_such_a_device_and_is_answered_by_nobody() {
    let mut hall = Hall::new();
    let on = |uid| {
        let data = vec![1];
        Ask::Question(Question { uid, sub_device: 0, class: Class::Set, parameter: 0x1000, data })
    };
    hall.ask(on(Uid::ALL));
    hall.wait(1100);
    assert_eq!(hall.answers(), [Err(RdmFailure::Nobody)]);
    hall.asked();
    hall.tells(&part(2, 0, &[LAMP, OTHER]), NODE);
    hall.tells(&part(1, 0, &[Uid { maker: 0x1234, device: 5 }]), SECOND);
    for (uid, lines) in [
        (Uid::ALL, vec![NODE, SECOND]),
        (Uid { maker: LAMP.maker, ..Uid::ALL }, vec![NODE]),
        (Uid { maker: 0x1234, ..Uid::ALL }, vec![SECOND]),
    ] {
        hall.ask(on(uid));
        let letters: Vec<_> = std::iter::from_fn(|| hall.rdm.poll()).collect();
        let to: Vec<_> = letters.iter().filter_map(|(to, _)| *to).collect();
        assert_eq!(to, lines);
        let Ok(Packet::Rdm(packet)) = artnet::parse(&letters[0].1) else { panic!("ArtRdm") };
        let message = Message::parse(packet.message).expect("our own words");
        assert_eq!((message.to, message.class, message.data), (uid, Class::Set, &[1][..]));
        assert_eq!(hall.answers(), [Ok(vec![])], "at once");
    }
}
