//! Peer connections at the hub that runs in the box, met by the crate `webrtc`, which shares nothing with it.
//! Needs loopback.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use engine::peers::{Channel, Link};
use engine::phones::Limits;
use io::clock::BoxClock;
use io::peers::{Frame, News, PeerGlance, Peers, PeersHandle, PeersSetup, Whom, Words, bind};
use sim::path::{Carriage, Direction, Scenario};
use tests::mutator::Mutator;
use tests::seeds::seeds;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tools::native::Native;
use tools::proxy::{Proxy, Settings};
use units::{PhoneId, Span};
use wire::time::{Answer, Question};

use crate::insider::{Insider, Outsider};
use crate::the_box::{PATIENCE, noise};

const HERE: &str = "127.0.0.1:0";
const ADA: PhoneId = PhoneId(1);
/// In one packet.
const PIECES: u32 = 50;
const TAI_UTC: Span = Span::from_secs(37);

/// A hub, and what it says.
struct House {
    peers: Peers,
    news: mpsc::UnboundedReceiver<(PhoneId, News)>,
    clock: BoxClock,
}

impl House {
    fn open(most: usize) -> Self {
        Self::open_on(most, None)
    }

    fn open_on(most: usize, interface: Option<&str>) -> Self {
        let (said, news) = mpsc::unbounded_channel();
        let clock = BoxClock::free();
        let setup = PeersSetup {
            socket: bind(0).expect("a free port"),
            clock: clock.clone(),
            tai_utc: TAI_UTC,
            limits: Limits::default(),
            most,
            interface: interface.map(str::to_owned),
            announce: Vec::new(),
            tell: Box::new(move |phone, news| drop(said.send((phone, news)))),
        };
        Self { peers: Peers::start(setup).expect("a thread"), news, clock }
    }

    fn handle(&self) -> PeersHandle {
        self.peers.handle()
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.handle().port()).into()
    }

    /// The next news of a phone that is wanted; others pass by.
    async fn hear<T>(&mut self, phone: PhoneId, wanted: impl Fn(News) -> Option<T>) -> T {
        let heard = async {
            loop {
                let (who, news) = self.news.recv().await.expect("the hub lives");
                let word = format!("{news:?}");
                if who != phone {
                    continue;
                }
                if let Some(it) = wanted(news) {
                    return it;
                }
                assert!(!word.starts_with("Refused"), "{word}");
            }
        };
        timeout(PATIENCE, heard).await.expect("news in time")
    }

    async fn answer(&mut self, phone: PhoneId, offer: String) -> String {
        self.handle().offer(phone, offer);
        self.hear(phone, |news| match news {
            News::Answer(answer) => Some(answer),
            _ => None,
        })
        .await
    }

    /// A phone with its connection; its packets go by `way`, where one is given.
    async fn let_in(&mut self, phone: PhoneId, way: Option<SocketAddr>) -> Native {
        self.let_in_from(HERE, phone, way).await
    }

    async fn let_in_from(&mut self, from: &str, phone: PhoneId, way: Option<SocketAddr>) -> Native {
        let from: SocketAddr = from.parse().expect("an address");
        self.handle().joined(phone, Some(from.ip()));
        let native = Native::new(&from.to_string(), true).await.expect("a peer");
        let answer = self.answer(phone, native.offer().await.expect("an offer")).await;
        native.accept(&self.sent_by(way, &answer)).await.expect("an answer");
        native.opened().await.expect("three channels");
        native
    }

    /// One that keeps its word only until it is in.
    async fn let_insider_in(&mut self, phone: PhoneId) -> Insider {
        self.handle().joined(phone, None);
        let outsider = Outsider::new();
        let answer = self.answer(phone, outsider.offer.clone()).await;
        outsider.enter(&answer, self.address())
    }

    /// A description whose only way to the box is another one.
    fn sent_by(&self, way: Option<SocketAddr>, description: &str) -> String {
        let Some(way) = way else { return description.to_owned() };
        let ours = format!(" 127.0.0.1 {} ", self.handle().port());
        let other = format!(" 127.0.0.1 {} ", way.port());
        let kept = |line: &&str| !line.starts_with("a=candidate:") || line.contains(&ours);
        description.split_inclusive('\n').filter(kept).collect::<String>().replace(&ours, &other)
    }

    async fn glance(&self, phone: PhoneId) -> Option<PeerGlance> {
        let all = self.handle().glance().await.expect("the hub lives");
        all.into_iter().find(|it| it.phone == phone)
    }

    /// The clock as a phone asks it.
    async fn ask(&self, native: &Native) -> Answer {
        let question = Question { t1: *b"whatever" };
        native.say("time", &question.emit()).await.expect("open");
        let heard = native.hear("time").await.expect("an answer");
        let answer = Answer::parse(&heard).expect("an answer");
        assert_eq!(answer.t1, question.t1);
        answer
    }

    async fn is_served(&mut self, phone: PhoneId, native: &Native) {
        native.say("score", b"page").await.expect("open");
        let heard = self
            .hear(phone, |news| match news {
                News::Heard { channel: Channel::Score, bytes, .. } => Some(bytes),
                _ => None,
            })
            .await;
        assert_eq!(&heard[..], b"page");
        assert!(self.handle().say(Whom::One(phone), Channel::Media, binary(b"sound")));
        assert_eq!(&native.hear("media").await.expect("open")[..], b"sound");
    }
}

fn binary(bytes: &'static [u8]) -> Words {
    Words::Binary(bytes.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn sx06_three_channels_open_and_carry_both_ways() {
    let mut house = House::open(10);
    let native = house.let_in(ADA, None).await;
    house.is_served(ADA, &native).await;
    native.say("media", &[7; 10_000]).await.expect("open");
    house.handle().say(Whom::All, Channel::Score, Words::Text("turn".into()));
    assert_eq!(&native.hear("score").await.expect("open")[..], b"turn");
    let glance = house.glance(ADA).await.expect("it is connected");
    assert_eq!(glance.state, Link::Connected);
    assert_eq!(glance.channels, [Channel::Time, Channel::Media, Channel::Score]);
    assert!(glance.track);
    assert_eq!((glance.dropped, glance.restarts), (0, 0));
    assert_eq!(glance.loss, None, "nothing was sent on the track");
}

#[tokio::test(flavor = "multi_thread")]
async fn sx06_a_phone_that_has_nothing_but_ipv6_is_served_on_the_same_port() {
    let mut house = House::open(10);
    let four = house.let_in(PhoneId(2), None).await;
    let native = house.let_in_from("[::1]:0", ADA, None).await;
    house.is_served(ADA, &native).await;
    house.ask(&native).await;
    assert!(way(&house).await.is_ipv6());
    house.is_served(PhoneId(2), &four).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sx09_the_time_is_asked_on_a_data_channel_and_t2_is_when_the_kernel_had_the_packet() {
    let mut house = House::open(10);
    let native = house.let_in(ADA, None).await;
    let now = |house: &House| (house.clock.now() - TAI_UTC).ns();
    let before = now(&house);
    let answer = house.ask(&native).await;
    assert!(before < answer.t2_ns && answer.t2_ns <= answer.t3_ns && answer.t3_ns < now(&house));
}

#[tokio::test(flavor = "multi_thread")]
async fn sx17_the_eleventh_question_on_the_data_channel_is_not_answered() {
    let mut house = House::open(10);
    let native = house.let_in(ADA, None).await;
    for _ in 0..11 {
        native.say("time", &Question { t1: [1; 8] }.emit()).await.expect("open");
    }
    for _ in 0..10 {
        native.hear("time").await.expect("an answer");
    }
    // In order after the eleventh: had that one been answered, the answer would be there.
    house.is_served(ADA, &native).await;
    assert!(timeout(Duration::from_millis(300), native.hear("time")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn sx06_an_ice_restart_from_another_address_keeps_the_phone_s_place() {
    let mut house = House::open(10);
    let native = house.let_in(ADA, None).await;
    let first = way(&house).await;
    let offer = native.restart().await.expect("an offer");
    let answer = house.answer(ADA, offer).await;
    native.accept(&answer).await.expect("an answer");
    // The same channels, never opened again.
    house.is_served(ADA, &native).await;
    house.ask(&native).await;
    let glance = until(&house, |it| it.restarts == 1 && it.address != Some(first)).await;
    assert_eq!(glance.state, Link::Connected);
    assert_eq!(glance.channels.len(), 3);
}

async fn way(house: &House) -> SocketAddr {
    until(house, |it| it.address.is_some()).await.address.expect("just seen")
}

/// What is to be seen of Ada once it is so.
async fn until(house: &House, holds: impl Fn(&PeerGlance) -> bool) -> PeerGlance {
    let end = Instant::now() + PATIENCE;
    loop {
        let glance = house.glance(ADA).await.expect("it is connected");
        if holds(&glance) {
            return glance;
        }
        assert!(Instant::now() < end, "{glance:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_was_cut_off_is_offered_a_restart_and_comes_back_to_its_place() {
    let mut house = House::open(10);
    let settings = Settings {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        to: house.address(),
        carriage: Carriage::Datagrams,
        scenario: *Scenario::named("clear").expect("a scenario"),
        seed: 1,
        cuts: Vec::new(),
    };
    let proxy = Proxy::start(settings).expect("a free port");
    let native = house.let_in(ADA, Some(proxy.address())).await;
    house.is_served(ADA, &native).await;
    for direction in [Direction::Up, Direction::Down] {
        proxy.cut(direction);
    }
    let is_lost = |news| (news == News::Link(Link::Disconnected)).then_some(());
    house.hear(ADA, is_lost).await;
    for direction in [Direction::Up, Direction::Down] {
        proxy.heal(direction);
    }
    let back = |news| match news {
        News::Offer(offer) => Some(Some(offer)),
        News::Link(Link::Connected) => Some(None),
        _ => None,
    };
    // It may find back by itself; else it takes what it is offered.
    if let Some(offer) = house.hear(ADA, back).await {
        let offer = house.sent_by(Some(proxy.address()), &offer);
        let answer = native.answer(&offer).await.expect("an answer");
        house.handle().answer(ADA, answer);
    }
    house.is_served(ADA, &native).await;
    assert_eq!(house.glance(ADA).await.expect("connected").channels.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn ca05_sound_goes_out_on_a_track_as_opus_under_srtp() {
    let mut house = House::open(10);
    let native = house.let_in(ADA, None).await;
    let handle = house.handle();
    let frames = async {
        for at in 0_u64.. {
            let opus = [&[0xf8_u8][..], &at.to_be_bytes()].concat().into();
            handle.frame(Frame { opus, at: at * 960 });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let heard = async {
        let mut packets = Vec::new();
        while packets.len() < 10 {
            packets.push(native.sound().await.expect("sound"));
        }
        packets
    };
    let packets = tokio::select! {
        () = frames => unreachable!("frames go on for ever"),
        packets = heard => packets,
    };
    for pair in packets.windows(2) {
        let number =
            |nth: usize| u64::from_be_bytes(pair[nth].payload[1..].try_into().expect("ours"));
        assert_eq!(number(1), number(0) + 1);
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 960);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_the_port_harms_nobody_and_is_kept_nowhere() {
    let mut house = House::open(10);
    let native = house.let_in(ADA, None).await;
    let stranger = UdpSocket::bind(HERE).expect("a free port");
    // The first byte says what a packet claims to be (RFC 7983): STUN, DTLS, SRTP.
    for (seed, first) in (0..3_000).zip([0_u8, 1, 22, 23, 63, 128, 191, 255].into_iter().cycle()) {
        let mut packet = noise(seed, 1 + (seed as usize * 37) % 1_400);
        packet[0] = first;
        if first < 4 && packet.len() > 8 {
            packet[4..8].copy_from_slice(&0x2112_A442_u32.to_be_bytes());
        }
        stranger.send_to(&packet, house.address()).expect("sent");
    }
    house.is_served(ADA, &native).await;
    assert_eq!(house.handle().glance().await.expect("alive").len(), 1);
}

/// Named seeds, whole and damaged, as offers and as packets from a stranger and from the phone's own address.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_offers_and_packets_are_refused_and_others_feel_nothing() {
    let mut house = House::open(50);
    let native = house.let_in(ADA, None).await;
    let handle = house.handle();
    let stranger = UdpSocket::bind(HERE).expect("a free port");
    let mut mutator = Mutator::new(7);
    for (nth, seed) in (2..).zip(seeds(&["peers", "stun"]).iter().cycle().take(400)) {
        // Each a phone of its own, so that none is refused for offering too often.
        let (phone, bytes) = (PhoneId(nth), mutator.damage(&seed.bytes, &seed.bytes));
        handle.joined(phone, None);
        handle.offer(phone, String::from_utf8_lossy(&seed.bytes).into_owned());
        handle.offer(phone, String::from_utf8_lossy(&bytes).into_owned());
        handle.answer(phone, String::from_utf8_lossy(&bytes).into_owned());
        stranger.send_to(&bytes[..bytes.len().min(1_400)], house.address()).expect("sent");
        handle.left(phone);
    }
    house.is_served(ADA, &native).await;
    house.ask(&native).await;
    assert_eq!(handle.glance().await.expect("alive").len(), 1, "nothing is left of them");
}

/// Named seeds, whole and damaged, as chunks of one who is in.
#[tokio::test(flavor = "multi_thread")]
async fn sx06_whatever_chunks_one_says_who_is_in_the_others_feel_nothing() {
    let mut house = House::open(50);
    let native = house.let_in(ADA, None).await;
    let mut mutator = Mutator::new(11);
    let mut insider = house.let_insider_in(PhoneId(2)).await;
    let mut entered = 1;
    for seed in seeds(&["sctp"]).iter().cycle().take(600) {
        let damaged = mutator.damage(&seed.bytes, &seed.bytes);
        for chunks in [&seed.bytes, &damaged] {
            if !insider.say(&chunks[..chunks.len().min(1_100)]) {
                entered += 1;
                house.handle().left(PhoneId(entered));
                insider = house.let_insider_in(PhoneId(entered + 1)).await;
            }
        }
    }
    house.is_served(ADA, &native).await;
    house.ask(&native).await;
    let held = house.glance(ADA).await.and_then(|it| it.held).expect("it is counted");
    println!("entered {entered} times; the honest phone's connection holds {held} octets");
    assert!(held < 1 << 20, "{held}");
}

/// As fast as they go they are ended by what they take of the processor, slowly by what they take of the memory.
#[tokio::test(flavor = "multi_thread")]
async fn sx06_pieces_of_a_message_that_never_ends_cost_the_phone_its_connection() {
    let mut house = House::open(50);
    let native = house.let_in(ADA, None).await;
    for (nth, a_second) in [(2, 100_000), (3, 2_500)] {
        let phone = PhoneId(nth);
        let mut pace = tokio::time::interval(Duration::from_secs(1) * PIECES / a_second);
        let mut insider = house.let_insider_in(phone).await;
        let (mut pieces, mut most, begin) = (0, 0, Instant::now());
        while insider.say_pieces(PIECES) {
            pieces += PIECES;
            pace.tick().await;
            most = house.glance(phone).await.and_then(|it| it.held).map_or(most, |it| most.max(it));
            assert!(pieces < 200_000, "nobody ends it");
        }
        println!(
            "{a_second} a second: ended after {pieces}, {:?}, with {most} octets",
            begin.elapsed()
        );
        assert!((1 << 20..5 << 20).contains(&most), "{most}");
        let ended = News::Ended(engine::peers::Why::Flooded);
        house.hear(phone, |news| (news == ended).then_some(())).await;
        house.is_served(ADA, &native).await;
    }
}

/// What is handed on is no machine's: through a long show it would add up to a flood that nobody made.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_connection_holds_does_not_grow_with_what_is_said_on_it() {
    let mut house = House::open(1);
    let native = house.let_in(ADA, None).await;
    let mut held = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(6));
    for round in 0..900 {
        pace.tick().await;
        house.is_served(ADA, &native).await;
        if round % 300 == 299 {
            held.push(house.glance(ADA).await.and_then(|it| it.held).expect("it is counted"));
        }
    }
    println!("{held:?}");
    assert!(held[2] - held[1] < 300, "less than an octet a message: {held:?}");
}

/// A box with a cable to the lamps and another to the audience. Needs root, iproute2.
#[test]
fn sx06_of_several_interfaces_phones_are_told_that_which_is_for_them_and_come_in_by_it() {
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: several interfaces: network namespaces need root");
        return;
    }
    let stage = std::thread::spawn(|| {
        // This thread's own network, and that of the hub which it starts.
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("root may");
        for words in [
            "link set lo up",
            "link add lamps type veth peer name lamps-far",
            "link add crowd type veth peer name crowd-far",
            "addr add 10.1.0.1/24 dev lamps",
            "addr add 10.2.0.1/24 dev crowd",
            "link set lamps up",
            "link set lamps-far up",
            "link set crowd up",
            "link set crowd-far up",
        ] {
            let ip = std::process::Command::new("ip").args(words.split(' ')).status();
            assert!(ip.expect("iproute2").success(), "ip {words}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(on_two_interfaces());
    });
    stage.join().expect("as told");
}

async fn on_two_interfaces() {
    let phone = "10.2.0.77".parse().expect("an address");
    for (wanted, told) in
        [(None, &["10.1.0.1", "10.2.0.1"][..]), (Some("crowd"), &["10.2.0.1"]), (Some("gone"), &[])]
    {
        let mut house = House::open_on(1, wanted);
        house.handle().joined(ADA, Some(phone));
        let outsider = Outsider::new();
        let answer = house.answer(ADA, outsider.offer.clone()).await;
        let mut found: Vec<&str> = answer
            .lines()
            .filter(|line| line.starts_with("a=candidate:"))
            .filter_map(|line| line.split(' ').nth(4))
            .collect();
        found.sort_unstable();
        assert_eq!(found, told, "{wanted:?}");
        if let Some(last) = told.last() {
            let to = format!("{last}:{}", house.handle().port()).parse().expect("an address");
            outsider.enter(&answer, to);
        }
    }
}
