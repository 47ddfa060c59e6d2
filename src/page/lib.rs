//! The phone page and its WebAssembly core, embedded in the program.
//!
//! In: a path. Out: the file. Never: a server. `web` holds the page as it is served, ES modules without a
//! bundler; `build.rs` compiles the `phone` room to `core.wasm`, and `codec` to `opus.wasm`, and gzips what is served.

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Its content.
    pub bytes: &'static [u8],
    /// The same, gzipped.
    pub gzipped: &'static [u8],
    /// Its `Content-Type`.
    pub mime: &'static str,
}

/// What a browser may do with the page, for its `Content-Security-Policy` header.
///
/// `unsafe-eval` is for WebAssembly alone: Chrome before 97 and Safari before 16 know no narrower word for
/// it (SX-18), and the page has no text of anybody else's to evaluate. Safari before 15.4 does not count a
/// WebSocket to the page's own host as `'self'`.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; \
     script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'; connect-src 'self' ws: wss:; \
     object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/// How `core.wasm` was compiled, for `doctor` and for people who wonder.
pub const CORE_WAY: &str = env!("PAGE_CORE_WAY");

/// The file at a path of the page: `/`, `/screen`, `/performer`, `/page/…`.
pub fn file(path: &str) -> Option<File> {
    let path = match path {
        "/" => "index.html",
        "/screen" => "screen.html",
        "/performer" => "performer.html",
        "/favicon.ico" => "icon.svg",
        // From here it may look after every path.
        "/sw.js" => "sw.js",
        path => path.strip_prefix("/page/")?,
    };
    FILES.iter().find(|(name, ..)| *name == path).map(|&(name, bytes, gzipped)| File {
        bytes,
        gzipped,
        mime: mime(name),
    })
}

// Each file's name, content, and content gzipped.
include!(concat!(env!("OUT_DIR"), "/files.rs"));

fn mime(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        // Modules are UTF-8, and no page says otherwise of the one script that is none.
        Some("js") => "text/javascript",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("png") => "image/png",
        None => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn every_file_the_page_names_is_there() {
        let mut names = 0;
        let texts = FILES
            .iter()
            .filter(|(name, ..)| [".html", ".js", ".css"].iter().any(|it| name.ends_with(it)));
        for (_, bytes, _) in texts {
            let text = std::str::from_utf8(bytes).expect("the page is text");
            for named in text.split('"').filter(|word| word.starts_with("/page/")) {
                assert!(file(named).is_some() || named.contains('$'), "{named}");
                names += 1;
            }
        }
        assert!(names > 4);
    }

    #[test]
    fn a_path_that_is_no_file_is_none() {
        for path in ["", "/page/", "/page/../lib.rs", "/index.html", "/operator"] {
            assert!(file(path).is_none(), "{path}");
        }
        assert_eq!(file("/page/core.wasm").map(|file| file.mime), Some("application/wasm"));
    }

    #[test]
    fn no_script_stands_inside_a_page() {
        for path in ["/", "/screen", "/performer"] {
            let page = String::from_utf8_lossy(file(path).expect("a page").bytes);
            assert!(
                page.matches("<script").count()
                    == page.matches("<script type=\"module\" src=").count()
            );
            assert!(!page.contains(" onclick") && !page.contains(" style="));
        }
    }

    #[test]
    fn what_is_gzipped_is_the_same_file() {
        for (name, bytes, gzipped) in FILES {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(*gzipped).read_to_end(&mut plain).expect(name);
            assert!(plain == *bytes, "{name}");
        }
    }

    #[test]
    fn a_page_knows_its_version_and_the_box_says_the_newest() {
        let version = std::str::from_utf8(file("/page/version").expect("embedded").bytes);
        let version = version.expect("text");
        assert_eq!(version.len(), 16);
        for path in ["/", "/screen", "/performer"] {
            let page = std::str::from_utf8(file(path).expect("a page").bytes).expect("text");
            assert!(page.contains(&format!("content=\"{version}\"")), "{path}");
        }
    }

    #[test]
    fn sx18_the_core_is_mvp_web_assembly() {
        if CORE_WAY.contains("not MVP") {
            eprintln!(
                "skipped: the core was built by {CORE_WAY}; `apt install rustc-web` or a newer wasm-opt mend it"
            );
            return;
        }
        for part in ["core.wasm", "pictures.wasm", "opus.wasm"] {
            let bytes = file(&format!("/page/{part}")).expect("embedded").bytes;
            let mut mvp = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::WASM1);
            let refused = mvp.validate_all(bytes).err();
            assert!(refused.is_none(), "{part} built by {CORE_WAY}: {refused:?}");
        }
    }
}
