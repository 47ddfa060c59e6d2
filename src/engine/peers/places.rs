//! Which of its addresses the box gives to a phone.

use std::net::IpAddr;

/// An address of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The interface that has it.
    pub interface: String,
    /// The address.
    pub ip: IpAddr,
}

/// A phone tries each of them with each of its own.
const PLACES_MAX: usize = 8;

/// The addresses to give to a phone, best first: those of the interface that the box file names for phones, else of all.
/// Those that lead nowhere but to this machine only where the phone is on it.
pub fn places(addresses: &[Address], wanted: Option<&str>, phone: Option<IpAddr>) -> Vec<IpAddr> {
    let here = phone.is_none_or(|it| it.to_canonical().is_loopback());
    let fits = |it: &&Address| match it.ip.is_loopback() {
        true => here,
        false => !is_link_local(it.ip) && wanted.is_none_or(|name| name == it.interface),
    };
    let mut ips: Vec<IpAddr> = addresses.iter().filter(fits).map(|it| it.ip).collect();
    // Stable: within a kind the system's own order stands.
    ips.sort_by_key(|ip| (ip.is_loopback() != here, ip.is_ipv6()));
    ips.dedup();
    ips.truncate(PLACES_MAX);
    ips
}

/// Such an address means nothing without its interface.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}
