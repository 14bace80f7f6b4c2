//! What an upstream said: checked against what was asked, read strictly, and cut to what belongs to the question.

use std::sync::Arc;

use super::upstream::Upstream;
use crate::wire::{
    Kept, Malformed, NameBuf, Owner, Question, Raw, Rcode, Reader, Section, Sections, expand, rdata, rtype,
};

/// The most links of an alias chain (RELIABILITY U10).
const LINKS: usize = 11;

/// A reply, read and cut down.
#[derive(Debug)]
pub struct Response {
    /// The code, its extended bits included.
    pub rcode: Rcode,
    /// AA.
    pub authoritative: bool,
    /// AD.
    pub authentic: bool,
    /// TC.
    pub truncated: bool,
    /// The records on the chain from the question.
    pub records: Kept,
    /// Who said it.
    pub from: Option<Arc<Upstream>>,
}

/// What a reply must match.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// The id.
    pub id: u16,
    /// The question.
    pub question: &'a Question,
    /// The name letter by letter, where the letters were mixed.
    pub letters: Option<&'a [u8]>,
    /// Whether DNSSEC's records were asked for: only then they are kept.
    pub dnssec_ok: bool,
}

/// Why a message is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// Not to this question: another id, name, type or class, or no reply at all (RFC 5452 §9.1).
    Mismatch,
    /// To this question, but in other letters than it was asked in.
    Letters,
    /// It can't be read.
    Malformed,
}

impl From<Malformed> for Unfit {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Bytes of a header.
const HEADER: usize = 12;

/// Reads a reply; `scratch` is reused.
///
/// Kept are, of the answer section, the aliases on the chain from the question and the records of its end, of the type asked
/// for; of the authority, SOA and NS (with DO also DNSSEC's) of a zone that the chain's end lies in; of the additional,
/// addresses of names that kept records point to. TTLs above 2³¹−1 become 0 (RFC 2181 §8).
///
/// Cost: one pass over the bytes and one over the answer for each alias; two allocations for what is kept.
/// Errors: `Unfit`; never a panic, and nothing is sized by a count of the message.
/// Source: RFC 1035 §4.1, RFC 2181 §5.4.1, RFC 5452 §9.1, RELIABILITY U1 to U12.
pub fn read(bytes: &[u8], expect: &Expect<'_>, scratch: &mut Sections) -> Result<Response, Unfit> {
    let head = bytes.get(..HEADER).ok_or(Unfit::Malformed)?;
    let word = |at: usize| head.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    let flags = word(2);
    // QR set, opcode QUERY, one question, our id.
    if word(0) != expect.id || flags & 0xf800 != 0x8000 || word(4) != 1 {
        return Err(Unfit::Mismatch);
    }
    let mut reader = Reader::new(bytes, HEADER);
    let mut name = NameBuf::default();
    reader.name(&mut name)?;
    let (qtype, qclass) = (reader.word()?, reader.word()?);
    if qtype != expect.question.qtype
        || qclass != expect.question.qclass
        || !name.get().eq_ignore_ascii_case(expect.question.lower())
    {
        return Err(Unfit::Mismatch);
    }
    if expect.letters.is_some_and(|letters| letters != name.get()) {
        return Err(Unfit::Letters);
    }
    let truncated = flags & 0x0200 != 0;
    let mut rcode = flags & 0xf;
    scratch.clear(false);
    let mut raw: Vec<Raw> = Vec::new();
    for (section, count) in
        [(Section::Answer, word(6)), (Section::Authority, word(8)), (Section::Additional, word(10))]
    {
        for _ in 0..count {
            match reader.record(section, &mut name) {
                Ok(record) if record.rtype == rtype::OPT => {
                    rcode |= u16::try_from(record.ttl >> 24).unwrap_or(0) << 4;
                }
                Ok(record) => raw.push(record),
                // A truncated message may end anywhere; what it has is not used (RFC 2181 §9).
                Err(_) if truncated => break,
                Err(unfit) => return Err(unfit.into()),
            }
        }
    }
    if !keep(bytes, &raw, expect, scratch)? {
        // A client could not tell what is left of an endless chain from a name without data.
        scratch.clear(false);
        rcode = Rcode::SERVFAIL.0;
    }
    Ok(Response {
        rcode: Rcode(rcode),
        authoritative: flags & 0x0400 != 0,
        authentic: flags & 0x0020 != 0,
        truncated,
        records: Kept::new(scratch),
        from: None,
    })
}

/// Whether `name` is `zone` or lies below it; both in lower case, wire form.
fn within(name: &[u8], zone: &[u8]) -> bool {
    let mut rest = name;
    loop {
        if rest == zone {
            return true;
        }
        let Some(&length) = rest.first().filter(|length| **length > 0) else { return false };
        rest = rest.get(1 + usize::from(length)..).unwrap_or_default();
    }
}

/// A TTL as it counts (RFC 2181 §8).
fn ttl(raw: &Raw) -> u32 {
    if raw.ttl > 0x7fff_ffff { 0 } else { raw.ttl }
}

/// Whether a type is one of DNSSEC's: DS RRSIG NSEC DNSKEY NSEC3.
fn is_dnssec(rtype: u16) -> bool {
    matches!(rtype, 43 | 46 | 47 | 48 | 50)
}

/// The owners of proofs of denial that are signed by a zone in which both they and a name on the chain lie, sorted.
///
/// Proofs stand at names beside the question, but never outside of its zone (RFC 4035 §3.1.3).
fn proven<'r>(
    bytes: &[u8],
    raw: &'r [Raw],
    qclass: u16,
    chain: &[(Vec<u8>, Owner)],
) -> Result<Vec<&'r [u8]>, Unfit> {
    let mut owners = Vec::new();
    let signs =
        |record: &&Raw| (record.rtype, record.section, record.class) == (RRSIG, Section::Authority, qclass);
    for record in raw.iter().filter(signs) {
        // The signer's name stands behind 18 bytes.
        let mut signer = NameBuf::default();
        if record.len <= 18 || expand(bytes, record.at + 18, &mut signer)? > record.at + record.len {
            return Err(Unfit::Malformed);
        }
        let signer = signer.get().to_ascii_lowercase();
        if within(&record.owner, &signer) && chain.iter().any(|(name, _)| within(name, &signer)) {
            owners.push(record.owner.as_slice());
        }
    }
    owners.sort_unstable();
    Ok(owners)
}

/// RRSIG.
const RRSIG: u16 = 46;

/// Drafts what belongs to the question; false where the chain from it is too long or comes back to itself.
fn keep(bytes: &[u8], raw: &[Raw], expect: &Expect<'_>, draft: &mut Sections) -> Result<bool, Unfit> {
    const DNAME: u16 = 39;
    let qtype = expect.question.qtype;
    let fits = |record: &&Raw| record.class == expect.question.qclass;
    let answer: Vec<&Raw> =
        raw.iter().filter(|record| record.section == Section::Answer).filter(fits).collect();
    let mut data: Vec<u8> = Vec::new();
    // Names on the chain, each with how its records' owner is written.
    let mut chain: Vec<(Vec<u8>, Owner)> = vec![(expect.question.lower().to_vec(), Owner::Question)];
    let mut pointed: Vec<Vec<u8>> = Vec::new();
    let alias_asked = matches!(qtype, rtype::CNAME | rtype::ANY);
    while let Some((current, owner)) = chain.last().cloned() {
        if expect.dnssec_ok || qtype == DNAME {
            // What a DNAME above says is part of the proof (RFC 6672 §3).
            // Above two names on the chain it is still one record.
            let told = |owner: &[u8]| {
                let mut earlier = chain.iter().rev().skip(1);
                earlier.any(|(name, _)| within(name, owner) && (name != owner || qtype == DNAME))
            };
            for record in &answer {
                if record.rtype == DNAME
                    && record.owner != current
                    && within(&current, &record.owner)
                    && !told(&record.owner)
                {
                    rdata(bytes, record, &mut data)?;
                    let owner = draft.store_name(&record.owner);
                    draft.push(Section::Answer, owner, DNAME, ttl(record), |to| to.bytes(&data));
                }
            }
        }
        let here = || answer.iter().filter(|record| record.owner == current);
        let mut target = None;
        for record in here() {
            let signature = record.rtype == RRSIG && expect.dnssec_ok;
            let asked = record.rtype == qtype || qtype == rtype::ANY;
            let alias = record.rtype == rtype::CNAME && !alias_asked;
            if !(signature || asked || alias && target.is_none()) {
                continue;
            }
            rdata(bytes, record, &mut data)?;
            let id = draft.push(Section::Answer, owner, record.rtype, ttl(record), |to| to.bytes(&data));
            if alias {
                target = Some((data.to_ascii_lowercase(), Owner::Target(id)));
            }
            if matches!(record.rtype, rtype::NS | rtype::MX | rtype::SRV)
                && let Some(name) = data.get(crate::wire::target_offset(record.rtype)..)
            {
                pointed.push(name.to_ascii_lowercase());
            }
        }
        match target {
            Some((name, _)) if chain.len() > LINKS || chain.iter().any(|(known, _)| *known == name) => {
                return Ok(false);
            }
            Some(next) => chain.push(next),
            None => break,
        }
    }
    let proven =
        if expect.dnssec_ok { proven(bytes, raw, expect.question.qclass, &chain)? } else { Vec::new() };
    for record in raw.iter().filter(|record| record.section == Section::Authority).filter(fits) {
        let kind =
            matches!(record.rtype, rtype::SOA | rtype::NS) || expect.dnssec_ok && is_dnssec(record.rtype);
        let ours = chain.iter().any(|(name, _)| within(name, &record.owner));
        let proof = matches!(record.rtype, RRSIG | 47 | 50) && proven.binary_search(&&*record.owner).is_ok();
        if !kind || !(ours || proof) {
            continue;
        }
        rdata(bytes, record, &mut data)?;
        let owner = suffix_owner(expect.question, &record.owner, draft);
        draft.push(Section::Authority, owner, record.rtype, ttl(record), |to| to.bytes(&data));
        if record.rtype == rtype::NS {
            pointed.push(data.to_ascii_lowercase());
        }
    }
    pointed.sort_unstable();
    for record in raw.iter().filter(|record| record.section == Section::Additional).filter(fits) {
        let kind =
            matches!(record.rtype, rtype::A | rtype::AAAA) || expect.dnssec_ok && record.rtype == RRSIG;
        if !kind || pointed.binary_search(&record.owner).is_err() {
            continue;
        }
        rdata(bytes, record, &mut data)?;
        let owner = suffix_owner(expect.question, &record.owner, draft);
        draft.push(Section::Additional, owner, record.rtype, ttl(record), |to| to.bytes(&data));
    }
    Ok(true)
}

/// An owner as a part of the question where it is one, else stored.
fn suffix_owner(question: &Question, owner: &[u8], draft: &mut Sections) -> Owner {
    // `suffix` is in the question's own letters; compare in lower case.
    let place = (0..=question.labels()).find(|&label| question.suffix(label).eq_ignore_ascii_case(owner));
    match place {
        Some(0) => Owner::Question,
        Some(label) => match u8::try_from(label) {
            Ok(label) if label > 0 => Owner::Suffix(label),
            _ => draft.store_name(owner),
        },
        None => draft.store_name(owner),
    }
}
