//! Answers of a zone: data, aliases, wildcards, referrals and denials, drafted into the sections of a reply.
//!
//! Source: RFC 1034 §4.3.2, RFC 2308, RFC 4035 §3.1, RFC 4592, RFC 6672; which records go along as in coredns `plugin/file`.

use super::build::{At, Node, Record, Zone};
use crate::wire::{MAX_NAME, Owner, Question, Section, Sections, name_length, rtype, target_offset};

/// The most aliases of one answer. Source: coredns `plugin/file/lookup.go`.
const LINKS: usize = 10;

/// How many targets of an answer get their addresses along: a message seldom has room for more.
const GLUED: usize = 128;

/// What a zone says to a question.
#[derive(Debug)]
pub enum Verdict {
    /// There are records, or an alias.
    Data,
    /// The name is there and has no records of the type; an alias may lead there.
    NoData,
    /// The name is there only because names below it are.
    Empty,
    /// The name is not there; an alias may lead there.
    Missing,
    /// The name is beyond a cut.
    Referral,
    /// What a DNAME makes of the name is too long (RFC 6672 §2.2).
    TooLong,
    /// The last alias leads out of the zone, where the question goes on.
    Outside(Box<Question>),
    /// The aliases come back to themselves or are too many.
    Endless,
}

/// Where a name leads.
enum Place<'z> {
    /// To a name that has records.
    Node(&'z Node),
    /// To a wildcard that stands for it.
    Wildcard(&'z Node),
    /// To a name without records.
    Empty,
    /// Nowhere; so many labels of the name exist, counted from the right.
    Nothing(usize),
    /// Beyond a cut.
    Cut(&'z Node),
    /// Below a DNAME.
    Below(&'z Node),
}

impl Zone {
    /// Drafts the answer to a question whose name lies in the zone; `dnssec_ok` says whether proofs go along.
    ///
    /// Cost: a hash a label, and for each alias; no allocation unless an alias leads out.
    pub fn answer(&self, question: &Question, dnssec_ok: bool, sections: &mut Sections) -> Verdict {
        let mut asking = Asking { zone: self, question, proofs: dnssec_ok, sections };
        let verdict = asking.follow();
        match verdict {
            Verdict::Outside(_) | Verdict::TooLong | Verdict::Endless => {}
            Verdict::Data => asking.along(),
            Verdict::NoData | Verdict::Empty | Verdict::Missing => {
                asking.prove_wildcards();
                asking.glue(Section::Answer);
            }
            Verdict::Referral => {
                asking.prove_wildcards();
                asking.glue(Section::Authority);
            }
        }
        verdict
    }

    /// Drafts what goes along with an answer that other servers gave the end of: the SOA where they denied it, else the NS
    /// records. The draft holds nothing but answers. Source: coredns `plugin/file/lookup.go`.
    pub fn complete(&self, question: &Question, dnssec_ok: bool, denied: bool, sections: &mut Sections) {
        let mut asking = Asking { zone: self, question, proofs: dnssec_ok, sections };
        match denied {
            true => {
                asking.soa();
                asking.prove_wildcards();
            }
            false => asking.along(),
        }
    }

    /// Where a name leads. Cost: a hash a label below the zone's own name.
    fn place(&self, name: &Question, qtype: u16) -> Place<'_> {
        let all = name.labels();
        for count in self.labels..=all {
            let start = name.start(all - count);
            let key = name.lower().get(start..).unwrap_or_default();
            match self.at(key) {
                At::Nothing => return self.wildcard(name, count.saturating_sub(1)),
                At::Empty if count == all => return Place::Empty,
                At::Empty => {}
                At::Node(node) => {
                    if node.dname && count < all {
                        return Place::Below(node);
                    }
                    if node.cut && !(count == all && qtype == rtype::DS) {
                        return Place::Cut(node);
                    }
                    if count == all {
                        return Place::Node(node);
                    }
                }
            }
        }
        Place::Nothing(0)
    }

    /// The wildcard below the closest name that exists, which has so many labels (RFC 4592 §3.3.1).
    fn wildcard(&self, name: &Question, encloser: usize) -> Place<'_> {
        let above = name.lower().get(name.start(name.labels() - encloser)..).unwrap_or_default();
        let mut key = [0_u8; MAX_NAME + 2];
        let length = 2 + above.len();
        let Some(whole) = key.get_mut(..length) else { return Place::Nothing(encloser) };
        let (star, rest) = whole.split_at_mut(2);
        star.copy_from_slice(b"\x01*");
        rest.copy_from_slice(above);
        match self.at(whole) {
            At::Node(node) => Place::Wildcard(node),
            At::Empty => Place::Empty,
            At::Nothing => Place::Nothing(encloser),
        }
    }
}

/// How a name was answered.
enum Led {
    /// Nothing is to be followed.
    End(Verdict),
    /// By the alias in the record with this id.
    On(u16),
}

/// A question that is being answered.
struct Asking<'a> {
    /// The zone.
    zone: &'a Zone,
    /// The question.
    question: &'a Question,
    /// Whether signatures and proofs go along.
    proofs: bool,
    /// The reply.
    sections: &'a mut Sections,
}

impl Asking<'_> {
    /// Follows aliases from the question on, drafting answers.
    fn follow(&mut self) -> Verdict {
        let question = self.question;
        let mut current: Option<Question> = None;
        let mut owner = Owner::Question;
        for _ in 0..LINKS {
            let name = current.as_ref().unwrap_or(question);
            let mut target: Option<Question> = None;
            let led = match self.zone.place(name, question.qtype) {
                Place::Cut(node) => {
                    self.refer(node);
                    Led::End(Verdict::Referral)
                }
                Place::Empty => {
                    self.deny_type(None, name);
                    Led::End(if current.is_some() { Verdict::NoData } else { Verdict::Empty })
                }
                Place::Nothing(encloser) => {
                    self.deny_name(name, encloser);
                    Led::End(Verdict::Missing)
                }
                Place::Below(node) => self.substitute(node, name, owner, &mut target),
                Place::Node(node) | Place::Wildcard(node) => self.data(node, name, owner, &mut target),
            };
            let id = match led {
                Led::End(verdict) => return verdict,
                Led::On(id) => id,
            };
            // What is no name leads nowhere, and an alias below a DNAME may be what was asked for.
            let Some(name) = target.filter(|_| question.qtype != rtype::CNAME) else { return Verdict::Data };
            owner = Owner::Target(id);
            if name.below(&self.zone.origin, self.zone.labels).is_none() {
                return Verdict::Outside(Box::new(name));
            }
            current = Some(name);
        }
        Verdict::Endless
    }

    /// Drafts what a name has for the question; where that is an alias, its target goes to `target`.
    fn data(&mut self, node: &Node, name: &Question, owner: Owner, target: &mut Option<Question>) -> Led {
        let zone = self.zone;
        let qtype = self.question.qtype;
        let set = zone.set(node, qtype);
        if let Some(alias) = zone.set(node, rtype::CNAME).first()
            && (set.is_empty() || !matches!(qtype, rtype::CNAME | rtype::RRSIG | rtype::NSEC))
        {
            let id = self.push(Section::Answer, owner, alias);
            self.sign(Section::Answer, owner, node, rtype::CNAME);
            *target = Question::new(zone.rdata(alias), qtype).ok();
            return Led::On(id);
        }
        if set.is_empty() {
            self.deny_type(Some(node), name);
            return Led::End(Verdict::NoData);
        }
        for record in set {
            self.push(Section::Answer, owner, record);
        }
        self.sign(Section::Answer, owner, node, qtype);
        Led::End(Verdict::Data)
    }

    /// Drafts a DNAME and the alias that it makes of a name below it, unless that would be too long.
    fn substitute(
        &mut self,
        node: &Node,
        name: &Question,
        owner: Owner,
        target: &mut Option<Question>,
    ) -> Led {
        let zone = self.zone;
        let too_long = Led::End(Verdict::TooLong);
        let Some(record) = zone.set(node, rtype::DNAME).first() else { return too_long };
        let above = self.owner_of(&node.name);
        self.push(Section::Answer, above, record);
        self.sign(Section::Answer, above, node, rtype::DNAME);
        let mut made = [0_u8; MAX_NAME];
        let kept = name.typed().get(..name.lower().len().saturating_sub(node.name.len())).unwrap_or_default();
        let back = zone.rdata(record);
        let Some(whole) = made.get_mut(..kept.len() + back.len()) else { return too_long };
        let (front, rest) = whole.split_at_mut(kept.len());
        front.copy_from_slice(kept);
        rest.copy_from_slice(back);
        *target = Question::new(whole, self.question.qtype).ok();
        Led::On(self.sections.push(Section::Answer, owner, rtype::CNAME, record.ttl, |to| to.bytes(whole)))
    }

    /// Drafts a record; returns its id.
    fn push(&mut self, section: Section, owner: Owner, record: &Record) -> u16 {
        let rdata = self.zone.rdata(record);
        self.sections.push(section, owner, record.rtype, record.ttl, |to| to.bytes(rdata))
    }

    /// Drafts the signatures over a set, where they are wanted.
    fn sign(&mut self, section: Section, owner: Owner, node: &Node, covered: u16) {
        if self.proofs {
            let zone = self.zone;
            for record in zone.signatures(node, covered) {
                self.push(section, owner, record);
            }
        }
    }

    /// Drafts a set with its signatures into the authority.
    fn authority(&mut self, node: &Node, rtype: u16) {
        let zone = self.zone;
        let owner = self.owner_of(&node.name);
        for record in zone.set(node, rtype) {
            self.push(Section::Authority, owner, record);
        }
        self.sign(Section::Authority, owner, node, rtype);
    }

    /// A name of the zone as an owner: a part of the question where it is one.
    fn owner_of(&mut self, name: &[u8]) -> Owner {
        let lower = self.question.lower();
        let start = lower.len().checked_sub(name.len()).filter(|start| lower.get(*start..) == Some(name));
        let label = start.and_then(|start| {
            (0..=self.question.labels()).find(|label| self.question.start(*label) == start)
        });
        match label.map(u8::try_from) {
            Some(Ok(0)) => Owner::Question,
            Some(Ok(label)) => Owner::Suffix(label),
            _ => self.sections.store_name(name),
        }
    }

    /// Drafts the SOA into the authority.
    fn soa(&mut self) {
        if let Some(apex) = self.zone.apex() {
            self.authority(apex, rtype::SOA);
        }
    }

    /// Drafts what goes along with data: the zone's NS records, unless they were asked for, and addresses.
    fn along(&mut self) {
        let origin = &self.zone.origin;
        let asked_apex = self.question.lower() == &**origin && self.question.qtype == rtype::NS;
        if let Some(apex) = self.zone.apex().filter(|_| !asked_apex) {
            self.authority(apex, rtype::NS);
        }
        self.prove_wildcards();
        self.glue(Section::Answer);
    }

    /// Drafts a referral.
    fn refer(&mut self, node: &Node) {
        let zone = self.zone;
        let owner = self.owner_of(&node.name);
        for record in zone.set(node, rtype::NS) {
            self.push(Section::Authority, owner, record);
        }
        if self.proofs {
            let kind = if zone.set(node, rtype::DS).is_empty() { rtype::NSEC } else { rtype::DS };
            self.authority(node, kind);
        }
    }

    /// Drafts the denial of a type; `node` is the name or the wildcard, `None` for a name without records.
    fn deny_type(&mut self, node: Option<&Node>, name: &Question) {
        self.soa();
        if !self.proofs {
            return;
        }
        if let Some(node) = node {
            self.authority(node, rtype::NSEC);
        }
        if node.is_none_or(|node| *node.name != *name.lower()) {
            self.prove_absence(name);
        }
    }

    /// Drafts the denial of a name; so many of its labels exist.
    fn deny_name(&mut self, name: &Question, encloser: usize) {
        self.soa();
        if !self.proofs {
            return;
        }
        let zone = self.zone;
        let first = zone.before(name.lower());
        if let Some(node) = first {
            self.authority(node, rtype::NSEC);
        }
        let above =
            name.lower().get(name.start(name.labels().saturating_sub(encloser))..).unwrap_or_default();
        let mut key = [0_u8; MAX_NAME + 2];
        if let Some(whole) = key.get_mut(..2 + above.len()) {
            let (star, rest) = whole.split_at_mut(2);
            star.copy_from_slice(b"\x01*");
            rest.copy_from_slice(above);
            let second = zone.before(whole);
            if let Some(node) = second.filter(|node| first.is_none_or(|first| first.name != node.name)) {
                self.authority(node, rtype::NSEC);
            }
        }
    }

    /// Drafts the proof that a name is not there itself.
    fn prove_absence(&mut self, name: &Question) {
        if self.proofs
            && let Some(node) = self.zone.before(name.lower())
        {
            self.authority(node, rtype::NSEC);
        }
    }

    /// Drafts the proofs that names in the answer are not there themselves: a wildcard stood for them (RFC 4035 §3.1.3.3).
    fn prove_wildcards(&mut self) {
        if !self.proofs {
            return;
        }
        let mut before = [0_u8; MAX_NAME];
        let mut known = 0;
        for index in self.sections.range(Section::Answer) {
            let Some(record) = self.sections.records().get(index) else { break };
            let mut owner = [0_u8; MAX_NAME];
            let length = self.sections.owner_name(record, self.question, &mut owner);
            if owner.get(..length) == before.get(..known) {
                continue;
            }
            (before, known) = (owner, length);
            let Ok(name) = Question::new(owner.get(..length).unwrap_or_default(), self.question.qtype) else {
                continue;
            };
            let inside = name.below(&self.zone.origin, self.zone.labels).is_some();
            if inside && matches!(self.zone.place(&name, name.qtype), Place::Wildcard(_)) {
                self.prove_absence(&name);
            }
        }
    }

    /// Drafts the addresses of the targets of a section: NS below their owner, MX, SRV, SVCB and HTTPS in the zone.
    fn glue(&mut self, section: Section) {
        let zone = self.zone;
        let range = self.sections.range(section);
        let mut glued = 0;
        for index in range.clone() {
            let Some(record) = self.sections.records().get(index) else { break };
            let (rtype, id) = (record.rtype, record.id());
            if !matches!(rtype, rtype::NS | rtype::MX | rtype::SRV | rtype::SVCB | rtype::HTTPS) {
                continue;
            }
            let mut name = [0_u8; MAX_NAME];
            let mut below = [0_u8; MAX_NAME];
            let length = copy_lower(self.sections.rdata(record).get(target_offset(rtype)..), &mut name);
            let name = name.get(..length).unwrap_or_default();
            let within: &[u8] = if rtype == rtype::NS {
                let length = self.sections.owner_name(record, self.question, &mut below);
                below.make_ascii_lowercase();
                below.get(..length).unwrap_or_default()
            } else {
                &zone.origin
            };
            if !super::names::within(name, within) {
                continue;
            }
            let At::Node(node) = zone.at(name) else { continue };
            let earlier = range.clone().take_while(|&earlier| earlier < index).any(|earlier| {
                let record = self.sections.records().get(earlier);
                record.is_some_and(|record| {
                    let target = self.sections.rdata(record).get(target_offset(record.rtype)..);
                    target.is_some_and(|target| {
                        target
                            .get(..name_length(target))
                            .is_some_and(|target| target.eq_ignore_ascii_case(name))
                    })
                })
            });
            if earlier {
                continue;
            }
            glued += 1;
            if glued > GLUED {
                break;
            }
            for rtype in [rtype::A, rtype::AAAA] {
                for record in zone.set(node, rtype) {
                    self.push(Section::Additional, Owner::Target(id), record);
                }
                self.sign(Section::Additional, Owner::Target(id), node, rtype);
            }
        }
    }
}

/// Copies the name at the front of `from` in lower case; returns its length.
fn copy_lower(from: Option<&[u8]>, to: &mut [u8; MAX_NAME]) -> usize {
    let from = from.unwrap_or_default();
    let length = name_length(from);
    match (to.get_mut(..length), from.get(..length)) {
        (Some(to), Some(from)) => {
            to.copy_from_slice(from);
            to.make_ascii_lowercase();
            length
        }
        _ => 0,
    }
}
