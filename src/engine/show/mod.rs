//! The show file: what it holds (`model`), how it is read, and every mistake that can be seen before doors.
//!
//! In: the text of `show.toml` and of what it includes, and what is known of its sound files. Out: a [`Show`] in
//! which everything is resolved, or findings that say what keeps it from running, all of them at once.
//! Never here: the disk (a [`Source`] hands the files in); a guess at what was meant.
//!
//! The way through: `load` gathers the files; `patch`, `looks`, `media`, `captures`, `cues` read one table each and resolve
//! names; `timing` walks the finished lists. `docs/show-file.md` is the page for people.

mod acts;
mod captures;
mod cues;
mod dark;
mod effects;
mod film;
mod footage;
mod hang;
mod head;
mod inputs;
mod kind;
mod light;
mod load;
mod looks;
mod masters;
mod media;
pub mod model;
mod outputs;
mod patch;
mod profiles;
mod sends;
mod talk;
mod timecode;
mod timing;
mod track;
mod triggers;
mod universes;
mod untold;
mod values;

pub use crate::reader::{Finding, Severity, json};
pub use film::{Film, Projector, Shown, Unplayable};
pub use footage::{FOOTAGE_MAX, Footage, Opening, Reel};
pub use load::{Loaded, Source, load};
pub use masters::{GRAND, find as find_master};
pub use model::*;
pub use talk::{AirReader, PhoneTalk, Recorded, RecordedAir, RecordedPacket, TalkLine, Told};
pub use track::{aired, tracked};
