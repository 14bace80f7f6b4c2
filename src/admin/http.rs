//! The two endpoints and the thread that serves them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::guests::{self, HttpCounts};
use super::loopback;
use super::poll::{HealthCounts, poll};
use super::watches::verbose;
use crate::chain::{Active, Admin};
use crate::panics::{keep, kept};
use crate::store::Need;
use crate::time::{Clock, Tick};

/// Why an endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be listened on.
    #[error("listening on {addr} for `{word}`")]
    Listen {
        /// The Corefile's word.
        word: &'static str,
        /// The address as written.
        addr: String,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// No thread or no event loop.
    #[error("starting the thread for HTTP")]
    Start(#[source] io::Error),
}

/// Which words can answer, remembered as rule S-13 says.
pub struct Readiness {
    /// Where the plan in force is found.
    active: Arc<Active>,
    /// Words that were ready once, and the version of the plan they belong to.
    seen: Mutex<(u64, Vec<Vec<bool>>)>,
}

impl Readiness {
    /// Nothing was ready yet.
    #[must_use]
    pub fn new(active: Arc<Active>) -> Self {
        Self { active, seen: Mutex::new((0, Vec::new())) }
    }

    /// The words that cannot answer yet, or whose names have been stale for longer than they may be (rule K-270), sorted, each
    /// once.
    #[must_use]
    pub fn missing(&self, now: Tick) -> Vec<&'static str> {
        let mut seen = self.seen.lock();
        let version = self.active.version();
        let plan = self.active.plan();
        if seen.0 != version {
            *seen = (version, plan.chains.iter().map(|chain| vec![false; chain.steps.len()]).collect());
        }
        let continuously = plan.admin.ready.as_ref().is_some_and(|ready| ready.continuously);
        let mut missing = Vec::new();
        for (chain, seen) in plan.chains.iter().zip(seen.1.iter_mut()) {
            for (step, seen) in chain.steps.iter().zip(seen.iter_mut()) {
                if *seen && !continuously {
                    continue;
                }
                *seen = step.ready();
                if !*seen {
                    missing.push(step.word());
                }
            }
        }
        // Whatever was ready once: a stanza that says so wants to be asked again.
        for step in plan.chains.iter().flat_map(|chain| &chain.steps) {
            if let Some(kept) = step.kept()
                && let Some(after) = kept.unready
                && kept.store.freshness().stale_for(Need::All, now).is_some_and(|stale| stale >= after)
            {
                missing.push(step.word());
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}

impl Readiness {
    /// What `/ready` answers: `OK`, or the words that can't answer; with `verbose` in the query, how fresh each resource is
    /// stands below.
    fn answer(&self, query: &str, now: Tick) -> (StatusCode, String) {
        let missing = self.missing(now);
        let (status, mut text) = match missing.is_empty() {
            true => (StatusCode::OK, "OK".to_owned()),
            false => (StatusCode::SERVICE_UNAVAILABLE, missing.join(",")),
        };
        let asks = |pair: &str| pair.split('=').next() == Some("verbose");
        if query.split('&').any(asks) {
            text.push('\n');
            text.push_str(&verbose(&self.active.plan(), now));
        }
        (status, text)
    }
}

/// What makes the text of `/metrics`.
pub type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// An endpoint that is served.
struct Endpoint {
    /// The Corefile's word.
    word: &'static str,
    /// The address as written.
    addr: String,
    /// The address that was bound.
    bound: SocketAddr,
    /// Ends it.
    end: watch::Sender<bool>,
}

/// An endpoint for the thread to serve.
struct Job {
    /// Its listener.
    listener: TcpListener,
    /// What it answers.
    app: Router,
    /// What is counted.
    counts: Arc<HttpCounts>,
    /// Says when it ends.
    ends: watch::Receiver<bool>,
}

/// What the endpoints need from outside.
pub struct AdminOptions {
    /// Where the plan in force is found, for `/ready`.
    pub active: Arc<Active>,
    /// Makes the text of `/metrics`.
    pub render: Render,
    /// What comes of the server's own requests for `/health`.
    pub polls: Arc<HealthCounts>,
    /// What is counted of connections.
    pub counts: Arc<HttpCounts>,
    /// The clock that measures them.
    pub clock: Clock,
}

/// The endpoints, and the thread that serves them.
pub struct AdminServer {
    /// The thread.
    thread: Option<JoinHandle<()>>,
    /// New endpoints for it; it ends when this is gone.
    jobs: Option<mpsc::UnboundedSender<Job>>,
    /// What is served.
    endpoints: Vec<Endpoint>,
    /// For `/ready`.
    readiness: Arc<Readiness>,
    /// For `/metrics`.
    render: Render,
    /// For the server's own requests for `/health`.
    polls: Arc<HealthCounts>,
    /// For connections.
    counts: Arc<HttpCounts>,
    /// Measures them.
    clock: Clock,
    /// The thread's event loop.
    tasks: Handle,
}

/// Opens `[HOST]:PORT`; without a host all addresses of both families, where there is IPv6.
fn listen(word: &'static str, addr: &str) -> Result<(TcpListener, SocketAddr), AdminError> {
    let opened = match addr.strip_prefix(':') {
        Some(port) => TcpListener::bind(format!("[::]:{port}"))
            .or_else(|_| TcpListener::bind(format!("0.0.0.0:{port}"))),
        None => TcpListener::bind(addr),
    };
    opened
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        })
        .map_err(|source| AdminError::Listen { word, addr: addr.to_owned(), source })
}

impl AdminServer {
    /// A server without endpoints yet.
    ///
    /// Errors: no thread or no event loop.
    pub fn start(options: AdminOptions) -> Result<Self, AdminError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(AdminError::Start)?;
        let tasks = runtime.handle().clone();
        let (jobs, mut inbox) = mpsc::unbounded_channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                keep("admin", || {
                    runtime.block_on(async {
                        while let Some(job) = inbox.recv().await {
                            begin(job);
                        }
                    });
                });
                // Connections that are open now are cut.
                runtime.shutdown_background();
            })
            .map_err(AdminError::Start)?;
        Ok(Self {
            thread: Some(thread),
            jobs: Some(jobs),
            endpoints: Vec::new(),
            readiness: Arc::new(Readiness::new(options.active)),
            render: options.render,
            polls: options.polls,
            counts: options.counts,
            clock: options.clock,
            tasks,
        })
    }

    /// Serves what `admin` names and nothing else: endpoints that stay are not touched.
    ///
    /// Errors: an address that cannot be listened on; then nothing has changed.
    pub fn set(&mut self, admin: &Admin) -> Result<(), AdminError> {
        let wanted = admin
            .health
            .iter()
            .map(|health| ("health", &health.addr))
            .chain(admin.ready.iter().map(|ready| ("ready", &ready.addr)))
            .chain(admin.metrics.iter().map(|addr| ("prometheus", addr)));
        let wanted: Vec<(&'static str, String)> = wanted.map(|(word, addr)| (word, addr.clone())).collect();
        let mut opened = Vec::new();
        for (word, addr) in &wanted {
            if !self.endpoints.iter().any(|known| known.word == *word && known.addr == *addr) {
                let (listener, bound) = listen(word, addr)?;
                opened.push((*word, addr.clone(), listener, bound));
            }
        }
        self.endpoints.retain(|known| {
            let stays = wanted.iter().any(|(word, addr)| known.word == *word && known.addr == *addr);
            if !stays {
                known.end.send_replace(true);
            }
            stays
        });
        for (word, addr, listener, bound) in opened {
            let (end, ends) = watch::channel(false);
            let app = self.app(word);
            if word == "health" {
                let (polls, clock, ends) = (self.polls.clone(), self.clock.clone(), ends.clone());
                self.spawn(kept("health", move || poll(bound, polls.clone(), clock.clone(), ends.clone())));
            }
            if let Some(jobs) = &self.jobs {
                // The thread lives as long as this value.
                let _ = jobs.send(Job { listener, app, counts: self.counts.clone(), ends });
            }
            self.endpoints.push(Endpoint { word, addr, bound, end });
        }
        Ok(())
    }

    /// Does something on the thread of the endpoints, at most as long as this value lives.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// What an endpoint answers.
    fn app(&self, word: &'static str) -> Router {
        match word {
            "health" => {
                let router = Router::new().route("/health", get(|| async { "OK" }));
                router.merge(loopback::routes(&self.readiness.active, &self.clock))
            }
            "ready" => {
                let (readiness, clock) = (self.readiness.clone(), self.clock.clone());
                Router::new().route(
                    "/ready",
                    get(move |uri: Uri| {
                        let answer = readiness.answer(uri.query().unwrap_or_default(), clock.now());
                        async move { answer }
                    }),
                )
            }
            _ => {
                let render = self.render.clone();
                let router = loopback::routes(&self.readiness.active, &self.clock);
                router.route(
                    "/metrics",
                    get(move || {
                        let text = render();
                        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
                    }),
                )
            }
        }
    }

    /// Where the endpoints of a word are served.
    pub fn bound(&self, word: &str) -> impl Iterator<Item = SocketAddr> {
        self.endpoints.iter().filter(move |known| known.word == word).map(|known| known.bound)
    }

    /// Closes `/ready` at once; `/health` stays until the end (rules S-12, S-13).
    pub fn not_ready(&mut self) {
        self.endpoints.retain(|known| {
            if known.word == "ready" {
                known.end.send_replace(true);
            }
            known.word != "ready"
        });
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            // The thread ends by itself.
            let _ = thread.join();
        }
    }
}

/// Begins to serve an endpoint.
fn begin(job: Job) {
    let Job { listener, app, counts, ends } = job;
    match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => {
            let listener = Arc::new(listener);
            tokio::spawn(kept("http", move || {
                serve(listener.clone(), app.clone(), counts.clone(), ends.clone())
            }));
        }
        Err(error) => tracing::error!(%error, "an HTTP endpoint can't be served"),
    }
}

/// Serves one endpoint until it is told to end; connections that are open then are cut.
async fn serve(
    listener: Arc<tokio::net::TcpListener>,
    app: Router,
    counts: Arc<HttpCounts>,
    mut ends: watch::Receiver<bool>,
) {
    tokio::select! {
        () = guests::serve(listener, app, counts) => {}
        _ = ends.wait_for(|ended| *ended) => {}
    }
}
