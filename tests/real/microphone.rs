//! A box with a microphone of alsa-lib's `file` device: what it hears is written beforehand. Needs: alsa-lib; no card.

use serde_json::{Value, json};
use units::Span;
use wire::chirp::{self, Voice};

use crate::the_box::{Place, TheBox};
use crate::ws::{Phone, calibrated};

const RATE_HZ: u32 = 48_000;
/// The phone is heard so much later than the middle of the box's chirps.
const LATE: Span = Span::from_micros(31_250);

/// Ten seconds of both by turns, 16 bits, one channel, and a little hiss. The box opens its microphone half a second
/// before the first turn; that all of it is 50 ms late nobody can tell.
fn duet() -> Vec<u8> {
    let mut samples = vec![0.0_f64; 10 * RATE_HZ as usize];
    let mut state = 1_u32;
    for sample in &mut samples {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = f64::from(state >> 8) / f64::from(1 << 24) * 0.01;
    }
    for turn in 0..11_i64 {
        let (voice, late) =
            if turn % 2 == 0 { (Voice::Box, Span::ZERO) } else { (Voice::Phone, LATE) };
        let at = Span::from_millis(600 + 600 * turn) + late;
        for (k, sample) in samples.iter_mut().enumerate() {
            *sample += 0.3 * chirp::at(voice, k as f64 / f64::from(RATE_HZ) - at.secs_f64());
        }
    }
    samples.iter().flat_map(|it| ((it * 32_767.0) as i16).to_ne_bytes()).collect()
}

fn place() -> Place {
    let mut place = Place::new();
    let (raw, conf) = (place.path("ear.raw"), place.path("asound.conf"));
    std::fs::write(&raw, duet()).expect("written");
    let ear = format!(
        "</usr/share/alsa/alsa.conf>\npcm.ear {{ type file slave.pcm \"null\" file \"/dev/null\" infile \"{}\" format \"raw\" }}\n",
        raw.display()
    );
    std::fs::write(&conf, ear).expect("written");
    place.write_box("[sound]\ndevice = \"simulated\"\nmicrophone = \"ear\"\n");
    place.alsa = Some(conf);
    place
}

#[test]
fn sx20_the_box_hears_a_phone_through_alsa_and_tells_it_how_late_it_is() {
    let the_box = place().run();
    let mut phone = Phone::join(&the_box);
    phone.say("calibrate", &json!({}));
    let refused = phone.hear("calibrate_refused");
    assert!(refused["message"].as_str().is_some_and(|it| it.contains("closed")), "{refused}");
    assert_eq!(refused["code"], "closed");
    assert!(the_box.ask(&["calibrate"]).status.success());
    phone.say("calibrate", &json!({}));
    let start = phone.hear("calibrate_start");
    assert_eq!(start["box_at"].as_array().map(Vec::len), Some(6));
    let heard = phone.hear("calibrate_heard");
    let later = heard["later_ms"].as_array().expect("a list");
    assert_eq!(later.len(), 5);
    for ms in later {
        let off = ms.as_f64().expect("all are heard") - LATE.millis_f64();
        assert!(off.abs() < 0.02, "{heard}");
    }
}

/// A phone that chirps with the box and says that it is so late; what came of it is in its own hand.
fn chirped(the_box: &TheBox, late_ms: f64) -> Phone {
    let mut phone = Phone::join(the_box);
    phone.say("calibrate", &json!({}));
    phone.hear("calibrate_heard");
    phone.say("calibrated", &calibrated(Some(late_ms)));
    phone
}

#[test]
fn sx01_three_calibrated_phones_correct_a_fourth_and_phones_shows_it() {
    let the_box = place().run();
    assert!(the_box.ask(&["calibrate"]).status.success());
    let mut liars: Vec<Phone> = (0..3).map(|_| Phone::join(&the_box)).collect();
    liars.iter_mut().for_each(|liar| liar.say("calibrated", &calibrated(Some(40.0))));
    assert!(liars.iter_mut().all(Phone::is_served), "they were heard");
    drop(liars);
    let shown = |key: &str| {
        let answer = the_box.ask_json(&["phones"]);
        let rows = answer["phones"].as_array().expect("a list").clone();
        rows.iter().map(|row| row[key].as_f64()).collect::<Vec<_>>()
    };
    let mut phones = vec![chirped(&the_box, 2.0), chirped(&the_box, 2.1)];
    assert!(
        shown("correction_ms").iter().all(Option::is_none),
        "two and three liars are no ground"
    );
    phones.push(chirped(&the_box, 2.2));
    phones.push(Phone::join(&the_box));
    phones[3].say("calibrated", &calibrated(None));
    let corrections = phones.iter_mut().map(|phone| phone.hear("clock_correction"));
    let offsets: Vec<f64> =
        corrections.map(|it| it["offset_ms"].as_f64().expect("there is ground")).collect();
    assert!(offsets.iter().all(|offset| (1.5..2.5).contains(offset)), "{offsets:?}");
    assert_eq!(shown("correction_ms"), offsets.iter().map(|it| Some(*it)).collect::<Vec<_>>());
    let sigmas = shown("correction_sigma_ms");
    assert!(sigmas[0] < sigmas[3] && sigmas[0] > Some(0.0), "{sigmas:?}");
    phones[0].say("calibrated", &calibrated(None));
    assert_eq!(phones[3].hear("clock_correction")["offset_ms"], Value::Null, "two are no ground");
}

#[test]
fn a_box_without_a_microphone_says_so() {
    let the_box = Place::new().run();
    let refused = the_box.ask(&["calibrate"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("no microphone") && said.contains("[sound] microphone"), "{said}");
}
