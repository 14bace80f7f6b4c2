//! `chaos`: version, authors and host name in the class CH (rules S-08, K-013).

use super::acl::Gate;
use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error};
use crate::wire::{CLASS_CH, Owner, Question, Rcode, Section, Sections, rtype};

/// The Corefile's word.
pub(super) const WORD: &str = "chaos";

/// How it is written.
pub(super) const SYNTAX: &str = "chaos [VERSION [AUTHORS…]]";

/// What it does.
pub(super) const HELP: &str =
    "answers version.bind, version.server, authors.bind, hostname.bind and id.server in class CH, type TXT";

/// Who is named unless the line says.
const AUTHORS: &str = "the authors of signpost";

/// The longest string of a TXT record. Unit: bytes.
const LONGEST: usize = 255;

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fact {
    /// The version.
    Version,
    /// Who made it.
    Authors,
    /// The host's name.
    Host,
}

/// The names, in wire form.
const NAMES: &[(&[u8], Fact)] = &[
    (b"\x07version\x04bind\0", Fact::Version),
    (b"\x07version\x06server\0", Fact::Version),
    (b"\x07authors\x04bind\0", Fact::Authors),
    (b"\x08hostname\x04bind\0", Fact::Host),
    (b"\x02id\x06server\0", Fact::Host),
];

/// What a question is about, if it is one of ours.
fn fact(question: &Question) -> Option<Fact> {
    if question.qclass != CLASS_CH || question.qtype != rtype::TXT {
        return None;
    }
    NAMES.iter().find(|(name, _)| *name == question.lower()).map(|(_, fact)| *fact)
}

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    draft.once(directive)?;
    let (version, authors) = match directive.args.split_first() {
        Some((version, authors)) => (version.text.clone(), authors),
        None => (format!("signpost-{}", env!("CARGO_PKG_VERSION")), [].as_slice()),
    };
    let mut authors: Vec<Vec<u8>> = authors.iter().map(|author| string(&author.text)).collect();
    authors.sort_unstable();
    authors.dedup();
    if authors.is_empty() {
        authors.push(string(AUTHORS));
    }
    let gate = Gate::of(draft)?;
    let host = string(&draft.parts.hostname());
    draft.steps.push(Box::new(Chaos { version: string(&version), authors, host, gate }));
    Ok(())
}

/// As much of a text as a TXT record holds in one string.
fn string(text: &str) -> Vec<u8> {
    text.as_bytes().iter().copied().take(LONGEST).collect()
}

/// The step.
struct Chaos {
    /// The version.
    version: Vec<u8>,
    /// Who made it.
    authors: Vec<Vec<u8>>,
    /// The host's name.
    host: Vec<u8>,
    /// Who may ask.
    gate: Gate,
}

/// Adds one record.
fn push(sections: &mut Sections, text: &[u8]) {
    sections.push(Section::Answer, Owner::Question, rtype::TXT, 0, |rdata| {
        rdata.bytes(&[u8::try_from(text.len()).unwrap_or(u8::MAX)]);
        rdata.bytes(text);
    });
}

impl Step for Chaos {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        let Some(fact) = fact(&asked.question) else { return Flow::Next };
        if let Some(flow) = self.gate.turn_away(asked, context) {
            return flow;
        }
        let mut sections = asked.draft();
        match fact {
            Fact::Version => push(&mut sections, &self.version),
            Fact::Host => push(&mut sections, &self.host),
            Fact::Authors => {
                self.authors.iter().for_each(|author| push(&mut sections, author));
                context.rng.shuffle(sections.records_mut());
            }
        }
        Flow::Reply(Reply::new(Rcode::NOERROR, sections))
    }

    fn other_classes(&self) -> bool {
        true
    }
}
