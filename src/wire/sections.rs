//! The draft of a reply: records with their owners by reference and their RDATA in one buffer, ready to be
//! chosen from, ordered, cut and then assembled.

use std::ops::Range;

use super::{MAX_NAME, Question, rtype};

/// The sections of a message that hold records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Section {
    /// The answer.
    Answer,
    /// The authority.
    Authority,
    /// The additional, the OPT not counted.
    Additional,
}

/// Whose record it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The name asked for.
    Question,
    /// The name asked for from this label on: the zone of an SOA.
    Suffix(u8),
    /// A whole name in wire form that stands in the buffer from here on.
    Stored(u32),
    /// The name inside the RDATA (the target) of the record with that id in the same draft.
    Target(u16),
}

/// One record of a draft.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Where it goes.
    pub section: Section,
    /// TYPE.
    pub rtype: u16,
    /// TTL. Unit: seconds.
    pub ttl: u32,
    /// Whose it is.
    pub owner: Owner,
    /// What `Owner::Target` calls it: its number in the order of drafting, kept when records are reordered.
    pub(crate) id: u16,
    /// Where its RDATA stands in the buffer.
    start: u32,
    /// Bytes of RDATA.
    len: u16,
}

impl Record {
    /// What `Owner::Target` calls this record.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.id
    }
}

/// The records of a reply, drafted.
///
/// Shape: records stand in the order of their sections; RDATA is in wire form and whole, names in it uncompressed, except
/// for pointers into the question that `zone_name` writes when the question goes out as it came in.
/// Cost: a pointer to two buffers that are reused from query to query; no allocation once they have grown.
/// Source: DESIGN section 3, rules K-003, K-007.
#[derive(Clone, Default, Debug)]
pub struct Sections {
    /// What was drafted; none before the first record. On its way a reply is moved often, so it is one pointer.
    drafted: Option<Box<Drafted>>,
}

/// What was drafted.
#[derive(Clone, Default, Debug)]
struct Drafted {
    /// The records.
    records: Vec<Record>,
    /// RDATA and stored names.
    buffer: Vec<u8>,
    /// Whether RDATA may point into the question: only when it is echoed exactly as it is answered.
    pointers: bool,
}

impl Sections {
    /// Empties the draft; `pointers` says whether RDATA may point into the question section.
    pub fn clear(&mut self, pointers: bool) {
        // What was never drafted on has nothing to keep, unless it is to be told about pointers.
        if self.drafted.is_some() || pointers {
            let drafted = self.drafted_mut();
            drafted.records.clear();
            drafted.buffer.clear();
            drafted.pointers = pointers;
        }
    }

    /// Whether it holds buffers that are worth keeping for another draft.
    #[must_use]
    pub(crate) fn has_buffers(&self) -> bool {
        self.drafted.is_some()
    }

    /// What was drafted, made if nothing was.
    #[inline]
    fn drafted_mut(&mut self) -> &mut Drafted {
        self.drafted.get_or_insert_default()
    }

    /// The buffer.
    fn buffer(&self) -> &[u8] {
        self.drafted.as_deref().map_or(&[], |drafted| &drafted.buffer)
    }

    /// The records, in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        self.drafted.as_deref().map_or(&[], |drafted| &drafted.records)
    }

    /// The records, to reorder within a section or to change owner and TTL.
    pub fn records_mut(&mut self) -> &mut [Record] {
        self.drafted.as_deref_mut().map_or(&mut [], |drafted| &mut drafted.records)
    }

    /// Keeps the records for which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&Record) -> bool) {
        if let Some(drafted) = &mut self.drafted {
            drafted.records.retain(keep);
        }
    }

    /// Whether RDATA may point into the question.
    #[must_use]
    pub fn pointers(&self) -> bool {
        self.drafted.as_ref().is_some_and(|drafted| drafted.pointers)
    }

    /// Where the records of `section` stand.
    #[must_use]
    pub fn range(&self, section: Section) -> Range<usize> {
        let records = self.records();
        let start = records.partition_point(|record| record.section < section);
        let end = records.partition_point(|record| record.section <= section);
        start..end
    }

    /// The RDATA of a record of this draft.
    #[must_use]
    pub fn rdata(&self, record: &Record) -> &[u8] {
        let start = usize::try_from(record.start).unwrap_or(usize::MAX);
        self.buffer().get(start..start.saturating_add(usize::from(record.len))).unwrap_or_default()
    }

    /// A stored name, from its place to the end of the buffer.
    pub(crate) fn stored(&self, at: u32) -> &[u8] {
        self.buffer().get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default()
    }

    /// The name inside the RDATA of a record, uncompressed: the target of CNAME, NS, PTR or SRV.
    #[must_use]
    #[inline]
    pub fn target(&self, record: &Record) -> &[u8] {
        self.rdata(record).get(target_offset(record.rtype)..).unwrap_or_default()
    }

    /// The record with this id.
    pub(crate) fn by_id(&self, id: u16) -> Option<&Record> {
        // Nearly always records stand where they were drafted.
        let records = self.records();
        records
            .get(usize::from(id))
            .filter(|record| record.id == id)
            .or_else(|| records.iter().find(|record| record.id == id))
    }

    /// Stores a whole name for `Owner::Stored`.
    pub fn store_name(&mut self, name: &[u8]) -> Owner {
        let buffer = &mut self.drafted_mut().buffer;
        let at = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        buffer.extend_from_slice(name);
        Owner::Stored(at)
    }

    /// Adds a record whose RDATA `write` appends; returns its id for `Owner::Target`.
    ///
    /// Records must be added in the order of their sections. RDATA over 65,535 bytes is cut off by `write`'s caller: no
    /// record of ours comes near.
    #[inline]
    pub fn push(
        &mut self,
        section: Section,
        owner: Owner,
        rtype: u16,
        ttl: u32,
        write: impl FnOnce(&mut Rdata<'_>),
    ) -> u16 {
        debug_assert!(
            self.records().last().is_none_or(|last| last.section <= section),
            "records are drafted in the order of their sections"
        );
        let Drafted { records, buffer, pointers } = self.drafted_mut();
        let start = buffer.len();
        write(&mut Rdata { buffer, pointers: *pointers });
        let index = u16::try_from(records.len()).unwrap_or(u16::MAX);
        records.push(Record {
            section,
            rtype,
            ttl,
            owner,
            id: index,
            start: u32::try_from(start).unwrap_or(u32::MAX),
            len: u16::try_from(buffer.len() - start).unwrap_or(u16::MAX),
        });
        index
    }

    /// Gives the record at `index` another type and the RDATA that `write` appends; owner, TTL, section and id stay.
    ///
    /// The old RDATA stays in the buffer, so that owners that stand there stay whole. Errors: none; no record, no change.
    pub fn replace(&mut self, index: usize, rtype: u16, write: impl FnOnce(&mut Rdata<'_>)) {
        let Drafted { records, buffer, pointers } = self.drafted_mut();
        let Some(record) = records.get_mut(index) else { return };
        let start = buffer.len();
        write(&mut Rdata { buffer, pointers: *pointers });
        record.rtype = rtype;
        record.start = u32::try_from(start).unwrap_or(u32::MAX);
        record.len = u16::try_from(buffer.len() - start).unwrap_or(u16::MAX);
    }

    /// Adds an A or AAAA record, by the length of `address` (4 or 16 bytes).
    #[inline]
    pub fn push_address(&mut self, section: Section, owner: Owner, ttl: u32, address: &[u8]) {
        let rtype = if address.len() == 4 { rtype::A } else { rtype::AAAA };
        self.push(section, owner, rtype, ttl, |rdata| rdata.bytes(address));
    }

    /// Copies the answer records of `other`, the draft of a sub-query, behind the records here.
    ///
    /// Owners become stored names, since the question of `other` is not the question of this draft.
    /// Errors: none; `other` must have been drafted without pointers.
    pub fn append_answer(&mut self, other: &Self, question: &Question) {
        self.append(other, question, Section::Answer);
    }

    /// The same for the records of one section; sections are appended in their order.
    pub fn append(&mut self, other: &Self, question: &Question, section: Section) {
        for record in other.records().iter().filter(|record| record.section == section) {
            let mut owner = [0_u8; MAX_NAME];
            let length = other.owner_name(record, question, &mut owner);
            let owner = self.store_name(owner.get(..length).unwrap_or_default());
            self.push(section, owner, record.rtype, record.ttl, |rdata| rdata.bytes(other.rdata(record)));
        }
    }

    /// Writes the whole name of a record's owner into `name`; returns its length.
    pub fn owner_name(&self, record: &Record, question: &Question, name: &mut [u8; MAX_NAME]) -> usize {
        let source = match record.owner {
            Owner::Question => question.typed(),
            Owner::Suffix(label) => question.suffix(usize::from(label)),
            Owner::Stored(at) => self.stored(at),
            Owner::Target(id) => self.by_id(id).map(|target| self.target(target)).unwrap_or_default(),
        };
        let length = name_length(source);
        if let (Some(to), Some(from)) = (name.get_mut(..length), source.get(..length)) {
            to.copy_from_slice(from);
        }
        length
    }
}

/// Records at rest: those of a draft, in as many bytes as they take, shared by all replies that are made of them.
///
/// Shape: owners are relative to the question where they were, so that a reply follows the letters of its own question
/// (rule C-01); RDATA is whole and uncompressed.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The records.
    records: Box<[Record]>,
    /// RDATA and stored names.
    buffer: Box<[u8]>,
}

impl Kept {
    /// The records of a draft that was made without pointers. Cost: two allocations.
    #[must_use]
    pub fn new(sections: &Sections) -> Self {
        debug_assert!(!sections.pointers(), "RDATA that points into a question can't be kept");
        Self { records: sections.records().into(), buffer: sections.buffer().into() }
    }

    /// The records, in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What it holds in memory. Unit: bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.records) + self.buffer.len()
    }
}

impl Sections {
    /// Makes the draft a copy of `kept`. Cost: two copies of memory.
    #[inline]
    pub fn load(&mut self, kept: &Kept) {
        let drafted = self.drafted_mut();
        drafted.records.clear();
        drafted.records.extend_from_slice(&kept.records);
        drafted.buffer.clear();
        drafted.buffer.extend_from_slice(&kept.buffer);
        drafted.pointers = false;
    }
}

/// Where in its RDATA a record of this type has its name.
pub(crate) fn target_offset(rtype: u16) -> usize {
    match rtype {
        rtype::SRV => 6,
        rtype::MX | rtype::SVCB | rtype::HTTPS => 2,
        _ => 0,
    }
}

/// Bytes of the name at the front of `wire`, its zero included.
pub(crate) fn name_length(wire: &[u8]) -> usize {
    let mut at = 0_usize;
    while let Some(&length) = wire.get(at) {
        at += 1 + usize::from(length);
        if length == 0 {
            break;
        }
    }
    at.min(wire.len())
}

/// Writes the RDATA of one record.
pub struct Rdata<'a> {
    /// The draft's buffer.
    buffer: &'a mut Vec<u8>,
    /// Whether a name may end in a pointer into the question.
    pointers: bool,
}

impl Rdata<'_> {
    /// Bytes as they are.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A 16-bit number.
    #[inline]
    pub fn word(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// A 32-bit number.
    #[inline]
    pub fn long(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// A label.
    #[inline]
    pub fn label(&mut self, label: &[u8]) {
        self.buffer.push(u8::try_from(label.len()).unwrap_or(63));
        self.bytes(label);
    }

    /// The rest of a name: the zone, which is the question from label `zone` on, spelled out (SRV, CNAME, NS, PTR targets).
    #[inline]
    pub fn zone(&mut self, question: &Question, zone: usize) {
        self.bytes(question.suffix(zone));
    }

    /// The rest of a name, as a pointer into the question where that is allowed: only in RDATA of RFC 1035's own types.
    #[inline]
    pub fn zone_pointer(&mut self, question: &Question, zone: usize) {
        if self.pointers {
            // The question stands at offset 12 and is at most 255 bytes long, so 14 bits hold the place.
            let place = u16::try_from(12 + question.start(zone)).unwrap_or(12);
            self.word(0xc000 | place);
        } else {
            self.zone(question, zone);
        }
    }
}
