//! `cert`: what the box serves with, and how a phone comes to trust it.

use std::path::Path;

use serde_json::{Value, json};

use crate::Refused;
use crate::cli::Cert;
use crate::client::Client;
use crate::live::{done, rows, text};
use crate::token::local;

/// Imports one, or forgets it.
pub fn deed(client: &Client, deed: &Cert) -> Result<(), Refused> {
    match deed {
        Cert::Import { chain, key, json } => {
            let body = json!({ "chain": read(chain)?, "key": read(key)? });
            done(&client.post("cert", &body)?, *json)
        }
        Cert::Forget { json } => done(&client.delete("cert")?, *json),
    }
}

fn read(path: &Path) -> Result<String, Refused> {
    let text = std::fs::read(path)
        .map_err(|error| Refused(format!("could not read {}: {error}", path.display())))?;
    // What is no text is no PEM, and the box says so.
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// All of it, for people.
pub fn words(it: &Value) -> String {
    let authority = &it["authority"];
    let imported = match (&it["imported"], &it["imported_holds"]) {
        (Value::Null, _) => vec!["imported   none: `downbeat cert import CHAIN KEY`".to_owned()],
        (imported, holds) => {
            let mut lines = certificate("imported", imported);
            if *holds != true {
                lines.push("           IT DOES NOT HOLD TODAY: the box's own serves".to_owned());
            }
            lines.extend(it["imported_warning"].as_str().map(|it| format!("           {it}")));
            lines
        }
    };
    let mut lines = certificate("own", &it["own"]);
    lines.extend(imported);
    lines.extend([
        format!(
            "authority  {}, until {}",
            text(&it["authority_name"]),
            local(authority["until_unix_s"].as_i64())
        ),
        format!("           {}", fingerprint(authority)),
        format!("install    on a phone, from {}", text(&it["authority_url"])),
        format!("           how, and why: {}", text(&it["page_url"])),
        "           compare the fingerprint before you trust it".to_owned(),
    ]);
    lines.join("\n")
}

/// Of one that was imported, in `status`: what is not as it should be.
pub fn standing(it: &Value) -> Option<String> {
    let (from, until) = (local(it["from_unix_s"].as_i64()), local(it["until_unix_s"].as_i64()));
    let said = match text(&it["standing"]) {
        "early" => format!("does not hold before {from}: the box's own serves"),
        "ending" => format!("ends {until}: renew it"),
        "expired" => format!("HAS ENDED {until}: the box's own serves, of which browsers warn"),
        _ => return None,
    };
    Some(format!("certificate that was imported {said}"))
}

fn certificate(what: &str, it: &Value) -> Vec<String> {
    let names: Vec<&str> = rows(&it["names"]).map(text).collect();
    let until = local(it["until_unix_s"].as_i64());
    vec![
        format!("{what:<10} {}, until {until}", names.join(", ")),
        format!("           {}", fingerprint(it)),
    ]
}

/// As phones show it: pairs of capitals.
fn fingerprint(it: &Value) -> String {
    let hex = text(&it["sha256"]);
    let pairs = hex.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase());
    format!("SHA-256 {}", pairs.collect::<Vec<_>>().join(" "))
}
