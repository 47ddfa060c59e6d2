//! Where phones find the box, and the QR code that says so.

use std::net::IpAddr;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// One address of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    interface: String,
    ip: IpAddr,
}

/// Every address a phone may reach this machine by, best first; `localhost` where it has no network. `common` is the cluster's,
/// which is this machine's today and another's tomorrow.
pub fn urls(
    scheme: &str,
    port: u16,
    preferred: Option<&str>,
    common: Option<IpAddr>,
) -> Vec<String> {
    // A machine that does not tell its addresses still has itself.
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    let own = found.into_iter().filter(|it| Some(it.ip()) != common);
    let candidates = own.map(|it| Candidate { ip: it.ip(), interface: it.name }).collect();
    let urls: Vec<String> =
        ranked(candidates, preferred).iter().map(|it| url(scheme, it.ip, port)).collect();
    if urls.is_empty() { vec![format!("{scheme}://localhost:{port}/")] } else { urls }
}

/// The names of this machine that a certificate is made for: its addresses of the day, that of its cluster, and its name where
/// that is one.
pub fn names(name: &str, common: Option<IpAddr>) -> Vec<String> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    let host = name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'.');
    let named = Some(name.to_owned()).filter(|_| host);
    let own = found.iter().map(|it| it.ip()).filter(|it| Some(*it) != common);
    let addresses = own.chain(common).map(|it| it.to_string());
    // By multicast DNS a phone finds the box under its name.
    let local = named.as_ref().filter(|it| !it.contains('.')).map(|it| format!("{it}.local"));
    let names = named.into_iter().chain(local).chain(["localhost".to_owned()]);
    names.chain(addresses).collect()
}

/// Where an address is found.
pub fn url(scheme: &str, ip: IpAddr, port: u16) -> String {
    let host = match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    match (scheme, port) {
        ("http", 80) | ("https", 443) => format!("{scheme}://{host}/"),
        _ => format!("{scheme}://{host}:{port}/"),
    }
}

fn ranked(mut candidates: Vec<Candidate>, preferred: Option<&str>) -> Vec<Candidate> {
    candidates.retain(|it| reachable(it.ip));
    // Stable: within a rank the system's own order stands.
    candidates.sort_by_key(|it| rank(it, preferred));
    candidates
}

fn reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    }
}

/// Least is best: the interface that the box file names, then IPv4 (a QR code of it is smaller, and every phone
/// has it), then IPv6; bridges of containers and virtual machines last.
fn rank(it: &Candidate, preferred: Option<&str>) -> (bool, bool, bool) {
    let virtual_one = ["docker", "br-", "veth", "virbr", "tun", "tap", "wg", "lxc", "cni"]
        .iter()
        .any(|name| it.interface.starts_with(name));
    (preferred != Some(it.interface.as_str()), virtual_one, it.ip.is_ipv6())
}

/// The code with its address below; where a terminal of so many columns would wrap it, which no camera reads, why it is not
/// there.
pub fn qr_or_link(url: &str, columns: Option<usize>) -> String {
    let code = qr(url);
    let wide = code.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    match columns.filter(|columns| *columns < wide) {
        Some(columns) => format!(
            "the QR code needs {wide} columns and this terminal has {columns}; the address that it would have:\n{url}"
        ),
        None => format!("{code}\n{url}"),
    }
}

/// A QR code as text, two rows of dots a line; dark on light even in a dark terminal.
pub fn qr(url: &str) -> String {
    QrCode::new(url).map_or_else(
        |_| String::new(), // an address is far shorter than the longest code
        |code| {
            code.render::<Dense1x2>()
                .dark_color(Dense1x2::Light)
                .light_color(Dense1x2::Dark)
                .build()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(interface: &str, ip: &str) -> Candidate {
        Candidate { interface: interface.into(), ip: ip.parse().expect("an address") }
    }

    #[test]
    fn phones_are_sent_to_the_network_that_the_box_file_names() {
        let all = vec![
            at("lo", "127.0.0.1"),
            at("docker0", "172.17.0.1"),
            at("eth0", "10.0.0.5"),
            at("eth0", "fe80::1"),
            at("wlan0", "192.168.7.2"),
        ];
        let order = |preferred| -> Vec<String> {
            ranked(all.clone(), preferred).into_iter().map(|it| it.interface).collect()
        };
        assert_eq!(order(None), ["eth0", "wlan0", "docker0"]);
        assert_eq!(order(Some("wlan0")), ["wlan0", "eth0", "docker0"]);
    }

    #[test]
    fn an_address_is_written_as_a_browser_wants_it() {
        let (v4, v6) = ("10.0.0.5".parse().expect("v4"), "2001:db8::5".parse().expect("v6"));
        assert_eq!(url("http", v4, 8080), "http://10.0.0.5:8080/");
        assert_eq!(url("http", v4, 80), "http://10.0.0.5/");
        assert_eq!(url("https", v4, 443), "https://10.0.0.5/");
        assert_eq!(url("https", v4, 80), "https://10.0.0.5:80/");
        assert_eq!(url("http", v6, 8080), "http://[2001:db8::5]:8080/");
    }

    #[test]
    fn a_code_that_would_be_wrapped_is_a_link_and_a_file_has_the_code() {
        let url = format!("https://10.0.0.5:8443/#token={}", "x".repeat(700));
        let wide = qr(&url).lines().next().map_or(0, |line| line.chars().count());
        let narrow = qr_or_link(&url, Some(80));
        assert!(wide > 80 && narrow.ends_with(&format!("would have:\n{url}")), "{narrow}");
        assert!(!narrow.contains('█') && narrow.contains(&format!("needs {wide} columns")));
        for wide in [Some(wide), None] {
            let shown = qr_or_link(&url, wide);
            assert!(shown.contains('█') && shown.ends_with(&format!("\n{url}")), "{shown}");
        }
    }

    #[test]
    fn the_qr_code_is_there_and_square_enough() {
        let code = qr("http://10.0.0.5:8080/");
        assert!(code.lines().count() >= 12 && code.contains('█'), "{code}");
    }
}
