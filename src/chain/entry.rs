//! How queries come in at a listener: what is asked of a connection before its first query is read.

use std::sync::Arc;

use super::build::Draft;
use super::proxyproto::ProxyPolicy;
use crate::corefile::{Block, Error, Key, Transport as Scheme};
use crate::metrics::Traffic;
use crate::tls::Certificates;

/// The most connections of one server over HTTPS, HTTPS/3 or QUIC unless the Corefile says.
const CONNECTIONS: usize = 200;

/// The most streams of one connection unless the Corefile says (RELIABILITY W69).
const STREAMS: u32 = 100;

/// The most streams of QUIC that are served at once unless the Corefile says.
const POOL: usize = 512;

/// How queries come in at a listener.
#[derive(Clone, Default, Debug)]
pub struct Entry {
    /// Our certificate; none for what comes in the clear.
    pub tls: Option<Arc<Certificates>>,
    /// Who may tell the address of a client (`proxyproto`).
    pub proxy: Option<Arc<ProxyPolicy>>,
    /// The bounds.
    pub limits: Limits,
    /// What is counted; none for plain DNS.
    pub traffic: Option<Arc<Traffic>>,
}

impl Entry {
    /// What of a block's words is about keys of this scheme.
    pub(super) fn of(&self, scheme: Scheme) -> Self {
        let tls = self.tls.clone().filter(|_| scheme != Scheme::Dns);
        Self { tls, ..self.clone() }
    }

    /// Takes in what another block of the same listener says.
    ///
    /// Errors: the word about which they differ.
    pub(super) fn join(&mut self, other: Self) -> Result<(), &'static str> {
        match (&self.tls, &other.tls) {
            (Some(one), Some(another)) if one.spec() != another.spec() => return Err("tls"),
            (None, Some(_)) => self.tls = other.tls,
            _ => {}
        }
        match (&self.proxy, &other.proxy) {
            (Some(one), Some(another)) if one != another => return Err("proxyproto"),
            (None, Some(_)) => self.proxy = other.proxy,
            _ => {}
        }
        self.limits.join(&other.limits)
    }
}

/// The bounds that the Corefile sets, `None` where it does not; 0 is no bound.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// `https { max_connections }`.
    pub(super) https_connections: Option<usize>,
    /// `https3 { max_connections }`.
    pub(super) https3_connections: Option<usize>,
    /// `https3 { max_streams }`.
    pub(super) https3_streams: Option<u32>,
    /// `quic { max_streams }`.
    pub(super) quic_streams: Option<u32>,
    /// `quic { worker_pool_size }`.
    pub(super) quic_pool: Option<usize>,
}

impl Limits {
    /// Takes in what another block says. Errors: the word about which they differ.
    fn join(&mut self, other: &Self) -> Result<(), &'static str> {
        /// One bound.
        fn one<T: Copy + PartialEq>(ours: &mut Option<T>, other: Option<T>) -> bool {
            let fits = ours.is_none() || other.is_none() || *ours == other;
            *ours = ours.or(other);
            fits
        }
        let fits = [
            ("https", one(&mut self.https_connections, other.https_connections)),
            ("https3", one(&mut self.https3_connections, other.https3_connections)),
            ("https3", one(&mut self.https3_streams, other.https3_streams)),
            ("quic", one(&mut self.quic_streams, other.quic_streams)),
            ("quic", one(&mut self.quic_pool, other.quic_pool)),
        ];
        match fits.iter().find(|(_, fits)| !fits) {
            Some((word, _)) => Err(word),
            None => Ok(()),
        }
    }

    /// The most connections of a server; `usize::MAX` for no bound.
    #[must_use]
    pub fn connections(&self, scheme: Scheme) -> usize {
        let written = match scheme {
            Scheme::Https => self.https_connections,
            Scheme::Https3 => self.https3_connections,
            Scheme::Dns | Scheme::Tls | Scheme::Quic | Scheme::Grpc => None,
        };
        match written {
            Some(0) => usize::MAX,
            Some(most) => most,
            None => CONNECTIONS,
        }
    }

    /// The most streams of a connection.
    #[must_use]
    pub fn streams(&self, scheme: Scheme) -> u32 {
        let written = match scheme {
            Scheme::Https3 => self.https3_streams,
            Scheme::Quic => self.quic_streams,
            Scheme::Dns | Scheme::Tls | Scheme::Https | Scheme::Grpc => None,
        };
        written.filter(|most| *most > 0).unwrap_or(STREAMS)
    }

    /// The most streams of all connections of a server over QUIC that are served at once.
    #[must_use]
    pub fn pool(&self) -> usize {
        self.quic_pool.unwrap_or(POOL)
    }
}

/// What is wrong with a key that is encrypted, if anything: an error, or something to say.
pub(super) fn check_key(key: &Key, block: &Block, draft: &Draft<'_>) -> Result<Option<String>, Error> {
    let secured = block.all("tls").next().is_some();
    match key.transport {
        Scheme::Dns => Ok(None),
        Scheme::Grpc => Err(key
            .error(format!("`{}` is not served", key.text))
            .hint("DNS over gRPC is no standard: serve `https://` or `tls://` instead")),
        Scheme::Quic if !cfg!(feature = "quic") => Err(built_without(key, "quic")),
        Scheme::Https3 if !cfg!(feature = "https3") => Err(built_without(key, "https3")),
        Scheme::Quic | Scheme::Https3 if !secured => Err(key
            .error(format!("`{}` needs a certificate", key.text))
            .hint("add a line `tls CERT KEY` to its block")),
        Scheme::Quic | Scheme::Https3 if draft.entry.proxy.is_some() => Err(key
            .error("`proxyproto` reads no headers inside of QUIC")
            .hint("serve this key in a block without `proxyproto`")),
        Scheme::Tls | Scheme::Https if !secured => Ok(Some(format!(
            "{}: the block for {} has no `tls`: its queries come in the clear",
            key.at, key.text
        ))),
        Scheme::Tls | Scheme::Https | Scheme::Quic | Scheme::Https3 => Ok(None),
    }
}

/// A key that this build can't serve.
fn built_without(key: &Key, feature: &str) -> Error {
    key.error(format!("`{}` is not served by this build", key.text))
        .hint(format!("build signpost with the cargo feature `{feature}`"))
}
