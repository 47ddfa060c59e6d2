//! A bad network on purpose: takes connections or datagrams, and passes on what it takes as late, as seldom and as
//! disordered as a [`Scenario`] says. For kernels without netem, and for tests.
//!
//! In: sockets, a scenario, a seed. Out: the same bytes, later; an [`Account`] of what was done. What becomes of a
//! packet is decided by [`sim::path`], which is pure; here are sockets and one timer. One thread does it all, so that
//! nothing waits for another thread between its time and the wire.
//!
//! What a client writes at once is one packet here. Opening a connection costs no time of its own.

mod account;
mod courier;
mod datagrams;
mod spec;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use sim::path::{Carriage, Cut, Direction, Path, Scenario, Verdict, closed_until, next_try};
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::task::LocalSet;
use units::{MonoTime, Span};

use crate::mono_now;
use courier::Courier;

pub use account::{Account, Row, Spread};
pub use spec::{PlannedCut, SpecError, adjust, planned_cuts};

/// What to do to whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes one that is free.
    pub listen: SocketAddr,
    /// Whom it stands in front of.
    pub to: SocketAddr,
    /// TCP or UDP.
    pub carriage: Carriage,
    /// What the network is like.
    pub scenario: Scenario,
    /// Where chance begins; each connection has its own, in the order of coming.
    pub seed: u64,
    /// When nothing passes, from the proxy's start.
    pub cuts: Vec<PlannedCut>,
}

/// A proxy that runs. Dropping it ends it, and with it whatever went through it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// What the proxy's thread and whoever holds the [`Proxy`] both see.
#[derive(Debug)]
struct Desk {
    orders: watch::Sender<Orders>,
    account: Mutex<Account>,
    paths: Mutex<BTreeMap<SocketAddr, Arc<Mutex<Path>>>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Orders {
    up_is_cut: bool,
    down_is_cut: bool,
    resets: u64,
    end: bool,
}

impl Orders {
    fn cut(&mut self, direction: Direction) -> &mut bool {
        match direction {
            Direction::Up => &mut self.up_is_cut,
            Direction::Down => &mut self.down_is_cut,
        }
    }
}

impl Proxy {
    /// Starts it on a thread of its own.
    ///
    /// # Errors
    /// The address is taken, or not this machine's.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let door = Door::open(&settings)?;
        let address = door.address()?;
        let desk = Arc::new(Desk {
            orders: watch::Sender::new(Orders::default()),
            account: Mutex::default(),
            paths: Mutex::default(),
        });
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let theirs = Arc::clone(&desk);
        let thread = thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || carry(&runtime, settings, door, theirs))?;
        Ok(Self { address, desk, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes that way: datagrams are lost, and a stream waits, and so does who wants to open one.
    pub fn cut(&self, direction: Direction) {
        self.desk.orders.send_modify(|orders| *orders.cut(direction) = true);
    }

    /// That way is open again. A stream goes on when TCP would have tried again.
    pub fn heal(&self, direction: Direction) {
        self.desk.orders.send_modify(|orders| *orders.cut(direction) = false);
    }

    /// Every connection that goes through it breaks, as behind a router that forgot them; a client that sends datagrams
    /// comes to the server from another port.
    pub fn reset(&self) {
        self.desk.orders.send_modify(|orders| orders.resets += 1);
    }

    /// What was done so far.
    pub fn account(&self) -> Account {
        self.desk.account().clone()
    }

    /// Half of what the way up is longer than the way down for the client with this address, as it is now; none if it
    /// has no connection.
    pub fn asymmetry(&self, client: SocketAddr) -> Option<Span> {
        let path = self.desk.paths().get(&client).cloned()?;
        Some(locked(&path).asymmetry())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.desk.orders.send_modify(|orders| orders.end = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn account(&self) -> MutexGuard<'_, Account> {
        locked(&self.account)
    }

    fn paths(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Arc<Mutex<Path>>>> {
        locked(&self.paths)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}

enum Door {
    Stream(TcpListener),
    Datagrams(UdpSocket),
}

impl Door {
    fn open(settings: &Settings) -> io::Result<Self> {
        match settings.carriage {
            Carriage::Stream => {
                let listener = TcpListener::bind(settings.listen)?;
                listener.set_nonblocking(true).map(|()| Self::Stream(listener))
            }
            Carriage::Datagrams => {
                let socket = UdpSocket::bind(settings.listen)?;
                socket.set_nonblocking(true).map(|()| Self::Datagrams(socket))
            }
        }
    }

    fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Stream(listener) => listener.local_addr(),
            Self::Datagrams(socket) => socket.local_addr(),
        }
    }
}

/// On a machine whose processors others want, too, a thread like all others waits its turn for milliseconds. The box's
/// own sound and light go before.
const PRIORITY: i32 = 20;
/// Where real-time scheduling is not allowed.
const NICE: i32 = -15;

/// The proxy's thread, from its beginning to its end.
fn carry(runtime: &Runtime, settings: Settings, door: Door, desk: Arc<Desk>) {
    go_first();
    let mut orders = desk.orders.subscribe();
    let work = async move {
        let begun = mono_now();
        let cuts = settings.cuts.iter().map(|cut| cut.from(begun)).collect();
        let office = Office { settings, cuts, courier: Courier::new(Arc::clone(&desk))?, desk };
        let office = Rc::new(office);
        let carrier = Rc::clone(&office);
        tokio::task::spawn_local(async move { carrier.courier.run().await });
        match door {
            Door::Stream(listener) => {
                stream::serve(office, tokio::net::TcpListener::from_std(listener)?).await;
            }
            Door::Datagrams(socket) => {
                datagrams::serve(office, tokio::net::UdpSocket::from_std(socket)?).await;
            }
        }
        Ok::<_, io::Error>(())
    };
    let tasks = LocalSet::new();
    let ended = tasks.block_on(runtime, async {
        tokio::select! {
            worked = work => worked,
            _ = orders.wait_for(|orders| orders.end) => Ok(()),
        }
    });
    if let Err(error) = ended {
        eprintln!("the proxy could not go on: {error}");
    }
}

/// Before other threads, as far as the system allows it; who may not is later, and the account says by how much.
#[expect(unsafe_code, reason = "no safe crate of ours has sched_setscheduler")]
fn go_first() {
    use nix::libc::{SCHED_FIFO, sched_param, sched_setscheduler};
    let param = sched_param { sched_priority: PRIORITY };
    // SAFETY: the call reads `param`, which lives until it is back; 0 is the calling thread.
    if unsafe { sched_setscheduler(0, SCHED_FIFO, &param) } != 0 {
        // On Linux it is of this thread alone.
        let _ = rustix::process::nice(NICE);
    }
}

/// What every connection of the proxy needs.
struct Office {
    settings: Settings,
    cuts: Vec<Cut>,
    courier: Courier,
    desk: Arc<Desk>,
}

impl Office {
    /// A way of its own for a client that has come.
    fn open_path(&self, client: SocketAddr) -> Arc<Mutex<Path>> {
        let Settings { scenario, carriage, seed, .. } = &self.settings;
        let number = {
            let mut account = self.desk.account();
            account.connections += 1;
            account.open += 1;
            account.connections
        };
        let seed = seed.wrapping_mul(1_000_003).wrapping_add(number);
        let path = Path::new(scenario, *carriage, seed, mono_now()).with_cuts(self.cuts.clone());
        let path = Arc::new(Mutex::new(path));
        self.desk.paths().insert(client, Arc::clone(&path));
        path
    }

    fn close_path(&self, client: SocketAddr) {
        self.desk.account().open -= 1;
        self.desk.paths().remove(&client);
    }

    /// What becomes of the packet that was taken at `taken` and sets out at `at`.
    fn judge(
        &self,
        path: &Mutex<Path>,
        (taken, at): (MonoTime, MonoTime),
        direction: Direction,
        bytes: usize,
    ) -> Verdict {
        let verdict = if self.is_cut(direction) && self.settings.carriage == Carriage::Datagrams {
            locked(path).skip(direction, bytes);
            Verdict::Drop
        } else {
            locked(path).judge(at, direction, bytes)
        };
        self.desk.account().note(direction, taken, bytes, verdict);
        verdict
    }

    fn is_cut(&self, direction: Direction) -> bool {
        *self.desk.orders.borrow().clone().cut(direction)
    }

    /// When what was taken at `taken` sets out: at once, or when TCP tries again after somebody healed the way.
    async fn healed(&self, direction: Direction, taken: MonoTime) -> MonoTime {
        if !self.is_cut(direction) {
            return taken;
        }
        let mut orders = self.desk.orders.subscribe();
        // The desk outlives every connection, so there is always somebody to say so.
        let _ = orders.wait_for(|orders| !*orders.clone().cut(direction)).await;
        next_try(taken, mono_now())
    }

    /// Waits until a connection can be opened.
    async fn opens(&self, direction: Direction) {
        self.healed(direction, mono_now()).await;
        while let Some(opens) = closed_until(&self.cuts, direction, mono_now()) {
            tokio::time::sleep((opens - mono_now()).to_std()).await;
        }
    }

    /// Waits until whatever goes through here now breaks. It counts from this call on, not from when it is first
    /// awaited: an order that comes between the two is meant for this connection, too.
    fn reset(&self) -> impl Future<Output = ()> + use<> {
        let mut orders = self.desk.orders.subscribe();
        let resets = orders.borrow().resets;
        async move {
            let _ = orders.wait_for(|orders| orders.resets != resets).await;
        }
    }
}
