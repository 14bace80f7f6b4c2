//! A machine of its own for a test: the test runs again as a process in namespaces for network and mounts, and the server under
//! test in a second network behind it, as a pod on a node.
//!
//! ```text
//!  the test's network                                       the server's network (`dns`)
//!  10.96.0.1:443   API server ──┐
//!  192.0.2.53:53   node's DNS ──┤ pod 10.0.2.1 ═══ veth ═══ 10.0.2.2, and what the test adds
//!  the client of the test ──────┘
//! ```
//!
//! Both see the same files, of which some are covered by the test's own: the resolv.conf and all of /run.

use std::path::Path;
use std::process::Command;

/// Set in a process that runs in namespaces of its own.
const MARK: &str = "SIGNPOST_TEST_NAMESPACE";

/// Where the server is reached.
pub(crate) const SERVER: &str = "10.0.2.2";

/// The address of the API server, as in most clusters.
pub(crate) const API: &str = "10.96.0.1";

/// The node's DNS, which its resolv.conf names.
pub(crate) const RESOLVER: &str = "192.0.2.53";

/// Where a pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The node's file.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Whether this process is the one in namespaces of its own. Where it is not, the test is run in one that is; where that is not
/// permitted, it is not run.
pub(crate) fn inside(test: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        prepare();
        return true;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", test, "--nocapture"]);
    runs_inside(test, &mut again);
    false
}

/// Runs a test again, as this command says, in namespaces of its own, and asserts that it passes; false where that is not
/// permitted here.
pub(crate) fn runs_inside(test: &str, again: &mut Command) -> bool {
    if let Err(why) = permitted() {
        eprintln!("{test}: not run: no namespaces with a network of their own here: {why}");
        return false;
    }
    let mut command = unshare();
    command.arg(again.get_program()).args(again.get_args()).env(MARK, "1");
    command.envs(again.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success() && said[0].contains("1 passed"), "{}\n{}", said[0], said[1]);
    true
}

/// The command in front of one that is to run in namespaces.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "--propagation", "private"]);
    command
}

/// Whether all of it can be had here. Errors: why not.
fn permitted() -> Result<(), String> {
    let try_all = "set -e; ip link set lo up; mount -t tmpfs tmpfs /run; ip netns add dns; \
                   ip link add node type veth peer name pod netns dns; ip -n dns link set lo up; ip netns exec dns true";
    let output = unshare().args(["sh", "-c", try_all]).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// Runs a command, written as in a shell, without quotes.
pub(crate) fn run(line: &str) {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes both networks, and covers the files that the test has its own of.
fn prepare() {
    run("mount -t tmpfs tmpfs /run");
    for line in [
        "ip link set lo up",
        "ip netns add dns",
        "ip link add node type veth peer name pod netns dns",
        "ip addr add 10.0.2.1/24 dev node",
        "ip link set node up",
        "ip -n dns link set lo up",
        "ip -n dns addr add 10.0.2.2/24 dev pod",
        "ip -n dns link set pod up",
        "ip -n dns route add default via 10.0.2.1",
    ] {
        run(line);
    }
    for address in [API, RESOLVER] {
        here(address);
    }
    resolv_conf(&format!("search example.net\nnameserver {RESOLVER}\noptions ndots:5\n"));
}

/// Gives this network an address.
pub(crate) fn here(address: &str) {
    run(&format!("ip addr add {address}/32 dev lo"));
}

/// Gives the server's network an address, on an interface as node-local-dns makes it.
pub(crate) fn there(address: &str) {
    // Where the kernel has no such interfaces, loopback holds it as well.
    let made =
        Command::new("ip").args("-n dns link add nodelocaldns type dummy".split(' ')).output().unwrap();
    let known = made.status.success() || String::from_utf8_lossy(&made.stderr).contains("exists");
    let device = if known { "nodelocaldns" } else { "lo" };
    run(&format!("ip -n dns addr add {address}/32 dev {device}"));
    run(&format!("ip route add {address}/32 via {SERVER}"));
}

/// Writes what stands in the node's resolv.conf.
fn resolv_conf(text: &str) {
    let file = "/run/test-resolv.conf";
    std::fs::write(file, text).unwrap();
    if !Path::new(RESOLV_CONF).exists() {
        // A link into /run, which is covered.
        let target = std::fs::canonicalize("/etc").unwrap().join(std::fs::read_link(RESOLV_CONF).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, "").unwrap();
    }
    run(&format!("mount --bind {file} {RESOLV_CONF}"));
}

/// Writes the service account of the pod.
pub(crate) fn account(token: &str, ca: &str) {
    std::fs::create_dir_all(ACCOUNT).unwrap();
    for (name, text) in [("token", token), ("ca.crt", ca), ("namespace", "kube-system")] {
        std::fs::write(Path::new(ACCOUNT).join(name), text).unwrap();
    }
}
