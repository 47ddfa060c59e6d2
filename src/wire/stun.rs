//! Whom does a STUN request want? Who knocks for a peer connection says the names of both sides' ICE (RFC 8489, 8445).
//!
//! Only the name is read here. That the knock is right is for whoever has the password.

use std::ops::Range;

/// RFC 8489, section 5.
mod field {
    use super::Range;
    pub const KIND: Range<usize> = 0..2;
    pub const LENGTH: Range<usize> = 2..4;
    pub const COOKIE: Range<usize> = 4..8;
    pub const HEADER: usize = 20;
}
const BINDING_REQUEST: u16 = 0x0001;
const COOKIE: u32 = 0x2112_A442;
const USERNAME: u16 = 0x0006;

/// The receiver's part of the name in a binding request; none in anything else.
pub fn called(packet: &[u8]) -> Option<&str> {
    let number = |at: Range<usize>| Some(u16::from_be_bytes(packet.get(at)?.try_into().ok()?));
    if number(field::KIND)? != BINDING_REQUEST || packet.get(field::COOKIE)? != COOKIE.to_be_bytes()
    {
        return None;
    }
    let end = field::HEADER + usize::from(number(field::LENGTH)?);
    let mut attributes = packet.get(field::HEADER..end)?;
    while let [k0, k1, l0, l1, rest @ ..] = attributes {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let value = rest.get(..length)?;
        if u16::from_be_bytes([*k0, *k1]) == USERNAME {
            return std::str::from_utf8(value).ok()?.split(':').next();
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut packet = vec![0, 1, 0, attributes.len() as u8, 0x21, 0x12, 0xA4, 0x42];
        packet.resize(field::HEADER, 7);
        packet.extend_from_slice(attributes);
        packet
    }

    #[test]
    fn a_knock_says_whom_it_wants() {
        let attributes = [&[0x80, 0x22, 0, 1, b'x', 0, 0, 0, 0, 6, 0, 9][..], b"abcd:efgh\0\0\0"];
        let packet = request(&attributes.concat());
        assert_eq!(called(&packet), Some("abcd"));
        for length in 0..packet.len() {
            assert_eq!(called(&packet[..length]), None, "cut at {length}");
        }
    }

    #[test]
    fn what_is_no_knock_names_nobody() {
        assert_eq!(called(&[]), None);
        assert_eq!(called(&[22; 60]), None);
        assert_eq!(called(&request(&[0, 6, 0xff, 0xff])), None);
        assert_eq!(called(&request(&[0, 6, 0, 2, 0xff, 0xfe, 0, 0])), None, "no UTF-8");
    }
}
