//! The demo's music, made here so that it belongs to nobody else.
//!
//! In: nothing but arithmetic. Out: FLAC files, the same bytes on every machine: sines and envelopes are built
//! from sums and products only (the platform's `sin` and `pow` differ in their last bit), and the encoder
//! is held to its integer parts. Never: a random number, a recording.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use flacenc::bitsink::ByteSink;
use flacenc::component::BitRepr;
use flacenc::config::{Encoder, OrderSel};
use flacenc::error::Verify;
use flacenc::source::MemSource;

mod score;
mod voice;

use voice::Mix;

/// Frames a second for the box: what most cards run at, so the demo is not resampled.
const BOX_RATE_HZ: u32 = 48_000;
/// Frames a second for phones: they fetch the file over a crowded Wi-Fi, and their speakers end at 10 kHz.
const PHONE_RATE_HZ: u32 = 24_000;

/// Where to write.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  tools compose config/demo/audio")]
pub struct Args {
    /// Folder for the files; made when it is missing
    out: PathBuf,
}

/// Writes every piece.
pub fn run(args: &Args) -> ExitCode {
    match write_all(&args.out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("could not write the music to {}: {error}", args.out.display());
            ExitCode::FAILURE
        }
    }
}

fn write_all(out: &Path) -> std::io::Result<()> {
    fs::create_dir_all(out)?;
    for (name, mix) in pieces() {
        let path = out.join(name);
        let bytes = flac(&mix);
        fs::write(&path, &bytes)?;
        println!("{}: {} s, {} bytes", path.display(), mix.seconds(), bytes.len());
    }
    Ok(())
}

/// Every file of the demo with its sound.
fn pieces() -> [(&'static str, Mix); 3] {
    [
        ("chime.flac", score::chime(BOX_RATE_HZ)),
        ("sunrise.flac", score::sunrise(2, BOX_RATE_HZ)),
        ("sunrise-phones.flac", score::sunrise(1, PHONE_RATE_HZ)),
    ]
}

/// The mix as a FLAC file of 16 bits.
fn flac(mix: &Mix) -> Vec<u8> {
    let source =
        MemSource::from_samples(&mix.samples(), mix.channels(), 16, mix.rate_hz() as usize);
    let config = integer_encoder().into_verified().expect("these settings are in range");
    let mut stream = flacenc::encode_with_fixed_block_size(&config, source, config.block_size)
        .expect("samples of 16 bits can be encoded");
    // The last block may be shorter and does not count (RFC 9639 section 8.2); the encoder counts it, and
    // decoders then look for another kind of stream.
    let block = config.block_size;
    stream.stream_info_mut().set_block_sizes(block, block).expect("the encoder's own block size");
    let mut sink = ByteSink::new();
    stream.write(&mut sink).expect("memory takes what is written");
    sink.as_slice().to_vec()
}

/// Fixed predictors and counted bits: no floating-point estimate decides what is written.
fn integer_encoder() -> Encoder {
    let mut config = Encoder::default();
    config.subframe_coding.use_lpc = false;
    config.subframe_coding.fixed.order_sel = OrderSel::BitCount;
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_plays_exactly_what_compose_writes() {
        let audio = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/demo/audio");
        for (name, mix) in pieces() {
            let kept = fs::read(audio.join(name)).expect("the demo's music is committed");
            assert!(
                kept == flac(&mix),
                "{name} differs: run `cargo tools compose config/demo/audio` and commit what it wrote"
            );
        }
    }

    #[test]
    fn every_bar_begins_with_a_click_on_the_very_frame() {
        let frames = BOX_RATE_HZ as usize;
        let samples = score::sunrise(2, BOX_RATE_HZ).samples();
        let loudest = |from: usize| {
            samples[from * 2..(from + 96) * 2].iter().map(|s| s.abs()).max().expect("two ms")
        };
        for bar in 1..score::BARS {
            let beat = bar * score::BEATS_A_BAR * frames;
            assert!(loudest(beat) > 2 * loudest(beat - 96), "bar {bar} has a click");
        }
    }

    #[test]
    fn nothing_clips_and_the_end_is_silent() {
        for (name, mix) in pieces() {
            let samples = mix.samples();
            let peak = samples.iter().map(|s| s.abs()).max().expect("sound");
            assert!((12_000..=30_000).contains(&peak), "{name} peaks at {peak}");
            assert!(samples[samples.len() - 20..].iter().all(|s| s.abs() < 40), "{name} ends");
        }
    }
}
