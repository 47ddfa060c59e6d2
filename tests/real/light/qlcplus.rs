//! QLC+ (Debian's package `qlcplus`) on one of the machines of a [`Lan`], without a screen.
//!
//! It passes on what comes in: universe 1 of sACN leaves as 101, port address 2 of Art-Net as universe 102, both by
//! unicast sACN. That is what it understood, 50 times a second.

use std::net::Ipv4Addr;
use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::lan::{Lan, Side};

/// Where universe 1 of sACN is passed on.
pub const PASSED_SACN: u16 = 101;
/// Where port address 2 of Art-Net is.
pub const PASSED_ARTNET: u16 = 102;

/// A running QLC+.
pub struct Qlcplus {
    child: Child,
    _folder: TempDir,
}

impl Qlcplus {
    /// Starts it, listening at `own`, passing on to `to`; none, and said why, where it is not installed.
    pub fn start(test: &str, lan: &Lan, side: Side, own: Ipv4Addr, to: Ipv4Addr) -> Option<Self> {
        if !std::path::Path::new("/usr/bin/qlcplus").exists() {
            println!("skipped: {test}: qlcplus is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let show = folder.path().join("show.qxw");
        std::fs::write(&show, workspace(own, to)).expect("the folder is ours");
        let mut command = lan.command(side, "qlcplus");
        command.env("HOME", folder.path()).env("XDG_RUNTIME_DIR", folder.path());
        command.env("QT_QPA_PLATFORM", "offscreen").args(["--nowm", "--nogui", "--open"]);
        command.arg(show).stdout(Stdio::null()).stderr(Stdio::null());
        Some(Self { child: command.spawn().expect("it starts"), _folder: folder })
    }
}

/// Its show file.
fn workspace(own: Ipv4Addr, to: Ipv4Addr) -> String {
    let universe = |id: u16, plugin: &str, input: &str, passed: u16| {
        format!(
            r#"<Universe Name="U{id}" ID="{id}" Passthrough="True">
<Input Plugin="{plugin}" UID="{own}" Line="1">{input}</Input>
<Output Plugin="E1.31" UID="{own}" Line="1"><PluginParameters universe="{passed}" multicast="0" ucastIP="{to}"/></Output>
</Universe>"#
        )
    };
    let by_sacn = universe(0, "E1.31", "", PASSED_SACN);
    let by_artnet = universe(1, "ArtNet", r#"<PluginParameters inputUni="2"/>"#, PASSED_ARTNET);
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE Workspace>
<Workspace xmlns="http://www.qlcplus.org/Workspace">
<Creator><Name>Q Light Controller Plus</Name><Version>4.12.6</Version><Author>Downbeat</Author></Creator>
<Engine><InputOutputMap>{by_sacn}{by_artnet}</InputOutputMap></Engine>
</Workspace>"#
    )
}

impl Drop for Qlcplus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
