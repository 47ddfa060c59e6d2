//! The box's certificates as phones, browsers and the person at the box meet them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use crate::secure::tls;
use crate::the_box::{PATIENCE, TheBox, exchange};
use crate::ws::Phone;

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A certificate that nobody but its maker has signed, and its key.
struct Outside {
    chain: String,
    key: String,
    der: Vec<u8>,
}

/// It has begun ten days ago, and ends in so many.
fn outside(names: &[&str], ends_in_days: i64) -> Outside {
    let names = names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let mut params = CertificateParams::new(names).expect("names");
    let day = std::time::Duration::from_secs(86_400);
    let begin = SystemTime::now() - 10 * day;
    params.not_before = begin.into();
    let lasts = u32::try_from(10 + ends_in_days).expect("it ends behind its beginning");
    params.not_after = (begin + lasts * day).into();
    let key = KeyPair::generate().expect("a key");
    // Each has signed itself, so each is a signer of its own.
    let signer: String =
        key.public_key_raw().iter().take(9).map(|it| format!("{it:02x}")).collect();
    params.distinguished_name.push(DnType::CommonName, signer);
    let certificate = params.self_signed(&key).expect("signed");
    Outside { chain: certificate.pem(), key: key.serialize_pem(), der: certificate.der().to_vec() }
}

/// `downbeat cert import` of these texts.
fn import(the_box: &TheBox, chain: &str, key: &str) -> std::process::Output {
    let (of_chain, of_key) = (the_box.place.path("chain.pem"), the_box.place.path("key.pem"));
    std::fs::write(&of_chain, chain).expect("written");
    std::fs::write(&of_key, key).expect("written");
    let words =
        ["cert", "import", of_chain.to_str().expect("text"), of_key.to_str().expect("text")];
    the_box.ask(&words)
}

/// What a new connection is shown.
fn shown(the_box: &TheBox) -> Vec<u8> {
    let mut stream = tls(the_box, None);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).expect("a handshake");
    }
    certificate(&stream)
}

fn certificate(stream: &Stream) -> Vec<u8> {
    stream.conn.peer_certificates().expect("one was shown")[0].to_vec()
}

#[test]
fn sx04_a_certificate_is_renewed_without_a_restart_and_open_connections_live_on() {
    let mut the_box = TheBox::start();
    let own = shown(&the_box);
    let (first, second) =
        (outside(&["localhost"], 400), outside(&["localhost", "*.example.org"], 400));
    let done = import(&the_box, &first.chain, &first.key);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(shown(&the_box), first.der);
    let mut phone = Phone::over(the_box.place.https, tls(&the_box, None), None);
    phone.hello();
    assert!(import(&the_box, &second.chain, &second.key).status.success());
    assert_eq!(shown(&the_box), second.der, "whoever comes now");
    assert!(phone.is_served(), "and whoever is here is not sent away");
    the_box.restart();
    assert_eq!(shown(&the_box), second.der);
    let glance = the_box.ask_json(&["cert"]);
    assert_eq!(glance["imported"]["names"], json!(["localhost", "*.example.org"]));
    let url = the_box.ask_json(&["status"])["box"]["urls"][0].to_string();
    assert!(url.starts_with("\"http://"), "phones of an audience do not know who vouches: {url}");
    let (_, token) = the_box.knock("POST", "/api/v1/token", r#"{"role":"performer"}"#);
    let place = format!("https://localhost:{}/performer#token=", the_box.place.https);
    assert!(token.contains(&place), "who runs the show knows: {token}");
    assert!(the_box.ask(&["cert", "forget"]).status.success());
    assert_eq!(shown(&the_box), own);
    assert_eq!(the_box.ask(&["cert", "forget"]).status.code(), Some(1), "there is none any more");
}

#[test]
fn a_certificate_that_cannot_serve_is_refused_with_its_reason_and_what_served_goes_on() {
    let the_box = TheBox::start();
    let (good, other) = (outside(&["localhost"], 400), outside(&["localhost"], 400));
    let (nameless, expired) = (outside(&[], 400), outside(&["localhost"], -1));
    assert!(import(&the_box, &good.chain, &good.key).status.success());
    let turned = format!("{}{}", other.chain, good.chain);
    for (chain, key, why) in [
        (&good.chain, &other.key, "do not belong together"),
        (&expired.chain, &expired.key, "expired"),
        (&nameless.chain, &nameless.key, "names no host"),
        (&turned, &other.key, "not in order"),
        (&"nothing".to_owned(), &good.key, "no certificate"),
        (&good.chain, &"nothing".to_owned(), "no usable private key"),
    ] {
        let refused = import(&the_box, chain, key);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!((refused.status.code(), said.contains(why)), (Some(1), true), "{why}: {said}");
        assert!(!said.contains(key.lines().nth(1).unwrap_or("-----")), "no key is said");
        assert_eq!(shown(&the_box), good.der);
    }
}

#[test]
fn a_certificate_that_ends_soon_is_said_at_the_start_and_in_status() {
    let mut the_box = TheBox::start();
    let standing = |the_box: &TheBox| the_box.ask_json(&["status"])["box"]["certificate"].clone();
    let (long, short) = (outside(&["localhost"], 400), outside(&["localhost"], 2));
    assert!(import(&the_box, &long.chain, &long.key).status.success());
    assert_eq!(standing(&the_box)["standing"], "holds");
    assert!(import(&the_box, &short.chain, &short.key).status.success());
    assert_eq!(standing(&the_box)["standing"], "ending");
    let said = String::from_utf8(the_box.ask(&["status"]).stdout).expect("text");
    assert!(said.contains("imported ends 20"), "{said}");
    the_box.signal(nix::sys::signal::Signal::SIGTERM);
    the_box.wait_for_the_end();
    the_box.begin_again_until("the imported certificate ends on");
}

/// A connection of somebody who believes these authorities alone.
pub fn believing(the_box: &TheBox, roots: &[Vec<u8>]) -> Result<(), rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.clone())).expect("an authority");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(store)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut stream =
        TcpStream::connect((Ipv4Addr::LOCALHOST, the_box.place.https)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    while session.is_handshaking() {
        session.write_tls(&mut stream).expect("it reads");
        if session.wants_read() {
            session.read_tls(&mut stream).expect("it answers");
            session.process_new_packets()?;
        }
    }
    Ok(())
}

/// What a phone installs, and the head of the answer.
pub fn authority(the_box: &TheBox) -> (String, Vec<u8>) {
    let mut stream = the_box.dial();
    stream
        .write_all(b"GET /authority.crt HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let at = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("a head");
    (String::from_utf8_lossy(&answer[..at]).into_owned(), answer[at + 4..].to_vec())
}

#[test]
fn sx04_a_phone_that_installed_the_boxs_authority_believes_it_and_another_does_not() {
    let mut the_box = TheBox::start();
    let (head, root) = authority(&the_box);
    assert!(head.contains("application/x-x509-ca-cert"), "{head}");
    believing(&the_box, std::slice::from_ref(&root)).expect("it is believed");
    assert!(believing(&the_box, &[outside(&["localhost"], 400).der]).is_err());
    the_box.restart();
    believing(&the_box, &[root]).expect("the authority is the same after a restart");
}

#[test]
fn note7_operators_and_performers_are_told_of_the_warning_before_they_meet_it() {
    let the_box = TheBox::start();
    let port = the_box.place.https;
    for page in ["/operator", "/performer"] {
        let asked = format!("{page}?lang=ja&x=1");
        let (status, answer) = exchange(the_box.dial(), "GET", &asked, "", "");
        assert_eq!(status, 200, "{answer}");
        let onward = format!("data-onward href=\"https://x:{port}{page}?lang=ja&amp;x=1\"");
        assert!(answer.contains(&onward), "{answer}");
        assert!(answer.contains("href=\"/trust\"") && answer.contains("lang=\"ja\""), "{answer}");
    }
    for page in ["/", "/trust"] {
        let (status, answer) = exchange(the_box.dial(), "GET", page, "", "");
        assert!(status == 200 && !answer.contains("data-onward"), "{page}: {answer}");
    }
    assert_eq!(exchange(the_box.dial(), "GET", "/operators", "", "").0, 404);
}

#[test]
fn note7_where_browsers_believe_the_box_operators_and_performers_are_sent_to_tls_at_once() {
    let the_box = TheBox::start();
    let port = the_box.place.https;
    let asked = |host: &str, page: &str| {
        let request =
            format!("GET {page} HTTP/1.1\r\nhost: {host}:80\r\nconnection: close\r\n\r\n");
        let mut stream = the_box.dial();
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    };
    let real = outside(&["*.example.org", "localhost"], 400);
    assert!(import(&the_box, &real.chain, &real.key).status.success());
    for (host, page, to) in [
        ("box.example.org", "/operator", "box.example.org"),
        ("localhost", "/performer", "localhost"),
    ] {
        let answer = asked(host, page);
        let location = format!("location: https://{to}:{port}{page}\r\n");
        assert!(answer.starts_with("HTTP/1.1 307") && answer.contains(&location), "{answer}");
    }
    // Nobody is sent elsewhere than was asked, with a token.
    let warned = format!("data-onward href=\"https://192.0.2.2:{port}/performer\"");
    assert!(asked("192.0.2.2", "/performer").contains(&warned));
    assert!(asked("192.0.2.2", "/trust").contains("authority.crt"));
    assert!(asked("box.example.org", "/trust").contains("may know"));
}

#[test]
fn note7_over_tls_performers_have_their_page_and_operators_are_sent_to_it() {
    let the_box = TheBox::start();
    let (status, page) = exchange(tls(&the_box, None), "GET", "/performer", "", "");
    assert!(status == 200 && page.contains("data-role=\"performer\""), "{status}: {page}");
    let (status, answer) = exchange(tls(&the_box, None), "GET", "/operator?lang=ja", "", "");
    assert_eq!(status, 307, "{answer}");
    assert!(answer.contains("location: /performer?lang=ja\r\n"), "{answer}");
}

#[test]
fn the_page_about_the_warning_says_the_fingerprint_that_the_box_says() {
    let the_box = TheBox::start();
    let glance = the_box.ask_json(&["cert"]);
    let hex = glance["authority"]["sha256"].as_str().expect("a fingerprint").to_uppercase();
    let (status, page) = the_box.fetch("/trust", "");
    assert_eq!(status, 200);
    let shown: String = page
        .split("<code>")
        .filter_map(|it| it.split("</code>").next())
        .filter(|it| it.starts_with(&hex[..2]))
        .collect();
    assert_eq!(shown.replace(' ', ""), hex.repeat(2), "in both languages: {page}");
    assert!(page.contains("href=\"/authority.crt\"") && page.contains("lang=\"ja\""), "{page}");
    assert!(page.contains("<a href=\"/\">"), "the audience may go on");
    assert!(!page.contains('{') || !page.contains("{fingerprint}"), "all is filled in");
    let said = String::from_utf8(the_box.ask(&["cert"]).stdout).expect("text");
    assert!(said.replace(' ', "").contains(&hex), "{said}");
    assert!(said.contains("/authority.crt") && said.contains("/trust"), "{said}");
    // One from outside, and the page says another thing to whoever comes by its name.
    let real = outside(&["x"], 400);
    let taken = import(&the_box, &real.chain, &real.key);
    let said = String::from_utf8(taken.stdout).expect("text");
    assert!(taken.status.success() && said.contains("have not installed its own"), "{said}");
    assert_eq!(the_box.ask_json(&["cert"])["imported_vouched"], "privately");
    let (_, page) = the_box.fetch("/trust", "");
    assert!(
        page.contains("may know") && !page.contains("authority.crt"),
        "what is unknown: {page}"
    );
}
