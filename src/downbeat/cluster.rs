//! The boxes that stand in for each other: what this one joins with, and what it means for its outputs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use engine::boxfile::BoxConfig;
use engine::clock::TAI_UTC;
use engine::light::turn::Turn;
use engine::show::Show;
use engine::sound;
use engine::told::Said;
use io::clock::BoxClock;
use io::cluster::{Cluster, ClusterSetup, Feed, Key, News, Vault, Wanted, fingerprint, may_hold};
use io::conductor::EngineHandle;
use io::http::{BoxFacts, Crowd};
use io::journal::{Event, Journal};

use crate::outputs::Outputs;

/// What does as the lease says.
pub struct Stands {
    /// Light's turn.
    pub outputs: Arc<Outputs>,
    /// Phones are told where to go.
    pub crowd: Arc<Crowd>,
    /// Who reads the story.
    pub journal: Arc<Journal>,
    /// Show time.
    pub clock: BoxClock,
}

/// The address that the box of the cluster has which drives; none, and why, where this one could not have it: then a code that
/// names it would lead nowhere.
pub fn common(config: &BoxConfig) -> (Option<IpAddr>, Option<String>) {
    let named = config.cluster.address.filter(|_| config.cluster.voters.len() > 1);
    match named.map(|address| (address, may_hold(&wanted(config, address)))) {
        None => (None, None),
        Some((address, Ok(()))) => (Some(address), None),
        Some((address, Err(why))) => {
            let said = format!(
                "phones are told this box's own address, not the cluster's {address}: {why}"
            );
            (None, Some(said))
        }
    }
}

fn wanted(config: &BoxConfig, address: IpAddr) -> Wanted {
    Wanted { address, interface: config.net.phones.clone() }
}

/// Joins the cluster that the box file names; or says why it cannot.
pub fn join(
    (config, address): (&BoxConfig, Option<IpAddr>),
    (show, state): (&Show, &Path),
    facts: &BoxFacts,
    (engine, feed): (EngineHandle, Feed),
    vault: Vault,
    stands: Stands,
) -> Result<Cluster, String> {
    let refused = |error: std::io::Error| format!("could not join the cluster: {error}");
    let (key, made) = Key::open(state).map_err(refused)?;
    if made {
        stands.say(format!(
            "a new cluster key was made: copy {} to the other boxes' state folders, and start them again",
            state.join("cluster.key").display()
        ));
    }
    vault.tokens.join(state, key.mark());
    vault.seals.iter().try_for_each(|it| it.join(&key.mark())).map_err(refused)?;
    // The cluster's is not this box's.
    let own = usize::from(address.is_some());
    // Where the address is, two boxes that had it would have to hear each other.
    let phones = config.net.phones.as_ref().filter(|_| address.is_some());
    let interfaces = config.net.cluster.iter().chain(&config.net.light).chain(phones).cloned();
    let interfaces: BTreeSet<String> = interfaces.collect();
    Cluster::join(ClusterSetup {
        node: facts.node_id,
        name: config.name.clone(),
        cluster: config.cluster.name.clone(),
        voters: config.cluster.voters.clone(),
        key,
        state: state.to_owned(),
        interfaces: interfaces.into_iter().collect(),
        light: config.net.light.clone(),
        port: config.ports.cluster,
        address: address.map(|it| wanted(config, it)),
        urls: (facts.urls[own].clone(), facts.secure_urls.get(own).cloned()),
        show: fingerprint(show, facts.version),
        engine,
        feed,
        vault,
        clock: stands.clock.clone(),
        tai_utc: TAI_UTC,
        tell: Box::new(move |news| stands.hear(news)),
    })
    .map_err(refused)
}

impl Stands {
    fn hear(&self, news: News) {
        match news {
            News::Drives { after } => {
                let turn = if after.is_some() { Turn::TakesOver } else { Turn::Drives };
                self.outputs.take_turn(turn, after);
                self.say("this box drives".to_owned());
            }
            News::StandsBy => {
                self.outputs.take_turn(Turn::StandsBy, None);
                // The engine says so, too; where it hangs, another box plays this already.
                self.outputs.play_sound(sound::Playback::new().plan());
            }
            News::Follows(master) => self.say(format!("{master} drives, this box stands by")),
            News::Standing(standing) => {
                let boxes: BTreeSet<_> =
                    standing.cluster_info.boxes.iter().map(|it| it.node_id).collect();
                self.outputs.know_boxes(boxes);
                self.crowd.set_standing(standing);
            }
            News::Trouble(what) => self.say(what),
        }
    }

    fn say(&self, what: String) {
        self.journal.note(self.clock.now(), Event::Said(Said::Cluster { what }));
    }
}
