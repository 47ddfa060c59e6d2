//! Compiles the rooms `phone` and `codec` to WebAssembly for the page, `OUT_DIR/core.wasm`, and `OUT_DIR/pictures.wasm` and
//! `OUT_DIR/opus.wasm` for pages that have pictures, or live sound that their browser does not decode; packs the page:
//! `OUT_DIR/files.rs` names every file, as it is and gzipped.
//!
//! Whichever way is there is taken, and named: the standard library's source, as Debian's `rustc-web` or the toolchain's
//! `rust-src` brings it; else rustup adds that (never with `CI=true`: a build there does not change the machine); else the
//! toolchain's own `wasm32-unknown-unknown`. Source comes first because Safari 14 is among our browsers and takes MVP
//! WebAssembly only: where the standard library is rebuilt it can be told so, and made a fifth smaller, while a prebuilt
//! one must be lowered by a `wasm-opt` that knows how. They are built in a folder that dev and release builds share, by
//! a cargo that inherits nothing of the outer one's flags.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-unknown-unknown";
/// Where a compiler's standard library is, within its folder.
const STD: &str = "lib/rustlib/src/rust/library/std";

/// What the page calls it, the room, and what of the room. The core comes last, so that its way of shrinking is the one that is
/// told.
const PARTS: [(&str, &str, &[&str]); 3] = [
    ("opus.wasm", "codec", &[]),
    ("pictures.wasm", "phone", &["--features", "pictures"]),
    ("core.wasm", "phone", &[]),
];

fn main() {
    let room = PathBuf::from(var("CARGO_MANIFEST_DIR"));
    let house = room.join("../..").canonicalize().expect("the workspace is two folders up");
    let out = PathBuf::from(var("OUT_DIR"));
    watch(&house);
    let way = Way::find();
    let [.., shrunk] = PARTS.map(|(name, room, features)| {
        let target = shared_target(&out);
        let built = way.build(&house, &target, (room, features)).unwrap_or_else(|why| refuse(&why));
        let part = out.join(name);
        fs::copy(&built, &part).expect("the build folder can be written");
        shrink(&part, &way)
    });
    pack(&room.join("web"), &out);
    println!("cargo:rustc-env=PAGE_CORE_WAY={}, {}", way.name(), shrunk.name());
}

/// How the core is compiled.
enum Way {
    /// With a standard library made anew.
    Rebuilt { by: Compiler, linker: PathBuf },
    /// The toolchain has the target.
    Installed,
    /// None; the sentence says what to install.
    None(String),
}

/// One that has the standard library's source.
struct Compiler {
    cargo: PathBuf,
    rustc: PathBuf,
    name: &'static str,
}

impl Way {
    fn find() -> Self {
        let may_add = env::var("CI").as_deref() != Ok("true");
        let toolchain = sysroot().unwrap_or_default();
        let cargo = PathBuf::from(var("CARGO"));
        let debian = Compiler::of(Path::new("/usr"), "/usr/bin/cargo".into(), "Debian's rustc-web");
        let by = debian
            .or_else(|| Compiler::of(&toolchain, cargo.clone(), "the toolchain"))
            .or_else(|| {
                (may_add && rustup_adds(&["component", "add", "rust-src"]))
                    .then(|| Compiler::of(&toolchain, cargo, "the toolchain"))?
            });
        if let (Some(by), Some(linker)) = (by, linker(&toolchain)) {
            return Self::Rebuilt { by, linker };
        }
        if has_target() || (may_add && rustup_adds(&["target", "add", TARGET]) && has_target()) {
            return Self::Installed;
        }
        Self::None(
            "install Debian's compiler for it with `apt install rustc-web cargo-web rust-web-src lld`, or the \
             standard library's source with `rustup component add rust-src`"
                .into(),
        )
    }

    fn name(&self) -> String {
        match self {
            Self::Rebuilt { by, .. } => {
                format!("{} with the standard library rebuilt for MVP", by.name)
            }
            Self::Installed => "the toolchain's own target".into(),
            Self::None(_) => "none".into(),
        }
    }

    fn build(&self, house: &Path, target: &Path, part: (&str, &[&str])) -> Result<PathBuf, String> {
        let compile = |cargo| Self::compile(cargo, house, target, part);
        match self {
            Self::Installed => compile(installed()),
            // An older compiler does not know how to leave so much out.
            Self::Rebuilt { by, linker } => compile(by.rebuilding(linker, &SMALL))
                .or_else(|_| compile(by.rebuilding(linker, &PLAIN))),
            Self::None(why) => Err(why.clone()),
        }
    }

    fn compile(
        mut cargo: Command,
        house: &Path,
        target: &Path,
        (room, features): (&str, &[&str]),
    ) -> Result<PathBuf, String> {
        cargo
            .args(["rustc", "--locked", "-p", room, "--lib", "--crate-type", "cdylib", "--release"])
            .args(["--target", TARGET])
            .args(features)
            .current_dir(house)
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z")
            .env("CARGO_PROFILE_RELEASE_LTO", "fat")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
            .env("CARGO_PROFILE_RELEASE_STRIP", "true")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false");
        run(&mut cargo)?;
        Ok(target.join(TARGET).join(format!("release/{room}.wasm")))
    }
}

impl Compiler {
    /// None where one of its parts is missing.
    fn of(home: &Path, cargo: PathBuf, name: &'static str) -> Option<Self> {
        let rustc = home.join("bin/rustc");
        let is_whole = home.join(STD).is_dir() && cargo.is_file() && rustc.is_file();
        is_whole.then_some(Self { cargo, rustc, name })
    }

    fn rebuilding(&self, linker: &Path, how: &How) -> Command {
        let mut cargo = clean(self.cargo.as_os_str());
        let linker = format!("-Clinker={}", linker.display());
        let flags = [&["-Ctarget-cpu=mvp", &linker], how.flags].concat().join("\x1f");
        cargo
            .env("RUSTC", &self.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", flags)
            .args(how.std);
        cargo
    }
}

fn installed() -> Command {
    let mut cargo = clean(&var("CARGO"));
    cargo.env("RUSTC", var("RUSTC")).env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    cargo
}

/// What a compiler is told beyond what it is to compile.
struct How {
    flags: &'static [&'static str],
    std: &'static [&'static str],
}

/// Nobody reads a panic's words in a phone: without them, and with a standard library made for size, the core is a
/// seventh smaller.
const SMALL: How = How {
    flags: &[
        "-Zunstable-options",
        "-Cpanic=immediate-abort",
        "-Zlocation-detail=none",
        "-Zfmt-debug=none",
    ],
    std: &["-Zbuild-std=std", "-Zbuild-std-features=optimize_for_size"],
};
const PLAIN: How = How { flags: &["-Cpanic=abort"], std: &["-Zbuild-std=std,panic_abort"] };

/// A cargo that knows nothing of the one that called us; where crates come from and how to reach them stays.
fn clean(cargo: &std::ffi::OsStr) -> Command {
    const OURS: [&str; 8] = [
        "RUST",
        "CARGO_BUILD_",
        "CARGO_CFG_",
        "CARGO_ENCODED_",
        "CARGO_FEATURE_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_",
        "DEP_",
    ];
    const ALSO: [&str; 6] =
        ["CARGO_INCREMENTAL", "CARGO_UNSTABLE_BUILD_STD", "OUT_DIR", "TARGET", "HOST", "PROFILE"];
    const KEPT: [&str; 2] = ["RUSTUP_HOME", "RUST_BACKTRACE"];
    let mut command = Command::new(cargo);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let is_ours =
            OURS.iter().any(|head| name.starts_with(head)) || ALSO.contains(&name.as_str());
        if is_ours && !KEPT.contains(&name.as_str()) {
            command.env_remove(name);
        }
    }
    command
}

fn has_target() -> bool {
    let libs =
        Command::new(var("RUSTC")).args(["--print", "target-libdir", "--target", TARGET]).output();
    let libs = libs.ok().filter(|it| it.status.success()).map(|it| it.stdout).unwrap_or_default();
    let libs = String::from_utf8_lossy(&libs);
    let holds_core = |entry: std::io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    };
    fs::read_dir(libs.trim()).is_ok_and(|mut entries| entries.any(holds_core))
}

fn rustup_adds(what: &[&str]) -> bool {
    let toolchain = env::var_os("RUSTUP_TOOLCHAIN");
    let mut rustup = Command::new("rustup");
    rustup.args(what).stdout(Stdio::null()).stderr(Stdio::null());
    toolchain.into_iter().for_each(|name| {
        rustup.arg("--toolchain").arg(name);
    });
    rustup.status().is_ok_and(|status| status.success())
}

/// Where the toolchain is.
fn sysroot() -> Option<PathBuf> {
    let said = Command::new(var("RUSTC")).args(["--print", "sysroot"]).output().ok()?;
    Some(PathBuf::from(String::from_utf8(said.stdout).ok()?.trim()))
}

/// The toolchain's own `rust-lld`, or LLVM's.
fn linker(toolchain: &Path) -> Option<PathBuf> {
    let own = toolchain.join("lib/rustlib").join(var("HOST")).join("bin/rust-lld");
    let path = env::var_os("PATH").unwrap_or_default();
    let others = env::split_paths(&path).map(|folder| folder.join("wasm-ld"));
    std::iter::once(own).chain(others).find(|linker| linker.is_file())
}

/// What `wasm-opt` made of the core.
enum Shrunk {
    /// MVP, and small.
    Mvp,
    /// Small, but with what the prebuilt standard library uses beyond the MVP.
    NotLowered,
    /// As it was: there is no `wasm-opt`.
    Not { mvp: bool },
}

impl Shrunk {
    fn name(&self) -> &'static str {
        match self {
            Self::Mvp => "shrunk by wasm-opt",
            Self::NotLowered => "shrunk by wasm-opt, not MVP",
            Self::Not { mvp: true } => "not shrunk: no wasm-opt",
            Self::Not { mvp: false } => "not shrunk: no wasm-opt, not MVP",
        }
    }
}

fn shrink(core: &Path, way: &Way) -> Shrunk {
    const USED: [&str; 6] = [
        "--enable-bulk-memory",
        "--enable-multivalue",
        "--enable-mutable-globals",
        "--enable-nontrapping-float-to-int",
        "--enable-reference-types",
        "--enable-sign-ext",
    ];
    const LOWERINGS: [&str; 3] = [
        "--signext-lowering",
        "--llvm-memory-copy-fill-lowering",
        "--llvm-nontrapping-fptoint-lowering",
    ];
    let small = ["-Oz", "--strip-producers", "--strip-target-features"].map(String::from);
    let mvp = matches!(way, Way::Rebuilt { .. });
    let ran = if mvp {
        wasm_opt(core, &[&small[..], &["--mvp-features".into()]].concat())
    } else {
        wasm_opt(core, &[USED.map(String::from).as_slice(), &LOWERINGS.map(String::from)].concat())
            && wasm_opt(core, &[&small[..], &["--mvp-features".into()]].concat())
    };
    match (ran, mvp) {
        (true, _) => Shrunk::Mvp,
        (false, true) => Shrunk::Not { mvp },
        (false, false) if wasm_opt(core, &[USED.map(String::from).as_slice(), &small].concat()) => {
            Shrunk::NotLowered
        }
        (false, false) => Shrunk::Not { mvp },
    }
}

fn wasm_opt(core: &Path, flags: &[String]) -> bool {
    let mut opt = Command::new("wasm-opt");
    opt.args(flags).arg(core).arg("-o").arg(core).stdout(Stdio::null()).stderr(Stdio::null());
    opt.status().is_ok_and(|status| status.success())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|why| format!("could not start {command:?}: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("could not compile a part of the page with {command:?}:\n{said}"))
}

/// Dev and release builds share the core. Cargo marks the top of its build folder.
fn shared_target(out: &Path) -> PathBuf {
    let top = out.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").is_file()).last();
    top.unwrap_or(out).join("wasm")
}

/// What stays at home: types for `tsc`, and how node is to read the modules.
const NOT_SERVED: [&str; 2] = ["types.d.ts", "package.json"];
/// In pages it becomes the page's version.
const VERSION: &str = "%VERSION%";

/// Puts every file of the page, the core and the page's version into `OUT_DIR/files.rs`.
fn pack(web: &Path, out: &Path) {
    let mut names = names(web, "");
    names.retain(|name| !NOT_SERVED.contains(&name.as_str()));
    names.sort_unstable();
    let mut files: Vec<(String, Vec<u8>)> =
        names.into_iter().map(|name| (name.clone(), read(&web.join(name)))).collect();
    for (part, ..) in PARTS {
        files.push((part.into(), read(&out.join(part))));
    }
    let has_comments = |name: &str| name.ends_with(".js") || name.ends_with(".css");
    for (_, bytes) in files.iter_mut().filter(|(name, _)| has_comments(name)) {
        *bytes = without_comments(std::mem::take(bytes));
    }
    let version = version(&files);
    let know = |name: &str| name.ends_with(".html") || name == "sw.js";
    for (_, bytes) in files.iter_mut().filter(|(name, _)| know(name)) {
        let page = String::from_utf8(std::mem::take(bytes)).expect("the page is UTF-8");
        *bytes = page.replace(VERSION, &version).into_bytes();
    }
    files.push(("version".into(), version.into_bytes()));
    let packed = out.join("packed");
    let _ = fs::remove_dir_all(&packed);
    let rows: Vec<String> = files.iter().map(|(name, bytes)| row(&packed, name, bytes)).collect();
    let table = format!("const FILES: &[(&str, &[u8], &[u8])] = &[\n{}];\n", rows.concat());
    fs::write(out.join("files.rs"), table).expect("the build folder can be written");
}

/// A third of modules and style is for those who read them, and they read them where they lie. What counts is how a line
/// begins; no module has a text that begins a line so, or that runs over several.
fn without_comments(file: Vec<u8>) -> Vec<u8> {
    let file = String::from_utf8(file).expect("the page is UTF-8");
    let mut inside = false;
    let code = file.lines().map(str::trim).filter(|line| {
        let begins = line.starts_with("/*");
        let is_comment = inside || begins || line.starts_with("//");
        inside = (inside || begins) && !line.contains("*/");
        !is_comment
    });
    code.collect::<Vec<_>>().join("\n").into_bytes()
}

fn row(packed: &Path, name: &str, bytes: &[u8]) -> String {
    let plain = packed.join(name);
    let gzipped = packed.join(format!("{name}.gz"));
    fs::create_dir_all(plain.parent().expect("in a folder"))
        .expect("the build folder can be written");
    fs::write(&plain, bytes).expect("the build folder can be written");
    fs::write(&gzipped, gzip(bytes)).expect("the build folder can be written");
    format!("    ({name:?}, include_bytes!({plain:?}), include_bytes!({gzipped:?})),\n")
}

/// A twentieth smaller than what `gzip -9` makes of it.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut packed)
        .expect("memory takes it");
    packed
}

/// Another one for other files.
fn version(files: &[(String, Vec<u8>)]) -> String {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The files of a folder and of the folders in it, relative to it.
fn names(folder: &Path, under: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the page is in the house");
    entries
        .flat_map(|entry| {
            let entry = entry.expect("the page can be read");
            let name = format!("{under}{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => names(&entry.path(), &format!("{name}/")),
                false => vec![name],
            }
        })
        .collect()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|why| panic!("could not read {}: {why}", path.display()))
}

fn watch(house: &Path) {
    for path in [
        "src/codec",
        "src/phone",
        "src/wire",
        "src/units",
        "src/page/build.rs",
        "src/page/web",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo:rerun-if-changed={}", house.join(path).display());
    }
    for name in ["CI", "PATH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
}

fn refuse(why: &str) -> ! {
    eprintln!("the phone page needs its core in WebAssembly: {why}");
    std::process::exit(1);
}

fn var(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name}"))
}
