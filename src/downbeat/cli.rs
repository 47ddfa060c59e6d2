//! The command line (DESIGN: Fixed points).

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use units::{CueNumber, Span};

const EXAMPLES: &str = "\
Examples:
  downbeat check config/demo              every mistake, with file, line and a suggestion
  downbeat rehearse config/demo --out /tmp/demo
  downbeat run config/demo --simulate     no sound card needed
  downbeat go                             from another terminal
  downbeat status --json

Exit code: 0 done, 1 refused with a reason, 2 usage.";

/// One clock for sound, light, score pages and a thousand phones.
#[derive(Debug, Parser)]
#[command(name = "downbeat", version, about, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes, before or after its name.
#[derive(Debug, Clone, Args)]
pub struct Globals {
    /// This box's file [default: /etc/downbeat/box.toml where there is one]
    #[arg(long = "box", global = true, value_name = "FILE")]
    pub box_file: Option<PathBuf>,
    /// Simulate sound in real time, without PTP and timecode's cables; network and light stay real
    #[arg(long, global = true)]
    pub simulate: bool,
    /// Where the box keeps its state [default: `[paths] state` of the box file]
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The control socket [default: `[paths] socket` of the box file]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a show until Ctrl-C or SIGTERM
    #[command(after_help = "\
Keys, where the input is a terminal: space GO, b back, s stop, p pause and resume, ! or Esc panic, q quit.

Examples:
  downbeat run config/demo --simulate
  downbeat run /srv/downbeat/shows/tonight --box /etc/downbeat/box.toml")]
    Run {
        /// The show folder, or its show.toml
        show: PathBuf,
    },
    /// Report every mistake of a show, and of the box file where --box names one
    #[command(after_help = "\
Examples:
  downbeat check config/demo
  downbeat check config/demo --format json | jq '.findings[].message'")]
    Check {
        /// The show folder, or its show.toml
        show: PathBuf,
        /// How to say it
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Play the whole show in virtual time, in seconds
    #[command(after_help = "\
Writes into DIR: sound.wav, light.jsonl, light.dbl (which a cue can play), orders.jsonl, timeline.html. Same show,
same bytes.

Example:
  downbeat rehearse config/demo --out /tmp/demo")]
    Rehearse {
        /// The show folder, or its show.toml
        show: PathBuf,
        /// Where to write what was heard and seen
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Make a profile of a fixture file: Open Fixture Library (JSON) or GDTF
    #[command(after_help = "\
The profile is written to the show's fixtures/NAME.toml and stands by itself; the file is not needed afterwards.
What a profile has no place for is said, each with its place.

Examples:
  downbeat import robin-300.gdtf --list                     its modes and their channels
  downbeat import robin-300.gdtf --into shows/tonight       then: profile = \"robin-300\", mode = \"Mode 1\"
  downbeat import par-64.json --into shows/tonight --name front-par --mode 7-channel
  downbeat import par-64.json --list --json | jq '.modes[].slots'")]
    Import(Import),
    /// Fire the cue on standby
    #[command(after_help = "Examples:\n  downbeat go\n  downbeat go --list balcony")]
    Go(ListOrder),
    /// Put the cue before on standby
    #[command(after_help = "Example:\n  downbeat back")]
    Back(ListOrder),
    /// End every running cue; light stays as it is
    #[command(after_help = "Example:\n  downbeat stop")]
    Stop(Order),
    /// Everything that moves stands still
    #[command(
        after_help = "Example:\n  downbeat pause          `downbeat resume` goes on from there"
    )]
    Pause(Order),
    /// Everything goes on where it stood
    #[command(after_help = "Example:\n  downbeat resume")]
    Resume(Order),
    /// Fade everything out
    #[command(
        after_help = "Example:\n  downbeat panic          light, sound and phones, over the show's `panic_fade`"
    )]
    Panic(Order),
    /// Fire a cue now
    #[command(after_help = "Example:\n  downbeat fire 2.5")]
    Fire(CueOrder),
    /// Put a cue on standby
    #[command(after_help = "Example:\n  downbeat goto 1")]
    Goto(CueOrder),
    /// A cue list lets go of its light
    #[command(after_help = "Examples:\n  downbeat release\n  downbeat release --list balcony")]
    Release(ListOrder),
    /// Set a master, in percent, at once
    #[command(after_help = "\
`grand` is over everything; the show's own masters go by their names. `downbeat status` shows who is not at full.

Examples:
  downbeat master grand 80
  downbeat master front 0")]
    Master {
        /// Its name
        name: String,
        /// 0 to 100
        level: f64,
        #[command(flatten)]
        order: Order,
    },
    /// Every intensity goes out at once, or comes back
    #[command(after_help = "Examples:\n  downbeat blackout\n  downbeat blackout off")]
    Blackout {
        /// On, or off
        #[arg(value_enum, default_value_t = Switch::On)]
        switch: Switch,
        #[command(flatten)]
        order: Order,
    },
    /// Hold something where it stands, or at a level in percent, whatever cues and masters say
    #[command(after_help = "\
Examples:
  downbeat park front.red 80       an attribute of a fixture
  downbeat park haze 0             a fixture's intensity
  downbeat park 1/17 50            a slot of a universe
  downbeat park front.pan          where it stands")]
    Park {
        /// FIXTURE, FIXTURE.ATTRIBUTE or UNIVERSE/SLOT
        what: String,
        /// 0 to 100 [default: where it stands]
        level: Option<f64>,
        #[command(flatten)]
        order: Order,
    },
    /// Let go of what was parked, or of everything
    #[command(after_help = "Examples:\n  downbeat unpark front.red\n  downbeat unpark")]
    Unpark {
        /// As it was parked [default: everything]
        what: Option<String>,
        #[command(flatten)]
        order: Order,
    },
    /// Show a cue to visualisers alone (sACN with the preview bit), or end that
    #[command(after_help = "Examples:\n  downbeat blind 2.5\n  downbeat blind          ends it")]
    Blind {
        /// The cue's number [default: none]
        cue: Option<CueNumber>,
        #[command(flatten)]
        order: Order,
    },
    /// Let phones with a peer connection hear or see something live, or end that
    #[command(after_help = "\
A file sounds once it has been read, over and over; `status` says what is on air. A film is shown and heard: H.264 in MP4, or
VP9 in WebM, with sound in AAC-LC, Opus, Vorbis or MP3.

Examples:
  downbeat air tone       a sine of 997 Hz, to hear whether anything comes
  downbeat air input      what `[sound] input` of the box file hears
  downbeat air overture   a name from `[tracks]` of the show file
  downbeat air            ends it")]
    Air {
        /// `tone`, `input`, or a track of the show [default: nothing]
        what: Option<String>,
        #[command(flatten)]
        order: Order,
    },
    /// Let phones calibrate themselves by chirps for ten minutes
    #[command(after_help = "\
The box chirps through its loudspeaker, so do it before doors. It needs `[sound] microphone` in the box file, and a
page that was opened with https://: the button is at its foot, and under \"Early or late?\" once something sounded.

Example:
  downbeat calibrate")]
    Calibrate(Order),
    /// How the box and its show stand
    #[command(after_help = "Example:\n  downbeat status --json | jq .show.lists[0].standby.number")]
    Status(Show),
    /// Every cue, and where the show stands among them
    #[command(
        after_help = "Examples:\n  downbeat cues\n  downbeat cues --json | jq '.lists[].cues[].number'"
    )]
    Cues(Show),
    /// The box clock: whom it follows, how far off it may be, and its last minutes
    #[command(after_help = "\
A clock that is more than a millisecond off while a show runs does not step by itself; it asks, and --step is the yes.

Examples:
  downbeat clock
  downbeat clock --json | jq '{state, offset_ns, error_bound_ns}'
  downbeat clock --step")]
    Clock {
        #[command(flatten)]
        show: Show,
        /// Let it step by what it asks for
        #[arg(long)]
        step: bool,
    },
    /// All phones in a few figures, and those first that somebody should look at
    #[command(after_help = "\
In step is who knows the time and was heard just now. Without --all ten phones are shown: those in trouble, the worst
first, then those whose clocks may be off furthest.

Examples:
  downbeat phones
  downbeat phones --all | less
  downbeat phones --json | jq '.summary.look_at'")]
    Phones(Phones),
    /// Rooms in which phones find each other, and who is in them
    #[command(after_help = "\
A room's id lets whoever has it in. A room ends after a minute in which nobody says anything; one that the box is in
lasts as long as the phone it was made for.

Examples:
  downbeat rooms
  downbeat rooms --json | jq '.rooms[] | {room_id, idle_s}'")]
    Rooms(Show),
    /// What is on the lighting network: what the box sends, and what comes in
    #[command(after_help = "Example:\n  downbeat universes --json")]
    Universes(Show),
    /// Record the light that leaves the box or comes in, until Ctrl-C, as a capture that a cue can play
    #[command(after_help = "\
A capture plays with `light = { capture = \"FILE\" }` (docs/show-file.md). It holds what changed, and is good up to
wherever it ends: after Ctrl-C, on a full disk, when the box goes away. It is written to FILE.part and takes FILE's place
when it ends, so a cue may play an older take meanwhile; a power cut leaves FILE.part. One recording runs at a time;
frames that a busy box had no room for are counted and said.

With --inputs a console is recorded as it arrives, before it is mixed with the show. Each input is recorded as its own
sACN universe, or as one more than its Art-Net port address; NAME=N records it as universe N. Without --universes
nothing else is recorded then. What nobody sends any more stays as it was last.

With --phones everything that phones are told is in the same file, and what each said of it: that it came and went,
how late it did what it was told, how it fares (its clock, its battery, its network, its tracks; twice a minute, and when
its network gets better or worse); and what they hear and see live, as it leaves (sound as Opus, 45 MB an hour; films as
their pictures). Of a sealed show only when that was is kept: who has the file may lack the key.
`phones = { capture = \"FILE\" }` tells phones all of it again, in step.

With --list nothing is recorded: it says what a capture that is there holds, and where it is damaged.

Examples:
  downbeat record shows/tonight/captures/storm.dbl
  downbeat record storm.dbl --universes 1,2 --for 10m
  downbeat record desk.dbl --inputs desk
  downbeat record evening.dbl --phones
  downbeat record --list evening.dbl
  downbeat record --list evening.dbl --json | jq .phones.pictures
  downbeat record both.dbl --inputs desk=201 --universes 1,2 --for 90s --json | jq .changes")]
    Record(Record),
    /// Ask and tell lamps, through Art-Net nodes that speak RDM
    #[command(after_help = "\
Examples:
  downbeat rdm list
  downbeat rdm get 7a70:ffffff00 device_info
  downbeat rdm set 7a70:ffffff00 dmx_start_address 101")]
    Rdm {
        #[command(subcommand)]
        rdm: crate::lamps::Rdm,
    },
    /// What was ordered, and what really happened
    #[command(after_help = "Example:\n  downbeat receipts --limit 100 --json")]
    Receipts {
        #[command(flatten)]
        show: Show,
        /// How many of the latest orders
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
    },
    /// The phones' address as a QR code
    Qr(Show),
    /// Make a token: what a phone or a page shows to be more than audience
    #[command(after_help = "\
The token is the last line, alone. Whoever has it is that role until it expires, so hand it over as you would a key;
--qr shows an address that carries it. It is taken over HTTPS alone. Keys are replaced every 90 days, or now with
--rotate; tokens that were made before hold until they expire. Where the show seals its live sound (`seal` under [show]),
tokens carry its key; --reseal seals with another one from now on, and phones with tokens made before hear none.

Examples:
  downbeat token --role operator
  downbeat token --role performer --name 'Ann, violin' --for 7d --qr
  curl http://box:8080/authority.crt | openssl x509 -inform der -out box.pem
  curl --cacert box.pem -H \"Authorization: Bearer $(downbeat token --role operator --for 1h | tail -n 1)\" \\
    https://box.local:8443/api/v1/status
  downbeat token --role audience --for 6h --qr
  downbeat token --rotate")]
    Token(Token),
    /// The box's certificates, and how a phone comes to trust them
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "\
The box has an authority of its own, which phones may install; it vouches for private addresses and local names alone. A
certificate that was imported serves whoever asks for a name in it. Renewing is importing again: nothing restarts, so
`cert import` can be what runs after a renewal.

Examples:
  downbeat cert
  downbeat cert import chain.pem key.pem
  downbeat cert forget
  downbeat cert --json | jq -r .authority.sha256"
    )]
    Cert {
        #[command(flatten)]
        show: Show,
        #[command(subcommand)]
        deed: Option<Cert>,
    },
}

/// What `cert` does.
#[derive(Debug, Clone, Subcommand)]
pub enum Cert {
    /// Serve with a certificate from outside; open connections live on
    #[command(
        after_help = "Example:\n  downbeat cert import /etc/letsencrypt/live/box/fullchain.pem /etc/letsencrypt/live/box/privkey.pem"
    )]
    Import {
        /// The box's certificate first, then whoever signed it; PEM
        chain: PathBuf,
        /// Its private key, PEM
        key: PathBuf,
        /// Print the answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Serve with the box's own certificate again
    Forget {
        /// Print the answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What `token` takes.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("deed").required(true).args(["role", "rotate", "reseal"])))]
pub struct Token {
    /// What it makes of whoever shows it
    #[arg(long, value_enum)]
    pub role: Option<Role>,
    /// How long it holds: 90m, 12h, 7d; 30d at most [default: 24h]
    #[arg(long = "for", value_name = "TIME", value_parser = engine::token::life, requires = "role")]
    pub life: Option<Span>,
    /// Whom it is for, as the story of the show names them
    #[arg(long, value_name = "NAME", requires = "role")]
    pub name: Option<String>,
    /// Draw the address that carries it, for a phone's camera
    #[arg(long, requires = "role", conflicts_with = "json")]
    pub qr: bool,
    /// Sign with a new key from now on
    #[arg(long)]
    pub rotate: bool,
    /// Seal live sound with a new key from now on
    #[arg(long)]
    pub reseal: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What a token makes of whoever shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Asks the time, listens, reports; nobody needs a token for that
    Audience,
    /// Is on stage
    Performer,
    /// Runs the show
    Operator,
    /// Another box
    Box,
}

impl Role {
    /// As the box calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Audience => "audience",
            Self::Performer => "performer",
            Self::Operator => "operator",
            Self::Box => "box",
        }
    }
}

/// What `import` takes.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["into", "list"])))]
pub struct Import {
    /// The fixture file
    pub file: PathBuf,
    /// The show (folder or show.toml) that gets the profile
    #[arg(long, value_name = "SHOW")]
    pub into: Option<PathBuf>,
    /// Only show what would be imported
    #[arg(long)]
    pub list: bool,
    /// The profile's name [default: after the file]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Import only this mode; can be given several times
    #[arg(long, value_name = "MODE")]
    pub mode: Vec<String>,
    /// Replace another profile of that name
    #[arg(long)]
    pub replace: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// How `check` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One document, for editors.
    Json,
}

/// Whether it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// What commands that do something take.
#[derive(Debug, Clone, Args)]
pub struct Order {
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
    /// The command's own id: sent twice, done once
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub id: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct ListOrder {
    /// The cue list [default: the first]
    #[arg(long, value_name = "NAME")]
    pub list: Option<String>,
    #[command(flatten)]
    pub order: Order,
}

#[derive(Debug, Clone, Args)]
pub struct CueOrder {
    /// The cue's number
    pub cue: CueNumber,
    #[command(flatten)]
    pub order: Order,
}

#[derive(Debug, Clone, Args)]
pub struct Record {
    /// Where to write it; what is there is replaced at the end
    pub file: PathBuf,
    /// Say what the file holds, and record nothing
    #[arg(long, conflicts_with_all = ["universes", "inputs", "phones", "length"])]
    pub list: bool,
    /// Which universes of those that leave [default: all; none beside --inputs]
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=63_999))]
    pub universes: Vec<u32>,
    /// Which of the show's inputs, as they arrive; NAME=N records one as universe N
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    pub inputs: Vec<String>,
    /// What phones are told, hear and see live, and say of it, in the same file
    #[arg(long)]
    pub phones: bool,
    /// How long, by the capture's own time, as in a show file: 90s, 10m, 1m30s [default: until Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = engine::reader::span)]
    pub length: Option<Span>,
    /// Print what was recorded, or what is listed, as one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What commands that show something take.
#[derive(Debug, Clone, Copy, Args)]
pub struct Show {
    /// Print one JSON document (docs/status.md)
    #[arg(long)]
    pub json: bool,
}

/// What `phones` takes.
#[derive(Debug, Clone, Copy, Args)]
pub struct Phones {
    #[command(flatten)]
    pub show: Show,
    /// Show every phone
    #[arg(long)]
    pub all: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn globals_stand_before_or_after_the_command() {
        let socket = |words: &[&str]| {
            Cli::try_parse_from(words).expect("both ways are right").globals.socket
        };
        let before = socket(&["downbeat", "--socket", "/tmp/s", "go"]);
        let after = socket(&["downbeat", "go", "--socket", "/tmp/s"]);
        assert_eq!(before, Some(PathBuf::from("/tmp/s")));
        assert_eq!(before, after);
    }

    #[test]
    fn an_import_says_whether_it_is_for_a_show_or_for_looking_at() {
        let import = |words: &[&str]| {
            let words = ["downbeat", "import", "par.json"].iter().chain(words);
            Cli::try_parse_from(words).map_err(|error| error.exit_code()).map(|_| ())
        };
        assert_eq!((import(&["--list"]), import(&["--into", "show"])), (Ok(()), Ok(())));
        assert_eq!((import(&[]), import(&["--list", "--into", "show"])), (Err(2), Err(2)));
    }

    #[test]
    fn words_for_light_take_what_they_need_and_json_and_id_like_all_orders() {
        let takes = |words: &str| {
            Cli::try_parse_from(words.split_whitespace()).map_err(|error| error.exit_code()).is_ok()
        };
        for right in [
            "downbeat master grand 80 --json",
            "downbeat blackout off --id x",
            "downbeat park 1/17",
            "downbeat park front.red 12.5",
            "downbeat unpark",
            "downbeat blind 2.5",
            "downbeat blind --json",
            "downbeat air tone --id x",
            "downbeat air",
            "downbeat release --list balcony",
        ] {
            assert!(takes(right), "{right}");
        }
        for wrong in [
            "downbeat master grand",
            "downbeat blackout dim",
            "downbeat park",
            "downbeat blind soon",
            "downbeat air one two",
        ] {
            assert!(!takes(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_for_a_role_or_its_key_is_replaced_and_not_both() {
        let code = |words: &str| {
            Cli::try_parse_from(words.split_whitespace()).map_or_else(|it| it.exit_code(), |_| 0)
        };
        for right in
            ["--role operator", "--role performer --for 7d --name Ann --qr", "--rotate", "--reseal"]
        {
            assert_eq!(code(&format!("downbeat token {right}")), 0, "{right}");
        }
        for wrong in [
            "",
            "--role king",
            "--rotate --role box",
            "--rotate --reseal",
            "--for 1h",
            "--role box --for soon",
        ] {
            assert_eq!(code(&format!("downbeat token {wrong}")), 2, "{wrong}");
        }
    }

    #[test]
    fn a_cue_number_that_is_none_is_a_mistake_of_usage() {
        let error = Cli::try_parse_from(["downbeat", "fire", "soon"]).expect_err("no number");
        assert_eq!(error.exit_code(), 2);
    }
}
