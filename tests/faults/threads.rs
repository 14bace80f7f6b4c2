//! The process's own threads: workers, HTTP, signals, log lines, reloads, and those that look at files.

use rustix::process::Signal;

use crate::encrypted::Certificate;
use crate::process::{fetch, free_port, shop, wait};
use crate::rig::{PATIENCE, Rig, folder};

#[test]
fn p11_workers_that_panic_read_their_sockets_again() {
    // One each, as they begin: what is asked meanwhile waits in the sockets.
    let corefile = ".:PORT {\n bind 127.0.0.1\n METRICS\n hosts {\n 10.0.0.1 a.test\n }\n}\n";
    let mut rig = Rig::start(folder(), corefile, "worker:1,worker:3");
    rig.panicked("worker", 1);
    for _ in 0..20 {
        rig.answers("a.test.", "10.0.0.1");
    }
}

#[test]
fn p11_http_that_panics_serves_the_next_who_come() {
    let (health, ready) = (free_port(), free_port());
    let corefile = format!(
        ".:PORT {{\n bind 127.0.0.1\n METRICS\n health 127.0.0.1:{health}\n ready 127.0.0.1:{ready}\n hosts {{\n 10.0.0.1 a.test\n }}\n}}\n"
    );
    // Three endpoints of two turns each, and then a turn for each look at a connection.
    let orders = "admin:1,health:1,health:3,http:2,http:5,http:9,http:14,http:20";
    let mut rig = Rig::start(folder(), &corefile, orders);
    rig.answers("a.test.", "10.0.0.1");
    wait("a sign of life", PATIENCE, || (fetch(health, "/health")?.0 == 200).then_some(()));
    wait("readiness", PATIENCE, || (fetch(ready, "/ready")?.0 == 200).then_some(()));
    rig.panicked("admin", 1);
    rig.panicked("health", 2);
    rig.panicked("http", 5);
    // All of them are used up: nobody is turned away any more.
    for _ in 0..5 {
        assert_eq!(fetch(health, "/health"), Some((200, "OK".to_owned())));
        assert_eq!(fetch(ready, "/ready"), Some((200, "OK".to_owned())));
    }
    rig.answers("a.test.", "10.0.0.1");
}

#[test]
fn p11_the_thread_of_signals_panics_and_still_takes_them() {
    let corefile = ".:PORT {\n bind 127.0.0.1\n METRICS\n hosts {\n 10.0.0.1 a.test\n }\n}\n";
    // As it begins, and behind the first signal that it took.
    let mut rig = Rig::start(folder(), corefile, "signals:1,signals:3");
    rig.answers("a.test.", "10.0.0.1");
    rig.server.signal(Signal::HUP);
    rig.panicked("signals", 2);
    rig.server.signal(Signal::USR1);
    rig.says("Corefile has not changed");
    rig.answers("a.test.", "10.0.0.1");
    rig.server.signal(Signal::TERM);
    assert_eq!(rig.server.end(PATIENCE).1.code(), Some(0));
}

#[test]
fn p11_the_writer_of_log_lines_panics_and_no_line_is_lost() {
    let corefile = ".:PORT {\n bind 127.0.0.1\n METRICS\n log\n hosts {\n 10.0.0.1 a.test\n }\n}\n";
    let mut rig = Rig::start(folder(), corefile, "log:1,log:3,log:5");
    rig.answers("a.test.", "10.0.0.1");
    rig.panicked("log", 3);
    for number in 0..20 {
        assert!(rig.server.ask(&format!("line-{number}.test.")).is_some());
    }
    for number in 0..20 {
        rig.says(&format!("A IN line-{number}.test. udp"));
    }
    // Nor was anything lost before: the lines of the start are there, each once.
    let lines = rig.server.lines();
    assert_eq!(lines.iter().filter(|line| line.starts_with("signpost-")).count(), 1, "{lines:?}");
    assert_eq!(rig.value("signpost_log_dropped_total"), Some(0));
}

#[test]
fn p11_looks_at_files_that_panic_are_followed_by_others() {
    let files = folder();
    let certificate = Certificate::new();
    std::fs::create_dir(files.path().join("manifests")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(files.path().join(name), text).unwrap();
    write("manifests/shop.yaml", &shop("10.96.0.1"));
    write("hosts", "10.0.0.1 a.test\n");
    write("weights", "w.test\n10.0.0.1 2\n");
    let zone = |serial: u32, address: &str| {
        format!("@ 60 IN SOA ns hostmaster {serial} 7200 600 86400 60\n@ 60 IN NS ns\nns 60 IN A {address}\n")
    };
    write("db", &zone(1, "192.0.2.1"));
    let tls = free_port();
    let corefile = format!(
        ".:PORT tls://.:{tls} {{\n bind 127.0.0.1\n METRICS\n reload 2s 1s\n {}\n loadbalance weighted DIR/weights {{\n reload 1s\n }}\n \
         kubernetes cluster.local {{\n manifests DIR/manifests\n }}\n file DIR/db zone.test {{\n reload 1s\n }}\n \
         hosts DIR/hosts test {{\n reload 1s\n fallthrough\n }}\n}}\n",
        certificate.line()
    );
    let orders = "manifests:2,hosts:1,zones:1,weights:1,certificates:1,reload:1,reload:2";
    let mut rig = Rig::start(files, &corefile, orders);
    for task in ["manifests", "hosts", "zones", "weights", "certificates"] {
        rig.panicked(task, 1);
    }
    rig.panicked("reload", 2);
    let write = |name: &str, text: &str| std::fs::write(rig.path(name), text).unwrap();
    write("manifests/shop.yaml", &shop("10.96.0.20"));
    write("hosts", "10.0.0.20 a.test\n");
    write("db", &zone(2, "192.0.2.20"));
    rig.answers("web.shop.svc.cluster.local.", "10.96.0.20");
    rig.answers("a.test.", "10.0.0.20");
    rig.answers("ns.zone.test.", "192.0.2.20");
    let text = std::fs::read_to_string(rig.path("Corefile")).unwrap();
    write("Corefile", &text.replace(" reload 2s", " errors\n reload 2s"));
    rig.says("Running configuration: ");
    rig.answers("a.test.", "10.0.0.20");
}
