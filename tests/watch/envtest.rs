//! The same promises against a real API server, where KUBEBUILDER_ASSETS names a folder with `etcd` and `kube-apiserver`.
//!
//! ```text
//!  KUBEBUILDER_ASSETS=DIR cargo test --test watch envtest -- --nocapture
//! ```
//!
//! Without it the test says that it did not run. What the fake may have got wrong about lists, watches, bookmarks and versions
//! would show here.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use signpost::app::{ServeOptions, serve};

use crate::api::{Authority, namespace, service, slice};
use crate::harness::{Ask, Client, Via};
use crate::world::{expected, pass, until};

/// How long the real one may take to start.
pub(crate) const START: Duration = Duration::from_secs(60);

/// How long a change may take to be answered.
const SOON: Duration = Duration::from_secs(5);

/// The token of the test, who may do everything.
const ADMIN: &str = "token-of-the-test";

/// The token of the server under test, who may list and watch.
pub(crate) const READER: &str = "token-of-the-server";

/// A program that ends with the test.
struct Process {
    /// The process.
    child: Child,
    /// Where it writes what it has to say.
    log: PathBuf,
}

impl Process {
    /// Starts a program.
    fn start(program: &Path, args: &[String], log: PathBuf) -> Self {
        let out = std::fs::File::create(&log).unwrap();
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self { child, log }
    }

    /// The last that it had to say.
    fn story(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A real API server with its etcd, and without controllers: what is in it is what the test put there.
pub(crate) struct Real {
    /// Runs the requests of the test.
    runtime: tokio::runtime::Runtime,
    /// The test's own way in.
    client: kube::Client,
    /// `https://ADDRESS`.
    pub(crate) url: String,
    /// Certificates, tokens, data.
    pub(crate) dir: tempfile::TempDir,
    /// How the API server is started.
    command: (PathBuf, Vec<String>),
    /// The API server.
    server: Option<Process>,
    /// What it stores in; last, so that it ends last.
    _etcd: Process,
}

/// A port that is free now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Real {
    /// Starts both where KUBEBUILDER_ASSETS names them; `None`, which is said, without it.
    pub(crate) fn given() -> Option<Self> {
        let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) else {
            eprintln!("did not run: KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver");
            return None;
        };
        for program in ["etcd", "kube-apiserver"] {
            assert!(assets.join(program).is_file(), "KUBEBUILDER_ASSETS has no {program}");
        }
        Some(Self::start(&assets))
    }

    /// Starts both.
    fn start(assets: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        let authority = Authority::new("envtest");
        let own = authority.issue(&["127.0.0.1", "localhost", "kubernetes.default.svc"]);
        std::fs::write(file("ca.crt"), authority.pem()).unwrap();
        std::fs::write(file("tls.crt"), own.certificate_pem()).unwrap();
        std::fs::write(file("tls.key"), own.key_pem()).unwrap();
        // One key pair signs the tokens of service accounts, which nobody here uses and the API server cannot do without.
        let accounts = authority.issue(&["accounts"]);
        std::fs::write(file("sa.key"), accounts.key_pem()).unwrap();
        std::fs::write(file("sa.crt"), accounts.certificate_pem()).unwrap();
        std::fs::write(
            file("tokens.csv"),
            format!("{ADMIN},admin,1,\"system:masters\"\n{READER},reader,2,\n"),
        )
        .unwrap();
        let (clients, peers, port) = (free_port(), free_port(), free_port());
        let etcd = Process::start(
            &assets.join("etcd"),
            &[
                format!("--data-dir={}", file("etcd")),
                format!("--listen-client-urls=http://127.0.0.1:{clients}"),
                format!("--advertise-client-urls=http://127.0.0.1:{clients}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peers}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peers}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peers}"),
                "--unsafe-no-fsync=true".to_owned(),
            ],
            dir.path().join("etcd.log"),
        );
        let args = vec![
            format!("--etcd-servers=http://127.0.0.1:{clients}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=127.0.0.1".to_owned(),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", file("tls.crt")),
            format!("--tls-private-key-file={}", file("tls.key")),
            format!("--token-auth-file={}", file("tokens.csv")),
            format!("--service-account-key-file={}", file("sa.crt")),
            format!("--service-account-signing-key-file={}", file("sa.key")),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--allow-privileged=true".to_owned(),
        ];
        let url = format!("https://127.0.0.1:{port}");
        for (name, token) in [("kubeconfig", READER), ("admin.kubeconfig", ADMIN)] {
            std::fs::write(file(name), kubeconfig(&url, &file("ca.crt"), token)).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let kubeconfig = kube::config::Kubeconfig::read_from(file("admin.kubeconfig")).unwrap();
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
            kube::Client::try_from(config).unwrap()
        });
        let command = (assets.join("kube-apiserver"), args);
        let mut this = Self { runtime, client, url, dir, command, server: None, _etcd: etcd };
        this.up();
        this
    }

    /// Starts the API server and waits until it is ready.
    fn up(&mut self) {
        let log = self.dir.path().join("apiserver.log");
        self.server = Some(Process::start(&self.command.0, &self.command.1, log));
        let ready = until(START, || {
            pass(Duration::from_millis(100));
            self.request("GET", "/readyz", None).is_ok()
        });
        assert!(ready.is_some(), "no API server:\n{}", self.server.as_ref().unwrap().story());
    }

    /// Ends the API server; etcd stays.
    fn down(&mut self) {
        self.server = None;
    }

    /// A request of the test.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<String, kube::Error> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(body.map_or(Vec::new(), |body| body.to_string().into_bytes()))
            .unwrap();
        self.runtime.block_on(self.client.request_text(request))
    }

    /// Creates objects.
    pub(crate) fn create(&self, objects: impl IntoIterator<Item = Value>) {
        for object in objects {
            let path = collection(&object);
            self.request("POST", &path, Some(&object)).unwrap_or_else(|error| panic!("{path}: {error}"));
        }
    }

    /// Deletes an object.
    pub(crate) fn delete(&self, path: &str) {
        self.request("DELETE", path, None).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Gives the server under test the rights that its manifests give it.
    pub(crate) fn grant(&self) {
        let rule = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]});
        self.create([
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"},
                "rules": [rule("", &["services", "namespaces", "pods"]), rule("discovery.k8s.io", &["endpointslices"])],
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "reader"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}],
            }),
        ]);
    }
}

/// The path that objects like this one are created at.
fn collection(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let version = text("/apiVersion");
    let mut path = if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") };
    if !text("/metadata/namespace").is_empty() {
        let _ = write!(path, "/namespaces/{}", text("/metadata/namespace"));
    }
    let _ = write!(path, "/{}s", text("/kind").to_lowercase());
    path
}

/// How somebody with a token gets in.
pub(crate) fn kubeconfig(url: &str, ca: &str, token: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\ncontexts:\n- name: test\n  context: {{cluster: test, user: reader}}\n\
         clusters:\n- name: test\n  cluster: {{server: \"{url}\", certificate-authority: \"{ca}\"}}\n\
         users:\n- name: reader\n  user: {{token: {token}}}\n"
    )
}

#[test]
fn envtest_answers_follow_a_real_api_server() {
    let Some(mut real) = Real::given() else { return };
    real.grant();
    real.create([namespace("shop"), service("shop", "web", "10.96.0.21"), service("shop", "db", "None")]);
    real.create([slice("shop", "db-1", "db", &["10.1.0.1=db-0", "10.1.0.2=db-1"])]);

    let text = format!(
        ".:0 {{\n    bind 127.0.0.1\n    kubernetes cluster.local in-addr.arpa {{\n        startup_timeout 0s\n        kubeconfig {}\n    }}\n}}\n",
        real.dir.path().join("kubeconfig").display()
    );
    let running = serve(ServeOptions { text, ..ServeOptions::default() }).unwrap();
    assert!(running.wait_synced(START), "no sync with {}", real.url);
    let mut client = Client::new(Via::Udp, running.addresses()[0]);
    let mut sees = |ask: &str, short: &str| {
        let want = expected(ask, short);
        let mut got = String::new();
        let took = until(SOON, || {
            got = client.ask(&Ask::parse(ask));
            got == want
        });
        let took = took.unwrap_or_else(|| panic!("{ask} within {SOON:?}\nwant {want}got  {got}"));
        eprintln!("{ask}: {short} after {took:?}");
    };

    // What was there before.
    sees("web.shop.svc.Z A", "@ A 10.96.0.21");
    sees("db.shop.svc.Z A", "@ A 10.1.0.1; @ A 10.1.0.2");
    sees("arpa:10.96.0.21 PTR", "@ PTR web.shop.svc.Z");
    sees("no.shop.svc.Z A", "NX");

    // What comes, changes and goes.
    real.create([service("shop", "new", "10.96.0.22")]);
    sees("new.shop.svc.Z A", "@ A 10.96.0.22");
    let slices = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
    let changed = slice("shop", "db-1", "db", &["10.1.0.2=db-1", "!10.1.0.3=db-2"]);
    real.request("PUT", &format!("{slices}/db-1"), Some(&changed)).unwrap();
    sees("db.shop.svc.Z A", "@ A 10.1.0.2");
    real.delete("/api/v1/namespaces/shop/services/new");
    sees("new.shop.svc.Z A", "NX");

    // What happens while the API server is away and we know the last state.
    real.down();
    sees("web.shop.svc.Z A", "@ A 10.96.0.21");
    real.up();
    real.create([service("shop", "later", "10.96.0.23")]);
    sees("later.shop.svc.Z A", "@ A 10.96.0.23");
    real.delete(&format!("{slices}/db-1"));
    sees("db.shop.svc.Z A", "NX");
}
