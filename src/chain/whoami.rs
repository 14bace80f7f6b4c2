//! `whoami`: tells the client its own address, port and transport (rule S-10).

use std::net::IpAddr;

use super::asked::Asked;
use super::build::Draft;
use super::step::{Context, Flow, Reply, Step};
use crate::corefile::{Directive, Error};
use crate::wire::{MAX_NAME, Owner, Rcode, Section, rtype};

/// The Corefile's word.
pub(super) const WORD: &str = "whoami";

/// How it is written.
pub(super) const SYNTAX: &str = "whoami";

/// What it does.
pub(super) const HELP: &str = "answers every name with the client's address, port and transport";

/// Reads the line.
pub(super) fn parse(directive: &Directive, draft: &mut Draft<'_>) -> Result<(), Error> {
    directive.expect_args(0..=0)?;
    directive.no_block()?;
    draft.steps.push(Box::new(Whoami));
    Ok(())
}

/// The step.
pub(super) struct Whoami;

impl Step for Whoami {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        let mut sections = asked.draft();
        let client = asked.client;
        match client.addr.ip() {
            IpAddr::V4(v4) => sections.push_address(Section::Additional, Owner::Question, 0, &v4.octets()),
            IpAddr::V6(v6) => sections.push_address(Section::Additional, Owner::Question, 0, &v6.octets()),
        }
        // `_udp.` before the name asked for; a name that leaves no room for it goes without.
        let name = asked.question.typed();
        let proto = client.transport.text().as_bytes();
        if name.len() + proto.len() + 2 <= MAX_NAME {
            let mut owner = [0_u8; MAX_NAME];
            let pieces =
                [u8::try_from(proto.len() + 1).unwrap_or(0), b'_'].into_iter().chain(proto.iter().copied());
            let length =
                owner.iter_mut().zip(pieces.chain(name.iter().copied())).map(|(to, from)| *to = from).count();
            let owner = sections.store_name(owner.get(..length).unwrap_or_default());
            sections.push(Section::Additional, owner, rtype::SRV, 0, |rdata| {
                rdata.word(0);
                rdata.word(0);
                rdata.word(client.addr.port());
                rdata.bytes(&[0]);
            });
        }
        Flow::Reply(Reply::new(Rcode::NOERROR, sections).authoritative())
    }
}
