//! Certificates: which are taken at start, when they are read again, and what is asked of clients.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use signpost::app::{ServeOptions, serve};
use signpost::corefile::Transport as Scheme;

use crate::encrypted::{Certificate, Over, PATIENCE, issue};
use crate::hostile::{framed, tls, tls_with};
use crate::rig::{Rig, corefile, serves};

/// Tries until it works or time is over.
fn eventually(what: &str, mut works: impl FnMut() -> bool) {
    #[allow(clippy::disallowed_methods, reason = "the server looks at files by real time")]
    let end = Instant::now() + PATIENCE;
    #[allow(clippy::disallowed_methods, reason = "the server looks at files by real time")]
    while Instant::now() < end {
        if works() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}: not within {PATIENCE:?}");
}

/// A folder as a mounted Secret has it: `cert.pem` and `key.pem` are links through `..data`.
fn mount(folder: &Path, version: &str, pem: &str, key: &str) {
    let data = folder.join(version);
    fs::create_dir(&data).unwrap();
    fs::write(data.join("cert.pem"), pem).unwrap();
    fs::write(data.join("key.pem"), key).unwrap();
    symlink(version, folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    for name in ["cert.pem", "key.pem"] {
        let link = folder.join(name);
        if !link.is_symlink() {
            let _ = fs::remove_file(&link);
            symlink(format!("..data/{name}"), link).unwrap();
        }
    }
}

#[test]
fn a_mounted_secret_that_is_swapped_is_served_and_a_bad_one_is_not() {
    let mut certificate = Certificate::new();
    let folder = certificate.folder.path().to_owned();
    let (first, key) = issue();
    mount(&folder, "..1", &first.pem(), &key);
    certificate.der = first.der().clone();
    let options = ServeOptions { text: corefile(&certificate, ""), ..ServeOptions::default() };
    let mut rig = Rig { running: serve(options).unwrap(), certificate };
    // A connection that is there goes on, whatever happens to the files.
    let mut old = rig.asker(Over::Tls);
    serves(&mut old);
    mount(&folder, "..2", "no certificate", &key);
    for over in Over::all() {
        rig.serves(over);
    }
    let (second, key) = issue();
    mount(&folder, "..3", &second.pem(), &key);
    rig.certificate.der = second.der().clone();
    for over in Over::all() {
        eventually("the new certificate", || rig.asker(over).connect().is_ok());
        rig.serves(over);
    }
    let connects = old.connects;
    serves(&mut old);
    assert_eq!(old.connects, connects, "it was not opened anew");
}

#[test]
fn what_cannot_be_served_is_said_with_its_place() {
    let certificate = Certificate::new();
    let (_, other) = issue();
    let folder = certificate.folder.path().to_owned();
    let text = corefile(&certificate, "");
    let said = || {
        let options = ServeOptions { text: text.clone(), ..ServeOptions::default() };
        serve(options).err().map(|error| error.to_string()).unwrap_or_default()
    };
    fs::write(folder.join("key.pem"), &other).unwrap();
    assert!(said().contains("is not the key of"), "{}", said());
    assert!(said().starts_with("Corefile:2:"), "{}", said());
    fs::write(folder.join("key.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n").unwrap();
    assert!(!said().contains("AAAA") && said().contains("key.pem"), "{}", said());
    fs::remove_file(folder.join("cert.pem")).unwrap();
    assert!(said().contains("can't be read: No such file"), "{}", said());
}

#[test]
fn sessions_are_resumed() {
    let rig = Rig::new();
    for (scheme, version) in [(Scheme::Tls, &rustls::version::TLS13), (Scheme::Tls, &rustls::version::TLS12)]
    {
        let config = Arc::new(rig.certificate.config(&[b"dot"], &[version]));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            use std::io::{Read as _, Write as _};
            let mut tls = tls_with(config.clone(), rig.connect(scheme)).unwrap();
            kinds.push(tls.conn.handshake_kind());
            // The ticket comes before the first reply.
            tls.write_all(&framed("a.test. A", 1)).unwrap();
            let mut length = [0; 2];
            tls.read_exact(&mut length).unwrap();
        }
        assert_eq!(kinds.last(), Some(&Some(rustls::HandshakeKind::Resumed)), "{version:?}: {kinds:?}");
    }
}

/// A client that shows a certificate.
fn with_identity(rig: &Rig, certificate: &rcgen::Certificate, key: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(rig.certificate.der.clone()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"dot".to_vec()];
    config
}

/// Whether a client is let in: over TLS 1.3 it learns that only when it reads.
fn let_in(rig: &Rig, config: ClientConfig) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut tls) = tls_with(Arc::new(config), rig.connect(Scheme::Tls)) else { return false };
    let mut length = [0; 2];
    tls.write_all(&framed("a.test. A", 1)).is_ok() && tls.read_exact(&mut length).is_ok()
}

#[test]
fn clients_are_asked_for_certificates_as_client_auth_says() {
    let (known, known_key) = issue();
    let (unknown, unknown_key) = issue();
    for (mode, without, wrong) in [
        ("nocert", true, true),
        ("request", true, true),
        ("require", false, true),
        ("verify_if_given", true, false),
        ("require_and_verify", false, false),
    ] {
        let certificate = Certificate::new();
        let authority = certificate.folder.path().join("ca.pem");
        fs::write(&authority, known.pem()).unwrap();
        let line = format!("{} {} {{\n client_auth {mode}\n }}", certificate.line(), authority.display());
        let text = corefile(&certificate, "").replace(&certificate.line(), &line);
        let options = ServeOptions { text, ..ServeOptions::default() };
        let rig = Rig { running: serve(options).unwrap(), certificate };
        assert!(let_in(&rig, with_identity(&rig, &known, &known_key)), "{mode}: a client we know");
        let nobody = rig.certificate.config(&[b"dot"], rustls::ALL_VERSIONS);
        assert_eq!(let_in(&rig, nobody), without, "{mode}: without a certificate");
        let stranger = with_identity(&rig, &unknown, &unknown_key);
        assert_eq!(let_in(&rig, stranger), wrong, "{mode}: somebody else's certificate");
    }
    assert!(tls(&Rig::new(), Scheme::Tls, &[b"dot"]).is_ok());
}

#[test]
fn a_client_whose_certificate_is_its_own_authority_is_let_in_where_it_stands_in_the_file() {
    let own = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["client.test".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        (params.self_signed(&key).unwrap(), key.serialize_pem())
    };
    let ((known, known_key), (unknown, unknown_key)) = (own(), own());
    let certificate = Certificate::new();
    let authority = certificate.folder.path().join("ca.pem");
    fs::write(&authority, known.pem()).unwrap();
    let line =
        format!("{} {} {{\n client_auth require_and_verify\n }}", certificate.line(), authority.display());
    let text = corefile(&certificate, "").replace(&certificate.line(), &line);
    let rig = Rig { running: serve(ServeOptions { text, ..ServeOptions::default() }).unwrap(), certificate };
    assert!(let_in(&rig, with_identity(&rig, &known, &known_key)));
    assert!(!let_in(&rig, with_identity(&rig, &unknown, &unknown_key)));
}

#[test]
fn relative_names_of_certificates_lie_below_root() {
    let certificate = Certificate::new();
    let line = format!("root {}\n tls cert.pem key.pem", certificate.folder.path().display());
    let text = corefile(&certificate, "").replace(&certificate.line(), &line);
    let rig = Rig { running: serve(ServeOptions { text, ..ServeOptions::default() }).unwrap(), certificate };
    rig.serves(Over::Tls);
    rig.serves(Over::Post2);
}
