//! A TURN server between a phone and the box: Debian's `coturn`, and a phone that knows no other way.
//! Needs loopback and `turnserver`.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use tempfile::TempDir;
use tools::caller::Caller;
use wire::time::{Answer, Question};

use crate::the_box::{PATIENCE, TheBox, free_port, lines_of};

const USER: &str = "phone";
const SECRET: &str = "not-a-secret-in-a-test";

/// A running relay.
struct Coturn {
    port: u16,
    child: Child,
    lines: Receiver<String>,
    _folder: TempDir,
}

impl Coturn {
    /// None, and said why, where it is not installed.
    fn start(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let file = |name: &str| folder.path().join(name);
        let spawned = Command::new("turnserver")
            .args(["-n", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"])
            .args(["--listening-port", &port.to_string(), "--allow-loopback-peers"])
            .args(["--lt-cred-mech", "--realm", "stage", "--user", &format!("{USER}:{SECRET}")])
            .args(["--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout", "--verbose"])
            .args(["--min-port", "49152", "--max-port", "65535"])
            .arg("--pidfile")
            .arg(file("pid"))
            .arg("--userdb")
            .arg(file("users"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = spawned else {
            println!("skipped: {test}: turnserver (coturn) is not installed");
            return None;
        };
        let lines = lines_of(child.stdout.take().expect("piped"));
        let coturn = Self { port, child, lines, _folder: folder };
        coturn.wait_for_line("Relay ports initialization done");
        Some(coturn)
    }

    fn wait_for_line(&self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now()));
            match line {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("coturn never said `{part}`: {error}"),
            }
        }
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ps09_a_phone_that_only_coturn_can_bring_to_the_box_talks_with_it_by_the_relay() {
    let test = "ps09_a_phone_that_only_coturn_can_bring_to_the_box_talks_with_it_by_the_relay";
    let Some(coturn) = Coturn::start(test) else { return };
    let urls = format!("turn:127.0.0.1:{}?transport=udp", coturn.port);
    let server = format!("{{ urls = [{urls:?}], username = {USER:?}, credential = {SECRET:?} }}");
    let the_box = TheBox::start_with(&format!("[peers]\nice_servers = [{server}]\n"));
    let at: SocketAddr = (Ipv4Addr::LOCALHOST, the_box.place.http).into();
    let mut caller =
        Caller::arrive_by_relay(at, "127.0.0.1:0").await.expect("it is told of the relay");
    let told = &caller.welcome["signaling"]["ice_servers"][0];
    assert_eq!(
        (told["username"].as_str(), told["credential"].as_str()),
        (Some(USER), Some(SECRET))
    );
    let offer = caller.native.offer().await.expect("an offer");
    let ways: Vec<&str> = offer.lines().filter(|line| line.starts_with("a=candidate:")).collect();
    assert!(!ways.is_empty() && ways.iter().all(|way| way.contains("typ relay")), "{ways:?}");
    let answer = caller.exchange(&offer).await.expect("an answer");
    caller.native.accept(&answer).await.expect("the box's");
    caller.native.opened().await.expect("three channels, by the relay");
    for round in 0..5_u8 {
        let question = Question { t1: [round; 8] };
        caller.native.say("time", &question.emit()).await.expect("open");
        let heard = caller.native.hear("time").await.expect("an answer");
        assert_eq!(Answer::parse(&heard).expect("an answer").t1, question.t1);
    }
    let seen = the_box.ask_json(&["phones"]);
    let place = seen["phones"][0]["peer"]["address"].as_str().expect("it is connected").to_owned();
    let place: SocketAddr = place.parse().expect("an address");
    let relays = ways.iter().any(|way| way.contains(&format!(" {} ", place.port())));
    assert!(relays, "the box hears it from {place}, the relay has {ways:?}");
}
