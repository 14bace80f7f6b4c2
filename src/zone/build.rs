//! A zone: its records by name, and how it is put together.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::{canonical, labels, within};
use crate::wire::{MAX_NAME, rtype};

/// The most bytes of an owner and RDATA together, so that a message holds any record with its question and OPT.
const LONGEST: usize = 65_000;

/// Bytes of an SOA's numbers behind its names.
const SOA_NUMBERS: usize = 20;

/// Why a record or a zone is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Its owner does not lie in the zone.
    #[error("the record lies outside of the zone")]
    Outside,
    /// No message holds it.
    #[error("the record is longer than a message can be")]
    TooLong,
    /// The zone has another SOA.
    #[error("the zone has two SOA records")]
    SecondSoa,
    /// An SOA below the zone's own name.
    #[error("an SOA record stands below the name of the zone")]
    InnerSoa,
    /// There is no SOA.
    #[error("the zone has no SOA record at its own name")]
    NoSoa,
    /// The SOA is cut off.
    #[error("the SOA record can't be read")]
    BadSoa,
    /// NSEC3 records.
    #[error("zones with NSEC3 are not served: sign with NSEC")]
    Nsec3,
    /// There are more records or bytes than a zone may have.
    #[error("the zone is larger than a zone may be")]
    TooLarge,
}

/// A record of a zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// TYPE.
    pub(super) rtype: u16,
    /// Bytes of RDATA.
    len: u16,
    /// TTL. Unit: seconds.
    pub(super) ttl: u32,
    /// Where its RDATA begins.
    start: u32,
}

/// A name that has records.
#[derive(Debug)]
pub(super) struct Node {
    /// Wire form, lower case.
    pub(super) name: Arc<[u8]>,
    /// Where its records stand, sorted by type.
    first: u32,
    /// How many there are.
    count: u32,
    /// Whether it has NS records and is not the zone itself: a cut.
    pub(super) cut: bool,
    /// Whether it has a DNAME.
    pub(super) dname: bool,
}

/// A zone.
///
/// Shape: `nodes` in canonical order, the zone's own name first; names without records above others are only in `places`.
#[derive(Debug)]
pub struct Zone {
    /// Its name, wire form, lower case.
    pub(super) origin: Arc<[u8]>,
    /// How many labels that has.
    pub(super) labels: usize,
    /// Names that have records.
    pub(super) nodes: Box<[Node]>,
    /// Where each name stands in `nodes`; `EMPTY` for one that has no records and others below it.
    places: HashMap<Arc<[u8]>, u32, foldhash::fast::RandomState>,
    /// Records, those of a name together.
    records: Box<[Record]>,
    /// RDATA.
    buffer: Box<[u8]>,
    /// Where the SOA stands in `records`.
    pub(super) soa: usize,
    /// The numbers of the SOA: serial, refresh, retry, expire, minimum.
    numbers: [u32; 5],
    /// Whether any record is a signature: else nobody looks for proofs.
    signed: bool,
}

/// The place of a name without records.
const EMPTY: u32 = u32::MAX;

/// What there is at a name.
pub(super) enum At<'z> {
    /// Records.
    Node(&'z Node),
    /// No records, but names below.
    Empty,
    /// Nothing.
    Nothing,
}

impl Zone {
    /// The name, wire form, lower case.
    #[must_use]
    pub fn origin(&self) -> &Arc<[u8]> {
        &self.origin
    }

    /// The serial.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.numbers[0]
    }

    /// The SOA's refresh, retry and expire. Unit: seconds.
    #[must_use]
    pub fn timing(&self) -> [u32; 3] {
        [self.numbers[1], self.numbers[2], self.numbers[3]]
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record; never, a zone has an SOA.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What there is at a name (wire form, lower case). Cost: one hash.
    pub(super) fn at(&self, name: &[u8]) -> At<'_> {
        match self.places.get(name) {
            None => At::Nothing,
            Some(&EMPTY) => At::Empty,
            Some(&place) => usize::try_from(place)
                .ok()
                .and_then(|place| self.nodes.get(place))
                .map_or(At::Nothing, At::Node),
        }
    }

    /// All records of a name, sorted by type.
    pub(super) fn records_of(&self, node: &Node) -> &[Record] {
        let first = usize::try_from(node.first).unwrap_or(usize::MAX);
        let count = usize::try_from(node.count).unwrap_or(0);
        self.records.get(first..first.saturating_add(count)).unwrap_or_default()
    }

    /// The records of one type at a name. Cost: two binary searches.
    pub(super) fn set(&self, node: &Node, rtype: u16) -> &[Record] {
        let all = self.records_of(node);
        let start = all.partition_point(|record| record.rtype < rtype);
        let end = all.partition_point(|record| record.rtype <= rtype);
        all.get(start..end).unwrap_or_default()
    }

    /// The RDATA of a record.
    pub(super) fn rdata(&self, record: &Record) -> &[u8] {
        let start = usize::try_from(record.start).unwrap_or(usize::MAX);
        self.buffer.get(start..start.saturating_add(usize::from(record.len))).unwrap_or_default()
    }

    /// The signatures over the records of one type at a name.
    pub(super) fn signatures(&self, node: &Node, covered: u16) -> impl Iterator<Item = &Record> {
        let covered = covered.to_be_bytes();
        self.set(node, rtype::RRSIG)
            .iter()
            .filter(move |record| self.rdata(record).get(..2) == Some(&covered))
    }

    /// The zone's own name.
    pub(super) fn apex(&self) -> Option<&Node> {
        self.nodes.first()
    }

    /// The name with a proof of denial that covers `name`: the last one before it or itself.
    pub(super) fn before(&self, name: &[u8]) -> Option<&Node> {
        if !self.signed {
            return None;
        }
        let end = self.nodes.partition_point(|node| canonical(&node.name, name).is_le());
        let mut nodes = self.nodes.get(..end)?.iter().rev();
        nodes.find(|node| !self.set(node, rtype::NSEC).is_empty())
    }
}

/// A record while a zone is put together.
struct Draft {
    /// The number of its owner in the order of coming.
    owner: u32,
    /// The record.
    record: Record,
}

/// Puts a zone together, record by record.
pub struct Builder {
    /// The zone's name.
    origin: Arc<[u8]>,
    /// Owners, numbered in the order of coming.
    owners: HashMap<Arc<[u8]>, u32, foldhash::fast::RandomState>,
    /// The same by number.
    names: Vec<Arc<[u8]>>,
    /// Records.
    drafts: Vec<Draft>,
    /// RDATA.
    buffer: Vec<u8>,
    /// Whether there is an SOA.
    soa: Option<usize>,
}

impl Builder {
    /// A zone of this name (wire form, lower case) without records.
    #[must_use]
    pub fn new(origin: &[u8]) -> Self {
        Self {
            origin: origin.into(),
            owners: HashMap::default(),
            names: Vec::new(),
            drafts: Vec::new(),
            buffer: Vec::new(),
            soa: None,
        }
    }

    /// About how much it holds. Unit: bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        // A name stands in two tables of about 100 bytes a name.
        self.buffer.len() + self.drafts.len() * size_of::<Draft>() + self.names.len() * (MAX_NAME / 2 + 100)
    }

    /// Adds a record: owner in wire form, RDATA whole. The same SOA twice is one.
    ///
    /// Errors: `Refusal`; the zone stays as it was.
    pub fn add(&mut self, owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) -> Result<(), Refusal> {
        let name = owner.to_ascii_lowercase();
        if !within(&name, &self.origin) {
            return Err(Refusal::Outside);
        }
        if name.len() + rdata.len() > LONGEST {
            return Err(Refusal::TooLong);
        }
        if matches!(rtype, 50 | 51) {
            return Err(Refusal::Nsec3);
        }
        if rtype == rtype::SOA {
            if *name != *self.origin {
                return Err(Refusal::InnerSoa);
            }
            if rdata.len() < SOA_NUMBERS + 2 {
                return Err(Refusal::BadSoa);
            }
            if let Some(known) = self.soa {
                let same = self.drafts.get(known).is_some_and(|draft| self.bytes(&draft.record) == rdata);
                return if same { Ok(()) } else { Err(Refusal::SecondSoa) };
            }
            self.soa = Some(self.drafts.len());
        }
        let (Ok(start), Ok(len)) = (u32::try_from(self.buffer.len()), u16::try_from(rdata.len())) else {
            return Err(Refusal::TooLarge);
        };
        let number = match self.owners.get(name.as_slice()) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.names.len()).map_err(|_| Refusal::TooLarge)?;
                let name: Arc<[u8]> = name.into();
                self.names.push(name.clone());
                self.owners.insert(name, number);
                number
            }
        };
        self.buffer.extend_from_slice(rdata);
        self.drafts.push(Draft { owner: number, record: Record { rtype, len, ttl, start } });
        Ok(())
    }

    /// RDATA of a record.
    fn bytes(&self, record: &Record) -> &[u8] {
        let start = usize::try_from(record.start).unwrap_or(usize::MAX);
        self.buffer.get(start..start.saturating_add(usize::from(record.len))).unwrap_or_default()
    }

    /// The zone. A record that came twice is there once (RFC 2181 §5).
    ///
    /// Cost: sorts names and records. Errors: there is no SOA.
    pub fn finish(self) -> Result<Zone, Refusal> {
        let soa = self.soa.and_then(|soa| self.drafts.get(soa)).ok_or(Refusal::NoSoa)?;
        let numbers = soa_numbers(self.bytes(&soa.record)).ok_or(Refusal::BadSoa)?;
        let mut by_owner: Vec<Vec<Record>> = vec![Vec::new(); self.names.len()];
        for draft in &self.drafts {
            let owner = usize::try_from(draft.owner).ok().and_then(|owner| by_owner.get_mut(owner));
            owner.ok_or(Refusal::TooLarge)?.push(draft.record);
        }
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        let name = |index: usize| self.names.get(index).map(AsRef::as_ref).unwrap_or_default();
        order.sort_unstable_by(|&a, &b| canonical(name(a), name(b)));

        let mut records: Vec<Record> = Vec::with_capacity(self.drafts.len());
        let mut nodes: Vec<Node> = Vec::with_capacity(order.len());
        let mut places: HashMap<Arc<[u8]>, u32, foldhash::fast::RandomState> = HashMap::default();
        let mut seen: std::collections::HashSet<(u16, &[u8])> = std::collections::HashSet::new();
        for index in order {
            let (Some(name), Some(mut set)) =
                (self.names.get(index), by_owner.get_mut(index).map(std::mem::take))
            else {
                continue;
            };
            seen.clear();
            set.retain(|record| seen.insert((record.rtype, self.bytes(record))));
            set.sort_by_key(|record| record.rtype);
            let has = |rtype: u16| set.iter().any(|record| record.rtype == rtype);
            let place = u32::try_from(nodes.len()).map_err(|_| Refusal::TooLarge)?;
            let node = Node {
                name: name.clone(),
                first: u32::try_from(records.len()).map_err(|_| Refusal::TooLarge)?,
                count: u32::try_from(set.len()).map_err(|_| Refusal::TooLarge)?,
                cut: has(rtype::NS) && **name != *self.origin,
                dname: has(rtype::DNAME),
            };
            records.append(&mut set);
            nodes.push(node);
            places.insert(name.clone(), place);
        }
        for node in &nodes {
            let mut rest: &[u8] = &node.name;
            while rest.len() > self.origin.len() {
                let length = rest.first().copied().map_or(0, usize::from);
                rest = rest.get(1 + length..).unwrap_or_default();
                if places.contains_key(rest) {
                    break;
                }
                places.insert(rest.into(), EMPTY);
            }
        }
        let soa = records.iter().position(|record| record.rtype == rtype::SOA).ok_or(Refusal::NoSoa)?;
        let signed = records.iter().any(|record| record.rtype == rtype::RRSIG);
        Ok(Zone {
            labels: labels(&self.origin),
            origin: self.origin,
            nodes: nodes.into(),
            places,
            records: records.into(),
            buffer: self.buffer.into(),
            soa,
            numbers,
            signed,
        })
    }
}

/// The numbers at the end of an SOA.
fn soa_numbers(rdata: &[u8]) -> Option<[u32; 5]> {
    let tail = rdata.last_chunk::<SOA_NUMBERS>()?;
    let mut numbers = [0_u32; 5];
    for (number, four) in numbers.iter_mut().zip(tail.chunks_exact(4)) {
        *number = four.try_into().map(u32::from_be_bytes).ok()?;
    }
    Some(numbers)
}
