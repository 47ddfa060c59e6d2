//! `run SHOW`: the box, wired.
//!
//! The engine on a thread of its own, light and sound on theirs, sockets in the runtime, and one queue between each
//! of them and the engine.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::EngineStart;
use engine::boxfile::BoxConfig;
use engine::boxfile::clock::Part;
use engine::clock::TAI_UTC;
use engine::cluster::Understudy;
use engine::light::turn::Turn;
use engine::phones::Limits;
use engine::show::Show;
use engine::told::{Effect, Input, Said};
use io::clock::{BoxClock, ClockWriter};
use io::cluster::{Cluster, Feed, Vault};
use io::conductor::{Conductor, EngineHandle};
use io::http::{
    BoxFacts, Certificates, Crowd, Doors, House, PageFile, Peering, Postbox, Secure, Switchboard,
    Tokens, bind_network, bind_secure, bind_socket,
};
use io::journal::{Account, Event, Journal};
use io::peers::{Air, AirSetup, News, Peers, PeersSetup};
use io::ptp::{ClockHandle, Keeper, KeeperSetup, Saying};
use io::seal::{Sealer, Seals};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, broadcast, oneshot};
use units::{ShowTime, Span};
use uuid::Uuid;

use crate::broadcast::Broadcast;
use crate::cli::Globals;
use crate::cluster::{self, Stands};
use crate::keys::Keys;
use crate::outputs::{Outputs, Rig, Watched};
use crate::{Refused, address, load, state, story, terminal};

/// How often the time zone is looked at: a change of summer time reaches cues at a time of day within it.
const ZONE_EVERY: Duration = Duration::from_secs(30);

/// `downbeat run SHOW`.
pub fn run(globals: &Globals, named: &Path) -> Result<(), Refused> {
    let config = load::box_config(globals)?;
    let phones = load::phone_table(&config)?;
    let token = load::bloom_token(&config)?;
    // Where inputs are simulated nobody misses one.
    let input = (!globals.simulate).then_some(&config);
    let (folder, show) = load::show(named, input)?;
    let show = Arc::new(show);
    let state = load::state(globals, &config);
    let _ours = state::hold(&state)?;
    let node = state::node_id(&state)?;
    more_files();
    stay_in_memory();

    let runtime =
        Runtime::new().map_err(|error| Refused(format!("could not start the runtime: {error}")))?;
    let _inside = runtime.enter();
    let signals = Signals::listen()?;
    // First the doors: where one is taken, nothing else has begun.
    let network = bind_network(config.ports.http).map_err(Refused::because)?;
    // Port 0 in the box file is any that is free: phones are told which one it became.
    let port = network.local_addr().map_or(config.ports.http, |address| address.port());
    let (common, said) = cluster::common(&config);
    let (secure, mut warnings) = secure((&config, common), &state);
    warnings.extend(said);
    let (tokens, said) = Tokens::open(&state, node).map_err(Refused::because)?;
    let tokens = Arc::new(tokens);
    warnings.extend(said);
    let seals = seals(&show, &state)?.map(|(seals, said)| {
        warnings.extend(said);
        if secure.is_none() {
            warnings
                .push("live sound is sealed, and without HTTPS no phone can have its key".into());
        }
        Arc::new(seals)
    });
    let socket = load::socket(globals, &config);
    let control = bind_socket(&socket).map_err(Refused::because)?;

    let (clock, writer) = BoxClock::disciplined();
    let began = clock.now();
    let journal = Journal::begin(Some(&state)).map(Arc::new).map_err(|error| {
        Refused(format!("could not open the journal in {}: {error}", state.display()))
    })?;
    let crowd = Crowd::new(node, clock.clone(), TAI_UTC, &limits(&config))
        .map(Arc::new)
        .map_err(|error| Refused(format!("could not start speaking to phones: {error}")))?;
    let board = Switchboard::new(clock.clone(), &limits(&config), config.bloom.idle, token);
    let board = Arc::new(board);
    let (reports, heard) = std::sync::mpsc::channel();
    let rig = Rig {
        show: &show,
        folder: &folder.path,
        config: &config,
        state: &state,
        node,
        clock: clock.clone(),
        simulate: globals.simulate,
    };
    let outputs = Arc::new(Outputs::start(&rig, reports.clone())?);

    let keeper = keep_clock(globals, &config, node, (clock.clone(), writer), journal.clone())?;

    let post = Postbox::new(crowd.clone());
    let peers = match take_peers(&config, clock.clone(), post.clone()) {
        Ok(peers) => Some(peers),
        Err(error) => {
            let port = config.ports.peers;
            warnings.push(format!("no peer connections (WebRTC), UDP port {port}: {error}"));
            None
        }
    };
    let air = match &peers {
        Some(peers) => Air::start(AirSetup {
            hub: peers.handle(),
            clock: clock.clone(),
            tai_utc: TAI_UTC,
            node,
            delay: config.peers.live_delay,
            seal: seals.clone().map(Sealer::begin),
            overheard: outputs.overheard.clone(),
        })
        .map_err(|error| {
            warnings.push(format!("no live sound to phones: {error}"));
            error.to_string()
        }),
        None => Err("the box takes no peer connections".to_owned()),
    };
    if let Ok(air) = &air {
        // Whoever hears reports is not there yet only where the box is going down.
        let _ = reports.send(Input::AirLead(air.lead()));
    }
    let input = config.sound.input.clone().filter(|_| !globals.simulate);
    let broadcast = Broadcast::start((show.clone(), folder.path.clone()), input, air, reports)
        .map_err(|error| Refused(format!("could not start live sound: {error}")))?;

    let (gone, engine_gone) = oneshot::channel();
    let stage = Stage {
        broadcast,
        clock: clock.clone(),
        keeper: keeper.handle(),
        journal: journal.clone(),
        outputs: outputs.clone(),
        crowd: crowd.clone(),
    };
    let start = EngineStart { now: began, tai_utc: TAI_UTC, chance: io::chance::seed() };
    let in_cluster = config.cluster.voters.len() > 1;
    let mut engine = Understudy::new(show.clone(), start, in_cluster);
    if in_cluster {
        outputs.take_turn(Turn::StandsBy, None);
        engine.stand_by("nobody yet".to_owned());
    }
    let feed = Feed::default();
    let conductor = Conductor::start(
        (engine, TAI_UTC),
        clock.clone(),
        move |effect| stage.perform(effect),
        (&outputs.overheard, feed.clone()),
        gone,
    )
    .map_err(|error| Refused(format!("could not start the engine: {error}")))?;
    let handle = conductor.handle();
    carry_reports(heard, handle.clone());
    handle.tell(Input::SoundInput { is_there: config.sound.input.is_some() });

    let mut facts = facts(
        (&config, common),
        (port, secure.as_ref().and_then(Secure::port)),
        node,
        simulated(globals, &config, &outputs),
    );
    let told = journal.watch();
    let cluster = in_cluster.then(|| {
        let stands = Stands {
            outputs: outputs.clone(),
            crowd: crowd.clone(),
            journal: journal.clone(),
            clock: clock.clone(),
        };
        let vault = Vault {
            tokens: tokens.clone(),
            certificates: secure.as_ref().map(Secure::certificates),
            seals: seals.clone(),
        };
        cluster::join(
            (&config, common),
            (&show, &state),
            &facts,
            (handle.clone(), feed),
            vault,
            stands,
        )
    });
    let cluster = cluster.and_then(|joined| {
        joined
            .map_err(|why| {
                warnings.push(format!("THIS BOX IS ALONE: {why}"));
                if common.is_some() {
                    // Nobody holds the cluster's address.
                    for urls in [&mut facts.urls, &mut facts.secure_urls] {
                        *urls = urls.split_off(urls.len().min(1));
                    }
                }
                outputs.take_turn(Turn::Drives, None);
                handle.take_over();
            })
            .ok()
    });
    let house = Arc::new(House {
        cluster: cluster.as_ref().map(Cluster::watch),
        facts,
        show: show.clone(),
        folder: folder.clone(),
        engine: handle.clone(),
        journal: journal.clone(),
        crowd,
        board: board.clone(),
        peering: peers.as_ref().map(|peers| {
            Peering::new(peers.handle(), post, board, config.peers.ice_servers.clone())
        }),
        clock,
        keeper: keeper.handle(),
        began,
        tai_utc: TAI_UTC,
        limits: limits(&config),
        phones,
        access_points: config.net.access_points.clone(),
        phones_by_quic: config.net.phones_by_quic,
        calibrates: config.sound.microphone.is_some(),
        page,
        tokens,
        seals,
        certificates: secure.as_ref().map(Secure::certificates),
        outputs: Box::new(Watched(outputs.clone())),
    });
    let doors = Doors::open(house.clone(), network, secure, control)
        .map_err(|error| Refused(format!("could not open the doors: {error}")))?;
    tokio::spawn(tell_the_zone(handle.clone()));
    warnings.extend_from_slice(outputs.warnings());
    warnings.extend(keeper.warnings().iter().cloned());
    warnings.extend(hear_surfaces(config.ports.osc, handle.clone()));
    let quit = Arc::new(Notify::new());
    let keys = Keys::read(handle, quit.clone());
    greet(&house, &warnings, &socket, keys.is_some());
    std::thread::spawn(move || tell_the_story(&show, began, told));

    let end = runtime.block_on(wait_for_the_end(signals, &quit, engine_gone));
    drop(keys);
    let holder = cluster.and_then(Cluster::leave);
    runtime.block_on(doors.close());
    if let Some(holder) = holder {
        holder.leave();
    }
    drop(peers);
    conductor.stop();
    outputs.stop();
    drop(keeper);
    // A socket in the middle of its goodbye has had its time.
    runtime.shutdown_background();
    end
}

/// Does what the engine decides. Nothing here waits.
struct Stage {
    broadcast: Broadcast,
    clock: BoxClock,
    keeper: ClockHandle,
    journal: Arc<Journal>,
    outputs: Arc<Outputs>,
    crowd: Arc<Crowd>,
}

impl Stage {
    fn perform(&self, effect: Effect) {
        match effect {
            Effect::Light(plan) => self.outputs.play_light(plan),
            Effect::Sound(plan) => self.outputs.play_sound(plan),
            Effect::Send { order, at, what } => self.outputs.send(order, at, what),
            Effect::Timecode(course) => self.outputs.play_timecode(course),
            Effect::Listen(listening) => self.outputs.listen(listening),
            Effect::Air { what, at } => self.broadcast.play(what, at),
            Effect::AirStays => self.broadcast.stay(),
            Effect::Tell { to, id, message } => self.crowd.tell(to, id, message),
            Effect::ShowRuns(runs) => self.keeper.show_runs(runs),
            Effect::Said(said) => self.note(Event::Said(said)),
            Effect::Ordered(order) => self.note(Event::Account(Account::Ordered { order })),
            Effect::Received(receipt) => self.note(Event::Account(Account::Received { receipt })),
        }
    }

    fn note(&self, event: Event) {
        self.journal.note(self.clock.now(), event);
    }
}

/// HTTPS and WebTransport, with what there is to say about them. A port that cannot be had is a loud word, not the
/// end of the show: phones come by plain HTTP.
fn secure(
    (config, common): (&BoxConfig, Option<IpAddr>),
    state: &Path,
) -> (Option<Secure>, Vec<String>) {
    let lost = |why: &dyn std::fmt::Display| format!("no HTTPS and no WebTransport: {why}");
    let names = address::names(&config.name, common);
    match Certificates::open(state, names, common) {
        Err(error) => (None, vec![lost(&error)]),
        Ok((certificates, mut said)) => {
            match bind_secure(config.ports.https, certificates.into()) {
                Ok(secure) => (Some(secure), said),
                Err(error) => {
                    said.push(lost(&error));
                    (None, said)
                }
            }
        }
    }
}

/// The key of a show that seals its live sound. Without one it must not sound, so a disk that keeps none is the end.
fn seals(show: &Show, state: &Path) -> Result<Option<(Seals, Option<String>)>, Refused> {
    let opened = show.seal.then(|| Seals::open(state, &show.title)).transpose();
    opened.map_err(|error| {
        Refused(format!(
            "could not keep the secret of sealed sound in {}: {error}: give a place this user may write, `--state DIR`",
            state.display()
        ))
    })
}

/// Peer connections. A port that cannot be had is a loud word, not the end of the show: phones keep to their sockets.
fn take_peers(config: &BoxConfig, clock: BoxClock, post: Arc<Postbox>) -> std::io::Result<Peers> {
    Peers::start(PeersSetup {
        socket: io::peers::bind(config.ports.peers)?,
        clock,
        tai_utc: TAI_UTC,
        limits: limits(config),
        most: config.limits.peers as usize,
        interface: config.net.phones.clone(),
        announce: config.peers.announce.clone(),
        tell: Box::new(move |phone, news: News| post.deliver(phone, news)),
    })
}

/// What light and sound report, to the engine.
fn carry_reports(heard: std::sync::mpsc::Receiver<Input>, engine: EngineHandle) {
    std::thread::spawn(move || heard.iter().for_each(|input| engine.tell(input)));
}

/// Operators' surfaces over OSC. A port that cannot be had is a loud word, not the end of the show.
fn hear_surfaces(port: u16, engine: EngineHandle) -> Option<String> {
    match io::osc::bind(port) {
        Ok(socket) => {
            tokio::spawn(io::osc::listen(socket, engine));
            None
        }
        Err(error) => {
            Some(format!("no OSC from surfaces: could not have UDP port {port}: {error}"))
        }
    }
}

fn page(path: &str) -> Option<PageFile> {
    page::file(path).map(|file| PageFile {
        bytes: file.bytes,
        gzipped: file.gzipped,
        mime: file.mime,
    })
}

/// The keeper of the box clock. With `--simulate` it has no PTP: the clock runs by itself.
fn keep_clock(
    globals: &Globals,
    config: &BoxConfig,
    node: Uuid,
    (clock, writer): (BoxClock, ClockWriter),
    journal: Arc<Journal>,
) -> Result<Keeper, Refused> {
    let mut ours = config.clock.clone();
    if globals.simulate {
        ours.ptp = Part::Off;
    }
    let reads = clock.clone();
    let say = move |saying| {
        journal.note(reads.now(), Event::Said(Said::Clock { what: sentence(&saying) }));
    };
    let setup = KeeperSetup {
        config: ours,
        port: config.ports.clock,
        node,
        clock,
        writer,
        tai_utc: TAI_UTC,
        say: Box::new(say),
    };
    Keeper::start(setup)
        .map_err(|error| Refused(format!("could not start the clock's keeper: {error}")))
}

fn sentence(saying: &Saying) -> String {
    match saying {
        Saying::Story(story) => story.to_string(),
        Saying::AsksToStep(by) => {
            format!("the clock asks to step by {by}: `downbeat clock --step` lets it")
        }
        Saying::Port(Some(trouble)) => trouble.clone(),
        Saying::Port(None) => "PTP goes on".to_owned(),
    }
}

/// What is not real.
fn simulated(globals: &Globals, config: &BoxConfig, outputs: &Outputs) -> Vec<String> {
    let ptp = globals.simulate && config.clock.ptp != Part::Off;
    let ptp = ptp.then(|| "PTP, as asked for by --simulate: the clock runs by itself".to_owned());
    outputs.simulated().into_iter().chain(ptp).collect()
}

fn facts(
    (config, common): (&BoxConfig, Option<IpAddr>),
    (http, https): (u16, Option<u16>),
    node: Uuid,
    simulated: Vec<String>,
) -> BoxFacts {
    let phones = config.net.phones.as_deref();
    let urls = |scheme: &str, port| {
        let first = common.map(|it| address::url(scheme, it, port));
        first.into_iter().chain(address::urls(scheme, port, phones, common)).collect()
    };
    BoxFacts {
        name: config.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        node_id: node,
        simulated,
        urls: urls("http", http),
        secure_urls: https.map(|port| urls("https", port)).unwrap_or_default(),
        secure_port: https,
    }
}

fn limits(config: &BoxConfig) -> Limits {
    Limits {
        connections_per_address: config.limits.connections_per_address as usize,
        signalling_per_address: config.limits.signalling_per_address as usize,
        clock_syncs_per_second: config.limits.clock_syncs_per_second as usize,
        clock_syncs_total_per_second: config.limits.clock_syncs_total_per_second as usize,
        media_controls_per_second: config.limits.media_controls_per_second as usize,
        messages_per_second: config.limits.messages_per_second as usize,
    }
}

/// A thousand phones are a thousand sockets; the usual allowance is 1,024 files.
fn more_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where we may not, the audience is smaller; nothing else is wrong.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}

/// A page that has to come from disk would hold a frame of light up. Only where the system sets no limit: below one,
/// memory asked for later would be refused.
fn stay_in_memory() {
    use nix::sys::mman::{MlockAllFlags, mlockall};
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    let unlimited =
        getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(most, _)| most == RLIM_INFINITY);
    if unlimited && let Err(error) = mlockall(MlockAllFlags::all()) {
        tracing::warn!(%error, "memory is not locked");
    }
}

/// Local time for cues at a time of day, now and whenever it changes.
async fn tell_the_zone(engine: EngineHandle) {
    let mut told = None;
    let mut tick = tokio::time::interval(ZONE_EVERY);
    loop {
        tick.tick().await;
        let ahead = local_ahead();
        if told.replace(ahead) != Some(ahead) {
            engine.tell(Input::LocalTime { ahead });
        }
    }
}

/// Local time minus TAI.
fn local_ahead() -> Span {
    let zone = jiff::tz::TimeZone::system();
    let offset = zone.to_offset(jiff::Timestamp::now());
    Span::from_secs(i64::from(offset.seconds())) - TAI_UTC
}

/// A line for each thing that happens. On a thread of its own: a terminal that stands still holds up nobody.
fn tell_the_story(show: &Show, began: ShowTime, mut feed: broadcast::Receiver<io::journal::Line>) {
    loop {
        match feed.blocking_recv() {
            Ok(line) => {
                if let Event::Said(said) = &line.entry.event
                    && let Some(text) = story::line(show, began, line.entry.noted, said)
                {
                    terminal::say(&text);
                }
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                terminal::say(&format!("({missed} lines were not shown in time)"));
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Where it is, what it plays, what is not real, and which keys there are.
fn greet(house: &House, warnings: &[String], socket: &Path, keys: bool) {
    let (facts, show) = (&house.facts, &house.show);
    terminal::say(&format!("{}\n\n{}", show.title, address::qr(&facts.urls[0])));
    for list in &show.lists {
        terminal::say(&format!("cue list {}", list.name));
        for cue in &list.cues {
            terminal::say(&format!("  {:<8}{}", cue.number, cue.name));
        }
    }
    terminal::say("");
    for (index, url) in facts.urls.iter().enumerate() {
        terminal::say(&format!("{:9}{url}", if index == 0 { "phones" } else { "" }));
    }
    for what in &facts.simulated {
        terminal::say(&format!("SIMULATED: {what}"));
    }
    for warning in warnings {
        terminal::say(&format!("WARNING: {warning}"));
    }
    if keys {
        terminal::say("keys     space GO, b back, s stop, p pause and resume, ! panic, q quit");
    }
    terminal::say(&format!("control  downbeat --socket {} go", socket.display()));
}

/// The signals that ask for a planned exit. Listened for before anybody is told that the box is there: one that comes
/// while a listener is still being made is lost.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A terminal that is closed.
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Refused> {
        let listen = |kind| {
            signal(kind).map_err(|error| Refused(format!("could not listen for signals: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }
}

async fn wait_for_the_end(
    mut signals: Signals,
    quit: &Notify,
    engine_gone: oneshot::Receiver<()>,
) -> Result<(), Refused> {
    tokio::select! {
        _ = signals.terminate.recv() => Ok(()),
        _ = signals.interrupt.recv() => Ok(()),
        _ = signals.hang_up.recv() => Ok(()),
        () = quit.notified() => Ok(()),
        _ = engine_gone => {
            Err(Refused("the engine has stopped; this is a mistake in the program".to_owned()))
        }
    }
}
