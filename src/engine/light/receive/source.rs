//! One source of a universe: what it sends, what of it is shown, and whether it is there.

use std::net::IpAddr;

use units::{ShowTime, Universe};
use uuid::Uuid;
use wire::sacn::{ADDRESS_PRIORITIES, Data, LEVELS};

use super::{LOSS, Merged, SAMPLING};

/// Somebody who sends on a universe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its id.
    pub cid: Uuid,
    /// Its name, as it gives it.
    pub name: String,
    /// Where it was last heard from.
    pub from: IpAddr,
    /// At which priority.
    pub priority: u8,
    /// When it last sent levels, or first sent anything.
    pub heard: ShowTime,
    pub(super) sequence: u8,
    /// Silent, or ended; it stays until the others are known to be there.
    pub(super) lost: bool,
    /// It has not been heard since another was lost.
    pub(super) doubted: bool,
    /// Its levels are merged.
    pub(super) counts: bool,
    began: ShowTime,
    shown: Option<Vec<u8>>,
    held: Option<Vec<u8>>,
    sync: Synchronized,
    priorities: Option<(ShowTime, Vec<u8>)>,
}

/// How its levels become visible (rule S10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Synchronized {
    by: Option<Universe>,
    /// The last synchronization packet; levels are held only after the first.
    last: Option<ShowTime>,
}

impl Source {
    pub(in crate::light) fn new(cid: Uuid, now: ShowTime) -> Self {
        Self {
            cid,
            name: String::new(),
            from: IpAddr::from([0, 0, 0, 0]),
            priority: 0,
            heard: now,
            sequence: 0,
            lost: false,
            doubted: false,
            counts: false,
            began: now,
            shown: None,
            held: None,
            sync: Synchronized::default(),
            priorities: None,
        }
    }

    /// A packet of it came, in its turn; true if what it shows may be another.
    pub(super) fn take(&mut self, now: ShowTime, data: &Data, from: IpAddr) -> bool {
        let name = data.source_name.to_string();
        let changed = self.priority != data.priority;
        (self.name, self.from, self.priority) = (name, from, data.priority);
        self.sequence = data.sequence;
        changed
            | match data.start_code {
                LEVELS => self.take_levels(now, data),
                ADDRESS_PRIORITIES => {
                    let before = self.priorities.replace((now, data.slots.to_vec()));
                    before.is_none_or(|(_, slots)| slots != data.slots)
                }
                // Others are no levels, and no sign of life of theirs (rule S13).
                _ => false,
            }
    }

    fn take_levels(&mut self, now: ShowTime, data: &Data) -> bool {
        (self.heard, self.lost, self.doubted) = (now, false, false);
        let by = Universe::new(u32::from(data.sync_address)).ok();
        if by != self.sync.by {
            self.sync = Synchronized { by, last: None };
        }
        if self.is_held(now, data.options.force_sync) {
            self.held = Some(data.slots.to_vec());
            return false;
        }
        self.held = None;
        let same = self.shown.as_deref() == Some(data.slots);
        if !same {
            self.shown = Some(data.slots.to_vec());
        }
        !same
    }

    /// Levels wait from the first synchronization packet on. When those fail to come, the source has said whether to
    /// stand still or to run on without (rule S10).
    fn is_held(&self, now: ShowTime, force: bool) -> bool {
        self.sync.last.is_some_and(|last| now - last < LOSS || !force)
    }

    /// Its synchronization packet came; true if that shows something.
    pub(super) fn synchronize(&mut self, now: ShowTime) -> bool {
        self.sync.last = Some(now);
        let held = self.held.take();
        let shows = held.is_some() && held != self.shown;
        self.shown = held.or(self.shown.take());
        shows
    }

    pub(super) fn sync_address(&self) -> Option<Universe> {
        self.sync.by
    }

    /// Its levels have not come for as long as a loss takes (rule S7); priorities alone do not keep it.
    pub(super) fn is_silent(&self, now: ShowTime) -> bool {
        now - self.heard >= LOSS
    }

    /// Those that came within the sampling count when it ends; later ones when they have said, or had the time to say,
    /// what priorities their slots have.
    pub(super) fn is_ready(&self, now: ShowTime, sampled: ShowTime) -> bool {
        let ready = match &self.priorities {
            _ if self.began < sampled => sampled,
            Some(_) => self.began,
            None => self.began + SAMPLING,
        };
        self.shown.is_some() && now >= ready
    }

    /// Forgets priorities of slots that are sent no more; true if there were any.
    pub(super) fn forget_priorities(&mut self, now: ShowTime) -> bool {
        self.priorities.take_if(|(heard, _)| now - *heard >= LOSS).is_some()
    }

    /// For each slot the higher priority counts, among equals the higher level.
    pub(super) fn merge_into(&self, merged: &mut Merged) {
        let Some(shown) = &self.shown else { return };
        for (slot, &level) in shown.iter().enumerate() {
            let (before, priority) = (merged.priorities[slot], self.priority_of(slot));
            if priority > before {
                (merged.priorities[slot], merged.levels[slot]) = (priority, level);
            } else if priority > 0 && priority == before {
                merged.levels[slot] = merged.levels[slot].max(level);
            }
        }
    }

    /// A whole packet's priority of 0 is the least there is; a slot's is none at all (rule S13).
    fn priority_of(&self, slot: usize) -> u8 {
        match &self.priorities {
            Some((_, priorities)) => priorities.get(slot).copied().unwrap_or(0),
            None => self.priority.max(1),
        }
    }
}
