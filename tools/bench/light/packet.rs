//! A full sACN data packet, for senders and listeners that stand beside the box and share nothing with it but the wire.

/// Octets of a packet with 512 slots (ANSI E1.31-2018, tables 4-1 to 4-3).
pub const LEN: usize = 638;

/// Levels of 0 for a universe.
pub fn data(universe: u16) -> [u8; LEN] {
    let mut octets = [0; LEN];
    octets[1] = 0x10;
    octets[4..16].copy_from_slice(b"ASC-E1.17\0\0\0");
    octets[16..18].copy_from_slice(&length(16));
    octets[21] = 4;
    octets[22..38].copy_from_slice(b"downbeat's bench");
    octets[38..40].copy_from_slice(&length(38));
    octets[43] = 2;
    octets[44..53].copy_from_slice(b"bare loop");
    octets[108] = 100;
    octets[113..115].copy_from_slice(&universe.to_be_bytes());
    octets[115..117].copy_from_slice(&length(115));
    octets[117..119].copy_from_slice(&[0x02, 0xa1]);
    octets[122] = 1;
    octets[123..125].copy_from_slice(&513u16.to_be_bytes());
    octets
}

fn length(from: u16) -> [u8; 2] {
    (0x7000 | (LEN as u16 - from)).to_be_bytes()
}

/// Every slot and the sequence of another frame.
pub fn change(octets: &mut [u8; LEN], frame: u8) {
    octets[111] = frame;
    octets[126..].fill(frame);
}

/// Universe, sequence and levels, if these octets are levels.
pub fn read(octets: &[u8]) -> Option<(u16, u8, &[u8])> {
    let is_data =
        octets.len() > 126 && octets[4..13] == *b"ASC-E1.17" && octets[21] == 4 && octets[125] == 0;
    is_data.then(|| (u16::from_be_bytes([octets[113], octets[114]]), octets[111], &octets[126..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_what_the_standard_says_and_what_another_reads() {
        let mut octets = data(7);
        change(&mut octets, 9);
        let other = sacn::packet::AcnRootLayerProtocol::parse(&octets).expect("sACN");
        assert!(format!("{other:?}").contains("universe: 7"), "{other:?}");
        assert_eq!(read(&octets), Some((7, 9, &[9; 512][..])));
        assert_eq!(read(&octets[..100]), None);
    }
}
