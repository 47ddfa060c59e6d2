//! Reads long recordings of light on the spot: a disk that takes no time.

use std::sync::Arc;

use engine::light::{Feeder, Plan};
use units::ShowTime;

/// Whatever a plan shows that is read while it plays.
#[derive(Debug, Default)]
pub struct Feeders(Vec<Feeder>);

impl Feeders {
    /// Reads this plan's from now on, and no other's.
    pub fn play(&mut self, plan: &Plan) {
        let streams = plan.streams();
        self.0.retain(|it| streams.iter().any(|stream| Arc::ptr_eq(stream, it.stream())));
        for stream in streams {
            if !self.0.iter().any(|it| Arc::ptr_eq(&stream, it.stream())) {
                self.0.push(Feeder::new(stream));
            }
        }
    }

    /// Reads what is drawn at `at`, and on. A file that fails shows what it showed last.
    pub fn feed(&mut self, plan: &Plan, at: ShowTime) {
        plan.ask(at);
        self.0.iter_mut().for_each(|it| drop(it.feed()));
    }
}
