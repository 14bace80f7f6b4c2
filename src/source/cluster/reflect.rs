//! One kind's list and watch: the state machine that outlives everything an API server does.
//!
//! ```text
//!         ┌────────────── expired, backwards ──────────────┐
//!         ▼                                                │
//!  list (by watch, or pages) ──► watch from a version ─────┤
//!         │                            ▲     │ ended      │
//!         └─ trouble: pause, again     └─────┘ trouble: pause, resume
//! ```

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use kube::client::Body;
use tokio::time::{Instant, sleep};

use super::Timing;
use super::access::Connection;
use super::backoff::Backoff;
use super::body::{message, next_chunk};
use super::encoding::{Encoding, Events, Page};
use super::event::{backwards, status, version};
use super::feed::Feed;
use super::request::{self, Ask};
use super::trouble::Trouble;
use crate::source::Selector;
use crate::source::object::Fault;
use crate::store::change::{Change, Kind, ObjectKey};

/// The shortest time between the starts of two lists of one kind.
const LIST_APART: Duration = Duration::from_secs(1);

/// A watch start that is refused so often in a row, by whatever status, makes us list anew.
const REFUSALS: u32 = 3;

/// How long "forbidden" may be the API server's own start before it is called a missing right.
const DENIED: Duration = Duration::from_secs(10);

/// The longest pause between watches that the server ends at once.
const SHORT: Duration = Duration::from_millis(500);

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

/// What a reflector is made of.
pub(super) struct ReflectorOptions {
    /// What it lists and watches.
    pub(super) kind: Kind,
    /// `labels`.
    pub(super) labels: Option<Selector>,
    /// How long things may take.
    pub(super) timing: Timing,
    /// Seed of the jitter.
    pub(super) seed: u64,
}

/// One kind's list and watch.
pub(super) struct Reflector {
    /// What it is made of.
    options: ReflectorOptions,
    /// The client.
    connection: Rc<Connection>,
    /// Where changes go.
    feed: Rc<Feed>,
    /// Jitter.
    rng: fastrand::Rng,
    /// Pauses.
    backoff: Backoff,
    /// Whether lists by watch are tried.
    streaming: bool,
    /// Whether protobuf is asked for.
    protobuf: bool,
    /// The version up to which we know everything.
    version: String,
    /// Since when there is no connection.
    down_since: Option<Instant>,
    /// Since when we are told that we may not.
    denied_since: Option<Instant>,
    /// Whether the missing right was named.
    denied_told: bool,
    /// Objects whose faults were told.
    told: HashSet<ObjectKey>,
    /// Which of the kind's paths is asked for.
    path: usize,
    /// How often in a row none of them was there.
    absences: u32,
}

/// How a stream of events stands.
struct Stream {
    /// Whether the list is still coming.
    listing: bool,
    /// Whether anything came.
    heard: bool,
}

impl Reflector {
    /// A reflector that has heard nothing yet.
    pub(super) fn new(options: ReflectorOptions, connection: Rc<Connection>, feed: Rc<Feed>) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(options.seed),
            backoff: Backoff::new(options.timing.backoff_min, options.timing.backoff_max),
            protobuf: request::speaks_protobuf(options.kind),
            options,
            connection,
            feed,
            streaming: true,
            version: String::new(),
            down_since: None,
            denied_since: None,
            denied_told: false,
            told: HashSet::new(),
            path: 0,
            absences: 0,
        }
    }

    /// Lists and watches for ever.
    pub(super) async fn run(mut self) {
        loop {
            let started = Instant::now();
            match self.list().await {
                Ok(()) => self.watch().await,
                Err(Trouble::Status { status: 404, message })
                    if request::may_be_absent(self.options.kind) =>
                {
                    self.absent(&message).await;
                }
                Err(trouble) => self.suffer(&trouble, "listing").await,
            }
            // Whatever sends us back here so soon must not make us a burden.
            if let Some(rest) = LIST_APART.checked_sub(started.elapsed()) {
                let jitter = rest.mul_f64(1.0 + self.rng.f64() / 4.0);
                sleep(if self.version.is_empty() {
                    self.options.timing.backoff_min.min(jitter)
                } else {
                    jitter
                })
                .await;
            }
        }
    }

    /// No such collection (404): the next version of it, or, if there is none, the cluster does without this kind.
    ///
    /// Then the kind counts as listed and empty, so that the rest is served, and is asked for again now and then. What was
    /// listed once is only given up when it stays away: an API server that starts may not know all kinds at once.
    async fn absent(&mut self, message: &str) {
        let kind = self.options.kind;
        self.path += 1;
        if self.path < request::paths(kind).len() {
            return;
        }
        self.path = 0;
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
        }
        sleep(self.options.timing.backoff_max * ABSENT).await;
    }

    /// Lists once, by watch (and goes on watching on the same stream) or by pages.
    async fn list(&mut self) -> Result<(), Trouble> {
        if self.streaming {
            match self.list_by_watch().await {
                Err(Trouble::NoStreaming(reason)) => {
                    tracing::info!(
                        target: "plugin/kubernetes",
                        "{:?}: listing by pages from now on: {reason}", self.options.kind
                    );
                    self.streaming = false;
                }
                other => return other,
            }
        }
        match self.list_by_pages(true).await {
            // A token that expired between two pages: once more, in one piece.
            Err(Trouble::Expired(_)) => self.list_by_pages(false).await,
            other => other,
        }
    }

    /// Lists by watch; returns when the watch behind the list ends.
    async fn list_by_watch(&mut self) -> Result<(), Trouble> {
        let timeout = self.watch_timeout();
        let answer = match self.get(Ask::Stream { timeout }).await {
            Err(Trouble::Status { status: 400 | 422, message }) => return Err(Trouble::NoStreaming(message)),
            other => other?,
        };
        self.feed.change(Change::Begin(self.options.kind));
        let mut stream = Stream { listing: true, heard: false };
        let ended = self.read_events(answer, &mut stream).await;
        match ended {
            Err(Trouble::Mute(pause)) if stream.listing => {
                Err(Trouble::NoStreaming(format!("the end of the list did not come within {pause:?}")))
            }
            Ok(()) if stream.listing => Err(Trouble::Connection("the list broke off".to_owned())),
            // The list is complete; what ended is the watch behind it, which is resumed.
            Ok(()) => Ok(()),
            Err(trouble) if stream.listing => Err(trouble),
            Err(Trouble::Expired(why)) => Err(Trouble::Expired(why)),
            Err(trouble) => {
                self.suffer(&trouble, "watching").await;
                Ok(())
            }
        }
    }

    /// Lists by pages, or in one piece.
    async fn list_by_pages(&mut self, paged: bool) -> Result<(), Trouble> {
        let kind = self.options.kind;
        self.feed.change(Change::Begin(kind));
        let mut token = String::new();
        loop {
            let (encoding, mut body) = self.get(if paged { Ask::Page(&token) } else { Ask::Whole }).await?;
            let mut page = Page::new(encoding);
            while let Some(chunk) = next_chunk(&mut body, self.options.timing.mute).await? {
                page.push(&chunk, |item| drop(self.upsert(encoding, item)))
                    .map_err(|trouble| self.doubt(encoding, trouble))?;
            }
            let end = page.end().map_err(|trouble| self.doubt(encoding, trouble))?;
            if end.code != 0 {
                return Err(status(end.code, None, end.message));
            }
            // Whatever it is, a list has a version; nothing is swept on the word of less.
            if end.version.is_empty() {
                return Err(self.doubt(encoding, Trouble::Nonsense("list")));
            }
            if end.next.is_empty() {
                self.listed(end.version);
                return Ok(());
            }
            token = end.next;
        }
    }

    /// The list is complete at `version`.
    fn listed(&mut self, version: String) {
        if backwards(&self.version, &version) {
            tracing::warn!(
                target: "plugin/kubernetes",
                "{:?}: versions ran backwards from {} to {version}: the API server's past was restored; its list is taken as it is",
                self.options.kind, self.version
            );
        }
        self.version = version;
        self.connection.counts().listed(request::resource(self.options.kind));
        self.feed.change(Change::End(self.options.kind));
        self.recovered();
    }

    /// Watches from the known version until a list is needed.
    async fn watch(&mut self) {
        let mut refusals = 0;
        loop {
            let started = Instant::now();
            let timeout = self.watch_timeout();
            let version = self.version.clone();
            let mut stream = Stream { listing: false, heard: false };
            let ended = match self.get(Ask::Watch { version: &version, timeout }).await {
                Ok(answer) => {
                    refusals = 0;
                    self.read_events(answer, &mut stream).await
                }
                Err(trouble) => {
                    if matches!(trouble, Trouble::Status { .. }) {
                        refusals += 1;
                    }
                    Err(trouble)
                }
            };
            if let Err(trouble @ (Trouble::Expired(_) | Trouble::Mute(_))) = &ended {
                self.failed(trouble);
            }
            match ended {
                Err(Trouble::Expired(why)) => {
                    tracing::info!(target: "plugin/kubernetes", "{:?}: listing anew: {why}", self.options.kind);
                    return;
                }
                Err(Trouble::Mute(pause)) => tracing::info!(
                    target: "plugin/kubernetes",
                    "{:?}: the watch brought nothing for {pause:?} and is opened again", self.options.kind
                ),
                Err(trouble) => {
                    self.suffer(&trouble, "watching").await;
                    if refusals >= REFUSALS {
                        return;
                    }
                }
                Ok(()) => {
                    // Ended by the server, as agreed or for reasons of its own: resumed, but never in a tight loop.
                    if started.elapsed() < LIST_APART {
                        sleep(self.backoff.pause(&mut self.rng).min(SHORT)).await;
                    } else {
                        self.backoff.reset();
                    }
                }
            }
        }
    }

    /// When a watch is to be ended by the server. Unit: seconds, jittered so that watches don't end together.
    fn watch_timeout(&mut self) -> u64 {
        self.rng.u64(60..=120)
    }

    /// Reads events until the stream ends.
    async fn read_events(
        &mut self,
        (encoding, mut body): (Encoding, Body),
        stream: &mut Stream,
    ) -> Result<(), Trouble> {
        let mut events = Events::new(encoding);
        loop {
            let timing = self.options.timing;
            let patience = if stream.listing { timing.initial_bookmark } else { timing.mute };
            let Some(chunk) = next_chunk(&mut body, patience).await? else {
                // A stream that ends without a line end: the line may be whole, or be cut; only a whole one parses.
                let rest = events.rest();
                return if rest.is_empty() { Ok(()) } else { self.event(encoding, rest, stream) };
            };
            let mut trouble = None;
            events
                .push(&chunk, |frame| {
                    if trouble.is_none() {
                        trouble = self.event(encoding, frame, stream).err();
                    }
                })
                .map_err(|trouble| self.doubt(encoding, trouble))?;
            if let Some(trouble) = trouble {
                return Err(trouble);
            }
        }
    }

    /// Takes one event. Errors: only those that end the stream; a bad object is told and passed over.
    fn event(&mut self, encoding: Encoding, frame: &[u8], stream: &mut Stream) -> Result<(), Trouble> {
        let kind = self.options.kind;
        let Some(event) = encoding.event(frame) else {
            // A Status that came as the whole answer has no event around it.
            if let Some((code, message)) = encoding.bare_status(frame) {
                return Err(status(code, None, message));
            }
            self.tell_bad_event(frame.len());
            return Ok(());
        };
        stream.heard = true;
        match event.kind {
            "ADDED" | "MODIFIED" => {
                self.recovered();
                let version = self.upsert(encoding, event.object);
                self.moved(version, stream)
            }
            "DELETED" => {
                self.recovered();
                if let Ok(cut) = encoding.decode(kind, event.object)
                    && let Some(key) = cut.key
                {
                    self.feed.change(Change::Remove(kind, key));
                }
                self.moved(encoding.meta(event.object).version, stream)
            }
            "BOOKMARK" => {
                let meta = encoding.meta(event.object);
                if stream.listing && meta.ends {
                    stream.listing = false;
                    self.listed(meta.version);
                    return Ok(());
                }
                if stream.listing {
                    // A server that knows lists by watch ends them before its first ordinary bookmark.
                    return Err(Trouble::NoStreaming(
                        "a bookmark came before the end of the list".to_owned(),
                    ));
                }
                self.moved(meta.version, stream)
            }
            "ERROR" => {
                let (code, message) = encoding.status(event.object).unwrap_or_default();
                Err(status(code, None, message))
            }
            _ => {
                self.tell_bad_event(frame.len());
                Ok(())
            }
        }
    }

    /// Notes the version of an event. While a list comes, versions are in no order and only its end counts.
    fn moved(&mut self, version: String, stream: &Stream) -> Result<(), Trouble> {
        if stream.listing || version.is_empty() {
            return Ok(());
        }
        if backwards(&self.version, &version) {
            return Err(Trouble::Expired("versions ran backwards"));
        }
        self.version = version;
        Ok(())
    }

    /// Takes an object; returns its version, empty where it has none.
    fn upsert(&mut self, encoding: Encoding, object: &[u8]) -> String {
        let kind = self.options.kind;
        match encoding.decode(kind, object) {
            Err(error) => {
                self.connection.counts().passed_over(request::resource(kind));
                let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                let text = format!("an object is passed over: {error}: {source}");
                // It has no name that can be read: what is wrong with it stands for that.
                if self.first_time(&ObjectKey { namespace: Box::default(), name: text.as_str().into() }) {
                    tracing::warn!(target: "plugin/kubernetes", "{kind:?}: {text}");
                }
                encoding.meta(object).version
            }
            Ok(cut) => {
                if !cut.faults.is_empty() {
                    self.tell_faults(cut.key.as_ref(), &cut.faults);
                }
                match (cut.object, cut.key) {
                    (Some(cut), _) => {
                        let version = version(&cut);
                        self.feed.change(Change::Upsert(cut));
                        version
                    }
                    // A pod that is ending keeps what it had until it is deleted (K-158).
                    (None, Some(key)) if kind != Kind::Pods && !cut.faults.is_empty() => {
                        self.feed.change(Change::Remove(kind, key));
                        encoding.meta(object).version
                    }
                    (None, _) => encoding.meta(object).version,
                }
            }
        }
    }

    /// Whether nothing was told of this object yet.
    fn first_time(&mut self, key: &ObjectKey) -> bool {
        if self.told.len() >= TOLD {
            self.told.clear();
        }
        self.told.insert(key.clone())
    }

    /// Tells the faults of an object, once.
    fn tell_faults(&mut self, key: Option<&ObjectKey>, faults: &[Fault]) {
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
    fn tell_bad_event(&self, length: usize) {
        self.connection.counts().passed_over(request::resource(self.options.kind));
        tracing::warn!(
            target: "plugin/kubernetes",
            "{:?}: {length} bytes of the watch are no event and are passed over", self.options.kind
        );
    }

    /// What came in protobuf is none, or nothing that we can read: from now on we ask for JSON.
    fn doubt(&mut self, encoding: Encoding, trouble: Trouble) -> Trouble {
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
    fn recovered(&mut self) {
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
    fn failed(&self, trouble: &Trouble) {
        self.connection.counts().failed(request::resource(self.options.kind), trouble.reason());
    }

    /// Says what went wrong where somebody has to know, and pauses.
    async fn suffer(&mut self, trouble: &Trouble, doing: &str) {
        self.failed(trouble);
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
            | Trouble::Nonsense(_) => {
                tracing::warn!(target: "plugin/kubernetes", "{kind:?}: {doing}: {trouble}; again in {pause:?}");
            }
        }
        sleep(pause).await;
    }

    /// Sends a request; returns the body of a good answer, and how it is written.
    async fn get(&self, ask: Ask<'_>) -> Result<(Encoding, Body), Trouble> {
        loop {
            let asked = match self.protobuf && self.connection.takes_protobuf() {
                true => Encoding::Protobuf,
                false => Encoding::Json,
            };
            let kind = self.options.kind;
            let path = request::paths(kind).get(self.path).copied().unwrap_or_default();
            let target = request::target(kind, path, self.options.labels.as_ref(), ask);
            let request = http::Request::get(target)
                .header(http::header::ACCEPT, asked.accept())
                .header(http::header::USER_AGENT, concat!("signpost/", env!("CARGO_PKG_VERSION")))
                .body(Body::empty())
                .map_err(|error| Trouble::Connection(error.to_string()))?;
            let answer = self.connection.send(request).await?;
            let encoding = Encoding::of(answer.headers().get(http::header::CONTENT_TYPE));
            if answer.status().is_success() {
                return Ok((encoding, answer.into_body()));
            }
            let code = answer.status().as_u16();
            if matches!(code, 406 | 415) && asked == Encoding::Protobuf {
                self.connection.only_json();
                continue;
            }
            let after = answer
                .headers()
                .get(http::header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(Duration::from_secs);
            let message = message(encoding, answer.into_body()).await;
            return Err(status(code, after, message));
        }
    }
}
