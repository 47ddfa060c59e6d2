//! Damaged sound files. Needs a folder for temporary files.
//!
//! `FUZZ_SECONDS=600 cargo test --release -p tests --test real fuzz::` goes on as long.

use tests::attack::{Budget, attack};
use tests::targets::media;

#[test]
fn whatever_a_sound_file_holds_is_decoded_or_refused_with_a_reason() {
    attack(&media::TARGET, Budget::from_env(1000));
}
