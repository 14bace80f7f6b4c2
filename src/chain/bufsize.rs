//! `bufsize`: replies over UDP no larger than this (rule S-08).

use super::asked::{Asked, Transport};
use super::build::Draft;
use super::step::{Context, Flow, Step};
use crate::corefile::{Directive, Error};
use crate::wire::{MAX_UDP_REPLY, Shape};

/// The Corefile's word.
pub(super) const WORD: &str = "bufsize";

/// How it is written.
pub(super) const SYNTAX: &str = "bufsize [SIZE]";

/// What it does.
pub(super) const HELP: &str =
    "lowers the largest reply over UDP that a client with EDNS gets: 512 to 4096, 1232";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.no_block()?;
    let size = match directive.expect_args(0..=1)?.first() {
        Some(arg) => arg.number::<u16>(512..=4096)?,
        None => u16::try_from(MAX_UDP_REPLY).unwrap_or(u16::MAX),
    };
    if usize::from(size) > MAX_UDP_REPLY {
        draft.warnings.push(format!(
            "{}: `bufsize {size}` changes nothing: replies over UDP never exceed {MAX_UDP_REPLY} bytes",
            directive.word.at
        ));
    }
    draft.steps.push(Box::new(Bufsize { size }));
    Ok(())
}

/// The step.
struct Bufsize {
    /// The most bytes.
    size: u16,
}

impl Step for Bufsize {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        // A question on behalf of another is not what is sent.
        if asked.frames.is_empty()
            && let Some(edns) = &mut asked.query.edns
            && edns.udp_size > self.size
        {
            // Never raised, and seen by `log` as it was applied.
            edns.udp_size = self.size;
            if asked.client.transport == Transport::Udp {
                asked.shape = Shape::datagram(asked.query.edns.as_ref());
            }
        }
        Flow::Next
    }
}
