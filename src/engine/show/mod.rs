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
mod footage;
mod head;
mod load;
mod looks;
mod media;
pub mod model;
mod outputs;
mod patch;
mod profiles;
mod timing;
mod universes;

pub use crate::reader::{Finding, Severity, json};
pub use footage::{FOOTAGE_MAX, Footage, Reel};
pub use load::{Loaded, Source, load};
pub use model::*;
