//! `tools`' bad network, between real sockets. Needs loopback. Asserts what came and how it came, never how fast this
//! machine is.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use sim::path::{Carriage, Direction, Scenario};
use tools::proxy::{Proxy, Settings, adjust, planned_cuts};
use units::Span;

use crate::the_box::PATIENCE;

fn proxy(to: SocketAddr, carriage: Carriage, scenario: Scenario) -> Proxy {
    planned(to, carriage, scenario, "")
}

fn planned(to: SocketAddr, carriage: Carriage, scenario: Scenario, cut: &str) -> Proxy {
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let cuts = if cut.is_empty() { Vec::new() } else { planned_cuts(cut).expect("a plan") };
    let settings = Settings { listen, to, carriage, scenario, seed: 7, cuts };
    Proxy::start(settings).expect("a free port")
}

fn scenario(name: &str, up: &str, down: &str) -> Scenario {
    let known = *Scenario::named(name).expect("a scenario");
    let change = |lane, changes| adjust(lane, changes).expect("a change");
    Scenario { up: change(known.up, up), down: change(known.down, down), ..known }
}

/// Sends back whatever it hears, until it hears the end.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || io::copy(&mut &client, &mut &client));
        }
    });
    address
}

fn datagram_echo() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = socket.local_addr().expect("bound");
    thread::spawn(move || {
        let mut buffer = [0; 2_000];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    address
}

fn dial(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(proxy.address()).expect("it listens");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    client
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::yield_now();
    }
}

#[test]
fn a_megabyte_goes_through_a_bad_network_and_back_to_the_last_byte() {
    let bad = scenario("clear", "delay=1ms,jitter=2ms,loss=2%", "delay=2ms,rate=200mbit");
    let proxy = proxy(echo(), Carriage::Stream, bad);
    let mut client = dial(&proxy);
    let sent: Vec<u8> = (0..1_000_000_u32).map(|k| (k * 7 / 3) as u8).collect();
    let writer = {
        let (mut client, sent) = (client.try_clone().expect("a socket"), sent.clone());
        thread::spawn(move || {
            client.write_all(&sent).expect("it reads");
            client.shutdown(Shutdown::Write).expect("a goodbye");
        })
    };
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).expect("it answers, and says goodbye");
    writer.join().expect("it writes");
    assert!(heard == sent);
    let account = proxy.account();
    assert_eq!((account.up.bytes, account.down.bytes), (1_000_000, 1_000_000));
    assert_eq!(account.up.lost + account.down.lost, 0);
    until("it is seen to go", || proxy.account().open == 0);
}

#[test]
fn a_word_takes_at_least_as_long_as_its_way_there_and_back() {
    let far = scenario("clear", "delay=30ms", "delay=20ms");
    let proxy = proxy(echo(), Carriage::Stream, far);
    let mut client = dial(&proxy);
    let begin = Instant::now();
    client.write_all(b"hello").expect("it reads");
    client.read_exact(&mut [0; 5]).expect("it answers");
    assert!(begin.elapsed() >= Duration::from_millis(50), "{:?}", begin.elapsed());
    let from = client.local_addr().expect("connected");
    assert_eq!(proxy.asymmetry(from), Some(Span::from_millis(5)));
    until("both are delivered", || proxy.account().lateness.count() == 2);
}

#[test]
fn a_stream_that_is_cut_one_way_waits_and_goes_on_when_it_is_healed() {
    let proxy = proxy(echo(), Carriage::Stream, scenario("clear", "", ""));
    let mut client = dial(&proxy);
    client.write_all(b"a").expect("it reads");
    client.read_exact(&mut [0]).expect("it answers");
    proxy.cut(Direction::Down);
    client.write_all(b"b").expect("it reads");
    until("it still goes up", || proxy.account().up.packets == 2);
    client.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    client.read_exact(&mut [0]).expect_err("nothing comes down");
    proxy.heal(Direction::Down);
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut heard = [0];
    client.read_exact(&mut heard).expect("it is sent again");
    assert_eq!(&heard, b"b");
}

#[test]
fn a_planned_cut_holds_up_a_connection_that_opens_in_it_until_it_ends() {
    let begin = Instant::now();
    let proxy = planned(echo(), Carriage::Stream, scenario("clear", "", ""), "0ms-150ms");
    let mut client = dial(&proxy);
    client.write_all(b"a").expect("it reads");
    client.read_exact(&mut [0]).expect("it answers");
    assert!(begin.elapsed() >= Duration::from_millis(150), "{:?}", begin.elapsed());
}

#[test]
fn a_reset_breaks_what_goes_through_and_lets_in_who_comes_again() {
    let proxy = proxy(echo(), Carriage::Stream, scenario("clear", "", "delay=10s"));
    let mut client = dial(&proxy);
    client.write_all(b"a").expect("it reads");
    until("it went up", || proxy.account().up.packets == 1);
    proxy.reset();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)), "though a word is on its way down");
    until("it is seen to go", || proxy.account().open == 0);
    let mut next = dial(&proxy);
    next.write_all(b"b").expect("it reads");
    until("the next is let in", || proxy.account().up.packets == 2);
}

#[test]
fn a_server_that_is_not_there_is_a_connection_that_closes() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = nobody.local_addr().expect("bound");
    drop(nobody);
    let proxy = proxy(address, Carriage::Stream, scenario("clear", "", ""));
    let mut client = dial(&proxy);
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn a_proxy_that_ends_closes_what_went_through_it() {
    let proxy = proxy(echo(), Carriage::Stream, scenario("lan", "", ""));
    let mut client = dial(&proxy);
    client.write_all(b"a").expect("it reads");
    client.read_exact(&mut [0]).expect("it answers");
    drop(proxy);
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn datagrams_get_lost_and_come_back_to_the_one_who_sent_them() {
    let bad = scenario("clear", "loss=30%,jitter=1ms", "");
    let proxy = proxy(datagram_echo(), Carriage::Datagrams, bad);
    let client = |_| {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.connect(proxy.address()).expect("an address");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket
    };
    let clients: Vec<UdpSocket> = (0..2).map(client).collect();
    for round in 0..100_u8 {
        for (number, client) in clients.iter().enumerate() {
            client.send(&[number as u8, round]).expect("sent");
        }
        let said = (u64::from(round) + 1) * 2;
        until("the proxy has taken them", || proxy.account().up.packets == said);
    }
    let lost = proxy.account().up.lost;
    assert!((30..90).contains(&lost), "{lost} of 200");
    let mut heard = 0;
    until("the rest comes back", || proxy.account().lateness.count() == 2 * (200 - lost));
    for (number, client) in clients.iter().enumerate() {
        client.set_nonblocking(true).expect("a socket");
        let mut buffer = [0; 2];
        while let Ok(2) = client.recv(&mut buffer) {
            assert_eq!(buffer[0], number as u8, "to each its own");
            heard += 1;
        }
    }
    assert_eq!(heard, 200 - lost);
    proxy.cut(Direction::Up);
    clients[0].send(b"xx").expect("sent");
    until("what is cut is lost", || proxy.account().up.lost == lost + 1);
}

#[test]
fn datagrams_that_are_doubled_come_twice_and_a_reset_gives_their_sender_another_port() {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    server.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let to = server.local_addr().expect("bound");
    let proxy = proxy(to, Carriage::Datagrams, scenario("clear", "duplicate=100%", ""));
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    client.connect(proxy.address()).expect("an address");
    let heard = || {
        let mut buffer = [0; 3];
        let (length, from) = server.recv_from(&mut buffer).expect("it comes");
        (buffer[..length].to_vec(), from)
    };
    client.send(b"one").expect("sent");
    let (first, second) = (heard(), heard());
    assert_eq!((first.0.as_slice(), &first), (b"one".as_slice(), &second));
    assert_eq!(proxy.account().up.doubled, 1);
    proxy.reset();
    until("the way is given up", || proxy.account().open == 0);
    client.send(b"two").expect("sent");
    let (word, from) = heard();
    assert_eq!(word, b"two");
    assert_ne!(from, first.1, "as behind a router that forgot");
}
