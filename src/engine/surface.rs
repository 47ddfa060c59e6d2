//! What an operator's surface means: OSC addresses to commands, in the vocabulary that surfaces already speak.

use units::Level;
use wire::osc::Message;

use crate::told::Command;

/// What a message means here.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// Do this.
    Do(Command),
    /// A button is let go, which nobody waits for.
    LetGo,
    /// Nothing.
    Nothing,
}

/// What a message means.
///
/// Buttons, of which only the press counts: `/go` `/stop` `/pause` `/resume` `/panic` `/cue/{number}/start`
/// `/list/{name}/release`. Faders and switches, which count as they stand, 0 to 1: `/master/{name}` `/blackout`.
pub fn meaning(message: &Message) -> Meaning {
    if let Some(command) = standing(&message.address, message.level) {
        return Meaning::Do(command);
    }
    match button(&message.address) {
        Some(_) if message.released => Meaning::LetGo,
        Some(command) => Meaning::Do(command),
        None => Meaning::Nothing,
    }
}

/// Without an argument a blackout is meant, and a master says nothing.
fn standing(address: &str, level: Option<Level>) -> Option<Command> {
    if address == "/blackout" {
        return Some(Command::Blackout { on: level.is_none_or(|level| level > Level::OUT) });
    }
    let master = address.strip_prefix("/master/")?.to_owned();
    Some(Command::Master { master, level: level? })
}

fn button(address: &str) -> Option<Command> {
    match address {
        "/go" => Some(Command::Go { list: None }),
        "/stop" => Some(Command::Stop),
        "/pause" => Some(Command::Pause),
        "/resume" => Some(Command::Resume),
        "/panic" => Some(Command::Panic),
        _ => cue(address).or_else(|| {
            let list = address.strip_prefix("/list/")?.strip_suffix("/release")?;
            Some(Command::Release { list: Some(list.to_owned()) })
        }),
    }
}

fn cue(address: &str) -> Option<Command> {
    let number = address.strip_prefix("/cue/")?.strip_suffix("/start")?;
    Some(Command::Fire { cue: number.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(address: &str, level: Option<Level>) -> Meaning {
        let released = level == Some(Level::OUT);
        meaning(&Message { address: address.to_owned(), released, level })
    }

    #[test]
    fn surfaces_find_their_words() {
        let cue = "2.5".parse().expect("a cue number");
        let release = Command::Release { list: Some("side light".into()) };
        assert_eq!(told("/cue/2.5/start", None), Meaning::Do(Command::Fire { cue }));
        assert_eq!(told("/go", None), Meaning::Do(Command::Go { list: None }));
        assert_eq!(told("/go", Some(Level::OUT)), Meaning::LetGo);
        assert_eq!(told("/list/side light/release", None), Meaning::Do(release));
        for nothing in
            ["", "/", "/go/", "/cue//start", "/cue/x/start", "/cue/1", "/GO", "/master/front"]
        {
            assert_eq!(told(nothing, None), Meaning::Nothing, "{nothing}");
        }
    }

    #[test]
    fn a_fader_counts_at_its_lower_end_too() {
        for level in [Level::OUT, Level::FULL] {
            let master = "front".to_owned();
            let moved = Command::Master { master, level };
            assert_eq!(told("/master/front", Some(level)), Meaning::Do(moved));
            let on = level == Level::FULL;
            assert_eq!(told("/blackout", Some(level)), Meaning::Do(Command::Blackout { on }));
        }
    }
}
