//! The step: lets a transfer through to the step that has the zone, or refuses it.

use super::super::asked::Asked;
use super::super::step::{Context, Flow, Reply, Step};
use super::parse::WORD;
use super::policy::Policy;
use crate::wire::{Rcode, rtype};

/// The step.
pub(super) struct TransferStep {
    /// Who may have what.
    pub(super) policy: Policy,
}

impl Step for TransferStep {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        let question = &asked.question;
        if !matches!(question.qtype, rtype::AXFR | rtype::IXFR) {
            return Flow::Next;
        }
        let allowed = self.policy.grant(question).is_some_and(|grant| grant.allows(asked.client.addr.ip()));
        // Nobody behind may take it for a question of its own.
        if !allowed || !asked.client.transport.carries_transfers() || !asked.frames.is_empty() {
            return Flow::Reply(Reply::code(Rcode::REFUSED));
        }
        if question.qtype == rtype::IXFR && asked.query.known.is_none() {
            return Flow::Reply(Reply::code(Rcode::SERVFAIL));
        }
        Flow::Transfer
    }

    fn transfers(&self) -> Option<&Policy> {
        Some(&self.policy)
    }
}
