//! Manifests that change while the server runs.

use std::time::Duration;

use crate::process::*;

/// A second, and what a machine with other things to do may add to it.
const SOON: Duration = Duration::from_millis(2_000);

#[test]
fn what_is_changed_added_or_removed_is_answered_soon() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    let server = Server::of(&folder, port);
    folder.write("manifests/shop.yaml", &shop("10.96.0.2"));
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.2"], SOON);
    folder.write("manifests/more.yaml", &service("db", "10.96.0.3"));
    server.wait_for("db.shop.svc.cluster.local.", &["10.96.0.3"], SOON);
    std::fs::remove_file(folder.path("manifests/more.yaml")).unwrap();
    server.wait_for("db.shop.svc.cluster.local.", &[], SOON);
    std::fs::create_dir(folder.path("manifests/below")).unwrap();
    folder.write("manifests/below/more.yml", &service("db", "10.96.0.4"));
    server.wait_for("db.shop.svc.cluster.local.", &["10.96.0.4"], SOON);
    // A rename puts another file in its place as a whole.
    folder.write("next", &service("db", "10.96.0.5"));
    std::fs::rename(folder.path("next"), folder.path("manifests/below/more.yml")).unwrap();
    server.wait_for("db.shop.svc.cluster.local.", &["10.96.0.5"], SOON);
    std::fs::remove_dir_all(folder.path("manifests/below")).unwrap();
    server.wait_for("db.shop.svc.cluster.local.", &[], SOON);
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.2"], SOON);
}

#[test]
fn a_file_that_breaks_keeps_its_last_good_objects_and_says_so() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    let server = Server::of(&folder, port);
    folder.write("manifests/shop.yaml", "kind: Service\n  metadata: [broken\n");
    let line = server.wait_for_line("a line about it", |line| line.contains("shop.yaml"));
    assert!(line.starts_with("[WARNING] plugin/kubernetes: "), "{line}");
    // Others are still read while this one is broken.
    folder.write("manifests/more.yaml", &service("db", "10.96.0.3"));
    server.wait_for("db.shop.svc.cluster.local.", &["10.96.0.3"], SOON);
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.1"], SOON);
    let told = server.lines().iter().filter(|line| line.contains("shop.yaml")).count();
    assert_eq!(told, 1, "each harm is told once: {:#?}", server.lines());
    folder.write("manifests/shop.yaml", &shop("10.96.0.9"));
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.9"], SOON);
    server.wait_for_line("a line about its health", |line| {
        line.starts_with("[INFO]") && line.contains("shop.yaml")
    });
}

#[test]
fn a_configmap_that_is_swapped_is_answered_soon() {
    let port = free_port();
    let folder = Folder::new(&corefile(port, ""));
    std::fs::remove_file(folder.path("manifests/shop.yaml")).unwrap();
    // As the kubelet mounts it: visible links through `..data`, which is swapped as a whole.
    let version = |name: &str, address: &str| {
        std::fs::create_dir(folder.path(&format!("manifests/{name}"))).unwrap();
        folder.write(&format!("manifests/{name}/shop.yaml"), &shop(address));
        std::os::unix::fs::symlink(name, folder.path("manifests/..data_tmp")).unwrap();
        std::fs::rename(folder.path("manifests/..data_tmp"), folder.path("manifests/..data")).unwrap();
    };
    version("..1", "10.96.0.1");
    std::os::unix::fs::symlink("..data/shop.yaml", folder.path("manifests/shop.yaml")).unwrap();
    let server = Server::of(&folder, port);
    version("..2", "10.96.0.2");
    std::fs::remove_dir_all(folder.path("manifests/..1")).unwrap();
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.2"], SOON);
    server.wait_for("web.shop.svc.cluster.local.", &["10.96.0.2"], SOON);
}
