//! `loadbalance`: addresses in a random order (rule S-09).

use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error};
use crate::wire::{Rcode, Record, Section, rtype};

/// The Corefile's word.
pub(super) const WORD: &str = "loadbalance";

/// How it is written.
pub(super) const SYNTAX: &str = "loadbalance [round_robin]";

/// What it does.
pub(super) const HELP: &str = "shuffles A, AAAA and MX records of each reply";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    if let Some(policy) = directive.args.first() {
        match policy.text.as_str() {
            "round_robin" => {
                directive.expect_args(0..=1)?;
            }
            "weighted" | "prefer" => {
                return Err(policy
                    .error(format!("the policy `{}` is not served by this version yet", policy.text))
                    .hint("use `loadbalance round_robin`"));
            }
            _ => {
                return Err(
                    policy.unknown("a policy of `loadbalance`", &["round_robin", "weighted", "prefer"])
                );
            }
        }
    }
    draft.steps.push(Box::new(LoadBalance));
    Ok(())
}

/// The step.
struct LoadBalance;

impl Step for LoadBalance {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn tell(&self, _: &mut Asked, reply: &mut Reply, context: &mut Context<'_>) {
        if reply.head.rcode != Rcode::NOERROR || reply.sections.records().len() < 2 {
            return;
        }
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            let range = reply.sections.range(section);
            if let Some(records) = reply.sections.records_mut().get_mut(range) {
                arrange(records, context.rng);
            }
        }
    }
}

/// Puts CNAMEs first, then other records, then addresses, then MX, the last two kinds shuffled.
///
/// A random order and never a turn counter: A and AAAA queries come in pairs, and a counter would give one of them always
/// the same start. Cost: one swap a record; a section of one record costs nothing.
fn arrange(records: &mut [Record], rng: &mut fastrand::Rng) {
    if records.len() < 2 {
        return;
    }
    let rank = |record: &Record| match record.rtype {
        rtype::CNAME => 0_u8,
        rtype::A | rtype::AAAA => 2,
        rtype::MX => 3,
        _ => 1,
    };
    if !records.is_sorted_by_key(rank) {
        // Insertion sort: stable, in place, and the sections are short or sorted.
        for end in 1..records.len() {
            let mut at = end;
            while at > 0 && rank(&records[at - 1]) > rank(&records[at]) {
                records.swap(at - 1, at);
                at -= 1;
            }
        }
    }
    let addresses = records.partition_point(|record| rank(record) < 2);
    let exchanges = records.partition_point(|record| rank(record) < 3);
    let (front, mail) = records.split_at_mut(exchanges);
    if let Some(addresses) = front.get_mut(addresses..) {
        rng.shuffle(addresses);
    }
    rng.shuffle(mail);
}
