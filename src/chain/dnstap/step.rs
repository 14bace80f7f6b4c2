//! The step, and what `forward` tells.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::extra::Extra;
use super::parse::WORD;
use crate::chain::asked::{Asked, Transport};
use crate::chain::plan::Chain;
use crate::chain::step::{Context, Flow, Sent, Step};
use crate::forward::{Protocol, Response};
use crate::tap::{Event, Kind, Outlet, Socket, encode};
use crate::wire::{Head, MAX_MESSAGE, Sections, Shape, assemble};

/// A collector, and what it is told.
pub(in crate::chain) struct Tap {
    /// Its queue.
    pub(super) outlet: Arc<Outlet>,
    /// Whether whole messages go with it.
    pub(super) full: bool,
    /// Who we are.
    pub(super) identity: Vec<u8>,
    /// What we are.
    pub(super) version: Vec<u8>,
    /// What else is said.
    pub(super) extra: Option<Extra>,
}

/// The step.
pub(super) struct Dnstap {
    /// The collectors.
    pub(super) taps: Arc<[Tap]>,
}

impl Tap {
    /// Tells an event about a query.
    fn tell(&self, event: &Event<'_>, asked: &Asked, chain: Option<&Chain>) {
        let extra = self.extra.as_ref().zip(chain).map(|(extra, chain)| extra.write(asked, chain));
        let extra = extra.unwrap_or_default();
        self.outlet.push(encode(event, &self.identity, &self.version, extra.as_bytes()));
    }

    /// Tells what an upstream was asked and what it said, if anybody listens.
    pub(in crate::chain) fn forwarded(&self, asked: &Asked, response: &Response, context: &Context<'_>) {
        let Some(upstream) = response.from.as_ref().filter(|_| self.outlet.open()) else { return };
        let (now, addr) = (context.clock.since_1970(), upstream.spec().addr);
        let socket = match upstream.spec().protocol {
            Protocol::Udp => Socket::Udp,
            Protocol::Tcp => Socket::Tcp,
            Protocol::Tls => Socket::Tls,
            Protocol::Https => Socket::Https,
            Protocol::Quic => Socket::Quic,
        };
        let chain = context.plan.and_then(|plan| plan.chains.get(asked.chain));
        let mut out = vec![0; if self.full { MAX_MESSAGE } else { 0 }];
        let asked_at = now.saturating_sub(context.now.since(asked.arrived));
        let event = |kind, answered| Event {
            kind,
            socket,
            query: None,
            response: Some(addr),
            asked: asked_at,
            answered,
            message: None,
        };
        let edns = asked.query.edns.as_ref();
        let shape = Shape::stream();
        // Both are written anew: what went over the network has another id, and letters that nobody can guess.
        let header = asked.query.header;
        for kind in [Kind::ForwarderQuery, Kind::ForwarderResponse] {
            let mut event = event(kind, (kind == Kind::ForwarderResponse).then_some(now));
            if self.full {
                let mut sections = Sections::default();
                let mut head = Head::new(crate::wire::Rcode::NOERROR);
                if kind == Kind::ForwarderResponse {
                    sections.load(&response.records);
                    head.rcode = response.rcode;
                    head.authoritative = response.authoritative;
                    head.truncated = response.truncated;
                    head.authentic = response.authentic;
                    head.recursion_available = true;
                }
                let (length, _) = assemble(header, &asked.question, &head, edns, &sections, shape, &mut out);
                if kind == Kind::ForwarderQuery
                    && let Some(flags) = out.get_mut(2)
                {
                    // QR.
                    *flags &= 0x7f;
                }
                event.message = out.get(..length);
                self.tell(&event, asked, chain);
            } else {
                self.tell(&event, asked, chain);
            }
        }
    }
}

/// Over what a client came.
fn socket(transport: Transport) -> Socket {
    match transport {
        Transport::Udp => Socket::Udp,
        Transport::Tcp => Socket::Tcp,
        Transport::Tls => Socket::Tls,
        Transport::Https | Transport::Https3 => Socket::Https,
        Transport::Quic => Socket::Quic,
    }
}

/// An event about a client.
fn event<'a>(
    kind: Kind,
    asked: &'a Asked,
    answered: Option<Duration>,
    message: Option<&'a [u8]>,
) -> Event<'a> {
    let client: SocketAddr = asked.client.addr;
    Event {
        kind,
        socket: socket(asked.client.transport),
        query: Some(client),
        response: None,
        asked: asked.since_1970,
        answered,
        message,
    }
}

impl Step for Dnstap {
    fn word(&self) -> &'static str {
        WORD
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        // Questions on behalf of others are nobody's, and where it is only looked there is none.
        if asked.frames.is_empty() && !asked.only_looked {
            let age = context.clock.now().since(asked.arrived);
            asked.since_1970 = context.clock.since_1970().saturating_sub(age);
            let chain = context.plan.and_then(|plan| plan.chains.get(asked.chain));
            for tap in self.taps.iter().filter(|tap| tap.outlet.open()) {
                let message = tap.full.then_some(asked.message.as_slice());
                tap.tell(&event(Kind::ClientQuery, asked, None, message), asked, chain);
            }
        }
        Flow::Next
    }

    fn writes_down(&self) -> bool {
        true
    }

    fn sent(&self, asked: &Asked, sent: &Sent, chain: &Chain) {
        if sent.rcode.is_none() {
            return;
        }
        for tap in self.taps.iter().filter(|tap| tap.outlet.open()) {
            let at = asked.since_1970.saturating_add(sent.at.since(asked.arrived));
            let message = tap.full.then_some(asked.replied.as_slice());
            tap.tell(&event(Kind::ClientResponse, asked, Some(at), message), asked, Some(chain));
        }
    }

    fn needs_message(&self) -> bool {
        self.taps.iter().any(|tap| tap.full)
    }
}
