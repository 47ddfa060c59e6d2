//! A console comes in: universes that are received are mixed with the show's own, or fire its cues.
//!
//! In: datagrams of both protocols with their time and sender, and ticks. Out: an [`InputTable`] whenever one of the
//! inputs shows something else, from which [`Mixer`] draws in the render thread; triggers that were crossed; who sends.
//! Never here: sockets, and the show's own light.
//!
//! *Input*: a universe or port address of the show file's `[inputs]`. *Lost*: nobody sends it any more; its last levels
//! stay in the frame, and what becomes of them is a function of show time.

mod mixer;
mod port;
mod settings;
mod trigger;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use units::{PortAddress, ShowTime, Slot, Span, Universe};
use uuid::Uuid;
use wire::artnet::{self, Command, Failsafe, GoodOutput, Packet};

use super::receive::{Merged, Receiver, Source};
use crate::show::{InputFrom, InputMerge, LossGoal, Show, ShowInput, SlotTrigger, TriggerOn};
pub use mixer::Mixer;
use port::Port;
pub use port::{SENDERS_MAX, SILENT};
pub use settings::{PortSettings, Scene, SenderMerge, Settings};
use trigger::Watch;

/// The priority of what has none of its own, as sACN's default (E1.31 section 6.2.3).
pub const PRIORITY: u8 = 100;

/// The bind index of the first port address that comes in; 0 is all of them (rule A6).
pub const FIRST_BIND: u8 = 1;

/// A disk is given what ArtAddress sets so often at most; anybody can set as fast as they like.
const KEEP_EVERY: Span = Span::from_secs(1);

/// Every input as it is now, in the order of the show file; whoever has one may keep it.
pub type InputTable = Vec<Arc<InputFrame>>;

/// What comes in by one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFrame {
    /// Levels and priorities; those before the loss where it is lost.
    pub merged: Merged,
    /// Whether anybody sends.
    pub state: InputState,
    /// What ArtAddress has had recorded for a loss.
    pub scene: Option<Scene>,
}

/// How a port address that comes in is, to be told to the network (rules A16 and A17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortState {
    /// Whether it is sent, and how it merges.
    pub good: GoodOutput,
    /// What becomes of it when nobody sends it.
    pub failsafe: Failsafe,
}

/// Whether anybody sends an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputState {
    /// Nobody has yet.
    Waiting,
    /// Somebody does.
    Live,
    /// Nobody does any more.
    Lost {
        /// Since when.
        since: ShowTime,
        /// What becomes of it.
        goal: LossGoal,
    },
}

/// Somebody who sends an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSource {
    /// What it calls itself; none with Art-Net, which does not say.
    pub name: Option<String>,
    /// Where it is.
    pub address: IpAddr,
    /// At which priority.
    pub priority: u8,
    /// When its levels were last heard.
    pub heard: ShowTime,
}

impl fmt::Display for InputSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name:?} at {} with priority {}", self.address, self.priority),
            None => write!(f, "Art-Net at {}", self.address),
        }
    }
}

/// All that comes in. Beside the show's inputs it listens to its own sACN universes, to name whoever else sends them.
#[derive(Debug, Clone)]
pub struct Inputs {
    receiver: Receiver,
    inputs: Vec<Input>,
    /// The port addresses, in the order of their bind indices.
    ports: Vec<PortAddress>,
    /// By their place among all triggers of the show.
    triggers: Vec<(usize, SlotTrigger, Watch)>,
    crossed: VecDeque<usize>,
    changed: bool,
    settings: Settings,
    /// Whether it is another than what was kept last, and from when on it may be kept again.
    unkept: bool,
    keep_at: ShowTime,
    /// As they were told last.
    told: BTreeMap<PortAddress, PortState>,
}

#[derive(Debug, Clone)]
struct Input {
    spec: ShowInput,
    /// What Art-Net comes in by; none with sACN.
    port: Option<Port>,
    /// What ArtAddress has set of that.
    set: PortSettings,
    frame: Arc<InputFrame>,
    /// Of what the frame shows; for Art-Net it only counts up.
    version: u64,
    shown: u64,
}

impl Inputs {
    /// Listens from `now` on; what `own` sends is passed over. `watched` are the universes that the box sends itself.
    pub fn new(
        show: &Show,
        own: Uuid,
        watched: impl IntoIterator<Item = Universe>,
        now: ShowTime,
    ) -> Self {
        let universes = watched.into_iter().chain(show.input_universes());
        let receiver = Receiver::new(own, now, universes);
        let inputs = show.inputs.iter().cloned().map(Input::new).collect();
        let slots = show.triggers.iter().enumerate().filter_map(|(number, it)| match it.on {
            TriggerOn::Slot(slot) => Some((number, slot, Watch::default())),
            TriggerOn::Artnet(_) => None,
        });
        let triggers = slots.collect();
        Self {
            receiver,
            inputs,
            ports: show.input_ports(),
            triggers,
            crossed: VecDeque::new(),
            changed: true,
            settings: Settings::default(),
            unkept: false,
            keep_at: now,
            told: BTreeMap::new(),
        }
    }

    /// As ArtAddress has set them on an earlier day.
    pub fn with_settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self.inputs.iter_mut().for_each(|input| input.set(&self.settings));
        self
    }

    /// What ArtAddress has set, if it is to be kept now: whenever it changes, but at most once in [`KEEP_EVERY`], until
    /// it is said to be [kept](Self::settings_kept).
    pub fn poll_settings(&mut self, now: ShowTime) -> Option<&Settings> {
        if !self.unkept || now < self.keep_at {
            return None;
        }
        self.keep_at = now + KEEP_EVERY;
        Some(&self.settings)
    }

    /// Whoever keeps has taken what was polled last.
    pub fn settings_kept(&mut self) {
        self.unkept = false;
    }

    /// What is not kept yet, however soon; for the end.
    pub fn unkept(&self) -> Option<&Settings> {
        self.unkept.then_some(&self.settings)
    }

    /// How the port addresses are, if that is another since this was last asked.
    pub fn take_ports(&mut self) -> Option<BTreeMap<PortAddress, PortState>> {
        let ports: BTreeMap<_, _> = self.inputs.iter().filter_map(Input::port_state).collect();
        let changed = ports != self.told;
        self.told.clone_from(&ports);
        changed.then_some(ports)
    }

    /// A datagram came to sACN's port.
    pub fn handle_sacn(&mut self, now: ShowTime, datagram: &[u8], from: IpAddr) {
        self.receiver.handle(now, datagram, from);
    }

    /// A datagram came to Art-Net's port, from somebody whom we listen to; true if it may have set something, which
    /// its answer should tell of.
    pub fn handle_artnet(&mut self, now: ShowTime, datagram: &[u8], from: Ipv4Addr) -> bool {
        if self.ports.is_empty() {
            return false;
        }
        match artnet::parse(datagram) {
            Ok(Packet::Dmx(dmx)) => self.each_port(
                |address| address == dmx.port_address,
                |port| port.handle(now, &dmx, from),
            ),
            Ok(Packet::Sync) => self.each_port(|_| true, |port| port.synchronize(now, from)),
            Ok(Packet::Address { bind_index, command }) => {
                self.program(bind_index, command);
                return true;
            }
            _ => {}
        }
        false
    }

    /// Said to the root it is meant for all.
    fn program(&mut self, bind_index: u8, command: Command) {
        let is_meant =
            |place| bind_index < FIRST_BIND || place == usize::from(bind_index - FIRST_BIND);
        let ports = self.ports.iter().enumerate().filter(|(place, _)| is_meant(*place));
        let meant: Vec<_> = ports.map(|(_, port)| *port).collect();
        for port in meant {
            let input = self.inputs.iter().find(|it| it.spec.from == InputFrom::Artnet(port));
            let levels = input.and_then(|it| it.port.as_ref()).and_then(Port::merged);
            self.unkept |= self.settings.set(port, command, levels);
            for input in self.inputs.iter_mut().filter(|it| it.spec.from == InputFrom::Artnet(port))
            {
                input.program(command, &self.settings);
            }
        }
    }

    /// Time has come this far: what has come since the last time is shown.
    pub fn tick(&mut self, now: ShowTime) {
        self.receiver.tick(now);
        for (index, input) in self.inputs.iter_mut().enumerate() {
            if !input.look(&self.receiver, now) {
                continue;
            }
            self.changed = true;
            for (number, trigger, watch) in
                self.triggers.iter_mut().filter(|it| it.1.input == index)
            {
                if watch.look(trigger, input.frame.level(trigger.slot), now) {
                    self.crossed.push_back(*number);
                }
            }
        }
    }

    /// All frames, if any of them is another one since this was last asked.
    pub fn take_table(&mut self) -> Option<Arc<InputTable>> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| Arc::new(self.inputs.iter().map(|input| input.frame.clone()).collect()))
    }

    /// The next trigger that was crossed: its index in the show.
    pub fn take_crossed(&mut self) -> Option<usize> {
        self.crossed.pop_front()
    }

    /// Who sends one of the watched universes.
    pub fn senders(&self, universe: Universe) -> Vec<&Source> {
        self.receiver.sources(universe)
    }

    /// The sACN universes whose synchronization packets have to be heard.
    pub fn sync_addresses(&self) -> BTreeSet<Universe> {
        self.receiver.sync_addresses(self.inputs.iter().filter_map(Input::universe))
    }

    /// An input as it is now, by its index in the show.
    pub fn state(&self, input: usize) -> InputState {
        self.inputs[input].frame.state
    }

    /// Who sends an input, by its index in the show.
    pub fn sources(&self, input: usize) -> Vec<InputSource> {
        let input = &self.inputs[input];
        let sacn = input.universe().map(|universe| self.receiver.sources(universe));
        let sacn = sacn.unwrap_or_default().into_iter().map(|it| InputSource {
            name: Some(it.name.clone()),
            address: it.from,
            priority: it.priority,
            heard: it.heard,
        });
        let artnet = input.port.iter().flat_map(Port::senders).map(|it| InputSource {
            name: None,
            address: IpAddr::V4(it.address),
            priority: input.spec.priority,
            heard: it.heard,
        });
        sacn.chain(artnet).collect()
    }

    fn each_port(
        &mut self,
        meant: impl Fn(PortAddress) -> bool,
        mut deed: impl FnMut(&mut Port) -> bool,
    ) {
        for input in &mut self.inputs {
            if let (Some(port), InputFrom::Artnet(address)) = (&mut input.port, input.spec.from)
                && meant(address)
            {
                input.version += u64::from(deed(port));
            }
        }
    }
}

impl Input {
    fn new(spec: ShowInput) -> Self {
        let port =
            matches!(spec.from, InputFrom::Artnet(_)).then(|| Port::new(of_show(spec.merge)));
        let frame = InputFrame { merged: Merged::NOBODY, state: InputState::Waiting, scene: None };
        let set = PortSettings::default();
        Self { spec, port, set, frame: Arc::new(frame), version: 0, shown: 0 }
    }

    /// What ArtAddress says once, and what it has set for good.
    fn program(&mut self, command: Command, settings: &Settings) {
        match (&mut self.port, command) {
            (Some(port), Command::CancelMerge) => port.cancel_merge(),
            (Some(port), Command::ClearOutput) => port.clear(),
            _ => {}
        }
        self.set(settings);
    }

    fn set(&mut self, settings: &Settings) {
        let (Some(port), InputFrom::Artnet(address)) = (&mut self.port, self.spec.from) else {
            return;
        };
        self.set = settings.of(address);
        port.set_merge(self.set.merge.unwrap_or(of_show(self.spec.merge)));
        self.version += 1;
    }

    fn goal(&self) -> LossGoal {
        self.set.failsafe.map_or(self.spec.loss, settings::goal)
    }

    fn port_state(&self) -> Option<(PortAddress, PortState)> {
        let (Some(port), InputFrom::Artnet(address)) = (&self.port, self.spec.from) else {
            return None;
        };
        let (merging, by) = port.merges();
        let flowing = !port.senders().is_empty();
        let good = GoodOutput { flowing, merging, latest: by == SenderMerge::Ltp };
        Some((address, PortState { good, failsafe: settings::failsafe(self.goal()) }))
    }

    fn universe(&self) -> Option<Universe> {
        match self.spec.from {
            InputFrom::Sacn(universe) => Some(universe),
            InputFrom::Artnet(_) => None,
        }
    }

    /// Takes over what it shows now; true if that is another.
    fn look(&mut self, receiver: &Receiver, now: ShowTime) -> bool {
        match (&mut self.port, self.spec.from) {
            (Some(port), _) => self.version += u64::from(port.tick(now)),
            (None, InputFrom::Sacn(universe)) => self.version = receiver.version(universe),
            (None, InputFrom::Artnet(_)) => {}
        }
        if self.version == self.shown {
            return false;
        }
        self.shown = self.version;
        let next = self.next(receiver, now);
        let changed = *self.frame != next;
        if changed {
            self.frame = Arc::new(next);
        }
        changed
    }

    fn next(&self, receiver: &Receiver, now: ShowTime) -> InputFrame {
        let merged = match (&self.port, self.spec.from) {
            (Some(port), _) => port.merged().map(|levels| Merged {
                levels: *levels,
                priorities: [self.spec.priority; Universe::SLOTS],
            }),
            (None, InputFrom::Sacn(universe)) => receiver.merged(universe),
            (None, InputFrom::Artnet(_)) => None,
        };
        let before = (self.frame.merged.clone(), self.frame.state);
        let (merged, state) = match (merged, before) {
            (Some(merged), _) => (merged, InputState::Live),
            (None, (merged, InputState::Waiting)) => (merged, InputState::Waiting),
            (None, (merged, state)) => {
                let since = if let InputState::Lost { since, .. } = state { since } else { now };
                (merged, InputState::Lost { since, goal: self.goal() })
            }
        };
        InputFrame { merged, state, scene: self.set.scene.clone() }
    }
}

/// How two senders merge where ArtAddress has not set it.
fn of_show(merge: InputMerge) -> SenderMerge {
    match merge {
        InputMerge::Ltp => SenderMerge::Ltp,
        InputMerge::Htp | InputMerge::Priority => SenderMerge::Htp,
    }
}

impl InputFrame {
    /// What a slot shows; none where nobody sends it.
    fn level(&self, slot: Slot) -> Option<u8> {
        let sent = self.state == InputState::Live && self.merged.priorities[slot.index()] > 0;
        sent.then(|| self.merged.levels[slot.index()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::artnet::DmxFrame;
    use wire::sacn::{DataFrame, SourceName};

    const OWN: Uuid = Uuid::from_u128(1);
    const ELSE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

    fn at(ms: i64) -> ShowTime {
        ShowTime::ZERO + Span::from_millis(ms)
    }
    fn universe(number: u32) -> Universe {
        Universe::new(number).expect("a universe")
    }
    fn spec(from: InputFrom) -> ShowInput {
        ShowInput {
            name: "desk".into(),
            from,
            to: Some(universe(1)),
            first: Slot::new(1).expect("a slot"),
            count: 512,
            at: Slot::new(1).expect("a slot"),
            merge: InputMerge::Htp,
            priority: PRIORITY,
            loss: LossGoal::Release,
            hold: Span::ZERO,
            fade: Span::from_secs(1),
        }
    }
    fn port_address(raw: u32) -> PortAddress {
        PortAddress::new(raw).expect("15 bits")
    }
    fn show(inputs: Vec<ShowInput>) -> Show {
        let cue = "7".parse().expect("a cue");
        let slot = Slot::new(2).expect("a slot");
        let on = TriggerOn::Slot(SlotTrigger { input: 0, slot, above: 128, below: 102 });
        let triggers = vec![crate::show::Trigger { on, fires: cue }];
        Show { inputs, triggers, ..Show::default() }
    }
    fn listening(inputs: Vec<ShowInput>) -> Inputs {
        Inputs::new(&show(inputs), OWN, [universe(1)], at(-1500))
    }
    fn sacn(inputs: &mut Inputs, ms: i64, sequence: u8, level: u8) {
        let name = SourceName::new("Desk");
        let mut frame = DataFrame::new(Uuid::from_u128(2), name, 110, universe(101));
        frame.set_sequence(sequence);
        frame.slots_mut().fill(level);
        inputs.handle_sacn(at(ms), frame.bytes(), IpAddr::V4(ELSE));
        inputs.tick(at(ms));
    }
    fn dmx(inputs: &mut Inputs, ms: i64, level: u8) {
        let mut frame = DmxFrame::new(port_address(5));
        frame.slots_mut().fill(level);
        inputs.handle_artnet(at(ms), frame.bytes(), ELSE);
        inputs.tick(at(ms));
    }
    /// State and first level of the first input, if any frame is another.
    fn shows(inputs: &mut Inputs, ms: i64) -> Option<(InputState, u8)> {
        inputs.tick(at(ms));
        inputs.take_table().map(|table| (table[0].state, table[0].merged.levels[0]))
    }

    #[test]
    fn s07_a_universe_comes_in_and_is_lost_and_a_frame_is_made_only_of_what_is_new() {
        let mut inputs = listening(vec![spec(InputFrom::Sacn(universe(101)))]);
        assert_eq!(shows(&mut inputs, 0), Some((InputState::Waiting, 0)));
        sacn(&mut inputs, 0, 0, 9);
        assert_eq!(shows(&mut inputs, 1499), None, "it may yet say what priorities it has");
        assert_eq!(shows(&mut inputs, 1500), Some((InputState::Live, 9)));
        sacn(&mut inputs, 1600, 1, 9);
        assert_eq!(shows(&mut inputs, 1600), None, "the same again");
        assert_eq!(shows(&mut inputs, 4099), None);
        let (state, level) = shows(&mut inputs, 4100).expect("it is lost");
        let lost = InputState::Lost { since: at(4100), goal: LossGoal::Release };
        assert_eq!((state, level), (lost, 9), "its levels stay for the release");
        let sources = inputs.sources(0);
        assert!(sources.is_empty());
    }

    #[test]
    fn a16_a_port_address_comes_in_at_the_priority_that_the_show_gives_it() {
        let spec = ShowInput { priority: 150, ..spec(InputFrom::Artnet(port_address(5))) };
        let mut inputs = listening(vec![spec]);
        dmx(&mut inputs, 0, 9);
        let table = inputs.take_table().expect("it is live");
        assert_eq!((table[0].state, table[0].merged.priorities[0]), (InputState::Live, 150));
        let sources = inputs.sources(0);
        assert_eq!((sources[0].address, sources[0].priority), (IpAddr::V4(ELSE), 150));
        assert_eq!(shows(&mut inputs, 9_999), None);
        assert!(matches!(shows(&mut inputs, 10_000), Some((InputState::Lost { .. }, 9))));
    }

    fn art_address(inputs: &mut Inputs, ms: i64, bind_index: u8, command: u8) {
        let mut address = [0; 107];
        address[..12].copy_from_slice(b"Art-Net\0\x00\x60\x00\x0e");
        (address[13], address[106]) = (bind_index, command);
        assert!(inputs.handle_artnet(at(ms), &address, ELSE));
    }

    #[test]
    fn a17_what_art_address_programs_stands_above_the_show() {
        let mut inputs = listening(vec![spec(InputFrom::Artnet(port_address(5)))]);
        dmx(&mut inputs, 0, 9);
        art_address(&mut inputs, 1, FIRST_BIND, 8);
        let (state, _) = shows(&mut inputs, 10_000).expect("it is lost");
        assert_eq!(state, InputState::Lost { since: at(10_000), goal: LossGoal::Hold });
        art_address(&mut inputs, 10_001, FIRST_BIND, 9);
        let (state, _) = shows(&mut inputs, 10_001).expect("it is told to go out");
        assert_eq!(state, InputState::Lost { since: at(10_000), goal: LossGoal::Zero });
    }

    #[test]
    fn a17_a_scene_is_recorded_of_what_is_sent_and_shown_when_that_is_lost() {
        let mut inputs = listening(vec![spec(InputFrom::Artnet(port_address(5)))]);
        art_address(&mut inputs, 0, FIRST_BIND, 0x0c);
        assert_eq!(inputs.poll_settings(at(0)), None, "there was nothing to record");
        dmx(&mut inputs, 0, 9);
        art_address(&mut inputs, 1, FIRST_BIND, 0x0c);
        art_address(&mut inputs, 2, FIRST_BIND, 0x0b);
        dmx(&mut inputs, 3, 200);
        shows(&mut inputs, 20_000);
        let frame = &inputs.inputs[0].frame;
        assert_eq!(frame.scene, Some(Scene([9; 512])));
        assert_eq!((frame.merged.levels[0], inputs.state(0)), (200, lost_to(LossGoal::Scene)));
    }

    fn lost_to(goal: LossGoal) -> InputState {
        InputState::Lost { since: at(20_000), goal }
    }

    #[test]
    fn a17_what_was_set_on_an_earlier_day_holds_for_its_port_address_alone() {
        let specs = [5, 6].map(|raw| spec(InputFrom::Artnet(port_address(raw))));
        let mut inputs = listening(specs.to_vec());
        art_address(&mut inputs, 0, FIRST_BIND + 1, 8);
        art_address(&mut inputs, 0, FIRST_BIND + 1, 0x10);
        let kept = inputs.poll_settings(at(0)).cloned().expect("it is new");
        let mut inputs = listening(specs.to_vec()).with_settings(kept);
        assert_eq!(inputs.unkept(), None, "it is kept already");
        let ports = inputs.take_ports().expect("they were never told");
        let of = |raw| ports[&port_address(raw)];
        assert_eq!((of(5).failsafe, of(5).good.latest), (Failsafe::Zero, false));
        assert_eq!((of(6).failsafe, of(6).good.latest), (Failsafe::Hold, true));
        assert_eq!(inputs.take_ports(), None);
    }

    #[test]
    fn a17_however_fast_it_is_set_it_is_kept_once_a_second_and_the_last_at_the_end() {
        let mut inputs = listening(vec![spec(InputFrom::Artnet(port_address(5)))]);
        let mut kept = Vec::new();
        for ms in 0..2_500 {
            art_address(&mut inputs, ms, FIRST_BIND, if ms % 2 == 0 { 0x10 } else { 0x50 });
            if inputs.poll_settings(at(ms)).is_some() {
                inputs.settings_kept();
                kept.push(ms);
            }
        }
        assert_eq!(kept, [0, 1_000, 2_000]);
        let last = inputs.unkept().expect("it was set since").of(port_address(5));
        assert_eq!(last.merge, Some(SenderMerge::Htp));
    }

    #[test]
    fn a17_settings_that_a_busy_disk_did_not_take_are_offered_again() {
        let mut inputs = listening(vec![spec(InputFrom::Artnet(port_address(5)))]);
        art_address(&mut inputs, 0, FIRST_BIND, 0x10);
        assert!(inputs.poll_settings(at(0)).is_some(), "but it was not taken");
        assert!(inputs.poll_settings(at(999)).is_none(), "nobody copies it every turn meanwhile");
        assert!(inputs.poll_settings(at(1_000)).is_some());
        inputs.settings_kept();
        assert!(inputs.poll_settings(at(9_000)).is_none() && inputs.unkept().is_none());
    }

    #[test]
    fn a16_it_is_told_whether_a_port_address_is_sent_and_merged() {
        let mut inputs = listening(vec![spec(InputFrom::Artnet(port_address(5)))]);
        inputs.take_ports();
        let good = |inputs: &mut Inputs| inputs.take_ports().map(|it| it[&port_address(5)].good);
        dmx(&mut inputs, 0, 9);
        let flowing = GoodOutput { flowing: true, ..GoodOutput::default() };
        assert_eq!(good(&mut inputs), Some(flowing));
        let other = Ipv4Addr::new(10, 0, 0, 8);
        inputs.handle_artnet(at(1), DmxFrame::new(port_address(5)).bytes(), other);
        assert_eq!(good(&mut inputs), Some(GoodOutput { merging: true, ..flowing }));
        inputs.tick(at(20_000));
        assert_eq!(good(&mut inputs), Some(GoodOutput::default()));
    }

    #[test]
    fn a_slot_that_crosses_its_level_is_told_of_once() {
        let mut inputs = listening(vec![spec(InputFrom::Artnet(port_address(5)))]);
        for (ms, level) in [(0, 0), (1000, 200), (1023, 210)] {
            dmx(&mut inputs, ms, level);
        }
        assert_eq!((inputs.take_crossed(), inputs.take_crossed()), (Some(0), None));
    }

    #[test]
    fn two_inputs_may_have_parts_of_one_universe() {
        let spec = spec(InputFrom::Sacn(universe(101)));
        let mut inputs = listening(vec![spec.clone(), spec]);
        sacn(&mut inputs, 0, 0, 9);
        inputs.tick(at(1500));
        let table = inputs.take_table().expect("it is live");
        assert!(table.iter().all(|frame| frame.merged.levels[0] == 9));
    }
}
