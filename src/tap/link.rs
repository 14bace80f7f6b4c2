//! Connections to collectors, whoever opens them.

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, ServerConfig, ServerConnection,
    SignatureScheme, StreamOwned,
};

use super::frames;
use super::outlet::{Endpoint, Side, TapSpec};

/// How long a connection may take to open, and a write or read.
const PATIENCE: Duration = Duration::from_secs(4);

/// Bytes that are gathered before they are written.
const GATHERED: usize = 64 << 10;

/// Why a collector cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LinkFault {
    /// The network's word.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// TLS.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// A file that is of no use.
    #[error("{file}: {why}")]
    File {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
}

/// A stream of bytes both ways.
trait Both: Read + Write + Send {}

impl<T: Read + Write + Send> Both for T {}

/// An open connection to a collector.
pub(super) struct Link(BufWriter<Box<dyn Both>>);

impl Link {
    /// Opens a stream of frames on a connection.
    fn open(mut stream: Box<dyn Both>) -> Result<Self, LinkFault> {
        frames::open(&mut stream)?;
        Ok(Self(BufWriter::with_capacity(GATHERED, stream)))
    }

    /// Sends a message, perhaps later.
    pub(super) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        frames::send(&mut self.0, message)
    }

    /// Sends what was gathered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    /// Ends the stream in order.
    pub(super) fn close(mut self) -> io::Result<()> {
        self.0.flush()?;
        frames::close(self.0.get_mut())
    }
}

/// Sets the bounds of a TCP connection.
fn bound(stream: &TcpStream, buffer: usize) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    send_buffer(stream, buffer)
}

/// Sets the kernel's buffer, in MiB.
fn send_buffer(stream: &impl AsFd, buffer: usize) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_send_buffer_size(stream, buffer << 20)?)
}

/// Connects to the collector of a line.
///
/// Errors: why it cannot be had.
pub(super) fn connect(spec: &TapSpec) -> Result<Link, LinkFault> {
    match &spec.endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Link::open(Box::new(stream))
        }
        Endpoint::Tcp(host) => Link::open(Box::new(dial(host, spec.buffer)?)),
        Endpoint::Tls(host) => {
            let stream = dial(host, spec.buffer)?;
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
                .map_err(|error| io::Error::other(error.to_string()))?;
            let verify = !matches!(spec.side, Side::Connect { verify: false });
            let connection = ClientConnection::new(client(verify)?, name)?;
            Link::open(Box::new(StreamOwned::new(connection, stream)))
        }
    }
}

/// Opens a TCP connection to the first address of a host that answers.
fn dial(host: &str, buffer: usize) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for addr in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&addr, PATIENCE) {
            Ok(stream) => {
                bound(&stream, buffer)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Where collectors come to.
pub(super) enum Door {
    /// A socket of the file system.
    Unix(UnixListener),
    /// An address, encrypted or not.
    Tcp(TcpListener, Option<Arc<ServerConfig>>),
}

/// A connection that was accepted and says nothing yet.
pub(super) enum Guest {
    /// From the file system.
    Unix(UnixStream),
    /// From the network.
    Tcp(TcpStream, Option<Arc<ServerConfig>>),
}

impl Door {
    /// Opens the door of a line; looking for guests never waits.
    ///
    /// Errors: the address cannot be had, or a file is of no use.
    pub(super) fn open(spec: &TapSpec) -> Result<Self, LinkFault> {
        let Side::Listen { identity, authority, verify } = &spec.side else {
            return Err(io::Error::other("nobody listens here").into());
        };
        let door = match &spec.endpoint {
            Endpoint::Unix(path) => {
                // What an earlier process left behind.
                if UnixStream::connect(path).is_err() {
                    let _ = fs::remove_file(path);
                }
                let listener = UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Self::Unix(listener)
            }
            Endpoint::Tcp(host) | Endpoint::Tls(host) => {
                let config = match (&spec.endpoint, identity) {
                    (Endpoint::Tls(_), Some((certificate, key))) => {
                        Some(server((certificate, key), authority.as_deref(), *verify)?)
                    }
                    _ => None,
                };
                let listener = TcpListener::bind(host.as_str())?;
                listener.set_nonblocking(true)?;
                Self::Tcp(listener, config)
            }
        };
        Ok(door)
    }

    /// Somebody who came, if anybody did.
    pub(super) fn guest(&self) -> Option<Guest> {
        match self {
            Self::Unix(listener) => Some(Guest::Unix(listener.accept().ok()?.0)),
            Self::Tcp(listener, config) => Some(Guest::Tcp(listener.accept().ok()?.0, config.clone())),
        }
    }
}

impl Guest {
    /// Opens a stream of frames; takes seconds where the other side is slow.
    pub(super) fn receive(self) -> Result<Link, LinkFault> {
        match self {
            Self::Unix(stream) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Link::open(Box::new(stream))
            }
            Self::Tcp(stream, config) => {
                stream.set_nonblocking(false)?;
                bound(&stream, 1)?;
                match config {
                    None => Link::open(Box::new(stream)),
                    Some(config) => {
                        let connection = ServerConnection::new(config)?;
                        Link::open(Box::new(StreamOwned::new(connection, stream)))
                    }
                }
            }
        }
    }
}

/// The certificates of a file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LinkFault> {
    let fail = |why: String| LinkFault::File { file: path.display().to_string(), why };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| fail(error.to_string()))?;
    if found.is_empty() { Err(fail("it holds no certificate".to_owned())) } else { Ok(found) }
}

/// What we show to collectors that come, and what they must show.
pub(super) fn server(
    (certificate, key): (&Path, &Path),
    authority: Option<&Path>,
    verify: bool,
) -> Result<Arc<ServerConfig>, LinkFault> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(rustls::ALL_VERSIONS)?;
    let builder = match authority {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(authority)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if verify { verifier } else { verifier.allow_unauthenticated() };
            let fail = |why: String| LinkFault::File { file: authority.display().to_string(), why };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| fail(error.to_string()))?)
        }
    };
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| LinkFault::File { file: key.display().to_string(), why: error.to_string() })?;
    Ok(Arc::new(builder.with_single_cert(certificates(certificate)?, secret)?))
}

/// What we ask of a collector that we connect to.
pub(super) fn client(verify: bool) -> Result<Arc<ClientConfig>, LinkFault> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(rustls::ALL_VERSIONS)?;
    if !verify {
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)));
        return Ok(Arc::new(builder.with_no_client_auth()));
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Takes any certificate, as `skipverify` asks; signatures are still checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
