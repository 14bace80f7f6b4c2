//! A reply of several messages, made one by one.

use std::net::IpAddr;

use super::super::asked::Asked;
use super::super::step::Reply;
use crate::wire::{Head, Query, Question, Rcode, Sections, Shape, assemble, rtype, show_name};
use crate::zone::Sender;

/// What the records of a message take: names can point anywhere in it, and the buffer of a stream stays small. Unit: bytes.
const ROOM: usize = 16 * 1024;

/// The records of a zone, in the order of a transfer: its SOA first and last.
pub trait Records: Send {
    /// Adds records to the answer of a draft as long as they take about `room` bytes, at least one; false once all were
    /// added. No more than 65,000 bytes are added.
    fn fill(&mut self, draft: &mut Sections, room: usize) -> bool;
}

impl Records for Sender {
    fn fill(&mut self, draft: &mut Sections, room: usize) -> bool {
        Self::fill(self, draft, room)
    }
}

/// What a step says when its zone is to be transferred.
pub enum Whole {
    /// The zone is none of its own.
    NotMine,
    /// It has nothing of the zone yet.
    NotReady,
    /// The zone.
    Records(Box<dyn Records>),
}

/// The messages of a transfer behind the first one.
pub struct Transfer {
    /// Header and EDNS of the query.
    query: Query,
    /// The question.
    question: Question,
    /// Code and flags.
    head: Head,
    /// What is left of the zone.
    records: Box<dyn Records>,
    /// The records of a message.
    draft: Sections,
    /// Whether all records were drafted.
    ended: bool,
    /// How many records there were so far.
    count: usize,
    /// The serial of the zone.
    serial: u32,
    /// To whom it goes.
    client: IpAddr,
}

impl Transfer {
    /// The first message as a reply, and what is left, if anything is.
    pub(in crate::chain) fn begin(
        asked: &mut Asked,
        mut records: Box<dyn Records>,
    ) -> (Reply, Option<Box<Self>>) {
        let mut draft = asked.draft();
        let more = records.fill(&mut draft, ROOM);
        let serial = draft.records().first().filter(|first| first.rtype == rtype::SOA).map_or(0, |first| {
            let numbers = draft.rdata(first).last_chunk::<20>().and_then(|tail| tail.first_chunk::<4>());
            numbers.map_or(0, |serial| u32::from_be_bytes(*serial))
        });
        let reply = Reply::new(Rcode::NOERROR, draft).authoritative();
        let transfer = Self {
            query: asked.query,
            question: asked.sent().clone(),
            head: reply.head.clone(),
            records,
            draft: Sections::default(),
            ended: !more,
            count: reply.sections.records().len(),
            serial,
            client: asked.client.addr.ip(),
        };
        if more {
            return (reply, Some(Box::new(transfer)));
        }
        transfer.tell();
        (reply, None)
    }

    /// Writes the next message into `out`, which has room for 65,535 bytes; returns its length, `None` at the end.
    pub fn next(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.ended {
            return None;
        }
        self.draft.clear(false);
        self.ended = !self.records.fill(&mut self.draft, ROOM);
        self.count += self.draft.records().len();
        let edns = self.query.edns.as_ref();
        let shape = Shape::stream();
        let (length, _) =
            assemble(self.query.header, &self.question, &self.head, edns, &self.draft, shape, out);
        if self.ended {
            self.tell();
        }
        Some(length)
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Writes down that all of it was made.
    fn tell(&self) {
        let zone = show_name(self.question.lower());
        let (client, serial, count) = (self.client, self.serial, self.count);
        match count {
            1 => tracing::info!(
                target: "plugin/transfer",
                "Outgoing noop, incremental transfer for up to date zone {zone} to {client} for {serial} SOA serial"
            ),
            _ => tracing::info!(
                target: "plugin/transfer",
                "Outgoing transfer of {count} records of zone {zone} to {client} for {serial} SOA serial"
            ),
        }
    }
}
