//! What we ask of the certificates of clients.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use super::certificates::read_certificates;
use super::pinned;

/// Whether clients show a certificate, and whether it is checked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ClientAuth {
    /// They are not asked for one.
    #[default]
    None,
    /// They may show one, which is not checked.
    Request,
    /// They must show one, which is not checked.
    Require,
    /// They may show one, which is checked.
    VerifyIfGiven,
    /// They must show one, which is checked.
    RequireAndVerify,
}

impl ClientAuth {
    /// All of them, as the Corefile writes them.
    pub const ALL: [(&'static str, Self); 5] = [
        ("nocert", Self::None),
        ("request", Self::Request),
        ("require", Self::Require),
        ("verify_if_given", Self::VerifyIfGiven),
        ("require_and_verify", Self::RequireAndVerify),
    ];

    /// Whether certificates are checked, so that authorities are needed.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }

    /// Who looks at the certificates; `authority` is the file of those who may have signed them, without one the machine's
    /// list counts.
    ///
    /// Errors: the authorities can't be read, in words.
    pub(super) fn verifier(
        self,
        authority: Option<&Path>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, String> {
        let mandatory = matches!(self, Self::Require | Self::RequireAndVerify);
        if self == Self::None {
            return Ok(WebPkiClientVerifier::no_client_auth());
        }
        if !self.verifies() {
            return Ok(Arc::new(Unchecked { mandatory, provider: provider.clone() }));
        }
        let (roots, own) = roots(authority)?;
        let roots = Arc::new(roots);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let builder = if mandatory { builder } else { builder.allow_unauthenticated() };
        let inner = builder.build();
        let inner = inner.map_err(|error| format!("certificates of clients can't be checked: {error}"))?;
        Ok(pinned::clients(inner, own))
    }
}

/// The authorities whose clients we believe, and the certificates of their file.
fn roots(authority: Option<&Path>) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    let mut roots = RootCertStore::empty();
    let own = authority.map(read_certificates).transpose()?.unwrap_or_default();
    match authority {
        Some(path) => {
            let (added, _) = roots.add_parsable_certificates(own.iter().cloned());
            if added == 0 {
                return Err(format!("`{}` holds no authority's certificate", path.display()));
            }
        }
        None => {
            let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if added == 0 {
                return Err("this machine has no list of authorities: name a file behind the key".to_owned());
            }
        }
    }
    Ok((roots, own))
}

/// Takes any certificate, as long as its owner signs the handshake with it.
#[derive(Debug)]
struct Unchecked {
    /// Whether there must be one.
    mandatory: bool,
    /// Who checks the signature.
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Unchecked {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
