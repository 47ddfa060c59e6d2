//! What goes out live to phones: the engine says what, one thread reads the file, then it sounds.
//!
//! In: what is to be on air. Out: the same by peer connections; or, where it cannot be, silence and a word to the engine, which
//! tells whoever operates. Tracks that cues put on air are read beforehand, so that they begin at their time.
//! Never here: a wait for the disk on the engine's thread.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use engine::show::{Air as What, CuePlace, Media, Show};
use engine::sound::Pcm;
use engine::told::Input;
use io::film::{Film, Soundtrack};
use io::peers::{Air, Feature, Sound, TRACK_HZ, Tape};
use io::sound::{LiveInput, decode};
use units::{ShowTime, TrackId};

/// The way from the engine's word to the phones.
pub struct Broadcast {
    orders: Sender<Order>,
}

/// What becomes of what is on air.
enum Order {
    Play(Wanted),
    Stay,
}

/// What is to be heard, and from when on.
type Wanted = (Option<What>, ShowTime);

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
        let sources = Sources { show, folder, input, reports, kept: BTreeMap::new() };
        let read = move || {
            let sources = Sources { kept: sources.aired(), ..sources };
            put_on_air(&sources, &air, &heard);
        };
        std::thread::Builder::new().name("broadcast".into()).spawn(read)?;
        Ok(Self { orders })
    }

    /// This from then on. Never waits: a file sounds when it has been read.
    pub fn play(&self, what: Option<What>, at: ShowTime) {
        // A thread that is gone plays nothing.
        let _ = self.orders.send(Order::Play((what, at)));
    }

    /// What sounds goes on, and nothing that was asked for before takes its place.
    pub fn stay(&self) {
        let _ = self.orders.send(Order::Stay);
    }
}

/// Where sound comes from.
struct Sources {
    show: Arc<Show>,
    folder: PathBuf,
    input: Option<String>,
    reports: Sender<Input>,
    /// What cues put on air, as it goes out.
    kept: BTreeMap<TrackId, Pcm>,
}

fn put_on_air(sources: &Sources, air: &Result<Air, String>, orders: &Receiver<Order>) {
    let mut desk = Desk { air, wanted: VecDeque::new() };
    while let Ok(order) = orders.recv() {
        desk.hear(order);
        while let Some((what, at)) = desk.next(orders) {
            if what == Some(What::Input) {
                // One that is on air is let go of before it is opened anew.
                desk.play(None, at);
            }
            let sound = what.as_ref().map(|what| sources.read(what)).transpose();
            // What was asked for while a file was read is what counts.
            if desk.next(orders).as_ref() != Some(&(what.clone(), at)) {
                continue;
            }
            desk.wanted.pop_front();
            let is_there = air.as_ref().map_err(Clone::clone);
            let played = sound.and_then(|sound| is_there.map(|_| desk.play(sound, at)));
            if let (Err(why), Some(what)) = (played, what) {
                // Nobody goes on hearing what was before while the box says otherwise.
                desk.play(None, at);
                let _ = sources.reports.send(Input::NotOnAir { what, why });
            }
        }
    }
}

/// What waits to be read.
struct Desk<'a> {
    air: &'a Result<Air, String>,
    wanted: VecDeque<Wanted>,
}

impl Desk<'_> {
    fn hear(&mut self, order: Order) {
        match order {
            Order::Play(wanted) => {
                self.wanted.retain(|(_, at)| *at < wanted.1);
                self.wanted.push_back(wanted);
            }
            Order::Stay => {
                self.wanted.clear();
                self.air.iter().for_each(Air::stay);
            }
        }
    }

    /// What is to be read next, after all that was said by now.
    fn next(&mut self, orders: &Receiver<Order>) -> Option<Wanted> {
        orders.try_iter().for_each(|order| self.hear(order));
        self.wanted.front().cloned()
    }

    fn play(&self, sound: Option<(TrackId, Sound)>, at: ShowTime) {
        if let Ok(air) = self.air {
            air.play(sound, at);
        }
    }
}

impl Sources {
    fn read(&self, what: &What) -> Result<(TrackId, Sound), String> {
        let sound = match what {
            What::Tone => Sound::Tone,
            What::Input => self.listen()?,
            What::Track(track) => self.track(what, track)?,
            What::Capture { cue, since, .. } => self.tape(what, *cue, *since)?,
        };
        Ok((TrackId(what.to_string()), sound))
    }

    fn track(&self, what: &What, track: &TrackId) -> Result<Sound, String> {
        if let Some(kept) = self.kept.get(track) {
            return Ok(Sound::File(kept.clone()));
        }
        let media = self.show.tracks.get(track).ok_or("there is no such track")?;
        let named = &self.show.media[media.0];
        let path = self.folder.join(&named.file);
        match named.info.is_film() {
            true => self.film(what, &path),
            false => file(&path).map(Sound::File),
        }
    }

    /// What cannot be read is said when it is to be heard.
    fn aired(&self) -> BTreeMap<TrackId, Pcm> {
        let cues = self.show.lists.iter().flat_map(|list| &list.cues);
        let named = cues.filter_map(|cue| match cue.air.as_ref()?.what.as_ref()? {
            What::Track(track) => Some((track, &self.show.media[self.show.tracks.get(track)?.0])),
            _ => None,
        });
        let sounds = named.filter(|(_, media)| !media.info.is_film());
        let read = |media: &Media| file(&self.folder.join(&media.file)).ok();
        sounds.filter_map(|(track, media)| Some((track.clone(), read(media)?))).collect()
    }

    /// Each packet has a name of its own.
    fn tape(&self, what: &What, cue: CuePlace, since: ShowTime) -> Result<Sound, String> {
        let talk = self.show.at(cue).and_then(|cue| cue.phones.as_ref()?.talk.as_ref());
        let talk = talk.ok_or("there is no such capture")?;
        let air = talk.air.clone().ok_or("nothing that was live is in it")?;
        let tape = Box::new(Tape::new(air, since));
        Ok(Sound::Tape { tape, lost: self.lost(what) })
    }

    fn listen(&self) -> Result<Sound, String> {
        let name = self.input.as_ref().ok_or("the box file names no `input` in `[sound]`")?;
        let input = LiveInput::open(name).map_err(|error| error.to_string())?;
        Ok(Sound::Input { input, lost: self.lost(&What::Input) })
    }

    /// A film is shown without its sound, where it has none to be heard.
    fn film(&self, what: &What, path: &Path) -> Result<Sound, String> {
        let film = Film::open(path).map_err(|error| error.to_string())?;
        let mute = self.mute(what);
        let sound = Soundtrack::open(path).map_err(|error| error.to_string());
        let sound = sound.and_then(|it| it.ok_or("it has none".into())).map_err(&mute).ok();
        Ok(Sound::Film(Box::new(Feature { film, sound, lost: self.lost(what), mute })))
    }

    /// Hears why it ended by itself.
    fn lost(&self, what: &What) -> Box<dyn Fn(String) + Send> {
        let (reports, what) = (self.reports.clone(), what.clone());
        Box::new(move |why| {
            let _ = reports.send(Input::NotOnAir { what: what.clone(), why });
        })
    }

    /// Hears why it is shown without its sound.
    fn mute(&self, what: &What) -> Box<dyn Fn(String) + Send> {
        let (reports, what) = (self.reports.clone(), what.clone());
        Box::new(move |why| {
            let _ = reports.send(Input::WithoutSound { what: what.clone(), why });
        })
    }
}

fn file(path: &Path) -> Result<Pcm, String> {
    let pcm = decode(path).map_err(|error| error.to_string())?;
    Ok(pcm.at_rate(TRACK_HZ))
}
