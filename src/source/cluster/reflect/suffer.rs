//! What a reflector does about trouble: it is told once, counted each time, and waited out.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::encoding::Encoding;
use super::super::request;
use super::super::trouble::Trouble;
use super::Reflector;
use crate::source::object::Fault;
use crate::store::change::{Change, Heard, ObjectKey, WatchState};

/// How long "forbidden" may be the API server's own start before it is called a missing right.
const DENIED: Duration = Duration::from_secs(10);

/// During the first part of an outage we look often, so that its end is seen within a second.
const OUTAGE: Duration = Duration::from_secs(30);

/// The longest pause during that part.
const OFTEN: Duration = Duration::from_millis(800);

/// How much longer than the longest pause we wait before we ask again for a kind that is not there.
const ABSENT: u32 = 6;

/// How often in a row a kind that was listed must not be there before it is given up.
const ABSENCES: u32 = 10;

/// Objects whose faults are remembered, so that each is told once.
const TOLD: usize = 1024;

impl Reflector {
    /// No such collection (404): the next version of it, or, if there is none, the cluster does without this kind.
    ///
    /// Then the kind counts as listed and empty, so that the rest is served, and is asked for again now and then. What was
    /// listed once is only given up when it stays away: an API server that starts may not know all kinds at once.
    pub(super) async fn absent(&mut self, message: &str) {
        let kind = self.options.kind;
        self.path += 1;
        self.options.track.set_path(self.path);
        if self.path < request::paths(kind).len() {
            return;
        }
        self.path = 0;
        self.options.track.set_path(0);
        self.is(WatchState::Absent);
        self.absences += 1;
        if self.absences == 1 {
            tracing::warn!(
                target: "plugin/kubernetes",
                "{kind:?}: the API server does not know `{}`: is its CustomResourceDefinition installed? \
                 Nothing is served of them, everything else is; it is asked again every {:?}: {message}",
                request::resource(kind), self.options.timing.backoff_max * ABSENT
            );
        }
        if self.version.is_empty() || self.absences == ABSENCES {
            self.version.clear();
            self.feed.change(Change::Begin(kind));
            self.feed.change(Change::End(kind));
            self.hears(Heard::List(""));
        }
        sleep(self.options.timing.backoff_max * ABSENT).await;
    }

    /// Whether nothing was told of this object yet.
    pub(super) fn first_time(&mut self, key: &ObjectKey) -> bool {
        if self.told.len() >= TOLD {
            self.told.clear();
        }
        self.told.insert(key.clone())
    }

    /// Tells the faults of an object, once.
    pub(super) fn tell_faults(&mut self, key: Option<&ObjectKey>, faults: &[Fault]) {
        self.connection.counts().passed_over(request::resource(self.options.kind));
        if key.is_some_and(|key| !self.first_time(key)) {
            return;
        }
        let name = key.map(|key| format!(" {}/{}", key.namespace, key.name)).unwrap_or_default();
        for fault in faults {
            tracing::warn!(target: "plugin/kubernetes", "{:?}{name}: {fault}", self.options.kind);
        }
    }

    /// Tells bytes that are no event.
    pub(super) fn tell_bad_event(&self, length: usize) {
        self.connection.counts().passed_over(request::resource(self.options.kind));
        tracing::warn!(
            target: "plugin/kubernetes",
            "{:?}: {length} bytes of the watch are no event and are passed over", self.options.kind
        );
    }

    /// What came in protobuf is none, or nothing that we can read: from now on we ask for JSON.
    pub(super) fn doubt(&mut self, encoding: Encoding, trouble: Trouble) -> Trouble {
        if encoding == Encoding::Protobuf
            && matches!(trouble, Trouble::Nonsense(_))
            && std::mem::replace(&mut self.protobuf, false)
        {
            tracing::warn!(
                target: "plugin/kubernetes",
                "{:?}: asking for JSON from now on, protobuf could not be read: {trouble}", self.options.kind
            );
        }
        trouble
    }

    /// Something worked.
    pub(super) fn recovered(&mut self) {
        self.backoff.reset();
        if std::mem::take(&mut self.absences) > 0 {
            tracing::info!(target: "plugin/kubernetes", "{:?}: the API server knows them now", self.options.kind);
        }
        self.down_since = None;
        if self.denied_since.take().is_some() && std::mem::take(&mut self.denied_told) {
            tracing::info!(target: "plugin/kubernetes", "{:?}: allowed again", self.options.kind);
        }
    }

    /// Counts a list or a watch that failed.
    pub(super) fn failed(&self, trouble: &Trouble) {
        let resource = request::resource(self.options.kind);
        self.connection.counts().failed(resource, trouble.reason());
        if let Some(status) = trouble.refusal() {
            self.connection.counts().refused(resource, status);
        }
    }

    /// Says what went wrong where somebody has to know, and pauses.
    pub(super) async fn suffer(&mut self, trouble: &Trouble, doing: &str) {
        self.failed(trouble);
        self.is(WatchState::Retrying);
        let kind = self.options.kind;
        let mut pause = self.backoff.pause(&mut self.rng);
        match trouble {
            Trouble::Busy { after, .. } => {
                if let Some(after) = after {
                    pause = pause.max((*after).min(Duration::from_secs(30)));
                }
                tracing::info!(target: "plugin/kubernetes", "{kind:?}: {doing}: {trouble}; again in {pause:?}");
            }
            Trouble::Denied(message) => {
                // Right after its start an API server forbids everything for a moment.
                let since = *self.denied_since.get_or_insert_with(Instant::now);
                if since.elapsed() < DENIED {
                    pause = pause.min(Duration::from_secs(1));
                } else if !std::mem::replace(&mut self.denied_told, true) {
                    tracing::error!(
                        target: "plugin/kubernetes",
                        "{kind:?}: forbidden: the account needs {}: {message}", request::rule(kind)
                    );
                }
            }
            Trouble::Unauthorized(_) | Trouble::Connection(_) => {
                // Token, CA, address: whatever changed is read anew for the next try.
                self.connection.renew();
                if self.down_since.get_or_insert_with(Instant::now).elapsed() < OUTAGE {
                    pause = pause.min(OFTEN);
                }
                tracing::warn!(target: "plugin/kubernetes", "{kind:?}: {doing}: {trouble}; again in {pause:?}");
            }
            Trouble::Expired(_)
            | Trouble::NoStreaming(_)
            | Trouble::Status { .. }
            | Trouble::Mute(_)
            | Trouble::Drifted
            | Trouble::Nonsense(_) => {
                tracing::warn!(target: "plugin/kubernetes", "{kind:?}: {doing}: {trouble}; again in {pause:?}");
            }
        }
        sleep(pause).await;
    }
}
