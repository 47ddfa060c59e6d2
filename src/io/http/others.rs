//! What tokens of the other boxes of a cluster are known by.
//!
//! In: the state folder, what other boxes say. Out: whose key it is that a token names. Kept, so that the code of a box that is
//! dead holds over a restart; but not under another cluster's key, so that boxes that part know each other no more. Which are
//! of use decides `engine::cluster::trust`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::cluster::trust::{TokenKey, learnt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tokens::key_id;
use crate::disk::write_whole;

/// Within the state folder.
const FILE: &str = "token-keys-of-others.json";
const MODE: u32 = 0o600;

/// The keys of the others.
pub(super) struct Others {
    path: PathBuf,
    /// Tells the cluster apart from all others.
    cluster: String,
    keys: RwLock<Vec<Known>>,
    /// Held while others are taken in, which the disk may make long.
    taking: Mutex<()>,
}

struct Known {
    id: String,
    octets: Vec<u8>,
    told: TokenKey,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    cluster: String,
    keys: Vec<TokenKey>,
}

impl Others {
    /// Those that the state folder has of this cluster; a file that cannot be read is as good as none.
    pub fn open(state: &Path, cluster: String) -> Self {
        let path = state.join(FILE);
        let kept = fs::read(&path).ok().and_then(|it| serde_json::from_slice::<Kept>(&it).ok());
        let keys = kept.filter(|it| it.cluster == cluster).map(|it| it.keys).unwrap_or_default();
        let keys = RwLock::new(keys.into_iter().filter_map(Known::of).collect());
        Self { path, cluster, keys, taking: Mutex::default() }
    }

    /// All of them.
    pub fn known(&self) -> Vec<TokenKey> {
        self.keys().iter().map(|it| it.told.clone()).collect()
    }

    /// Takes in what another box has said at `now`, UNIX seconds.
    pub fn learn(&self, told: &[TokenKey], now: i64) -> io::Result<()> {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known();
        let next: Vec<_> = learnt(&known, told, now).into_iter().filter_map(Known::of).collect();
        let kept: Vec<_> = next.iter().map(|it| it.told.clone()).collect();
        if kept != known {
            let kept = Kept { cluster: self.cluster.clone(), keys: kept };
            write_whole(&self.path, &serde_json::to_vec(&kept)?, MODE)?;
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = next;
        }
        Ok(())
    }

    /// Whose key of that id is, and its public half: an `RSAPublicKey`, DER.
    pub fn find(&self, id: &str) -> Option<(Uuid, Vec<u8>)> {
        let keys = self.keys();
        keys.iter().find(|it| it.id == id).map(|it| (it.told.node, it.octets.clone()))
    }

    fn keys(&self) -> RwLockReadGuard<'_, Vec<Known>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// None where what was told is no key.
    fn of(told: TokenKey) -> Option<Self> {
        let octets = STANDARD.decode(&told.public).ok()?;
        Some(Self { id: key_id(&octets), octets, told })
    }
}
