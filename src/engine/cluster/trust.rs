//! What boxes of a cluster believe in common: whose tokens hold, which authority vouches for the boxes, and what live sound
//! is sealed with (SX-03, SX-16, SX-20).
//!
//! In: what each box has. Out: which of two it has from then on. Never here: files, and what keys are used for.
//!
//! A box tells the others the public halves of the keys that sign its tokens, and keeps the private ones. An authority and a
//! secret are one for all: those of the box that drives, since nothing that phones have of it may change under a show, unless
//! a person has had another one made.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::token::{KeyLife, may_verify};

/// Keys of others that a box keeps: as many as a cluster's boxes have in a season, several times over.
pub const KEYS_MAX: usize = 64;

/// What a box tells another of its cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// What tokens are known by: its own keys, and those that it was told of.
    pub keys: Vec<TokenKey>,
    /// What vouches for the boxes' certificates: key and certificate, PEM; none where there is no HTTPS.
    pub authority: Option<Root>,
    /// What the keys of sealed shows are drawn from, base64; none where this one is not sealed.
    pub seal: Option<Root>,
}

/// A key that signs a box's tokens, as everybody may know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKey {
    /// Whose; its tokens name that box.
    pub node: Uuid,
    /// From when until when it signs.
    #[serde(flatten)]
    pub life: KeyLife,
    /// An `RSAPublicKey`, DER, base64.
    pub public: String,
}

/// Something secret of which a cluster has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// How often a person has had it made anew.
    pub renewals: u32,
    /// Itself.
    pub secret: Secret,
}

/// Whoever prints it for debugging does not see it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Who says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    /// The box that drives, to one that stands by.
    Master,
    /// One that stands by, to the one that drives.
    Replica,
}

impl Root {
    /// Whether a box that was told this takes it in the place of its own.
    pub fn replaces(&self, own: &Self, teller: Teller) -> bool {
        let is_renewed = self.renewals > own.renewals;
        let is_driver_s = teller == Teller::Master && self.renewals == own.renewals;
        is_renewed || (is_driver_s && self.secret != own.secret)
    }
}

/// What a box knows of others' keys that knew these and was `told` those, at `now` (UNIX seconds). Keys of no use any more go;
/// of too many those that were replaced longest ago.
pub fn learnt(known: &[TokenKey], told: &[TokenKey], now: i64) -> Vec<TokenKey> {
    let mut all = known.to_vec();
    for it in told {
        let same = |other: &&mut TokenKey| (other.node, &other.public) == (it.node, &it.public);
        match all.iter_mut().find(same) {
            Some(known) => known.life = both(known.life, it.life),
            None => all.push(it.clone()),
        }
    }
    all.retain(|it| may_verify(now, it.life));
    all.sort_by_key(|it| Reverse(it.life.replaced.unwrap_or(i64::MAX)));
    all.truncate(KEYS_MAX);
    all
}

/// A key is replaced when anybody has heard so.
fn both(known: KeyLife, told: KeyLife) -> KeyLife {
    let replaced = known.replaced.into_iter().chain(told.replaced).min();
    KeyLife { replaced, ..known }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn root() -> impl Strategy<Value = Root> {
        (0..3_u32, "[a-c]").prop_map(|(renewals, secret)| Root { renewals, secret: Secret(secret) })
    }

    /// Both say what they have, the one that stands by first.
    fn meet(master: &mut Root, replica: &mut Root) {
        if replica.replaces(master, Teller::Replica) {
            *master = replica.clone();
        }
        if master.replaces(replica, Teller::Master) {
            *replica = master.clone();
        }
    }

    proptest! {
        #[test]
        fn sx03_boxes_end_with_the_drivers_authority_in_whatever_order_they_meet(
            mut master in root(),
            mut replicas in proptest::collection::vec(root(), 1..5),
            meetings in proptest::collection::vec(any::<usize>(), 0..20),
        ) {
            let first = master.clone();
            let renewed = replicas.iter().map(|it| it.renewals).max().expect("some");
            let count = replicas.len();
            // A box that has taken something begins its links anew.
            let everybody_twice = (0..2).flat_map(|_| 0..count);
            for replica in meetings.into_iter().chain(everybody_twice) {
                meet(&mut master, &mut replicas[replica % count]);
            }
            prop_assert!(replicas.iter().all(|it| *it == master), "{replicas:?}");
            if renewed <= first.renewals {
                prop_assert_eq!(master, first, "a running show keeps what it has");
            } else {
                prop_assert_eq!(master.renewals, renewed);
            }
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let root = Root { renewals: 0, secret: Secret("it".into()) };
        assert!(!format!("{root:?}").contains("it\""));
    }

    const NOW: i64 = 1_790_000_000;

    fn key(node: u128, replaced: Option<i64>) -> TokenKey {
        let life = KeyLife { made: NOW - 100, replaced };
        TokenKey { node: Uuid::from_u128(node), life, public: node.to_string() }
    }

    #[test]
    fn a_key_is_replaced_when_anybody_has_heard_so_and_goes_when_it_is_of_no_use() {
        let lives = |known, told| learnt(&[key(1, known)], &[key(1, told)], NOW)[0].life.replaced;
        assert_eq!(lives(None, Some(NOW - 9)), Some(NOW - 9));
        assert_eq!(lives(Some(NOW - 8), None), Some(NOW - 8));
        assert_eq!(lives(Some(NOW - 8), Some(NOW - 9)), Some(NOW - 9));
        assert_eq!(learnt(&[key(1, None)], &[], NOW), [key(1, None)]);
        assert_eq!(learnt(&[key(1, Some(0))], &[key(2, Some(0))], NOW), []);
    }

    #[test]
    fn of_too_many_keys_those_stay_that_sign_and_then_those_that_signed_last() {
        let many: Vec<_> = (0..200).map(|nth| key(nth, Some(NOW - 1_000 + nth as i64))).collect();
        let known = learnt(&many, &[key(999, None)], NOW);
        assert_eq!((known.len(), &known[0]), (KEYS_MAX, &key(999, None)));
        assert!(
            known[1..].iter().all(|it| it.life.replaced > Some(NOW - 1_000 + 130)),
            "{known:?}"
        );
    }
}
