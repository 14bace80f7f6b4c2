//! The two endpoints and the thread that serves them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::chain::{Admin, Plan};

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
    /// The plan whose steps are asked.
    plan: Arc<Plan>,
    /// Whether steps that were ready once are asked again.
    continuously: bool,
    /// By chain and step: whether it was ready once.
    seen: Mutex<Vec<Vec<bool>>>,
}

impl Readiness {
    /// Nothing was ready yet.
    #[must_use]
    pub fn new(plan: Arc<Plan>, continuously: bool) -> Self {
        let seen = plan.chains.iter().map(|chain| vec![false; chain.steps.len()]).collect();
        Self { plan, continuously, seen: Mutex::new(seen) }
    }

    /// The words that cannot answer yet, sorted, each once.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        let mut seen = self.seen.lock();
        for (chain, seen) in self.plan.chains.iter().zip(seen.iter_mut()) {
            for (step, seen) in chain.steps.iter().zip(seen.iter_mut()) {
                if *seen && !self.continuously {
                    continue;
                }
                *seen = step.ready();
                if !*seen {
                    missing.push(step.word());
                }
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }
}

/// The running endpoints.
pub struct AdminServer {
    /// The thread.
    thread: Option<JoinHandle<()>>,
    /// Ends `/ready`.
    end_ready: watch::Sender<bool>,
    /// Ends `/health`.
    end_health: watch::Sender<bool>,
    /// Where `/health` is.
    health: Option<SocketAddr>,
    /// Where `/ready` is.
    ready: Option<SocketAddr>,
    /// Where `/metrics` is.
    metrics: Vec<SocketAddr>,
}

/// Opens `[HOST]:PORT`; without a host all addresses of both families, where there is IPv6.
fn listen(word: &'static str, addr: &str) -> Result<TcpListener, AdminError> {
    let opened = match addr.strip_prefix(':') {
        Some(port) => TcpListener::bind(format!("[::]:{port}"))
            .or_else(|_| TcpListener::bind(format!("0.0.0.0:{port}"))),
        None => TcpListener::bind(addr),
    };
    opened
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|source| AdminError::Listen { word, addr: addr.to_owned(), source })
}

impl AdminServer {
    /// Opens what the plan names and serves it; `None` where it names nothing.
    ///
    /// Errors: an address that cannot be listened on, before anything is served.
    pub fn start(
        admin: &Admin,
        plan: &Arc<Plan>,
        render: Arc<dyn Fn() -> String + Send + Sync>,
    ) -> Result<Option<Self>, AdminError> {
        if *admin == Admin::default() {
            return Ok(None);
        }
        let health = admin.health.as_ref().map(|health| listen("health", &health.addr)).transpose()?;
        let ready = admin.ready.as_ref().map(|ready| listen("ready", &ready.addr)).transpose()?;
        let mut metrics = Vec::new();
        for addr in &admin.metrics {
            metrics.push(listen("prometheus", addr)?);
        }
        let (end_ready, ready_ends) = watch::channel(false);
        let (end_health, health_ends) = watch::channel(false);
        let addr = |listener: &Option<TcpListener>| listener.as_ref().and_then(|l| l.local_addr().ok());
        let mut server = Self {
            thread: None,
            end_ready,
            end_health,
            health: addr(&health),
            ready: addr(&ready),
            metrics: metrics.iter().filter_map(|listener| listener.local_addr().ok()).collect(),
        };
        let continuously = admin.ready.as_ref().is_some_and(|ready| ready.continuously);
        let readiness = Arc::new(Readiness::new(plan.clone(), continuously));

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(AdminError::Start)?;
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let health_app = Router::new().route("/health", get(|| async { "OK" }));
                    let ready_app = Router::new().route(
                        "/ready",
                        get(move || {
                            let missing = readiness.missing();
                            async move {
                                if missing.is_empty() {
                                    (StatusCode::OK, "OK".to_owned())
                                } else {
                                    (StatusCode::SERVICE_UNAVAILABLE, missing.join(","))
                                }
                            }
                        }),
                    );
                    for listener in metrics {
                        let render = render.clone();
                        let app =
                            Router::new().route(
                                "/metrics",
                                get(move || {
                                    let text = render();
                                    async move {
                                        ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
                                    }
                                }),
                            );
                        tokio::spawn(serve(Some(listener), app, health_ends.clone()));
                    }
                    tokio::join!(serve(health, health_app, health_ends), serve(ready, ready_app, ready_ends));
                });
            })
            .map_err(AdminError::Start)?;
        server.thread = Some(thread);
        Ok(Some(server))
    }

    /// Where `/health` is served.
    #[must_use]
    pub fn health(&self) -> Option<SocketAddr> {
        self.health
    }

    /// Where `/ready` is served.
    #[must_use]
    pub fn ready(&self) -> Option<SocketAddr> {
        self.ready
    }

    /// Where `/metrics` is served.
    #[must_use]
    pub fn metrics(&self) -> &[SocketAddr] {
        &self.metrics
    }

    /// Closes `/ready` at once; `/health` stays until the end (rules S-12, S-13).
    pub fn not_ready(&self) {
        self.end_ready.send_replace(true);
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.end_ready.send_replace(true);
        self.end_health.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // The thread ends by itself; had it panicked, the panic was printed.
            let _ = thread.join();
        }
    }
}

/// Serves one endpoint until it is told to end; connections that are open then are cut.
async fn serve(listener: Option<TcpListener>, app: Router, mut ends: watch::Receiver<bool>) {
    let Some(listener) = listener.and_then(|listener| tokio::net::TcpListener::from_std(listener).ok())
    else {
        return;
    };
    tokio::select! {
        result = axum::serve(listener, app).into_future() => {
            if let Err(error) = result {
                tracing::error!(%error, "an HTTP endpoint ended");
            }
        }
        _ = ends.wait_for(|ended| *ended) => {}
    }
}
