//! Who may create rooms where the box file has a token for it (BL-12).
//!
//! The token is shown before the socket opens, so no message has a place for it. Later kinds of token are judged here
//! as well, and the messages stay.

use crate::phones::Transport;

/// What a participant may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything.
    Full,
    /// Join the rooms that the box made for it, whose ids nobody else was told.
    Guest,
}

/// The token does not hold, or was shown where anybody can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// Another one.
    #[error("this token does not hold")]
    Wrong,
    /// Row note 7.
    #[error("tokens are refused over plain HTTP: use https")]
    Readable,
}

/// What a socket may do that showed this token, or none. Where the box wants none, none is looked at.
///
/// # Errors
/// [`Unauthorized`]: no socket.
pub fn standing(
    wanted: Option<&str>,
    shown: Option<&str>,
    transport: Transport,
) -> Result<Standing, Unauthorized> {
    let (Some(wanted), Some(shown)) = (wanted, shown) else {
        return Ok(if wanted.is_none() { Standing::Full } else { Standing::Guest });
    };
    match transport {
        Transport::Plain => Err(Unauthorized::Readable),
        Transport::Private if same(wanted, shown) => Ok(Standing::Full),
        Transport::Private => Err(Unauthorized::Wrong),
    }
}

/// In a time that does not tell how much of it was right.
fn same(one: &str, other: &str) -> bool {
    let different = one.bytes().zip(other.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && different == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bl12_a_token_gives_full_standing_none_a_guest_s_and_a_wrong_one_no_socket() {
        use Transport::{Plain, Private};
        assert_eq!(standing(None, None, Plain), Ok(Standing::Full));
        assert_eq!(standing(None, Some("any"), Plain), Ok(Standing::Full));
        assert_eq!(standing(Some("right"), Some("right"), Private), Ok(Standing::Full));
        assert_eq!(standing(Some("right"), None, Plain), Ok(Standing::Guest));
        for wrong in ["", "righ", "right ", "Right"] {
            assert_eq!(standing(Some("right"), Some(wrong), Private), Err(Unauthorized::Wrong));
        }
        assert_eq!(standing(Some("right"), Some("right"), Plain), Err(Unauthorized::Readable));
    }
}
