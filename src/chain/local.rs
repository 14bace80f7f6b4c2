//! `local`: `localhost` and the reverse zones of addresses that never leave a machine, answered here (rule S-10).

use std::sync::{Arc, OnceLock};

use super::acl::Gate;
use super::asked::Asked;
use super::build::{Draft, Parts};
use super::step::{Context, Flow, Reply, Stand, Step};
use crate::corefile::{Directive, Error};
use crate::metrics::{Family, PerWorker};
use crate::wire::{Owner, Question, Rcode, Section, Sections, label_eq, rtype, show_name};

/// The Corefile's word.
pub(super) const WORD: &str = "local";

/// How it is written.
pub(super) const SYNTAX: &str = "local [{ localhost_prefix on|off }]";

/// What it does.
pub(super) const HELP: &str = "answers localhost and what lies below it, and 0, 127 and 255.in-addr.arpa";

/// TTL of all records. Unit: seconds.
const TTL: u32 = 604_800;

/// `localhost.` in wire form.
const LOCALHOST: &[u8] = b"\x09localhost\0";

/// The zones in wire form, with their numbers of labels.
const ZONES: &[(&[u8], usize)] = &[
    (LOCALHOST, 1),
    (b"\x010\x07in-addr\x04arpa\0", 3),
    (b"\x03127\x07in-addr\x04arpa\0", 3),
    (b"\x03255\x07in-addr\x04arpa\0", 3),
];

/// The name of 127.0.0.1 in wire form.
const ONE: &[u8] = b"\x011\x010\x010\x03127\x07in-addr\x04arpa\0";

/// What is counted.
static FAMILY: Family = Family {
    name: "coredns_local_localhost_requests_total",
    help: "Questions for names below localhost, or with localhost in front of them.",
};

/// Reads the stanza.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    draft.once(directive)?;
    let mut prefix = true;
    for line in directive.lines() {
        line.no_block()?;
        match line.word.text.as_str() {
            "localhost_prefix" => {
                let arg = line.only_arg()?;
                prefix = match arg.text.as_str() {
                    "on" => true,
                    "off" => false,
                    _ => return Err(arg.unknown("a setting of `localhost_prefix`", &["on", "off"])),
                };
            }
            _ => return Err(line.word.unknown("an option of `local`", &["localhost_prefix"])),
        }
    }
    let gate = Gate::of(draft)?;
    draft.steps.push(Box::new(Local { prefix, gate, count: OnceLock::new() }));
    Ok(())
}

/// The step.
struct Local {
    /// Whether `localhost.NAME` is the machine itself too.
    prefix: bool,
    /// Who may ask.
    gate: Gate,
    /// Where names about localhost are counted; set once the plan stands.
    count: OnceLock<Arc<PerWorker>>,
}

/// What a question is about.
enum About {
    /// A name below `localhost.`, or with `localhost` in front of it.
    Localhost,
    /// A zone itself, or a name in it; the label where the zone begins.
    Zone(usize),
}

impl Local {
    /// What a question is about, if it is one of ours. Cost: four comparisons of bytes.
    fn about(&self, question: &Question) -> Option<About> {
        let below = |(zone, labels): &(&[u8], usize)| question.below(zone, *labels);
        let longer = question.labels() > 1;
        if longer && (below(&ZONES[0]).is_some() || self.prefix && label_eq(question.label(0), "localhost")) {
            return Some(About::Localhost);
        }
        ZONES.iter().find_map(below).map(About::Zone)
    }
}

/// Adds the SOA whose owner is the question from this label on.
fn soa(sections: &mut Sections, section: Section, label: usize) {
    let owner = if label == 0 { Owner::Question } else { Owner::Suffix(u8::try_from(label).unwrap_or(0)) };
    sections.push(section, owner, rtype::SOA, TTL, |rdata| {
        rdata.bytes(LOCALHOST);
        rdata.label(b"root");
        rdata.bytes(LOCALHOST);
        for number in [1, 0, 0, 0, TTL] {
            rdata.long(number);
        }
    });
}

/// Adds the address of this machine itself; false where the question is for something else.
fn address(sections: &mut Sections, qtype: u16) -> bool {
    match qtype {
        rtype::A => sections.push_address(Section::Answer, Owner::Question, TTL, &[127, 0, 0, 1]),
        rtype::AAAA => {
            let octets = std::net::Ipv6Addr::LOCALHOST.octets();
            sections.push_address(Section::Answer, Owner::Question, TTL, &octets);
        }
        _ => return false,
    }
    true
}

/// Drafts what is said; returns the code.
fn answer(question: &Question, about: &About, sections: &mut Sections) -> Rcode {
    let qtype = question.qtype;
    let name = |sections: &mut Sections| {
        sections.push(Section::Answer, Owner::Question, qtype, TTL, |rdata| rdata.bytes(LOCALHOST));
    };
    match about {
        About::Localhost => {
            if !address(sections, qtype) {
                soa(sections, Section::Authority, 0);
            }
        }
        About::Zone(0) => match qtype {
            rtype::SOA => soa(sections, Section::Answer, 0),
            rtype::NS => name(sections),
            _ if question.lower() == LOCALHOST && address(sections, qtype) => {}
            _ => soa(sections, Section::Authority, 0),
        },
        About::Zone(zone) => match (question.lower() == ONE, qtype) {
            (true, rtype::PTR) => name(sections),
            (one, _) => {
                soa(sections, Section::Authority, *zone);
                if !one {
                    return Rcode::NXDOMAIN;
                }
            }
        },
    }
    Rcode::NOERROR
}

impl Step for Local {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        let Some(about) = self.about(&asked.question) else { return Flow::Next };
        if let Some(flow) = self.gate.turn_away(asked, context) {
            return flow;
        }
        if matches!(about, About::Localhost) {
            if let Some(count) = self.count.get().filter(|_| !asked.only_looked) {
                count.add(context.worker, 1);
            }
            if !asked.only_looked {
                tracing::debug!(
                    target: "plugin/local",
                    "{} asks for {}",
                    asked.client.addr.ip(),
                    show_name(asked.question.lower())
                );
            }
        }
        let mut sections = asked.draft();
        let rcode = answer(&asked.question, &about, &mut sections);
        Flow::Reply(Reply::new(rcode, sections))
    }

    fn placed(&self, _: &Stand<'_>, parts: &mut dyn Parts) {
        // The plan is new, so this is the first time.
        let _ = self.count.set(parts.counter(&FAMILY, &[]));
    }
}
