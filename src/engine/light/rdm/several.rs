//! One question to several sub-devices of a device: all at once where the node takes that (ArtRdmSub), else one after the
//! other.
//!
//! ArtRdmSub carries values of two octets only, and no node has to know it: one that has not answered within a second is
//! asked by ArtRdm. A device that is silent to one of them is not asked about the others.

use std::net::Ipv4Addr;

use units::ShowTime;
use wire::artnet::RdmSub;
use wire::rdm::Class;

use super::{Question, RdmFailure, Several};

/// What each said, in the order of their numbers.
pub type Answers = Vec<(u16, Result<Vec<u8>, RdmFailure>)>;

/// A question to several that is on its way.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub id: u64,
    asked: Several,
    /// Whose answer to all at once is waited for, and until when.
    at_once: Option<(Ipv4Addr, ShowTime)>,
    /// The question to one of them that is waited for.
    pub waits_for: Option<u64>,
    answers: Answers,
}

impl Round {
    pub fn new(id: u64, asked: Several, at_once: Option<(Ipv4Addr, ShowTime)>) -> Self {
        Self { id, asked, at_once, waits_for: None, answers: Vec::new() }
    }

    /// All of them in one packet.
    pub fn packet(asked: &Several) -> RdmSub {
        let Question { uid, sub_device, class, parameter, data } = &asked.first;
        let value = data.as_slice().try_into().map(u16::from_be_bytes);
        let values = value.map(|value| vec![value; asked.count.into()]).unwrap_or_default();
        RdmSub {
            uid: *uid,
            class: class.code(),
            parameter: *parameter,
            sub_device: *sub_device,
            count: asked.count,
            values,
        }
    }

    /// The question to the next of them, unless one is waited for or the node may still answer for all.
    pub fn next(&mut self, now: ShowTime) -> Option<Question> {
        self.at_once.take_if(|(_, due)| now >= *due);
        let waits = self.at_once.is_some() || self.waits_for.is_some() || self.is_done();
        (!waits).then(|| Question { sub_device: self.number(), ..self.asked.first.clone() })
    }

    /// A node has answered for several: all that were asked, or it is no answer.
    pub fn handle(&mut self, sub: &RdmSub, from: Ipv4Addr) {
        let asked = Self::packet(&self.asked);
        let class = self.asked.first.class.answered_by().map(Class::code);
        let about = (sub.uid, sub.parameter, sub.sub_device, sub.count);
        let ours = about == (asked.uid, asked.parameter, asked.sub_device, asked.count);
        if self.at_once.is_some_and(|(node, _)| node == from) && ours && Some(sub.class) == class {
            self.at_once = None;
            while !self.is_done() {
                let value = sub.values.get(self.answers.len());
                let data = value.map(|value| value.to_be_bytes().to_vec());
                self.answers.push((self.number(), Ok(data.unwrap_or_default())));
            }
        }
    }

    /// One of them has answered, or failed to.
    pub fn answer(&mut self, answer: Result<Vec<u8>, RdmFailure>) {
        self.waits_for = None;
        self.answers.push((self.number(), answer.clone()));
        let gone = answer.is_err_and(|why| !matches!(why, RdmFailure::Nack(..)));
        while gone && !self.is_done() {
            self.answers.push((self.number(), Err(RdmFailure::Silent(self.asked.first.uid))));
        }
    }

    pub fn is_done(&self) -> bool {
        self.answers.len() >= usize::from(self.asked.count)
    }

    pub fn answers(self) -> Answers {
        self.answers
    }

    /// Whose turn it is.
    fn number(&self) -> u16 {
        self.asked.first.sub_device.saturating_add(self.answers.len() as u16)
    }
}
