//! Who sends: what each is given, so that all do the same work. Every slot of every universe moves.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::FRAME;

/// A fade takes so long that every frame differs from the one before: 255 levels, 43.5 frames a second.
pub const FADE: Duration = Duration::from_millis(5500);

/// A show of so many full universes, whose cues 1 and 2 bring every slot up and down. Neighbours go to levels of their
/// own, so that no frame of it is one octet 512 times.
pub fn show(folder: &Path, universes: u16) -> io::Result<()> {
    let names = |text: &dyn Fn(usize) -> String| (1..=512).map(text).collect::<Vec<_>>().join(", ");
    let mut toml = format!(
        "[show]\ntitle = \"Bench\"\n\n[profiles.wall]\nchannels = [{}]\n\n[fixtures]\n",
        names(&|it| format!("\"s{it}\""))
    );
    for universe in 1..=universes {
        writeln!(
            toml,
            "f{universe} = {{ profile = \"wall\", universe = {universe}, address = 1 }}"
        )
        .expect("a string takes it");
    }
    let all: Vec<String> = (1..=universes).map(|it| format!("\"f{it}\"")).collect();
    write!(toml, "\n[groups]\nall = [{}]\n\n", all.join(", ")).expect("a string takes it");
    let up = |slot: usize| 100.0 - (slot % 16) as f64 / 4.0;
    let looks: [(&str, &dyn Fn(usize) -> f64); 2] = [("up", &up), ("down", &|_| 0.0)];
    for (look, level) in looks {
        write!(
            toml,
            "[looks.{look}.all]\n{}\n\n",
            names(&|it| format!("s{it} = {}", level(it))).replace(", ", "\n")
        )
        .expect("a string takes it");
    }
    toml.push_str("[[list]]\nname = \"main\"\n");
    for (number, look) in [(1, "up"), (2, "down")] {
        write!(
            toml,
            "[[list.cue]]\nnumber = {number}\nlight = {{ look = \"{look}\", fade = \"{}ms\" }}\n",
            FADE.as_millis()
        )
        .expect("a string takes it");
    }
    fs::write(folder.join("show.toml"), toml)
}

/// A box for light alone that sends by this interface and disturbs nobody.
pub fn boxfile(folder: &Path, interface: &str) -> io::Result<()> {
    let ports = "[ports]\nhttp = 18080\nhttps = 0\nosc = 0\ncluster = 0\nclock = 0\npeers = 0\n";
    let rest = format!("[net]\nlight = \"{interface}\"\n[sound]\ndevice = \"none\"\n");
    fs::write(folder.join("box.toml"), ports.to_owned() + &rest)
}

/// `olad` with nothing but sACN out.
pub fn olad(folder: &Path, universes: u16, address: &str) -> io::Result<()> {
    let others = "artnet dummy espnet ftdidmx gpio karate kinet milinst opendmx openpixelcontrol osc pathport renard sandnet shownet spi stageprofi uartdmx usbdmx usbserial";
    for plugin in others.split(' ') {
        fs::write(folder.join(format!("ola-{plugin}.conf")), "enabled = false\n")?;
    }
    let e131 = format!(
        "enabled = true\ninput_ports = 0\noutput_ports = {universes}\nip = {address}\ndscp = 0\ndraft_discovery = false\nprepend_hostname = false\nrevision = 0.46\nignore_preview = true\n"
    );
    fs::write(folder.join("ola-e131.conf"), e131)?;
    let lines = |line: &dyn Fn(u16) -> String| (1..=universes).map(line).collect::<String>();
    fs::write(folder.join("ola-port.conf"), lines(&|it| format!("11-1-O-{} = {it}\n", it - 1)))?;
    let universe = |it| format!("uni_{it}_name = u{it}\nuni_{it}_merge = LTP\n");
    fs::write(folder.join("ola-universe.conf"), lines(&universe))
}

/// Gives `olad` new levels for every universe, every frame, as its own streaming client does.
pub fn drive_olad(universes: u16, long: Duration) -> io::Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", 9010))?;
    socket.set_nodelay(true)?;
    let mut frame = 0u8;
    let begun = Instant::now();
    let mut due = begun;
    let mut octets = Vec::new();
    while begun.elapsed() < long {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        octets.clear();
        (1..=universes).for_each(|universe| stream_dmx(&mut octets, universe, frame));
        socket.write_all(&octets)?;
        frame = frame.wrapping_add(1);
        due += FRAME;
    }
    Ok(())
}

/// `StreamDmxData` of OLA's protocol: a header, an `RpcMessage`, and in it a `DmxData`.
fn stream_dmx(octets: &mut Vec<u8>, universe: u16, level: u8) {
    let mut data = vec![0x08];
    varint(&mut data, universe.into());
    bytes(&mut data, 0x12, &[level; 512]);
    data.extend([0x18, 100]); // its priority
    let mut message = vec![0x08, 10, 0x10]; // a request without an answer, and its number
    varint(&mut message, universe.into());
    bytes(&mut message, 0x1a, b"StreamDmxData");
    bytes(&mut message, 0x22, &data);
    octets.extend(((1u32 << 28) | message.len() as u32).to_ne_bytes());
    octets.extend(message);
}

fn varint(octets: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        octets.push(value as u8 | 0x80);
        value >>= 7;
    }
    octets.push(value as u8);
}

fn bytes(octets: &mut Vec<u8>, tag: u8, value: &[u8]) {
    octets.push(tag);
    varint(octets, value.len() as u64);
    octets.extend(value);
}

/// QLC+ with a dimmer of 512 channels in every universe, fading up and down for ever.
pub fn qlcplus(folder: &Path, universes: u16, address: &str) -> io::Result<()> {
    let each = |text: &dyn Fn(u16) -> String| (0..universes).map(text).collect::<String>();
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE Workspace>\n<Workspace xmlns=\"http://www.qlcplus.org/Workspace\" CurrentWindow=\"VirtualConsole\"><Creator><Name>Q Light Controller Plus</Name><Version>4.12.6</Version><Author>bench</Author></Creator><Engine Autostart=\"2\"><InputOutputMap>",
    );
    xml += &each(&|it| {
        format!(
            "<Universe Name=\"U{it}\" ID=\"{it}\"><Output Plugin=\"E1.31\" UID=\"{address}\" Line=\"1\"/></Universe>"
        )
    });
    xml += "</InputOutputMap>";
    xml += &each(&|it| {
        format!(
            "<Fixture><Manufacturer>Generic</Manufacturer><Model>Generic</Model><Mode>Generic</Mode><ID>{it}</ID><Name>F{it}</Name><Universe>{it}</Universe><Address>0</Address><Channels>512</Channels></Fixture>"
        )
    });
    for (scene, level) in [(0, 255), (1, 0)] {
        let values: Vec<String> = (0..512).map(|it| format!("{it},{level}")).collect();
        let values = values.join(",");
        write!(xml, "<Function ID=\"{scene}\" Type=\"Scene\" Name=\"S{scene}\"><Speed FadeIn=\"0\" FadeOut=\"0\" Duration=\"0\"/>").expect("a string takes it");
        xml += &each(&|it| format!("<FixtureVal ID=\"{it}\">{values}</FixtureVal>"));
        xml += "</Function>";
    }
    let fade = FADE.as_millis();
    write!(xml, "<Function ID=\"2\" Type=\"Chaser\" Name=\"C\"><Speed FadeIn=\"{fade}\" FadeOut=\"0\" Duration=\"{fade}\"/><Direction>Forward</Direction><RunOrder>Loop</RunOrder><SpeedModes FadeIn=\"Common\" FadeOut=\"Common\" Duration=\"Common\"/><Step Number=\"0\" FadeIn=\"0\" Hold=\"0\" FadeOut=\"0\">0</Step><Step Number=\"1\" FadeIn=\"0\" Hold=\"0\" FadeOut=\"0\">1</Step></Function></Engine></Workspace>").expect("a string takes it");
    fs::write(folder.join("bench.qxw"), xml)
}
