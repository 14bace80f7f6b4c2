//! Files that come, go, change and are wrong.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;

/// Writes a fresh certificate and its key into a folder.
fn write(folder: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["dns.test".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

/// What a `tls` line with these two files says.
fn spec(folder: &Path) -> CertificateSpec {
    CertificateSpec {
        certificate: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        authority: None,
        client_auth: ClientAuth::None,
    }
}

#[test]
fn a_change_is_read_once_and_a_bad_one_keeps_what_was() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let certificates = Certificates::open(spec(folder.path())).unwrap();
    let first = certificates.config(Alpn::Dot);
    // Once more after each reading: a change in the same moment leaves no trace.
    assert_eq!([certificates.look(), certificates.look()], [Look::Same, Look::Same]);
    fs::write(folder.path().join("key.pem"), "nonsense").unwrap();
    let Look::Failed(why) = certificates.look() else { panic!("it can't be used") };
    assert!(why.contains("key.pem") && !why.contains("nonsense"), "{why}");
    assert_eq!([certificates.look(), certificates.look()], [Look::Same, Look::Same], "told once");
    fs::remove_file(folder.path().join("cert.pem")).unwrap();
    assert!(matches!(certificates.look(), Look::Failed(why) if why.contains("cert.pem")));
    write(folder.path());
    assert_eq!(certificates.look(), Look::Changed);
    let second = certificates.config(Alpn::Dot);
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(Arc::ptr_eq(&first.ticketer, &second.ticketer), "sessions outlive the certificate");
}

#[test]
fn each_protocol_has_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let certificates = Certificates::open(spec(folder.path())).unwrap();
    let said = |alpn| certificates.config(alpn).alpn_protocols.clone();
    assert_eq!(said(Alpn::Dot), [b"dot".to_vec()]);
    assert_eq!(said(Alpn::Https), [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(said(Alpn::Doq), [b"doq".to_vec()]);
    assert_eq!(said(Alpn::H3), [b"h3".to_vec()]);
    for alpn in Alpn::ALL {
        assert_eq!(certificates.config(alpn).max_early_data_size, 0, "nothing before the handshake is done");
    }
}

#[test]
fn authorities_count_only_where_clients_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let missing = CertificateSpec { authority: Some(folder.path().join("ca.pem")), ..spec(folder.path()) };
    assert!(Certificates::open(missing.clone()).is_ok());
    for client_auth in [ClientAuth::VerifyIfGiven, ClientAuth::RequireAndVerify] {
        let why = Certificates::open(CertificateSpec { client_auth, ..missing.clone() }).unwrap_err();
        assert!(why.contains("ca.pem"), "{why}");
    }
}
