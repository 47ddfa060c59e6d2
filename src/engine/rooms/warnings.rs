//! Whether a refusal is worth a line in the log.

use std::collections::BTreeMap;
use std::net::IpAddr;

use units::{MonoTime, Span};

use super::network::Network;

/// A log that a flood fills is no log: so long after a warning about a machine comes the next, however many sockets
/// it opens.
const WARN_EVERY: Span = Span::from_secs(60);

/// Of everybody together.
#[derive(Debug, Default)]
pub struct Warnings(BTreeMap<Network, MonoTime>);

impl Warnings {
    /// Whether to warn of somebody from there; then this is the warning.
    pub fn is_due(&mut self, now: MonoTime, from: Option<IpAddr>) -> bool {
        let network = Network::of(from);
        if self.0.get(&network).is_some_and(|&last| now - last < WARN_EVERY) {
            return false;
        }
        self.0.retain(|_, last| now - *last < WARN_EVERY);
        self.0.insert(network, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_warned_of_once_a_minute_and_forgotten_afterwards() {
        let (mut warnings, begin) = (Warnings::default(), MonoTime::from_ns(0));
        let [one, same, other] = ["2001:db8::1", "2001:db8::2", "10.0.0.1"]
            .map(|it| Some(it.parse::<IpAddr>().expect("an address")));
        assert!(warnings.is_due(begin, one));
        assert!(!warnings.is_due(begin + Span::from_secs(59), same));
        assert!(warnings.is_due(begin + Span::from_secs(59), other));
        assert!(warnings.is_due(begin + Span::from_secs(60), one));
        assert!(warnings.is_due(begin + Span::from_secs(200), one));
        assert_eq!(warnings.0.len(), 1);
    }
}
