//! What phones hear live, by their peer connection.

use units::TrackId;

use super::agenda::RunId;
use crate::Engine;
use crate::told::{Air, Done, Effect, Refusal, Said};

/// What is on air, and what it was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OnAir {
    pub(super) what: Air,
    pub(super) name: String,
    /// The run whose capture it is.
    pub(super) run: Option<RunId>,
}

impl Engine {
    /// Something goes on air, in place of what was; nothing ends it.
    pub(super) fn air(&mut self, what: Option<&str>, from: &str) -> Result<Done, Refusal> {
        let air = what.map(|what| self.find_air(what)).transpose()?;
        let said = what.map_or("nothing is on air".to_owned(), |what| format!("{what} is on air"));
        self.put_on_air(air);
        Ok(self.did(&said, from))
    }

    pub(super) fn put_on_air(&mut self, air: Option<OnAir>) {
        self.effects.push_back(Effect::Air(air.as_ref().map(|it| it.what)));
        self.on_air = air;
    }

    /// It could not go on air, and nothing sounds. What was asked for since is not meant.
    pub(super) fn not_on_air(&mut self, what: Air, why: String) {
        if let Some(it) = self.on_air.take_if(|it| it.what == what) {
            self.say(Said::NotOnAir { what: it.name, why });
        }
    }

    /// It is seen, and not heard.
    pub(super) fn without_sound(&mut self, what: Air, why: String) {
        if let Some(it) = self.on_air.as_ref().filter(|it| it.what == what) {
            self.say(Said::WithoutSound { what: it.name.clone(), why });
        }
    }

    fn find_air(&self, what: &str) -> Result<OnAir, Refusal> {
        let name = what.to_owned();
        let media = || self.show.tracks.get(&TrackId(name.clone())).map(|&media| Air::Media(media));
        let air = match what {
            "tone" => Some(Air::Tone),
            "input" => Some(Air::Input),
            _ => media(),
        };
        match air {
            Some(what) => Ok(OnAir { what, name, run: None }),
            None => Err(Refusal::NoSuchTrack { what: name }),
        }
    }
}
