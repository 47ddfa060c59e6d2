//! Open Sound Control 1.0, as operators' surfaces send it.
//!
//! In: a datagram. Out: its messages, bundles unfolded in order (their time tags are ignored: a surface's button
//! means now). Never here: what an address means.

use rosc::{OscPacket, OscType};
use units::Level;

/// Longest datagram that is looked at: more than any surface sends, and few enough bytes that bundles within
/// bundles stay shallow.
pub const DATAGRAM_MAX: usize = 1536;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `/go`, `/cue/2.5/start`, …
    pub address: String,
    /// Whether it is a button let go: surfaces send 1 when it is pressed and 0 when it is released.
    pub released: bool,
    /// Where a fader stands: its first argument if that is a number, from 0 (out) to 1 (full); what is beyond is there.
    pub level: Option<Level>,
}

/// Why a datagram was no OSC.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Longer than [`DATAGRAM_MAX`].
    #[error("longer than {DATAGRAM_MAX} bytes")]
    TooLong,
    /// Not OSC, or cut off.
    #[error("not OSC: {0}")]
    Invalid(String),
}

/// Datagram to messages.
///
/// # Errors
/// What is too long or no OSC.
pub fn parse(datagram: &[u8]) -> Result<Vec<Message>, ParseError> {
    if datagram.len() > DATAGRAM_MAX {
        return Err(ParseError::TooLong);
    }
    if let Some(message) = without_types(datagram) {
        return Ok(vec![message]);
    }
    let (_, packet) = rosc::decoder::decode_udp(datagram)
        .map_err(|error| ParseError::Invalid(error.to_string()))?;
    let mut messages = Vec::new();
    unfold(packet, &mut messages);
    Ok(messages)
}

/// A message of an older surface, whose arguments have no types (OSC 1.0, "OSC Type Tag String", asks to be robust there). A
/// button let go is all zeros in every type; where a fader stands nobody knows.
fn without_types(datagram: &[u8]) -> Option<Message> {
    let end = datagram.iter().position(|it| *it == 0)?;
    let address = std::str::from_utf8(&datagram[..end]).ok().filter(|it| it.starts_with('/'))?;
    let rest = datagram.get((end + 1).next_multiple_of(4)..)?;
    let is_one = !rest.starts_with(b",") && rest.len().is_multiple_of(4);
    is_one.then(|| Message {
        address: address.to_owned(),
        released: !rest.is_empty() && rest.iter().all(|it| *it == 0),
        level: None,
    })
}

fn unfold(packet: OscPacket, messages: &mut Vec<Message>) {
    match packet {
        OscPacket::Message(it) => {
            let first = it.args.first();
            messages.push(Message {
                released: first.is_some_and(is_zero),
                level: first.and_then(level),
                address: it.addr,
            });
        }
        OscPacket::Bundle(bundle) => {
            bundle.content.into_iter().for_each(|packet| unfold(packet, messages))
        }
    }
}

fn level(argument: &OscType) -> Option<Level> {
    let share = match argument {
        OscType::Float(value) => f64::from(*value),
        OscType::Double(value) => *value,
        OscType::Int(value) => f64::from(*value),
        OscType::Bool(value) => f64::from(u8::from(*value)),
        _ => return None,
    };
    Level::from_percent(share.clamp(0.0, 1.0) * 100.0).ok()
}

fn is_zero(argument: &OscType) -> bool {
    match argument {
        OscType::Float(value) => *value == 0.0,
        OscType::Double(value) => *value == 0.0,
        OscType::Int(value) => *value == 0,
        OscType::Bool(value) => !*value,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_button_is_pressed_and_let_go() {
        let pressed = [b"/go\0".as_slice(), b",f\0\0", &1.0_f32.to_be_bytes()].concat();
        let released = [b"/go\0".as_slice(), b",f\0\0", &0.0_f32.to_be_bytes()].concat();
        let bare = [b"/cue/2.5/start\0\0".as_slice(), b",\0\0\0"].concat();
        let parsed = |bytes: &[u8]| parse(bytes).expect("OSC").remove(0);
        let go = Message { address: "/go".into(), released: false, level: Some(Level::FULL) };
        assert_eq!(parsed(&pressed), go);
        assert_eq!((parsed(&released).level, parsed(&bare).level), (Some(Level::OUT), None));
        assert!(parsed(&released).released);
        assert_eq!(parsed(&bare).address, "/cue/2.5/start");
    }

    #[test]
    fn a_button_of_a_surface_that_names_no_types_is_pressed_and_let_go() {
        let go = |rest: &[u8]| {
            let message = parse(&[b"/go\0", rest].concat()).expect("OSC").remove(0);
            (message.address, message.released, message.level)
        };
        assert_eq!(go(b""), ("/go".into(), false, None));
        assert_eq!(go(&1.0_f32.to_be_bytes()), ("/go".into(), false, None));
        assert_eq!(go(&0_i32.to_be_bytes()), ("/go".into(), true, None));
        let stop = parse(b"/stop\0\0\0").expect("OSC").remove(0);
        assert_eq!(stop.address, "/stop");
        let four = parse(b"/abc\0\0\0\0").expect("OSC").remove(0);
        assert_eq!((four.address.as_str(), four.released), ("/abc", false));
        for none in [b"/go".as_slice(), b"/go\0x", b"go\0\0", b"/go\0,x\0\0"] {
            assert!(parse(none).is_err(), "{none:?}");
        }
    }

    #[test]
    fn a_bundle_is_its_messages_in_order() {
        let message = |address: &[u8]| [&12_i32.to_be_bytes(), address, b",\0\0\0"].concat();
        let bundle =
            [b"#bundle\0".as_slice(), &[0; 8], &message(b"/stop\0\0\0"), &message(b"/panic\0\0")]
                .concat();
        let addresses: Vec<String> =
            parse(&bundle).expect("OSC").into_iter().map(|it| it.address).collect();
        assert_eq!(addresses, ["/stop", "/panic"]);
    }

    #[test]
    fn bundles_within_bundles_do_not_reach_the_end_of_the_stack() {
        let mut nested = [b"/go\0".as_slice(), b",\0\0\0"].concat();
        while nested.len() + 20 <= DATAGRAM_MAX {
            let length = u32::try_from(nested.len()).expect("short");
            nested = [b"#bundle\0".as_slice(), &[0; 8], &length.to_be_bytes(), &nested].concat();
        }
        assert_eq!(parse(&nested).expect("OSC").len(), 1);
        assert_eq!(parse(&[0; DATAGRAM_MAX + 1]), Err(ParseError::TooLong));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
            let _ = parse(&[b"#bundle\0".as_slice(), &bytes].concat());
            let _ = parse(&[b"/go\0,".as_slice(), &bytes].concat());
        }
    }
}
