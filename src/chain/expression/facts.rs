//! What an expression can ask about a query, and about what its word brings.

use std::borrow::Cow;
use std::net::IpAddr;

use super::tree::Value;
use crate::chain::asked::{Asked, Transport};
use crate::chain::log::{class_text, type_text};
use crate::chain::plan::{Chain, Listener};
use crate::wire::{MAX_MESSAGE, PLAIN_UDP_REPLY, Question, show_name};

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
pub(in crate::chain) struct Facts<'a> {
    /// The query.
    pub(in crate::chain) asked: &'a Asked,
    /// The question, the client's own or one on behalf of it.
    pub(in crate::chain) question: &'a Question,
    /// The listener that took it.
    pub(in crate::chain) listener: &'a Listener,
    /// The chain of the block that is looked at.
    pub(in crate::chain) chain: &'a Chain,
    /// The groups of a match by name or number; `None` where there is no match.
    pub(in crate::chain) groups: Option<&'a dyn Fn(&str) -> String>,
    /// The values of variables, in the order of their declaration.
    pub(in crate::chain) variables: &'a [Value],
    /// `#`: the value that a quantifier looks at.
    pub(in crate::chain) item: Option<&'a Value>,
}

impl<'a> Facts<'a> {
    /// What is known of a query alone.
    pub(in crate::chain) fn of(
        asked: &'a Asked,
        question: &'a Question,
        listener: &'a Listener,
        chain: &'a Chain,
    ) -> Self {
        Self { asked, question, listener, chain, groups: None, variables: &[], item: None }
    }
}

/// A number that is known of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::chain) enum NumberFact {
    /// `bufsize()`.
    BufferSize,
    /// `id()`.
    Id,
    /// `opcode()`.
    Opcode,
    /// `size()`.
    Size,
}

/// A text that is known of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::chain) enum TextFact {
    /// `class()`.
    Class,
    /// `client_ip()`.
    ClientIp,
    /// `name()`.
    Name,
    /// `port()`.
    Port,
    /// `proto()`.
    Proto,
    /// `server_ip()`.
    ServerIp,
    /// `server_port()`.
    ServerPort,
    /// `type()`.
    Type,
}

impl Facts<'_> {
    /// A group of the match; empty where there is none of that name.
    pub(in crate::chain) fn group(&self, name: &str) -> String {
        self.groups.map_or_else(String::new, |groups| groups(name))
    }

    /// Whether DO is set.
    pub(in crate::chain) fn dnssec_ok(&self) -> bool {
        self.asked.query.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// A number.
    pub(in crate::chain) fn number(&self, fact: NumberFact) -> i64 {
        match fact {
            NumberFact::BufferSize => {
                let said = self.asked.query.edns.map_or(0, |edns| usize::from(edns.udp_size));
                let size = match self.asked.client.transport {
                    Transport::Udp => said.max(PLAIN_UDP_REPLY),
                    _ => MAX_MESSAGE,
                };
                i64::try_from(size).unwrap_or(i64::MAX)
            }
            NumberFact::Id => self.asked.query.header.id.into(),
            NumberFact::Opcode => self.asked.query.header.opcode().0.into(),
            NumberFact::Size => i64::try_from(self.asked.client.size).unwrap_or(i64::MAX),
        }
    }

    /// Our address that was asked: as the socket tells it, else as the block is bound.
    fn server_ip(&self) -> IpAddr {
        self.asked.client.local.unwrap_or(self.listener.addr.ip())
    }

    /// A text that is an address, as an address. Cost: no allocation.
    pub(in crate::chain) fn address(&self, fact: TextFact) -> Option<IpAddr> {
        match fact {
            TextFact::ClientIp => Some(self.asked.client.addr.ip()),
            TextFact::ServerIp => Some(self.server_ip()),
            _ => None,
        }
    }

    /// A text.
    pub(in crate::chain) fn text(&self, fact: TextFact) -> Cow<'static, str> {
        let client = &self.asked.client;
        match fact {
            TextFact::Class => class_text(self.question.qclass).into(),
            TextFact::ClientIp => client.addr.ip().to_string().into(),
            TextFact::Name => show_name(self.question.lower()).into(),
            TextFact::Port => client.addr.port().to_string().into(),
            TextFact::Proto => client.transport.text().into(),
            TextFact::ServerIp => self.server_ip().to_string().into(),
            TextFact::ServerPort => self.listener.addr.port().to_string().into(),
            TextFact::Type => type_text(self.question.qtype).into(),
        }
    }

    /// The value of a metadata label; empty where nobody publishes it.
    pub(in crate::chain) fn metadata(&self, label: &str) -> String {
        self.chain.metadata(self.asked, label).unwrap_or_default()
    }
}
