//! What goes out live to phones: the engine says what, one thread reads the file, then it sounds.
//!
//! In: what is to be on air. Out: the same on the tracks; or, where it cannot be, silence and a word to the engine, which
//! tells whoever operates. Never here: a wait for the disk on the engine's thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use engine::show::Show;
use engine::told::{Air as What, Input};
use io::peers::{Air, Sound, TRACK_HZ};
use io::sound::decode;

/// The way from the engine's word to the tracks.
pub struct Broadcast {
    orders: Sender<Option<What>>,
}

impl Broadcast {
    /// Nothing sounds; without an [`Air`] nothing ever will, for the reason given.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(
        (show, folder): (Arc<Show>, PathBuf),
        air: Result<Air, String>,
        reports: Sender<Input>,
    ) -> std::io::Result<Self> {
        let (orders, heard) = channel();
        let read = move || put_on_air(&(show, folder), &air, &heard, &reports);
        std::thread::Builder::new().name("broadcast".into()).spawn(read)?;
        Ok(Self { orders })
    }

    /// This from now on. Never waits: a file sounds when it has been read.
    pub fn play(&self, what: Option<What>) {
        // A thread that is gone plays nothing.
        let _ = self.orders.send(what);
    }
}

fn put_on_air(
    (show, folder): &(Arc<Show>, PathBuf),
    air: &Result<Air, String>,
    orders: &Receiver<Option<What>>,
    reports: &Sender<Input>,
) {
    let read = |what| match what {
        What::Tone => Ok(Sound::Tone),
        What::Media(media) => file(&folder.join(&show.media[media.0].file)),
    };
    while let Ok(mut order) = orders.recv() {
        let mut sound = order.map(read).transpose();
        // What was asked for while a file was read is the one that counts.
        while let Some(later) = orders.try_iter().last() {
            (order, sound) = (later, later.map(read).transpose());
        }
        let played = sound.and_then(|sound| {
            air.as_ref().map_err(Clone::clone)?.play(sound);
            Ok(())
        });
        if let (Err(why), Some(what)) = (played, order) {
            // Nobody goes on hearing what was before while the box says otherwise.
            air.iter().for_each(|air| air.play(None));
            let _ = reports.send(Input::NotOnAir { what, why });
        }
    }
}

fn file(path: &Path) -> Result<Sound, String> {
    let pcm = decode(path).map_err(|error| error.to_string())?;
    Ok(Sound::File(pcm.at_rate(TRACK_HZ)))
}
