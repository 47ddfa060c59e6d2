//! The state folder: who this box is, kept over restarts.

use std::fs::{self, TryLockError};
use std::path::Path;

use uuid::Uuid;

use crate::Refused;

/// Makes the folder and holds it for as long as the lock lives: two boxes with one id would be one source to every
/// lighting node, with two minds. Or says where to put it instead.
pub fn hold(path: &Path) -> Result<Lock, Refused> {
    let failed = |error: std::io::Error| {
        Refused(format!(
            "could not use the state folder {}: {error}: give a place this user may write, `--state DIR`",
            path.display()
        ))
    };
    fs::create_dir_all(path).map_err(failed)?;
    let file = fs::File::create(path.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Refused(format!(
            "another downbeat runs with the state folder {}: stop it, or give this one `--state DIR`",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The state folder is ours. The system takes it back when the program ends, however it ends.
#[derive(Debug)]
#[must_use]
pub struct Lock(#[expect(dead_code, reason = "it is held, not used")] fs::File);

/// The box's own id: made once, kept for good.
pub fn node_id(folder: &Path) -> Result<Uuid, Refused> {
    let path = folder.join("node-id");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| {
            Refused(format!(
                "{} holds no uuid: delete it to give the box a new one",
                path.display()
            ))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = io::chance::uuid();
            io::disk::write_whole(&path, format!("{id}\n").as_bytes(), 0o644)
                .map_err(|error| Refused(format!("could not write {}: {error}", path.display())))?;
            Ok(id)
        }
        Err(error) => Err(Refused(format!("could not read {}: {error}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_keeps_its_id_over_restarts() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = node_id(folder.path()).expect("made");
        assert_eq!(node_id(folder.path()).expect("read"), first);
        assert_eq!(first.get_version_num(), 4);
    }

    #[test]
    fn a_second_box_is_kept_out_of_the_first_ones_state() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = hold(folder.path()).expect("nobody else is here");
        let Err(Refused(why)) = hold(folder.path()) else { panic!("two boxes, one id") };
        assert!(why.contains("--state"), "{why}");
        drop(first);
        hold(folder.path()).map(drop).expect("the first has gone");
    }

    #[test]
    fn an_id_that_was_scribbled_over_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("node-id"), "me").expect("written");
        let Err(Refused(why)) = node_id(folder.path()) else { panic!("no uuid is no id") };
        assert!(why.contains("node-id"), "{why}");
    }
}
