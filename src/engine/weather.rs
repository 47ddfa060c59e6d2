//! How the networks of a house are in the middle, for the box's own `node_status` (SX-12).
//!
//! In: what phones last said of themselves. Out: a [`Weather`]. Half of the phones fare better than it says, half worse;
//! what nobody has said is unknown.

use units::Span;
use wire::quality::Quality;
use wire::solusync::NodeStatus;

/// The networks of a house.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Weather {
    rtt_ms: Option<f64>,
    loss_percent: Option<f64>,
}

impl Weather {
    /// Of those who said something.
    pub fn of<'a>(said: impl IntoIterator<Item = &'a NodeStatus>) -> Self {
        let (mut rtts, mut losses) = (Vec::new(), Vec::new());
        for status in said {
            rtts.extend(status.avg_rtt_ms);
            losses.extend(status.packet_loss_percent);
        }
        Self { rtt_ms: middle(rtts), loss_percent: middle(losses) }
    }

    /// The same status, and how the networks are. A socket loses nothing, it is only late, so the round trip alone says
    /// of which level a house of sockets is.
    pub fn told_in(self, status: NodeStatus) -> NodeStatus {
        let loss = self.loss_percent.unwrap_or(0.0) / 100.0;
        let level = self.rtt_ms.map(|ms| Quality::of(Span::from_secs_f64(ms / 1e3), loss));
        NodeStatus {
            network_quality: level.map(|it| it.name().to_owned()),
            avg_rtt_ms: self.rtt_ms,
            packet_loss_percent: self.loss_percent,
            ..status
        }
    }
}

fn middle(mut figures: Vec<f64>) -> Option<f64> {
    let at = figures.len() / 2;
    (!figures.is_empty()).then(|| *figures.select_nth_unstable_by(at, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::solusync::NodeType;

    fn told(said: &[(Option<f64>, Option<f64>)]) -> NodeStatus {
        let of = |&(avg_rtt_ms, packet_loss_percent)| NodeStatus {
            avg_rtt_ms,
            packet_loss_percent,
            ..NodeStatus::of(NodeType::Client)
        };
        let said: Vec<NodeStatus> = said.iter().map(of).collect();
        Weather::of(&said).told_in(NodeStatus::of(NodeType::Master))
    }

    #[test]
    fn sx12_the_box_says_how_the_networks_of_its_phones_are_in_the_middle() {
        let status = told(&[(Some(8.0), Some(2.0)), (Some(300.0), None), (Some(40.0), None)]);
        assert_eq!((status.avg_rtt_ms, status.packet_loss_percent), (Some(40.0), Some(2.0)));
        assert_eq!(status.network_quality.as_deref(), Some("poor"), "for its loss");
        assert_eq!(told(&[(Some(5.0), None)]).network_quality.as_deref(), Some("excellent"));
    }

    #[test]
    fn sx12_of_networks_that_nobody_has_measured_the_box_says_nothing() {
        assert_eq!(told(&[]), NodeStatus::of(NodeType::Master));
        assert_eq!(told(&[(None, None)]), NodeStatus::of(NodeType::Master));
    }
}
