//! Whether what was commanded outlives this box.
//!
//! In: which other boxes live, and how many steps each has taken. Out: [`Replication`]. Never here: links, waiting.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a command's answer says of it (DESIGN, Two boxes and more).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replication {
    /// Every other box that lives has taken it, or more than half of all have: whoever drives next knows it.
    Replicated,
    /// It was done, and is lost if this box dies now.
    Alone,
}

/// The boxes that stand by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replicas {
    /// How many boxes have a vote, this one among them.
    pub voters: usize,
    /// The others that are heard.
    pub living: Vec<Uuid>,
    /// How many of the master's steps each has taken that follows it.
    pub taken: BTreeMap<Uuid, u64>,
}

impl Replicas {
    /// Whether waiting changes nothing of what can be said.
    pub fn is_known(&self, steps: u64) -> bool {
        self.living.is_empty() || self.kept(steps) == Replication::Replicated
    }

    /// What can be said of a command that is among so many steps.
    pub fn kept(&self, steps: u64) -> Replication {
        let have = |node: &Uuid| self.taken.get(node).is_some_and(|taken| *taken >= steps);
        let every = !self.living.is_empty() && self.living.iter().all(have);
        let most = 1 + self.taken.keys().filter(|it| have(it)).count() > self.voters / 2;
        match every || (self.voters > 2 && most) {
            true => Replication::Replicated,
            false => Replication::Alone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(voters: usize, living: &[u128], taken: &[(u128, u64)]) -> Replicas {
        let id = Uuid::from_u128;
        Replicas {
            voters,
            living: living.iter().map(|it| id(*it)).collect(),
            taken: taken.iter().map(|(it, steps)| (id(*it), *steps)).collect(),
        }
    }

    #[test]
    fn of_two_a_command_is_replicated_once_the_other_one_has_taken_it() {
        assert_eq!(replicas(2, &[1], &[(1, 5)]).kept(5), Replication::Replicated);
        assert_eq!(replicas(2, &[1], &[(1, 4)]).kept(5), Replication::Alone);
        assert_eq!(
            replicas(2, &[1], &[]).kept(5),
            Replication::Alone,
            "it lives, and does not follow"
        );
        assert_eq!(replicas(2, &[], &[]).kept(5), Replication::Alone, "there is nobody");
        assert!(replicas(2, &[], &[]).is_known(5), "nobody is waited for");
        assert!(
            !replicas(2, &[1], &[(1, 4)]).is_known(5) && replicas(2, &[1], &[(1, 5)]).is_known(5)
        );
    }

    #[test]
    fn of_three_every_living_one_or_a_majority_is_enough() {
        assert_eq!(replicas(3, &[1, 2], &[(1, 5), (2, 5)]).kept(5), Replication::Replicated);
        assert_eq!(
            replicas(3, &[1, 2], &[(1, 5), (2, 4)]).kept(5),
            Replication::Replicated,
            "two of three"
        );
        assert_eq!(replicas(3, &[1], &[(1, 5)]).kept(5), Replication::Replicated);
        assert_eq!(replicas(3, &[1, 2], &[(1, 4)]).kept(5), Replication::Alone);
        assert_eq!(
            replicas(4, &[1, 2, 3], &[(1, 5)]).kept(5),
            Replication::Alone,
            "half is no majority"
        );
        assert_eq!(replicas(1, &[], &[]).kept(0), Replication::Alone, "a box without others");
    }
}
