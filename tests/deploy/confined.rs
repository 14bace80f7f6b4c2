//! The binary, confined as its pods are: user, capabilities, read-only root and the sysctl are those of the chart, the network is the
//! test's own. It serves port 53 so, and would not without the sysctl.
#![allow(clippy::print_stdout, reason = "says what was not run")]

use std::os::unix::fs::PermissionsExt as _;

use super::chart::case;
use super::*;

/// A Corefile that has no need of a cluster, on the chart's ports.
const COREFILE: &str = ". {\n errors\n health\n ready\n prometheus :9153\n reload\n whoami\n}\n";

/// What a pod may do.
struct Confinement {
    /// The user and the group.
    user: u64,
    /// Capabilities, as setpriv names them.
    capabilities: String,
    /// What is set in the pod's network.
    sysctls: Vec<(String, String)>,
}

impl Confinement {
    /// That of a case's pods.
    fn of(name: &str) -> Self {
        let objects = case(name);
        let workload = objects.iter().find(|object| !object["spec"]["template"].is_null()).unwrap();
        let pod = &workload["spec"]["template"]["spec"];
        let context = &pod["containers"][0]["securityContext"];
        assert_eq!(
            (&context["allowPrivilegeEscalation"], &context["readOnlyRootFilesystem"]),
            (&false.into(), &true.into())
        );
        assert_eq!(context["capabilities"]["drop"][0], "ALL");
        let added = context["capabilities"]["add"].as_array().unwrap().iter();
        let added: Vec<String> =
            added.map(|one| format!(",+{}", one.as_str().unwrap().to_lowercase())).collect();
        let sysctls = pod["securityContext"]["sysctls"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            user: pod["securityContext"]["runAsUser"].as_u64().unwrap(),
            capabilities: format!("-all{}", added.concat()),
            sysctls: sysctls.map(|one| (text(&one["name"]), text(&one["value"]))).collect(),
        }
    }

    /// Runs the server so, asks `address` for `name`, ends it with SIGTERM; everything that was said.
    fn serve(&self, corefile: &str, address: &str, name: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let (binary, config) = (folder.path().join("signpost"), folder.path().join("Corefile"));
        std::fs::copy(env!("CARGO_BIN_EXE_signpost"), &binary).unwrap();
        std::fs::write(&config, corefile).unwrap();
        let sysctls: Vec<String> = self
            .sysctls
            .iter()
            .map(|(name, value)| format!("echo {value} > /proc/sys/{}", name.replace('.', "/")))
            .collect();
        let script = format!(
            "ip link set lo up\nip address add {address}/32 dev lo || true\n{}\nmount --make-rprivate /\nmount -o remount,ro,bind /\n\
             setpriv --reuid={user} --regid={user} --clear-groups --no-new-privs --bounding-set={caps} --inh-caps=-all -- \
             {binary} -conf {config} &\n\
             server=$!\n\
             for try in $(seq 200); do\n\
             kill -0 $server || break\n\
             dig +time=5 +tries=1 @{address} {name} A +noall +comments | grep status: && break\n\
             sleep 0.05\n\
             done\n\
             grep -E '^(Uid|CapEff|NoNewPrivs)' /proc/$server/status || true\n\
             kill $server || true\nwait $server; echo \"ended with $?\"\n",
            sysctls.join("\n"),
            user = self.user,
            caps = self.capabilities,
            binary = binary.display(),
            config = config.display(),
        );
        let output =
            Command::new("unshare").args(["--net", "--mount", "sh", "-c", &script]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }
}

/// Whether networks can be made here.
fn is_possible() -> bool {
    let script = "ip link set lo up && setpriv --version && dig -v";
    let tried = Command::new("unshare").args(["--net", "--mount", "sh", "-c", script]).output();
    let is_root = rustix::process::getuid().is_root();
    let possible = is_root && tried.is_ok_and(|output| output.status.success());
    if !possible {
        println!("not run: it needs root, unshare, ip, setpriv and dig");
    }
    possible
}

/// The value of a line of /proc/PID/status.
fn field<'s>(said: &'s str, name: &str) -> &'s str {
    said.lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_else(|| panic!("no {name}: {said}"))
        .trim()
}

#[test]
fn a_pod_serves_port_53_as_nobody_without_a_capability() {
    if !is_possible() {
        return;
    }
    let pod = Confinement::of("defaults");
    let said = pod.serve(COREFILE, "127.0.0.1", "a.example.org");
    assert!(said.contains("status: NOERROR"), "{said}");
    assert_eq!(field(&said, "Uid:"), "65532\t65532\t65532\t65532");
    // What is added does not outlive the start of a binary that carries none.
    assert_eq!(field(&said, "CapEff:"), "0000000000000000");
    assert_eq!(field(&said, "NoNewPrivs:"), "1");
    assert!(said.contains("ended with 0"), "{said}");
}

#[test]
fn a_pod_would_not_serve_port_53_without_the_sysctl() {
    if !is_possible() {
        return;
    }
    let pod = Confinement { sysctls: Vec::new(), ..Confinement::of("defaults") };
    let said = pod.serve(COREFILE, "127.0.0.1", "a.example.org");
    assert!(said.contains("no right to listen on 0.0.0.0:53") && said.contains("ended with 1"), "{said}");
}

#[test]
fn on_the_nodes_network_one_capability_is_enough() {
    if !is_possible() {
        return;
    }
    let node = Confinement::of("node-address");
    assert_eq!(node.sysctls, [], "they would be the node's");
    let corefile = super::chart::corefile_of(&case("node-address")).unwrap();
    let said = node.serve(&corefile, "169.254.20.10", "web.shop.svc.cluster.local");
    // The cluster's DNS is not there to be asked, and the reply says so.
    assert!(said.contains("status: SERVFAIL"), "{said}");
    // CAP_NET_BIND_SERVICE alone is bit 10.
    assert_eq!(field(&said, "CapEff:"), "0000000000000400");
    assert!(said.contains("ended with 0"), "{said}");
}
