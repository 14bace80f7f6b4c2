//! What would become of a question, told step by step; nobody is asked for it, and nothing is counted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::asked::{Asked, MAX_FRAMES};
use super::log::type_text;
use super::plan::Plan;
use super::step::{Ask, Context, Flow, Reply};
use crate::forward::Group;
use crate::time::Clock;
use crate::wire::{
    CLASS_IN, Header, Question, Rcode, Section, Shape, parse_name, parse_type, record_texts, rtype, show_name,
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
    /// Where the server listens, as its Corefile says.
    pub listens: Vec<String>,
    /// What would become of the question.
    pub account: Account,
}

/// What a server with this plan says about a question, name and type as people write them; `None` where it is none.
#[must_use]
pub fn explain(plan: &Plan, name: &str, qtype: &str, clock: &Clock) -> Option<Explained> {
    let question = Question::new(&parse_name(name)?, parse_type(qtype)?).ok()?;
    let steps = || plan.chains.iter().flat_map(|chain| &chain.steps);
    Some(Explained {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster_zone: steps().find_map(|step| step.primary()).map(|zone| zone.text().to_owned()),
        synced: steps().all(|step| step.ready()),
        listens: plan.listeners.iter().map(|listener| listener.addr.to_string()).collect(),
        account: account(plan, &question, clock),
    })
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
pub fn account(plan: &Plan, question: &Question, clock: &Clock) -> Account {
    let mut asked = Asked::detached(question);
    let mut has = |place: &usize| {
        asked.client.listener = *place;
        plan.choose(&asked, question).is_some()
    };
    let place = (0..plan.listeners.len()).find(|place| has(place)).unwrap_or(0);
    trace(plan, question, place, clock, 0)
}

/// The same at one listener, `depth` questions on behalf of others deep.
fn trace(plan: &Plan, question: &Question, place: usize, clock: &Clock, depth: usize) -> Account {
    let listener = plan.listeners.get(place);
    let mut account = Account {
        name: show_name(question.typed()),
        qtype: type_text(question.qtype).to_string(),
        server: listener.map(|listener| listener.label.clone()).unwrap_or_default(),
        zone: None,
        passed: Vec::new(),
        decided: None,
        fate: Fate::Refused,
        rcode: Some(Rcode::REFUSED.text().to_owned()),
        answers: Vec::new(),
        said: Vec::new(),
        upstreams: Vec::new(),
        behalf: None,
    };
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
    asked.client.listener = place;
    asked.shape = Shape::stream();
    let chosen = plan.choose(&asked, question);
    let served = chosen.and_then(|(zone, _)| listener?.zones.get(zone));
    let Some(served) = served else {
        account.said.push(Said::new("", "no server block has a zone for this name", &["K-001", "S-02"]));
        return account;
    };
    account.zone = Some(served.zone.text().to_owned());
    let steps = plan.chains.get(served.chain).map(|chain| chain.steps.as_slice()).unwrap_or_default();
    asked.chain = served.chain;
    let now = clock.now();
    asked.arrived = now;
    let mut rng = fastrand::Rng::new();
    let mut errands = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        asked.step = index;
        let mut context = Context::new(now, &mut rng, clock, &mut errands);
        account.said.extend(step.explain(&asked, &context));
        let flow = step.ask(&mut asked, &mut context);
        if matches!(flow, Flow::Next) {
            account.passed.push(step.word().to_owned());
            continue;
        }
        account.decided = Some(step.word().to_owned());
        account.rcode = None;
        match flow {
            Flow::Next => {}
            Flow::Reply(reply) => {
                // On its way up a word may have another type asked for, as `dns64` does.
                for step in steps.iter().take(index).rev() {
                    if let Some(other) = step.also(&asked, &reply) {
                        let text =
                            format!("has {} asked for too, and makes one reply of both", type_text(other));
                        account.said.push(Said::new(step.word(), text, &[]));
                    }
                }
                account.take(&reply, &asked.question);
            }
            Flow::Drop => account.fate = Fate::Silent,
            // Transfers were turned away above.
            Flow::Transfer => account.fate = Fate::Refused,
            Flow::Wait(Ask::Upstream { group, .. }) => {
                account.fate = Fate::Asks;
                account.upstreams = known(&group);
            }
            // `autopath` asks the words behind it for a whole search list; what each name of it comes to, they say themselves.
            Flow::Wait(Ask::Behind { .. }) => {
                let word = step.word();
                account.said.push(Said::new(
                    word,
                    "walks the client's search list at once, in the words behind it",
                    &["K-255"],
                ));
                account.decided = None;
                account.rcode = Some(Rcode::REFUSED.text().to_owned());
                account.passed.push(word.to_owned());
                continue;
            }
            Flow::Wait(Ask::Signal { .. }) => account.fate = Fate::Waits,
            Flow::Wait(Ask::Question { question: other, held }) => {
                if let Some(held) = held {
                    account.take(&Reply::new(Rcode::NOERROR, held), &asked.question);
                }
                if depth < MAX_FRAMES {
                    let other = trace(plan, &other, place, clock, depth + 1);
                    account.fate = other.fate;
                    account.behalf = Some(Box::new(other));
                }
            }
        }
        return account;
    }
    account.fate = Fate::Failed;
    account.rcode = Some(Rcode::SERVFAIL.text().to_owned());
    account.said.push(Said::new("", "no word of the block answers this name", &["S-03"]));
    account
}

impl Account {
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
