//! The box's own tokens: keys made, kept and replaced while the box runs; tokens signed and judged with them.
//!
//! In: the state folder, the date, what people show, what other boxes' keys are known by. Out: tokens, and who somebody is.
//! `engine::token` decides what holds, for how long, and when a key is replaced. Never here: a token or a key in a log or on
//! a page.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::cluster::trust::TokenKey;
use engine::phones::Proven;
use engine::token::{
    Guesses, KeyCare, KeyLife, NotMade, Signature, Untrusted, Wanted, care, claims, judge,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use units::{MonoTime, Span};
use uuid::Uuid;
use wire::solusync::{Refusal, RefusalCode};
use wire::token::{Claims, signed, to_sign};

use super::others::Others;
use super::tls::unix_now;
use crate::disk::write_whole;

/// How often the age of the key is looked at; a box without a battery learns the date some minutes after its start.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Only the box itself may read a key.
const KEY_MODE: u32 = 0o600;

/// Within the state folder.
const FILE: &str = "token-keys.json";

/// Whoever may look at the tokens of this box: the keys it has, and who has shown wrong ones.
pub struct Tokens {
    path: PathBuf,
    node: Uuid,
    keys: RwLock<Vec<Arc<Key>>>,
    /// None outside a cluster.
    others: OnceLock<Others>,
    guesses: Mutex<Guesses>,
}

/// Why somebody is not who they say they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The token does not hold.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// It was not looked at.
    #[error("too many wrong tokens came from this address: wait a minute")]
    TooMany,
}

impl Denied {
    /// As `/ws` says it.
    pub(super) fn refusal(self) -> Refusal {
        let code = match self {
            Self::Untrusted(_) => RefusalCode::Unauthorized,
            Self::TooMany => RefusalCode::RateLimited,
        };
        Refusal { code, message: self.to_string() }
    }
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The disk does not take it; the old one goes on.
    #[error("could not keep a key for tokens in {}: {source}: give a place this user may write, `--state DIR`", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The library does not make one.
    #[error("could not make a key for tokens")]
    Making,
}

/// A key, and what a reader of tokens calls it.
struct Key {
    id: String,
    pair: KeyPair,
    life: KeyLife,
}

/// A key as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    made: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<i64>,
    /// PKCS #8, base64.
    key: String,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The keys that the state folder has, or a new one; with what there is to say about it.
    ///
    /// # Errors
    /// [`KeyError`], if there is no key to sign with.
    pub fn open(state: &Path, node: Uuid) -> Result<(Self, Vec<String>), KeyError> {
        Self::open_at(state, node, unix_now())
    }

    fn open_at(state: &Path, node: Uuid, now: i64) -> Result<(Self, Vec<String>), KeyError> {
        let path = state.join(FILE);
        let mut said = Vec::new();
        let keys = read(&path).unwrap_or_else(|why| {
            said.push(format!(
                "could not use the keys for tokens in {}: {why}: tokens made before hold no more",
                path.display()
            ));
            Vec::new()
        });
        let (keys, guesses) = (RwLock::new(keys), Mutex::default());
        let this = Self { path, node, keys, others: OnceLock::new(), guesses };
        match this.look(now) {
            Ok(news) => said.extend(news),
            // An old key is better than none.
            Err(error) if this.signer().is_some() => said.push(error.to_string()),
            Err(error) => return Err(error),
        }
        Ok((this, said))
    }

    /// Replaces keys in time, for as long as the box runs.
    pub async fn look_after(self: Arc<Self>) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            tick.tick().await;
            // Making a key takes a second on a small board.
            let this = self.clone();
            let looked = tokio::task::spawn_blocking(move || this.look(unix_now())).await;
            match looked {
                Ok(Ok(said)) => said.iter().for_each(|line| tracing::info!("{line}")),
                Ok(Err(error)) => tracing::warn!(%error, "the key for tokens stays"),
                Err(error) => tracing::warn!(%error, "nobody looks after the keys for tokens"),
            }
        }
    }

    /// A token, and what it claims.
    ///
    /// # Errors
    /// [`NotMade`].
    ///
    /// # Panics
    /// Never: a box that has opened its keys has one that signs.
    pub fn make(&self, wanted: &Wanted) -> Result<(String, Claims), NotMade> {
        let claims = claims(unix_now(), self.node, wanted)?;
        let key = self.signer().expect("one key always signs");
        let text = to_sign(&key.id, &claims);
        let mut signature = vec![0; key.pair.public_modulus_len()];
        let chance = SystemRandom::new();
        key.pair
            .sign(&RSA_PKCS1_SHA256, &chance, text.as_bytes(), &mut signature)
            .expect("a key of 2048 bits signs a hash of 256");
        Ok((signed(&text, &signature), claims))
    }

    /// Another key signs from now on; its id. Tokens of the old one hold until they expire.
    ///
    /// # Errors
    /// [`KeyError`], and everything stays as it was.
    pub fn rotate(&self) -> Result<String, KeyError> {
        self.replace(unix_now())
    }

    /// Whoever has this key of the cluster believes its boxes from now on. `cluster` tells it apart from all others.
    pub fn join(&self, state: &Path, cluster: String) {
        self.others.get_or_init(|| Others::open(state, cluster));
    }

    /// What tokens are known by here, for the other boxes of the cluster.
    pub fn known(&self) -> Vec<TokenKey> {
        let own: Vec<_> = self.keys().iter().map(|key| key.known(self.node)).collect();
        let others = self.others.get().map(Others::known).unwrap_or_default();
        own.into_iter().chain(others).collect()
    }

    /// Tokens of these keys hold here from now on, as far as they can hold at all. Nobody tells a box of its own.
    ///
    /// # Errors
    /// The disk does not take it; everything stays as it was.
    pub fn learn(&self, told: &[TokenKey]) -> io::Result<()> {
        let others = told.iter().filter(|it| it.node != self.node).cloned().collect::<Vec<_>>();
        self.others.get().map_or(Ok(()), |it| it.learn(&others, unix_now()))
    }

    /// Who shows this, as far as the box can tell. Wrong tokens are counted by address; the control socket has none.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn judge(&self, at: MonoTime, from: Option<IpAddr>, token: &str) -> Result<Proven, Denied> {
        if from.is_some_and(|from| !self.guesses().may_try(at, from, token)) {
            return Err(Denied::TooMany);
        }
        let now = unix_now();
        let judged =
            judge(now, token, |id, signed, signature| self.signature(id, signed, signature));
        match (&judged, from) {
            (Ok(_), _) => self.guesses().was_right(token),
            (Err(_), Some(from)) => self.guesses().was_wrong(at, from),
            (Err(_), None) => {}
        }
        let Claims { role, sub: name, exp, .. } = judged?;
        Ok(Proven { role, name, left: Span::from_secs(exp - now) })
    }

    fn signature(&self, id: &str, signed: &[u8], signature: &[u8]) -> Signature {
        let own = self.keys().iter().find(|key| key.id == id).cloned();
        let own = own.map(|key| (self.node, key.pair.public_key().as_ref().to_vec()));
        let Some((node, key)) = own.or_else(|| self.others.get()?.find(id)) else {
            return Signature::NoSuchKey;
        };
        match verify(&key, signed, signature) {
            true => Signature::Right(node),
            false => Signature::Wrong,
        }
    }

    fn signer(&self) -> Option<Arc<Key>> {
        self.keys().iter().find(|key| key.life.replaced.is_none()).cloned()
    }

    /// Does what the date asks for; what there is to say about it.
    fn look(&self, now: i64) -> Result<Vec<String>, KeyError> {
        let signs = self.signer().map(|key| care(now, key.life));
        match signs {
            None => self.replace(now).map(|_| Vec::new()),
            Some(KeyCare::Replace) => {
                self.replace(now).map(|_| vec!["tokens are signed with a new key".to_owned()])
            }
            Some(_) => Ok(Vec::new()),
        }
    }

    fn replace(&self, now: i64) -> Result<String, KeyError> {
        let key = Arc::new(Key::make(now)?);
        let id = key.id.clone();
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let old = keys.iter().map(|key| key.replaced(now));
        let next: Vec<Arc<Key>> = old
            .filter(|key| care(now, key.life) != KeyCare::Forget)
            .map(Arc::new)
            .chain([key])
            .collect();
        write(&self.path, &next)
            .map_err(|source| KeyError::Disk { path: self.path.clone(), source })?;
        *keys = next;
        Ok(id)
    }

    fn keys(&self) -> RwLockReadGuard<'_, Vec<Arc<Key>>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn guesses(&self) -> MutexGuard<'_, Guesses> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether RS256 says that the key's owner has signed this. The key is an `RSAPublicKey` or a
/// `SubjectPublicKeyInfo`, DER.
pub fn verify(public: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(signed, signature).is_ok()
}

impl Key {
    fn make(now: i64) -> Result<Self, KeyError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Making)?;
        Ok(Self::of(pair, KeyLife { made: now, replaced: None }))
    }

    /// Its id is the hash of its public half: nobody has to hand out numbers, and no two keys share one.
    fn of(pair: KeyPair, life: KeyLife) -> Self {
        Self { id: key_id(pair.public_key().as_ref()), pair, life }
    }

    fn known(&self, node: Uuid) -> TokenKey {
        let public = STANDARD.encode(self.pair.public_key().as_ref());
        TokenKey { node, life: self.life, public }
    }

    /// The same, which signs no more.
    fn replaced(&self, now: i64) -> Self {
        let life = KeyLife { replaced: self.life.replaced.or(Some(now)), ..self.life };
        Self { id: self.id.clone(), pair: self.pair.clone(), life }
    }
}

pub(super) fn key_id(public: &[u8]) -> String {
    Sha256::digest(public).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// None where there is no file.
fn read(path: &Path) -> Result<Vec<Arc<Key>>, String> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    // What a reader says might hold a part of a key.
    let kept: Vec<Kept> =
        serde_json::from_slice(&text).map_err(|_| "it is no list of keys".to_owned())?;
    let key = |it: Kept| {
        let octets = STANDARD.decode(&it.key).ok()?;
        let pair = KeyPair::from_pkcs8(&octets).ok()?;
        let life = KeyLife { made: it.made, replaced: it.replaced };
        Some(Arc::new(Key::of(pair, life)))
    };
    let keys: Option<Vec<_>> = kept.into_iter().map(key).collect();
    keys.ok_or_else(|| "a key in it is none".to_owned())
}

fn write(path: &Path, keys: &[Arc<Key>]) -> io::Result<()> {
    let kept = keys.iter().map(|key| {
        let octets = key.pair.as_der().map_err(|_| io::Error::other("a key has no octets"))?;
        let KeyLife { made, replaced } = key.life;
        Ok(Kept { made, replaced, key: STANDARD.encode(octets.as_ref()) })
    });
    let kept: Vec<Kept> = kept.collect::<io::Result<_>>()?;
    write_whole(path, &serde_json::to_vec(&kept)?, KEY_MODE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::token::{GUESSES_MAX, KEY_AGE, LIFE_MAX};
    use std::os::unix::fs::PermissionsExt;
    use wire::token::Role;

    const NODE: Uuid = Uuid::from_u128(7);

    fn open(state: &Path) -> Tokens {
        let (tokens, said) = Tokens::open(state, NODE).expect("a writable folder");
        assert_eq!(said, Vec::<String>::new());
        tokens
    }

    fn token(tokens: &Tokens) -> String {
        token_of(tokens, "Ann")
    }

    fn token_of(tokens: &Tokens, name: &str) -> String {
        let (role, life, name) = (Role::Operator, Span::from_secs(60), name.to_owned());
        tokens.make(&Wanted { role, life, name, seal: None }).expect("a life that may be").0
    }

    fn now() -> MonoTime {
        MonoTime::from_ns(0)
    }

    #[test]
    fn sx16_keys_are_made_once_kept_over_restarts_and_nobody_else_may_read_them() {
        let state = tempfile::tempdir().expect("a folder");
        let token = token(&open(state.path()));
        let proven = open(state.path()).judge(now(), None, &token).expect("the same key");
        assert_eq!((proven.role, proven.name.as_str()), (Role::Operator, "Ann"));
        assert!(proven.left <= Span::from_secs(60), "{proven:?}");
        let mode = fs::metadata(state.path().join(FILE)).expect("kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn sx16_a_token_of_an_old_key_holds_until_it_can_have_expired_over_restarts_too() {
        let state = tempfile::tempdir().expect("a folder");
        let tokens = open(state.path());
        let old = token(&tokens);
        let id = tokens.rotate().expect("kept");
        let new = token(&tokens);
        let key_of = |token: &str| wire::token::parse(token).expect("a token").key_id;
        assert_eq!(key_of(&new), id);
        assert_ne!(key_of(&old), id);
        for tokens in [tokens, open(state.path())] {
            assert!(tokens.judge(now(), None, &old).is_ok());
            assert!(tokens.judge(now(), None, &new).is_ok());
        }
        let later = unix_now() + LIFE_MAX.ns() / 1_000_000_000 + 1;
        let tokens = open(state.path());
        tokens.replace(later).expect("kept");
        let forgotten = tokens.judge(now(), None, &old);
        assert_eq!(forgotten, Err(Denied::Untrusted(Untrusted::UnknownKey)));
    }

    #[test]
    fn sx03_sx16_a_token_of_one_box_holds_on_another_of_its_cluster_over_restarts_too() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let nodes = [1, 2].map(Uuid::from_u128);
        let alone = |at: usize| Tokens::open(folders[at].path(), nodes[at]).expect("a folder").0;
        let of = |at: usize, cluster: &str| {
            let tokens = alone(at);
            tokens.join(folders[at].path(), cluster.to_owned());
            tokens
        };
        let (one, other) = (of(0, "stage"), of(1, "stage"));
        let token = token(&one);
        let unknown = Err(Denied::Untrusted(Untrusted::UnknownKey));
        assert_eq!(other.judge(now(), None, &token), unknown);
        other.learn(&one.known()).expect("kept");
        assert!(other.judge(now(), None, &token).is_ok());
        assert!(of(1, "stage").judge(now(), None, &token).is_ok(), "it was kept");
        assert_eq!(of(1, "another").judge(now(), None, &token), unknown, "boxes that part");
        assert_eq!(alone(1).judge(now(), None, &token), unknown);

        // What it signs itself names itself; and it hands on what it was told.
        let own = token_of(&other, "Ben");
        assert_eq!(other.judge(now(), None, &own).expect("its own").name, "Ben");
        assert_eq!(one.judge(now(), None, &own), unknown);
        one.learn(&other.known()).expect("kept");
        assert_eq!(one.known().len(), 2, "its own came back, and is one");
        assert!(one.judge(now(), None, &own).is_ok());
        one.rotate().expect("kept");
        other.learn(&one.known()).expect("kept");
        assert!(other.judge(now(), None, &token).is_ok(), "until it expires");
    }

    #[test]
    fn nobody_tells_a_box_of_its_own_keys_and_nonsense_is_left_out() {
        let state = tempfile::tempdir().expect("a folder");
        let tokens = open(state.path());
        tokens.join(state.path(), "stage".into());
        let before = tokens.known();
        let life = KeyLife { made: unix_now(), replaced: Some(unix_now()) };
        let key = |node, public: &str| TokenKey { node, life, public: public.to_owned() };
        let others = Uuid::from_u128(9);
        tokens.learn(&[key(NODE, "QUJD"), key(others, "?")]).expect("kept");
        assert_eq!(tokens.known(), before);
        // The same key under another's name, as on a copied disk: it signs on.
        tokens.learn(&[key(others, &before[0].public)]).expect("kept");
        let token = token(&tokens);
        assert_eq!(tokens.judge(now(), None, &token).map(|it| it.name), Ok("Ann".to_owned()));
    }

    #[test]
    fn sx16_a_key_is_replaced_when_it_is_a_season_old() {
        let state = tempfile::tempdir().expect("a folder");
        let tokens = open(state.path());
        let first = tokens.signer().expect("one signs").id.clone();
        assert!(tokens.look(unix_now() + KEY_AGE - 60).expect("kept").is_empty());
        assert_eq!(tokens.signer().expect("one signs").id, first);
        assert_eq!(tokens.look(unix_now() + KEY_AGE).expect("kept").len(), 1);
        assert_ne!(tokens.signer().expect("one signs").id, first);
    }

    #[test]
    fn keys_that_were_scribbled_over_are_made_anew_and_that_is_said_without_them() {
        let state = tempfile::tempdir().expect("a folder");
        let token = token(&open(state.path()));
        let path = state.path().join(FILE);
        let kept = fs::read_to_string(&path).expect("kept");
        fs::write(&path, &kept[..kept.len() / 2]).expect("cut");
        let (tokens, said) = Tokens::open(state.path(), NODE).expect("made anew");
        assert!(said.len() == 1 && said[0].contains("token-keys.json"), "{said:?}");
        assert!(!said[0].contains(&kept[60..80]), "{said:?}");
        let judged = tokens.judge(now(), None, &token);
        assert_eq!(judged, Err(Denied::Untrusted(Untrusted::UnknownKey)));
    }

    #[test]
    fn sx16_who_shows_wrong_tokens_is_not_looked_at_for_a_while_and_others_are() {
        let state = tempfile::tempdir().expect("a folder");
        let tokens = open(state.path());
        let (right, guesser) = (token(&tokens), Some(IpAddr::from([10, 0, 0, 1])));
        let known = token_of(&tokens, "Bo");
        assert!(tokens.judge(now(), None, &known).is_ok());
        let wrong = format!("{}AAAA", &right[..right.len() - 4]);
        for _ in 0..GUESSES_MAX {
            let judged = tokens.judge(now(), guesser, &wrong);
            assert_eq!(judged, Err(Denied::Untrusted(Untrusted::Signature)));
        }
        assert_eq!(tokens.judge(now(), guesser, &right), Err(Denied::TooMany));
        assert!(tokens.judge(now(), guesser, &known).is_ok(), "an operator behind the same NAT");
        assert!(tokens.judge(now(), Some(IpAddr::from([10, 0, 0, 2])), &right).is_ok());
        assert!(tokens.judge(now(), None, &right).is_ok());
    }

    #[test]
    fn no_key_is_said_when_the_keys_are_printed() {
        let state = tempfile::tempdir().expect("a folder");
        let printed = format!("{:?}", open(state.path()));
        assert!(printed.len() < 200 && printed.contains("token-keys"), "{printed}");
    }
}
