//! HTTPS and WebTransport `/sync` as phones meet them: the headers of a secure page, the hashes, the time.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use wire::time::{Answer, Question};
use wtransport::tls::Sha256Digest;
use wtransport::tls::client::{NoServerVerification, ServerHashVerification};
use wtransport::{Connection, Endpoint};

use crate::proxy::until;
use crate::the_box::{PATIENCE, TheBox, exchange, noise};
use crate::ws::Phone;

/// TLS, as somebody who was told these hashes, or as somebody who does not care.
pub fn tls(
    the_box: &TheBox,
    hashes: Option<&[Sha256Digest]>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let stream =
        TcpStream::connect((Ipv4Addr::LOCALHOST, the_box.place.https)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("a socket");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous();
    let config = match hashes {
        Some(hashes) => {
            let known = ServerHashVerification::new(hashes.iter().cloned());
            config.with_custom_certificate_verifier(Arc::new(known))
        }
        None => config.with_custom_certificate_verifier(Arc::new(NoServerVerification::new())),
    };
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::new(config.with_no_client_auth()), name);
    StreamOwned::new(session.expect("a session"), stream)
}

/// A phone that has said `hello` over TLS.
pub fn join(the_box: &TheBox) -> Phone<StreamOwned<ClientConnection, TcpStream>> {
    let mut phone = Phone::over(the_box.place.https, tls(the_box, None), None);
    phone.hello();
    phone
}

pub fn told(welcome: &Value) -> (String, Vec<Sha256Digest>) {
    let told = &welcome["webtransport"];
    let url = told["url"].as_str().expect("a url").to_owned();
    let hashes = told["certificate_hashes"].as_array().expect("a list").iter();
    let octet = |hex: &str, at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    let digest = |hash: &Value| {
        let hex = hash.as_str().expect("a text");
        Sha256Digest::new(std::array::from_fn(|k| octet(hex, 2 * k)))
    };
    (url, hashes.map(digest).collect())
}

pub async fn open(url: &str, hashes: &[Sha256Digest]) -> Result<Connection, String> {
    let config = wtransport::ClientConfig::builder()
        .with_bind_address((Ipv4Addr::LOCALHOST, 0).into())
        .with_server_certificate_hashes(hashes.iter().cloned())
        .build();
    let client = Endpoint::client(config).expect("a socket");
    client.connect(url).await.map_err(|error| error.to_string())
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn unix_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_nanos()).expect("before 2262")
}

fn question(t1: u8) -> Question {
    Question { t1: [t1; 8] }
}

/// The next answer; a datagram that is lost on loopback would be a mistake of ours.
async fn answer(session: &Connection) -> Answer {
    let datagram = timeout(PATIENCE, session.receive_datagram()).await.expect("an answer in time");
    Answer::parse(&datagram.expect("the session lives")).expect("an answer")
}

/// A phone that hears nothing for so long asks again; the limit is ten a second.
const AGAIN: Duration = Duration::from_millis(300);

pub async fn is_served(session: &Connection) -> bool {
    session.send_datagram(question(7).emit()).expect("it fits");
    answer(session).await.t1 == question(7).t1
}

fn metric(the_box: &TheBox, name: &str) -> f64 {
    let (_, text) = the_box.fetch("/metrics", "");
    let line = text.lines().find(|line| line.starts_with(&format!("downbeat_{name} ")));
    let value = line.and_then(|line| line.split(' ').next_back()).expect("the metric");
    value.parse().expect("a number")
}

#[test]
fn sx05_a_page_over_tls_shares_its_process_with_nobody_and_is_the_same_page() {
    let the_box = TheBox::start();
    let plain = the_box.fetch("/", "").1;
    let (status, secure) = exchange(tls(&the_box, None), "GET", "/", "", "");
    assert_eq!(status, 200);
    for header in [
        "cross-origin-opener-policy: same-origin",
        "cross-origin-embedder-policy: require-corp",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(secure.contains(header), "{secure}");
        assert!(!plain.contains(header), "browsers complain about it there");
    }
    let page = |answer: &str| answer.split_once("\r\n\r\n").expect("a head").1.to_owned();
    assert_eq!(page(&secure), page(&plain));
    let (_, core) = exchange(tls(&the_box, None), "GET", "/page/core.wasm", "", "");
    assert!(core.contains("cross-origin-resource-policy: same-origin"));
    assert!(secure.contains("x-frame-options: DENY") && !core.contains("x-frame-options"));
}

#[test]
fn hello_over_tls_says_where_to_ask_the_time_and_over_plain_http_it_does_not() {
    let the_box = TheBox::start();
    assert_eq!(Phone::join(&the_box).welcome.get("webtransport"), None);
    let (url, hashes) = told(&join(&the_box).welcome);
    let port = the_box.place.https;
    assert!(url.starts_with(&format!("https://127.0.0.1:{port}/sync?phone=")), "{url}");
    assert_eq!(hashes.len(), 1);
    let (status, _) = exchange(tls(&the_box, Some(&hashes)), "GET", "/healthz", "", "");
    assert_eq!(status, 200, "TLS serves with the certificate of that hash");
}

#[test]
fn sx09_a_datagram_is_answered_with_its_t1_and_the_time() {
    let the_box = TheBox::start();
    let mut phone = join(&the_box);
    let (url, hashes) = told(&phone.welcome);
    runtime().block_on(async {
        let session = open(&url, &hashes).await.expect("a session");
        for t1 in 1..=5 {
            let before = unix_ns();
            session.send_datagram(question(t1).emit()).expect("it fits");
            let it = answer(&session).await;
            // The box keeps the time by itself from its start on, so it may be a little off the system's by now.
            let (from, until) = (before - 10_000_000, unix_ns() + 10_000_000);
            assert_eq!(it.t1, question(t1).t1);
            assert!(from < it.t2_ns && it.t2_ns < it.t3_ns && it.t3_ns < until, "{it:?} {before}");
        }
    });
    // It answers first and counts then.
    until("the last is counted", || metric(&the_box, "time_datagrams_total") == 5.0);
    let lead = metric(&the_box, "time_datagrams_lead_seconds_total") / 5.0;
    assert!(lead > 0.0, "the kernel has a question before the program");
    println!("the kernel's stamp is {:.1} us ahead of the program's reading", lead * 1e6);
    let phones = the_box.ask_json(&["phones"]);
    assert_eq!(phones["phones"][0]["clock_channel"], "web_transport", "{phones}");
    assert!(phone.is_served());
    assert_eq!(the_box.ask_json(&["phones"])["phones"][0]["clock_channel"], "web_socket");
}

#[test]
fn sx17_the_eleventh_question_of_a_second_stays_without_an_answer() {
    let the_box = TheBox::start_with("[limits]\nclock_syncs_per_second = 3\n");
    let (url, hashes) = told(&join(&the_box).welcome);
    runtime().block_on(async {
        let session = open(&url, &hashes).await.expect("a session");
        let before = unix_ns();
        (0..4).for_each(|t1| session.send_datagram(question(t1).emit()).expect("it fits"));
        for t1 in 0..3 {
            assert_eq!(answer(&session).await.t1, question(t1).t1);
        }
        // The fourth had its turn before any that is asked a second later.
        loop {
            let Some(next) = ask_again(&session).await else { continue };
            assert_eq!(next.t1, question(7).t1);
            assert!(next.t2_ns - before >= 999_000_000, "{} ns", next.t2_ns - before);
            return;
        }
    });
}

/// Asks once more; none if no answer comes soon.
async fn ask_again(session: &Connection) -> Option<Answer> {
    session.send_datagram(question(7).emit()).expect("it fits");
    let datagram = timeout(Duration::from_millis(50), session.receive_datagram()).await.ok()?;
    Some(Answer::parse(&datagram.expect("the session lives")).expect("an answer"))
}

#[test]
fn what_the_box_pays_for_a_question_either_way_is_printed() {
    const QUESTIONS: u32 = 1_500;
    let the_box = TheBox::start_with("[limits]\nclock_syncs_per_second = 1000000\n");
    let mut phone = join(&the_box);
    let (url, hashes) = told(&phone.welcome);
    let pays = |deed: &mut dyn FnMut()| {
        let before = cpu_us(&the_box);
        deed();
        (cpu_us(&the_box) - before) / f64::from(QUESTIONS)
    };
    let socket = pays(&mut || (0..QUESTIONS).for_each(|_| assert!(phone.is_served())));
    let datagram = pays(&mut || {
        runtime().block_on(async {
            let session = open(&url, &hashes).await.expect("a session");
            for _ in 0..QUESTIONS {
                assert!(is_served(&session).await);
            }
        });
    });
    println!(
        "CPU of the box a question: {socket:.0} us over the socket, {datagram:.0} us in a datagram"
    );
    let lead = metric(&the_box, "time_datagrams_lead_seconds_total") / f64::from(QUESTIONS);
    println!(
        "the kernel's stamp is {:.1} us ahead of the program's reading, in the mean",
        lead * 1e6
    );
    assert!(socket > 0.0 && datagram > 0.0);
}

/// What the box has had of the processors, in microseconds; the kernel counts nanoseconds by thread.
fn cpu_us(the_box: &TheBox) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{}/task", the_box.child.id())).expect("Linux");
    let spent = |thread: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    threads.filter_map(spent).sum::<f64>() / 1e3
}

#[test]
fn a_wrong_path_or_an_unknown_hash_opens_no_session() {
    let the_box = TheBox::start();
    let (url, hashes) = told(&join(&the_box).welcome);
    runtime().block_on(async {
        assert!(open(&url.replace("/sync", "/score"), &hashes).await.is_err());
        assert!(open(&url, &[Sha256Digest::new([7; 32])]).await.is_err());
        assert!(is_served(&open(&url, &hashes).await.expect("a session")).await);
    });
}

#[test]
fn sx05_a_client_that_wants_the_time_alone_finds_it_at_time() {
    let the_box = TheBox::start();
    let (url, hashes) = told(&join(&the_box).welcome);
    let place = url.split_once("/sync").expect("a path").0.to_owned() + "/time";
    runtime().block_on(async {
        let session = open(&place, &hashes).await.expect("a session");
        assert!(is_served(&session).await);
    });
}

#[test]
fn sx17_sessions_of_an_address_are_as_many_as_its_sockets_may_be() {
    let the_box = TheBox::start_with("[limits]\nconnections_per_address = 2\n");
    let (url, hashes) = told(&join(&the_box).welcome);
    runtime().block_on(async {
        let one = open(&url, &hashes).await.expect("a session");
        let two = open(&url, &hashes).await.expect("a session");
        assert!(open(&url, &hashes).await.is_err(), "the third");
        assert!(is_served(&one).await && is_served(&two).await, "the others are not touched");
        one.close(0_u32.into(), b"");
        drop(one);
        let begin = std::time::Instant::now();
        while open(&url, &hashes).await.is_err() {
            assert!(begin.elapsed() < PATIENCE, "its place is free again");
        }
    });
}

#[test]
fn noise_on_the_ports_of_tls_and_quic_harms_nobody() {
    let mut the_box = TheBox::start();
    let (url, hashes) = told(&join(&the_box).welcome);
    runtime().block_on(async {
        let session = open(&url, &hashes).await.expect("a session");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        for seed in 0..2_000 {
            let mut bytes = noise(seed, (seed as usize * 37) % 1_400);
            // Half of them look like the beginning of a QUIC connection.
            if let Some(first) = bytes.first_mut().filter(|_| seed % 2 == 0) {
                *first |= 0xc0;
                bytes.splice(1..bytes.len().min(5), [0, 0, 0, 1]);
            }
            // A full buffer drops it, as a network would.
            let _ = socket.send_to(&bytes, (Ipv4Addr::LOCALHOST, the_box.place.https));
        }
        for seed in 0..40 {
            let mut stream = tls(&the_box, None).sock;
            let _ = stream.write_all(&noise(seed, 1 + seed as usize * 100));
        }
        // The flood may have cost it a question; an answer says that nothing of the flood is left to cost it more.
        let asked_until_answered =
            async { while timeout(AGAIN, is_served(&session)).await.is_err() {} };
        timeout(PATIENCE, asked_until_answered).await.expect("it answers again");
        // An answer in between says that the ten before it were read: all fifty would not fit where they wait.
        for ten in 0..5 {
            (ten * 10..ten * 10 + 10).for_each(|seed| {
                session.send_datagram(noise(seed, seed as usize * 20)).expect("it fits")
            });
            assert!(is_served(&session).await);
        }
    });
    assert!(the_box.is_alive());
    assert!(join(&the_box).is_served());
    assert_eq!(metric(&the_box, "time_datagrams_unanswered_total"), 50.0);
}

#[test]
fn a_session_that_floods_is_closed_and_another_one_is_served() {
    let the_box = TheBox::start();
    let (url, hashes) = told(&join(&the_box).welcome);
    runtime().block_on(async {
        let (one, other) = (open(&url, &hashes).await, open(&url, &hashes).await);
        let (one, other) = (one.expect("a session"), other.expect("a session"));
        let begin = std::time::Instant::now();
        while one.send_datagram(noise(1, 20)).is_ok() {
            assert!(begin.elapsed() < PATIENCE, "it was never let go");
            tokio::task::yield_now().await;
        }
        assert!(is_served(&other).await);
    });
}

#[test]
fn a_taken_port_of_https_is_a_loud_word_and_the_show_goes_on() {
    let place = crate::the_box::Place::new();
    let taken = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, place.https)).expect("free");
    let mut the_box = place.begin();
    the_box.wait_for_line("WARNING: no HTTPS and no WebTransport");
    the_box.wait_for_line("control ");
    assert!(Phone::join(&the_box).welcome.get("webtransport").is_none());
    assert!(the_box.is_alive());
    drop(taken);
}

#[test]
fn a_box_keeps_its_certificate_over_a_restart() {
    let mut the_box = TheBox::start();
    let first = told(&join(&the_box).welcome).1;
    the_box.restart();
    assert_eq!(told(&join(&the_box).welcome).1, first);
}

#[test]
fn no_key_of_the_box_is_in_anything_it_says() {
    let the_box = TheBox::start();
    let pem = std::fs::read_to_string(the_box.place.path("state/tls/current.pem")).expect("kept");
    let key = pem.lines().nth(1).expect("a line of the key");
    join(&the_box);
    for path in ["/", "/metrics", "/state/tls/current.pem", "/page/../state/tls/current.pem"] {
        let (_, answer) = the_box.fetch(path, "");
        assert!(!answer.contains(key));
    }
    assert!(!the_box.ask_json(&["status"]).to_string().contains(key));
    let journal = std::fs::read_to_string(the_box.place.path("state/journal.jsonl"));
    assert!(!journal.unwrap_or_default().contains(key));
}
