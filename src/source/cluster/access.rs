//! How an API server is reached: in-cluster, by a kubeconfig, or by its address.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ClientBuilder, ConfigExt as _};
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use tokio::time::{Instant, timeout};
use tower::ServiceExt;

use super::Timing;
use super::dial::Dial;
use super::kubeconfig;
use super::throttle::{Throttle, ThrottleOptions};
use super::trouble::{Trouble, chain};
use crate::metrics::ClusterCounts;

/// Where the API server is and how it knows us (rule K-233).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Access {
    /// The service account of the pod that we run in.
    InCluster,
    /// A kubeconfig file and a context of it.
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// The context; the file's current one unless given.
        context: Option<String>,
    },
    /// An address.
    Endpoint {
        /// `http://` or `https://` and host.
        url: String,
        /// Client certificate, its key, and the CA of the server, as PEM files.
        tls: Option<[PathBuf; 3]>,
    },
}

/// Why an API server cannot be reached at all.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Not in a pod.
    #[error(
        "this process runs in no cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set"
    )]
    NotInCluster,
    /// The pod's service account.
    #[error("reading the service account")]
    ServiceAccount(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The kubeconfig.
    #[error("reading the kubeconfig {}", file.display())]
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is in it. No word of it is shown: tokens may stand there.
    #[error("the kubeconfig {} is none{place}", file.display())]
    NoKubeconfig {
        /// The file.
        file: PathBuf,
        /// Where, in words; empty where nobody knows.
        place: String,
    },
    /// Its `proxy-url`.
    #[error(
        "the kubeconfig {} has a `proxy-url`, and proxies are not served: name an address that can be reached, such as the near end of a tunnel",
        file.display()
    )]
    Proxy {
        /// The file.
        file: PathBuf,
    },
    /// A file of `tls`.
    #[error("reading {}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The address of `endpoint`.
    #[error("`{url}` is no address of an API server: {reason}")]
    Url {
        /// The address.
        url: String,
        /// Why.
        reason: &'static str,
    },
    /// The client could not be made of all that.
    #[error("making a client")]
    Client(#[source] Box<kube::Error>),
}

impl Access {
    /// Checks what can be checked without a network. Errors: `AccessError`.
    pub fn check(&self) -> Result<(), AccessError> {
        match self {
            Self::InCluster => match std::env::var_os("KUBERNETES_SERVICE_HOST") {
                Some(_) => Ok(()),
                None => Err(AccessError::NotInCluster),
            },
            Self::Kubeconfig { file, context } => {
                // Without its files nothing can be told of it: it is read again when it is used.
                read(file)?;
                match kubeconfig::read(file) {
                    Ok(config) if kubeconfig::has_proxy(&config, context.as_deref()) => {
                        Err(AccessError::Proxy { file: file.clone() })
                    }
                    _ => Ok(()),
                }
            }
            Self::Endpoint { url, tls } => {
                uri(url)?;
                tls.iter().flatten().try_for_each(|file| read(file).map(drop))
            }
        }
    }

    /// The client's configuration, files read now.
    pub(super) async fn config(&self) -> Result<Config, AccessError> {
        let mut config = match self {
            Self::InCluster => {
                self.check()?;
                Config::incluster_env().map_err(|error| AccessError::ServiceAccount(error.into()))?
            }
            Self::Kubeconfig { file, context } => {
                let kubeconfig = kubeconfig::read(file)?;
                if kubeconfig::has_proxy(&kubeconfig, context.as_deref()) {
                    return Err(AccessError::Proxy { file: file.clone() });
                }
                let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
                Config::from_custom_kubeconfig(kubeconfig, &options)
                    .await
                    .map_err(|error| AccessError::Kubeconfig { file: file.clone(), source: error.into() })?
            }
            Self::Endpoint { url, tls } => {
                let mut config = Config::new(uri(url)?);
                if let Some([cert, key, ca]) = tls {
                    config.root_cert = Some(pem_blocks(&read(ca)?));
                    config.auth_info.client_certificate = Some(cert.display().to_string());
                    config.auth_info.client_key = Some(key.display().to_string());
                }
                config
            }
        };
        // A token that ends in a new line is a token; the client would send it as it stands in the file.
        if let Some(token) =
            config.auth_info.token_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok())
            && token.trim_end().len() < token.len()
        {
            config.auth_info.token_file = None;
            config.auth_info.token = Some(token.trim_end().to_owned().into());
        }
        // Busy answers are ours to see, with their Retry-After.
        config.default_retry = false;
        Ok(config)
    }

    /// Label `host` of the numbers about requests to `url`: what its author wrote, the port always in a pod.
    fn host(&self, url: &http::Uri) -> String {
        let host = url.host().unwrap_or_default();
        match (url.port_u16(), self) {
            (Some(port), _) => format!("{host}:{port}"),
            (None, Self::InCluster) => format!("{host}:443"),
            (None, Self::Kubeconfig { .. } | Self::Endpoint { .. }) => host.to_owned(),
        }
    }
}

/// Reads a file.
fn read(file: &Path) -> Result<Vec<u8>, AccessError> {
    std::fs::read(file).map_err(|source| AccessError::File { file: file.to_owned(), source })
}

/// Reads an address.
fn uri(url: &str) -> Result<http::Uri, AccessError> {
    // What stands before an `@` may be a password, which no line may hold.
    if let Some((_, behind)) = url.rsplit_once('@') {
        let reason = "a user and a password do not belong there: write a kubeconfig";
        return Err(AccessError::Url { url: format!("…@{behind}"), reason });
    }
    let fail = |reason| AccessError::Url { url: url.to_owned(), reason };
    // CoreDNS takes `host:port` as well.
    let text = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: http::Uri = text.parse().map_err(|_| fail("it is no URL"))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some() => Ok(uri),
        Some("http" | "https") => Err(fail("it has no host")),
        _ => Err(fail("it must begin with http:// or https://")),
    }
}

/// The certificates of a PEM file in binary form.
fn pem_blocks(pem: &[u8]) -> Vec<Vec<u8>> {
    use rustls_pki_types::pem::PemObject as _;
    rustls_pki_types::CertificateDer::pem_slice_iter(pem).flatten().map(|cert| cert.to_vec()).collect()
}

/// A client that is made anew when what it was made of may have changed.
pub(super) struct Connection {
    /// How the API server is reached.
    access: Access,
    /// How many requests it gets.
    throttle: Throttle,
    /// Keepalive, and how long an answer may take.
    timing: Timing,
    /// Where requests are counted.
    counts: Arc<ClusterCounts>,
    /// What makes connections in place of the kernel.
    dial: Option<Arc<dyn Dial>>,
    /// Label `host`: that of the last client that was made.
    host: RefCell<Rc<str>>,
    /// Whether this server said that it takes no request for protobuf.
    only_json: Cell<bool>,
    /// The client, if there is one now.
    client: RefCell<Option<Client>>,
    /// The last client that could be made: used on where files are gone for the moment.
    last: RefCell<Option<Client>>,
}

/// The most of an answer that is read in one go: a connection keeps a buffer of that size. Unit: bytes.
const READ: usize = 1 << 16;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

impl Connection {
    /// No connection yet.
    pub(super) fn new(
        access: Access,
        throttle: ThrottleOptions,
        timing: Timing,
        counts: Arc<ClusterCounts>,
    ) -> Self {
        let throttle = Throttle::new(throttle);
        Self {
            access,
            throttle,
            timing,
            counts,
            dial: None,
            host: RefCell::new("".into()),
            only_json: Cell::new(false),
            client: RefCell::new(None),
            last: RefCell::new(None),
        }
    }

    /// The same over connections that somebody else makes, if anybody does.
    pub(super) fn over(self, dial: Option<Arc<dyn Dial>>) -> Self {
        Self { dial, ..self }
    }

    /// Where what befalls this connection is counted.
    pub(super) fn counts(&self) -> &ClusterCounts {
        &self.counts
    }

    /// The client; made now if there is none. Errors: `AccessError`, also for files that are gone for the moment.
    pub(super) async fn client(&self) -> Result<Client, AccessError> {
        if let Some(client) = self.client.borrow().as_ref() {
            return Ok(client.clone());
        }
        let made = match self.access.config().await {
            Ok(config) => {
                *self.host.borrow_mut() = self.access.host(&config.cluster_url).into();
                let client = match &self.dial {
                    None => build(&config, self.timing),
                    Some(dial) => super::dial::build(&config, dial.clone()),
                };
                client.map_err(|error| AccessError::Client(Box::new(error)))
            }
            Err(error) => Err(error),
        };
        match made {
            Ok(client) => {
                *self.client.borrow_mut() = Some(client.clone());
                *self.last.borrow_mut() = Some(client.clone());
                Ok(client)
            }
            Err(error) => self.last.borrow().clone().ok_or(error),
        }
    }

    /// Sends a request when it may go (rule K-231); the body of the answer is still to come.
    ///
    /// Errors: those of `client`, no connection, or no head of an answer in time.
    pub(super) async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Trouble> {
        let client = self.client().await.map_err(|error| Trouble::Connection(chain(&error)))?;
        let host = self.host.borrow().clone();
        let asked = Instant::now();
        // Held until the answer has begun.
        let _permit = self.throttle.admit().await;
        let sent = Instant::now();
        self.counts.admitted(&host, (sent - asked).as_secs_f64());
        let answer = timeout(self.timing.head, client.send(request)).await;
        let status = answer.as_ref().ok().and_then(|answer| Some(answer.as_ref().ok()?.status().as_u16()));
        self.counts.answered(&host, status, sent.elapsed().as_secs_f64());
        answer
            .map_err(|_| Trouble::Connection(format!("no answer within {:?}", self.timing.head)))?
            .map_err(|error| Trouble::Connection(chain(&error)))
    }

    /// Whether this server takes requests for protobuf, as far as is known.
    pub(super) fn takes_protobuf(&self) -> bool {
        !self.only_json.get()
    }

    /// Remembers that it does not, until the client is made anew.
    pub(super) fn only_json(&self) {
        self.only_json.set(true);
    }

    /// Forgets the client: the next one reads CA, token and kubeconfig anew, and resolves the host anew.
    pub(super) fn renew(&self) {
        self.only_json.set(false);
        self.client.borrow_mut().take();
    }
}

/// Makes a client whose connections notice a dead peer.
pub(super) fn build(config: &Config, timing: Timing) -> kube::Result<Client> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    // Idle watches: probes from half the time on, three of them within the other half.
    connector.set_keepalive(Some(timing.dead / 2));
    connector.set_keepalive_interval(Some((timing.dead / 6).max(Duration::from_secs(1))));
    connector.set_keepalive_retries(Some(3));
    connector.set_tcp_user_timeout(Some(timing.dead));
    let connector = config.rustls_https_connector_with_connector(connector)?;
    wrap(config, connector)
}

/// A client over whatever makes connections.
pub(super) fn wrap<C>(config: &Config, connector: C) -> kube::Result<Client>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let client: hyper_util::client::legacy::Client<_, Body> =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .http1_max_buf_size(READ)
            .build(connector);
    let client = ServiceExt::<http::Request<Body>>::map_err(client, tower::BoxError::from);
    let headers = config.extra_headers_layer()?;
    let builder = ClientBuilder::new(client, &config.default_namespace).with_layer(&headers);
    Ok(match config.auth_layer()? {
        Some(auth) => builder.with_layer(&auth).with_layer(&config.base_uri_layer()).build(),
        None => builder.with_layer(&config.base_uri_layer()).build(),
    })
}
