//! The devices of all lines, as nodes tell of them in parts that may get lost, come twice, or contradict each other.
//!
//! A device is there as soon as any part names it. It is gone when a whole table of its node no longer has it, or when
//! its node has not told of it in three rounds of asking.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use units::{PortAddress, ShowTime};
use wire::artnet::{TodData, UIDS_A_PACKET};
use wire::rdm::Uid;

/// Devices kept: more than 128 full lines have; beyond, new ones are passed over.
const DEVICES_MAX: usize = 4096;
/// Tables that are coming in at once, at most.
const GATHERINGS_MAX: usize = 256;
/// Rounds of asking that a node may stay silent for.
const ROUNDS_MISSED_MAX: u8 = 3;

/// A device on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub uid: Uid,
    /// The line.
    pub port_address: PortAddress,
    /// The node that the line hangs on.
    pub node: Ipv4Addr,
    /// When the node last told of it.
    pub heard: ShowTime,
}

/// All that is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    devices: BTreeMap<(PortAddress, Ipv4Addr, Uid), Device>,
    gatherings: BTreeMap<(PortAddress, Ipv4Addr), Gathering>,
}

#[derive(Debug, Clone)]
struct Device {
    heard: ShowTime,
    missed: u8,
}

/// A table that is coming in: its parts so far.
#[derive(Debug, Clone, Default)]
struct Gathering {
    blocks: BTreeMap<u8, Vec<Uid>>,
}

impl Table {
    pub fn handle(&mut self, now: ShowTime, part: &TodData, from: Ipv4Addr) {
        let line = (part.port_address, from);
        let Some(total) = part.total else {
            // It has no table, which is not the same as an empty one.
            self.gatherings.remove(&line);
            return;
        };
        for uid in part.uids.iter().filter(|uid| !uid.is_broadcast()) {
            self.add(now, (line.0, line.1, *uid));
        }
        if let Some(whole) = self.gather(line, usize::from(total), part) {
            let kept = |port: &PortAddress, node: &Ipv4Addr, uid: &Uid| {
                (*port, *node) != line || whole.contains(uid)
            };
            self.devices.retain(|(port, node, uid), _| kept(port, node, uid));
        }
    }

    fn add(&mut self, now: ShowTime, key: (PortAddress, Ipv4Addr, Uid)) {
        if self.devices.len() < DEVICES_MAX || self.devices.contains_key(&key) {
            self.devices.insert(key, Device { heard: now, missed: 0 });
        }
    }

    /// All devices of the line, once every part has come. Parts are counted as they are, doubles among them.
    fn gather(
        &mut self,
        line: (PortAddress, Ipv4Addr),
        total: usize,
        part: &TodData,
    ) -> Option<BTreeSet<Uid>> {
        let full = self.gatherings.len() >= GATHERINGS_MAX && !self.gatherings.contains_key(&line);
        if full || usize::from(part.block) > DEVICES_MAX / UIDS_A_PACKET {
            return None;
        }
        let gathering = self.gatherings.entry(line).or_default();
        if part.block == 0 {
            gathering.blocks.clear();
        }
        gathering.blocks.insert(part.block, part.uids.clone());
        let in_a_row =
            gathering.blocks.keys().enumerate().all(|(at, block)| at == usize::from(*block));
        if !in_a_row || gathering.blocks.values().map(Vec::len).sum::<usize>() < total {
            return None;
        }
        let whole = self.gatherings.remove(&line)?;
        Some(whole.blocks.into_values().flatten().collect())
    }

    /// All nodes are asked anew.
    pub fn asked(&mut self) {
        self.devices.values_mut().for_each(|it| it.missed += 1);
        self.devices.retain(|_, it| it.missed <= ROUNDS_MISSED_MAX);
    }

    /// Where a device hangs; where two nodes claim it, at the one that told of it last.
    pub fn find(&self, uid: Uid) -> Option<(PortAddress, Ipv4Addr)> {
        let claims = self.devices.iter().filter(|((_, _, it), _)| *it == uid);
        let latest = claims.max_by_key(|(_, device)| device.heard);
        latest.map(|((port, node, _), _)| (*port, *node))
    }

    /// The lines where any of those hangs.
    pub fn lines_of(&self, uid: Uid) -> BTreeSet<(PortAddress, Ipv4Addr)> {
        let meant = self.devices.keys().filter(|(_, _, it)| uid.means(*it));
        meant.map(|(port, node, _)| (*port, *node)).collect()
    }

    pub fn rows(&self) -> Vec<Row> {
        let row = |(&(port_address, node, uid), device): (&_, &Device)| Row {
            uid,
            port_address,
            node,
            heard: device.heard,
        };
        self.devices.iter().map(row).collect()
    }
}
