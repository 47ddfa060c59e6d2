//! Bloom without a socket: the document's own list of tests, and what holds whoever says what (BL-01 to BL-11).

use engine::rooms::{IDLE, Most, Rooms, Standing, Unheard};
use proptest::prelude::*;
use serde_json::Value;
use tests::seeds::seeds;
use tests::targets::bloom::{Foyer, MOST, address};
use units::{MonoTime, Span};
use wire::bloom::{ErrorCode, Event, ParticipantId, Request, RoomId, parse_event, parse_request};

const ROOMY: Most = Most { sockets: 100, rooms: 100, rooms_per_address: 64 };

fn create() -> Request {
    Request::CreateRoom {}
}

fn join(room: RoomId) -> Request {
    Request::JoinRoom { room_id: room.to_string() }
}

fn offer(to: ParticipantId) -> Request {
    Request::Offer { to: to.to_string(), sdp: "v=0".to_owned() }
}

/// So many people, of whom the first have come together in the room of the very first, with nothing left to hear.
fn together(people: usize, inside: usize) -> (Foyer, RoomId) {
    let mut foyer = Foyer::with(ROOMY, people);
    foyer.ask(0, create());
    let room = foyer.made.expect("a room");
    (1..inside).for_each(|who| foyer.ask(who, join(room)));
    foyer.people.iter_mut().for_each(|it| drop(it.take()));
    (foyer, room)
}

fn ids(foyer: &Foyer) -> Vec<ParticipantId> {
    foyer.people.iter().map(|it| it.id).collect()
}

fn code(heard: &[Event]) -> Option<ErrorCode> {
    match heard {
        [Event::Error { code, .. }] => Some(*code),
        _ => None,
    }
}

#[test]
fn bl06_every_vector_is_what_it_says_it_is_whoever_says_it() {
    let mut seen = 0;
    for file in ["requests", "events", "refused"] {
        let path = format!("{}/vectors/bloom/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the vectors are in the repository");
        let vectors: Vec<Value> = serde_json::from_str(&text).expect("vectors");
        for vector in &vectors {
            let text = vector["text"].as_str().expect("a text");
            let (request, event) = (parse_request(text), parse_event(text));
            assert_eq!(request.is_ok(), vector["from"] == "participant", "{}", vector["name"]);
            assert_eq!(event.is_ok(), vector["from"] == "box", "{}", vector["name"]);
            let again = request.map(|it| it.emit()).or(event.map(|it| it.emit()));
            let again = again.map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
            let kind = again.map_or(Value::from("refused"), |it| it["type"].clone());
            assert_eq!(kind, vector["is"], "{}", vector["name"]);
        }
        seen += vectors.len();
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn bl01_who_creates_a_room_learns_both_ids_and_is_in_the_list() {
    let mut foyer = Foyer::with(ROOMY, 1);
    foyer.ask(0, create());
    let (me, room_id) = (foyer.people[0].id, foyer.made.expect("a room"));
    let participants = vec![me];
    let heard = [
        Event::RoomCreated { room_id, self_id: me },
        Event::RoomParticipants { room_id, participants },
    ];
    assert_eq!(foyer.people[0].take(), heard);
    assert_eq!((room_id.0.get_version_num(), me.0.get_version_num()), (4, 4), "BL-11");
}

#[test]
fn bl02_bl03_bl07_all_hear_who_joins_and_then_the_list_in_which_the_newcomer_is_the_last() {
    let (mut foyer, room_id) = together(3, 2);
    foyer.ask(2, join(room_id));
    let participants = ids(&foyer);
    let participant_id = participants[2];
    let news = [
        Event::PeerConnected { participant_id },
        Event::RoomParticipants { room_id, participants },
    ];
    assert!(foyer.people.iter_mut().all(|it| it.take() == news));
}

#[test]
fn bl02_bl03_bl07_those_who_stay_hear_who_left_or_whose_socket_broke_and_then_the_list() {
    for breaks in [false, true] {
        let (mut foyer, room_id) = together(3, 3);
        let [first, gone, last] = ids(&foyer)[..] else { panic!("three") };
        if breaks {
            foyer.go_and_come(1)
        } else {
            foyer.ask(1, Request::LeaveRoom {})
        }
        let news = [
            Event::PeerDisconnected { participant_id: gone },
            Event::RoomParticipants { room_id, participants: vec![first, last] },
        ];
        assert_eq!(foyer.people[0].take(), news);
        assert_eq!(foyer.people[2].take(), news);
        assert_eq!(foyer.people[1].take(), [], "whoever leaves hears no more");
        foyer.ask(0, offer(gone));
        assert_eq!(code(&foyer.people[0].take()), Some(ErrorCode::ParticipantNotFound));
    }
}

#[test]
fn bl04_the_ninth_finds_the_room_full_nobody_is_told_and_when_one_goes_there_is_a_place() {
    let (mut foyer, room_id) = together(9, 8);
    foyer.ask(8, join(room_id));
    assert_eq!(code(&foyer.people[8].take()), Some(ErrorCode::RoomFull));
    assert!(foyer.people[..8].iter().all(|it| it.heard.is_empty()));
    foyer.ask(3, Request::LeaveRoom {});
    foyer.ask(8, join(room_id));
    assert_eq!(foyer.rooms.room_of(foyer.people[8].id), Some(room_id));
}

#[test]
fn bl05_offers_answers_and_candidates_reach_exactly_the_one_they_name_as_they_were() {
    let (mut foyer, _) = together(3, 3);
    let (from, to) = (foyer.people[0].id, foyer.people[1].id);
    let text = "candidate:1 1 udp 1 192.0.2.3 54400 typ relay raddr 0.0.0.0 rport 0 \u{1F3BA}\r\n";
    let (name, text) = (to.to_string().to_uppercase(), text.to_owned());
    foyer.ask(0, Request::Offer { to: name.clone(), sdp: text.clone() });
    foyer.ask(0, Request::Answer { to: name.clone(), sdp: text.clone() });
    foyer.ask(0, Request::IceCandidate { to: name, candidate: text.clone() });
    let heard = [
        Event::Offer { from, sdp: text.clone() },
        Event::Answer { from, sdp: text.clone() },
        Event::IceCandidate { from, candidate: text },
    ];
    assert_eq!(foyer.people[1].take(), heard);
    assert!(foyer.people[0].heard.is_empty() && foyer.people[2].heard.is_empty());
}

#[test]
fn bl05_who_is_not_in_the_room_is_not_found_and_hears_nothing_later_either() {
    let (mut foyer, room_id) = together(3, 2);
    let outside = foyer.people[2].id;
    foyer.ask(0, offer(outside));
    foyer.ask(2, create());
    foyer.ask(0, offer(outside));
    let nobody = Request::Offer { to: "nobody".to_owned(), sdp: String::new() };
    foyer.ask(0, nobody);
    let refused = foyer.people[0].take();
    assert!(
        refused
            .iter()
            .all(|it| code(std::slice::from_ref(it)) == Some(ErrorCode::ParticipantNotFound))
    );
    assert_eq!(refused.len(), 3);
    foyer.ask(2, Request::LeaveRoom {});
    foyer.people[2].take();
    foyer.ask(2, join(room_id));
    assert!(!foyer.people[2].take().iter().any(|it| matches!(it, Event::Offer { .. })), "no queue");
    let (mut alone, _) = together(2, 1);
    let first = alone.people[0].id;
    alone.ask(1, offer(first));
    assert_eq!(code(&alone.people[1].take()), Some(ErrorCode::ParticipantNotFound));
}

#[test]
fn bl06_what_is_refused_changes_nothing() {
    let (mut foyer, room_id) = together(3, 2);
    let before = foyer.rooms.glance(foyer.now);
    let (inside, outside) = (1, 2);
    let said = |who, text: &str| (who, text.to_owned());
    let nonsense = [
        said(inside, r#"{"type":"LeaveRoom","room_id":"x"}"#),
        said(inside, r#"{"type":"LeaveRoom"} "#.trim_end_matches([' ', '}'])),
        said(inside, r#"{"type":"CreateRoom"}"#),
        said(inside, &join(room_id).emit()),
        said(outside, r#"{"type":"LeaveRoom"}"#),
        said(outside, r#"{"type":"JoinRoom"}"#),
        said(outside, r#"{"type":"JoinRoom","room_id":"00000000-0000-4000-8000-000000000000"}"#),
        said(outside, &join(room_id).emit().replace('}', r#","x":1}"#)),
    ];
    for (who, text) in nonsense {
        foyer.say(who, &text);
        let heard = foyer.people[who].take();
        assert_eq!(code(&heard), Some(ErrorCode::InvalidPayload), "{text}");
        assert!(foyer.people.iter().all(|it| it.heard.is_empty()), "{text}");
    }
    let mut after = foyer.rooms.glance(foyer.now);
    // What it has said is counted; nothing else may differ.
    after[0].participants[1].messages = before[0].participants[1].messages;
    assert_eq!(after, before);
}

#[test]
fn bl08_the_twenty_first_of_a_second_is_refused_and_a_second_later_all_is_open_again() {
    let (mut foyer, _) = together(2, 2);
    let ask = offer(foyer.people[1].id).emit();
    (0..21).for_each(|_| foyer.say(0, &ask));
    assert_eq!(code(&foyer.people[0].take()), Some(ErrorCode::RateLimited));
    assert_eq!(foyer.people[1].take().len(), 20);
    foyer.wait(Span::from_millis(999));
    foyer.say(0, "{");
    assert_eq!(code(&foyer.people[0].take()), Some(ErrorCode::RateLimited), "nothing is read");
    foyer.wait(Span::from_millis(1));
    foyer.say(0, &ask);
    assert_eq!((foyer.people[0].take().len(), foyer.people[1].take().len()), (0, 1));
}

#[test]
fn bl08_every_socket_counts_by_itself_and_one_that_comes_again_anew() {
    let (mut foyer, room_id) = together(2, 2);
    let ask = offer(foyer.people[1].id).emit();
    (0..21).for_each(|_| foyer.say(0, &ask));
    let back = offer(foyer.people[0].id).emit();
    foyer.people[0].take();
    foyer.say(1, &back);
    assert!(matches!(foyer.people[0].take()[..], [Event::Offer { .. }]));
    foyer.go_and_come(0);
    foyer.say(0, &join(room_id).emit());
    assert_eq!(foyer.rooms.room_of(foyer.people[0].id), Some(room_id));
}

#[test]
fn bl11_a_room_in_which_nobody_says_anything_for_a_minute_ends_and_all_in_it_are_told() {
    let (mut foyer, room_id) = together(2, 2);
    foyer.wait(Span::from_secs(59));
    let second = foyer.people[1].id;
    foyer.ask(0, offer(second));
    foyer.wait(Span::from_secs(59));
    foyer.people.iter_mut().for_each(|it| drop(it.take()));
    assert_eq!(foyer.rooms.glance(foyer.now).len(), 1, "a word keeps it for another minute");
    foyer.wait(Span::from_secs(1));
    let gone =
        ids(&foyer).into_iter().map(|participant_id| Event::PeerDisconnected { participant_id });
    let over = Event::RoomParticipants { room_id, participants: Vec::new() };
    let news: Vec<Event> = gone.chain([over]).collect();
    assert!(foyer.people.iter_mut().all(|it| it.take() == news));
    foyer.ask(0, join(room_id));
    assert_eq!(code(&foyer.people[0].take()), Some(ErrorCode::InvalidPayload), "it is no more");
    foyer.ask(0, create());
    assert!(foyer.rooms.room_of(foyer.people[0].id).is_some(), "the socket goes on");
}

#[test]
fn bl11_phones_that_lost_their_wifi_together_find_their_room_again_within_a_minute() {
    let (mut foyer, room_id) = together(2, 2);
    foyer.go_and_come(0);
    foyer.go_and_come(1);
    foyer.wait(Span::from_secs(59));
    foyer.ask(0, join(room_id));
    assert_eq!(foyer.rooms.room_of(foyer.people[0].id), Some(room_id));
    foyer.go_and_come(0);
    foyer.wait(Span::from_secs(60));
    foyer.ask(1, join(room_id));
    assert_eq!(code(&foyer.people[1].take()), Some(ErrorCode::InvalidPayload));
}

#[test]
fn a_flood_of_rooms_turns_over_the_flooders_own_and_an_honest_room_stays() {
    let mut foyer = Foyer::with(Most { rooms_per_address: 3, ..ROOMY }, 2);
    foyer.ask(1, create());
    let honest = foyer.made.expect("a room");
    foyer.ask(1, Request::LeaveRoom {});
    for _ in 0..500 {
        foyer.ask(0, create());
        foyer.ask(0, Request::LeaveRoom {});
        foyer.wait(Span::from_millis(100));
        assert!(foyer.rooms.glance(foyer.now).len() <= 4);
    }
    foyer.ask(1, join(honest));
    assert_eq!(foyer.rooms.room_of(foyer.people[1].id), Some(honest));
}

#[test]
fn an_address_whose_rooms_are_all_in_use_is_refused_one_more_and_another_is_not() {
    let mut foyer = Foyer::with(Most { rooms_per_address: 1, ..ROOMY }, 4);
    assert_eq!((foyer.people[0].from, foyer.people[3].from), (address(0), address(0)));
    foyer.ask(0, create());
    foyer.ask(3, create());
    assert_eq!(code(&foyer.people[3].take()), Some(ErrorCode::RateLimited));
    foyer.ask(1, create());
    assert!(foyer.rooms.room_of(foyer.people[1].id).is_some());
}

#[test]
fn when_the_house_is_full_who_comes_is_told_so_and_who_is_there_goes_on() {
    let mut foyer = Foyer::with(Most { sockets: 2, rooms: 1, rooms_per_address: 9 }, 2);
    let late = ParticipantId::from_chance(1 << 64);
    let entered = foyer.rooms.enter(foyer.now, late, None, Standing::Full);
    assert_eq!(entered, Err(engine::rooms::Full));
    foyer.ask(0, create());
    foyer.ask(1, create());
    assert_eq!(code(&foyer.people[1].take()), Some(ErrorCode::Internal));
    foyer.ask(1, join(foyer.made.expect("the first one's")));
    assert_eq!(foyer.rooms.glance(foyer.now)[0].participants.len(), 2);
}

/// Somebody from there has created a room and left it.
fn leaves_a_room(rooms: &mut Rooms, now: MonoTime, chance: u128, from: &str) -> Option<RoomId> {
    let id = ParticipantId::from_chance(chance << 64);
    let from = Some(from.parse().expect("an address"));
    rooms.enter(now, id, from, Standing::Full).expect("there is a place for all");
    rooms.handle(now, id, create(), || chance << 96);
    let room = rooms.room_of(id);
    rooms.leave(now, id);
    room
}

#[test]
fn a_machine_with_many_addresses_turns_over_its_own_rooms_and_shuts_nobody_out() {
    let mut rooms = Rooms::new(Most { sockets: 2, rooms: 8, rooms_per_address: 4 }, IDLE);
    let at = |ms| THEN + Span::from_millis(ms);
    let honest = leaves_a_room(&mut rooms, THEN, 1, "2001:db8:0:1::1").expect("a room");
    for nth in 2..500 {
        let address = format!("2001:db8::{nth:x}");
        let room = leaves_a_room(&mut rooms, at(nth as i64), nth, &address);
        assert!(room.is_some(), "{nth}");
    }
    let there =
        |rooms: &Rooms| rooms.glance(at(500)).iter().map(|it| it.room_id).collect::<Vec<_>>();
    assert!(there(&rooms).contains(&honest) && rooms.count() == 8);
    let other = leaves_a_room(&mut rooms, at(500), 500, "10.0.0.1").expect("a room");
    assert!([honest, other].iter().all(|it| there(&rooms).contains(it)));
    let ended = std::iter::from_fn(|| rooms.poll_ended()).count();
    assert_eq!(ended, 500 - 8, "each that was given up is told of");
}

#[test]
fn bl05_what_one_cannot_take_is_dropped_and_its_speaker_told_but_a_word_of_the_room_costs_the_place()
 {
    let (mut foyer, room_id) = together(3, 3);
    let [a, b, c] = ids(&foyer)[..] else { panic!("three") };
    let offered = Event::Offer { from: a, sdp: "v=0".to_owned() };
    assert_eq!(foyer.rooms.handle_unheard(foyer.now, b, &offered), Unheard::Dropped);
    let word = foyer.rooms.poll().expect("a word");
    assert_eq!((word.to.ids(), code(&[word.event])), (&[a][..], Some(ErrorCode::Internal)));
    assert_eq!(foyer.rooms.room_of(b), Some(room_id), "it stays");
    let came = Event::PeerConnected { participant_id: c };
    assert_eq!(foyer.rooms.handle_unheard(foyer.now, b, &came), Unheard::Left(Some(room_id)));
    let word = foyer.rooms.poll().expect("a word");
    assert_eq!(word.to.ids(), [a, c]);
    assert_eq!(word.event, Event::PeerDisconnected { participant_id: b });
}

#[test]
fn bl06_a_description_that_is_too_long_is_refused_and_the_longest_is_not() {
    let (mut foyer, _) = together(2, 2);
    let to = foyer.people[1].id.to_string();
    for (octets, reaches) in [(32 << 10, true), ((32 << 10) + 1, false)] {
        let text = "x".repeat(octets);
        for request in [
            Request::Offer { to: to.clone(), sdp: text.clone() },
            Request::Answer { to: to.clone(), sdp: text.clone() },
            Request::IceCandidate { to: to.clone(), candidate: text.clone() },
        ] {
            foyer.say(0, &request.emit());
            let refused = code(&foyer.people[0].take());
            assert_eq!(refused, (!reaches).then_some(ErrorCode::InvalidPayload));
            assert_eq!(foyer.people[1].take().len(), usize::from(reaches));
        }
    }
}

#[test]
fn bl11_ids_have_hyphens_and_nothing_else() {
    let (mut foyer, room_id) = together(2, 1);
    let id = room_id.0;
    let forms = [id.simple().to_string(), id.braced().to_string(), id.urn().to_string()];
    for room_id in forms {
        foyer.ask(1, Request::JoinRoom { room_id });
        assert_eq!(code(&foyer.people[1].take()), Some(ErrorCode::InvalidPayload));
    }
    foyer.ask(1, Request::JoinRoom { room_id: id.to_string().to_uppercase() });
    assert_eq!(foyer.rooms.room_of(foyer.people[1].id), Some(room_id));
}

/// The box, and what it hears.
struct Kept {
    rooms: Rooms,
    room: RoomId,
    keeper: ParticipantId,
}

const THEN: MonoTime = MonoTime::from_ns(0);

fn kept(most: usize) -> Kept {
    let mut rooms = Rooms::new(MOST, IDLE);
    let (room, keeper) = (RoomId::from_chance(1), ParticipantId::from_chance(2));
    rooms.keep(THEN, room, keeper, most);
    Kept { rooms, room, keeper }
}

impl Kept {
    fn comes(&mut self, chance: u128, standing: Standing) -> ParticipantId {
        let id = ParticipantId::from_chance(chance << 96);
        self.rooms.enter(THEN, id, Some(address(0)), standing).expect("a place");
        self.rooms.handle(THEN, id, join(self.room), || 0);
        id
    }
    fn heard_by(&mut self, id: ParticipantId) -> Vec<Event> {
        let words = std::iter::from_fn(|| self.rooms.poll());
        words.filter(|it| it.to.ids().contains(&id)).map(|it| it.event).collect()
    }
}

#[test]
fn sx06_a_room_of_two_that_the_box_keeps_has_the_box_and_a_phone_and_never_idles() {
    let mut kept = kept(2);
    let phone = kept.comes(3, Standing::Full);
    let (room_id, participants) = (kept.room, vec![kept.keeper, phone]);
    let news = [
        Event::PeerConnected { participant_id: phone },
        Event::RoomParticipants { room_id, participants },
    ];
    assert_eq!(kept.heard_by(kept.keeper), news);
    let third = kept.comes(4, Standing::Full);
    assert_eq!(code(&kept.heard_by(third)), Some(ErrorCode::RoomFull));
    kept.rooms.handle(THEN, phone, offer(kept.keeper), || 0);
    assert_eq!(kept.heard_by(kept.keeper), [Event::Offer { from: phone, sdp: "v=0".into() }]);
    let answer = Request::Answer { to: phone.to_string(), sdp: "v=1".into() };
    kept.rooms.handle(THEN, kept.keeper, answer, || 0);
    assert_eq!(kept.heard_by(phone), [Event::Answer { from: kept.keeper, sdp: "v=1".into() }]);
    kept.rooms.handle_time(THEN + Span::from_secs(9_000));
    assert_eq!(kept.rooms.room_of(phone), Some(room_id));
}

#[test]
fn sx06_a_kept_room_ends_with_its_keeper_and_the_phone_is_told() {
    let mut kept = kept(2);
    let phone = kept.comes(3, Standing::Full);
    kept.heard_by(phone);
    kept.rooms.leave(THEN, kept.keeper);
    let gone = |participant_id| Event::PeerDisconnected { participant_id };
    let over = Event::RoomParticipants { room_id: kept.room, participants: Vec::new() };
    assert_eq!(kept.heard_by(phone), [gone(kept.keeper), gone(phone), over]);
    assert_eq!((kept.rooms.glance(THEN).len(), kept.rooms.room_of(phone)), (0, None));
}

#[test]
fn note2_a_room_that_the_box_makes_holds_more_than_eight() {
    let mut kept = kept(12);
    for nth in 0..8 {
        kept.comes(3 + nth, Standing::Full);
    }
    assert_eq!(kept.rooms.glance(THEN)[0].participants.len(), 9);
}

#[test]
fn bl12_a_guest_joins_what_the_box_made_and_neither_creates_rooms_nor_finds_others() {
    let mut kept = kept(2);
    let member = kept.comes(3, Standing::Full);
    kept.rooms.handle(THEN, member, Request::LeaveRoom {}, || 0);
    kept.rooms.handle(THEN, member, create(), || 9 << 96);
    let others = kept.rooms.room_of(member).expect("a room");
    let guest = kept.comes(4, Standing::Guest);
    assert_eq!(kept.rooms.room_of(guest), Some(kept.room));
    kept.rooms.handle(THEN, guest, Request::LeaveRoom {}, || 0);
    kept.heard_by(guest);
    kept.rooms.handle(THEN, guest, create(), || 8 << 96);
    assert_eq!(code(&kept.heard_by(guest)), Some(ErrorCode::InvalidPayload));
    kept.rooms.handle(THEN, guest, join(others), || 0);
    let unknown = kept.heard_by(guest);
    kept.rooms.handle(THEN, guest, join(RoomId::from_chance(77)), || 0);
    assert_eq!(kept.heard_by(guest), unknown, "it is not told which rooms there are");
}

/// One thing that may happen: who, and what.
fn deed() -> impl Strategy<Value = (usize, u8, usize)> {
    (0..6_usize, 0..8_u8, 0..6_usize)
}

proptest! {
    #[test]
    fn bl02_bl11_whatever_happens_everybody_knows_who_is_in_their_room_and_nothing_grows(
        deeds in prop::collection::vec(deed(), 0..300)
    ) {
        let mut foyer = Foyer::new(6);
        for (who, what, whom) in deeds {
            let to = foyer.people[whom].id;
            match what {
                0 => foyer.ask(who, create()),
                1 | 2 => match foyer.rooms.room_of(to).or(foyer.made) {
                    Some(room) => foyer.ask(who, join(room)),
                    None => foyer.ask(who, create()),
                },
                3 => foyer.ask(who, Request::LeaveRoom {}),
                4 => foyer.go_and_come(who),
                5 => foyer.wait(Span::from_secs(1 + 12 * whom as i64)),
                _ => {
                    let together = foyer.rooms.room_of(foyer.people[who].id)
                        .is_some_and(|room| foyer.rooms.room_of(to) == Some(room));
                    foyer.people.iter_mut().for_each(|it| drop(it.take()));
                    foyer.ask(who, offer(to));
                    let reached = foyer.people.iter().filter(|it| it.heard.iter().any(|it| matches!(it, Event::Offer { .. })));
                    let reached: Vec<ParticipantId> = reached.map(|it| it.id).collect();
                    prop_assert_eq!(reached, if together { vec![to] } else { vec![] });
                }
            }
            foyer.holds();
        }
        foyer.ends();
    }
}

#[test]
fn every_dialogue_among_the_seeds_says_something_that_is_understood() {
    for seed in seeds(&["bloom"]).iter().filter(|it| it.name.ends_with(".jsonl")) {
        let text = String::from_utf8_lossy(&seed.bytes);
        assert!(text.lines().any(|line| parse_request(line).is_ok()), "{}", seed.name);
    }
}
