//! A warm start: names from a snapshot on disk while the API server is away, and what becomes of it (K-273, K-274).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use signpost::time::{Clock, Wall};

use crate::api::{FakeApi, Resource, namespace, service};
use crate::harness::{Ask, Client, Via};
use crate::world::{QUICK, SYNC, Setup, World, shop, until};

/// A name of the shop, and its answer while it comes from a snapshot.
const WEB: &str = "web.shop.svc.Z A +edns";
const STALE: &str = "NOERROR aa\nedns 1232 ede=3\nanswer @ 5 A 10.96.0.1\n";
const FRESH: &str = "NOERROR aa\nedns 1232\nanswer @ 30 A 10.96.0.1\n";

/// A folder for a snapshot.
struct Place {
    /// The folder.
    folder: tempfile::TempDir,
}

impl Place {
    /// An empty one.
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// The file.
    fn file(&self) -> PathBuf {
        self.folder.path().join("cluster.snapshot")
    }

    /// A server that keeps its snapshot here, with more lines in its stanza.
    fn setup(&self, more: &[&str]) -> Setup {
        let line = format!("snapshot {}", self.file().display());
        let options: Vec<&str> = ["ttl 30", &line].into_iter().chain(more.iter().copied()).collect();
        Setup::new(&options).timing(QUICK).word("ready 127.0.0.1:0").word("prometheus 127.0.0.1:0")
    }

    /// The value of a series of the file.
    fn value(&self, world: &World, name: &str, labels: &str) -> Option<f64> {
        let series = format!("{name}{{file=\"{}\"{labels}}}", self.file().display());
        value(world, &series)
    }

    /// How often a snapshot was refused for a reason.
    fn refused(&self, world: &World, reason: &str) -> f64 {
        let labels = format!(",reason=\"{reason}\"");
        self.value(world, "signpost_snapshot_refusals_total", &labels).unwrap()
    }

    /// A world with the shop, whose snapshot was written.
    fn written(&self) -> World {
        let api = FakeApi::start();
        api.apply(namespace("kube-system"));
        api.apply_all(shop());
        let mut world = self.setup(&[]).start_synced(api);
        assert_eq!(world.ask(WEB), FRESH);
        self.waits_for_a_write(&world);
        world
    }

    /// Waits until a snapshot was written.
    fn waits_for_a_write(&self, world: &World) {
        let written = until(SYNC, || {
            self.value(world, "signpost_snapshot_writes_total", "").is_some_and(|writes| writes >= 1.0)
        });
        assert!(written.is_some(), "no snapshot within {SYNC:?}");
        assert!(self.file().is_file());
    }
}

/// The value of a series; `None` where it is not there.
fn value(world: &World, series: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(world.running.metrics()[0]).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|text| text.parse().unwrap())
}

/// Ends a server cleanly; its API server goes on.
fn ended(world: World) -> FakeApi {
    let World { running, api, .. } = world;
    running.stop();
    drop(running);
    api
}

#[test]
fn k273_a_restart_without_the_api_server_answers_from_the_snapshot_and_reconciles_when_it_is_back() {
    let place = Place::new();
    let mut world = place.written();
    let mode = std::fs::metadata(place.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else's business");
    // Written at once after the first lists; what comes now is in the last one, which the end writes.
    world.api.apply(service("shop", "late", "10.96.0.8"));
    let told = until(SYNC, || world.ask("late.shop.svc.Z A") == "NOERROR aa\nanswer @ 30 A 10.96.0.8\n");
    assert!(told.is_some());
    let api = ended(world);
    api.down();
    api.delete(Resource::Services, "shop", "late");
    api.apply(service("shop", "new", "10.96.0.9"));

    let mut world = place.setup(&["stale unready 24h"]).start(api);
    assert_eq!(world.ask(WEB), STALE, "at once");
    assert_eq!(world.ask("late.shop.svc.Z A"), "NOERROR aa\nanswer @ 5 A 10.96.0.8\n");
    assert_eq!(world.ask("arpa:10.96.0.1 PTR"), "NOERROR aa\nanswer @ 5 PTR web.shop.svc.cluster.local.\n");
    assert!(world.ask("new.shop.svc.Z A +edns").starts_with("NXDOMAIN aa\nedns 1232 ede=3\n"));
    assert_eq!(world.ready(), 200);
    assert_eq!(place.value(&world, "signpost_snapshot_loads_total", ""), Some(1.0));
    assert!(place.value(&world, "signpost_snapshot_size_bytes", "") > Some(300.0));
    assert!(place.value(&world, "signpost_snapshot_age_seconds", "") < Some(60.0));
    let services = "signpost_stale{zone=\"cluster.local.\",resource=\"services\"}";
    assert_eq!(value(&world, services), Some(1.0));
    let before = std::fs::read(place.file()).unwrap();

    world.api.up();
    let fresh = until(SYNC, || world.ask(WEB) == FRESH);
    assert!(fresh.is_some(), "{}", world.ask(WEB));
    assert!(world.ask("late.shop.svc.Z A").starts_with("NXDOMAIN"), "it went while nobody looked");
    assert_eq!(world.ask("new.shop.svc.Z A"), "NOERROR aa\nanswer @ 30 A 10.96.0.9\n");
    place.waits_for_a_write(&world);
    assert_ne!(std::fs::read(place.file()).unwrap(), before);
    assert!(!beside(&place.file()).exists(), "nothing is left beside it");
}

/// What is written beside a snapshot.
fn beside(file: &Path) -> PathBuf {
    file.with_extension("snapshot.new")
}

#[test]
fn k273_a_list_that_breaks_off_takes_nothing_away() {
    let place = Place::new();
    let api = ended(place.written());
    api.fault(crate::api::Fault::status(500));
    api.delete(Resource::Services, "shop", "web");
    let mut world = place.setup(&[]).start(api);
    for _ in 0..20 {
        assert_eq!(world.ask(WEB), STALE);
    }
    // Nothing is written while it is not known what is true.
    assert_eq!(place.value(&world, "signpost_snapshot_writes_total", ""), Some(0.0));
    world.api.heal();
    let gone = until(SYNC, || world.ask(WEB).starts_with("NXDOMAIN aa\nedns 1232\n"));
    assert!(gone.is_some(), "{}", world.ask(WEB));
}

#[test]
fn k274_a_snapshot_of_another_cluster_is_dropped_once_the_api_server_says_so() {
    let place = Place::new();
    let api = ended(place.written());
    api.down();
    api.delete(Resource::Namespaces, "", "kube-system");
    api.apply(namespace("kube-system"));
    api.delete(Resource::Services, "shop", "web");
    api.apply(service("shop", "other", "10.96.0.4"));
    let mut world = place.setup(&[]).start(api);
    assert_eq!(world.ask(WEB), STALE, "nobody can say yet that it is another cluster's");
    world.api.up();
    let dropped = until(SYNC, || world.ask(WEB).starts_with("NXDOMAIN aa\nedns 1232\n"));
    assert!(dropped.is_some(), "{}", world.ask(WEB));
    assert_eq!(place.refused(&world, "foreign"), 1.0);
    assert_eq!(world.ask("other.shop.svc.Z A"), "NOERROR aa\nanswer @ 30 A 10.96.0.4\n");
    // The next one is this cluster's.
    place.waits_for_a_write(&world);
    let api = ended(world);
    api.down();
    let mut world = place.setup(&[]).start(api);
    assert_eq!(world.ask("other.shop.svc.Z A"), "NOERROR aa\nanswer @ 5 A 10.96.0.4\n");
}

#[test]
fn k274_what_was_written_under_other_options_is_refused() {
    let place = Place::new();
    let mut api = ended(place.written());
    api.down();
    for more in [&["labels app=web"][..], &["zonal"], &["pods verified"], &["noendpoints"]] {
        let mut world = place.setup(more).start(api);
        assert!(world.ask(WEB).starts_with("SERVFAIL"), "{more:?}: {}", world.ask(WEB));
        assert_eq!(world.ready(), 503, "{more:?}");
        assert_eq!(place.refused(&world, "options"), 1.0, "{more:?}");
        api = ended(world);
    }
    // Options that only say how names are shown are no others.
    let mut world = place.setup(&["namespaces shop", "pod_hostnames", "audit off"]).start(api);
    assert_eq!(world.ask(WEB), STALE);
}

#[test]
fn k274_a_changed_file_is_refused_and_written_anew_once_the_lists_are_complete() {
    let place = Place::new();
    let api = ended(place.written());
    let mut bytes = std::fs::read(place.file()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(place.file(), &bytes).unwrap();
    api.down();
    let mut world = place.setup(&[]).start(api);
    assert!(world.ask(WEB).starts_with("SERVFAIL"));
    assert_eq!(place.refused(&world, "corrupt"), 1.0);
    world.api.up();
    world.synced(SYNC);
    place.waits_for_a_write(&world);
    let api = ended(world);
    api.down();
    // A file of a later version.
    let good = std::fs::read(place.file()).unwrap();
    let mut newer = good.clone();
    newer[17] += 1;
    std::fs::write(place.file(), &newer).unwrap();
    let world = place.setup(&[]).start(api);
    assert_eq!(place.refused(&world, "version"), 1.0);
    let api = ended(world);
    // And no file at all.
    std::fs::remove_file(place.file()).unwrap();
    std::fs::create_dir(place.file()).unwrap();
    let world = place.setup(&[]).start(api);
    assert_eq!(place.refused(&world, "unreadable"), 1.0);
    let api = ended(world);
    std::fs::remove_dir(place.file()).unwrap();
    std::fs::write(place.file(), &good).unwrap();
    let mut world = place.setup(&[]).start(api);
    assert_eq!(world.ask(WEB), STALE);
}

#[test]
fn k274_a_snapshot_is_refused_once_it_is_older_than_it_may_be() {
    let place = Place::new();
    let api = ended(place.written());
    api.down();
    let at = |hours: u64| Clock::manual(Wall(Clock::system().wall().0 + hours * 3600));
    let line = format!("snapshot {} 30s 48h", place.file().display());
    let world = place.setup(&[]).clock(at(25)).start(api);
    assert_eq!(place.refused(&world, "old"), 1.0);
    let api = ended(world);
    // A longer time may be named; one from the future is young.
    let mut world = place.setup(&[&line]).clock(at(25)).start(api);
    assert_eq!(world.ask(WEB), STALE);
    let api = ended(world);
    let mut world = place.setup(&[]).clock(Clock::manual(Wall(1000))).start(api);
    assert_eq!(world.ask(WEB), STALE);
}

/// The first line of the binary that has this in it, on a place's snapshot.
fn told(place: &Place, api: &FakeApi, what: &str) -> String {
    let corefile = place.folder.path().join("Corefile");
    std::fs::write(&corefile, place.setup(&[]).corefile(api)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_signpost"));
    command.arg("-conf").arg(&corefile).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBERNETES_SERVICE_PORT");
    let mut binary = Binary(command.spawn().unwrap());
    let out = binary.0.stdout.take().unwrap();
    let (tell, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
    });
    let mut said = Vec::new();
    while let Ok(line) = lines.recv_timeout(SYNC) {
        if line.contains(what) {
            return line;
        }
        said.push(line);
    }
    panic!("no `{what}` in {said:#?}");
}

#[test]
fn k274_the_log_says_in_one_line_why_a_snapshot_is_refused() {
    let place = Place::new();
    let api = ended(place.written());
    api.down();
    let good = std::fs::read(place.file()).unwrap();
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] = bytes[at].wrapping_add(1);
        bytes
    };
    for (bytes, reason) in [
        (changed(good.len() / 2), "corrupt"),
        (good[..good.len() / 2].to_vec(), "corrupt"),
        (b"no snapshot at all".to_vec(), "corrupt"),
        (changed(17), "version"),
    ] {
        std::fs::write(place.file(), bytes).unwrap();
        let line = told(&place, &api, " is refused (");
        let begins = format!(
            "[WARNING] plugin/kubernetes: the snapshot {} is refused ({reason}): ",
            place.file().display()
        );
        assert!(
            line.starts_with(&begins) && line.ends_with("written anew once its lists are complete"),
            "{line}"
        );
    }
}

#[test]
fn k273_a_folder_that_cannot_be_written_to_keeps_nobody_from_serving() {
    let place = Place::new();
    let api = FakeApi::start();
    api.apply_all(shop());
    let line = format!("snapshot {}/not/there/cluster.snapshot 1s", place.folder.path().display());
    let options = ["ttl 30", &line];
    let mut world = Setup::new(&options)
        .timing(QUICK)
        .word("prometheus 127.0.0.1:0")
        .word("ready 127.0.0.1:0")
        .start_synced(api);
    let file = place.folder.path().join("not/there/cluster.snapshot");
    let failures = format!("signpost_snapshot_failures_total{{file=\"{}\"}}", file.display());
    let failed = until(SYNC, || value(&world, &failures).is_some_and(|failures| failures >= 1.0));
    assert!(failed.is_some());
    assert_eq!(world.ask(WEB), FRESH);
    assert_eq!(world.ready(), 200);
    // The folder appears, and all is well.
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    assert!(until(SYNC, || file.is_file()).is_some(), "it is tried again");
}

#[test]
#[ignore = "figures for docs/warm-start.md; run it alone (#8)"]
fn figures_of_ten_thousand_services_and_fifty_thousand_endpoints() {
    let place = Place::new();
    let api = FakeApi::start();
    api.apply(namespace("kube-system"));
    api.apply_all(shop());
    for number in 0..10_000_u32 {
        let [_, high, middle, low] = number.to_be_bytes();
        let name = format!("service-{number}");
        api.apply(service("shop", &name, &format!("10.{}.{middle}.{low}", 100 + high)));
        let endpoints: Vec<String> = (0..5).map(|at| format!("10.{}.{middle}.{low}", 10 + at)).collect();
        let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
        api.apply(crate::api::slice("shop", &format!("{name}-x"), &name, &endpoints));
    }
    let mut out = std::io::stderr().lock();
    let clock = Clock::system();
    let world = place.setup(&[]).start(api);
    assert!(world.running.wait_synced(Duration::from_secs(120)));
    place.waits_for_a_write(&world);
    world.api.apply(service("shop", "one-more", "10.99.0.1"));
    assert!(until(SYNC, || world.running.sources()[0].1.services >= 10_003).is_some());
    let before = clock.now();
    let api = ended(world);
    writeln!(out, "stop, with a last write: {:?}", clock.now().since(before)).unwrap();
    writeln!(out, "file: {} bytes", std::fs::metadata(place.file()).unwrap().len()).unwrap();
    let bytes = std::fs::read(place.file()).unwrap();
    let before = clock.now();
    let decoded = signpost::store::snapshot::decode(&bytes).unwrap();
    writeln!(out, "checked: {:?}", clock.now().since(before)).unwrap();
    let (store, mut writer) = signpost::store::Store::new(decoded.about.wanted, clock.clone());
    let before = clock.now();
    writer.restore(&decoded, "file").unwrap();
    writeln!(out, "taken in: {:?}", clock.now().since(before)).unwrap();
    let before = clock.now();
    let about = signpost::store::snapshot::About::new(String::new(), String::new(), 0);
    let mut again = Vec::new();
    signpost::store::snapshot::write(&store, about, &mut again).unwrap();
    writeln!(out, "made: {:?}", clock.now().since(before)).unwrap();
    api.down();
    let (binary, took) = started(&place, &api);
    let status = |binary: &Binary| {
        let text = std::fs::read_to_string(format!("/proc/{}/status", binary.0.id())).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS"));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
    };
    writeln!(out, "binary: first answer after {took:?}; {}", status(&binary.0)).unwrap();
    let file = std::fs::metadata(place.file()).unwrap().modified().unwrap();
    api.up();
    let written = until(Duration::from_secs(60), || {
        std::fs::metadata(place.file()).unwrap().modified().unwrap() != file
    });
    writeln!(out, "reconciled and written after {written:?}; {}", status(&binary.0)).unwrap();
}

/// A binary that runs; killed when it is dropped.
struct Binary(Child);

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn k273_the_binary_answers_from_a_snapshot_while_the_api_server_is_away() {
    let place = Place::new();
    let api = ended(place.written());
    api.down();
    let ((_binary, mut client), took) = started(&place, &api);
    // Measured, not judged: the machine has other work too.
    writeln!(std::io::stderr().lock(), "first answer {took:?} after the process was started").unwrap();
    assert_eq!(client.ask(&Ask::parse(WEB)), STALE);
}

/// The binary with a snapshot at a place, a client of it, and how long its first answer took.
fn started(place: &Place, api: &FakeApi) -> ((Binary, Client), Duration) {
    let port = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            break port;
        }
    };
    let text = place.setup(&[]).corefile(api).replace(".:0 {", &format!(".:{port} {{"));
    let corefile = place.folder.path().join("Corefile");
    std::fs::write(&corefile, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_signpost"));
    command.arg("-conf").arg(&corefile).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBERNETES_SERVICE_PORT");
    let clock = Clock::system();
    let start = clock.now();
    let binary = Binary(command.spawn().unwrap());
    // Not connected: until the server listens, the network's refusals are none of its business.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let message = Ask::parse(WEB).bytes(7);
    let mut took = None;
    let answered = until(SYNC, || {
        socket.send_to(&message, ("127.0.0.1", port)).unwrap();
        let answered = socket.recv(&mut [0; 2048]).is_ok();
        took = answered.then(|| clock.now().since(start));
        answered
    });
    assert!(answered.is_some(), "no answer within {SYNC:?}");
    // The replies to what was asked in between are left behind with the socket.
    ((binary, Client::new(Via::Udp, ([127, 0, 0, 1], port).into())), took.unwrap())
}
