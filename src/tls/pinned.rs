//! Certificates that stand in the file of authorities themselves: a peer that shows one of them is who it says.
//!
//! That is how a certificate signed by itself is trusted: `openssl req -x509` makes an authority's, which no path leads to.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

/// A verifier, and the certificates that it believes as they stand.
#[derive(Debug)]
struct Pinned<V: ?Sized> {
    /// Who looks first.
    inner: Arc<V>,
    /// The certificates of the file.
    own: Vec<CertificateDer<'static>>,
}

impl<V: ?Sized> Pinned<V> {
    /// Whether a certificate was refused for nothing but being an authority's, and is one of ours.
    ///
    /// Its time is looked at before that; its own signature says nothing.
    fn believes(&self, shown: &CertificateDer<'_>, error: &Error) -> bool {
        let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
        other.to_string().contains("CaUsedAsEndEntity") && self.own.iter().any(|own| own == shown)
    }
}

/// Who looks at the certificates of servers: `own` are those of the file of authorities.
///
/// Errors: none of them can sign anything; what the file that they come from does, in words.
pub(crate) fn servers(
    own: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(own.iter().cloned());
    if added == 0 {
        return Err("holds no authority's certificate".to_owned());
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let inner = inner.map_err(|error| format!("holds nothing to check certificates with: {error}"))?;
    Ok(Arc::new(Pinned { inner, own }))
}

/// Who looks at the certificates of clients: `inner`, or whoever shows one of `own`.
pub(super) fn clients(
    inner: Arc<dyn ClientCertVerifier>,
    own: Vec<CertificateDer<'static>>,
) -> Arc<dyn ClientCertVerifier> {
    Arc::new(Pinned { inner, own })
}

impl ServerCertVerifier for Pinned<WebPkiServerVerifier> {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.inner.verify_server_cert(shown, others, name, ocsp, now).or_else(|error| {
            if !self.believes(shown, &error) {
                return Err(error);
            }
            verify_server_name(&ParsedCertificate::try_from(shown)?, name)?;
            Ok(ServerCertVerified::assertion())
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl ClientCertVerifier for Pinned<dyn ClientCertVerifier> {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.inner.verify_client_cert(shown, others, now).or_else(|error| {
            match self.believes(shown, &error) {
                true => Ok(ClientCertVerified::assertion()),
                false => Err(error),
            }
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
