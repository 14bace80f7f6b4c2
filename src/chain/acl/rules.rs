//! The rules of a block, and the step that decides by them.

use std::sync::{Arc, OnceLock};

use super::WORD;
use crate::chain::asked::Asked;
use crate::chain::build::Parts;
use crate::chain::network::Networks;
use crate::chain::step::{Context, Flow, Place, Reply, Step};
use crate::corefile::Zone;
use crate::metrics::{Family, PerWorker};
use crate::wire::{Ede, Rcode};

/// Blocked (RFC 8914 §4.16).
const BLOCKED: Ede = Ede { code: 15, text: std::borrow::Cow::Borrowed("") };

/// Filtered (RFC 8914 §4.18).
const FILTERED: Ede = Ede { code: 17, text: std::borrow::Cow::Borrowed("") };

/// What is counted of those who are turned away, in the order of `Action::family`.
static FAMILIES: [Family; 3] = [
    Family { name: "coredns_acl_blocked_requests_total", help: "Questions that acl refused." },
    Family { name: "coredns_acl_filtered_requests_total", help: "Questions that acl answered with nothing." },
    Family { name: "coredns_acl_dropped_requests_total", help: "Questions that acl did not answer." },
];

/// What is counted of those who pass.
static ALLOWED: Family =
    Family { name: "coredns_acl_allowed_requests_total", help: "Questions that acl let pass." };

/// What is done with a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// It goes on.
    Allow,
    /// REFUSED.
    Block,
    /// NOERROR without records.
    Filter,
    /// Silence.
    Drop,
}

impl Action {
    /// The place of its family; `None` for those who pass.
    fn family(self) -> Option<usize> {
        match self {
            Self::Allow => None,
            Self::Block => Some(0),
            Self::Filter => Some(1),
            Self::Drop => Some(2),
        }
    }
}

/// One line: what is done with whom.
#[derive(Debug)]
pub(super) struct Policy {
    /// What is done.
    pub(super) action: Action,
    /// The types that it is for; none for all.
    pub(super) types: Vec<u16>,
    /// Where it is for clients of; `None` for everywhere.
    pub(super) from: Option<Networks>,
}

/// One `acl` of a block.
#[derive(Debug)]
pub(super) struct Rule {
    /// The zones whose names it is about.
    pub(super) zones: Vec<Zone>,
    /// Its lines, in the order of the file.
    pub(super) policies: Vec<Policy>,
}

/// Where a listener's questions are counted.
struct Counts {
    /// Those who pass.
    allowed: Arc<PerWorker>,
    /// Those who are turned away, by zone in the order of `Acl::zones` and by action.
    away: Vec<[Arc<PerWorker>; 3]>,
}

/// All `acl` of a block.
#[derive(Default)]
pub(in crate::chain) struct Acl {
    /// In the order of the file.
    pub(super) rules: Vec<Rule>,
    /// Where it counts, by listener; set once the listeners are known.
    counts: OnceLock<Box<[Option<Counts>]>>,
}

impl Acl {
    /// These rules.
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self { rules, counts: OnceLock::new() }
    }

    /// The zones of all rules, each once.
    fn zones(&self) -> impl Iterator<Item = &Zone> {
        let all = || self.rules.iter().flat_map(|rule| &rule.zones);
        all()
            .enumerate()
            .filter(move |(place, zone)| !all().take(*place).any(|known| known == *zone))
            .map(|(_, zone)| zone)
    }

    /// What is done with the question in hand, and the zone because of which. Cost: no allocation.
    fn decide(&self, asked: &Asked) -> (Action, Option<&Zone>) {
        let question = &asked.question;
        let client = asked.client.addr.ip();
        for rule in &self.rules {
            let within =
                rule.zones.iter().filter(|zone| question.below(zone.wire(), zone.labels()).is_some());
            let Some(zone) = within.max_by_key(|zone| zone.labels()) else { continue };
            let found = rule.policies.iter().find(|policy| {
                (policy.types.is_empty() || policy.types.contains(&question.qtype))
                    && policy.from.as_ref().is_none_or(|from| from.contains(client))
            });
            if let Some(policy) = found {
                return (policy.action, Some(zone));
            }
        }
        (Action::Allow, None)
    }

    /// Decides about the question in hand and counts; `None` where it goes on.
    pub(super) fn turn_away(&self, asked: &Asked, context: &Context<'_>) -> Option<Flow> {
        let (action, zone) = self.decide(asked);
        let counts = self.counts.get().and_then(|all| all.get(asked.client.listener)?.as_ref());
        match (counts, action.family()) {
            (Some(counts), None) => counts.allowed.add(context.worker, 1),
            (Some(counts), Some(family)) => {
                let place = zone.and_then(|zone| self.zones().position(|known| known == zone));
                let counter = place.and_then(|place| counts.away.get(place)?.get(family));
                if let Some(counter) = counter {
                    counter.add(context.worker, 1);
                }
            }
            (None, _) => {}
        }
        match action {
            Action::Allow => None,
            Action::Block => Some(Flow::Reply(Reply::code(Rcode::REFUSED).because(BLOCKED))),
            Action::Filter => Some(Flow::Reply(Reply::code(Rcode::NOERROR).because(FILTERED))),
            Action::Drop => Some(Flow::Drop),
        }
    }

    /// Learns where it counts.
    fn place(&self, place: &Place<'_>, parts: &mut dyn Parts) {
        let mut counts = |server: &str| Counts {
            allowed: parts.counter(&ALLOWED, &[("server", server), ("view", place.view)]),
            away: self
                .zones()
                .map(|zone| {
                    let labels = [("server", server), ("zone", zone.text()), ("view", place.view)];
                    [0, 1, 2].map(|family: usize| parts.counter(&FAMILIES[family], &labels))
                })
                .collect(),
        };
        let all = place.servers().map(|server| server.map(&mut counts)).collect();
        // The plan is new, so this is the first time.
        let _ = self.counts.set(all);
    }
}

/// The step.
pub(super) struct AclStep(pub(super) Arc<Acl>);

impl Step for AclStep {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        self.0.turn_away(asked, context).unwrap_or(Flow::Next)
    }

    fn placed(&self, place: &Place<'_>, parts: &mut dyn Parts) {
        self.0.place(place, parts);
    }
}
