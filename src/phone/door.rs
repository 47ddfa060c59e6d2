//! The WebAssembly door: plain exports, one JSON text in, one out. The page's `core.js` knocks here.
//!
//! The page asks for room (`phone_input`), writes UTF-8 there, calls, and reads what `phone_output` and
//! `phone_output_len` point at. No 64-bit numbers cross: Safari 14 cannot pass them.

use std::cell::RefCell;

use serde::Serialize;
use serde::de::DeserializeOwned;
use units::MonoTime;
use wire::chirp;
use wire::duet::Recording;

use crate::scale::from_secs;
use crate::{Core, Event};

#[derive(Default)]
struct Door {
    core: Option<Core>,
    input: Vec<u8>,
    output: Vec<u8>,
}

thread_local! {
    static DOOR: RefCell<Door> = RefCell::default();
}

/// Room for `len` bytes of input; it stays there until the next call of this function.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn phone_input(len: usize) -> *mut u8 {
    with(|door| {
        door.input.resize(len, 0);
        door.input.as_mut_ptr()
    })
}

/// Begins anew; the input is a [`crate::Start`]. False where it is none.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn phone_begin(now_ms: f64) -> bool {
    with(|door| {
        let start: Option<crate::Start> = read(&door.input);
        door.core = start.map(|start| Core::new(mono(now_ms), &start));
        door.core.is_some()
    })
}

/// Something happened; the input is an [`Event`], the output a [`crate::Turn`]. False where it is none.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn phone_handle(now_ms: f64) -> bool {
    with(|door| {
        let event = read::<Event>(&door.input);
        let turn =
            event.zip(door.core.as_mut()).map(|(event, core)| core.handle(mono(now_ms), event));
        door.say(turn.as_ref())
    })
}

/// What the microphone recorded from an audio time on; the input is 32-bit floats, low byte first. The output is a
/// [`crate::Turn`]. False before `phone_begin`.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn phone_recorded(now_ms: f64, rate_hz: u32, from_s: f64) -> bool {
    with(|door| {
        let floats = door.input.chunks_exact(4);
        let samples = floats.map(|it| f32::from_le_bytes([it[0], it[1], it[2], it[3]])).collect();
        let recording = Recording { rate_hz, samples };
        let turn = door
            .core
            .as_mut()
            .map(|core| core.handle_recording(mono(now_ms), &recording, from_secs(from_s)));
        door.say(turn.as_ref())
    })
}

/// The phone's chirp at this rate; the output is 32-bit floats, low byte first.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn phone_chirp(rate_hz: u32) {
    with(|door| {
        let chirp = chirp::samples(chirp::Voice::Phone, rate_hz.clamp(8_000, 192_000));
        door.output = chirp.into_iter().flat_map(f32::to_le_bytes).collect();
    });
}

/// What to show; the output is a [`crate::Look`]. False before `phone_begin`.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn phone_look(now_ms: f64) -> bool {
    with(|door| {
        let look = door.core.as_ref().map(|core| core.look(mono(now_ms)));
        door.say(look.as_ref())
    })
}

/// Network time in milliseconds since 1970, for watchers; NaN before `phone_begin`.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn phone_net_ms(now_ms: f64) -> f64 {
    with(|door| {
        door.core.as_ref().map_or(f64::NAN, |core| core.net(mono(now_ms)).ns() as f64 / 1e6)
    })
}

/// Where the output lies until the next call.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn phone_output() -> *const u8 {
    with(|door| door.output.as_ptr())
}

/// How long it is.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn phone_output_len() -> usize {
    with(|door| door.output.len())
}

impl Door {
    fn say<T: Serialize>(&mut self, what: Option<&T>) -> bool {
        self.output.clear();
        what.is_some_and(|what| serde_json::to_writer(&mut self.output, what).is_ok())
    }
}

fn with<T>(act: impl FnOnce(&mut Door) -> T) -> T {
    DOOR.with_borrow_mut(act)
}

fn mono(ms: f64) -> MonoTime {
    from_secs(ms / 1e3)
}

/// As text, like what the box says: a second reader of bytes would be a tenth of the core.
fn read<T: DeserializeOwned>(input: &[u8]) -> Option<T> {
    std::str::from_utf8(input).ok().and_then(|text| serde_json::from_str(text).ok())
}
