//! Whether what is sent to an upstream comes back here (rule S-14, RELIABILITY U16).
//!
//! ```text
//! plan in force ─ watch ─► Loops ─ claim, mark ─► Exchange ─ a question that nobody can guess ─► upstream
//!                            ▲  ▲                                                                   │ ?
//!                            │  └── answered: it does not come back ◄──────── reply ────────────────┤
//!                            └───── seen: it does ◄──── step `loop` ◄───────── network ◄────────────┘
//! ```
//!
//! Invariants: a marker stands for one question to one upstream; it counts only once and only for a few seconds, so that
//! whoever reads it in a log can't use it; later it is still known as ours, and never forwarded.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::group::Group;
use super::upstream::Upstream;
use crate::time::Tick;
use crate::wire::{Question, rtype, show_name};

/// How often an upstream is tried.
const EVERY: Duration = Duration::from_secs(30);

/// How soon it is tried again if it gave no answer, and how often upstreams are looked for that have come new.
const SOON: Duration = Duration::from_secs(5);

/// How long a marker counts when it comes back.
const COUNTS: Duration = Duration::from_secs(5);

/// How long it is known as ours.
const KNOWN: Duration = Duration::from_secs(600);

/// The most markers that are known.
const MOST: usize = 16_384;

/// The bytes that make a marker: from a source that nobody can guess.
pub(super) type Nonce = [u8; 16];

/// Bytes of one of the two labels of a marker: half of the nonce in hexadecimal.
const LABEL: usize = 16;

/// Upstreams that may send back what they are asked.
#[derive(Clone, Debug)]
pub struct Suspect {
    /// The zone below which they are asked: wire form, lower case.
    pub zone: Arc<[u8]>,
    /// The upstreams.
    pub group: Arc<Group>,
}

/// An upstream and a zone below which it is asked.
pub(super) struct Trial {
    /// The upstream.
    pub(super) upstream: Arc<Upstream>,
    /// The zone, wire form.
    zone: Arc<[u8]>,
}

/// What an upstream and a zone are found by.
type Key = (u32, Arc<[u8]>);

/// What is known of an upstream for a zone.
struct State {
    /// The upstream.
    upstream: Arc<Upstream>,
    /// When it is tried next.
    next: Tick,
    /// Whether questions come back.
    looping: bool,
}

/// A marker that was sent.
struct Sent {
    /// To whom, below which zone.
    key: Key,
    /// When.
    at: Tick,
    /// Whether it came back in time.
    seen: bool,
}

/// What one lock holds.
#[derive(Default)]
struct Inner {
    /// What the plan in force asks.
    suspects: Vec<Suspect>,
    /// What is known.
    states: HashMap<Key, State>,
    /// Markers of the last minutes.
    markers: HashMap<Nonce, Sent>,
}

/// What is known of loops, of all workers and plans together.
#[derive(Default)]
pub struct Loops {
    /// When upstreams are to be tried next.
    due: AtomicU64,
    /// The rest; no query takes this lock unless it looks like a marker.
    inner: Mutex<Inner>,
}

impl Loops {
    /// Another plan is in force: its upstreams are tried at once, and what it does not ask is forgotten.
    pub fn watch(&self, suspects: Vec<Suspect>) {
        let mut inner = self.inner.lock();
        inner.suspects = suspects;
        inner.keep();
        inner.states.values_mut().for_each(|state| state.next = Tick(0));
        self.due.store(0, Relaxed);
    }

    /// When `claim` is to be called next.
    #[must_use]
    pub fn due(&self) -> Tick {
        Tick(self.due.load(Relaxed))
    }

    /// What is to be tried now; each trial is given to one worker only. Cost: one load unless something is due.
    pub(super) fn claim(&self, now: Tick) -> Vec<Trial> {
        let due = self.due.load(Relaxed);
        if due > now.0 || self.due.compare_exchange(due, now.plus(SOON).0, Relaxed, Relaxed).is_err() {
            return Vec::new();
        }
        let mut inner = self.inner.lock();
        inner.markers.retain(|_, sent| now.since(sent.at) < KNOWN);
        inner.keep();
        let mut trials = Vec::new();
        for (_, state_key) in inner.wanted() {
            if let Some(state) = inner.states.get_mut(&state_key).filter(|state| state.next <= now) {
                state.next = now.plus(EVERY);
                trials.push(Trial { upstream: state.upstream.clone(), zone: state_key.1 });
            }
        }
        trials
    }

    /// The question of a trial; `None` where the zone's name leaves no room for it, or too many are known.
    pub(super) fn mark(&self, trial: &Trial, nonce: Nonce, now: Tick) -> Option<Question> {
        let mut name = Vec::with_capacity(2 * (LABEL + 1) + trial.zone.len());
        for half in nonce.chunks(LABEL / 2) {
            name.push(u8::try_from(LABEL).unwrap_or(0));
            for byte in half {
                for digit in [byte >> 4, byte & 0xf] {
                    name.push(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
                }
            }
        }
        name.extend_from_slice(&trial.zone);
        let question = Question::new(&name, rtype::HINFO).ok()?;
        let mut inner = self.inner.lock();
        if inner.markers.len() >= MOST {
            return None;
        }
        let key = (trial.upstream.id(), trial.zone.clone());
        inner.markers.insert(nonce, Sent { key, at: now, seen: false });
        Some(question)
    }

    /// A question came from the network: says whether it is a marker of ours, and draws the conclusion if it is one.
    ///
    /// Cost: a comparison of the type, for nearly all questions.
    pub fn seen(&self, question: &Question, now: Tick) -> bool {
        let Some(nonce) = read(question) else { return false };
        let mut inner = self.inner.lock();
        let Some(sent) = inner.markers.get_mut(&nonce) else { return false };
        if !sent.seen && now.since(sent.at) <= COUNTS {
            sent.seen = true;
            let key = sent.key.clone();
            inner.conclude(&key, true);
        }
        true
    }

    /// The trial of a marker is over; `answered` says whether the upstream gave a reply.
    pub(super) fn over(&self, nonce: &Nonce, answered: bool) {
        let mut inner = self.inner.lock();
        let Some(sent) = inner.markers.get(nonce).filter(|sent| !sent.seen) else { return };
        let (key, at) = (sent.key.clone(), sent.at);
        if answered {
            inner.conclude(&key, false);
        } else if let Some(state) = inner.states.get_mut(&key) {
            state.next = at.plus(SOON);
        }
    }

    /// The upstreams that are tried, each once, and whether what they are asked comes back.
    #[must_use]
    pub fn all(&self) -> Vec<(String, bool)> {
        let inner = self.inner.lock();
        let mut all: Vec<(String, bool)> = Vec::new();
        for state in inner.states.values() {
            let to = state.upstream.to_string();
            match all.iter_mut().find(|(known, _)| *known == to) {
                Some((_, looping)) => *looping |= state.looping,
                None => all.push((to, state.looping)),
            }
        }
        all.sort_unstable();
        all
    }
}

impl Inner {
    /// All that the plan in force asks: upstream and key.
    fn wanted(&self) -> Vec<(Arc<Upstream>, Key)> {
        let mut wanted: Vec<(Arc<Upstream>, Key)> = Vec::new();
        for suspect in &self.suspects {
            for upstream in suspect.group.upstreams().iter() {
                let key = (upstream.id(), suspect.zone.clone());
                if !wanted.iter().any(|(_, known)| *known == key) {
                    wanted.push((upstream.clone(), key));
                }
            }
        }
        wanted
    }

    /// Takes in what is wanted and not known yet, forgets what is not wanted any more.
    fn keep(&mut self) {
        let wanted = self.wanted();
        let mut freed = Vec::new();
        self.states.retain(|key, state| {
            let keep = wanted.iter().any(|(_, wanted)| wanted == key);
            if !keep && state.looping {
                freed.push(state.upstream.clone());
            }
            keep
        });
        for upstream in freed {
            self.tell(&upstream);
        }
        for (upstream, key) in wanted {
            self.states.entry(key).or_insert(State { upstream, next: Tick(0), looping: false });
        }
    }

    /// What an upstream is asked below a zone comes back, or does not.
    fn conclude(&mut self, key: &Key, looping: bool) {
        let Some(state) = self.states.get_mut(key) else { return };
        if std::mem::replace(&mut state.looping, looping) == looping {
            return;
        }
        let upstream = state.upstream.clone();
        let zone = show_name(&key.1);
        if looping {
            tracing::error!(
                target: "plugin/loop",
                "a loop: what upstream {upstream} is asked about names in {zone} comes back to this server; it is put \
                 aside until that ends. Let it forward elsewhere, or name other servers in `forward` (docs/loops.md)"
            );
        } else {
            tracing::info!(
                target: "plugin/loop",
                "what upstream {upstream} is asked about names in {zone} does not come back any more"
            );
        }
        self.tell(&upstream);
    }

    /// Tells an upstream what is known of it.
    fn tell(&self, upstream: &Upstream) {
        let looping = self.states.values().any(|state| state.looping && state.upstream.id() == upstream.id());
        upstream.health.set_looping(looping);
    }
}

/// The nonce of a question that has the form of a marker.
fn read(question: &Question) -> Option<Nonce> {
    if question.qtype != rtype::HINFO || question.labels() < 2 {
        return None;
    }
    let mut nonce = [0; 16];
    for (half, label) in nonce.chunks_mut(LABEL / 2).zip([question.label(0), question.label(1)]) {
        if label.len() != LABEL {
            return None;
        }
        for (byte, digits) in half.iter_mut().zip(label.chunks(2)) {
            let [high, low] = digits else { return None };
            let digit = |text: u8| char::from(text).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
    }
    Some(nonce)
}

/// Tells nothing of markers, which are secrets.
impl fmt::Debug for Loops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loops({:?})", self.all())
    }
}

/// What a flight of a trial carries.
pub(super) struct Marker {
    /// Where it is known.
    pub(super) loops: Arc<Loops>,
    /// Which it is.
    pub(super) nonce: Nonce,
}

impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marker")
    }
}

#[cfg(test)]
mod tests {
    //! Markers that come back, don't, come late, or are made up.

    use super::super::group::GroupOptions;
    use super::super::upstream::UpstreamSpec;
    use super::*;

    /// An upstream.
    fn upstream(port: u16) -> Arc<Upstream> {
        Arc::new(Upstream::new(UpstreamSpec::plain(([127, 0, 0, 1], port).into())))
    }

    /// Upstreams that are asked below a zone.
    fn suspect(zone: &[u8], upstreams: &[&Arc<Upstream>]) -> Suspect {
        let upstreams = upstreams.iter().map(|upstream| (*upstream).clone()).collect();
        Suspect { zone: zone.into(), group: Arc::new(Group::new(GroupOptions::default(), upstreams)) }
    }

    /// So many seconds after the start.
    fn at(seconds: u64) -> Tick {
        Tick(1).plus(Duration::from_secs(seconds))
    }

    /// Tries what is due, each with a nonce of its own; the questions with the upstreams that they go to.
    fn tries(loops: &Loops, now: Tick) -> Vec<(Question, Nonce, Arc<Upstream>)> {
        let mut rng = fastrand::Rng::with_seed(now.0);
        let trials = loops.claim(now).into_iter();
        trials
            .map(|trial| {
                let mut nonce = [0; 16];
                rng.fill(&mut nonce);
                (loops.mark(&trial, nonce, now).unwrap(), nonce, trial.upstream)
            })
            .collect()
    }

    #[test]
    fn an_upstream_whose_marker_comes_back_is_put_aside_until_one_does_not() {
        let (good, bad) = (upstream(1), upstream(2));
        let loops = Loops::default();
        loops.watch(vec![suspect(b"\x07example\0", &[&good, &bad])]);
        let tried = tries(&loops, at(0));
        assert_eq!(tried.len(), 2);
        assert!(tries(&loops, at(0)).is_empty(), "each is tried by one worker");
        for (question, nonce, to) in &tried {
            assert_eq!((question.qtype, question.labels()), (rtype::HINFO, 3));
            assert!(question.below(b"\x07example\0", 1).is_some());
            if to.id() == bad.id() {
                let mixed = show_name(question.typed()).to_ascii_uppercase();
                let mixed = Question::new(&crate::wire::parse_name(&mixed).unwrap(), rtype::HINFO).unwrap();
                assert!(loops.seen(&mixed, at(1)), "letters may change on the way");
            }
            loops.over(nonce, true);
        }
        assert!(bad.health.looping() && !good.health.looping());
        assert_eq!(loops.all(), [("127.0.0.1:1".to_owned(), false), ("127.0.0.1:2".to_owned(), true)]);

        assert!(tries(&loops, at(29)).is_empty());
        for (_, nonce, _) in tries(&loops, at(40)) {
            loops.over(&nonce, true);
        }
        assert!(!bad.health.looping());
    }

    #[test]
    fn one_that_does_not_answer_stays_what_it_is_and_is_tried_soon() {
        let bad = upstream(1);
        let loops = Loops::default();
        loops.watch(vec![suspect(b"\0", &[&bad])]);
        let (question, ..) = &tries(&loops, at(0))[0];
        assert!(loops.seen(question, at(0)));
        for (_, nonce, _) in tries(&loops, at(31)) {
            loops.over(&nonce, false);
        }
        assert!(bad.health.looping());
        assert_eq!(tries(&loops, at(37)).len(), 1);
    }

    #[test]
    fn a_marker_counts_once_and_for_seconds_and_is_known_for_minutes() {
        let bad = upstream(1);
        let loops = Loops::default();
        loops.watch(vec![suspect(b"\0", &[&bad])]);
        let (late, nonce, _) = tries(&loops, at(0)).remove(0);
        loops.over(&nonce, true);
        assert!(loops.seen(&late, at(6)), "it is ours and goes nowhere");
        assert!(!bad.health.looping(), "but it says nothing any more: who knows where it was read");
        let (_, nonce, _) = tries(&loops, at(601)).remove(0);
        loops.over(&nonce, true);
        assert!(!loops.seen(&late, at(602)));

        let (replayed, ..) = tries(&loops, at(640)).remove(0);
        assert!(loops.seen(&replayed, at(640)));
        let (_, nonce, _) = tries(&loops, at(680)).remove(0);
        loops.over(&nonce, true);
        assert!(loops.seen(&replayed, at(681)) && !bad.health.looping());
    }

    #[test]
    fn what_only_looks_like_a_marker_is_none() {
        let loops = Loops::default();
        loops.watch(vec![suspect(b"\0", &[&upstream(1)])]);
        let (marker, ..) = tries(&loops, at(0)).remove(0);
        let name = show_name(marker.typed());
        let mut other = marker.clone();
        other.qtype = rtype::A;
        assert!(!loops.seen(&other, at(0)));
        let flipped = if name.starts_with('0') { '1' } else { '0' };
        for text in [
            format!("{flipped}{}", &name[1..]),
            name.replacen('.', "0.", 1),
            name.replacen('.', ".x.", 1),
            format!("g{}", &name[1..]),
            name[17..].to_owned(),
            ".".to_owned(),
        ] {
            let question = Question::new(&crate::wire::parse_name(&text).unwrap(), rtype::HINFO).unwrap();
            assert!(!loops.seen(&question, at(0)), "{text}");
        }
        assert!(loops.seen(&marker, at(0)));
    }

    #[test]
    fn an_upstream_loops_while_it_does_for_any_zone_that_is_asked_and_is_free_when_none_is_left() {
        let bad = upstream(1);
        let (one, two) = (suspect(b"\x03one\0", &[&bad]), suspect(b"\x03two\0", &[&bad]));
        let loops = Loops::default();
        loops.watch(vec![one.clone(), two.clone()]);
        for (question, nonce, _) in tries(&loops, at(0)) {
            if question.below(b"\x03one\0", 1).is_some() {
                loops.seen(&question, at(0));
            }
            loops.over(&nonce, true);
        }
        assert!(bad.health.looping());
        loops.watch(vec![one, two.clone()]);
        assert!(bad.health.looping(), "a reload forgets nothing that still holds");
        assert_eq!(tries(&loops, at(1)).len(), 2, "and tries at once");
        loops.watch(vec![two]);
        assert!(!bad.health.looping());
        loops.watch(Vec::new());
        assert!(loops.all().is_empty() && tries(&loops, at(90)).is_empty());
    }

    #[test]
    fn an_upstream_that_comes_new_is_found() {
        let (old, new) = (upstream(1), upstream(2));
        let suspect = suspect(b"\0", &[&old]);
        let loops = Loops::default();
        loops.watch(vec![suspect.clone()]);
        assert_eq!(tries(&loops, at(0)).len(), 1);
        suspect.group.replace(vec![old, new.clone()]);
        let tried = tries(&loops, at(6));
        assert_eq!(tried.iter().map(|(.., to)| to.id()).collect::<Vec<_>>(), [new.id()]);
    }
}
