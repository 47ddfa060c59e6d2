//! Tables under review: what a run gives is compared with the file in `tests/tables`, and a change shows as a diff.
//! `UPDATE_TABLES=1 cargo test -p tests --test scenarios` writes them anew; read the diff before you commit it.

use std::path::{Path, PathBuf};

/// Compares with the reviewed table of that name.
pub fn compare(name: &str, now: &str) {
    let path = folder().join(name);
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, now).expect("the tables' folder can be written");
    }
    let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some((line, (was, is))) =
        reviewed.lines().zip(now.lines()).enumerate().find(|(_, (was, is))| was != is)
    {
        panic!("{name}:{}: reviewed\n    {was}\nand now\n    {is}", line + 1);
    }
    assert_eq!(reviewed.lines().count(), now.lines().count(), "{name} has another length");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tables")
}
