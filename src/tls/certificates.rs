//! A certificate with its key, and what is made of both.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ProducesTickets;

use super::clients::ClientAuth;

/// What a `tls` line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateSpec {
    /// The file of our certificate and of those above it.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
    /// The file of the authorities of clients.
    pub authority: Option<PathBuf>,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
}

impl CertificateSpec {
    /// The files that matter.
    fn files(&self) -> impl Iterator<Item = &Path> {
        let authority = self.authority.as_deref().filter(|_| self.client_auth.verifies());
        [self.certificate.as_path(), self.key.as_path()].into_iter().chain(authority)
    }
}

/// What is spoken inside of TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alpn {
    /// DNS over TLS.
    Dot,
    /// HTTP/2 and HTTP/1.1.
    Https,
    /// DNS over QUIC.
    Doq,
    /// HTTP/3.
    H3,
}

impl Alpn {
    /// All of them; their place is that in `Loaded`.
    const ALL: [Self; 4] = [Self::Dot, Self::Https, Self::Doq, Self::H3];

    /// As it is written in the handshake, the dearest first.
    fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Dot => &[b"dot"],
            Self::Https => &[b"h2", b"http/1.1"],
            Self::Doq => &[b"doq"],
            Self::H3 => &[b"h3"],
        }
    }
}

/// What was made of the files as they were.
type Loaded = [Arc<ServerConfig>; 4];

/// What tells one state of a file from another: device, inode, size, seconds and nanoseconds of the last change; `None`
/// where it is not there. Links are followed.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// What came of a look at the files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// They are as they were.
    Same,
    /// They were read again, and serve from now on.
    Changed,
    /// They changed and can't be used: what was read before goes on. Told once for each state of the files.
    Failed(String),
}

/// A certificate in use.
pub struct Certificates {
    /// What it was made of.
    spec: CertificateSpec,
    /// What serves now.
    loaded: Mutex<Arc<Loaded>>,
    /// The files' stamps when they were looked at last, and whether they are read once more although these are the same: a
    /// change within one tick of the file system's clock leaves no trace.
    seen: Mutex<(Vec<Stamp>, bool)>,
    /// The key of sessions' tickets, which outlives the certificate.
    tickets: Arc<dyn ProducesTickets>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads the files.
    ///
    /// Errors: a file can't be read, holds nothing of use, or key and certificate do not fit; in words, without the key.
    pub fn open(spec: CertificateSpec) -> Result<Self, String> {
        let tickets = ring::Ticketer::new().map_err(|error| format!("no keys for tickets: {error}"))?;
        let stamps = spec.files().map(stamp).collect();
        let loaded = load(&spec, &tickets)?;
        Ok(Self { spec, loaded: Mutex::new(Arc::new(loaded)), seen: Mutex::new((stamps, true)), tickets })
    }

    /// What it was made of.
    #[must_use]
    pub fn spec(&self) -> &CertificateSpec {
        &self.spec
    }

    /// What serves now for what is spoken inside. Cost: a lock held for one copy of an `Arc`.
    #[must_use]
    pub fn config(&self, alpn: Alpn) -> Arc<ServerConfig> {
        let loaded = self.loaded.lock().clone();
        let place = Alpn::ALL.iter().position(|known| *known == alpn).unwrap_or(0);
        let [first, ..] = &*loaded;
        loaded.get(place).unwrap_or(first).clone()
    }

    /// Looks at the files, and reads them again where one changed.
    pub fn look(&self) -> Look {
        let stamps: Vec<Stamp> = self.spec.files().map(stamp).collect();
        let mut seen = self.seen.lock();
        let changed = seen.0 != stamps;
        if !changed && !seen.1 {
            return Look::Same;
        }
        *seen = (stamps, changed);
        drop(seen);
        match load(&self.spec, &self.tickets) {
            Ok(loaded) => {
                *self.loaded.lock() = Arc::new(loaded);
                if changed { Look::Changed } else { Look::Same }
            }
            Err(_) if !changed => Look::Same,
            Err(why) => Look::Failed(why),
        }
    }
}

/// A file's stamp.
fn stamp(path: &Path) -> Stamp {
    let about = fs::metadata(path).ok()?;
    Some((about.dev(), about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
}

/// Makes what serves: TLS 1.2 and 1.3, sessions resumed by tickets, nothing taken before the handshake is done.
fn load(spec: &CertificateSpec, tickets: &Arc<dyn ProducesTickets>) -> Result<Loaded, String> {
    let provider = Arc::new(ring::default_provider());
    let chain = read_certificates(&spec.certificate)?;
    let key = read_key(&spec.key)?;
    let verifier = spec.client_auth.verifier(spec.authority.as_deref(), &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                format!("`{}` is not the key of `{}`", spec.key.display(), spec.certificate.display())
            }
            error => format!(
                "`{}` can't be used, with keys of RSA from 2,048 bits on, P-256, P-384 and Ed25519, and certificates of version 3: {error}",
                spec.certificate.display()
            ),
        })?;
    config.ticketer = tickets.clone();
    config.max_early_data_size = 0;
    Ok(Alpn::ALL.map(|alpn| {
        let mut config = config.clone();
        config.alpn_protocols = alpn.protocols().iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }))
}

/// The certificates of a file, at least one.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("`{}` holds no certificate", path.display())),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// The key of a file.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, &error))
}

/// Why a file can't be read; nothing of what it holds is told.
fn unreadable(path: &Path, error: &rustls::pki_types::pem::Error) -> String {
    use rustls::pki_types::pem::Error;
    match error {
        Error::Io(error) => format!("`{}` can't be read: {error}", path.display()),
        Error::NoItemsFound => format!("`{}` holds nothing of use", path.display()),
        _ => format!("`{}` is no PEM file", path.display()),
    }
}

#[cfg(test)]
mod tests;
