//! `rehearse SHOW --out DIR`: what was heard and seen, as files. The same show writes the same bytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use io::journal::{Account, Entry, Event};
use serde_json::json;
use sim::{Listener, Rehearsal};
use units::Span;

use crate::{Refused, load, terminal};

/// `downbeat rehearse SHOW --out DIR`.
pub fn rehearse(named: &Path, out: &Path) -> Result<(), Refused> {
    let (_folder, show) = load::show(named)?;
    let show = Arc::new(show);
    let rehearsal = sim::rehearse(show.clone(), &mut Deaf);
    let failed =
        |error| Refused(format!("could not write the rehearsal to {}: {error}", out.display()));
    std::fs::create_dir_all(out).map_err(failed)?;
    write_light(&rehearsal, &out.join("light.jsonl")).map_err(failed)?;
    write_orders(&rehearsal, &out.join("orders.jsonl")).map_err(failed)?;
    let page = sim::timeline::html(&show, &rehearsal, &[]);
    std::fs::write(out.join("timeline.html"), page).map_err(failed)?;
    let length = rehearsal.end - rehearsal.start;
    terminal::say(&format!("{length} of show, in {}", out.display()));
    Ok(())
}

struct Deaf;

impl Listener for Deaf {
    fn reached(&mut self, _gone: Span) {}
}

/// A line whenever a universe changed: when, which, its 512 slots as hexadecimal digits.
fn write_light(rehearsal: &Rehearsal, path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for frame in &rehearsal.frames {
        let slots = sim::timeline::hex(&frame.slots);
        let line = json!({ "at": frame.at, "universe": frame.universe, "slots": slots });
        writeln!(file, "{line}")?;
    }
    file.flush()
}

/// The journal of the rehearsal, as a running box writes it.
fn write_orders(rehearsal: &Rehearsal, path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for story in &rehearsal.story {
        let Some(event) = journalled(&story.event) else { continue };
        let entry = Entry { noted: story.at, event };
        writeln!(file, "{}", serde_json::to_string(&entry)?)?;
    }
    file.flush()
}

fn journalled(event: &sim::Event) -> Option<Event> {
    Some(match event {
        sim::Event::Ordered(order) => Event::Account(Account::Ordered { order: order.clone() }),
        sim::Event::Received(receipt) => {
            Event::Account(Account::Received { receipt: receipt.clone() })
        }
        sim::Event::Said(said) => Event::Said(said.clone()),
        sim::Event::Told(..) => return None,
    })
}
