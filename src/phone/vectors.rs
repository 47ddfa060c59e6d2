//! Messages as the vectors have them.
