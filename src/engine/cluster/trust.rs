//! What boxes of a cluster believe in common: whose tokens hold, which authority vouches for the boxes, and what live sound
//! is sealed with (SX-03, SX-16, SX-20).
//!
//! In: what each box has. Out: which of two both have from then on. Never here: files, and what keys are used for.
//!
//! A box tells the others the public halves of the keys that sign its tokens, and keeps the private ones. An authority and a
//! secret are one for all: whatever the order in which boxes meet, they end with the same.

use std::cmp::Reverse;
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::token::KeyLife;

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
    /// When it was made, UNIX seconds, by the box that made it.
    pub made: i64,
    /// Itself.
    pub secret: Secret,
}

/// Whoever prints it for debugging does not see it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Root {
    /// Whether a box that has `other` takes this one instead: what a person has made anew is meant; else the older one, which
    /// more phones know. Two are never equal unless they are the same, so that all boxes choose alike.
    pub fn outranks(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    fn rank(&self) -> (u32, Reverse<i64>, &Secret) {
        (self.renewals, Reverse(self.made), &self.secret)
    }
}

impl TokenKey {
    /// What a box that knew `other`, the same key, knows after it was told this.
    pub fn life_with(&self, other: KeyLife) -> KeyLife {
        let replaced = self.life.replaced.into_iter().chain(other.replaced).min();
        KeyLife { replaced, ..other }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn root() -> impl Strategy<Value = Root> {
        (0..3_u32, 0..3_i64, "[a-c]").prop_map(|(renewals, made, secret)| Root {
            renewals,
            made,
            secret: Secret(secret),
        })
    }

    /// Takes the other's where that outranks its own.
    fn learn(ours: &mut Root, theirs: &Root) {
        if theirs.outranks(ours) {
            *ours = theirs.clone();
        }
    }

    proptest! {
        #[test]
        fn sx03_boxes_end_with_one_authority_in_whatever_order_they_meet(
            mut boxes in proptest::collection::vec(root(), 2..6),
            meetings in proptest::collection::vec((any::<usize>(), any::<usize>()), 0..20),
        ) {
            let best = boxes.iter().max_by(|a, b| a.rank().cmp(&b.rank())).expect("some").clone();
            let count = boxes.len();
            let everybody_twice = (0..2).flat_map(|_| (1..count).map(|other| (0, other)));
            for (one, other) in meetings.into_iter().chain(everybody_twice) {
                let told = boxes[one % count].clone();
                learn(&mut boxes[other % count], &told);
                let answer = boxes[other % count].clone();
                learn(&mut boxes[one % count], &answer);
            }
            prop_assert!(boxes.iter().all(|it| *it == best), "{boxes:?}");
        }
    }

    #[test]
    fn what_a_person_made_anew_is_taken_and_else_what_is_older() {
        let root = |renewals, made| Root { renewals, made, secret: Secret("it".into()) };
        assert!(root(0, 1).outranks(&root(0, 2)));
        assert!(root(1, 9).outranks(&root(0, 2)));
        assert!(!root(1, 9).outranks(&root(1, 9)));
        assert!(!format!("{:?}", root(0, 1)).contains("it\""), "no secret in a log");
    }

    #[test]
    fn a_key_is_replaced_when_anybody_has_heard_so() {
        let life = |replaced| KeyLife { made: 1, replaced };
        let told =
            |replaced| TokenKey { node: Uuid::nil(), life: life(replaced), public: "k".into() };
        assert_eq!(told(Some(9)).life_with(life(None)), life(Some(9)));
        assert_eq!(told(None).life_with(life(Some(8))), life(Some(8)));
        assert_eq!(told(Some(9)).life_with(life(Some(8))), life(Some(8)));
    }
}
