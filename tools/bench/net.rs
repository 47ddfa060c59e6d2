//! Two network namespaces with a cable between them, and what runs in them. Gone when dropped.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The ends of the cable, in the first and in the second namespace.
pub const ENDS: [&str; 2] = ["va", "vb"];
/// Their addresses.
pub const ADDRESSES: [&str; 2] = ["10.98.0.1", "10.98.0.2"];

/// The namespaces.
pub struct Net {
    names: [String; 2],
}

impl Net {
    /// Makes them; needs root.
    pub fn new() -> io::Result<Self> {
        let net =
            Self { names: ["a", "b"].map(|end| format!("dbclk-{}-{end}", std::process::id())) };
        for name in &net.names {
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {name} link set dev lo up"))?;
        }
        let [a, b] = &net.names;
        ip(&format!("-n {a} link add {} type veth peer name {} netns {b}", ENDS[0], ENDS[1]))?;
        for (at, name) in net.names.iter().enumerate() {
            ip(&format!("-n {name} addr add {}/24 dev {}", ADDRESSES[at], ENDS[at]))?;
            ip(&format!("-n {name} link set dev {} up", ENDS[at]))?;
            ip(&format!("-n {name} route add 224.0.0.0/4 dev {}", ENDS[at]))?;
        }
        Ok(net)
    }

    /// Packets that left by the cable's first end so far.
    pub fn packets_sent(&self) -> io::Result<u64> {
        let file = format!("/sys/class/net/{}/statistics/tx_packets", ENDS[0]);
        let output =
            Command::new("ip").args(["netns", "exec", &self.names[0], "cat", &file]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().map_err(|_| io::Error::other(format!("{file} says {text:?}")))
    }

    /// Starts a program in one of them; what it says goes into a file.
    pub fn start(&self, at: usize, command: &[&str], says: &Path) -> io::Result<Process> {
        let file = File::create(says)?;
        let errors = file.try_clone()?;
        let mut by = Command::new("ip");
        by.args(["netns", "exec", &self.names[at]]).args(command);
        Process::start(by.stdin(Stdio::null()).stdout(file).stderr(errors))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

fn ip(words: &str) -> io::Result<()> {
    let output = Command::new("ip").args(words.split(' ')).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "`ip {words}`: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// A program that ends with its owner.
pub struct Process(Child);

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// Processor time that its threads have used.
    pub fn cpu_s(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id()));
        let files = tasks.into_iter().flatten().flatten().map(|it| it.path().join("schedstat"));
        let ran = |text: String| text.split(' ').next()?.parse::<f64>().ok();
        files.filter_map(|it| std::fs::read_to_string(it).ok().and_then(ran)).sum::<f64>() / 1e9
    }

    /// What it holds in memory; none once it is over.
    pub fn memory_mib(&self) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kib| kib / 1024.0)
    }

    /// Whether it has not ended by itself.
    pub fn runs(&mut self) -> io::Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
