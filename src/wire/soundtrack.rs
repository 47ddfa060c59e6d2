//! What the containers of films say of their sound, as decoders take it.
//!
//! In: MP4's and Matroska's own words. Out: what a decoder is begun with. Never here: a sample.

/// `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1) of a kind of object, an index of rates and one of channels; none where
/// these do not fit into its plain form.
pub fn aac(object: u8, rate: u8, channels: u8) -> Option<[u8; 2]> {
    let is_plain = object < 31 && rate < 15 && channels < 16;
    is_plain.then_some([object << 3 | rate >> 1, rate << 7 | channels << 3])
}

/// Opus' identification header (RFC 7845, 5.1) out of what MP4 has of it, the high octet first (Encapsulation of Opus in
/// ISOBMFF, 4.3.2).
pub fn opus(specific: &[u8]) -> Option<Vec<u8>> {
    let [0, channels, rest @ ..] = specific else { return None };
    let (said, mapping) = rest.split_first_chunk::<9>()?;
    let [skip0, skip1, rate0, rate1, rate2, rate3, gain0, gain1, family] = *said;
    let said = [1, *channels, skip1, skip0, rate3, rate2, rate1, rate0, gain1, gain0, family];
    Some([&b"OpusHead"[..], &said, mapping].concat())
}

/// Vorbis' first and third header, one behind the other, out of what Matroska has of all three (RFC 9559, 26.1 after
/// Xiph's lacing, 10.3.2): how many but one, the lengths of all but the last, the headers.
pub fn vorbis(private: &[u8]) -> Option<Vec<u8>> {
    let rest = private.strip_prefix(&[2])?;
    let (first, rest) = laced(rest)?;
    let (second, rest) = laced(rest)?;
    let (head, rest) = rest.split_at_checked(first)?;
    let setup = rest.get(second..)?;
    Some([head, setup].concat())
}

/// A length: octets of 255 are added up, with the first that is another.
fn laced(octets: &[u8]) -> Option<(usize, &[u8])> {
    let full = octets.iter().take_while(|it| **it == 255).count();
    let (last, rest) = octets[full..].split_first()?;
    Some((255 * full + usize::from(*last), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sx11_aac_is_called_what_its_own_config_says() {
        assert_eq!(aac(2, 3, 2), Some([0x11, 0x90]), "LC, 48 kHz, stereo");
        assert_eq!(aac(2, 4, 1), Some([0x12, 0x08]), "LC, 44.1 kHz, mono");
        assert_eq!([aac(31, 3, 2), aac(2, 15, 2), aac(2, 3, 16)], [None; 3]);
    }

    #[test]
    fn sx11_an_opus_head_out_of_mp4_has_its_octets_the_other_way_round() {
        let specific = [0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0xff, 0xfe, 0];
        let head = [&b"OpusHead"[..], &[1, 2, 0x38, 1, 0x80, 0xbb, 0, 0, 0xfe, 0xff, 0]].concat();
        assert_eq!(opus(&specific), Some(head));
        assert!((0..specific.len()).all(|cut| opus(&specific[..cut]).is_none()));
        assert_eq!(opus(&[1; 11]), None, "another version");
    }

    #[test]
    fn sx11_vorbis_headers_come_apart_and_lengths_that_lie_are_refused() {
        let (head, comment, setup) = ([1_u8; 30], [2_u8; 300], [3_u8; 40]);
        let private = [&[2, 30, 255, 45][..], &head, &comment, &setup].concat();
        assert_eq!(vorbis(&private), Some([&head[..], &setup].concat()));
        for cut in 0..34 + 300 {
            assert_eq!(vorbis(&private[..cut]), None, "{cut}");
        }
        assert_eq!(vorbis(&[1, 1, 1, 1, 1]), None, "two headers are none");
    }
}
