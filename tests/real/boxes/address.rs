//! The cluster's one address: two boxes and a phone, each on a machine of its own, on one switch (SX-03; DESIGN, Two boxes).

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use super::wait_until;
use crate::light::lan::{must, on, runs};
use crate::the_box::{PATIENCE, Place, TheBox, exchange};

const COMMON: [&str; 2] = ["10.95.0.50", "fd95::50"];
const SHOW: &str =
    "[show]\ntitle = \"One address\"\n[[list]]\nname = \"main\"\n[[list.cue]]\nnumber = 1\n";
const KEY: &str = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

/// Three machines and the switch between them, as long as this lives. The phone's is the last.
struct Switched {
    names: [String; 3],
}

impl Switched {
    /// None, and said why, where this machine cannot do it.
    fn new(test: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: {test}: network namespaces need root");
            return None;
        }
        let names =
            ["left", "right", "phone"].map(|it| format!("db-{it}-{test}-{}", std::process::id()));
        let this = Self { names };
        if !runs(&format!("ip netns add {}", this.names[2])) {
            println!("skipped: {test}: this machine gives no network namespaces");
            return None;
        }
        this.ip(2, "link add switch0 type bridge");
        this.ip(2, "link set switch0 up");
        this.ip(2, "addr add 10.95.0.9/24 dev switch0");
        this.ip(2, "addr add fd95::9/64 dev switch0 nodad");
        for (number, name) in this.names[..2].iter().enumerate() {
            must(&format!("ip netns add {name}"));
            this.ip(2, &format!("link add port{number} type veth peer name net0 netns {name}"));
            this.ip(2, &format!("link set port{number} master switch0 up"));
            this.ip(number, "link set lo up");
            this.ip(number, &format!("addr add 10.95.0.{}/24 dev net0", number + 1));
            this.ip(number, &format!("addr add fd95::{}/64 dev net0 nodad", number + 1));
            this.ip(number, "link set net0 up");
        }
        // A cable of their own between the boxes.
        this.ip(0, &format!("link add sync0 type veth peer name sync0 netns {}", this.names[1]));
        for number in 0..2 {
            this.ip(number, &format!("addr add 10.94.0.{}/24 dev sync0", number + 1));
            this.ip(number, "link set sync0 up");
        }
        Some(this)
    }

    /// The cable from the switch to a box is pulled.
    fn pull(&self, machine: usize) {
        self.ip(2, &format!("link set port{machine} down"));
    }

    fn ip(&self, machine: usize, words: &str) {
        must(&format!("ip -n {} {words}", self.names[machine]));
    }

    /// What `ip` says on one of them.
    fn says(&self, machine: usize, words: &str) -> String {
        let mut command = Command::new("ip");
        command.arg("-n").arg(&self.names[machine]).args(words.split(' '));
        String::from_utf8_lossy(&command.output().expect("ip runs").stdout).into_owned()
    }

    /// Ethernet address of a box.
    fn mac(&self, machine: usize) -> String {
        let said = self.says(machine, "-o link show net0");
        let mut words = said.split_whitespace().skip_while(|it| *it != "link/ether");
        words.nth(1).expect("an Ethernet").to_owned()
    }

    fn holds(&self, machine: usize, address: &str) -> bool {
        self.says(machine, "-o addr show dev net0").contains(&format!(" {address}/"))
    }

    /// Whom the phone's machine takes for the address.
    fn believed(&self, address: &str) -> String {
        let said = self.says(2, &format!("neigh show {address} dev switch0"));
        said.split_whitespace()
            .skip_while(|it| *it != "lladdr")
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    }

    /// The program on one of the first two, under the name of its machine.
    fn run(&self, machine: usize, address: &str) -> TheBox {
        self.place(machine, address).run()
    }

    fn place(&self, machine: usize, address: &str) -> Place {
        let name = ["left", "right"][machine];
        let mut place = Place::new();
        (place.http, place.https) = (8080, 8443);
        let text = format!(
            "name = \"{name}\"\n[net]\ncluster = \"sync0\"\nlight = \"net0\"\nphones = \"net0\"\n[ports]\nclock = 0\n[cluster]\n\
            voters = [\"left\", \"right\"]\naddress = \"{address}\"\n"
        );
        std::fs::write(place.path("box.toml"), text).expect("written");
        std::fs::write(place.path("show.toml"), SHOW).expect("written");
        std::fs::create_dir_all(place.path("state")).expect("a folder");
        std::fs::write(place.path("state/cluster.key"), KEY).expect("written");
        place.netns = Some(self.names[machine].clone());
        place
    }

    /// Whether a phone that has read the code finds a box there.
    fn finds(&self, address: &str, port: u16) -> bool {
        let at = SocketAddr::new(address.parse::<IpAddr>().expect("an address"), port);
        on(&self.names[2], || {
            let Ok(stream) = TcpStream::connect_timeout(&at, Duration::from_millis(500)) else {
                return false;
            };
            exchange(stream, "GET", "/healthz", "", "").0 == 200
        })
    }

    /// A connection of somebody who came by the address, and has been answered.
    fn comes(&self, address: &str) -> TcpStream {
        let at = SocketAddr::new(address.parse::<IpAddr>().expect("an address"), 8080);
        on(&self.names[2], || {
            let mut stream = TcpStream::connect(at).expect("it listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").expect("it reads");
            let mut answer = [0; 1024];
            assert!(stream.read(&mut answer).expect("it answers") > 0);
            stream
        })
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        for name in &self.names {
            runs(&format!("ip netns del {name}"));
        }
    }
}

/// The one that drives first.
fn pair(net: &Switched, address: &str) -> [(TheBox, usize); 2] {
    let mut pair = [0, 1].map(|machine| (net.run(machine, address), machine));
    wait_until("one drives and the other one knows the show", || {
        pair.sort_by_key(|(it, _)| super::cluster(it)["drives"] != true);
        let [first, other] = [&pair[0], &pair[1]].map(|(it, _)| super::cluster(it));
        first["drives"] == true && other["drives"] == false && other["knows_the_show"] == true
    });
    pair
}

#[test]
fn sx03_whoever_drives_holds_the_clusters_address_and_the_network_is_told_who_that_is() {
    let Some(net) = Switched::new("address") else { return };
    for address in COMMON {
        let [(mut first, one), (mut other, two)] = pair(&net, address);
        wait_until("who drives has it", || net.holds(one, address) && !net.holds(two, address));
        assert!(net.finds(address, 8080) && net.believed(address) == net.mac(one));
        let said = first.ask_json(&["status"]);
        let urls = said["box"]["urls"].as_array().expect("urls");
        assert!(
            urls.len() > 1 && urls[0].as_str().is_some_and(|it| it.contains(address)),
            "{said}"
        );
        let own = super::cluster(&other)["boxes"][0]["url"].clone();
        assert!(!own.to_string().contains(address), "a box is found by its own: {own}");

        first.child.kill().expect("it lives");
        first.wait_for_the_end();
        wait_until("the other one has it", || net.holds(two, address));
        // Nobody has asked anything: the network was told.
        wait_until("the phone's machine knows", || net.believed(address) == net.mac(two));
        assert!(net.finds(address, 8080));
        wait_until("the machine of a dead box loses it by itself", || !net.holds(one, address));

        first.begin_again();
        wait_until("it is back", || super::cluster(&first)["knows_the_show"] == true);
        assert!(net.holds(two, address) && !net.holds(one, address), "nobody takes it back");
        let mut came = net.comes(address);
        other.signal(nix::sys::signal::Signal::SIGTERM);
        other.wait_for_the_end();
        let told = came.read_to_end(&mut Vec::new());
        assert!(told.is_ok(), "whoever came by it is told that the box goes: {told:?}");
        assert!(!net.holds(two, address), "whoever leaves lets go of it");
        wait_until("the first has it again", || {
            net.holds(one, address) && net.believed(address) == net.mac(one)
        });
    }
}

#[test]
fn sx03_a_box_whose_lighting_cable_is_pulled_lets_the_other_one_drive_and_phones_find_that_one() {
    let Some(net) = Switched::new("pulled") else { return };
    let address = COMMON[0];
    let [(mut first, one), (mut other, two)] = pair(&net, address);
    wait_until("who drives has it", || net.holds(one, address));
    assert!(net.finds(address, 8080) && net.believed(address) == net.mac(one));
    net.pull(one);
    other.wait_for_line("this box drives");
    first.wait_for_line("drives, this box stands by");
    wait_until("the other one has it alone", || {
        net.holds(two, address) && !net.holds(one, address)
    });
    wait_until("the phone's machine knows", || net.believed(address) == net.mac(two));
    assert!(net.finds(address, 8080));
    let said = super::cluster(&other);
    assert_eq!(said["boxes"][0]["lives"], true, "it is heard by the cable between them: {said}");
}

#[test]
fn an_address_of_no_network_of_the_box_is_a_loud_word() {
    let Some(net) = Switched::new("nowhere") else { return };
    let mut the_box = net.run(0, "192.0.2.50");
    let line = the_box.wait_for_line("192.0.2.50");
    assert!(line.contains("no interface of this box is in its network"), "{line}");
}

#[test]
fn a_box_that_may_not_take_the_clusters_address_says_so_and_sends_phones_to_its_own() {
    let Some(net) = Switched::new("may-not") else { return };
    let mut place = net.place(0, COMMON[0]);
    place.by = &["setpriv", "--bounding-set=-net_admin"];
    let mut the_box = place.begin();
    let line = the_box.wait_for_line("CAP_NET_ADMIN");
    assert!(line.contains("10.95.0.50"), "{line}");
    let urls = the_box.ask_json(&["status"])["box"]["urls"].to_string();
    assert!(urls.contains("10.95.0.1") && !urls.contains("10.95.0.50"), "{urls}");
}
