//! One phone: the page's core, a crystal, a browser's rounding, and a real socket; beside it, over TLS, a session of
//! WebTransport where the core wants one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use phone::clock::Reading;
use phone::{Act, Chance, Channel, Core, Event, NetTime, Role, Start, State, Turn};
use sim::Rounding;
use tokio::sync::Notify;
use tokio::time::sleep;
use units::{MonoTime, Ppm, Span};

use super::line::{Door, Line};
use super::orders::{Orders, Sounded};
use super::session::Session;
use crate::mono_now;

/// A phone.
pub(super) struct Guest {
    page: PageClock,
    state: Mutex<Inner>,
    more: Notify,
}

struct Inner {
    core: Core,
    orders: Orders,
    /// Questions on the socket, and in datagrams.
    asked: [u64; 2],
    /// The last of them.
    last: Option<Act>,
    /// Its end of the socket, and of the session.
    addresses: [Option<SocketAddr>; 2],
}

/// What the page's clock says when the machine's says something.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageClock {
    opened: MonoTime,
    crystal: Ppm,
    rounding: Rounding,
}

/// A page's script begins a while after its clock; each phone's at another time.
const PAGE_BEGINS: MonoTime = MonoTime::from_ns(5_000_000_000);
/// A browser's timer never rings at once.
const TIMER: Duration = Duration::from_millis(1);
/// Crystals of phones, either way.
const SKEW_MAX: Ppm = Ppm(50.0);
/// Dates of phones, either way.
const DATE_OFF_MAX: Span = Span::from_secs(5);

impl PageClock {
    pub(super) fn new(opened: MonoTime, crystal: Ppm, rounding: Rounding) -> Self {
        Self { opened, crystal, rounding }
    }

    pub(super) fn exact(&self, at: MonoTime) -> MonoTime {
        let gone = at - self.opened;
        let more = (gone.ns() as f64 * self.crystal.0 * 1e-6).round() as i64;
        PAGE_BEGINS + gone + Span::from_ns(more)
    }

    fn read(&self, at: MonoTime) -> MonoTime {
        self.rounding.read(self.exact(at))
    }

    /// What the machine's clock reads when the page's exact one does.
    pub(super) fn machine(&self, page: MonoTime) -> MonoTime {
        let gone = page - PAGE_BEGINS;
        let more = gone.ns() as f64 * self.crystal.0 * 1e-6 / (1.0 + self.crystal.0 * 1e-6);
        self.opened + gone - Span::from_ns(more.round() as i64)
    }
}

impl Guest {
    /// One of a crowd.
    pub(super) fn drawn(seed: u64, number: usize, net: NetTime) -> Self {
        let mut chance = Chance::new(u128::from(seed) << 64 | 0xf1ee7 << 32 | number as u128);
        let mut either_way = || 2.0 * chance.share() - 1.0;
        let crystal = Ppm(SKEW_MAX.0 * either_way());
        let unix = net.ns() as f64 / 1e6 + DATE_OFF_MAX.millis_f64() * either_way();
        // An isolated page's clock, Chromium's usual one, and those of the others.
        let step = |us| Span::from_micros(us);
        let rounding = match number % 4 {
            0 => Rounding::Floor(step(5)),
            1 => Rounding::Floor(step(100)),
            2 => Rounding::Fuzz(step(100), seed ^ number as u64),
            _ => Rounding::Floor(step(1_000)),
        };
        let page = PageClock::new(mono_now(), crystal, rounding);
        let start = Start {
            chance: format!("{:032x}", chance.bits()),
            unix_ms: unix,
            role: Role::Phone,
            ..Start::default()
        };
        let core = Core::new(page.read(mono_now()), &start);
        let state = Mutex::new(Inner {
            core,
            orders: Orders::default(),
            asked: [0; 2],
            last: None,
            addresses: [None; 2],
        });
        Self { page, state, more: Notify::new() }
    }

    /// What the phone takes for network time at a reading of the machine's clock, by its exact crystal.
    pub(super) fn reading(&self, at: MonoTime) -> Option<Reading> {
        self.state().core.clock().reading(self.page.exact(at))
    }

    pub(super) fn is_in_step(&self) -> bool {
        let now = self.page.read(mono_now());
        // Nobody taps it, and its music never comes.
        matches!(self.state().core.look(now).fare, State::InStep { .. } | State::Loading { .. })
    }

    /// What it would have sounded since this was asked last.
    pub(super) fn take_sounded(&self) -> Vec<Sounded> {
        self.state().orders.take()
    }

    /// Questions so far on the socket, and in datagrams.
    pub(super) fn asked(&self) -> [u64; 2] {
        self.state().asked
    }

    /// The way that it asked by last, and its end of it.
    pub(super) fn way(&self) -> Option<(Channel, SocketAddr)> {
        let state = self.state();
        let channel = channel(state.last.as_ref()?)?;
        Some((channel, state.addresses[place(channel)]?))
    }

    /// It asks once more what it asked last, beside whatever its core wants.
    pub(super) fn ask_more(&self) {
        self.more.notify_one();
    }

    /// The shell around the core: its sockets and its timer, for ever.
    pub(super) async fn live(self: Arc<Self>, door: Arc<Door>) {
        let (mut line, mut session) = (Line::Closed, Session::Closed);
        let mut event = Event::Tick;
        loop {
            let turn = self.handle(event);
            let wake_ms = turn.look.still_until_ms.map_or(turn.wake_ms, |it| it.min(turn.wake_ms));
            let rings = sleep(self.until(wake_ms));
            tokio::pin!(rings);
            for act in turn.acts {
                self.perform(act, &mut line, &mut session, &door).await;
            }
            event = loop {
                tokio::select! {
                    event = line.next() => break event,
                    event = session.next(|| self.now_ms()) => break event,
                    () = self.more.notified() => self.repeat(&mut line, &mut session, &door).await,
                    () = &mut rings => break Event::Tick,
                }
            };
            self.state().addresses = [line.address(), session.address()];
        }
    }

    fn handle(&self, event: Event) -> Turn {
        let mut state = self.state();
        let now = mono_now();
        if let Event::Heard { text, .. } = &event {
            state.orders.hear(now, text);
        }
        let mut turn = state.core.handle(self.page.read(now), event);
        let Inner { core, orders, .. } = &mut *state;
        if orders.look(now, core.clock(), &self.page) {
            let painted = state.core.handle(self.page.read(now), Event::Painted);
            turn = Turn { acts: turn.acts.into_iter().chain(painted.acts).collect(), ..painted };
        }
        // The first is the one that counts; one behind it only sees whether a better way answers.
        let questions = turn.acts.iter().filter(|act| channel(act).is_some());
        state.last = questions.clone().next().cloned().or_else(|| state.last.take());
        questions.filter_map(channel).for_each(|channel| state.asked[place(channel)] += 1);
        turn
    }

    async fn repeat(&self, line: &mut Line, session: &mut Session, door: &Door) {
        let Some(act) = self.state().last.clone() else { return };
        self.perform(act, line, session, door).await;
    }

    async fn perform(&self, act: Act, line: &mut Line, session: &mut Session, door: &Door) {
        match act {
            // Wherever its box is, the way to it goes through a network of ours.
            Act::Open { .. } => *line = Line::open(door),
            Act::OpenStream => *line = Line::over(session.stream().await),
            Act::Close => *line = Line::Closed,
            Act::Send { text } => line.send(text).await,
            Act::Ask { head, tail } => {
                let t1 = self.page.read(mono_now()).ns();
                let (secs, rest) = (t1.div_euclid(1_000_000_000), t1.rem_euclid(1_000_000_000));
                line.send(format!("{head}{secs}.{rest:09}{tail}")).await;
            }
            Act::OpenTime { url, hashes } => *session = Session::open(url, &hashes),
            Act::CloseTime => *session = Session::Closed,
            Act::AskTime { octets, clock_at, .. } => {
                session.ask(&octets, clock_at, self.now_ms());
            }
            // It has no sound.
            _ => {}
        }
    }

    /// What the page's clock says now.
    fn now_ms(&self) -> f64 {
        self.page.read(mono_now()).ns() as f64 / 1e6
    }

    fn until(&self, wake_ms: f64) -> Duration {
        let now_ms = self.page.exact(mono_now()).ns() as f64 / 1e6;
        Duration::from_secs_f64(((wake_ms - now_ms) / 1e3).clamp(0.0, 3_600.0)).max(TIMER)
    }

    fn state(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

/// By which way a question goes; none if it is none.
fn channel(act: &Act) -> Option<Channel> {
    match act {
        Act::Ask { .. } => Some(Channel::WebSocket),
        Act::AskTime { channel, .. } => Some(*channel),
        _ => None,
    }
}

/// Where a way stands in rows of two: the socket, and datagrams.
fn place(channel: Channel) -> usize {
    usize::from(channel != Channel::WebSocket)
}
