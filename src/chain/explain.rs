//! What would become of a question, told step by step; nobody is asked for it, and nothing is counted.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::asked::{Asked, Client, MAX_FRAMES};
use super::autopath::Memo;
use super::kubernetes::Kept;
use super::log::type_text;
use super::plan::Plan;
use super::step::{Answer, Ask, Context, Flow, Reply, Step};
use super::why::why;
use crate::forward::Group;
use crate::store::{Look as WatchLook, WatchState};
use crate::time::Clock;
use crate::wire::{
    CLASS_IN, Header, MAX_NAME, Question, Rcode, Section, Sections, Shape, parse_name, parse_type,
    record_texts, rtype, show_name,
};

/// What would become of a question.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The type.
    pub qtype: String,
    /// The server that takes it, as metrics name it.
    pub server: String,
    /// The zone of the block that takes it; none where no block does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The words of the chain that let it pass, in their order.
    pub passed: Vec<String>,
    /// The word that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<String>,
    /// What becomes of it.
    pub fate: Fate,
    /// The response code, where it is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// The records of the answer, as zone files write them.
    pub answers: Vec<String>,
    /// What words say about it.
    pub said: Vec<Said>,
    /// Who would be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<Known>,
    /// What becomes of the question that is asked on its behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behalf: Option<Box<Account>>,
}

/// What becomes of a question.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// There are records.
    Records,
    /// The name is there, without records of this type.
    NoData,
    /// There is no such name.
    NoName,
    /// It is refused.
    Refused,
    /// It fails.
    Failed,
    /// Upstreams are asked.
    Asks,
    /// It waits for something, the first lists of the cluster for example.
    Waits,
    /// There is no reply.
    Silent,
}

/// What a word says about a question.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// The word.
    pub word: String,
    /// What it says.
    pub text: String,
    /// The rules of docs/behaviour.md that hold.
    pub rules: Vec<String>,
    /// The object that the answer is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectAccount>,
    /// Names near to this one that are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<String>,
}

impl Said {
    /// Something that a word says by these rules.
    #[must_use]
    pub fn new(word: &str, text: impl Into<String>, rules: &[&str]) -> Self {
        let rules = rules.iter().map(|rule| (*rule).to_owned()).collect();
        Self { word: word.to_owned(), text: text.into(), rules, object: None, near: Vec::new() }
    }
}

/// An object of the cluster.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct ObjectAccount {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for a Namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID, where it is known.
    pub uid: String,
    /// Its `resourceVersion`, where it is known.
    pub version: String,
    /// For how long what is answered has been as it is, where that is known. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged_seconds: Option<u32>,
}

/// An upstream, and how it does.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// Where it is.
    pub to: String,
    /// Whether it is up.
    pub up: bool,
    /// Whether it sends our own questions back.
    pub looping: bool,
    /// How long it takes to answer, once it has. Unit: microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_microseconds: Option<u64>,
    /// How much of what it was asked lately got no answer. Unit: thousandths.
    pub lost_per_mille: u32,
}

/// What a server says about a question.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// The version of the server.
    pub version: String,
    /// The cluster's zone, where the server has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_zone: Option<String>,
    /// Whether the first lists of the cluster are complete.
    pub synced: bool,
    /// How much of the cluster it holds, where it holds any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holds>,
    /// How fresh that is: what the watches of an API server do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watches: Vec<WatchAccount>,
    /// Where the server listens, as its Corefile says.
    pub listens: Vec<String>,
    /// What would become of the question.
    pub account: Account,
}

/// What a server with this plan says about a question, name and type as people write them; `None` where it is none. `client` is
/// who asks, for words that look at that.
#[must_use]
pub fn explain(
    plan: &Plan,
    (name, qtype): (&str, &str),
    client: Option<IpAddr>,
    clock: &Clock,
) -> Option<Explained> {
    let question = Question::new(&parse_name(name)?, parse_type(qtype)?).ok()?;
    let steps = || plan.chains.iter().flat_map(|chain| &chain.steps);
    Some(Explained {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster_zone: steps().find_map(|step| step.primary()).map(|zone| zone.text().to_owned()),
        synced: steps().all(|step| step.ready()),
        holds: holds(plan),
        watches: watches(plan, clock),
        listens: plan.listeners.iter().map(|listener| listener.addr.to_string()).collect(),
        account: account(plan, &question, client, clock),
    })
}

/// How many objects a server holds, in all of its stores.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Holds {
    /// Services.
    pub services: u64,
    /// Ready endpoints.
    pub endpoints: u64,
    /// Namespaces.
    pub namespaces: u64,
    /// Pods.
    pub pods: u64,
}

/// How much the stores of a plan hold; each store once.
fn holds(plan: &Plan) -> Option<Holds> {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let add = |all: Option<Holds>, kept: &Kept<'_>| {
        let (all, counts) = (all.unwrap_or_default(), kept.store.counts());
        Some(Holds {
            services: all.services + number(counts.services),
            endpoints: all.endpoints + number(counts.endpoints),
            namespaces: all.namespaces + number(counts.namespaces),
            pods: all.pods + number(counts.pods),
        })
    };
    plan.kept().iter().fold(None, add)
}

/// A watch of an API server.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub struct WatchAccount {
    /// The zone that its objects are for.
    pub zone: String,
    /// What is watched: `services`, for example.
    pub resource: String,
    /// What it does: `watching`, for example.
    pub state: String,
    /// For how long nothing has confirmed it: no event, no bookmark, no complete list; none where nothing ever has. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_seconds: Option<u64>,
    /// For how long its answers have been told as stale (rule K-269); none while they are fresh. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_seconds: Option<u64>,
    /// The `resourceVersion` that it is at.
    pub version: String,
    /// Whether what is held of it comes from a snapshot.
    pub snapshot: bool,
}

/// The watches of a plan; folders of manifests are watched by nobody.
fn watches(plan: &Plan, clock: &Clock) -> Vec<WatchAccount> {
    let mut looks = plan.looks(clock.now());
    looks.retain(|(_, look)| look.state != WatchState::Idle || look.snapshot);
    let account = |(zone, look): (String, WatchLook)| WatchAccount {
        zone,
        resource: look.kind.resource().to_owned(),
        state: look.state.word().to_owned(),
        confirmed_seconds: look.confirmed.map(|age| age.as_secs()),
        stale_seconds: look.stale.map(|age| age.as_secs()),
        version: look.version,
        snapshot: look.snapshot,
    };
    looks.into_iter().map(account).collect()
}

/// How the upstreams of a group do.
#[must_use]
pub fn known(group: &Group) -> Vec<Known> {
    let one = |upstream: &std::sync::Arc<crate::forward::Upstream>| Known {
        to: upstream.to_string(),
        up: upstream.health.up(),
        looping: upstream.health.looping(),
        rtt_microseconds: upstream
            .health
            .rtt()
            .map(|rtt: Duration| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        lost_per_mille: upstream.health.lost() / 1000,
    };
    group.upstreams().iter().map(one).collect()
}

/// What would become of a question at the first listener that has a block for it.
///
/// Cost: that of a query, and of a walk over all Services where names near to it are looked for.
#[must_use]
pub fn account(plan: &Plan, question: &Question, client: Option<IpAddr>, clock: &Clock) -> Account {
    let mut asked = Asked::detached(question);
    if let Some(ip) = client {
        asked.client.addr.set_ip(ip);
    }
    let who = asked.client;
    let mut has = |place: &usize| {
        asked.client.listener = *place;
        plan.choose(&asked, question).is_some()
    };
    let place = (0..plan.listeners.len()).find(|place| has(place)).unwrap_or(0);
    trace(plan, question, Client { listener: place, ..who }, clock, 0)
}

/// The same for one client at his listener, `depth` questions on behalf of others deep.
fn trace(plan: &Plan, question: &Question, client: Client, clock: &Clock, depth: usize) -> Account {
    let listener = plan.listeners.get(client.listener);
    let mut account =
        Account::begin(question, listener.map(|listener| listener.label.clone()).unwrap_or_default());
    if matches!(question.qtype, rtype::AXFR | rtype::IXFR) || question.qclass != CLASS_IN {
        account.said.push(Said::new(
            "",
            "transfers and other classes are not explained",
            &["K-061", "K-013"],
        ));
        return account;
    }
    let mut asked = Asked::detached(question);
    asked.only_looked = true;
    // As a stub resolver asks: recursion is desired.
    asked.query.header = Header { id: 0, flags: 0x0100 };
    asked.client = client;
    asked.shape = Shape::stream();
    let chosen = plan.choose(&asked, question);
    let served = chosen.and_then(|(zone, _)| listener?.zones.get(zone));
    let Some(served) = served else {
        account.said.push(Said::new("", "no server block has a zone for this name", &["K-001", "S-02"]));
        return account;
    };
    account.zone = Some(served.zone.text().to_owned());
    asked.chain = served.chain;
    asked.arrived = clock.now();
    Look { plan, clock, rng: fastrand::Rng::new(), depth }.down(&mut asked, 0, &mut account);
    account
}

/// A look down a chain.
struct Look<'a> {
    /// The plan.
    plan: &'a Plan,
    /// The clock.
    clock: &'a Clock,
    /// Random numbers, for orders.
    rng: fastrand::Rng,
    /// How many questions on behalf of others deep.
    depth: usize,
}

impl<'a> Look<'a> {
    /// The steps of the chain of a question.
    fn steps(&self, asked: &Asked) -> &'a [Box<dyn Step>] {
        self.plan.chains.get(asked.chain).map(|chain| chain.steps.as_slice()).unwrap_or_default()
    }

    /// Asks the steps from `from` on about the question in hand; the reply, where one of them has it.
    fn down(&mut self, asked: &mut Asked, from: usize, account: &mut Account) -> Option<Reply> {
        let steps = self.steps(asked);
        let now = asked.arrived;
        let mut errands = Vec::new();
        for (index, step) in steps.iter().enumerate().skip(from) {
            asked.step = index;
            let mut context = Context::new(now, &mut self.rng, self.clock, &mut errands);
            context.plan = Some(self.plan);
            account.said.extend(step.explain(asked, &context));
            let before = (asked.question.lower().to_vec(), asked.question.qtype);
            let flow = step.ask(asked, &mut context);
            if before != (asked.question.lower().to_vec(), asked.question.qtype) {
                let (name, qtype) = (show_name(asked.question.typed()), type_text(asked.question.qtype));
                let text = format!("asks for {name} {qtype} in its place");
                account.said.push(Said::new(step.word(), text, &["S-11"]));
            }
            if matches!(flow, Flow::Next) {
                account.passed.push(step.word().to_owned());
                continue;
            }
            account.decided = Some(step.word().to_owned());
            if account.said.iter().all(|said| said.word != step.word()) {
                account.said.extend(why(step.word()));
            }
            account.rcode = None;
            match flow {
                Flow::Next => {}
                Flow::Reply(mut reply) => {
                    // On its way up a word may have another type asked for, as `dns64` does.
                    for step in steps.iter().take(index).skip(from).rev() {
                        if let Some(other) = step.also(asked, &reply) {
                            let text = format!(
                                "has {} asked for too, and makes one reply of both",
                                type_text(other)
                            );
                            account.said.push(Said::new(step.word(), text, &["S-20"]));
                        }
                    }
                    let other = self.up(asked, from..index, &mut reply, account);
                    account.take(&reply, &asked.question);
                    account.instead(other);
                    return Some(reply);
                }
                Flow::Drop => account.fate = Fate::Silent,
                // Transfers were turned away before.
                Flow::Transfer => account.fate = Fate::Refused,
                Flow::Wait(Ask::Upstream { group, .. }) => {
                    account.fate = Fate::Asks;
                    account.upstreams = known(&group);
                    self.names(asked, from..index, account);
                }
                Flow::Wait(Ask::Behind { question, memo }) => {
                    return self.candidates(asked, from..index, (question, memo), account);
                }
                Flow::Wait(Ask::Signal { .. }) => account.fate = Fate::Waits,
                Flow::Wait(Ask::Question { question: other, held }) => {
                    let mut instead = None;
                    if let Some(held) = held {
                        let mut reply = Reply::new(Rcode::NOERROR, held);
                        instead = self.up(asked, from..index, &mut reply, account);
                        account.take(&reply, &asked.question);
                    }
                    if instead.is_some() {
                        account.instead(instead);
                    } else if self.depth < MAX_FRAMES {
                        let other = trace(self.plan, &other, asked.client, self.clock, self.depth + 1);
                        account.fate = other.fate;
                        account.behalf = Some(Box::new(other));
                    }
                }
            }
            return None;
        }
        account.decided = None;
        account.fate = Fate::Failed;
        account.rcode = Some(Rcode::SERVFAIL.text().to_owned());
        account.said.push(Said::new("", "no word of the block answers this name", &["S-03"]));
        Some(Reply { nobody: true, ..Reply::code(Rcode::SERVFAIL) })
    }

    /// Brings a reply up through steps that were passed, as far as they only put it into the client's terms; what becomes of
    /// a question that it leads to on the way.
    fn up(
        &mut self,
        asked: &mut Asked,
        passed: Range<usize>,
        reply: &mut Reply,
        account: &mut Account,
    ) -> Option<Account> {
        let passed = self.steps(asked).get(passed).unwrap_or_default();
        let mut instead = None;
        for step in passed.iter().rev().filter(|step| step.puts_back()) {
            if let Some(question) = step.follow(asked, reply) {
                let text = format!("has the alias lead to {} in its place", show_name(question.typed()));
                account.said.push(Said::new(step.word(), text, &["S-11"]));
                if self.depth < MAX_FRAMES {
                    let other = trace(self.plan, &question, asked.client, self.clock, self.depth + 1);
                    instead = Some(other);
                }
            }
            let mut errands = Vec::new();
            let mut context = Context::new(asked.arrived, &mut self.rng, self.clock, &mut errands);
            step.tell(asked, reply, &mut context);
        }
        instead
    }

    /// Says under which name comes back what upstreams say of a name that was asked for in place of another.
    fn names(&mut self, asked: &mut Asked, passed: Range<usize>, account: &mut Account) {
        let other = asked.question.clone();
        let mut sections = Sections::default();
        let owner = sections.store_name(other.typed());
        sections.push(Section::Answer, owner, rtype::TXT, 0, |data| data.bytes(&[0]));
        let mut reply = Reply::new(Rcode::NOERROR, sections);
        self.up(asked, passed, &mut reply, account);
        if asked.question.lower() == other.lower() {
            return;
        }
        // Where there is no way back to a name the client gets an error.
        let Some(record) = reply.sections.records().first() else { return };
        let mut name = [0; MAX_NAME];
        let length = reply.sections.owner_name(record, &asked.question, &mut name);
        let name = name.get(..length).unwrap_or_default();
        let (other, back) = (show_name(other.typed()), show_name(name));
        let text = match name.eq_ignore_ascii_case(asked.question.lower()) {
            true => format!("gives the client what is said of {other} as {back}"),
            false => format!(
                "gives the client what is said of {other} as {back}, which is not what it asked for: `answer auto` puts names back"
            ),
        };
        account.said.push(Said::new("rewrite", text, &["S-11"]));
    }

    /// The step behind those that were passed walks a search list: asks the steps behind it for each candidate, until one is its
    /// answer.
    fn candidates(
        &mut self,
        asked: &mut Asked,
        passed: Range<usize>,
        (mut candidate, mut memo): (Box<Question>, Box<Memo>),
        account: &mut Account,
    ) -> Option<Reply> {
        let index = passed.end;
        let step = self.steps(asked).get(index)?;
        let word = step.word();
        let text = "walks the client's search list at once, in the words behind it";
        account.said.push(Said::new(word, text, &["K-255"]));
        for _ in 0..MAX_CANDIDATES {
            let mut inner = Account::begin(&candidate, account.server.clone());
            inner.zone.clone_from(&account.zone);
            let question = std::mem::replace(&mut asked.question, *candidate);
            let reply = self.down(asked, index + 1, &mut inner);
            asked.question = question;
            asked.step = index;
            let Some(reply) = reply else {
                // What upstreams would say decides whether it goes on.
                account.fate = inner.fate;
                account.upstreams.clone_from(&inner.upstreams);
                account.behalf = Some(Box::new(inner));
                return None;
            };
            let code = inner.rcode.clone().unwrap_or_default();
            let by = inner.decided.as_ref().map(|by| format!(" by `{by}`")).unwrap_or_default();
            account.said.push(Said::new(word, format!("candidate {}: {code}{by}", inner.name), &["K-255"]));
            let mut errands = Vec::new();
            let mut context = Context::new(asked.arrived, &mut self.rng, self.clock, &mut errands);
            context.plan = Some(self.plan);
            match step.resume(asked, Answer::Behind { reply, memo }, &mut context) {
                Flow::Wait(Ask::Behind { question, memo: next }) => (candidate, memo) = (question, next),
                Flow::Reply(mut reply) => {
                    let other = self.up(asked, passed, &mut reply, account);
                    account.take(&reply, &asked.question);
                    account.instead(other);
                    // Where nothing was found the reply is that of the first candidate, and the last one explains nothing.
                    if account.fate != Fate::NoName {
                        account.behalf = Some(Box::new(inner));
                    }
                    return Some(reply);
                }
                _ => return None,
            }
        }
        None
    }
}

/// More candidates than any search list has.
const MAX_CANDIDATES: usize = 64;

impl Account {
    /// Nothing is known yet of what becomes of a question at a server: it is refused.
    fn begin(question: &Question, server: String) -> Self {
        Self {
            name: show_name(question.typed()),
            qtype: type_text(question.qtype).to_string(),
            server,
            zone: None,
            passed: Vec::new(),
            decided: None,
            fate: Fate::Refused,
            rcode: Some(Rcode::REFUSED.text().to_owned()),
            answers: Vec::new(),
            said: Vec::new(),
            upstreams: Vec::new(),
            behalf: None,
        }
    }

    /// Leaves out for how long things have been as they are: of what was read a moment ago that says nothing.
    pub fn forget_ages(&mut self) {
        self.said
            .iter_mut()
            .filter_map(|said| said.object.as_mut())
            .for_each(|object| object.unchanged_seconds = None);
        if let Some(behalf) = &mut self.behalf {
            behalf.forget_ages();
        }
    }

    /// Takes what becomes of a question that the reply leads to, if it leads to one.
    fn instead(&mut self, other: Option<Account>) {
        if let Some(other) = other {
            self.fate = other.fate;
            self.behalf = Some(Box::new(other));
        }
    }

    /// Takes a reply.
    fn take(&mut self, reply: &Reply, question: &Question) {
        let rcode = reply.head.rcode;
        self.answers = record_texts(&reply.sections, question, Section::Answer);
        self.rcode = Some(rcode.text().to_owned());
        self.fate = match rcode {
            Rcode::NOERROR if self.answers.is_empty() => Fate::NoData,
            Rcode::NOERROR => Fate::Records,
            Rcode::NXDOMAIN => Fate::NoName,
            Rcode::REFUSED => Fate::Refused,
            _ => Fate::Failed,
        };
        if let Some(ede) = &reply.head.ede {
            let text = format!("extended error {}: {}", ede.code, ede.text);
            let word = self.decided.clone().unwrap_or_default();
            self.said.push(Said::new(&word, text, &[]));
        }
    }
}
