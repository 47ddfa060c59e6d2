//! Tokens as phones and operators show them, to the running box; and the vectors, by the key that signed them.

use std::collections::BTreeMap;
use std::net::TcpStream;

use engine::token::{GUESSES_MAX, Signature, Untrusted, judge};
use io::http::verify;
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};
use tests::seeds::seeds;
use wire::token::NoToken;

use crate::secure::tls;
use crate::the_box::{TheBox, body, exchange};
use crate::ws::Phone;

type Secure = Phone<StreamOwned<ClientConnection, TcpStream>>;

/// As the vectors call it.
fn word(why: Untrusted) -> &'static str {
    match why {
        Untrusted::NoToken(NoToken::TooLong) => "too_long",
        Untrusted::NoToken(NoToken::Shape) => "shape",
        Untrusted::NoToken(NoToken::Head) => "head",
        Untrusted::NoToken(NoToken::Algorithm) => "algorithm",
        Untrusted::NoToken(NoToken::Claims) => "claims",
        Untrusted::UnknownKey => "unknown_key",
        Untrusted::Signature => "signature",
        Untrusted::Audience => "audience",
        Untrusted::NotYet => "not_yet",
        Untrusted::Expired => "expired",
        Untrusted::TooLong => "lives_too_long",
    }
}

#[test]
fn sx16_tokens_that_openssl_signed_hold_and_forged_ones_do_not_each_for_its_reason() {
    let text = include_str!("../vectors/token/tokens.json");
    let vectors: Vec<Value> = serde_json::from_str(text).expect("vectors");
    let seeds = seeds(&["token"]);
    let key = &seeds.iter().find(|it| it.name == "public-key.txt").expect("a key").bytes;
    let node = "7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5aff".parse().expect("a uuid");
    let mut met: BTreeMap<&str, usize> = BTreeMap::new();
    for vector in &vectors {
        let token = vector["text"].as_str().expect("a text");
        let judged = judge(1_790_000_000, token, |id, signed, signature| match id {
            "0123456789abcdef" if verify(key, signed, signature) => Signature::Right(node),
            "0123456789abcdef" => Signature::Wrong,
            _ => Signature::NoSuchKey,
        });
        let is = judged.map_or_else(word, |_| "holds");
        assert_eq!(vector["is"], is, "{}", vector["name"]);
        *met.entry(is).or_default() += 1;
    }
    assert_eq!(met.len(), 12, "every reason is met: {met:?}");
}

/// A token of the box: the last line, alone.
pub fn token(the_box: &TheBox, words: &[&str]) -> String {
    let output = the_box.ask(&[&["token"], words].concat());
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("text");
    said.lines().last().expect("a line").to_owned()
}

/// Says hello with a token over TLS; what the box answers.
fn hello(the_box: &TheBox, token: &str) -> (Secure, Value) {
    let mut phone = Phone::over(the_box.place.https, tls(the_box, None), None);
    phone.say(
        "hello",
        &json!({ "protocol_version": "0.1.0", "node_type": "client", "auth_token": token }),
    );
    let answer = phone.hear_one_of(&["hello", "error"]);
    (phone, answer)
}

fn is_refused(answer: &Value, code: &str) -> bool {
    answer["type"] == "error" && answer["code"] == code && answer["message"].is_string()
}

#[test]
fn sx16_a_token_alone_on_the_last_line_makes_an_operator_whose_media_control_every_phone_hears() {
    let the_box = TheBox::start();
    let token = token(&the_box, &["--role", "operator", "--for", "1h", "--name", "Ann"]);
    assert_eq!(token.split('.').count(), 3, "{token}");
    let mut audience = Phone::join(&the_box);
    let (mut operator, welcome) = hello(&the_box, &token);
    assert_eq!(welcome["type"], "hello");
    let play = json!({ "action": "play", "track_id": "track_001", "params": { "volume": 0.5 } });
    operator.say("media_control", &play);
    for heard in [audience.hear("media_control"), operator.hear("media_control")] {
        assert_eq!((&heard["action"], &heard["track_id"]), (&json!("play"), &json!("track_001")));
        assert_eq!(heard["params"]["volume"], 0.5);
        assert!(heard["start_at"].is_f64(), "{heard}");
    }
    let stop = json!({ "action": "stop" });
    operator.say("media_control", &stop);
    assert_eq!(audience.hear("media_control")["action"], "stop");
    // What makes no sense is said to the operator alone.
    operator.say("media_control", &json!({ "action": "play", "track_id": "track_999" }));
    let refused = operator.hear("error");
    assert!(is_refused(&refused, "invalid_payload"), "{refused}");
    let phones = the_box.ask_json(&["phones"]);
    let who = |nth: usize| ["role", "name"].map(|key| phones["phones"][nth][key].clone());
    assert_eq!(who(0), [json!("audience"), Value::Null]);
    assert_eq!(who(1), [json!("operator"), json!("Ann")]);
    let orders = the_box.ask_json(&["receipts"])["orders"].to_string();
    assert!(orders.contains("track_001"), "it is an order like any other: {orders}");
}

#[test]
fn sx16_media_control_of_anybody_else_is_forbidden_changes_nothing_and_is_counted() {
    let the_box = TheBox::start();
    let play = json!({ "action": "play", "track_id": "track_001" });
    let mut audience = Phone::join(&the_box);
    for role in ["audience", "performer", "box"] {
        let (mut phone, welcome) = hello(&the_box, &token(&the_box, &["--role", role]));
        assert_eq!(welcome["type"], "hello", "{welcome}");
        phone.say("media_control", &play);
        let refused = phone.hear("error");
        assert!(is_refused(&refused, "forbidden"), "{refused}");
        assert!(phone.is_served(), "it may go on asking the time");
    }
    audience.say("media_control", &play);
    assert!(is_refused(&audience.hear("error"), "forbidden"));
    for document in [the_box.ask_json(&["status"])["phones"].clone(), the_box.ask_json(&["phones"])]
    {
        assert_eq!(document["refused"]["forbidden"], 4, "{document}");
    }
    let said = String::from_utf8(the_box.ask(&["phones"]).stdout).expect("text");
    assert!(said.contains("refused    4 forbidden"), "{said}");
    assert_eq!(the_box.ask_json(&["receipts"])["orders"], json!([]));
}

#[test]
fn note7_a_token_is_refused_over_plain_http_and_a_wrong_one_over_tls_with_a_sentence() {
    let the_box = TheBox::start();
    let token = token(&the_box, &["--role", "operator"]);
    let mut plain = Phone::connect(&the_box);
    let fields = json!({ "protocol_version": "0.1.0", "node_type": "client", "auth_token": token });
    plain.say("hello", &fields);
    let refused = plain.hear("error");
    assert!(is_refused(&refused, "unauthorized"), "{refused}");
    plain.hello();
    let (mut wrong, refused) = hello(&the_box, &format!("{}AAAA", &token[..token.len() - 4]));
    assert!(is_refused(&refused, "unauthorized"), "{refused}");
    wrong.hello();
    assert!(wrong.is_served(), "it may come as audience");
}

#[test]
fn sx16_who_guesses_is_not_looked_at_any_more_and_another_address_is() {
    let the_box = TheBox::start();
    let right = token(&the_box, &["--role", "operator"]);
    let wrong = format!("{}AAAA", &right[..right.len() - 4]);
    let hello_of = |token: &str| json!({ "protocol_version": "0.1.0", "node_type": "client", "auth_token": token });
    let mut guesser = Phone::over(the_box.place.https, tls(&the_box, None), None);
    for _ in 0..GUESSES_MAX {
        guesser.say("hello", &hello_of(&wrong));
        assert!(is_refused(&guesser.hear("error"), "unauthorized"));
    }
    guesser.say("hello", &hello_of(&right));
    assert!(is_refused(&guesser.hear("error"), "rate_limited"));
    let (status, _) = exchange(tls(&the_box, None), "GET", "/api/v1/status", &bearer(&right), "");
    assert_eq!(status, 429, "it is the address that guesses, whatever it opens");
    let (status, _) = the_box.knock("GET", "/api/v1/status", "");
    assert_eq!(status, 200, "the control socket has no address");
}

pub fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

#[test]
fn sx16_the_operator_api_answers_over_tls_to_an_operators_token_alone_and_makes_no_tokens_there() {
    let the_box = TheBox::start();
    let ask = |method: &str, path: &str, headers: &str, body: &str| {
        exchange(tls(&the_box, None), method, &format!("/api/v1/{path}"), headers, body)
    };
    let operator = bearer(&token(&the_box, &["--role", "operator", "--name", "Ann"]));
    let performer = bearer(&token(&the_box, &["--role", "performer"]));
    assert_eq!(ask("GET", "status", "", "").0, 401);
    assert_eq!(ask("GET", "status", &bearer("a.b.c"), "").0, 401);
    assert_eq!(ask("POST", "go", &performer, "").0, 403);
    let (status, answer) = ask("POST", "go", &operator, "");
    assert_eq!((status, &body(&answer)["done"]["fired"]), (200, &json!("1")));
    let typed = format!("{operator}content-type: application/json\r\n");
    let (status, _) = ask("POST", "token", &typed, r#"{"role":"operator"}"#);
    assert_eq!(status, 403, "whoever may make tokens outlives every token");
    let plain = exchange(the_box.dial(), "GET", "/api/v1/status", &operator, "");
    assert_eq!(plain.0, 401, "not where everybody can read it");
    let journal = std::fs::read_to_string(the_box.place.path("state/journal.jsonl"));
    let journal = journal.expect("a journal");
    assert!(journal.contains("operator Ann"), "the story says who it was: {journal}");
}

#[test]
fn sx16_what_comes_next_is_for_performers_and_operators_alone() {
    let the_box = TheBox::start();
    let ask = |headers: &str| exchange(tls(&the_box, None), "GET", "/prompt", headers, "");
    assert_eq!(ask("").0, 401);
    assert_eq!(ask(&bearer("a.b.c")).0, 401);
    assert_eq!(ask(&bearer(&token(&the_box, &["--role", "audience"]))).0, 403);
    for role in ["performer", "operator"] {
        let (status, answer) = ask(&bearer(&token(&the_box, &["--role", role])));
        assert_eq!((status, body(&answer)["lists"].is_array()), (200, true), "{role}");
    }
}

#[test]
fn sx16_tokens_of_a_replaced_key_hold_and_so_they_do_after_a_restart() {
    let mut the_box = TheBox::start();
    let old = token(&the_box, &["--role", "performer"]);
    let rotated = the_box.ask(&["token", "--rotate"]);
    assert!(rotated.status.success(), "{rotated:?}");
    let new = token(&the_box, &["--role", "performer"]);
    let head = |token: &str| token.split('.').next().expect("a head").to_owned();
    assert_ne!(head(&old), head(&new), "another key id");
    the_box.restart();
    for token in [old, new] {
        assert_eq!(hello(&the_box, &token).1["type"], "hello");
    }
}

#[test]
fn sx16_no_token_and_no_key_of_it_is_in_what_the_box_says_or_writes() {
    let place = crate::the_box::Place { log: Some("debug"), ..crate::the_box::Place::new() };
    let mut the_box = place.run();
    let token = token(&the_box, &["--role", "operator"]);
    let (mut phone, _) = hello(&the_box, &token);
    phone.say("media_control", &json!({ "action": "stop" }));
    phone.hear("media_control");
    let (_, secret) = token.rsplit_once('.').expect("a signature");
    let keys = std::fs::read_to_string(the_box.place.path("state/token-keys.json")).expect("kept");
    let key: Value = serde_json::from_str(&keys).expect("a list");
    let key = &key[0]["key"].as_str().expect("a key")[40..100];
    let journal = std::fs::read_to_string(the_box.place.path("state/journal.jsonl"));
    let journal = journal.expect("a journal");
    let (status, phones) = (the_box.ask_json(&["status"]), the_box.ask_json(&["phones"]));
    the_box.signal(nix::sys::signal::Signal::SIGTERM);
    the_box.wait_for_the_end();
    let log = the_box.rest_of_the_log().join("\n");
    assert!(!log.is_empty());
    for said in [journal, log, status.to_string(), phones.to_string()] {
        assert!(!said.contains(secret) && !said.contains(key));
    }
}

#[test]
fn a_token_is_drawn_with_the_address_that_takes_it_and_json_says_all_of_it() {
    let the_box = TheBox::start();
    let output = the_box.ask(&["token", "--role", "performer", "--qr"]);
    let said = String::from_utf8(output.stdout).expect("text");
    let token = said.lines().last().expect("a line");
    assert!(said.contains('█'), "{said}");
    let url = format!(":{}/performer#token={token}", the_box.place.https);
    assert!(
        said.lines().any(|line| line.starts_with("https://") && line.ends_with(&url)),
        "{said}"
    );
    let done = the_box.ask_json(&["token", "--role", "operator", "--for", "1m"])["done"].clone();
    let page = done["url"].as_str().expect("a url").to_owned();
    assert!(page.contains("/performer#token=") && done["token"].is_string(), "{done}");
    let long = the_box.ask(&["token", "--role", "operator", "--for", "31d"]);
    assert_eq!(long.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&long.stderr).contains("30d"), "{long:?}");
}
