//! What was true when: the judge of every answer.
//!
//! ```text
//!              fault begins            ends, and what it leaves behind
//!  calm ──────────┤ episode ───────────────┤ GRACE ├──────── calm
//!  must know      │ must know what was                       │ must know
//!  what was 1 s   │ 1 s before it began                      │ what was 1 s
//!  ago            │                                          │ ago
//! ```
//!
//! Kubernetes promises no order between objects of two kinds, nor within one list that is still coming. So an answer is right
//! if each object that it is made from was so at some moment of the window, not all of them at the same one.

use std::collections::VecDeque;
use std::time::Duration;

use signpost::time::Tick;

use super::universe::{Fact, Key, Question};

/// How old an answer may be while all is well: nothing is lost then, and what is measured is the machine's own slowness
/// (the bar of A5 is 100 ms at p99 on a quiet one).
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// How long after a fault its traces may last: the longest pause before the next try is 5 s (K-260), and a list or a watch
/// then has the second that it always has.
pub(crate) const GRACE: Duration = Duration::from_secs(6);

/// How long what was true is kept: longer than the longest episode.
const KEPT: Duration = Duration::from_secs(400);

/// A fact and when it held.
#[derive(Clone, Debug)]
struct Held {
    /// What was so.
    fact: Fact,
    /// From when.
    from: Tick,
    /// Until when; `None` for now.
    until: Option<Tick>,
}

/// A time in which faults had changes held back.
#[derive(Clone, Copy, Debug)]
struct Episode {
    /// When it began.
    from: Tick,
    /// When the last of its faults was over; `None` as long as it is not.
    end: Option<Tick>,
    /// Which fault it was.
    fault: usize,
}

/// What was true when.
pub(crate) struct Past {
    /// By the place of the key, oldest first.
    facts: Vec<VecDeque<Held>>,
    /// The episodes, oldest first.
    episodes: VecDeque<Episode>,
}

/// The judgement of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It was true in the window.
    Right {
        /// How long before the question it had ceased to be true, zero where it still was; `None` while faults are about.
        age: Option<Duration>,
        /// In the grace of an episode: its fault, and how long behind its end the answer still was of before.
        late: Option<(usize, Duration)>,
    },
    /// It was not true at any moment of the window; what would have been right, newest first.
    Wrong(Vec<String>),
}

impl Past {
    /// Begins with these facts, by the place of their keys.
    pub(crate) fn new(facts: &[Fact]) -> Self {
        let held = |fact: &Fact| Held { fact: fact.clone(), from: Tick(0), until: None };
        Self { facts: facts.iter().map(|fact| [held(fact)].into()).collect(), episodes: VecDeque::new() }
    }

    /// A fact changed at some moment between `before` and `after`.
    pub(crate) fn change(&mut self, key: Key, fact: Fact, before: Tick, after: Tick) {
        let Some(held) = self.facts.get_mut(key.index()) else { return };
        if let Some(last) = held.back_mut() {
            last.until = Some(after);
        }
        held.push_back(Held { fact, from: before, until: None });
        while held.front().and_then(|one| one.until).is_some_and(|until| after.since(until) > KEPT) {
            held.pop_front();
        }
    }

    /// Faults begin.
    pub(crate) fn begin(&mut self, fault: usize, now: Tick) {
        self.episodes.push_back(Episode { from: now, end: None, fault });
        while self.episodes.len() > 64 {
            self.episodes.pop_front();
        }
    }

    /// The last of them is over.
    pub(crate) fn end(&mut self, now: Tick) {
        if let Some(last) = self.episodes.back_mut() {
            last.end = Some(now);
        }
    }

    /// The oldest moment whose truth may still be answered to a question of `asked`.
    fn horizon(&self, asked: Tick) -> (Tick, Option<Episode>) {
        let before = |tick: Tick| Tick(tick.0.saturating_sub(nanos(FRESH)));
        let lasting =
            |one: &&Episode| one.from <= asked && one.end.is_none_or(|end| asked <= end.plus(GRACE));
        match self.episodes.iter().find(lasting) {
            Some(episode) => (before(episode.from), Some(*episode)),
            None => (before(asked), None),
        }
    }

    /// Judges an answer to a question of `asked` that was there at `answered`.
    pub(crate) fn judge(&self, question: Question, answer: &str, asked: Tick, answered: Tick) -> Verdict {
        let (horizon, episode) = self.horizon(asked);
        let held: Vec<Vec<&Held>> = question
            .keys()
            .into_iter()
            .map(|key| {
                let all = self.facts.get(key.index()).into_iter().flatten().rev();
                all.filter(|one| one.from <= answered && one.until.is_none_or(|until| until >= horizon))
                    .collect()
            })
            .collect();
        let mut right = Vec::new();
        let mut chosen = vec![0; held.len()];
        loop {
            let now: Vec<&Held> =
                held.iter().zip(&chosen).filter_map(|(all, &at)| all.get(at).copied()).collect();
            let facts: Vec<&Fact> = now.iter().map(|one| &one.fact).collect();
            let expected = question.answer(&facts);
            if expected == answer {
                let ended = |one: &&Held| one.until.filter(|&until| until < asked);
                let oldest = now.iter().filter_map(ended).min();
                let since = |end: Tick| oldest.map_or(Duration::ZERO, |until| asked.since(until.max(end)));
                let age = episode.is_none().then(|| since(Tick(0)));
                let late = episode.and_then(|one| {
                    let end = one.end.filter(|&end| end < asked)?;
                    Some((one.fault, since(end)))
                });
                return Verdict::Right { age, late };
            }
            if !right.contains(&expected) {
                right.push(expected);
            }
            if !next(&mut chosen, &held) {
                return Verdict::Wrong(right);
            }
        }
    }
}

/// The next combination; false behind the last one.
fn next(chosen: &mut [usize], held: &[Vec<&Held>]) -> bool {
    for (at, all) in chosen.iter_mut().zip(held) {
        *at += 1;
        if *at < all.len() {
            return true;
        }
        *at = 0;
    }
    false
}

/// A time for arithmetic with ticks.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
