//! What a step of the chain is: it takes a query and returns a value; it is never handed a writer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::asked::{Asked, Client};
use super::autopath::Memo;
use super::build::Parts;
use super::explain::Said;
use super::kubernetes::Kept;
use super::plan::{Chain, Listener, Plan};
use super::signal::Signal;
use super::transfer::{Policy, Whole};
use crate::corefile::Zone;
use crate::forward::{Failure, Group, Response};
use crate::time::{Clock, Tick};
use crate::wire::{Ede, Head, Query, Question, Rcode, Section, Sections, rtype};

/// What a step decides.
#[derive(Debug)]
pub enum Flow {
    /// This is the reply; it goes back up through the steps that were passed.
    Reply(Reply),
    /// Not mine: the next step decides.
    Next,
    /// No reply at all.
    Drop,
    /// Not yet: the query waits and this step is resumed.
    Wait(Ask),
    /// The whole zone that was asked for, from the first step behind that has it; REFUSED where none has (rule S-19).
    Transfer,
}

/// What a step drafted before it waited; given back when it is resumed.
pub type Held = Option<Sections>;

/// What a step waits for.
#[derive(Debug)]
pub enum Ask {
    /// The answer to another question, asked on behalf of this one from the top of the chain of that name: a frame on the
    /// same slot (rule K-131).
    Question {
        /// The question.
        question: Box<Question>,
        /// What is drafted so far.
        held: Held,
    },
    /// The answer of the steps behind this one to another question: a frame on the same slot (rule K-255).
    Behind {
        /// The question.
        question: Box<Question>,
        /// What is to be given back with the answer.
        memo: Box<Memo>,
    },
    /// The answer of upstreams to the question as it stands now.
    Upstream {
        /// Whom to ask.
        group: Arc<Group>,
        /// The longest wait; the query's own deadline is an upper bound.
        until: Tick,
    },
    /// Something that is signalled from outside.
    Signal {
        /// What is waited for.
        signal: Arc<Signal>,
        /// The longest wait; the query's own deadline is an upper bound.
        until: Tick,
    },
}

/// What a step that waited gets.
#[derive(Debug)]
pub enum Answer {
    /// The reply to the question asked on behalf of this one.
    Reply {
        /// The reply.
        reply: Reply,
        /// The question it answers.
        question: Box<Question>,
        /// What was drafted before.
        held: Held,
    },
    /// No block and no step was there to answer that question, or it was nested too deep.
    Nobody {
        /// What was drafted before.
        held: Held,
    },
    /// The reply of the steps behind this one to another question.
    Behind {
        /// The reply.
        reply: Reply,
        /// What was kept meanwhile.
        memo: Box<Memo>,
    },
    /// What upstreams said, or why nothing came of it.
    Upstream(Result<Arc<Response>, Failure>),
    /// The signal came.
    Signalled,
    /// The time is up.
    TimedOut,
}

/// The one currency of answers.
#[derive(Debug)]
pub struct Reply {
    /// Code and flags.
    pub head: Head,
    /// Records; empty for a bare code.
    pub sections: Sections,
    /// Whether this only says that no step answered (rules S-03, K-144).
    pub nobody: bool,
}

impl Reply {
    /// A reply from drafted records.
    #[must_use]
    pub fn new(rcode: Rcode, sections: Sections) -> Self {
        Self { head: Head::new(rcode), sections, nobody: false }
    }

    /// A reply without records.
    #[must_use]
    pub fn code(rcode: Rcode) -> Self {
        Self::new(rcode, Sections::default())
    }

    /// The same with AA set.
    #[must_use]
    pub fn authoritative(mut self) -> Self {
        self.head.authoritative = true;
        self
    }

    /// The same with an extended error.
    #[must_use]
    pub fn because(mut self, ede: Ede) -> Self {
        self.head.ede = Some(ede);
        self
    }
}

/// What a step may use beside the query: time and randomness are passed in.
pub struct Context<'a> {
    /// When the batch of this query arrived, or when it was resumed.
    pub now: Tick,
    /// Random numbers, for orders and choices, not for secrets.
    pub rng: &'a mut fastrand::Rng,
    /// The clock, for those who measure.
    pub clock: &'a Clock,
    /// Questions to ask in the background once this one is answered.
    pub(super) errands: &'a mut Vec<Errand>,
    /// The worker's number, for those who count; 0 outside of workers.
    pub(super) worker: usize,
    /// The plan that the query is on; `None` outside of pipelines.
    pub(super) plan: Option<&'a Plan>,
}

/// A question that is asked on behalf of nobody: its reply goes up through the step that wanted it, and no further.
#[derive(Debug)]
pub struct Errand {
    /// The question.
    pub(super) question: Box<Question>,
    /// Header and EDNS of the query that brought it up.
    pub(super) query: Query,
    /// EDNS options that go upstream with it, wire form.
    pub(super) options: Vec<u8>,
    /// Who asked that query, for questions on behalf of it: they must not learn what they may not ask (rule S-08).
    pub(super) client: Client,
    /// The chain.
    pub(super) chain: usize,
    /// The step that wants it.
    pub(super) step: usize,
}

impl<'a> Context<'a> {
    /// A context at `now`.
    #[must_use]
    pub fn new(
        now: Tick,
        rng: &'a mut fastrand::Rng,
        clock: &'a Clock,
        errands: &'a mut Vec<Errand>,
    ) -> Self {
        Self { now, rng, clock, errands, worker: 0, plan: None }
    }

    /// The value of a metadata label for a query (rule K-250); empty where there is none.
    #[must_use]
    pub fn metadata(&self, asked: &Asked, label: &str) -> String {
        let chain = self.plan.and_then(|plan| plan.chains.get(asked.chain));
        chain.and_then(|chain| chain.metadata(asked, label)).unwrap_or_default()
    }

    /// Label `server` of metrics for a query; empty outside of pipelines.
    #[must_use]
    pub fn server(&self, asked: &Asked) -> &str {
        let listener = self.plan.and_then(|plan| plan.listeners.get(asked.client.listener));
        listener.map_or("", |listener| &listener.label)
    }

    /// Label `view` of metrics for a query; empty without one.
    #[must_use]
    pub fn view(&self, asked: &Asked) -> &str {
        let chain = self.plan.and_then(|plan| plan.chains.get(asked.chain));
        chain.map_or("", |chain| chain.view_name())
    }

    /// Has the question in hand asked again in the background, from the step behind the one in hand on; the reply is told
    /// to the step in hand alone. Cost: one allocation.
    pub fn refresh(&mut self, asked: &Asked) {
        self.refresh_behind(asked, asked.step);
    }

    /// The same from the step behind `step` on, for a step that is told of a reply.
    pub(super) fn refresh_behind(&mut self, asked: &Asked, step: usize) {
        self.errands.push(Errand {
            question: Box::new(asked.question.clone()),
            query: asked.query,
            options: asked.options.clone(),
            client: asked.client,
            chain: asked.chain,
            step,
        });
    }
}

/// Where a chain stands, once all listeners are known.
#[derive(Clone, Copy)]
pub struct Stand<'a> {
    /// The plan's listeners.
    pub listeners: &'a [Listener],
    /// The chain.
    pub chain: usize,
    /// Its view; empty without one.
    pub view: &'a str,
}

impl<'a> Stand<'a> {
    /// The label `server` of each listener that the chain stands behind, `None` for the others.
    pub fn servers(&self) -> impl Iterator<Item = Option<&'a str>> {
        let chain = self.chain;
        self.listeners.iter().map(move |listener| {
            let here = listener.zones.iter().any(|served| served.chain == chain);
            here.then_some(listener.label.as_str())
        })
    }
}

/// What was sent for a query, for steps that write it down.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The response code; `None` where nothing was sent.
    pub rcode: Option<Rcode>,
    /// The second header word as sent.
    pub flags: u16,
    /// Whether the answer section held a record.
    pub answers: bool,
    /// Whether the authority section held an SOA.
    pub soa: bool,
    /// Whether the authority section held an NS.
    pub ns: bool,
    /// Bytes of the reply.
    pub size: usize,
    /// When it was made.
    pub at: Tick,
    /// The number of the worker that made it.
    pub worker: usize,
}

impl Sent {
    /// What was made of a reply, if there was one. Cost: a look at the types of its authority section.
    pub(super) fn new(reply: Option<&Reply>, bytes: &[u8], at: Tick, worker: usize) -> Self {
        let sections = reply.map(|reply| &reply.sections);
        let authority = sections
            .and_then(|sections| sections.records().get(sections.range(Section::Authority)))
            .unwrap_or_default();
        Self {
            rcode: reply.map(|reply| reply.head.rcode),
            flags: bytes.get(2..4).map_or(0, |word| u16::from_be_bytes([word[0], word[1]])),
            answers: sections.is_some_and(|sections| !sections.range(Section::Answer).is_empty()),
            soa: authority.iter().any(|record| record.rtype == rtype::SOA),
            ns: authority.iter().any(|record| record.rtype == rtype::NS),
            size: bytes.len(),
            at,
            worker,
        }
    }
}

/// A step of the chain.
///
/// Cost: the road of a query: no allocation, no lock that a writer holds for long, no waiting but by `Flow::Wait`.
pub trait Step: Send + Sync {
    /// The Corefile's word.
    fn word(&self) -> &'static str;

    /// Decides about a query on its way down.
    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow;

    /// Decides about a query that waited here.
    fn resume(&self, asked: &mut Asked, answer: Answer, context: &mut Context<'_>) -> Flow {
        let _ = (asked, answer, context);
        Flow::Reply(Reply::code(Rcode::SERVFAIL))
    }

    /// Sees the reply on its way up, if the query passed here.
    fn tell(&self, asked: &mut Asked, reply: &mut Reply, context: &mut Context<'_>) {
        let _ = (asked, reply, context);
    }

    /// The type for which the steps behind this one are to be asked too, at the same name, before the reply goes further
    /// up; looked at before `tell`, and where it says so `join` comes instead of it.
    fn also(&self, asked: &Asked, reply: &Reply) -> Option<u16> {
        let _ = (asked, reply);
        None
    }

    /// Makes one reply of the first one and of that to the type of `also`; `server` is the label of metrics.
    ///
    /// Shape: what `second` holds was drafted without pointers, for the same name as the question in hand.
    fn join(&self, asked: &mut Asked, first: Reply, second: Reply, server: &str) -> Reply {
        let _ = (asked, second, server);
        first
    }

    /// A question that is to be asked, from the top of the chain of its name, before the reply goes further up; looked at
    /// after `also` and before `tell`, and again after each `followed`, until there is none.
    fn follow(&self, asked: &mut Asked, reply: &Reply) -> Option<Box<Question>> {
        let _ = (asked, reply);
        None
    }

    /// Takes in what came of the question of `follow`: the reply and the question it answers; `None` where no block and no
    /// step was there to answer it, or it was nested too deep.
    fn followed(&self, asked: &mut Asked, reply: &mut Reply, second: Option<(Reply, &Question)>) {
        let _ = (asked, reply, second);
    }

    /// Whether `tell` does nothing but to put a reply into the client's terms: then those who ask why call it too.
    fn puts_back(&self) -> bool {
        false
    }

    /// Whether `also` or `follow` ever say anything.
    fn asks_more(&self) -> bool {
        false
    }

    /// Learns that the Service of these labels (`SVC.NS`, wire form, lower case) will be asked for soon, if `foresees` says so.
    fn foresee(&self, run: &[u8]) {
        let _ = run;
    }

    /// Whether `foresee` is to be called.
    fn foresees(&self) -> bool {
        false
    }

    /// What a chain says that ends with this step and found no answer (rule S-03).
    fn ending(&self) -> Rcode {
        Rcode::SERVFAIL
    }

    /// Whether it is to be asked questions of other classes than IN too (rule K-013).
    fn other_classes(&self) -> bool {
        false
    }

    /// Whether it is asked whatever the class, since it says who may ask: the block accepts no other class because of it.
    fn guards(&self) -> bool {
        false
    }

    /// Whether `Asked::message` is to hold the client's message.
    fn needs_message(&self) -> bool {
        false
    }

    /// Sees what was sent, or that nothing is, if the query passed here and `writes_down` says so.
    fn sent(&self, asked: &Asked, sent: &Sent, chain: &Chain) {
        let _ = (asked, sent, chain);
    }

    /// Whether `sent` is to be called.
    fn writes_down(&self) -> bool {
        false
    }

    /// Why this step decides as it does about a question that it is about; called by those who ask why, never on the road of
    /// a query.
    fn explain(&self, asked: &Asked, context: &Context<'_>) -> Option<Said> {
        let _ = (asked, context);
        None
    }

    /// The value of a metadata label that this step publishes about a query (rule K-250).
    fn metadata(&self, asked: &Asked, label: &str) -> Option<String> {
        let _ = (asked, label);
        None
    }

    /// The zone in which this step's own names end, for messages.
    fn primary(&self) -> Option<&Zone> {
        None
    }

    /// The zones outside of which this step lets every question pass; empty where it has a word in all.
    fn about(&self) -> Vec<Zone> {
        Vec::new()
    }

    /// The zones whose names this step asks upstreams for, and the upstreams; for `loop`.
    fn asks(&self) -> Option<(&[Zone], &Arc<Group>)> {
        None
    }

    /// All records of the zone that is exactly the question's name, for those who transfer it; `known` is the serial that
    /// they have (rules K-240 to K-243).
    fn whole(&self, question: &Question, known: Option<u32>) -> Whole {
        let _ = (question, known);
        Whole::NotMine
    }

    /// Who may transfer which zones, if this step lets anybody.
    fn transfers(&self) -> Option<&Policy> {
        None
    }

    /// A NOTIFY for the zone that is the question's name came from `from`; says whether it is taken up (rule K-014).
    fn notified(&self, question: &Question, from: IpAddr) -> bool {
        let _ = (question, from);
        false
    }

    /// The zones whose changes are told to those who transfer them, as they are now (wire form, lower case).
    fn tells(&self) -> Vec<Arc<[u8]>> {
        Vec::new()
    }

    /// Whether this step asks others on the network: sets RA for its chain (rule K-004 as section 0 decides).
    fn forwards(&self) -> bool {
        false
    }

    /// Whether this step may answer in another way where upstreams failed a moment ago (`asked.failed_before`).
    fn rescues(&self) -> bool {
        false
    }

    /// How often `tend` is to be called; `None` for never.
    fn rhythm(&self) -> Option<Duration> {
        None
    }

    /// Does what falls due apart from queries; called off their road.
    fn tend(&self, now: Tick) {
        let _ = now;
    }

    /// Writes what was kept for later: the plan is not in force any more.
    fn close(&self) {}

    /// Learns where its queries come in, once all listeners are known: for those who count by server.
    fn placed(&self, place: &Stand<'_>, parts: &mut dyn Parts) {
        let _ = (place, parts);
    }

    /// The store that this step keeps its names in, for those who say how fresh it is; one step for each store will do.
    fn kept(&self) -> Option<Kept<'_>> {
        None
    }

    /// Whether this step can serve now (rule S-13); named in the body of `/ready` while it can't.
    fn ready(&self) -> bool {
        true
    }
}
