//! Reads what people write in TOML, and says everything that is wrong with it, each at its place.
//!
//! In: the text of a file. Out: typed values, and a [`Finding`] for every mistake. Shared by the show file and
//! the box file. Never here: the disk; what a key means.
//!
//! *Spot*: a stretch of one file's text. *Node*: a value with its spot. *Finding*: an error or a warning with the
//! line it is about. A reader that finds a mistake reports it, hands back nothing, and everybody goes on.

pub mod code;
mod finding;
mod report;
mod syntax;
mod table;
mod tree;
mod words;

pub use finding::{Finding, Severity, json};
pub use report::{Report, Spot, suggestion};
pub use syntax::parse;
pub use table::{Table, in_range, whole};
pub use tree::{Entry, Node, Number, Value};
pub use words::{Read, span, word};
