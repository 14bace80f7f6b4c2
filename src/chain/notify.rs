//! Word of a primary that a zone has changed (RFC 1996, rule K-014).

use super::asked::Client;
use super::plan::Plan;
use crate::wire::{Head, Query, Question, Rcode, Sections, Shape, assemble};

/// Answers a NOTIFY from a primary of a zone that is followed; `None` for any other message, which is read as usual.
///
/// Cost: one look at the plan unless a zone follows primaries.
pub(super) fn answer(
    plan: &Plan,
    bytes: &[u8],
    client: Client,
    question: &mut Question,
    out: &mut [u8],
) -> Option<usize> {
    if !plan.follows {
        return None;
    }
    let query = Query::notify(bytes, question)?;
    if !plan.notified(client.listener, question, client.addr.ip()) {
        return None;
    }
    let head = Head { authoritative: true, ..Head::new(Rcode::NOERROR) };
    let (length, _) =
        assemble(query.header, question, &head, None, &Sections::default(), Shape::datagram(None), out);
    Some(length)
}
