//! Tokens: JSON Web Tokens (RFC 7519), signed by RS256 (RFC 7518, 3.3) and by nothing else (SX-16).
//!
//! In: a text that anybody may have written. Out: what it claims and the octets that its signature is for, or why it
//! is none. Never here: keys, signatures, the date; whoever reads a token has still to ask whether it holds
//! (`engine::token`).
//!
//! The head's `alg` is compared, never obeyed: a token that says `none`, or that takes the public key for a
//! secret (`HS256`), is refused before any key is looked for.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sealed::ShowKey;

/// Letters of a token. Ours have some seven hundred; what is longer is not looked at.
pub const TOKEN_MAX: usize = 2048;

/// Letters of the name of whom a token is for.
pub const NAME_MAX: usize = 64;

/// Letters of a key's id; ours have sixteen.
const KEY_ID_MAX: usize = 64;

/// What somebody is to the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Asks the time, listens, reports. Whoever shows no token is that, too.
    Audience,
    /// Is on stage.
    Performer,
    /// Runs the show.
    Operator,
    /// Another box.
    Box,
}

impl Role {
    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Audience => "audience",
            Self::Performer => "performer",
            Self::Operator => "operator",
            Self::Box => "box",
        }
    }
}

/// What a token says (RFC 7519, 4.1); times are whole UNIX seconds. Other claims are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The box for which it is: the one that made it.
    pub aud: Uuid,
    /// Whom it was made for; empty where nobody was named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sub: String,
    /// What it makes of them.
    pub role: Role,
    /// When it was made.
    pub iat: i64,
    /// It holds from then on.
    pub nbf: i64,
    /// It holds no more from then on.
    pub exp: i64,
    /// What opens the show's live sound ([`crate::sealed`]; ours); none where that is open to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<ShowKey>,
}

/// Why a text is no token of ours, whatever its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// Not looked at.
    #[error("a token has {TOKEN_MAX} letters at most")]
    TooLong,
    /// Another shape.
    #[error("this is no token: it has three parts of base64url with dots between them")]
    Shape,
    /// The first part is no head, or wants what is not known here.
    #[error("the head of this token says something that is not known here")]
    Head,
    /// `none`, `HS256`, or anything else.
    #[error("tokens are signed by RS256 and by nothing else")]
    Algorithm,
    /// The second part has not what a token of ours has.
    #[error("this token does not say for which box, as what and until when it holds")]
    Claims,
}

/// A token that nobody has believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Which key is said to have signed it.
    pub key_id: String,
    /// What the signature is for.
    pub signed: &'a [u8],
    /// The signature.
    pub signature: Vec<u8>,
    /// What it would mean if it held.
    pub claims: Claims,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    #[serde(default)]
    kid: String,
    /// Extensions that must be understood (RFC 7515, 4.1.11); none is.
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

/// Text to token.
///
/// # Errors
/// [`NoToken`].
pub fn parse(text: &str) -> Result<Shown<'_>, NoToken> {
    if text.len() > TOKEN_MAX {
        return Err(NoToken::TooLong);
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(NoToken::Shape)?;
    let (head, claims) = signed.split_once('.').ok_or(NoToken::Shape)?;
    let octets = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| NoToken::Shape);
    let (head, claims, signature) = (octets(head)?, octets(claims)?, octets(signature)?);
    let head: Head = object(&head).ok_or(NoToken::Head)?;
    if head.alg != "RS256" {
        return Err(NoToken::Algorithm);
    }
    if head.crit.is_some() || head.kid.len() > KEY_ID_MAX {
        return Err(NoToken::Head);
    }
    let claims: Claims = object(&claims).ok_or(NoToken::Claims)?;
    if claims.sub.chars().count() > NAME_MAX {
        return Err(NoToken::Claims);
    }
    Ok(Shown { key_id: head.kid, signed: signed.as_bytes(), signature, claims })
}

/// Fields by name only: serde would take a list for them in their order.
fn object<T: serde::de::DeserializeOwned>(octets: &[u8]) -> Option<T> {
    let is_object = octets.trim_ascii_start().first() == Some(&b'{');
    is_object.then(|| serde_json::from_slice(octets).ok()).flatten()
}

/// What the key of that id has to sign.
pub fn to_sign(key_id: &str, claims: &Claims) -> String {
    #[derive(Serialize)]
    struct Head<'a> {
        alg: &'a str,
        typ: &'a str,
        kid: &'a str,
    }
    let head = Head { alg: "RS256", typ: "JWT", kid: key_id };
    let head = serde_json::to_vec(&head).expect("every field has a JSON form");
    let claims = serde_json::to_vec(claims).expect("every field has a JSON form");
    format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims))
}

/// The whole token: what was signed, and its signature.
pub fn signed(text: &str, signature: &[u8]) -> String {
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sx16_a_token_says_what_was_put_into_it_and_no_more_is_needed_to_read_it() {
        let claims = Claims {
            aud: Uuid::from_u128(7),
            sub: "Ann, violin".into(),
            role: Role::Performer,
            iat: 5,
            nbf: 5,
            exp: 10,
            seal: Some(ShowKey([5; 32])),
        };
        let text = to_sign("k1", &claims);
        let token = signed(&text, &[1, 2, 3]);
        let shown = parse(&token).expect("our own words");
        assert_eq!((shown.key_id.as_str(), shown.signature.as_slice()), ("k1", &[1, 2, 3][..]));
        assert_eq!((shown.signed, shown.claims), (text.as_bytes(), claims));
    }

    #[test]
    fn every_role_is_written_as_its_json_is() {
        for role in [Role::Audience, Role::Performer, Role::Operator, Role::Box] {
            let json = serde_json::to_string(&role).expect("a role has a JSON form");
            assert_eq!(json, format!("\"{}\"", role.word()));
        }
    }
}
