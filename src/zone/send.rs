//! A whole zone, record by record, for those who transfer it.

use std::sync::Arc;

use super::build::Zone;
use crate::wire::{Section, Sections};

/// Sends a zone: the SOA, the rest of its own name, all other names in canonical order, the SOA again (RFC 5936 §2.2).
pub struct Sender {
    /// The zone, as it was when the transfer began.
    zone: Arc<Zone>,
    /// Whether only the SOA is sent: who asks has this zone.
    current: bool,
    /// What comes next.
    next: Next,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Next {
    /// The SOA at the front.
    First,
    /// A record of a name: both by number.
    Record(usize, usize),
    /// Nothing.
    End,
}

impl Sender {
    /// Sends `zone`, or its SOA alone where `known`, the serial of who asks, is the zone's and not zero (rule K-242).
    #[must_use]
    pub fn new(zone: Arc<Zone>, known: Option<u32>) -> Self {
        let current = known.is_some_and(|known| known != 0 && known == zone.serial());
        Self { zone, current, next: Next::First }
    }

    /// Adds records to the answer of a draft as long as they take at most `room` bytes, or a single one; false once all
    /// were added.
    pub fn fill(&mut self, draft: &mut Sections, room: usize) -> bool {
        let zone = self.zone.clone();
        let Some(apex) = zone.apex() else { return false };
        let soa = zone.records_of(apex).get(zone.soa);
        let mut taken = 0;
        loop {
            let (found, after) = match self.next {
                Next::End => return false,
                Next::First if self.current => (Some(apex).zip(soa), Next::End),
                Next::First => (Some(apex).zip(soa), Next::Record(0, 0)),
                Next::Record(node, record) => match zone.nodes.get(node) {
                    None => (Some(apex).zip(soa), Next::End),
                    Some(owner) => match zone.records_of(owner).get(record) {
                        None => (None, Next::Record(node + 1, 0)),
                        Some(_) if (node, record) == (0, zone.soa) => (None, Next::Record(node, record + 1)),
                        Some(one) => (Some((owner, one)), Next::Record(node, record + 1)),
                    },
                },
            };
            if let Some((owner, record)) = found {
                let rdata = zone.rdata(record);
                let size = owner.name.len() + 10 + rdata.len();
                if taken > 0 && taken + size > room {
                    return true;
                }
                taken += size;
                let owner = draft.store_name(&owner.name);
                draft.push(Section::Answer, owner, record.rtype, record.ttl, |to| to.bytes(rdata));
            }
            self.next = after;
        }
    }
}
