//! What a cue puts out as sound and on phones.

use units::{Decibels, Rgb, Span, TrackId};

use super::cues::Known;
use super::media::Library;
use super::model::{
    Air, AirCue, CaptureCue, Loops, MediaId, PhoneCue, PhoneFlash, PhoneTrack, Route, SoundCue,
};
use super::talk;
use crate::reader::{Node, Read, Report, Table, Value, code, whole, word};

/// Channels of the largest card we know (MADI), which is far from any routing mistake we could tell.
const CARD_CHANNELS_MAX: u32 = 64;

/// What WCAG 2.3.1 holds for safe.
pub const FLASHES_PER_SECOND_MAX: f64 = 3.0;

/// Faster than any screen shows whole.
pub const FLASHES_PER_SECOND_EVER: f64 = 30.0;

const SOUND_KEYS: &[&str] =
    &["file", "track", "volume_db", "loop", "fade_in", "fade_out", "start_at", "routes"];

/// What sounds from the box: one sound, or a list of them.
pub fn sound(report: &Report, node: &Node, known: &mut Known) -> Vec<SoundCue> {
    node.one_or_many().iter().filter_map(|node| one_sound(report, node, known)).collect()
}

fn one_sound(report: &Report, node: &Node, known: &mut Known) -> Option<SoundCue> {
    let table = Table::open(report, node, "`sound`", SOUND_KEYS)?;
    let media = sound_media(&table, known).filter(|media| is_for_the_box(&table, *media, known));
    let sound = SoundCue {
        // Without a file the rest is read all the same, for its mistakes.
        media: media.unwrap_or(MediaId(usize::MAX)),
        volume: table.or("volume_db", Decibels::UNITY),
        loops: table.or("loop", Loops::Times(1)),
        fade_in: table.or("fade_in", Span::ZERO),
        fade_out: table.or("fade_out", Span::ZERO),
        offset: table.or("start_at", Span::ZERO),
        routes: routes(&table, media.map(|media| known.library.info(media).channels)),
    };
    let length = length(known.library, media?, sound.loops, sound.offset);
    starts_within(&table, sound.offset, sound.media, known.library);
    fades_fit(&table, sound.fade_in + sound.fade_out, length);
    Some(sound)
}

fn is_for_the_box(table: &Table, media: MediaId, known: &Known) -> bool {
    let is_film = known.library.info(media).is_film();
    if is_film {
        let spot = table.node("file").or(table.node("track")).map_or(table.spot, |node| node.spot);
        let message = "this is a film: phones play it, and the box does not".into();
        let help = "`phones = { track = … }` with its name in [tracks]; for the box, its sound as a file of its own";
        table.report.error(spot, code::MEDIA_UNREADABLE, message, Some(help.into()));
    }
    !is_film
}

fn sound_media(table: &Table, known: &mut Known) -> Option<MediaId> {
    match (table.node("file"), table.node("track")) {
        (Some(file), None) => known.library.file(file),
        (None, Some(node)) => track(table.report, node, known)?.1,
        (Some(_), Some(node)) => {
            let message = "`file` and `track` are two ways to say the same".into();
            table.report.error(
                node.spot,
                code::TWO_SOURCES,
                message,
                Some("keep one of them".into()),
            );
            None
        }
        (None, None) => {
            table.missing("file` or `track");
            None
        }
    }
}

fn track(report: &Report, node: &Node, known: &Known) -> Option<(TrackId, Option<MediaId>)> {
    let name = TrackId(String::read(node, report)?);
    if let Some(&media) = known.tracks.get(&name) {
        return Some((name, media));
    }
    let names = known.tracks.keys().map(|track| track.0.as_str());
    report.unknown(node.spot, code::UNKNOWN_TRACK, "track", &name.0, names);
    None
}

/// How long a file sounds; none if it sounds until something ends it.
pub fn length(library: &Library, media: MediaId, loops: Loops, offset: Span) -> Option<Span> {
    match loops {
        Loops::Times(times) => Some(library.info(media).length().times(times.into()) - offset),
        Loops::Forever => None,
    }
}

/// How long a recording plays; none if it plays until something ends it.
pub fn capture_length(capture: &CaptureCue) -> Option<Span> {
    match capture.loops {
        Loops::Times(times) => Some(capture.footage.length.times(times.into()) - capture.offset),
        Loops::Forever => None,
    }
}

fn starts_within(table: &Table, offset: Span, media: MediaId, library: &Library) {
    let length = library.info(media).length();
    if let Some(node) = table.node("start_at").filter(|_| offset >= length) {
        let message = format!("it starts at {offset}, and the file is over at {length}");
        table.report.error(node.spot, code::START_BEYOND_END, message, None);
    }
}

/// Said at the fade-out, or at the fade there is.
fn fades_fit(table: &Table, fades: Span, length: Option<Span>) {
    let node = table.node("fade_out").or(table.node("fade_in"));
    let (Some(node), Some(length)) = (node, length.filter(|&it| it > Span::ZERO)) else { return };
    if fades > length {
        let message = format!("the fades take {fades}, and the sound only {length}");
        table.report.error(node.spot, code::FADE_LONGER_THAN_SOUND, message, None);
    }
}

/// `channels` is how many the file has, where that is known.
fn routes(table: &Table, channels: Option<u16>) -> Vec<Route> {
    let items = table.node("routes").map_or(&[][..], Node::one_or_many);
    items.iter().filter_map(|node| route(table.report, node, channels)).collect()
}

/// People count channels from 1, the model from 0.
fn route(report: &Report, node: &Node, channels: Option<u16>) -> Option<Route> {
    let table = Table::open(report, node, "a route", &["from", "to", "volume_db"])?;
    let channel = |key: &str| {
        let node = table.node(key).or_else(|| {
            table.missing(key);
            None
        })?;
        Some((whole(report, node, 1..=CARD_CHANNELS_MAX)? as u16 - 1, node.spot))
    };
    let (from, to) = (channel("from"), channel("to"));
    let volume = table.or("volume_db", Decibels::UNITY);
    let ((from, spot), (to, _)) = (from?, to?);
    if let Some(channels) = channels.filter(|&channels| from >= channels) {
        let message = format!("there is no channel {} in a file of {channels}", from + 1);
        report.error(spot, code::NO_SUCH_CHANNEL, message, None);
    }
    Some(Route { from, to, volume })
}

impl Read for Loops {
    /// A number of times, or `"forever"`.
    fn read(node: &Node, report: &Report) -> Option<Self> {
        match &node.value {
            Value::Text(_) => word(report, node, &[("forever", Self::Forever)]),
            _ => whole(report, node, 1..=1_000_000).map(Self::Times),
        }
    }
}

const PHONE_KEYS: &[&str] = &[
    "capture",
    "color",
    "fade",
    "text",
    "track",
    "volume_db",
    "loop",
    "fade_in",
    "fade_out",
    "start_at",
    "load",
    "unload",
    "flash",
    "torch",
    "vibrate",
];
/// Longer than this nobody shakes a phone.
const VIBRATE_MAX: Span = Span::from_secs(5);

/// What phones do.
pub fn phones(report: &Report, node: &Node, known: &Known) -> Option<PhoneCue> {
    let table = Table::open(report, node, "`phones`", PHONE_KEYS)?;
    if table.node("color").is_none() {
        table.no_effect(&["fade"], "color");
    }
    if table.node("track").is_none() {
        table.no_effect(&["volume_db", "loop", "fade_in", "fade_out", "start_at"], "track");
    }
    let fade = table.or("fade", Span::ZERO);
    Some(PhoneCue {
        colour: table.read::<Rgb>("color").map(|colour| (colour, fade)),
        text: table.read("text"),
        track: phone_track(&table, known),
        flash: table.node("flash").and_then(|node| flash(report, node, known.flash_limited)),
        torch: table.read("torch"),
        vibrate: table.node("vibrate").and_then(|node| vibrate(report, node)),
        talk: talk::read(&table, known),
        load: tracks(&table, "load", known),
        unload: tracks(&table, "unload", known),
    })
}

fn vibrate(report: &Report, node: &Node) -> Option<Span> {
    let length = Span::read(node, report)?;
    if length > VIBRATE_MAX {
        let message = "`vibrate` must be 5s at most".to_owned();
        report.error(node.spot, code::OUT_OF_RANGE, message, None);
    }
    Some(length)
}

fn phone_track(table: &Table, known: &Known) -> Option<PhoneTrack> {
    let (name, media) = track(table.report, table.node("track")?, known)?;
    let track = PhoneTrack {
        track: name,
        volume: table.or("volume_db", Decibels::UNITY),
        loops: table.or("loop", Loops::Times(1)),
        fade_in: table.or("fade_in", Span::ZERO),
        fade_out: table.or("fade_out", Span::ZERO),
        offset: table.or("start_at", Span::ZERO),
    };
    if let Some(media) = media {
        starts_within(table, track.offset, media, known.library);
    }
    let length = media.and_then(|media| length(known.library, media, track.loops, track.offset));
    fades_fit(table, track.fade_in + track.fade_out, length);
    Some(track)
}

/// What goes on air, by its name; or `false`.
pub fn air(report: &Report, node: &Node, known: &Known) -> Option<AirCue> {
    let what = match &node.value {
        Value::Flag(false) => return Some(AirCue { what: None }),
        Value::Flag(true) => {
            let message = "`air` does not say what".into();
            let help = "\"tone\", \"input\" or the name of a track; `false` ends what is on air";
            report.error(node.spot, code::OUT_OF_RANGE, message, Some(help.into()));
            return None;
        }
        _ => Air::named(&String::read(node, report)?),
    };
    match what {
        Air::Tone => {}
        Air::Input => needs_input(report, node, known),
        Air::Track(_) | Air::Capture { .. } => {
            fits(report, node, track(report, node, known)?.1?, known);
        }
    }
    Some(AirCue { what: Some(what) })
}

fn needs_input(report: &Report, node: &Node, known: &Known) {
    if known.source.has_sound_input() == Some(false) {
        let message = "this box has no sound input to put on air".into();
        let help = "`input` under [sound] of the box file names one";
        report.error(node.spot, code::UNKNOWN_INPUT, message, Some(help.into()));
    }
}

fn fits(report: &Report, node: &Node, media: MediaId, known: &Known) {
    let (library, source) = (&known.library, known.source);
    let is_film = library.info(media).is_film();
    if let Some(why) = is_film.then(|| source.unfit_for_air(library.file_of(media))).flatten() {
        let message = format!("`{}` cannot go on air: {why}", library.file_of(media));
        report.error(node.spot, code::MEDIA_UNREADABLE, message, None);
    }
}

/// One name, or several.
fn tracks(table: &Table, key: &str, known: &Known) -> Vec<TrackId> {
    let nodes = table.node(key).map_or(&[][..], Node::one_or_many);
    nodes.iter().filter_map(|node| Some(track(table.report, node, known)?.0)).collect()
}

/// How long phones are busy with it; none if they are until something ends it.
pub fn phones_length(phones: &PhoneCue, known: &Known) -> Option<Span> {
    let mut longest = phones.screen_length();
    if let Some(track) = &phones.track
        && let Some(&Some(media)) = known.tracks.get(&track.track)
    {
        longest = longest.max(length(known.library, media, track.loops, track.offset)?);
    }
    Some(longest)
}

fn flash(report: &Report, node: &Node, limited: bool) -> Option<PhoneFlash> {
    let table = Table::open(report, node, "`flash`", &["count", "per_second"])?;
    let count = table.whole("count", 1..=1000).unwrap_or(1);
    let per_second = table.or("per_second", 1.0);
    let spot = table.node("per_second").map_or(table.spot, |node| node.spot);
    if !(0.1..=FLASHES_PER_SECOND_EVER).contains(&per_second) {
        let message = format!("`per_second` must be 0.1 to 30, not {per_second}");
        report.error(spot, code::OUT_OF_RANGE, message, None);
    } else if limited && per_second > FLASHES_PER_SECOND_MAX {
        let message = format!("{per_second} flashes a second can cause seizures; 3 are safe");
        let help = "`flash_limit_off = \"reason\"` under [show] allows more";
        report.error(spot, code::FLASH_TOO_FAST, message, Some(help.into()));
    }
    Some(PhoneFlash { count, per_second })
}
