//! What goes wrong on streams, in words for people.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::super::network::{Blame, StreamFault};

/// A fault of the upstream, in these words.
pub(super) fn fault(text: impl Into<String>) -> StreamFault {
    StreamFault { text: text.into(), blame: Blame::Upstream }
}

/// A fault of ours, in these words.
pub(super) fn ours(text: impl Into<String>) -> StreamFault {
    StreamFault { text: text.into(), blame: Blame::Ours }
}

/// A time as people read it: `1.5 s`.
pub(super) fn seconds(time: Duration) -> String {
    let text = format!("{:.2}", time.as_secs_f64());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// What the end of a time says last, as those who read logs for it know it.
///
/// Source: Go's name for it, which stands in CoreDNS's lines and so in patterns of `consolidate` (rule S-17).
pub(in super::super) const TIMEOUT: &str = "i/o timeout";

/// An error of a socket, or of TLS on it.
pub(in super::super) fn of_io(error: &io::Error) -> StreamFault {
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return of_tls(inner);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => fault("connection refused"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => fault("connection reset by peer"),
        io::ErrorKind::UnexpectedEof => fault("connection closed before the reply"),
        io::ErrorKind::TimedOut => fault(format!("the kernel gave the connection up: {TIMEOUT}")),
        io::ErrorKind::HostUnreachable => fault("no route to host"),
        io::ErrorKind::NetworkUnreachable => fault("network is unreachable"),
        io::ErrorKind::AddrNotAvailable => ours("source_address is no address of this machine"),
        _ => StreamFault { text: error.to_string(), blame: Blame::of(error) },
    }
}

/// An error of TLS.
pub(super) fn of_tls(error: &Error) -> StreamFault {
    match error {
        Error::InvalidCertificate(reason) => of_certificate(reason),
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerSentOversizedRecord => fault("no TLS is spoken there"),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            fault("it speaks neither TLS 1.2 nor 1.3")
        }
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::NoApplicationProtocol => fault("it does not speak this protocol (ALPN)"),
        other => fault(format!("TLS: {other}")),
    }
}

/// What an upstream says when it refuses a handshake.
fn of_alert(alert: AlertDescription) -> StreamFault {
    match alert {
        AlertDescription::CertificateRequired => fault("it wants a client certificate (tls CERT KEY CA)"),
        AlertDescription::UnknownCA | AlertDescription::BadCertificate => {
            fault("it does not accept our client certificate")
        }
        AlertDescription::NoApplicationProtocol => fault("it does not speak this protocol (ALPN)"),
        AlertDescription::ProtocolVersion => fault("it speaks neither TLS 1.2 nor 1.3"),
        AlertDescription::UnrecognisedName => fault("it does not know the name in tls_servername"),
        other => fault(format!("it refused the handshake ({other:?})")),
    }
}

/// What is wrong with a certificate.
fn of_certificate(error: &CertificateError) -> StreamFault {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => fault("certificate expired"),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            fault("certificate is not valid yet")
        }
        CertificateError::Revoked => fault("certificate is revoked"),
        CertificateError::UnknownIssuer => fault(UNTRUSTED),
        CertificateError::NotValidForNameContext { expected, .. } => {
            fault(format!("certificate is not for {}", expected.to_str()))
        }
        CertificateError::NotValidForName => fault("certificate is not for this name"),
        // What webpki says of an authority's certificate in a server's place.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => fault(UNTRUSTED),
        other => fault(format!("certificate is no good: {other}")),
    }
}

/// A certificate from somebody that we know nothing of.
pub(super) const UNTRUSTED: &str = "certificate is signed by nobody that is trusted here";
