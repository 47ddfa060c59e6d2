//! Rules A1 to A12 on an evening's packets.

use super::evening::{PORT_ADDRESS, evening, ms};
use super::rig::*;

fn polls() -> Vec<i64> {
    evening().node.iter().filter(|it| is_art_poll(it)).map(|it| it.at).collect()
}

fn replies_to_desk() -> Vec<i64> {
    evening().desk.iter().filter(|it| art_poll_reply(it).is_some()).map(|it| it.at).collect()
}

#[test]
fn a01_every_packet_begins_as_art_net_does_and_comes_from_its_port() {
    for heard in evening().node.iter().chain(&evening().desk) {
        assert_eq!(heard.bytes[..8], *b"Art-Net\0");
        assert_eq!(heard.from.port(), evening().artnet_port);
        match heard.bytes[8..10] {
            [0x00, 0x21] => {
                assert_eq!(heard.bytes[10..14], [127, 0, 0, 1], "no version, but an address")
            }
            [0x00, 0x20 | 0x50] => assert_eq!(heard.bytes[10..12], [0, 14]),
            ref other => panic!("an operation that nobody asked for: {other:?}"),
        }
    }
}

#[test]
fn a02_it_polls_for_as_long_as_it_runs() {
    let polls = polls();
    assert_eq!(polls.len(), 6, "0, 2.5, 5, 7.5, 10, 12.5 s");
    for pair in polls.windows(2) {
        let gap = pair[1] - pair[0];
        assert!((ms(2_450)..=ms(3_000)).contains(&gap), "{gap}");
    }
}

#[test]
fn a03_it_answers_a_poll_by_unicast_within_a_second_not_always_after_the_same_time() {
    let replies = replies_to_desk();
    let delays: Vec<_> = evening()
        .when("poll")
        .into_iter()
        .map(|asked| replies.iter().find(|at| **at > asked).expect("an answer") - asked)
        .collect();
    assert!(delays.iter().all(|delay| *delay <= ms(1_100)), "{delays:?}");
    assert!((delays[0] - delays[1]).abs() > ms(5), "{delays:?}");
}

#[test]
fn a03_the_answer_says_who_it_is() {
    let reply = evening().desk.iter().find_map(art_poll_reply).expect("an answer");
    assert_eq!(reply.address, loopback(1));
    assert_eq!({ reply.port }, 6454);
    assert_eq!(reply.style, 1, "a controller");
    let name = String::from_utf8(reply.short_name.to_vec()).expect("UTF-8 to the last");
    let name = name.trim_end_matches('\0');
    assert!(NAME.starts_with(name) && name.len() >= 16, "{name:?}");
    assert!(reply.node_report.starts_with(b"#0001 ["));
    assert_eq!(reply.num_ports, [0, 1]);
}

#[test]
fn a04_a_node_that_is_silent_for_three_seconds_gets_no_more() {
    let last = evening().dmx().last().expect("it got some").0;
    // It answered at 5.0 and not at 7.5.
    let unanswered = *polls().iter().find(|at| **at > ms(6_000)).expect("a poll");
    assert!(last > unanswered + ms(2_000), "the last keep-alive, {last}");
    assert!(last < unanswered + ms(3_200), "{last}");
}

#[test]
fn a05_a_desk_that_wants_changes_hears_of_a_new_node_and_of_a_lost_one() {
    let replies = replies_to_desk();
    let subscribed = evening().when("answer")[0];
    let lost = polls().into_iter().find(|at| *at > ms(6_000)).expect("a poll") + ms(3_000);
    for change in [subscribed, lost] {
        let told = replies.iter().any(|at| (change - ms(5)..change + ms(150)).contains(at));
        assert!(told, "{change} in {replies:?}");
    }
}

#[test]
fn a05_programming_is_answered() {
    let replies = replies_to_desk();
    for asked in evening().when("program") {
        assert!(
            replies.iter().any(|at| (asked..asked + ms(150)).contains(at)),
            "{asked} in {replies:?}"
        );
    }
}

#[test]
fn a06_each_address_that_we_send_is_an_input_in_a_reply_of_its_own() {
    let asked = evening().when("poll")[0];
    let answers = evening().desk.iter().filter(|it| it.at > asked);
    let answers: Vec<_> = answers.filter_map(art_poll_reply).take(2).collect();
    assert_eq!([answers[0].bind_index, answers[1].bind_index], [1, 2]);
    let input = |it: &artnet_protocol::PollReply| {
        (it.port_address, it.swin[0], it.port_types, it.good_input, it.num_ports)
    };
    assert_eq!(input(&answers[0]), ([0, 0], 7, [0x40, 0, 0, 0], [0x80, 0, 0, 0], [0, 1]));
    assert_eq!(input(&answers[1]), ([0x12, 3], 4, [0x40, 0, 0, 0], [0x80, 0, 0, 0], [0, 1]));
    assert!(answers.iter().all(|it| it.swout == [0; 4] && it.good_output == [0; 4]));
}

#[test]
fn a07_every_field_of_the_answer_says_what_is_so() {
    let replies: Vec<_> = evening().desk.iter().filter(|it| art_poll_reply(it).is_some()).collect();
    for heard in &replies {
        let bytes = &heard.bytes;
        assert_eq!(bytes.len(), 239, "as long as Art-Net 4 has it");
        assert_eq!(bytes[14..16], 6454_u16.to_le_bytes(), "the port, low byte first");
        assert_eq!(
            bytes[20..24],
            [0x00, 0xff, 0, 0x12],
            "equipment unknown, no UBEA, set here, speaks RDM"
        );
        assert_eq!(bytes[24..26], [0xf0, 0x7f], "a maker's code for experiments, low byte first");
        assert_eq!(bytes[194], 100, "the show's sACN priority");
        assert_eq!(bytes[195..200], [0; 5], "no macro, no remote, spare");
        assert_eq!(bytes[200], 1, "a controller");
        assert_eq!(bytes[207..211], [127, 0, 0, 1], "bound to itself");
        assert_eq!(bytes[212], 0x08, "15-bit port addresses");
        assert_eq!(bytes[213..], [0; 26], "no DMX of its own, and no responder");
    }
    let counter = |heard: &&Heard| {
        let report = String::from_utf8(heard.bytes[108..172].to_vec()).expect("it is text");
        assert!(report.starts_with("#0001 [") && report.contains("2 universes"), "{report}");
        report[7..11].parse::<usize>().expect("four digits")
    };
    let counted: Vec<_> = replies.iter().map(counter).collect();
    assert!(counted.windows(2).all(|pair| pair[1] > pair[0]), "each is counted: {counted:?}");
}

#[test]
fn a08_dmx_goes_to_nobody_before_it_subscribes_and_to_the_subscriber_at_once() {
    let subscribed = evening().when("answer")[0];
    let dmx = evening().dmx();
    assert!(dmx[0].0 > subscribed);
    assert!(dmx[0].0 - subscribed < ms(120), "{}", dmx[0].0 - subscribed);
    // The desk is a party on the same network that subscribes to nothing.
    assert!(evening().desk.iter().all(|heard| art_dmx(heard).is_none()));
}

#[test]
fn a09_the_port_address_is_net_sub_net_and_universe() {
    for (heard, (port_address, _, _)) in
        evening().node.iter().filter_map(|it| Some((it, art_dmx(it)?)))
    {
        assert_eq!(port_address, PORT_ADDRESS, "and never one that nobody wants");
        assert_eq!(heard.bytes[14..16], [0x34, 0x12]);
    }
}

#[test]
fn a10_all_512_slots_and_a_sequence_that_never_is_0() {
    let dmx = evening().dmx();
    assert!(dmx.iter().all(|(_, _, slots)| slots.len() == 512));
    assert!(dmx.len() > 255, "{} packets are too few to see it roll over", dmx.len());
    assert!(dmx.iter().all(|(_, sequence, _)| *sequence != 0));
    for pair in dmx.windows(2) {
        assert_eq!(pair[1].1, pair[0].1 % 255 + 1, "at {}", pair[1].0);
    }
}

#[test]
fn a11_changes_leave_with_their_frame_and_a_still_universe_every_800_to_1000_ms() {
    let dmx = evening().dmx();
    assert!(dmx.windows(2).all(|pair| pair[1].2[0] - pair[0].2[0] <= 3));
    let still: Vec<_> = dmx.iter().filter(|(_, _, slots)| slots[0] == 255).map(|it| it.0).collect();
    let silences: Vec<_> =
        still.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > ms(500)).collect();
    assert!(silences.len() >= 2, "{silences:?}");
    assert!(silences.iter().all(|gap| (ms(790)..=ms(1000)).contains(gap)), "{silences:?}");
}

#[test]
fn a12_never_more_than_44_frames_a_second() {
    let times: Vec<_> = evening().dmx().iter().map(|it| it.0).collect();
    for (index, start) in times.iter().enumerate() {
        // Over two seconds, since one late packet brings its neighbours nearer.
        let within = times[index..].iter().take_while(|at| *at - start < ms(2000)).count();
        assert!(within <= 88, "{within} packets in the two seconds after {start} ns");
    }
}

#[test]
fn a_glance_says_what_is_on_the_wire() {
    let glance = &evening().glance;
    let json = serde_json::to_value(glance).expect("it serialises");
    assert_eq!(json[0]["universe"], 1);
    assert_eq!(json[0]["sacn"]["unicast"][0], "127.0.0.1");
    let rate = json[0]["frames_per_second"].as_u64().expect("known by now");
    assert!((40..=47).contains(&rate), "{rate}");
    assert!(json[0]["last_frame_age_ns"].as_i64().expect("known by now") < ms(200));
    assert!(json[0]["worst_late_ns"].as_i64().is_some());
    assert_eq!(json[1]["artnet"]["subscribers"][0]["address"], "127.0.0.2");
    assert_eq!(json[2]["artnet"]["subscribers"], serde_json::json!([]));
    assert_eq!(json[2]["last_frame_age_ns"], serde_json::Value::Null, "unknown is not 0");
}

/// A box on the loopback interface, which sends timecode and hears it.
struct Timecode {
    light: io::light::Light,
    clock: io::clock::BoxClock,
    heard: std::sync::mpsc::Receiver<engine::timecode::Heard>,
    port: u16,
}

const RATE: units::FrameRate = units::FrameRate::Drop29_97;

impl Timecode {
    fn new() -> Self {
        let net = io::light::LightNet { interface: Some("lo".into()), ..free_ports() };
        let out = engine::show::TimecodeOut {
            ltc: None,
            mtc: false,
            artnet: true,
            list: 0,
            start: units::Timecode::zero(RATE),
        };
        let mut show = show([]);
        show.timecode = Some(engine::show::ShowTimecode { rate: RATE, out: Some(out) });
        let (told, heard) = std::sync::mpsc::channel();
        let timecode = Box::new(move |said| {
            let _ = told.send(said);
        });
        let clock = io::clock::BoxClock::free();
        let setup = io::light::LightSetup { timecode, clock: clock.clone(), ..setup(&show, &net) };
        let light = io::light::Light::start(setup).expect("light begins");
        assert_eq!(light.warnings(), Vec::<String>::new());
        Self { light, clock, heard, port: net.artnet_port }
    }
}

#[test]
fn a14_every_frame_of_timecode_is_broadcast_as_it_begins_and_one_that_stands_again_and_again() {
    use engine::timecode::{Course, Line};
    use units::{ShowTime, Span};
    let rig = Timecode::new();
    let everybody = Ear::new(std::net::Ipv4Addr::new(127, 255, 255, 255), rig.port);
    let way = rig.light.timecode_way();
    assert_eq!(way.as_ref().map(|way| way.to.len()), Some(1), "the directed broadcast");
    let setup =
        io::timecode::SenderSetup { rate: RATE, mtc: None, artnet: way, clock: rig.clock.clone() };
    let sender = io::timecode::Sender::start(setup).expect("it starts");
    let first = units::Timecode::parse("00:00:59;20", RATE).expect("a frame");
    let (begin, end) = (rig.clock.now() + Span::from_millis(200), Span::from_secs(1));
    let runs = Line::Runs { at: begin, position: first.position() };
    let position = runs.position(begin + end).expect("it runs");
    let course = Course::default().turned(begin, runs);
    sender.play(course);
    // The kernel stamps by the system's clock; both run alike within a second.
    let ahead = rig.clock.now().ns() - system_now();
    let mut frames: Vec<(ShowTime, units::Timecode)> = Vec::new();
    while frames.len() < 36 {
        let heard = everybody.hear(Span::from_secs(5)).expect("timecode comes");
        let artnet_protocol::ArtCommand::OpTimeCode(said) = artnet(&heard) else { continue };
        assert_eq!((heard.from.port(), heard.bytes.len()), (rig.port, 19));
        assert_eq!({ said.stream_id }, 0, "the master");
        assert_eq!({ said.frame_type } as u8, 2, "29.97 drop-frame");
        let [hours, minutes, seconds, frame] =
            [said.hours, said.minutes, said.seconds, said.frames];
        let clock = units::Clock { hours, minutes, seconds, frames: frame };
        let timecode = units::Timecode::new(RATE, clock).expect("one that exists");
        frames.push((ShowTime::from_ns(heard.at + ahead), timecode));
        if frames.len() == 1 {
            sender.play(course.turned(begin + end, Line::Still { position }));
        }
    }
    let stands = units::Timecode::at(RATE, position);
    for (index, (at, timecode)) in frames.iter().enumerate() {
        let expected = first.plus(index as i64);
        assert_eq!(*timecode, expected.min(stands), "the {index}th");
        if *timecode < stands {
            let late = *at - begin - (timecode.position() - first.position());
            assert!(late > Span::from_millis(-1), "{timecode} left {late} after it began");
        }
    }
    let numbers: Vec<String> = frames.iter().map(|it| it.1.to_string()).collect();
    assert!(numbers.contains(&"00:00:59;29".into()) && numbers.contains(&"00:01:00;02".into()));
    assert!(numbers.iter().all(|it| it != "00:01:00;00" && it != "00:01:00;01"));
    rig.light.stop();
}

#[test]
fn a14_timecode_of_another_is_heard_and_another_stream_and_our_own_are_not() {
    use artnet_protocol::{ArtCommand, FrameType, Timecode as Said};
    use engine::timecode::Heard as Told;
    let rig = Timecode::new();
    let desk = Ear::new(loopback(DESK_OF_TIMECODE), rig.port);
    let box_ = (loopback(1), rig.port);
    let say = |stream_id, frames, frame_type| {
        let said = Said {
            version: [0, 14],
            filler1: 0,
            stream_id,
            frames,
            seconds: 10,
            minutes: 0,
            hours: 1,
            frame_type,
        };
        let bytes = ArtCommand::OpTimeCode(said).write_to_buffer().expect("the oracle writes it");
        let before = rig.clock.now();
        desk.0.send_to(&bytes, box_).expect("loopback takes it");
        before
    };
    say(1, 4, FrameType::EBU);
    let before = say(0, 5, FrameType::EBU);
    let patience = std::time::Duration::from_secs(20);
    let Told::Frame { clock, drops, count, at } = rig.heard.recv_timeout(patience).expect("heard")
    else {
        panic!("a frame")
    };
    assert_eq!((clock.hours, clock.seconds, clock.frames), (1, 10, 5), "stream 0 alone");
    assert_eq!((drops, count), (false, Some(25)));
    assert!(at >= before && at <= rig.clock.now(), "when it came");
    say(0, 6, FrameType::DF);
    let heard = rig.heard.recv_timeout(patience).expect("heard");
    assert!(matches!(heard, Told::Frame { drops: true, count: Some(30), .. }), "{heard:?}");
    rig.light.stop();
}

const DESK_OF_TIMECODE: u8 = 9;
