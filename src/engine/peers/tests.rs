use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

const ADA: PhoneId = PhoneId(1);
const BEN: PhoneId = PhoneId(2);

fn s(s: f64) -> MonoTime {
    MonoTime::from_ns((s * 1e9) as i64)
}

fn show(ms: i64) -> ShowTime {
    ShowTime::from_ns(ms * 1_000_000)
}

fn offer(identity: &str) -> String {
    format!(
        "v=0\r\na=ice-ufrag:abcd\r\na=fingerprint:sha-256 {identity}\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\na=mid:0\r\n"
    )
}

fn peers(most: usize) -> Peers {
    let mut peers = Peers::new(Limits::default(), most);
    peers.handle_joined(ADA);
    peers.handle_joined(BEN);
    peers
}

fn connected() -> Peers {
    let mut peers = peers(10);
    peers.handle_offer(s(0.0), ADA, &offer("A")).expect("a first offer");
    peers.handle_link(s(0.5), ADA, Link::Connected);
    peers
}

fn code(refused: Result<Offered, Refusal>) -> Option<RefusalCode> {
    refused.err().map(|it| it.code)
}

#[test]
fn sx06_only_a_phone_that_said_hello_is_answered() {
    let mut peers = Peers::new(Limits::default(), 10);
    assert_eq!(
        code(peers.handle_offer(s(0.0), ADA, &offer("A"))),
        Some(RefusalCode::InvalidPayload)
    );
    peers.handle_joined(ADA);
    let offered = peers.handle_offer(s(0.0), ADA, &offer("A")).expect("it said hello");
    assert_eq!(offered.how, How::New);
    assert!(!offered.description.contains("candidate"), "{}", offered.description);
    assert!(offered.description.ends_with("a=mid:0\r\n"), "{}", offered.description);
    assert!(peers.handle_left(ADA));
    assert!(!peers.handle_left(ADA), "told once");
}

#[test]
fn the_same_certificate_is_the_same_connection_and_another_takes_its_place() {
    let mut peers = connected();
    let mut how = |identity| peers.handle_offer(s(1.0), ADA, &offer(identity)).map(|it| it.how);
    assert_eq!(how("A"), Ok(How::Again));
    assert_eq!(how("B"), Ok(How::New));
    assert_eq!(how("B"), Ok(How::Again));
    assert_eq!(peers.link(ADA).map(|it| it.0), Some(Link::Connecting));
}

#[test]
fn one_more_than_there_is_room_for_is_told_so_and_a_place_that_is_given_up_is_free() {
    let mut peers = peers(1);
    peers.handle_offer(s(0.0), ADA, &offer("A")).expect("room for one");
    let refused = peers.handle_offer(s(0.0), BEN, &offer("B"));
    assert_eq!(code(refused), Some(RefusalCode::TooManyConnections));
    peers.handle_offer(s(0.1), ADA, &offer("C")).expect("its own place");
    peers.handle_gone(ADA);
    peers.handle_offer(s(0.2), BEN, &offer("B")).expect("free again");
}

#[test]
fn a_page_that_offers_in_a_loop_has_to_wait() {
    let mut peers = peers(10);
    for nth in 0..6 {
        peers.handle_offer(s(f64::from(nth)), ADA, &offer("A")).expect("within the limit");
    }
    let refused = peers.handle_offer(s(9.9), ADA, &offer("A"));
    assert_eq!(code(refused), Some(RefusalCode::RateLimited));
    peers.handle_offer(s(10.0), ADA, &offer("A")).expect("ten seconds later");
}

#[test]
fn offers_that_are_none_are_refused_by_name() {
    let mut peers = peers(10);
    for wrong in ["", "v=0\r\n", "a=fingerprint:\r\n", &"x".repeat(DESCRIPTION_MAX + 1)] {
        let refused = peers.handle_offer(s(0.0), ADA, wrong);
        assert_eq!(code(refused), Some(RefusalCode::InvalidPayload));
    }
}

#[test]
fn a_silent_connection_is_offered_a_restart_now_and_then_and_given_up_after_a_minute() {
    let mut peers = connected();
    assert_eq!(peers.next_wake(), None);
    peers.handle_link(s(10.0), ADA, Link::Disconnected);
    let mut acts = Vec::new();
    while let Some(wake) = peers.next_wake() {
        while let Some((ADA, act)) = peers.poll(wake) {
            acts.push((wake, act));
        }
        // Looking for a way is no way yet.
        peers.handle_link(wake, ADA, Link::Connecting);
    }
    assert_eq!(acts[0], (s(13.0), Act::Restart));
    assert_eq!(acts[1], (s(21.0), Act::Restart));
    assert_eq!(acts.last(), Some(&(s(70.0), Act::End(Why::Lost))));
    peers.handle_offer(s(71.0), ADA, &offer("A")).expect("it may come anew");
}

#[test]
fn who_finds_back_is_left_alone() {
    let mut peers = connected();
    peers.handle_link(s(10.0), ADA, Link::Disconnected);
    peers.handle_link(s(12.0), ADA, Link::Connected);
    assert_eq!(peers.next_wake(), None);
    assert_eq!(peers.link(ADA), Some((Link::Connected, s(12.0))));
}

#[test]
fn an_offer_that_comes_to_nothing_ends_after_half_a_minute() {
    let mut peers = peers(1);
    peers.handle_offer(s(0.0), ADA, &offer("A")).expect("a first offer");
    assert_eq!(peers.next_wake(), Some(s(30.0)));
    assert_eq!(peers.poll(s(29.9)), None);
    assert_eq!(peers.poll(s(30.0)), Some((ADA, Act::End(Why::NeverConnected))));
    peers.handle_offer(s(31.0), BEN, &offer("B")).expect("its place is free");
}

#[test]
fn channels_are_three_and_each_as_it_has_to_be() {
    let peers = peers(1);
    let open =
        |label, ordered, reliable| peers.handle_channel(Opening { label, ordered, reliable });
    assert_eq!(open("time", false, false), Some(Channel::Time));
    assert_eq!(open("media", true, true), Some(Channel::Media));
    assert_eq!(open("score", true, true), Some(Channel::Score));
    assert_eq!(open("time", true, true), None, "a queue is no clock");
    assert_eq!(open("media", false, true), None);
    assert_eq!(open("chat", true, true), None);
}

#[test]
fn sx17_the_eleventh_question_of_a_second_is_not_answered() {
    let mut peers = connected();
    let ask = wire::time::Question { t1: [9; 8] }.emit();
    for nth in 0..10 {
        let verdict = peers.handle_message(show(nth), ADA, Channel::Time, &ask);
        assert!(matches!(verdict, Verdict::Clock(_)));
    }
    assert_eq!(peers.handle_message(show(999), ADA, Channel::Time, &ask), Verdict::Drop);
    let verdict = peers.handle_message(show(1_000), ADA, Channel::Time, &ask);
    assert!(matches!(verdict, Verdict::Clock(_)));
}

#[test]
fn a_flood_is_dropped_and_one_that_goes_on_ends_its_connection() {
    let mut peers = connected();
    let mut say = || peers.handle_message(show(1), ADA, Channel::Score, b"page");
    assert!((0..200).all(|_| say() == Verdict::Take));
    assert!((0..800).all(|_| say() == Verdict::Drop));
    assert_eq!(say(), Verdict::End);
    assert_eq!(peers.handle_message(show(1), ADA, Channel::Media, b"x"), Verdict::Take);
    assert_eq!(peers.handle_message(show(1), BEN, Channel::Media, b"x"), Verdict::Drop);
}

#[test]
fn packets_of_one_phone_beyond_a_thousand_a_second_are_as_good_as_lost_and_others_are_not() {
    let mut peers = connected();
    peers.handle_offer(s(1.0), BEN, &offer("B")).expect("a first offer");
    assert!((0..1_000).all(|nth| peers.handle_packet(show(nth / 2), ADA)));
    assert!(!peers.handle_packet(show(999), ADA));
    assert!(peers.handle_packet(show(999), BEN));
    assert!(peers.handle_packet(show(1_000), ADA), "the first are a second old");
    peers.handle_gone(ADA);
    assert!(!peers.handle_packet(show(5_000), ADA), "it has no connection");
}

#[test]
fn a_phone_whose_machine_keeps_the_others_waiting_ends() {
    let mut peers = connected();
    let tenth = Span::from_millis(100);
    for second in 1..60 {
        let now = s(f64::from(second));
        assert!(peers.handle_turn(now, ADA, tenth, 0) && peers.handle_turn(now, ADA, tenth, 0));
    }
    assert!(peers.handle_turn(s(60.0), ADA, tenth, 0) && peers.handle_turn(s(60.1), ADA, tenth, 0));
    assert!(!peers.handle_turn(s(60.2), ADA, tenth, 0));
    assert!(peers.handle_turn(s(60.2), BEN, tenth, 0), "it has no connection");
}

#[test]
fn a_phone_whose_machine_holds_too_much_is_ended_and_what_it_gives_back_counts() {
    let mut peers = connected();
    let (now, took, mebi) = (MonoTime::ZERO, Span::ZERO, 1 << 20);
    for _ in 0..10 {
        assert!(peers.handle_turn(now, ADA, took, 4 * mebi));
        assert!(peers.handle_turn(now, ADA, took, -4 * mebi));
    }
    assert_eq!(peers.held(ADA), Some(0));
    assert!(peers.handle_turn(now, ADA, took, 4 * mebi));
    assert!(!peers.handle_turn(now, ADA, took, 1));
    assert_eq!(peers.held(BEN), None);
}

#[test]
fn an_offer_of_more_media_than_anybody_has_use_for_is_refused() {
    let mut peers = peers(10);
    let with =
        |many| format!("{}{}", offer("A"), "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(many));
    assert_eq!(code(peers.handle_offer(s(0.0), ADA, &with(9))), Some(RefusalCode::InvalidPayload));
    peers.handle_offer(s(0.1), ADA, &with(8)).expect("eight");
}

fn address(interface: &str, ip: &str) -> Address {
    Address { interface: interface.into(), ip: ip.parse().expect("an address") }
}

#[test]
fn a_phone_is_given_the_addresses_that_lead_to_the_box() {
    let all = [
        address("lo", "127.0.0.1"),
        address("lo", "::1"),
        address("eth0", "fd00::5"),
        address("eth0", "10.0.0.5"),
        address("eth0", "fe80::1"),
        address("wlan0", "192.168.4.1"),
    ];
    let given = |wanted, phone: &str| -> Vec<String> {
        let phone: IpAddr = phone.parse().expect("an address");
        places(&all, wanted, Some(phone)).iter().map(ToString::to_string).collect()
    };
    assert_eq!(given(None, "10.0.0.9"), ["10.0.0.5", "192.168.4.1", "fd00::5"]);
    assert_eq!(given(Some("wlan0"), "192.168.4.77"), ["192.168.4.1"]);
    assert_eq!(given(Some("wlan0"), "::ffff:127.0.0.1"), ["127.0.0.1", "::1", "192.168.4.1"]);
}

proptest! {
    #[test]
    fn no_description_of_any_shape_keeps_a_candidate(lines in prop::collection::vec("(a=candidate:|a=end-of-candidates|a=mid:|)[ -~]{0,20}(\r\n|\n)", 0..20)) {
        let kept = without_candidates(&lines.concat());
        prop_assert!(!kept.lines().any(|it| it.starts_with("a=candidate:")));
        prop_assert!(lines.iter().filter(|it| it.starts_with("a=mid:")).all(|it| kept.contains(it.as_str())));
    }
}

#[test]
fn sx11_a_phone_says_on_media_what_live_sound_it_takes() {
    let wants = |codecs: &str| {
        format!(
            r#"{{"type":"media_wanted","header":{{"id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a11","timestamp":1.5,"node_id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a12","sequence":7}},"codecs":{codecs}}}"#
        )
    };
    let mut peers = connected();
    let mut say = |channel, text: &str| {
        let verdict = peers.handle_message(show(0), ADA, channel, text.as_bytes());
        (verdict, peers.live(ADA))
    };
    assert_eq!(say(Channel::Media, "hm"), (Verdict::Take, None));
    assert_eq!(say(Channel::Score, &wants(r#"["opus"]"#)), (Verdict::Take, None), "not there");
    let asks = [
        (r#"["vp9","opus","pcm16"]"#, Some(MediaCodec::Opus)),
        (r#"["pcm16"]"#, Some(MediaCodec::Pcm16)),
        (r#"["h264","av1"]"#, None),
        (r#"["opus"]"#, Some(MediaCodec::Opus)),
        ("[]", None),
    ];
    for (codecs, live) in asks {
        assert_eq!(say(Channel::Media, &wants(codecs)), (Verdict::Drop, live), "{codecs}");
    }
    say(Channel::Media, &wants(r#"["opus","vp9"]"#));
    let takes = |peers: &Peers| [MediaCodec::Vp9, MediaCodec::H264].map(|it| peers.takes(ADA, it));
    assert_eq!(takes(&peers), [true, false]);
    peers.handle_gone(ADA);
    assert_eq!((peers.live(ADA), takes(&peers)), (None, [false; 2]));
}
