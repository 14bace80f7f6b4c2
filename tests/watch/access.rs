//! How the API server is reached and who we are: TLS, client certificates, tokens, kubeconfig, missing rights (A7, A12, A13).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use signpost::app::{ServeOptions, serve};
use tempfile::TempDir;

use crate::api::{Call, FakeApi, Fault, Resource, Speaks, StartOptions, service, slice};
use crate::world::{QUICK, SOON, SYNC, Setup, Steady, World, pass, shop, until};

/// The bar for coming back after a rotation.
const RESUME: Duration = Duration::from_secs(5);

/// HTTPS.
const TLS: StartOptions =
    StartOptions { tls: true, client_certificates: false, down: false, speaks: Speaks::Both };

/// HTTPS that wants a client's certificate.
const MUTUAL: StartOptions =
    StartOptions { tls: true, client_certificates: true, down: false, speaks: Speaks::Both };

/// Files in a folder that goes with it.
struct Files {
    /// The folder.
    folder: TempDir,
}

impl Files {
    /// None yet.
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Where a file is.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file as the kubelet does: beside, then moved over the old one.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let beside = self.path(&format!("..{name}.new"));
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &path).unwrap();
        path
    }

    /// Writes what `tls` needs and returns its line.
    fn tls_line(&self, api: &FakeApi) -> String {
        let pair = api.client_pair();
        let certificate = self.write("client.crt", &pair.certificate_pem());
        let key = self.write("client.key", &pair.key_pem());
        let ca = self.write("ca.crt", &api.ca_pem());
        format!("tls {} {} {}", certificate.display(), key.display(), ca.display())
    }
}

/// A kubeconfig with one context `here`, and one `elsewhere` that leads nowhere.
fn kubeconfig(api: &FakeApi, ca: Option<&Path>, user: &str, current: &str) -> String {
    let ca = ca.map_or(String::new(), |ca| format!("    certificate-authority: {}\n", ca.display()));
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {current}\n\
         clusters:\n- name: fake\n  cluster:\n    server: {}\n{ca}\
         - name: nowhere\n  cluster:\n    server: https://127.0.0.1:9\n\
         users:\n- name: us\n  user:\n    {user}\n\
         contexts:\n- name: here\n  context: {{cluster: fake, user: us}}\n\
         - name: elsewhere\n  context: {{cluster: nowhere, user: us}}\n",
        api.url()
    )
}

/// A change is answered soon enough after a rotation.
fn resumes(world: &mut World, address: &str) {
    world.api.apply(service("shop", "new", address));
    world.eventually("new.shop.svc.Z A", &format!("@ A {address}"), RESUME);
}

#[test]
fn https_with_a_client_certificate() {
    let api = FakeApi::start_with(MUTUAL);
    api.apply_all(shop());
    let files = Files::new();
    let line = files.tls_line(&api);
    let mut world = Setup::new(&[&line]).start_synced(api);
    world.shop_is_served();
    resumes(&mut world, "10.96.0.7");
}

#[test]
fn a_server_of_another_authority_is_not_believed() {
    let api = FakeApi::start_with(TLS);
    api.apply_all(shop());
    let files = Files::new();
    let line = files.tls_line(&api);
    api.rotate_ca();
    let mut world = Setup::new(&[&line]).start(api);
    assert!(until(SYNC, || world.api.accepted() >= 2).is_some());
    pass(Duration::from_millis(500));
    assert!(world.api.requests().is_empty(), "something was asked of a server that cannot be trusted");
    world.now("web.shop.svc.Z A", "UNSYNCED");
}

#[test]
fn a13_a_new_authority_is_read_from_its_file() {
    let api = FakeApi::start_with(MUTUAL);
    api.apply_all(shop());
    let files = Files::new();
    let line = files.tls_line(&api);
    let mut world = Setup::new(&[&line]).start_synced(api);
    let steady = Steady::shop(&world);
    world.api.rotate_ca();
    pass(Duration::from_millis(300));
    files.tls_line(&world.api);
    resumes(&mut world, "10.96.0.7");
    steady.finish();
}

#[test]
fn a13_files_that_are_gone_for_a_moment_harm_nobody() {
    let api = FakeApi::start_with(MUTUAL);
    api.apply_all(shop());
    let files = Files::new();
    let line = files.tls_line(&api);
    let mut world = Setup::new(&[&line]).start_synced(api);
    let steady = Steady::shop(&world);
    for name in ["client.crt", "client.key", "ca.crt"] {
        fs::write(files.path(name), "").unwrap();
    }
    world.api.cut();
    pass(Duration::from_millis(700));
    for name in ["client.crt", "client.key", "ca.crt"] {
        fs::remove_file(files.path(name)).unwrap();
    }
    world.api.cut();
    pass(Duration::from_millis(700));
    files.tls_line(&world.api);
    resumes(&mut world, "10.96.0.7");
    steady.finish();
}

#[test]
fn a13_an_api_server_that_moves_behind_its_name_is_found() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let port = api.url().rsplit(':').next().unwrap().to_owned();
    let line = format!("endpoint http://localhost:{port}");
    let mut world = Setup::new(&[&line]).start_synced(api);
    world.shop_is_served();
    world.api.cut();
    resumes(&mut world, "10.96.0.7");
}

#[test]
fn a_kubeconfig_names_server_authority_and_token() {
    let api = FakeApi::start_with(TLS);
    api.apply_all(shop());
    api.require_token(Some("first"));
    let files = Files::new();
    let ca = files.write("ca.crt", &api.ca_pem());
    let config = files.write("config", &kubeconfig(&api, Some(&ca), "token: first", "here"));
    let line = format!("kubeconfig {}", config.display());
    let mut world = Setup::new(&[&line]).start_synced(api);
    world.shop_is_served();
    assert!(world.api.requests().iter().all(|one| one.token.as_deref() == Some("first")));
}

#[test]
fn a_context_that_is_named_wins_over_the_current_one() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let files = Files::new();
    let config = files.write("config", &kubeconfig(&api, None, "token: x", "elsewhere"));
    let line = format!("kubeconfig {} here", config.display());
    Setup::new(&[&line]).start_synced(api).shop_is_served();
}

#[test]
fn a12_a_rotated_token_is_read_from_its_file() {
    let api = FakeApi::start_with(TLS);
    api.apply_all(shop());
    api.require_token(Some("first"));
    let files = Files::new();
    let ca = files.write("ca.crt", &api.ca_pem());
    let token = files.write("token", "first");
    let user = format!("tokenFile: {}", token.display());
    let config = files.write("config", &kubeconfig(&api, Some(&ca), &user, "here"));
    let line = format!("kubeconfig {}", config.display());
    let mut world = Setup::new(&[&line]).start_synced(api);
    let steady = Steady::shop(&world);
    files.write("token", "second");
    world.api.require_token(Some("second"));
    world.api.cut();
    resumes(&mut world, "10.96.0.7");
    assert!(world.api.requests().iter().any(|one| one.token.as_deref() == Some("second")));
    steady.finish();
}

#[test]
fn a12_a_token_file_that_ends_in_a_new_line_is_a_token() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.require_token(Some("first"));
    let files = Files::new();
    let token = files.write("token", "first\n");
    let user = format!("tokenFile: {}", token.display());
    let config = files.write("config", &kubeconfig(&api, None, &user, "here"));
    let line = format!("kubeconfig {}", config.display());
    Setup::new(&[&line]).start_synced(api).shop_is_served();
}

#[test]
fn a12_a_token_file_that_cannot_be_read_keeps_the_last_token() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.require_token(Some("first"));
    let files = Files::new();
    let token = files.write("token", "first");
    let user = format!("tokenFile: {}", token.display());
    let config = files.write("config", &kubeconfig(&api, None, &user, "here"));
    let line = format!("kubeconfig {}", config.display());
    let mut world = Setup::new(&[&line]).start_synced(api);
    fs::remove_file(&token).unwrap();
    world.api.cut();
    resumes(&mut world, "10.96.0.7");
}

#[test]
fn a12_a_token_that_is_refused_for_a_while_is_tried_again() {
    let api = FakeApi::start();
    api.apply_all(shop());
    api.require_token(Some("first"));
    let files = Files::new();
    let token = files.write("token", "first");
    let user = format!("tokenFile: {}", token.display());
    let config = files.write("config", &kubeconfig(&api, None, &user, "here"));
    let line = format!("kubeconfig {}", config.display());
    let mut world = Setup::new(&[&line]).start_synced(api);
    let steady = Steady::shop(&world);
    // The API server knows the new token before the kubelet wrote it.
    world.api.require_token(Some("second"));
    world.api.cut();
    pass(Duration::from_millis(1500));
    files.write("token", "second");
    resumes(&mut world, "10.96.0.7");
    steady.finish();
}

#[test]
fn a7_one_forbidden_resource_keeps_nobody_else_waiting() {
    let mut world = World::shop_with(Setup::default().word("ready 127.0.0.1:0"));
    let steady = Steady::shop(&world);
    let forbidden = world.api.fault(Fault::status(403).on(Resource::EndpointSlices));
    world.api.cut();
    world.api.apply(slice("shop", "db-2", "db2", &["10.1.0.3=db-2"]));
    world.api.apply(service("shop", "db2", "None"));
    for at in 1..=10 {
        world.api.apply(service("shop", "new", &format!("10.96.1.{at}")));
        world.eventually("new.shop.svc.Z A", &format!("@ A 10.96.1.{at}"), SOON);
        pass(Duration::from_millis(200));
    }
    assert!(world.api.happened(forbidden) > 2);
    assert_eq!(world.ready(), 200);
    world.now("db2.shop.svc.Z A", "NX");
    world.api.heal();
    world.eventually("db2.shop.svc.Z A", "@ A 10.1.0.3", RESUME + SOON);
    steady.finish();
}

#[test]
fn a7_one_resource_in_trouble_at_the_start_is_fetched_when_it_can_be() {
    for resource in [Resource::Services, Resource::EndpointSlices, Resource::Namespaces] {
        let api = FakeApi::start();
        api.apply_all(shop());
        let forbidden = api.fault(Fault::status(403).on(resource));
        let mut world = Setup::default().word("ready 127.0.0.1:0").timing(QUICK).start(api);
        assert!(until(SYNC, || world.api.happened(forbidden) >= 4).is_some());
        assert_eq!(world.ready(), 503, "{resource:?}");
        world.now("no.shop.svc.Z A", "UNSYNCED");
        world.api.heal();
        world.synced(SYNC);
        world.shop_is_served();
        assert_eq!(world.ready(), 200, "{resource:?}");
    }
}

#[test]
fn two_blocks_on_one_cluster_share_one_watch() {
    let api = FakeApi::start();
    api.apply_all(shop());
    let block = |key: &str, zone: &str| {
        format!(
            "{key} {{\n    bind 127.0.0.1\n    kubernetes {zone} {{\n        endpoint {}\n    }}\n}}\n",
            api.url()
        )
    };
    let text = block("cluster.local:0", "cluster.local") + &block("example.org:0", "example.org");
    let running = serve(ServeOptions { text, ..ServeOptions::default() }).unwrap();
    assert!(running.wait_synced(SYNC));
    assert_eq!(api.count(None, &[Call::InitialWatch]), 3);
    running.stop();
}

#[test]
fn a_server_that_stops_leaves_its_api_server() {
    let world = World::shop();
    assert!(world.api.open() > 0);
    let World { running, api, .. } = world;
    running.stop();
    assert!(until(SOON, || api.open() == 0).is_some(), "{} connections are open", api.open());
    let before = api.requests().len();
    pass(Duration::from_millis(300));
    assert_eq!(api.requests().len(), before);
}
