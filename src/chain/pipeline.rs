//! The one pipeline of every transport: bytes in, bytes out, or a query that waits.
//!
//! ```text
//! bytes ─► Query::parse ─► choose chain ─► ask, ask, ask … ─► Reply ─► tell, tell … ─► assemble ─► bytes
//!              │ fault                        │ Wait
//!              └─► FORMERR, NOTIMP, silence   └─► the table of waiting queries ─► (signal, time) ─► resume
//! ```

mod account;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;

use super::asked::{Asked, BUDGET, Client, Transport};
use super::caught::{catch, catching};
use super::crowd::{busy, client};
use super::cut::{CutNames, rotate_answers};
use super::notify;
use super::plan::{Active, Plan};
use super::share::Share;
use super::shed;
use super::signal::Signal;
use super::step::{Answer, Context, Errand, Reply};
use super::transfer::Transfer;
use super::waiting::{Ended, Parked, Table};
use super::walk::{Walk, walk};
use super::words;
use crate::forward::{Exchange, ExchangeOptions, Inlet, Need, Network, Random, Streams};
use crate::metrics::Counters;
use crate::time::{Clock, Tick};
use crate::wire::{CLASS_IN, Ede, Fault, Head, Query, Rcode, Sections, assemble, bare, rtype};

/// What became of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// So many bytes of the caller's buffer are the reply.
    Reply(usize),
    /// Nothing is sent.
    Silent,
    /// The reply comes later, through `poll`.
    Waiting,
    /// So many bytes of the caller's buffer are the first message of the reply; the others come from what `transfer` gives,
    /// once and at once. Only on transports that carry transfers.
    Begun(usize),
}

/// A worker's desk: the query in hand, the queries that wait, and what they share.
///
/// Shape: `R` says where a reply goes; the pipeline carries it and never looks at it.
pub struct Pipeline<R> {
    /// The plan in force for new queries.
    plan: Arc<Plan>,
    /// The same plan, lent to the query in hand: a count that all workers share is touched by none of them.
    lent: Option<Arc<Plan>>,
    /// The clock as it was read last, for the durations of replies.
    read_at: Tick,
    /// How many replies more may have ended at that time.
    read_for: u32,
    /// Where a newer one appears.
    active: Arc<Active>,
    /// The version of `plan`.
    version: u64,
    /// The query in hand.
    asked: Box<Asked>,
    /// Queries that wait.
    pub(super) table: Table<R>,
    /// Bytes of a resumed query's reply.
    out: Vec<u8>,
    /// Random numbers.
    rng: fastrand::Rng,
    /// The clock, for steps that measure.
    clock: Clock,
    /// Wakes this worker.
    waker: Waker,
    /// This worker's counters.
    counters: Arc<Counters>,
    /// This worker's place in tallies.
    worker: usize,
    /// Names whose replies were cut on a stream, each of which is told once.
    cut_names: CutNames,
    /// Questions to upstreams.
    exchange: Exchange,
    /// Questions to ask in the background.
    errands: Vec<Errand>,
    /// The rest of a reply of several messages, until it is taken.
    transfer: Option<Box<Transfer>>,
}

/// The most questions under way to one upstream: many may wait for one of them.
const PER_UPSTREAM: usize = 512;

/// What a pipeline is made of.
pub struct PipelineOptions {
    /// Where the plan in force is found.
    pub active: Arc<Active>,
    /// The most queries that wait at once.
    pub waiting: usize,
    /// Seed of the random numbers.
    pub seed: u64,
    /// The clock.
    pub clock: Clock,
    /// Wakes the worker that owns the pipeline.
    pub waker: Waker,
    /// The worker's counters.
    pub counters: Arc<Counters>,
    /// The worker's number.
    pub worker: usize,
    /// Random bytes that nobody can guess, for ids and ports.
    pub secrets: Random,
    /// Who talks to upstreams over streams.
    pub streams: Option<Arc<dyn Streams>>,
}

impl<R> Pipeline<R> {
    /// A desk.
    #[must_use]
    pub fn new(options: PipelineOptions) -> Self {
        let version = options.active.version();
        let exchange = Exchange::new(ExchangeOptions {
            secrets: options.secrets,
            // One that does not answer can't take all places (RELIABILITY L5).
            most_per_upstream: (options.waiting / 2).clamp(1, PER_UPSTREAM),
            streams: options.streams,
            inlet: Arc::new(Inlet::new(options.waker.clone())),
        });
        Self {
            plan: options.active.plan(),
            lent: None,
            read_at: Tick::default(),
            read_for: 0,
            active: options.active,
            version,
            asked: Box::default(),
            table: Table::new(options.waiting),
            out: Vec::new(),
            rng: fastrand::Rng::with_seed(options.seed),
            clock: options.clock,
            waker: options.waker,
            counters: options.counters,
            worker: options.worker,
            cut_names: CutNames::default(),
            exchange,
            errands: Vec::new(),
            transfer: None,
        }
    }

    /// Takes the plan in force, if it changed; says whether it did. Call once a batch. Cost: one load.
    pub fn refresh(&mut self) -> bool {
        let version = self.active.version();
        let changed = version != self.version;
        if changed {
            self.plan = self.active.plan();
            self.lent = None;
            self.version = version;
        }
        changed
    }

    /// The plan for new queries.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// This worker's place in tallies.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// How many queries wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.table.len()
    }

    /// Answers one message, or parks it with `return_to`.
    ///
    /// Shape: `out` has room for 1232 bytes (UDP) or 65,535 (streams). Cost: no allocation unless the query waits.
    pub fn answer(
        &mut self,
        bytes: &[u8],
        client: Client,
        return_to: R,
        now: Tick,
        out: &mut [u8],
    ) -> Outcome {
        self.counters.queries.add(1);
        let asked = &mut *self.asked;
        asked.client = client;
        asked.client.size = bytes.len();
        asked.arrived = now;
        asked.original = None;
        asked.frames.clear();
        asked.rewritten.clear();
        asked.options.clear();
        asked.answered_by = words::NOBODY;
        asked.patience = None;
        asked.at_hand = false;
        asked.budget = BUDGET;
        asked.failed_before = false;
        asked.hurried = false;
        asked.upstream = None;
        if let Some(length) = notify::answer(&self.plan, bytes, client, &mut asked.question, out) {
            self.counters.replies.add(1);
            return Outcome::Reply(length);
        }
        let query = match Query::parse(bytes, &mut asked.question) {
            Ok(query) => query,
            Err(fault) => return self.refuse(fault, out),
        };
        asked.query = query;
        asked.shape = client.transport.shape(query.edns.as_ref());
        let plan = self.lent.take().unwrap_or_else(|| self.plan.clone());
        let outcome = self.serve(&plan, bytes, client, return_to, now, out);
        self.lent = Some(plan);
        outcome
    }

    /// Answers the query in hand, which is sound and came as `bytes`, by this plan.
    fn serve(
        &mut self,
        plan: &Arc<Plan>,
        bytes: &[u8],
        client: Client,
        return_to: R,
        now: Tick,
        out: &mut [u8],
    ) -> Outcome {
        let asked = &mut *self.asked;
        let whole = matches!(asked.question.qtype, rtype::AXFR | rtype::IXFR);
        let refused = whole && (asked.question.qclass != CLASS_IN || !client.transport.carries_transfers());
        asked.place = usize::MAX;
        let chosen = if refused { None } else { plan.choose(asked, &asked.question) };
        // Of other classes only what a word of the block is about (rule K-013), of whole zones only what it gives away.
        let chosen = chosen.filter(|(_, chain)| {
            let chain = plan.chains.get(*chain);
            (asked.question.qclass == CLASS_IN || chain.is_some_and(|chain| chain.other_classes))
                && (!whole || chain.is_some_and(|chain| chain.transfers))
        });
        let Some((place, chain)) = chosen else {
            return Outcome::Reply(self.finish(Reply::code(Rcode::REFUSED), plan, out));
        };
        asked.place = place;
        asked.chain = chain;
        asked.step = 0;
        asked.entry = 0;
        if plan.chains.get(chain).is_some_and(|chain| chain.keeps_message) {
            asked.message.clear();
            asked.message.extend_from_slice(bytes);
        }
        let walk = self.walk(plan, None, now);
        let outcome = match self.end(walk, plan, Some(return_to), now, out) {
            Ended::Done(_, Some(length)) if self.transfer.is_some() => Outcome::Begun(length),
            Ended::Done(_, Some(length)) => Outcome::Reply(length),
            Ended::Done(_, None) => Outcome::Silent,
            Ended::Parked => Outcome::Waiting,
        };
        if !self.errands.is_empty() {
            self.run_errands(plan, now);
        }
        outcome
    }

    /// The rest of the reply of which `Outcome::Begun` was the first message.
    pub fn transfer(&mut self) -> Option<Box<Transfer>> {
        self.transfer.take()
    }

    /// Asks what is to be asked in the background.
    fn run_errands(&mut self, plan: &Arc<Plan>, now: Tick) {
        while let Some(errand) = self.errands.pop() {
            let desk = std::mem::take(&mut self.asked);
            let asked = &mut *self.asked;
            asked.query = errand.query;
            asked.options = errand.options;
            asked.question = *errand.question;
            // Its records must not point into a question section that there will never be.
            asked.original = Some(Box::new(asked.question.clone()));
            asked.client = errand.client;
            asked.arrived = now;
            asked.errand = true;
            asked.chain = errand.chain;
            asked.entry = errand.step;
            asked.step = errand.step + 1;
            let walk = self.walk(plan, None, now);
            // Nothing is sent, so nothing is written.
            self.end(walk, plan, None, now, &mut []);
            self.asked = desk;
        }
    }

    /// Answers what can't be a query.
    fn refuse(&mut self, fault: Fault, out: &mut [u8]) -> Outcome {
        match fault {
            Fault::Silent => {
                self.counters.silent.add(1);
                Outcome::Silent
            }
            Fault::Bare(header, rcode) => {
                self.counters.malformed.add(1);
                Outcome::Reply(bare(header, rcode, out))
            }
            Fault::WithQuestion(header, rcode, edns) => {
                self.counters.malformed.add(1);
                let asked = &self.asked;
                let (length, _) = assemble(
                    header,
                    &asked.question,
                    &Head::new(rcode),
                    edns.as_ref(),
                    &Sections::default(),
                    asked.client.transport.shape(edns.as_ref()),
                    out,
                );
                Outcome::Reply(length)
            }
        }
    }

    /// Walks the chain of the query in hand, panics included.
    fn walk(&mut self, plan: &Plan, resumed: Option<Answer>, now: Tick) -> Walk {
        let mut context = Context::new(now, &mut self.rng, &self.clock, &mut self.errands);
        context.worker = self.worker;
        context.plan = Some(plan);
        let asked = &mut *self.asked;
        let chain = plan.chains.get(asked.chain);
        if chain.is_some_and(|chain| chain.debug) {
            // Nobody else may catch it: the whole process ends, its message printed (rules K-017, S-07).
            let walked = catch_unwind(AssertUnwindSafe(|| walk(plan, asked, resumed, &mut context)));
            return walked.unwrap_or_else(|_| std::process::abort());
        }
        let catching = catching(chain);
        catch(catching, || walk(plan, asked, resumed, &mut context)).unwrap_or_else(|caught| {
            self.counters.panics.add(1);
            self.asked.unwind();
            tracing::error!(
                question = ?self.asked.sent(),
                client = %self.asked.client.addr,
                "a step panicked while answering; the query gets SERVFAIL: {caught}"
            );
            Walk::Reply(Reply::code(Rcode::SERVFAIL))
        })
    }

    /// Turns the end of a walk into bytes, silence or a wait.
    fn end(
        &mut self,
        mut walk: Walk,
        plan: &Arc<Plan>,
        return_to: Option<R>,
        now: Tick,
        out: &mut [u8],
    ) -> Ended<R> {
        loop {
            let (signal, group, until) = match walk {
                Walk::Reply(reply) => return self.served(reply, plan, return_to, out),
                Walk::Drop => {
                    if return_to.is_some() {
                        self.counters.dropped.add(1);
                        self.asked.unwind();
                        self.account(None, &[], plan);
                    }
                    return Ended::Done(return_to, None);
                }
                Walk::Transfer(records) => {
                    let (reply, rest) = Transfer::begin(&mut self.asked, records);
                    self.transfer = rest;
                    return self.served(reply, plan, return_to, out);
                }
                Walk::Wait(signal, until) => (Some(signal), None, until),
                Walk::Upstream(group, until) => (None, Some(group), until),
            };
            let share = group.as_ref().map(Share::of);
            let Some(waiter) = self.table.place(share, &self.asked, &mut self.rng) else {
                self.counters.table_full.add(1);
                let Some(group) = group else {
                    self.asked.unwind();
                    let reply = Reply::code(Rcode::SERVFAIL).because(Ede::TOO_BUSY);
                    return self.served(reply, plan, return_to, out);
                };
                // The step hears that nobody was asked: whoever has something at hand can still serve it.
                group.counts.rejected.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                walk = self.walk(plan, Some(busy(true)), now);
                continue;
            };
            if let Some(group) = group {
                let need = Need {
                    group: &group,
                    question: &self.asked.question,
                    recursion: self.asked.query.header.recursion_desired(),
                    checking_disabled: self.asked.query.header.checking_disabled(),
                    dnssec_ok: self.asked.query.edns.is_some_and(|edns| edns.dnssec_ok),
                    options: &self.asked.options,
                    client: client(&self.asked),
                };
                if let Err(failure) = self.exchange.begin(&need, waiter, now) {
                    walk = self.walk(plan, Some(Answer::Upstream(Err(failure))), now);
                    continue;
                }
            }
            self.park((signal, share), until, now, plan, return_to);
            return Ended::Parked;
        }
    }

    /// A reply to the query in hand, which is nobody's if it is an errand.
    fn served(&mut self, reply: Reply, plan: &Plan, return_to: Option<R>, out: &mut [u8]) -> Ended<R> {
        if return_to.is_none() {
            self.asked.reclaim(reply.sections);
            return Ended::Done(None, None);
        }
        if shed::takes(&reply, &self.asked, plan, self.worker) {
            self.counters.dropped.add(1);
            self.asked.reclaim(reply.sections);
            return Ended::Done(return_to, None);
        }
        Ended::Done(return_to, Some(self.finish(reply, plan, out)))
    }

    /// Moves the query in hand to the place in the table that is free.
    fn park(
        &mut self,
        (signal, share): (Option<Arc<Signal>>, Option<Share>),
        until: Tick,
        now: Tick,
        plan: &Arc<Plan>,
        return_to: Option<R>,
    ) {
        if let Some(signal) = &signal {
            signal.register(&self.waker);
        }
        let until = until.min(self.asked.deadline()).max(Tick(now.0 + 1));
        let mut asked = std::mem::take(&mut self.asked);
        // The desk keeps its buffers: a query that waits is small.
        self.asked.swap_drafts(&mut asked);
        self.table.take(until, Parked { asked, plan: plan.clone(), signal, share, return_to });
        self.counters.waited.add(1);
    }

    /// Assembles a reply to the query in hand; returns its length.
    fn finish(&mut self, mut reply: Reply, plan: &Plan, out: &mut [u8]) -> usize {
        // Without a place no block was chosen.
        let chosen = self.asked.place != usize::MAX;
        let chain = plan.chains.get(self.asked.chain).filter(|_| chosen);
        reply.head.recursion_available = chain.is_some_and(|chain| chain.forwards);
        // A verdict on signatures goes only to those who said that they understand it (RFC 6840 §5.8).
        let query = &self.asked.query;
        reply.head.authentic &=
            query.header.authentic_data() || query.edns.is_some_and(|edns| edns.dnssec_ok);
        let asked = &mut *self.asked;
        let (mut length, cut) = asked.assemble(&reply, out);
        if cut {
            // No record of a large set may be hidden for good: a cut reply starts at a random one.
            rotate_answers(&mut reply.sections, &mut self.rng);
            (length, _) = asked.assemble(&reply, out);
            self.counters.truncated.add(1);
            if asked.client.transport != Transport::Udp {
                self.cut_names.tell(asked.sent().lower());
            }
        }
        self.counters.replies.add(1);
        self.account(Some(&reply), out.get(..length).unwrap_or_default(), plan);
        self.asked.reclaim(reply.sections);
        length
    }

    /// Resumes what can go on: queries whose signal came (looked for when `woken`) or whose time is up.
    ///
    /// `send` gets each reply, or `None` where nothing is sent, with the place it goes to.
    pub fn poll(&mut self, now: Tick, woken: bool, mut send: impl FnMut(R, Option<&[u8]>)) {
        while self.exchange.has_done() {
            let mut done = self.exchange.done();
            for (waiter, result) in done.drain(..) {
                if self.table.waits(waiter) {
                    self.resume(waiter.place, Some(Answer::Upstream(result)), now, &mut send);
                }
            }
            self.exchange.reuse(done);
        }
        while let Some((place, answer)) = self.table.dismissed() {
            self.counters.table_full.add(1);
            self.resume(place, Some(answer), now, &mut send);
        }
        let mut from = 0;
        while woken && let Some(place) = self.table.signalled(from) {
            self.resume(place, None, now, &mut send);
            from = place + 1;
        }
        while let Some(place) = self.table.overdue(now) {
            self.resume(place, None, now, &mut send);
        }
    }

    /// When `poll` must be called at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Tick> {
        let waiting = self.table.next_deadline();
        // Some can be answered already; they are looked at as long as anything waits.
        let waiting =
            if self.waiting() > 0 && self.exchange.has_done() { Some(Tick::default()) } else { waiting };
        let loops = self.plan.loops.as_ref().map(|loops| loops.due());
        [waiting, self.exchange.next_deadline(), loops].into_iter().flatten().min()
    }

    /// Sends questions to upstreams and sees to those under way. Call after a batch of queries and before `poll`.
    pub fn drive(&mut self, network: &mut dyn Network, now: Tick) {
        self.exchange.drive(network, now);
        if let Some(loops) = &self.plan.loops {
            self.exchange.look_for_loops(loops, network, now);
        }
    }

    /// Reads what came from upstreams on a socket of `network`.
    pub fn readable(&mut self, socket: usize, network: &mut dyn Network, now: Tick) {
        self.exchange.readable(socket, network, now);
    }

    /// Goes on with one waiting query.
    fn resume(
        &mut self,
        index: usize,
        answer: Option<Answer>,
        now: Tick,
        send: &mut impl FnMut(R, Option<&[u8]>),
    ) {
        let Some(parked) = self.table.leave(index) else { return };
        let answer = answer.unwrap_or_else(|| match &parked.signal {
            Some(signal) if signal.fired() => Answer::Signalled,
            _ => Answer::TimedOut,
        });
        // How long it waited is to be told exactly.
        self.read_for = 0;
        let late = now >= parked.asked.deadline();
        let plan = parked.plan;
        let mut desk = std::mem::replace(&mut self.asked, parked.asked);
        self.asked.swap_drafts(&mut desk);
        let mut walked = self.walk(&plan, Some(answer), now);
        if matches!(walked, Walk::Transfer(_))
            || late && matches!(walked, Walk::Wait(..) | Walk::Upstream(..))
        {
            self.asked.unwind();
            walked = Walk::Reply(Reply::code(Rcode::SERVFAIL));
        }
        let mut out = std::mem::take(&mut self.out);
        out.resize(crate::wire::MAX_MESSAGE, 0);
        if let Ended::Done(Some(place), length) = self.end(walked, &plan, parked.return_to, now, &mut out) {
            send(place, length.and_then(|length| out.get(..length)));
        }
        self.out = out;
        desk.swap_drafts(&mut self.asked);
        self.asked = desk;
        if !self.errands.is_empty() {
            self.run_errands(&plan, now);
        }
    }
}
