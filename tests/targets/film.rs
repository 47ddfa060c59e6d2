//! Films that go out live: read picture by picture, and their sound packet by packet, or refused with a reason; never more
//! than the bytes hold.

use std::io::Cursor;
use std::sync::Arc;

use io::film::{Film, Soundtrack, UNIT_MAX};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "film", folders: &["film"], run };

/// A picture takes at least an octet, but several may lie in the same place.
const UNITS_MAX: usize = 2_000;

/// A second and a half of packets, over all of which the sound of the seeds is.
const PACKETS: i64 = 75;

fn run(bytes: &[u8]) {
    run_pictures(bytes);
    let whole: Arc<[u8]> = bytes.into();
    let open = move || Ok(Box::new(Cursor::new(whole.clone())) as _);
    let Ok(Some(mut sound)) = Soundtrack::read_from(Box::new(open)) else { return };
    let mut packet = [[0.0; 2]; 960];
    for k in 0..PACKETS {
        if sound.read(960 * k, &mut packet).is_err() {
            break;
        }
        assert!(packet.as_flattened().iter().all(|it| it.is_finite()));
    }
    let _ = sound.rewind().and_then(|()| sound.read(0, &mut packet));
}

fn run_pictures(bytes: &[u8]) {
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
