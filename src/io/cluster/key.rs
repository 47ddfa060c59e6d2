//! The cluster's key: who has it is one of its boxes.

use std::fs;
use std::io;
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wire::cluster::CODE_LEN;

use crate::{chance, disk};

/// 32 octets that all boxes of a cluster share.
#[derive(Debug, Clone)]
pub struct Key(hmac::Key);

impl Key {
    /// The key in the state folder, `cluster.key`: 64 hexadecimal digits; and whether it has just been made.
    ///
    /// # Errors
    /// What the disk says; a file that holds no key.
    pub fn open(state: &Path) -> io::Result<(Self, bool)> {
        let path = state.join("cluster.key");
        match fs::read_to_string(&path) {
            Ok(text) => {
                let bytes = from_hex(text.trim()).ok_or_else(|| {
                    let why = format!("{} holds no key: 64 hexadecimal digits", path.display());
                    io::Error::new(io::ErrorKind::InvalidData, why)
                })?;
                Ok((Self::of(&bytes), false))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = format!("{:032x}{:032x}", chance::bits(), chance::bits());
                disk::write_whole(&path, format!("{text}\n").as_bytes(), 0o600)?;
                Ok((Self::of(&from_hex(&text).expect("we have written it")), true))
            }
            Err(error) => Err(error),
        }
    }

    /// A key for one link, out of this one, what both sides said, and what they agreed on.
    pub fn of_link(&self, nonces: [&str; 2], agreed: &[u8]) -> Self {
        let said = format!("link {} {} ", nonces[0], nonces[1]);
        Self::of(hmac::sign(&self.0, &[said.as_bytes(), agreed].concat()).as_ref())
    }

    /// What tells this cluster apart from all others.
    pub fn mark(&self) -> String {
        hex(&self.code(b"a cluster's mark"))
    }

    /// The code over a text.
    pub fn code(&self, text: &[u8]) -> [u8; CODE_LEN] {
        hmac::sign(&self.0, text).as_ref().try_into().expect("SHA-256 has 32 octets")
    }

    /// Whether that is the code over a text; takes as long where it is not.
    pub fn holds(&self, code: &[u8], text: &[u8]) -> bool {
        hmac::verify(&self.0, text, code).is_ok()
    }

    /// What only the other side can read, base64: `to` is said to it once at most, since the key has one message for each.
    pub fn hide(&self, to: u8, text: &str) -> String {
        let mut octets = text.as_bytes().to_vec();
        self.cipher()
            .seal_in_place_append_tag(nonce_to(to), Aad::empty(), &mut octets)
            .expect("a line is far shorter than AES-GCM's 64 GiB");
        STANDARD.encode(octets)
    }

    /// What was hidden so; none where it was not.
    pub fn read(&self, to: u8, hidden: &str) -> Option<String> {
        let mut octets = STANDARD.decode(hidden).ok()?;
        let open = self.cipher().open_in_place(nonce_to(to), Aad::empty(), &mut octets).ok()?;
        String::from_utf8(open.to_vec()).ok()
    }

    fn cipher(&self) -> LessSafeKey {
        let drawn = UnboundKey::new(&AES_256_GCM, &self.code(b"unread by others"));
        LessSafeKey::new(drawn.expect("a code has as many octets as a key"))
    }

    fn of(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(HMAC_SHA256, bytes))
    }
}

fn nonce_to(side: u8) -> Nonce {
    let mut nonce = [0; 12];
    nonce[0] = side;
    Nonce::assume_unique_for_key(nonce)
}

/// What one side agrees on a secret with: whoever learns the cluster's key later learns nothing of links of before.
pub(super) struct Agreement(EphemeralPrivateKey);

impl Agreement {
    /// One of this link's own, and what the other side is told of it: 32 octets, hexadecimal.
    pub fn begin() -> io::Result<(Self, String)> {
        let made = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new());
        let private = made.map_err(|_| io::Error::other("no key for a link"))?;
        let public =
            private.compute_public_key().map_err(|_| io::Error::other("no key for a link"))?;
        Ok((Self(private), hex(public.as_ref())))
    }

    /// With what the other side has told.
    pub fn end(self, theirs: &str) -> io::Result<Vec<u8>> {
        let octets = from_hex(theirs).ok_or_else(|| io::Error::other("no key of a link"))?;
        let theirs = UnparsedPublicKey::new(&X25519, octets);
        let none = io::Error::other("no key that can be agreed with");
        agree_ephemeral(self.0, theirs, none, |secret| Ok(secret.to_vec()))
    }
}

/// Octets as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

/// 32 octets of 64 hexadecimal digits.
pub(super) fn from_hex(text: &str) -> Option<[u8; CODE_LEN]> {
    let mut bytes = [0; CODE_LEN];
    if text.len() != 2 * CODE_LEN || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_on_a_secret_that_is_never_said() {
        let [(one, said), (other, told)] = [0, 1].map(|_| Agreement::begin().expect("made"));
        assert_eq!(one.end(&told).expect("agreed"), other.end(&said).expect("agreed"));
        let (mine, _) = Agreement::begin().expect("made");
        assert!(mine.end(&"0".repeat(64)).is_err(), "a key that leaves no secret");
        let (mine, _) = Agreement::begin().expect("made");
        assert!(mine.end("me").is_err());
    }

    #[test]
    fn a_key_is_made_once_and_its_codes_hold_for_its_own_texts_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, made) = Key::open(folder.path()).expect("made");
        let (again, made_again) = Key::open(folder.path()).expect("read");
        assert!(made && !made_again);
        assert!(again.holds(&key.code(b"go"), b"go"));
        assert!(!again.holds(&key.code(b"go"), b"stop"));
        let link = key.of_link(["a", "b"], b"c");
        assert!(!link.holds(&key.code(b"go"), b"go"), "a link has a key of its own");
        let hidden = link.hide(0, "a secret");
        assert_eq!(again.of_link(["a", "b"], b"c").read(0, &hidden).as_deref(), Some("a secret"));
        assert_eq!(link.read(1, &hidden), None, "said to the other side");
        assert_eq!(key.of_link(["a", "c"], b"c").read(0, &hidden), None, "said on another link");
        assert_eq!(key.of_link(["a", "b"], b"d").read(0, &hidden), None, "overheard");
        assert!(key.mark() == again.mark() && !key.mark().is_empty());
        fs::write(folder.path().join("cluster.key"), "me").expect("written");
        assert!(Key::open(folder.path()).expect_err("no key").to_string().contains("cluster.key"));
    }
}
