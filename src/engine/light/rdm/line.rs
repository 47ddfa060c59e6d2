//! Questions to the devices of one line, one after the other (E1.20 section 6).
//!
//! *Put off*: a device that takes longer says when to ask for its queued messages, where the answer then is. *Pieces*:
//! an answer longer than a message comes in several, each asked for.

use std::collections::VecDeque;

use units::{ShowTime, Span};
use wire::rdm::{Answer, Class, Message, Uid};

use super::{Question, RdmFailure};

/// A gateway has its own tries within it.
const ANSWER_WITHIN: Span = Span::from_secs(1);
/// So often the same is asked.
const TRIES: u8 = 3;
/// A device that puts us off again and again has no answer.
const PATIENCE: Span = Span::from_secs(20);
/// Between looks into a queue that has nothing for us yet.
const QUEUE_EVERY: Span = Span::from_millis(250);
/// Longer than any parameter: a list of all 65,536 is 131 kB.
const ANSWER_MAX: usize = 128 << 10;

const QUEUED_MESSAGE: u16 = 0x0020;
const STATUS_MESSAGES: u16 = 0x0030;
/// Only what is wrong, beside the answer that we wait for.
const ERRORS: u8 = 0x04;

/// The questions of a line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    own: Uid,
    next: VecDeque<(u64, Question)>,
    asked: Option<Asked>,
    transaction: u8,
    /// What is to be sent.
    pub messages: Vec<Vec<u8>>,
    /// What is answered.
    pub done: Vec<(u64, Result<Vec<u8>, RdmFailure>)>,
}

/// The question that the line is busy with.
#[derive(Debug, Clone)]
struct Asked {
    id: u64,
    question: Question,
    phase: Phase,
    tries: u8,
    /// The transactions under which it was asked: late answers to earlier tries count, too.
    transactions: Vec<u8>,
    due: ShowTime,
    ends: ShowTime,
    pieces: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The answer to the question itself is waited for.
    Question,
    /// The device has put us off.
    PutOff,
    /// The answer is looked for in its queue.
    Queue,
}

impl Line {
    pub fn new(own: Uid) -> Self {
        let (messages, done) = (Vec::new(), Vec::new());
        Self { own, next: VecDeque::new(), asked: None, transaction: 0, messages, done }
    }

    pub fn push(&mut self, id: u64, question: Question) {
        self.next.push_back((id, question));
    }

    pub fn waiting(&self) -> usize {
        self.next.len() + usize::from(self.asked.is_some())
    }

    pub fn tick(&mut self, now: ShowTime) {
        match &self.asked {
            Some(asked) if now >= asked.ends => self.silent(),
            Some(asked) if now >= asked.due => self.overdue(now),
            _ => {}
        }
        while self.asked.is_none()
            && let Some((id, question)) = self.next.pop_front()
        {
            self.begin(now, id, question);
        }
    }

    fn begin(&mut self, now: ShowTime, id: u64, question: Question) {
        self.asked = Some(Asked {
            id,
            question,
            phase: Phase::Question,
            tries: 0,
            transactions: Vec::new(),
            due: now,
            ends: now + PATIENCE,
            pieces: Vec::new(),
        });
        self.send(now);
    }

    fn silent(&mut self) {
        let uid = self.asked.as_ref().map(|it| it.question.uid);
        uid.into_iter().for_each(|uid| self.finish(Err(RdmFailure::Silent(uid))));
    }

    fn overdue(&mut self, now: ShowTime) {
        let Some(asked) = &mut self.asked else { return };
        if asked.phase == Phase::PutOff {
            asked.phase = Phase::Queue;
            asked.tries = 0;
        }
        if asked.tries >= TRIES {
            return self.silent();
        }
        self.send(now);
    }

    /// Asks, under a transaction of its own each time.
    fn send(&mut self, now: ShowTime) {
        let Some(asked) = &mut self.asked else { return };
        let Question { uid, sub_device, class, parameter, data } = &asked.question;
        let (class, parameter, data) = match asked.phase {
            Phase::Queue => (Class::Get, QUEUED_MESSAGE, &[ERRORS][..]),
            Phase::Question | Phase::PutOff => (*class, *parameter, data.as_slice()),
        };
        self.transaction = self.transaction.wrapping_add(1);
        asked.transactions.push(self.transaction);
        asked.tries += 1;
        asked.due = now + ANSWER_WITHIN;
        let message = Message {
            to: *uid,
            from: self.own,
            transaction: self.transaction,
            kind: 1,
            waiting: 0,
            // Messages wait at the device, whatever sub-device they are about.
            sub_device: if asked.phase == Phase::Queue { 0 } else { *sub_device },
            class,
            parameter,
            data,
        };
        match message.emit() {
            Some(bytes) => self.messages.push(bytes),
            None => self.finish(Err(RdmFailure::TooLong)),
        }
    }

    /// Whatever is no answer to the question is passed over; the question is asked again in its time.
    pub fn handle(&mut self, now: ShowTime, message: &Message<'_>) {
        let Some(asked) = &self.asked else { return };
        let ours =
            message.from == asked.question.uid && asked.transactions.contains(&message.transaction);
        let Ok(answer) = message.answer() else { return };
        if !ours {
            return;
        }
        let about = (Some(message.class), message.parameter);
        let meant = (asked.question.class.answered_by(), asked.question.parameter);
        match asked.phase {
            _ if about == meant => self.answered(now, answer),
            Phase::Queue => self.queue_says(now, message.parameter, answer),
            Phase::Question | Phase::PutOff => {}
        }
    }

    fn answered(&mut self, now: ShowTime, answer: Answer<'_>) {
        let Some(asked) = &mut self.asked else { return };
        let uid = asked.question.uid;
        match answer {
            Answer::Ack(data) => {
                let mut pieces = std::mem::take(&mut asked.pieces);
                pieces.extend_from_slice(data);
                self.finish(Ok(pieces));
            }
            Answer::Overflow(data) if asked.pieces.len() + data.len() > ANSWER_MAX => {
                self.finish(Err(RdmFailure::TooMuch(uid)));
            }
            Answer::Overflow(data) => {
                asked.pieces.extend_from_slice(data);
                self.ask_next(now);
            }
            Answer::Timer(tenths) => self.put_off(now, Span::from_millis(100 * i64::from(tenths))),
            Answer::Nack(reason) => self.finish(Err(RdmFailure::Nack(uid, reason))),
        }
    }

    fn queue_says(&mut self, now: ShowTime, parameter: u16, answer: Answer<'_>) {
        let Some(asked) = &mut self.asked else { return };
        match (parameter, answer) {
            // It has no queue after all: ask for the thing itself.
            (QUEUED_MESSAGE, Answer::Nack(_)) => {
                asked.phase = Phase::Question;
                self.ask_next(now);
            }
            // Nothing waits for us yet.
            (QUEUED_MESSAGE | STATUS_MESSAGES, _) => self.put_off(now, QUEUE_EVERY),
            // Something else waited before it.
            _ => self.ask_next(now),
        }
    }

    /// Asks on, in what is no repetition. Only transactions of this asking count: a piece that comes twice is one.
    fn ask_next(&mut self, now: ShowTime) {
        let Some(asked) = &mut self.asked else { return };
        asked.tries = 0;
        asked.transactions.clear();
        self.send(now);
    }

    fn put_off(&mut self, now: ShowTime, by: Span) {
        let Some(asked) = &mut self.asked else { return };
        asked.phase = Phase::PutOff;
        asked.transactions.clear();
        asked.due = now + by.max(QUEUE_EVERY);
    }

    fn finish(&mut self, answer: Result<Vec<u8>, RdmFailure>) {
        self.done.extend(self.asked.take().map(|asked| (asked.id, answer)));
    }
}
