//! Damaged sound files and films, and packets within a peer connection. Needs a folder for temporary files.
//!
//! `FUZZ_SECONDS=600 cargo test --release -p tests --test real fuzz::` goes on as long.

use tests::attack::{Budget, attack};
use tests::targets::{dtls, film, media, sctp};

#[test]
fn whatever_a_sound_file_holds_is_decoded_or_refused_with_a_reason() {
    leave_out_what_is_contained();
    attack(&media::TARGET, Budget::from_env(1000));
}

#[test]
fn sx11_whatever_a_film_holds_goes_out_picture_by_picture_or_is_refused_with_a_reason() {
    attack(&film::TARGET, Budget::from_env(1000));
}

#[test]
fn sx06_whatever_records_come_between_those_of_a_handshake_nothing_panics_or_goes_on_for_ever() {
    attack(&dtls::TARGET, Budget::from_env(200));
}

#[test]
fn sx06_whatever_chunks_a_phone_sends_in_its_connection_are_taken_or_left() {
    attack(&sctp::TARGET, Budget::from_env(3000));
}

/// Panics of the crate that reads sound files are contained and told as reasons; hundreds of their backtraces would bury those of
/// the tests beside this one.
fn leave_out_what_is_contained() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_its = |place: &std::panic::Location<'_>| place.file().contains("symphonia");
        if !panic.location().is_some_and(is_its) {
            tell(panic);
        }
    }));
}
