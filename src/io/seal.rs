//! Seals live sound with the show's key, and opens it where phones are native (SX-20, `wire::sealed`).
//!
//! In: the state folder, a show's title, pieces, the secret of another box of the cluster. Out: its key for tokens, sealed
//! pieces. Never here: who gets a token, which piece is let be heard (`phone::Guard`), which of two secrets a cluster has
//! (`engine::cluster::trust`), a key in a log.
//!
//! The box has one secret, made when a show first asks for it, and every show a key that is drawn from it by its title: who
//! may hear one show cannot hear the next. It stays until [`Seals::renew`], since another key silences every phone that came
//! with a token of before, and nobody wants that to happen by itself in the middle of a run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::cluster::trust::{Root, Secret, Teller};
use sha2::{Digest, Sha256};
use wire::sealed::{self, INFO, KeyName, Sealed, ShowKey, Start};
use wire::solusync::{Header, MediaData};

use crate::chance;
use crate::disk::write_whole;

/// Within the state folder.
const FILE: &str = "seal-secret";
/// Only the box itself may read it.
const MODE: u32 = 0o600;
/// What a show's key is drawn for; its title follows.
const SHOW: &[u8] = b"downbeat show 1 ";

/// The key of the show that runs.
pub struct Seals {
    path: PathBuf,
    show: String,
    drawn: RwLock<(Root, Arc<Key>)>,
    /// Of which cluster it is; none yet. Held while another secret is taken, which the disk may make long.
    cluster: Mutex<Option<String>>,
}

struct Key {
    key: ShowKey,
    name: KeyName,
}

/// Seals one stream of pieces. There is one, since no count may come twice.
pub struct Sealer {
    seals: Arc<Seals>,
    key: Arc<Key>,
    start: Start,
    aes: LessSafeKey,
    last: Option<u64>,
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seals").field("path", &self.path).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("start", &self.start).finish_non_exhaustive()
    }
}

impl Seals {
    /// The key of a show by its title, and what there is to say: a secret that cannot be read is made anew.
    ///
    /// # Errors
    /// The disk does not take a new one.
    pub fn open(state: &Path, show: &str) -> io::Result<(Self, Option<String>)> {
        let path = state.join(FILE);
        let ((root, cluster), said) = match read(&path) {
            Ok(Some(kept)) => (kept, None),
            Ok(None) => ((make(&path, 0, None)?, None), None),
            Err(why) => {
                let said = format!(
                    "could not use the secret of sealed sound in {}: {why}: phones with tokens made before hear none",
                    path.display()
                );
                ((make(&path, 0, None)?, None), Some(said))
            }
        };
        let key = secret_of(&root).map(|it| Arc::new(Key::of(&it, show)));
        let drawn = RwLock::new((root, key.expect("it was read, or made")));
        Ok((Self { path, show: show.to_owned(), drawn, cluster: Mutex::new(cluster) }, said))
    }

    /// For tokens.
    pub fn key(&self) -> ShowKey {
        self.now().key.clone()
    }

    /// What the keys of all shows are drawn from, for the other boxes of a cluster.
    pub fn root(&self) -> Root {
        self.drawn().0.clone()
    }

    /// Another key from the next piece on: phones with tokens made before hear none.
    ///
    /// # Errors
    /// The disk does not take it; everything stays as it was.
    pub fn renew(&self) -> io::Result<()> {
        let cluster = self.cluster();
        let root = make(&self.path, self.root().renewals.saturating_add(1), cluster.as_deref())?;
        self.take(root);
        Ok(())
    }

    /// Of this cluster from now on. How often it was made anew in another one is nothing here.
    ///
    /// # Errors
    /// The disk does not take it; everything stays as it was.
    pub fn join(&self, mark: &str) -> io::Result<()> {
        let mut cluster = self.cluster();
        if cluster.as_deref() != Some(mark) {
            let root = Root { renewals: 0, ..self.root() };
            keep(&self.path, &root, Some(mark))?;
            self.take(root);
            *cluster = Some(mark.to_owned());
        }
        Ok(())
    }

    fn cluster(&self) -> MutexGuard<'_, Option<String>> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What another box of the cluster has; whether it is taken from the next piece on.
    ///
    /// # Errors
    /// The disk does not take it; everything stays as it was.
    pub fn learn(&self, told: &Root, teller: Teller) -> io::Result<bool> {
        let cluster = self.cluster();
        if !told.replaces(&self.root(), teller) || secret_of(told).is_none() {
            return Ok(false);
        }
        keep(&self.path, told, cluster.as_deref())?;
        self.take(told.clone());
        Ok(true)
    }

    fn take(&self, root: Root) {
        let key = secret_of(&root).map(|it| Arc::new(Key::of(&it, &self.show)));
        let mut drawn = self.drawn.write().unwrap_or_else(PoisonError::into_inner);
        *drawn = (root, key.unwrap_or_else(|| drawn.1.clone()));
    }

    fn now(&self) -> Arc<Key> {
        self.drawn().1.clone()
    }

    fn drawn(&self) -> RwLockReadGuard<'_, (Root, Arc<Key>)> {
        self.drawn.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sealer {
    /// A start of its own: whatever was sealed before, by this box or another, was sealed with another key.
    pub fn begin(seals: Arc<Seals>) -> Self {
        let (key, start) = (seals.now(), chance::uuid());
        let aes = drawn(&key.key, start);
        Self { seals, key, start, aes, last: None }
    }

    /// A piece, sealed, as it is said.
    ///
    /// # Panics
    /// Where a header does not count on: what is sealed with one nonce twice is open to everybody.
    pub fn seal(&mut self, header: &Header, chunk: MediaData) -> String {
        if !Arc::ptr_eq(&self.key, &self.seals.now()) {
            *self = Self::begin(self.seals.clone());
        }
        assert!(self.last.is_none_or(|last| last < header.sequence), "headers count on");
        self.last = Some(header.sequence);
        sealed::emit(header, (&self.key.name, self.start), chunk, |nonce, head, mut octets| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.aes
                .seal_in_place_append_tag(nonce, Aad::from(head), &mut octets)
                .expect("a piece is far shorter than AES-GCM's 64 GiB");
            octets
        })
    }
}

/// What is in a piece, if it was sealed with that key and is as it was then.
pub fn open(key: &ShowKey, piece: &Sealed<'_>) -> Option<Vec<u8>> {
    let nonce = Nonce::assume_unique_for_key(sealed::nonce(piece.header.sequence));
    let aes = drawn(key, piece.start);
    let mut sealed = piece.data.clone();
    let octets = aes.open_in_place(nonce, Aad::from(piece.head), &mut sealed).ok()?.len();
    sealed.truncate(octets);
    Some(sealed)
}

/// What a key is called in what is sealed with it.
pub fn name(key: &ShowKey) -> KeyName {
    KeyName(Sha256::digest(key.0).iter().take(8).map(|octet| format!("{octet:02x}")).collect())
}

/// The key of one start.
fn drawn(key: &ShowKey, start: Start) -> LessSafeKey {
    let whole = Salt::new(HKDF_SHA256, start.as_bytes()).extract(&key.0);
    let info = [INFO];
    let drawn = whole.expand(&info, &AES_256_GCM).expect("32 octets are one round of HKDF");
    LessSafeKey::new(UnboundKey::from(drawn))
}

impl Key {
    fn of(secret: &[u8; 32], show: &str) -> Self {
        let info = [SHOW, show.as_bytes()];
        let mut key = [0; 32];
        let drawn = Prk::new_less_safe(HKDF_SHA256, secret);
        drawn
            .expand(&info, Octets)
            .and_then(|it| it.fill(&mut key))
            .expect("32 octets are one round of HKDF");
        let key = ShowKey(key);
        Self { name: name(&key), key }
    }
}

/// As many as a key has.
struct Octets;

impl KeyType for Octets {
    fn len(&self) -> usize {
        32
    }
}

/// None where there is no file. In it are the secret, how often it was made anew, and in which cluster; files of before have the
/// secret alone.
fn read(path: &Path) -> Result<Option<(Root, Option<String>)>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let kept = parsed(&text).filter(|(root, _)| secret_of(root).is_some());
    kept.map(Some).ok_or_else(|| "it is none".to_owned())
}

fn parsed(text: &str) -> Option<(Root, Option<String>)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (secret, renewals, cluster) = match words[..] {
        [secret] => (secret, 0, None),
        [secret, renewals] => (secret, renewals.parse().ok()?, None),
        [secret, renewals, mark] => (secret, renewals.parse().ok()?, Some(mark.to_owned())),
        _ => return None,
    };
    Some((Root { renewals, secret: Secret(secret.to_owned()) }, cluster))
}

fn secret_of(root: &Root) -> Option<[u8; 32]> {
    STANDARD.decode(&root.secret.0).ok()?.try_into().ok()
}

fn make(path: &Path, renewals: u32, cluster: Option<&str>) -> io::Result<Root> {
    let halves = [chance::bits(), chance::bits()].map(u128::to_ne_bytes);
    let secret = Secret(STANDARD.encode(halves.as_flattened()));
    let root = Root { renewals, secret };
    keep(path, &root, cluster)?;
    Ok(root)
}

fn keep(path: &Path, root: &Root, cluster: Option<&str>) -> io::Result<()> {
    let Root { renewals, secret: Secret(secret) } = root;
    write_whole(
        path,
        format!("{secret} {renewals} {}\n", cluster.unwrap_or_default()).as_bytes(),
        MODE,
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use units::{Span, TrackId, WireTime};
    use uuid::Uuid;
    use wire::solusync::MediaCodec;

    use super::*;

    fn seals(state: &Path, show: &str) -> Arc<Seals> {
        let (seals, said) = Seals::open(state, show).expect("a writable folder");
        assert_eq!(said, None);
        Arc::new(seals)
    }

    fn sealed(sealer: &mut Sealer, sequence: u64) -> String {
        let timestamp = WireTime::from_micros(1_790_000_000_000_000);
        let header =
            Header { id: Uuid::from_u128(1), timestamp, node_id: Uuid::from_u128(2), sequence };
        let chunk = MediaData {
            track_id: TrackId("input".into()),
            chunk_index: 0,
            timestamp,
            duration: Span::from_millis(20),
            codec: MediaCodec::Opus,
            data: vec![9; 100],
            is_keyframe: false,
            parts_left: 0,
        };
        sealer.seal(&header, chunk)
    }

    fn opened(key: &ShowKey, text: &str) -> Option<Vec<u8>> {
        open(key, &sealed::parse(text).expect("our own words"))
    }

    #[test]
    fn sx20_the_key_stays_over_restarts_is_another_for_another_show_and_nobody_else_may_read_it() {
        let state = tempfile::tempdir().expect("a folder");
        let key = seals(state.path(), "Evening").key();
        assert!(key == seals(state.path(), "Evening").key());
        assert!(key != seals(state.path(), "Matinee").key());
        let mode = fs::metadata(state.path().join(FILE)).expect("kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn sx20_a_box_that_starts_again_counts_anew_under_another_key() {
        let state = tempfile::tempdir().expect("a folder");
        let seals = seals(state.path(), "Evening");
        let says = || sealed(&mut Sealer::begin(seals.clone()), 1);
        let (before, after) = (says(), says());
        let data = |text: &str| sealed::parse(text).expect("our own words").data;
        assert_ne!(data(&before), data(&after), "the same piece with the same count");
        for text in [before, after] {
            assert_eq!(opened(&seals.key(), &text), Some(vec![9; 100]));
        }
    }

    #[test]
    #[should_panic(expected = "headers count on")]
    fn sx20_nothing_is_sealed_twice_with_one_count() {
        let state = tempfile::tempdir().expect("a folder");
        let mut sealer = Sealer::begin(seals(state.path(), "Evening"));
        sealed(&mut sealer, 1);
        sealed(&mut sealer, 1);
    }

    #[test]
    fn sx20_a_key_that_was_replaced_opens_nothing_from_the_next_piece_on() {
        let state = tempfile::tempdir().expect("a folder");
        let seals = seals(state.path(), "Evening");
        let (old, mut sealer) = (seals.key(), Sealer::begin(seals.clone()));
        assert!(opened(&old, &sealed(&mut sealer, 1)).is_some());
        seals.renew().expect("kept");
        let next = sealed(&mut sealer, 2);
        assert_eq!(opened(&old, &next), None);
        assert!(opened(&seals.key(), &next).is_some());
        let kept = self::seals(state.path(), "Evening").key();
        assert!(kept == seals.key() && kept != old);
    }

    #[test]
    fn sx03_sx20_boxes_of_a_cluster_have_one_secret_and_a_new_one_reaches_all() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let [one, other] = [0, 1].map(|at: usize| seals(folders[at].path(), "Evening"));
        let meet = || {
            other.learn(&one.root(), Teller::Replica).expect("kept");
            one.learn(&other.root(), Teller::Master).expect("kept");
        };
        meet();
        assert!(one.key() == other.key());
        let (old, mut sealer) = (other.key(), Sealer::begin(other.clone()));
        sealed(&mut sealer, 1);
        one.renew().expect("kept");
        meet();
        assert!(one.key() == other.key() && one.key() != old);
        assert_eq!(opened(&old, &sealed(&mut sealer, 2)), None);
        assert!(seals(folders[1].path(), "Evening").key() == one.key(), "it was kept");
        let nonsense = Root { renewals: 9, secret: Secret("me".into()) };
        assert!(
            !other.learn(&nonsense, Teller::Master).expect("not taken") && other.key() == one.key()
        );
    }

    #[test]
    fn sx03_sx20_what_was_made_anew_in_another_cluster_is_not_taken_by_the_one_that_drives_here() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let [driver, hired] = [0, 1].map(|at: usize| seals(folders[at].path(), "Evening"));
        hired.join("another").expect("kept");
        hired.renew().expect("kept");
        for it in [&driver, &hired] {
            it.join("stage").expect("kept");
        }
        let before = driver.key();
        assert!(!driver.learn(&hired.root(), Teller::Replica).expect("not taken"));
        assert!(hired.learn(&driver.root(), Teller::Master).expect("taken"));
        assert!(driver.key() == before && hired.key() == before);
        hired.renew().expect("kept");
        let hired = seals(folders[1].path(), "Evening");
        hired.join("stage").expect("kept");
        assert!(
            driver.learn(&hired.root(), Teller::Replica).expect("taken"),
            "a person did it here"
        );
    }

    #[test]
    fn sx20_a_secret_of_before_boxes_shared_it_is_read() {
        let state = tempfile::tempdir().expect("a folder");
        let key = seals(state.path(), "Evening").key();
        let path = state.path().join(FILE);
        let kept = fs::read_to_string(&path).expect("kept");
        let (secret, _) = kept.split_once(' ').expect("words");
        fs::write(&path, format!("{secret}\n")).expect("written");
        assert!(key == seals(state.path(), "Evening").key());
    }

    #[test]
    fn sx20_a_secret_that_was_scribbled_over_is_made_anew_and_that_is_said_without_it() {
        let state = tempfile::tempdir().expect("a folder");
        seals(state.path(), "Evening");
        let path = state.path().join(FILE);
        let kept = fs::read_to_string(&path).expect("kept");
        fs::write(&path, &kept[..20]).expect("cut");
        let (_, said) = Seals::open(state.path(), "Evening").expect("made anew");
        let said = said.expect("it is said");
        assert!(said.contains(FILE) && !said.contains(&kept[..20]), "{said}");
        seals(state.path(), "Evening");
    }
}
