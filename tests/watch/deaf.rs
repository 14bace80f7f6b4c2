//! Whether what a watch was never told is found where the API server is a real one (K-271): a proxy before it keeps events to itself.
//!
//! ```text
//!  the server under test ──HTTP/1.1──► Deaf ──TLS──► kube-apiserver        a watch: what comes back is thrown away while it is deaf
//! ```

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream as Plain};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use signpost::app::{ServeOptions, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;

use crate::api::{namespace, service, slice};
use crate::envtest::{READER, Real, START, kubeconfig};
use crate::harness::{Ask, Client, Via};
use crate::world::{expected, pass, until};

/// How long an audit may take to come round, and to put right what it found: it waits until the watch is past what it has listed,
/// which a bookmark says once a minute where nothing else does.
const ROUND: Duration = Duration::from_secs(100);

/// More Services than an audit lists at a time.
const MANY: u16 = 1200;

/// A proxy before an API server.
struct Deaf {
    /// Where it listens.
    addr: SocketAddr,
    /// Whether it keeps to itself what watches are told.
    deaf: Arc<AtomicBool>,
    /// Bytes that it has kept to itself.
    kept: Arc<AtomicUsize>,
    /// Ends it when dropped.
    _end: oneshot::Sender<()>,
}

impl Deaf {
    /// A proxy before a real API server.
    fn before(real: &Real) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(real.dir.path().join("ca.crt")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let connector =
            TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
        let to: SocketAddr = real.url.trim_start_matches("https://").parse().unwrap();
        let (deaf, kept) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = (deaf.clone(), kept.clone());
        let (end, mut ended) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            runtime.block_on(async move {
                loop {
                    tokio::select! {
                        Ok((stream, _)) = listener.accept() => {
                            tokio::spawn(pass_on(stream, to, connector.clone(), shared.clone()));
                        }
                        _ = &mut ended => return,
                    }
                }
            });
        });
        Self { addr, deaf, kept, _end: end }
    }
}

/// Passes on what goes over a connection.
async fn pass_on(
    stream: TcpStream,
    to: SocketAddr,
    connector: TlsConnector,
    (deaf, kept): (Arc<AtomicBool>, Arc<AtomicUsize>),
) {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let Ok(server) = TcpStream::connect(to).await else { return };
    let Ok(server) = connector.connect(name, server).await else { return };
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_client, mut to_client) = stream.into_split();
    let watches = AtomicBool::new(false);
    let there = async {
        let mut bytes = vec![0; 65_536];
        while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
            // A connection whose watch has ended is used again.
            if bytes.starts_with(b"GET ") {
                watches.store(bytes[..count].windows(6).any(|six| six == b"watch="), Ordering::Relaxed);
            }
            if to_server.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    let back = async {
        let mut bytes = vec![0; 65_536];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            if watches.load(Ordering::Relaxed) && deaf.load(Ordering::Relaxed) {
                kept.fetch_add(count, Ordering::Relaxed);
            } else if to_client.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    // One end that is gone takes the other with it.
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

#[test]
fn envtest_audits_find_what_a_real_api_server_told_nobody() {
    let Some(real) = Real::given() else { return };
    real.grant();
    real.create([
        namespace("shop"),
        service("shop", "web", "10.96.0.21"),
        service("shop", "old", "10.96.0.22"),
    ]);
    real.create([service("shop", "db", "None"), slice("shop", "db-1", "db", &["10.1.0.1=db-0"])]);
    real.create((0..MANY).map(|number| {
        let [high, low] = number.to_be_bytes();
        service("shop", &format!("s{number}"), &format!("10.96.{}.{low}", 128 + high))
    }));
    let deaf = Deaf::before(&real);
    let file = real.dir.path().join("through.kubeconfig");
    let ca = real.dir.path().join("ca.crt").display().to_string();
    std::fs::write(&file, kubeconfig(&format!("http://{}", deaf.addr), &ca, READER)).unwrap();
    let text = format!(
        ".:0 {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n kubernetes cluster.local in-addr.arpa {{\n  startup_timeout 0s\n  \
         audit 1s\n  kubeconfig {}\n }}\n}}\n",
        file.display()
    );
    let running = serve(ServeOptions { text, ..ServeOptions::default() }).unwrap();
    assert!(running.wait_synced(START), "no sync with {}", real.url);
    let counted = |family: &str| -> Vec<String> {
        let mut stream = Plain::connect(running.metrics()[0]).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(family) && !line.ends_with(" 0"));
        lines.map(ToOwned::to_owned).collect()
    };
    let rounds = |resource: &str| -> u64 {
        let begins = format!("signpost_audit_runs_total{{resource=\"{resource}\",result=\"done\"}} ");
        let lines = counted("signpost_audit_runs_total");
        lines.iter().find_map(|line| line.strip_prefix(&begins)).map_or(0, |count| count.parse().unwrap())
    };
    let all = ["services", "endpointslices", "namespaces"];
    // Where nothing was kept back, nothing is found: in as many pages as it takes, by the rights of the manifests.
    let came = until(ROUND, || all.iter().all(|resource| rounds(resource) >= 2));
    assert!(came.is_some(), "{:?}", counted("signpost_audit_runs_total"));
    assert!(counted("signpost_audit_differences_total").is_empty(), "{:?}", counted("signpost_audit"));

    deaf.deaf.store(true, Ordering::Relaxed);
    real.create([service("shop", "new", "10.96.0.23"), namespace("fresh")]);
    real.delete("/api/v1/namespaces/shop/services/old");
    let slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
    real.request("PUT", &format!("{slices}/db-1"), Some(&slice("shop", "db-1", "db", &["10.1.0.5=db-0"])))
        .unwrap();
    // All of it has come, and was kept from the watches.
    let (mut before, mut seen) = (0, 0);
    let quiet = until(ROUND, || {
        pass(Duration::from_millis(300));
        before = std::mem::replace(&mut seen, deaf.kept.load(Ordering::Relaxed));
        seen > 0 && seen == before
    });
    assert!(quiet.is_some(), "the fault did not happen");
    deaf.deaf.store(false, Ordering::Relaxed);
    // What is told from here on says that the watches are past it.
    real.create([
        service("shop", "later", "10.96.0.24"),
        slice("shop", "web-1", "web", &["10.1.0.9"]),
        namespace("later"),
    ]);
    let mut client = Client::new(Via::Udp, running.addresses()[0]);
    for (ask, short) in [
        ("new.shop.svc.Z A", "@ A 10.96.0.23"),
        ("old.shop.svc.Z A", "NX"),
        ("db.shop.svc.Z A", "@ A 10.1.0.5"),
        ("fresh.svc.Z A", "NODATA"),
        ("web.shop.svc.Z A", "@ A 10.96.0.21"),
        ("later.shop.svc.Z A", "@ A 10.96.0.24"),
    ] {
        let want = expected(ask, short);
        let took = until(ROUND, || client.ask(&Ask::parse(ask)) == want);
        let took = took.unwrap_or_else(|| panic!("{ask}\n{:?}", counted("signpost_audit")));
        eprintln!("{ask}: {short} after {took:?}");
    }
    let found = counted("signpost_audit_differences_total");
    let one = |resource: &str, how: &str| {
        format!("signpost_audit_differences_total{{resource=\"{resource}\",difference=\"{how}\"}} 1")
    };
    for line in [
        one("services", "missing"),
        one("services", "surplus"),
        one("endpointslices", "outdated"),
        one("namespaces", "missing"),
    ] {
        assert!(found.contains(&line), "{line} is not in {found:?}");
    }
}
