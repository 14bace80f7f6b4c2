//! The step: which name it is, and what becomes of what was found.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::asked::Asked;
use super::super::build::Parts;
use super::super::kubernetes::{Options, Stale, join_target, port, stale_ttl};
use super::super::signal::Signal;
use super::super::step::{Answer, Ask, Context, Flow, Reply, Stand, Step};
use super::super::transfer::Whole;
use super::parse::Line;
use crate::store::{Addresses, ServiceKey};
use crate::wire::{
    Ede, Owner, Question, Rcode, Reverse, Section, Sections, label_eq, reverse_address, rtype,
};

/// What a name turned out to be.
pub(super) enum Found {
    /// It exists; the draft has its data, or there is none of this type.
    Here,
    /// Nothing at or below it.
    Missing,
    /// It leads to this name elsewhere, which has to be asked for.
    Elsewhere(Box<Question>),
}

/// The step.
pub(in crate::chain) struct K8sExternal {
    /// The stanza.
    pub(super) line: Arc<Line>,
    /// The `kubernetes` stanza of the block.
    pub(super) options: Arc<Options>,
    /// Comes when what the stanza shows is known.
    synced: Arc<Signal>,
    /// What becomes of answers while the store is stale.
    stale: Stale,
}

/// One question on its way.
pub(super) struct Look<'a> {
    /// The stanza.
    pub(super) line: &'a Line,
    /// The `kubernetes` stanza of the block.
    pub(super) options: &'a Arc<Options>,
    /// The question.
    pub(super) question: &'a Question,
    /// How many labels stand left of the zone.
    pub(super) left: usize,
    /// The bound of the reply. Unit: bytes.
    pub(super) limit: usize,
    /// For random starts.
    pub(super) rng: &'a mut fastrand::Rng,
    /// TTL of what is made: the stanza's, or less while the store is stale (K-269). Unit: seconds.
    pub(super) ttl: u32,
}

impl K8sExternal {
    /// A step that serves `line` beside the stanza of `options`.
    pub(in crate::chain) fn new(line: Line, options: Arc<Options>) -> Self {
        let synced = Arc::new(Signal::default());
        let signal = synced.clone();
        let need = line.need();
        options.store.when_known(need, move || signal.fire());
        Self { line: Arc::new(line), options, synced, stale: Stale::default() }
    }

    /// Whether the answer for a name depends on what the cluster says: not where no name has that form (K-016).
    fn needs_data(&self, question: &Question, left: usize, reverse: bool) -> bool {
        if reverse {
            return reverse_address(question).is_some();
        }
        self.line.ingress
            || self.line.gateway
            || match left {
                0..=3 => true,
                4 => port(question).is_some(),
                _ => false,
            }
    }

    /// Answers, or says why not; `may_wait` is false once the query waited for the sync.
    fn answer(&self, asked: &mut Asked, context: &mut Context<'_>, may_wait: bool) -> Flow {
        let below = |zone: &crate::corefile::Zone| asked.question.below(zone.wire(), zone.labels());
        let zones = self.line.zones.iter();
        let Some((reverse, left)) =
            zones.filter_map(|zone| below(zone).map(|left| (zone.is_reverse(), left))).next()
        else {
            return Flow::Next;
        };
        let mut sections = asked.draft();
        let question = &asked.question;
        let ttl = stale_ttl(&self.options.store, self.line.need(), context.now, self.line.ttl);
        let mut look = Look {
            line: &self.line,
            options: &self.options,
            question,
            left,
            limit: asked.shape.limit,
            rng: &mut *context.rng,
            ttl,
        };
        let own = left.checked_sub(1).is_none_or(|at| question.label(at) == &*self.line.apex);
        let found = if own {
            look.apex(&mut sections)
        } else if !self.options.store.knows(self.line.need()) && self.needs_data(question, left, reverse) {
            if may_wait && !self.options.startup_timeout.is_zero() {
                asked.reclaim(sections);
                let until = context.now.plus(self.options.startup_timeout);
                return Flow::Wait(Ask::Signal { signal: self.synced.clone(), until });
            }
            look.soa(Section::Authority, &mut sections);
            let reply = Reply::new(Rcode::SERVFAIL, sections).authoritative();
            return Flow::Reply(reply.because(Ede::NOT_READY));
        } else if reverse {
            look.reverse(&mut sections)
        } else {
            look.forward(&mut sections)
        };
        match found {
            Found::Here => {
                if sections.records().is_empty() {
                    look.soa(Section::Authority, &mut sections);
                }
                Flow::Reply(Reply::new(Rcode::NOERROR, sections).authoritative())
            }
            // The zone's own names are nobody else's.
            Found::Missing if !own && self.line.fallthrough.takes(question) => {
                asked.reclaim(sections);
                Flow::Next
            }
            Found::Missing => {
                sections.clear(sections.pointers());
                look.soa(Section::Authority, &mut sections);
                Flow::Reply(Reply::new(Rcode::NXDOMAIN, sections).authoritative())
            }
            Found::Elsewhere(question) => Flow::Wait(Ask::Question { question, held: Some(sections) }),
        }
    }
}

impl Look<'_> {
    /// Answers a name below a zone that is neither a reverse zone nor one of the zone's own names.
    ///
    /// A host that somebody claims by exactly this name comes first, then a Service, then a wildcard; only then counts
    /// that the name stands above others (K-293, K-294).
    fn forward(&mut self, sections: &mut Sections) -> Found {
        if let Some(found) = self.host(sections) {
            return found;
        }
        let found = self.service(sections);
        let is_namespace = self.left == 1 && matches!(found, Found::Here);
        if !matches!(found, Found::Missing) && !is_namespace {
            return found;
        }
        if let Some(found) = self.wildcard(sections) {
            return found;
        }
        if is_namespace || self.above_hosts() { Found::Here } else { found }
    }

    /// Answers a reverse name: the Services that are reached by an address (K-291).
    fn reverse(&mut self, sections: &mut Sections) -> Found {
        let externals = self.options.store.externals();
        let shown = |key: &ServiceKey| {
            externals.service(key).is_some_and(|(namespace, _)| self.options.exposes(&namespace))
        };
        match reverse_address(self.question) {
            None => Found::Missing,
            Some(Reverse::Whole(ip)) => {
                let mut found = Found::Missing;
                for key in externals.with_address(ip).iter().filter(|key| shown(key)) {
                    found = Found::Here;
                    if self.question.qtype == rtype::PTR {
                        sections.push(Section::Answer, Owner::Question, rtype::PTR, self.ttl, |rdata| {
                            rdata.bytes(key);
                            rdata.bytes(self.line.primary.wire());
                        });
                    }
                }
                found
            }
            Some(Reverse::Part(first, bits)) => {
                match externals.any_between(first, last_address(first, bits), shown) {
                    true => Found::Here,
                    false => Found::Missing,
                }
            }
        }
    }

    /// Drafts where a name leads: addresses of the asked family, or an alias.
    pub(super) fn lead(&self, addresses: &Addresses, sections: &mut Sections) -> Found {
        let ttl = self.ttl;
        let qtype = self.question.qtype;
        if let Some(alias) = addresses.alias() {
            if !matches!(qtype, rtype::A | rtype::AAAA | rtype::CNAME) {
                return Found::Here;
            }
            let target = Question::new(alias, qtype).ok();
            let Some(target) = target.filter(|target| target.lower() != self.question.lower()) else {
                // An alias to itself has no addresses (K-134).
                return Found::Here;
            };
            sections.push(Section::Answer, Owner::Question, rtype::CNAME, ttl, |rdata| rdata.bytes(alias));
            if qtype == rtype::CNAME {
                return Found::Here;
            }
            return Found::Elsewhere(Box::new(target));
        }
        match qtype {
            rtype::A => addresses
                .v4()
                .iter()
                .for_each(|ip| sections.push_address(Section::Answer, Owner::Question, ttl, ip)),
            rtype::AAAA => addresses
                .v6()
                .iter()
                .for_each(|ip| sections.push_address(Section::Answer, Owner::Question, ttl, ip)),
            _ => {}
        }
        Found::Here
    }

    /// Whether the leftmost label is this one.
    pub(super) fn first_is(&self, text: &str) -> bool {
        label_eq(self.question.label(0), text)
    }
}

/// The last address that begins with the first `bits` bits of `first`.
fn last_address(first: IpAddr, bits: u8) -> IpAddr {
    match first {
        IpAddr::V4(ip) => {
            let rest = u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            IpAddr::from((ip.to_bits() | rest).to_be_bytes())
        }
        IpAddr::V6(ip) => {
            let rest = u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            IpAddr::from((ip.to_bits() | rest).to_be_bytes())
        }
    }
}

impl Step for K8sExternal {
    fn word(&self) -> &'static str {
        super::WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        let mut flow = self.answer(asked, context, true);
        self.stale.tell(&mut flow, (&self.options.store, self.line.need()), asked, context);
        flow
    }

    fn resume(&self, asked: &mut Asked, answer: Answer, context: &mut Context<'_>) -> Flow {
        let mut flow = match answer {
            Answer::Signalled => self.answer(asked, context, true),
            Answer::TimedOut | Answer::Upstream(_) => self.answer(asked, context, false),
            // No step could know the target: the alias alone (K-144).
            Answer::Nobody { held } => {
                Flow::Reply(Reply::new(Rcode::NOERROR, held.unwrap_or_default()).authoritative())
            }
            Answer::Reply { reply, question, held } => join_target(asked, reply, &question, held),
            // Nothing is asked behind this step.
            Answer::Behind { reply, .. } => Flow::Reply(reply),
        };
        self.stale.tell(&mut flow, (&self.options.store, self.line.need()), asked, context);
        flow
    }

    fn placed(&self, _place: &Stand<'_>, parts: &mut dyn Parts) {
        self.stale.count(parts);
    }

    fn ready(&self) -> bool {
        self.options.store.synced()
    }

    fn whole(&self, question: &Question, known: Option<u32>) -> Whole {
        self.whole_zone(question, known)
    }
}
