//! What a phone says of itself, by what is live at it.

use super::*;

fn page(role: Role, listens: bool) -> Core {
    Core::new(MonoTime::ZERO, &Start { role, listens, ..Start::default() })
}

fn at(secs: i64) -> MonoTime {
    MonoTime::ZERO + Span::from_secs(secs)
}

fn pictures(seen: bool) -> Event {
    Event::Pictures { seen, counts: PictureCounts::default() }
}

#[test]
fn sx11_a_live_film_without_sound_plays_as_long_as_it_is_seen() {
    for role in [Role::Phone, Role::Screen] {
        let mut core = page(role, false);
        core.handle(at(1), pictures(false));
        assert_eq!(core.doing(at(1)), Doing::Ready, "it is decoded, and not seen yet");
        core.handle(at(2), pictures(true));
        assert_eq!(core.doing(at(60)), Doing::Playing);
        core.handle(at(60), pictures(false));
        assert_eq!(core.doing(at(60)), Doing::Ready);
    }
}

#[test]
fn sx20_nobody_is_asked_early_or_late_before_anything_has_sounded() {
    for (listens, before) in [(false, Ear::Closed), (true, Ear::Calibrates)] {
        let mut core = page(Role::Phone, listens);
        assert_eq!(core.look(at(1)).ear, before);
        core.handle(at(1), pictures(true));
        assert_eq!(core.look(at(2)).ear, Ear::Closed, "what is only seen makes no sound");
        core.handle(at(2), pictures(false));
        assert_eq!(core.look(at(2)).ear, before);
        core.has_sounded = true;
        assert_eq!(core.handle(at(3), Event::Tick).look.ear, Ear::Nudges, "and so it stays");
    }
}
