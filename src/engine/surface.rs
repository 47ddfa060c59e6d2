//! What an operator's surface means: OSC addresses to commands, in the vocabulary that surfaces already speak.

use crate::told::Command;

/// The command behind an OSC address; none where it means nothing here.
///
/// `/go` `/stop` `/pause` `/resume` `/panic` `/cue/{number}/start`
pub fn command(address: &str) -> Option<Command> {
    match address {
        "/go" => Some(Command::Go { list: None }),
        "/stop" => Some(Command::Stop),
        "/pause" => Some(Command::Pause),
        "/resume" => Some(Command::Resume),
        "/panic" => Some(Command::Panic),
        _ => {
            let number = address.strip_prefix("/cue/")?.strip_suffix("/start")?;
            Some(Command::Fire { cue: number.parse().ok()? })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surfaces_find_their_words() {
        let cue = "2.5".parse().expect("a cue number");
        assert_eq!(command("/cue/2.5/start"), Some(Command::Fire { cue }));
        assert_eq!(command("/go"), Some(Command::Go { list: None }));
        for nothing in ["", "/", "/go/", "/cue//start", "/cue/x/start", "/cue/1", "/GO"] {
            assert_eq!(command(nothing), None, "{nothing}");
        }
    }
}
