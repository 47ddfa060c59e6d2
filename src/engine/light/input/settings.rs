//! What ArtAddress has set of the port addresses that come in; nodes keep that over a loss of power (rules A16, A17).
//!
//! In and out: a JSON document. Never here: where it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use units::{PortAddress, Universe};
use wire::artnet::{Command, Failsafe};

use crate::show::LossGoal;

/// By port address. Those of other shows are kept, too: a box that comes home has them still.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    ports: BTreeMap<PortAddress, PortSettings>,
}

/// Of one port address; what was never set is as the show file says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortSettings {
    /// How two senders merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<SenderMerge>,
    /// What becomes of it when nobody sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failsafe: Option<Failsafe>,
    /// What was recorded for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scene: Option<Scene>,
}

/// How two senders of one port address merge (rule A16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderMerge {
    /// The highest level.
    Htp,
    /// Whoever moved the slot last.
    Ltp,
}

/// Levels of all slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct Scene(pub [u8; Universe::SLOTS]);

impl From<Scene> for Vec<u8> {
    fn from(it: Scene) -> Self {
        it.0.to_vec()
    }
}

impl TryFrom<Vec<u8>> for Scene {
    type Error = String;
    fn try_from(levels: Vec<u8>) -> Result<Self, String> {
        let count = levels.len();
        let levels = levels.try_into();
        levels.map(Self).map_err(|_| format!("a scene has {} levels, not {count}", Universe::SLOTS))
    }
}

impl Settings {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong with it, and in which line and column.
    pub fn parse(document: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(document).map_err(|error| error.to_string())
    }
    /// The document.
    pub fn emit(&self) -> String {
        serde_json::to_string(self).expect("its keys are numbers and its values plain")
    }
    /// What was set of a port address.
    pub fn of(&self, port: PortAddress) -> PortSettings {
        self.ports.get(&port).cloned().unwrap_or_default()
    }
    /// ArtAddress sets something of a port address that shows `levels`, or that nobody sends; false if it stays as it was.
    pub(super) fn set(
        &mut self,
        port: PortAddress,
        command: Command,
        levels: Option<&[u8; Universe::SLOTS]>,
    ) -> bool {
        let mut next = self.of(port);
        next.set(command, levels);
        let changed = next != self.of(port);
        if changed {
            self.ports.insert(port, next);
        }
        changed
    }
}

impl PortSettings {
    /// What is not meant to last changes nothing; there is nothing to record where nobody sends.
    fn set(&mut self, command: Command, levels: Option<&[u8; Universe::SLOTS]>) {
        match command {
            Command::MergeLtp => self.merge = Some(SenderMerge::Ltp),
            Command::MergeHtp => self.merge = Some(SenderMerge::Htp),
            Command::FailHold => self.failsafe = Some(Failsafe::Hold),
            Command::FailZero => self.failsafe = Some(Failsafe::Zero),
            Command::FailFull => self.failsafe = Some(Failsafe::Full),
            Command::FailScene => self.failsafe = Some(Failsafe::Scene),
            Command::FailRecord => {
                self.scene = levels.map(|levels| Scene(*levels)).or(self.scene.take());
            }
            Command::CancelMerge | Command::ClearOutput | Command::Other(_) => {}
        }
    }
}

/// As the show has it.
pub(super) fn goal(failsafe: Failsafe) -> LossGoal {
    match failsafe {
        Failsafe::Hold => LossGoal::Hold,
        Failsafe::Zero => LossGoal::Zero,
        Failsafe::Full => LossGoal::Full,
        Failsafe::Scene => LossGoal::Scene,
    }
}

/// As ArtPollReply has it. Art-Net has no word for the show taking its slots back: what came in goes out.
pub(super) fn failsafe(goal: LossGoal) -> Failsafe {
    match goal {
        LossGoal::Hold => Failsafe::Hold,
        LossGoal::Zero | LossGoal::Release => Failsafe::Zero,
        LossGoal::Full => Failsafe::Full,
        LossGoal::Scene => Failsafe::Scene,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(raw: u32) -> PortAddress {
        PortAddress::new(raw).expect("15 bits")
    }

    #[test]
    fn a17_what_is_set_is_read_as_it_was_written_and_what_is_not_meant_to_last_is_not() {
        let mut settings = Settings::default();
        let mut set = |command| settings.set(port(5), command, Some(&[7; 512]));
        assert!(set(Command::MergeLtp) && set(Command::FailScene) && set(Command::FailRecord));
        assert!(!set(Command::FailScene), "it is so already");
        assert!(!set(Command::CancelMerge) && !set(Command::ClearOutput));
        assert!(!set(Command::Other(0x91)), "the second port of a reply, which has none");
        assert_eq!(Settings::parse(settings.emit().as_bytes()), Ok(settings.clone()));
        let kept = PortSettings {
            merge: Some(SenderMerge::Ltp),
            failsafe: Some(Failsafe::Scene),
            scene: Some(Scene([7; 512])),
        };
        assert_eq!((settings.of(port(5)), settings.of(port(6))), (kept, PortSettings::default()));
    }

    #[test]
    fn a17_nothing_is_recorded_where_nobody_sends() {
        let mut settings = Settings::default();
        assert!(!settings.set(port(5), Command::FailRecord, None));
        settings.set(port(5), Command::FailRecord, Some(&[7; 512]));
        assert!(!settings.set(port(5), Command::FailRecord, None), "the scene stays");
        assert_eq!(settings.of(port(5)).scene, Some(Scene([7; 512])));
    }

    #[test]
    fn settings_that_are_none_are_refused_with_their_place() {
        for (document, says) in [
            ("", "line 1"),
            ("{\"ports\":{\"5\":{\"failsafe\":\"dim\"}}}", "unknown variant `dim`"),
            ("{\"ports\":{\"40000\":{}}}", "32767"),
            ("{\"ports\":{\"5\":{\"scene\":[1,2]}}}", "a scene has 512 levels, not 2"),
            ("{\"ports\":\n{\"5\":{\"mode\":1}}}", "line 2"),
        ] {
            let why = Settings::parse(document.as_bytes()).expect_err("it is wrong");
            assert!(why.contains(says), "{why}");
        }
    }
}
