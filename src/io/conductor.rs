//! Drives the engine in real time, on a thread of its own.
//!
//! In: commands and news from every door, through one queue. Out: effects, handed to whoever performs them.
//! Never here: a decision; and never a wait for a socket, a disk or a terminal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use engine::EngineStart;
use engine::cluster::{Step, Understudy};
use engine::delivery::PhoneDelivery;
use engine::glance::Glance;
use engine::told::{Done, Effect, Input, Refusal, Request};
use tokio::sync::oneshot;
use units::{PhoneId, ShowTime, Span};

use crate::clock::BoxClock;
use crate::cluster::Feed;
use crate::overheard::{Listener, Overheard};

/// News from phones that may wait unheard. A thousand phones that report one order at once fit several times;
/// what a hostile crowd sends beyond it is dropped and counted, so that a GO never stands behind it for long.
const NEWS_WAITING_MAX: usize = 8192;

/// Longest sleep: the clock may be slewed by 100 ppm meanwhile, which makes an alarm 50 us late at most, and a step
/// before the show is noticed within it.
const IDLE: Duration = Duration::from_millis(500);

enum Ask {
    Command(Box<Request>, oneshot::Sender<Result<Done, Refusal>>),
    News(Input),
    PhoneNews(Input),
    Glance(oneshot::Sender<Glance>),
    Steps(oneshot::Sender<u64>),
    Deliveries(oneshot::Sender<Deliveries>),
    Cluster(Cue),
    Stop,
}

/// What the cluster has to say.
enum Cue {
    /// Say that you live.
    Beat,
    StandBy(String),
    Begin(EngineStart),
    Follow(Box<Step>),
    Progress(u64, ShowTime),
    TakeOver,
}

/// How orders reach each phone.
pub type Deliveries = BTreeMap<PhoneId, PhoneDelivery>;

/// The engine's thread is gone; the box is going down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct Gone;

/// The way to the engine; cheap to clone, one for each door.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    queue: mpsc::Sender<Ask>,
    news: Arc<News>,
}

#[derive(Debug, Default)]
struct News {
    waiting: AtomicUsize,
    dropped: AtomicUsize,
}

impl EngineHandle {
    /// Asks for something and waits for what became of it.
    ///
    /// # Errors
    /// [`Gone`] where nobody is left to answer; the refusal is inside.
    pub async fn command(&self, request: Request) -> Result<Result<Done, Refusal>, Gone> {
        self.ask_command(request)?.await.map_err(|_| Gone)
    }

    /// As [`EngineHandle::command`], from a thread outside the runtime.
    ///
    /// # Errors
    /// As [`EngineHandle::command`].
    pub fn command_blocking(&self, request: Request) -> Result<Result<Done, Refusal>, Gone> {
        self.ask_command(request)?.blocking_recv().map_err(|_| Gone)
    }

    fn ask_command(
        &self,
        request: Request,
    ) -> Result<oneshot::Receiver<Result<Done, Refusal>>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Ask::Command(Box::new(request), reply)).map_err(|_| Gone)?;
        Ok(answer)
    }

    /// What an output or the box itself has to say.
    pub fn tell(&self, input: Input) {
        // A queue without an engine is a box going down; there is nobody left to want the news.
        let _ = self.queue.send(Ask::News(input));
    }

    /// What a phone has to say; dropped and counted where too much waits.
    pub fn tell_from_phone(&self, input: Input) {
        if self.news.waiting.load(Ordering::Relaxed) >= NEWS_WAITING_MAX {
            self.news.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.news.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = self.queue.send(Ask::PhoneNews(input));
    }

    /// How much news from phones was dropped since the start.
    pub fn dropped(&self) -> usize {
        self.news.dropped.load(Ordering::Relaxed)
    }

    /// The show as it stands now.
    ///
    /// # Errors
    /// [`Gone`] where nobody is left to answer.
    pub async fn glance(&self) -> Result<Glance, Gone> {
        self.ask_glance()?.await.map_err(|_| Gone)
    }

    /// How many steps the engine has taken, whatever was asked before among them.
    ///
    /// # Errors
    /// [`Gone`] where nobody is left to answer.
    pub async fn steps(&self) -> Result<u64, Gone> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Ask::Steps(reply)).map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// How orders reach each phone that has said so.
    ///
    /// # Errors
    /// [`Gone`] where nobody is left to answer.
    pub async fn deliveries(&self) -> Result<Deliveries, Gone> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Ask::Deliveries(reply)).map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// As [`EngineHandle::glance`], from a thread outside the runtime.
    ///
    /// # Errors
    /// As [`EngineHandle::glance`].
    pub fn glance_blocking(&self) -> Result<Glance, Gone> {
        self.ask_glance()?.blocking_recv().map_err(|_| Gone)
    }

    /// The engine says by its feed that it lives, and how far it has come.
    pub fn beat(&self) {
        self.cue(Cue::Beat);
    }

    /// Another box drives from now on.
    pub fn stand_by(&self, master: String) {
        self.cue(Cue::StandBy(master));
    }

    /// It began with this; its steps follow.
    pub fn begin(&self, start: EngineStart) {
        self.cue(Cue::Begin(start));
    }

    /// It has taken this step.
    pub fn follow(&self, step: Step) {
        self.cue(Cue::Follow(Box::new(step)));
    }

    /// After so many steps it has done everything up to then.
    pub fn progress(&self, steps: u64, done: ShowTime) {
        self.cue(Cue::Progress(steps, done));
    }

    /// This box drives from now on.
    pub fn take_over(&self) {
        self.cue(Cue::TakeOver);
    }

    fn cue(&self, cue: Cue) {
        // As with news: without an engine there is nobody left to hear it.
        let _ = self.queue.send(Ask::Cluster(cue));
    }

    fn ask_glance(&self) -> Result<oneshot::Receiver<Glance>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Ask::Glance(reply)).map_err(|_| Gone)?;
        Ok(answer)
    }
}

/// The running engine.
#[derive(Debug)]
pub struct Conductor {
    thread: JoinHandle<()>,
    handle: EngineHandle,
}

impl Conductor {
    /// Starts the thread. `perform` gets every effect, in order, and must not wait; `ended` is dropped when the
    /// engine has ended for whatever reason. What passes between the engine and phones is `overheard`.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(
        (engine, tai_utc): (Understudy, Span),
        clock: BoxClock,
        mut perform: impl FnMut(Effect) + Send + 'static,
        (overheard, feed): (&Overheard, Feed),
        ended: oneshot::Sender<()>,
    ) -> std::io::Result<Self> {
        let (queue, asked) = mpsc::channel();
        let handle = EngineHandle { queue, news: Arc::default() };
        let news = handle.news.clone();
        let mut listener = overheard.listener(tai_utc);
        let thread = std::thread::Builder::new().name("engine".into()).spawn(move || {
            let _ended = ended; // dropped on every way out, a panic included
            feed.begin(engine.start());
            conduct(engine, &clock, &mut perform, &mut listener, (&asked, &news, &feed));
        })?;
        Ok(Self { thread, handle })
    }

    /// The way to it.
    pub fn handle(&self) -> EngineHandle {
        self.handle.clone()
    }

    /// Ends the thread, once what was asked before has been done.
    pub fn stop(self) {
        let _ = self.handle.queue.send(Ask::Stop);
        let _ = self.thread.join();
    }
}

fn conduct(
    mut engine: Understudy,
    clock: &BoxClock,
    perform: &mut impl FnMut(Effect),
    listener: &mut Listener,
    (asked, news, feed): (&mpsc::Receiver<Ask>, &News, &Feed),
) {
    loop {
        wake_if_due(&mut engine, clock);
        while let Some(effect) = engine.poll() {
            listener.hear(clock.now(), |ear| ear.effect(clock.now(), &effect));
            perform(effect);
        }
        while let Some(step) = engine.poll_step() {
            feed.push(&step);
        }
        let wait = engine.next_wake().map_or(IDLE, |(at, _why)| clock.until(at)).min(IDLE);
        match asked.recv_timeout(wait) {
            Ok(Ask::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Ask::Cluster(cue)) => take_cue(&mut engine, clock, feed, cue),
            Ok(ask) => answer(&mut engine, clock, listener, (ask, news)),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Before each question, so that a flood of them never holds an alarm up.
fn wake_if_due(engine: &mut Understudy, clock: &BoxClock) {
    let now = clock.now();
    if engine.next_wake().is_some_and(|(at, _why)| at <= now) {
        engine.handle(now, Input::Wake);
    }
}

fn take_cue(engine: &mut Understudy, clock: &BoxClock, feed: &Feed, cue: Cue) {
    match cue {
        Cue::Beat => {
            engine.handle(clock.now(), Input::Wake);
            feed.beat(engine.progress(), clock.mono_now());
        }
        Cue::StandBy(master) => engine.stand_by(master),
        Cue::Begin(start) => {
            engine.begin(start);
            feed.begin(start);
        }
        Cue::Follow(step) => {
            engine.follow(&step);
            feed.push(&step);
        }
        Cue::Progress(steps, done) => engine.handle_progress(steps, done),
        Cue::TakeOver => engine.take_over(clock.now()),
    }
}

fn answer(
    engine: &mut Understudy,
    clock: &BoxClock,
    listener: &mut Listener,
    (ask, news): (Ask, &News),
) {
    let now = clock.now();
    // Who asked may have gone meanwhile: then nobody hears the answer.
    match ask {
        Ask::Command(request, reply) => {
            let _ = reply.send(engine.command(now, &request));
        }
        Ask::News(input) => {
            listener.hear(now, |ear| ear.input(now, &input));
            engine.handle(now, input);
        }
        Ask::PhoneNews(input) => {
            news.waiting.fetch_sub(1, Ordering::Relaxed);
            listener.hear(now, |ear| ear.input(now, &input));
            engine.handle(now, input);
        }
        Ask::Glance(reply) => {
            let _ = reply.send(engine.glance(now));
        }
        Ask::Steps(reply) => {
            let _ = reply.send(engine.progress().0);
        }
        Ask::Deliveries(reply) => {
            let _ = reply.send(engine.deliveries());
        }
        Ask::Cluster(_) | Ask::Stop => {}
    }
}
