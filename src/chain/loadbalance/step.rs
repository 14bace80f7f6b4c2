//! The step: a reply on its way up is put in order.

use std::sync::Arc;

use super::super::asked::Asked;
use super::super::network::Network;
use super::super::step::{Context, Flow, Reply, Step};
use super::order::{apart, prefer, shuffle};
use super::parse::WORD;
use super::weights::Weights;
use crate::wire::{Rcode, Section, rtype};

/// Which address comes first.
pub(super) enum Policy {
    /// Any.
    Shuffle,
    /// One that is drawn by weight; the others stay where they are.
    Weighted(Arc<Weights>),
}

/// The step.
pub(super) struct LoadBalance {
    /// Which address comes first.
    pub(super) policy: Policy,
    /// The networks whose addresses come before all others, the best first.
    pub(super) prefer: Vec<Network>,
}

impl Step for LoadBalance {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn tell(&self, asked: &mut Asked, reply: &mut Reply, context: &mut Context<'_>) {
        let transfer = matches!(asked.question.qtype, rtype::AXFR | rtype::IXFR);
        let single = reply.sections.records().len() < 2;
        if reply.head.rcode != Rcode::NOERROR || single || transfer {
            return;
        }
        let sections = &mut reply.sections;
        match &self.policy {
            Policy::Shuffle => {
                let records = sections.records_mut();
                for section in records.chunk_by_mut(|one, next| one.section == next.section) {
                    shuffle(section, context.rng);
                }
            }
            Policy::Weighted(weights) => {
                if matches!(asked.question.qtype, rtype::A | rtype::AAAA | rtype::SRV) {
                    for section in [Section::Answer, Section::Additional] {
                        let range = sections.range(section);
                        let Some(addresses) = apart(sections, range) else { continue };
                        if let Some(first) =
                            weights.draw(sections, addresses.clone(), &asked.question, context.rng)
                        {
                            sections.records_mut().swap(addresses.start, first);
                        }
                    }
                }
            }
        }
        if !self.prefer.is_empty() {
            for section in [Section::Answer, Section::Additional] {
                let range = sections.range(section);
                prefer(sections, range, &self.prefer);
            }
        }
    }
}
