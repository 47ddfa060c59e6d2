//! Rule A19 at a real node, and A15 through the whole program: `olad` with Art-Net in and its imitations of RDM devices out, in a network namespace of its
//! own beside the box's. Needs root, iproute2 and ola; else each test says so.
//!
//! Nothing of `olad` is ours: it answers with the tables, timers and refusals of Open Lighting's own responders, one of
//! which puts every set off for 400 ms. What it does not do: it broadcasts its tables however they are asked for, leaves
//! the bind index out, never sends a table in parts (it has seven devices), and does not know ArtRdmSub.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::the_box::{PATIENCE, lines_of, path};

const SHOW: &str = "[show]\ntitle = \"Lamps\"\n[universes.1]\nartnet = { port_address = 1 }\n\
    [[list]]\nname = \"main\"\n[[list.cue]]\nnumber = 1\n\
    [[list.cue]]\nnumber = 2\nsend = { artnet = { key = \"macro\", sub = 3 } }\n\
    [[trigger]]\nartnet = { key = \"show\", sub = 5 }\nfires = 2\n";
const BOX: &str = "[ports]\nhttp = 0\nhttps = 0\nosc = 0\nclock = 0\npeers = 0\n[sound]\ndevice = \"none\"\n\
    [net]\nlight = \"stage\"\n";
/// The plug-ins of `olad` that are wanted, and what is set of them; all others are off.
const PLUGINS: [(&str, &str); 2] =
    [("artnet", "ip = 10.96.0.2\n"), ("dummy", "ack_timer_count = 1\n")];
const OTHERS: &str = "e131 espnet ftdidmx gpio karate kinet milinst nanoleaf opendmx openpixelcontrol osc pathport \
    renard sandnet shownet spi spidmx stageprofi uartdmx usbpro usbdmx usbserial";

fn runs(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn must(words: &str) {
    let words: Vec<&str> = words.split_whitespace().collect();
    let output = Command::new(words[0]).args(&words[1..]).output().expect("it starts");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Whether this machine can do it; says why not.
fn able(test: &str) -> bool {
    let name = format!("db-lamps-{}", std::process::id());
    let reason = match () {
        () if !nix::unistd::geteuid().is_root() => "network namespaces need root",
        () if !runs(&["olad", "--version"]) => "olad (ola) is not installed",
        () if !runs(&["ip", "netns", "add", &name]) => "this machine gives no network namespaces",
        () => return runs(&["ip", "netns", "del", &name]),
    };
    println!("skipped: {test}: {reason}");
    false
}

/// A box, a cable and a node with lamps.
struct Stage {
    names: [String; 2],
    folder: TempDir,
    children: Vec<Child>,
}

impl Stage {
    fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |what| format!("db-{what}-{}-{count}", std::process::id());
        let (the_box, node) = (name("box"), name("node"));
        for name in [&the_box, &node] {
            must(&format!("ip netns add {name}"));
            must(&format!("ip -n {name} link set lo up"));
        }
        must(&format!("ip -n {the_box} link add stage type veth peer name stage netns {node}"));
        for (name, host) in [(&the_box, 1), (&node, 2)] {
            must(&format!("ip -n {name} addr add 10.96.0.{host}/24 broadcast + dev stage"));
            must(&format!("ip -n {name} link set stage up"));
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut stage = Self { names: [the_box, node], folder, children: Vec::new() };
        stage.start_node();
        stage.start_box();
        stage
    }

    fn start_node(&mut self) {
        let config = self.file("olad");
        std::fs::create_dir(&config).expect("a folder");
        let plugin = |name: &str| config.join(format!("ola-{name}.conf"));
        for name in OTHERS.split_whitespace() {
            std::fs::write(plugin(name), "enabled = false\n").expect("written");
        }
        for (name, more) in PLUGINS {
            std::fs::write(plugin(name), format!("enabled = true\n{more}")).expect("written");
        }
        must(&format!("chown -R olad {}", config.display()));
        must(&format!("chmod a+rx {}", self.folder.path().display()));
        // It refuses to run as root.
        let by = "setpriv --reuid olad --regid nogroup --clear-groups olad -l 1 --no-register-with-dns-sd -i 10.96.0.2 -c";
        let mut command = self.at(1, by);
        let quiet = command.arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        self.children.push(quiet.spawn().expect("olad starts"));
        let [artnet, dummy] = ["ArtNet", "Dummy"].map(|name| self.device(name));
        self.patch(&format!("ola_patch -d {artnet} -i -p 0 -u 1"));
        self.patch(&format!("ola_patch -d {dummy} -p 0 -u 1"));
    }

    /// The number that `olad` has given to a device, once it has.
    fn device(&self, name: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let output = self.at(1, "ola_dev_info").output().expect("it comes with olad");
            let listed = String::from_utf8_lossy(&output.stdout).into_owned();
            let number = listed.lines().find_map(|line| {
                let (number, what) = line.strip_prefix("Device ")?.split_once(": ")?;
                what.starts_with(name).then(|| number.to_owned())
            });
            if let Some(number) = number {
                return number;
            }
            assert!(Instant::now() < end, "olad has no {name} in {listed}");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    fn patch(&self, words: &str) {
        let output = self.at(1, words).output().expect("it comes with olad");
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn start_box(&mut self) {
        std::fs::write(self.file("box.toml"), BOX).expect("written");
        std::fs::write(self.file("show.toml"), SHOW).expect("written");
        let mut command = self.at(0, &path().to_string_lossy());
        command.arg("run").arg(self.folder.path()).arg("--box").arg(self.file("box.toml"));
        command.arg("--state").arg(self.file("state")).arg("--socket").arg(self.file("socket"));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let lines = lines_of(child.stdout.take().expect("piped"));
        self.children.push(child);
        let end = Instant::now() + PATIENCE;
        while !lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .expect("the box says where it is")
            .starts_with("control ")
        {}
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn at(&self, machine: usize, words: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[machine]]).args(words.split_whitespace());
        command.stdin(Stdio::null());
        command
    }

    /// `downbeat …`
    fn downbeat(&self, words: &[&str]) -> Output {
        let mut command = self.at(0, &path().to_string_lossy());
        command.arg("--socket").arg(self.file("socket")).args(words);
        command.output().expect("it starts")
    }

    /// `downbeat rdm …`
    fn rdm(&self, words: &[&str]) -> Output {
        self.downbeat(&[&["rdm"], words].concat())
    }

    /// What `rdm … --json` prints.
    fn json(&self, words: &[&str]) -> Value {
        self.document(&[&["rdm"], words].concat())
    }

    fn document(&self, words: &[&str]) -> Value {
        let output = self.downbeat(&[words, &["--json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {text}{why}");
        serde_json::from_str(&text).expect("one document")
    }

    /// A field of a parameter.
    fn value(&self, lamp: &str, parameter: &str, field: &str) -> Value {
        self.json(&["get", lamp, parameter])["values"][field].clone()
    }

    /// Every device by its model.
    fn lamps(&self) -> Vec<(String, String)> {
        let listed = self.json(&["list"]);
        let devices = listed["devices"].as_array().expect("a list").iter();
        let model = |it: &Value| {
            assert_eq!((&it["universe"], &it["port_address"]), (&1.into(), &1.into()), "{it}");
            assert_eq!(it["node"], "10.96.0.2");
            let uid = it["uid"].as_str().expect("a name").to_owned();
            let model = self.value(&uid, "device_model_description", "description");
            (model.as_str().expect("a text").to_owned(), uid)
        };
        devices.map(model).collect()
    }

    /// Until the node has its subscription and its table.
    fn wait_for_lamps(&self) -> Vec<(String, String)> {
        let end = Instant::now() + PATIENCE;
        loop {
            let lamps = self.lamps();
            if !lamps.is_empty() {
                return lamps;
            }
            assert!(Instant::now() < end, "no lamp was ever told of");
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        for name in &self.names {
            runs(&["ip", "netns", "del", name]);
        }
    }
}

#[test]
fn a15_a_key_pressed_on_the_network_fires_its_cue_which_presses_another() {
    if !able("a15_a_key_pressed_on_the_network_fires_its_cue_which_presses_another") {
        return;
    }
    let stage = Stage::new();
    let key = wire::artnet::Trigger::new(wire::artnet::Key::Show, 5);
    std::fs::write(stage.file("key"), key.emit()).expect("written");
    let press = format!("cat {} > /dev/udp/10.96.0.1/6454", stage.file("key").display());
    let pressed = stage.at(1, "bash -c").arg(press).status().expect("it starts");
    assert!(pressed.success());
    let end = Instant::now() + PATIENCE;
    let sent = loop {
        let orders = stage.document(&["receipts"])["orders"].clone();
        let orders = orders.as_array().expect("a list").iter();
        if let Some(sent) = orders.into_iter().find(|it| !it["receipt"].is_null()) {
            break sent.clone();
        }
        assert!(Instant::now() < end, "the key fired nothing");
    };
    let (order, receipt) = (&sent["order"], &sent["receipt"]);
    assert_eq!((&order["cue"], &order["output"]), (&"2".into(), &"network".into()), "{sent}");
    assert_eq!(order["what"], serde_json::json!({ "do": "trigger", "key": "macro 3" }));
    assert_eq!(receipt["evidence"], "after_send");
    let status = stage.document(&["status"]);
    assert_eq!(status["show"]["lists"][0]["last"]["number"], "2", "{status}");
}

fn lamp(lamps: &[(String, String)], model: &str) -> String {
    let found = lamps.iter().find(|(it, _)| it == model);
    found.unwrap_or_else(|| panic!("no {model} in {lamps:?}")).1.clone()
}

#[test]
fn a19_olads_devices_are_found_asked_and_told_through_its_art_net_port() {
    if !able("a19_olads_devices_are_found_asked_and_told_through_its_art_net_port") {
        return;
    }
    assert!(Path::new("/usr/bin/olad").exists());
    let stage = Stage::new();
    let lamps = stage.wait_for_lamps();
    assert!(lamps.len() >= 6, "{lamps:?}");
    let dummy = lamp(&lamps, "Dummy Model");

    let info = stage.json(&["get", &dummy, "device_info"]);
    assert_eq!(
        (&info["values"]["protocol"], &info["values"]["footprint"]),
        (&"1.0".into(), &5.into())
    );
    assert_eq!(info["values"]["personalities"], 4);
    let label = stage.value(&dummy, "manufacturer_label", "label");
    assert_eq!(label, "Open Lighting Project");
    let supported = stage.value(&dummy, "supported_parameters", "parameters");
    assert!(supported.as_array().expect("a list").contains(&"0x8001".into()), "{supported}");
    let described = stage.json(&["get", &dummy, "parameter_description", "0x8001"]);
    assert_eq!(described["values"]["description"], "Code Version");
    let sensor = stage.json(&["get", &dummy, "sensor_definition", "1"]);
    assert_eq!(sensor["values"]["description"], "Load Average 5 minutes");
    let personality = stage.json(&["get", &dummy, "dmx_personality_description", "3"]);
    assert_eq!(personality["values"]["footprint"], 10);

    stage.json(&["set", &dummy, "dmx_start_address", "300"]);
    assert_eq!(stage.value(&dummy, "dmx_start_address", "start_address"), 300);
    stage.json(&["set", &dummy, "identify_device", "on"]);
    assert_eq!(stage.value(&dummy, "identify_device", "identify"), true);

    // It puts us off for 400 ms and keeps the answer in its queue.
    let slow = lamp(&lamps, "OLA Ack Timer Responder");
    let began = Instant::now();
    stage.json(&["set", &slow, "identify_device", "on"]);
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
    assert_eq!(stage.value(&slow, "identify_device", "identify"), true);

    // To all it is said once: the first identifies still, and so does the slow one.
    let said = stage.json(&["set", "all", "identify_device", "off"]);
    assert_eq!((&said["uid"], &said["values"]), (&"all".into(), &serde_json::json!({})));
    for lamp in [&dummy, &slow] {
        let end = Instant::now() + PATIENCE;
        while stage.value(lamp, "identify_device", "identify") == true {
            assert!(Instant::now() < end, "{lamp} was not told");
        }
    }

    // Each sub-device has an address of its own; one that is not there hides nothing of the others.
    let rack = lamp(&lamps, "OLA Dimmer");
    let some = |words: &[&str]| {
        let words = [words, &["--sub-device", "3-5"]].concat();
        stage.json(&words)["sub_devices"].as_array().expect("a list").clone()
    };
    let told = some(&["set", &rack, "dmx_start_address", "77"]);
    assert_eq!((&told[0]["sub_device"], &told[0]["refused"]), (&3.into(), &Value::Null));
    let asked = some(&["get", &rack, "dmx_start_address"]);
    let starts = asked[..2].iter().map(|it| &it["values"]["start_address"]);
    assert_eq!(starts.collect::<Vec<_>>(), [77, 77]);
    assert_eq!(asked[2]["refused"]["code"], "refused_by_device", "{asked:?}");

    for (words, says) in [
        (["set", &dummy, "dmx_start_address", "600"], "the value is out of its range"),
        (["get", &dummy, "lamp_hours", "--json"], "it does not know this parameter"),
        (["get", "7a70:00000001", "device_info", "--json"], "no node knows 7a70:00000001"),
    ] {
        let output = stage.rdm(&words);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.contains(says), "{words:?}: {said}");
    }
    assert_eq!(
        stage.json(&["list", "--search"])["devices"].as_array().map(Vec::len),
        Some(lamps.len())
    );
}
