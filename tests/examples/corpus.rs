//! Writes the named seeds of every target to `tests/fuzz/corpus`, where `cargo fuzz run` looks for them.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for target in tests::targets::ALL {
        let folder = corpus.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in tests::seeds::seeds(target.folders).iter().enumerate() {
            let name = seed.name.replace(|it: char| !it.is_ascii_alphanumeric(), "-");
            std::fs::write(folder.join(format!("{number:03}-{name}")), &seed.bytes)?;
        }
    }
    Ok(())
}
