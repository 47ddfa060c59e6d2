//! What of a phone's `node_status` can be true (SX-12): anybody may say anything, and people read it.

use wire::quality::Quality;
use wire::solusync::NodeStatus;

/// The most milliseconds that anything about a phone takes.
const MS_MAX: f64 = 600_000.0;
/// What a clock of whole milliseconds, or one that is being set, measures may be less than nothing by so much.
const COARSE_MS: f64 = 1_000.0;

/// The status with a level that the document knows, or none: newer phones may know others.
///
/// # Errors
/// The field that cannot be, and what it may be.
pub fn believed(status: NodeStatus) -> Result<NodeStatus, String> {
    let sync = status.sync.as_ref();
    let of_sync = |it: fn(&wire::output::SyncErrors) -> Option<f64>| sync.and_then(it);
    let figures = [
        ("cpu_usage", status.cpu_usage, 0.0, 1.0),
        ("memory_usage", status.memory_usage, 0.0, 1.0),
        ("battery_level", status.battery_level, 0.0, 1.0),
        ("packet_loss_percent", status.packet_loss_percent, 0.0, 100.0),
        ("buffer_ms", status.buffer_ms, 0.0, MS_MAX),
        ("avg_rtt_ms", status.avg_rtt_ms, -COARSE_MS, MS_MAX),
        ("delivery_ms", status.delivery_ms, -COARSE_MS, MS_MAX),
        ("need_ms", status.need_ms, -COARSE_MS, MS_MAX),
        ("sync.clock_ms", of_sync(|it| it.clock_ms), 0.0, f64::MAX),
        ("sync.output_ms", of_sync(|it| it.output_ms), 0.0, f64::MAX),
        ("sync.acoustic_ms", of_sync(|it| it.acoustic_ms), 0.0, f64::MAX),
    ];
    let is_wrong = |&&(_, figure, least, most): &&(_, Option<f64>, f64, f64)| {
        figure.is_some_and(|it| !(least..=most).contains(&it))
    };
    if let Some((field, Some(figure), least, most)) = figures.iter().find(is_wrong) {
        return Err(format!("node_status: {field} is {least} to {most}, not {figure}"));
    }
    let level = status.network_quality.as_deref().and_then(Quality::named);
    Ok(NodeStatus { network_quality: level.map(|it| it.name().to_owned()), ..status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::solusync::NodeType;

    #[test]
    fn sx12_what_cannot_be_true_of_a_phone_is_refused_by_its_field() {
        let of = |battery_level, avg_rtt_ms| NodeStatus {
            battery_level: Some(battery_level),
            avg_rtt_ms: Some(avg_rtt_ms),
            ..NodeStatus::of(NodeType::Client)
        };
        assert_eq!(believed(of(0.5, 20.0)), Ok(of(0.5, 20.0)));
        let why = believed(of(50.0, 20.0)).expect_err("no battery is that full");
        assert_eq!(why, "node_status: battery_level is 0 to 1, not 50");
        assert_eq!(believed(of(0.5, -0.03)), Ok(of(0.5, -0.03)), "whole milliseconds on a cable");
        assert!(believed(of(0.5, 1e9)).is_err() && believed(of(0.5, -1e4)).is_err());
    }

    #[test]
    fn sx12_a_level_that_the_document_does_not_know_is_none_and_reaches_no_terminal() {
        let of = |word: Option<&str>| NodeStatus {
            network_quality: word.map(str::to_owned),
            ..NodeStatus::of(NodeType::Client)
        };
        assert_eq!(believed(of(Some("fair"))), Ok(of(Some("fair"))));
        assert_eq!(believed(of(Some("\u{1b}[2Jperfect"))), Ok(of(None)));
    }
}
