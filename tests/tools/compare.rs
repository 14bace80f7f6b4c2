//! `signpost compare`.

use crate::process::{Folder, Server, corefile, free_port, service};
use crate::{json, run};

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
    let (out, code) = run(".", &line(&one, &nobody, &["--names", names.to_str().unwrap()]));
    assert_eq!(code, 1, "{out}");
    assert!(out.contains(&nobody), "{out}");
    let (out, code) = run(".", &line(&one, &nobody, &["--names", "/nowhere/names"]));
    assert_eq!(code, 2, "{out}");
}
