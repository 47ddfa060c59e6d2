//! One phone: the page's core, a crystal, a browser's rounding, and a real socket.

use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use phone::clock::Reading;
use phone::{Act, Chance, Core, Event, NetTime, Role, Start, State, Turn};
use sim::Rounding;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use units::{MonoTime, Ppm, Span};

use crate::mono_now;

/// A phone.
pub(super) struct Guest {
    page: PageClock,
    state: Mutex<Inner>,
    woke: Notify,
}

struct Inner {
    core: Core,
    asked: u64,
    /// Its end of the socket.
    address: Option<SocketAddr>,
}

/// What the page's clock says when the machine's says something.
#[derive(Debug, Clone, Copy)]
struct PageClock {
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
/// Sockets of a thousand phones: the library's usual buffers would take 146 kB each.
const BUFFER: usize = 4096;

impl PageClock {
    fn exact(&self, at: MonoTime) -> MonoTime {
        let gone = at - self.opened;
        let more = (gone.ns() as f64 * self.crystal.0 * 1e-6).round() as i64;
        PAGE_BEGINS + gone + Span::from_ns(more)
    }

    fn read(&self, at: MonoTime) -> MonoTime {
        self.rounding.read(self.exact(at))
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
        let page = PageClock { opened: mono_now(), crystal, rounding };
        let start = Start {
            chance: format!("{:032x}", chance.bits()),
            unix_ms: unix,
            // It fetches no music; the clock is the same.
            role: Role::Screen,
            ..Start::default()
        };
        let core = Core::new(page.read(mono_now()), &start);
        let state = Mutex::new(Inner { core, asked: 0, address: None });
        Self { page, state, woke: Notify::new() }
    }

    /// What the phone takes for network time at a reading of the machine's clock, by its exact crystal.
    pub(super) fn reading(&self, at: MonoTime) -> Option<Reading> {
        self.state().core.clock().reading(self.page.exact(at))
    }

    pub(super) fn is_in_step(&self) -> bool {
        let now = self.page.read(mono_now());
        matches!(self.state().core.look(now).state, State::InStep { .. })
    }

    /// Questions so far.
    pub(super) fn asked(&self) -> u64 {
        self.state().asked
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.state().address
    }

    /// As if its page came back to the front: it asks anew.
    pub(super) fn wake(&self) {
        self.woke.notify_one();
    }

    /// The shell around the core: its socket and its timer, for ever.
    pub(super) async fn live(self: Arc<Self>, box_at: SocketAddr) {
        let mut line = Line::Closed;
        let mut event = Event::Tick;
        loop {
            let turn = self.handle(event);
            let sleeps = self.until(turn.wake_ms);
            for act in turn.acts {
                self.perform(act, &mut line, box_at).await;
            }
            event = tokio::select! {
                event = line.next() => event,
                () = self.woke.notified() => Event::Woke,
                () = sleep(sleeps) => Event::Tick,
            };
            self.state().address = line.address();
        }
    }

    fn handle(&self, event: Event) -> Turn {
        let mut state = self.state();
        let turn = state.core.handle(self.page.read(mono_now()), event);
        state.asked += turn.acts.iter().filter(|act| is_question(act)).count() as u64;
        turn
    }

    async fn perform(&self, act: Act, line: &mut Line, box_at: SocketAddr) {
        match act {
            Act::Open => *line = Line::Opening(Box::pin(open(box_at))),
            Act::Close => *line = Line::Closed,
            Act::Send { text } => line.send(text).await,
            Act::Ask { head, tail } => {
                let t1 = self.page.read(mono_now()).ns();
                let (secs, rest) = (t1.div_euclid(1_000_000_000), t1.rem_euclid(1_000_000_000));
                line.send(format!("{head}{secs}.{rest:09}{tail}")).await;
            }
            // A screen has no sound.
            _ => {}
        }
    }

    fn until(&self, wake_ms: f64) -> Duration {
        let now_ms = self.page.exact(mono_now()).ns() as f64 / 1e6;
        Duration::from_secs_f64(((wake_ms - now_ms) / 1e3).clamp(0.0, 3_600.0)).max(TIMER)
    }

    fn state(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

fn is_question(act: &Act) -> bool {
    matches!(act, Act::Ask { .. })
}

type Socket = WebSocketStream<TcpStream>;
type Opening = Pin<Box<dyn Future<Output = Result<Socket, Error>> + Send>>;

/// A phone's socket.
enum Line {
    Closed,
    Opening(Opening),
    Open(Box<Socket>),
}

impl Line {
    /// What comes of it next.
    async fn next(&mut self) -> Event {
        let event = match self {
            Self::Closed => pending().await,
            Self::Opening(opening) => match opening.await {
                Ok(socket) => {
                    *self = Self::Open(Box::new(socket));
                    return Event::Opened;
                }
                Err(_) => Event::Closed,
            },
            Self::Open(socket) => loop {
                match socket.next().await {
                    Some(Ok(Frame::Text(text))) => {
                        return Event::Heard { text: text.as_str().to_owned(), at_ms: None };
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break Event::Closed,
                }
            },
        };
        *self = Self::Closed;
        event
    }

    async fn send(&mut self, text: String) {
        if let Self::Open(socket) = self {
            // One that broke says so when it is read.
            let _ = socket.send(Frame::text(text)).await;
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Open(socket) => socket.get_ref().local_addr().ok(),
            _ => None,
        }
    }
}

async fn open(box_at: SocketAddr) -> Result<Socket, Error> {
    let stream = TcpStream::connect(box_at).await?;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(0);
    let (socket, _) =
        client_async_with_config(format!("ws://{box_at}/ws"), stream, Some(config)).await?;
    Ok(socket)
}
