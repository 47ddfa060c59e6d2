//! The Open Lighting daemon `olad` (Debian's package `ola`) on one of the machines of a [`Lan`].
//!
//! It runs as its own user (it refuses to be root), with a folder of its own for its settings, and is told what to do
//! by its own tools and its web page, as a person would.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::lan::{Lan, Side};

const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon.
pub struct Olad<'a> {
    lan: &'a Lan,
    side: Side,
    address: Ipv4Addr,
    child: Child,
    _folder: TempDir,
}

/// Whether a universe comes into the daemon or leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
}

impl<'a> Olad<'a> {
    /// Starts it, and waits until it knows its devices; none, and said why, where it is not installed.
    pub fn start(test: &str, lan: &'a Lan, side: Side, address: Ipv4Addr) -> Option<Self> {
        if !std::path::Path::new("/usr/bin/olad").exists() {
            println!("skipped: {test}: olad (ola) is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("ours");
        let mut command = lan.command(side, "setpriv");
        command.args(["--reuid", "olad", "--regid", "nogroup", "--clear-groups", "olad", "-c"]);
        command.arg(folder.path()).args(["-l", "1", "--no-register-with-dns-sd", "-i"]);
        command.arg(address.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("it starts");
        let olad = Self { lan, side, address, child, _folder: folder };
        let end = Instant::now() + PATIENCE;
        while olad.device("E1.31").is_none() {
            assert!(Instant::now() < end, "olad never knew its devices");
            std::thread::park_timeout(Duration::from_millis(100));
        }
        Some(olad)
    }

    /// Patches a port of a device (by a part of its name: `E1.31`, `ArtNet`) to one of the daemon's universes.
    pub fn patch(&self, device: &str, port: u32, way: Way, universe: u32) {
        let device = self.device(device).expect("it has such a device").to_string();
        let mut command = self.lan.command(self.side, "ola_patch");
        command.args(["-d", &device, "-p", &port.to_string(), "-u", &universe.to_string()]);
        if way == Way::In {
            command.arg("-i");
        }
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.expect("ola_patch comes with it").success());
    }

    /// Levels of one of its universes.
    pub fn set(&self, universe: u32, slots: &[u8]) {
        let slots: Vec<String> = slots.iter().map(u8::to_string).collect();
        let body = format!("u={universe}&d={}", slots.join(","));
        let said = self.ask("POST", "/set_dmx", &body);
        assert!(said.ends_with("ok"), "{said}");
    }

    /// What one of its universes has.
    pub fn get(&self, universe: u32) -> Vec<u8> {
        let said = self.ask("GET", &format!("/get_dmx?u={universe}"), "");
        let list = said.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        let numbers = list.map_or("", |(list, _)| list).split(',');
        numbers.filter_map(|it| it.trim().parse().ok()).collect()
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = self.lan.on(self.side, || {
            TcpStream::connect((self.address, 9090)).expect("its web page listens")
        });
        let kind = "application/x-www-form-urlencoded";
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut said = String::new();
        let _ = stream.read_to_string(&mut said);
        said
    }

    /// The number of a device; none while it is not there.
    fn device(&self, name: &str) -> Option<u32> {
        let mut command = self.lan.command(self.side, "ola_dev_info");
        let output = command.stderr(Stdio::null()).output().expect("ola_dev_info comes with it");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().find(|line| line.starts_with("Device") && line.contains(name))?;
        line.strip_prefix("Device ")?.split_once(':')?.0.parse().ok()
    }
}

impl Drop for Olad<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
