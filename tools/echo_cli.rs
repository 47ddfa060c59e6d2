//! `tools echo`: the box's end of one peer connection, by itself.
//!
//! In: an offer a line, as a JSON text. Out: a line with the answer to each. What is heard on `media` and `score` is said
//! back on the same channel, as a box has nothing to say there of its own; `time` is answered as by a box.

use std::io::Error;
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};

use engine::phones::Limits;
use io::clock::BoxClock;
use io::peers::{News, Peers, PeersSetup, Whom, Words, bind};
use units::{PhoneId, Span};

/// Where it listens.
#[derive(clap::Args)]
pub struct Args {
    /// UDP port; 0 takes one that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
}

const PHONE: PhoneId = PhoneId(1);

enum Heard {
    Line(String),
    News(News),
    End,
}

pub fn run(args: &Args) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("could not go on: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> Result<(), Error> {
    let (said, heard) = channel();
    let tell = said.clone();
    let peers = Peers::start(PeersSetup {
        socket: bind(args.port)?,
        clock: BoxClock::free(),
        tai_utc: Span::from_secs(37),
        limits: Limits::default(),
        most: 1,
        interface: None,
        announce: Vec::new(),
        tell: Box::new(move |_, news| drop(tell.send(Heard::News(news)))),
    })?;
    let hub = peers.handle();
    hub.joined(PHONE, None);
    std::thread::spawn(move || read(&said));
    for it in heard {
        match it {
            Heard::Line(line) => hub.offer(PHONE, serde_json::from_str(&line)?),
            Heard::News(News::Answer(answer)) => println!("{}", serde_json::json!(answer)),
            Heard::News(News::Refused(refusal)) => return Err(Error::other(refusal.message)),
            Heard::News(News::Heard { channel, text, bytes }) => {
                let words = if text { Words::Text(bytes) } else { Words::Binary(bytes) };
                hub.say(Whom::One(PHONE), channel, words);
            }
            Heard::News(_) => {}
            Heard::End => break,
        }
    }
    Ok(())
}

fn read(said: &Sender<Heard>) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        // Whoever listens has gone.
        let _ = said.send(Heard::Line(line));
    }
    let _ = said.send(Heard::End);
}
