//! Secrets and log lines: with `debug`, over every road on which the API server, files and upstreams fail, no line holds a
//! token, a key or a password.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use crate::api::{FakeApi, Fault, Speaks, StartOptions, namespace, service};
use crate::process::{PATIENCE, Server, binary, free_port, wait};

/// The token.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.token-of-the-test.c2lnbmVkLWJ5LW5vYm9keQ";

/// The password of a proxy, and of HTTP's own way of saying who one is.
const PASSWORD: &str = "pass-word-of-the-test";

/// What stands where a key should, and is none.
const NO_KEY: &str = "bm8ta2V5LWJ1dC1hLXNlY3JldC1vZi10aGUtdGVzdA";

/// A kubeconfig; `user` and `cluster` are lines of those entries.
fn kubeconfig(server: &str, user: &str, cluster: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\nclusters:\n- name: fake\n  cluster:\n    server: {server}\n{cluster}\
         users:\n- name: us\n  user:\n{user}contexts:\n- name: here\n  context: {{cluster: fake, user: us}}\n"
    )
}

/// A server that is watched for secrets.
struct Watched {
    /// Its files.
    dir: tempfile::TempDir,
    /// The server.
    server: Server,
    /// What no line may hold.
    secrets: Vec<String>,
}

impl Watched {
    /// Starts it on a Corefile, in which `DIR` stands for the folder and `PORT` for the port of plain DNS; files are made first.
    fn start(corefile: &str, files: &[(&str, String)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["dns.test".to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem();
        std::fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), &key).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let port = free_port();
        let text =
            corefile.replace("DIR", &dir.path().display().to_string()).replace("PORT", &port.to_string());
        std::fs::write(dir.path().join("Corefile"), text).unwrap();
        let mut secrets =
            vec![TOKEN.to_owned(), "token-of-the-test".to_owned(), PASSWORD.to_owned(), NO_KEY.to_owned()];
        // Lines of the key, whichever of them is shown.
        secrets.extend(
            key.lines().filter(|line| !line.starts_with('-') && line.len() > 20).map(ToOwned::to_owned),
        );
        assert!(secrets.len() > 5);
        let mut command = binary();
        command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
        command.arg("-conf").arg(dir.path().join("Corefile"));
        Self { server: Server::start(command, port), dir, secrets }
    }

    /// Where a file is.
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything that was said.
    fn said(&self) -> String {
        self.server.lines().join("\n") + "\n" + &self.server.err.lock().unwrap().join("\n")
    }

    /// Waits until something was said.
    fn says(&self, what: &str) {
        wait(&format!("`{what}` in {}", self.said()), PATIENCE, || self.said().contains(what).then_some(()));
    }

    /// Whether no secret was said.
    fn keeps_its_secrets(&self) {
        let said = self.said();
        for secret in &self.secrets {
            assert!(!said.contains(secret.as_str()), "{secret} is in a line:\n{said}");
        }
    }
}

/// Replaces a file in one step.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

#[test]
fn no_line_holds_a_token_a_key_or_a_password_whatever_goes_wrong() {
    let tls = StartOptions { tls: true, client_certificates: false, down: false, speaks: Speaks::Both };
    let api = FakeApi::start_with(tls);
    api.apply_all([namespace("shop"), service("shop", "web", "10.96.0.1")]);
    api.require_token(Some("another"));
    let authority = "    certificate-authority: CA\n";
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let corefile = format!(
        ".:PORT {{\n bind 127.0.0.1\n debug\n log\n errors {{\n stacktrace\n }}\n reload 2s 1s\n kubernetes cluster.local {{\n kubeconfig DIR/config here\n }}\n \
         forward . tls://{0} {{\n tls DIR/cert.pem DIR/key.pem\n tls_servername dns.test\n }}\n}}\n\
         tls://.:0 {{\n bind 127.0.0.1\n debug\n tls DIR/cert.pem DIR/key.pem\n whoami\n}}\n",
        silent.local_addr().unwrap()
    );
    let token = format!("    token: {TOKEN}\n");
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), api.ca_pem()).unwrap();
    let authority = authority.replace("CA", &ca.path().display().to_string());
    let config = kubeconfig(&api.url(), &token, &authority);
    let watched = Watched::start(&corefile, &[("config", config.clone())]);
    // Refused, forbidden, cut off, nonsense; then served.
    watched.says("not authorized");
    // What is told once is asked for again and again.
    let refused = api.fault(Fault::status(403).times(3));
    api.require_token(Some(TOKEN));
    wait("three refusals", PATIENCE, || (api.happened(refused) >= 3).then_some(()));
    let ask = |name: &str| watched.server.ask(name);
    let name = "web.shop.svc.cluster.local.";
    wait("a name of the cluster", PATIENCE, || ask(name).filter(|(code, _)| *code == 0));
    api.cut();
    assert!(
        api.requests().iter().any(|request| request.token.as_deref() == Some(TOKEN)),
        "it was shown there"
    );
    replace(
        &watched.path("key.pem"),
        &format!("-----BEGIN PRIVATE KEY-----\n{NO_KEY}\n-----END PRIVATE KEY-----\n"),
    );
    watched.says("is not read again");
    // An upstream that can't be reached with it, and a Corefile that names a password where none belongs.
    let _ = ask("www.example.org.");
    let bad = format!(
        ".:0 {{\n kubernetes cluster.local {{\n endpoint https://us:{PASSWORD}@127.0.0.1:9\n }}\n}}\n"
    );
    replace(&watched.path("Corefile"), &bad);
    watched.says("a user and a password do not belong there");
    watched.keeps_its_secrets();
    // The test would notice.
    assert!(watched.said().contains("[DEBUG]") || watched.said().contains("[INFO]"), "{}", watched.said());
}

#[test]
fn no_line_about_a_kubeconfig_that_is_no_good_shows_what_is_in_it() {
    let token = format!("    token: {TOKEN}\n");
    let server = "https://127.0.0.1:9";
    let config = kubeconfig(server, &token, "");
    for broken in [
        config.clone(),
        config.replace("    token:", "   token: ["),
        kubeconfig(server, &format!("    token: [\"{TOKEN}\", {{\n"), ""),
        kubeconfig(server, &format!("    token: {{ inner: {TOKEN} }}\n"), ""),
        kubeconfig(server, &format!("    username: us\n    password: {PASSWORD}\n"), ""),
        kubeconfig(server, &token, &format!("    proxy-url: http://us:{PASSWORD}@127.0.0.1:9\n")),
        kubeconfig(
            server,
            &format!("    client-certificate-data: {NO_KEY}\n    client-key-data: {NO_KEY}\n"),
            "",
        ),
        kubeconfig(&format!("https://us:{PASSWORD}@127.0.0.1:9"), &token, ""),
        TOKEN.to_owned(),
    ] {
        let corefile = ".:PORT {\n bind 127.0.0.1\n debug\n log\n errors\n kubernetes cluster.local {\n \
                        kubeconfig DIR/config here\n }\n}\n";
        let mut watched = Watched::start(corefile, &[("config", broken)]);
        wait("a line about it", PATIENCE, || {
            (watched.said().contains("plugin/kubernetes") || !watched.server.runs()).then_some(())
        });
        let _ = watched.server.ask("web.shop.svc.cluster.local.");
        watched.keeps_its_secrets();
    }
}

#[test]
fn an_error_about_a_corefile_shows_no_password() {
    let text = format!(
        ".:0 {{\n kubernetes cluster.local {{\n endpoint https://us:{PASSWORD}@127.0.0.1:9\n }}\n}}\n"
    );
    let options = signpost::app::ServeOptions { text, ..signpost::app::ServeOptions::default() };
    let Err(error) = signpost::app::serve(options) else { panic!("it is refused") };
    let said = format!("{error} {error:?}");
    assert!(said.contains("a user and a password do not belong there"), "{said}");
    assert!(!format!("{error}").contains(PASSWORD), "{said}");
}
