//! The step: which names are tried in which order, and what becomes of the reply that is found.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::super::asked::{Asked, MAX_FRAMES};
use super::super::kubernetes::Options;
use super::super::step::{Answer, Ask, Context, Flow, Reply, Step};
use crate::corefile::Zone;
use crate::wire::{Question, Rcode, Section, label_eq, rtype};

/// Names that were found for a client, by label `server`; outlives reloads.
#[derive(Default, Debug)]
pub struct Completions(RwLock<Vec<(String, Arc<AtomicU64>)>>);

impl Completions {
    /// Counts one name of a server. Cost: a lock that is written once a server.
    fn count(&self, server: &str) {
        if let Some((_, count)) = self.0.read().iter().find(|(known, _)| known == server) {
            count.fetch_add(1, Relaxed);
            return;
        }
        let mut all = self.0.write();
        match all.iter().find(|(known, _)| known == server) {
            Some((_, count)) => _ = count.fetch_add(1, Relaxed),
            None => all.push((server.to_owned(), Arc::new(AtomicU64::new(1)))),
        }
    }

    /// The counts by server.
    #[must_use]
    pub fn all(&self) -> Vec<(String, u64)> {
        self.0.read().iter().map(|(server, count)| (server.clone(), count.load(Relaxed))).collect()
    }
}

/// How far the walk of a search list is, while a candidate is being answered.
#[derive(Default, Debug)]
pub struct Memo {
    /// The place in the list of the candidate that is being answered.
    tried: usize,
    /// The reply to the first candidate, which is the client's if nothing is found.
    first: Option<Reply>,
}

/// Whose search list is walked.
pub(in crate::chain) enum List {
    /// That of the pod that asks: `NS.svc.Z`, `svc.Z`, `Z`, and what the node adds.
    Kubernetes {
        /// The stanza that knows the pods; never set where it does not.
        stanza: Arc<OnceLock<Arc<Options>>>,
        /// This server's own search list, which stands for the node's.
        own: Vec<Zone>,
    },
    /// The same for all.
    Fixed(Vec<Zone>),
}

/// What a list is for one question.
struct Search<'a> {
    /// How many labels of the question stand left of the first element: what the client typed.
    base: usize,
    /// The first elements, as places in the question where they begin; the rest is `more`.
    own: &'static [usize],
    /// Elements by name.
    more: &'a [Zone],
}

impl Search<'_> {
    /// How many candidates there are: every element and the root.
    fn len(&self) -> usize {
        self.own.len() + self.more.len() + 1
    }

    /// Candidate `at`: what the client typed in front of that element; `None` where that is too long for a name.
    fn candidate(&self, at: usize, question: &Question) -> Option<Question> {
        let mut name = question.typed().get(..question.start(self.base))?.to_vec();
        match (self.own.get(at), at.checked_sub(self.own.len()).and_then(|at| self.more.get(at))) {
            (Some(skip), _) => name.extend_from_slice(question.suffix(self.base + skip)),
            (None, Some(zone)) => name.extend_from_slice(zone.wire()),
            (None, None) => name.push(0),
        }
        Question::new(&name, question.qtype).ok()
    }
}

/// The step.
pub(in crate::chain) struct Autopath {
    /// The zones whose names it is about.
    pub(in crate::chain) zones: Vec<Zone>,
    /// Whose list is walked.
    pub(in crate::chain) list: List,
    /// Where names that were found are counted.
    pub(in crate::chain) completions: Arc<Completions>,
}

impl Autopath {
    /// The list for the question in hand; `None` where it is not the first of a search.
    fn search(&self, asked: &Asked) -> Option<Search<'_>> {
        let question = &asked.question;
        if !self.zones.iter().any(|zone| question.below(zone.wire(), zone.labels()).is_some()) {
            return None;
        }
        match &self.list {
            List::Fixed(list) => {
                let (first, more) = list.split_first()?;
                let base = question.below(first.wire(), first.labels())?;
                (base > 0).then_some(Search { base, own: &[0], more })
            }
            List::Kubernetes { stanza, own } => {
                let stanza = stanza.get()?;
                let left = stanza.zones.iter().find_map(|served| {
                    let zone = &served.zone;
                    question.below(zone.wire(), zone.labels()).filter(|_| !zone.is_reverse())
                })?;
                // Below `NS.svc.Z`, and a pod of that namespace asks: on a node's own address, where pods of many
                // namespaces may sit, the name tells which of them it is.
                let base = left.checked_sub(2).filter(|&base| base > 0)?;
                let client = asked.client.addr.ip().to_canonical();
                let asks = label_eq(question.label(base + 1), "svc")
                    && stanza.store.pods().contains(client, question.run(base, base + 1));
                asks.then_some(Search { base, own: &[0, 1, 2], more: own })
            }
        }
    }

    /// Asks the first candidate from `at` on that can be asked; replies with the first reply where there is none.
    fn next(&self, asked: &Asked, search: &Search<'_>, mut memo: Box<Memo>, at: usize) -> Flow {
        for at in at..search.len() {
            if let Some(candidate) = search.candidate(at, &asked.question) {
                memo.tried = at;
                return Flow::Wait(Ask::Behind { question: Box::new(candidate), memo });
            }
        }
        memo.first.map_or(Flow::Next, Flow::Reply)
    }
}

/// Whether a reply ends the walk: anything but a name error, and but what only says that nobody could tell.
fn ends(reply: &Reply) -> bool {
    !matches!(
        reply.head.rcode,
        Rcode::NXDOMAIN | Rcode::SERVFAIL | Rcode::REFUSED | Rcode::FORMERR | Rcode::NOTIMP
    )
}

/// The reply to the question in hand made of one to a candidate: an alias leads from one to the other.
fn rename(asked: &mut Asked, found: Reply, candidate: &Question) -> Reply {
    let mut sections = asked.draft();
    let mut answers = found.sections.records().iter().filter(|record| record.section == Section::Answer);
    if let Some(first) = answers.next() {
        let mut owner = [0; crate::wire::MAX_NAME];
        let length = found.sections.owner_name(first, candidate, &mut owner);
        let target = owner.get(..length).unwrap_or_default();
        sections.push(Section::Answer, crate::wire::Owner::Question, rtype::CNAME, first.ttl, |rdata| {
            rdata.bytes(target);
        });
    }
    for section in [Section::Answer, Section::Authority, Section::Additional] {
        sections.append(&found.sections, candidate, section);
    }
    let mut reply = Reply { head: found.head, sections, nobody: false };
    // Nobody signed the alias.
    reply.head.authentic = false;
    asked.reclaim(found.sections);
    reply
}

impl Step for Autopath {
    fn word(&self) -> &'static str {
        super::WORD
    }

    fn ask(&self, asked: &mut Asked, _: &mut Context<'_>) -> Flow {
        if asked.frames.len() >= MAX_FRAMES {
            return Flow::Next;
        }
        match self.search(asked) {
            Some(search) => self.next(asked, &search, Box::default(), 0),
            None => Flow::Next,
        }
    }

    fn resume(&self, asked: &mut Asked, answer: Answer, context: &mut Context<'_>) -> Flow {
        let Answer::Behind { reply, mut memo } = answer else {
            return Flow::Reply(Reply::code(Rcode::SERVFAIL));
        };
        // The pod may be gone by now: then what there is has to do.
        let Some(search) = self.search(asked) else { return Flow::Reply(memo.first.unwrap_or(reply)) };
        let at = memo.tried;
        if ends(&reply) {
            if !asked.only_looked {
                self.completions.count(context.server(asked));
            }
            if at == 0 {
                return Flow::Reply(reply);
            }
            let candidate = search.candidate(at, &asked.question);
            if let Some(first) = memo.first {
                asked.reclaim(first.sections);
            }
            return Flow::Reply(match candidate {
                Some(candidate) => rename(asked, reply, &candidate),
                None => reply,
            });
        }
        match memo.first {
            None if at == 0 => memo.first = Some(reply),
            None | Some(_) => asked.reclaim(reply.sections),
        }
        self.next(asked, &search, memo, at + 1)
    }
}
