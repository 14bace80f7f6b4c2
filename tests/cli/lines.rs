//! Log lines, and a stdout that is closed or stands still.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use crate::process::*;

/// The words of a log line behind `[INFO] `, the quoted part as one: remote, `-`, id, question, code, flags, size, duration.
fn words(line: &str) -> Vec<String> {
    let rest = line.strip_prefix("[INFO] ").unwrap_or_else(|| panic!("{line}"));
    let (front, rest) = rest.split_once(" \"").unwrap_or_else(|| panic!("{line}"));
    let (quoted, back) = rest.split_once("\" ").unwrap_or_else(|| panic!("{line}"));
    let words = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    [words(front), vec![quoted.to_owned()], words(back)].concat()
}

#[test]
fn each_query_has_a_line_of_coredns_form() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, "    log\n"));
    let server = Server::of(&folder, port);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.addr).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let remote = socket.local_addr().unwrap();
    let mut buffer = [0_u8; 2048];
    for (name, qtype, edns, question, code, flags) in [
        (
            "wEb.shop.svc.cluster.local.",
            1,
            None,
            "A IN web.shop.svc.cluster.local. udp 44 false 512",
            "NOERROR",
            "qr,aa,rd",
        ),
        (
            "web.shop.svc.cluster.local.",
            28,
            Some((1232, true)),
            "AAAA IN web.shop.svc.cluster.local. udp 55 true 1232",
            "NOERROR",
            "qr,aa,rd",
        ),
        (
            "no.shop.svc.cluster.local.",
            33,
            Some((4096, false)),
            "SRV IN no.shop.svc.cluster.local. udp 54 false 4096",
            "NXDOMAIN",
            "qr,aa,rd",
        ),
        ("example.org.", 65_280, None, "TYPE65280 IN example.org. udp 29 false 512", "SERVFAIL", "qr,rd"),
    ] {
        let message = query(name, qtype, edns);
        socket.send(&message).unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        let id = u16::from_be_bytes([message[0], message[1]]).to_string();
        let line = server.wait_for_line(question, |line| line.contains(&format!(" - {id} \"")));
        let words = words(&line);
        let [from, dash, got_id, got, got_code, got_flags, size, duration] = &words[..] else {
            panic!("{line}")
        };
        assert_eq!((from, dash.as_str(), got_id), (&remote.to_string(), "-", &id), "{line}");
        assert_eq!((got.as_str(), got_code.as_str(), got_flags.as_str()), (question, code, flags), "{line}");
        assert_eq!(*size, length.to_string(), "{line}");
        let seconds: f64 = duration.strip_suffix('s').expect("a duration in seconds").parse().unwrap();
        assert!((0.0..1.0).contains(&seconds), "{line}");
    }
    let mut stream = TcpStream::connect(server.addr).unwrap();
    let message = query("web.shop.svc.cluster.local.", 1, None);
    stream.write_all(&[&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()).unwrap();
    assert!(stream.read(&mut buffer).unwrap() > 0);
    let line = server.wait_for_line("over TCP", |line| line.contains(" tcp "));
    assert!(
        line.contains("\"A IN web.shop.svc.cluster.local. tcp 44 false 65535\" NOERROR qr,aa,rd 60 "),
        "{line}"
    );
}

#[test]
fn a_query_that_gets_no_reply_has_a_line_too() {
    let port = free_port();
    for (form, expected) in [
        ("", "\"TXT IN no.reply. udp 26 false 512\" - - 0 "),
        (
            " {\n        class error\n        format json\n    }",
            "\"name\":\"no.reply.\",\"size\":26,\"do\":false,\"bufsize\":512,\"rsize\":0,",
        ),
    ] {
        let folder = Folder::new(&corefile(
            port,
            &format!("    log{form}\n    acl {{\n        drop type TXT\n    }}\n"),
        ));
        let server = Server::of(&folder, port);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&query("no.reply.", 16, None), server.addr).unwrap();
        let line = server.wait_for_line("the line", |line| line.contains("no.reply."));
        assert!(line.contains(expected), "{line}");
    }
    // One that passes no class that is told has none.
    let folder = Folder::new(&corefile(
        port,
        "    log {\n        class success\n    }\n    acl {\n        drop type TXT\n    }\n",
    ));
    let server = Server::of(&folder, port);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&query("no.reply.", 16, None), server.addr).unwrap();
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
    server.wait_for_line("the next line", |line| line.contains("web.shop"));
    assert!(server.lines().iter().all(|line| !line.contains("no.reply")), "{:#?}", server.lines());
}

#[test]
fn a_line_of_json_is_json_from_its_first_letter_to_its_last() {
    let port = free_port();
    let rules = "    metadata\n    log {\n        format json kubernetes/service log/type\n    }\n";
    let folder = Folder::new(&corefile(port, rules));
    let server = Server::of(&folder, port);
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
    let line = server.wait_for_line("the line", |line| line.contains("\"NOERROR\",\"rflags\""));
    let read: serde_json::Value =
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(read["name"], "web.shop.svc.cluster.local.", "{line}");
    assert_eq!(read["rcode"], "NOERROR", "{line}");
    assert_eq!(
        read["metadata"],
        serde_json::json!({"kubernetes/service": "web", "log/type": "NOERROR"}),
        "{line}"
    );
}

#[test]
fn a_name_of_odd_bytes_is_one_printable_line() {
    let port = free_port();
    let metadata = "    metadata\n    log . \"{common} service={/kubernetes/service}\"\n";
    let folder = Folder::new(&corefile(port, metadata));
    let server = Server::of(&folder, port);
    let reply = server.exchange(&query("we\\010[ERROR]\\027b\\255.shop.svc.cluster.local.", 1, None));
    assert!(reply.is_some());
    let line = server.wait_for_line("the line", |line| line.contains("NXDOMAIN"));
    assert!(line.contains("we\\010[error]\\027b\\255.shop.svc.cluster.local."), "{line}");
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
    for line in server.lines() {
        assert!(
            !line.to_lowercase().starts_with("[error]"),
            "a client wrote a line of its own (W46): {line:?}"
        );
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn a_line_can_say_which_pod_asked() {
    let port = free_port();
    let format = "{name} pod={/kubernetes/client-namespace}/{/kubernetes/client-pod-name} \
                  team={/kubernetes/client-label/example.org/team} zone={/kubernetes/zone}";
    let folder = Folder::new(&format!(
        ".:{port} {{\n    bind 127.0.0.1\n    metadata\n    log . \"{format}\"\n    kubernetes cluster.local {{\n        \
         manifests DIR\n        pods verified\n        zonal\n    }}\n}}\n"
    ));
    let pod = "{kind: Pod, apiVersion: v1, metadata: {name: asker, namespace: shop, labels: {example.org/team: blue}}, \
               status: {podIP: 127.0.0.1}}\n";
    folder.write("manifests/pod.yaml", pod);
    let server = Server::of(&folder, port);
    assert!(server.exchange(&query("eu.pin._zone.web.shop.svc.cluster.local.", 1, None)).is_some());
    let line = server.wait_for_line("the line", |line| line.contains("_zone.web.shop"));
    assert!(line.ends_with("pod=shop/asker team=blue zone=eu"), "{line}");
}

#[test]
fn classes_and_names_choose_the_lines() {
    let port = free_port();
    let rules = "    log svc.cluster.local {\n        class denial\n    }\n    log example.org {\n        class error\n    }\n";
    let folder = Folder::new(&corefile(port, rules));
    let server = Server::of(&folder, port);
    for name in [
        "web.shop.svc.cluster.local.",
        "no.shop.svc.cluster.local.",
        "example.org.",
        "example.com.",
        "pod.cluster.local.",
    ] {
        assert!(server.exchange(&query(name, 1, None)).is_some());
    }
    server.wait_for_line("the last line", |line| line.contains("example.org."));
    let lines: Vec<String> = server.lines().into_iter().filter(|line| line.contains(" IN ")).collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].contains(" no.shop.svc.cluster.local. ") && lines[1].contains(" example.org. "),
        "{lines:#?}"
    );
}

#[test]
fn a_query_that_nobody_answers_has_a_line_of_errors() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, "    errors\n"));
    let server = Server::of(&folder, port);
    assert_eq!(server.ask("eXample.org."), Some((2, Vec::new())));
    let line = server.wait_for_line("S-17", |line| line.starts_with("[ERROR] "));
    let rest = line.strip_prefix("[ERROR] plugin/errors: 2 ").unwrap_or_else(|| panic!("{line}"));
    let (question, cause) = rest.split_once(": ").unwrap_or_else(|| panic!("{line}"));
    assert!(question.eq_ignore_ascii_case("example.org. A") && !cause.is_empty(), "{line}");
}

#[test]
fn errors_that_are_alike_have_one_line_at_the_end_of_their_period() {
    let port = free_port();
    let options = "    errors {\n        consolidate 300ms \"^no step\" warning show_first\n    }\n";
    let folder = Folder::new(&corefile(port, options));
    let server = Server::of(&folder, port);
    // However long a query takes here: each is either the first of its period or in its sum.
    let (_, ()) = wait("a sum", PATIENCE, || {
        assert_eq!(server.ask("example.org."), Some((2, Vec::new())));
        let is_sum = |line: &String| line.ends_with(" errors like '^no step' occurred in last 300ms");
        server.lines().iter().any(is_sum).then_some(())
    });
    let first = server.wait_for_line("the first", |line| line.contains("plugin/errors"));
    assert_eq!(first, "[WARNING] plugin/errors: 2 example.org. A: no step answered");
}

#[test]
fn patterns_that_were_written_for_coredns_find_what_upstreams_do() {
    let port = free_port();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (silent, closed) = (silent.local_addr().unwrap(), free_port());
    let options = format!(
        "    errors {{\n        consolidate 200ms \".* i/o timeout$\" warning\n        consolidate 200ms \"connection refused$\" warning\n    \
         }}\n    forward silent.test {silent} {{\n        read_timeout 50ms\n        max_connect_attempts 1\n    }}\n    \
         forward closed.test 127.0.0.1:{closed}\n"
    );
    let folder = Folder::new(&corefile(port, &options));
    let server = Server::of(&folder, port);
    for (name, pattern) in [("a.silent.test.", ".* i/o timeout$"), ("a.closed.test.", "connection refused$")]
    {
        assert_eq!(server.ask(name), Some((2, Vec::new())));
        let sum = format!("[WARNING] plugin/errors: 1 errors like '{pattern}' occurred in last 200ms");
        server.wait_for_line(name, |line| line == sum);
    }
    assert!(server.lines().iter().all(|line| !line.starts_with("[ERROR]")), "{:#?}", server.lines());
}

#[test]
fn errors_that_were_counted_are_written_at_a_reload_and_at_the_end() {
    let port = free_port();
    let options = "    errors {\n        consolidate 1h step debug\n    }\n";
    let folder = Folder::new(&corefile(port, &options.replace(" debug", "")));
    let mut server = Server::of(&folder, port);
    assert_eq!(server.ask("example.org."), Some((2, Vec::new())));
    let text = corefile(port, &format!("    debug\n{options}"));
    folder.write("Corefile", &text.replace("DIR", &folder.manifests().to_string_lossy()));
    server.signal(rustix::process::Signal::USR1);
    let line = server.wait_for_line("the sum", |line| line.contains("plugin/errors"));
    assert_eq!(line, "[ERROR] plugin/errors: 1 errors like 'step' occurred in last 1h0m0s");
    server.wait_for_line("the reload", |line| line.contains("was read again"));
    assert_eq!(server.ask("example.org."), Some((2, Vec::new())));
    assert_eq!(server.ask("example.org."), Some((2, Vec::new())));
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.end(PATIENCE).1.code(), Some(0));
    // At level debug, and `debug` is in the block.
    let sum = "[DEBUG] plugin/errors: 2 errors like 'step' occurred in last 1h0m0s";
    server.wait_for_line("the last sum", |line| line == sum);
}

#[test]
fn without_debug_in_a_block_lines_of_that_level_are_not_written() {
    let port = free_port();
    let options = "    errors {\n        consolidate 1h step debug\n    }\n";
    let folder = Folder::new(&corefile(port, options));
    let mut server = Server::of(&folder, port);
    assert_eq!(server.ask("example.org."), Some((2, Vec::new())));
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.end(PATIENCE).1.code(), Some(0));
    let out = server.out.clone();
    wait("the end of stdout", PATIENCE, || (std::sync::Arc::strong_count(&out) == 2).then_some(()));
    assert!(server.lines().iter().all(|line| !line.contains("plugin/errors")), "{:#?}", server.lines());
}

#[test]
fn a_stdout_that_is_closed_stops_nothing() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, "    log\n    errors\n"));
    let mut command = binary();
    command.arg("-conf").arg(folder.path("Corefile")).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let server = Server::of_child(child, port);
    for _ in 0..200 {
        server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
    }
    assert_eq!(server.ask("example.org."), Some((2, Vec::new())));
    let mut server = server;
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.end(PATIENCE).1.code(), Some(0), "P9");
}

#[test]
fn a_stdout_that_nobody_reads_holds_no_query_up() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, "    log\n"));
    let mut command = binary();
    command.arg("-conf").arg(folder.path("Corefile")).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let unread = child.stdout.take();
    let mut server = Server::of_child(child, port);
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.addr).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let message = query("web.shop.svc.cluster.local.", 1, None);
    let mut buffer = [0_u8; 2048];
    // Each line takes some 120 bytes: a pipe of 64 KiB and a queue of some thousand lines are full long before the end.
    for count in 0..15_000 {
        socket.send(&message).unwrap();
        assert!(socket.recv(&mut buffer).is_ok(), "P9: query {count} stands still behind stdout");
    }
    server.signal(rustix::process::Signal::TERM);
    let (took, status) = server.end(PATIENCE);
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(4), "{took:?}");
    drop(unread);
}

#[test]
fn p9_a_full_disk_behind_stdout_stops_nothing() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, "    log\n    errors\n"));
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert!(full().write_all(b"x").is_err(), "nothing fits there");
    let mut command = binary();
    command.arg("-conf").arg(folder.path("Corefile")).stdout(full()).stderr(full());
    let mut server = Server::of_child(command.spawn().unwrap(), port);
    for _ in 0..200 {
        server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
    }
    assert_eq!(server.ask("example.org."), Some((2, Vec::new())), "an error that is told nowhere");
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.end(PATIENCE).1.code(), Some(0));
}
