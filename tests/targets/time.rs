//! Time datagrams: what is understood is the same octets again.

use wire::time::{Answer, Question};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "time", folders: &["time"], run };

fn run(bytes: &[u8]) {
    if let Ok(question) = Question::parse(bytes) {
        assert_eq!(question.emit()[..], *bytes);
    }
    if let Ok(answer) = Answer::parse(bytes) {
        assert_eq!(answer.emit()[..], *bytes);
    }
}
