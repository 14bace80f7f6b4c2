//! What is written to, as the calls to the kernel of a whole life say: the snapshot, and nothing else.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::api::{FakeApi, namespace, service};
use crate::process::{Server, free_port, wait};

/// How long something may take that is watched by strace.
const PATIENCE: Duration = Duration::from_secs(60);

/// Flags of an `open` that is not for reading alone.
const WRITING: &[&str] = &["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE"];

/// Calls that change something about files.
const CHANGING: &[&str] = &[
    "creat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "truncate",
    "chmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "lchown",
    "fchownat",
    "mknod",
    "mknodat",
    "utime",
    "utimes",
    "utimensat",
    "futimesat",
    "setxattr",
    "lsetxattr",
    "removexattr",
    "lremovexattr",
];

/// Whether a line of strace is a call that writes or changes a file.
fn writes(line: &str) -> bool {
    let call = line.split('(').next().unwrap_or_default();
    let call = call.split_whitespace().last().unwrap_or_default();
    let opens = call.starts_with("open") && WRITING.iter().any(|flag| line.contains(flag));
    opens || CHANGING.contains(&call)
}

/// The paths of such a line.
fn paths(line: &str) -> Vec<&str> {
    line.split('"').skip(1).step_by(2).collect()
}

/// Whether processes can be watched here.
fn is_possible() -> bool {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let possible = tried.is_ok_and(|output| output.status.success());
    if !possible {
        println!("not run: it needs strace, and the right to watch processes");
    }
    possible
}

#[test]
fn nothing_is_written_but_the_snapshot() {
    if !is_possible() {
        return;
    }
    let api = FakeApi::start();
    api.apply_all([namespace("kube-system"), namespace("shop"), service("shop", "web", "10.96.0.1")]);
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["dns.test".to_owned()]).unwrap();
    std::fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(dir.path().join("hosts"), "192.0.2.1 a.test\n").unwrap();
    std::fs::create_dir(dir.path().join("kept")).unwrap();
    let port = free_port();
    let corefile = ".:PORT tls://.:0 https://.:0 quic://.:0 https3://.:0 {
        bind 127.0.0.1
        tls DIR/cert.pem DIR/key.pem
        errors
        log
        debug
        health 127.0.0.1:0
        ready 127.0.0.1:0
        prometheus 127.0.0.1:0
        reload 2s 1s
        loop
        cache
        dnstap DIR/collector full
        hosts DIR/hosts test {
            fallthrough
        }
        kubernetes cluster.local {
            endpoint API
            snapshot DIR/kept/cluster 1s
        }
        forward . 127.0.0.9
    }\n";
    let corefile = corefile
        .replace("DIR", &dir.path().display().to_string())
        .replace("PORT", &port.to_string())
        .replace("API", &api.url());
    std::fs::write(dir.path().join("Corefile"), corefile).unwrap();
    let trace = dir.path().join("trace");
    let mut command = Command::new("strace");
    // Detached, so that signals go to the server itself.
    command.args(["-D", "-f", "-qq", "-e", "trace=%file", "-o"]).arg(&trace);
    command.arg(env!("CARGO_BIN_EXE_signpost")).arg("-conf").arg(dir.path().join("Corefile"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("KUBERNETES_SERVICE_HOST").env_remove("KUBERNETES_SERVICE_PORT");
    let mut server = Server::start(command, port);
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], PATIENCE);
    // Names of each kind, a name that nobody answers, another look at the Corefile, and the last snapshot at the end.
    server.ask("a.test.");
    server.ask("nobody.example.");
    wait("the snapshot", PATIENCE, || dir.path().join("kept/cluster").is_file().then_some(()));
    server.signal(Signal::USR1);
    server.wait_for_line("the look", |line| line.contains("has not changed"));
    server.signal(Signal::TERM);
    assert_eq!(server.end(PATIENCE).1.code(), Some(0));
    let (_, text) = wait("the end of the trace", PATIENCE, || {
        let text = std::fs::read_to_string(&trace).ok()?;
        text.lines().any(|line| line.contains("Corefile")).then_some(text)
    });
    let kept = dir.path().join("kept").display().to_string();
    let written: Vec<&str> = text.lines().filter(|line| writes(line)).collect();
    assert!(
        written.iter().any(|line| line.contains("cluster.new") && line.contains("O_CREAT")),
        "{written:#?}"
    );
    assert!(written.iter().any(|line| line.contains("rename")), "{written:#?}");
    let other: Vec<&&str> =
        written.iter().filter(|line| !paths(line).iter().all(|path| path.starts_with(&kept))).collect();
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn the_reader_of_traces_tells_writing_from_reading() {
    for line in [
        r#"12 openat(AT_FDCWD, "/a", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0600) = 7"#,
        r#"12 openat(AT_FDCWD, "/a", O_RDWR <unfinished ...>"#,
        r#"rename("/a.new", "/a") = 0"#,
        r#"7 unlink("/a") = -1 ENOENT (No such file or directory)"#,
    ] {
        assert!(writes(line), "{line}");
        assert_eq!(paths(line).last(), Some(&"/a"), "{line}");
    }
    for line in [
        r#"12 openat(AT_FDCWD, "/a", O_RDONLY|O_CLOEXEC) = 7"#,
        r#"12 readlink("/a", "b", 4096) = 1"#,
        r#"12 statx(AT_FDCWD, "/a", AT_STATX_SYNC_AS_STAT, STATX_ALL, 0x7) = 0"#,
        r#"12 execve("/bin/signpost", ["signpost"], 0x7) = 0"#,
    ] {
        assert!(!writes(line), "{line}");
    }
}
