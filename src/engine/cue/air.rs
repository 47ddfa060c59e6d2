//! What phones hear live, on the track of their peer connection.

use units::TrackId;

use crate::Engine;
use crate::told::{Air, Done, Effect, Refusal};

impl Engine {
    /// Something goes on air, in place of what was; nothing ends it.
    pub(super) fn air(&mut self, what: Option<&str>, from: &str) -> Result<Done, Refusal> {
        let air = what.map(|what| self.find_air(what)).transpose()?;
        let said = what.map_or("nothing is on air".to_owned(), |what| format!("{what} is on air"));
        self.effects.push_back(Effect::Air(air));
        Ok(self.did(&said, from))
    }

    fn find_air(&self, what: &str) -> Result<Air, Refusal> {
        if what == "tone" {
            return Ok(Air::Tone);
        }
        let media = self.show.tracks.get(&TrackId(what.to_owned()));
        media.map(|&media| Air::Media(media)).ok_or(Refusal::NoSuchTrack { what: what.to_owned() })
    }
}
