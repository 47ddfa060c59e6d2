//! A film on a screen that we hold in our hands, in virtual time.

use super::*;

const LENGTH: f64 = 60.0;
const STEP: Span = Span::from_millis(10);

/// Shows a film as a browser does: a picture of 40 ms when it comes to it, later than it was told by what setting takes.
struct Cinema {
    film: Film,
    now: AudioTime,
    place: f64,
    runs: bool,
    shown: bool,
    rate: f64,
    /// Its own crystal.
    skew: f64,
    /// What it takes to set the film anew, and what is left of that.
    takes: Span,
    waits: Span,
    sets: Vec<f64>,
    last: i64,
}

fn at(ms: i64) -> AudioTime {
    AudioTime::from_ns(ms * 1_000_000)
}

impl Cinema {
    /// A film that begins after a second, at its fifth.
    fn new() -> Self {
        Self::playing(5.0, false)
    }

    fn playing(place: f64, looped: bool) -> Self {
        let mut film = Film::new(LENGTH);
        film.handle_begin(1, Leg { at: at(1_000), place, rate: 1.0 }, looped);
        Self {
            film,
            now: at(0),
            place: 0.0,
            runs: false,
            shown: false,
            rate: 1.0,
            skew: 0.0,
            takes: Span::ZERO,
            waits: Span::ZERO,
            sets: Vec::new(),
            last: -1,
        }
    }

    fn run(&mut self, span: Span) {
        let end = self.now + span;
        while self.now < end {
            self.now += STEP;
            self.turn();
        }
    }

    fn turn(&mut self) {
        if self.waits > Span::ZERO {
            self.waits -= STEP;
        } else if self.runs {
            self.place = (self.place + STEP.secs_f64() * self.rate * (1.0 + self.skew)).min(LENGTH);
        }
        let picture = (self.place / 0.04).floor() as i64;
        if picture != self.last && self.waits == Span::ZERO && self.runs {
            self.last = picture;
            self.film.handle_seen(self.now, self.now, picture as f64 * 0.04);
        }
        self.runs = self.runs && self.place < LENGTH;
        let screen = Screen { place: self.place, runs: self.runs, seeks: self.waits > Span::ZERO };
        let wish = self.film.poll(self.now, screen);
        (self.shown, self.runs, self.rate) = (wish.shown, wish.shown, wish.rate);
        if let Some(place) = wish.set {
            self.sets.push(place);
            (self.place, self.waits) = (place, self.takes);
        }
    }

    /// By how much it is ahead of where it should be.
    fn ahead(&self, began: f64) -> f64 {
        self.place - (began + (self.now - at(1_000)).secs_f64())
    }
}

#[test]
fn sx19_a_film_is_laid_ready_unseen_and_begins_at_its_time_from_its_place() {
    let mut cinema = Cinema::new();
    cinema.run(Span::from_millis(900));
    assert_eq!((cinema.shown, cinema.runs, &cinema.sets[..]), (false, false, &[5.0][..]));
    cinema.run(Span::from_millis(200));
    assert!(cinema.shown && cinema.ahead(5.0).abs() < 0.02, "{}", cinema.ahead(5.0));
}

#[test]
fn sx19_less_than_a_picture_is_made_good_by_the_rate_and_then_it_runs_as_it_should() {
    let mut cinema = Cinema::new();
    cinema.run(Span::from_millis(1_500));
    let sets = cinema.sets.len();
    cinema.place -= 0.03;
    cinema.run(Span::from_secs(6));
    assert_eq!(cinema.sets.len(), sets, "nothing jumps");
    assert!(cinema.ahead(5.0).abs() < 0.015, "{}", cinema.ahead(5.0));
}

#[test]
fn sx19_a_screen_whose_crystal_is_off_is_held_without_a_jump() {
    let mut cinema = Cinema::new();
    cinema.skew = 2e-3;
    cinema.run(Span::from_millis(1_500));
    let sets = cinema.sets.len();
    cinema.run(Span::from_secs(40));
    assert_eq!(cinema.sets.len(), sets);
    assert!(cinema.ahead(5.0).abs() < 0.02, "80 ms by then: {}", cinema.ahead(5.0));
}

#[test]
fn sx19_more_than_a_picture_is_too_much_and_what_setting_takes_is_learnt() {
    let mut cinema = Cinema::new();
    cinema.takes = Span::from_millis(350);
    cinema.run(Span::from_secs(5));
    assert!(cinema.ahead(5.0).abs() < 0.04, "{}", cinema.ahead(5.0));
    let sets = cinema.sets.len();
    cinema.place -= 0.5;
    cinema.run(Span::from_secs(3));
    assert_eq!(cinema.sets.len(), sets + 1, "once it is known, once is enough");
    assert!(cinema.ahead(5.0).abs() < 0.04, "{}", cinema.ahead(5.0));
}

#[test]
fn sx19_a_loop_goes_on_over_its_end_and_one_that_does_not_ends_there() {
    let mut cinema = Cinema::playing(58.0, true);
    cinema.run(Span::from_secs(8));
    assert!(cinema.shown && (cinema.ahead(58.0) + LENGTH).abs() < 0.04, "{}", cinema.ahead(58.0));
    let mut cinema = Cinema::playing(58.0, false);
    cinema.run(Span::from_secs(8));
    assert!(!cinema.shown && !cinema.film.is_busy());
}

#[test]
fn sx19_a_film_follows_the_sound_s_own_rate_and_ends_with_it() {
    let mut cinema = Cinema::new();
    cinema.run(Span::from_millis(1_500));
    cinema.film.handle_rate(1, at(2_000), 1.002);
    cinema.run(Span::from_secs(10));
    let due = 5.0 + 1.0 + (cinema.now - at(2_000)).secs_f64() * 1.002;
    assert!((cinema.place - due).abs() < 0.02, "{} and not {due}", cinema.place);
    cinema.film.handle_end(1, cinema.now + Span::from_millis(500));
    cinema.run(Span::from_millis(400));
    assert!(cinema.shown && cinema.film.owns(1));
    cinema.run(Span::from_millis(200));
    assert!(!cinema.shown && !cinema.runs && !cinema.film.owns(1));
}

#[test]
fn sx19_a_film_that_takes_over_is_shown_from_its_own_time_on() {
    let mut cinema = Cinema::new();
    cinema.run(Span::from_secs(2));
    cinema.film.handle_begin(2, Leg { at: at(4_000), place: 30.0, rate: 1.0 }, false);
    cinema.film.handle_end(1, at(4_030));
    cinema.run(Span::from_secs(5));
    let due = 30.0 + (cinema.now - at(4_000)).secs_f64();
    assert!((cinema.place - due).abs() < 0.04, "{} and not {due}", cinema.place);
}
