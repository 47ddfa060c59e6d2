//! Decides which of the box's own certificates serves, when one is made, what the box's authority may vouch for, and
//! whether a certificate from outside is taken.
//!
//! In: today's date and what there is. Out: a [`Care`], or why not. Never here: keys, files, the date.
//!
//! No public authority knows the box, so a page that opens WebTransport is told the certificate's hash, and browsers take
//! a hash only for a certificate of two weeks at most. One is made well before the other ends, and its hash is told
//! with the other's, so that a page opened days ago still knows the one that serves.

use std::net::IpAddr;

use serde::Serialize;
use units::Subnet;

/// From when until when a certificate holds, UNIX seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: i64,
    /// The last.
    pub until: i64,
}

/// What a box with these certificates is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Nothing.
    Keep,
    /// Make one and serve it at once: there is none that holds.
    MakeCurrent,
    /// Make the one that will serve after this.
    MakeNext,
    /// The next one serves from now on.
    TakeNext,
}

const DAY: i64 = 86_400;
/// Two weeks are the most that browsers take (W3C WebTransport, "custom certificate requirements"); an hour less, so
/// that nobody counts the last second otherwise.
const LIFE: i64 = 14 * DAY - 3_600;
/// A phone's date may lag as far.
const BACKDATED: i64 = DAY;
/// With so much left the next one is made ...
const MAKE_BEFORE: i64 = 6 * DAY;
/// ... and with so much it serves: its hash has been told for three days, and a phone's date may lead by as many.
const TAKE_BEFORE: i64 = 3 * DAY;

/// With so much left a person is told to renew one from outside: there is a working day in it, and, where renewing goes by
/// itself, that has failed by then. One that lasts for days alone is spoken of in its last third.
const WARN_BEFORE: i64 = 10 * DAY;

/// How a certificate from outside stands today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It does not hold yet, or the box has the wrong date.
    Early,
    /// It serves.
    Holds,
    /// It serves, and is to be renewed.
    Ending,
    /// It has ended.
    Expired,
}

impl Standing {
    /// Whether there is something to say, if it stood so `before`: nobody is told that all is well from the beginning.
    pub fn is_news(self, before: Option<Self>) -> bool {
        before.unwrap_or(Self::Holds) != self
    }
}

impl Validity {
    /// Of a certificate that is made now.
    pub fn made(now: i64) -> Self {
        Self { from: now - BACKDATED, until: now - BACKDATED + LIFE }
    }

    /// Whether it holds now.
    pub fn holds(self, now: i64) -> bool {
        (self.from..=self.until).contains(&now)
    }

    /// Whether one that a person hands over holds at `now` (UNIX seconds), so that no mistake is found out in the evening.
    ///
    /// # Errors
    /// [`Unfit::Expired`] or [`Unfit::NotYet`].
    pub fn current(self, now: i64) -> Result<(), Unfit> {
        match self.standing(now) {
            Standing::Expired => Err(Unfit::Expired),
            Standing::Early => Err(Unfit::NotYet),
            Standing::Holds | Standing::Ending => Ok(()),
        }
    }

    /// How one from outside stands, which nobody renews but a person.
    pub fn standing(self, now: i64) -> Standing {
        match self {
            it if now < it.from => Standing::Early,
            it if now > it.until => Standing::Expired,
            it if it.left(now) <= WARN_BEFORE.min((it.until - it.from) / 3) => Standing::Ending,
            _ => Standing::Holds,
        }
    }

    fn left(self, now: i64) -> i64 {
        self.until - now
    }
}

/// What is to be done now. One thing at a time: ask again after it.
pub fn care(now: i64, current: Option<Validity>, next: Option<Validity>) -> Care {
    let next = next.filter(|next| next.holds(now));
    match current.filter(|current| current.holds(now)) {
        None if next.is_some() => Care::TakeNext,
        None => Care::MakeCurrent,
        Some(current) if next.is_some() && current.left(now) <= TAKE_BEFORE => Care::TakeNext,
        Some(current) if next.is_none() && current.left(now) <= MAKE_BEFORE => Care::MakeNext,
        Some(_) => Care::Keep,
    }
}

/// How long the box's own authority holds: whatever the box believes the date to be when it makes it, and for longer
/// than a box lasts (2020 to 2049).
pub const AUTHORITY: Validity = Validity { from: 1_577_836_800, until: 2_524_607_999 };

/// Networks that the box's own authority may vouch for: those that nobody owns (RFC 1918, 3927, 4193, 4291).
pub const VOUCHED_NETWORKS: [&str; 8] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

/// Names that it may vouch for, with all that end in them: those that the public system of names does not give out
/// (RFC 6762, 6761, 8375, and what routers use).
pub const VOUCHED_NAMES: [&str; 5] = ["local", "localhost", "home.arpa", "internal", "lan"];

/// Whether the box's own authority may vouch for a name or an address.
pub fn vouches(name: &str) -> bool {
    match name.parse::<IpAddr>() {
        Ok(address) => VOUCHED_NETWORKS
            .iter()
            .any(|it| it.parse::<Subnet>().is_ok_and(|subnet| subnet.contains(address))),
        Err(_) => VOUCHED_NAMES.iter().any(|suffix| {
            name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }),
    }
}

/// What a certificate from outside says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Host names and addresses that it is for.
    pub names: Vec<String>,
    /// Its first one's.
    pub validity: Validity,
    /// The first one may sign others.
    pub is_authority: bool,
    /// Each is signed by the next, with its key.
    pub in_order: bool,
    /// Whether each has signed the one before, as far as TLS takes such signatures.
    pub is_signed: bool,
}

/// How a chain from outside ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// An authority has signed its last one that browsers bring along.
    Known,
    /// Its last one has signed itself.
    Itself,
    /// Somebody else has signed its last one.
    Open,
}

/// Who believes a certificate from outside, as far as a box can know: it cannot see what a phone has installed, and
/// browsers learn of new authorities after it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Vouched {
    /// Everybody.
    Publicly,
    /// Whoever has installed its authority, or itself.
    Privately,
    /// The same, unless an authority between it and a public one was left out: then hardly anybody.
    Alone,
}

impl Vouched {
    /// By how many certificates a chain has, and how it ends.
    pub fn by(end: End, length: usize) -> Self {
        match (end, length) {
            (End::Known, _) => Self::Publicly,
            (End::Open, 1) => Self::Alone,
            (End::Itself | End::Open, _) => Self::Privately,
        }
    }

    /// What is to be said of it, and done.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Publicly => None,
            Self::Privately => Some(
                "no authority that browsers bring along vouches for it: devices that have not installed its own are warned",
            ),
            Self::Alone => Some(
                "it stands alone, and no authority that browsers bring along has signed it: if it came with a chain \
                (`fullchain.pem`, not `cert.pem`), import that; if not, devices that have not installed its authority are warned",
            ),
        }
    }
}

/// Why a certificate from outside is not taken; each says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// No PEM, or something else in it.
    #[error(
        "there is no certificate in the chain's file: it is to be PEM, the box's own certificate first"
    )]
    NoChain,
    /// No PEM, or a kind that TLS does not use.
    #[error(
        "there is no usable private key in the key's file: it is to be PEM, without a password, RSA or ECDSA or Ed25519"
    )]
    NoKey,
    /// Two orders mixed up.
    #[error("key and certificate do not belong together")]
    AnotherKey,
    /// The chain stands upside down, or a link is missing.
    #[error(
        "the chain is not in order: first the box's certificate, then the one that has signed it, and so on"
    )]
    Disorder,
    /// Another key, or a kind of signature that browsers refuse as well (SHA-1, RSA of 1024 bits).
    #[error(
        "a certificate of the chain is not signed by the next one, though it says so, or in a way that TLS 1.3 does not take"
    )]
    Unsigned,
    /// Somebody's root.
    #[error("the first certificate is an authority's, and not one of a box")]
    Authority,
    /// Browsers would not take it for any address.
    #[error(
        "the certificate names no host and no address (subject alternative names): no browser takes it"
    )]
    Nameless,
    /// Too late.
    #[error("the certificate has expired: renew it")]
    Expired,
    /// Too early, or the box has the wrong date.
    #[error("the certificate does not hold yet: is the date of the box right?")]
    NotYet,
}

/// Whether a box may ever serve with it. Its dates are not asked here: a box without a battery may learn the date long
/// after its start.
///
/// # Errors
/// [`Unfit`].
pub fn fit(presented: &Presented) -> Result<(), Unfit> {
    match presented {
        it if !it.in_order => Err(Unfit::Disorder),
        it if !it.is_signed => Err(Unfit::Unsigned),
        it if it.is_authority => Err(Unfit::Authority),
        it if it.names.is_empty() => Err(Unfit::Nameless),
        _ => Ok(()),
    }
}

/// Whether a name in a certificate is for a host: itself, or `*.` in the place of its first part (RFC 9525, 6.3).
pub fn matches(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(_, tail)| tail.eq_ignore_ascii_case(rest)),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// A certificate that serves and that somebody's browser believes: its names, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Believed {
    names: Vec<String>,
    vouched: Vouched,
}

impl Believed {
    /// None of one that hardly any browser can believe.
    pub fn of(names: Vec<String>, vouched: Vouched) -> Option<Self> {
        (vouched != Vouched::Alone).then_some(Self { names, vouched })
    }

    /// Whether it is for a host that was asked. Nobody is sent to one that was not: it may be another machine, which would be
    /// handed the token.
    pub fn is_for(&self, asked: &str) -> bool {
        self.names.iter().any(|name| matches(name, asked))
    }

    /// Hosts to come by with a token: those of its names that are no patterns.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| !name.starts_with("*."))
    }

    /// Hosts for the audience, whose phones know public authorities alone (DESIGN: Phones).
    pub fn audience_hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts().filter(|_| self.vouched == Vouched::Publicly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box's drawer.
    #[derive(Debug, Default)]
    struct Drawer {
        current: Option<Validity>,
        next: Option<Validity>,
        made: u32,
    }

    impl Drawer {
        fn look(&mut self, now: i64) {
            loop {
                match care(now, self.current, self.next) {
                    Care::Keep => return,
                    Care::MakeCurrent => self.current = Some(Validity::made(now)),
                    Care::MakeNext => self.next = Some(Validity::made(now)),
                    Care::TakeNext => {
                        self.current = self.next.take();
                        continue;
                    }
                }
                self.made += 1;
            }
        }
    }

    const TODAY: i64 = 1_790_000_000;
    const HOURS: i64 = 365 * 24;

    #[test]
    fn through_a_year_a_page_knows_what_serves_two_days_after_it_was_told() {
        let mut drawer = Drawer::default();
        let mut hours = Vec::new();
        for now in (0..HOURS).map(|hour| TODAY + hour * 3_600) {
            drawer.look(now);
            let serves = drawer.current.expect("one serves");
            let late_phone = serves.holds(now - BACKDATED + 3_600);
            assert!(late_phone && serves.left(now) > TAKE_BEFORE - DAY, "{serves:?}");
            hours.push((serves, drawer.next));
        }
        for (told, later) in hours.iter().zip(&hours[48..]) {
            assert!(later.0 == told.0 || Some(later.0) == told.1, "{told:?} {later:?}");
        }
        assert!((30..60).contains(&drawer.made), "{} certificates in a year", drawer.made);
    }

    #[test]
    fn a_box_that_stood_on_a_shelf_for_a_month_makes_a_new_one() {
        let mut drawer = Drawer::default();
        drawer.look(TODAY);
        drawer.look(TODAY + 8 * DAY);
        assert!(drawer.next.is_some());
        drawer.look(TODAY + 38 * DAY);
        assert!(drawer.current.is_some_and(|it| it.holds(TODAY + 38 * DAY)), "{drawer:?}");
    }

    #[test]
    fn a_box_that_learns_today_s_date_late_makes_one_that_holds_today() {
        let mut drawer = Drawer::default();
        drawer.look(0);
        drawer.look(TODAY);
        assert_eq!(drawer.current, Some(Validity::made(TODAY)));
        drawer.look(TODAY - 2 * DAY);
        assert_eq!(drawer.current, Some(Validity::made(TODAY - 2 * DAY)));
    }

    #[test]
    fn no_browser_is_shown_more_than_two_weeks() {
        let made = Validity::made(TODAY);
        assert!(made.until - made.from < 14 * DAY && made.holds(TODAY));
    }

    fn presented() -> Presented {
        Presented {
            names: vec!["box.example.org".into()],
            validity: Validity { from: TODAY - DAY, until: TODAY + DAY },
            is_authority: false,
            in_order: true,
            is_signed: true,
        }
    }

    #[test]
    fn a_certificate_from_outside_is_taken_or_refused_for_its_reason() {
        assert_eq!(fit(&presented()), Ok(()));
        let unfit = |change: fn(&mut Presented)| {
            let mut it = presented();
            change(&mut it);
            fit(&it).expect_err("it is not fit")
        };
        assert_eq!(unfit(|it| it.names.clear()), Unfit::Nameless);
        assert_eq!(unfit(|it| it.is_authority = true), Unfit::Authority);
        assert_eq!(unfit(|it| it.in_order = false), Unfit::Disorder);
        assert_eq!(unfit(|it| it.is_signed = false), Unfit::Unsigned);
        let Validity { from, until } = presented().validity;
        let current = |now| presented().validity.current(now);
        assert_eq!(current(until + 1), Err(Unfit::Expired));
        assert_eq!(current(from - 1), Err(Unfit::NotYet));
        assert_eq!((current(from), current(until)), (Ok(()), Ok(())));
    }

    #[test]
    fn the_box_vouches_for_private_addresses_and_local_names_alone() {
        for ours in [
            "10.0.0.5",
            "192.168.7.1",
            "172.31.0.1",
            "fe80::1",
            "fd00::1",
            "::1",
            "localhost",
            "downbeat.local",
        ] {
            assert!(vouches(ours), "{ours}");
        }
        for not_ours in [
            "8.8.8.8",
            "172.32.0.1",
            "2001:db8::1",
            "bank.example",
            "notlocal",
            "local.example",
            "downbeat",
        ] {
            assert!(!vouches(not_ours), "{not_ours}");
        }
    }

    #[test]
    fn a_person_is_told_once_each_time_that_a_certificate_from_outside_stands_otherwise() {
        let ninety = Validity { from: TODAY, until: TODAY + 90 * DAY };
        let (mut before, mut told) = (None, Vec::new());
        for hour in -24..24 * 92 {
            let standing = ninety.standing(TODAY + hour * 3_600);
            if standing.is_news(before) {
                told.push((hour / 24, standing));
            }
            before = Some(standing);
        }
        let whole = [
            (-1, Standing::Early),
            (0, Standing::Holds),
            (80, Standing::Ending),
            (90, Standing::Expired),
        ];
        assert_eq!(told, whole);
        assert!(!Standing::Holds.is_news(None));
        let six = Validity { from: TODAY, until: TODAY + 6 * DAY };
        assert_eq!(six.standing(TODAY + 3 * DAY), Standing::Holds, "not from its first day on");
        assert_eq!(six.standing(TODAY + 4 * DAY), Standing::Ending);
    }

    #[test]
    fn who_believes_a_certificate_is_said_where_it_is_not_everybody() {
        for (end, length, vouched) in [
            (End::Known, 1, Vouched::Publicly),
            (End::Known, 3, Vouched::Publicly),
            (End::Itself, 1, Vouched::Privately),
            (End::Itself, 2, Vouched::Privately),
            (End::Open, 2, Vouched::Privately),
            (End::Open, 1, Vouched::Alone),
        ] {
            assert_eq!(Vouched::by(end, length), vouched);
            assert_eq!(vouched.warning().is_none(), vouched == Vouched::Publicly);
        }
        assert!(Vouched::Alone.warning().is_some_and(|it| it.contains("fullchain.pem")));
    }

    #[test]
    fn nobody_is_sent_to_a_host_that_was_not_asked_nor_the_audience_to_one_that_its_phones_do_not_know()
     {
        let names = || ["*.example.org", "box.lan"].map(str::to_owned).to_vec();
        let publicly = Believed::of(names(), Vouched::Publicly).expect("everybody does");
        let asked = ["box.example.org", "BOX.lan", "example.org", "192.0.2.2", "a.b.example.org"];
        assert_eq!(asked.map(|it| publicly.is_for(it)), [true, true, false, false, false]);
        assert_eq!(publicly.hosts().collect::<Vec<_>>(), ["box.lan"]);
        assert_eq!(publicly.audience_hosts().collect::<Vec<_>>(), ["box.lan"]);
        let privately = Believed::of(names(), Vouched::Privately).expect("somebody does");
        assert_eq!((privately.hosts().count(), privately.audience_hosts().count()), (1, 0));
        assert_eq!(Believed::of(names(), Vouched::Alone), None);
    }

    #[test]
    fn a_name_is_for_its_host_and_a_star_for_one_part() {
        assert!(matches("box.example.org", "BOX.example.org"));
        assert!(matches("*.example.org", "box.example.org"));
        assert!(
            !matches("*.example.org", "example.org")
                && !matches("*.example.org", "a.b.example.org")
        );
    }
}
