//! What cannot be served: one clear message, at once, and an exit code.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use crate::process::*;
use tempfile::TempDir;

/// At once, on a machine that has other things to do.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn without_a_corefile_the_demo_is_named() {
    let dir = TempDir::new().unwrap();
    let said = run(dir.path(), &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("no Corefile"), "{}", said.err);
    assert!(said.err.contains("signpost -conf config/demo/Corefile"), "{}", said.err);
}

#[test]
fn a_corefile_that_cannot_be_read_is_named() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("binary"), [0xff, 0xfe, 0x00]).unwrap();
    for (name, why) in [("no-such-file", "No such file"), (".", "directory"), ("binary", "UTF-8")] {
        let said = run(dir.path(), &["-conf", name]);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{name}");
        assert!(said.err.contains(name) && said.err.contains(why), "{name}: {}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{name}: {}", said.err);
    }
}

#[test]
fn a_bad_corefile_is_shown_with_its_place() {
    let folder = Folder::new(
        ".:53 {\n    kubernetes cluster.local {\n        manifests DIR\n        tll 30\n    }\n}\n",
    );
    let said = run(folder.dir.path(), &["-conf", "Corefile"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    let want = "signpost: Corefile:4:9: kubernetes: `tll` is not an option of `kubernetes`\n  |\n\
                4 |         tll 30\n  |         ^^^\n  = hint: did you mean `ttl`?";
    assert_eq!(said.err, want);
}

#[test]
fn a_corefile_that_serves_nothing_is_an_error() {
    let dir = TempDir::new().unwrap();
    for text in ["", "# nothing\n", "(snippet) {\n    whoami\n}\n"] {
        std::fs::write(dir.path().join("Corefile"), text).unwrap();
        let said = run(dir.path(), &[]);
        assert_eq!(said.code, Some(1), "{text:?}: {}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{text:?}: {}", said.err);
    }
}

#[test]
fn a_port_that_is_taken_is_named_at_once() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    let udp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let said = run(folder.dir.path(), &[]);
    drop(udp);
    let want =
        |protocol: &str| format!("signpost: 127.0.0.1:{port} ({protocol}) is in use by another process");
    assert_eq!((said.code, said.err.as_str()), (Some(1), want("udp").as_str()));
    assert!(said.took < AT_ONCE, "{:?}", said.took);

    let tcp = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let said = run(folder.dir.path(), &[]);
    drop(tcp);
    assert_eq!((said.code, said.err.as_str()), (Some(1), want("tcp").as_str()));
    assert!(said.took < AT_ONCE, "{:?}", said.took);
}

#[test]
fn a_second_server_on_the_same_port_does_not_share_it() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    let server = Server::of(&folder, port);
    let said = run(folder.dir.path(), &[]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("in use by another process"), "{}", said.err);
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
}

#[test]
fn a_taken_port_of_a_probe_is_named_at_once() {
    let (port, probe) = (free_port(), free_port());
    let held = TcpListener::bind(("127.0.0.1", probe)).unwrap();
    for word in ["health", "ready"] {
        let folder = Folder::new(&corefile(port, &format!("    {word} 127.0.0.1:{probe}\n")));
        let said = run(folder.dir.path(), &[]);
        assert_eq!(said.code, Some(1));
        assert!(said.err.contains(&format!("127.0.0.1:{probe}")) && said.err.contains(word), "{}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
        assert!(said.took < AT_ONCE, "{:?}", said.took);
    }
    drop(held);
}

#[test]
fn an_address_of_another_machine_is_named() {
    let folder = Folder::new(&corefile(free_port(), "").replace("127.0.0.1", "192.0.2.1"));
    let said = run(folder.dir.path(), &[]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("192.0.2.1") && said.err.contains("not an address of this machine"),
        "{}",
        said.err
    );
}
