//! What this box believes, and is believed by, in common with the others of its cluster.
//!
//! In: what another box has. Out: the same of this one. Which of two is taken decides `engine::cluster::trust`; how it gets
//! from box to box unread is `key`'s. Never here: a secret in a log.

use std::sync::Arc;

use engine::cluster::trust::{Teller, Trust};

use crate::http::{Certificates, Tokens};
use crate::seal::Seals;

/// Whatever boxes of a cluster share.
#[derive(Debug, Clone)]
pub struct Vault {
    /// Who is who.
    pub tokens: Arc<Tokens>,
    /// None where there is no HTTPS.
    pub certificates: Option<Arc<Certificates>>,
    /// None where the show does not seal what is live.
    pub seals: Option<Arc<Seals>>,
}

impl Vault {
    /// What the others are told.
    pub fn trust(&self) -> Trust {
        Trust {
            keys: self.tokens.known(),
            authority: self.certificates.as_ref().map(|it| it.root()),
            seal: self.seals.as_ref().map(|it| it.root()),
        }
    }

    /// Takes what another was right to tell; what people have to know of it.
    pub fn learn(&self, told: &Trust, teller: Teller) -> Vec<String> {
        let keys = self.tokens.learn(&told.keys).err();
        let keys =
            keys.map(|error| format!("could not keep the keys of another box's tokens: {error}"));
        let roots = [self.learn_authority(told, teller), self.learn_seal(told, teller)];
        keys.into_iter().chain(roots.into_iter().flatten()).collect()
    }

    fn learn_authority(&self, told: &Trust, teller: Teller) -> Option<String> {
        match self.certificates.as_ref()?.learn(told.authority.as_ref()?, teller) {
            Ok(true) => Some(
                "the cluster's authority vouches for this box from now on: phones that have installed the one it had \
                 install it anew"
                    .to_owned(),
            ),
            Ok(false) => None,
            Err(error) => Some(format!("could not take the cluster's authority: {error}")),
        }
    }

    fn learn_seal(&self, told: &Trust, teller: Teller) -> Option<String> {
        match self.seals.as_ref()?.learn(told.seal.as_ref()?, teller) {
            Ok(true) => Some(
                "live sound is sealed with the cluster's key from now on: phones with tokens made here before hear none"
                    .to_owned(),
            ),
            Ok(false) => None,
            Err(error) => Some(format!("could not keep the cluster's secret of sealed sound: {error}")),
        }
    }
}
