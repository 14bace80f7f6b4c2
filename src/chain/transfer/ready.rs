//! Records of a transfer that are made before their message is.

use crate::wire::{MAX_NAME, Question, Section, Sections};

/// A record.
#[derive(Clone)]
pub(in crate::chain) struct Ready {
    /// The owner, wire form.
    owner: Vec<u8>,
    /// The section in which an answer has it.
    pub(in crate::chain) section: Section,
    /// TYPE.
    pub(in crate::chain) rtype: u16,
    /// TTL. Unit: seconds.
    pub(in crate::chain) ttl: u32,
    /// RDATA.
    rdata: Vec<u8>,
}

impl Ready {
    /// The records of a draft that answers `question`, in its order; the draft was made without pointers.
    pub(in crate::chain) fn all(draft: &Sections, question: &Question) -> Vec<Self> {
        let ready = |record: &crate::wire::Record| {
            let mut owner = [0_u8; MAX_NAME];
            let length = draft.owner_name(record, question, &mut owner);
            Self {
                owner: owner.get(..length).unwrap_or_default().to_vec(),
                section: record.section,
                rtype: record.rtype,
                ttl: record.ttl,
                rdata: draft.rdata(record).to_vec(),
            }
        };
        draft.records().iter().map(ready).collect()
    }

    /// Adds it to the answer of a message; returns about how many bytes it takes there.
    pub(in crate::chain) fn put(&self, draft: &mut Sections) -> usize {
        let owner = draft.store_name(&self.owner);
        draft.push(Section::Answer, owner, self.rtype, self.ttl, |rdata| rdata.bytes(&self.rdata));
        self.owner.len() + 10 + self.rdata.len()
    }
}
