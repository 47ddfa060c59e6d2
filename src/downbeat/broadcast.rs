//! What goes out live to phones: the engine says what, a file is read beside everything else, then it sounds.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::show::Show;
use engine::told::Air as What;
use io::peers::{Air, Sound};
use io::sound::decode;

/// The way from the engine's word to the tracks.
pub struct Broadcast {
    show: Arc<Show>,
    folder: PathBuf,
    air: Arc<Mutex<Option<Air>>>,
    /// The latest order: a file that took long to read does not come over it.
    latest: Arc<AtomicU64>,
}

impl Broadcast {
    /// Nothing sounds; without an [`Air`], nothing ever will.
    pub fn new(show: Arc<Show>, folder: PathBuf, air: Option<Air>) -> Self {
        Self { show, folder, air: Arc::new(Mutex::new(air)), latest: Arc::default() }
    }

    /// This from now on. Never waits.
    pub fn play(&self, what: Option<What>) {
        let order = self.latest.fetch_add(1, Ordering::AcqRel) + 1;
        let (air, latest) = (self.air.clone(), self.latest.clone());
        let put = move |sound| {
            let air = air.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(air) = air.as_ref().filter(|_| latest.load(Ordering::Acquire) == order) {
                air.play(sound);
            }
        };
        match what {
            None => put(None),
            Some(What::Tone) => put(Some(Sound::Tone)),
            Some(What::Media(media)) => {
                let path = self.folder.join(&self.show.media[media.0].file);
                std::thread::spawn(move || match decode(&path) {
                    Ok(pcm) => put(Some(Sound::File(pcm.at_rate(io::peers::TRACK_HZ)))),
                    Err(error) => tracing::error!(%error, file = %path.display(), "not on air"),
                });
            }
        }
    }
}
