//! Opus as pages decode it whose browser lends them no decoder, held against libopus.

use std::f32::consts::TAU;
use std::path::PathBuf;

use opus::{Application, Bitrate, Channels, Encoder};
use tests::seeds::seeds;

const HZ: u32 = codec::RATE_HZ;
/// Of 16 bits, in which SILK reckons: a step, and what rounding adds to it.
const ROUNDING: f32 = 1.5 / 32_768.0;
/// As long as a packet can be.
const FRAMES_MAX: usize = 5_760;

/// What a stage may send: tones, a voice of sorts, a burst of noise, silence; left and right in turn.
fn stage(frames: usize) -> Vec<f32> {
    let mut chance = 1_u32;
    let mut noise = move || {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        chance as f32 / u32::MAX as f32 - 0.5
    };
    let frame = |n: usize| {
        let t = n as f32 / HZ as f32;
        let tone = |hz: f32| (TAU * hz * t).sin();
        let voice = ((t * 130.0).fract() - 0.5) * (0.5 + 0.5 * tone(3.0));
        let burst = if n % 12_000 < 900 { noise() } else { 0.0 };
        let chord = 0.1 * (tone(220.0) + tone(277.2) + tone(2_093.0) + tone(7_040.0));
        match n * 10 / frames {
            7 => [0.0, 0.0],
            8.. => [0.5 * voice; 2],
            _ => [chord + 0.4 * voice + burst, chord - 0.2 * voice + 0.5 * burst],
        }
    };
    (0..frames).flat_map(frame).collect()
}

fn encoder(how: Application, bits_per_second: i32) -> Encoder {
    let mut encoder = Encoder::new(HZ, Channels::Stereo, how).expect("libopus");
    encoder.set_bitrate(Bitrate::Bits(bits_per_second)).expect("a rate");
    encoder.set_inband_fec(true).expect("copies");
    encoder.set_packet_loss_perc(5).expect("a share");
    encoder
}

/// SILK, hybrid or CELT (RFC 6716, 3.1).
fn kind(packet: &[u8]) -> usize {
    match packet[0] >> 3 {
        0..12 => 0,
        12..16 => 1,
        _ => 2,
    }
}

/// How far the two are apart at most.
fn apart(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).fold(0.0, |most, (one, other)| (one - other).abs().max(most))
}

/// Both decode the same packets, of which one in twenty is lost.
fn hold_against_libopus(packets: impl Iterator<Item = Vec<u8>>) -> [usize; 3] {
    let mut theirs = opus::Decoder::new(HZ, Channels::Stereo).expect("libopus");
    let mut ours = codec::Decoder::default();
    let mut kinds = [0; 3];
    for (number, packet) in packets.enumerate().filter(|(number, _)| number % 20 != 11) {
        let mut pcm = [0.0; 2 * FRAMES_MAX];
        let frames = theirs.decode_float(&packet, &mut pcm, false).expect("its own packet");
        let samples = ours.decode(&packet).expect("a packet");
        let off = apart(samples, &pcm[..2 * frames]);
        assert!(off < ROUNDING, "packet {number}, {} octets: {off} apart", packet.len());
        kinds[kind(&packet)] += 1;
    }
    kinds
}

#[test]
fn sx11_a_page_s_own_decoder_gives_what_libopus_gives_within_rounding() {
    let sound = stage(6 * HZ as usize);
    let mut met = [0; 3];
    for how in [Application::Audio, Application::Voip] {
        for bits_per_second in [12_000, 16_000, 24_000, 48_000, 96_000, 256_000] {
            for frames in [480, 960] {
                let mut encoder = encoder(how, bits_per_second);
                let pieces = sound.chunks_exact(2 * frames);
                let packets = pieces.map(|it| encoder.encode_vec_float(it, 1_275).expect("sound"));
                let kinds = hold_against_libopus(packets);
                met.iter_mut().zip(kinds).for_each(|(all, these)| *all += these);
            }
        }
    }
    println!("packets held against libopus: SILK {}, hybrid {}, CELT {}", met[0], met[1], met[2]);
    assert!(met.iter().all(|it| *it > 100), "{met:?}");
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/opus")
}

/// Packets of each kind, one behind another of another kind.
fn write_vectors() {
    let sound = stage(HZ as usize);
    let mut encoder = encoder(Application::Voip, 12_000);
    // Copies against loss keep to SILK.
    encoder.set_inband_fec(false).expect("no copies");
    let kilobits = [12, 12, 12, 128, 128, 128, 24, 24, 128, 128, 12, 12];
    for ((number, kilobits), piece) in kilobits.into_iter().enumerate().zip(sound.chunks(2 * 960)) {
        encoder.set_bitrate(Bitrate::Bits(kilobits * 1_000)).expect("a rate");
        let packet = encoder.encode_vec_float(piece, 1_275).expect("sound");
        let name = ["silk", "hybrid", "celt"][kind(&packet)];
        let octets: Vec<String> = packet.iter().map(|it| format!("{it:02x}")).collect();
        let text = format!("# {kilobits} kbit/s\npacket {}\n", octets.join(" "));
        let file = format!("{number:02}-{name}.txt");
        std::fs::write(folder().join(file), text).expect("written");
    }
}

#[test]
fn sx11_the_vectors_that_the_page_decodes_are_as_libopus_has_them() {
    let update = std::env::var_os("UPDATE_VECTORS").is_some();
    if update {
        write_vectors();
    }
    let mut theirs = opus::Decoder::new(HZ, Channels::Stereo).expect("libopus");
    let mut ours = codec::Decoder::default();
    let mut samples = Vec::new();
    let packets = seeds(&["opus"]);
    let mut kinds: Vec<usize> = packets.iter().map(|it| kind(&it.bytes)).collect();
    for packet in &packets {
        let mut pcm = [0.0; 2 * FRAMES_MAX];
        let frames = theirs.decode_float(&packet.bytes, &mut pcm, false).expect("a packet");
        let heard = ours.decode(&packet.bytes).expect("a packet");
        assert!(apart(heard, &pcm[..2 * frames]) < ROUNDING, "{}", packet.name);
        samples.extend(
            pcm[..2 * frames].iter().map(|it| (it.clamp(-1.0, 1.0) * 32_767.0).round() as i16),
        );
    }
    let octets: Vec<u8> = samples.into_iter().flat_map(i16::to_le_bytes).collect();
    if update {
        std::fs::write(folder().join("samples"), &octets).expect("written");
    }
    let kept = std::fs::read(folder().join("samples")).expect("they are there");
    let both = octets.as_chunks::<2>().0.iter().zip(kept.as_chunks::<2>().0);
    let off = |(one, other): (&[u8; 2], &[u8; 2])| {
        (i32::from(i16::from_le_bytes(*one)) - i32::from(i16::from_le_bytes(*other))).abs()
    };
    assert_eq!((octets.len(), kept.len()), (packets.len() * 960 * 4, packets.len() * 960 * 4));
    assert!(both.map(off).max() <= Some(1));
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, [0, 1, 2], "every kind is among them");
}

#[test]
fn what_is_no_packet_is_none_and_the_next_one_is_decoded() {
    let mut decoder = codec::Decoder::default();
    let too_long = vec![0xfc; codec::PACKET_MAX + 1];
    for nonsense in [&[][..], &[0xff, 0xff, 0xff], &[0x03], &too_long] {
        assert_eq!(decoder.decode(nonsense), None, "{nonsense:?}");
    }
    let packet = encoder(Application::Audio, 96_000).encode_vec_float(&stage(960), 1_275);
    assert!(decoder.decode(&packet.expect("sound")).is_some());
}
