//! A lighting network of two machines on this one: network namespaces and the cable between them.
//!
//! The box's end is `light0` (10.78.0.1, fd78::1), the other's `desk0` (10.78.0.2, fd78::2). A socket belongs to the
//! machine that its thread stood on when it was opened, so a box and a desk in this process are on two machines.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

/// Where the box is.
pub const BOX: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
/// Where the other one is.
pub const DESK: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
/// The other one's interface.
pub const DESK_INTERFACE: &str = "desk0";
/// The box's interface.
pub const BOX_INTERFACE: &str = "light0";

/// Whose machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Box,
    Desk,
}

/// Both machines, as long as this lives.
pub struct Lan {
    names: [String; 2],
}

impl Lan {
    /// Linked and up; none, and said why, where this machine cannot do it.
    pub fn new(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: {test}: network namespaces need root");
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let names = ["box", "desk"].map(|side| format!("db-{side}-{}-{count}", std::process::id()));
        let lan = Self { names };
        let [the_box, desk] = &lan.names;
        if !runs(&format!("ip netns add {the_box}")) {
            println!("skipped: {test}: this machine gives no network namespaces");
            return None;
        }
        must(&format!("ip netns add {desk}"));
        let cable = format!("{BOX_INTERFACE} type veth peer name {DESK_INTERFACE} netns {desk}");
        must(&format!("ip -n {the_box} link add {cable}"));
        for (name, end, host) in [(the_box, BOX_INTERFACE, 1), (desk, DESK_INTERFACE, 2)] {
            must(&format!("ip -n {name} addr add 10.78.0.{host}/24 brd + dev {end}"));
            must(&format!("ip -n {name} addr add fd78::{host}/64 dev {end} nodad"));
            must(&format!("ip -n {name} link set dev lo up"));
            must(&format!("ip -n {name} link set dev {end} up"));
            must(&format!("ip -n {name} route add 239.0.0.0/8 dev {end}"));
        }
        Some(lan)
    }

    /// Does something on one of the machines, on a thread of its own.
    pub fn on<T: Send>(&self, side: Side, deed: impl FnOnce() -> T + Send) -> T {
        on(self.name(side), deed)
    }

    /// A program on one of the machines.
    pub fn command(&self, side: Side, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name(side), program]).stdin(Stdio::null());
        command
    }

    /// The cable is pulled, or plugged in again.
    pub fn plug(&self, plugged: bool) {
        let how = if plugged { "up" } else { "down" };
        must(&format!("ip -n {} link set dev {DESK_INTERFACE} {how}", self.names[1]));
    }

    fn name(&self, side: Side) -> &str {
        &self.names[side as usize]
    }
}

/// An address of the desk's network on IPv6.
pub fn v6(host: u16) -> IpAddr {
    format!("fd78::{host}").parse().expect("an address")
}

impl Drop for Lan {
    fn drop(&mut self) {
        for name in &self.names {
            runs(&format!("ip netns del {name}"));
        }
    }
}

/// Does something on the machine of that name, on a thread of its own.
pub fn on<T: Send>(machine: &str, deed: impl FnOnce() -> T + Send) -> T {
    let place = format!("/run/netns/{machine}");
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            let file = File::open(&place).expect("the namespace is there");
            setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter it");
            deed()
        });
        there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Whether a command is done.
pub fn runs(words: &str) -> bool {
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A command that cannot fail where the test can be.
pub fn must(words: &str) {
    assert!(runs(words), "{words}");
}
