//! What the box reads of a session description itself (RFC 8866), and what it takes out.

/// Browsers write some 6 kB with three channels and a track.
pub const DESCRIPTION_MAX: usize = 32 << 10;

/// The first fingerprint of the certificate that a side will show (RFC 8122): it tells one connection from another.
pub(super) fn fingerprint(description: &str) -> Option<&str> {
    attribute(description, "a=fingerprint:")
}

/// The name that this side's ICE goes by (RFC 8839, 5.4); whoever knocks says it.
pub fn ufrag(description: &str) -> Option<&str> {
    attribute(description, "a=ice-ufrag:")
}

/// Kinds of media that an offer asks for: the page has its channels and a track. Whatever carries them is made for each.
pub(super) const MEDIA_MAX: usize = 8;

/// How many it asks for.
pub(super) fn media(description: &str) -> usize {
    description.lines().filter(|line| line.starts_with("m=")).count()
}

/// The description without a way to the other side.
pub fn without_candidates(description: &str) -> String {
    let kept = |line: &&str| {
        !["a=candidate:", "a=end-of-candidates"].iter().any(|it| line.starts_with(it))
    };
    description.split_inclusive('\n').filter(kept).collect()
}

fn attribute<'a>(description: &'a str, name: &str) -> Option<&'a str> {
    let value = description.lines().find_map(|line| line.strip_prefix(name))?.trim();
    (!value.is_empty()).then_some(value)
}
