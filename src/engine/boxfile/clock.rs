//! `[clock]`: where this box's time comes from, and to whom it gives it.
//!
//! In: the section. Out: a [`Clock`] in which every key has a value, the profile's where nobody says. What a profile
//! asks for stands in [`Profile`], with its standard.

use std::net::IpAddr;

use crate::reader::{Table, Value, code, word};

/// Where time comes from. PTP is IEEE 1588-2019.
#[derive(Debug, Clone, PartialEq)]
pub struct Clock {
    /// This box's part on the timing network.
    pub ptp: Part,
    /// One makes an ordinary clock, several a boundary clock.
    pub interfaces: Vec<String>,
    /// What PTP travels on.
    pub transport: Transport,
    /// Whose values hold for what is left out.
    pub profile: Profile,
    /// Clocks of different domains do not hear each other.
    pub domain: u8,
    /// Who leads, where boxes may: the lowest.
    pub priority1: u8,
    /// The same, among clocks that are equally good.
    pub priority2: u8,
    /// How path delay is measured.
    pub delay: Delay,
    /// Who stamps packets.
    pub timestamps: Timestamps,
    /// Seconds between Announce messages, as a power of two.
    pub log_announce_interval: i8,
    /// Seconds between Sync messages, as a power of two.
    pub log_sync_interval: i8,
    /// Seconds between delay requests, as a power of two.
    pub log_delay_interval: i8,
    /// Boxes whose clocks are compared with this one by plain question and answer.
    pub peers: Vec<IpAddr>,
}

/// What this box does on the timing network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nothing: the clock runs by itself.
    Off,
    /// Follows whoever leads, never leads.
    Follow,
    /// Leads, follows nobody.
    Lead,
    /// Follows the best clock, and leads where it is that.
    Auto,
}

/// What PTP travels on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// UDP over IPv4 (Annex C).
    Ipv4,
    /// UDP over IPv6 (Annex D).
    Ipv6,
    /// Ethernet, without IP (Annex E).
    Layer2,
}

/// How path delay is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// To the master and back, through whatever is between.
    EndToEnd,
    /// To the next port, of which there must be one only.
    PeerToPeer,
}

/// Who stamps packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// The interface where it can, else the kernel.
    Auto,
    /// The interface, or nothing.
    Hardware,
    /// The kernel.
    Software,
}

/// A set of values that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// IEEE 1588-2019, Annex I.3 and I.4: the default profiles.
    Default,
    /// AES67-2018, Annex A: the media profile.
    Aes67,
    /// SMPTE ST 2059-2:2021: professional broadcast.
    Media,
}

/// The profile's own values: domain, and the logarithms of announce, sync and delay intervals.
struct Values {
    domain: u8,
    announce: i8,
    sync: i8,
    delay: i8,
}

impl Profile {
    const fn values(self) -> Values {
        match self {
            // Annex I.3 and I.4, as linuxptp's defaults have them as well. In all three profiles
            // announceReceiptTimeout is 3, and both priorities are 128.
            Self::Default => Values { domain: 0, announce: 1, sync: 0, delay: 0 },
            // Annex A. Domain, announce and sync as makers of switches give them for this profile (Juniper's and
            // Cisco's manuals). About delay requests they disagree (Arista 0, Cisco -2, Juniper -3), and the
            // standard's own text was not to be had: 0 is IEEE 1588's default.
            Self::Aes67 => Values { domain: 0, announce: 1, sync: -3, delay: 0 },
            // All four as Juniper's manual gives them for this profile; domain, announce and sync in Haivision's
            // as well. The standard's own text was not to be had.
            Self::Media => Values { domain: 127, announce: -2, sync: -3, delay: -3 },
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        let Values { domain, announce, sync, delay } = Profile::Default.values();
        Self {
            ptp: Part::Off,
            interfaces: Vec::new(),
            transport: Transport::Ipv4,
            profile: Profile::Default,
            domain,
            priority1: 128,
            priority2: 128,
            delay: Delay::EndToEnd,
            timestamps: Timestamps::Auto,
            log_announce_interval: announce,
            log_sync_interval: sync,
            log_delay_interval: delay,
            peers: Vec::new(),
        }
    }
}

pub(super) const KEYS: &[&str] = &[
    "ptp",
    "interfaces",
    "transport",
    "profile",
    "domain",
    "priority1",
    "priority2",
    "delay",
    "timestamps",
    "log_announce_interval",
    "log_sync_interval",
    "log_delay_interval",
    "peers",
];

const PARTS: &[(&str, Part)] =
    &[("off", Part::Off), ("follow", Part::Follow), ("lead", Part::Lead), ("auto", Part::Auto)];
const TRANSPORTS: &[(&str, Transport)] =
    &[("ipv4", Transport::Ipv4), ("ipv6", Transport::Ipv6), ("layer2", Transport::Layer2)];
const PROFILES: &[(&str, Profile)] =
    &[("default", Profile::Default), ("aes67", Profile::Aes67), ("media", Profile::Media)];
const DELAYS: &[(&str, Delay)] = &[("e2e", Delay::EndToEnd), ("p2p", Delay::PeerToPeer)];
const TIMESTAMPS: &[(&str, Timestamps)] = &[
    ("auto", Timestamps::Auto),
    ("hardware", Timestamps::Hardware),
    ("software", Timestamps::Software),
];

/// Domains above are other standards' (IEEE 1588-2019, Table 2).
const DOMAIN_MAX: u32 = 127;
/// As the standard's profiles allow them, taken together: 128 a second to one in 16 seconds.
const LOG_INTERVAL: std::ops::RangeInclusive<i64> = -7..=4;

/// The section.
pub(super) fn read(table: &Table) -> Clock {
    let fallback = Clock::default();
    let profile = one_of(table, "profile", PROFILES, fallback.profile);
    let values = profile.values();
    let octet = |key, fallback| table.whole(key, 0..=255).map_or(fallback, |it| it as u8);
    let log = |key, fallback| log_interval(table, key).unwrap_or(fallback);
    let ptp = one_of(table, "ptp", PARTS, fallback.ptp);
    if ptp != Part::Off {
        need_interfaces(table);
    }
    Clock {
        ptp,
        interfaces: interfaces(table),
        transport: one_of(table, "transport", TRANSPORTS, fallback.transport),
        profile,
        domain: table.whole("domain", 0..=DOMAIN_MAX).map_or(values.domain, |it| it as u8),
        priority1: octet("priority1", fallback.priority1),
        priority2: octet("priority2", fallback.priority2),
        delay: one_of(table, "delay", DELAYS, fallback.delay),
        timestamps: one_of(table, "timestamps", TIMESTAMPS, fallback.timestamps),
        log_announce_interval: log("log_announce_interval", values.announce),
        log_sync_interval: log("log_sync_interval", values.sync),
        log_delay_interval: log("log_delay_interval", values.delay),
        peers: table.each("peers"),
    }
}

fn one_of<T: Copy>(table: &Table, key: &str, words: &[(&str, T)], fallback: T) -> T {
    table.node(key).and_then(|node| word(table.report, node, words)).unwrap_or(fallback)
}

fn need_interfaces(table: &Table) {
    if table.node("interfaces").is_none_or(|node| node.one_or_many().is_empty()) {
        table.missing("interfaces");
    }
}

fn interfaces(table: &Table) -> Vec<String> {
    let names: Vec<String> = table.each("interfaces");
    let wrong = names.iter().find(|name| !super::is_interface(name));
    if let (Some(name), Some(node)) = (wrong, table.node("interfaces")) {
        let message =
            format!("`interfaces` must be network interfaces, 1 to 15 letters each, not {name:?}");
        table.report.error(node.spot, code::OUT_OF_RANGE, message, None);
    }
    names
}

fn log_interval(table: &Table, key: &str) -> Option<i8> {
    let node = table.node(key)?;
    let given = match &node.value {
        Value::Number(number) => number.whole,
        _ => None,
    };
    let Some(given) = given else {
        table.report.wrong_type(node, "a whole number");
        return None;
    };
    if LOG_INTERVAL.contains(&given) {
        return Some(given as i8);
    }
    let (low, high) = (LOG_INTERVAL.start(), LOG_INTERVAL.end());
    let message = format!(
        "`{key}` is seconds as a power of two, a whole number from {low} to {high}, not {given}"
    );
    let help = "-3 is eight a second, 0 one a second, 1 one every two seconds";
    table.report.error(node.spot, code::OUT_OF_RANGE, message, Some(help.into()));
    None
}
