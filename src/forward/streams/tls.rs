//! How encrypted upstreams are checked, and what we show of ourselves. One configuration a `tls` line, so that sessions
//! are resumed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::super::network::StreamFault;
use super::super::upstream::TlsSpec;
use super::fault::{of_tls, ours};

/// Sessions kept for each configuration.
const SESSIONS: usize = 64;

/// What is spoken inside of TLS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Alpn {
    /// DNS over TLS.
    Dot,
    /// HTTP/2.
    H2,
    /// DNS over QUIC.
    #[cfg(feature = "quic")]
    Doq,
}

impl Alpn {
    /// As it is written in the handshake.
    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Dot => b"dot",
            Self::H2 => b"h2",
            #[cfg(feature = "quic")]
            Self::Doq => b"doq",
        }
    }
}

/// When a file was written, and how long it is; `None` where it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// A configuration, and the files that it was made from as they were then.
struct Known {
    /// The configuration.
    config: Arc<ClientConfig>,
    /// The files' stamps.
    stamps: Vec<Stamp>,
}

/// The configurations in use.
#[derive(Default)]
pub(super) struct TlsConfigs {
    /// By what the Corefile says.
    known: RefCell<HashMap<(TlsSpec, Alpn), Known>>,
    /// The authorities of this machine, read when they are first needed.
    machine: RefCell<Option<Arc<RootCertStore>>>,
}

impl TlsConfigs {
    /// The configuration for a `tls` line: the one in use, unless a file of it has changed since.
    ///
    /// Errors: a file can't be read or holds nothing of use.
    pub(super) fn get(&self, spec: &TlsSpec, alpn: Alpn) -> Result<Arc<ClientConfig>, StreamFault> {
        let stamps: Vec<Stamp> = files(spec).map(stamp).collect();
        let key = (spec.clone(), alpn);
        let mut all = self.known.borrow_mut();
        if let Some(known) = all.get(&key).filter(|known| known.stamps == stamps) {
            return Ok(known.config.clone());
        }
        let config = Arc::new(self.make(spec, alpn)?);
        all.insert(key, Known { config: config.clone(), stamps });
        Ok(config)
    }

    /// Makes a configuration: TLS 1.2 and 1.3, nothing sent before the handshake is done.
    fn make(&self, spec: &TlsSpec, alpn: Alpn) -> Result<ClientConfig, StreamFault> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(|error| of_tls(&error))?;
        let builder = match &spec.authority {
            Some(path) => {
                let verifier = crate::tls::servers(certificates(path)?, provider);
                let verifier = verifier.map_err(|why| ours(format!("{} {why}", path.display())))?;
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
            None => builder.with_root_certificates(
                self.machine.borrow_mut().get_or_insert_with(|| Arc::new(machine())).clone(),
            ),
        };
        let mut config = match &spec.identity {
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|error| ours(format!("{}: {error}", certificate.display())))?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![alpn.bytes().to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config.enable_early_data = false;
        Ok(config)
    }
}

/// The files that a `tls` line names.
fn files(spec: &TlsSpec) -> impl Iterator<Item = &Path> {
    let identity = spec.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
    identity.chain(&spec.authority).map(std::path::PathBuf::as_path)
}

/// A file's stamp.
fn stamp(path: &Path) -> Stamp {
    let about = fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

/// The certificates of a file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StreamFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(ours(format!("{} holds no certificate", path.display()))),
        Err(error) => Err(ours(format!("{} can't be read: {error}", path.display()))),
    }
}

/// The key of a file.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, StreamFault> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| ours(format!("{} can't be read: {error}", path.display())))
}

/// The authorities of this machine; where it has none, as in an image from scratch, those of Mozilla's list that this
/// program was built with.
fn machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        tracing::info!(
            target: "plugin/forward",
            "this machine has no list of authorities: encrypted upstreams are checked against the built-in one"
        );
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    roots
}
