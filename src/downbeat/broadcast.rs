//! What goes out live to phones: the engine says what, one thread reads the file, then it sounds.
//!
//! In: what is to be on air. Out: the same by peer connections; or, where it cannot be, silence and a word to the engine, which
//! tells whoever operates. Never here: a wait for the disk on the engine's thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use engine::show::{CuePlace, Show};
use engine::told::{Air as What, Input};
use io::film::{Film, Soundtrack};
use io::peers::{Air, Feature, Sound, TRACK_HZ, Tape};
use io::sound::{LiveInput, decode};
use units::{ShowTime, TrackId};

/// The way from the engine's word to the phones.
pub struct Broadcast {
    orders: Sender<Option<What>>,
}

impl Broadcast {
    /// Nothing sounds; without an [`Air`] nothing ever will, for the reason given. `input` is `[sound] input`.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(
        (show, folder): (Arc<Show>, PathBuf),
        input: Option<String>,
        air: Result<Air, String>,
        reports: Sender<Input>,
    ) -> std::io::Result<Self> {
        let (orders, heard) = channel();
        let sources = Sources { show, folder, input, reports };
        let read = move || put_on_air(&sources, &air, &heard);
        std::thread::Builder::new().name("broadcast".into()).spawn(read)?;
        Ok(Self { orders })
    }

    /// This from now on. Never waits: a file sounds when it has been read.
    pub fn play(&self, what: Option<What>) {
        // A thread that is gone plays nothing.
        let _ = self.orders.send(what);
    }
}

/// Where sound comes from.
struct Sources {
    show: Arc<Show>,
    folder: PathBuf,
    input: Option<String>,
    reports: Sender<Input>,
}

fn put_on_air(sources: &Sources, air: &Result<Air, String>, orders: &Receiver<Option<What>>) {
    while let Ok(mut order) = orders.recv() {
        if order == Some(What::Input) {
            // One that is on air is let go of before it is opened anew.
            air.iter().for_each(|air| air.play(None));
        }
        let mut sound = order.map(|what| sources.read(what)).transpose();
        // What was asked for while a file was read is the one that counts.
        while let Some(later) = orders.try_iter().last() {
            (order, sound) = (later, later.map(|what| sources.read(what)).transpose());
        }
        let played = sound.and_then(|sound| {
            air.as_ref().map_err(Clone::clone)?.play(sound);
            Ok(())
        });
        if let (Err(why), Some(what)) = (played, order) {
            // Nobody goes on hearing what was before while the box says otherwise.
            air.iter().for_each(|air| air.play(None));
            let _ = sources.reports.send(Input::NotOnAir { what, why });
        }
    }
}

impl Sources {
    fn read(&self, what: What) -> Result<(TrackId, Sound), String> {
        match what {
            What::Tone => Ok((TrackId("tone".into()), Sound::Tone)),
            What::Input => Ok((TrackId("input".into()), self.listen()?)),
            What::Capture { cue, since } => self.tape(what, cue, since),
            What::Media(media) => {
                let mut tracks = self.show.tracks.iter();
                let track = tracks.find_map(|(name, it)| (*it == media).then(|| name.clone()));
                let track = track.unwrap_or_else(|| TrackId("file".into()));
                let named = &self.show.media[media.0];
                let path = self.folder.join(&named.file);
                Ok((
                    track,
                    if named.info.is_film() { self.film(what, &path)? } else { file(&path)? },
                ))
            }
        }
    }

    /// Each packet has a name of its own.
    fn tape(&self, what: What, cue: CuePlace, since: ShowTime) -> Result<(TrackId, Sound), String> {
        let talk = self.show.at(cue).and_then(|cue| cue.phones.as_ref()?.talk.as_ref());
        let talk = talk.ok_or("there is no such capture")?;
        let sound = talk.sound.clone().ok_or("no live sound is in it")?;
        let tape = Box::new(Tape::new(sound, since));
        Ok((TrackId(talk.file.clone()), Sound::Tape { tape, lost: self.lost(what) }))
    }

    fn listen(&self) -> Result<Sound, String> {
        let name = self.input.as_ref().ok_or("the box file names no `input` in `[sound]`")?;
        let input = LiveInput::open(name).map_err(|error| error.to_string())?;
        Ok(Sound::Input { input, lost: self.lost(What::Input) })
    }

    /// A film is shown without its sound, where it has none to be heard.
    fn film(&self, what: What, path: &Path) -> Result<Sound, String> {
        let film = Film::open(path).map_err(|error| error.to_string())?;
        let mute = self.mute(what);
        let sound = Soundtrack::open(path).map_err(|error| error.to_string());
        let sound = sound.and_then(|it| it.ok_or("it has none".into())).map_err(&mute).ok();
        Ok(Sound::Film(Box::new(Feature { film, sound, lost: self.lost(what), mute })))
    }

    /// Hears why it ended by itself.
    fn lost(&self, what: What) -> Box<dyn Fn(String) + Send> {
        let reports = self.reports.clone();
        Box::new(move |why| {
            let _ = reports.send(Input::NotOnAir { what, why });
        })
    }

    /// Hears why it is shown without its sound.
    fn mute(&self, what: What) -> Box<dyn Fn(String) + Send> {
        let reports = self.reports.clone();
        Box::new(move |why| {
            let _ = reports.send(Input::WithoutSound { what, why });
        })
    }
}

fn file(path: &Path) -> Result<Sound, String> {
    let pcm = decode(path).map_err(|error| error.to_string())?;
    Ok(Sound::File(pcm.at_rate(TRACK_HZ)))
}
