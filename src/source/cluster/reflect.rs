//! One kind's list and watch: the state machine that outlives everything an API server does.
//!
//! ```text
//!         ┌──────── expired, backwards, silent, audit ─────┐
//!         ▼                                                │
//!  list (by watch, or pages) ──► watch from a version ─────┤
//!         │                            ▲     │ ended      │
//!         └─ trouble: pause, again     └─────┘ trouble: pause, resume
//! ```

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzed;
mod suffer;

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use kube::client::Body;
use tokio::time::{Instant, sleep};

use super::Timing;
use super::access::Connection;
use super::backoff::Backoff;
use super::body::next_chunk;
use super::encoding::{Encoding, Events, Page};
use super::event::{backwards, status, version};
use super::feed::Feed;
use super::fetch::fetch;
use super::request::{self, Ask};
use super::track::Track;
use super::trouble::Trouble;
use crate::source::Selector;
use crate::store::change::{Change, Heard, Kind, ObjectKey, WatchState};

/// The shortest time between the starts of two lists of one kind.
const LIST_APART: Duration = Duration::from_secs(1);

/// A watch start that is refused so often in a row, by whatever status, makes us list anew.
const REFUSALS: u32 = 3;

/// How long a refusal may be one that passes, in pauses after failures at their longest (5 s each).
const PASSING: u32 = 3;

/// The longest pause between lists where no watch is to be had, in pauses after failures at their longest (5 s each).
const POLL: u32 = 6;

/// The longest pause between watches that the server ends at once.
const SHORT: Duration = Duration::from_millis(500);

/// What a reflector is made of.
pub(super) struct ReflectorOptions {
    /// What it lists and watches.
    pub(super) kind: Kind,
    /// `labels`.
    pub(super) labels: Option<Selector>,
    /// How long things may take.
    pub(super) timing: Timing,
    /// What it tells audits.
    pub(super) track: Rc<Track>,
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
    /// When an event, a bookmark or a complete list came last.
    heard: Instant,
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
    /// How many lists in a row no watch followed, since each start of one was refused.
    unwatched: u32,
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
            heard: Instant::now(),
            down_since: None,
            denied_since: None,
            denied_told: false,
            told: HashSet::new(),
            path: 0,
            absences: 0,
            unwatched: 0,
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
                // Counted and told where it was noticed.
                Err(Trouble::Drifted) => {}
                Err(trouble) => self.suffer(&trouble, "listing").await,
            }
            // Where lists are all there is they come less and less often.
            if self.unwatched > 0 {
                let pause =
                    (LIST_APART * (1 << self.unwatched.min(5))).min(self.options.timing.backoff_max * POLL);
                sleep(pause.mul_f64(1.0 + self.rng.f64() / 4.0)).await;
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
                // Watches may be refused, to this account or on the way, where lists are not.
                Err(trouble) if trouble.is_of_watches() && !self.is_absent(&trouble) => self.failed(&trouble),
                other => return other,
            }
        }
        match self.list_by_pages(true).await {
            // A token that expired between two pages: once more, in one piece.
            Err(Trouble::Expired(_)) => self.list_by_pages(false).await,
            other => other,
        }
    }

    /// Whether the API server says that it does not know the kind, as it may.
    fn is_absent(&self, trouble: &Trouble) -> bool {
        matches!(trouble, Trouble::Status { status: 404, .. }) && request::may_be_absent(self.options.kind)
    }

    /// Lists by watch; returns when the watch behind the list ends.
    async fn list_by_watch(&mut self) -> Result<(), Trouble> {
        let timeout = self.watch_timeout();
        let answer = match self.get(Ask::Stream { timeout }).await {
            Err(Trouble::Status { status: 400 | 422, message }) => return Err(Trouble::NoStreaming(message)),
            other => other?,
        };
        self.begin_list();
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
            Err(trouble @ (Trouble::Expired(_) | Trouble::Drifted)) => Err(trouble),
            Err(trouble) => {
                self.suffer(&trouble, "watching").await;
                Ok(())
            }
        }
    }

    /// Lists by pages, or in one piece.
    async fn list_by_pages(&mut self, paged: bool) -> Result<(), Trouble> {
        let mut token = String::new();
        loop {
            let (encoding, mut body) = self.get(if paged { Ask::Page(&token) } else { Ask::Whole }).await?;
            if token.is_empty() {
                self.begin_list();
            }
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

    /// A list comes.
    fn begin_list(&self) {
        self.is(WatchState::Listing);
        self.options.track.list_begins();
        self.feed.change(Change::Begin(self.options.kind));
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
        self.options.track.listed();
        self.hears(Heard::List(&self.version.clone()));
        self.recovered();
    }

    /// Watches from the known version until a list is needed.
    async fn watch(&mut self) {
        let (mut refusals, mut refused_since) = (0, None);
        loop {
            let started = Instant::now();
            let timeout = self.watch_timeout();
            let version = self.version.clone();
            let mut stream = Stream { listing: false, heard: false };
            let ended = match self.get(Ask::Watch { version: &version, timeout }).await {
                Ok(answer) => {
                    (refusals, refused_since, self.unwatched) = (0, None, 0);
                    self.is(WatchState::Watching);
                    self.read_events(answer, &mut stream).await
                }
                Err(trouble) => {
                    if trouble.is_of_watches() {
                        refusals += 1;
                        refused_since.get_or_insert_with(Instant::now);
                    }
                    Err(trouble)
                }
            };
            if let Err(trouble @ (Trouble::Expired(_) | Trouble::Mute(_) | Trouble::Drifted)) = &ended {
                self.failed(trouble);
            }
            match ended {
                Err(Trouble::Expired(why)) => {
                    tracing::info!(target: "plugin/kubernetes", "{:?}: listing anew: {why}", self.options.kind);
                    return;
                }
                Err(Trouble::Drifted) => return,
                Err(Trouble::Mute(_)) if self.heard.elapsed() >= self.options.timing.mute * 4 / 3 => {
                    tracing::warn!(
                        target: "plugin/kubernetes",
                        "{:?}: nothing was heard for {:?}, whatever was opened: listing anew",
                        self.options.kind, self.heard.elapsed()
                    );
                    return;
                }
                Err(Trouble::Mute(pause)) => tracing::info!(
                    target: "plugin/kubernetes",
                    "{:?}: the watch brought nothing for {pause:?} and is opened again", self.options.kind
                ),
                Err(trouble) => {
                    self.suffer(&trouble, "watching").await;
                    // While a server starts it forbids, knows nobody and is busy for a moment, which costs no list.
                    let passing = !matches!(trouble, Trouble::Status { .. })
                        && refused_since
                            .is_none_or(|since| since.elapsed() < self.options.timing.backoff_max * PASSING);
                    if refusals >= REFUSALS && !passing || refusals > 0 && self.unwatched > 0 {
                        if self.unwatched == 0 {
                            tracing::warn!(
                                target: "plugin/kubernetes",
                                "{:?}: watches are refused, so changes are seen by lists alone, up to {:?} apart: {trouble}",
                                self.options.kind, self.options.timing.backoff_max * POLL
                            );
                        }
                        self.unwatched = self.unwatched.saturating_add(1);
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
            let patience =
                if stream.listing { self.options.timing.initial_bookmark } else { self.patience() };
            let track = self.options.track.clone();
            let chunk = tokio::select! {
                chunk = next_chunk(&mut body, patience) => chunk?,
                () = track.relist_asked(), if !stream.listing => return Err(Trouble::Drifted),
            };
            let Some(chunk) = chunk else {
                // A stream that ends without a line end: the line may be whole, or be cut; only a whole one parses.
                let rest = events.rest();
                return if rest.is_empty() { Ok(()) } else { self.event(encoding, rest, stream) };
            };
            self.take(&mut events, &chunk, encoding, stream)?;
        }
    }

    /// Takes a chunk of a watch. Errors: what ends the stream first; what comes behind that is nobody's, nonsense too.
    fn take(
        &mut self,
        events: &mut Events,
        chunk: &[u8],
        encoding: Encoding,
        stream: &mut Stream,
    ) -> Result<(), Trouble> {
        let mut ended = None;
        let pushed = events.push(chunk, |frame| {
            if ended.is_none() {
                ended = self.event(encoding, frame, stream).err();
            }
        });
        match ended {
            Some(trouble) => Err(trouble),
            None => pushed.map_err(|trouble| self.doubt(encoding, trouble)),
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
                self.moved(version, stream, |version| Heard::Event(version))
            }
            "DELETED" => {
                self.recovered();
                if let Ok(cut) = encoding.decode(kind, event.object)
                    && let Some(key) = cut.key
                {
                    self.options.track.touch(&key);
                    self.feed.change(Change::Remove(kind, key));
                }
                self.moved(encoding.meta(event.object).version, stream, |version| Heard::Event(version))
            }
            "BOOKMARK" => {
                let meta = encoding.meta(event.object);
                if stream.listing && meta.ends {
                    stream.listing = false;
                    self.unwatched = 0;
                    self.listed(meta.version);
                    self.is(WatchState::Watching);
                    return Ok(());
                }
                if stream.listing {
                    // A server that knows lists by watch ends them before its first ordinary bookmark.
                    return Err(Trouble::NoStreaming(
                        "a bookmark came before the end of the list".to_owned(),
                    ));
                }
                self.moved(meta.version, stream, |version| Heard::Bookmark(version))
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

    /// Notes that an event or a bookmark came, and its version. While a list comes, versions are in no order and only its end
    /// counts.
    fn moved(
        &mut self,
        version: String,
        stream: &Stream,
        heard: for<'v> fn(&'v str) -> Heard<'v>,
    ) -> Result<(), Trouble> {
        if stream.listing {
            return Ok(());
        }
        if backwards(&self.version, &version) {
            return Err(Trouble::Expired("versions ran backwards"));
        }
        self.hears(heard(&version));
        if !version.is_empty() {
            self.version = version;
        }
        Ok(())
    }

    /// Something confirmed what is served of the kind.
    fn hears(&mut self, heard: Heard<'_>) {
        self.heard = Instant::now();
        if let Heard::Event(version) | Heard::Bookmark(version) | Heard::List(version) = heard
            && !version.is_empty()
        {
            self.options.track.set_version(version);
        }
        self.feed.heard(self.options.kind, heard);
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
                if let Some(key) = &cut.key {
                    self.options.track.touch(key);
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

    /// Sends a request; returns the body of a good answer, and how it is written.
    async fn get(&mut self, ask: Ask<'_>) -> Result<(Encoding, Body), Trouble> {
        self.is(WatchState::Connecting);
        loop {
            let asked = match self.protobuf && self.connection.takes_protobuf() {
                true => Encoding::Protobuf,
                false => Encoding::Json,
            };
            let kind = self.options.kind;
            let path = request::paths(kind).get(self.path).copied().unwrap_or_default();
            let target = request::target(kind, path, self.options.labels.as_ref(), ask);
            match fetch(&self.connection, target, asked.accept()).await {
                Err(Trouble::Status { status: 406 | 415, .. }) if asked == Encoding::Protobuf => {
                    self.connection.only_json();
                }
                answer => return answer,
            }
        }
    }

    /// Says what the watch does now.
    fn is(&self, state: WatchState) {
        if self.options.track.set_state(state) {
            self.feed.heard(self.options.kind, Heard::State(state));
        }
    }

    /// How long a watch may bring nothing: less and less where the ones before brought nothing either, so that the next list
    /// comes before what is served becomes stale.
    fn patience(&self) -> Duration {
        let mute = self.options.timing.mute;
        (mute * 5 / 3).saturating_sub(self.heard.elapsed()).clamp(mute / 3, mute)
    }
}
