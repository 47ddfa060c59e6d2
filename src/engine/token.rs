//! Decides whether a token holds, for how long one is made, when keys are replaced, and how often an address may guess.
//!
//! In: a token, the date, whether a signature is right, which keys there are. Out: what the token claims, or why it
//! does not hold; what to do with the keys. Never here: keys themselves, files, the date (`io::http` has them).
//!
//! A key that was replaced still says which tokens are right, until the last that it can have signed has expired.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use units::{MonoTime, Span};
use uuid::Uuid;
use wire::sealed::ShowKey;
use wire::token::{Claims, NAME_MAX, NoToken, Role, parse};

/// Nobody needs one for longer than a festival with its rehearsals; what leaks is worthless by then.
pub const LIFE_MAX: Span = Span::from_secs(30 * DAY);

/// A day of a show and the night after it.
pub const LIFE: Span = Span::from_secs(DAY);

/// Keys are replaced after so many seconds: a season.
pub const KEY_AGE: i64 = 90 * DAY;

/// Boxes that share a clock differ by less.
const LEEWAY: i64 = 30;

const DAY: i64 = 86_400;

/// Why a token does not hold; each is a sentence for the person who showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It is none.
    #[error(transparent)]
    NoToken(#[from] NoToken),
    /// Of another box, or of a key that was forgotten.
    #[error("this token was signed with a key that this box does not know: ask this box for one")]
    UnknownKey,
    /// Somebody else has signed it, or it was changed.
    #[error("the signature of this token is wrong")]
    Signature,
    /// For another box.
    #[error("this token is for another box: ask this box for one")]
    Audience,
    /// Later.
    #[error("this token does not hold yet: is the date of the box right?")]
    NotYet,
    /// No more.
    #[error("this token has expired: ask for another")]
    Expired,
    /// We make none like that.
    #[error("this token would hold for longer than tokens may")]
    TooLong,
}

/// What a key says of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// It is by that key, which is that box's.
    Right(Uuid),
    /// It is not.
    Wrong,
    /// There is no key of that id.
    NoSuchKey,
}

/// What `token` claims at `now` (UNIX seconds), if it holds. `signature` is asked with a key's id, the octets that were
/// signed, and the signature. A token is for the box whose key it is, and for those that it shares its keys with.
///
/// # Errors
/// [`Untrusted`]. What a token claims is looked at only if its signature is right, so that a forger learns nothing.
pub fn judge(
    now: i64,
    token: &str,
    signature: impl FnOnce(&str, &[u8], &[u8]) -> Signature,
) -> Result<Claims, Untrusted> {
    let shown = parse(token)?;
    match signature(&shown.key_id, shown.signed, &shown.signature) {
        Signature::Right(node) => holds(now, node, &shown.claims).map(|()| shown.claims),
        Signature::Wrong => Err(Untrusted::Signature),
        Signature::NoSuchKey => Err(Untrusted::UnknownKey),
    }
}

/// Whether claims that `node` has signed hold at `now`.
fn holds(now: i64, node: Uuid, claims: &Claims) -> Result<(), Untrusted> {
    let life = claims.exp.saturating_sub(claims.iat.min(claims.nbf));
    match claims {
        it if it.aud != node => Err(Untrusted::Audience),
        _ if life > LIFE_MAX.ns() / 1_000_000_000 => Err(Untrusted::TooLong),
        it if it.nbf.max(it.iat) > now.saturating_add(LEEWAY) => Err(Untrusted::NotYet),
        it if it.exp <= now => Err(Untrusted::Expired),
        _ => Ok(()),
    }
}

/// What is asked for when a token is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it makes of whoever shows it.
    pub role: Role,
    /// How long it holds.
    pub life: Span,
    /// Whom it is for; empty is nobody in particular.
    pub name: String,
    /// What opens the show's live sound; none where that is open to all.
    pub seal: Option<ShowKey>,
}

/// Why no token is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotMade {
    /// For a second or more, and for thirty days at most.
    #[error("a token holds for at least 1s and at most 30d")]
    Life,
    /// Somebody's name, not a book.
    #[error("a name has {NAME_MAX} letters at most, and no line breaks")]
    Name,
}

/// What a token of `node` that is made at `now` claims.
///
/// # Errors
/// [`NotMade`].
pub fn claims(now: i64, node: Uuid, wanted: &Wanted) -> Result<Claims, NotMade> {
    if !(Span::from_secs(1)..=LIFE_MAX).contains(&wanted.life) {
        return Err(NotMade::Life);
    }
    if wanted.name.chars().count() > NAME_MAX || wanted.name.chars().any(char::is_control) {
        return Err(NotMade::Name);
    }
    let (sub, exp) = (wanted.name.clone(), now + wanted.life.ns() / 1_000_000_000);
    let seal = wanted.seal.clone();
    Ok(Claims { aud: node, sub, role: wanted.role, iat: now, nbf: now, exp, seal })
}

/// How long a token is to hold, as people write it: `12h`, `90m`, `7d`.
///
/// # Errors
/// A sentence.
pub fn life(text: &str) -> Result<Span, String> {
    let days = text.trim().strip_suffix('d').and_then(|days| days.parse::<u16>().ok());
    match days {
        Some(days) => Ok(Span::from_secs(i64::from(days) * DAY)),
        None => crate::reader::span(text)
            .map_err(|_| "write it as 90m, 12h, 1h30m or 7d; 30d at most".to_owned()),
    }
}

/// When a key was made and when another took its place, UNIX seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLife {
    /// It signs from then on.
    pub made: i64,
    /// It signs no more from then on; none signs still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<i64>,
}

/// What to do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyCare {
    /// It signs.
    Sign,
    /// It says which tokens are right.
    Verify,
    /// It is old: another takes its place, and it verifies from then on.
    Replace,
    /// No token of it can hold any more.
    Forget,
}

/// What becomes of a key at `now`. A box that learnt the date late has a key of 1970, which is replaced.
pub fn care(now: i64, key: KeyLife) -> KeyCare {
    match key.replaced {
        Some(replaced) if now >= replaced.saturating_add(LIFE_MAX.ns() / 1_000_000_000) => {
            KeyCare::Forget
        }
        Some(_) => KeyCare::Verify,
        None if now.saturating_sub(key.made) >= KEY_AGE => KeyCare::Replace,
        None => KeyCare::Sign,
    }
}

/// Whether a token of another box's key can hold at `now`: that box replaces it in time, though nobody may have told.
pub fn may_verify(now: i64, others: KeyLife) -> bool {
    let replaced = others.replaced.unwrap_or(others.made.saturating_add(KEY_AGE));
    care(now, KeyLife { replaced: Some(replaced), ..others }) == KeyCare::Verify
}

/// Tokens that did not hold, by whom: who shows too many is not looked at for a while. A token that has held is looked at
/// again whoever guesses beside it: a venue's NAT makes an operator and a guesser one address.
#[derive(Debug, Default)]
pub struct Guesses {
    wrong: BTreeMap<IpAddr, (MonoTime, u32)>,
    /// Tokens that have held, hashed, each once; the one that held last first.
    held: VecDeque<u64>,
}

/// Wrong tokens of an address in a row of minutes: a person who mixes up two papers needs a few.
pub const GUESSES_MAX: u32 = 10;

/// After so long without a wrong one an address begins anew.
const FORGIVEN_AFTER: Span = Span::from_secs(60);

/// Addresses that are remembered. When there are more, those who guessed longest ago are forgotten: a signature
/// cannot be guessed, so what is bounded is work.
const ADDRESSES_MAX: usize = 4096;

/// Tokens that are known to have held.
const HELD_MAX: usize = 256;

impl Guesses {
    /// Whether a token from there is looked at.
    pub fn may_try(&mut self, now: MonoTime, from: IpAddr, token: &str) -> bool {
        if self.held.contains(&hashed(token)) {
            return true;
        }
        let from = neighbourhood(from);
        if self.wrong.get(&from).is_some_and(|&(last, _)| now - last >= FORGIVEN_AFTER) {
            self.wrong.remove(&from);
        }
        self.wrong.get(&from).is_none_or(|&(_, count)| count < GUESSES_MAX)
    }

    /// A token held. One that is shown again and again is never the oldest, however many others hold meanwhile.
    pub fn was_right(&mut self, token: &str) {
        let hash = hashed(token);
        self.held.retain(|it| *it != hash);
        self.held.truncate(HELD_MAX - 1);
        self.held.push_front(hash);
    }

    /// A token from there did not hold.
    pub fn was_wrong(&mut self, now: MonoTime, from: IpAddr) {
        let from = neighbourhood(from);
        if self.wrong.len() >= ADDRESSES_MAX && !self.wrong.contains_key(&from) {
            let oldest = self.wrong.iter().min_by_key(|(_, (last, _))| *last).map(|(it, _)| *it);
            oldest.map(|oldest| self.wrong.remove(&oldest));
        }
        let entry = self.wrong.entry(from).or_insert((now, 0));
        *entry = (now, entry.1 + 1);
    }
}

/// It is no secret's place: whoever found another text of the same hash would be looked at, and refused.
fn hashed(token: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}

/// Whoever has one address of IPv6 has the other 2^64 of its subnet.
fn neighbourhood(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(it) => IpAddr::V6((u128::from(it) >> 64 << 64).into()),
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::token::{signed, to_sign};

    const NOW: i64 = 1_790_000_000;
    const NODE: Uuid = Uuid::from_u128(7);

    fn wanted(life: Span) -> Wanted {
        Wanted { role: Role::Operator, life, name: "Ann".into(), seal: None }
    }

    fn made(life: Span) -> Claims {
        claims(NOW, NODE, &wanted(life)).expect("a life that may be")
    }

    fn token(claims: &Claims) -> String {
        signed(&to_sign("k", claims), b"right")
    }

    fn judged(now: i64, node: Uuid, claims: &Claims) -> Result<Claims, Untrusted> {
        judge(now, &token(claims), |key, _, signature| match (key, signature) {
            ("k", b"right") => Signature::Right(node),
            ("k", _) => Signature::Wrong,
            _ => Signature::NoSuchKey,
        })
    }

    #[test]
    fn sx16_a_token_holds_from_when_it_is_made_until_it_expires_and_for_its_box_alone() {
        let claims = made(Span::from_secs(3600));
        assert_eq!(judged(NOW, NODE, &claims), Ok(claims.clone()));
        assert_eq!(judged(NOW + 3599, NODE, &claims), Ok(claims.clone()));
        assert_eq!(judged(NOW + 3600, NODE, &claims), Err(Untrusted::Expired));
        assert_eq!(judged(NOW - 30, NODE, &claims), Ok(claims.clone()), "clocks differ");
        assert_eq!(judged(NOW - 31, NODE, &claims), Err(Untrusted::NotYet));
        assert_eq!(judged(NOW, Uuid::from_u128(8), &claims), Err(Untrusted::Audience));
    }

    #[test]
    fn sx16_a_token_that_says_it_holds_for_years_is_refused_whoever_signed_it() {
        let mut claims = made(LIFE_MAX);
        assert!(judged(NOW, NODE, &claims).is_ok());
        claims.exp += 1;
        assert_eq!(judged(NOW, NODE, &claims), Err(Untrusted::TooLong));
        (claims.iat, claims.nbf, claims.exp) = (i64::MIN, i64::MIN, i64::MAX);
        assert_eq!(judged(NOW, NODE, &claims), Err(Untrusted::TooLong));
        assert_eq!(claims_refused(Span::from_secs(0)), NotMade::Life);
        assert_eq!(claims_refused(LIFE_MAX + Span::from_secs(1)), NotMade::Life);
    }

    fn claims_refused(life: Span) -> NotMade {
        claims(NOW, NODE, &wanted(life)).expect_err("too short or too long")
    }

    #[test]
    fn sx16_nothing_is_said_of_claims_before_the_signature_is_right() {
        let expired = Claims { exp: 0, ..made(LIFE) };
        let text = to_sign("k", &expired);
        let verdict = |signature| judge(NOW, &signed(&text, b"x"), |_, _, _| signature);
        assert_eq!(verdict(Signature::Wrong), Err(Untrusted::Signature));
        assert_eq!(verdict(Signature::NoSuchKey), Err(Untrusted::UnknownKey));
        assert_eq!(verdict(Signature::Right(NODE)), Err(Untrusted::Expired));
    }

    #[test]
    fn a_life_is_written_in_days_hours_or_minutes() {
        assert_eq!(life("7d"), Ok(Span::from_secs(7 * DAY)));
        assert_eq!(life("1h30m"), Ok(Span::from_secs(5400)));
        for wrong in ["", "soon", "d", "-1d", "1.5d", "7days"] {
            assert!(life(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sx16_a_key_signs_for_a_season_and_then_verifies_until_its_last_token_has_expired() {
        let fresh = KeyLife { made: NOW, replaced: None };
        assert_eq!(care(NOW, fresh), KeyCare::Sign);
        assert_eq!(care(NOW + KEY_AGE - 1, fresh), KeyCare::Sign);
        assert_eq!(care(NOW + KEY_AGE, fresh), KeyCare::Replace);
        // Its last token is made in the second before it is replaced, for as long as can be.
        let old = KeyLife { made: NOW, replaced: Some(NOW + 10) };
        let last = claims(NOW + 9, NODE, &wanted(LIFE_MAX)).expect("the longest");
        assert_eq!(care(last.exp - 1, old), KeyCare::Verify);
        assert_eq!(care(last.exp + 1, old), KeyCare::Forget);
        assert!(may_verify(last.exp - 1, old) && !may_verify(last.exp + 1, old));
        let season = NOW + KEY_AGE;
        assert!(may_verify(season, fresh), "its last token is not old");
        assert!(
            !may_verify(season + LIFE_MAX.ns() / 1_000_000_000, fresh),
            "nobody told that it was replaced"
        );
    }

    #[test]
    fn sx16_guessing_costs_the_guesser_alone_and_a_minute_later_he_may_try_again() {
        let at = |s: i64| MonoTime::from_ns(s * 1_000_000_000);
        let (guesser, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut guesses = Guesses::default();
        for nth in 0..i64::from(GUESSES_MAX) {
            assert!(guesses.may_try(at(nth), guesser, "a.b.c"));
            guesses.was_wrong(at(nth), guesser);
        }
        assert!(!guesses.may_try(at(10), guesser, "a.b.c"));
        assert!(guesses.may_try(at(10), other, "a.b.c"));
        guesses.was_right("d.e.f");
        assert!(guesses.may_try(at(10), guesser, "d.e.f"), "an operator behind the same NAT");
        for nth in 0..HELD_MAX {
            guesses.was_right(&nth.to_string());
        }
        assert!(!guesses.may_try(at(10), guesser, "d.e.f"), "only so many are remembered");
        assert!(!guesses.may_try(at(68), guesser, "a.b.c"));
        assert!(guesses.may_try(at(69), guesser, "a.b.c"));
        assert!(guesses.may_try(at(69), guesser, "a.b.c"), "he has begun anew");
    }

    #[test]
    fn sx16_a_token_that_is_shown_again_and_again_is_remembered_however_many_others_hold() {
        let (now, from): (_, IpAddr) = (MonoTime::from_ns(0), [10, 0, 0, 1].into());
        let mut guesses = Guesses::default();
        (0..GUESSES_MAX).for_each(|_| guesses.was_wrong(now, from));
        guesses.was_right("the operator's");
        for nth in 0..3 * HELD_MAX {
            assert!(guesses.may_try(now, from, "the operator's"), "after {nth} others");
            guesses.was_right("the operator's");
            guesses.was_right(&nth.to_string());
        }
        assert_eq!(guesses.held.len(), HELD_MAX);
        assert!(guesses.may_try(now, from, &(3 * HELD_MAX - 1).to_string()));
        assert!(!guesses.may_try(now, from, "0"), "shown once, long ago");
    }

    #[test]
    fn a_subnet_of_ipv6_is_one_guesser_and_many_of_them_are_not_remembered_for_ever() {
        let mut guesses = Guesses::default();
        let address = |net: u128, host: u128| IpAddr::V6((net << 64 | host).into());
        for host in 0..u128::from(GUESSES_MAX) {
            guesses.was_wrong(MonoTime::from_ns(0), address(1, host));
        }
        assert!(!guesses.may_try(MonoTime::from_ns(0), address(1, 99), "a.b.c"));
        for net in 2..10_000 {
            guesses.was_wrong(MonoTime::from_ns(net), address(net as u128, 0));
        }
        assert!(guesses.wrong.len() <= ADDRESSES_MAX);
    }
}
