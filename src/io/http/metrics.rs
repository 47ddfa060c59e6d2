//! `/healthz` and `/metrics`: is it alive, and how does it fare, for machines.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::delivery::DeliveryGlance;

use super::{House, Switchboard};
use super::{crowd, switchboard};

/// An engine that has not answered by then is not driving a show.
const PATIENCE: Duration = Duration::from_secs(1);

/// `GET /healthz`: 200 if the engine answers.
pub(super) async fn healthz(State(house): State<Arc<House>>) -> Response {
    match tokio::time::timeout(PATIENCE, house.engine.glance()).await {
        Ok(Ok(_)) => "ok\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the engine does not answer\n").into_response(),
    }
}

/// `GET /metrics`: Prometheus text, format 0.0.4.
pub(super) async fn metrics(State(house): State<Arc<House>>) -> Response {
    let mut text = text(&house);
    // Who measures wants the rest where the engine is silent, too.
    if let Ok(Ok(glance)) = tokio::time::timeout(PATIENCE, house.engine.glance()).await {
        text.push_str(&delivery(&glance.delivery));
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn text(house: &House) -> String {
    let mut page = Page::default();
    let counts = house.crowd.counts();
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    page.gauge("sockets", "WebSocket connections that are open", house.crowd.sockets());
    page.gauge("phones", "phones that have said hello", house.crowd.greeted());
    page.counter("messages_total", "messages made for phones", read(&counts.said));
    page.counter("clock_syncs_total", "clock questions answered on /ws", read(&counts.clock_syncs));
    page.counter(
        "time_channels_total",
        "clock questions answered on data channels",
        read(&counts.time_channels),
    );
    page.counter(
        "time_datagrams_total",
        "clock questions answered in datagrams of WebTransport",
        read(&counts.time_datagrams),
    );
    page.counter(
        "time_datagrams_unanswered_total",
        "datagrams of WebTransport that were no question, or one too many",
        read(&counts.time_datagrams_unanswered),
    );
    page.counter(
        "time_datagrams_lead_seconds_total",
        "how much earlier the kernel had the questions in datagrams than the program",
        read(&counts.time_datagrams_lead_ns) as f64 / 1e9,
    );
    page.counter(
        "too_slow_total",
        "sockets closed since they could not keep up",
        read(&counts.too_slow),
    );
    page.counter(
        "news_dropped_total",
        "reports of phones dropped since too many waited",
        house.engine.dropped(),
    );
    page.counter(
        "journal_dropped_total",
        "journal lines that the disk did not take in time",
        house.journal.dropped(),
    );
    page.head("refused_total", "refusals on /ws", "counter");
    for ((_, code), count) in crowd::CODES.iter().zip(&counts.refused) {
        page.line(&format!("refused_total{{code=\"{code}\"}}"), read(count));
    }
    rooms(&mut page, &house.board);
    page.gauge(
        "uptime_seconds",
        "since the box began",
        (house.clock.now() - house.began).secs_f64(),
    );
    page.0
}

fn delivery(it: &DeliveryGlance) -> String {
    let mut page = Page::default();
    page.gauge("phone_lead_seconds", "how far ahead phones get their orders", it.lead.secs_f64());
    page.counter(
        "orders_reached_total",
        "orders that phones told the arrival of, each phone's counted",
        it.account.reached,
    );
    page.counter(
        "orders_late_total",
        "of these, orders that came too late to be done on time",
        it.account.late,
    );
    page.0
}

fn rooms(page: &mut Page, board: &Switchboard) {
    let counts = board.counts();
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    page.gauge("bloom_sockets", "sockets on /bloom", board.attending());
    page.gauge("rooms", "rooms of signalling", board.rooms());
    page.counter("bloom_messages_total", "messages understood on /bloom", read(&counts.said));
    page.counter(
        "bloom_too_slow_total",
        "sockets on /bloom closed since they could not keep up",
        read(&counts.too_slow),
    );
    page.counter(
        "bloom_dropped_total",
        "messages on /bloom dropped since whom they were for had not read what came before",
        read(&counts.dropped),
    );
    page.head("bloom_refused_total", "refusals on /bloom", "counter");
    for ((_, code), count) in switchboard::CODES.iter().zip(&counts.refused) {
        page.line(&format!("bloom_refused_total{{code=\"{code}\"}}"), read(count));
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        writeln!(self.0, "# HELP downbeat_{name} {help}\n# TYPE downbeat_{name} {kind}")
            .expect("a String takes everything");
    }
    fn line(&mut self, name: &str, value: impl Display) {
        writeln!(self.0, "downbeat_{name} {value}").expect("a String takes everything");
    }
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "gauge");
        self.line(name, value);
    }
    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help, "counter");
        self.line(name, value);
    }
}
