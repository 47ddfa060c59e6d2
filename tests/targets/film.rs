//! Films that go out live: read picture by picture, or refused with a reason; never more than the bytes hold.

use std::io::Cursor;

use io::film::{Film, UNIT_MAX};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "film", folders: &["film"], run };

/// A picture takes at least an octet, but several may lie in the same place.
const UNITS_MAX: usize = 2_000;

fn run(bytes: &[u8]) {
    let read = || Film::read(Box::new(Cursor::new(bytes.to_vec())));
    match read().and_then(Film::survey) {
        Ok(_) => {}
        Err(why) => assert!(!why.to_string().is_empty()),
    }
    let Ok(mut film) = read() else { return };
    let mut count = 0;
    while let Ok(Some(unit)) = film.next_unit() {
        assert!(!unit.data.is_empty() && unit.data.len() <= UNIT_MAX);
        // With start codes for lengths, and parameter sets, which stand in the bytes once.
        assert!(unit.data.len() <= 8 * bytes.len(), "{} of {}", unit.data.len(), bytes.len());
        assert!(unit.lasts > units::Span::ZERO);
        count += 1;
        if count == UNITS_MAX {
            break;
        }
    }
    // Whatever was read, it begins anew or says why not.
    let _ = film.rewind().and_then(|()| film.next_unit());
}
