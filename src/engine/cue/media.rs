//! What an operator asks of the tracks on phones by `media_control` (SX-10): every phone hears it, whatever plays.

use units::{ShowTime, Span, TrackId};
use wire::solusync::{MediaAction, MediaControl};

use super::Engine;
use crate::order::{Output, What};
use crate::phones::shortened;
use crate::told::{Done, Refusal};

/// A time further away is a mistake in somebody's clock.
pub const AWAY_MAX: Span = Span::from_secs(86_400);

impl Engine {
    /// Phones are told; one that joins later is brought to where the others are.
    pub(super) fn media(
        &mut self,
        now: ShowTime,
        asked: &MediaControl,
        from: &str,
    ) -> Result<Done, Refusal> {
        let control = self.whole(now, asked)?;
        let at = control.start_at.map_or(now, |at| at.to_show(self.tai_utc));
        let length = control.track_id.as_ref().map(|track| self.track_length(track));
        let order = self.order(None, Output::Phones, what(&control), at);
        let said = sentence(&control);
        let message = self.audience.control(control, at, length.unwrap_or(Span::ZERO));
        self.tell_all(&order, message);
        Ok(self.did(&said, from))
    }

    /// The same with everything in it that phones need, if it makes sense.
    fn whole(&self, now: ShowTime, asked: &MediaControl) -> Result<MediaControl, Refusal> {
        use MediaAction::{Pause, Play, Seek, Stop};
        if self.paused.is_some() && matches!(asked.action, Play | Seek) {
            return Err(Refusal::Paused);
        }
        match &asked.track_id {
            Some(track) if !self.show.tracks.contains_key(track) => {
                return Err(Refusal::NoSuchTrack { what: shortened(&track.0, 64) });
            }
            None if !matches!(asked.action, Pause | Stop) => return Err(Refusal::NoTrack),
            _ => {}
        }
        let at = match asked.start_at {
            Some(at) => at.to_show(self.tai_utc),
            None => now + self.phone_lead(),
        };
        if (at - now).abs() > AWAY_MAX || !asked.params.is_in_range() {
            return Err(Refusal::OutOfRange);
        }
        let start_at = Some(units::WireTime::from_show(at, self.tai_utc));
        Ok(MediaControl { start_at, ..asked.clone() })
    }
}

fn what(control: &MediaControl) -> What {
    match (control.action, &control.track_id) {
        (MediaAction::Play, Some(track)) => What::Track { track: track.clone() },
        (action, track) => What::Media { action, track: track.clone() },
    }
}

fn sentence(control: &MediaControl) -> String {
    let all = TrackId("all tracks".to_owned());
    let track = control.track_id.as_ref().unwrap_or(&all);
    let does = match control.action {
        MediaAction::Play => "play",
        MediaAction::Pause => "pause",
        MediaAction::Stop => "stop",
        MediaAction::Seek => "move within",
        MediaAction::Load => "load",
        MediaAction::Unload => "unload",
    };
    format!("phones {does} {track}")
}
