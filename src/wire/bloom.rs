//! Bloom: how participants of a room find each other before they speak directly (rows BL-01 to BL-08, BL-12).
//!
//! In: text of a WebSocket. Out: a [`Request`] of a participant or an [`Event`] of the box, or why it is neither.
//! A message is a JSON object with `type` and exactly the fields of that type: one too many, one missing or one
//! twice is refused (BL-06, row note 1). Session descriptions and candidates are carried as they are and never read.
//!
//! Who holds a token shows it before the socket opens, so no message has a place for one (BL-12).

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(deserialize_with = "hyphenated")] pub Uuid);
        impl $name {
            /// A uuid v4 of 128 bits of chance (BL-11).
            pub fn from_chance(chance: u128) -> Self {
                Self(crate::solusync::uuid_v4(chance))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            /// With its hyphens and nothing around it, in letters of any size (RFC 9562, 4).
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(|it: Hyphenated| Self(it.into_uuid()))
            }
        }
    )*};
}

ids! {
    /// A room. Whoever knows it may join, so it is nobody's to guess.
    RoomId;
    /// One socket in the rooms; a phone that reconnects is another participant.
    ParticipantId;
}

fn hyphenated<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Hyphenated::into_uuid).map_err(D::Error::custom)
}

/// What a participant says. Ids are text here: one that nobody has, whatever it looks like, is not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
#[expect(missing_docs, reason = "the document's own fields")]
pub enum Request {
    /// Make a room and be its first participant (BL-01).
    CreateRoom {},
    /// Become the latest participant of a room (BL-02).
    JoinRoom { room_id: String },
    /// Be in no room (BL-02).
    LeaveRoom {},
    /// For one participant of the room (BL-05).
    Offer { to: String, sdp: String },
    /// For one participant of the room (BL-05).
    Answer { to: String, sdp: String },
    /// For one participant of the room (BL-05).
    IceCandidate { to: String, candidate: String },
}

/// What a participant hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
#[expect(missing_docs, reason = "the document's own fields")]
pub enum Event {
    /// The room is there, and you are in it (BL-01).
    RoomCreated { room_id: RoomId, self_id: ParticipantId },
    /// Everybody in the room, in the order of joining (BL-03): who has just joined is the last.
    RoomParticipants { room_id: RoomId, participants: Vec<ParticipantId> },
    /// Somebody has joined (BL-07).
    PeerConnected { participant_id: ParticipantId },
    /// Somebody has left (BL-07).
    PeerDisconnected { participant_id: ParticipantId },
    /// What one participant says to you alone (BL-05).
    Offer { from: ParticipantId, sdp: String },
    /// What one participant says to you alone (BL-05).
    Answer { from: ParticipantId, sdp: String },
    /// What one participant says to you alone (BL-05).
    IceCandidate { from: ParticipantId, candidate: String },
    /// A refusal, with a code for programs and a sentence for people.
    Error { code: ErrorCode, message: String },
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ErrorCode {
    /// The room has as many participants as it may have (BL-04).
    RoomFull,
    /// Not a message of this protocol, or none that makes sense now (BL-06).
    InvalidPayload,
    /// Nobody of that id is in your room (BL-05).
    ParticipantNotFound,
    /// Too many in too short a time (BL-08).
    RateLimited,
    /// The box cannot, and it is not your fault.
    Internal,
}

/// Why text was no message.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or not the fields of its type.
    #[error("not a message: {0}")]
    Invalid(#[from] serde_json::Error),
    /// JSON of another shape.
    #[error("a message is an object")]
    NoObject,
}

/// What a participant said.
///
/// # Errors
/// Whatever is not exactly one of the messages.
pub fn parse_request(text: &str) -> Result<Request, ParseError> {
    parse(text)
}

/// What the box said.
///
/// # Errors
/// Whatever is not exactly one of the messages.
pub fn parse_event(text: &str) -> Result<Event, ParseError> {
    parse(text)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, ParseError> {
    // serde would take the fields in a list as well.
    let blank = [' ', '\t', '\n', '\r'];
    if !text.trim_start_matches(blank).starts_with('{') {
        return Err(ParseError::NoObject);
    }
    Ok(serde_json::from_str(text)?)
}

impl Request {
    /// As it goes over the socket.
    pub fn emit(&self) -> String {
        serde_json::to_string(self).expect("every field has a JSON form")
    }
    /// What is carried as it is, of those that carry anything.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Offer { sdp: text, .. }
            | Self::Answer { sdp: text, .. }
            | Self::IceCandidate { candidate: text, .. } => Some(text),
            Self::CreateRoom {} | Self::JoinRoom { .. } | Self::LeaveRoom {} => None,
        }
    }
    /// The word for it, for logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateRoom {} => "CreateRoom",
            Self::JoinRoom { .. } => "JoinRoom",
            Self::LeaveRoom {} => "LeaveRoom",
            Self::Offer { .. } => "Offer",
            Self::Answer { .. } => "Answer",
            Self::IceCandidate { .. } => "IceCandidate",
        }
    }
}

impl Event {
    /// As it goes over the socket.
    pub fn emit(&self) -> String {
        serde_json::to_string(self).expect("every field has a JSON form")
    }
    /// Which participant says it; none is the box.
    pub fn speaker(&self) -> Option<ParticipantId> {
        match self {
            Self::Offer { from, .. }
            | Self::Answer { from, .. }
            | Self::IceCandidate { from, .. } => Some(*from),
            _ => None,
        }
    }
}
