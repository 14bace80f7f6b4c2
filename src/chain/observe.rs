//! `observe`: what was asked lately, for `signpost top` and `signpost tap` (rule S-31).
//!
//! The counts, and the last queries one by one, are in `observe`; `admin` tells them to loopback.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::asked::Asked;
use super::build::Draft;
use super::plan::Chain;
use super::step::{Context, Flow, Sent, Step};
use crate::corefile::{Directive, Error, Zone};
use crate::observe::{Observer, ObserverSpec, Seen};
use crate::time::Tick;
use crate::wire::{Question, Rcode, label_eq};

/// The Corefile's word.
pub(super) const WORD: &str = "observe";

/// How it is written.
pub(super) const SYNTAX: &str = "\
observe [QUERIES] {
    slow DURATION
}";

/// What it does.
pub(super) const HELP: &str =
    "keeps the last QUERIES (10000) and counts who asks most for what, for `signpost top` and `signpost tap`";

/// How many queries are kept unless somebody says.
const QUERIES: usize = 10_000;

/// The most that may be kept: 1 GB of memory.
const MOST: usize = 10_000_000;

/// What counts as slow unless somebody says.
const SLOW: Duration = Duration::from_millis(100);

/// The options, for hints.
const OPTIONS: &[&str] = &["slow"];

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    draft.once(directive)?;
    let mut spec = ObserverSpec { queries: QUERIES, slow: SLOW };
    if let [queries] = directive.expect_args(0..=1)? {
        spec.queries = queries.number(100..=MOST)?;
    }
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "slow" => {
                let token = line.only_arg()?;
                spec.slow = token.duration()?;
                if spec.slow.is_zero() {
                    return Err(token.error("every query would be slow: write a time above 0"));
                }
            }
            _ => return Err(line.word.unknown("an option of `observe`", OPTIONS)),
        }
    }
    let observer = draft.parts.observer(&spec);
    draft.observer = Some(observer.clone());
    draft.steps.push(Box::new(Observe { observer, zone: OnceLock::new() }));
    Ok(())
}

/// Takes the observer of a block into the plan: there is one for all blocks.
///
/// Errors: another block has another one.
pub(super) fn join(plan: &mut Option<Arc<Observer>>, draft: &Draft<'_>) -> Result<(), Error> {
    let Some(observer) = &draft.observer else { return Ok(()) };
    if plan.as_ref().is_some_and(|known| known.spec() != observer.spec())
        && let Some(directive) = draft.block.all(WORD).next()
    {
        return Err(directive
            .error("another block has another `observe`")
            .hint("all blocks share one recorder: write the same line in each"));
    }
    plan.get_or_insert_with(|| observer.clone());
    Ok(())
}

/// The step.
struct Observe {
    /// Who sees it.
    observer: Arc<Observer>,
    /// The cluster's zone of the chain, once a query was seen; none where it has none.
    zone: OnceLock<Option<Zone>>,
}

/// The namespace that a name of the cluster's zone is about, and whether only a search list makes such a name.
///
/// `NAME.NAMESPACE.svc.ZONE` is the first candidate of a pod of NAMESPACE for every NAME with fewer dots than `ndots`; a NAME of
/// several labels that is not there, and is none of a port, is that and nothing else.
fn place<'a>(question: &'a Question, zone: &Zone, rcode: Rcode) -> (Option<&'a [u8]>, bool) {
    let Some(left) = question.below(zone.wire(), zone.labels()) else { return (None, false) };
    let Some(kind) = left.checked_sub(1).map(|index| question.label(index)) else { return (None, false) };
    let service = label_eq(kind, "svc");
    let Some(index) = left.checked_sub(2).filter(|_| service || label_eq(kind, "pod")) else {
        return (None, false);
    };
    let candidate =
        service && rcode == Rcode::NXDOMAIN && index >= 2 && question.label(0).first() != Some(&b'_');
    (Some(question.label(index)), candidate)
}

impl Step for Observe {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn writes_down(&self) -> bool {
        true
    }

    fn sent(&self, asked: &Asked, sent: &Sent, chain: &Chain) {
        let Some(rcode) = sent.rcode else { return };
        let zone = self.zone.get_or_init(|| chain.steps.iter().find_map(|step| step.primary()).cloned());
        let question = asked.sent();
        let (namespace, candidate) = zone.as_ref().map_or((None, false), |zone| place(question, zone, rcode));
        let client = asked.client.addr;
        self.observer.note(
            sent.worker,
            &Seen {
                at: sent.at,
                took: sent.at.since(asked.arrived),
                client: client.ip(),
                port: client.port(),
                tcp: asked.client.transport.over_tcp(),
                name: question.lower(),
                qtype: question.qtype,
                rcode: rcode.0,
                answers: sent.answers,
                word: u8::try_from(asked.answered_by).unwrap_or(u8::MAX),
                namespace,
                candidate,
            },
        );
    }

    fn rhythm(&self) -> Option<Duration> {
        Some(self.observer.rhythm())
    }

    fn tend(&self, now: Tick) {
        self.observer.tend(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{parse_name, rtype};

    #[test]
    fn what_only_a_search_list_makes_is_told_from_what_is_missing() {
        let zone = Zone::parse("cluster.local").unwrap();
        for (name, rcode, namespace, candidate) in [
            ("web.shop.svc.cluster.local.", Rcode::NOERROR, "shop", false),
            ("wbe.shop.svc.cluster.local.", Rcode::NXDOMAIN, "shop", false),
            ("www.example.org.shop.svc.cluster.local.", Rcode::NXDOMAIN, "shop", true),
            ("web.prod.shop.svc.cluster.local.", Rcode::NXDOMAIN, "shop", true),
            ("web-0.web.shop.svc.cluster.local.", Rcode::NOERROR, "shop", false),
            ("_http._tcp.web.shop.svc.cluster.local.", Rcode::NXDOMAIN, "shop", false),
            ("10-0-0-1.shop.pod.cluster.local.", Rcode::NOERROR, "shop", false),
            ("shop.svc.cluster.local.", Rcode::NOERROR, "shop", false),
            ("svc.cluster.local.", Rcode::NOERROR, "", false),
            ("www.example.org.cluster.local.", Rcode::NXDOMAIN, "", false),
            ("cluster.local.", Rcode::NOERROR, "", false),
            ("web.shop.svc.example.org.", Rcode::NXDOMAIN, "", false),
        ] {
            let question = Question::new(&parse_name(name).unwrap(), rtype::A).unwrap();
            let (found, only_searched) = place(&question, &zone, rcode);
            assert_eq!(
                (found.unwrap_or_default(), only_searched),
                (namespace.as_bytes(), candidate),
                "{name}"
            );
        }
    }
}
