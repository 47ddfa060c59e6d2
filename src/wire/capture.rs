//! A capture: what universes showed, and what phones were told, heard live, and said, as a file. Only what changed
//! is in it.
//!
//! All numbers are little-endian; a *varint* is LEB128, seven bits an octet, the lowest first, of 64 bits at most.
//!
//! | octets | head |
//! |---|---|
//! | 0..4 | `DBLC` |
//! | 4 | version: 1, or 4 where there is talk in it; 2 is talk without sound, 3 without pictures |
//! | 5 | 0 |
//! | 6..14 | show time at position 0, TAI nanoseconds, signed |
//! | 14..16 | how many universes |
//! | 16..18 | length of the show's title in octets |
//! | then | the title, UTF-8; the universes, two octets each, ascending |
//!
//! Records follow: two octets of length, then so many of content. A varint says how many nanoseconds have gone since
//! the record before, another which universe by its place in the head. Its number of universes, one beyond the last, is
//! a *mark*: the capture goes on at least until then. Else changes follow: a varint of slots that are as before, a
//! varint `2 * count`, or `2 * count + 1` for one octet that stands for all of them, then the octets. Every universe
//! begins with all slots at 0, and its first record may change nothing. Numbers beyond the mark's are *talk*'s: see
//! [`talk`]; those of kinds that are not known yet are marks.
//!
//! A file may be cut anywhere: every whole record before the cut is read.

pub mod talk;

use std::io::Read;
use std::ops::Range;

use units::{ShowTime, Span, Universe};

use crate::stored::fill;
use talk::{Line, Talk};

/// What a capture begins with.
pub const MAGIC: [u8; 4] = *b"DBLC";

mod field {
    use super::Range;
    pub const MAGIC: Range<usize> = 0..4;
    pub const VERSION: usize = 4;
    pub const ZERO: usize = 5;
    pub const BEGAN: Range<usize> = 6..14;
    pub const UNIVERSES: Range<usize> = 14..16;
    pub const TITLE: Range<usize> = 16..18;
    pub const END: usize = 18;
}

const VERSION: u8 = 1;
/// Of captures that have talk, and no sound.
const VERSION_TALK: u8 = 2;
/// Of those that may have sound, and no pictures.
const VERSION_SOUND: u8 = 3;
/// Of those that may have all of it.
const VERSION_PICTURES: u8 = 4;
/// So many like ones in a row are shorter as one octet and a count, whatever stands beside them.
const REPEAT_MIN: usize = 4;
/// Two unchanged slots or fewer between changes are shorter as changes.
const GAP_MAX: usize = 2;
/// A week: more is damage.
const LENGTH_MAX: Span = Span::from_secs(7 * 24 * 3600);

/// Why bytes are no capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// Another kind of file.
    #[error("it is no capture: it does not begin with DBLC")]
    Magic,
    /// Written by a newer Downbeat.
    #[error("it is a capture of version {0}; this Downbeat reads versions 1 to 4")]
    Version(u8),
    /// Cut before its first record, or damaged there.
    #[error("its head is broken")]
    Head,
    /// Damaged; what stands before has been read.
    #[error("it is damaged at byte {0}")]
    Damaged(u64),
    /// The disk failed; what stands before has been read.
    #[error("the disk does not give it: {0}")]
    Unread(std::io::ErrorKind),
}

/// What stands before the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The show's title.
    pub title: String,
    /// Show time at position 0.
    pub began: ShowTime,
    /// Ascending, each once.
    pub universes: Vec<Universe>,
}

/// How a universe looks from a position on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record<'a> {
    /// It changed, or is there for the first time.
    Frame {
        /// Since position 0.
        at: Span,
        /// Place among [`Head::universes`].
        index: usize,
        /// All of them.
        slots: &'a [u8; Universe::SLOTS],
    },
    /// Phones were told something, heard something live, or one of them said something.
    Talk {
        /// Since position 0.
        at: Span,
        /// What.
        talk: Talk<'a>,
    },
    /// Nothing changed until then.
    Mark {
        /// Since position 0.
        at: Span,
    },
}

impl Record<'_> {
    /// Since position 0.
    pub fn at(&self) -> Span {
        match self {
            Self::Frame { at, .. } | Self::Talk { at, .. } | Self::Mark { at } => *at,
        }
    }
    /// Whether nothing changed.
    pub fn is_mark(&self) -> bool {
        matches!(self, Self::Mark { .. })
    }
}

/// Gives on a capture that comes in pieces, whole records alone, and ends it at a place of its own time: whoever wants three
/// seconds has three, however long the first piece was on its way.
#[derive(Debug)]
pub struct Cut {
    end: Span,
    at: Span,
    /// By the head, once that has come.
    universes: Option<usize>,
    pending: Vec<u8>,
    has_records: bool,
}

impl Cut {
    /// One that ends so far behind its beginning.
    pub fn new(end: Span) -> Self {
        Self { end, at: Span::ZERO, universes: None, pending: Vec::new(), has_records: false }
    }

    /// Whether more than the head has been given on.
    pub fn has_records(&self) -> bool {
        self.has_records
    }

    /// The next piece: what is whole by now goes to `out`. Whether the end is reached, behind which nothing may follow.
    pub fn take(&mut self, piece: &[u8], out: &mut Vec<u8>) -> bool {
        self.pending.extend(piece);
        let mut whole = 0;
        if self.universes.is_none() {
            let Ok((head, records)) = head(&self.pending) else { return false };
            (self.universes, whole) = (Some(head.universes.len()), records);
        }
        let mut is_over = false;
        while let Some(record) = first_record(&self.pending[whole..]) {
            let at = self.at + gone(&record[2..]);
            is_over = at > self.end;
            if is_over {
                break;
            }
            (self.at, self.has_records) = (at, true);
            whole += record.len();
        }
        out.extend(self.pending.drain(..whole));
        if is_over {
            self.mark_end(out);
        }
        is_over
    }

    fn mark_end(&mut self, out: &mut Vec<u8>) {
        let mut content = Vec::new();
        put((self.end - self.at).ns() as u64, &mut content);
        put(self.universes.unwrap_or_default() as u64, &mut content);
        out.extend((content.len() as u16).to_le_bytes());
        out.extend(content);
        self.has_records = true;
    }
}

/// With its length before it, if it is whole.
fn first_record(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.first_chunk().map(|it| usize::from(u16::from_le_bytes(*it)))?;
    bytes.get(..2 + length)
}

/// Since the record before. What does not say is as good as nothing; whoever reads it says that it is damaged.
fn gone(mut content: &[u8]) -> Span {
    let gone = take(&mut content).and_then(|gone| i64::try_from(gone).ok());
    Span::from_ns(gone.unwrap_or_default().min(LENGTH_MAX.ns()))
}

/// Writes a capture, record by record, into whatever buffer it is given.
#[derive(Debug, Clone)]
pub struct Writer {
    universes: Vec<Universe>,
    /// By universe; none before its first record.
    last: Vec<Option<Box<[u8; Universe::SLOTS]>>>,
    began: ShowTime,
    at: Span,
    scratch: Vec<u8>,
    talk: Option<talk::Names>,
    pace: talk::Pace,
}

impl Writer {
    /// Writes the head to `out`. Universes are sorted, each is once; a title is cut to 255 octets.
    pub fn new(head: Head, out: &mut Vec<u8>) -> Self {
        Self::begin(head, None, out)
    }

    /// One that writes what phones were told, heard live, and said, too.
    pub fn with_talk(head: Head, out: &mut Vec<u8>) -> Self {
        Self::begin(head, Some(talk::Names::default()), out)
    }

    fn begin(mut head: Head, talk: Option<talk::Names>, out: &mut Vec<u8>) -> Self {
        head.universes.sort();
        head.universes.dedup();
        let title = fitting(&head.title);
        out.extend(MAGIC);
        out.extend([if talk.is_some() { VERSION_PICTURES } else { VERSION }, 0]);
        out.extend(head.began.ns().to_le_bytes());
        out.extend((head.universes.len() as u16).to_le_bytes());
        out.extend((title.len() as u16).to_le_bytes());
        out.extend(title.as_bytes());
        out.extend(head.universes.iter().flat_map(|it| it.number().to_le_bytes()));
        let last = vec![None; head.universes.len()];
        let universes = head.universes;
        let (began, scratch, pace) = (head.began, Vec::new(), talk::Pace::default());
        Self { universes, last, began, at: Span::ZERO, scratch, talk, pace }
    }

    /// What phones were told, heard, or one said at `at`. Nothing is written by a writer without talk, of what is too
    /// long, of what belongs to something that was told before the capture began, of sound and pictures that come too
    /// late, of sound that begins within other sound, or of pictures that do not follow each other.
    pub fn talk(&mut self, at: ShowTime, line: &Line, out: &mut Vec<u8>) {
        let Some(mut names) = self.talk.take() else { return };
        if let Some(phone) = names.stranger(line) {
            self.line(at, &Line::Came { phone }, &mut names, out);
        }
        self.line(at, line, &mut names, out);
        self.talk = Some(names);
    }

    fn line(&mut self, at: ShowTime, line: &Line, names: &mut talk::Names, out: &mut Vec<u8>) {
        let place = at - self.began;
        let is_live = matches!(line, Line::Sound { .. } | Line::Picture { .. });
        if is_live && (place < self.at || !self.pace.admit_line(place, line)) {
            return;
        }
        let mut content = Vec::new();
        let Some(kind) = names.write(line, &mut content) else { return };
        self.scratch.clear();
        let gone = self.go_on(at);
        put(gone, &mut self.scratch);
        put((self.universes.len() + 1 + kind) as u64, &mut self.scratch);
        self.scratch.extend(content);
        self.finish(out);
    }

    /// A universe as it shows from `at` on. Nothing is written of one that has not changed or is not in the head; what
    /// comes out of order counts as being there at the latest record's time.
    pub fn frame(
        &mut self,
        at: ShowTime,
        universe: Universe,
        slots: &[u8; Universe::SLOTS],
        out: &mut Vec<u8>,
    ) {
        let Ok(index) = self.universes.binary_search(&universe) else { return };
        let dark = [0; Universe::SLOTS];
        let last = self.last[index].as_deref();
        if last == Some(slots) {
            return;
        }
        self.scratch.clear();
        let gone = self.go_on(at);
        put(gone, &mut self.scratch);
        put(index as u64, &mut self.scratch);
        changes(self.last[index].as_deref().unwrap_or(&dark), slots, &mut self.scratch);
        self.last[index] = Some(Box::new(*slots));
        self.finish(out);
    }

    /// The capture goes on at least until `at`.
    pub fn mark(&mut self, at: ShowTime, out: &mut Vec<u8>) {
        self.scratch.clear();
        let gone = self.go_on(at);
        put(gone, &mut self.scratch);
        put(self.universes.len() as u64, &mut self.scratch);
        self.finish(out);
    }

    fn go_on(&mut self, at: ShowTime) -> u64 {
        let at = (at - self.began).clamp(self.at, LENGTH_MAX);
        let gone = at - self.at;
        self.at = at;
        gone.ns() as u64
    }

    fn finish(&self, out: &mut Vec<u8>) {
        let length = u16::try_from(self.scratch.len())
            .expect("512 slots are below 2 kB, and talk has its limit");
        out.extend(length.to_le_bytes());
        out.extend(&self.scratch);
    }
}

/// A title that the head holds.
fn fitting(title: &str) -> &str {
    let end = (0..=title.len().min(255)).rev().find(|end| title.is_char_boundary(*end));
    &title[..end.unwrap_or(0)]
}

fn changes(from: &[u8; Universe::SLOTS], to: &[u8; Universe::SLOTS], out: &mut Vec<u8>) {
    let differs = |slot: usize| from[slot] != to[slot];
    let (mut slot, mut told) = (0, 0);
    while let Some(begin) = (slot..Universe::SLOTS).find(|slot| differs(*slot)) {
        let alike = to[begin..].iter().take_while(|octet| **octet == to[begin]).count();
        put((begin - told) as u64, out);
        if alike >= REPEAT_MIN {
            put(2 * alike as u64 + 1, out);
            out.push(to[begin]);
            slot = begin + alike;
        } else {
            let end = end_of_changes(begin, to, differs);
            put(2 * (end - begin) as u64, out);
            out.extend(&to[begin..end]);
            slot = end;
        }
        told = slot;
    }
}

/// Up to a gap that is worth a new run, or a row of like octets.
fn end_of_changes(
    begin: usize,
    to: &[u8; Universe::SLOTS],
    differs: impl Fn(usize) -> bool,
) -> usize {
    let (mut end, mut slot) = (begin + 1, begin + 1);
    while slot < Universe::SLOTS && slot - end <= GAP_MAX {
        let rest = &to[slot..];
        let alike = rest.len() >= REPEAT_MIN && rest[..REPEAT_MIN].iter().all(|it| *it == rest[0]);
        if differs(slot) {
            if alike {
                return end;
            }
            end = slot + 1;
        }
        slot += 1;
    }
    end
}

/// Reads a capture, record by record, from wherever its bytes come.
#[derive(Debug, Clone)]
pub struct Reader<R> {
    head: Head,
    bytes: R,
    has_talk: bool,
    /// Where the next record begins.
    next: u64,
    at: Span,
    /// By universe; made when it has its first record.
    slots: Vec<Option<Box<[u8; Universe::SLOTS]>>>,
    content: Vec<u8>,
    is_cut: bool,
    is_over: bool,
    pace: talk::Pace,
}

/// A place between two records, from which reading can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Octets before it.
    pub offset: u64,
    /// The time of the record before it.
    pub at: Span,
    /// How each universe looks; none before its first record.
    pub slots: Vec<Option<Box<[u8; Universe::SLOTS]>>>,
}

impl<R: Read> Reader<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(mut bytes: R) -> Result<Self, CaptureError> {
        let mut first = vec![0; field::END];
        let there = fill(&mut bytes, &mut first).map_err(unread)?;
        first.truncate(there);
        if let Ok(more) = named_len(&first) {
            first.resize(field::END + more, 0);
            let there = fill(&mut bytes, &mut first[field::END..]).map_err(unread)?;
            first.truncate(field::END + there);
        }
        let (head, next) = head(&first)?;
        let has_talk = first[field::VERSION] != VERSION;
        let slots = vec![None; head.universes.len()];
        let begin = Place { offset: next as u64, at: Span::ZERO, slots };
        Ok(Self { has_talk, ..Self::resume(head, begin, bytes) })
    }

    /// Goes on at a place of a capture whose head is known, for its light or what was live alone; `bytes` are those from
    /// there on.
    pub fn resume(head: Head, place: Place, bytes: R) -> Self {
        let Place { offset: next, at, slots } = place;
        let (content, has_talk, pace) = (Vec::new(), true, talk::Pace::default());
        let (is_cut, is_over) = (false, false);
        Self { head, bytes, has_talk, next, at, slots, content, is_cut, is_over, pace }
    }

    /// Whether what phones were told, heard and said is in it.
    pub fn has_talk(&self) -> bool {
        self.has_talk
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        Place { offset: self.next, at: self.at, slots: self.slots.clone() }
    }

    /// Octets before the next record.
    pub fn offset(&self) -> u64 {
        self.next
    }

    /// The time of the last record.
    pub fn at(&self) -> Span {
        self.at
    }

    /// How a universe looks now, by its place in the head; none before its first record.
    pub fn stands(&self, index: usize) -> Option<&[u8; Universe::SLOTS]> {
        self.slots.get(index)?.as_deref()
    }

    /// What stands before the records.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Whether the last record was not whole; known when there is no next one.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The next record; none at the end, or at the cut.
    ///
    /// # Errors
    /// [`CaptureError::Damaged`] or [`CaptureError::Unread`], and no record after that.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, CaptureError> {
        let place = self.next;
        let is_whole = !self.is_over && self.fetch().inspect_err(|_| self.is_over = true)?;
        self.is_over = !is_whole;
        if !is_whole {
            return Ok(None);
        }
        let content = std::mem::take(&mut self.content);
        let taken = self.take(&content);
        self.content = content;
        let at = self.at;
        let record = match taken {
            Some(Taken::Mark) => Some(Record::Mark { at }),
            Some(Taken::Frame(index)) => {
                self.slots[index].as_deref().map(|slots| Record::Frame { at, index, slots })
            }
            Some(Taken::Talk { kind, from }) => {
                let talk = talk::read(kind, &self.content[from..]);
                talk.filter(|talk| self.pace.admit(at, talk)).map(|talk| Record::Talk { at, talk })
            }
            None => None,
        };
        self.is_over = record.is_none();
        record.map(Some).ok_or(CaptureError::Damaged(place))
    }

    /// The content of the next record comes; false if there is none that is whole.
    fn fetch(&mut self) -> Result<bool, CaptureError> {
        let mut length = [0; 2];
        let there = fill(&mut self.bytes, &mut length).map_err(unread)?;
        self.content.resize(usize::from(u16::from_le_bytes(length)), 0);
        let content = match there {
            2 => fill(&mut self.bytes, &mut self.content).map_err(unread)?,
            _ => 0,
        };
        self.is_cut = there == 1 || (there == 2 && content < self.content.len());
        self.next += (there + content) as u64;
        Ok(there == 2 && !self.is_cut)
    }

    /// Takes a record in.
    fn take(&mut self, record: &[u8]) -> Option<Taken> {
        let mut content = record;
        let gone = Span::from_ns(i64::try_from(take(&mut content)?).ok()?);
        let at = (gone <= LENGTH_MAX - self.at).then(|| self.at + gone)?;
        let index = usize::try_from(take(&mut content)?).ok()?;
        if let Some(kind) = index.checked_sub(self.slots.len()) {
            self.at = at;
            let from = record.len() - content.len();
            return match kind.checked_sub(1) {
                None => content.is_empty().then_some(Taken::Mark),
                Some(kind) if self.has_talk && !talk::is_known(kind) => Some(Taken::Mark),
                Some(kind) => self.has_talk.then_some(Taken::Talk { kind, from }),
            };
        }
        let slots = self.slots.get_mut(index)?;
        change(slots.get_or_insert_with(|| Box::new([0; Universe::SLOTS])), content)?;
        self.at = at;
        Some(Taken::Frame(index))
    }
}

/// What a record is.
enum Taken {
    Mark,
    Frame(usize),
    /// What it says stands in the record from there on.
    Talk {
        kind: usize,
        from: usize,
    },
}

fn unread(error: std::io::Error) -> CaptureError {
    CaptureError::Unread(error.kind())
}

/// How many octets the title and the universes take.
fn named_len(fixed: &[u8]) -> Result<usize, CaptureError> {
    if fixed.get(field::MAGIC) != Some(&MAGIC) {
        return Err(CaptureError::Magic);
    }
    let fixed = fixed.get(..field::END).ok_or(CaptureError::Head)?;
    let known = [VERSION, VERSION_TALK, VERSION_SOUND, VERSION_PICTURES];
    if !known.contains(&fixed[field::VERSION]) {
        return Err(CaptureError::Version(fixed[field::VERSION]));
    }
    let two =
        |at: Range<usize>| usize::from(u16::from_le_bytes([fixed[at.start], fixed[at.start + 1]]));
    Ok(two(field::TITLE) + 2 * two(field::UNIVERSES))
}

fn head(bytes: &[u8]) -> Result<(Head, usize), CaptureError> {
    let records = field::END + named_len(bytes)?;
    let fixed = &bytes[..field::END];
    let title_len = u16::from_le_bytes([fixed[field::TITLE.start], fixed[field::TITLE.start + 1]]);
    let named = field::END + usize::from(title_len);
    let title = bytes.get(field::END..named).and_then(|title| std::str::from_utf8(title).ok());
    let numbers = bytes.get(named..records).ok_or(CaptureError::Head)?;
    let universe = |two: &[u8]| Universe::new(u32::from(u16::from_le_bytes([two[0], two[1]]))).ok();
    let universes: Option<Vec<Universe>> = numbers.chunks_exact(2).map(universe).collect();
    let universes = universes.filter(|it| it.windows(2).all(|pair| pair[0] < pair[1]));
    let began = fixed[field::BEGAN].try_into().expect("eight octets");
    let head = Head {
        title: title.ok_or(CaptureError::Head)?.to_owned(),
        began: ShowTime::from_ns(i64::from_le_bytes(began)),
        universes: universes.filter(|_| fixed[field::ZERO] == 0).ok_or(CaptureError::Head)?,
    };
    Ok((head, records))
}

/// None, and slots that are not to be used, if the changes are damaged.
fn change(slots: &mut [u8; Universe::SLOTS], mut content: &[u8]) -> Option<()> {
    let mut slot = 0usize;
    while !content.is_empty() {
        let begin = slot.checked_add(usize::try_from(take(&mut content)?).ok()?)?;
        let count = take(&mut content)?;
        slot = begin.checked_add(usize::try_from(count / 2).ok()?)?;
        let to = slots.get_mut(begin..slot).filter(|to| !to.is_empty())?;
        let octets = if count % 2 == 1 { 1 } else { to.len() };
        let (from, rest) = content.split_at_checked(octets)?;
        content = rest;
        match count % 2 {
            1 => to.fill(from[0]),
            _ => to.copy_from_slice(from),
        }
    }
    Some(())
}

fn put(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(content: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (octet, rest) = content.split_first()?;
        *content = rest;
        let part = u64::from(octet & 0x7f);
        value |= (part << shift >> shift == part).then_some(part << shift)?;
        if octet & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Shown = (Span, usize, Vec<u8>);

    fn written(frames: &[(i64, u32, [u8; Universe::SLOTS])]) -> (Vec<u8>, Vec<usize>) {
        let universe = |number| Universe::new(number).expect("in range");
        let began = ShowTime::from_ns(5_000);
        let (title, universes) = ("Ouvertüre".to_owned(), vec![universe(7), universe(1)]);
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let mut writer = Writer::new(Head { title, began, universes }, &mut bytes);
        for (at, number, slots) in frames {
            writer.frame(began + Span::from_millis(*at), universe(*number), slots, &mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn read(bytes: &[u8]) -> (Vec<Shown>, bool) {
        let mut reader = Reader::new(bytes).expect("a capture");
        let mut all = Vec::new();
        while let Some(record) = reader.next_record().expect("no damage") {
            if let Record::Frame { at, index, slots } = record {
                all.push((at, index, slots.to_vec()));
            }
        }
        (all, reader.is_cut())
    }

    #[test]
    fn what_was_written_is_read_and_what_did_not_change_takes_nothing() {
        let mut lit = [0; Universe::SLOTS];
        lit[3..200].fill(255);
        lit[202] = 7;
        let frames = [(0, 1, [0; Universe::SLOTS]), (23, 7, lit), (46, 7, lit), (69, 1, lit)];
        let (bytes, ends) = written(&frames);
        assert_eq!(ends[1], ends[2], "the same again");
        assert!(ends[3] - ends[0] < 40, "197 like slots are a few octets: {ends:?}");
        let shown = |frame: usize, index| {
            (Span::from_millis(frames[frame].0), index, frames[frame].2.to_vec())
        };
        assert_eq!(read(&bytes), (vec![shown(0, 0), shown(1, 1), shown(3, 0)], false));
        let head = Reader::new(&bytes[..]).expect("a capture").head().clone();
        assert_eq!((head.title.as_str(), head.universes.len()), ("Ouvertüre", 2));
    }

    #[test]
    fn sx20_a_capture_that_is_to_be_so_long_is_so_long_in_whatever_pieces_it_comes() {
        let frames: Vec<_> =
            (0..40).map(|n| (i64::from(n) * 25, 1 + 6 * (n % 2), [n as u8 + 1; 512])).collect();
        let (bytes, _) = written(&frames);
        for (size, end_ms) in [(1, 510), (7, 500), (4_000, 510), (bytes.len(), 0)] {
            let (mut cut, mut out) = (Cut::new(Span::from_millis(end_ms)), Vec::new());
            let ended = bytes.chunks(size).position(|piece| cut.take(piece, &mut out));
            assert!(ended.is_some() && cut.has_records(), "{size}");
            let mut reader = Reader::new(&out[..]).expect("a capture");
            let (mut at, mut count) = (Span::ZERO, 0);
            while let Some(record) = reader.next_record().expect("no damage") {
                (at, count) = (record.at(), count + 1);
            }
            let wanted = (Span::from_millis(end_ms), end_ms / 25 + 2, false);
            assert_eq!((at, count, reader.is_cut()), wanted, "in pieces of {size}");
        }
        let (mut cut, mut out) = (Cut::new(Span::from_secs(9)), Vec::new());
        assert!(!cut.take(&bytes, &mut out) && out == bytes, "all of one that ends before");
    }

    proptest! {
        #[test]
        fn sx20_of_a_file_cut_anywhere_every_whole_frame_before_the_cut_is_read(
            seed in proptest::collection::vec((0..9i64, 0..2u32, proptest::collection::vec((0..512usize, any::<u8>()), 0..40)), 1..12),
            cut in 0.0..1.0f64,
        ) {
            let (mut at, mut slots) = (0, [[0; Universe::SLOTS]; 2]);
            let frames: Vec<_> = seed.iter().map(|(gone, which, changes)| {
                at += gone;
                changes.iter().for_each(|(slot, level)| slots[*which as usize][*slot] = *level);
                (at, 1 + 6 * which, slots[*which as usize])
            }).collect();
            let (bytes, ends) = written(&frames);
            let (all, is_cut) = read(&bytes);
            prop_assert!(!is_cut);
            let records = ends.iter().collect::<std::collections::BTreeSet<_>>();
            let head = field::END + "Ouvertüre".len() + 4;
            let cut = head + ((bytes.len() - head) as f64 * cut) as usize;
            let (some, was_cut) = read(&bytes[..cut]);
            let mut whole = Vec::new();
            Cut::new(LENGTH_MAX).take(&bytes[..cut], &mut whole);
            prop_assert_eq!(&whole[..], &bytes[..whole.len()]);
            prop_assert_eq!(whole.len(), records.iter().map(|it| **it).filter(|end| *end <= cut).max().unwrap_or(head).max(head));
            let whole = records.iter().filter(|end| ***end <= cut && ***end > head).count();
            prop_assert_eq!(&some[..], &all[..whole]);
            prop_assert_eq!(was_cut, cut != head && !records.contains(&cut));
        }
    }
}
