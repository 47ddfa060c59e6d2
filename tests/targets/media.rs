//! Sound files: decoded, or refused with a reason; never longer than their bytes can be.

use std::io::Write;

use io::sound::{decode, media_info};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "media", folders: &["media"], run };

/// FLAC's constant blocks are the densest: 65,535 frames in some ten bytes.
const FRAMES_A_BYTE_MAX: usize = 8_192;

fn run(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("there is room for a file");
    file.write_all(bytes).expect("there is room for it");
    let (info, pcm) = (media_info(file.path()), decode(file.path()));
    if let Err(error) = &info {
        assert!(!error.to_string().is_empty());
    }
    let Ok(pcm) = pcm else { return };
    assert!(pcm.frames() > 0 && pcm.channels() > 0);
    assert!(pcm.frames() <= bytes.len() * FRAMES_A_BYTE_MAX, "{} frames", pcm.frames());
    for channel in 0..pcm.channels() {
        let plane = pcm.plane(channel).expect("it is one of its channels");
        assert!(plane.len() == pcm.frames() && plane.iter().all(|sample| sample.is_finite()));
    }
    let info = info.expect("what can be decoded can be described");
    assert_eq!((info.rate_hz, usize::from(info.channels)), (pcm.rate_hz(), pcm.channels()));
}
