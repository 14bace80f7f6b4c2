//! `families`: on a cluster of one family half of all questions for addresses ask for what nobody can use. They are answered
//! from what is known of the useful half, so that an upstream is asked once for both.

use std::sync::Arc;

use super::super::asked::Asked;
use super::super::step::{Ask, Flow, Reply};
use crate::store::{Spec, Store};
use crate::wire::{Ede, Owner, Question, Rcode, Section, Sections, rtype};

/// TTL of NODATA for a family that failed. Unit: seconds.
const FAILED: u32 = 5;

/// The longest TTL of NODATA for a family that nobody uses. Unit: seconds.
const LONGEST: u32 = 300;

/// The Service whose families `auto` follows: that of the cluster's DNS, as its run of labels.
const DNS_SERVICE: &[u8] = b"\x08kube-dns\x0bkube-system";

/// Which families the clients can use.
#[derive(Clone, Default)]
pub(super) enum Families {
    /// The line does not say: every question is asked as it is.
    #[default]
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// Both; one that fails does not spoil the other.
    Dual,
    /// Those of the cluster's DNS Service; both while it is not known.
    Auto(Arc<Store>),
}

impl Families {
    /// The type of addresses that is of no use; `None` where both are. Cost: with `auto` one look-up.
    fn useless(&self) -> Option<u16> {
        match self {
            Self::Any | Self::Dual => None,
            Self::Ipv4 => Some(rtype::AAAA),
            Self::Ipv6 => Some(rtype::A),
            Self::Auto(store) => match store.service(DNS_SERVICE)?.spec() {
                Spec::Cluster { v4, v6 } => match (v4.is_empty(), v6.is_empty()) {
                    (false, true) => Some(rtype::AAAA),
                    (true, false) => Some(rtype::A),
                    _ => None,
                },
                Spec::Orphan | Spec::Headless | Spec::External(_) | Spec::ExternalInvalid => None,
            },
        }
    }

    /// Whether this question is answered from the other family's: then that one is asked.
    pub(super) fn instead(&self, asked: &Asked) -> Option<Flow> {
        (self.useless()? == asked.question.qtype).then(|| other(asked)).flatten()
    }

    /// Whether a failure of this question may be made up for by the other family.
    pub(super) fn rescues(&self, asked: &Asked) -> bool {
        !matches!(self, Self::Any) && matches!(asked.question.qtype, rtype::A | rtype::AAAA)
    }

    /// After a failure: the other family is looked up, if that may save this answer; nobody is asked for it, since
    /// `asked.at_hand` says so.
    pub(super) fn rescue(&self, asked: &mut Asked) -> Option<Flow> {
        if !self.rescues(asked) {
            return None;
        }
        let flow = other(asked)?;
        asked.at_hand = true;
        Some(flow)
    }

    /// What the other family's reply means for the question in hand.
    pub(super) fn answered(&self, asked: &mut Asked, mut reply: Reply) -> Flow {
        let useless = self.useless() == Some(asked.question.qtype);
        asked.at_hand = false;
        let addresses = |reply: &Reply| {
            let records = reply.sections.records().iter();
            records
                .filter(|record| record.section == Section::Answer)
                .filter(|record| matches!(record.rtype, rtype::A | rtype::AAAA))
                .map(|record| record.ttl)
                .min()
        };
        let known = addresses(&reply);
        match reply.head.rcode {
            // The whole name is missing, or exists without addresses: that holds for both.
            Rcode::NXDOMAIN if useless => Flow::Reply(reply),
            Rcode::NOERROR if useless || known.is_some() => {
                let ttl = if useless { known.unwrap_or(FAILED).min(LONGEST) } else { FAILED };
                no_data(&mut reply.sections, ttl);
                if !useless {
                    reply.head.ede = Some(Ede::new(
                        22,
                        "no upstream answered for this family; the name is known by the other",
                    ));
                }
                reply.head.authoritative = false;
                reply.head.truncated = false;
                Flow::Reply(reply)
            }
            _ => {
                asked.reclaim(reply.sections);
                let ede = reply.head.ede.unwrap_or_else(|| Ede::new(22, "no upstream answered"));
                Flow::Reply(Reply::code(Rcode::SERVFAIL).because(ede))
            }
        }
    }
}

/// Asks for the addresses of the other family; `None` where the question is not about addresses.
fn other(asked: &Asked) -> Option<Flow> {
    let qtype = match asked.question.qtype {
        rtype::A => rtype::AAAA,
        rtype::AAAA => rtype::A,
        _ => return None,
    };
    let mut question: Box<Question> = Box::new(asked.question.clone());
    question.qtype = qtype;
    Some(Flow::Wait(Ask::Question { question, held: None }))
}

/// Leaves the aliases and the SOA of a reply; without an SOA one is made up, so that resolvers keep the answer for `ttl`
/// (RFC 2308 §5).
fn no_data(sections: &mut Sections, ttl: u32) {
    sections.retain(|record| match record.section {
        Section::Answer => record.rtype == rtype::CNAME,
        Section::Authority => record.rtype == rtype::SOA,
        Section::Additional => false,
    });
    if !sections.records().iter().any(|record| record.rtype == rtype::SOA) {
        sections.push(Section::Authority, Owner::Question, rtype::SOA, ttl, |rdata| {
            // Nobody's server and nobody's mailbox: only the numbers count.
            rdata.bytes(&[0, 0]);
            for number in [1, 7200, 1800, 86_400, ttl] {
                rdata.long(number);
            }
        });
    }
}
