//! The phone page and its WebAssembly core, embedded in the program.

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Its content.
    pub bytes: &'static [u8],
    /// Its `Content-Type`.
    pub mime: &'static str,
}
