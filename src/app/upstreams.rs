//! The long-lived parts of forwarding: groups and upstreams over all plans, the files and host names behind them, and what
//! was counted.
//!
//! An upstream is shared by all lines that specify it in the same way, and a group by the lines that stand for each other in
//! successive plans: so health, sockets, coalescing and `max_concurrent` survive a reload. Both are held weakly; what was
//! counted stays, since counters never fall.

mod numbers;
mod sources;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use self::sources::Tended;
use crate::forward::{
    Durations, Group, GroupCounts, GroupSpec, TargetFault, TlsSpec, Upstream, UpstreamCounts, UpstreamSpec,
};
use crate::panics::{attempt, keep};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How many looks at files there are to one look-up of host names.
const LOOKS: u32 = 30;

/// The most names of upstreams whose counts are kept although nobody asks them any more.
const KEPT: usize = 512;

/// The long-lived parts of forwarding.
#[derive(Default)]
pub(super) struct Upstreams {
    /// What there is.
    known: Arc<Mutex<Known>>,
    /// Set and signalled to end the thread that tends files and names.
    stop: Arc<(Mutex<bool>, Condvar)>,
}

/// What there is; the lock is never held while something is waited for.
#[derive(Default)]
pub(super) struct Known {
    /// Upstreams that somebody asks.
    upstreams: Vec<Weak<Upstream>>,
    /// Groups that somebody asks.
    groups: Vec<KnownGroup>,
    /// What was counted about upstreams.
    books: Vec<Book>,
    /// What was counted about groups.
    counts: Arc<GroupCounts>,
    /// Groups with files or names that the thread has not taken yet.
    fresh: Vec<Tended>,
    /// Whether the thread runs.
    tending: bool,
}

/// A group that somebody asks.
struct KnownGroup {
    /// What it was made of.
    spec: GroupSpec,
    /// The group.
    group: Weak<Group>,
    /// Whether a line of the plan that is being built has it.
    used: bool,
}

/// What was counted about the upstreams of one name.
#[derive(Clone)]
struct Book {
    /// The name, label `to`.
    to: String,
    /// Label `proto` of its connections.
    proto: &'static str,
    /// The counts.
    counts: Arc<UpstreamCounts>,
    /// The times of its replies.
    durations: Arc<Durations>,
}

impl Known {
    /// The upstream of a specification: the one that is known already, health and all, or a new one.
    fn upstream(&mut self, spec: &UpstreamSpec) -> Arc<Upstream> {
        self.upstreams.retain(|known| known.strong_count() > 0);
        let known = self.upstreams.iter().filter_map(Weak::upgrade).find(|known| known.spec() == spec);
        known.unwrap_or_else(|| {
            let book = self.book(spec);
            let made = Arc::new(Upstream::counted(spec.clone(), book.counts, book.durations));
            self.upstreams.push(Arc::downgrade(&made));
            made
        })
    }

    /// Where an upstream is counted.
    fn book(&mut self, spec: &UpstreamSpec) -> Book {
        let to = numbers::to(spec);
        if let Some(book) = self.books.iter().find(|book| book.to == to) {
            return book.clone();
        }
        if self.books.len() >= KEPT
            && let Some(oldest) = self.books.iter().position(|book| Arc::strong_count(&book.counts) == 1)
        {
            self.books.remove(oldest);
        }
        let proto = numbers::proto(spec);
        let book = Book { to, proto, counts: Arc::default(), durations: Arc::default() };
        self.books.push(book.clone());
        book
    }

    /// The upstreams of specifications, in their order.
    fn all(&mut self, specs: &[UpstreamSpec]) -> Vec<Arc<Upstream>> {
        specs.iter().map(|spec| self.upstream(spec)).collect()
    }
}

impl Upstreams {
    /// Before a plan is built: no line has a group yet.
    pub(super) fn begin(&mut self) {
        self.known.lock().groups.iter_mut().for_each(|known| known.used = false);
    }

    /// The group of a line: the one that an equal line of the plan before has, or a new one. Several equal lines of one plan
    /// have groups of their own, since each counts its own questions under way.
    ///
    /// Reads files and looks up host names, for at most 5 s in all.
    /// Errors: a file that can't be used, a name without addresses, an interface that there is not, TLS files that can't be
    /// read, or nobody is left to ask.
    pub(super) fn group(&mut self, spec: &GroupSpec) -> Result<Arc<Group>, TargetFault> {
        {
            let mut known = self.known.lock();
            known.groups.retain(|known| known.group.strong_count() > 0);
            for known in known.groups.iter_mut().filter(|known| !known.used && known.spec == *spec) {
                if let Some(group) = known.group.upgrade() {
                    known.used = true;
                    return Ok(group);
                }
            }
        }
        let mut tended = Tended::open(spec)?;
        for tls in tended.named().iter().filter_map(|named| named.tls.as_ref()) {
            readable(tls)?;
        }
        let specs = tended.specs();
        let mut known = self.known.lock();
        let upstreams = known.all(&specs);
        let group = Arc::new(Group::counted(spec.options.clone(), upstreams, known.counts.clone()));
        known.groups.push(KnownGroup { spec: spec.clone(), group: Arc::downgrade(&group), used: true });
        if tended.changes() {
            tended.group = Arc::downgrade(&group);
            known.fresh.push(tended);
        }
        Ok(group)
    }

    /// Sees to it that files and names are tended: starts the thread where there is something to tend and no thread.
    ///
    /// Errors: no thread can be had.
    pub(super) fn tend(&mut self) -> std::io::Result<()> {
        let mut locked = self.known.lock();
        if locked.tending || locked.fresh.is_empty() {
            return Ok(());
        }
        let (known, stop) = (self.known.clone(), self.stop.clone());
        let tend = move || keep("targets", || tend(&known, &stop));
        std::thread::Builder::new().name("targets".to_owned()).spawn(tend)?;
        locked.tending = true;
        Ok(())
    }

    /// Ends the thread: at once, or when the look-up that it waits for is done; nobody waits for it.
    pub(super) fn end(&mut self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
    }

    /// Where the numbers are, for `/metrics`.
    pub(super) fn numbers(&self) -> numbers::Numbers {
        numbers::Numbers(self.known.clone())
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread: looks at files each second and looks up names each half minute, until there is nothing to tend.
fn tend(known: &Mutex<Known>, stop: &(Mutex<bool>, Condvar)) {
    let mut all: Vec<Tended> = Vec::new();
    let mut turn: u32 = 0;
    loop {
        {
            let mut ended = stop.0.lock();
            if !*ended {
                stop.1.wait_for(&mut ended, LOOK);
            }
            if *ended {
                return;
            }
        }
        {
            let mut known = known.lock();
            all.append(&mut known.fresh);
            all.retain(|tended| tended.group.strong_count() > 0);
            if all.is_empty() {
                known.tending = false;
                return;
            }
        }
        turn = (turn + 1) % LOOKS;
        for tended in &mut all {
            // A line whose files or names are our undoing harms no other line.
            attempt("targets", || {
                if turn == 0 {
                    tended.look_up();
                }
                tended.look();
                apply(tended, known);
            });
        }
    }
}

/// Gives a group other upstreams, if they are others.
fn apply(tended: &mut Tended, known: &Mutex<Known>) {
    let Some(group) = tended.group.upgrade() else { return };
    let Some(specs) = tended.news() else { return };
    let upstreams = known.lock().all(&specs);
    let names: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
    tracing::info!(target: "plugin/forward", "the upstreams are now {}", names.join(" "));
    group.replace(upstreams);
}

/// Whether the files of a TLS specification can be read.
fn readable(tls: &TlsSpec) -> Result<(), TargetFault> {
    let identity = tls.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
    for file in identity.chain(&tls.authority) {
        if let Err(error) = std::fs::File::open(file) {
            let text = format!("`{}` can't be read: {error}", file.display());
            return Err(TargetFault { target: None, text });
        }
    }
    Ok(())
}
