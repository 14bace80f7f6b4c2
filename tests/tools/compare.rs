//! `signpost compare`.

use crate::process::{Folder, Server, binary, corefile, free_port, service};
use crate::{fault, json, run};

/// Two servers of the same shop, the second with another Service if `other` says.
fn servers(other: bool) -> ((Server, Folder), (Server, Folder)) {
    let start = |more: bool| {
        let port = free_port();
        let folder = Folder::new(&corefile(port, ""));
        if more {
            folder.write("manifests/cart.yaml", &service("cart", "10.96.0.2"));
        }
        (Server::of(&folder, port), folder)
    };
    (start(false), start(other))
}

/// The command line for both.
fn line<'a>(one: &'a str, two: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["compare", "--server", one, "--against", two];
    args.extend(more);
    args
}

#[test]
fn equal_servers_do_not_differ() {
    let ((one, folder), (two, _keep)) = servers(false);
    let (one, two) = (one.addr.to_string(), two.addr.to_string());
    let dir = folder.manifests();
    let (out, code) = run(".", &line(&one, &two, &["--from-manifests", dir.to_str().unwrap()]));
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("no reply differs"), "{out}");
}

#[test]
fn what_differs_is_named_with_both_sides_and_ends_with_4() {
    let ((one, _keep), (two, folder)) = servers(true);
    let (one, two) = (one.addr.to_string(), two.addr.to_string());
    folder.write("names", "cart.shop.svc.cluster.local A\nweb.shop.svc.cluster.local\n# nothing\n");
    let names = folder.path("names");
    let args = line(&one, &two, &["--format", "json", "--names", names.to_str().unwrap()]);
    let (report, code) = json(".", &args);
    assert_eq!(code, 4, "{report}");
    assert_eq!((&report["questions"], &report["different"]), (&3.into(), &1.into()), "{report}");
    let found = &report["differences"][0];
    assert_eq!(found["name"], "cart.shop.svc.cluster.local.");
    assert_eq!(
        (&found["differences"][0]["ours"], &found["differences"][0]["theirs"]),
        (&"NXDOMAIN".into(), &"NOERROR".into())
    );
    assert_eq!(found["differences"][1]["theirs"], "cart.shop.svc.cluster.local. A 10.96.0.2");
    // From the other side, all that the manifests give rise to.
    let dir = folder.manifests();
    let (out, code) = run(".", &line(&two, &one, &["--from-manifests", dir.to_str().unwrap()]));
    assert_eq!(code, 4);
    assert!(
        out.contains("_http._tcp.cart.shop.svc.cluster.local. SRV")
            && out.contains("2.0.96.10.in-addr.arpa. PTR"),
        "{out}"
    );
}

#[test]
fn a_server_that_does_not_answer_ends_with_1_and_a_missing_file_with_2() {
    let ((one, folder), _two) = servers(false);
    let one = one.addr.to_string();
    folder.write("names", "web.shop.svc.cluster.local A\n");
    let names = folder.path("names");
    let nobody = format!("127.0.0.1:{}", free_port());
    let (err, code) = fault(".", &line(&one, &nobody, &["--names", names.to_str().unwrap()]));
    assert_eq!(code, 1, "{err}");
    assert!(err.contains(&nobody), "{err}");
    let (err, code) = fault(".", &line(&one, &nobody, &["--names", "/nowhere/names"]));
    assert!(code == 2 && err.contains("reading /nowhere/names"), "{err}");
    let (err, code) = fault(".", &line(&one, "somewhere", &["--names", names.to_str().unwrap()]));
    assert!(code == 2 && err.contains("`somewhere` is no IP:PORT"), "{err}");
}

/// Runs the binary with this stdin; its stdout, its stderr, its exit code.
fn piped(args: &[&str], stdin: &str) -> (String, String, i32) {
    use std::io::Write as _;
    let mut command = binary();
    command.stdin(std::process::Stdio::piped()).args(args);
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[test]
fn names_and_manifests_may_come_from_stdin() {
    // As `kubectl get … -o yaml | kubectl exec -i … -- /signpost compare` does: a pod has no folder to put them.
    let ((one, folder), (two, _keep)) = servers(true);
    let (one, two) = (one.addr.to_string(), two.addr.to_string());
    let shop = std::fs::read_to_string(folder.path("manifests/shop.yaml")).unwrap();
    let dir = folder.manifests();
    let of_folder = line(&one, &two, &["--from-manifests", dir.to_str().unwrap()]);
    let (expected, code) = run(".", &of_folder);
    assert_eq!(code, 0, "{expected}");
    let (out, err, code) = piped(&line(&one, &two, &["--from-manifests", "-"]), &shop);
    assert_eq!((code, err.as_str(), out.trim_end()), (0, "", expected.trim_end()));
    let names = "cart.shop.svc.cluster.local A\n";
    let (out, err, code) = piped(&line(&one, &two, &["--names", "-"]), names);
    assert!(code == 4 && err.is_empty() && out.starts_with("cart.shop.svc.cluster.local. A\n"), "{out}{err}");
    let (_, err, code) = piped(&line(&one, &two, &["--names", "-", "--from-manifests", "-"]), "");
    assert!(code == 2 && err.contains("cannot both be stdin"), "{err}");
    // What can't be read is not asked for, and that is said.
    let (out, _, code) =
        piped(&line(&one, &two, &["--from-manifests", "-"]), &format!("{shop}---\nkind: [Service\n"));
    assert!(code == 0 && out.contains("not asked for: stdin:"), "{out}");
}
