//! One function a target: it takes any bytes and panics only where a promise of ours is broken.

pub mod artnet;
pub mod bloom;
pub mod boxfile;
pub mod capture;
pub mod clock;
pub mod clock_peer;
pub mod cluster;
#[cfg(feature = "real")]
pub mod dtls;
pub mod engine;
#[cfg(feature = "real")]
pub mod film;
pub mod fixture;
pub mod fseq;
pub mod ltc;
#[cfg(feature = "real")]
pub mod media;
pub mod mtc;
pub mod opus;
pub mod osc;
pub mod peers;
pub mod phone;
pub mod rdm;
pub mod sacn;
#[cfg(feature = "real")]
pub mod sctp;
pub mod sealed;
pub mod show;
pub mod solusync;
pub mod stun;
pub mod time;
pub mod token;

/// What bytes are thrown at.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name here and in `tests/fuzz`.
    pub name: &'static str,
    /// Where its seeds are, below `tests/vectors`.
    pub folders: &'static [&'static str],
    /// Throws.
    pub run: fn(&[u8]),
}

/// All of them.
pub const ALL: &[Target] = &[
    show::TARGET,
    boxfile::TARGET,
    fixture::TARGET,
    solusync::TARGET,
    bloom::TARGET,
    time::TARGET,
    token::TARGET,
    sealed::TARGET,
    opus::TARGET,
    peers::TARGET,
    stun::TARGET,
    osc::TARGET,
    sacn::TARGET,
    artnet::TARGET,
    rdm::TARGET,
    capture::TARGET,
    fseq::TARGET,
    clock_peer::TARGET,
    cluster::TARGET,
    ltc::TARGET,
    mtc::TARGET,
    phone::TARGET,
    engine::TARGET,
    clock::TARGET,
    #[cfg(feature = "real")]
    media::TARGET,
    #[cfg(feature = "real")]
    film::TARGET,
    #[cfg(feature = "real")]
    dtls::TARGET,
    #[cfg(feature = "real")]
    sctp::TARGET,
];

/// Pieces of a recording, each of which begins with `mark`; what stands before the first one is a piece, too.
fn pieces<'a>(bytes: &'a [u8], mark: &[u8]) -> Vec<&'a [u8]> {
    let starts = bytes.windows(mark.len()).enumerate().filter(|(at, it)| *at > 0 && *it == mark);
    let cuts: Vec<usize> =
        [0].into_iter().chain(starts.map(|(at, _)| at)).chain([bytes.len()]).collect();
    cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect()
}
