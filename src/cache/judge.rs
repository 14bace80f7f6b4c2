//! What is kept of a reply, for how long, and the TTLs that its records get (rules C-03 to C-06).

use super::entry::Kind;
use super::options::Options;
use crate::time::Wall;
use crate::wire::{Question, Rcode, Record, Section, Sections, rtype};

/// A reply to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What was asked.
    pub question: &'a Question,
    /// Its code.
    pub rcode: Rcode,
    /// TC.
    pub truncated: bool,
    /// The moment on the wall clock, which signatures are measured by.
    pub wall: Wall,
}

impl Seen<'_> {
    /// Whether a reply with these records holds what was asked for.
    #[must_use]
    pub fn answered_by(&self, sections: &Sections) -> bool {
        let qtype = self.question.qtype;
        let asked_for = |record: &Record| record.rtype == qtype || qtype == rtype::ANY;
        let mut answers = sections.records().iter().filter(|record| record.section == Section::Answer);
        self.rcode == Rcode::NOERROR && answers.any(asked_for)
    }
}

/// What is to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What it says.
    pub kind: Kind,
    /// For how long; at least 1. Unit: seconds.
    pub ttl: u32,
    /// Whether it holds what was asked for.
    pub answering: bool,
}

/// How long a reply is kept that says nothing of time (rule C-03). Unit: seconds.
const TIMELESS: u32 = 5;

/// The type of signatures (RFC 4034 §3).
const RRSIG: u16 = 46;

/// Brings the TTLs of a reply within bounds, and says what is to be kept of it; `None` for nothing.
///
/// Each record gets min(its own TTL, the cap), the floor only where one is written; the SOA of a negative answer no more than
/// its MINIMUM. Kept is the whole for the shortest of them, unless that is 0.
/// Cost: two passes over the records.
/// Source: RFC 2308 §5, RFC 2181 §8, RFC 4035 §5.3.3, RFC 9520 §3.2.
pub fn judge(seen: &Seen<'_>, sections: &mut Sections, options: &Options) -> Option<Verdict> {
    let records = sections.records();
    let has = |wanted: &dyn Fn(&Record) -> bool| records.iter().any(wanted);
    let answers = has(&|record| record.section == Section::Answer);
    let answering = seen.answered_by(sections);
    let soa = has(&is_authority_soa);
    let referral = has(&|record| record.section == Section::Authority && record.rtype == rtype::NS);
    let kind = match seen.rcode {
        Rcode::NOERROR if answering => Some(Kind::Positive),
        Rcode::NOERROR | Rcode::NXDOMAIN if soa => Some(Kind::Negative),
        // Aliases that lead nowhere, with nobody to say for how long (RFC 2308 §5).
        Rcode::NOERROR if answers => None,
        Rcode::NOERROR => Some(Kind::Positive),
        Rcode::SERVFAIL | Rcode::NOTIMP => Some(Kind::Failure),
        _ => None,
    };
    let side = match kind {
        Some(Kind::Negative) => &options.denial,
        _ if seen.rcode == Rcode::NXDOMAIN => &options.denial,
        _ => &options.success,
    };
    let signed = signatures(sections, seen.wall);
    let minimum = if kind == Some(Kind::Negative) { soa_minimum(sections) } else { u32::MAX };
    let mut shortest = u32::MAX;
    for record in sections.records_mut() {
        let own = if is_authority_soa(record) { record.ttl.min(minimum) } else { record.ttl };
        record.ttl = side.clamp(own).min(signed.unwrap_or(u32::MAX));
        shortest = shortest.min(record.ttl);
    }
    let ttl = match kind? {
        Kind::Failure => u32::try_from(options.failure.as_secs()).unwrap_or(u32::MAX),
        Kind::Positive if !answering && (shortest == u32::MAX || referral) => {
            side.clamp(TIMELESS).min(shortest)
        }
        Kind::Positive | Kind::Negative => shortest,
    };
    let kept = !seen.truncated && ttl > 0 && signed.is_some();
    kept.then_some(Verdict { kind: kind?, ttl, answering })
}

/// Whether it is the SOA that a negative answer carries.
fn is_authority_soa(record: &Record) -> bool {
    record.section == Section::Authority && record.rtype == rtype::SOA
}

/// The MINIMUM of the SOA: the last number of its RDATA (RFC 1035 §3.3.13).
fn soa_minimum(sections: &Sections) -> u32 {
    let soa = sections.records().iter().find(|record| is_authority_soa(record));
    let rdata = soa.map(|record| sections.rdata(record)).unwrap_or_default();
    rdata.last_chunk().map_or(u32::MAX, |bytes| u32::from_be_bytes(*bytes))
}

/// For how long all signatures hold (RFC 4034 §3.1.5, in serial arithmetic); `None` where one does not hold now.
fn signatures(sections: &Sections, wall: Wall) -> Option<u32> {
    let now = wall.serial();
    let mut left = u32::MAX;
    for record in sections.records().iter().filter(|record| record.rtype == RRSIG) {
        // Type, algorithm, labels and original TTL stand before the expiration, then comes the inception.
        let (expiration, rest) = sections.rdata(record).get(8..)?.split_first_chunk()?;
        let (inception, _) = rest.split_first_chunk()?;
        let ahead = u32::from_be_bytes(*expiration).wrapping_sub(now);
        let behind = now.wrapping_sub(u32::from_be_bytes(*inception));
        if ahead > i32::MAX.unsigned_abs() || behind > i32::MAX.unsigned_abs() {
            return None;
        }
        left = left.min(ahead);
    }
    Some(left)
}
