//! The WebAssembly door of what pages with pictures need beside the core: plain numbers in, plain numbers out. The
//! page's `pictures.js` knocks here.
//!
//! Times of films are of the audio clock, in seconds; those of live pictures are network time, in milliseconds. Whatever is
//! not known by its number is passed over.

use std::cell::RefCell;
use std::collections::BTreeMap;

use units::Span;

use crate::film::{Film, Leg, Screen, Wish};
use crate::scale::{NetTime, from_secs};
use crate::screening::{Piece, Screening, Verdict};

#[derive(Default)]
struct Door {
    screening: Screening,
    films: BTreeMap<u32, Film>,
    numbers: u32,
    wish: Option<Wish>,
}

thread_local! {
    static DOOR: RefCell<Door> = RefCell::default();
}

/// A film of so many seconds; its number.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn film_new(length_s: f64) -> u32 {
    with(|door| {
        door.numbers += 1;
        door.films.insert(door.numbers, Film::new(length_s));
        door.numbers
    })
}

/// It is needed no more.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn film_drop(film: u32) {
    with(|door| door.films.remove(&film));
}

/// [`Film::handle_begin`].
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn film_begin(
    film: u32,
    segment: u32,
    at_s: f64,
    place_s: f64,
    rate: f64,
    looped: bool,
) {
    let leg = Leg { at: from_secs(at_s), place: place_s, rate };
    with(|door| door.film(film, |it| it.handle_begin(segment, leg, looped)));
}

/// [`Film::handle_rate`], of whichever film's piece it is.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn film_rate(segment: u32, at_s: f64, rate: f64) {
    with(|door| door.all(|it| it.handle_rate(segment, from_secs(at_s), rate)));
}

/// [`Film::handle_end`], of whichever film's piece it is.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn film_end(segment: u32, at_s: f64) {
    with(|door| door.all(|it| it.handle_end(segment, from_secs(at_s))));
}

/// Whether a piece is a film's.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn film_owns(segment: u32) -> bool {
    with(|door| door.films.values().any(|it| it.owns(segment)))
}

/// [`Film::handle_seen`].
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn film_seen(film: u32, at_s: f64, now_s: f64, place_s: f64) {
    with(|door| {
        door.film(film, |it| it.handle_seen(from_secs(at_s), from_secs(now_s), place_s));
    });
}

/// [`Film::poll`]: 1 if it is shown, 2 if it is to be set; then ask [`film_place`] and [`film_pace`]. And 4 while there
/// is anything to show of it.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn film_poll(film: u32, now_s: f64, place_s: f64, runs: bool, seeks: bool) -> u32 {
    let screen = Screen { place: place_s, runs, seeks };
    with(|door| {
        let Some(it) = door.films.get_mut(&film) else { return 0 };
        let wish = it.poll(from_secs(now_s), screen);
        let busy = u32::from(it.is_busy());
        door.wish = Some(wish);
        u32::from(wish.shown) | u32::from(wish.set.is_some()) << 1 | busy << 2
    })
}

/// Where the film is to be set that was polled last, seconds.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn film_place() -> f64 {
    with(|door| door.wish.and_then(|wish| wish.set).unwrap_or(f64::NAN))
}

/// How fast it is to run.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn film_pace() -> f64 {
    with(|door| door.wish.map_or(1.0, |wish| wish.rate))
}

/// [`Screening::handle_piece`]: 0 dropped, 1 kept, 2 whole; and 4 beside it where all that waits is of another film. Eight for
/// each picture that waits no more, from the first on ([`Screening::poll_dropped`]); the whole one waits already.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn live_piece(
    now_ms: f64,
    index: f64,
    at_ms: f64,
    lasts_s: f64,
    left: u32,
    is_key: bool,
    octets: u32,
) -> u32 {
    let lasts = Span::from_secs_f64(lasts_s);
    let piece = Piece { index: index as u64, at: net(at_ms), lasts, left, is_key, octets };
    with(|door| {
        let begins = door.screening.begins(&piece);
        if begins {
            door.screening.restart();
        }
        let verdict = match door.screening.handle_piece(&piece, net(now_ms)) {
            Verdict::Dropped => 0,
            Verdict::Kept => 1,
            Verdict::Whole => 2 | (door.screening.poll_dropped(net(now_ms)) as u32) << 3,
        };
        verdict | u32::from(begins) << 2
    })
}

/// [`Screening::poll_decode`].
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn live_decodes(now_ms: f64) -> bool {
    with(|door| door.screening.poll_decode(net(now_ms)))
}

/// [`Screening::handle_decoded`].
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn live_decoded(at_ms: f64) {
    with(|door| door.screening.handle_decoded(net(at_ms)));
}

/// [`Screening::handle_broken`].
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn live_broken() {
    with(|door| door.screening.handle_broken());
}

/// [`Screening::poll_drawn`]: two for each of the decoded pictures that is past, and 1 beside them where the last of these is
/// drawn; -1 where nothing is on.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn live_drawn(now_ms: f64) -> i32 {
    with(|door| {
        let drawn = door.screening.poll_drawn(net(now_ms));
        if drawn.is_on { (drawn.past as i32) << 1 | i32::from(drawn.draws) } else { -1 }
    })
}

/// [`Screening::counts`]: 0 shown, 1 held, 2 skipped, 3 late, 4 lost.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn live_count(which: u32) -> f64 {
    with(|door| {
        let counts = door.screening.counts();
        (match which {
            0 => counts.shown,
            1 => counts.held,
            2 => counts.skipped,
            3 => counts.late,
            _ => counts.lost,
        }) as f64
    })
}

fn net(ms: f64) -> NetTime {
    from_secs(ms / 1e3)
}

impl Door {
    fn film(&mut self, film: u32, act: impl FnOnce(&mut Film)) {
        if let Some(film) = self.films.get_mut(&film) {
            act(film);
        }
    }

    fn all(&mut self, act: impl FnMut(&mut Film)) {
        self.films.values_mut().for_each(act);
    }
}

fn with<T>(act: impl FnOnce(&mut Door) -> T) -> T {
    DOOR.with_borrow_mut(act)
}
