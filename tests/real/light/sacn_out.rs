//! Rules S9, S10, S12, S13 and S16 as a source: what a show may ask for beside bare levels.

use std::net::IpAddr;

use engine::light::Playback;
use engine::order::Evidence;
use engine::show::{LightOut, SacnIp, SacnOut, Show, UniverseOut};
use engine::told::Input;
use io::light::{By, Light, LightNet, LightSetup};
use units::{ShowTime, Span};

use super::evening::ms;
use super::lan::{BOX, BOX_INTERFACE, DESK, Lan, Side, v6};
use super::olad::{Olad, Way};
use super::rig::*;
use crate::the_box::TheBox;

const SOON: Span = Span::from_secs(3);

fn begin(show: &Show, net: &LightNet) -> Light {
    Light::start(setup(show, net)).expect("light begins")
}

/// Universe 1 by unicast to the first ear, with what the show asks for.
fn asks(light: LightOut, sacn: SacnOut) -> Show {
    let sacn = SacnOut { unicast: vec![IpAddr::V4(loopback(1))], ..sacn };
    let out = UniverseOut { sacn: Some(sacn), ..UniverseOut::default() };
    Show { light, ..show([(1, out)]) }
}

/// Everything that an ear hears in so long.
fn all(ear: &Ear, within: Span) -> Vec<Heard> {
    let end = system_now() + within.ns();
    let mut heard = Vec::new();
    while system_now() < end {
        heard.extend(ear.hear(Span::from_millis(20)));
    }
    heard
}

#[test]
fn s09_a_universe_for_visualisers_only_bears_the_preview_bit() {
    let net = free_ports();
    let show = asks(LightOut::default(), SacnOut { preview: true, ..SacnOut::default() });
    let ear = Ear::new(loopback(1), net.sacn_port);
    let light = begin(&show, &net);
    assert!(ear.wait_for(SOON, sacn_data).expect("a packet").preview);
    light.stop();
}

/// Packets of what is live, and of what is seen blindly.
fn live_and_blind(heard: &[Heard]) -> (Vec<Data>, Vec<Data>) {
    heard.iter().filter_map(sacn_data).partition(|data| !data.preview)
}

/// Whether a source's packets count up by one each, and its last three, and no others, say goodbye.
fn counts_and_says_goodbye(packets: &[Data]) -> bool {
    let goodbyes = packets.iter().filter(|data| data.terminated).count();
    packets.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
        && goodbyes == 3
        && packets.iter().rev().take(3).all(|data| data.terminated)
}

#[test]
fn s09_what_is_seen_blindly_is_a_source_of_its_own_beside_what_is_live() {
    let net = free_ports();
    let show = asks(LightOut::default(), SacnOut::default());
    let ear = Ear::new(loopback(1), net.sacn_port);
    let mut light = begin(&show, &net);
    let mut playback = Playback::new(&show);
    playback.look_blind(ShowTime::ZERO, Some(&all_at(&show, 100.0, Span::ZERO)));
    fade(&mut light, &mut playback, &show, Span::ZERO, Span::from_secs(1), 50.0);
    let mut heard = all(&ear, Span::from_millis(1500));
    playback.look_blind(ShowTime::ZERO, None);
    light.play(playback.plan(2));
    heard.extend(all(&ear, Span::from_secs(2)));
    let (live, blind) = live_and_blind(&heard);
    light.stop();
    assert!(counts_and_says_goodbye(&blind), "{blind:?}");
    let last = blind.last().expect("somebody looked");
    assert!(last.at < live.last().expect("it goes on").at, "live levels go on");
    assert_eq!(blind[0].sequence, 0);
    for data in &blind {
        assert_eq!((data.universe, data.priority, data.values[1]), (1, 0, 255));
        assert!(data.cid != CID && data.name.starts_with("Blind: Bühne"), "{data:?}");
    }
    assert!(live.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    assert!(live.iter().all(|data| data.cid == CID && data.priority == 100 && !data.terminated));
    let levels: Vec<_> = live.iter().map(|data| data.values[1]).collect();
    assert!(levels.is_sorted() && levels.last() == Some(&128), "the fade alone: {levels:?}");
    assert!(live.len() >= 40, "{} packets of a fade of a second", live.len());
}

#[test]
fn s09_s11_what_is_seen_blindly_is_listed_by_its_own_source_and_an_empty_list_ends_it() {
    let net = free_ports();
    let show = show([1, 2].map(|it| (it, sacn_to(&[loopback(1)]))));
    let ear = Ear::new(loopback(1), net.sacn_port);
    let mut light = begin(&show, &net);
    let mut playback = Playback::new(&show);
    // The packet's own id is behind the preamble (E1.31 section 5.6), which the oracle has read by then.
    let list = |heard: &Heard| sacn_discovery(heard).map(|it| (heard.bytes[22..38].to_vec(), it));
    let listed = |live: bool| {
        let of =
            move |heard: &Heard| list(heard).filter(|(cid, _)| (cid == CID.as_bytes()) == live);
        ear.wait_for(SOON, of).expect("a list").1
    };
    assert_eq!(listed(true), [1, 2]);
    playback.look_blind(ShowTime::ZERO, Some(&all_at(&show, 100.0, Span::ZERO)));
    light.play(playback.plan(1));
    assert_eq!(listed(false), [1, 2]);
    playback.look_blind(ShowTime::ZERO, None);
    light.play(playback.plan(2));
    assert_eq!(listed(false), [0_u16; 0]);
    light.stop();
}

#[test]
fn s08_s09_a_planned_exit_ends_what_is_seen_blindly_too() {
    let net = free_ports();
    let show = asks(LightOut::default(), SacnOut::default());
    let ear = Ear::new(loopback(1), net.sacn_port);
    let mut light = begin(&show, &net);
    let mut playback = Playback::new(&show);
    playback.look_blind(ShowTime::ZERO, Some(&all_at(&show, 100.0, Span::ZERO)));
    light.play(playback.plan(1));
    let first = ear.wait_for(SOON, |heard| sacn_data(heard).filter(|data| data.preview));
    assert!(first.is_some_and(|data| !data.terminated));
    light.stop();
    let (live, blind) = live_and_blind(&all(&ear, Span::from_millis(200)));
    assert!(counts_and_says_goodbye(&live) && counts_and_says_goodbye(&blind), "{blind:?}");
}

#[test]
fn s09_many_universes_are_seen_blindly_each_in_its_phase() {
    const MANY: u32 = 130;
    let net = free_ports();
    let show = show((1..=MANY).map(|it| (it, sacn_to(&[loopback(1)]))));
    let ear = Ear::new(loopback(1), net.sacn_port);
    let mut light = begin(&show, &net);
    let mut playback = Playback::new(&show);
    playback.look_blind(ShowTime::ZERO, Some(&all_at(&show, 100.0, Span::ZERO)));
    light.play(playback.plan(1));
    let mut heard = all(&ear, Span::from_millis(500));
    playback.look_blind(ShowTime::ZERO, None);
    light.play(playback.plan(2));
    heard.extend(all(&ear, Span::from_millis(500)));
    light.stop();
    let (_, blind) = live_and_blind(&heard);
    for number in 1..=MANY as u16 {
        let of_it: Vec<_> = blind.iter().filter(|it| it.universe == number).cloned().collect();
        assert!(counts_and_says_goodbye(&of_it), "universe {number}: {of_it:?}");
    }
}

#[test]
fn s09_a_running_box_shows_visualisers_the_cue_that_it_is_asked_for() {
    let ear = Ear::new(loopback(77), LightNet::default().sacn_port);
    let the_box = TheBox::start();
    // Other boxes on this machine send there as well; none of them is looked at blindly.
    let seen = |heard: &Heard| sacn_data(heard).filter(|data| data.preview);
    let (status, _) = the_box.knock("POST", "/api/v1/blind", r#"{"cue":"10"}"#);
    let data = ear.wait_for(SOON, seen).expect("visualisers see it");
    assert_eq!((status, data.name.as_str()), (200, "Blind: downbeat"));
    assert_eq!((data.universe, &data.values[..4]), (1, &[0, 26, 26, 26][..]));
    assert_eq!(the_box.ask_json(&["status"])["show"]["blind"], "10");
    let (status, _) = the_box.knock("POST", "/api/v1/blind", "");
    let end = ear.wait_for(SOON, |heard| seen(heard).filter(|data| data.terminated));
    assert!(status == 200 && end.is_some());
}

/// What `olad` puts out while a cue is seen blindly, and after the live levels went to full.
fn olad_beside_blind(test: &str, settings: &str) {
    let Some(lan) = Lan::new(test) else { return };
    let started = Olad::start_with(test, &lan, Side::Desk, DESK, settings);
    let Some(olad) = started else { return };
    olad.patch("E1.31", 0, Way::In, 1);
    let net = LightNet { interface: Some(BOX_INTERFACE.into()), ..LightNet::default() };
    let constant = LightOut { constant: true, ..LightOut::default() };
    let show = Show { light: constant, ..show([(1, sacn_multicast())]) };
    let group = "239.255.0.1".parse().expect("a group");
    let ear = lan.on(Side::Desk, || Ear::new(group, net.sacn_port));
    ear.0.join_multicast_v4(&group, &DESK).expect("its interface takes members");
    let mut light = lan.on(Side::Box, || begin(&show, &net));
    let mut playback = Playback::new(&show);
    let end = system_now() + ms(10_000);
    while olad.get(1).first() != Some(&0) {
        assert!(system_now() < end, "olad hears nothing");
    }
    playback.look_blind(ShowTime::ZERO, Some(&all_at(&show, 100.0, Span::ZERO)));
    light.play(playback.plan(1));
    for _ in 0..10 {
        let seen = |heard: &Heard| sacn_data(heard).filter(|data| data.preview);
        let data = ear.wait_for(SOON, seen).expect("visualisers see it");
        assert_eq!((data.values[1], olad.get(1)[0]), (255, 0));
    }
    fade(&mut light, &mut playback, &show, Span::ZERO, Span::ZERO, 50.0);
    let end = system_now() + ms(10_000);
    while olad.get(1)[0] != 128 {
        assert!(system_now() < end, "{:?}", olad.get(1));
    }
    light.stop();
}

#[test]
fn s09_olad_never_puts_out_what_is_seen_blindly() {
    olad_beside_blind("s09_olad_never_…", "ignore_preview = true\n");
}

#[test]
fn s09_a_node_that_knows_nothing_of_preview_puts_out_what_is_live() {
    olad_beside_blind("s09_a_node_that_knows_nothing_…", "ignore_preview = false\n");
}

#[test]
fn s10_levels_name_their_synchronization_which_follows_them_and_counts_by_itself() {
    let net = free_ports();
    let light = LightOut { sacn_sync: Some(universe(7962)), ..LightOut::default() };
    let show = asks(light, SacnOut::default());
    let ear = Ear::new(loopback(1), net.sacn_port);
    let mut light = begin(&show, &net);
    let mut playback = Playback::new(&show);
    fade(&mut light, &mut playback, &show, Span::ZERO, Span::from_secs(1), 100.0);
    let heard = all(&ear, Span::from_millis(1500));
    light.stop();
    let kinds: Vec<_> = heard
        .iter()
        .filter_map(|it| match (sacn_data(it), sacn_sync(it)) {
            (Some(data), _) => {
                assert_eq!((data.sync_address, data.force_sync), (7962, true));
                Some((it.at, None))
            }
            (_, sync) => sync.map(|sync| (it.at, Some(sync))),
        })
        .collect();
    let syncs: Vec<_> = kinds.iter().filter_map(|(_, sync)| *sync).collect();
    assert!(syncs.len() > 30, "{} synchronization packets", syncs.len());
    assert!(syncs.iter().enumerate().all(|(count, it)| *it == (7962, count as u8)), "{syncs:?}");
    let mut delays = Vec::new();
    for pair in kinds.windows(2) {
        assert_ne!(pair[0].1.is_some(), pair[1].1.is_some(), "levels, then their sync, by turns");
        if pair[1].1.is_some() {
            delays.push(pair[1].0 - pair[0].0);
        }
    }
    delays.sort();
    let median = delays[delays.len() / 2];
    assert!((ms(1)..ms(4)).contains(&median), "{median} ns from levels to their sync");
}

#[test]
fn s10_of_many_universes_the_sync_follows_the_last_and_leads_the_next_frame() {
    const MANY: u32 = 130;
    let net = free_ports();
    let light = LightOut { sacn_sync: Some(universe(7962)), ..LightOut::default() };
    let show = Show { light, ..show((1..=MANY).map(|it| (it, sacn_to(&[loopback(1)])))) };
    let ear = Ear::new(loopback(1), net.sacn_port);
    let mut light = begin(&show, &net);
    let mut playback = Playback::new(&show);
    fade(&mut light, &mut playback, &show, Span::ZERO, Span::from_secs(2), 100.0);
    let heard = all(&ear, Span::from_millis(1500));
    light.stop();
    let frames = heard.split(|it| sacn_sync(it).is_some());
    let frames: Vec<usize> = frames.map(<[Heard]>::len).collect();
    let whole = frames.iter().filter(|levels| **levels == MANY as usize).count();
    assert!(whole > 30 && whole + 6 >= frames.len(), "levels between two syncs: {frames:?}");
}

#[test]
fn s10_synchronization_goes_to_the_group_of_its_universe() {
    let net = LightNet { interface: Some("lo".into()), ..free_ports() };
    let light = LightOut { sacn_sync: Some(universe(7962)), ..LightOut::default() };
    let show = Show { light, ..show([(1, sacn_multicast())]) };
    let group = "239.255.31.26".parse().expect("a group");
    let ear = Ear::new(group, net.sacn_port);
    ear.0.join_multicast_v4(&group, &loopback(1)).expect("loopback takes members");
    let light = begin(&show, &net);
    assert_eq!(ear.wait_for(SOON, sacn_sync), Some((7962, 0)));
    light.stop();
}

#[test]
fn s12_on_ipv6_a_universe_goes_to_its_group_and_so_do_its_sync_and_discovery() {
    let Some(lan) = Lan::new("s12_on_ipv6_…") else { return };
    let net = LightNet { interface: Some(BOX_INTERFACE.into()), ..free_ports() };
    let sync = Some(universe(7962));
    let light = LightOut { sacn_ip: SacnIp::V6, sacn_sync: sync, ..LightOut::default() };
    let sacn = SacnOut { multicast: true, unicast: vec![v6(2)], ..SacnOut::default() };
    let out = UniverseOut { sacn: Some(sacn), ..UniverseOut::default() };
    let show = Show { light, ..show([(258, out)]) };
    let ears = lan.on(Side::Desk, || {
        ["ff18::8300:102", "ff18::8300:1f1a", "ff18::8300:fad6", "fd78::2"]
            .map(|address| Ear::v6(address, super::lan::DESK_INTERFACE, net.sacn_port))
    });
    let light = lan.on(Side::Box, || begin(&show, &net));
    assert_eq!(light.warnings(), Vec::<String>::new());
    let data = |ear: &Ear| ear.wait_for(SOON, sacn_data).map(|data| data.universe);
    assert_eq!(data(&ears[0]), Some(258));
    assert_eq!(ears[1].wait_for(SOON, sacn_sync), Some((7962, 0)));
    assert_eq!(ears[2].wait_for(SOON, sacn_discovery), Some(vec![258]));
    assert_eq!(data(&ears[3]), Some(258), "and by unicast to who is named");
    light.stop();
}

#[test]
fn s12_on_ipv6_a_universe_goes_by_unicast_over_loopback_and_says_goodbye_there() {
    let net = free_ports();
    let Ok(_) = std::net::UdpSocket::bind("[::1]:0") else {
        println!("skipped: s12_on_ipv6_…_over_loopback…: this machine has no IPv6");
        return;
    };
    let ear = Ear::v6("::1", "lo", net.sacn_port);
    let here = "::1".parse().expect("an address");
    let out = SacnOut { multicast: false, unicast: vec![here], ..SacnOut::default() };
    let out = UniverseOut { sacn: Some(out), ..UniverseOut::default() };
    let show = show([(258, out)]);
    let mut light = begin(&show, &net);
    let mut playback = Playback::new(&show);
    fade(&mut light, &mut playback, &show, Span::ZERO, Span::from_millis(500), 100.0);
    let mut heard = all(&ear, Span::from_millis(800));
    light.stop();
    heard.extend(all(&ear, Span::from_millis(100)));
    let packets: Vec<_> = heard.iter().filter_map(sacn_data).collect();
    assert!(packets.iter().all(|data| data.universe == 258));
    assert!(packets.iter().any(|data| (1..255).contains(&data.values[1])), "it fades");
    assert!(counts_and_says_goodbye(&packets), "{packets:?}");
    assert!(heard.iter().any(|it| sacn_discovery(it) == Some(vec![258])));
}

#[test]
fn s13_patched_slots_bear_the_shows_priority_and_the_others_none() {
    let net = free_ports();
    let show = asks(LightOut::default(), SacnOut { per_address: true, ..SacnOut::default() });
    let ear = Ear::new(loopback(1), net.sacn_port);
    let light = begin(&show, &net);
    let heard: Vec<_> = all(&ear, Span::from_millis(2500)).iter().filter_map(sacn_data).collect();
    light.stop();
    let (priorities, levels): (Vec<_>, Vec<_>) =
        heard.iter().partition(|data| data.values[0] == 0xdd);
    assert_eq!(heard[0].values[0], 0xdd, "who counts is said before what is shown");
    for data in &priorities {
        assert_eq!((data.values[1], data.priority), (100, 100));
        assert!(data.values[2..].iter().all(|priority| *priority == 0));
    }
    assert!(heard.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    assert!(levels.iter().all(|data| data.values[0] == 0) && levels.len() >= 5);
    let times: Vec<_> = priorities.iter().map(|data| data.at).collect();
    assert!((4..=5).contains(&times.len()), "{} packets of priorities in 2.5 s", times.len());
    let still = times[3] - times[2];
    assert!((ms(960)..ms(1020)).contains(&still), "{still} ns between two of a still universe");
}

#[test]
fn s16_constant_output_has_every_frame_of_the_grid_while_nothing_moves() {
    let net = free_ports();
    let show = asks(LightOut { constant: true, ..LightOut::default() }, SacnOut::default());
    let ear = Ear::new(loopback(1), net.sacn_port);
    let light = begin(&show, &net);
    assert!(ear.wait_for(SOON, sacn_data).is_some());
    let sent = all(&ear, Span::from_secs(1)).iter().filter_map(sacn_data).count();
    light.stop();
    assert!((40..=45).contains(&sent), "{sent} packets in a second, 43 are the grid's");
}

/// What an ordinary socket hears of a fade in a group, how the box says that it sends, and how it knew when it left.
fn heard_in_a_group(lan: &Lan, here: bool) -> (Vec<Heard>, By, Vec<Evidence>) {
    let interface = Some(BOX_INTERFACE.into());
    let net = LightNet { interface, here, ..free_ports() };
    let show = show([(258, sacn_multicast())]);
    let group = "239.255.1.2".parse().expect("a group");
    let ear = lan.on(Side::Desk, || Ear::new(group, net.sacn_port));
    ear.0.join_multicast_v4(&group, &DESK).expect("its interface takes members");
    let (told, report) = keep();
    let setup = LightSetup { report, ..setup(&show, &net) };
    let mut light = lan.on(Side::Box, || Light::start(setup)).expect("it begins");
    let mut playback = Playback::new(&show);
    fade(&mut light, &mut playback, &show, Span::ZERO, Span::from_millis(500), 100.0);
    let heard = all(&ear, Span::from_secs(1));
    let by = light.watch().glance()[0].sacn.as_ref().expect("it leaves as sACN").by;
    light.stop();
    let told = told.lock().expect("it has ended");
    let frames = told.iter().filter_map(|it| match it {
        Input::LightFrame(frame) => Some(frame.evidence),
        _ => None,
    });
    let frames = frames.collect();
    (heard, by, frames)
}

#[test]
fn what_is_put_on_the_cable_is_heard_as_what_the_kernel_sends_and_is_stamped_alike() {
    let Some(lan) = Lan::new("what_is_put_on_the_cable_…") else { return };
    for (here, sent_by) in [(false, By::Cable), (true, By::Kernel)] {
        let (heard, by, frames) = heard_in_a_group(&lan, here);
        assert_eq!(by, sent_by);
        let data: Vec<_> = heard.iter().filter_map(sacn_data).collect();
        assert!(data.windows(2).all(|it| it[1].sequence == it[0].sequence.wrapping_add(1)));
        let levels: Vec<_> = data.iter().map(|data| data.values[1]).collect();
        assert!(levels.is_sorted() && levels.last() == Some(&255), "{levels:?}");
        assert!(heard.iter().all(|it| it.from.ip() == BOX && it.from.port() > 0));
        let stamped = frames.iter().filter(|it| **it == Evidence::KernelTransmit).count();
        assert!(stamped * 10 > frames.len() * 9, "{stamped} of {} frames", frames.len());
    }
}

#[test]
fn olad_puts_out_what_the_box_sends() {
    let Some(lan) = Lan::new("olad_puts_out_…") else { return };
    let Some(olad) = Olad::start("olad_puts_out_…", &lan, Side::Desk, DESK) else { return };
    olad.patch("E1.31", 0, Way::In, 1);
    // It knows no other ports than the standard's.
    let net = LightNet { interface: Some(BOX_INTERFACE.into()), ..LightNet::default() };
    let show = show([(1, sacn_multicast())]);
    let mut light = lan.on(Side::Box, || begin(&show, &net));
    let mut playback = Playback::new(&show);
    fade(&mut light, &mut playback, &show, Span::ZERO, Span::from_secs(1), 100.0);
    let quiet = Ear::new(loopback(70), 0);
    let end = system_now() + ms(10_000);
    while olad.get(1).first() != Some(&255) {
        assert!(system_now() < end, "{:?}", olad.get(1));
        quiet.hear(Span::from_millis(100));
    }
    light.stop();
}
