//! DNS over TLS: who is let through and who is not, and what is said of those who are not.

use std::path::PathBuf;
use std::sync::mpsc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::super::super::upstream::TlsSpec;
use super::*;

/// An authority, and a folder for its files.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate with its key.
pub(super) struct Pair {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

/// What a certificate says.
fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap()
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut about = params(&[]);
        // Two authorities of one name are told apart only by their signatures.
        about.distinguished_name.push(DnType::CommonName, format!("authority {}", fastrand::u64(..)));
        about.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(about, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// A certificate of this authority.
    fn sign(&self, about: &CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        Pair { certificate: about.signed_by(&key, &self.issuer).unwrap(), key }
    }

    /// A certificate for these names.
    pub(super) fn issue(&self, names: &[&str]) -> Pair {
        self.sign(&params(names))
    }

    /// A file of this name.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What an upstream is checked against: this authority, and a name.
    pub(super) fn spec(&self, name: Option<&str>) -> TlsSpec {
        TlsSpec {
            server_name: name.map(ToOwned::to_owned),
            identity: None,
            authority: Some(self.folder.path().join("ca.crt")),
        }
    }
}

/// How a server introduces itself.
pub(super) fn config(
    pair: &Pair,
    alpn: &[u8],
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(versions).unwrap();
    let builder = match clients {
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let chain = vec![CertificateDer::from(pair.certificate.der().to_vec())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.key.serialize_der()));
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

/// A server that answers everything.
fn serve(config: ServerConfig) -> Server {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start(move |stream, _| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer_all(stream).await;
            }
        }
    })
}

#[test]
fn a_certificate_that_is_its_own_authority_is_believed_where_it_stands_in_the_file() {
    let ask = |mut params: rcgen::CertificateParams, name: &str| {
        let key = KeyPair::generate().unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let own = Pair { certificate: params.self_signed(&key).unwrap(), key };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.crt");
        std::fs::write(&file, own.certificate.pem()).unwrap();
        let server = serve(config(&own, b"dot", rustls::ALL_VERSIONS, None));
        let tls = TlsSpec { server_name: Some(name.to_owned()), identity: None, authority: Some(file) };
        Rig::usual(dot(&server, tls)).exchange(query(1, "first")).map(drop)
    };
    assert_eq!(ask(params(&["dns.example"]), "dns.example"), Ok(()));
    // Its names and its time are looked at all the same.
    let why = "certificate is not for other.example";
    assert_eq!(ask(params(&["dns.example"]), "other.example"), Err(why.to_owned()));
    let mut old = params(&["dns.example"]);
    (old.not_before, old.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    assert_eq!(ask(old, "dns.example"), Err("certificate expired".to_owned()));
}

/// An upstream over TLS.
fn dot(server: &Server, tls: TlsSpec) -> UpstreamSpec {
    UpstreamSpec { tls: Some(tls), ..spec(Protocol::Tls, server.addr) }
}

/// Asks a server whose certificate is `pair`, under a name.
fn ask_under(authority: &Authority, pair: &Pair, name: Option<&str>) -> Result<Vec<u8>, String> {
    let server = serve(config(pair, b"dot", rustls::ALL_VERSIONS, None));
    Rig::usual(dot(&server, authority.spec(name))).exchange(query(1, "first"))
}

#[test]
fn names_and_addresses_are_checked() {
    let authority = Authority::new();
    let pair = authority.issue(&["dns.example", "127.0.0.1"]);
    assert!(ask_under(&authority, &pair, Some("dns.example")).is_ok());
    assert!(ask_under(&authority, &pair, Some("dns.example.")).is_ok());
    assert!(ask_under(&authority, &pair, None).is_ok(), "the address, where no name is written");
    let why = "certificate is not for other.example";
    assert_eq!(ask_under(&authority, &pair, Some("other.example")), Err(why.to_owned()));
    let named = authority.issue(&["dns.example"]);
    assert_eq!(ask_under(&authority, &named, None), Err("certificate is not for 127.0.0.1".to_owned()));
}

#[test]
fn certificates_are_checked() {
    let authority = Authority::new();
    let mut old = params(&["dns.example"]);
    (old.not_before, old.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let old = authority.sign(&old);
    assert_eq!(ask_under(&authority, &old, Some("dns.example")), Err("certificate expired".to_owned()));
    let mut early = params(&["dns.example"]);
    (early.not_before, early.not_after) = (date_time_ymd(2199, 1, 1), date_time_ymd(2200, 1, 1));
    let early = authority.sign(&early);
    let why = "certificate is not valid yet";
    assert_eq!(ask_under(&authority, &early, Some("dns.example")), Err(why.to_owned()));
    let why = "certificate is signed by nobody that is trusted here";
    let other = Authority::new().issue(&["dns.example"]);
    assert_eq!(ask_under(&authority, &other, Some("dns.example")), Err(why.to_owned()));
    let key = KeyPair::generate().unwrap();
    let own = Pair { certificate: params(&["dns.example"]).self_signed(&key).unwrap(), key };
    assert_eq!(ask_under(&authority, &own, Some("dns.example")), Err(why.to_owned()));
    // Whatever else it is: an authority's own certificate shows nobody, unless it stands in the file.
    let key = KeyPair::generate().unwrap();
    let mut authoritative = params(&["dns.example"]);
    authoritative.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let own = Pair { certificate: authoritative.self_signed(&key).unwrap(), key };
    assert_eq!(ask_under(&authority, &own, Some("dns.example")), Err(why.to_owned()));
    // And with the authorities of the machine, or those built in.
    let pair = authority.issue(&["dns.example"]);
    let server = serve(config(&pair, b"dot", rustls::ALL_VERSIONS, None));
    let tls = TlsSpec { server_name: Some("dns.example".to_owned()), ..TlsSpec::default() };
    assert_eq!(Rig::usual(dot(&server, tls)).exchange(query(1, "first")), Err(why.to_owned()));
}

#[test]
fn many_queries_share_one_handshake() {
    let authority = Authority::new();
    let pair = authority.issue(&["dns.example"]);
    for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
        let server = serve(config(&pair, b"dot", &versions, None));
        let mut rig = Rig::usual(dot(&server, authority.spec(Some("dns.example"))));
        for _ in 0..3 {
            for _ in 0..20 {
                rig.ask(query(7, "one of many"));
            }
            assert!(rig.wait(20).values().all(Result::is_ok));
        }
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn sessions_are_resumed() {
    let authority = Authority::new();
    let pair = authority.issue(&["dns.example"]);
    for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
        let (tell, told) = mpsc::channel();
        let acceptor = TlsAcceptor::from(Arc::new(config(&pair, b"dot", &versions, None)));
        let server = Server::start(move |stream, _| {
            let (acceptor, tell) = (acceptor.clone(), tell.clone());
            async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let asked = take(&mut stream).await.unwrap();
                tell.send(stream.get_ref().1.handshake_kind()).unwrap();
                put(&mut stream, &reply(&asked)).await;
                let _ = stream.shutdown().await;
            }
        });
        let mut rig = Rig::usual(dot(&server, authority.spec(Some("dns.example"))));
        for _ in 0..3 {
            assert!(rig.exchange(query(1, "first")).is_ok());
        }
        let kinds: Vec<_> = told.try_iter().flatten().collect();
        assert_eq!(kinds[0], HandshakeKind::Full);
        assert_eq!(kinds[1..], [HandshakeKind::Resumed, HandshakeKind::Resumed]);
    }
}

#[test]
fn a_silent_handshake_has_an_end_and_ends_all_that_wait_for_it() {
    let server = Server::start(|stream, _| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    });
    let authority = Authority::new();
    let options = DeskOptions { open: Duration::from_millis(250), ..DeskOptions::default() };
    let mut rig = Rig::new(dot(&server, authority.spec(None)), options);
    for _ in 0..10 {
        rig.ask(query(1, "one of many"));
    }
    let why = "no answer to the handshake in 0.25 s: i/o timeout";
    assert!(rig.wait(10).values().all(|outcome| *outcome == Err(why.to_owned())));
    assert_eq!(server.connections(), 1);
    assert_eq!(rig.counts(), (0, 0));
}

#[test]
fn who_speaks_no_tls_is_not_asked_without_it() {
    let (tell, told) = mpsc::channel();
    let server = Server::start(move |mut stream, _| {
        let tell = tell.clone();
        async move {
            // Whatever this is, here is a DNS reply.
            let mut bytes = [0; 1024];
            let length = stream.read(&mut bytes).await.unwrap();
            tell.send(bytes[..length].to_vec()).unwrap();
            put(&mut stream, &reply(&query(1, "first"))).await;
            while stream.read(&mut bytes).await.is_ok_and(|length| length > 0) {}
        }
    });
    let authority = Authority::new();
    let mut rig = Rig::usual(dot(&server, authority.spec(None)));
    assert_eq!(rig.exchange(query(1, "first")), Err("no TLS is spoken there".to_owned()));
    let hello = told.try_recv().unwrap();
    assert_eq!(hello[..2], [22, 3], "a handshake, and nothing else was sent");
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_handshake_that_is_hung_up_on_is_a_fault() {
    let server = Server::start(|mut stream, _| async move {
        let _ = stream.read(&mut [0; 1024]).await;
    });
    let authority = Authority::new();
    let mut rig = Rig::usual(dot(&server, authority.spec(None)));
    let outcome = rig.exchange(query(1, "first")).unwrap_err();
    let known = ["connection closed in the handshake", "connection reset by peer"];
    assert!(known.contains(&outcome.as_str()), "{outcome}");
}

#[test]
fn an_upstream_of_another_protocol_is_left() {
    let authority = Authority::new();
    let pair = authority.issue(&["dns.example"]);
    let server = serve(config(&pair, b"http/1.1", rustls::ALL_VERSIONS, None));
    let mut rig = Rig::usual(dot(&server, authority.spec(Some("dns.example"))));
    let why = "it does not speak this protocol (ALPN)";
    assert_eq!(rig.exchange(query(1, "first")), Err(why.to_owned()));
}

#[test]
fn a_client_certificate_is_shown_where_the_corefile_has_one() {
    let authority = Authority::new();
    let pair = authority.issue(&["dns.example"]);
    let ours = authority.issue(&["us.example"]);
    for versions in [[&rustls::version::TLS12], [&rustls::version::TLS13]] {
        let server = serve(config(&pair, b"dot", &versions, Some(&authority)));
        let mut tls = authority.spec(Some("dns.example"));
        let outcome = Rig::usual(dot(&server, tls.clone())).exchange(query(1, "first")).unwrap_err();
        // In TLS 1.2 there is no word for it.
        let known = [
            "it wants a client certificate (tls CERT KEY CA)",
            "it refused the handshake (HandshakeFailure)",
            "connection reset by peer",
        ];
        assert!(known.contains(&outcome.as_str()), "{outcome}");
        let certificate = authority.file("us.crt", &ours.certificate.pem());
        tls.identity = Some((certificate, authority.file("us.key", &ours.key.serialize_pem())));
        assert!(Rig::usual(dot(&server, tls)).exchange(query(1, "first")).is_ok());
    }
}

#[test]
fn files_that_are_no_good_are_named_and_read_again_when_they_change() {
    let authority = Authority::new();
    let pair = authority.issue(&["dns.example"]);
    let server = serve(config(&pair, b"dot", rustls::ALL_VERSIONS, None));
    let mut tls = authority.spec(Some("dns.example"));
    let path = authority.file("other.crt", "nothing");
    tls.authority = Some(path.clone());
    let mut rig = Rig::usual(dot(&server, tls.clone()));
    let why = format!("{} holds no certificate", path.display());
    assert_eq!(rig.exchange(query(1, "first")), Err(why));
    authority.file("other.crt", &Authority::new().issuer.pem());
    let why = "certificate is signed by nobody that is trusted here";
    assert_eq!(rig.exchange(query(1, "first")), Err(why.to_owned()));
    authority.file("other.crt", &format!("# ours\n{}", authority.issuer.pem()));
    assert!(rig.exchange(query(1, "first")).is_ok());

    tls.identity =
        Some((authority.file("us.crt", &pair.certificate.pem()), PathBuf::from("/nowhere/us.key")));
    let why = Rig::usual(dot(&server, tls)).exchange(query(1, "first")).unwrap_err();
    assert!(why.starts_with("/nowhere/us.key can't be read: "), "{why}");
}
