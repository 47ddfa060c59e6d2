//! Nothing of its own: the package is its two test binaries.
