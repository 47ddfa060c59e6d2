//! The phone core, line by line: events of the page, words of the box, time.
//!
//! `{"tapped":null}` and its like are what the page tells; any other line that begins with `{` is what the box says; a
//! number is milliseconds that go by, the phone being called as it asks; `answer 12.5` is the box, whose clock is that
//! many milliseconds ahead, answering the last question; `stamps t1 t2 t3 t4` are an exchange in nanoseconds for a clock
//! that stands alone.

use phone::clock::{Channel, Clock, Exchange};
use phone::{Act, Core, Event, NetTime, Start, Turn};
use serde_json::Value;
use units::{MonoTime, Span, WireTime};
use uuid::Uuid;
use wire::solusync::{ClockSyncResponse, Header, Message, emit, parse};

use super::Target;

/// The target.
pub const TARGET: Target = Target { name: "phone", folders: &["phone", "solusync"], run };

const LINES_MAX: usize = 400;
/// A call brings what 32 voices and the link may want, and a fetch for every track that was named.
const ACTS_MAX: usize = 200;
/// Calls for one instant: nobody's battery is to pay for a mistake.
const CALLS_MAX: usize = 50;
/// Calls while time goes by; a phone has something to do a few times a second.
const CALLS_A_LINE_MAX: usize = 400;
const UNIX_MS: f64 = 1_790_000_000_000.0;

fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut page = Page::new();
    text.lines().take(LINES_MAX).for_each(|line| page.read(line));
}

/// A page without a browser.
pub struct Page {
    core: Core,
    now: MonoTime,
    wake_ms: f64,
    /// The last question that has no answer.
    asked: Option<Message>,
    /// Hears stamps that no link would let through.
    clock: Clock,
}

impl Default for Page {
    fn default() -> Self {
        Self::new()
    }
}

impl Page {
    /// Opened a second ago.
    pub fn new() -> Self {
        let start = Start { chance: "7".into(), unix_ms: UNIX_MS, ..Start::default() };
        let now = MonoTime::ZERO + Span::from_secs(1);
        let core = Core::new(now, &start);
        Self { core, now, wake_ms: 0.0, asked: None, clock: Clock::default() }
    }

    /// One line of a seed; what is none is passed over.
    pub fn read(&mut self, line: &str) {
        if let Ok(ms) = line.parse::<f64>() {
            self.wait(Span::from_secs_f64(ms.clamp(0.0, 1e8) / 1e3));
        } else if let Some(ahead) = line.strip_prefix("answer ") {
            self.answer(ahead.parse().unwrap_or(0.0));
        } else if let Some(stamps) = line.strip_prefix("stamps ") {
            self.hear_stamps(stamps);
        } else if let Ok(event) = serde_json::from_str::<Event>(line) {
            self.tell(event, line.len());
        } else if line.starts_with('{') {
            self.hear(line.into(), line.len());
        }
    }

    /// How much the phone remembers: the length of all of it, written out.
    pub fn memory(&self) -> usize {
        format!("{:?}", self.core).len()
    }

    fn wait(&mut self, span: Span) {
        let end = self.now + span;
        let mut idle = 0;
        for _ in 0..CALLS_A_LINE_MAX {
            let wake = MonoTime::ZERO + Span::from_secs_f64(self.wake_ms / 1e3);
            if wake > end {
                break;
            }
            idle = if wake > self.now { 0 } else { idle + 1 };
            assert!(idle < CALLS_MAX, "it wants to be called for ever at {:?}", self.now);
            self.now = self.now.max(wake);
            self.tell(Event::Tick, 0);
        }
        self.now = end;
        self.tell(Event::Tick, 0);
    }

    fn hear_stamps(&mut self, stamps: &str) {
        let mut ns = stamps.split(' ').map(|word| word.parse().unwrap_or(0));
        let mut next = || ns.next().unwrap_or(0);
        let (t1, t2) = (MonoTime::from_ns(next()), NetTime::from_ns(next()));
        let (t3, t4) = (NetTime::from_ns(next()), MonoTime::from_ns(next()));
        let channel = if next() == 0 { Channel::WebSocket } else { Channel::WebTransport };
        self.clock.handle(Exchange { t1, t2, t3, t4, channel });
        if let Some(reading) = self.clock.reading(t4) {
            assert!(reading.rate.0.is_finite() && reading.sigma >= Span::ZERO, "{reading:?}");
            assert!(reading.bound >= Span::ZERO, "{reading:?}");
        }
        self.clock.mono_at(t3);
    }

    fn answer(&mut self, ahead_ms: f64) {
        let Some(Message::ClockSync(asked)) = self.asked.take() else { return };
        let unix = UNIX_MS * 1e3 + self.now.ns() as f64 / 1e3 + ahead_ms.clamp(-1e12, 1e12) * 1e3;
        let at = WireTime::from_micros(unix as i64);
        let header = Header { id: Uuid::nil(), timestamp: at, node_id: Uuid::nil(), sequence: 1 };
        let answer = ClockSyncResponse { t1: asked.t1, t2: at, t3: at };
        let text = emit(&header, &Message::ClockSyncResponse(answer));
        self.hear(text, 0);
    }

    fn hear(&mut self, text: String, length: usize) {
        let at_ms = Some(self.now.ns() as f64 / 1e6);
        self.tell(Event::Heard { text, at_ms }, length);
    }

    fn tell(&mut self, event: Event, length: usize) {
        let turn = self.core.handle(self.now, event);
        assert!(turn.wake_ms.is_finite() && turn.wake_ms >= self.now.ns() as f64 / 1e6 - 1.0);
        assert!(turn.acts.len() <= ACTS_MAX + length, "{} acts", turn.acts.len());
        self.wake_ms = turn.wake_ms;
        crosses(&turn);
        for act in turn.acts {
            match act {
                Act::Send { text } => self.said(&text),
                Act::Ask { head, tail } => {
                    self.said(&format!("{head}{:.9}{tail}", self.now.ns() as f64 / 1e9));
                }
                _ => {}
            }
        }
    }

    fn said(&mut self, text: &str) {
        let (_, message) = parse(text).expect("a phone's own words");
        if let Message::ClockSync(_) = message {
            self.asked = Some(message);
        }
    }
}

/// A turn goes to the browser as JSON, which has no word for what is not a number and would say `null`.
fn crosses(turn: &Turn) {
    let text = serde_json::to_string(turn).expect("it has a JSON form");
    let value: Value = serde_json::from_str(&text).expect("our own words");
    assert!(numbers_are_numbers(&value["acts"]), "{text}");
    assert!(serde_json::from_value::<Turn>(value).is_ok(), "{text}");
}

fn numbers_are_numbers(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(all) => all.iter().all(numbers_are_numbers),
        Value::Object(all) => all.values().all(numbers_are_numbers),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
