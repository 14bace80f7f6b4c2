//! What is found, what is kept.
//!
//! A hit is a reply of this step, so `tell` hears only of what was not found, of what is verified, and of errands.

use std::sync::{Arc, OnceLock};

use super::WORD;
use crate::cache::{Cache, Counts, Entry, Found, Key, Kind, Seen, Shown, StaleMode, WorkerCounts, judge};
use crate::chain::asked::{Asked, BUDGET};
use crate::chain::explain::Said;
use crate::chain::step::{Context, Flow, Reply, Step};
use crate::corefile::Zone;
use crate::wire::{Ede, Rcode, Sections, rtype};

/// The longest that a refresh may be under way before somebody else tries: a lost one must not be waited for.
const REFRESH: std::time::Duration = BUDGET;

/// Stale NXDOMAIN Answer (RFC 8914 §4.20).
const STALE_NXDOMAIN: u16 = 19;

/// Cached Error (RFC 8914 §4.14).
pub(in crate::chain) const CACHED_ERROR: Ede = Ede {
    code: 13,
    text: std::borrow::Cow::Borrowed("upstreams failed a few seconds ago and are not asked again yet"),
};

/// Where a line's questions are counted, by listener; set once the listeners are known.
pub(super) type Places = Arc<OnceLock<Box<[Option<Arc<Counts>>]>>>;

/// The step.
pub(super) struct CacheStep {
    /// The cache.
    pub(super) cache: Arc<Cache>,
    /// The zones whose names are looked for and kept.
    pub(super) zones: Vec<Zone>,
    /// Zones whose positive answers are not kept (`disable success`).
    pub(super) no_success: Vec<Zone>,
    /// Zones whose negative answers and failures are not kept (`disable denial`).
    pub(super) no_denial: Vec<Zone>,
    /// Its own place in the chain.
    pub(super) place: usize,
    /// Whether a step behind it may answer for a family whose upstreams failed (`families`).
    pub(super) rescued: bool,
    /// The places of the steps that ask the network: only what they say is kept.
    pub(super) network: Vec<usize>,
    /// Where it is counted.
    pub(super) counts: Places,
}

/// Whether the name of the question in hand lies in one of the zones.
fn within(zones: &[Zone], asked: &Asked) -> bool {
    zones.iter().any(|zone| asked.question.below(zone.wire(), zone.labels()).is_some())
}

/// The key of the question in hand.
fn key(asked: &Asked) -> Key {
    let dnssec_ok = asked.query.edns.is_some_and(|edns| edns.dnssec_ok);
    Key::new(&asked.question, dnssec_ok, asked.query.header.checking_disabled())
}

impl CacheStep {
    /// Counts something of this query.
    fn count(&self, asked: &Asked, context: &Context<'_>, count: impl FnOnce(&WorkerCounts)) {
        if asked.only_looked {
            return;
        }
        let places = self.counts.get().and_then(|places| places.get(asked.client.listener)?.as_deref());
        if let Some(counts) = places.and_then(|counts| counts.worker(context.worker)) {
            count(counts);
        }
    }

    /// The reply that an entry makes. Cost: two copies of memory.
    #[inline]
    fn reply(&self, asked: &mut Asked, entry: &Entry, context: &Context<'_>) -> Reply {
        if entry.kind == Kind::Failure {
            return Reply::code(entry.rcode).because(CACHED_ERROR);
        }
        let mut draft = asked.draft();
        let shown = if self.cache.options().keep_ttl { Shown::Original } else { Shown::Remaining };
        entry.show(&mut draft, shown, context.now);
        let mut reply = Reply::new(entry.rcode, draft);
        reply.head.authentic = entry.authentic;
        reply
    }

    /// The reply that an entry makes beyond its time, in a draft.
    fn stale_reply(&self, mut draft: Sections, entry: &Entry, context: &Context<'_>) -> Reply {
        let options = self.cache.options();
        let shown = match options.stale.map_or(0, |stale| stale.ttl) {
            0 if options.keep_ttl => Shown::Original,
            ttl => Shown::Fixed(ttl),
        };
        entry.show(&mut draft, shown, context.now);
        let ede = match entry.rcode {
            Rcode::NXDOMAIN => Ede::new(STALE_NXDOMAIN, ""),
            _ => Ede::STALE,
        };
        Reply::new(entry.rcode, draft).because(ede)
    }

    /// A question that has an answer beyond its time.
    fn ask_stale(&self, asked: &mut Asked, entry: &Entry, failed: bool, context: &mut Context<'_>) -> Flow {
        let now = context.now;
        let Some(stale) = self.cache.options().stale else { return Flow::Next };
        // Nobody is asked while somebody does already, or did in vain a moment ago.
        let rests =
            asked.only_looked || failed || entry.rests(now) || !asked.query.header.recursion_desired();
        match stale.mode {
            StaleMode::Immediate => {
                if !rests && entry.claim(now, now.plus(REFRESH)) {
                    self.count(asked, context, |counts| counts.prefetches.add(1));
                    context.refresh(asked);
                }
            }
            StaleMode::Verify(timeout) => {
                // With a pause between refreshes one asker is enough; else all of them share one question to upstreams.
                let mine = !rests && (stale.recheck.is_zero() || entry.claim(now, now.plus(REFRESH)));
                if mine {
                    asked.patience = timeout.map(|timeout| now.plus(timeout).min(asked.deadline()));
                    return Flow::Next;
                }
            }
        }
        self.count(asked, context, |counts| counts.stale.add(1));
        let draft = asked.draft();
        Flow::Reply(self.stale_reply(draft, entry, context))
    }

    /// Keeps what upstreams said, as far as it is to be kept; says whether it is an answer that may replace a stale one.
    fn keep(&self, asked: &Asked, key: &Key, reply: &mut Reply, lost: bool, context: &Context<'_>) -> bool {
        let seen = Seen {
            question: &asked.question,
            rcode: reply.head.rcode,
            truncated: reply.head.truncated,
            wall: context.clock.wall(),
        };
        let options = self.cache.options();
        let answering = seen.answered_by(&reply.sections);
        let verdict = judge(&seen, &mut reply.sections, options);
        let prefers = options.stale.is_some_and(|stale| stale.prefer_positive);
        let answers = match reply.head.rcode {
            Rcode::NOERROR => answering || !prefers,
            Rcode::NXDOMAIN => !prefers,
            _ => false,
        };
        // A bound of ours says nothing of upstreams, nor does a wait that was cut short or a look at what is at hand; and what
        // was asked without RD may be a referral where others want an answer.
        let ours = reply.head.ede.as_ref().is_some_and(|ede| ede.code == Ede::TOO_BUSY.code);
        if ours || lost || asked.at_hand || !asked.query.header.recursion_desired() {
            return answers;
        }
        let kept = verdict.filter(|verdict| {
            let disabled = match verdict.kind {
                Kind::Positive => &self.no_success,
                Kind::Negative | Kind::Failure => &self.no_denial,
            };
            // A failure that is kept already is not prolonged by those who hear of it.
            let known = verdict.kind == Kind::Failure
                && matches!(self.cache.find(key, context.now), Some(Found::Fresh(entry)) if entry.kind == Kind::Failure);
            !within(disabled, asked) && !reply.sections.pointers() && !known
        });
        match kept {
            Some(verdict) => {
                let (rcode, authentic) = (reply.head.rcode, reply.head.authentic);
                let evicted = self.cache.keep(key, verdict, rcode, authentic, &reply.sections, context.now);
                if evicted > 0 {
                    self.count(asked, context, |counts| counts.evicted(verdict.kind, evicted));
                }
            }
            // What was kept before must not outlive a newer word only because that is too short-lived to be kept.
            None if answers && !reply.head.truncated => self.cache.forget(key),
            None => {}
        }
        answers || reply.head.truncated
    }
}

impl Step for CacheStep {
    fn word(&self) -> &'static str {
        WORD
    }

    fn explain(&self, asked: &Asked, context: &Context<'_>) -> Option<Said> {
        if !within(&self.zones, asked) {
            return None;
        }
        let now = context.now;
        Some(match self.cache.look(&key(asked), now) {
            None => Said::new(WORD, "holds nothing for this question", &["C-01"]),
            Some(Found::Fresh(entry)) => {
                let (what, rule) = match entry.kind {
                    Kind::Positive => ("an answer", "C-03"),
                    Kind::Negative => ("a negative answer", "C-03"),
                    Kind::Failure => ("a failure of upstreams", "C-02"),
                };
                Said::new(WORD, format!("holds {what}, {} s left", entry.remaining(now)), &[rule])
            }
            Some(Found::Stale { entry, failed }) => {
                let over = now.since(entry.expires()).as_secs();
                let failed = if failed { "; upstreams failed a moment ago" } else { "" };
                Said::new(
                    WORD,
                    format!("holds an answer that is {over} s beyond its time{failed}"),
                    &["C-09"],
                )
            }
        })
    }

    fn ask(&self, asked: &mut Asked, context: &mut Context<'_>) -> Flow {
        asked.patience = None;
        asked.failed_before = false;
        if !within(&self.zones, asked) {
            return Flow::Next;
        }
        let found = match asked.only_looked {
            false => self.cache.find(&key(asked), context.now),
            true => self.cache.look(&key(asked), context.now),
        };
        self.count(asked, context, |counts| {
            counts.requests.add(1);
            match &found {
                Some(Found::Fresh(entry) | Found::Stale { entry, .. }) => counts.hit(entry.kind),
                None => counts.misses.add(1),
            }
        });
        match found {
            None => Flow::Next,
            Some(Found::Fresh(entry))
                if entry.kind == Kind::Failure
                    && self.rescued
                    && matches!(asked.question.qtype, rtype::A | rtype::AAAA) =>
            {
                asked.failed_before = true;
                Flow::Next
            }
            Some(Found::Fresh(entry)) => {
                let popular = !asked.only_looked
                    && entry.kind != Kind::Failure
                    && self
                        .cache
                        .options()
                        .prefetch
                        .is_some_and(|prefetch| entry.hit(&prefetch, context.now));
                if popular
                    && asked.query.header.recursion_desired()
                    && entry.claim(context.now, context.now.plus(REFRESH))
                {
                    self.count(asked, context, |counts| counts.prefetches.add(1));
                    context.refresh(asked);
                }
                Flow::Reply(self.reply(asked, &entry, context))
            }
            Some(Found::Stale { entry, failed }) => self.ask_stale(asked, &entry, failed, context),
        }
    }

    fn tell(&self, asked: &mut Asked, reply: &mut Reply, context: &mut Context<'_>) {
        let patience = asked.patience.take();
        if reply.nobody || !self.network.contains(&asked.step) || !within(&self.zones, asked) {
            return;
        }
        let key = key(asked);
        let now = context.now;
        let lost = patience.is_some_and(|patience| now >= patience) && reply.head.rcode == Rcode::SERVFAIL;
        if self.keep(asked, &key, reply, lost, context) {
            return;
        }
        let Some(stale) = self.cache.options().stale else { return };
        let Some(Found::Stale { entry, .. } | Found::Fresh(entry)) = self.cache.find(&key, now) else {
            return;
        };
        if entry.kind == Kind::Failure {
            return;
        }
        if lost && !asked.errand {
            // What could not be waited for goes on in the background; until it ends, the stale answer comes at once.
            // With a pause this query holds the claim since it was asked.
            if !stale.recheck.is_zero() || entry.claim(now, now.plus(REFRESH)) {
                self.count(asked, context, |counts| counts.prefetches.add(1));
                context.refresh_behind(asked, self.place);
            }
        } else if !entry.fresh(now) && !stale.recheck.is_zero() && !asked.at_hand {
            // The pause begins; without one the claim of a refresh ends by itself.
            entry.rest(now.plus(stale.recheck));
        }
        if !asked.errand {
            self.count(asked, context, |counts| counts.stale.add(1));
            let draft = std::mem::take(&mut reply.sections);
            *reply = match entry.fresh(now) {
                true => self.reply(asked, &entry, context),
                false => self.stale_reply(draft, &entry, context),
            };
        }
    }
}
