//! The WebAssembly door, at which `opus.js` knocks: the page writes a packet where `opus_input` says, calls, and reads
//! 32-bit floats, low byte first, where `opus_output` says.

use std::cell::RefCell;

use crate::{CHANNELS, Decoder, PACKET_MAX};

struct Door {
    decoder: Decoder,
    input: Vec<u8>,
    output: *const f32,
}

thread_local! {
    static DOOR: RefCell<Door> = RefCell::new(Door {
        decoder: Decoder::default(),
        input: vec![0; PACKET_MAX],
        output: std::ptr::null(),
    });
}

/// Room for a packet of [`PACKET_MAX`].
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn opus_input() -> *mut u8 {
    DOOR.with_borrow_mut(|door| door.input.as_mut_ptr())
}

/// Decodes the first `len` octets of the input: frames of [`CHANNELS`] samples, none where they are no packet.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn opus_decode(len: usize) -> usize {
    DOOR.with_borrow_mut(|door| {
        let packet = door.input.get(..len).unwrap_or_default();
        let samples = door.decoder.decode(packet).unwrap_or_default();
        door.output = samples.as_ptr();
        samples.len() / CHANNELS
    })
}

/// Where the samples lie until the next call.
#[expect(unsafe_code, reason = "an export needs its plain name; nothing unsafe happens in it")]
#[unsafe(no_mangle)]
pub extern "C" fn opus_output() -> *const f32 {
    DOOR.with_borrow(|door| door.output)
}
