//! The box file, `box.toml`: what is true of this box, whatever show it plays.
//!
//! In: its text. Out: a [`BoxConfig`] in which every key has a value, or findings that name what is wrong.
//! Never here: the disk; whether an interface or a card of that name is there (`doctor` looks).
//! `docs/box-file.md` is the page for people, `config/box.toml` the commented example, equal to the defaults.

use std::collections::BTreeMap;
use std::net::IpAddr;

pub mod clock;
pub mod peers;

use units::{Span, Subnet};

pub use clock::Clock;
pub use peers::Peers;

use crate::reader::{Entry, Finding, Node, Read, Report, Severity, Spot, Table, code, parse};
use crate::rooms::IDLE;

/// This box. Its [`Default`] is what holds where no file says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxConfig {
    /// What people and consoles call it; 1 to 63 bytes, as sACN's source name has room for.
    pub name: String,
    /// `[net]`
    pub net: Net,
    /// `[ports]`
    pub ports: Ports,
    /// `[limits]`
    pub limits: Limits,
    /// `[bloom]`
    pub bloom: Bloom,
    /// `[sound]`
    pub sound: Sound,
    /// `[paths]`
    pub paths: Paths,
    /// `[cluster]`
    pub cluster: Cluster,
    /// `[clock]`
    pub clock: Clock,
    /// `[timecode]`
    pub timecode: TimecodePorts,
    /// `[peers]`
    pub peers: Peers,
}

/// Which interface serves whom; none leaves the choice to the routing table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Net {
    /// Lighting packets leave only by this one.
    pub light: Option<String>,
    /// Whether receivers on this machine hear what is multicast, too.
    pub light_here: bool,
    /// The Wi-Fi side.
    pub phones: Option<String>,
    /// Whether phones over HTTPS are to say and hear everything by QUIC where they can (SX-20).
    pub phones_by_quic: bool,
    /// The link to the other boxes.
    pub cluster: Option<String>,
    /// The subnet of each access point, where each has one of its own: phones on one way are off by the same.
    pub access_points: Vec<Subnet>,
    /// How many phones a router (NAT, a captive portal) may show the box behind one address; 0 where each has its own.
    pub phones_behind_one_address: u32,
}

/// Where the box listens; 0 takes any port that is free.
#[derive(Debug, Clone, PartialEq)]
pub struct Ports {
    /// TCP, pages and `/ws` without TLS.
    pub http: u16,
    /// TCP, and UDP for WebTransport.
    pub https: u16,
    /// UDP.
    pub osc: u16,
    /// TCP and UDP.
    pub cluster: u16,
    /// UDP: questions of other boxes that compare clocks.
    pub clock: u16,
    /// UDP: peer connections (WebRTC) of all phones.
    pub peers: u16,
}

/// How much one phone, or one address, may ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// `/ws` sockets of one address (SX-17). A venue's NAT can put a whole audience behind one.
    pub connections_per_address: u32,
    /// `/bloom` and `/score` sockets of one address.
    pub signalling_per_address: u32,
    /// Of one socket (SX-17).
    pub clock_syncs_per_second: u32,
    /// Of all phones together: they are asked to keep to it.
    pub clock_syncs_total_per_second: u32,
    /// Of one socket (SX-17).
    pub media_controls_per_second: u32,
    /// Of one socket: whatever else it says, nonsense included.
    pub messages_per_second: u32,
    /// Peer connections of all phones together.
    pub peers: u32,
}

/// Signalling between phones.
#[derive(Debug, Clone, PartialEq)]
pub struct Bloom {
    /// A file with the token that whoever creates a room shows (BL-12); none wants none. Not the token itself: a box
    /// file is read by many, and its lines are printed where they are wrong.
    pub token_file: Option<String>,
    /// A room in which nobody has said anything for so long ends (BL-11).
    pub idle: Span,
}

impl Default for Bloom {
    fn default() -> Self {
        Self { token_file: None, idle: IDLE }
    }
}

/// The box's own sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// What it comes out of.
    pub device: SoundDevice,
    /// What calibrations listen with: an ALSA name; none is none.
    pub microphone: Option<String>,
    /// What `downbeat air input` puts on air: an ALSA name.
    pub input: Option<String>,
    /// Channels of the card that are opened, 1 to 64.
    pub channels: u16,
    /// Frames a second, 8,000 to 192,000.
    pub rate_hz: u32,
}

/// Where timecode comes and goes; Art-Net's needs no cable of its own, and LTC goes out by the sound card.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TimecodePorts {
    /// What LTC is heard with: an ALSA name; none is none.
    pub ltc_in: Option<String>,
    /// Channel of it, from 0.
    pub ltc_channel: u16,
    /// A raw MIDI device that MTC is heard from.
    pub midi_in: Option<String>,
    /// A raw MIDI device that MTC goes to.
    pub midi_out: Option<String>,
}

/// What sound comes out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SoundDevice {
    /// The system's first card; simulated, and saying so, where there is none.
    Auto,
    /// Nothing: this box has no sound.
    None,
    /// A card that is not there, keeping time like one.
    Simulated,
    /// The ALSA device of that name, `hw:0` or `plughw:CARD=Device`.
    Alsa(String),
}

/// Where things lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Paths {
    /// Show folders.
    pub shows: String,
    /// What survives a power cut.
    pub state: String,
    /// The control socket.
    pub socket: String,
    /// The table of phone models.
    pub phones: String,
}

/// The boxes that stand in for each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Boxes of one name belong together.
    pub name: String,
    /// Names of the boxes that have a vote, this one among them, the preferred one first; empty is this one alone.
    pub voters: Vec<String>,
    /// The address that whichever box drives takes on. Read and checked; no box takes it on yet.
    pub address: Option<IpAddr>,
}

impl Default for BoxConfig {
    fn default() -> Self {
        Self {
            name: "downbeat".into(),
            net: Net::default(),
            ports: Ports::default(),
            limits: Limits::default(),
            bloom: Bloom::default(),
            sound: Sound::default(),
            paths: Paths::default(),
            cluster: Cluster::default(),
            clock: Clock::default(),
            timecode: TimecodePorts::default(),
            peers: Peers::default(),
        }
    }
}
impl Default for Ports {
    fn default() -> Self {
        Self { http: 8080, https: 8443, osc: 53000, cluster: 4001, clock: 4002, peers: 4003 }
    }
}
impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_address: 10,
            signalling_per_address: 64,
            clock_syncs_per_second: 10,
            // Two small frames each, some 0.2 ms of air: a fifth of it where one access point has a thousand phones.
            clock_syncs_total_per_second: 1_000,
            media_controls_per_second: 100,
            messages_per_second: 100,
            peers: 1_000,
        }
    }
}
impl Default for Sound {
    fn default() -> Self {
        Self {
            device: SoundDevice::Auto,
            microphone: None,
            input: None,
            channels: 2,
            rate_hz: 48_000,
        }
    }
}
impl Default for Paths {
    fn default() -> Self {
        Self {
            shows: "/srv/downbeat/shows".into(),
            state: "/var/lib/downbeat".into(),
            socket: "/run/downbeat/control.sock".into(),
            phones: "/etc/downbeat/phones.toml".into(),
        }
    }
}
impl Default for Cluster {
    fn default() -> Self {
        Self { name: "downbeat".into(), voters: Vec::new(), address: None }
    }
}

/// What became of reading a box file.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The box; there is one exactly if no finding is an error.
    pub config: Option<BoxConfig>,
    /// Everything that is wrong with it.
    pub findings: Vec<Finding>,
    /// How many phones of one address it lets in, where it says nothing of how they come.
    pub let_in_untold: Option<u32>,
}

/// Reads a box file; `name` is how findings call it.
pub fn load(name: &str, text: &str) -> Loaded {
    let report = Report::new();
    let entries = parse(&report, name, text);
    let config = read(&report, &entries);
    let findings = report.finish();
    let sound = findings.iter().all(|finding| finding.severity == Severity::Warning);
    let let_in_untold = let_in_untold(&entries, &config);
    Loaded { config: sound.then_some(config), findings, let_in_untold }
}

const KEYS: &[&str] = &[
    "name", "net", "ports", "limits", "bloom", "sound", "paths", "cluster", "clock", "timecode",
    "peers",
];

fn read(report: &Report, entries: &[Entry]) -> BoxConfig {
    let start = Spot { file: 0, start: 0, end: 0 };
    let top = Table::over(report, start, entries, "a box file", KEYS);
    let name = named(&top, "name").unwrap_or_else(|| BoxConfig::default().name);
    let config = BoxConfig {
        net: net(&top),
        ports: ports(&top),
        limits: limits(&top),
        bloom: bloom(&top),
        sound: sound(&top),
        paths: paths(&top),
        cluster: cluster(&top, &name),
        name,
        clock: section(&top, "clock", "[clock]", clock::KEYS)
            .map_or_else(Clock::default, |table| clock::read(&table)),
        timecode: timecode(&top),
        peers: section(&top, "peers", "[peers]", peers::KEYS)
            .map_or_else(Peers::default, |table| peers::read(&table)),
    };
    phones_find_room(&top, &config);
    config
}

fn section<'a>(
    top: &Table<'a>,
    key: &str,
    what: &'static str,
    known: &'static [&'static str],
) -> Option<Table<'a>> {
    top.node(key).and_then(|node| Table::open(top.report, node, what, known))
}

const NET_KEYS: &[&str] = &[
    "light",
    "light_here",
    "phones",
    "phones_by_quic",
    "cluster",
    "access_points",
    "phones_behind_one_address",
];

fn net(top: &Table) -> Net {
    let Some(table) = section(top, "net", "[net]", NET_KEYS) else {
        return Net::default();
    };
    let interface =
        |key| checked(&table, key, "a network interface, 1 to 15 letters", is_interface);
    Net {
        light: interface("light"),
        light_here: table.or("light_here", false),
        phones: interface("phones"),
        phones_by_quic: table.or("phones_by_quic", false),
        cluster: interface("cluster"),
        access_points: table.each("access_points"),
        phones_behind_one_address: table
            .whole("phones_behind_one_address", 0..=LIMIT_MAX)
            .unwrap_or(0),
    }
}

/// A house of which most would be turned away is not found out by one phone at rehearsal.
fn phones_find_room(top: &Table, config: &BoxConfig) {
    let (net, most) = (&config.net, config.limits.connections_per_address);
    let sharing = net.phones_behind_one_address;
    let is_default = most == Limits::default().connections_per_address;
    let one = net.access_points.iter().find(|it| it.is_one_address()).filter(|_| is_default);
    let (key, message) = match (sharing > most, one) {
        (true, _) => (
            "phones_behind_one_address",
            format!(
                "{sharing} phones may share an address, and one address has {most} sockets: the others are turned away"
            ),
        ),
        (false, Some(one)) => (
            "access_points",
            format!(
                "all phones of {one} share an address, and one address has {most} sockets: the others are turned away"
            ),
        ),
        (false, None) => return,
    };
    let entry = top.entries("net", "a table").iter().find(|entry| entry.key == key);
    let Some(entry) = entry else { return };
    let enough = sharing.max(100);
    let help = format!("set `connections_per_address` in `[limits]` to {enough} or more");
    top.report.warn(entry.node.spot, code::LIMIT_TOO_LOW, message, Some(help));
}

/// Whoever sets one of these keys, be it to what it is anyway, has thought of it.
fn let_in_untold(entries: &[Entry], config: &BoxConfig) -> Option<u32> {
    let says = |section: &str, keys: &[&str]| {
        let section = entries.iter().find(|entry| entry.key == section);
        let within = section.and_then(|entry| entry.node.entries()).unwrap_or(&[]);
        within.iter().any(|entry| keys.contains(&entry.key.as_str()))
    };
    let is_told = says("net", &["phones_behind_one_address", "access_points"])
        || says("limits", &["connections_per_address"]);
    (!is_told).then_some(config.limits.connections_per_address)
}

/// Linux: IFNAMSIZ is 16 with its end.
fn is_interface(name: &str) -> bool {
    (1..=15).contains(&name.len()) && !name.contains(|c: char| c == '/' || c.is_whitespace())
}

fn ports(top: &Table) -> Ports {
    let fallback = Ports::default();
    let keys = &["http", "https", "osc", "cluster", "clock", "peers"];
    let Some(table) = section(top, "ports", "[ports]", keys) else {
        return fallback;
    };
    let port = |key, fallback| table.whole(key, 0..=65_535).map_or(fallback, |it| it as u16);
    let ports = Ports {
        http: port("http", fallback.http),
        https: port("https", fallback.https),
        osc: port("osc", fallback.osc),
        cluster: port("cluster", fallback.cluster),
        clock: port("clock", fallback.clock),
        peers: port("peers", fallback.peers),
    };
    ports_differ(&table, &ports);
    ports
}

/// HTTPS and the cluster listen on UDP as well, so only HTTP and OSC could share; that would confuse everybody.
fn ports_differ(table: &Table, ports: &Ports) {
    let all = [
        ("http", ports.http),
        ("https", ports.https),
        ("osc", ports.osc),
        ("cluster", ports.cluster),
        ("clock", ports.clock),
        ("peers", ports.peers),
    ];
    let mut taken: BTreeMap<u16, &str> = BTreeMap::new();
    for (key, port) in all.into_iter().filter(|&(_, port)| port != 0) {
        if let Some(first) = taken.insert(port, key) {
            let node = table.node(key).or(table.node(first));
            let spot = node.map_or(table.spot, |node| node.spot);
            let message = format!("`{key}` and `{first}` both have port {port}");
            table.report.error(spot, code::PORT_TAKEN, message, None);
        }
    }
}

/// More than a million of anything is a typing mistake.
const LIMIT_MAX: u32 = 1_000_000;

fn limits(top: &Table) -> Limits {
    let keys = &[
        "connections_per_address",
        "signalling_per_address",
        "clock_syncs_per_second",
        "clock_syncs_total_per_second",
        "media_controls_per_second",
        "messages_per_second",
        "peers",
    ];
    let fallback = Limits::default();
    let Some(table) = section(top, "limits", "[limits]", keys) else { return fallback };
    let limit = |key, fallback| table.whole(key, 1..=LIMIT_MAX).unwrap_or(fallback);
    Limits {
        connections_per_address: limit("connections_per_address", fallback.connections_per_address),
        signalling_per_address: limit("signalling_per_address", fallback.signalling_per_address),
        clock_syncs_per_second: limit("clock_syncs_per_second", fallback.clock_syncs_per_second),
        clock_syncs_total_per_second: limit(
            "clock_syncs_total_per_second",
            fallback.clock_syncs_total_per_second,
        ),
        media_controls_per_second: limit(
            "media_controls_per_second",
            fallback.media_controls_per_second,
        ),
        messages_per_second: limit("messages_per_second", fallback.messages_per_second),
        peers: limit("peers", fallback.peers),
    }
}

fn bloom(top: &Table) -> Bloom {
    let fallback = Bloom::default();
    let Some(table) = section(top, "bloom", "[bloom]", &["token_file", "idle_s"]) else {
        return fallback;
    };
    let idle = table.whole("idle_s", 1..=3_600).map(|it| Span::from_secs(it.into()));
    Bloom {
        token_file: checked(&table, "token_file", "a path", is_path),
        idle: idle.unwrap_or(fallback.idle),
    }
}

/// The token in a file of one line.
///
/// # Errors
/// What is wrong with it, without saying it.
pub fn token(text: &str) -> Result<String, &'static str> {
    let token = text.trim_end_matches(['\n', '\r']);
    // What a header and an address can carry without escapes (RFC 6750, 2.1; RFC 3986, 2.3).
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    match token.len() {
        16..=256 if token.bytes().all(plain) => Ok(token.to_owned()),
        16..=256 => Err("a token has letters, digits and `-._~` alone"),
        _ => Err("a token has 16 to 256 characters"),
    }
}

fn sound(top: &Table) -> Sound {
    let fallback = Sound::default();
    let keys = &["device", "microphone", "input", "channels", "rate_hz"];
    let Some(table) = section(top, "sound", "[sound]", keys) else {
        return fallback;
    };
    Sound {
        device: table.or("device", fallback.device),
        microphone: checked(&table, "microphone", "\"none\" or an ALSA name", |it| !it.is_empty())
            .filter(|name| name != "none"),
        input: checked(&table, "input", "\"none\" or an ALSA name", |it| !it.is_empty())
            .filter(|name| name != "none"),
        channels: table.whole("channels", 1..=64).map_or(fallback.channels, |it| it as u16),
        rate_hz: table.whole("rate_hz", 8_000..=192_000).unwrap_or(fallback.rate_hz),
    }
}

impl Read for SoundDevice {
    fn read(node: &Node, report: &Report) -> Option<Self> {
        let name = String::read(node, report)?;
        match name.as_str() {
            "auto" => Some(Self::Auto),
            "none" => Some(Self::None),
            "simulated" => Some(Self::Simulated),
            "" => {
                let message =
                    "`device` must be \"auto\", \"none\", \"simulated\" or an ALSA name".into();
                report.error(node.spot, code::OUT_OF_RANGE, message, None);
                None
            }
            _ => Some(Self::Alsa(name)),
        }
    }
}

fn timecode(top: &Table) -> TimecodePorts {
    let keys = &["ltc_in", "ltc_channel", "midi_in", "midi_out"];
    let Some(table) = section(top, "timecode", "[timecode]", keys) else {
        return TimecodePorts::default();
    };
    let named =
        |key, wanted| checked(&table, key, wanted, |it| !it.is_empty() && !it.contains('\0'));
    let named = |key, wanted| named(key, wanted).filter(|name| name != "none");
    TimecodePorts {
        ltc_in: named("ltc_in", "\"none\" or an ALSA name"),
        ltc_channel: table.whole("ltc_channel", 1..=64).map_or(0, |it| it as u16 - 1),
        midi_in: named("midi_in", "\"none\" or the path of a MIDI device"),
        midi_out: named("midi_out", "\"none\" or the path of a MIDI device"),
    }
}

fn paths(top: &Table) -> Paths {
    let fallback = Paths::default();
    let keys = &["shows", "state", "socket", "phones"];
    let Some(table) = section(top, "paths", "[paths]", keys) else {
        return fallback;
    };
    let path = |key| checked(&table, key, "a path", is_path);
    Paths {
        shows: path("shows").unwrap_or(fallback.shows),
        state: path("state").unwrap_or(fallback.state),
        socket: path("socket").unwrap_or(fallback.socket),
        phones: path("phones").unwrap_or(fallback.phones),
    }
}

fn is_path(path: &str) -> bool {
    !path.is_empty() && !path.contains('\0')
}

fn cluster(top: &Table, own: &str) -> Cluster {
    let fallback = Cluster::default();
    let Some(table) = section(top, "cluster", "[cluster]", &["name", "voters", "address"]) else {
        return fallback;
    };
    let voters: Vec<String> = table.each("voters");
    check_voters(&table, &voters, own);
    Cluster {
        name: named(&table, "name").unwrap_or(fallback.name),
        voters,
        address: table.read("address"),
    }
}

/// Each has one vote, and a box that has none would never drive.
fn check_voters(table: &Table, voters: &[String], own: &str) {
    let spot = table.node("voters").map_or(table.spot, |node| node.spot);
    if let Some(twice) = voters.iter().enumerate().find(|(k, it)| voters[..*k].contains(it)) {
        let message = format!("box {:?} is named twice among `voters`", twice.1);
        table.report.error(spot, code::OUT_OF_RANGE, message, None);
    }
    if !voters.is_empty() && !voters.iter().any(|it| it == own) {
        let message = format!("this box, {own:?}, is not among `voters`");
        let help = "add it, or set `name` at the top of the file to the name that is there";
        table.report.error(spot, code::OUT_OF_RANGE, message, Some(help.to_owned()));
    }
}

fn named(table: &Table, key: &str) -> Option<String> {
    checked(table, key, "1 to 63 bytes long", |name| {
        (1..=63).contains(&name.len()) && !name.contains(char::is_control)
    })
}

fn checked(table: &Table, key: &str, wanted: &str, good: impl Fn(&str) -> bool) -> Option<String> {
    let text: String = table.read(key)?;
    if good(&text) {
        return Some(text);
    }
    let spot = table.node(key).map_or(table.spot, |node| node.spot);
    let message = format!("`{key}` must be {wanted}, not {text:?}");
    table.report.error(spot, code::OUT_OF_RANGE, message, None);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        load("box.toml", text).findings.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn no_file_at_all_is_the_defaults() {
        assert_eq!(
            load("box.toml", ""),
            Loaded {
                config: Some(BoxConfig::default()),
                findings: vec![],
                let_in_untold: Some(10)
            }
        );
    }

    #[test]
    fn the_example_is_the_defaults() {
        let example = include_str!("../../config/box.toml");
        let loaded = load("config/box.toml", example);
        assert_eq!(loaded.findings, []);
        assert_eq!(loaded.config, Some(BoxConfig::default()));
    }

    #[test]
    fn the_example_shows_every_key() {
        let example = include_str!("../../config/box.toml");
        let keys = "name net light light_here phones phones_by_quic cluster access_points phones_behind_one_address ports http https osc limits connections_per_address \
            signalling_per_address clock_syncs_per_second clock_syncs_total_per_second media_controls_per_second messages_per_second bloom token_file idle_s sound device microphone input channels \
            rate_hz paths shows state socket voters address clock ptp interfaces transport profile domain \
            priority1 priority2 delay timestamps timecode ltc_in ltc_channel midi_in midi_out log_announce_interval log_sync_interval log_delay_interval peers";
        for key in keys.split_whitespace() {
            assert!(
                example.contains(&format!("{key} = ")) || example.contains(&format!("[{key}]")),
                "{key}"
            );
        }
    }

    #[test]
    fn what_a_file_says_counts() {
        let text = "name = \"stage left\"\n[net]\nlight = \"eth1\"\nphones_by_quic = true\naccess_points = [\"10.1.1.0/24\", \"10.1.2.0/24\"]\n[ports]\nhttp = 0\nhttps = 0\n\
            [sound]\ndevice = \"hw:1\"\nchannels = 8\n[cluster]\naddress = \"10.0.0.9\"\nvoters = [\"stage left\", \"b\"]\n";
        let config = load("box.toml", text).config.expect("a good file");
        assert_eq!(config.name, "stage left");
        assert_eq!((config.net.light.as_deref(), config.net.phones_by_quic), (Some("eth1"), true));
        let subnets: Vec<String> = config.net.access_points.iter().map(Subnet::to_string).collect();
        assert_eq!(subnets, ["10.1.1.0/24", "10.1.2.0/24"]);
        assert_eq!((config.ports.http, config.ports.https, config.ports.osc), (0, 0, 53000));
        assert_eq!(config.sound.device, SoundDevice::Alsa("hw:1".into()));
        assert_eq!(config.cluster.voters, ["stage left", "b"]);
        assert_eq!(config.cluster.address, Some(IpAddr::from([10, 0, 0, 9])));
    }

    #[test]
    fn sx03_a_box_is_one_of_the_voters_once() {
        let of =
            |voters: &str| messages(&format!("name = \"left\"\n[cluster]\nvoters = {voters}\n"));
        assert_eq!(of("[\"left\", \"right\"]"), [""; 0]);
        assert_eq!(of("[]"), [""; 0]);
        assert_eq!(of("[\"right\", \"witness\"]"), ["this box, \"left\", is not among `voters`"]);
        let twice = of("[\"left\", \"left\"]");
        assert_eq!(twice, ["box \"left\" is named twice among `voters`"]);
    }

    #[test]
    fn sx17_an_audience_behind_one_address_is_warned_of_before_doors() {
        let warned = |text: &str| messages(text).len();
        assert_eq!(warned("[net]\nphones_behind_one_address = 800\n"), 1);
        let raised = "[limits]\nconnections_per_address = 800\n";
        assert_eq!(warned(&format!("[net]\nphones_behind_one_address = 800\n{raised}")), 0);
        assert_eq!(warned(&format!("[net]\nphones_behind_one_address = 801\n{raised}")), 1);
        assert_eq!(warned("[net]\naccess_points = [\"10.1.1.0/24\", \"10.1.2.1/32\"]\n"), 1);
        assert_eq!(warned("[net]\naccess_points = [\"10.1.1.0/24\"]\n"), 0);
        assert_eq!(warned(&format!("[net]\naccess_points = [\"10.1.2.1/32\"]\n{raised}")), 0);
        let loaded = load("box.toml", "[net]\nphones_behind_one_address = 800\n");
        assert!(loaded.config.is_some(), "it is a warning, not a mistake");
    }

    #[test]
    fn every_mistake_names_its_key() {
        let text = "nme = \"a\"\nname = \"\"\n[net]\nlight = \"a b\"\naccess_points = [\"10.1.1.0\"]\n[ports]\nhttp = 70000\n[limits]\n\
            clock_syncs_per_second = 0\n[bloom]\ntoken_file = \"\"\nidle_s = 0\n[sound]\nrate_hz = \"fast\"\ndevice = \"\"\n[timecode]\nltc_in = \"\"\nltc_channel = 0\nmidi_in = \"\"\n[paths]\nstate = \"\"\n\
            [cluster]\naddress = \"nowhere\"\n[clock]\nptp = \"folow\"\n\
            interfaces = \"e/0\"\ntransport = 4\ndomain = 128\npriority1 = 256\ndelay = \"p2\"\n\
            log_sync_interval = -9\npeers = [\"224.0.0.1\"]\nstep = true\n";
        assert_eq!(
            messages(text),
            [
                "unknown key `nme` in a box file",
                "`name` must be 1 to 63 bytes long, not \"\"",
                "`light` must be a network interface, 1 to 15 letters, not \"a b\"",
                "`access_points`: a subnet must be an address and its shared bits, such as 10.1.2.0/24, not `10.1.1.0`",
                "`http` must be a whole number from 0 to 65535, not 70000",
                "`clock_syncs_per_second` must be a whole number from 1 to 1000000, not 0",
                "`token_file` must be a path, not \"\"",
                "`idle_s` must be a whole number from 1 to 3600, not 0",
                "`rate_hz` must be a whole number, not a text",
                "`device` must be \"auto\", \"none\", \"simulated\" or an ALSA name",
                "`ltc_in` must be \"none\" or an ALSA name, not \"\"",
                "`ltc_channel` must be a whole number from 1 to 64, not 0",
                "`midi_in` must be \"none\" or the path of a MIDI device, not \"\"",
                "`state` must be a path, not \"\"",
                "`address`: `nowhere` is not the address of one machine",
                "`ptp` cannot be `folow`",
                "`interfaces` must be network interfaces, 1 to 15 letters each, not \"e/0\"",
                "`transport` must be a text in quotes, not a number",
                "`domain` must be a whole number from 0 to 127, not 128",
                "`priority1` must be a whole number from 0 to 255, not 256",
                "`delay` cannot be `p2`",
                "`log_sync_interval` is seconds as a power of two, a whole number from -7 to 4, not -9",
                "`peers`: `224.0.0.1` is not the address of one machine",
                "unknown key `step` in [clock]",
            ]
        );
    }

    #[test]
    fn bl12_a_token_is_one_line_that_a_header_can_carry_and_is_never_quoted() {
        assert_eq!(token("0123456789abcdef\n").as_deref(), Ok("0123456789abcdef"));
        for wrong in ["", "short", "0123456789abcde f", "0123456789abcdef\nmore", &"a".repeat(257)]
        {
            let why = token(wrong).expect_err("no token");
            assert!(wrong.is_empty() || !why.contains(wrong));
        }
    }

    #[test]
    fn a_profile_sets_what_the_file_leaves_out() {
        let clock = |text: &str| load("box.toml", text).config.expect("a good file").clock;
        let media = clock("[clock]\nprofile = \"media\"\nlog_sync_interval = -4\n");
        let seen = (media.domain, media.log_announce_interval, media.log_delay_interval);
        assert_eq!((seen, media.log_sync_interval), ((127, -2, -3), -4));
        assert_eq!(clock("[clock]\nprofile = \"aes67\"\n").log_sync_interval, -3);
    }

    #[test]
    fn ptp_without_an_interface_is_a_mistake() {
        assert_eq!(messages("[clock]\nptp = \"follow\"\n"), ["[clock] needs `interfaces`"]);
    }

    #[test]
    fn two_services_on_one_port_are_found_even_where_one_is_a_default() {
        assert_eq!(messages("[ports]\nhttp = 8443\n"), ["`https` and `http` both have port 8443"]);
        assert_eq!(messages("[ports]\nhttp = 0\nosc = 0\n"), Vec::<String>::new());
    }
}
