//! `nsid`: the name of this server, for those who ask for it (rule S-08, RFC 5001).

use std::sync::Arc;

use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error};

/// The Corefile's word.
pub(super) const WORD: &str = "nsid";

/// How it is written.
pub(super) const SYNTAX: &str = "nsid [DATA…]";

/// What it does.
pub(super) const HELP: &str =
    "names this server to clients that ask for it with the option NSID; the host's name";

/// The longest name: it must fit beside any question in 512 bytes. Unit: bytes.
const LONGEST: usize = 128;

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    draft.once(directive)?;
    let words: Vec<&str> = directive.args.iter().map(|arg| arg.text.as_str()).collect();
    let mut data = words.join(" ");
    if let Some(first) = directive.args.first()
        && data.len() > LONGEST
    {
        return Err(
            first.error(format!("the name is {} bytes long: {LONGEST} fit into every reply", data.len()))
        );
    }
    if words.is_empty() {
        data = draft.parts.hostname();
    }
    draft.steps.push(Box::new(Nsid { data: Arc::new(data.into_bytes().into()) }));
    Ok(())
}

/// The step.
struct Nsid {
    /// The name.
    data: Arc<Box<[u8]>>,
}

impl Step for Nsid {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, _: &mut Asked, _: &mut Context<'_>) -> Flow {
        Flow::Next
    }

    fn tell(&self, asked: &mut Asked, reply: &mut Reply, _: &mut Context<'_>) {
        if asked.query.edns.is_some_and(|edns| edns.nsid) {
            reply.head.nsid = Some(self.data.clone());
        }
    }
}
