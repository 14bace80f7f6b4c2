//! A query on its way through the chain: one plain struct, on the worker's desk or in its table of waiting queries.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::autopath::Memo;
use super::rewrite::Rewritten;
use super::step::{Held, Reply};
use crate::forward::Upstream;
use crate::time::Tick;
use crate::wire::{Edns, Query, Question, Sections, Shape, assemble};

/// How long a query may take in all at most, waiting included: below glibc's 5 seconds (rule F-03 as section 0 decides).
pub const BUDGET: Duration = Duration::from_secs(4);

/// How deep questions may be asked on behalf of others (rule K-133, RELIABILITY U10: 11 links of a chain).
pub const MAX_FRAMES: usize = 11;

/// How a query came in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A stream of length-prefixed messages.
    Tcp,
    /// The same inside of TLS (RFC 7858).
    Tls,
    /// HTTP over TCP (RFC 8484).
    Https,
    /// HTTP over QUIC.
    Https3,
    /// A stream of QUIC for each query (RFC 9250).
    Quic,
}

impl Transport {
    /// Whether replies of several messages can come this way (rule S-19).
    #[must_use]
    pub fn carries_transfers(self) -> bool {
        match self {
            Self::Tcp | Self::Tls => true,
            Self::Udp | Self::Https | Self::Https3 | Self::Quic => false,
        }
    }

    /// As logs print it: what carries it.
    #[must_use]
    pub fn text(self) -> &'static str {
        if self.over_tcp() { "tcp" } else { "udp" }
    }

    /// Whether TCP carries it; else datagrams do.
    #[must_use]
    pub fn over_tcp(self) -> bool {
        match self {
            Self::Tcp | Self::Tls | Self::Https => true,
            Self::Udp | Self::Https3 | Self::Quic => false,
        }
    }

    /// Whether a reply may only be seen by who asked, so that its length matters (RFC 8467).
    #[must_use]
    pub fn encrypted(self) -> bool {
        !matches!(self, Self::Udp | Self::Tcp)
    }

    /// The bounds of a reply to a client whose OPT says this (rules K-012, K-011).
    #[must_use]
    pub fn shape(self, edns: Option<&Edns>) -> Shape {
        match self {
            Self::Udp => Shape::datagram(edns),
            Self::Tcp => Shape::stream(),
            Self::Tls | Self::Https | Self::Https3 | Self::Quic => {
                let padded = edns.is_some_and(|edns| edns.padding);
                if padded { Shape::stream().padded() } else { Shape::stream() }
            }
        }
    }
}

/// Who asks, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    /// The peer.
    pub addr: SocketAddr,
    /// Our address that was asked, where the socket tells it.
    pub local: Option<IpAddr>,
    /// How the query came in.
    pub transport: Transport,
    /// Which of the plan's listeners took it.
    pub listener: usize,
    /// Size of the query. Unit: bytes.
    pub size: usize,
}

/// A question that waits for another to be answered.
#[derive(Debug)]
pub(super) struct Frame {
    /// The question that waits.
    pub(super) question: Question,
    /// Its chain.
    pub(super) chain: usize,
    /// The step that asked.
    pub(super) step: usize,
    /// Where its walk began.
    pub(super) entry: usize,
    /// The second header word of the query as it was then: a block that changes it does so for its own questions alone.
    pub(super) flags: u16,
    /// What the step drafted so far.
    pub(super) held: Held,
    /// The reply to the question that waits, where the other one is asked to go with it (`Step::also`).
    pub(super) first: Option<Reply>,
    /// What is given back with the reply, where only the steps behind are asked (`Ask::Behind`).
    pub(super) memo: Option<Box<Memo>>,
    /// Whether `first` waits for a question of `Step::follow`, not of `Step::also`.
    pub(super) follows: bool,
}

/// A query on its way.
///
/// Shape: about 1 KiB, reused from query to query; `question` is the innermost frame's, as rewritten so far.
#[derive(Debug)]
pub struct Asked {
    /// Header and EDNS as sent.
    pub query: Query,
    /// The question being answered now.
    pub question: Question,
    /// Who asks.
    pub client: Client,
    /// When the batch arrived that held it.
    pub arrived: Tick,
    /// The bounds of the reply.
    pub shape: Shape,
    /// The question as sent, kept once `question` is not that any more.
    pub(super) original: Option<Box<Question>>,
    /// The place of the client's question among the zones of its listener.
    pub(super) place: usize,
    /// The chain that is being walked.
    pub(super) chain: usize,
    /// The step that is or was asked last.
    pub(super) step: usize,
    /// Where the walk of the innermost question began.
    pub(super) entry: usize,
    /// Questions that wait for the one being answered, outermost first.
    pub(super) frames: Vec<Frame>,
    /// Until when the answer of upstreams is worth waiting for, where something is at hand that could be served instead.
    pub patience: Option<Tick>,
    /// Whether upstreams failed on this question a moment ago, so that they are not asked again: the step that asks them
    /// may know another way.
    pub failed_before: bool,
    /// Whether an answer of upstreams was awaited for as long as it is worth while when the other family may do.
    pub hurried: bool,
    /// Whether it is asked in the background, on behalf of nobody.
    pub(super) errand: bool,
    /// Whether only what is at hand is wanted: nobody is asked for it.
    pub at_hand: bool,
    /// Whether nobody gets the reply: it is only looked at what it would be. No step counts, tells anybody or begins anything then.
    pub(super) only_looked: bool,
    /// How long it may take in all, waiting included.
    pub(super) budget: Duration,
    /// What a step that waits wants to know when it is resumed.
    pub(super) noted: u64,
    /// What `rewrite` did to the questions in hand, outermost first (rule S-11).
    pub(super) rewritten: Vec<Rewritten>,
    /// EDNS options that go to upstreams with it, wire form (rule S-11).
    pub(super) options: Vec<u8>,
    /// The client's message, kept where a step of its chain needs it.
    pub(super) message: Vec<u8>,
    /// The reply as it was made, kept where a step of its chain needs messages.
    pub(super) replied: Vec<u8>,
    /// When it arrived, for steps that tell the time; kept by `dnstap`. Unit: time since 1970.
    pub(super) since_1970: Duration,
    /// Which upstream answered, if any did.
    pub upstream: Option<Arc<Upstream>>,
    /// Place in the list of words of the step that answered, for metrics.
    pub(super) answered_by: usize,
    /// Drafts to reuse.
    drafts: Vec<Sections>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            query: Query::default(),
            question: Question::default(),
            client: Client {
                addr: SocketAddr::from(([0, 0, 0, 0], 0)),
                local: None,
                transport: Transport::Udp,
                listener: 0,
                size: 0,
            },
            arrived: Tick::default(),
            shape: Shape::stream(),
            original: None,
            place: usize::MAX,
            chain: 0,
            step: 0,
            entry: 0,
            frames: Vec::new(),
            patience: None,
            failed_before: false,
            hurried: false,
            errand: false,
            at_hand: false,
            only_looked: false,
            budget: BUDGET,
            noted: 0,
            rewritten: Vec::new(),
            options: Vec::new(),
            message: Vec::new(),
            replied: Vec::new(),
            since_1970: Duration::ZERO,
            upstream: None,
            answered_by: super::words::NOBODY,
            drafts: Vec::new(),
        }
    }
}

impl Asked {
    /// An empty draft for a reply to the question being answered. Cost: reuses what earlier replies left.
    #[must_use]
    #[inline]
    pub fn draft(&mut self) -> Sections {
        let mut sections = self.drafts.pop().unwrap_or_default();
        sections.clear(self.original.is_none() && self.frames.is_empty());
        sections
    }

    /// Hands over what was given back for reuse.
    pub(super) fn swap_drafts(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.drafts, &mut other.drafts);
    }

    /// A question outside of any message: no RDATA points into a question section.
    pub(super) fn detached(question: &Question) -> Self {
        Self { question: question.clone(), original: Some(Box::new(question.clone())), ..Self::default() }
    }

    /// Gives up all frames: the client's own question is in hand again.
    pub(super) fn unwind(&mut self) {
        if let Some(outermost) = self.frames.drain(..).next() {
            self.question = outermost.question;
            self.query.header.flags = outermost.flags;
            self.chain = outermost.chain;
            self.step = outermost.step;
        }
    }

    /// Makes another question the one being answered; what is echoed stays the client's. Returns the one before.
    ///
    /// Cost: two allocations at most, and none where nothing is rewritten.
    pub(super) fn rewrite(&mut self, question: Question) -> Box<Question> {
        self.detach();
        Box::new(std::mem::replace(&mut self.question, question))
    }

    /// Keeps the client's question apart from the one in hand: no RDATA of a draft points into it any more.
    pub(super) fn detach(&mut self) {
        if self.original.is_none() {
            let sent = self.frames.first().map_or(&self.question, |frame| &frame.question);
            self.original = Some(Box::new(sent.clone()));
        }
    }

    /// Gives a draft back for reuse.
    #[inline]
    pub fn reclaim(&mut self, sections: Sections) {
        if self.drafts.len() < 2 && sections.has_buffers() {
            self.drafts.push(sections);
        }
    }

    /// Writes a reply to the client's question into `out`; returns its length and whether it was cut.
    #[inline]
    pub(super) fn assemble(&self, reply: &Reply, out: &mut [u8]) -> (usize, bool) {
        let edns = self.query.edns.as_ref();
        assemble(self.query.header, self.sent(), &reply.head, edns, &reply.sections, self.shape, out)
    }

    /// The question as the client sent it.
    #[must_use]
    #[inline]
    pub fn sent(&self) -> &Question {
        self.original.as_deref().unwrap_or(&self.question)
    }

    /// When it must be answered at the latest.
    #[must_use]
    pub fn deadline(&self) -> Tick {
        self.arrived.plus(self.budget)
    }
}
