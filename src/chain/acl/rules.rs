//! The rules of a block, and the step that decides by them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use super::WORD;
use crate::chain::asked::Asked;
use crate::chain::build::Parts;
use crate::chain::network::Networks;
use crate::chain::step::{Context, Flow, Reply, Stand, Step};
use crate::corefile::Zone;
use crate::metrics::{Family, PerWorker};
use crate::wire::{Ede, Question, Rcode};

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

/// Up to so many zones are looked through one by one.
const FEW: usize = 8;

/// One `acl` of a block.
#[derive(Debug)]
pub(super) struct Rule {
    /// The zones whose names it is about, with the place of each among all zones of the block.
    zones: Vec<(Zone, usize)>,
    /// The places of zones by name in wire form, where they are many.
    by_name: HashMap<Box<[u8]>, usize, foldhash::fast::RandomState>,
    /// Its lines, in the order of the file.
    policies: Vec<Policy>,
}

impl Rule {
    /// The place, among all zones of the block, of the longest zone that a question lies in; `None`: it is not about it.
    ///
    /// Cost: a comparison for each of a few zones, a look-up for each label where they are many; no allocation.
    fn covers(&self, question: &Question) -> Option<usize> {
        if self.by_name.is_empty() {
            let within =
                self.zones.iter().filter(|(zone, _)| question.below(zone.wire(), zone.labels()).is_some());
            return within.max_by_key(|(zone, _)| zone.labels()).map(|(_, place)| *place);
        }
        (0..=question.labels()).find_map(|label| {
            let name = question.lower().get(question.start(label)..)?;
            self.by_name.get(name).copied()
        })
    }
}

/// Where a listener's questions are counted.
struct Counts {
    /// Those who pass.
    allowed: Arc<PerWorker>,
    /// Those who are turned away, by the place of the zone and by action.
    away: Vec<[Arc<PerWorker>; 3]>,
}

/// All `acl` of a block.
#[derive(Default)]
pub(in crate::chain) struct Acl {
    /// The zones of all rules, each once.
    zones: Vec<Zone>,
    /// In the order of the file.
    rules: Vec<Rule>,
    /// Where it counts, by listener; set once the listeners are known.
    counts: OnceLock<Box<[Option<Counts>]>>,
}

impl Acl {
    /// These rules: zones and lines of each.
    pub(super) fn new(written: Vec<(Vec<Zone>, Vec<Policy>)>) -> Self {
        let mut places: BTreeMap<Zone, usize> = BTreeMap::new();
        let mut all = Vec::new();
        let rules = written.into_iter().map(|(zones, policies)| {
            let zones: Vec<(Zone, usize)> = zones
                .into_iter()
                .map(|zone| {
                    let place = *places.entry(zone.clone()).or_insert_with(|| {
                        all.push(zone.clone());
                        all.len() - 1
                    });
                    (zone, place)
                })
                .collect();
            let many = zones.iter().filter(|_| zones.len() > FEW);
            let by_name = many.map(|(zone, place)| (zone.wire().into(), *place)).collect();
            Rule { zones, by_name, policies }
        });
        let rules = rules.collect();
        Self { zones: all, rules, counts: OnceLock::new() }
    }

    /// What is done with the question in hand, and the place of the zone because of which.
    fn decide(&self, asked: &Asked) -> (Action, Option<usize>) {
        let question = &asked.question;
        let client = asked.client.addr.ip();
        for rule in &self.rules {
            let Some(zone) = rule.covers(question) else { continue };
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
        let counts = counts.filter(|_| !asked.only_looked);
        match (counts, action.family()) {
            (Some(counts), None) => counts.allowed.add(context.worker, 1),
            (Some(counts), Some(family)) => {
                let counter = zone.and_then(|zone| counts.away.get(zone)?.get(family));
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
    fn place(&self, place: &Stand<'_>, parts: &mut dyn Parts) {
        let mut counts = |server: &str| Counts {
            allowed: parts.counter(&ALLOWED, &[("server", server), ("view", place.view)]),
            away: self
                .zones
                .iter()
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

    fn guards(&self) -> bool {
        true
    }

    fn placed(&self, place: &Stand<'_>, parts: &mut dyn Parts) {
        self.0.place(place, parts);
    }
}
