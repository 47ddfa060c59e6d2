//! `token`: who a phone or a page is to the box, on paper or on a screen.

use engine::token::LIFE;
use hyper::StatusCode;
use serde_json::json;

use crate::cli;
use crate::client::Client;
use crate::live::{text, why};
use crate::{Refused, address, terminal};

/// Makes one, or has the box sign, or seal, with a new key.
pub fn token(client: &Client, asked: &cli::Token) -> Result<(), Refused> {
    match asked.role {
        Some(role) => make(client, asked, role),
        None if asked.reseal => renew(client, "token/reseal", asked),
        None => renew(client, "token/rotate", asked),
    }
}

fn make(client: &Client, asked: &cli::Token, role: cli::Role) -> Result<(), Refused> {
    let life_s = asked.life.unwrap_or(LIFE).ns() / 1_000_000_000;
    let name = asked.name.clone().unwrap_or_default();
    let body = json!({ "role": role.word(), "name": name, "life_s": life_s });
    let answer = client.post("token", &body)?;
    if answer.status != StatusCode::OK {
        return Err(why(&answer));
    }
    let done = &answer.document["done"];
    if asked.json {
        terminal::say(&answer.document.to_string());
        return Ok(());
    }
    if asked.qr {
        let url = done["url"].as_str().ok_or_else(|| {
            Refused("this box has no HTTPS, and tokens are refused elsewhere".to_owned())
        })?;
        terminal::say(&address::qr_or_link(url, terminal::columns()));
    }
    terminal::say(&format!("{} until {}", role.word(), local(done["expires_unix_s"].as_i64())));
    // Alone on the last line, so that `tail -n 1` has it.
    terminal::say(text(&done["token"]));
    Ok(())
}

fn renew(client: &Client, path: &str, asked: &cli::Token) -> Result<(), Refused> {
    let answer = client.post(path, &json!({}))?;
    if answer.status != StatusCode::OK {
        return Err(why(&answer));
    }
    match asked.json {
        true => terminal::say(&answer.document.to_string()),
        false => terminal::say(text(&answer.document["done"]["said"])),
    }
    Ok(())
}

/// A date as the clock on this wall shows it.
pub fn local(unix_s: Option<i64>) -> String {
    let at = unix_s.and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.map_or_else(
        || "unknown".to_owned(),
        |at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
    )
}
