//! Decides what one phone's socket may do, and what it is answered at once.
//!
//! In: the text that came and the show time at which it came. Out: an [`Answer`]: words back, or news for the
//! engine. Never here: sockets, message ids, header times.
//!
//! A phone without a token is audience: it may ask the time, listen and report (DESIGN: Trust). So may a performer and
//! another box; only operators control anything from here, until their token expires.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use serde_json::value::RawValue;
use units::{ShowTime, Span, Subnet, TrackId, WayId};
use uuid::Uuid;
use wire::output::Device;
use wire::solusync::{
    self, Calibrated, Hello, MediaControl, Message, NodeStatus, PROTOCOL_VERSION, Played, Refusal,
    RefusalCode, ShowInfo, Standing, TrackInfo, WebTransport, Welcome,
};
use wire::token::Role;

use crate::believed::believed;
use crate::rooms::Network;
use crate::show::{MediaId, Show};

/// How much one address and one socket may ask for (SX-17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sockets on `/ws` from one address.
    pub connections_per_address: usize,
    /// Sockets for signalling from one address.
    pub signalling_per_address: usize,
    /// `clock_sync` in any second, per socket.
    pub clock_syncs_per_second: usize,
    /// Clock questions in any second, of all phones together: phones are asked to keep to it.
    pub clock_syncs_total_per_second: usize,
    /// `media_control` in any second, per socket.
    pub media_controls_per_second: usize,
    /// Everything else, nonsense included, in any second, per socket.
    pub messages_per_second: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_per_address: 10,
            signalling_per_address: 64,
            clock_syncs_per_second: 10,
            clock_syncs_total_per_second: 1_000,
            media_controls_per_second: 100,
            // A phone reports each order once and its state every 5 s; a hundred leaves room for a busy cue.
            messages_per_second: 100,
        }
    }
}

/// Lets `limit` through in any rolling second. What is refused does not count, so a client that never stops
/// asking still gets its share.
#[derive(Debug, Clone)]
pub struct RateWindow {
    limit: usize,
    past: VecDeque<ShowTime>,
}

impl RateWindow {
    /// Nothing has come yet.
    pub fn new(limit: usize) -> Self {
        Self { limit, past: VecDeque::new() }
    }

    /// Whether one more may pass at `now`.
    pub fn admit(&mut self, now: ShowTime) -> bool {
        const WINDOW: Span = Span::from_secs(1);
        // A clock that stepped back has forgotten when that was.
        while self.past.front().is_some_and(|&first| now - first >= WINDOW || first > now) {
            self.past.pop_front();
        }
        let admitted = self.past.len() < self.limit;
        if admitted {
            self.past.push_back(now);
        }
        admitted
    }
}

/// How a socket came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Anybody on the Wi-Fi can read it: no token may be said here.
    Plain,
    /// TLS, or the box's own control socket.
    Private,
}

/// What the socket is to do with a text.
#[derive(Debug)]
pub enum Answer {
    /// Nothing: the type is unknown, or needs no answer.
    Nothing,
    /// Say what time it is, with the `t1` that was asked with.
    Clock(Box<RawValue>),
    /// Say who we are, and tell the engine that a phone has joined.
    Welcome {
        /// What it says it is.
        device: Option<Device>,
    },
    /// Find out whether a token holds, and come back with [`Visitor::handle_proof`].
    Prove {
        /// What it has shown.
        token: String,
        /// What it says it is.
        device: Option<Device>,
    },
    /// Have the engine do what an operator asks.
    Media {
        /// `header.id`: sent twice, done once.
        id: Uuid,
        /// What.
        control: MediaControl,
        /// Whom the token was made for; empty where nobody was named.
        by: String,
    },
    /// Tell the engine that the phone asks for a calibration.
    Calibrate,
    /// Tell the engine that the phone did what a message ordered.
    Played(Played),
    /// Tell the engine what the phone is, and how far off it sounds.
    Calibrated(Calibrated),
    /// Tell the engine how the phone fares.
    Status(Box<NodeStatus>),
    /// Say why not.
    Refuse(Refusal),
    /// Say why not, and close the socket.
    Dismiss(Refusal),
}

/// What a token that holds makes of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Who it is.
    pub role: Role,
    /// What they are called; empty where nobody was named.
    pub name: String,
    /// For how long from now on.
    pub left: Span,
}

/// One socket, from its opening to its end.
#[derive(Debug)]
pub struct Visitor {
    transport: Transport,
    /// What its token makes of it, until when; none is audience.
    proven: Option<Box<(Proven, ShowTime)>>,
    clock_syncs: RateWindow,
    media_controls: RateWindow,
    reports: RateWindow,
    /// Orders that it has reported, the latest: a phone counts once in a receipt, however often it says so.
    reported: VecDeque<Uuid>,
}

/// A phone reports an order within seconds; so many are an act's worth.
const REPORTED_MAX: usize = 128;

impl Visitor {
    /// A socket that has said nothing yet.
    pub fn new(limits: &Limits, transport: Transport) -> Self {
        Self {
            transport,
            proven: None,
            clock_syncs: RateWindow::new(limits.clock_syncs_per_second),
            media_controls: RateWindow::new(limits.media_controls_per_second),
            reports: RateWindow::new(limits.messages_per_second),
            reported: VecDeque::new(),
        }
    }

    /// A text that came at `now`.
    pub fn handle_text(&mut self, now: ShowTime, text: &str) -> Answer {
        match solusync::parse(text) {
            Ok((header, Message::MediaControl(it))) => {
                self.handle_media_control(now, header.id, it)
            }
            Ok((_, message)) => self.handle_message(now, message),
            // serde quotes what it did not like; the answer must not grow with the question.
            Err(error) => {
                let why = shortened(&error.to_string(), 200);
                self.limited(now, |_| refuse(RefusalCode::InvalidPayload, why))
            }
        }
    }

    /// A binary frame that came at `now`: this protocol is text, and the socket stays.
    pub fn handle_binary(&mut self, now: ShowTime) -> Answer {
        let why = "messages are text, not binary".to_owned();
        self.limited(now, |_| refuse(RefusalCode::InvalidPayload, why))
    }

    fn handle_message(&mut self, now: ShowTime, message: Message) -> Answer {
        match message {
            Message::ClockSync(ask) => self.handle_clock_sync(now, ask.t1),
            Message::Hello(hello) => self.limited(now, |visitor| visitor.handle_hello(hello)),
            Message::Screen(_) => self.limited(now, |visitor| match visitor.role(now) {
                Ok(Role::Operator) => forbidden("screens are changed by cues alone".to_owned()),
                role => not_an_operator(role, "screens"),
            }),
            Message::Played(it) => self.limited(now, |visitor| visitor.handle_played(it)),
            Message::NodeStatus(it) => self.limited(now, |_| match believed(*it) {
                Ok(status) => Answer::Status(Box::new(status)),
                Err(why) => refuse(RefusalCode::InvalidPayload, why),
            }),
            Message::Calibrate => self.limited(now, |_| Answer::Calibrate),
            Message::Calibrated(it) => self.limited(now, |_| Answer::Calibrated(it)),
            // What only a box says means nothing from a phone, and live media have a channel of their own.
            Message::Welcome(_)
            | Message::MediaData(_)
            | Message::MediaWanted(_)
            | Message::MediaUntaken(_)
            | Message::ClockSyncResponse(_)
            | Message::CalibrateStart(_)
            | Message::CalibrateHeard(_)
            | Message::CalibrateRefused(_)
            | Message::ClockCorrection(_)
            | Message::ClockPace(_)
            | Message::Standing(_)
            | Message::MasterElection(_)
            | Message::Error(_)
            | Message::MediaControl(_)
            | Message::Unknown => self.limited(now, |_| Answer::Nothing),
        }
    }

    fn handle_played(&mut self, played: Played) -> Answer {
        if self.reported.contains(&played.order) {
            return Answer::Nothing;
        }
        if self.reported.len() == REPORTED_MAX {
            self.reported.pop_front();
        }
        self.reported.push_back(played.order);
        Answer::Played(played)
    }

    fn handle_clock_sync(&mut self, now: ShowTime, t1: Box<RawValue>) -> Answer {
        match self.clock_syncs.admit(now) {
            true => Answer::Clock(t1),
            false => too_often("clock_sync", self.clock_syncs.limit),
        }
    }

    fn handle_media_control(&mut self, now: ShowTime, id: Uuid, control: MediaControl) -> Answer {
        if !self.media_controls.admit(now) {
            return too_often("media_control", self.media_controls.limit);
        }
        match self.role(now) {
            Ok(Role::Operator) => Answer::Media { id, control, by: self.name().to_owned() },
            role => not_an_operator(role, "media"),
        }
    }

    /// Who it is.
    ///
    /// # Errors
    /// [`Expired`]: its token held when it was shown.
    fn role(&self, now: ShowTime) -> Result<Role, Expired> {
        match self.proven.as_deref() {
            None => Ok(Role::Audience),
            Some((proven, until)) if now < *until => Ok(proven.role),
            Some(_) => Err(Expired),
        }
    }

    /// Who it was when it said hello, for people to look at.
    pub fn role_shown(&self) -> Role {
        self.proven.as_deref().map_or(Role::Audience, |(proven, _)| proven.role)
    }

    /// Whom its token names; empty where it names nobody.
    pub fn name(&self) -> &str {
        self.proven.as_deref().map_or("", |(proven, _)| &proven.name)
    }

    /// What came of a token that [`Answer::Prove`] asked about. Whoever showed a wrong one stays what it was, and may say
    /// hello without.
    pub fn handle_proof(
        &mut self,
        now: ShowTime,
        device: Option<Device>,
        proof: Result<Proven, Refusal>,
    ) -> Answer {
        match proof {
            Ok(proven) => {
                let until = now + proven.left;
                self.proven = Some(Box::new((proven, until)));
                Answer::Welcome { device }
            }
            Err(refusal) => Answer::Refuse(refusal),
        }
    }

    fn handle_hello(&mut self, hello: Hello) -> Answer {
        let ours = major(PROTOCOL_VERSION);
        let theirs = major(&hello.protocol_version);
        if theirs.is_none() {
            let message = format!(
                "protocol_version must be like `0.1.0`, not `{}`",
                shortened(&hello.protocol_version, 32)
            );
            return refuse(RefusalCode::InvalidPayload, message);
        }
        if theirs != ours {
            let message = format!("this box speaks SOLUSync-X {PROTOCOL_VERSION}");
            return Answer::Dismiss(Refusal { code: RefusalCode::VersionMismatch, message });
        }
        match (hello.auth_token, self.transport) {
            (Some(_), Transport::Plain) => refuse(
                RefusalCode::Unauthorized,
                "tokens are refused over plain HTTP: say hello without one".to_owned(),
            ),
            (Some(token), Transport::Private) => Answer::Prove { token, device: hello.device },
            (None, _) => {
                self.proven = None;
                Answer::Welcome { device: hello.device }
            }
        }
    }

    fn limited(&mut self, now: ShowTime, then: impl FnOnce(&mut Self) -> Answer) -> Answer {
        match self.reports.admit(now) {
            true => then(self),
            false => too_often("messages", self.reports.limit),
        }
    }
}

/// The access point that an address is heard through: the first of these subnets that has it; none of them, or the
/// control socket, is unknown.
pub fn way(access_points: &[Subnet], address: Option<IpAddr>) -> Option<WayId> {
    let address = address?;
    let place = access_points.iter().position(|subnet| subnet.contains(address))?;
    u16::try_from(place).ok().map(WayId)
}

/// The answer to `hello`: who we are and among whom, what to fetch before it is needed (SX-08), and where to ask the time.
pub fn welcome(standing: Standing, show: &Show, webtransport: Option<WebTransport>) -> Welcome {
    let in_cluster = (!standing.cluster_info.boxes.is_empty()).then_some("cluster");
    let capabilities = ["audio", "video", "clock_sync", "screen"].into_iter().chain(in_cluster);
    Welcome {
        protocol_version: PROTOCOL_VERSION.to_owned(),
        capabilities: capabilities.map(str::to_owned).collect(),
        node_type: standing.node_type,
        cluster_info: standing.cluster_info,
        show: ShowInfo {
            title: show.title.clone(),
            tracks: tracks(show),
            torch: show.lights_phones(),
        },
        output_delay: None,
        webtransport,
        signaling: None,
        calibrates: None,
    }
}

fn tracks(show: &Show) -> Vec<TrackInfo> {
    let known = |(track, media): (&TrackId, &MediaId)| {
        let info = &show.media.get(media.0)?.info;
        Some(TrackInfo {
            track_id: track.clone(),
            url: format!("/media/{}", info.sha256),
            sha256: info.sha256.clone(),
            bytes: info.bytes,
            duration: info.length().secs_f64(),
            pictures: info.is_film(),
        })
    };
    show.tracks.iter().filter_map(known).collect()
}

fn refuse(code: RefusalCode, message: String) -> Answer {
    Answer::Refuse(Refusal { code, message })
}

/// A token that held when it was shown, and holds no more.
struct Expired;

fn not_an_operator(role: Result<Role, Expired>, what: &str) -> Answer {
    match role {
        Ok(Role::Audience) => forbidden(format!("the audience may not control {what}")),
        Ok(role) => {
            forbidden(format!("only operators control {what}: this token is for `{}`", role.word()))
        }
        Err(Expired) => refuse(
            RefusalCode::Unauthorized,
            "your token has expired: say hello with another".to_owned(),
        ),
    }
}

fn forbidden(message: String) -> Answer {
    refuse(RefusalCode::Forbidden, message)
}

fn too_often(what: &str, limit: usize) -> Answer {
    refuse(RefusalCode::RateLimited, format!("at most {limit} {what} a second"))
}

/// The first number of a semantic version; none if it is not one.
fn major(version: &str) -> Option<u64> {
    let mut parts = version.split('.');
    let number = parts.next()?.parse().ok()?;
    let minor: Option<u64> = parts.next().and_then(|part| part.parse().ok());
    minor.map(|_| number)
}

pub(crate) fn shortened(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// How many sockets each address has open, of those that are counted together (SX-17).
#[derive(Debug)]
pub struct Doorkeeper {
    most: usize,
    open: BTreeMap<IpAddr, usize>,
}

/// An address has as many sockets as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at most {0} connections from one address")]
pub struct TooMany(pub usize);

impl Doorkeeper {
    /// Nobody yet; `most` is for each address.
    pub fn new(most: usize) -> Self {
        Self { most, open: BTreeMap::new() }
    }

    /// One more from `address`.
    ///
    /// # Errors
    /// [`TooMany`], and it is not counted.
    pub fn enter(&mut self, address: IpAddr) -> Result<(), TooMany> {
        let open = self.open.entry(address).or_default();
        if *open >= self.most {
            return Err(TooMany(self.most));
        }
        *open += 1;
        Ok(())
    }

    /// One that had entered has gone.
    pub fn leave(&mut self, address: IpAddr) {
        if let Some(open) = self.open.get_mut(&address) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.open.remove(&address);
            }
        }
    }
}

/// How many connections the machine has room for, and who has them: whoever opens all there are must not keep
/// others out, least of all the operator.
///
/// One address has three quarters of the room at most: a venue's NAT can put a whole audience behind one, so it is not
/// less. Then two addresses of one machine could have it all, so the last eighth is for addresses that hold [`FEW`]. An
/// IPv6 host gives itself as many addresses as it likes, so the last half of that is for networks that hold few. It is
/// not more, since a whole audience may share a /64, too, and is to be let in beside whoever is greedy.
#[derive(Debug)]
pub struct Lobby {
    room: usize,
    inside: usize,
    open: BTreeMap<IpAddr, usize>,
    networks: BTreeMap<Network, usize>,
}

/// A page's own six connections, its sockets, and as many of another page's.
const FEW: usize = 16;

impl Lobby {
    /// Nobody yet; `room` is for all addresses together.
    pub fn new(room: usize) -> Self {
        Self { room, inside: 0, open: BTreeMap::new(), networks: BTreeMap::new() }
    }

    /// Whether one more from `address` may come in.
    pub fn enter(&mut self, address: IpAddr) -> bool {
        let theirs = self.open.get(&address).copied().unwrap_or(0);
        let admitted =
            theirs < self.room - self.room / 4 && self.inside < self.room - self.kept_from(address);
        if admitted {
            self.inside += 1;
            *self.open.entry(address).or_default() += 1;
            *self.networks.entry(Network::of(Some(address))).or_default() += 1;
        }
        admitted
    }

    /// One that had entered has gone.
    pub fn leave(&mut self, address: IpAddr) {
        if less(&mut self.open, &address) {
            less(&mut self.networks, &Network::of(Some(address)));
            self.inside -= 1;
        }
    }

    /// The part of the room that is for those who hold fewer.
    fn kept_from(&self, address: IpAddr) -> usize {
        let holds_few = |open: Option<&usize>| open.is_none_or(|open| *open < FEW);
        let by_address = holds_few(self.open.get(&address));
        let by_network = holds_few(self.networks.get(&Network::of(Some(address))));
        match (by_address, by_network) {
            (true, true) => 0,
            (true, false) => self.room / 16,
            (false, _) => self.room / 8,
        }
    }
}

/// One less of whose they are, if there is any; who has none is forgotten.
fn less<K: Ord>(open: &mut BTreeMap<K, usize>, whose: &K) -> bool {
    let left = open.get_mut(whose).map(|open| {
        *open -= 1;
        *open
    });
    if left == Some(0) {
        open.remove(whose);
    }
    left.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::solusync::{BoxAt, ClusterInfo, NodeType};

    fn ms(ms: i64) -> ShowTime {
        ShowTime::from_ns(ms * 1_000_000)
    }

    fn text(kind: &str, fields: &str) -> String {
        format!(
            r#"{{"type":"{kind}","header":{{"id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a11","timestamp":1.5,"node_id":"7d9f0f2e-92a3-4c4e-9a57-0f5b0c0f5a12","sequence":1}}{fields}}}"#
        )
    }

    fn visitor(transport: Transport) -> Visitor {
        Visitor::new(&Limits::default(), transport)
    }

    fn code(answer: &Answer) -> Option<RefusalCode> {
        match answer {
            Answer::Refuse(it) | Answer::Dismiss(it) => Some(it.code),
            _ => None,
        }
    }

    #[test]
    fn sx17_the_eleventh_clock_sync_of_a_second_is_refused_and_the_next_second_is_open_again() {
        let mut phone = visitor(Transport::Plain);
        let ask = text("clock_sync", r#","t1":1.0"#);
        for nth in 0..10 {
            assert!(matches!(phone.handle_text(ms(nth * 10), &ask), Answer::Clock(_)));
        }
        assert_eq!(code(&phone.handle_text(ms(999), &ask)), Some(RefusalCode::RateLimited));
        assert!(matches!(phone.handle_text(ms(1000), &ask), Answer::Clock(_)));
    }

    #[test]
    fn sx17_a_hundred_media_controls_are_forbidden_and_the_next_is_one_too_many() {
        let mut phone = visitor(Transport::Plain);
        let play = text("media_control", r#","action":"play","track_id":"a""#);
        for _ in 0..100 {
            assert_eq!(code(&phone.handle_text(ms(0), &play)), Some(RefusalCode::Forbidden));
        }
        assert_eq!(code(&phone.handle_text(ms(0), &play)), Some(RefusalCode::RateLimited));
    }

    #[test]
    fn sx17_one_address_gets_its_ten_sockets_and_another_still_enters() {
        let mut door = Doorkeeper::new(Limits::default().connections_per_address);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..10 {
            assert_eq!(door.enter(one), Ok(()));
        }
        assert_eq!(door.enter(one), Err(TooMany(10)), "the eleventh");
        assert_eq!(door.enter(other), Ok(()));
        door.leave(one);
        assert_eq!(door.enter(one), Ok(()));
    }

    #[test]
    fn one_address_that_opens_all_it_can_leaves_room_for_another() {
        let mut lobby = Lobby::new(10);
        let (greedy, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let third = IpAddr::from([10, 0, 0, 3]);
        assert_eq!((0..100).filter(|_| lobby.enter(greedy)).count(), 8);
        assert_eq!((0..100).filter(|_| lobby.enter(other)).count(), 2);
        assert!(!lobby.enter(third), "the room is full");
        lobby.leave(other);
        lobby.leave(third);
        assert!(lobby.enter(third) && !lobby.enter(third));
    }

    fn entered(lobby: &mut Lobby, address: IpAddr, times: usize) -> usize {
        (0..times).filter(|_| lobby.enter(address)).count()
    }

    #[test]
    fn sx17_two_addresses_that_open_all_they_can_leave_an_eighth_for_those_that_hold_few() {
        let mut lobby = Lobby::new(800);
        let [one, other] = [1, 2].map(|host| IpAddr::from([10, 0, 0, host]));
        let greedy = [one, other].map(|it| entered(&mut lobby, it, 1_000));
        assert_eq!(greedy, [600, 100]);
        let guests = (10..).map(|host| IpAddr::from([10, 0, 1, host]));
        let entered: usize = guests.take(20).map(|it| entered(&mut lobby, it, 10)).sum();
        assert_eq!(entered, 100, "ten guests with a page each");
        (0..600).for_each(|_| lobby.leave(one));
        assert_eq!(lobby.inside, 200);
        assert!(lobby.enter(one) && lobby.enter(other));
    }

    #[test]
    fn sx17_one_that_gives_itself_many_ipv6_addresses_leaves_room_for_its_neighbours_and_more_for_others()
     {
        let address = |net: u128, host: u128| IpAddr::V6((net << 64 | host).into());
        let mut lobby = Lobby::new(1_600);
        let greedy = [1, 2].map(|host| entered(&mut lobby, address(1, host), 2_000));
        assert_eq!(greedy, [1_200, 200]);
        let neighbours: usize = (3..103).map(|it| entered(&mut lobby, address(1, it), 4)).sum();
        assert_eq!(
            neighbours, 100,
            "the audience of one /64 is let in beside it, while there is room"
        );
        let operator = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(entered(&mut lobby, operator, 10), 10);
        assert_eq!(entered(&mut lobby, address(2, 1), 10), 10);
        (0..1_200).for_each(|_| lobby.leave(address(1, 1)));
        assert_eq!(entered(&mut lobby, address(1, 200), 10), 10);
    }

    #[test]
    fn sx17_nobody_is_counted_of_whom_all_have_left() {
        let mut lobby = Lobby::new(10);
        let address = IpAddr::from([10, 0, 0, 1]);
        assert!(lobby.enter(address));
        (0..2).for_each(|_| lobby.leave(address));
        assert_eq!((lobby.inside, lobby.open.len(), lobby.networks.len()), (0, 0, 0));
    }

    #[test]
    fn sx08_another_major_version_is_dismissed_and_a_later_minor_one_welcome() {
        let hello = |version: &str| {
            text("hello", &format!(r#","protocol_version":"{version}","node_type":"client""#))
        };
        let mut phone = visitor(Transport::Plain);
        assert!(matches!(phone.handle_text(ms(0), &hello("0.1.0")), Answer::Welcome { .. }));
        assert!(matches!(phone.handle_text(ms(0), &hello("0.9.3")), Answer::Welcome { .. }));
        let refused = phone.handle_text(ms(0), &hello("1.0.0"));
        assert!(matches!(&refused, Answer::Dismiss(_)));
        assert_eq!(code(&refused), Some(RefusalCode::VersionMismatch));
        let nonsense = phone.handle_text(ms(0), &hello("soon"));
        assert_eq!(code(&nonsense), Some(RefusalCode::InvalidPayload));
    }

    #[test]
    fn sx03_sx08_hello_is_answered_with_what_the_box_is_and_where_the_others_are() {
        let [here, there] = [1, 2].map(Uuid::from_u128);
        let alone = welcome(Standing::alone(here), &Show::default(), None);
        assert_eq!(alone.node_type, NodeType::Master);
        let said = serde_json::to_value(&alone.cluster_info).expect("it has a JSON form");
        assert_eq!(said, serde_json::json!({"master_id": here, "replica_ids": []}));
        let at = |node_id, name: &str| BoxAt {
            node_id,
            name: name.to_owned(),
            url: format!("http://{name}:8080/"),
            secure_url: None,
        };
        let boxes = vec![at(there, "stage"), at(here, "booth")];
        let cluster_info = ClusterInfo { master_id: there, replica_ids: vec![here], boxes };
        let standing = Standing { node_type: NodeType::Replica, cluster_info };
        let said = welcome(standing.clone(), &Show::default(), None);
        assert_eq!(
            (said.node_type, said.cluster_info),
            (standing.node_type, standing.cluster_info)
        );
    }

    #[test]
    fn a_phone_that_says_twice_what_it_did_counts_once() {
        let mut phone = visitor(Transport::Plain);
        let played = |order: u32| {
            text(
                "played",
                &format!(
                    r#","order":"7d9f0f2e-92a3-4c4e-9a57-0000{order:08x}","at":1.5,"source":"screen""#
                ),
            )
        };
        assert!(matches!(phone.handle_text(ms(0), &played(1)), Answer::Played(_)));
        assert!(matches!(phone.handle_text(ms(1), &played(1)), Answer::Nothing));
        assert!(matches!(phone.handle_text(ms(2), &played(2)), Answer::Played(_)));
        assert!(matches!(
            visitor(Transport::Plain).handle_text(ms(3), &played(1)),
            Answer::Played(_)
        ));
    }

    #[test]
    fn nonsense_of_every_kind_is_limited_like_everything_else() {
        let unknown = text("waltz", "");
        let mut phone = visitor(Transport::Plain);
        for nth in 0..100 {
            match nth % 3 {
                0 => drop(phone.handle_text(ms(0), "{")),
                1 => drop(phone.handle_text(ms(0), &unknown)),
                _ => drop(phone.handle_binary(ms(0))),
            }
        }
        assert_eq!(code(&phone.handle_text(ms(1), "{")), Some(RefusalCode::RateLimited));
        assert_eq!(code(&phone.handle_text(ms(1), &unknown)), Some(RefusalCode::RateLimited));
        assert_eq!(code(&phone.handle_binary(ms(1))), Some(RefusalCode::RateLimited));
        assert!(matches!(
            phone.handle_text(ms(1), &text("clock_sync", r#","t1":1"#)),
            Answer::Clock(_)
        ));
    }

    #[test]
    fn note7_a_token_is_refused_over_plain_http_and_the_phone_may_try_without() {
        let token = text(
            "hello",
            r#","protocol_version":"0.1.0","node_type":"client","auth_token":"a.b.c""#,
        );
        let bare = text("hello", r#","protocol_version":"0.1.0","node_type":"client""#);
        let mut phone = visitor(Transport::Plain);
        assert_eq!(code(&phone.handle_text(ms(0), &token)), Some(RefusalCode::Unauthorized));
        assert!(matches!(phone.handle_text(ms(0), &bare), Answer::Welcome { .. }));
    }

    /// A socket over TLS whose token held for a minute from 0 on.
    fn proven(role: Role) -> Visitor {
        let mut phone = visitor(Transport::Private);
        let hello = text(
            "hello",
            r#","protocol_version":"0.1.0","node_type":"client","auth_token":"a.b.c""#,
        );
        let Answer::Prove { token, device } = phone.handle_text(ms(0), &hello) else {
            panic!("a token is asked about")
        };
        assert_eq!(token, "a.b.c");
        let proof = Proven { role, name: "Ann".into(), left: Span::from_secs(60) };
        assert!(matches!(phone.handle_proof(ms(0), device, Ok(proof)), Answer::Welcome { .. }));
        phone
    }

    const PLAY: &str = r#","action":"play","track_id":"a""#;

    #[test]
    fn sx16_an_operator_controls_media_until_the_token_expires_and_nobody_else_does() {
        let play = text("media_control", PLAY);
        let mut operator = proven(Role::Operator);
        let Answer::Media { control, by, .. } = operator.handle_text(ms(59_999), &play) else {
            panic!("an operator may")
        };
        assert_eq!((control.track_id, by.as_str()), (Some(TrackId("a".into())), "Ann"));
        let late = operator.handle_text(ms(60_000), &play);
        assert_eq!(code(&late), Some(RefusalCode::Unauthorized));
        for role in [Role::Audience, Role::Performer, Role::Box] {
            let mut phone = proven(role);
            assert_eq!(code(&phone.handle_text(ms(1), &play)), Some(RefusalCode::Forbidden));
            let screen = phone.handle_text(ms(1), &text("screen", ""));
            assert_eq!(code(&screen), Some(RefusalCode::Forbidden));
            let time = phone.handle_text(ms(1), &text("clock_sync", r#","t1":1"#));
            assert!(matches!(time, Answer::Clock(_)), "everybody may ask the time");
        }
    }

    #[test]
    fn sx16_a_wrong_token_makes_nobody_more_than_they_were_and_a_hello_without_makes_them_audience()
    {
        let play = text("media_control", PLAY);
        let refusal = Refusal { code: RefusalCode::Unauthorized, message: "no".into() };
        let mut phone = visitor(Transport::Private);
        let answer = phone.handle_proof(ms(0), None, Err(refusal));
        assert_eq!(code(&answer), Some(RefusalCode::Unauthorized));
        assert_eq!(code(&phone.handle_text(ms(1), &play)), Some(RefusalCode::Forbidden));
        let mut operator = proven(Role::Operator);
        let bare = text("hello", r#","protocol_version":"0.1.0","node_type":"client""#);
        assert!(matches!(operator.handle_text(ms(1), &bare), Answer::Welcome { .. }));
        assert_eq!(code(&operator.handle_text(ms(2), &play)), Some(RefusalCode::Forbidden));
    }

    #[test]
    fn note1_unknown_types_pass_by_and_broken_text_is_refused_without_closing() {
        let mut phone = visitor(Transport::Plain);
        assert!(matches!(phone.handle_text(ms(0), &text("waltz", "")), Answer::Nothing));
        for broken in ["", "{", "null", r#"{"type":"hello"}"#] {
            let answer = phone.handle_text(ms(0), broken);
            assert!(matches!(answer, Answer::Refuse(_)), "{broken}");
            assert_eq!(code(&answer), Some(RefusalCode::InvalidPayload));
        }
    }

    proptest! {
        #[test]
        fn whatever_text_comes_it_is_answered(text in ".{0,200}", at in any::<i64>()) {
            visitor(Transport::Private).handle_text(ShowTime::from_ns(at), &text);
        }

        #[test]
        fn sx17_no_second_ever_holds_more_than_the_limit(gaps in prop::collection::vec(0_i64..300, 1..200)) {
            let mut window = RateWindow::new(7);
            let (mut now, mut passed) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                if window.admit(ms(now)) {
                    passed.push(now);
                }
            }
            for pair in passed.windows(8) {
                prop_assert!(pair[7] - pair[0] >= 1000);
            }
        }
    }
}
